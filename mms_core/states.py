"""The tables of transitions: one for a user's run, one for a meeting in a run.

Everything that changes ``Run.state`` goes through :func:`advance`, and every row of a meeting through
:func:`check_noted`. A missing cell is illegal: it raises and changes nothing. Cells that lead back to the same state
are duplicates or continuations that may happen, each with its reason. ``docs/states.md`` is generated from here.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mms_core.model import State, Verdict

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
    """A worker took the lease."""
    TAKEN_OVER = "takenOver"
    """Its worker fell silent and another one goes on."""
    POSTPONED = "postponed"
    """Something failed that is worth another try later."""
    CHECKPOINTED = "checkpointed"
    """The worker ran out of time, or the window closed, or the machine stops: the next message goes on."""
    DEFERRED = "deferred"
    """It was due outside the maintenance window, or others are let in before it, and it waits for that."""
    SUCCEEDED = "succeeded"
    """Every meeting in question is where it should be."""
    FAILED = "failed"
    """A cause that another try does not remove, the ninth retry, or a poisoned message."""
    SKIPPED = "skipped"
    """Switched off (N7)."""
    CANCELLED = "cancelled"
    """By an administrator."""
    RETRIED = "retried"
    """An administrator starts it afresh."""
    REPLAYED = "replayed"
    """An administrator put back the message that it stood for."""


TRANSITIONS: Final[dict[State, dict[Happening, State]]] = {
    State.PENDING: {
        Happening.MERGED: State.PENDING,  # a further trigger inside the settling window (Q2)
        Happening.DEFERRED: State.PENDING,  # due outside the maintenance window, or before a list of a higher rank
        Happening.REFUSED: State.FAILED,
        Happening.STARTED: State.IN_PROGRESS,
        Happening.SKIPPED: State.SKIPPED,  # switched off between request and work (N7)
        Happening.FAILED: State.FAILED,  # its message was poisoned
        Happening.CANCELLED: State.CANCELLED,
    },
    State.IN_PROGRESS: {
        Happening.TAKEN_OVER: State.IN_PROGRESS,  # a worker died; the meetings in hand are looked at again
        Happening.POSTPONED: State.PENDING,
        Happening.CHECKPOINTED: State.PENDING,
        Happening.SUCCEEDED: State.SUCCEEDED,
        Happening.FAILED: State.FAILED,
        Happening.SKIPPED: State.SKIPPED,
        Happening.CANCELLED: State.CANCELLED,
    },
    State.FAILED: {
        Happening.RETRIED: State.PENDING,
        Happening.REPLAYED: State.SKIPPED,  # what comes of the message is another run, or none
    },
    State.SUCCEEDED: {},
    State.SKIPPED: {Happening.RETRIED: State.PENDING},
    State.CANCELLED: {Happening.RETRIED: State.PENDING},
}


STANDS_FOR_MESSAGE: Final = frozenset({"TenantMessageFailed", "MessageReplayed"})
"""Codes of runs that only stand for a message of the tenant: no work was begun that could be begun afresh."""


class IllegalTransition(Exception):
    """The run is in a state in which this cannot happen: our bug, or an administrator's late click."""


def can(run: Run, happening: Happening) -> bool:
    """Say whether *happening* is legal in the run's state."""
    if happening is Happening.RETRIED and run.code in STANDS_FOR_MESSAGE:
        return False
    return happening in TRANSITIONS[run.state]


def advance(run: Run, happening: Happening, *, now: datetime, **changes: Any) -> Run:
    """Return the run after *happening*.

    Args:
        run: As stored.
        happening: What happened.
        now: Aware UTC; becomes ``modified_at``.
        changes: Other fields of :class:`Run` that change with it.

    Raises:
        IllegalTransition: The table has no such cell, or the run only stands for a message; nothing has changed.
    """
    if not can(run, happening):
        raise IllegalTransition(f"{happening} in state {run.state}")
    state = TRANSITIONS[run.state][happening]
    if state is not State.IN_PROGRESS:
        changes.setdefault("lease_owner", None)
        changes.setdefault("lease_until_at", None)
    return replace(run, state=state, modified_at=now, **changes)


MEETING_TRANSITIONS: Final[dict[Verdict | None, frozenset[Verdict]]] = {
    # None: this run has not noted anything about the meeting yet, whatever earlier runs did.
    None: frozenset({Verdict.WRITING, Verdict.CURRENT, Verdict.SKIPPED, Verdict.FAILED, Verdict.RESTORED}),
    Verdict.WRITING: frozenset(
        {
            Verdict.WRITING,  # somebody edited it meanwhile, or the worker died: announced again
            Verdict.MIGRATED,
            Verdict.REFRESHED,
            Verdict.RESTORED,
            Verdict.CURRENT,  # the write never left, and by now nothing is left to do
            Verdict.SKIPPED,  # deleted or changed between the announcement and the write
            Verdict.FAILED,
        }
    ),
    Verdict.FAILED: frozenset(
        {
            Verdict.FAILED,  # tried again, and failed again
            Verdict.WRITING,
            Verdict.MIGRATED,  # the write whose answer was lost had been carried out
            Verdict.REFRESHED,
            Verdict.RESTORED,
            Verdict.CURRENT,
            Verdict.SKIPPED,
        }
    ),
    Verdict.MIGRATED: frozenset(),
    Verdict.REFRESHED: frozenset(),
    Verdict.CURRENT: frozenset(),
    Verdict.SKIPPED: frozenset(),
    Verdict.RESTORED: frozenset({Verdict.RESTORED}),  # a crash before the original was marked as undone
}
"""What a run may note about a meeting after what it has noted before. A verdict without cells is its last word."""


def check_noted(before: Verdict | None, after: Verdict) -> None:
    """Check that a run that noted *before* about a meeting may note *after*.

    Raises:
        IllegalTransition: The table has no such cell; nothing may be written.
    """
    if after not in MEETING_TRANSITIONS[before]:
        raise IllegalTransition(f"{after} after {before}")
