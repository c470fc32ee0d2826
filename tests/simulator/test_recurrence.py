"""Recurrence against dateutil.rrule: 2,000 generated patterns, over changes of the clocks (issue: done when, 4)."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

from mms_simulator import recurrence, series
from mms_simulator.errors import GraphError
from mms_simulator.model import Item
from mms_simulator.zones import WINDOWS_TO_IANA, to_epoch, zone

NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
INDEX = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
ZONES = ("W. Europe Standard Time", "America/New_York", "AUS Eastern Standard Time", "UTC", "Asia/Kolkata",
         "Pacific SA Standard Time", "Lord Howe Standard Time", "Newfoundland Standard Time")  # fmt: skip
PATTERNS = 2000
OCCURRENCES = 60
HORIZON = 2100


def generated(seed):
    """Make one recurrence and the rule that dateutil has for it."""
    dice = random.Random(seed)
    kind = dice.choice(("daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"))
    first = date(2024, 1, 1) + timedelta(days=dice.randrange(1000))
    days = dice.sample(range(7), dice.randint(1, 7))
    pattern = {"type": kind, "interval": dice.randint(1, 5)}
    rule = {"interval": pattern["interval"], "dtstart": datetime(first.year, first.month, first.day)}  # noqa: DTZ001
    if kind == "weekly" or kind.startswith("relative"):
        pattern["daysOfWeek"] = [NAMES[day] for day in days]
        rule["byweekday"] = [weekday(day) for day in days]
    if kind == "weekly":
        begin = dice.randrange(7)
        pattern["firstDayOfWeek"] = NAMES[begin]
        rule |= {"freq": WEEKLY, "wkst": begin}
    elif kind == "daily":
        rule["freq"] = DAILY
    else:
        rule["freq"] = MONTHLY if kind.endswith("Monthly") else YEARLY
        if kind.endswith("Yearly"):
            pattern["month"] = rule["bymonth"] = dice.randint(1, 12)
        if kind.startswith("relative"):
            pattern["index"] = dice.choice(list(INDEX))
            rule["bysetpos"] = INDEX[pattern["index"]]
        else:
            day = pattern["dayOfMonth"] = dice.randint(1, 31)
            # A day that a month does not have is the month's last one.
            rule |= {"bymonthday": list(range(28, day + 1)), "bysetpos": -1} if day > 28 else {"bymonthday": day}
    span = {"type": dice.choice(("endDate", "noEnd", "numbered")), "startDate": first.isoformat()}
    if span["type"] == "endDate":
        last = first + timedelta(days=dice.randrange(2000))
        span["endDate"] = last.isoformat()
        rule["until"] = datetime(last.year, last.month, last.day)  # noqa: DTZ001
    elif span["type"] == "numbered":
        span["numberOfOccurrences"] = rule["count"] = dice.randint(1, 50)
    freq = rule.pop("freq")
    return recurrence.validated({"pattern": pattern, "range": span}), rrule(freq, **rule), dice.choice(ZONES), dice


@pytest.mark.parametrize("part", range(4))
def test_days_and_starts_agree_with_dateutil(part):
    """The same days, in order, and the same instants: the local time of day holds when the clocks change."""
    for seed in range(part, PATTERNS, 4):
        wanted, rule, name, dice = generated(seed)
        expected = [each.date() for each in islice(rule, OCCURRENCES) if each.year < HORIZON]
        found = [each for each in islice(recurrence.days(wanted), OCCURRENCES) if each.year < HORIZON]
        assert found == expected, (seed, wanted)
        if not found:
            continue
        after = found[len(found) // 2] - timedelta(days=dice.randrange(3))
        assert next(recurrence.days(wanted, after)) == next(day for day in expected if day >= after)
        hour, minute = dice.randrange(24), dice.choice((0, 30))
        begins = datetime(found[0].year, found[0].month, found[0].day, hour, minute, tzinfo=zone(name))
        master = Item(id="", mailbox="", calendar="", uid="", created=0, modified=0, start=to_epoch(begins),
                      end=to_epoch(begins) + 3600, start_zone=name, recurrence=wanted)  # fmt: skip
        actual = datetime.fromtimestamp(master.start, zone(name))
        for day in found:
            local = datetime(
                day.year, day.month, day.day, actual.hour, actual.minute, tzinfo=zone(name), fold=actual.fold
            )
            assert series.start_of(master, day.toordinal()) == to_epoch(local.astimezone(UTC))


def test_a_meeting_at_nine_stays_at_nine_when_the_clocks_change():
    """Berlin, the end of March."""
    wanted = recurrence.validated({
        "pattern": {"type": "weekly", "daysOfWeek": ["monday"]},
        "range": {"type": "noEnd", "startDate": "2027-03-22", "recurrenceTimeZone": "W. Europe Standard Time"},
    })  # fmt: skip
    start = to_epoch(datetime(2027, 3, 22, 9, tzinfo=ZoneInfo("Europe/Berlin")))
    master = Item(id="", mailbox="", calendar="", uid="", created=0, modified=0, start=start, end=start + 3600,
                  recurrence=wanted)  # fmt: skip
    found = list(series.days_between(master, start, start + 15 * 86_400))
    assert [datetime.fromtimestamp(series.start_of(master, day), UTC).hour for day in found] == [8, 7, 7]


def test_every_windows_zone_is_there():
    """The table names only zones that exist."""
    for name in WINDOWS_TO_IANA:
        assert zone(name).utcoffset(datetime(2027, 1, 1, tzinfo=UTC)) is not None
    with pytest.raises(GraphError):
        zone("Mars Standard Time")


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {"pattern": {"type": "hourly"}, "range": {"type": "noEnd", "startDate": "2027-01-01"}},
        {"pattern": {"type": "daily"}, "range": {"type": "numbered", "startDate": "2027-01-01"}},
        {"pattern": {"type": "daily"}, "range": {"type": "endDate", "startDate": "2027-01-01"}},
        {"pattern": {"type": "daily"}, "range": {"type": "noEnd", "startDate": "soon"}},
        {
            "pattern": {"type": "weekly", "daysOfWeek": ["someday"]},
            "range": {"type": "noEnd", "startDate": "2027-01-01"},
        },
        {"pattern": {"type": "absoluteMonthly"}, "range": {"type": "noEnd", "startDate": "2027-01-01"}},
        {"pattern": {"type": "absoluteYearly", "dayOfMonth": 1}, "range": {"type": "noEnd", "startDate": "2027-01-01"}},
    ],
)
def test_patterns_that_make_no_sense_are_refused(wrong):
    """400 ErrorInvalidRecurrence."""
    with pytest.raises(GraphError) as caught:
        recurrence.validated(wrong)
    assert caught.value.status == 400
