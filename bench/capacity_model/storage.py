"""Storage as an instance reaches it: the product's own in-memory ports, with latency, chance and crashes on the way.

Conditional writes conflict here as they do in a table, because what was read can change while a write is on its way.
"""

from __future__ import annotations

import heapq
import itertools
from base64 import b64encode
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from mms_core.adapters.memory import MemoryDocuments, MemoryLedger, MemoryUserStore
from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.model import State, Verdict
from mms_core.ports import Stored

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from bench.capacity_model.tenant import Tenant
    from bench.capacity_model.virtual import VirtualLoop
    from mms_core.meetings import LedgerEntry, Original
    from mms_core.model import Run, UserKey, UserRecord


class Killed(BaseException):
    """The process is gone: nothing in it may go on."""


class Users(MemoryUserStore):
    """Users' records, with the indexes that a table's rows are: nobody walks 100,000 runs every 20 seconds."""

    def __init__(self, forget: Callable[[UserKey], None]) -> None:
        super().__init__()
        self._forget = forget
        self._versions = itertools.count(1)
        self._shown: dict[tuple[UserKey, str], Run] = {}
        self._due: list[tuple[datetime, UserKey, str]] = []
        self._late: dict[tuple[UserKey, str], None] = {}
        self.in_progress_peak = 0
        self._busy: dict[tuple[UserKey, str], None] = {}

    async def save(
        self, record: UserRecord, previous: Stored[UserRecord] | None, *, publish: bool = True
    ) -> Stored[UserRecord]:
        """See :class:`~mms_core.ports.UserStore`."""
        self._check(record.key, previous)
        if publish:
            for run in (record.current, record.following):
                if run is not None:
                    self._show(record.key, run)
        stored = Stored(record, str(next(self._versions)))
        self._records[record.key] = stored
        if record.current.state.is_final and record.following is None:
            self._forget(record.key)
        return stored

    def _show(self, key: UserKey, run: Run) -> None:
        pair = (key, run.run_id)
        if run.state.is_final:
            self._shown.pop(pair, None)
            self._busy.pop(pair, None)
            return
        self._shown[pair] = run
        if run.state is State.IN_PROGRESS:
            self._busy[pair] = None
            self.in_progress_peak = max(self.in_progress_peak, len(self._busy))
        else:
            self._busy.pop(pair, None)
            heapq.heappush(self._due, (run.due_at, *pair))

    async def active(self) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        for run in list(self._shown.values()):
            yield run

    async def waiting(self) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        for run in list(self._shown.values()):
            if run.state is State.PENDING:
                yield run

    async def overdue(self, before: datetime) -> AsyncIterator[Run]:
        """See :class:`~mms_core.ports.UserStore`."""
        while self._due and self._due[0][0] <= before:
            _, key, run_id = heapq.heappop(self._due)
            self._late[key, run_id] = None
        for pair in list(self._late):
            run = self._shown.get(pair)
            if run is None or run.state is not State.PENDING or run.due_at > before:
                del self._late[pair]
        for pair in [*self._busy, *self._late]:
            run = self._shown.get(pair)
            if run is not None:
                yield run

    @property
    def unfinished(self) -> int:
        """Runs that are not over."""
        return len(self._shown)

    def states(self) -> Counter[State]:
        """Users by the state of their newest run."""
        return Counter(stored.value.newest.state for stored in self._records.values())


class Book(MemoryLedger):
    """The ledger of users whose runs are not over; of the others only what it said is counted."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: defaultdict[UserKey, dict[str, LedgerEntry]] = defaultdict(dict)
        self._kept: defaultdict[UserKey, dict[str, Original]] = defaultdict(dict)
        self.verdicts: Counter[Verdict] = Counter()
        self.mails = 0

    async def entries(self, key: UserKey) -> list[LedgerEntry]:
        """See :class:`~mms_core.ports.Ledger`."""
        return list(self._rows[key].values())

    async def put(self, key: UserKey, entry: LedgerEntry, original: Original | None = None) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        if original is not None:
            self._kept[key][original.key] = original.succeeding(self._kept[key].get(original.key))
        before = self._rows[key].get(entry.key)
        if before is not None and before.run_id != entry.run_id:
            self._count(before)  # a later run's word about it
        self._rows[key][entry.key] = entry

    def _count(self, entry: LedgerEntry) -> None:
        self.verdicts[entry.verdict] += 1
        self.mails += entry.mails

    async def settle(self, key: UserKey, entry: LedgerEntry) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        await self.put(key, entry)

    async def originals(self, key: UserKey) -> list[Original]:
        """See :class:`~mms_core.ports.Ledger`."""
        return list(self._kept[key].values())

    def close(self, key: UserKey) -> None:
        """Count a user's rows and let them go: memory is for those who are at work. Claims stay."""
        self._kept.pop(key, None)
        for entry in self._rows.pop(key, {}).values():
            self._count(entry)


class Papers(MemoryDocuments):
    """Documents, as they are: nobody changes what was read or written. Decisions are counted, not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.decisions = 0

    async def get(self, kind: str, key: str) -> Stored[dict[str, Any]] | None:
        """See :class:`~mms_core.ports.Documents`."""
        return self._documents.get((kind, key))

    async def put(self, kind: str, key: str, value: dict[str, Any], *, etag: str | None = None) -> str:
        """See :class:`~mms_core.ports.Documents`."""
        if kind == "decision":
            self.decisions += 1
            return "kept"
        stored = self._documents.get((kind, key))
        if etag is not None and etag != (stored.etag if stored else ""):
            raise PreconditionLost("document")
        self._documents[kind, key] = Stored(value, str(next(self._etags)))
        return self._documents[kind, key].etag


@dataclass(order=True)
class Letter:
    """A message in a queue."""

    visible_at: float
    number: int
    text: str = field(compare=False)
    dequeues: int = field(default=0, compare=False)


class Queue:
    """A storage queue as the SDK's client shows it: messages become visible, are leased, come again."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._heap: list[Letter] = []
        self._numbers = itertools.count()
        self._waiting: list[asyncio.Future[None]] = []
        self.leased = 0
        self.poison: list[str] = []
        self.sent = 0

    def __len__(self) -> int:
        return len(self._heap) + self.leased

    async def send_message(self, text: str, *, visibility_timeout: int, time_to_live: int) -> None:
        """Put a message."""
        assert time_to_live == -1
        self.sent += 1
        self.put(Letter(self._loop.time() + visibility_timeout, next(self._numbers), text))

    def put(self, letter: Letter) -> None:
        """Put a message back."""
        heapq.heappush(self._heap, letter)
        if self._heap[0] is letter:
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def visible(self) -> None:
        """Wait until there is a message that can be seen: nobody has to simulate polls that find nothing."""
        while not self._heap or self._heap[0].visible_at > self._loop.time():
            changed: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(changed)
            timer = self._loop.call_at(self._heap[0].visible_at, self._wake) if self._heap else None
            try:
                await changed
            finally:
                if timer is not None:
                    timer.cancel()

    def receive(self, count: int) -> list[Letter]:
        """Lease up to so many visible messages."""
        found = []
        while self._heap and len(found) < count and self._heap[0].visible_at <= self._loop.time():
            found.append(heapq.heappop(self._heap))
        for letter in found:
            letter.dequeues += 1
        self.leased += len(found)
        return found

    async def peek_messages(self, *, max_messages: int) -> list[Any]:
        """Show what is visible at the front, with the content as the queue has it."""
        shown = heapq.nsmallest(max_messages, self._heap[: 4 * max_messages])
        return [
            SimpleNamespace(content=b64encode(letter.text.encode()))
            for letter in shown
            if letter.visible_at <= self._loop.time()
        ]


class Way:
    """The way from one instance to storage: latency, and now and then no answer."""

    def __init__(
        self, loop: VirtualLoop, dice: random.Random, tenant: Tenant, *, latency: float, failure: float
    ) -> None:
        self._loop, self._dice, self._tenant = loop, dice, tenant
        self._latency, self._failure = latency, failure
        self.is_dead = False
        self.operations = 0

    def to(self, port: Any, *methods: str) -> Any:
        """Return a port as this instance reaches it; other methods go straight through."""
        there = _There(port)
        for name in methods:
            setattr(there, name, self._over(getattr(port, name)))
        return there

    def _over(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def sent(*args: Any, **named: Any) -> Any:
            if self.is_dead:
                raise Killed
            chance, wait = self._dice.random(), self._latency * (0.5 + self._dice.random())
            self._tenant.count_storage()
            if chance < self._failure / 2:
                await self._loop.pause(wait)
                raise TemporaryError("no answer", code="StorageUnavailable")
            if chance > 0.5:
                await self._loop.pause(wait)
                if self.is_dead:
                    raise Killed
                return await call(*args, **named)
            result = await call(*args, **named)
            await self._loop.pause(wait)
            if self.is_dead:
                raise Killed
            if chance < self._failure:
                raise TemporaryError("the answer was lost", code="StorageUnavailable")
            return result

        return sent


class _There:
    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


__all__ = ["Book", "Killed", "Letter", "Papers", "Queue", "Users", "Way"]
