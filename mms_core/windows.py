"""Maintenance windows: the days and hours at which calendars may be written, in a zone of the tenant's. Pure.

A window of several spans repeats every week. A span that ends at or before its beginning goes on into the next day
and belongs to the day on which it begins. Wall times are the zone's own: on the night when clocks go forward a span
inside the missing hour does not happen, on the night when they go back it lasts an hour longer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mms_core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_DAY: Final = timedelta(days=1)
_HORIZON_DAYS: Final = 15
"""A weekly span that a change of clocks swallows comes again a week later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When calendars may be written. ``spans`` are minutes after midnight; the end may lie in the next day."""

    days: frozenset[int]
    """0 is Monday."""
    spans: tuple[tuple[int, int], ...]
    zone: ZoneInfo

    def _openings(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        today = at.astimezone(self.zone).date()
        for number in range(-2, _HORIZON_DAYS):
            day = today + number * _DAY
            if day.weekday() in self.days:
                for begin, end in self.spans:
                    opens, closes = self._instant(day, begin), self._instant(day, end)
                    if opens < closes:
                        yield opens, closes

    def _instant(self, day: date, minutes: int) -> datetime:
        days, minutes = divmod(minutes, 24 * 60)
        wall = datetime.combine(day + days * _DAY, time(minutes // 60, minutes % 60), tzinfo=self.zone)
        return wall.astimezone(UTC)

    def next_open_at(self, at: datetime) -> datetime:
        """Return the first instant from *at* on at which the window is open; *at* itself if it is open then.

        Raises:
            ValueError: *at* is naive.
        """
        if at.tzinfo is None:
            raise ValueError("at must be aware")
        coming = [max(opens, at) for opens, closes in self._openings(at) if closes > at]
        return min(coming)

    def is_open(self, at: datetime) -> bool:
        """Say whether calendars may be written at an instant; the end of a span is outside it."""
        return self.next_open_at(at) == at


def next_open_at(window: Window | None, at: datetime) -> datetime:
    """Return the first instant from *at* on at which work is allowed; without a window that is *at*."""
    return at if window is None else window.next_open_at(at)


def _days(text: str) -> frozenset[int]:
    numbers = {name.lower(): number for number, name in enumerate(DAYS)}
    days: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.lower().partition("-")
        if first not in numbers or (dash and last not in numbers):
            raise BadInput(f"days are {', '.join(DAYS)}, also as Mon-Fri", field="MaintenanceDays")
        number = numbers[first]
        days.add(number)
        while dash and number != numbers[last]:
            number = (number + 1) % 7
            days.add(number)
    return frozenset(days)


def _span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise BadInput("hours are spans such as 22:00-06:00, separated by commas", field="MaintenanceHours")
    begin = int(found[1]) * 60 + int(found[2])
    end = 24 * 60 if found[3] is None else int(found[3]) * 60 + int(found[4])
    return begin, end if end > begin else end + 24 * 60


def parse(days: str, hours: str, zone: str) -> Window | None:
    """Read a window from settings.

    Args:
        days: ``Mon-Fri``, ``Sat,Sun``; empty means every day.
        hours: ``22:00-06:00``, several separated by commas; empty means the whole day.
        zone: A name of the IANA database.

    Returns:
        The window, or ``None`` if work is allowed at any time.

    Raises:
        BadInput: ``field`` names the setting.
    """
    try:
        known = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput("a zone of the IANA database, such as Europe/Berlin", field="MaintenanceTimeZone") from None
    if not days.strip() and not hours.strip():
        return None
    spans = tuple(_span(each) for each in hours.replace(" ", "").split(",")) if hours.strip() else ((0, 24 * 60),)
    return Window(days=_days(days) if days.strip() else frozenset(range(7)), spans=spans, zone=known)
