"""A run is woken by a message, leased, and handed to a pass over the user's meetings."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.messages import Resolve, UnknownMessage, Wake, decode
from mms_core.model import NAME_PREFIX, State, UserKey
from mms_core.service.admin.fanout import Fanout
from mms_core.service.running.fencing import FencedLedger
from mms_core.service.running.lease import Lease, LeaseLost
from mms_core.service.running.passes import Pass
from mms_core.service.running.sending import metered
from mms_core.service.visits import is_free
from mms_core.states import Happening, advance
from mms_core.telemetry import log, where
from mms_core.tracing import span
from mms_core.triggers import stop_code
from mms_core.windows import next_open_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mms_core.model import Turn, UserRecord
    from mms_core.ports import Stored
    from mms_core.service.parts import GraphPorts, Parts

AT_WORK: Final = 24
"""Runs that one process works on at once; others have their lease and wait for a place, so that memory is bounded."""
PATIENCE: Final = timedelta(minutes=1)
LONGEST_RUSH: Final = timedelta(seconds=10)
"""While runs are being woken, those that have their lease wait so long at most before they begin to work."""
RESOLVE_PAUSE: Final = timedelta(seconds=60)
"""A name that is still unknown when its request is due is asked for again this often."""


class _Rush:
    """Lets many runs that are due together all take their leases before the first of them begins to work.

    A lease costs a few milliseconds, a pass over a mailbox much more: otherwise the last of 500 would start when the
    others are nearly done.
    """

    def __init__(self) -> None:
        self._count = 0
        self._over = asyncio.Event()

    @contextlib.contextmanager
    def woken(self) -> Iterator[None]:
        """Hold the others back while the body looks at a run."""
        self._count += 1
        self._over.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._over.set()

    async def over(self) -> None:
        """Wait until nobody is being woken, or long enough."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_RUSH.total_seconds()):
                await self._over.wait()


class Runs:
    """Handles wake-ups."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._places = asyncio.Semaphore(AT_WORK)
        self._rush = _Rush()

    async def message(self, text: str) -> None:
        """Handle one message of the queue; safe to repeat.

        When storage does not answer, the row still says what is due, and the sweep finds it.

        Raises:
            UnknownMessage: The message is not a wake-up: it goes to the poison queue.
        """
        message = decode(text)
        if not isinstance(message, Wake):
            raise UnknownMessage("not a wake-up")
        try:
            await self.wake(message)
        except TemporaryError as exc:
            log("wake_failed", code=exc.code, user_id=message.user)

    async def wake(self, message: Wake) -> None:
        """Look at a user's run and do what is due. A message that is not the row's own is a leftover.

        Raises:
            TemporaryError: Storage did not answer.
        """
        with self._rush.woken():
            taken = await self._look(message)
        if taken is not None:
            await self._go(taken)

    async def _look(self, message: Wake) -> Stored[UserRecord] | None:
        """Return the record with the lease taken, ``None`` where there is nothing to do now."""
        key = UserKey(message.user)
        stored = await self._parts.users.read(key)
        if stored is None or stored.value.wake_id != message.wake_id:
            return None
        run, now = stored.value.current, self._parts.clock.now()
        if run.state is State.PENDING:
            if now < run.due_at:
                # Early: the request was pushed back, the delay was longer than a queue allows, or clocks differ.
                await self._parts.queue.send(message, delay=run.due_at - now)
            elif key.startswith(NAME_PREFIX):
                await self._parts.queue.send(Resolve(user=key))
                await self._parts.queue.send(message, delay=RESOLVE_PAUSE)
            else:
                return await self._due(stored, message)
        elif run.state is State.IN_PROGRESS and (run.lease_until_at is None or run.lease_until_at <= now):
            log("run_taken_over", correlation_id=run.run_id, user_id=key)
            return await self._start(stored, Happening.TAKEN_OVER)
        return None

    async def _due(self, stored: Stored[UserRecord], message: Wake) -> Stored[UserRecord] | None:
        settings, now = await self._parts.settings(), self._parts.clock.now()
        opens_at = next_open_at(settings.window(), now)
        code = stop_code(settings, stored.value.current.reasons, stored.value.current.user_id)
        if code is not None:
            await self._switched_off(stored, code)
        else:
            due_at, turn = await Fanout(self._parts).due_again(stored.value.current)
            later = max(due_at, opens_at)
            if later <= now:
                return await self._start(stored, Happening.STARTED)
            await self._defer(stored, message, later, turn)
        return None

    async def _defer(self, stored: Stored[UserRecord], message: Wake, due_at: datetime, turn: Turn | None) -> None:
        """Let a run wait that is due outside the maintenance window, or before others that come first."""
        run, now = stored.value.current, self._parts.clock.now()
        # Waiting for the window is no time of retrying.
        started_at = run.started_at and run.started_at + (due_at - now)
        deferred = advance(run, Happening.DEFERRED, now=now, due_at=due_at, started_at=started_at, turn=turn)
        record = replace(stored.value, current=deferred, wake_at=due_at)
        try:
            await self._parts.users.save(record, stored)
        except PreconditionLost:
            await self._parts.queue.send(message)  # a trigger has joined it: look again
            return
        await self._parts.queue.send(message, delay=due_at - now)
        log("run_deferred", correlation_id=run.run_id, user_id=record.key)

    async def _switched_off(self, stored: Stored[UserRecord], code: str) -> None:
        try:
            await self._parts.end(stored, Happening.SKIPPED, code=code)
        except PreconditionLost:
            log("run_changed_meanwhile", correlation_id=stored.value.current.run_id)

    async def _start(self, stored: Stored[UserRecord], happening: Happening) -> Stored[UserRecord] | None:
        """Take the lease; ``None`` if somebody else was faster."""
        now = self._parts.clock.now()
        run = stored.value.current
        generation = max(run.generation, stored.value.generation) + 1
        leased = advance(
            run,
            happening,
            now=now,
            generation=generation,
            lease_owner=self._parts.new_id(),
            lease_until_at=now + self._parts.options.run_lease,
            started_at=run.started_at or now,
            last_message="",
            code=None,
            turn=None,
        )
        try:
            taken = await self._parts.users.save(replace(stored.value, current=leased, generation=generation), stored)
        except PreconditionLost:
            return None
        log("run_started", correlation_id=run.run_id, user_id=stored.value.key, attempt=run.retries)
        return taken

    async def _go(self, taken: Stored[UserRecord]) -> None:
        lease = Lease(self._parts, taken)
        try:
            async with lease.beating():
                await self._rush.over()
                await self._work(lease, taken.value.generation)
        except LeaseLost:
            log("lease_lost", correlation_id=lease.run.run_id, user_id=lease.key)
        except Exception as exc:
            # A bug: the next delivery shall meet it at once, until the message is poisoned and everybody sees it.
            log(
                "run_crashed",
                level=logging.ERROR,
                correlation_id=lease.run.run_id,
                error_type=type(exc).__name__,
                where=where(exc),
            )
            await lease.release()
            raise

    async def _work(self, lease: Lease, generation: int) -> None:
        """Wait for one of the places at work and for visitors to leave, and work; else the run goes back in line.

        It waits a minute for each.
        """
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await self._places.acquire()
        except TimeoutError:
            await lease.end(Happening.CHECKPOINTED, due_at=self._parts.clock.now())
            return
        try:
            if not await is_free(self._parts, lease.key):
                await lease.end(Happening.CHECKPOINTED, due_at=self._parts.clock.now())
                return
            with span("run", correlation_id=lease.run.run_id, mms__attempt=lease.run.retries):
                await self._pass(lease, generation)
        finally:
            self._places.release()

    async def _pass(self, lease: Lease, generation: int) -> None:
        try:
            ledger = await self._parts.ledger.claim(lease.key, generation)
        except PreconditionLost:
            raise LeaseLost from None
        own = replace(
            self._parts, ledger=FencedLedger(ledger, lease), graph=functools.cache(lambda: self._graph(lease))
        )
        await Pass(own, lease, began_at=self._parts.clock.now()).go()

    def _graph(self, lease: Lease) -> GraphPorts:
        graph = self._parts.graph()
        return replace(graph, calendar=metered(graph.calendar, self._parts, lease))
