"""Finds every meeting in question of one user, with as few requests as it takes: one listing, one read a series."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mms_core.errors import explain
from mms_core.futures import has_future, last_by
from mms_core.meetings import meeting_key
from mms_core.planning import Planned, Step, Wish, allowed, plan
from mms_core.selecting import selects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from mms_core.meetings import Event, Original, Series
    from mms_core.ports import Calendar

CONCURRENCY: Final = 4
"""Requests at once for one mailbox: Exchange's own limit for an app (throttling guidance)."""
_WINDOW: Final = timedelta(days=365)
"""Exchange refuses more than two years at once."""
_FARTHEST: Final = 3 * _WINDOW
"""A series whose facts do not tell how long it can last, and that has nothing for so long, is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is in question of one user."""

    wish: Wish
    """What was asked for, with what the calendar can make by itself, if a plan depends on it."""
    groups: list[list[Planned]]
    """See :meth:`Finder.find`."""
    calendars_gone: int = 0
    """Secondary calendars that were removed while they were looked at."""

    @property
    def remark(self) -> str:
        """What of the calendars is missing here, in words; empty if nothing is."""
        return explain("CalendarGone", f"{self.calendars_gone} of them") if self.calendars_gone else ""


async def found(
    calendar: Calendar, wish: Wish, *, now: datetime, originals: Callable[[], Awaitable[list[Original]]]
) -> Found:
    """Find and plan for one user; asks what the calendar can make by itself only if a plan depends on it.

    Args:
        calendar: See :class:`Finder`, also for the others.
        wish: What is asked for.
        now: Aware UTC.
        originals: What the ledger keeps.
    """
    finder = Finder(calendar, wish, now=now, originals=originals)
    groups = await finder.find()
    if any(planned.step is Step.MOVE for group in groups for planned in group):
        wish = replace(wish, providers=await calendar.providers(wish.organizer_id))
        groups = [[allowed(planned, wish) for planned in group] for group in groups]
    return Found(wish=wish, groups=groups, calendars_gone=len(finder.gone))


class Finder:
    """Finds and plans for one user.

    Args:
        calendar: Where the user's meetings are.
        wish: What is asked for.
        now: Aware UTC.
        originals: Gives what the ledger keeps of the user's meetings; asked only if a series needs it.
    """

    def __init__(
        self, calendar: Calendar, wish: Wish, *, now: datetime, originals: Callable[[], Awaitable[list[Original]]]
    ) -> None:
        self._originals = originals
        self._calendar = calendar
        self._wish = wish
        self._now = now
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self.gone: list[str] = []
        """Ids of secondary calendars that were removed while they were looked at."""

    async def find(self) -> list[list[Planned]]:
        """Return what is in question, the nearest start first.

        Each item is one meeting, or a series with its exceptions: those are worked on one after the other, because
        writing a master moves its exceptions' ETags.
        """
        groups: list[list[Planned]] = []
        masters: list[Event] = []
        async for event in self.listed():
            if event.kind == "seriesMaster":
                masters.append(event)
            else:
                groups.append(await self.planned(event))
        for found in await asyncio.gather(*map(self.planned, masters), return_exceptions=True):
            if isinstance(found, BaseException):
                raise found
            groups.append(found)
        chosen = [[each for each in group if self._is_selected(each)] for group in groups]
        return sorted((group for group in chosen if group), key=self._next_start)

    async def listed(self) -> AsyncIterator[Event]:
        """Yield the single meetings and series masters that the user organizes, by one query a calendar."""
        async for event in self._calendar.candidates(
            self._wish.organizer_id, now=self._now, secondary=self._wish.secondary, gone=self.gone
        ):
            if event.is_organizer and not event.is_cancelled and not event.is_draft:
                yield event

    async def planned(self, event: Event) -> list[Planned]:
        """Return what is in question of one event: itself, or a series with its exceptions, for one more read."""
        if event.kind == "seriesMaster":
            return await self._series(event)
        planned = plan(event, self._wish, now=self._now)
        return [planned] if planned is not None else []

    def _is_selected(self, planned: Planned) -> bool:
        # Which of several blocks is the meeting's own is not known where the body is ambiguous.
        shown = planned.located.blocks if planned.located.ambiguous else planned.located.blocks[:1]
        urls = [each.join_url for each in shown] or [None]
        return any(selects(self._wish.selections, planned.event, join_url=url) for url in urls)

    def _next_start(self, group: list[Planned]) -> datetime:
        return min(max(each.event.start_at or self._now, self._now) for each in group)

    async def _series(self, master: Event) -> list[Planned]:
        async with self._slots:
            series = await self._calendar.series(self._wish.organizer_id, master.event_id)
            found = []
            planned = plan(master, self._wish, now=self._now)
            if planned is not None and await self._goes_on(planned, series):
                found.append(planned)
        # An exception may lie in the future though the regular range is over, and has a body of its own.
        for exception in series.exceptions:
            planned = plan(exception, self._wish, now=self._now, inherited=master.properties)
            if planned is not None and planned.code == "PastedBlock" and not exception.properties:
                planned = await self._by_its_own_properties(master, exception) or planned
            if planned is not None:
                found.append(planned)
        return found

    async def _by_its_own_properties(self, master: Event, exception: Event) -> Planned | None:
        """Plan an exception whose block the series' properties do not prove, or not any more.

        A pass that ended between the two leaves a master that shows Teams' properties, and exceptions that lead to
        Skype as before. The exception's own are not in the answer to the master's read, so it is read alone; where it
        has none, those count that the master had before we wrote it.
        """
        async with self._slots:
            alone = await self._calendar.event(self._wish.organizer_id, exception.event_id)
        own = alone.properties if alone is not None else {}
        planned = plan(replace(exception, properties=own), self._wish, now=self._now) if own else None
        if (planned is None or planned.code == "PastedBlock") and master.properties.get("MmsRun"):
            key = meeting_key(master.event_id)
            kept = next((each for each in await self._originals() if each.key == key), None)
            if kept is not None:
                return plan(exception, self._wish, now=self._now, inherited=kept.properties) or planned
        return planned

    async def _goes_on(self, planned: Planned, series: Series) -> bool:
        known = has_future(planned.event, series.cancelled, now=self._now, exceptions=len(series.exceptions))
        if known is not None:
            return known
        last, start = last_by(planned.event) or (self._now + _FARTHEST).date(), self._now
        while start.date() <= last:
            if await self._calendar.has_occurrence(
                self._wish.organizer_id, planned.event.event_id, start=start, end=start + _WINDOW
            ):
                return True
            start += _WINDOW
        return False
