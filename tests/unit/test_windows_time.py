"""Maintenance windows: days, hours, zones, and the two nights a year when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mms_core.errors import BadInput
from mms_core.settings import TenantSettings
from mms_core.windows import next_open_at, parse

MINUTE = timedelta(minutes=1)


def _at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def test_without_days_and_hours_every_instant_is_allowed():
    """The default: no window at all."""
    assert parse("", " ", "Europe/Berlin") is None
    assert TenantSettings().window() is None
    assert next_open_at(None, _at("2026-03-02T08:00Z")) == _at("2026-03-02T08:00Z")


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-03-02T20:59:59Z", "2026-03-02T21:00Z"),  # Monday, 22:00 in Berlin
        ("2026-03-02T21:00Z", "2026-03-02T21:00Z"),
        ("2026-03-03T04:59:59Z", "2026-03-03T04:59:59Z"),  # Tuesday, 05:59:59 in Berlin: still Monday's
        ("2026-03-03T05:00Z", "2026-03-03T21:00Z"),
        ("2026-03-07T03:00Z", "2026-03-07T03:00Z"),  # Saturday morning belongs to Friday's span
        ("2026-03-07T05:00Z", "2026-03-09T21:00Z"),  # the weekend is closed
    ],
)
def test_a_span_over_midnight_belongs_to_the_day_on_which_it_begins(at, opens):
    """22:00-06:00 on Monday to Friday, in Berlin."""
    window = parse("Mon-Fri", "22:00-06:00", "Europe/Berlin")
    assert window.next_open_at(_at(at)) == _at(opens)
    assert window.is_open(_at(at)) is (at == opens)


def test_hours_are_the_zones_own_in_summer_and_winter():
    """The same wall time is another instant half a year later."""
    window = parse("", "01:00-02:00", "America/New_York")
    assert window.next_open_at(_at("2026-01-15T00:00Z")) == _at("2026-01-15T06:00Z")
    assert window.next_open_at(_at("2026-07-15T00:00Z")) == _at("2026-07-15T05:00Z")


def test_an_hour_that_does_not_exist_does_not_open():
    """On the night when clocks go forward, 02:00 to 03:00 is missing: the next night has it."""
    window = parse("", "02:00-03:00", "Europe/Berlin")
    assert window.next_open_at(_at("2026-03-29T00:00Z")) >= _at("2026-03-29T01:00Z")
    assert window.next_open_at(_at("2026-03-29T01:00Z")) == _at("2026-03-30T00:00Z")


def test_an_hour_that_comes_twice_is_open_twice():
    """On the night when clocks go back, 01:00-04:00 lasts four hours."""
    window = parse("", "01:00-04:00", "Europe/Berlin")
    first = window.next_open_at(_at("2026-10-24T12:00Z"))
    minutes = [first + number * MINUTE for number in range(6 * 60)]
    assert sum(window.is_open(each) for each in minutes) == 4 * 60


def test_several_spans_and_the_whole_of_a_day():
    """Lunch and night; a day without hours is open from midnight to midnight."""
    window = parse("Sat,Sun", "12:00-13:00, 23:00-24:00", "UTC")
    assert window.next_open_at(_at("2026-03-07T13:00Z")) == _at("2026-03-07T23:00Z")
    assert window.next_open_at(_at("2026-03-08T00:00Z")) == _at("2026-03-08T12:00Z")
    assert parse("Sun", "", "UTC").next_open_at(_at("2026-03-07T13:00Z")) == _at("2026-03-08T00:00Z")
    assert parse("fri-mon", "", "UTC").days == {4, 5, 6, 0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MaintenanceDays", "Monday"),
        ("MaintenanceDays", "Mon-"),
        ("MaintenanceDays", "Mon,,Tue"),
        ("MaintenanceHours", "22-6"),
        ("MaintenanceHours", "24:00-06:00"),
        ("MaintenanceHours", "22:00-25:00"),
        ("MaintenanceTimeZone", "Berlin"),
        ("MaintenanceTimeZone", "../etc/passwd"),
        ("MaintenanceTimeZone", ""),
    ],
)
def test_a_window_that_makes_no_sense_is_refused_by_name(name, value):
    """When it is set, not at midnight."""
    with pytest.raises(BadInput) as caught:
        TenantSettings(MaintenanceHours="22:00-06:00").changed({name: value})
    assert caught.value.field == name


def test_a_naive_instant_is_a_mistake():
    """Nobody guesses a zone here."""
    with pytest.raises(ValueError, match="aware"):
        parse("Mon", "", "UTC").next_open_at(datetime(2026, 3, 2))  # noqa: DTZ001 - that is the point


@given(
    begin=st.integers(0, 23 * 60 + 59),
    end=st.integers(0, 23 * 60 + 59),
    day=st.sampled_from(["", "Mon", "Sat,Sun", "Fri-Mon"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
)
def test_the_next_opening_is_open_and_nothing_before_it_is(begin, end, day, zone, at):
    """Whatever the window, zone and instant."""
    window = parse(day, f"{begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}", zone)
    opens = window.next_open_at(at)
    assert opens >= at
    assert window.is_open(opens)
    if opens > at:
        assert not window.is_open(at)
        assert not window.is_open(at + (opens - at) / 2)
        assert not window.is_open(opens - timedelta(microseconds=1))
