"""One meeting, from plan to ledger: at most one write is sent, and what it did is known before anything is repeated."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Lock
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core import block, jsontext, options
from mms_core.differences import form_hash
from mms_core.errors import (
    CATALOGUE,
    MmsError,
    NotFound,
    OutcomeUnknown,
    PermanentError,
    PreconditionLost,
    TemporaryError,
)
from mms_core.futures import is_over
from mms_core.meetings import LedgerEntry, Original, body_hash, meeting_key
from mms_core.model import Verdict
from mms_core.planning import (
    SKYPE_PROVIDER,
    TEAMS_PROVIDER,
    Planned,
    Step,
    block_text,
    can_use_flags,
    coordinates,
    external_id,
    headcount,
    plan,
    teams_beside,
)
from mms_core.ports import EventChange, Written
from mms_core.rewriting import (
    Rewrite,
    Route,
    is_current,
    made_by_flags,
    mismatch,
    rewrite,
    rewrite_by_flags,
)
from mms_core.service.running.lease import Stopped
from mms_core.service.running.retiring import note_replaced
from mms_core.service.running.wishes import find_meeting
from mms_core.states import Happening
from mms_core.tracing import conclude, span

if TYPE_CHECKING:
    from datetime import datetime

    from mms_core.meetings import Damaged, Event, OnlineMeeting
    from mms_core.planning import Wish
    from mms_core.ports import Confirm
    from mms_core.service.parts import Parts
    from mms_core.service.running.lease import Lease

ATTEMPTS: Final = 4
"""Times a meeting is looked at again in one pass because somebody edits it or Graph asks for a short pause."""
PATIENCE: Final = timedelta(seconds=10)
"""A longer wish to wait becomes a delayed message for the whole user."""


_PROVIDERS: Final = {Route.FLAGS: TEAMS_PROVIDER, Route.SKYPE: SKYPE_PROVIDER}
"""What Exchange is asked to make, where it is asked."""


def _repaired(damage: tuple[Damaged, ...]) -> tuple[Damaged, ...]:
    return tuple(replace(each, is_repaired=each.is_certain) for each in damage)


def _trace(noted: LedgerEntry | None) -> dict[str, Any]:
    """Return by what an open write is recognised; nothing where there is none."""
    if noted is None or not noted.step:
        return {"step": "", "after": None, "route": "", "written_hash": "", "written_form": ""}
    return {name: getattr(noted, name) for name in ("step", "after", "route", "written_hash", "written_form")}


def _verdict(step: str) -> Verdict:
    """Return the verdict of a write that was carried out."""
    return Verdict.REFRESHED if step == Step.REFRESH else Verdict.MIGRATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a meeting; ``temporary`` is set where another try later is worth it."""

    entry: LedgerEntry
    temporary: TemporaryError | None = None
    stopped: Stopped | None = None
    """Set where the run must not go on: the write was announced, and not sent."""
    is_rehashed: bool = False
    """What stands in the calendar is not, letter for letter, what the intent said: undo has to know."""
    written_block: str = ""
    """The meeting block that stands there then."""


def is_carried_out(intent: LedgerEntry, event: Event) -> bool:
    """Say whether the write that an intent announced stands in the calendar.

    Exchange may write the HTML in its own way, so the way to join counts as well as the letters.
    """
    if not intent.step:
        return False
    if body_hash(event.body) == intent.written_hash:
        return True
    ways = [coordinates(each) for each in block.locate(event.body).blocks]
    if intent.after is None:  # Exchange chose it; a block that was pasted there before is none of its
        return intent.before not in ways and made_by_flags(event, intent.route) is not None
    return intent.after in ways


def _as_written(entry: LedgerEntry, intent: LedgerEntry, event: Event) -> Applied:
    """Return what became of a write that was carried out; *event* is as it stands in the calendar now."""
    if entry.written_hash == intent.written_hash:
        return Applied(entry=entry)
    return Applied(entry=entry, is_rehashed=True, written_block=block_text(event.body, entry.after))


class Applier:
    """Applies plans for one user."""

    def __init__(self, parts: Parts, lease: Lease, wish: Wish, *, confirm: Confirm) -> None:
        self._parts = parts
        self._lease = lease
        self._wish = wish
        self._confirm = confirm
        self._has_policy = True
        self._has_teams_calendar: bool | None = None
        self._asking = Lock()

    async def apply(self, planned: Planned, earlier: LedgerEntry | None) -> Applied:
        """Bring one meeting to where the plan says.

        Args:
            planned: The plan.
            earlier: What this run has noted about the meeting before, if anything.

        Raises:
            LeaseLost, Stopped: From the look before the write; nothing was written.
        """
        started_at = self._parts.clock.now()
        with span("meeting", mms__meeting_key=meeting_key(planned.event.event_id)) as step:
            try:
                applied = await self._apply(planned, earlier)
            except TemporaryError as exc:
                applied = Applied(entry=self._failed(planned, earlier, exc, is_final=False), temporary=exc)
            except PermanentError as exc:
                applied = Applied(entry=self._failed(planned, earlier, exc, is_final=True))
            conclude(step, verdict=applied.entry.verdict, code=applied.entry.code)
        return await self._noted(applied, started_at)

    async def leave(self, entry: LedgerEntry) -> Applied:
        """Settle a meeting that an earlier pass left open and that is in question no more.

        It is over, gone, or was changed; or the write whose answer was lost had been carried out after all.

        Args:
            entry: What this run has noted about the meeting.

        Raises:
            LeaseLost: Nothing was noted.
        """
        started_at = self._parts.clock.now()
        try:
            event = await self._parts.graph().calendar.event(self._wish.organizer_id, entry.event_id)
        except TemporaryError as exc:
            applied = Applied(entry=replace(entry, code=exc.code, detail=exc.detail), temporary=exc)
        else:
            applied = self._left(entry, event)
        return await self._noted(applied, started_at)

    def _left(self, entry: LedgerEntry, event: Event | None) -> Applied:
        if event is not None and is_carried_out(entry, event):
            return self._settled(entry, event)
        code, rule = self._why_not_due(event)
        skipped = replace(entry, verdict=Verdict.SKIPPED, code=code, rule=rule, detail="", is_final=True, step="")
        return Applied(entry=replace(skipped, updated_at=self._parts.clock.now()))

    async def _noted(self, applied: Applied, started_at: datetime) -> Applied:
        took = self._parts.clock.now() - started_at
        entry = replace(applied.entry, duration_ms=took // timedelta(milliseconds=1))
        await self._lease.hold()
        if applied.is_rehashed:
            await self._parts.ledger.settle(self._lease.key, entry, written_block=applied.written_block)
        else:
            await self._parts.ledger.put(self._lease.key, entry)
        return replace(applied, entry=entry)

    # -- the ledger's rows --------------------------------------------------------------------------------------

    def _entry(self, planned: Planned, earlier: LedgerEntry | None, verdict: Verdict) -> LedgerEntry:
        event = planned.event
        before = coordinates(planned.own_block)
        return LedgerEntry(
            key=meeting_key(event.event_id),
            run_id=self._lease.run.run_id,
            event_id=event.event_id,
            ical_uid=event.ical_uid,
            subject=event.subject,
            start_at=event.start_at,
            verdict=verdict,
            before=earlier.before if earlier and earlier.before else before,
            attempts=earlier.attempts if earlier else 0,
            mails=earlier.mails if earlier else 0,
            people=headcount(event),
            is_final=True,
            # A retry after a write that was carried out does not see any more what it took out.
            damage=earlier.damage if earlier and earlier.damage else planned.damage,
            updated_at=self._parts.clock.now(),
        )

    def _failed(self, planned: Planned, earlier: LedgerEntry | None, exc: MmsError, *, is_final: bool) -> LedgerEntry:
        entry = self._entry(planned, earlier, Verdict.FAILED)
        return replace(
            entry,
            code=exc.code,
            rule=CATALOGUE[exc.code].rule,
            detail=exc.detail,
            attempts=entry.attempts + 1,
            is_final=is_final,
            # A write whose outcome is not known yet must be recognised by the next pass.
            **_trace(earlier),
        )

    def _open(self, intent: LedgerEntry, exc: TemporaryError, *, trace: dict[str, Any]) -> Applied:
        """Note an announced write that failed, or whose outcome nobody knows, for the next pass."""
        entry = replace(
            intent,
            verdict=Verdict.FAILED,
            code=exc.code,
            rule=CATALOGUE[exc.code].rule,
            detail=exc.detail,
            updated_at=self._parts.clock.now(),
            **trace,
        )
        return Applied(entry=entry, temporary=exc)

    def _unsent(self, intent: LedgerEntry, earlier: LedgerEntry | None, exc: Stopped) -> Applied:
        """Note that a write which was announced has not been sent, and is not wanted any more."""
        if earlier is not None and earlier.step:
            return Applied(entry=replace(earlier, verdict=Verdict.FAILED), stopped=exc)
        skipped = replace(intent, verdict=Verdict.SKIPPED, code=exc.code, rule=CATALOGUE[exc.code].rule, is_final=True)
        return Applied(entry=replace(skipped, **_trace(None)), stopped=exc)

    def _skipped(self, planned: Planned, earlier: LedgerEntry | None, code: str, *, detail: str = "") -> Applied:
        verdict = Verdict.FAILED if planned.step is Step.FAIL else Verdict.SKIPPED
        entry = self._entry(planned, earlier, verdict)
        return Applied(entry=replace(entry, code=code, rule=planned.rule or CATALOGUE[code].rule, detail=detail))

    def _original(self, planned: Planned, entry: LedgerEntry, change: Rewrite) -> Original:
        event = planned.event
        return Original(
            key=entry.key,
            run_id=entry.run_id,
            event_id=event.event_id,
            body=event.body,
            content_type=event.content_type,
            locations_json=jsontext.dumps(event.locations).decode(),
            properties=event.properties,
            written_hash=entry.written_hash,
            # By flags the new block is Exchange's: it is noted once it is there.
            written_block=block_text(change.body, change.after) if change.after is not None else "",
            kept_at=entry.updated_at,
        )

    # -- the way of one meeting -----------------------------------------------------------------------------------

    async def _apply(self, planned: Planned, earlier: LedgerEntry | None) -> Applied:
        earlier, intent = self._opened(planned, earlier)
        for attempt in range(1, ATTEMPTS + 1):
            if intent is not None and is_carried_out(intent, planned.event):
                return self._settled(intent, planned.event)
            if planned.step in (Step.SKIP, Step.FAIL):
                return self._skipped(planned, earlier, planned.code or "MeetingRejected", detail=planned.detail)
            change = await self._change(planned)
            if change is None:
                return self._current(planned, earlier)
            intent = await self._announce(planned, earlier, change)
            try:
                return await self._written(planned, intent, change)
            except Stopped as exc:
                if exc.happening is Happening.CHECKPOINTED:
                    raise  # the next pass goes on where this one was
                return self._unsent(intent, earlier, exc)
            except (TemporaryError, PreconditionLost) as exc:
                try:
                    await self._after_failure(exc, is_last=attempt == ATTEMPTS)
                except TemporaryError as later:
                    return self._open(intent, later, trace=_trace(earlier))
            earlier = intent
            again = await self._parts.graph().calendar.event(self._wish.organizer_id, planned.event.event_id)
            planned = self._planned_again(planned, again)
        raise TemporaryError(code="MeetingChanged")  # pragma: no cover - the last attempt returns or raises

    def _opened(self, planned: Planned, earlier: LedgerEntry | None) -> tuple[LedgerEntry | None, LedgerEntry | None]:
        """Return what was noted, and of it the write that was announced and of which nobody knows what became."""
        intent = earlier if earlier is not None and earlier.step and not earlier.is_final else None
        if earlier is None or intent is None or intent.updated_at >= self._lease.run.fresh_at:
            return earlier, intent
        # A trigger has joined the run since: what was written counts, and everything is looked at again.
        sent = is_carried_out(intent, planned.event)
        return replace(earlier, mails=earlier.mails + sent, **_trace(None)), None

    async def _written(self, planned: Planned, intent: LedgerEntry, change: Rewrite) -> Applied:
        """Send a write and judge the answer.

        Raises:
            TemporaryError, PreconditionLost: It was certainly not carried out.
        """
        try:
            written = await self._send(planned, change)
        except NotFound:
            return self._skipped(replace(planned, step=Step.SKIP), intent, "Deleted")
        except OutcomeUnknown as exc:
            return await self._looked(planned, intent, exc)
        return self._verified(planned, intent, change, written)

    async def _change(self, planned: Planned) -> Rewrite | None:
        """Compute the write of a meeting; ``None`` if nothing has to change.

        Raises:
            PermanentError: ``AppAccessPolicyMissing`` where the way around it is closed as well.
        """
        run_id = self._lease.run.run_id
        if planned.step is Step.MOVE:
            if self._wish.providers is None:  # planned anew, and nobody has asked the calendar: the next pass does
                raise TemporaryError(code="MeetingChanged")
            return rewrite_by_flags(planned, run_id=run_id)
        if planned.step is Step.REPLACE:
            return await self._replacement(planned)
        if planned.step is Step.MIGRATE and await self._must_use_flags(planned):
            return rewrite_by_flags(planned, run_id=run_id)
        try:
            meeting = await self._meeting(planned)
        except PermanentError as exc:
            if exc.code != "AppAccessPolicyMissing" or planned.step is not Step.MIGRATE:
                raise
            self._has_policy = False
            if not await self._must_use_flags(planned):
                raise
            return rewrite_by_flags(planned, run_id=run_id)
        fragment = block.decode_join_information(meeting.join_information)
        if is_current(planned, fragment):
            return None
        change = rewrite(planned, meeting, fragment, run_id=run_id)
        beside = teams_beside(planned)
        return change if beside is None else await self._carried(change, await self._known(beside), meeting)

    async def _replacement(self, planned: Planned) -> Rewrite | None:
        """Compute the write of a Teams meeting that gets another one; what is ours already is refreshed.

        Raises:
            PermanentError: ``AppAccessPolicyMissing``.
        """
        old = await self._known(planned)
        is_ours = old is not None and old.external_id == self._external_id(planned.event)
        meeting = old if old is not None and is_ours else await self._made(planned)
        fragment = block.decode_join_information(meeting.join_information)
        if is_current(planned, fragment):
            return None
        change = rewrite(planned, meeting, fragment, run_id=self._lease.run.run_id)
        return replace(change, step=Step.REFRESH) if is_ours else await self._carried(change, old, meeting)

    async def _carried(self, change: Rewrite, old: OnlineMeeting | None, new: OnlineMeeting) -> Rewrite:
        """Give the new meeting the old one's options; what it cannot have is listed."""
        if old is None:
            return replace(change, not_kept=(*options.CONTENT, options.UNKNOWN))
        if old.meeting_id == new.meeting_id:
            return change
        has = new.options
        wanted = options.to_write(old.options, has)
        if wanted:
            meetings, user = self._parts.graph().meetings, self._wish.organizer_id
            try:
                has = await meetings.set_options(user, new.meeting_id, wanted)
            except PermanentError:
                # One that this tenant's licences do not cover refuses them all: one by one, then.
                for name, value in wanted.items():
                    with contextlib.suppress(PermanentError):
                        has = await meetings.set_options(user, new.meeting_id, {name: value})
        return replace(change, not_kept=(*options.CONTENT, *options.lost(old.options, has)), replaced=old)

    async def _must_use_flags(self, planned: Planned) -> bool:
        """Say whether route A is the way; decided once for the user, then by what the event is.

        Raises:
            PermanentError: The policy is missing and flags would leave the invitation without a link.
        """
        if self._has_policy:
            return False
        async with self._asking:
            if self._has_teams_calendar is None:
                providers = await self._parts.graph().calendar.providers(self._wish.organizer_id)
                self._has_teams_calendar = TEAMS_PROVIDER in providers
        if not self._has_teams_calendar or not can_use_flags(planned):
            raise PermanentError(code="AppAccessPolicyMissing")
        return True

    async def _looked(self, planned: Planned, intent: LedgerEntry, exc: OutcomeUnknown) -> Applied:
        """Look what became of a write whose answer was lost.

        It is never repeated here: the request may still be on its way.
        """
        try:
            event = await self._parts.graph().calendar.event(self._wish.organizer_id, intent.event_id)
        except TemporaryError as later:
            return self._open(intent, later, trace=_trace(intent))
        if event is None:
            return self._skipped(replace(planned, step=Step.SKIP), intent, "Deleted")
        if is_carried_out(intent, event):
            return self._settled(intent, event)
        return self._open(intent, exc, trace=_trace(intent))

    async def _after_failure(self, exc: TemporaryError | PreconditionLost, *, is_last: bool) -> None:
        """Return if another look at once makes sense, after waiting if need be; otherwise raise."""
        if is_last:
            # Somebody edits it at this very moment, again and again: later is better.
            raise TemporaryError(code="MeetingChanged") if isinstance(exc, PreconditionLost) else exc
        if isinstance(exc, TemporaryError):
            wait = exc.retry_after if exc.retry_after is not None else timedelta(seconds=1)
            if wait > PATIENCE:
                raise exc
            await asyncio.sleep(wait.total_seconds())

    def _planned_again(self, planned: Planned, again: Event | None) -> Planned:
        """Plan a meeting anew as it stands now; a skip if there is nothing left to do."""
        if again is not None:
            event = replace(again, series_uid=planned.event.series_uid, series_master_id=planned.event.series_master_id)
            new = plan(event, self._wish, now=self._parts.clock.now(), inherited=planned.event.properties)
            if new is not None:
                return new
        code, rule = self._why_not_due(again)
        return replace(planned, event=again or planned.event, step=Step.SKIP, code=code, rule=rule, detail="")

    def _why_not_due(self, event: Event | None) -> tuple[str, str | None]:
        """Return code and rule of a meeting that is in question no more."""
        if event is None:
            return "Deleted", None
        return "NoLongerDue", "W7" if is_over(event, now=self._parts.clock.now()) else None

    async def _meeting(self, planned: Planned) -> OnlineMeeting:
        return await (self._made(planned) if planned.step is Step.MIGRATE else self._found(planned))

    def _external_id(self, event: Event) -> str:
        return external_id(tenant_id=self._wish.tenant_id, user_id=self._wish.organizer_id, series_uid=event.series_uid)

    async def _made(self, planned: Planned) -> OnlineMeeting:
        event, own, meetings = planned.event, planned.own_block, self._parts.graph().meetings
        meeting = await meetings.create_or_get(
            self._wish.organizer_id,
            external_id=self._external_id(event),
            subject=event.subject,
            start=event.start_at,
            end=event.end_at,
            language=own.language if own else None,
        )
        says, shall = (meeting.subject, meeting.start_at, meeting.end_at), (event.subject, event.start_at, event.end_at)
        # An exception shares the meeting of its series, and has times of its own.
        if meeting.was_there and event.series_master_id is None and None not in shall and says != shall:
            change = {"subject": event.subject, "startDateTime": event.start_at, "endDateTime": event.end_at}
            with contextlib.suppress(PermanentError):  # people join by its link, whatever Teams calls it
                await meetings.set_options(self._wish.organizer_id, meeting.meeting_id, change)
        return meeting

    async def _known(self, planned: Planned) -> OnlineMeeting | None:
        """Return the Teams meeting that an invitation leads to, ``None`` where Teams does not know it."""
        try:
            return await self._found(planned)
        except PermanentError as exc:
            if exc.code != "TeamsMeetingNotFound":
                raise
        return None

    async def _found(self, planned: Planned) -> OnlineMeeting:
        return await find_meeting(self._parts.graph().meetings, self._wish.organizer_id, planned)

    def _current(self, planned: Planned, earlier: LedgerEntry | None) -> Applied:
        after = coordinates(planned.own_block)
        return Applied(entry=replace(self._entry(planned, earlier, Verdict.CURRENT), after=after))

    def _settled(self, intent: LedgerEntry, event: Event) -> Applied:
        """Note a write whose answer was lost, and which stands in the calendar: it was us.

        What stands there is ours to take back only as far as nobody has edited it before we looked.
        """
        after = intent.after or made_by_flags(event, intent.route)
        appended = after if intent.after is None else None
        form = form_hash(event.body, content_type=event.content_type, without=appended)
        entry = replace(
            intent,
            verdict=_verdict(intent.step),
            damage=_repaired(intent.damage),
            code=None,
            rule=None,
            detail="",
            after=after,
            mails=intent.mails + 1,
            is_final=True,
            written_hash=body_hash(event.body) if form == intent.written_form else intent.written_hash,
            updated_at=self._parts.clock.now(),
        )
        return _as_written(entry, intent, event)

    async def _announce(self, planned: Planned, earlier: LedgerEntry | None, change: Rewrite) -> LedgerEntry:
        """Look whether the write is still wanted, and note it together with the original before it is sent."""
        intent = replace(
            self._entry(planned, earlier, Verdict.WRITING),
            after=change.after,
            attempts=(earlier.attempts if earlier else 0) + 1,
            is_final=False,
            step=str(change.step),
            not_kept=change.not_kept,
            route="" if change.route is Route.REPLACE else str(change.route),
            written_hash=body_hash(change.body),
            written_form=form_hash(change.body, content_type=planned.event.content_type),
        )
        await self._lease.check()
        if change.replaced is not None:
            await note_replaced(self._parts, self._lease.key, intent.key, intent.event_id, change.replaced)
        await self._parts.ledger.put(self._lease.key, intent, self._original(planned, intent, change))
        return intent

    async def _send(self, planned: Planned, change: Rewrite) -> Written:
        event = planned.event
        return await self._parts.graph().calendar.update(
            self._wish.organizer_id,
            event.event_id,
            EventChange(
                body=change.body,
                content_type=event.content_type,
                locations=change.locations,
                properties=change.properties,
                makes_online=_PROVIDERS.get(change.route),
            ),
            etag=event.etag,
            confirm=self._confirm,
        )

    def _verified(self, planned: Planned, intent: LedgerEntry, change: Rewrite, written: Written) -> Applied:
        entry = replace(
            intent,
            verdict=_verdict(intent.step),
            damage=_repaired(intent.damage),
            request_id=written.request_id,
            is_final=True,
            mails=intent.mails + 1,
            after=intent.after or made_by_flags(written.event, intent.route),
            updated_at=self._parts.clock.now(),
            written_hash=body_hash(written.event.body),
        )
        wrong = mismatch(change, planned, written.event)
        if wrong is not None:
            entry = replace(entry, verdict=Verdict.FAILED, code="VerificationFailed", detail=wrong)
        return _as_written(entry, intent, written.event)
