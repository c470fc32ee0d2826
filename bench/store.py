"""The status store with 10,000 and with 100,000 users: what a summary, a point read and a page cost, and a scan.

``PYTHONPATH=. python bench/store.py [--users 100000]``. On Azurite in memory. Azure's tables find the rows between two
keys of a partition by an index; Azurite has none, evaluates the filter of every query for every row of the table, and
so takes ten times as long for the same page of a table ten times as large, whatever the layout. So the bench loads
``range_index.cjs`` into it, which adds that index and nothing else, and measures pages a second time with Azurite as it
is. Entities and requests, which Azure bills, are the same in both. Times are compared within a run only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from azure.data.tables import UpdateMode

from mms_core import wiring
from mms_core.adapters.tables import QuickTableClient, TableUserStore
from mms_core.adapters.tables.clients import SHARDS, Tables, shard
from mms_core.adapters.tables.counters import Counters, moved
from mms_core.adapters.tables.rows import operations, packed
from mms_core.auth import Principal
from mms_core.model import Run, RunId, State, Target, UserKey, UserRecord
from mms_core.ports import RunQuery
from mms_core.settings import from_environment
from mms_local.storage import Azurite

if TYPE_CHECKING:
    from collections.abc import Callable

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
STATES: Final = (State.SUCCEEDED, State.SUCCEEDED, State.SUCCEEDED, State.FAILED, State.PENDING)
ROUNDS: Final = 9
AT_ONCE: Final = 4
"""Transactions that are under way while the table is filled."""
WITH_INDEX: Final = f'--require "{Path(__file__).parent / "range_index.cjs"}" --max-old-space-size=8192'


class Counting:
    """A table client that counts what it is asked for and what it gives."""

    def __init__(self, client: Any) -> None:
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


async def seed(
    store: TableUserStore,
    first: int,
    last: int,
    made: Callable[[int], UserRecord] = record,
) -> None:
    """Write users with all their rows, a hundred rows a transaction, and the counters at the end."""
    table = await store._tables.table("Users")
    counts: dict[str, Counters] = {}
    waiting: dict[str, list[Any]] = {}
    under_way: set[asyncio.Future[Any]] = set()

    async def flush(partition: str) -> None:
        steps = waiting.pop(partition, [])
        for start in range(0, len(steps), 100):
            if len(under_way) >= AT_ONCE:
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                under_way.difference_update(done)
                for each in done:
                    each.result()
            under_way.add(asyncio.ensure_future(table.submit_transaction(steps[start : start + 100])))

    for number in range(first, last):
        each = made(number)
        partition = shard(each.key)
        steps = waiting.setdefault(partition, [])
        row = {"PartitionKey": partition, "RowKey": f"u|{each.key}", **packed(each), "Nonce": "x"}
        steps += [("upsert", row, {"mode": UpdateMode.REPLACE}), *operations(partition, each, None)]
        counts.setdefault(partition, Counters()).add(moved(None, each))
        if len(steps) >= 90:
            await flush(partition)
    for partition in list(waiting):
        await flush(partition)
    await asyncio.gather(*under_way)
    for partition, counted in counts.items():
        await table.upsert_entity(counted.row(partition))


def processor_ms(azurite: Azurite) -> float:
    """Return the processor time that this process and the emulator have taken so far (Linux; elsewhere only ours)."""
    own = time.process_time() * 1000
    with suppress(OSError):
        fields = Path(f"/proc/{azurite.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        own += (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    return own


@dataclass
class Cost:
    """What a question cost: time (the best of the rounds), processor time (their mean), entities, requests."""

    ms: float = float("inf")
    cpu_ms: float = 0.0
    entities: int = 0
    requests: int = 0
    bare_ms: float | None = None

    async def ask(self, side: Side, call: Any, *, rounds: int) -> None:
        """Do one round."""
        side.counting.requests = side.counting.entities = 0
        cpu, began = processor_ms(side.azurite), time.perf_counter()
        await call(side.store)
        self.ms = min(self.ms, (time.perf_counter() - began) * 1000)
        self.cpu_ms += (processor_ms(side.azurite) - cpu) / rounds
        self.entities, self.requests = side.counting.entities, side.counting.requests


class Side:
    """A table with so many users, and what its questions cost."""

    def __init__(self, azurite: Azurite, users: int) -> None:
        self.counting: Any = None

        def client(name: str) -> Any:
            self.counting = Counting(QuickTableClient.from_connection_string(azurite.connection_string, name))
            return self.counting

        self.azurite = azurite
        self.users = users
        self.tables = Tables(client, prefix=f"Bench{users}")
        self.store = TableUserStore(self.tables)
        self.costs: dict[str, Cost] = {}

    def questions(self) -> dict[str, Any]:
        """What administrators ask."""
        key = record(self.users // 2).key
        begin = START + timedelta(minutes=self.users // 2)
        pages = {
            "page of 1,000": RunQuery(top=1000),
            "page of 1,000 by state": RunQuery(top=1000, state=State.FAILED),
            "page of 1,000 by time range": RunQuery(top=1000, start_at=begin, end_at=begin + timedelta(minutes=4000)),
            "page of 1,000 by type": RunQuery(top=1000, migration_type="AllToTeams"),
            "page of 1,000 by reason": RunQuery(top=1000, reason="T10"),
            "page of 1,000 by state and type": RunQuery(top=1000, state=State.FAILED, migration_type="AllToTeams"),
        }
        asked: dict[str, Any] = {"summary": lambda store: store.counts(), "one user": lambda store: store.read(key)}
        return asked | {name: lambda store, query=query: store.page(query) for name, query in pages.items()}


async def measure(sides: list[Side], toggle: Any) -> None:
    """Ask each question of both tables in turns, so that whatever else the machine does meets both."""
    for name in sides[0].questions():
        for side in sides:
            # The index sorts a partition when it is asked for the first time after a write.
            await side.questions()[name](side.store)
            side.costs[name] = Cost()
        for _ in range(ROUNDS):
            for side in sides:
                await side.costs[name].ask(side, side.questions()[name], rounds=ROUNDS)
    toggle()
    for name in sides[0].questions():
        for side in sides:
            bare = Cost()
            await bare.ask(side, side.questions()[name], rounds=1)
            cost = side.costs[name]
            assert (bare.entities, bare.requests) == (cost.entities, cost.requests)
            cost.bare_ms = bare.ms
    toggle()


async def scan(counting: Counting) -> None:
    """Count the users by reading their rows, shard by shard: what the counters save."""
    for number in range(SHARDS):
        condition = f"PartitionKey eq 's{number:02d}' and RowKey gt 'u|' and RowKey lt 'u|~'"
        async for _ in counting.query_entities(condition, select=["State"]):
            pass


async def store_bench(azurite: Azurite, sizes: list[int]) -> tuple[list[Side], Cost]:
    """Fill two tables and measure."""

    def toggle() -> None:
        os.kill(azurite.pid or 0, signal.SIGUSR2)
        time.sleep(0.2)

    sides = [Side(azurite, size) for size in sizes]
    for side in sides:
        began = time.perf_counter()
        await side.tables.table("Users")
        await seed(side.store, 0, side.users)
        sys.stderr.write(f"seeded {side.users} users in {time.perf_counter() - began:.0f} s\n")
    await measure(sides, toggle)
    whole = Cost()
    await whole.ask(sides[1], lambda _: scan(sides[1].counting), rounds=1)
    for side in sides:
        await side.tables.close()
    return sides, whole


async def accept(connection: str) -> dict[str, Any]:
    """Accept 50,000 identities as the worker does, and turn one message of them into requests."""
    identities = [f"firstname.lastname{number:05d}@contoso.example" for number in range(50_000)]
    body = json.dumps({"identities": identities, "targetMeetingType": "Teams"}).encode()
    del identities
    os.environ |= {"AzureWebJobsStorage": connection, "MMS_TENANT_ID": "t", "MMS_API_AUDIENCE": "a"}
    assert from_environment(os.environ).storage_connection
    admin = wiring.app().admin
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    request = wiring.api_request(method="POST", route={}, query={}, headers={}, body=body)
    # Behind the token's check: everything that the size of the list makes expensive.
    answer = await admin._start_all(request, Principal(name="bench", roles=frozenset()), "key")
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    await wiring.tables().close()
    return {
        "rows": len(json.loads(answer.body)["value"]),
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
    os.environ["NODE_OPTIONS"] = WITH_INDEX
    with Azurite() as azurite:
        (few, many), whole = asyncio.run(store_bench(azurite, sizes))
    print("with an index, as in Azure: best ms, processor ms, entities, requests; ms in Azurite as it is")
    print(f"{'':32}{few.users:>28} users{many.users:>34} users   times: ms, processor")
    for name, cost in few.costs.items():
        other = many.costs[name]
        print(f"{name:32}", end="")
        for each in (cost, other):
            print(
                f"{each.ms:>9.1f}{each.cpu_ms:>8.1f}{each.entities:>6}{each.requests:>4}{each.bare_ms or 0:>11.1f}  ",
                end="",
            )
        print(f"{other.ms / cost.ms:>8.2f}{other.cpu_ms / cost.cpu_ms:>8.2f}")
    print(f"{'scan of all users':32}{'':40}{whole.ms:>9.1f}{whole.cpu_ms:>8.1f}{whole.entities:>7}{whole.requests:>4}")
    for name in ("summary", "one user"):
        print(f"{name}: {whole.ms / many.costs[name].ms:.0f} times faster than the scan")
    print("accepting 50,000 identities:", accepted.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
