"""What every use case needs: the ports, the clock, and the few things that several of them do."""

from __future__ import annotations

import contextlib
import random
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from mms_core.debounce import Accepted, Outcome, accept, refused, with_next
from mms_core.errors import MmsError, PreconditionLost, explain
from mms_core.messages import Notice, Wake
from mms_core.metrics import RUN_ELAPSED, RUNS_ENDED, measure
from mms_core.model import NAME_PREFIX, RunId, State
from mms_core.retrying import FIRST_DELAY
from mms_core.settings import TenantSettings
from mms_core.states import advance
from mms_core.telemetry import log
from mms_core.tracing import span

if TYPE_CHECKING:
    from collections.abc import Callable

    from mms_core.model import Request, Run, UserFacts, UserKey, UserRecord
    from mms_core.ports import (
        Calendar,
        Clock,
        Directory,
        Documents,
        Ledger,
        Mail,
        Meetings,
        Stored,
        Tenant,
        UserStore,
        WorkQueue,
    )
    from mms_core.states import Happening

CONFLICT_ATTEMPTS: Final = 20
"""Writers of one record that meet this often in a row are not a coincidence any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPorts:
    """The ports behind which Graph is. Made on first use, so that HTTP-only functions never import it."""

    directory: Directory
    calendar: Calendar
    meetings: Meetings
    tenant: Tenant
    mail: Mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The deployment's numbers."""

    tenant_id: str
    settle: timedelta | None = None
    run_lease: timedelta = timedelta(seconds=60)
    sending_limits: bool = False
    function_budget: timedelta = timedelta(minutes=25)
    first_retry: timedelta = FIRST_DELAY
    notice_sender: str = ""
    """Mailbox that notices come from; empty sends none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Ports, options, and sources of chance that tests replace."""

    users: UserStore
    ledger: Ledger
    documents: Documents
    queue: WorkQueue
    clock: Clock
    graph: Callable[[], GraphPorts]
    options: Options
    new_id: Callable[[], str] = field(default=lambda: str(uuid.uuid4()))
    jitter: Callable[[], float] = field(default=random.random)
    stopping: Callable[[], bool] = field(default=lambda: False)
    """Says whether this machine is about to stop: meetings in hand are finished, no further one is begun."""

    async def settings(self) -> TenantSettings:
        """Return the tenant's settings as they are now: one point read, never cached, because off means off."""
        stored = await self.documents.get("config", "tenant")
        return TenantSettings() if stored is None else msgspec.convert(stored.value, type=TenantSettings)

    def settling_time(self, settings: TenantSettings) -> timedelta:
        """Return how long a request waits for company that does not say so itself."""
        return self.options.settle if self.options.settle is not None else timedelta(minutes=settings.SettleMinutes)

    async def accept(
        self,
        key: UserKey,
        identity: str,
        request: Request,
        *,
        facts: UserFacts | None = None,
        run_id: RunId | None = None,
        code: str | None = None,
    ) -> Accepted:
        """Put a request into a user's record and make sure that a wake-up is on its way.

        With *code* a run that it makes is refused with it, and shown.

        The row is written before the message: a crash in between leaves a waiting row that the sweep finds, never a
        message without a row.
        """
        settings = await self.settings()
        settle = self.settling_time(settings)
        for _ in range(CONFLICT_ATTEMPTS):
            stored = await self.users.read(key)
            accepted = accept(
                stored.value if stored else None,
                request,
                key=key,
                identity=identity,
                run_id=run_id or RunId(self.new_id()),
                facts=facts,
                settle=settle,
                maximum_wait=timedelta(minutes=settings.MaximumWaitMinutes),
                now=self.clock.now(),
                window=settings.window(),
            )
            if accepted.outcome is Outcome.DUPLICATE:
                return accepted
            if code is not None and accepted.outcome is Outcome.ACCEPTED:
                accepted = refused(accepted, code=code, now=self.clock.now())
            try:
                await self.save_with_wake(accepted.record, stored)
            except PreconditionLost:
                continue
            with span("request", correlation_id=accepted.run.run_id, mms__state=accepted.outcome):
                log(
                    "request_accepted",
                    user_id=accepted.run.user_id,
                    correlation_id=accepted.run.run_id,
                    trigger=request.reason.partition(" ")[0],
                    state=accepted.outcome,
                )
            if accepted.outcome is Outcome.ACCEPTED:
                await self.announce(key, accepted.run, "before" if code is None else "after")
            return accepted
        raise PreconditionLost("the user's record is written by others all the time")

    async def save_with_wake(
        self, record: UserRecord, previous: Stored[UserRecord] | None, *, afresh: bool = False
    ) -> Stored[UserRecord]:
        """Write a record whose current run may wait, and send the one wake-up it needs.

        Args:
            record: The new record.
            previous: As it was read.
            afresh: Send a new wake-up even if one is under way (it will be recognised as a leftover).

        Raises:
            PreconditionLost: Somebody else wrote first; nothing was written or sent.
        """
        waits = record.current.state is State.PENDING
        has_wake = (
            not afresh
            and record.wake_at is not None
            and previous is not None
            and previous.value.current.run_id == record.current.run_id
            and previous.value.current.state is State.PENDING
            and record.wake_at <= record.current.due_at
        )
        if not waits or has_wake:
            return await self.users.save(record, previous)
        due = record.current.due_at
        record = replace(record, wake_id=self.new_id(), wake_at=due)
        stored = await self.users.save(record, previous)
        await self.queue.send(
            Wake(user=record.key, wake_id=record.wake_id, due=due.isoformat()),
            delay=max(timedelta(0), due - self.clock.now()),
        )
        return stored

    async def announce(self, key: UserKey, run: Run, notice: str) -> None:
        """Have the organizer told about a run: ``before`` it, or ``after`` it; an ended one is counted.

        Never fails, and never calls Graph.
        """
        if notice == "after":
            measure(RUNS_ENDED, state=run.state, code=run.code or "")
            measure(RUN_ELAPSED, (self.clock.now() - run.created_at).total_seconds(), state=run.state)
        if not self.options.notice_sender or key.startswith(NAME_PREFIX):
            return
        try:
            await self.queue.send(Notice(user=key, run=run.run_id, notice=notice))
        except MmsError as exc:
            log("notice_lost", correlation_id=run.run_id, code=exc.code)

    async def end(self, stored: Stored[UserRecord], happening: Happening, *, code: str) -> None:
        """End a run that nobody holds, with its reason, and let the one in line behind it move up.

        Raises:
            PreconditionLost: Somebody else wrote first; nothing was written or sent.
        """
        record = stored.value
        run = advance(record.current, happening, now=self.clock.now(), code=code, last_message=explain(code))
        ended = await self.users.save(replace(record, current=run, wake_id="", wake_at=None), stored)
        if record.following is not None:
            with contextlib.suppress(PreconditionLost):  # somebody else lets it move up, or the sweep
                await self.save_with_wake(with_next(ended.value), ended, afresh=True)
        await self.announce(record.key, run, "after")
