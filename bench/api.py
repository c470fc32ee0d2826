"""What an administrator waits for: one user's status and the summary over HTTP, next to the storage's own answer time.

``PYTHONPATH=. python bench/api.py [--users 100000] [--rounds 300]``. The whole local stack; its tables are filled with
bench/store.py's routine. What Azurite itself takes for the same reads is measured in the same run, by turns with the
questions, because it is not ours: it walks through its whole table for every range query. The figures that the
project holds itself to are the differences: under 50 ms for a user and under 100 ms for the summary, at the 99th
percentile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from azure.data.tables.aio import TableClient

from bench.store import record, seed
from mms_core.adapters.tables import TableUserStore
from mms_core.adapters.tables.clients import SHARDS, Tables
from mms_core.adapters.tables.rows import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LIMITS = {"status of one user": 50.0, "summary": 100.0}
WARM_UP = 20


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
        stdout=subprocess.DEVNULL,
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


async def measure(ready: dict[str, Any], users: int, rounds: int) -> dict[str, dict[str, float]]:
    """Fill the tables, then ask by turns: the app, and the storage what the app asks it."""
    tables = Tables(lambda name: TableClient.from_connection_string(ready["storage"], name), prefix="Mms")
    store = TableUserStore(tables)
    counts: dict[str, dict[str, int]] = {}
    began = time.perf_counter()
    for first in range(0, users, 5000):
        await seed(store, first, min(first + 5000, users), counts)
    sys.stdout.write(f"{users} users in {time.perf_counter() - began:.0f} s\n")
    table = await tables.table("Users")
    headers = {"Authorization": f"Bearer {ready['tokens']['reader']}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def ask(path: str) -> None:
            async with session.get(f"{ready['api']}/{path}") as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

        async def counters() -> None:
            await asyncio.gather(*(found(partition) for partition in (f"s{each:02d}" for each in range(SHARDS))))

        async def found(partition: str) -> None:
            await table.get_entity(partition, COUNTERS)

        async def runs(number: int) -> None:
            await store.runs_of(record(number).key)

        times: dict[str, list[float]] = {}
        for turn in range(WARM_UP + rounds):
            number = turn * 7919 % users
            key = record(number).key
            for name, call in (
                ("status of one user", lambda key=key: ask(f"migrations/{key}")),
                ("status of one user, storage", lambda number=number: runs(number)),
                ("summary", lambda: ask("migrations?summaryOnly=true")),
                ("summary, storage", counters),
            ):
                took = await timed(call)
                if turn >= WARM_UP:
                    times.setdefault(name, []).append(took)
    await tables.close()
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
