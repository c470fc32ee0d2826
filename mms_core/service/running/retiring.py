"""Teams meetings that a migration replaced: noted before the write, ended after days of grace where that is wanted.

Ending is safe to repeat, and nothing is ended that an invitation of the organizer still leads to: a write that was not
carried out, one that was undone, an exception that has not been rewritten yet.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core import block
from mms_core.errors import PermanentError
from mms_core.model import State, UserKey
from mms_core.service.deciding import audience_of
from mms_core.service.jobs import Done
from mms_core.service.visits import MailboxBusy, visiting
from mms_core.telemetry import log
from mms_core.windows import next_open_at

if TYPE_CHECKING:
    from mms_core.meetings import Event, OnlineMeeting
    from mms_core.service.parts import Parts

RETIRE: Final = "retire"
REPLACED: Final = "replaced"
"""Kind of the documents: one an event."""
_PAGE: Final = 200


def _key(user: str, meeting: str) -> str:
    return f"{user}-{meeting}"


def _links(event: Event) -> set[str]:
    """Return the Teams meetings that an event leads to, by any of the ways it says so."""
    found = {each.join_url for each in block.locate(event.body).blocks}
    found |= {event.join_url, event.properties.get("SkypeTeamsMeetingUrl")}
    return {block.canonical_join_url(each) for each in found if each}


async def note_replaced(parts: Parts, key: UserKey, meeting: str, event_id: str, old: OnlineMeeting) -> None:
    """Note that an event is about to lead to another Teams meeting than before; *meeting* is its key."""
    value = {
        "key": _key(key, meeting),
        "userId": key,
        "eventId": event_id,
        "meetingId": old.meeting_id,
        "joinUrl": block.canonical_join_url(old.join_url),
        "replacedAt": parts.clock.now().isoformat(),
        "endedAt": None,
    }
    await parts.documents.put(REPLACED, _key(key, meeting), value)


async def has_ended(parts: Parts, key: UserKey, meeting: str) -> bool:
    """Say whether the Teams meeting that an event led to before its migration has been ended by us."""
    stored = await parts.documents.get(REPLACED, _key(key, meeting))
    return stored is not None and stored.value["endedAt"] is not None


class Retiring:
    """Handler of the job that ends replaced meetings."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def page(self, run: str, arguments: dict[str, Any], cursor: dict[str, Any] | None) -> Done:
        """See :class:`~mms_core.service.jobs.Handler`."""
        del run, arguments
        settings, now = await self._parts.settings(), self._parts.clock.now()
        days = settings.EndReplacedMeetingsAfterDays
        rows = await self._parts.documents.list(REPLACED, top=_PAGE, after=(cursor or {}).get("after", ""))
        kept_until = now - timedelta(days=settings.RetentionDays)
        due: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            replaced_at = datetime.fromisoformat(row["replacedAt"])
            if replaced_at < kept_until:
                await self._parts.documents.remove(REPLACED, row["key"])
            elif days is not None and row["endedAt"] is None and replaced_at + timedelta(days=days) <= now:
                due.setdefault(row["userId"], []).append(row)
        ended = 0
        for user, waiting in due.items():
            ended += await self._user(user, waiting)
        following = {"after": rows[-1]["key"]} if len(rows) == _PAGE else None
        return Done(cursor=following, counts={"ended": ended})

    async def _user(self, user: str, rows: list[dict[str, Any]]) -> int:
        """End what nothing in a user's calendars leads to any more; what may not be done now is left to the next sweep.

        The lists hold as for any other write, and a run of the user has its mailbox to itself.
        """
        if not await self._is_wanted():
            return 0
        try:
            record = await self._parts.users.read(UserKey(user))
            if record is not None and record.value.current.state is State.IN_PROGRESS:
                return 0  # also where its worker died: what became of the last write, nobody knows
            facts = await self._parts.graph().directory.user(user)
            if await audience_of(self._parts, await self._parts.settings(), facts) == "excluded":
                log("meetings_not_ended", user_id=user, code="UserExcluded")
                return 0
            async with visiting(self._parts, user):
                return await self._end_unused(user, rows)
        except (PermanentError, MailboxBusy) as exc:
            log("meetings_not_ended", user_id=user, code=exc.code)
            return 0

    async def _end_unused(self, user: str, rows: list[dict[str, Any]]) -> int:
        used, ended = await self._used(user), 0
        for row in rows:
            if row["joinUrl"] not in used:
                ended += await self._end(user, row)
        return ended

    async def _is_wanted(self) -> bool:
        """Say whether meetings may be ended now: off means off, and the window holds."""
        settings, now = await self._parts.settings(), self._parts.clock.now()
        is_open = next_open_at(settings.window(), now) <= now
        return settings.MeetingMigrationEnabled and is_open and not self._parts.stopping()

    async def _used(self, user: str) -> set[str]:
        calendar, now = self._parts.graph().calendar, self._parts.clock.now()
        used: set[str] = set()
        async for event in calendar.candidates(user, now=now, secondary=True):
            used |= _links(event)
            if event.kind == "seriesMaster":
                for exception in (await calendar.series(user, event.event_id)).exceptions:
                    used |= _links(exception)
        return used

    async def _end(self, user: str, row: dict[str, Any]) -> bool:
        if not await self._is_wanted():
            return False
        try:
            await self._parts.graph().meetings.end(user, row["meetingId"])
        except PermanentError as exc:
            log("meeting_not_ended", user_id=user, code=exc.code)
            return False
        await self._parts.documents.put(REPLACED, row["key"], {**row, "endedAt": self._parts.clock.now().isoformat()})
        return True
