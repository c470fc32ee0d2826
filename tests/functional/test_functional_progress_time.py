"""What the status shows of a run at work, and of one whose worker has died."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from functional_support import KEY, World
from meeting_values import USER

from mms_core.errors import TemporaryError
from mms_core.model import State, Verdict
from mms_core.ports import RunQuery
from mms_core.service.running.passes import IN_HAND

HOUR_AND_A_HALF = timedelta(minutes=90)
MEETINGS = 3 * IN_HAND
AT_ONCE = 4
"""Requests that a mailbox bears at once."""


async def _killed(step, when):
    world = World()
    events = world.skype_meetings(MEETINGS)
    await world.ask()
    world.clock.advance(HOUR_AND_A_HALF)
    world.steps.names.clear()
    world.steps.crashes = {step: when}
    await world.deliver()
    return world, events


async def _noted(world):
    """The meetings with a last word in the ledger."""
    return [entry for entry in await world.ledger.entries(KEY) if entry.is_final]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(5, 110, 7))
async def test_the_status_of_a_killed_worker_lags_by_the_meetings_in_hand_and_no_more(step, when):
    """One a lane at most; whoever goes on neither repeats nor counts anything twice."""
    world, events = await _killed(step, when)
    shown, noted = await world.queries.user(USER), await _noted(world)
    assert shown.state is State.IN_PROGRESS
    assert 0 <= len(world.tenant.mails) - shown.invites <= IN_HAND
    assert 0 <= len(world.tenant.mails) - len(noted) <= IN_HAND
    assert 0 <= len(noted) - shown.succeeded <= IN_HAND
    assert [run.invites for run in await world.queries.runs_of(USER)] == [shown.invites]
    await world.recover()
    await world.assert_migrated_once(events)
    ended = await world.queries.user(USER)
    assert (ended.total, ended.succeeded, ended.invites) == (MEETINGS, MEETINGS, MEETINGS)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, AT_ONCE + 1))
async def test_a_worker_killed_with_every_lane_in_hand_leaves_none_that_its_successor_does_not_know(write, when):
    """Each lane has announced its write in the ledger: four are under way, four wait for their turn; none is sent twice."""
    world = World()
    events = world.skype_meetings(MEETINGS)
    together, in_flight, announced = asyncio.Event(), [], []

    async def held():
        in_flight.append(len(in_flight))
        if len(in_flight) == AT_ONCE:
            while len(announced) < IN_HAND:
                await asyncio.sleep(0)
                entries = await world.ledger.entries(KEY)
                announced[:] = [each.event_id for each in entries if each.verdict is Verdict.WRITING]
            world.steps.crashes = {len(world.steps.names) + write: when}
            together.set()
        await together.wait()

    world.tenant.on("update", *[held] * AT_ONCE)
    await world.ask()
    world.clock.advance(HOUR_AND_A_HALF)
    async with asyncio.timeout(10):
        await world.deliver()
    sent = [mail.event_id for mail in world.tenant.mails]
    assert len(set(sent)) == len(sent) <= AT_ONCE
    assert len(announced) == IN_HAND
    assert set(sent) <= set(announced)
    await world.recover()
    await world.assert_migrated_once(events)
    assert len(world.tenant.mails) == MEETINGS


async def test_whoever_takes_a_run_over_shows_at_once_what_the_ledger_knows():
    """Not only when the first further meeting is done."""
    world, _ = await _killed(70, "after")
    noted = len(await _noted(world))
    assert noted > (await world.queries.user(USER)).succeeded
    seen = []

    async def look():
        seen.append(await world.queries.user(USER))

    world.tenant.on("candidates", look)
    await world.recover()
    assert seen[0].succeeded == noted


async def test_lists_follow_with_the_heartbeat_while_no_further_meeting_ends(world):
    """A meeting that takes long hides nothing of those before it."""
    world.start_services(run_lease=timedelta(milliseconds=60))  # by the loop's clock; the world's stands still
    world.skype_meetings(2)
    await world.ask()
    world.clock.advance(HOUR_AND_A_HALF)
    listed = []

    async def slow():
        async with asyncio.timeout(10):
            while not any(run.succeeded for run in listed):
                await asyncio.sleep(0.005)
                listed[:] = (await world.users.page(RunQuery(state=State.IN_PROGRESS))).runs

    world.tenant.on("update", None, slow)
    await world.deliver()
    assert [run.succeeded for run in listed] == [1]
    assert await world.state() is State.SUCCEEDED


async def test_the_total_of_a_run_that_is_interrupted_never_goes_down(world, monkeypatch):
    """Out of time, not answered before the calendar was looked at, and stopped there: as many meetings as before."""
    world.start_services(function_budget=timedelta(seconds=100), run_lease=timedelta(days=1))
    world.skype_meetings(2 * MEETINGS)
    save, totals = world.users.save, []

    async def saving(record, previous, **more):
        totals.append(record.current.total)
        return await save(record, previous, **more)

    async def later():
        world.clock.advance(timedelta(seconds=30))

    async def stop():
        await world.queries.cancel(USER)
        raise TemporaryError(code="ServiceUnavailable")

    monkeypatch.setattr(world.users, "save", saving)
    world.tenant.on("update", *[later] * MEETINGS)
    world.tenant.on("user", None, TemporaryError(code="ServiceUnavailable"), stop)
    await world.ask()
    await world.until_quiet()
    assert await world.state() is State.CANCELLED
    assert totals == sorted(totals)
    assert totals[-1] == 2 * MEETINGS
