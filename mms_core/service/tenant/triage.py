"""Works through what came in: finds out who is meant and what really happened, decides, and files requests."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from mms_core.debounce import Outcome, put
from mms_core.errors import BadInput, PermanentError, PreconditionLost, TemporaryError
from mms_core.messages import (
    ActivityContent,
    AnyMessage,
    Batch,
    JobStep,
    LookAfterSubscriptions,
    Notice,
    Preview,
    Resolve,
    StartMany,
    TenantEvent,
    UnknownMessage,
    UsersChanged,
    Wake,
    decode,
)
from mms_core.model import State, UserKey
from mms_core.notifications import event_data
from mms_core.retrying import MAXIMUM_RETRIES
from mms_core.service.admin.fanout import Fanout
from mms_core.service.admin.queries import cancelled
from mms_core.service.admin.retries import RETRY, Retries
from mms_core.service.batches import Batches
from mms_core.service.deciding import Deciding, audience_of, refuse, short
from mms_core.service.jobs import SWEEP, Jobs
from mms_core.service.journal import Origin
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.running.previews import Previews
from mms_core.service.running.retiring import RETIRE, Retiring
from mms_core.service.tenant.catching_up import CATCH_UP, CatchUp
from mms_core.service.tenant.changes import Changes
from mms_core.service.tenant.feed import Feed
from mms_core.service.tenant.searching import Discovery, NumberSearch
from mms_core.service.tenant.sweeps import Sweep
from mms_core.service.tenant.tenantwide import DISCOVERY, NUMBER_SEARCH, TenantWide
from mms_core.service.upkeep.noticing import Noticing
from mms_core.telemetry import log

if TYPE_CHECKING:
    from mms_core.model import UserFacts, UserRecord
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts
    from mms_core.service.upkeep.recovery import Recovery

_SIDE_BY_SIDE: Final = 8
"""Users of one batch that are looked at side by side."""

_LOOK_AGAIN: Final = timedelta(minutes=1)
"""Wait where another worker looks after the subscriptions right now: it may have begun before something happened."""


class Triage:
    """Handles the messages of the trigger queue."""

    def __init__(self, parts: Parts, recovery: Recovery) -> None:
        self._parts = parts
        self._recovery = recovery
        self._deciding = Deciding(parts)
        self._changes = Changes(parts, self._deciding)
        self._tenant_wide = TenantWide(parts)
        self._feed = Feed(parts, self._deciding, self._changes, self._tenant_wide)
        self._jobs = Jobs(
            parts,
            {
                SWEEP: Sweep(parts, self._changes, self._feed),
                CATCH_UP: CatchUp(parts, self._changes),
                NUMBER_SEARCH: NumberSearch(parts, self._deciding),
                DISCOVERY: Discovery(parts),
                RETIRE: Retiring(parts),
                RETRY: Retries(parts),
            },
        )

    async def sweep(self) -> None:
        """Start the reconciliation, and any other job again that fell silent."""
        await self._jobs.start(SWEEP)
        await self._jobs.start(RETIRE)
        await self._jobs.revive()

    async def catch_up(self) -> None:
        """Start the look at what the delta query tells, between two reconciliations."""
        await self._jobs.start(CATCH_UP)

    async def discover(self) -> None:
        """Start the search for users who need a migration."""
        await self._jobs.start(DISCOVERY)

    async def message(self, text: str) -> None:
        """Handle one message of the queue; safe to repeat.

        What is worth another try is put back with a delay, so that an outage of hours poisons nothing.

        Raises:
            UnknownMessage: The message is not one of ours: it goes to the poison queue.
            TemporaryError: It has been put back nine times.
        """
        message = decode(text)
        try:
            await self._handle(message)
        except TemporaryError as exc:
            if message.attempt >= MAXIMUM_RETRIES:
                raise
            delay = max(self._parts.options.first_retry * 2**message.attempt, exc.retry_after or timedelta(0))
            await self._parts.queue.send(msgspec.structs.replace(message, attempt=message.attempt + 1), delay=delay)
            log("message_put_back", code=exc.code, attempt=message.attempt + 1)

    async def _handle(self, message: AnyMessage) -> None:
        match message:
            case Wake():
                raise UnknownMessage("a wake-up in the trigger queue")
            case LookAfterSubscriptions():
                await self._look_after_subscriptions(message)
            case Preview() | StartMany() | Notice():
                await self._asked(message)
            case Resolve():
                await self._resolve(UserKey(message.user))
            case UsersChanged() | TenantEvent() | ActivityContent() | Batch():
                await self._told(message)
            case JobStep():
                await self._jobs.step(message)

    async def _look_after_subscriptions(self, message: LookAfterSubscriptions) -> None:
        if not await self._recovery.subscriptions(renews=message.renews):
            await self._parts.queue.send(message, delay=_LOOK_AGAIN)

    async def _asked(self, message: Preview | StartMany | Notice) -> None:
        """Do what somebody waits for."""
        if isinstance(message, Preview):
            await Previews(self._parts).make(message.preview_id)
        elif isinstance(message, Notice):
            await Noticing(self._parts).tell(message)
        else:
            await Fanout(self._parts).admit(message)

    # -- names ------------------------------------------------------------------------------------------------

    async def _resolve(self, key: UserKey) -> None:
        stored = await self._parts.users.read(key)
        if stored is None:
            return  # resolved by an earlier delivery
        if stored.value.current.state.is_final:
            named = await self._parts.documents.get("name", key)
            if named is not None:  # an earlier delivery may have died between the two records
                await self._hand_on_cancel(stored, UserKey(str(named.value["userId"])))
            return
        record = stored.value
        try:
            facts = await self._deciding.facts(record.current.identity)
        except PermanentError as exc:
            await refuse(self._parts, stored, exc.code)
            return
        if await audience_of(self._parts, await self._parts.settings(), facts) == "excluded":
            await refuse(self._parts, stored, "UserExcluded")
            return
        await self._move(stored, facts)

    async def _move(self, stored: Stored[UserRecord], facts: UserFacts) -> None:
        """Move a name's request to the user's own record, then remove the name's.

        Repeating it does no harm: the request's id is remembered by the user's record.
        """
        run = replace(stored.value.current, user_id=facts.user_id, user_principal_name=facts.user_principal_name)
        key = UserKey(facts.user_id)
        # A further request for the same name changes the run, and is then another request for the user.
        request_id = f"n-{run.run_id}-{run.modified_at.isoformat()}"
        settings = await self._parts.settings()
        for _ in range(CONFLICT_ATTEMPTS):
            own = await self._parts.users.read(key)
            placed = put(
                own.value if own else None,
                run,
                key=key,
                request_id=request_id,
                maximum_wait=timedelta(minutes=settings.MaximumWaitMinutes),
                now=self._parts.clock.now(),
                not_before_at=run.due_at,
            )
            if placed.outcome is not Outcome.DUPLICATE:
                try:
                    await self._parts.save_with_wake(placed.record, own)
                except PreconditionLost:
                    continue
                if placed.outcome is Outcome.ACCEPTED:
                    await self._parts.announce(key, placed.run, "before")
            break
        try:
            await self._parts.users.delete(stored)
        except PreconditionLost:
            # Somebody asked for the same name just now; that request's own message moves the rest.
            log("name_changed_meanwhile", correlation_id=run.run_id)
            again = await self._parts.users.read(stored.value.key)
            if again is not None:
                await self._hand_on_cancel(again, key)

    async def _hand_on_cancel(self, at_name: Stored[UserRecord], key: UserKey) -> None:
        """Cancel at the user's record what was cancelled at the name's while it moved: somebody was told that it is."""
        run = at_name.value.current
        if run.state is not State.CANCELLED:
            return
        for _ in range(CONFLICT_ATTEMPTS):
            own = await self._parts.users.read(key)
            if own is None or not any(each.startswith(f"n-{run.run_id}-") for each in own.value.seen):
                return  # it has not come that far, and goes no further
            try:
                await self._parts.save_with_wake(
                    cancelled(own.value, now=self._parts.clock.now(), actors=run.actors), own
                )
            except PreconditionLost:
                continue
            except BadInput:
                log("cancelled_too_late", correlation_id=run.run_id)
            with suppress(PreconditionLost):
                await self._parts.users.delete(at_name)
            return
        raise PreconditionLost

    # -- what the tenant told -----------------------------------------------------------------------------------

    async def _told(self, message: UsersChanged | TenantEvent | ActivityContent | Batch) -> None:
        if isinstance(message, UsersChanged):
            await self._users_changed(message)
        elif isinstance(message, TenantEvent):
            await self._event(message)
        elif isinstance(message, Batch):
            await Batches(self._parts).work_off(message, self._recovery.poisoned)
        else:
            for uri in message.uris:
                await self._feed.read(uri)

    async def _users_changed(self, message: UsersChanged) -> None:
        """Look at the users of a batch; after a failure only those are put back that are still to be looked at."""
        origin = Origin(actor="graph", proof=message.proof)
        for start in range(0, len(message.users), _SIDE_BY_SIDE):
            looks = [
                self._changes.of_user(user, origin=origin) for user in message.users[start : start + _SIDE_BY_SIDE]
            ]
            outcomes = await asyncio.gather(*looks, return_exceptions=True)
            failures = [each for each in outcomes if isinstance(each, BaseException)]
            for failure in failures:
                if start and isinstance(failure, TemporaryError):
                    rest = msgspec.structs.replace(message, users=message.users[start:])
                    delay = failure.retry_after or self._parts.options.first_retry
                    await self._parts.queue.send(rest, delay=delay)
                    log("message_put_back", code=failure.code, count=len(rest.users))
                    return
                raise failure

    async def _event(self, message: TenantEvent) -> None:
        """Decide about a CloudEvent, each once."""
        claim = short(message.event_id)
        if await self._parts.documents.get("handled", claim) is not None:
            log("event_repeated", trigger=message.type)
            return
        data = event_data(message.type, message.data)
        request_id = f"e-{claim}"
        decision = await self._deciding.happened(
            data,
            what=message.type,
            request_id=request_id,
            origin=Origin(actor=message.actor, proof=message.proof or "token"),
        )
        await self._tenant_wide.follow(data, decision, request_id=request_id, actor=message.actor)
        await self._parts.documents.put("handled", claim, {"at": self._parts.clock.now().isoformat()})
