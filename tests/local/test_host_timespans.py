"""TimeSpan literals of host.json and timer triggers."""

from datetime import timedelta

import pytest

from mms_local.host.timespans import parse_timespan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00:02", timedelta(seconds=2)),
        ("00:30:00", timedelta(minutes=30)),
        ("00:00:00.1", timedelta(milliseconds=100)),
        ("00:00:00.1234567", timedelta(microseconds=123456)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("01:30", timedelta(hours=1, minutes=30)),
        ("7", timedelta(days=7)),
        ("-00:00:01", timedelta(seconds=-1)),
        (" 23:59:59 ", timedelta(hours=23, minutes=59, seconds=59)),
    ],
)
def test_reads_what_dotnet_reads(text, expected):
    """The forms of .NET's TimeSpan.Parse that occur in host.json."""
    assert parse_timespan(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "24:00:00", "00:60:00", "00:00:60", "1:2:3:4:5", "5s", "1.", "."])
def test_refuses_the_rest(text):
    """24 hours are written 1.00:00:00; everything malformed is refused."""
    with pytest.raises(ValueError, match="TimeSpan"):
        parse_timespan(text)
