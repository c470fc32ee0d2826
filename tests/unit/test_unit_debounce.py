"""The first trigger sets the due time, later ones ride along (Q1, Q2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mms_core.debounce import Outcome, accept, stronger_source, stronger_target, with_next
from mms_core.model import Request, RunId, Source, State, Target, UserFacts, UserKey, name_key
from mms_core.states import Happening, advance

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SETTLE = 90 * MINUTE
MAXIMUM = 360 * MINUTE
KEY = UserKey("77778888-9999-4aaa-bbbb-ccccddddeeee")
quick = settings.get_profile("unit")


def _accept(record, number=1, *, at=START, key=KEY, facts=None, **request):
    wish = Request(request_id=f"request-{number}", **{"reason": f"T{number}", **request})
    return accept(
        record,
        wish,
        key=key,
        identity="adele@contoso.example",
        run_id=RunId(f"run-{number}"),
        settle=SETTLE,
        maximum_wait=MAXIMUM,
        now=at,
        facts=facts,
    )


def _working(record, *, at=START):
    return replace(record, current=advance(record.current, Happening.STARTED, now=at, started_at=at))


def _over(record, *, at=START):
    return replace(record, current=advance(record.current, Happening.SUCCEEDED, now=at))


# -- the first trigger ------------------------------------------------------------------------------------------------


def test_the_first_trigger_sets_the_due_time():
    """Ninety minutes from now, with its reason and actor."""
    accepted = _accept(None, actor="admin", source=Source.SFB, target=Target.TEAMS)
    run = accepted.run
    assert accepted.outcome is Outcome.ACCEPTED
    assert (run.state, run.due_at, run.created_at) == (State.PENDING, START + SETTLE, START)
    assert (run.reasons, run.actors, run.source, run.target) == (("T1",), ("admin",), Source.SFB, Target.TEAMS)
    assert (run.user_id, accepted.record.seen) == (KEY, ("request-1",))


def test_a_request_may_have_its_own_settling_time():
    """Shorter, zero or longer than the tenant's."""
    assert _accept(None, settle=timedelta(0)).run.due_at == START
    assert _accept(None, settle=timedelta(days=1)).run.due_at == START + timedelta(days=1)


def test_not_before_wins_where_it_is_later():
    """It never shortens the settling time."""
    assert _accept(None, not_before_at=START + timedelta(days=3)).run.due_at == START + timedelta(days=3)
    assert _accept(None, not_before_at=START - timedelta(days=3)).run.due_at == START + SETTLE


def test_who_the_user_is_stays_open_for_a_name():
    """The key of a name is no object id; facts tell both."""
    assert _accept(None, key=name_key("adele@contoso.example")).run.user_id is None
    facts = UserFacts(user_id=KEY, user_principal_name="adele@contoso.example", plans=frozenset())
    run = _accept(None, facts=facts).run
    assert (run.user_id, run.user_principal_name) == (KEY, "adele@contoso.example")


# -- merging ----------------------------------------------------------------------------------------------------------


def test_a_second_trigger_merges_and_pushes_the_due_time():
    """Reasons and actors of both, the run keeps its id and birthday."""
    first = _accept(None, actor="a")
    second = _accept(first.record, 2, at=START + 30 * MINUTE, actor="b")
    run = second.run
    assert second.outcome is Outcome.MERGED
    assert (run.run_id, run.created_at, run.due_at) == ("run-1", START, START + 120 * MINUTE)
    assert (run.reasons, run.actors) == (("T1", "T2"), ("a", "b"))
    assert run.fresh_at == START + 30 * MINUTE


def test_a_second_trigger_never_pulls_the_due_time_forward():
    """A short settling time does not cut the one that is under way short."""
    first = _accept(None)
    second = _accept(first.record, 2, at=START + MINUTE, settle=timedelta(0))
    assert second.run.due_at == START + SETTLE


def test_a_stream_of_triggers_pushes_at_most_to_the_maximum_wait():
    """Six hours after the run was created, it runs."""
    record = _accept(None).record
    for number in range(2, 40):
        record = _accept(record, number, at=START + number * 10 * MINUTE).record
    assert record.current.due_at == START + MAXIMUM


def test_an_explicit_not_before_is_no_stream():
    """It may lead past the maximum wait, and later triggers keep it."""
    record = _accept(None).record
    record = _accept(record, 2, at=START + MINUTE, not_before_at=START + timedelta(days=5)).record
    assert record.current.due_at == START + timedelta(days=5)
    assert _accept(record, 3, at=START + 2 * MINUTE).run.due_at == START + timedelta(days=5)


def test_the_same_reason_twice_is_listed_once():
    """In the order of the first time."""
    record = _accept(None, reason="T3", actor="a").record
    record = _accept(record, 2, reason="T9", actor="a").record
    record = _accept(record, 3, reason="T3", actor="b").record
    assert (record.current.reasons, record.current.actors) == (("T3", "T9"), ("a", "b"))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Source.SFB, Source.SFB, Source.SFB),
        (Source.TEAMS, Source.TEAMS, Source.TEAMS),
        (Source.SFB, Source.TEAMS, Source.ALL),
        (Source.ALL, Source.SFB, Source.ALL),
        (Source.TEAMS, Source.ALL, Source.ALL),
    ],
)
def test_the_source_of_two_covers_both(one, other, both):
    """In either order."""
    assert stronger_source(one, other) is stronger_source(other, one) is both


def test_teams_is_the_stronger_target():
    """A meeting that becomes a Teams meeting is refreshed on the way."""
    assert (
        stronger_target(Target.TEAMS, Target.CURRENT) is stronger_target(Target.CURRENT, Target.TEAMS) is Target.TEAMS
    )
    assert stronger_target(Target.CURRENT, Target.CURRENT) is Target.CURRENT


def test_a_merge_resets_a_run_under_retry():
    """What it had settled may look different now: retries and their 24 hours begin anew."""
    record = _accept(None).record
    waiting = replace(record.current, retries=4, started_at=START, due_at=START + 500 * MINUTE)
    merged = _accept(replace(record, current=waiting), 2, at=START + 400 * MINUTE).run
    assert (merged.retries, merged.started_at, merged.fresh_at) == (0, None, START + 400 * MINUTE)
    assert merged.due_at >= START + 500 * MINUTE


def test_who_the_user_is_may_come_with_a_later_request():
    """Asked for by id, then by a trigger whose sender knew the name: the run shows it while it waits."""
    first = _accept(None)
    assert first.run.user_principal_name is None
    facts = UserFacts(user_id=KEY, user_principal_name="adele@contoso.example", plans=frozenset())
    assert _accept(first.record, 2, facts=facts).run.user_principal_name == "adele@contoso.example"


# -- duplicates ---------------------------------------------------------------------------------------------------------


def test_the_same_request_again_changes_nothing():
    """Recognised by its id, whatever else it says."""
    first = _accept(None)
    again = _accept(first.record, 1, at=START + 50 * MINUTE, reason="other", target=Target.TEAMS)
    assert again.outcome is Outcome.DUPLICATE
    assert again.record is first.record


def test_a_duplicate_is_recognised_after_the_run_is_over():
    """A redelivery must not start a second migration."""
    record = _over(_working(_accept(None).record))
    assert _accept(record, 1, at=START + timedelta(days=1)).outcome is Outcome.DUPLICATE


def test_sixty_four_requests_are_remembered():
    """The oldest is forgotten first."""
    record = _accept(None).record
    for number in range(2, 66):
        record = _accept(record, number).record
    assert len(record.seen) == 64
    assert record.seen[0] == "request-2"


# -- following ----------------------------------------------------------------------------------------------------------


def test_work_under_way_is_never_touched():
    """The trigger waits in line, with a due time of its own."""
    working = _working(_accept(None).record)
    accepted = _accept(working, 2, at=START + 10 * MINUTE)
    assert accepted.outcome is Outcome.ACCEPTED
    assert accepted.record.current == working.current
    assert accepted.record.following == accepted.run
    assert (accepted.run.run_id, accepted.run.due_at) == ("run-2", START + 100 * MINUTE)
    assert accepted.record.newest is accepted.record.following


def test_further_triggers_merge_into_the_following_run():
    """Never more than one waits."""
    record = _accept(_working(_accept(None).record), 2).record
    accepted = _accept(record, 3, at=START + MINUTE, target=Target.TEAMS)
    assert accepted.outcome is Outcome.MERGED
    assert (accepted.run.run_id, accepted.run.reasons, accepted.run.target) == ("run-2", ("T2", "T3"), Target.TEAMS)


def test_an_undo_that_waits_is_not_merged_into():
    """A migration must not become a restoration."""
    record = _accept(None).record
    record = replace(record, current=replace(record.current, undo=True))
    accepted = _accept(record, 2)
    assert accepted.record.current.undo
    assert accepted.record.following == accepted.run
    assert not accepted.run.undo


def test_after_a_run_that_is_over_a_new_one_begins():
    """With the names that Graph told the last time."""
    record = _working(_accept(None).record)
    record = _over(replace(record, current=replace(record.current, user_principal_name="adele@contoso.example")))
    accepted = _accept(record, 2, at=START + timedelta(days=1))
    assert accepted.record.current.run_id == "run-2"
    assert accepted.run.user_principal_name == "adele@contoso.example"
    assert accepted.record.following is None


def test_the_following_run_moves_up_once_the_current_one_is_over():
    """And not before."""
    record = _accept(_working(_accept(None).record), 2).record
    assert with_next(record) is record
    moved = with_next(_over(record))
    assert (moved.current.run_id, moved.following) == ("run-2", None)
    alone = _over(_working(_accept(None).record))
    assert with_next(alone) is alone


# -- properties -----------------------------------------------------------------------------------------------------------

requests = st.lists(
    st.fixed_dictionaries(
        {
            "wait": st.integers(0, 200),
            "source": st.sampled_from(Source),
            "target": st.sampled_from(Target),
            "settle": st.none() | st.integers(0, 300).map(lambda minutes: minutes * MINUTE),
        }
    ),
    min_size=1,
    max_size=12,
)


@quick
@given(requests)
def test_a_run_is_never_early_and_never_starved(wishes):
    """Due at or after every wish's own time unless the maximum wait cut it; never after both limits."""
    record, now, first_due = None, START, None
    for number, wish in enumerate(wishes, 1):
        now += wish["wait"] * MINUTE
        if record is not None and now > record.current.due_at:
            break
        accepted = _accept(record, number, at=now, source=wish["source"], target=wish["target"], settle=wish["settle"])
        wanted = now + (SETTLE if wish["settle"] is None else wish["settle"])
        first_due = first_due or wanted
        limit = max(first_due, START + wishes[0]["wait"] * MINUTE + MAXIMUM)
        if record is not None:
            assert accepted.run.due_at >= record.current.due_at
        assert min(wanted, limit) <= accepted.run.due_at <= limit
        record = accepted.record
    assert len({record.current.run_id}) == 1


@quick
@given(requests)
def test_nothing_that_was_asked_for_is_lost(wishes):
    """The merged run covers every source and target, and remembers every request."""
    record = None
    for number, wish in enumerate(wishes, 1):
        record = _accept(record, number, source=wish["source"], target=wish["target"]).record
    run = record.current
    assert all(run.source in (wish["source"], Source.ALL) for wish in wishes)
    assert (run.target is Target.TEAMS) is any(wish["target"] is Target.TEAMS for wish in wishes)
    assert len(record.seen) == len(run.reasons) == len(wishes)
    for number in range(1, len(wishes) + 1):
        assert _accept(record, number).outcome is Outcome.DUPLICATE
