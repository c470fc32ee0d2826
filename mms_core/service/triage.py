"""Works through what came in: finds out who is meant and what really happened, decides, and files requests."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from mms_core.debounce import Outcome, put
from mms_core.errors import NotFound, PermanentError, PreconditionLost, TemporaryError, explain
from mms_core.messages import (
    ActivityContent,
    AnyMessage,
    LookAfterSubscriptions,
    Preview,
    Resolve,
    StartMany,
    TenantEvent,
    UnknownMessage,
    UsersChanged,
    Wake,
    decode,
)
from mms_core.model import Request, UserKey, name_key
from mms_core.notifications import (
    Anything,
    NumberUnassigned,
    PolicyGranted,
    VideoInteropChanged,
    audited,
    event_data,
)
from mms_core.retrying import MAXIMUM_RETRIES
from mms_core.service.fanout import Fanout
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.previews import Previews
from mms_core.states import Happening, advance, can
from mms_core.telemetry import log
from mms_core.triggers import DIAL_IN_PLANS, ON_PREMISES_ACCOUNT, Answer, Facts, decide, license_change

if TYPE_CHECKING:
    from mms_core.model import UserFacts, UserRecord
    from mms_core.notifications import AnyData
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts
    from mms_core.service.recovery import Recovery
    from mms_core.triggers import Decision

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class Triage:
    """Handles the messages of the trigger queue."""

    def __init__(self, parts: Parts, recovery: Recovery) -> None:
        self._parts = parts
        self._recovery = recovery

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
                await self._recovery.subscriptions()
            case Preview() | StartMany():
                await self._asked(message)
            case Resolve():
                await self._resolve(UserKey(message.user))
            case UsersChanged():
                for user in message.users:
                    await self._user_changed(user, received=message.received)
            case TenantEvent():
                data = event_data(message.type, message.data)
                await self._event(
                    data, kind=message.type, request_id=f"e-{_short(message.event_id)}", actor=message.actor
                )
            case ActivityContent():
                for uri in message.uris:
                    await self._activity(uri)

    async def _asked(self, message: Preview | StartMany) -> None:
        """Do what an administrator asked for and was promised."""
        if isinstance(message, Preview):
            await Previews(self._parts).make(message.preview_id)
        else:
            await Fanout(self._parts).admit(message)

    # -- names ------------------------------------------------------------------------------------------------

    async def _facts(self, identity: str) -> UserFacts:
        facts = await self._parts.graph().directory.user(identity)
        await self._remember(facts, identity)
        return facts

    async def _remember(self, facts: UserFacts, identity: str) -> None:
        from_name = {identity.lower(), facts.user_principal_name.lower()} - {facts.user_id, ""}
        for name in from_name:
            await self._parts.documents.put("name", name_key(name), {"userId": facts.user_id})

    async def _resolve(self, key: UserKey) -> None:
        stored = await self._parts.users.read(key)
        if stored is None or stored.value.current.state.is_final:
            return  # resolved by an earlier delivery
        record = stored.value
        try:
            facts = await self._facts(record.current.identity)
        except PermanentError as exc:
            await self._refuse(stored, exc)
            return
        await self._move(stored, facts)

    async def _refuse(self, stored: Stored[UserRecord], exc: PermanentError) -> None:
        run = stored.value.current
        if can(run, Happening.REFUSED):
            failed = advance(
                run,
                Happening.REFUSED,
                now=self._parts.clock.now(),
                code=exc.code,
                last_message=explain(exc.code),
            )
            await self._parts.users.save(replace(stored.value, current=failed), stored)
            log("request_refused", correlation_id=run.run_id, code=exc.code)

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
            break
        try:
            await self._parts.users.delete(stored)
        except PreconditionLost:
            # Somebody asked for the same name just now; that request's own message moves the rest.
            log("name_changed_meanwhile", correlation_id=run.run_id)

    # -- what the tenant told -----------------------------------------------------------------------------------

    async def _user_changed(self, user: str, *, received: str) -> None:
        """Compare a user's dial-in plans with what we knew; a profile edit costs one read and causes nothing."""
        try:
            facts = await self._facts(user)
        except PermanentError:
            log("changed_user_is_gone", user_id=user)
            return
        snapshot = await self._parts.documents.get("snapshot", facts.user_id)
        known = frozenset(snapshot.value["dialInPlans"]) if snapshot else None
        happened = license_change(facts, known, subscribed_at=await self._subscribed_at())
        if happened.added or happened.removed:
            change = ",".join([*(f"+{each}" for each in happened.added), *(f"-{each}" for each in happened.removed)])
            assigned = max((facts.plan_assigned_at.get(each, _NEVER) for each in happened.added), default=_NEVER)
            request_id = f"l-{_short(f'{facts.user_id}|{change}|{assigned.isoformat()}|{snapshot and snapshot.etag}')}"
            await self._event(happened, kind="mms.license.changed", request_id=request_id, actor="graph", facts=facts)
        now_in_force = sorted(facts.plans & DIAL_IN_PLANS)
        if known is None or sorted(known) != now_in_force:
            # After the request is filed: a crash in between repeats the request, whose id is remembered.
            await self._parts.documents.put("snapshot", facts.user_id, {"dialInPlans": now_in_force, "at": received})

    async def _subscribed_at(self) -> datetime | None:
        stored = await self._parts.documents.get("subscription", "users")
        return datetime.fromisoformat(stored.value["since"]) if stored else None

    async def _activity(self, uri: str) -> None:
        try:
            records = await self._parts.graph().tenant.activity(uri)
        except NotFound:
            log("activity_content_is_gone")  # contents are kept 7 days
            return
        for record in records:
            found = audited(record)
            if found is not None:
                data = event_data(found.type, found.data)
                await self._event(data, kind=found.type, request_id=f"a-{_short(found.record_id)}", actor="activity")

    async def _event(
        self, data: AnyData, *, kind: str, request_id: str, actor: str | None, facts: UserFacts | None = None
    ) -> None:
        user = None if isinstance(data, Anything | NumberUnassigned | VideoInteropChanged) else data.user
        account_type = None
        if isinstance(data, PolicyGranted) and user is not None:
            account_type, facts = await self._account(user)
        known = Facts(homed="onPremises") if account_type == ON_PREMISES_ACCOUNT else Facts()
        decision = decide(data, await self._parts.settings(), facts=known, kind=kind)
        outcome = str(decision.answer)
        if decision.answer is Answer.REQUEST and user is not None:
            outcome = await self._file(user, decision, request_id=request_id, actor=actor, facts=facts)
        await self._parts.note_decision(decision, user=user, request_id=request_id, actor=actor, outcome=outcome)

    async def _account(self, user: str) -> tuple[str | None, UserFacts | None]:
        try:
            facts = await self._facts(user)
        except PermanentError:
            return None, None  # filing the request will say so
        return await self._parts.graph().directory.account_type(facts.user_id), facts

    async def _file(
        self, user: str, decision: Decision, *, request_id: str, actor: str | None, facts: UserFacts | None
    ) -> str:
        """Turn a decision into a request for its user; returns what became of it."""
        try:
            facts = facts or await self._facts(user)
        except PermanentError as exc:
            return exc.code
        accepted = await self._parts.accept(
            UserKey(facts.user_id),
            facts.user_principal_name or facts.user_id,
            Request(
                request_id=request_id,
                reason=decision.reason,
                source=decision.source,
                target=decision.target,
                actor=actor,
            ),
            facts=facts,
        )
        return str(accepted.outcome)
