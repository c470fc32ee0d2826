"""A whole group of failures is tried again: all of it, only it, once, and as fast as lists are admitted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from meeting_values import NOW

from mms_core.errors import explain
from mms_core.messages import JobStep
from mms_core.model import Run, RunId, State, Target, UserKey, UserRecord, name_key
from mms_core.service import Retries

DENIED, MISSING = "MailboxAccessDenied", "MailboxMissing"


def _failed(number, code=DENIED, **more):
    key = UserKey(f"5eed0000-0000-4000-8000-{number:012d}")
    at = NOW - timedelta(minutes=number + 1)
    run = Run(
        run_id=RunId(f"5eed0001-0000-4000-8000-{number:012d}"), identity=key, user_id=key, state=State.FAILED,
        target=Target.TEAMS, created_at=at, modified_at=at, fresh_at=at, due_at=at, code=code, retries=10,
        last_message=explain(code),
    )  # fmt: skip
    return UserRecord(key=key, current=replace(run, **more))


async def _seed(world, *records):
    for record in records:
        await world.users.save(record, None)
    return [record.key for record in records]


async def _carry_out(world):
    """Deliver the order's own messages, and none of those that wake users."""
    while steps := [each for each in world.queue.messages if isinstance(each[1], JobStep)]:
        world.queue.messages.remove(steps[0])
        await world.dispatch(steps[0][1])


async def _states(world, keys):
    return [(await world.state(key), (await world.run(key)).code) for key in keys]


async def test_the_whole_group_is_tried_again_and_nobody_else(world, monkeypatch):
    """However many pages it is; others that failed, and a user whose newer run has not, are left alone."""
    monkeypatch.setattr("mms_core.service.admin.retries._PAGE", 3)
    group = await _seed(world, *(_failed(number) for number in range(10)))
    others = await _seed(world, _failed(20, MISSING), _failed(21, state=State.SUCCEEDED))
    nameless = replace(_failed(22, identity="zoe@contoso.example", user_id=None), key=name_key("zoe@contoso.example"))
    undo = _failed(23, undo=True, undo_events=("m1",), reasons=("Undo",))
    group += await _seed(world, nameless, undo)
    assert await Retries(world.parts).order(DENIED, actor="ann") == 12
    await _carry_out(world)
    assert await _states(world, group) == [(State.PENDING, None)] * 12
    assert await _states(world, others) == [(State.FAILED, MISSING), (State.SUCCEEDED, DENIED)]
    run = await world.run(group[0])
    assert (run.actors, run.retries, run.due_at, run.last_message) == (("ann",), 0, NOW, "")
    assert (await world.run(undo.key)).undo_events == ("m1",)
    notes = [row for row in await world.documents.list("decision") if row["rule"] == "Retry"]
    runs = {(await world.run(key)).run_id for key in group}
    assert {(row["correlationId"], row["actor"]) for row in notes} == {(each, "ann") for each in (None, *runs)}
    assert len(notes) == 13
    assert next(row for row in notes if row["correlationId"] is None)["users"] == 12


async def test_a_group_of_nobody_starts_nothing(world):
    """A code that nobody has failed with, or that is none."""
    await _seed(world, _failed(1))
    for code in (MISSING, "NoSuchCode"):
        assert await Retries(world.parts).order(code, actor="ann") == 0
    assert world.queue.messages == []


async def test_who_fails_again_is_not_tried_once_more_by_the_same_order(world, monkeypatch):
    """Nobody can be found in this tenant: each is looked up once, and the order comes to an end."""
    monkeypatch.setattr("mms_core.service.admin.retries._PAGE", 2)
    group = await _seed(world, *(_failed(number, MISSING) for number in range(5)))
    await Retries(world.parts).order(MISSING, actor="ann")
    await world.until_quiet()
    assert [state for state, _ in await _states(world, group)] == [State.FAILED] * 5
    orders = [row for row in await world.documents.list("decision") if row["correlationId"]]
    assert len(orders) == 5


async def test_an_order_while_another_is_at_work_is_carried_out_behind_it(world, monkeypatch):
    """Whoever has failed in between is tried again as well."""
    monkeypatch.setattr("mms_core.service.admin.retries._PAGE", 2)
    await _seed(world, *(_failed(number) for number in range(5)))
    retries = Retries(world.parts)
    await retries.order(DENIED, actor="ann")
    await world.deliver()
    world.clock.advance(timedelta(minutes=5))
    (late,) = await _seed(world, _failed(-3))
    assert await retries.order(DENIED, actor="ann") == 4
    await world.until_quiet()
    assert (await world.run(late)).actors == ("ann",)


async def test_a_large_group_is_admitted_like_a_list(world):
    """At the tenant's rate, behind the lists before it; the settling time is not waited out."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=2)
    group = await _seed(world, *(_failed(number) for number in range(4)))
    await Retries(world.parts).order(DENIED, actor="ann")
    await world.deliver()
    due = sorted([(await world.run(key)).due_at - NOW for key in group])
    assert due == [timedelta(seconds=seconds) for seconds in (0, 30, 60, 90)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_that_dies_at_any_write_loses_nobody(world, when, monkeypatch):
    """The page is done again: each is tried again, once."""
    monkeypatch.setattr("mms_core.service.admin.retries._PAGE", 2)
    for step in range(2, 16):
        number = 100 * step
        group = await _seed(world, *(_failed(number + each) for each in range(4)))
        await Retries(world.parts).order(DENIED, actor="ann")
        world.steps.crashes[len(world.steps.names) + step] = when
        await world.recover()
        assert [(await world.run(key)).actors for key in group] == [("ann",)] * 4, step
        assert [(await world.run(key)).code for key in group] == ["UserNotFound"] * 4, step
