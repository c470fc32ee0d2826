"""A small tenant in virtual time, and the judge of ``python -m bench.capacity``: what breaks a promise is caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import capacity
from bench.capacity import NO_FAULTS, Case, simulate
from bench.capacity_model import host
from bench.capacity_model.tenant import Faults, Limits, Window, external_limit
from mms_core.service.running import passes
from mms_core.service.running.sending import Budget

CALM = Case(
    users=250,
    meetings=4,
    faults=NO_FAULTS,
    storage_failure=0,
    duplicates=0,
    again=0,
    life_hours=0,
)


def _twice(update):
    async def twice(self, user_id, event_id, change, *, etag, confirm=None):
        await update(self, user_id, event_id, change, etag=etag, confirm=confirm)
        return await update(self, user_id, event_id, change, etag='W/"1"')

    return twice


def _but_pace(result):
    return [each for each in result.problems if "binding limit" not in each]


def test_a_tenant_limited_by_teams_is_migrated_at_the_pace_of_teams():
    """One update a meeting and no limit broken; of a minute's work, beginning and end are a good part."""
    result = simulate(CALM)
    assert _but_pace(result) == []
    assert (result.binding, result.facts["updates"]) == ("teamsRequests", 1000)
    assert result.efficiency > 0.5
    assert result.facts["peaks"]["mailboxConcurrency"] <= 4


def test_lost_answers_repeated_messages_and_dying_instances_neither_lose_nor_double():
    """With forty times the misfortune of a usual run; only the pace suffers."""
    faults = Faults(lost_answer=0.02, gateway=0.02, unavailable=0.02)
    case = replace(CALM, users=100, faults=faults, storage_failure=0.003, duplicates=0.1, again=0.2, life_hours=0.1)
    result = simulate(replace(case, instances=3))
    assert _but_pace(result) == []
    assert result.facts["lost answers"] > 0
    assert result.facts["instances killed"] > 5


def test_recipients_outside_are_spread_over_as_many_days_as_the_tenant_must_take():
    """The mail limit binds: no day has more than it may, whichever 24 hours one looks at."""
    result = simulate(replace(CALM, users=60, external=1.0, limits=Limits(externalADay=500)))
    assert _but_pace(result) == []
    assert result.binding == "externalADay"
    assert result.facts["peaks"]["externalADay"] <= 500
    assert result.elapsed_seconds > 2 * 24 * 3600


def test_a_mailboxs_recipients_are_spread_over_as_many_days_as_it_must_take():
    """Each organizer waits alone; whichever 24 hours one looks at, none has more than a mailbox may."""
    result = simulate(replace(CALM, users=20, attendees=10, limits=Limits(recipientsADay=20)))
    assert _but_pace(result) == []
    assert result.binding == "recipientsADay"
    assert result.facts["peaks"]["recipientsADay"] == 20
    assert result.elapsed_seconds > 24 * 3600


def test_the_judge_sees_a_second_update(monkeypatch):
    """As a layer that repeats writes would send it."""
    monkeypatch.setattr(host.Graph, "update", _twice(host.Graph.update))
    result = simulate(replace(CALM, users=5))
    assert result.doubled == 20
    assert "20 meetings doubled" in result.problems


def test_the_judge_sees_what_is_given_up(monkeypatch):
    """As by a service that does not try again."""
    monkeypatch.setattr(passes, "next_attempt_at", lambda **_: None)
    result = simulate(replace(CALM, users=40, faults=replace(NO_FAULTS, unavailable=0.4)))
    assert result.lost > 0
    assert any("lost" in each for each in result.problems)
    assert any("not succeeded" in each for each in result.problems)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [(Limits(externalADay=500), "recipients outside"), (Limits(recipientsADay=10), "mailbox's recipients")],
    ids=["tenant", "mailbox"],
)
def test_the_judge_sees_too_many_recipients(monkeypatch, limits, problem):
    """As from a service that counts none."""

    async def unlimited(self, recipients, limit, *, at):
        assert recipients <= limit
        assert isinstance(self, Budget)
        assert at.tzinfo is not None
        return True, at

    monkeypatch.setattr(Budget, "reserve", unlimited)
    result = simulate(replace(CALM, users=40, external=1.0, limits=limits))
    assert any(problem in each for each in result.problems)


def test_the_judge_sees_a_pace_that_is_too_slow():
    """As with an admission that is far below what Teams allows."""
    result = simulate(replace(CALM, users=20, settings={"AdmissionUsersPerMinute": 1}, floor_from_seconds=0))
    assert any("less than 90%" in each for each in result.problems)


def test_a_run_is_the_same_for_the_same_seed():
    """Whoever sees something odd can look at it again."""
    case = replace(CALM, users=15, faults=Faults(), life_hours=0.2)
    one, other = simulate(case), simulate(case)
    assert (one.facts, one.elapsed_seconds) == (other.facts, other.elapsed_seconds)


def test_limits_hold_over_any_window():
    """Not only over whole seconds or days."""
    window = Window(2, 10)
    assert [window.take(0), window.take(9)] == [0, 0]
    assert window.take(9.5) == pytest.approx(0.5)
    assert [window.take(10), window.take(18), window.take(19)] == [0, pytest.approx(1), 0]


@pytest.mark.parametrize(("licences", "recipients"), [(1, 10_000), (100, 22_059), (100_000, 1_590_639)])
def test_the_recipients_of_a_tenant_follow_the_published_table(licences, recipients):
    """Exchange's own examples."""
    assert external_limit(licences) == recipients


def test_the_command_ends_with_the_judges_verdict(monkeypatch, capsys):
    """Zero where all is well, one and the reason where not."""
    line = ["capacity", "--users", "12", "--no-faults", "--limit", "teamsRequests=20"]
    monkeypatch.setattr("sys.argv", line)
    monkeypatch.setattr(capacity.gc, "freeze", lambda: None)
    monkeypatch.setattr(capacity.gc, "set_threshold", lambda *_: None)
    assert capacity.main() == 0
    monkeypatch.setattr(host.Graph, "update", _twice(host.Graph.update))
    assert capacity.main() == 1
    assert "NOT AS IT MUST BE" in capsys.readouterr().out
