"""How triggers become runs (Q1, Q2): the first sets the due time, later ones merge. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from mms_core.model import Request, Run, RunId, Source, State, Target, UserKey, UserRecord
from mms_core.states import Happening, advance

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Outcome(StrEnum):
    """What became of a request."""

    ACCEPTED = "accepted"
    """It made a run of its own."""
    MERGED = "merged"
    """It joined a run that waits."""
    DUPLICATE = "duplicate"
    """The same request has been seen before; nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The user's record with the request in it, and the run the request became part of."""

    record: UserRecord
    run: Run
    outcome: Outcome


def stronger_source(one: Source, other: Source) -> Source:
    """Return the source that covers both."""
    return one if one is other else Source.ALL


def stronger_target(one: Target, other: Target) -> Target:
    """Teams wins over Current: a meeting that becomes a Teams meeting is refreshed on the way."""
    return Target.TEAMS if Target.TEAMS in (one, other) else Target.CURRENT


def _appended(values: tuple[str, ...], value: str | None) -> tuple[str, ...]:
    return values if value is None or value in values else (*values, value)


def _merged(run: Run, request: Request, *, due_at: datetime, maximum_wait: timedelta, now: datetime) -> Run:
    # A stream of triggers may push the run back, but not for ever; an explicit not-before is no stream.
    latest = max(run.due_at, run.created_at + maximum_wait)
    due = max(run.due_at, min(due_at, latest), request.not_before_at or run.due_at)
    return advance(
        run,
        Happening.MERGED,
        now=now,
        source=stronger_source(run.source, request.source),
        target=stronger_target(run.target, request.target),
        reasons=_appended(run.reasons, request.reason),
        actors=_appended(run.actors, request.actor),
        due_at=due,
        # What a run under retry has already settled may look different after this trigger: look again.
        fresh_at=now,
        started_at=None,
        retries=0,
    )


def _new_run(request: Request, *, run_id: RunId, identity: str, due_at: datetime, now: datetime) -> Run:
    return Run(
        run_id=run_id,
        identity=identity,
        source=request.source,
        target=request.target,
        reasons=(request.reason,),
        actors=(request.actor,) if request.actor else (),
        created_at=now,
        modified_at=now,
        fresh_at=now,
        due_at=due_at,
    )


def accept(
    record: UserRecord | None,
    request: Request,
    *,
    key: UserKey,
    identity: str,
    run_id: RunId,
    settle: timedelta,
    maximum_wait: timedelta,
    now: datetime,
) -> Accepted:
    """Put a request into a user's record.

    Args:
        record: As stored, or ``None`` for a user without one.
        request: The wish.
        key: The user's key.
        identity: Name or id as the request had it, for display.
        run_id: Used if a new run is made.
        settle: Time to wait from now if the request does not say (Q1).
        maximum_wait: Later triggers push the due time at most this long after the run's creation.
        now: Aware UTC.

    Returns:
        The new record. Work that is under way is never touched: the request then waits in ``following``.
    """
    wait = settle if request.settle is None else request.settle
    due_at = max(now + wait, request.not_before_at or now)
    fresh = _new_run(request, run_id=run_id, identity=identity, due_at=due_at, now=now)
    if record is None:
        made = UserRecord(key=key, current=fresh, seen=(request.request_id,))
        return Accepted(record=made, run=fresh, outcome=Outcome.ACCEPTED)
    if request.request_id in record.seen:
        return Accepted(record=record, run=record.newest, outcome=Outcome.DUPLICATE)
    seen = record.remembering(request.request_id)
    # The names that Graph told belong to the user, not to the run.
    fresh = replace(fresh, user_id=record.current.user_id, user_principal_name=record.current.user_principal_name)

    def merge(run: Run) -> Run:
        return _merged(run, request, due_at=due_at, maximum_wait=maximum_wait, now=now)

    current, following = record.current, record.following
    if following is not None:
        merged = merge(following)
        return Accepted(record=replace(record, following=merged, seen=seen), run=merged, outcome=Outcome.MERGED)
    if current.state is State.PENDING and not current.undo:
        merged = merge(current)
        return Accepted(record=replace(record, current=merged, seen=seen), run=merged, outcome=Outcome.MERGED)
    if current.state.is_final:
        return Accepted(record=replace(record, current=fresh, seen=seen), run=fresh, outcome=Outcome.ACCEPTED)
    return Accepted(record=replace(record, following=fresh, seen=seen), run=fresh, outcome=Outcome.ACCEPTED)


def with_next(record: UserRecord) -> UserRecord:
    """Let the waiting run move up once the current one is over; otherwise return the record as it is."""
    if record.following is None or not record.current.state.is_final:
        return record
    return replace(record, current=record.following, following=None)
