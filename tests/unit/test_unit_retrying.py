"""Nine retries within 24 hours, jittered; a longer wish of the other side wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mms_core.retrying import next_attempt_at

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
quick = settings.get_profile("unit")


def _next(retries=0, *, now=START, jitter=0.0, **more):
    return next_attempt_at(retries=retries, started_at=START, now=now, jitter=jitter, **more)


def test_nine_waits_double_and_fill_a_day():
    """169, 338, 676, 1352, 2704, 5408, 10816, 21632, 43264 s = 169 * (2**9 - 1) = 86,359 s; a day has 86,400."""
    now, waits = START, []
    for retries in range(9):
        at = _next(retries, now=now)
        waits.append((at - now).total_seconds())
        now = at
    assert waits == [169, 338, 676, 1352, 2704, 5408, 10816, 21632, 43264]
    assert sum(waits) == 86_359
    assert _next(9, now=now) is None


def test_jitter_takes_up_to_a_tenth_off():
    """0 is the whole wait, 1 a tenth less."""
    assert _next(jitter=1.0) == START + timedelta(seconds=169 * 0.9)
    assert _next(jitter=0.5) == START + timedelta(seconds=169 * 0.95)


@pytest.mark.parametrize("jitter", [-0.001, 1.001])
def test_jitter_out_of_range_is_our_bug(jitter):
    """It raises."""
    with pytest.raises(ValueError, match="jitter"):
        _next(jitter=jitter)


def test_a_naive_instant_is_our_bug():
    """It raises before it is compared."""
    with pytest.raises(ValueError, match="aware"):
        _next(now=START.replace(tzinfo=None))


@pytest.mark.parametrize(("wish", "wait"), [(0, 169), (168, 169), (170, 170), (3600, 3600)])
def test_the_longer_of_our_wait_and_their_wish_wins(wish, wait):
    """Retry-After never shortens the wait, and jitter never shortens Retry-After."""
    assert _next(retry_after=timedelta(seconds=wish)) == START + timedelta(seconds=wait)
    if wish > 169:
        assert _next(jitter=1.0, retry_after=timedelta(seconds=wish)) == START + timedelta(seconds=wish)


def test_what_comes_after_a_day_is_given_up():
    """An hour of grace, because attempts take time; a wish beyond it ends the run."""
    late = START + timedelta(hours=25) - timedelta(seconds=169)
    assert _next(now=late) == START + timedelta(hours=25)
    assert _next(now=late + timedelta(seconds=1)) is None
    assert _next(retry_after=timedelta(hours=25)) == START + timedelta(hours=25)
    assert _next(retry_after=timedelta(hours=25, seconds=1)) is None


def test_a_shorter_first_wait_scales_all_of_them():
    """For one machine."""
    assert _next(3, first_delay=timedelta(seconds=1)) == START + timedelta(seconds=8)


@quick
@given(
    retries=st.integers(0, 8),
    jitter=st.floats(0, 1),
    wish=st.none() | st.integers(0, 100_000).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_an_attempt_is_never_too_early_nor_after_the_day(retries, jitter, wish):
    """Whatever the dice."""
    at = _next(retries, jitter=jitter, retry_after=wish)
    if at is not None:
        assert START + timedelta(seconds=169 * 2**retries * 0.9 - 0.001) <= at <= START + timedelta(hours=25)
        assert wish is None or at >= START + wish
