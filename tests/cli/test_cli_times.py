"""Instants as admins type them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mms_cli import times


@pytest.fixture
def new_york(monkeypatch):
    """UTC-5 in winter, UTC-4 in summer."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10/1/2018", "2018-10-01T04:00:00Z"),
        ("10/8/2018", "2018-10-08T04:00:00Z"),
        ("1/31/2019 5:30 PM", "2019-01-31T22:30:00Z"),
        ("1/31/2019 12:00 am", "2019-01-31T05:00:00Z"),
        ("1/31/2019 12:05 p.m.", "2019-01-31T17:05:00Z"),
        ("01/31/2019 17:30:15", "2019-01-31T22:30:15Z"),
        ("2018-10-01", "2018-10-01T04:00:00Z"),
        ("2018-10-01T17:30", "2018-10-01T21:30:00Z"),
        ("2018-10-01 17:30:00+02:00", "2018-10-01T15:30:00Z"),
        ("2018-10-01T17:30Z", "2018-10-01T17:30:00Z"),
        (" 2026-11-21T11:12:39.6319370Z ", "2026-11-21T11:12:39.631937Z"),
    ],
)
@pytest.mark.usefixtures("new_york")
def test_instants_of_cmdlets_and_of_scripts(text, expected):
    """Without an offset they are local, as in PowerShell; the cmdlet's own seven decimals read back."""
    assert times.wire(times.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "13/1/2018",
        "2/30/2019",
        "10/1/18",
        "1/31/2019 13:00 PM",
        "2018-13-01",
        "10/1/2018 25:00",
        "\u0661/\u0661/\u0662\u0660\u0661\u0668",
    ],
)
def test_what_is_no_instant_is_refused_with_an_example(text):
    """Better than filtering by something else."""
    with pytest.raises(ValueError, match="2018-10-01"):
        times.parse(text)


def test_day_first_is_named_as_the_likely_mistake():
    """31/1/2019 is how most of the world writes it."""
    with pytest.raises(ValueError, match="month/day/year"):
        times.parse("31/1/2019")


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_what_is_sent_reads_back(at):
    """To the microsecond."""
    assert times.parse(times.wire(at)) == at


@given(st.text() | st.none() | st.integers())
def test_showing_never_fails(value):
    """Whatever a server sends."""
    assert isinstance(times.local(value), str)
