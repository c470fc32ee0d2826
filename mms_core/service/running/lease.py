"""One worker a user: the lease in the row, its heartbeat, and the look before every write."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.debounce import with_next
from mms_core.errors import MmsError, PreconditionLost, TemporaryError
from mms_core.model import State
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.states import Happening, advance
from mms_core.telemetry import log
from mms_core.triggers import stop_code
from mms_core.windows import next_open_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from mms_core.audience import Membership
    from mms_core.model import Run, UserKey, UserRecord
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts
    from mms_core.settings import TenantSettings

HEARTBEATS_PER_LEASE: Final = 3
REDELIVERY: Final = timedelta(seconds=10)
"""After a failure the host shows a message again so much later (``visibilityTimeout`` of host.json)."""


class LeaseLost(Exception):
    """Another worker has the user now: write nothing more, neither to storage nor to a calendar."""


class Stopped(Exception):
    """The run must not go on now: cancelled, switched off, outside the window, over a limit (``code``)."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)

    @property
    def happening(self) -> Happening:
        """What that is for the run: its end, or a pause."""
        ends = {
            "Cancelled": Happening.CANCELLED,
            "MigrationDisabled": Happening.SKIPPED,
            "TriggerSwitchedOff": Happening.SKIPPED,
            "UserExcluded": Happening.SKIPPED,
            "NotInPilot": Happening.SKIPPED,
        }
        return ends.get(self.code, Happening.CHECKPOINTED)


class Lease:
    """A lease that has been taken: the only way in which a worker writes its user's record."""

    def __init__(self, parts: Parts, stored: Stored[UserRecord]) -> None:
        self._parts = parts
        self._stored = stored
        self._lock = asyncio.Lock()
        self._owner = stored.value.current.lease_owner
        self._generation = stored.value.current.generation
        self._published_at = parts.clock.now()
        self._is_behind = False
        """The lists do not show yet what the record says."""
        self._paused_until: datetime | None = None
        self._audience: Membership | None = None

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

    async def _write(self, changes: dict[str, Any], *, publish: bool, wake_at: datetime | None = None) -> None:
        for _ in range(CONFLICT_ATTEMPTS):
            lease = {"lease_until_at": self._until(), "modified_at": self._parts.clock.now()}
            run = replace(self.run, **{**lease, **changes})
            record = replace(self._stored.value, current=run, wake_at=wake_at or self._stored.value.wake_at)
            try:
                self._stored = await self._parts.users.save(record, self._stored, publish=publish)
            except PreconditionLost:
                # A trigger that waits in line, or a cancel: theirs is kept, ours is written on top.
                await self._reread()
            else:
                return
        raise LeaseLost

    async def note(self, **changes: Any) -> None:
        """Write progress: the record at once, lists at the next heartbeat at the latest.

        Raises:
            LeaseLost: Somebody else has the user.
        """
        async with self._lock:
            now = self._parts.clock.now()
            publish = now - self._published_at > self._parts.options.run_lease / (2 * HEARTBEATS_PER_LEASE)
            if publish:
                self._published_at = now
            await self._write(changes, publish=publish)
            self._is_behind = not publish

    async def hold(self) -> None:
        """Look before a write to the ledger: is the user still ours?

        Raises:
            LeaseLost: Somebody else has the user.
        """
        async with self._lock:
            await self._reread()

    async def check(self) -> None:
        """Look before a write to a calendar: is the user still ours, and is the run still wanted, now?

        Afterwards two thirds of the lease are left at least: time for the write that follows.

        Raises:
            LeaseLost: Somebody else has the user, or may be about to take over.
            Stopped: The run was cancelled, the service was switched off (N7), the maintenance window has closed, or
                this machine stops.
        """
        async with self._lock:
            _, settings = await asyncio.gather(self._reread(), self._parts.settings())
            run, now = self.run, self._parts.clock.now()
            if run.lease_until_at is None or now >= run.lease_until_at:
                raise LeaseLost  # our heartbeat has stopped
            if run.cancel_requested:
                raise Stopped("Cancelled")
            code = stop_code(settings, run.reasons, run.user_id)
            if code is not None:
                raise Stopped(code)
            self._check_audience(settings, now)
            opens_at = next_open_at(settings.window(), now)
            if opens_at > now:
                raise self.pause("OutsideWindow", until=opens_at)
            if self._parts.stopping():
                raise self.pause("Stopping", until=now)
            if run.lease_until_at - now < self._parts.options.run_lease * (1 - 1 / HEARTBEATS_PER_LEASE):
                await self._write({}, publish=False)

    def admit(self, audience: Membership) -> None:
        """Note what was found out about the user's groups; from now on every look asks the lists, too."""
        self._audience = audience

    def _check_audience(self, settings: TenantSettings, now: datetime) -> None:
        if self._audience is None:
            return  # an undo, which restores whoever was migrated
        if not self._audience.is_enough_for(settings):
            raise self.pause("ListsChanged", until=now)
        if self._audience.is_listed_out(settings):
            raise Stopped("UserExcluded")

    def pause(self, code: str, *, until: datetime) -> Stopped:
        """Return the exception that ends this pass and lets the run go on at an instant; the first pause counts."""
        self._paused_until = self._paused_until or until
        return Stopped(code)

    def _pause(self, now: datetime) -> dict[str, Any]:
        """Return what changes when the run is handed over; time spent waiting for a window is no time of retrying."""
        if self._paused_until is None:
            return {}
        due_at, started_at = max(self._paused_until, now), self.run.started_at
        return {"due_at": due_at, "started_at": started_at and started_at + (due_at - now)}

    async def release(self) -> None:
        """Give the user back after something unexpected, so that the next delivery begins at once.

        The message in hand comes again, until the host has had enough of it: the sweep must not put another one in its
        place, whose deliveries would be counted anew. A failure of this is left to the sweep.
        """
        with contextlib.suppress(MmsError, LeaseLost):
            async with self._lock:
                now = self._parts.clock.now()
                await self._write({"lease_until_at": now}, publish=True, wake_at=now + REDELIVERY)

    async def end(self, happening: Happening, **changes: Any) -> Run:
        """Write how the run ended (for now) and give the user back; returns the run as it was written.

        Raises:
            LeaseLost: Somebody else has the user.
        """
        async with self._lock:
            for _ in range(CONFLICT_ATTEMPTS):
                now = self._parts.clock.now()
                pause = self._pause(now) if happening is Happening.CHECKPOINTED else {}
                run = advance(self.run, happening, now=now, **{**changes, **pause})
                record = with_next(replace(self._stored.value, current=run, wake_id="", wake_at=None))
                try:
                    await self._end(record, run)
                except PreconditionLost:
                    await self._reread()
                else:
                    return run
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
                        await self._write({}, publish=self._is_behind)
                        self._is_behind = False
                except (TemporaryError, LeaseLost) as exc:
                    log("heartbeat_failed", correlation_id=self.run.run_id, error_type=type(exc).__name__)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
