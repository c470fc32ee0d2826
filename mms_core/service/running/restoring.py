"""Undo: the originals that the ledger kept go back into the calendar, by one write each, unless somebody edited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mms_core import block, jsontext
from mms_core.differences import difference
from mms_core.errors import (
    CATALOGUE,
    NotFound,
    OutcomeUnknown,
    PermanentError,
    PreconditionLost,
    TemporaryError,
)
from mms_core.meetings import LedgerEntry
from mms_core.model import Verdict
from mms_core.planning import coordinates
from mms_core.ports import EventChange
from mms_core.service.running.retiring import has_ended

if TYPE_CHECKING:
    from mms_core.meetings import Difference, Event, Original
    from mms_core.model import UserKey
    from mms_core.ports import Confirm, Written
    from mms_core.service.parts import Parts
    from mms_core.service.running.lease import Lease

RESTORE: Final = "restore"
"""The step of an intent that puts an original back."""
ATTEMPTS: Final = 4
"""Times a meeting is looked at again in one pass because somebody writes it at the same moment."""


class _Edited(PermanentError):
    """Somebody edited the meeting since we wrote it; the detail names what, never what it says."""

    default_code = "EditedSince"

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.parts)
        self.difference = difference


async def restoration(
    parts: Parts, key: UserKey, original: Original, known: LedgerEntry | None, event: Event | None
) -> EventChange | None:
    """Return the write that brings an original back, ``None`` where it stands there already.

    Args:
        parts: Where to look up whether the old Teams meeting is still there.
        key: Whose meeting it is.
        original: What the ledger keeps.
        known: The meeting's newest entry.
        event: As it is now, ``None`` if it is gone.

    Raises:
        NotFound: It is gone.
        PermanentError: ``EditedSince`` if body or places are not the ones that we left behind;
            ``ReplacedMeetingEnded``.
    """
    if event is None:
        raise NotFound
    if event.body == original.body:
        return None  # an intent that was never carried out, or an undo that was
    return await _write_back(parts, key, original, known, event)


async def _write_back(
    parts: Parts, key: UserKey, original: Original, known: LedgerEntry | None, event: Event
) -> EventChange:
    leads_to_teams = any(each.kind is block.BlockKind.TEAMS for each in block.locate(original.body).blocks)
    if leads_to_teams and await has_ended(parts, key, original.key):
        raise PermanentError(code="ReplacedMeetingEnded")
    is_ours = original.is_ours(event.body)
    # After an undo that was refused, what we had written is what its row says of before.
    ways = [each for each in (known.before, known.after) if each] if known else []
    since = difference(original, event, is_body_ours=is_ours, written=ways)
    if not is_ours or since.locations_now is not None:
        raise _Edited(since)
    return EventChange(
        body=original.body,
        content_type=original.content_type,
        locations=_locations(original, event),
        # Ours, and what Exchange added when flags made it online: nothing that the original had not.
        properties={name: "" for name, value in event.properties.items() if value} | original.properties,
    )


def _locations(original: Original, event: Event) -> tuple[dict[str, object], ...] | None:
    kept = jsontext.loads(original.locations_json, list[dict[str, Any]])
    return tuple(kept) if list(event.locations) != kept else None


_BACK: Final = (Verdict.RESTORED, Verdict.CURRENT)
"""What stands in the calendar is the original."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What became of a meeting; ``temporary`` is set where another try later is worth it."""

    entry: LedgerEntry
    temporary: TemporaryError | None = None


def _is_behind(original: Original, event: Event, intent: LedgerEntry) -> bool:
    """Say whether an event was edited after it was restored: it leads where it did, and our marker is gone again."""
    ways = [coordinates(each) for each in block.locate(event.body).blocks]
    leads_back = intent.before not in ways if intent.after is None else intent.after in ways
    return leads_back and event.properties.get("MmsRun", "") == original.properties.get("MmsRun", "")


class Restorer:
    """Restores the meetings of one user."""

    def __init__(self, parts: Parts, lease: Lease, *, confirm: Confirm) -> None:
        self._parts = parts
        self._lease = lease
        self._confirm = confirm

    async def wanted(self) -> list[Original]:
        """Return every original that has not been undone, or those of them that the run names."""
        wanted = self._lease.run.undo_events
        originals = await self._parts.ledger.originals(self._lease.key)
        return [each for each in originals if not wanted or each.key in wanted]

    async def restore(self, original: Original, known: LedgerEntry | None) -> Restored:
        """Bring one meeting back to its original.

        Args:
            original: The invitation as it was.
            known: The newest that the ledger says about the meeting, if anything.

        Raises:
            LeaseLost, Stopped: From the look before the write; nothing was written.
        """
        entry = self._entry(original, known)
        try:
            restored = await self._restored(original, entry)
        except TemporaryError as exc:
            restored = self._open(entry, exc)
        except (PermanentError, NotFound) as exc:
            restored = Restored(entry=self._failed(entry, exc))
        await self._lease.hold()
        await self._parts.ledger.put(self._lease.key, restored.entry)
        if restored.entry.verdict in _BACK:
            await self._parts.ledger.put_original(self._lease.key, replace(original, undone_at=self._parts.clock.now()))
        return restored

    def _open(self, entry: LedgerEntry, exc: TemporaryError) -> Restored:
        return Restored(entry=replace(self._failed(entry, exc), is_final=False), temporary=exc)

    def _failed(self, entry: LedgerEntry, exc: TemporaryError | PermanentError | NotFound) -> LedgerEntry:
        code = "Deleted" if isinstance(exc, NotFound) else exc.code
        return replace(
            entry,
            code=code,
            rule=CATALOGUE[code].rule,
            detail=exc.detail,
            is_final=True,
            difference=exc.difference if isinstance(exc, _Edited) else None,
        )

    def _entry(self, original: Original, known: LedgerEntry | None) -> LedgerEntry:
        found = block.locate(original.body).blocks
        after = coordinates(found[0] if found else None)
        before = known.after if known else None
        if known is not None and before == after:  # the row of an undo that did not come to its end
            before = known.before
        own = known if known is not None and known.run_id == self._lease.run.run_id else None
        return LedgerEntry(
            key=original.key,
            run_id=self._lease.run.run_id,
            event_id=original.event_id,
            ical_uid=known.ical_uid if known else "",
            subject=known.subject if known else "",
            start_at=known.start_at if known else None,
            verdict=Verdict.FAILED,
            before=before,
            after=after,
            attempts=own.attempts + 1 if own else 1,
            people=known.people if known else 0,
            mails=own.mails if own else 0,
            step=own.step if own and not own.is_final else "",
            updated_at=self._parts.clock.now(),
        )

    async def _restored(self, original: Original, entry: LedgerEntry) -> Restored:
        """Write the original back if it is not there.

        Raises:
            MmsError: As :func:`restoration`, and whatever a write can end in.
        """
        for _ in range(ATTEMPTS):
            event = await self._event(original)
            settled = self._settled(original, event, entry)
            if settled is not None:
                return Restored(entry=settled)
            change = await _write_back(self._parts, self._lease.key, original, entry, event)
            await self._announce(entry)
            try:
                written = await self._parts.graph().calendar.update(
                    self._lease.key, original.event_id, change, etag=event.etag, confirm=self._confirm
                )
            except PreconditionLost:
                continue  # somebody writes it at this very moment, or its ETag has moved by itself
            except OutcomeUnknown as exc:
                return await self._looked(original, replace(entry, step=RESTORE), exc)
            return Restored(entry=self._verified(original, entry, written))
        raise TemporaryError(code="MeetingChanged")

    async def _event(self, original: Original) -> Event:
        event = await self._parts.graph().calendar.event(self._lease.key, original.event_id)
        if event is None:
            raise NotFound
        return event

    def _settled(self, original: Original, event: Event, entry: LedgerEntry) -> LedgerEntry | None:
        """Return the row of a meeting that has its original already, ``None`` where it has not."""
        done = replace(entry, verdict=Verdict.RESTORED, is_final=True, mails=entry.mails + bool(entry.step))
        if event.body == original.body:
            # Sent by an earlier pass of this undo; or the migration was announced, and never carried out.
            return done if done.mails else replace(done, verdict=Verdict.CURRENT, before=done.after)
        if not entry.step or not _is_behind(original, event, entry):
            return None
        # Its answer was lost, and somebody has edited what we restored: that stays, and is shown.
        ways = [entry.before] if entry.before else []
        return replace(done, difference=difference(original, event, is_body_ours=False, written=ways))

    async def _looked(self, original: Original, intent: LedgerEntry, exc: OutcomeUnknown) -> Restored:
        """Look what became of a write whose answer was lost; it is never repeated here."""
        try:
            settled = self._settled(original, await self._event(original), intent)
        except TemporaryError as later:
            return self._open(intent, later)
        return Restored(entry=settled) if settled is not None else self._open(intent, exc)

    def _verified(self, original: Original, entry: LedgerEntry, written: Written) -> LedgerEntry:
        sent = replace(entry, request_id=written.request_id, is_final=True, mails=entry.mails + 1)
        if written.event.body != original.body:
            return self._failed(sent, PermanentError("body", code="VerificationFailed"))
        return replace(sent, verdict=Verdict.RESTORED)

    async def _announce(self, entry: LedgerEntry) -> None:
        """Look whether the write is still wanted, and note it before it is sent: a worker that dies has counted it."""
        await self._lease.check()
        await self._parts.ledger.put(self._lease.key, replace(entry, verdict=Verdict.WRITING, step=RESTORE))
