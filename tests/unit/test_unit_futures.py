"""Whether a series still has occurrences, by arithmetic that says so when it is not sure (W7)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from meeting_values import NOW, an_event

from mms_core.futures import has_future, is_over, last_by
from mms_core.meetings import Recurrence

quick = settings.get_profile("unit")
TODAY = NOW.date()
DAY = timedelta(days=1)


def _series(**more):
    return an_event(kind="seriesMaster", start=NOW - 900 * DAY, recurrence=Recurrence(**more))


def test_a_single_meeting_has_a_future_until_it_has_ended():
    """There is nothing to compute."""
    assert has_future(an_event(), (), now=NOW) is True
    assert has_future(an_event(start=NOW - 2 * DAY), (), now=NOW) is False


def test_an_endless_series_goes_on_whatever_was_cancelled():
    """Only so many can be."""
    assert has_future(_series(kind="noEnd"), (TODAY + DAY, date.max), now=NOW) is True


def test_only_the_calendar_knows_where_all_that_is_left_may_be_cancelled_or_changed():
    """Each takes one of those that are certainly left; cancelled ones of the past do not matter."""
    series = _series(kind="endDate", end_date=TODAY + 4 * DAY, pattern="daily")
    assert has_future(series, (TODAY + DAY, TODAY + 2 * DAY), now=NOW) is True
    assert has_future(series, (TODAY + DAY,), now=NOW, exceptions=1) is True
    assert has_future(series, (TODAY + DAY, TODAY + 2 * DAY), now=NOW, exceptions=1) is None
    assert has_future(series, (TODAY - 30 * DAY,) * 9, now=NOW) is True


def test_a_series_to_come_whose_only_occurrence_was_changed_is_looked_up():
    """Its master's invitation may be shown nowhere; writing it would mail for the exception as well (1.5)."""
    once = _series(kind="numbered", start_date=TODAY + 60 * DAY, count=1, pattern="absoluteYearly", interval=2)
    assert has_future(once, (), now=NOW) is True
    assert has_future(once, (), now=NOW, exceptions=1) is None
    until = _series(kind="endDate", start_date=TODAY + 60 * DAY, end_date=TODAY + 62 * DAY, pattern="daily")
    assert has_future(until, (), now=NOW, exceptions=2) is None


@pytest.mark.parametrize(
    ("pattern", "interval", "days_left", "expected"),
    [
        ("daily", 1, 2, True),
        ("daily", 1, 1, None),
        ("weekly", 1, 8, True),
        ("weekly", 1, 7, None),
        ("weekly", 2, 14, None),
        ("absoluteMonthly", 1, 32, True),
        ("relativeMonthly", 1, 35, None),
        ("absoluteYearly", 1, 374, True),
        ("absoluteYearly", 1, 373, None),
        ("unknownFutureValue", 1, 100, None),
    ],
)
def test_a_whole_period_before_the_end_holds_an_occurrence(pattern, interval, days_left, expected):
    """Less than that, only the calendar knows."""
    series = _series(kind="endDate", end_date=TODAY + days_left * DAY, pattern=pattern, interval=interval)
    assert has_future(series, (), now=NOW) is expected


def test_a_counted_series_goes_on_while_its_shortest_span_reaches_tomorrow():
    """Ten days from yesterday; ten days from last month only the calendar knows."""
    assert has_future(_series(kind="numbered", start_date=TODAY - DAY, count=10), (), now=NOW) is True
    assert has_future(_series(kind="numbered", start_date=TODAY - 30 * DAY, count=10), (), now=NOW) is None
    weekly = {"pattern": "weekly", "days_a_week": 2}
    assert has_future(_series(kind="numbered", start_date=TODAY, count=10, **weekly), (), now=NOW) is True
    assert has_future(_series(kind="numbered", start_date=TODAY - 23 * DAY, count=10, **weekly), (), now=NOW) is None
    assert has_future(_series(kind="numbered", start_date=TODAY, count=10**9, pattern="absoluteYearly"), (), now=NOW)


def test_what_graph_did_not_tell_is_not_guessed():
    """The calendar is asked."""
    for series in (
        {"kind": "numbered"},
        {"kind": "numbered", "start_date": TODAY},
        {"kind": "endDate"},
        {"kind": "new"},
    ):
        assert has_future(_series(**series), (), now=NOW) is None
        assert not is_over(_series(**series), now=NOW)


def test_the_last_occurrence_may_run_past_midnight():
    """A meeting of three days that began on the last day is not over the day after."""
    long = an_event(start=NOW - 900 * DAY, end_at=NOW - 897 * DAY, kind="seriesMaster")
    series = Recurrence(kind="endDate", end_date=TODAY - 2 * DAY)
    assert not is_over(an_event(**{**_fields(long), "recurrence": series}), now=NOW)
    assert is_over(_series(kind="endDate", end_date=TODAY - 2 * DAY), now=NOW)
    unknown = an_event(start=None, end_at=None, recurrence=series)
    assert is_over(unknown, now=NOW)


def _fields(event):
    return {"start": event.start_at, "end_at": event.end_at, "kind": event.kind}


def test_a_weekly_series_that_begins_within_a_week_ends_later():
    """Ten times on Mondays and Fridays from a Friday on: the last one is a Monday five weeks and three days later."""
    friday = date(2026, 3, 6)
    series = _series(kind="numbered", start_date=friday, count=10, pattern="weekly", days_a_week=2)
    dates = rrule(WEEKLY, dtstart=datetime.combine(friday, NOW.time()), byweekday=(0, 4), count=10)
    assert list(dates)[-1].date() <= last_by(series)


@pytest.mark.parametrize(
    ("series", "last"),
    [
        ({"kind": "noEnd"}, None),
        ({"kind": "numbered"}, None),
        ({"kind": "numbered", "start_date": TODAY}, None),
        ({"kind": "endDate"}, None),
        ({"kind": "endDate", "end_date": TODAY + 2000 * DAY}, TODAY + 2002 * DAY),
        ({"kind": "endDate", "end_date": date.max}, date.max),
        ({"kind": "numbered", "start_date": TODAY, "count": 10**9, "pattern": "absoluteYearly"}, date.max),
    ],
)
def test_how_long_a_series_can_last_at_most(series, last):
    """A date behind which nobody has to look, or none."""
    assert last_by(_series(**series)) == last


FREQUENCIES = {"daily": DAILY, "weekly": WEEKLY, "absoluteMonthly": MONTHLY, "absoluteYearly": YEARLY}


@quick
@given(
    pattern=st.sampled_from(sorted(FREQUENCIES)),
    interval=st.integers(1, 4),
    began=st.integers(-60, 1500),
    count=st.integers(1, 60),
    ends=st.integers(-5, 800),
    by_count=st.booleans(),
    taken=st.integers(0, 5),
    changed=st.integers(0, 5),
)
def test_what_is_sure_is_true(*, pattern, interval, began, count, ends, by_count, taken, changed):
    """dateutil, which expands the recurrence, never contradicts a certain answer."""
    start = TODAY - began * DAY
    assume(start.day <= 28)  # dateutil leaves out months that are too short, the calendar takes their last day
    series = {"kind": "numbered", "count": count} if by_count else {"kind": "endDate", "end_date": TODAY + ends * DAY}
    event = _series(start_date=start, pattern=pattern, interval=interval, zone="UTC", **series)
    bound = {"count": count} if by_count else {"until": datetime.combine(TODAY + ends * DAY, datetime.max.time())}
    first = datetime.combine(start, NOW.time().replace(tzinfo=None))
    dates = rrule(FREQUENCIES[pattern], dtstart=first, interval=interval, **bound)
    goes_on = dates.after(NOW.replace(tzinfo=None), inc=True) is not None
    assert list(dates)[-1:] == [] or list(dates)[-1].date() <= last_by(event)
    known = has_future(event, (), now=NOW)
    if known is not None and not is_over(event, now=NOW):
        assert known == goes_on
    left = [each.date() for each in dates if each >= NOW.replace(tzinfo=None)]
    cancelled = tuple(left[:taken])
    exceptions = len(left[taken : taken + changed])
    if has_future(event, cancelled, now=NOW, exceptions=exceptions) and not is_over(event, now=NOW):
        assert len(left) > taken + changed
    if is_over(event, now=NOW):
        assert not goes_on
