"""Fakes of storage and queue in memory. They pass the same contract tests as the real ones (tests/contract)."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mms_core import jsontext
from mms_core.errors import BadInput, PreconditionLost
from mms_core.messages import AnyMessage, Wake, due_of, encode
from mms_core.model import Run, State, UserKey, UserRecord
from mms_core.packing import pack
from mms_core.ports import (
    LONGEST_DELAY,
    ONE_A_USER,
    Archive,
    Clock,
    Documents,
    Ledger,
    Recount,
    RunPage,
    RunQuery,
    Stored,
    UserStore,
    WorkQueue,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from datetime import date

    from mms_core.meetings import LedgerEntry, Original
    from mms_core.model import RunId


class SettableClock(Clock):
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self.at

    def advance(self, by: timedelta) -> None:
        """Move on."""
        self.at += by


def _listed(run: Run) -> tuple[object, ...]:
    """What decides where lists show a run."""
    rules = {reason.partition(" ")[0] for reason in run.reasons}
    return run.run_id, run.state, run.migration_type, rules, run.state is State.PENDING and run.due_at


class MemoryUserStore(UserStore):
    """Users' records in a dictionary."""

    def __init__(self) -> None:
        self._records: dict[UserKey, Stored[UserRecord]] = {}
        self._runs: dict[tuple[UserKey, str], Run] = {}
        self._etags = itertools.count(1)

    async def read(self, key: UserKey) -> Stored[UserRecord] | None:
        """See :class:`~mms_core.ports.UserStore`."""
        return self._records.get(key)

    def _check(self, key: UserKey, previous: Stored[UserRecord] | None) -> None:
        stored = self._records.get(key)
        if (stored.etag if stored else None) != (previous.etag if previous else None):
            raise PreconditionLost("the user's record")

    async def save(
        self, record: UserRecord, previous: Stored[UserRecord] | None, *, publish: bool = True
    ) -> Stored[UserRecord]:
        """See :class:`~mms_core.ports.UserStore`."""
        self._check(record.key, previous)
        runs = [run for run in (record.current, record.following) if run is not None]
        if not publish:
            before = previous.value if previous else record
            old = [run for run in (before.current, before.following) if run is not None]
            if previous is None or [_listed(run) for run in old] != [_listed(run) for run in runs]:
                raise ValueError("a change of state must be published")
        else:
            self._runs.update({(record.key, run.run_id): run for run in runs})
        stored = Stored(record, str(next(self._etags)))
        self._records[record.key] = stored
        return stored

    async def delete(self, previous: Stored[UserRecord]) -> None:
        """See :class:`~mms_core.ports.UserStore`."""
        record = previous.value
        self._check(record.key, previous)
        for run in (record.current, record.following):
            if run is not None:
                self._runs.pop((record.key, run.run_id), None)
        del self._records[record.key]

    @staticmethod
    def _position(run: Run) -> tuple[float, str]:
        return (-run.created_at.timestamp(), run.run_id)

    async def runs_of(self, key: UserKey) -> list[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        return sorted((run for (owner, _), run in self._runs.items() if owner == key), key=self._position)

    async def page(self, query: RunQuery) -> RunPage:
        """See :class:`~mms_core.ports.UserStore`."""
        position = (lambda run: (run.due_at.timestamp(), run.run_id)) if query.by_due else self._position
        state = State.PENDING if query.by_due else query.state
        runs = sorted(self._runs.values(), key=position)
        runs = [
            run
            for run in runs
            if (state is None or run.state is state)
            and (query.start_at is None or run.created_at >= query.start_at)
            and (query.end_at is None or run.created_at < query.end_at)
            and (query.migration_type is None or run.migration_type == query.migration_type)
            and (query.reason is None or query.reason in {each.partition(" ")[0] for each in run.reasons})
        ]
        if query.continuation is not None:
            last = next((run for run in self._runs.values() if run.run_id == query.continuation), None)
            if last is None:
                raise BadInput("continuationToken", code="InvalidParameter", field="continuationToken")
            runs = [run for run in runs if position(run) > position(last)]
        page = runs[: query.top]
        return RunPage(runs=tuple(page), continuation=page[-1].run_id if len(runs) > len(page) else None)

    async def counts(self) -> dict[State, int]:
        """See :class:`~mms_core.ports.UserStore`."""
        totals = dict.fromkeys(State, 0)
        for stored in self._records.values():
            totals[stored.value.newest.state] += 1
        return totals

    async def failures(self) -> dict[str, int]:
        """See :class:`~mms_core.ports.UserStore`."""
        newest = [stored.value.newest for stored in self._records.values()]
        return dict(Counter(run.code or "" for run in newest if run.state is State.FAILED))

    async def runs_a_day(self) -> dict[tuple[date, State], int]:
        """See :class:`~mms_core.ports.UserStore`."""
        return dict(Counter((run.created_at.astimezone(UTC).date(), run.state) for run in self._runs.values()))

    async def minutes_a_day(self) -> dict[tuple[date, int], int]:
        """See :class:`~mms_core.ports.UserStore`."""
        ended = [run for run in self._runs.values() if run.state is State.SUCCEEDED and not run.undo]
        five = timedelta(minutes=5)
        spans = ((run.created_at, round((run.modified_at - run.created_at) / five) * 5) for run in ended)
        return dict(Counter((at.astimezone(UTC).date(), minutes) for at, minutes in spans))

    async def active(self) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        for run in [run for run in self._runs.values() if not run.state.is_final]:
            yield run

    async def waiting(self) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        runs = [run for run in self._runs.values() if run.state is State.PENDING]
        for run in sorted(runs, key=lambda each: each.created_at, reverse=True):
            yield run

    async def overdue(self, before: datetime) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        async for run in self.active():
            if run.state is State.IN_PROGRESS or run.due_at <= before:
                yield run

    async def ended_before(self, before: datetime) -> AsyncIterator[tuple[UserKey, Run]]:
        """See :class:`~mms_core.ports.UserStore`."""
        for (key, _), run in list(self._runs.items()):
            if run.state.is_final and run.created_at < before:
                yield key, run

    async def forget(self, key: UserKey, run: Run) -> None:
        """See :class:`~mms_core.ports.UserStore`."""
        self._runs.pop((key, run.run_id), None)

    async def recount(self) -> list[Recount]:
        """See :class:`~mms_core.ports.UserStore`: here nothing is counted, so nothing is ever wrong."""
        return []


class MemoryLedger(Ledger):
    """Ledger in dictionaries."""

    def __init__(self) -> None:
        self._entries: dict[tuple[UserKey, str], LedgerEntry] = {}
        self._originals: dict[tuple[UserKey, str], Original] = {}
        self._claims: dict[UserKey, int] = {}

    async def claim(self, key: UserKey, generation: int) -> Ledger:
        """See :class:`~mms_core.ports.Ledger`."""
        if self._claims.get(key, 0) > generation:
            raise PreconditionLost("the ledger's rows")
        self._claims[key] = generation
        return _ClaimedMemoryLedger(self, generation)

    async def entries(self, key: UserKey) -> list[LedgerEntry]:
        """See :class:`~mms_core.ports.Ledger`."""
        return [entry for (owner, _), entry in self._entries.items() if owner == key]

    async def put(self, key: UserKey, entry: LedgerEntry, original: Original | None = None) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        if original is not None:
            original = original.succeeding(self._originals.get((key, original.key)))
            pack(original)  # what is too large for a real row must not fit here
            self._originals[key, original.key] = original
        self._entries[key, entry.key] = entry

    async def settle(self, key: UserKey, entry: LedgerEntry, *, written_block: str = "") -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        await self.put(key, entry)
        kept = self._originals.get((key, entry.key))
        if kept is not None:
            self._originals[key, entry.key] = replace(
                kept, written_hash=entry.written_hash, written_block=written_block
            )

    async def entry(self, key: UserKey, meeting: str) -> LedgerEntry | None:
        """See :class:`~mms_core.ports.Ledger`."""
        return self._entries.get((key, meeting))

    async def original(self, key: UserKey, meeting: str) -> Original | None:
        """See :class:`~mms_core.ports.Ledger`."""
        return self._originals.get((key, meeting))

    async def originals(self, key: UserKey) -> list[Original]:
        """See :class:`~mms_core.ports.Ledger`."""
        return [each for (owner, _), each in self._originals.items() if owner == key and each.undone_at is None]

    async def put_original(self, key: UserKey, original: Original) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        self._originals[key, original.key] = original

    async def expire(self, key: UserKey, *, before: datetime, runs: Collection[RunId]) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        for pair, original in list(self._originals.items()):
            if pair[0] == key and original.kept_at < before:
                del self._originals[pair]
        for pair, entry in list(self._entries.items()):
            if pair[0] == key and entry.is_forgotten(before, runs):
                del self._entries[pair]

    async def forget(self, key: UserKey) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        self._entries = {pair: entry for pair, entry in self._entries.items() if pair[0] != key}
        self._originals = {pair: original for pair, original in self._originals.items() if pair[0] != key}
        self._claims.pop(key, None)

    def check(self, key: UserKey, generation: int) -> None:
        """Raise ``PreconditionLost`` unless a generation's claim is the newest."""
        if self._claims.get(key) != generation:
            raise PreconditionLost("the ledger's rows")


class _ClaimedMemoryLedger(Ledger):
    """The same ledger for one claim."""

    def __init__(self, ledger: MemoryLedger, generation: int) -> None:
        self._ledger = ledger
        self._generation = generation

    async def claim(self, key: UserKey, generation: int) -> Ledger:
        return await self._ledger.claim(key, generation)

    async def entries(self, key: UserKey) -> list[LedgerEntry]:
        return await self._ledger.entries(key)

    async def put(self, key: UserKey, entry: LedgerEntry, original: Original | None = None) -> None:
        self._ledger.check(key, self._generation)
        await self._ledger.put(key, entry, original)

    async def settle(self, key: UserKey, entry: LedgerEntry, *, written_block: str = "") -> None:
        self._ledger.check(key, self._generation)
        await self._ledger.settle(key, entry, written_block=written_block)

    async def entry(self, key: UserKey, meeting: str) -> LedgerEntry | None:
        return await self._ledger.entry(key, meeting)

    async def original(self, key: UserKey, meeting: str) -> Original | None:
        return await self._ledger.original(key, meeting)

    async def originals(self, key: UserKey) -> list[Original]:
        return await self._ledger.originals(key)

    async def put_original(self, key: UserKey, original: Original) -> None:
        self._ledger.check(key, self._generation)
        await self._ledger.put_original(key, original)

    async def expire(self, key: UserKey, *, before: datetime, runs: Collection[RunId]) -> None:
        await self._ledger.expire(key, before=before, runs=runs)

    async def forget(self, key: UserKey) -> None:
        self._ledger.check(key, self._generation)
        await self._ledger.forget(key)


class MemoryDocuments(Documents):
    """Documents in a dictionary."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], Stored[dict[str, Any]]] = {}
        self._etags = itertools.count(1)

    async def get(self, kind: str, key: str) -> Stored[dict[str, Any]] | None:
        """See :class:`~mms_core.ports.Documents`."""
        stored = self._documents.get((kind, key))
        return None if stored is None else Stored(copy.deepcopy(stored.value), stored.etag)

    async def put(self, kind: str, key: str, value: dict[str, Any], *, etag: str | None = None) -> str:
        """See :class:`~mms_core.ports.Documents`."""
        stored = self._documents.get((kind, key))
        if etag is not None and etag != (stored.etag if stored else ""):
            raise PreconditionLost("document")
        new = Stored(jsontext.loads(jsontext.dumps(value), dict), str(next(self._etags)))
        self._documents[kind, key] = new
        return new.etag

    async def list(self, kind: str, *, top: int = 1000, after: str = "") -> list[dict[str, Any]]:
        """See :class:`~mms_core.ports.Documents`."""
        if kind in ONE_A_USER:
            raise ValueError(f"{kind} is spread over partitions and cannot be listed")
        rows = sorted((key, stored.value) for (owner, key), stored in self._documents.items() if owner == kind)
        rows = [row for row in rows if row[0] > after]
        return [copy.deepcopy(value) for _, value in rows[:top]]

    async def remove(self, kind: str, key: str) -> None:
        """See :class:`~mms_core.ports.Documents`."""
        self._documents.pop((kind, key), None)

    async def purge(self, kind: str, *, low: str, high: str) -> int:
        """See :class:`~mms_core.ports.Documents`."""
        if kind in ONE_A_USER:
            raise ValueError(f"{kind} is spread over partitions and cannot be purged")
        gone = [(owner, key) for owner, key in self._documents if owner == kind and low <= key < high]
        for pair in gone:
            del self._documents[pair]
        return len(gone)

    async def expire(self, kind: str, *, field: str, before: datetime) -> int:
        """See :class:`~mms_core.ports.Documents`."""
        gone = [
            pair
            for pair, stored in self._documents.items()
            if pair[0] == kind and stored.value.get(field) and datetime.fromisoformat(stored.value[field]) < before
        ]
        for pair in gone:
            del self._documents[pair]
        return len(gone)


class MemoryArchive(Archive):
    """Lines in dictionaries."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], tuple[str, ...]] = {}

    async def append(self, day: str, name: str, lines: Sequence[str]) -> None:
        """See :class:`~mms_core.ports.Archive`."""
        self._lines[day, name] = tuple(lines)

    async def lines(self, day: str) -> AsyncIterator[str]:
        """See :class:`~mms_core.ports.Archive`."""
        for (owner, _), lines in sorted(self._lines.items()):
            if owner == day:
                for line in lines:
                    yield line


class MemoryQueue(WorkQueue):
    """Keeps what was sent, with the instant it becomes visible."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.messages: list[tuple[datetime, AnyMessage]] = []

    async def send(self, message: AnyMessage, *, delay: timedelta | None = None) -> None:
        """See :class:`~mms_core.ports.WorkQueue`."""
        encode(message)  # what does not fit into a real message must not fit here
        now = self._clock.now()
        self.messages.append((now if delay is None else now + min(max(delay, now - now), LONGEST_DELAY), message))

    async def prove(self) -> None:
        """See :class:`~mms_core.ports.WorkQueue`: memory takes everything."""

    def visible(self) -> list[AnyMessage]:
        """Take the messages that can be seen now, oldest first."""
        now = self._clock.now()
        ready = sorted((pair for pair in self.messages if pair[0] <= now), key=lambda pair: pair[0])
        self.messages = [pair for pair in self.messages if pair[0] > now]
        return [message for _, message in ready]

    async def front(self) -> datetime | None:
        """See :class:`~mms_core.ports.WorkQueue`."""
        now = self._clock.now()
        visible = [message for at, message in self.messages if at <= now and isinstance(message, Wake)]
        return min((at for message in visible if (at := due_of(message)) is not None), default=None)

    def wakes(self) -> list[tuple[datetime, Wake]]:
        """Return the wake-ups under way."""
        return [(at, message) for at, message in self.messages if isinstance(message, Wake)]
