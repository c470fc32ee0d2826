"""The table of transitions: every legal cell, and every other one raises and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mms_core.model import Run, RunId, State
from mms_core.states import TRANSITIONS, Happening, IllegalTransition, advance, can

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LEGAL = {
    ("Pending", "merged"): "Pending",
    ("Pending", "deferred"): "Pending",
    ("Pending", "refused"): "Failed",
    ("Pending", "started"): "InProgress",
    ("Pending", "skipped"): "Skipped",
    ("Pending", "failed"): "Failed",
    ("Pending", "cancelled"): "Cancelled",
    ("InProgress", "takenOver"): "InProgress",
    ("InProgress", "postponed"): "Pending",
    ("InProgress", "checkpointed"): "Pending",
    ("InProgress", "succeeded"): "Succeeded",
    ("InProgress", "failed"): "Failed",
    ("InProgress", "skipped"): "Skipped",
    ("InProgress", "cancelled"): "Cancelled",
    ("Failed", "retried"): "Pending",
    ("Failed", "replayed"): "Skipped",
    ("Skipped", "retried"): "Pending",
    ("Cancelled", "retried"): "Pending",
}
ALL = [(state, happening) for state in State for happening in Happening]


def _run(state):
    return Run(
        run_id=RunId("r"),
        identity="adele",
        state=state,
        created_at=NOW,
        modified_at=NOW,
        fresh_at=NOW,
        due_at=NOW,
        lease_owner="worker",
        lease_until_at=NOW,
    )


def test_the_table_has_every_state():
    """A state without a row would raise KeyError instead of IllegalTransition."""
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize(("state", "happening"), ALL, ids=str)
def test_every_cell_is_as_written_down_here(state, happening):
    """Legal cells lead where they should; illegal ones raise and leave the run as it was."""
    run, later = _run(state), NOW + timedelta(minutes=1)
    expected = LEGAL.get((str(state), str(happening)))
    assert can(run, happening) is (expected is not None)
    if expected is None:
        with pytest.raises(IllegalTransition, match=f"{happening} in state {state}"):
            advance(run, happening, now=later, total=5)
        assert run == _run(state)
    else:
        after = advance(run, happening, now=later, total=5)
        assert (str(after.state), after.modified_at, after.total) == (expected, later, 5)
        assert run == _run(state)


@pytest.mark.parametrize(("state", "happening"), ALL, ids=str)
def test_only_a_run_in_progress_keeps_a_lease(state, happening):
    """Whoever ends or postpones a run gives the user back."""
    if can(_run(state), happening):
        after = advance(_run(state), happening, now=NOW)
        assert (after.lease_owner is not None) is (after.state is State.IN_PROGRESS)
        assert (after.lease_until_at is not None) is (after.state is State.IN_PROGRESS)


def test_final_states_are_those_that_wait_for_somebody():
    """Pending and InProgress go on by themselves."""
    assert [state for state in State if state.is_final] == [
        State.FAILED,
        State.SUCCEEDED,
        State.SKIPPED,
        State.CANCELLED,
    ]
