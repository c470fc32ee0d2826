"""The pause between two looks at an empty queue."""

import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from mms_local.host.backoff import MINIMUM, PollingBackoff


def delays(backoff, count):
    """Return *count* pauses in a row in which no message was found."""
    return [backoff.next_delay(found_message=False) for _ in range(count)]


def test_doubles_from_100_ms_to_the_maximum_and_stays_there():
    """100 ms, then 100 ms plus 100, 200, 400 ms and so on, each within 20 %."""
    backoff = PollingBackoff(timedelta(seconds=10), chance=random.Random(1))
    first, *rest = delays(backoff, 12)
    assert first == MINIMUM
    for index, delay in enumerate(rest[:6]):
        step = 0.1 * 2**index
        assert 0.1 + 0.8 * step <= delay.total_seconds() <= 0.1 + 1.2 * step
    assert rest[-1] == rest[-2] == timedelta(seconds=10)


def test_a_message_starts_it_over():
    """After work the host looks again soon."""
    backoff = PollingBackoff(timedelta(seconds=2))
    delays(backoff, 20)
    assert backoff.next_delay(found_message=True) == MINIMUM
    assert backoff.next_delay(found_message=False) < timedelta(milliseconds=221)


@given(st.integers(100, 60_000), st.lists(st.booleans(), max_size=40), st.randoms())
def test_stays_between_the_limits(maximum_ms, history, chance):
    """Whatever happens, a pause is from 100 ms to the maximum."""
    maximum = timedelta(milliseconds=maximum_ms)
    backoff = PollingBackoff(maximum, chance=chance)
    for found in history:
        assert MINIMUM <= backoff.next_delay(found_message=found) <= maximum
