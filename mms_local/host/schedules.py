"""When a timer trigger fires: NCRONTAB with six fields, or a TimeSpan."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from croniter import croniter
from croniter.croniter import CroniterError

from mms_local.host.timespans import parse_timespan

_FIELDS_WITH_SECONDS: Final = 6
_FIELDS: Final = 5
_ITEM: Final = re.compile(r"(\*|[0-9]+|[a-z]{3,9})(-([0-9]+|[a-z]{3,9}))?(/[0-9]+)?", re.IGNORECASE)
_LAST_DAY_OF_WEEK: Final = 6


class Schedule(Protocol):
    """A rule that knows its next occurrence."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence strictly after *moment* (aware UTC)."""


class CronSchedule:
    """``{second} {minute} {hour} {day} {month} {day-of-week}`` in UTC; five fields mean second 0.

    Unlike in Unix cron, a day must fit both the day of the month and the day of the week, and the week is 0 to 6.
    """

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        is_known = len(fields) in {_FIELDS, _FIELDS_WITH_SECONDS} and all(
            _ITEM.fullmatch(item) for field in fields for item in field.split(",")
        )
        if not is_known or any(int(day) > _LAST_DAY_OF_WEEK for day in re.findall(r"(?<!/)\b[0-9]+", fields[-1])):
            raise ValueError(f"the schedule expression '{expression}' was not recognized")
        fields = [re.sub("[A-Za-z]{4,}", lambda name: name[0][:3], field) for field in fields]  # January is Jan
        self._expression = " ".join(fields if len(fields) == _FIELDS_WITH_SECONDS else ["0", *fields])
        try:
            self.next_after(datetime(2024, 1, 1, tzinfo=UTC))
        except CroniterError as error:
            raise ValueError(f"the schedule expression '{expression}' was not recognized: {error}") from error

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence strictly after *moment*."""
        found: datetime = croniter(self._expression, moment, second_at_beginning=True, day_or=False).get_next(datetime)
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
