"""What an administrator waits for: one user's status and the summary over HTTP, next to the storage's own answer time.

``PYTHONPATH=. python bench/api.py [--users 100000] [--rounds 300]``. The whole local stack; its tables are filled with
bench/store.py's routine, and its Azurite has the index that Azure's tables have (see there): without it a read of one
user takes a walk through all rows, seconds beside which nothing of ours would show. What Azurite itself takes is
measured in the same run, by turns with the questions: plain HTTP requests for the same rows, no SDK of Azure's between.
The figures that the project holds itself to are the differences: under 50 ms for a user and under 100 ms for the
summary, at the 99th percentile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import TableSasPermissions, generate_table_sas
from yarl import URL

from bench.store import WITH_INDEX, record, seed
from mms_core.adapters.tables import QuickTableClient, TableUserStore
from mms_core.adapters.tables.clients import SHARDS, Tables, shard
from mms_core.adapters.tables.rows import COUNTERS
from mms_local.storage import ACCOUNT, KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mms_core.model import UserKey

LIMITS = {"status of one user": 50.0, "summary": 100.0}
WARM_UP = 20
TABLE = "MmsUsers"


def started(directory: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start a stack with its storage in memory."""
    ready = directory / "ready.json"
    # The benchmark's users exist in the tables only: no timer may go and look for them.
    kinds = ("RECOVERY", "SWEEP", "DELTA", "DISCOVERY", "HOUSEKEEPING")
    timers = tuple(f"MMS_{kind}_SCHEDULE" for kind in kinds)
    quiet = [part for name in timers for part in ("--set", f"{name}=0 0 0 1 1 *")]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mms_local", "up", "--empty", "--in-memory", "--data", str(directory / "data"),
         "--ready-file", str(ready), *quiet],
        stdout=subprocess.DEVNULL, env={**os.environ, "NODE_OPTIONS": WITH_INDEX},
    )  # fmt: skip
    while not ready.exists():
        if process.poll() is not None:
            raise RuntimeError("the stack did not come up")
        time.sleep(0.1)
    return process, json.loads(ready.read_text())


def p99(times: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(times, n=100, method="inclusive")[98]


async def timed(call: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds of a call."""
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


class Storage:
    """Azurite's own answers: plain requests for the rows that the app reads."""

    def __init__(self, session: aiohttp.ClientSession, connection: str) -> None:
        parts = dict(part.split("=", 1) for part in connection.split(";") if part)
        signature = generate_table_sas(
            AzureNamedKeyCredential(ACCOUNT, KEY),
            TABLE,
            permission=TableSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=2),
        )
        self._session = session
        self._address = f"{parts['TableEndpoint']}/{TABLE}"
        self._signature = signature

    async def _get(self, keys: str, query: str = "") -> bytes:
        url = URL(f"{self._address}({keys})?{self._signature}{query}", encoded=True)
        headers = {"Accept": "application/json;odata=minimalmetadata", "x-ms-version": "2019-02-02"}
        async with self._session.get(url, headers=headers) as answer:
            content = await answer.read()
            assert answer.status == 200, content
            return content

    async def counters(self) -> None:
        """The rows behind a summary, all at once as the app asks for them."""
        partitions = (f"s{each:02d}" for each in range(SHARDS))
        await asyncio.gather(*(self._get(f"PartitionKey='{each}',RowKey='{quote(COUNTERS)}'") for each in partitions))

    async def runs(self, key: UserKey) -> None:
        """The rows behind one user's status."""
        condition = f"PartitionKey eq '{shard(key)}' and RowKey gt 'r|{key}|' and RowKey lt 'r|{key}|~'"
        content = await self._get("", f"&$filter={quote(condition)}&$select=RowKey,Run&$top=1000")
        assert len(json.loads(content)["value"]) == 1


async def measure(ready: dict[str, Any], users: int, rounds: int) -> dict[str, dict[str, float]]:
    """Fill the tables, then ask by turns: the app, and the storage what the app asks it."""
    tables = Tables(lambda name: QuickTableClient.from_connection_string(ready["storage"], name), prefix="Mms")
    began = time.perf_counter()
    await seed(TableUserStore(tables), 0, users)
    await tables.close()
    sys.stdout.write(f"{users} users in {time.perf_counter() - began:.0f} s\n")
    headers = {"Authorization": f"Bearer {ready['tokens']['reader']}"}
    unlimited = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers) as session, aiohttp.ClientSession(connector=unlimited) as bare:
        storage = Storage(bare, ready["storage"])

        async def ask(path: str) -> None:
            async with session.get(f"{ready['api']}/{path}") as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

        times: dict[str, list[float]] = {}
        for turn in range(WARM_UP + rounds):
            key = record(turn * 7919 % users).key
            for name, call in (
                ("status of one user", lambda key=key: ask(f"migrations/{key}")),
                ("status of one user, storage", lambda key=key: storage.runs(key)),
                ("summary", lambda: ask("migrations?summaryOnly=true")),
                ("summary, storage", storage.counters),
            ):
                took = await timed(call)
                if turn >= WARM_UP:
                    times.setdefault(name, []).append(took)
    return {
        name: {"median ms": round(statistics.median(each), 1), "p99 ms": round(p99(each), 1)}
        for name, each in times.items()
    }


def main() -> int:
    """Measure; gives 1 where a difference is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        process, ready = started(Path(directory))
        try:
            figures = asyncio.run(measure(ready, arguments.users, arguments.rounds))
        finally:
            process.terminate()
            process.wait(60)
    for name, figure in figures.items():
        sys.stdout.write(f"{name:28} {figure}\n")
    worst = 0
    for name, limit in LIMITS.items():
        more = figures[name]["p99 ms"] - figures[f"{name}, storage"]["p99 ms"]
        sys.stdout.write(f"{name}: p99 {more:+.1f} ms next to the storage's own, limit {limit:.0f}\n")
        worst |= more > limit
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
