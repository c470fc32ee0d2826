"""The days of a series (fact sheet 1.1, check-list 1): every pattern and range type of patternedRecurrence.

The pattern works on local dates of the recurrence's zone; the time of day is added by the caller, so a meeting at nine
stays at nine when the clocks change. A day that a month does not have (31, or 29 February) becomes the month's last
one, as Outlook shows it (MS-OXOCAL 2.2.1.44.1.3).
"""

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import count
from typing import Any

from mms_simulator.errors import bad_request

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_INDEX = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}
_LAST_YEAR = 2200
_MONTHS = 12
_LONGEST_MONTH = 31
_LONGEST = 999
_WEEK = 7


def validated(recurrence: Any) -> dict[str, Any]:
    """Check a patternedRecurrence and fill in what Graph fills in; 400 when it makes no sense."""
    pattern = dict((recurrence or {}).get("pattern") or {})
    span = dict((recurrence or {}).get("range") or {})
    kind, range_type = pattern.get("type"), span.get("type")
    needs_days = kind in {"weekly", "relativeMonthly", "relativeYearly"}
    wrong = (
        kind not in {"daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"}
        or range_type not in {"endDate", "noEnd", "numbered"}
        or (needs_days and not pattern.get("daysOfWeek"))
        or any(day not in _DAYS for day in pattern.get("daysOfWeek") or ())
        or (kind in {"absoluteMonthly", "absoluteYearly"} and not pattern.get("dayOfMonth"))
        or (kind in {"absoluteYearly", "relativeYearly"} and not pattern.get("month"))
        or not span.get("startDate")
        or (range_type == "endDate" and not span.get("endDate"))
        or (range_type == "numbered" and not span.get("numberOfOccurrences"))
        or pattern.get("index") not in {None, *_INDEX}
        or pattern.get("firstDayOfWeek") not in {None, *_DAYS}
        or not 1 <= (1 if pattern.get("interval") is None else pattern["interval"]) <= _LONGEST
        or not 0 <= (pattern.get("month") or 0) <= _MONTHS
        or not 0 <= (pattern.get("dayOfMonth") or 0) <= _LONGEST_MONTH
        or not 0 <= (span.get("numberOfOccurrences") or 0) <= _LONGEST
    )
    if wrong:
        raise bad_request("The recurrence pattern or range is not valid.", "ErrorInvalidRecurrence")
    full_pattern = {
        "type": kind,
        "interval": int(pattern.get("interval") or 1),
        "month": int(pattern.get("month") or 0),
        "dayOfMonth": int(pattern.get("dayOfMonth") or 0),
        "firstDayOfWeek": pattern.get("firstDayOfWeek") or "sunday",
        "index": pattern.get("index") or "first",
    }
    if pattern.get("daysOfWeek"):
        full_pattern["daysOfWeek"] = list(pattern["daysOfWeek"])
    full_range = {
        "type": range_type,
        "startDate": span["startDate"],
        "endDate": span.get("endDate") or "0001-01-01",
        "recurrenceTimeZone": span.get("recurrenceTimeZone"),
        "numberOfOccurrences": int(span.get("numberOfOccurrences") or 0),
    }
    _to_date(full_range["startDate"])
    _to_date(full_range["endDate"])
    return {"pattern": full_pattern, "range": full_range}


def days(recurrence: dict[str, Any], after: date | None = None) -> Iterator[date]:
    """Yield the days of a validated recurrence in order, those before *after* left out (they still count)."""
    pattern, span = recurrence["pattern"], recurrence["range"]
    first = _to_date(span["startDate"])
    last = _to_date(span["endDate"]) if span["type"] == "endDate" else date(_LAST_YEAR, 1, 1)
    limit = span["numberOfOccurrences"] if span["type"] == "numbered" else None
    # A numbered series has to be counted from its beginning; the others may start near the window.
    skip_to = after if after and after > first and limit is None else first
    found = 0
    for day in _candidates(pattern, first, skip_to):
        if day < first:
            continue
        if day > last or (limit is not None and found >= limit):
            return
        found += 1
        if after is None or day >= after:
            yield day


def occurs_on(recurrence: dict[str, Any], day: date) -> bool:
    """Tell whether the pattern has an occurrence on *day*."""
    return next(days(recurrence, day), None) == day


def _candidates(pattern: dict[str, Any], first: date, skip_to: date) -> Iterator[date]:
    interval, kind = max(1, pattern["interval"]), pattern["type"]
    if kind == "daily":
        start = (skip_to - first).days // interval
        return (first + timedelta(days=interval * step) for step in count(start) if _sane(first, interval * step))
    if kind == "weekly":
        return _weekly(pattern, first, skip_to, interval)
    if kind in {"absoluteMonthly", "relativeMonthly"}:
        start = ((skip_to.year - first.year) * _MONTHS + skip_to.month - first.month) // interval
        return _monthly(pattern, first.year * _MONTHS + first.month - 1, interval, max(0, start))
    start = (skip_to.year - first.year) // interval
    return _monthly(pattern, first.year * _MONTHS + pattern["month"] - 1, interval * _MONTHS, max(0, start))


def _sane(first: date, offset: int) -> bool:
    if first.toordinal() + offset > date(_LAST_YEAR + 1, 1, 1).toordinal():
        msg = "a daily series ran past the last supported year"
        raise OverflowError(msg)
    return True


def _weekly(pattern: dict[str, Any], first: date, skip_to: date, interval: int) -> Iterator[date]:
    begin = _DAYS.index(pattern["firstDayOfWeek"])
    offsets = sorted((_DAYS.index(day) - begin) % _WEEK for day in pattern["daysOfWeek"])
    week = first - timedelta(days=(first.weekday() - begin) % _WEEK)
    step = max(0, (skip_to - week).days // (_WEEK * interval))
    week += timedelta(days=_WEEK * interval * step)
    while week.year <= _LAST_YEAR:
        for offset in offsets:
            yield week + timedelta(days=offset)
        week += timedelta(days=_WEEK * interval)


def _monthly(pattern: dict[str, Any], month: int, interval: int, start: int) -> Iterator[date]:
    month += interval * start
    while month // _MONTHS <= _LAST_YEAR:
        day = _day_in_month(pattern, month // _MONTHS, month % _MONTHS + 1)
        if day is not None:
            yield day
        month += interval


def _day_in_month(pattern: dict[str, Any], year: int, month: int) -> date | None:
    length = calendar.monthrange(year, month)[1]
    if pattern["type"].startswith("absolute"):
        return date(year, month, min(pattern["dayOfMonth"], length))
    wanted = {_DAYS.index(day) for day in pattern["daysOfWeek"]}
    matching = [day for day in range(1, length + 1) if date(year, month, day).weekday() in wanted]
    index = _INDEX[pattern["index"]]
    return date(year, month, matching[index]) if -len(matching) <= index < len(matching) else None


def _to_date(text: object) -> date:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError as exc:
        raise bad_request(f"'{text}' is not a date.", "ErrorInvalidRecurrence") from exc
