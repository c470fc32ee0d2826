"""The clock that all workers share: moved only where it contradicts the storage's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mms_core.adapters.storage_clock import StorageClock

NOW = datetime(2026, 3, 2, 8, 0, 0, 400_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_seconds = st.integers(-100_000_000, 100_000_000).map(lambda number: timedelta(milliseconds=number))
_latency = st.integers(0, 20_000).map(lambda number: timedelta(milliseconds=number))


def _ask(clock, machine, true, *, there=timedelta(0), back=timedelta(0)):
    """One request: sent, answered by a storage whose time is the true one, received."""
    sent_at = machine[0]
    said = (true[0] + there).replace(microsecond=0)
    machine[0] += there + back
    true[0] += there + back
    clock.heard(said, sent_at=sent_at, received_at=machine[0])


@given(there=_latency, back=_latency)
def test_a_machine_that_is_right_is_left_alone(there, back):
    """However slow the answer is, and wherever in its second the storage was."""
    machine, true = [NOW], [NOW]
    clock = StorageClock(lambda: machine[0])
    _ask(clock, machine, true, there=there, back=back)
    assert clock.now() == true[0]


@given(wrong=_seconds, there=_latency, back=_latency)
def test_a_machine_that_is_wrong_agrees_after_one_answer(wrong, there, back):
    """To a second, and to the time that the answer took; where it has to be moved it is not ahead."""
    machine, true = [NOW + wrong], [NOW]
    clock = StorageClock(lambda: machine[0])
    _ask(clock, machine, true, there=there, back=back)
    error = clock.now() - true[0]
    assert -back - SECOND <= error <= there + SECOND
    assert error <= timedelta(0) or error == wrong


@given(jumps=st.lists(_seconds, max_size=5))
def test_a_machine_whose_clock_jumps_is_put_right_by_the_next_answer(jumps):
    """Forward and back."""
    machine, true = [NOW], [NOW]
    clock = StorageClock(lambda: machine[0])
    for jump in jumps:
        machine[0] += jump
        _ask(clock, machine, true, there=timedelta(milliseconds=5), back=timedelta(milliseconds=5))
        assert abs(clock.now() - true[0]) <= SECOND + timedelta(milliseconds=5)


def test_a_clock_that_was_set_back_during_a_request_follows_the_answer():
    """What was sent later than it came back says nothing about how long it took."""
    clock = StorageClock(lambda: NOW - timedelta(hours=1))
    clock.heard(NOW.replace(microsecond=0), sent_at=NOW, received_at=NOW - timedelta(hours=1))
    assert clock.now() == NOW.replace(microsecond=0)


class _Pair:
    """A request and its answer, as the SDK's pipeline shows them."""

    def __init__(self, **headers):
        self.context = {}
        self.http_response = self
        self.headers = headers


@pytest.mark.parametrize("headers", [{}, {"Date": "soon"}, {"Date": ""}, {"Date": "Mon, 02 Mar 2026 09:00:00 -0000"}])
def test_an_answer_that_tells_no_time_moves_nothing(headers):
    """A proxy may answer in the storage's place."""
    clock = StorageClock(lambda: NOW)
    pair = _Pair(**headers)
    hooks = clock.hooks()
    hooks["raw_request_hook"](pair)
    hooks["raw_response_hook"](pair)
    assert clock.now() == NOW


def test_an_answer_is_heard_through_the_hooks():
    """An hour ahead, and nobody measured when it was asked: not believed; measured: believed."""
    clock = StorageClock(lambda: NOW)
    pair = _Pair(Date="Mon, 02 Mar 2026 09:00:00 GMT")
    hooks = clock.hooks()
    hooks["raw_response_hook"](pair)
    assert clock.now() == NOW
    hooks["raw_request_hook"](pair)
    hooks["raw_response_hook"](pair)
    assert clock.now() == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
