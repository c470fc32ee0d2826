"""Users' records in Azure Table Storage; the layout of the table is described in :mod:`.rows`."""

from __future__ import annotations

import asyncio
import base64
import binascii
import heapq
import random
import secrets
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import TableTransactionError, UpdateMode

from mms_core.adapters.tables.clients import (
    CONFLICTS,
    SHARDS,
    Tables,
    answered,
    decoding,
    found,
    left_out,
    shard,
    unavailable,
)
from mms_core.adapters.tables.counters import Counters, day_of, is_counted, moved
from mms_core.adapters.tables.rows import (
    COUNTERS,
    ascending,
    decoded,
    inverted,
    is_listed_alike,
    operations,
    packed,
    rule_of,
    run_keys,
    runs_in,
    unpacked,
)
from mms_core.errors import BadInput, PreconditionLost, RecordUnreadable, TemporaryError
from mms_core.model import Run, State, UserKey, UserRecord
from mms_core.ports import Recount, RunPage, RunQuery, Stored, UserStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

_GONE: Final = 404
_FENCED: Final = ("EntityAlreadyExists", "UpdateConditionNotSatisfied", "ConditionNotMet")
_RECOUNT_ATTEMPTS: Final = 5
_COUNTER_ATTEMPTS: Final = 30
_COUNTER_PAUSE_SECONDS: Final = 0.02


class _CounterMoved(Exception):
    """Only the shard's counters moved: somebody else's user."""


def _partitions() -> list[str]:
    return [f"s{number:02d}" for number in range(SHARDS)]


class TableUserStore(UserStore):
    """Users' records in Table Storage."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._turns: dict[str, asyncio.Lock] = {}
        self._known: dict[str, tuple[str, Counters]] = {}
        """The shards' counters as this process wrote them last: right, or the next transaction meets a conflict."""

    async def read(self, key: UserKey) -> Stored[UserRecord] | None:
        """See :class:`~mms_core.ports.UserStore`."""
        entity = await self._row(shard(key), f"u|{key}")
        if entity is None:
            return None
        return Stored(unpacked(entity), str(entity.metadata["etag"]))

    async def _counter_step(self, partition: str, change: Counters) -> tuple[tuple[Any, ...], Counters]:
        """Return the operation that changes a shard's counters, and what they say then."""
        known = self._known.get(partition)
        if known is None:
            row = await self._row(partition, COUNTERS)
            known = None if row is None else (str(row.metadata["etag"]), Counters.read(row))
        counters = Counters()
        if known is not None:
            counters.add(known[1])
        counters.add(change)
        entity = counters.row(partition)
        return ("create", entity) if known is None else ("update", entity, _fence(known[0])), Counters.read(entity)

    async def _commit(
        self,
        partition: str,
        row_key: str,
        steps: list[tuple[Any, ...]],
        *,
        change: Counters,
        previous: Stored[UserRecord] | None,
        nonce: str | None,
    ) -> str | None:
        """Submit one transaction; returns the record's new ETag (``None`` after a delete).

        Writers of one shard's counters in this process take turns; those of other machines are met by conflicts.

        Raises:
            PreconditionLost: The record is another one by now.
            TemporaryError: Storage does not answer, or others write the shard's counters all the time.
        """
        if not change:
            try:
                return (await self._submit(partition, row_key, steps, nonce=nonce, previous=previous))[0]
            except _CounterMoved as exc:
                raise PreconditionLost("the user's record") from exc
        async with self._turns.setdefault(partition, asyncio.Lock()):
            for attempt in range(_COUNTER_ATTEMPTS):
                if attempt:
                    await asyncio.sleep(random.uniform(0, _COUNTER_PAUSE_SECONDS * attempt))  # noqa: S311  # nosec B311
                step, counters = await self._counter_step(partition, change)
                self._known.pop(partition, None)
                try:
                    etag, counter_etag = await self._submit(
                        partition, row_key, [*steps, step], nonce=nonce, previous=previous
                    )
                except _CounterMoved:
                    continue
                if counter_etag is not None:
                    self._known[partition] = (counter_etag, counters)
                return etag
        raise TemporaryError("the counters of a shard are written all the time", code="StorageUnavailable")

    async def _submit(
        self,
        partition: str,
        row_key: str,
        steps: list[tuple[Any, ...]],
        *,
        nonce: str | None,
        previous: Stored[UserRecord] | None,
    ) -> tuple[str | None, str | None]:
        """Submit operations, the record's first; returns the first's and the last's ETags.

        Raises:
            _CounterMoved: A conflict, and the record is as it was.
        """
        table = await self._tables.table("Users")
        try:
            results = await table.submit_transaction(steps)
        except TableTransactionError as exc:
            if exc.status_code not in (*CONFLICTS, _GONE) and str(getattr(exc, "error_code", "")) not in _FENCED:
                raise unavailable(exc) from exc
            row = await self._row(partition, row_key)  # a fenced write of a row that is gone is a 404
            if nonce is not None and row is not None and row["Nonce"] == nonce:
                # The first try was carried out and only its answer was lost; the SDK then repeated it.
                return str(row.metadata["etag"]), None
            unchanged = row is None if previous is None else row is not None and row.metadata["etag"] == previous.etag
            if unchanged and exc.status_code in CONFLICTS:
                raise _CounterMoved from exc
            raise PreconditionLost("the user's record") from exc
        except AzureError as exc:
            raise unavailable(exc) from exc
        return None if nonce is None else str(results[0]["etag"]), results[-1].get("etag")

    async def _row(self, partition: str, row_key: str) -> Any:
        return await found(await self._tables.table("Users"), partition, row_key)

    async def save(
        self, record: UserRecord, previous: Stored[UserRecord] | None, *, publish: bool = True
    ) -> Stored[UserRecord]:
        """See :class:`~mms_core.ports.UserStore`."""
        partition, row_key, nonce = shard(record.key), f"u|{record.key}", secrets.token_hex(8)
        entity = {
            "PartitionKey": partition,
            "RowKey": row_key,
            **packed(record),
            "Nonce": nonce,
        }
        before = previous.value if previous else None
        steps: list[tuple[Any, ...]] = [("create", entity)]
        if previous is not None:
            steps = [("update", entity, _fence(previous.etag))]
        change = Counters()
        if publish:
            steps += operations(partition, record, before)
            change = moved(before, record)
        elif before is None or not is_listed_alike(record, before):
            raise ValueError("a change of state must be published")
        etag = await self._commit(partition, row_key, steps, change=change, previous=previous, nonce=nonce)
        return Stored(record, str(etag))

    async def delete(self, previous: Stored[UserRecord]) -> None:
        """See :class:`~mms_core.ports.UserStore`."""
        record = previous.value
        partition, row_key = shard(record.key), f"u|{record.key}"
        fence = {"etag": previous.etag, "match_condition": MatchConditions.IfNotModified}
        steps: list[tuple[Any, ...]] = [("delete", {"PartitionKey": partition, "RowKey": row_key}, fence)]
        for run in runs_in(record).values():
            steps += [("delete", {"PartitionKey": partition, "RowKey": key}) for key in run_keys(record.key, run)]
        await self._commit(
            partition,
            row_key,
            steps,
            change=moved(record, None),
            previous=previous,
            nonce=None,
        )

    async def _query(
        self, partition: str, low: str, high: str, *, size: int, more: str = ""
    ) -> AsyncIterator[tuple[str, Run]]:
        table = await self._tables.table("Users")
        condition = f"PartitionKey eq '{partition}' and RowKey gt '{low}' and RowKey lt '{high}'{more}"
        try:
            async for entity in table.query_entities(
                condition, results_per_page=max(1, min(size, 1000)), select=["RowKey", "Run"]
            ):
                try:
                    run = decoded(entity)
                except RecordUnreadable as exc:
                    left_out(exc, where=partition)
                else:
                    yield entity["RowKey"], run
        except AzureError as exc:
            raise unavailable(exc) from exc

    async def runs_of(self, key: UserKey) -> list[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        return [run async for _, run in self._query(shard(key), f"r|{key}|", f"r|{key}|~", size=1000)]

    async def page(self, query: RunQuery) -> RunPage:
        """See :class:`~mms_core.ports.UserStore`. Merges the shards lazily, so that a page costs a page."""
        prefix, more = _index(query)
        low, high = "", "~"
        if query.end_at is not None:
            # created < end  <=>  inverted > FAR - end; the run id behind the bar sorts after the bare number
            low = inverted(query.end_at) + "~"
        if query.start_at is not None:
            high = inverted(query.start_at) + "~"
        if query.continuation is not None:
            low = max(low, _read_token(query.continuation))
        size = max(8, query.top // SHARDS * 2)

        async def first(number: int) -> tuple[AsyncIterator[tuple[str, Run]], tuple[str, Run] | None]:
            rows = self._query(f"s{number:02d}", prefix + low, prefix + high, size=size, more=more)
            return rows, await anext(rows, None)

        heads = await asyncio.gather(*(first(number) for number in range(SHARDS)))
        heap = [(head[0], number) for number, (_, head) in enumerate(heads) if head is not None]
        runs = {number: head[1] for number, (_, head) in enumerate(heads) if head is not None}
        heapq.heapify(heap)
        taken: list[tuple[str, Run]] = []
        while heap and len(taken) < query.top:
            row_key, number = heapq.heappop(heap)
            taken.append((row_key, runs[number]))
            following = await anext(heads[number][0], None)
            if following is not None:
                runs[number] = following[1]
                heapq.heappush(heap, (following[0], number))
        token = _make_token(taken[-1][0].removeprefix(prefix)) if heap and taken else None
        return RunPage(runs=tuple(run for _, run in taken), continuation=token)

    async def counts(self) -> dict[State, int]:
        """See :class:`~mms_core.ports.UserStore`."""
        totals = await self._counters()
        return {state: totals.users[state] for state in State}

    async def failures(self) -> dict[str, int]:
        """See :class:`~mms_core.ports.UserStore`."""
        return dict(+(await self._counters()).failures)

    async def runs_a_day(self) -> dict[tuple[date, State], int]:
        """See :class:`~mms_core.ports.UserStore`."""
        counted = +(await self._counters()).runs
        return {(date.fromisoformat(day), state): count for (day, state), count in counted.items()}

    async def minutes_a_day(self) -> dict[tuple[date, int], int]:
        """See :class:`~mms_core.ports.UserStore`."""
        counted = +(await self._counters()).took
        return {(date.fromisoformat(day), minutes): count for (day, minutes), count in counted.items()}

    async def _counters(self) -> Counters:
        totals = Counters()
        for row in await asyncio.gather(*(self._row(partition, COUNTERS) for partition in _partitions())):
            totals.add(Counters.read(row))
        return totals

    async def active(self) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        for state in (State.IN_PROGRESS, State.PENDING):
            async for run in self._of_state(state):
                yield run

    def waiting(self) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        return self._of_state(State.PENDING)

    async def _of_state(self, state: State) -> AsyncIterator[Run]:
        for partition in _partitions():
            async for _, run in self._query(partition, f"s|{state}|", f"s|{state}|~", size=1000):
                yield run

    async def overdue(self, before: datetime) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        working, due = f"s|{State.IN_PROGRESS}|", f"w|{ascending(before)}~"
        for partition in _partitions():
            for low, high in ((working, working + "~"), ("w|", due)):
                async for _, run in self._query(partition, low, high, size=1000):
                    yield run

    async def ended_before(self, before: datetime) -> AsyncIterator[tuple[UserKey, Run]]:
        """See :class:`~mms_core.ports.UserStore`."""
        for partition in _partitions():
            async for row_key, run in self._query(partition, f"t|{inverted(before)}~", "t|~", size=1000):
                if run.state.is_final:
                    yield UserKey(row_key.rpartition("|")[2]), run

    async def forget(self, key: UserKey, run: Run) -> None:
        """See :class:`~mms_core.ports.UserStore`."""
        table = await self._tables.table("Users")
        # The row in order of time goes last: whoever purges finds a half-purged run by it.
        for row_key in sorted(run_keys(key, run), key=lambda each: each.startswith("t|")):
            await answered(table.delete_entity(shard(key), row_key))

    async def recount(self) -> list[Recount]:
        """See :class:`~mms_core.ports.UserStore`."""
        return [wrong for partition in _partitions() if (wrong := await self._recount(partition)) is not None]

    async def _recount(self, partition: str) -> Recount | None:
        table = await self._tables.table("Users")
        for _ in range(_RECOUNT_ATTEMPTS):
            # The counters are read first: while their ETag stays, nothing that they count has changed in this shard.
            row = await self._row(partition, COUNTERS)
            said, right = Counters.read(row), await self._counted(partition)
            entity = right.row(partition)
            if Counters.read(entity) == said:
                return None
            try:
                if row is None:
                    await answered(table.create_entity(entity))
                else:
                    await answered(table.update_entity(entity, **_fence(row.metadata["etag"])))
            except PreconditionLost:
                continue  # a user has changed state meanwhile: count again
            users, found_users = ({state: each.users[state] for state in State} for each in (said, right))
            if users == found_users:
                return None  # an earlier version counted less, or runs of these days were purged
            return Recount(shard=partition, said=users, found=found_users)
        return None  # busy: the next round finds it

    async def _counted(self, partition: str) -> Counters:
        """Count a shard's users, and its runs back to the first day that is kept."""
        counters, newest = Counters(), None
        table = await self._tables.table("Users")
        condition = f"PartitionKey eq '{partition}' and RowKey gt 'u|' and RowKey lt 'u|~'"
        try:
            async for entity in table.query_entities(condition, select=["State", "Code"]):
                try:
                    with decoding():
                        state = State(entity["State"])
                except RecordUnreadable as exc:
                    left_out(exc, where=partition)
                else:
                    counters.count_user(state, entity.get("Code"))
        except AzureError as exc:
            raise unavailable(exc) from exc
        async for _, run in self._query(partition, "t|", "t|~", size=1000):
            newest = newest or run
            if not is_counted(day_of(run), day_of(newest)):
                break
            counters.count_run(run)
        return counters


def _fence(etag: str) -> dict[str, Any]:
    return {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified}


def _index(query: RunQuery) -> tuple[str, str]:
    """Return the index that holds just what is asked for, and what is left for the storage to filter.

    Only a reason together with a state or a type is filtered: it reads the runs of that reason, not all.
    """
    if query.by_due:
        return "w|", ""
    if query.reason is not None:
        more = f" and State eq '{query.state}'" if query.state else ""
        if query.migration_type is not None:
            more += f" and MigrationType eq '{query.migration_type}'"
        return f"e|{rule_of(query.reason)}|", more
    if query.state is not None and query.migration_type is not None:
        return f"n|{query.state}|{query.migration_type}|", ""
    if query.migration_type is not None:
        return f"m|{query.migration_type}|", ""
    return (f"s|{query.state}|" if query.state else "t|"), ""


def _make_token(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode()


def _read_token(token: str) -> str:
    try:
        position = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii")
    except (ValueError, binascii.Error, UnicodeError):
        position = ""
    if not all(each.isalnum() or each in "|-" for each in position) or "|" not in position:
        raise BadInput("continuationToken", code="InvalidParameter", field="continuationToken")
    return position
