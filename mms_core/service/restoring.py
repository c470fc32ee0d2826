"""Undo: the originals that the ledger kept go back into the calendar, by one write each, unless somebody edited."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mms_core import block, jsontext
from mms_core.differences import WRITTEN_BY_US, difference
from mms_core.errors import CATALOGUE, NotFound, PermanentError, PreconditionLost, TemporaryError
from mms_core.model import LedgerEntry, Verdict, body_hash
from mms_core.planning import coordinates
from mms_core.ports import EventChange
from mms_core.service.retiring import has_ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mms_core.model import Difference, Event, Original, UserKey
    from mms_core.service.lease import Lease
    from mms_core.service.parts import Parts


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
    leads_to_teams = any(each.kind is block.BlockKind.TEAMS for each in block.locate(original.body).blocks)
    if leads_to_teams and await has_ended(parts, key, original.key):
        raise PermanentError(code="ReplacedMeetingEnded")
    if event.body == original.body:
        return None  # an intent that was never carried out, or an earlier pass of this undo
    is_ours = body_hash(event.body) == original.written_hash
    # After an undo that was refused, what we had written is what its row says of before.
    ways = [each for each in (known.before, known.after) if each] if known else []
    since = difference(original, event, is_body_ours=is_ours, written=ways)
    if not is_ours or since.locations_now is not None:
        raise _Edited(since)
    return EventChange(
        body=original.body,
        content_type=original.content_type,
        locations=_locations(original, event),
        properties={name: "" for name in WRITTEN_BY_US if event.properties.get(name)} | original.properties,
    )


def _locations(original: Original, event: Event) -> tuple[dict[str, object], ...] | None:
    kept = jsontext.loads(original.locations_json, list[dict[str, Any]])
    return tuple(kept) if list(event.locations) != kept else None


class Restorer:
    """Restores the meetings of one user."""

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease

    async def restore(self, note: Callable[..., Awaitable[None]]) -> int:
        """Restore every original that has not been undone, or those that the run names.

        Args:
            note: Called with each meeting's entry.

        Returns:
            How many were in question.
        """
        wanted = self._lease.run.undo_events
        originals = [
            each for each in await self._parts.ledger.originals(self._lease.key) if not wanted or each.key in wanted
        ]
        entries = {entry.key: entry for entry in await self._parts.ledger.entries(self._lease.key)}
        for original in originals:
            entry, temporary = await self._one(original, entries.get(original.key))
            await note(entry, temporary=temporary)
        return len(originals)

    async def _one(self, original: Original, known: LedgerEntry | None) -> tuple[LedgerEntry, TemporaryError | None]:
        entry = self._entry(original, known)
        temporary = None
        try:
            has_mailed, request_id = await self._write(original, known)
            entry = replace(
                entry, verdict=Verdict.RESTORED, request_id=request_id, is_final=True, mails=entry.mails + has_mailed
            )
        except TemporaryError as exc:
            temporary = exc
            entry = replace(entry, code=exc.code, detail=exc.detail)
        except (PermanentError, PreconditionLost, NotFound) as exc:
            code = {"PreconditionFailed": "MeetingChanged", "NotFound": "Deleted"}.get(exc.code, exc.code)
            entry = replace(entry, code=code, rule=CATALOGUE[code].rule, detail=exc.detail, is_final=True)
            if isinstance(exc, _Edited):
                entry = replace(entry, difference=exc.difference)
        await self._lease.hold()
        await self._parts.ledger.put(self._lease.key, entry)
        if entry.verdict is Verdict.RESTORED:
            await self._parts.ledger.put_original(self._lease.key, replace(original, undone_at=self._parts.clock.now()))
        return entry, temporary

    def _entry(self, original: Original, known: LedgerEntry | None) -> LedgerEntry:
        found = block.locate(original.body).blocks
        return LedgerEntry(
            key=original.key,
            run_id=self._lease.run.run_id,
            event_id=original.event_id,
            ical_uid=known.ical_uid if known else "",
            subject=known.subject if known else "",
            start_at=known.start_at if known else None,
            verdict=Verdict.FAILED,
            before=known.after if known else None,
            after=coordinates(found[0] if found else None),
            attempts=1,
            people=known.people if known else 0,
            mails=known.mails if known and known.run_id == self._lease.run.run_id else 0,
            updated_at=self._parts.clock.now(),
        )

    async def _write(self, original: Original, known: LedgerEntry | None) -> tuple[bool, str | None]:
        """Write the original back; says whether a write was needed, and Graph's request id.

        Raises:
            MmsError: As :func:`restoration`, and whatever a write can end in.
        """
        calendar = self._parts.graph().calendar
        event = await calendar.event(self._lease.key, original.event_id)
        change = await restoration(self._parts, self._lease.key, original, known, event)
        if change is None or event is None:
            return False, None
        await self._lease.check()
        written = await calendar.update(self._lease.key, original.event_id, change, etag=event.etag)
        if written.event.body != original.body:
            raise PermanentError("body", code="VerificationFailed")
        return True, written.request_id
