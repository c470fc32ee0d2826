"""How triggers become runs (Q1, Q2): the first sets the due time, later ones merge. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from mms_core.errors import explain
from mms_core.model import NAME_PREFIX, Request, Run, RunId, Source, State, Target, UserKey, UserRecord
from mms_core.states import Happening, advance
from mms_core.windows import next_open_at

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from mms_core.model import UserFacts
    from mms_core.windows import Window


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


def _union(values: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*values, *more)))


def _joined(run: Run, other: Run, *, not_before_at: datetime | None, maximum_wait: timedelta, now: datetime) -> Run:
    """Let *other*'s wish ride along with the waiting *run*."""
    # A stream of triggers may push the run back, but not for ever; an explicit not-before is no stream.
    latest = max(run.due_at, run.created_at + maximum_wait)
    due = max(run.due_at, min(other.due_at, latest), not_before_at or run.due_at)
    return advance(
        run,
        Happening.MERGED,
        now=now,
        user_id=run.user_id or other.user_id,
        user_principal_name=run.user_principal_name or other.user_principal_name,
        source=stronger_source(run.source, other.source),
        target=stronger_target(run.target, other.target),
        reasons=_union(run.reasons, other.reasons),
        actors=_union(run.actors, other.actors),
        # Together they mean all, as soon as one of them does.
        selections=(*run.selections, *other.selections) if run.selections and other.selections else (),
        # A trigger wants more than what a preview showed.
        preview_id="",
        due_at=due,
        # What a run under retry has already settled may look different after this trigger: look again.
        fresh_at=now,
        started_at=None,
        retries=0,
        # Whoever is asked for by a second list waits for nobody that this list does not wait for.
        turn=max(run.turn, other.turn, key=lambda turn: turn.rank) if run.turn and other.turn else None,
    )


def _new_run(request: Request, *, run_id: RunId, identity: str, due_at: datetime, now: datetime) -> Run:
    return Run(
        run_id=run_id,
        identity=identity,
        source=request.source,
        target=request.target,
        reasons=(request.reason,),
        actors=(request.actor,) if request.actor else (),
        selections=(request.selection,) if request.selection else (),
        turn=request.turn,
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
    facts: UserFacts | None = None,
    window: Window | None = None,
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
        facts: Who the user is, where that is known already.
        window: When calendars may be written; ``None`` is always. The due time moves to its next opening.

    Returns:
        The new record. Work that is under way is never touched: the request then waits in ``following``.
    """
    wait = settle if request.settle is None else request.settle
    due_at = next_open_at(window, max(now + wait, request.not_before_at or now))
    fresh = _new_run(request, run_id=run_id, identity=identity, due_at=due_at, now=now)
    if not key.startswith(NAME_PREFIX):
        fresh = replace(fresh, user_id=key)
    if facts is not None:
        fresh = replace(fresh, user_id=facts.user_id, user_principal_name=facts.user_principal_name)
    return put(
        record,
        fresh,
        key=key,
        request_id=request.request_id,
        not_before_at=request.not_before_at,
        maximum_wait=maximum_wait,
        now=now,
    )


def put(
    record: UserRecord | None,
    run: Run,
    *,
    key: UserKey,
    request_id: str,
    maximum_wait: timedelta,
    now: datetime,
    not_before_at: datetime | None = None,
) -> Accepted:
    """Put a waiting run into a user's record: as the current one, as the following one, or merged into either.

    Args and result as for :func:`accept`; *run* keeps its id, birthday and due time where it is not merged.
    """
    if record is None:
        made = UserRecord(key=key, current=run, seen=(request_id,))
        return Accepted(record=made, run=run, outcome=Outcome.ACCEPTED)
    if request_id in record.seen:
        return Accepted(record=record, run=record.newest, outcome=Outcome.DUPLICATE)
    seen = record.remembering(request_id)
    # The names that Graph told belong to the user, not to the run.
    run = replace(
        run,
        user_id=run.user_id or record.current.user_id,
        user_principal_name=run.user_principal_name or record.current.user_principal_name,
    )

    def merge(waiting: Run) -> Run:
        return _joined(waiting, run, not_before_at=not_before_at, maximum_wait=maximum_wait, now=now)

    current, following = record.current, record.following
    if following is not None and not following.state.is_final:
        merged = merge(following)
        return Accepted(record=replace(record, following=merged, seen=seen), run=merged, outcome=Outcome.MERGED)
    if current.state is State.PENDING and not current.undo:
        merged = merge(current)
        return Accepted(record=replace(record, current=merged, seen=seen), run=merged, outcome=Outcome.MERGED)
    if current.state.is_final:
        # A following run that was cancelled is in the history; its place is free.
        made = replace(record, current=run, following=None, seen=seen)
        return Accepted(record=made, run=run, outcome=Outcome.ACCEPTED)
    return Accepted(record=replace(record, following=run, seen=seen), run=run, outcome=Outcome.ACCEPTED)


def refused(accepted: Accepted, *, code: str, now: datetime) -> Accepted:
    """Return a request whose own run is refused with a code before any work."""
    run = advance(accepted.run, Happening.REFUSED, now=now, code=code, last_message=explain(code))
    record = accepted.record
    is_next = record.current.run_id != run.run_id
    record = replace(record, following=run) if is_next else replace(record, current=run)
    return replace(accepted, record=record, run=run)


def with_next(record: UserRecord) -> UserRecord:
    """Let the waiting run move up once the current one is over; otherwise return the record as it is."""
    if record.following is None or not record.current.state.is_final:
        return record
    return replace(record, current=record.following, following=None)
