"""One thing that happened: what is known about the user, what the rules say, the request, and the record of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mms_core.audience import Membership, audience, groups_of_interest
from mms_core.debounce import Outcome
from mms_core.errors import PermanentError, PreconditionLost, RecordUnreadable, explain
from mms_core.model import AT_ONCE, Request, UserKey, name_key
from mms_core.notifications import NumberUnassigned, PolicyGranted, UserMoved, VideoInteropChanged
from mms_core.service.journal import Journal
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.remembered import note_unreadable, snapshot_of
from mms_core.service.visits import MailboxBusy, visiting
from mms_core.snapshots import Snapshot, tell
from mms_core.states import Happening, advance, can
from mms_core.telemetry import log
from mms_core.triggers import DIAL_IN_PLANS, ON_PREMISES_ACCOUNT, Answer, Facts, decide

if TYPE_CHECKING:
    from mms_core.model import Admission, UserFacts
    from mms_core.notifications import AnyData
    from mms_core.ports import Stored
    from mms_core.service.journal import Origin
    from mms_core.service.parts import Parts
    from mms_core.settings import TenantSettings
    from mms_core.triggers import Decision


def short(text: str) -> str:
    """Return a fingerprint for ids of requests."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def named_user(happened: AnyData) -> str | None:
    """Return the user that an event names, ``None`` for one about the tenant."""
    return getattr(happened, "user", None)


class Deciding:
    """Decides about events and files requests."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._journal = Journal(parts)

    async def facts(self, identity: str) -> UserFacts:
        """Ask the directory for a user, and remember the name for those who ask by it.

        Raises:
            PermanentError: Code ``UserNotFound``.
        """
        facts = await self._parts.graph().directory.user(identity)
        for name in {identity.lower(), facts.user_principal_name.lower()} - {facts.user_id, ""}:
            key = name_key(name)
            known = await self._parts.documents.get("name", key)
            if known is None or known.value.get("userId") != facts.user_id:
                await self._parts.documents.put("name", key, {"userId": facts.user_id})
        return facts

    async def happened(
        self,
        data: AnyData,
        *,
        what: str,
        request_id: str,
        origin: Origin,
        user: UserFacts | None = None,
        is_compared: bool = False,
        admission: Admission = AT_ONCE,
    ) -> Decision:
        """Decide, file a request where the rules want one, and record it; safe to repeat.

        Args:
            data: What happened.
            what: The event's type.
            request_id: The same for every delivery of the same event.
            origin: Who or what told us.
            user: What the directory says, where it has been asked already.
            is_compared: A comparison with the snapshot found it, whose keeper is the caller.
            admission: How much longer than settled a request waits, because it is one of many.
        """
        settings = await self._parts.settings()
        name = named_user(data)
        if name is None:
            decision = decide(data, settings, kind=what)
            await self._note(decision, what, name, request_id, origin, outcome=str(decision.answer), data=data)
            return decision
        try:
            user = user or await self.facts(name)
        except PermanentError as exc:
            decision = decide(data, settings, kind=what)
            outcome = exc.code if decision.answer is Answer.REQUEST else str(decision.answer)
            await self._note(decision, what, name, request_id, origin, outcome=outcome, data=data)
            return decision
        is_kept = not is_compared
        try:
            stored, snapshot = await snapshot_of(self._parts, user.user_id)
        except RecordUnreadable as exc:
            await note_unreadable(self._parts, user.user_id, exc)
            # What is not known stands in nobody's way; and nothing is written over it.
            stored, snapshot, is_kept = None, Snapshot(), False
        is_known, after = (False, snapshot) if is_compared else tell(snapshot, data, now=self._parts.clock.now())
        decision = await self._decide(data, settings, user, after, what)
        run_id: str | None = None
        outcome = str(decision.answer)
        if decision.answer is Answer.REQUEST and is_known:
            outcome = str(Outcome.DUPLICATE)
        elif decision.answer is not Answer.IGNORE:
            outcome, run_id = await self._file(
                user, decision, request_id=request_id, origin=origin, admission=admission
            )
        await self._note(
            decision, what, name, request_id, origin, outcome=outcome, user_id=user.user_id, run_id=run_id, data=data
        )
        if is_kept:
            await self._remember(user.user_id, data, stored, after)
        return decision

    async def _decide(
        self, data: AnyData, settings: TenantSettings, user: UserFacts, snapshot: Snapshot, what: str
    ) -> Decision:
        facts = Facts(
            homed=await self._homed(data, user.user_id),
            provider="thirdParty" if snapshot.provider == "thirdParty" else "unknown",
            licensed="yes" if user.plans & DIAL_IN_PLANS else "no",
            public_meetings="no" if snapshot.public_meetings is False else "unknown",
        )
        decision = decide(data, settings, facts=facts, kind=what)
        if decision.answer is not Answer.REQUEST:
            return decision
        # Only a trigger that would act is worth further questions to Graph.
        whole = replace(facts, audience=await self._audience(settings, user), mailbox=await self._mailbox(user.user_id))
        return decide(data, settings, facts=whole, kind=what)

    async def _homed(self, data: AnyData, user_id: str) -> Any:
        if not isinstance(data, PolicyGranted):
            return "unknown"
        account = await self._parts.graph().directory.account_type(user_id)
        return "onPremises" if account == ON_PREMISES_ACCOUNT else "online"

    async def _audience(self, settings: TenantSettings, user: UserFacts) -> Any:
        return await audience_of(self._parts, settings, user)

    async def _mailbox(self, user_id: str) -> Any:
        try:
            async with visiting(self._parts, user_id, patience=timedelta(0)):
                found = await self._parts.graph().directory.mailbox(user_id)
        except MailboxBusy:
            return "unknown"  # whoever is there finds out, and so will the run
        return found if found in ("online", "onPremises") else "unknown"

    async def _note(
        self,
        decision: Decision,
        what: str,
        name: str | None,
        request_id: str,
        origin: Origin,
        *,
        outcome: str,
        data: AnyData,
        user_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        await self._journal.note(
            decision,
            what=what,
            user=name,
            user_id=user_id,
            request_id=request_id,
            origin=origin,
            outcome=outcome,
            correlation_id=run_id,
            more=_particulars(data),
        )

    async def _remember(
        self, user_id: str, data: AnyData, stored: Stored[dict[str, Any]] | None, after: Snapshot
    ) -> None:
        """Keep what the event told, over whatever has been written meanwhile."""
        for _ in range(CONFLICT_ATTEMPTS):
            if after.document() == (stored.value if stored else {}):
                return
            try:
                await self._parts.documents.put(
                    "snapshot", user_id, after.document(), etag=stored.etag if stored else ""
                )
            except PreconditionLost:
                stored, before = await snapshot_of(self._parts, user_id)
                _, after = tell(before, data, now=self._parts.clock.now())
            else:
                return

    async def _file(
        self, user: UserFacts, decision: Decision, *, request_id: str, origin: Origin, admission: Admission
    ) -> tuple[str, str | None]:
        """Turn a decision into a request for its user; returns what became of it, and the run."""
        key, now = UserKey(user.user_id), self._parts.clock.now()
        settle = decision.delay
        if admission.wait:
            settle = admission.wait + (
                self._parts.settling_time(await self._parts.settings()) if settle is None else settle
            )
        accepted = await self._parts.accept(
            key,
            user.user_principal_name or user.user_id,
            Request(
                request_id=request_id,
                reason=decision.reason,
                source=decision.source,
                target=decision.target,
                settle=settle,
                not_before_at=now + decision.wait_at_least if decision.wait_at_least else None,
                actor=origin.actor,
                turn=admission.turn,
            ),
            facts=user,
        )
        if decision.answer is Answer.REFUSE and decision.code is not None:
            stored = await self._parts.users.read(key)
            if stored is not None and accepted.outcome is not Outcome.DUPLICATE:
                await refuse(self._parts, stored, decision.code)
            return decision.code, accepted.run.run_id
        return str(accepted.outcome), accepted.run.run_id


async def audience_of(parts: Parts, settings: TenantSettings, user: UserFacts) -> Any:
    """Say whether the settings want a user touched; asks Graph only if a list names groups."""
    known = await membership_of(parts, settings, user)
    return audience(settings, user_id=user.user_id, names=known.names, groups=known.groups)


async def membership_of(parts: Parts, settings: TenantSettings, user: UserFacts) -> Membership:
    """Return what the lists of the settings need to know of a user; asks Graph only if one names groups."""
    wanted = groups_of_interest(settings)
    groups = await parts.graph().directory.member_of(user.user_id, sorted(wanted)) if wanted else frozenset()
    names = frozenset({user.user_id, user.user_principal_name.lower()})
    return Membership(names=names, asked=wanted, groups=frozenset(groups))


async def is_report_only(parts: Parts, settings: TenantSettings, user_id: str) -> bool:
    """Say whether the policy for a user's kind of mailbox forbids writes; asks Graph only if a policy might.

    Raises:
        PermanentError: The mailbox cannot be looked at, or may not be.
    """
    kinds = {
        "shared": settings.SharedMailboxPolicy,
        "room": settings.RoomMailboxPolicy,
        "equipment": settings.RoomMailboxPolicy,
    }
    if "report" not in kinds.values():
        return False
    return kinds.get(await parts.graph().directory.mailbox_kind(user_id)) == "report"


async def refuse(parts: Parts, stored: Stored[Any], code: str, detail: str = "") -> None:
    """End a request before any work, with its code and remedy where administrators look."""
    run = stored.value.current
    if can(run, Happening.REFUSED):
        failed = advance(run, Happening.REFUSED, now=parts.clock.now(), code=code, last_message=explain(code, detail))
        await parts.users.save(replace(stored.value, current=failed), stored)
        log("request_refused", correlation_id=run.run_id, code=code)


def _particulars(data: AnyData) -> dict[str, Any]:
    """Return what else of an event a record keeps; numbers and addresses of the tenant, never of attendees."""
    if isinstance(data, PolicyGranted):
        return {"policy": data.policy, "mode": data.mode, "migrateMeetingsToTeams": data.migrate_meetings_to_teams}
    if isinstance(data, UserMoved):
        return {"direction": data.direction, "moveToTeams": data.move_to_teams}
    if isinstance(data, NumberUnassigned):
        return {"number": data.number, "replacement": data.replacement}
    if isinstance(data, VideoInteropChanged):
        return {"policy": data.policy}
    return {}
