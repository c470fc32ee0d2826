"""Whether a meeting still has a future (W7), by arithmetic that is sure of its answer or says that it is not.

Expanding recurrences is the calendar's own business: where the bounds here do not settle it, the calendar is asked.
Pure.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from mms_core.meetings import Event, Recurrence

_LONGEST: Final = {"daily": 1, "weekly": 7, "absoluteMonthly": 31, "relativeMonthly": 35}
_SHORTEST: Final = {"daily": 1, "weekly": 7, "absoluteMonthly": 28, "relativeMonthly": 28}
_LONGEST_YEAR: Final = 373
"""Days between two yearly occurrences at most: a leap year, and a week for "the last Friday of"."""
_SHORTEST_YEAR: Final = 358
_ZONES_APART: Final = timedelta(days=1)
"""A zone that Python does not know is less than a day off UTC."""


def _today(recurrence: Recurrence, now: datetime) -> tuple[date, date]:
    """Return the earliest and the latest date that it can be where the series lives."""
    try:
        today = now.astimezone(ZoneInfo(recurrence.zone or "UTC")).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return now.date() - _ZONES_APART, now.date() + _ZONES_APART
    return today, today


def is_over(event: Event, *, now: datetime) -> bool:
    """Say whether an event has certainly no future, as far as its own facts tell.

    Args:
        event: Single meeting, exception or series master.
        now: Aware UTC.
    """
    series = event.recurrence
    if series is None:
        return event.end_at is not None and event.end_at < now
    earliest, _ = _today(series, now)
    # An occurrence that began yesterday may run past midnight.
    return series.kind == "endDate" and series.end_date is not None and series.end_date < earliest - _length(event)


def _length(event: Event) -> timedelta:
    if event.start_at is None or event.end_at is None:
        return timedelta(0)
    return timedelta(days=(event.end_at - event.start_at).days)


def has_future(event: Event, cancelled: tuple[date, ...], *, now: datetime, exceptions: int = 0) -> bool | None:
    """Say whether a series that is not over has occurrences left that show the master's own invitation.

    Args:
        event: The master.
        cancelled: Dates of its cancelled occurrences.
        now: Aware UTC.
        exceptions: Occurrences with invitations of their own, whenever they are.

    Returns:
        ``None`` where only the calendar knows: near the end, or where what is left may all be cancelled or changed.
    """
    series = event.recurrence
    if series is None:
        return not is_over(event, now=now)
    _, latest = _today(series, now)
    if series.kind == "noEnd":
        return True  # only so many can be cancelled or changed
    taken = exceptions + sum(each >= latest - _ZONES_APART for each in cancelled)
    if series.kind == "endDate" and series.end_date is not None:
        since = max(latest, series.start_date or latest) if taken else latest
        # A whole period fits between tomorrow and the end: there is an occurrence in it. One for each that is taken.
        return True if (series.end_date - since).days > _longest_gap(series) * (taken + 1) else None
    if series.kind == "numbered" and series.start_date is not None and series.count > taken:
        # The first of the last few, one more than are taken, is still to come.
        return True if series.start_date + _shortest_span(series, series.count - taken) > latest else None
    return None


def last_by(event: Event) -> date | None:
    """Return a date after which a series certainly has no regular occurrence under way; ``None`` if nobody can say."""
    series = event.recurrence
    if series is None:
        return None
    last = series.end_date if series.kind == "endDate" else None
    if series.kind == "numbered" and series.start_date is not None and series.count > 0:
        # A weekly one may begin with a part of a week.
        periods = -(-series.count // series.days_a_week) + 1 if series.pattern == "weekly" else series.count
        last = _later(series.start_date, _longest_gap(series) * periods)
    return None if last is None else _later(last, _length(event).days + 2 * _ZONES_APART.days)


def _later(day: date, days: int) -> date:
    return day + timedelta(days=min(days, (date.max - day).days))


def _longest_gap(series: Recurrence) -> int:
    return _LONGEST.get(series.pattern, _LONGEST_YEAR) * series.interval


def _shortest_span(series: Recurrence, count: int) -> timedelta:
    """Days from the first occurrence to that of a number, at least."""
    if series.pattern == "weekly":
        weeks = -(-count // series.days_a_week) - 1
        days = max(0, weeks * 7 * series.interval - 6)
    else:
        days = _SHORTEST.get(series.pattern, _SHORTEST_YEAR) * series.interval * (count - 1)
    return timedelta(days=min(days, 366 * 100))
