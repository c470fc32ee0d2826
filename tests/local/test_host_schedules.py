"""When timers fire."""

from datetime import UTC, datetime, timedelta

import pytest

from mms_local.host.schedules import is_monitored, parse_schedule

MOMENT = datetime(2026, 3, 7, 9, 30, 2, 500_000, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/5 * * * * *", MOMENT.replace(second=5, microsecond=0)),
        ("0 */15 * * * *", MOMENT.replace(minute=45, second=0, microsecond=0)),
        ("0 0 1 * * 0", datetime(2026, 3, 8, 1, tzinfo=UTC)),
        ("0 0 9-17 * * Mon-Fri", datetime(2026, 3, 9, 9, tzinfo=UTC)),
        ("30 10 * * *", datetime(2026, 3, 7, 10, 30, tzinfo=UTC)),
        ("0 0 9 1 * Mon", datetime(2026, 6, 1, 9, tzinfo=UTC)),
        ("0 0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 0 0 * January */2", datetime(2027, 1, 2, tzinfo=UTC)),
        ("00:00:30", MOMENT + timedelta(seconds=30)),
        ("1.00:00:00", MOMENT + timedelta(days=1)),
    ],
)
def test_next_occurrence(expression, expected):
    """Six fields start with seconds, five mean second 0, and a TimeSpan counts from now."""
    assert parse_schedule(expression).next_after(MOMENT) == expected


def test_an_occurrence_is_strictly_later():
    """Asked at the very moment of an occurrence, the next one comes."""
    at = datetime(2026, 3, 7, 9, 30, tzinfo=UTC)
    assert parse_schedule("0 30 9 * * *").next_after(at) == at + timedelta(days=1)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * *",
        "a b c d e f",
        "70 * * * * *",
        "00:00:00",
        "* * * * * * *",
        "x",
        "0 0 0 31 2 *",
        "0 0 0 * * 7",
        "0 0 0 L * *",
        "0 0 0 ? * *",
    ],
)
def test_refuses_the_rest(expression):
    """Such a timer does not start."""
    with pytest.raises(ValueError, match="schedule"):
        parse_schedule(expression)


def test_only_slow_schedules_are_remembered():
    """The real host does not store the status of schedules more frequent than once a minute."""
    assert not is_monitored(parse_schedule("*/30 * * * * *"), now=MOMENT)
    assert is_monitored(parse_schedule("0 * * * * *"), now=MOMENT)
