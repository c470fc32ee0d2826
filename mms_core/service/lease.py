"""One worker a user: the lease in the row, its heartbeat, and the look before every write."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mms_core.debounce import with_next
from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.model import State
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.states import advance
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from mms_core.model import Run, UserKey, UserRecord
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts
    from mms_core.states import Happening

HEARTBEATS_PER_LEASE: Final = 3


class LeaseLost(Exception):
    """Another worker has the user now: write nothing more, neither to storage nor to a calendar."""


class Stopped(Exception):
    """The run must not go on: cancelled, or switched off (``code``)."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Lease:
    """A lease that has been taken: the only way in which a worker writes its user's record."""

    def __init__(self, parts: Parts, stored: Stored[UserRecord]) -> None:
        self._parts = parts
        self._stored = stored
        self._lock = asyncio.Lock()
        self._owner = stored.value.current.lease_owner
        self._generation = stored.value.current.generation
        self._published_at = parts.clock.now()

    @property
    def run(self) -> Run:
        """The run as last read or written."""
        return self._stored.value.current

    @property
    def key(self) -> UserKey:
        """The user's key."""
        return self._stored.value.key

    def _is_ours(self, run: Run) -> bool:
        return (
            run.run_id == self.run.run_id
            and run.state is State.IN_PROGRESS
            and run.generation == self._generation
            and run.lease_owner == self._owner
        )

    async def _reread(self) -> None:
        stored = await self._parts.users.read(self.key)
        if stored is None or not self._is_ours(stored.value.current):
            raise LeaseLost
        self._stored = stored

    def _until(self) -> datetime:
        return self._parts.clock.now() + self._parts.options.run_lease

    async def _write(self, changes: dict[str, Any], *, publish: bool) -> None:
        for _ in range(CONFLICT_ATTEMPTS):
            run = replace(self.run, modified_at=self._parts.clock.now(), lease_until_at=self._until(), **changes)
            try:
                self._stored = await self._parts.users.save(
                    replace(self._stored.value, current=run), self._stored, publish=publish
                )
            except PreconditionLost:
                # A trigger that waits in line, or a cancel: theirs is kept, ours is written on top.
                await self._reread()
            else:
                return
        raise LeaseLost

    async def note(self, **changes: Any) -> None:
        """Write progress; lists show it at the next heartbeat.

        Raises:
            LeaseLost: Somebody else has the user.
        """
        async with self._lock:
            now = self._parts.clock.now()
            publish = now - self._published_at > self._parts.options.run_lease / (2 * HEARTBEATS_PER_LEASE)
            if publish:
                self._published_at = now
            await self._write(changes, publish=publish)

    async def hold(self) -> None:
        """Look before a write to the ledger: is the user still ours?

        Raises:
            LeaseLost: Somebody else has the user.
        """
        async with self._lock:
            await self._reread()

    async def check(self) -> None:
        """Look before a write to a calendar: is the user still ours, and is the run still wanted?

        Raises:
            LeaseLost: Somebody else has the user.
            Stopped: The run was cancelled, or the service was switched off (N7).
        """
        async with self._lock:
            await self._reread()
            run = self.run
        if run.lease_until_at is None or self._parts.clock.now() >= run.lease_until_at:
            raise LeaseLost  # our heartbeat has stopped: somebody may be about to take over
        if run.cancel_requested:
            raise Stopped("Cancelled")
        if not (await self._parts.settings()).MeetingMigrationEnabled:
            raise Stopped("MigrationDisabled")

    async def end(self, happening: Happening, **changes: Any) -> UserRecord:
        """Write how the run ended (for now) and give the user back.

        Raises:
            LeaseLost: Somebody else has the user.
        """
        async with self._lock:
            for _ in range(CONFLICT_ATTEMPTS):
                now = self._parts.clock.now()
                run = advance(self.run, happening, now=now, **changes)
                record = with_next(replace(self._stored.value, current=run, wake_id="", wake_at=None))
                try:
                    await self._end(record, run)
                except PreconditionLost:
                    await self._reread()
                else:
                    return record
        raise LeaseLost

    async def _end(self, record: UserRecord, ended: Run) -> None:
        if record.current.run_id == ended.run_id:
            await self._parts.save_with_wake(record, self._stored, afresh=True)
            return
        # The ended run must reach the lists before its place in the record is taken.
        still = replace(record, current=ended, following=record.current)
        self._stored = await self._parts.users.save(still, self._stored)
        await self._parts.save_with_wake(record, self._stored, afresh=True)

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Renew the lease while the body runs. A failing renewal is left to :meth:`check` to notice."""

        async def beat() -> None:
            pause = self._parts.options.run_lease.total_seconds() / HEARTBEATS_PER_LEASE
            while True:
                await asyncio.sleep(pause)
                try:
                    async with self._lock:
                        await self._write({}, publish=False)
                except (TemporaryError, LeaseLost) as exc:
                    log("heartbeat_failed", correlation_id=self.run.run_id, error_type=type(exc).__name__)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
