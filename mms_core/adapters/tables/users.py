"""Users' records in Azure Table Storage.

Layout of the users' table. A user lives in one of :data:`SHARDS` partitions (hash of the key), and everything that
changes together is in that partition, so that one entity group transaction writes it:

=================================  ==========================================================================
row key                            what
=================================  ==========================================================================
``u|<key>``                        the record: the truth, fenced by its ETag
``r|<key>|<inverted>|<run>``       a run in its user's history
``t|<inverted>|<run>|<key>``       the run in order of time
``s|<State>|<inverted>|...``       the run among those of its state
``c|users``                        counters: users by the state of their newest run
=================================  ==========================================================================

``<inverted>`` counts microseconds down from a large number: ascending keys are newest first.
Source: Azure Table Storage, "Designing scalable and performant tables" (log tail pattern, EGT).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import heapq
import secrets
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import TableTransactionError, UpdateMode

from mms_core.adapters.tables.clients import CONFLICTS, SHARDS, Tables, found, shard, unavailable
from mms_core.errors import BadInput, PreconditionLost
from mms_core.model import Run, State, UserKey, UserRecord
from mms_core.ports import RunPage, RunQuery, Stored, UserStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FAR: Final = 10**16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_GONE: Final = 404
_LONGEST_TEXT: Final = 30_000
"""Characters in a property: 64 KiB of UTF-16, less a margin."""
_FENCED: Final = ("EntityAlreadyExists", "UpdateConditionNotSatisfied", "ConditionNotMet")


def _inverted(at: datetime) -> str:
    return f"{_FAR - (at - _EPOCH) // timedelta(microseconds=1):016d}"


def _run_suffix(key: str, run: Run) -> str:
    # With the key: a run that moves from a name's record to the user's is in both for a moment, with one id.
    return f"{_inverted(run.created_at)}|{run.run_id}|{key}"


def _run_entities(partition: str, key: str, run: Run) -> list[dict[str, Any]]:
    content = {
        "PartitionKey": partition,
        "Run": msgspec.json.encode(replace(run, undo_events=())).decode(),
        "MigrationType": run.migration_type,
        "V": 1,
    }
    suffix = _run_suffix(key, run)
    keys = (f"r|{key}|{suffix}", f"t|{suffix}", f"s|{run.state}|{suffix}")
    return [{**content, "RowKey": row_key} for row_key in keys]


def _packed(record: UserRecord) -> dict[str, Any]:
    """Return the record's property: readable in any table browser, compressed where it would not fit."""
    text = msgspec.json.encode(record).decode()
    return {"Record": text} if len(text) <= _LONGEST_TEXT else {"RecordZ": zlib.compress(text.encode())}


def _unpacked(entity: Any) -> UserRecord:
    text = entity["Record"] if "Record" in entity else zlib.decompress(entity["RecordZ"])
    return msgspec.json.decode(text, type=UserRecord)


def _runs(record: UserRecord | None) -> dict[str, Run]:
    if record is None:
        return {}
    return {run.run_id: run for run in (record.current, record.following) if run is not None}


def _run_operations(partition: str, record: UserRecord, before: UserRecord | None) -> list[tuple[Any, ...]]:
    operations: list[tuple[Any, ...]] = []
    old_runs = _runs(before)
    for run_id, run in _runs(record).items():
        old = old_runs.get(run_id)
        if old == run:
            continue
        operations += [
            ("upsert", entity, {"mode": UpdateMode.REPLACE}) for entity in _run_entities(partition, record.key, run)
        ]
        if old is not None and old.state is not run.state:
            gone = {"PartitionKey": partition, "RowKey": f"s|{old.state}|{_run_suffix(record.key, old)}"}
            operations.append(("delete", gone))
    return operations


class TableUserStore(UserStore):
    """Users' records in Table Storage."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, key: UserKey) -> Stored[UserRecord] | None:
        """See :class:`~mms_core.ports.UserStore`."""
        entity = await self._row(shard(key), f"u|{key}")
        if entity is None:
            return None
        return Stored(_unpacked(entity), str(entity.metadata["etag"]))

    async def _counter_operation(
        self, partition: str, old: State | None, new: State | None
    ) -> tuple[list[tuple[Any, ...]], bool]:
        if old is new:
            return [], False
        entity = await self._row(partition, "c|users")
        if entity is None:
            fresh = {"PartitionKey": partition, "RowKey": "c|users", **({str(new): 1} if new else {})}
            return [("create", fresh)], True
        counts = {str(state): int(entity.get(str(state), 0)) for state in State}
        if old is not None:
            counts[str(old)] -= 1
        if new is not None:
            counts[str(new)] += 1
        changed = {"PartitionKey": partition, "RowKey": "c|users", **counts}
        fence = {
            "mode": UpdateMode.REPLACE,
            "etag": entity.metadata["etag"],
            "match_condition": MatchConditions.IfNotModified,
        }
        return [("update", changed, fence)], True

    async def _commit(
        self,
        partition: str,
        row_key: str,
        operations: list[tuple[Any, ...]],
        *,
        states: tuple[State | None, State | None],
        previous: Stored[UserRecord] | None,
        nonce: str | None,
    ) -> str | None:
        """Submit one transaction; returns the record's new ETag (``None`` after a delete)."""
        table = await self._tables.table("Users")
        while True:
            counter, counted = await self._counter_operation(partition, *states)
            try:
                results = await table.submit_transaction([*operations, *counter])
            except TableTransactionError as exc:
                if exc.status_code not in (*CONFLICTS, _GONE) and str(getattr(exc, "error_code", "")) not in _FENCED:
                    raise unavailable(exc) from exc
                row = await self._row(partition, row_key)  # a fenced write of a row that is gone is a 404
                if nonce is not None and row is not None and row["Nonce"] == nonce:
                    # The first try was carried out and only its answer was lost; the SDK then repeated it.
                    return str(row.metadata["etag"])
                unchanged = (
                    row is None if previous is None else row is not None and row.metadata["etag"] == previous.etag
                )
                if unchanged and counted and exc.status_code in CONFLICTS:
                    continue  # only the shard's counter moved: somebody else's user
                raise PreconditionLost("the user's record") from exc
            except AzureError as exc:
                raise unavailable(exc) from exc
            return None if nonce is None else str(results[0]["etag"])

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
            **_packed(record),
            "Nonce": nonce,
            "V": 1,
        }
        before = previous.value if previous else None
        operations: list[tuple[Any, ...]] = [("create", entity)]
        if previous is not None:
            fence = {
                "mode": UpdateMode.REPLACE,
                "etag": previous.etag,
                "match_condition": MatchConditions.IfNotModified,
            }
            operations = [("update", entity, fence)]
        states: tuple[State | None, State | None] = (None, None)
        if publish:
            operations += _run_operations(partition, record, before)
            states = (before.newest.state if before else None, record.newest.state)
        elif before is None or {k: r.state for k, r in _runs(before).items()} != {
            k: r.state for k, r in _runs(record).items()
        }:
            raise ValueError("a change of state must be published")
        etag = await self._commit(partition, row_key, operations, states=states, previous=previous, nonce=nonce)
        return Stored(record, str(etag))

    async def delete(self, previous: Stored[UserRecord]) -> None:
        """See :class:`~mms_core.ports.UserStore`."""
        record = previous.value
        partition, row_key = shard(record.key), f"u|{record.key}"
        fence = {"etag": previous.etag, "match_condition": MatchConditions.IfNotModified}
        operations: list[tuple[Any, ...]] = [("delete", {"PartitionKey": partition, "RowKey": row_key}, fence)]
        for run in _runs(record).values():
            operations += [
                ("delete", {"PartitionKey": partition, "RowKey": entity["RowKey"]})
                for entity in _run_entities(partition, record.key, run)
            ]
        await self._commit(
            partition,
            row_key,
            operations,
            states=(record.newest.state, None),
            previous=previous,
            nonce=None,
        )

    async def _query(
        self, partition: str, low: str, high: str, *, size: int, migration_type: str | None = None
    ) -> AsyncIterator[tuple[str, Run]]:
        table = await self._tables.table("Users")
        condition = f"PartitionKey eq '{partition}' and RowKey gt '{low}' and RowKey lt '{high}'"
        if migration_type is not None:
            condition += f" and MigrationType eq '{migration_type}'"
        try:
            async for entity in table.query_entities(
                condition, results_per_page=max(1, min(size, 1000)), select=["RowKey", "Run"]
            ):
                yield entity["RowKey"], msgspec.json.decode(entity["Run"], type=Run)
        except AzureError as exc:
            raise unavailable(exc) from exc

    async def runs_of(self, key: UserKey) -> list[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        return [run async for _, run in self._query(shard(key), f"r|{key}|", f"r|{key}|~", size=1000)]

    async def page(self, query: RunQuery) -> RunPage:
        """See :class:`~mms_core.ports.UserStore`. Merges the shards lazily, so that a page costs a page."""
        prefix = f"s|{query.state}|" if query.state else "t|"
        low, high = "", "~"
        if query.end_at is not None:
            # created < end  <=>  inverted > FAR - end; the run id behind the bar sorts after the bare number
            low = _inverted(query.end_at) + "~"
        if query.start_at is not None:
            high = _inverted(query.start_at) + "~"
        if query.continuation is not None:
            low = max(low, _read_token(query.continuation))
        size = max(8, query.top // SHARDS * 2)

        async def first(number: int) -> tuple[AsyncIterator[tuple[str, Run]], tuple[str, Run] | None]:
            rows = self._query(
                f"s{number:02d}", prefix + low, prefix + high, size=size, migration_type=query.migration_type
            )
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
        rows = await asyncio.gather(*(self._row(f"s{number:02d}", "c|users") for number in range(SHARDS)))
        totals = dict.fromkeys(State, 0)
        for row in rows:
            for state in State:
                totals[state] += int(row.get(str(state), 0)) if row is not None else 0
        return totals

    async def active(self) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        for state in (State.IN_PROGRESS, State.PENDING):
            for number in range(SHARDS):
                async for _, run in self._query(f"s{number:02d}", f"s|{state}|", f"s|{state}|~", size=1000):
                    yield run


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
