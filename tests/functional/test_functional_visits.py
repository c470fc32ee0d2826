"""A mailbox has either its run or one visitor: whoever comes later waits, and nobody for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from functional_support import KEY, Crash
from meeting_values import USER

from mms_core.messages import TenantEvent
from mms_core.model import Source, State, Target, UserKey
from mms_core.service import Previews, visits
from mms_core.service.running.previews import Asked
from mms_core.service.visits import MailboxBusy, visiting

NOW = timedelta(0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Whoever waits looks again in no time."""
    monkeypatch.setattr(visits, "_LOOK", timedelta(milliseconds=1))
    monkeypatch.setattr(visits, "_LIFE", timedelta(milliseconds=50))
    monkeypatch.setattr(visits, "PATIENCE", timedelta(milliseconds=5))


def _while_a_run_lists(world, act):
    """Do something in the middle of the run's listing."""
    world.tenant.on("candidates", act)


async def test_nobody_visits_while_a_run_is_at_work(world):
    """It is told so at once, and asks nothing of the mailbox; afterwards it may."""
    seen = []

    async def visit():
        with pytest.raises(MailboxBusy):
            async with visiting(world.parts, USER, patience=NOW):
                raise AssertionError("inside")
        seen.append((await world.record()).current.state)

    world.skype_meetings(1)
    await world.ask()
    _while_a_run_lists(world, visit)
    await world.until_quiet()
    assert (seen, await world.state()) == ([State.IN_PROGRESS], State.SUCCEEDED)
    async with visiting(world.parts, USER, patience=NOW):
        pass


async def test_a_preview_that_meets_a_run_is_made_after_it(world):
    """The plan is of the meetings as the run has left them."""
    previews = Previews(world.parts)
    made = []

    async def ask():
        asked = Asked(key=KEY, identity=USER, source=Source.ALL, target=Target.TEAMS)
        made.append(await previews.ask(asked))
        calls = len(world.tenant.calls)
        with pytest.raises(MailboxBusy):
            await previews.make(made[0])
        assert set(world.tenant.calls[calls:]) <= {"user", "member_of"}

    world.skype_meetings(1)
    await world.ask()
    _while_a_run_lists(world, ask)
    await world.until_quiet()
    shown = await previews.read(made[0])
    assert (shown["state"], [row["verdict"] for row in shown["meetings"]]) == ("ready", ["current"])


async def test_a_run_waits_until_its_visitor_has_left(world):
    """And begins with the listing only then."""
    world.skype_meetings(1)
    await world.ask()
    world.clock.advance(timedelta(minutes=90))
    async with visiting(world.parts, USER, patience=NOW):
        run = asyncio.create_task(world.deliver())
        await asyncio.sleep(0.01)
        assert "candidates" not in world.tenant.calls
    await run
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


async def test_a_run_whose_visitor_stays_goes_back_in_line(world):
    """Its place at work is free for others meanwhile."""
    world.skype_meetings(1)
    await world.ask()
    world.clock.advance(timedelta(minutes=90))
    async with visiting(world.parts, USER, patience=NOW):
        await world.deliver()
        assert (await world.state(), "candidates" in world.tenant.calls) == (State.PENDING, False)
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


async def test_visitors_take_turns_and_one_that_died_is_out_of_the_way(world):
    """Its row ends by itself."""
    async with visiting(world.parts, USER, patience=NOW):
        with pytest.raises(MailboxBusy):
            async with visiting(world.parts, USER, patience=timedelta(milliseconds=3)):
                raise AssertionError("inside")
        async with visiting(world.parts, str(UserKey("somebody else")), patience=NOW):
            pass
    world.steps.crashes[len(world.steps.names) + 1] = "after"
    with pytest.raises(Crash):
        async with visiting(world.parts, USER, patience=NOW):
            raise AssertionError("inside")
    world.steps.is_dead = False
    with pytest.raises(MailboxBusy):
        async with visiting(world.parts, USER, patience=NOW):
            raise AssertionError("inside")
    world.clock.advance(timedelta(seconds=61))
    async with visiting(world.parts, USER, patience=NOW):
        pass


async def test_a_visit_that_lasts_is_renewed(world):
    """However long it takes."""
    async with visiting(world.parts, USER, patience=NOW):
        for _ in range(5):
            world.clock.advance(timedelta(milliseconds=30))
            await asyncio.sleep(0.05)
            with pytest.raises(MailboxBusy):
                async with visiting(world.parts, USER, patience=NOW):
                    raise AssertionError("inside")


async def test_a_trigger_in_the_middle_of_a_run_is_decided_without_a_look_at_the_mailbox(world):
    """Where the mailbox is, the run will say."""
    event = TenantEvent(
        event_id="contoso|9", type="mms.audioconferencing.changed", data={"user": USER, "change": "enabled"}
    )

    async def told():
        calls = len(world.tenant.calls)
        await world.dispatch(event)
        assert "mailbox" not in world.tenant.calls[calls:]

    world.skype_meetings(1)
    await world.ask()
    _while_a_run_lists(world, told)
    await world.until_quiet()
    reasons = {reason for run in await world.users.runs_of(KEY) for reason in run.reasons}
    assert any(reason.startswith("T5 ") for reason in reasons)
