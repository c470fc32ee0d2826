"""When a timer trigger fires: NCRONTAB with six fields, or a TimeSpan."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol

from croniter import croniter
from croniter.croniter import CroniterError

from mms_local.host.timespans import parse_timespan

_FIELDS_WITH_SECONDS: Final = 6
_FIELDS: Final = 5


class Schedule(Protocol):
    """A rule that knows its next occurrence."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence strictly after *moment* (aware UTC)."""


class CronSchedule:
    """``{second} {minute} {hour} {day} {month} {day-of-week}`` in UTC; five fields mean second 0."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) not in {_FIELDS, _FIELDS_WITH_SECONDS}:
            raise ValueError(f"the schedule expression '{expression}' was not recognized")
        self._expression = " ".join(fields if len(fields) == _FIELDS_WITH_SECONDS else ["0", *fields])
        try:
            croniter(self._expression, second_at_beginning=True)
        except CroniterError as error:
            raise ValueError(f"the schedule expression '{expression}' was not recognized: {error}") from error

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence strictly after *moment*."""
        found: datetime = croniter(self._expression, moment, second_at_beginning=True).get_next(datetime)
        return found


class ConstantSchedule:
    """Every so often, counted from the last run."""

    def __init__(self, interval: timedelta) -> None:
        if interval <= timedelta(0):
            raise ValueError("the schedule's interval must be longer than nothing")
        self.interval = interval

    def next_after(self, moment: datetime) -> datetime:
        """Return *moment* plus the interval."""
        return moment + self.interval


def parse_schedule(text: str) -> Schedule:
    """Read the ``schedule`` of a timer trigger.

    Errors: ``ValueError`` when it is neither a TimeSpan nor NCRONTAB.
    """
    if len(text.split()) == 1:
        try:
            return ConstantSchedule(parse_timespan(text))
        except ValueError as error:
            raise ValueError(f"the schedule expression '{text}' was not recognized: {error}") from error
    return CronSchedule(text)


def is_monitored(schedule: Schedule, *, now: datetime) -> bool:
    """Tell whether the host remembers occurrences across restarts: only when they are a minute apart or more."""
    first = schedule.next_after(now)
    return schedule.next_after(first) - first >= timedelta(minutes=1)
