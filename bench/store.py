"""The status store with 10,000 and with 100,000 users: what a summary, a point read and a page cost, and a scan.

``PYTHONPATH=. python bench/store.py [--users 100000]``. On Azurite in memory. Entities and requests are what Azure
bills and what its limits count; they are the measure of cost. Times are this machine's and Azurite's, which keeps no
index over ranges and walks through the whole table for every query: there the time of a page grows with the table,
in Azure it does not. So times are compared within a run only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from mms_core import wiring
from mms_core.adapters.tables import TableUserStore
from mms_core.adapters.tables.clients import SHARDS, Tables, shard
from mms_core.adapters.tables.rows import COUNTERS, SCHEMA, operations, packed
from mms_core.model import Run, RunId, State, Target, UserKey, UserRecord
from mms_core.ports import RunQuery
from mms_core.service.intake import Intake, Wanted
from mms_core.settings import from_environment
from mms_local.storage import Azurite

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
STATES: Final = (State.SUCCEEDED, State.SUCCEEDED, State.SUCCEEDED, State.FAILED, State.PENDING)
ROUNDS: Final = 5


class Counting:
    """A table client that counts what it is asked for and what it gives."""

    def __init__(self, client: TableClient) -> None:
        self._client = client
        self.requests = 0
        self.entities = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def get_entity(self, *keys: str) -> Any:
        """As the client."""
        self.requests += 1
        self.entities += 1
        return await self._client.get_entity(*keys)

    async def query_entities(self, condition: str, **options: Any) -> Any:
        """As the client; a page is a request."""
        async for page in self._client.query_entities(condition, **options).by_page():
            self.requests += 1
            async for entity in page:
                self.entities += 1
                yield entity


def record(number: int) -> UserRecord:
    """The user of a number, with one run."""
    key = UserKey(str(uuid.UUID(int=number * 2654435761 % 2**122)))
    at = START + timedelta(minutes=number)
    state = STATES[number % len(STATES)]
    run = Run(
        run_id=RunId(str(uuid.UUID(int=number))), identity=key, user_id=key,
        user_principal_name=f"user{number}@contoso.example", state=state, target=Target.TEAMS,
        reasons=("T10 Manual",), created_at=at, modified_at=at, fresh_at=at, due_at=at + timedelta(minutes=90),
        total=10, succeeded=10, invites=10, last_message="10 migrated.",
    )  # fmt: skip
    return UserRecord(key=key, current=run, seen=("x",))


async def seed(store: TableUserStore, first: int, last: int, counts: dict[str, dict[str, int]]) -> None:
    """Write users with all their rows, a hundred rows a transaction, and the counters at the end."""
    table = await store._tables.table("Users")  # noqa: SLF001 - a shortcut that saves an hour
    waiting: dict[str, list[Any]] = {}

    async def flush(partition: str) -> None:
        steps = waiting.pop(partition, [])
        for start in range(0, len(steps), 100):
            await table.submit_transaction(steps[start : start + 100])

    for number in range(first, last):
        each = record(number)
        partition = shard(each.key)
        steps = waiting.setdefault(partition, [])
        row = {"PartitionKey": partition, "RowKey": f"u|{each.key}", **packed(each), "Nonce": "x"}
        steps += [("upsert", row, {"mode": UpdateMode.REPLACE}), *operations(partition, each, None)]
        count = counts.setdefault(partition, {})
        count[str(each.current.state)] = count.get(str(each.current.state), 0) + 1
        if len(steps) >= 90:
            await flush(partition)
    for partition in list(waiting):
        await flush(partition)
    for partition, count in counts.items():
        await table.upsert_entity({"PartitionKey": partition, "RowKey": COUNTERS, **count, "V": SCHEMA})


async def measured(counting: Counting, call: Any) -> dict[str, float]:
    """Median time, entities and requests of a call."""
    times = []
    for _ in range(ROUNDS):
        counting.requests = counting.entities = 0
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1000)
    return {"ms": round(statistics.median(times), 1), "entities": counting.entities, "requests": counting.requests}


async def measure(store: TableUserStore, counting: Counting, users: int) -> dict[str, Any]:
    """What the questions of an administrator cost with this many users."""
    key = record(users // 2).key
    begin = START + timedelta(minutes=users // 2)
    pages = {
        "page of 1,000": RunQuery(top=1000),
        "page of 1,000 by state": RunQuery(top=1000, state=State.FAILED),
        "page of 1,000 by time range": RunQuery(top=1000, start_at=begin, end_at=begin + timedelta(minutes=4000)),
        "page of 1,000 by type": RunQuery(top=1000, migration_type="AllToTeams"),
        "page of 1,000 by reason": RunQuery(top=1000, reason="T10"),
        "page of 1,000 by state and type": RunQuery(top=1000, state=State.FAILED, migration_type="AllToTeams"),
    }
    found: dict[str, Any] = {
        "summary": await measured(counting, store.counts),
        "one user": await measured(counting, lambda: store.read(key)),
    }
    for name, query in pages.items():
        found[name] = await measured(counting, lambda query=query: store.page(query))
    return found


async def scan(counting: Counting) -> dict[str, float]:
    """Count the users by reading their rows, shard by shard: what the counters save."""
    counting.requests = counting.entities = 0
    began = time.perf_counter()
    for number in range(SHARDS):
        condition = f"PartitionKey eq 's{number:02d}' and RowKey gt 'u|' and RowKey lt 'u|~'"
        async for _ in counting.query_entities(condition, select=["State"]):
            pass
    ms = round((time.perf_counter() - began) * 1000, 1)
    return {"ms": ms, "entities": counting.entities, "requests": counting.requests}


async def store_bench(connection: str, sizes: list[int]) -> dict[str, Any]:
    """Seed and measure, size by size."""
    made: list[Counting] = []

    def client(name: str) -> Any:
        made.append(Counting(TableClient.from_connection_string(connection, name)))
        return made[-1]

    tables = Tables(client, prefix="Bench")
    store = TableUserStore(tables)
    await tables.table("Users")
    counting, results, seeded = made[0], dict[str, Any](), 0
    counts: dict[str, dict[str, int]] = {}
    for size in sizes:
        began = time.perf_counter()
        await seed(store, seeded, size, counts)
        seeded = size
        sys.stderr.write(f"seeded {size} users in {time.perf_counter() - began:.0f} s\n")
        results[str(size)] = await measure(store, counting, size)
    results["scan"] = await scan(counting)
    await tables.close()
    return results


async def accept(connection: str) -> dict[str, Any]:
    """Accept 50,000 identities as the worker does, and turn one message of them into requests."""
    from mms_core.api.admin import _result_row, _Start  # noqa: PLC0415 - measured as it is imported
    from mms_core.api.http import list_response  # noqa: PLC0415
    from mms_core.model import Source  # noqa: PLC0415
    from mms_core.notifications import decode  # noqa: PLC0415

    identities = [f"firstname.lastname{number:05d}@contoso.example" for number in range(50_000)]
    body = json.dumps({"identities": identities, "targetMeetingType": "Teams"}).encode()
    del identities
    import os  # noqa: PLC0415 - wiring reads it

    os.environ |= {"AzureWebJobsStorage": connection, "MMS_TENANT_ID": "t", "MMS_API_AUDIENCE": "a"}
    assert from_environment(os.environ).storage_connection
    parts = wiring._parts()  # noqa: SLF001 - as the app does
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    start = decode(body, _Start)
    wanted = Wanted(identities=tuple(start.identities or ()), source=Source.ALL, target=Target.TEAMS)
    results = await Intake(parts).start(wanted)
    answer = list_response(map(_result_row, results))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    await wiring.tables().close()
    return {
        "rows": len(results),
        "answerMiB": round(len(answer.body) / 2**20, 1),
        "seconds": round(seconds, 2),
        "MiB before": round(before),
        "MiB at most": round(peak),
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--accept", metavar="CONNECTION", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.accept:
        print(json.dumps(asyncio.run(accept(arguments.accept))))
        return
    with Azurite() as azurite:
        command = [sys.executable, __file__, "--accept", azurite.connection_string]
        accepted = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
        sizes = [arguments.users // 10, arguments.users]
        results = asyncio.run(store_bench(azurite.connection_string, sizes))
    small, large = (results[str(size)] for size in sizes)
    print(f"{'':34}{sizes[0]:>9} users: ms, entities, requests {sizes[1]:>9} users: ms, entities, requests")
    for name, few in small.items():
        many = large[name]
        print(f"{name:34}{few['ms']:>14}{few['entities']:>8}{few['requests']:>6}", end="")
        print(f"{many['ms']:>24}{many['entities']:>8}{many['requests']:>6}")
    whole = results["scan"]
    print(f"{'scan of all users':34}{'':28}{whole['ms']:>24}{whole['entities']:>8}{whole['requests']:>6}")
    for name in ("summary", "one user"):
        print(f"{name}: {whole['ms'] / large[name]['ms']:.0f} times faster than the scan")
    print("accepting 50,000 identities:", accepted.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
