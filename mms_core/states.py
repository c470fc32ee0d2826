"""The one table of transitions of a run. Everything that changes ``Run.state`` goes through :func:`advance`.

A missing cell is illegal: it raises and changes nothing. Cells that lead back to the same state are duplicates or
continuations that may happen, each with its reason.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mms_core.model import State

if TYPE_CHECKING:
    from datetime import datetime

    from mms_core.model import Run


class Happening(StrEnum):
    """Something that happened to a run."""

    MERGED = "merged"
    """Another trigger joined it while it waits."""
    REFUSED = "refused"
    """It turned out before any work that it cannot run (unknown user)."""
    STARTED = "started"
    TAKEN_OVER = "takenOver"
    """Its worker fell silent and another one goes on."""
    POSTPONED = "postponed"
    """Something failed that is worth another try later."""
    CHECKPOINTED = "checkpointed"
    """The worker ran out of time and hands over to the next message."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    """An administrator starts it afresh."""


TRANSITIONS: Final[dict[State, dict[Happening, State]]] = {
    State.PENDING: {
        Happening.MERGED: State.PENDING,  # a further trigger inside the settling window (Q2)
        Happening.REFUSED: State.FAILED,
        Happening.STARTED: State.IN_PROGRESS,
        Happening.SKIPPED: State.SKIPPED,  # switched off between request and work (N7)
        Happening.FAILED: State.FAILED,  # its message was poisoned
        Happening.CANCELLED: State.CANCELLED,
    },
    State.IN_PROGRESS: {
        Happening.TAKEN_OVER: State.IN_PROGRESS,  # a worker died; at most one meeting is looked at again
        Happening.POSTPONED: State.PENDING,
        Happening.CHECKPOINTED: State.PENDING,
        Happening.SUCCEEDED: State.SUCCEEDED,
        Happening.FAILED: State.FAILED,
        Happening.SKIPPED: State.SKIPPED,
        Happening.CANCELLED: State.CANCELLED,
    },
    State.FAILED: {Happening.RETRIED: State.PENDING},
    State.SUCCEEDED: {},
    State.SKIPPED: {Happening.RETRIED: State.PENDING},
    State.CANCELLED: {Happening.RETRIED: State.PENDING},
}


class IllegalTransition(Exception):
    """The run is in a state in which this cannot happen: our bug, or an administrator's late click."""


def can(run: Run, happening: Happening) -> bool:
    """Say whether *happening* is legal in the run's state."""
    return happening in TRANSITIONS[run.state]


def advance(run: Run, happening: Happening, *, now: datetime, **changes: Any) -> Run:
    """Return the run after *happening*.

    Args:
        run: As stored.
        happening: What happened.
        now: Aware UTC; becomes ``modified_at``.
        changes: Other fields of :class:`Run` that change with it.

    Raises:
        IllegalTransition: The table has no such cell; nothing has changed.
    """
    try:
        state = TRANSITIONS[run.state][happening]
    except KeyError:
        raise IllegalTransition(f"{happening} in state {run.state}") from None
    if state is not State.IN_PROGRESS:
        changes.setdefault("lease_owner", None)
        changes.setdefault("lease_until_at", None)
    return replace(run, state=state, modified_at=now, **changes)
