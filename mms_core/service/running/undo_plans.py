"""What an undo would do: the plan of each meeting, for whoever has to decide; reads the calendar and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mms_core import block
from mms_core.errors import NotFound, PermanentError
from mms_core.model import UserKey
from mms_core.planning import block_text, coordinates, headcount
from mms_core.service.running.restoring import restoration

if TYPE_CHECKING:
    from collections.abc import Collection

    from mms_core.meetings import Coordinates, Event, LedgerEntry, Original
    from mms_core.service.parts import Parts


def _way(body: str) -> Coordinates | None:
    found = block.locate(body).blocks
    return coordinates(found[0] if found else None)


class UndoPlans:
    """Plans the undo of one user's meetings."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def rows(self, user_id: str, wanted: Collection[str]) -> list[tuple[Event | None, dict[str, Any]]]:
        """Return a row for each original that is kept and not undone, or for those whose key is *wanted*.

        A row is of the shape of a preview's; what is about people is left to the caller, who has the event.

        Raises:
            TemporaryError: Graph or storage did not answer.
        """
        key = UserKey(user_id)
        entries = {entry.key: entry for entry in await self._parts.ledger.entries(key)}
        originals = [each for each in await self._parts.ledger.originals(key) if not wanted or each.key in wanted]
        rows = [await self._row(key, original, entries.get(original.key)) for original in originals]
        return sorted(rows, key=lambda row: (str(row[1]["start"]), row[1]["key"]))

    async def _row(
        self, key: UserKey, original: Original, known: LedgerEntry | None
    ) -> tuple[Event | None, dict[str, Any]]:
        calendar = self._parts.graph().calendar
        event = await calendar.event(key, original.event_id)
        verdict, code, mails = "restore", None, 1
        try:
            change = await restoration(self._parts, key, original, known, event)
            verdict = "restore" if change is not None else "current"
        except (PermanentError, NotFound) as exc:
            verdict, code = "fail", "Deleted" if isinstance(exc, NotFound) else exc.code
        if verdict == "restore" and event is not None and event.kind == "seriesMaster":
            # Graph mails once for a master and once for each exception of it.
            mails += len((await calendar.series(key, event.event_id)).exceptions)
        body = event.body if event is not None else ""
        start_at = event.start_at if event is not None else known.start_at if known else None
        return event, {
            "key": original.key,
            "eventId": original.event_id,
            "iCalUId": event.ical_uid if event is not None else known.ical_uid if known else "",
            "subject": event.subject if event is not None else known.subject if known else "",
            "start": start_at.isoformat() if start_at else None,
            "verdict": verdict,
            "rule": None,
            "code": code,
            "before": _way(body),
            "after": _way(original.body),
            "contentType": original.content_type.lower(),
            "oldBlock": block_text(body, known.after if known else None) or None,
            "newBlock": block_text(original.body, None) or None,
            "people": headcount(event) if event is not None else 0,
            "updates": mails if verdict == "restore" else 0,
            "graphCalls": 2 if verdict == "restore" else 0,
        }
