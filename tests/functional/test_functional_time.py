"""When a run may work: maintenance windows, not-before, handing over, and what a worker may do without its lease."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from functional_support import KEY
from meeting_values import NOW, USER, skype_event

from mms_core.errors import TemporaryError
from mms_core.messages import Wake, encode
from mms_core.model import RunId, State

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NIGHT = {"MaintenanceHours": "22:00-06:00", "MaintenanceTimeZone": "Europe/Berlin"}
TEN_PM = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)


async def test_a_request_outside_the_window_says_when_it_will_run(world):
    """The due time is the window's next opening, and nothing is written before it."""
    world.skype_meetings(1)
    await world.configure(**NIGHT)
    await world.ask()
    assert (await world.run()).due_at == TEN_PM
    await world.until_quiet()
    assert world.clock.now() == TEN_PM
    assert await world.state() is State.SUCCEEDED


async def test_a_window_that_was_set_later_holds_for_what_waits_already(world):
    """The wake-up comes at the old time, writes nothing, and tells when it goes on."""
    world.skype_meetings(1)
    await world.ask()
    await world.configure(**NIGHT)
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.due_at) == (State.PENDING, TEN_PM)
    assert world.tenant.mails == []
    world.clock.at = TEN_PM - MINUTE
    assert await world.recovery.sweep() == 0
    await world.until_quiet()
    assert world.clock.now() == TEN_PM
    assert len(world.tenant.mails) == 1


async def test_an_undo_waits_for_the_window_and_stops_at_its_end(world):
    """It is a write to a calendar like any other, though it does not wait for company."""
    world.start_services(run_lease=HOUR)
    events = world.skype_meetings(12)
    await world.ask()
    await world.until_quiet()
    await world.configure(**NIGHT)
    await world.queries.undo(USER, (), actor=None)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.due_at, len(world.tenant.mails)) == (State.PENDING, TEN_PM, len(events))
    world.clock.at = TEN_PM + 8 * HOUR - MINUTE
    world.tenant.on("update", None, lambda: world.clock.advance(MINUTE))
    await world.deliver()
    run = await world.run()
    assert (run.state, run.due_at, run.code) == (State.PENDING, TEN_PM + 24 * HOUR, "OutsideWindow")
    assert len(events) < len(world.tenant.mails) < 2 * len(events)
    await world.until_quiet()
    assert [world.tenant.mails_of(event.event_id) for event in events] == [2] * len(events)


async def test_a_run_that_reaches_the_end_of_the_window_goes_on_in_the_next(world):
    """What is written stays; the rest is written the next night; the run says why it waits."""
    world.start_services(run_lease=HOUR)
    events = world.skype_meetings(12)
    await world.configure(**NIGHT)
    await world.ask()
    world.clock.at = TEN_PM + 8 * HOUR - MINUTE
    world.tenant.on("update", None, lambda: world.clock.advance(MINUTE))
    await world.deliver()
    run = await world.run()
    assert (run.state, run.due_at, run.code) == (State.PENDING, TEN_PM + 24 * HOUR, "OutsideWindow")
    assert run.last_message.startswith("OutsideWindow: The maintenance window has closed")
    written = len(world.tenant.mails)
    assert 0 < written < len(events)
    await world.until_quiet()
    assert world.clock.now() == TEN_PM + 24 * HOUR
    await world.assert_migrated_once(events)


async def test_waiting_for_the_window_is_no_time_of_retrying(world):
    """A run that waits a weekend for its window still has its retries."""
    events = world.tenant.add(skype_event(1, start=NOW + timedelta(days=90)))
    await world.configure(MaintenanceDays="Mon", MaintenanceHours="08:00-10:00")
    world.tenant.on("update", *[TemporaryError(code="ServiceUnavailable", retry_after=timedelta(hours=2))] * 3)
    await world.ask()
    await world.until_quiet(within=timedelta(days=40))
    assert world.clock.now() >= NOW + timedelta(days=21)
    await world.assert_migrated_once(events)


async def test_a_merge_does_not_move_a_run_out_of_the_window(world):
    """A second trigger at night's end pushes the run; the wake-up holds the line."""
    world.tenant.add(skype_event(1, start=NOW + timedelta(days=30)))
    await world.configure(**NIGHT)
    await world.ask()
    await world.ask(not_before_at=TEN_PM + 9 * HOUR)
    stored = await world.users.read(KEY)
    outside = replace(stored.value.current, due_at=TEN_PM + 9 * HOUR)
    await world.users.save(replace(stored.value, current=outside), stored)
    await world.until_quiet()
    assert world.clock.now() == TEN_PM + 24 * HOUR
    assert len(world.tenant.mails) == 1


async def test_a_trigger_that_joins_while_the_run_is_deferred_is_not_lost(world):
    """The wake-up looks again instead of writing over it."""
    world.skype_meetings(1)
    await world.ask()
    await world.configure(**NIGHT)
    world.clock.advance(90 * MINUTE)
    stored = await world.users.read(KEY)
    save = world.users.save

    async def raced(record, previous, *, publish=True):
        world.users.save = save
        await save(replace(stored.value, seen=(*stored.value.seen, "joined")), stored)
        return await save(record, previous, publish=publish)

    world.users.save = raced
    await world.deliver()
    assert "joined" in (await world.record()).seen
    await world.until_quiet()
    assert world.clock.now() == TEN_PM
    assert len(world.tenant.mails) == 1


async def test_not_before_and_window_hold_together(world):
    """The first opening after the not-before."""
    world.skype_meetings(1)
    await world.configure(**NIGHT)
    await world.ask(not_before_at=TEN_PM + 9 * HOUR)
    await world.until_quiet()
    assert world.clock.now() == TEN_PM + 24 * HOUR


async def test_no_delivery_starts_a_run_before_its_time(world):
    """However often the message comes, from whichever sweep, at any instant before."""
    world.skype_meetings(1)
    await world.ask()
    record = await world.record()
    for _ in range(9):
        world.clock.advance(9 * MINUTE)
        await world.dispatch(Wake(user=USER, wake_id=record.wake_id))
        await world.recovery.sweep()
        assert await world.state() is State.PENDING
    assert world.tenant.calls == []
    await world.until_quiet()
    assert len(world.tenant.mails) == 1


async def test_a_stopping_machine_finishes_the_meeting_in_hand_and_hands_the_run_over(world):
    """SIGTERM in the middle: nothing is broken off, and the next machine goes on at once."""
    events = world.skype_meetings(9)
    stopping = []
    world.parts = replace(world.parts, stopping=lambda: bool(stopping))
    world.runs._parts = world.parts
    world.tenant.on("update", None, lambda: stopping.append(True))
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.code, run.due_at) == (State.PENDING, "Stopping", world.clock.now())
    assert 0 < len(world.tenant.mails) < len(events)
    assert run.succeeded == len(world.tenant.mails)
    stopping.clear()
    await world.until_quiet()
    assert world.clock.now() == NOW + 90 * MINUTE
    await world.assert_migrated_once(events)


async def test_an_unexpected_error_meets_every_delivery_until_the_message_is_poisoned(world):
    """The lease is given back: a second delivery is not mistaken for a run that somebody works on."""
    world.skype_meetings(1)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    (_, wake) = world.queue.messages.pop()
    for _ in range(5):
        world.tenant.on("user", ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await world.dispatch(wake)
        world.clock.advance(timedelta(seconds=10))
    await world.recovery.poisoned(encode(wake))
    run = await world.run()
    assert (run.state, run.code) == (State.FAILED, "PoisonedMessage")
    await world.queries.retry(USER)
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED
    assert len(world.tenant.mails) == 1


async def test_sweeps_do_not_keep_a_bug_from_being_seen(world):
    """A new wake-up in place of the one that comes again would begin to count anew, for ever."""
    world.skype_meetings(1)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    (_, wake) = world.queue.messages.pop()
    for _ in range(5):
        world.tenant.on("user", ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await world.dispatch(wake)
        for _ in range(5):
            world.clock.advance(timedelta(seconds=2))
            assert await world.recovery.sweep() == 0
    await world.recovery.poisoned(encode(wake))
    assert (await world.run()).code == "PoisonedMessage"


async def test_a_message_that_does_not_come_again_after_a_bug_is_replaced(world):
    """The host died, too."""
    events = world.skype_meetings(1)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    (_, wake) = world.queue.messages.pop()
    world.tenant.on("user", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await world.dispatch(wake)
    world.clock.advance(MINUTE + timedelta(seconds=10))
    assert await world.recovery.sweep() == 1
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_a_poisoned_leftover_fails_nobody(world):
    """The run's own message is another one by now."""
    world.skype_meetings(1)
    await world.ask()
    await world.recovery.poisoned(encode(Wake(user=USER, wake_id="of another time")))
    assert await world.state() is State.PENDING


async def test_a_poisoned_run_makes_room_for_the_one_in_line(world):
    """Both are to be seen, and the second has a message of its own."""
    world.skype_meetings(1)
    await world.ask()
    stored = await world.users.read(KEY)
    working = replace(stored.value.current, state=State.IN_PROGRESS)
    waiting = replace(stored.value.current, run_id=RunId("second"))
    record = replace(stored.value, current=working, following=waiting)
    await world.users.save(record, stored)
    await world.recovery.poisoned(encode(Wake(user=USER, wake_id=record.wake_id)))
    assert {run.state for run in await world.users.runs_of(KEY)} == {State.FAILED, State.PENDING}
    world.queue.messages = world.queue.messages[1:]  # the leftover of the first
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


async def test_the_sweep_leaves_a_run_alone_whose_message_waits_its_turn(world):
    """A backlog: the queue's front is older than the row, so its message is further back, and is not doubled."""
    world.skype_meetings(1)
    await world.ask()
    world.clock.advance(HOUR)
    await world.queue.send(Wake(user="somebody", wake_id="w", due=(NOW + HOUR).isoformat()))
    world.clock.advance(2 * HOUR)
    assert await world.recovery.sweep() == 0
    assert len(world.queue.wakes()) == 2
    await world.until_quiet()
    assert len(world.tenant.mails) == 1


async def test_a_request_after_a_cancelled_one_in_line_is_a_run_of_its_own(world):
    """While the first still works: cancelled twice, asked again; nothing is illegal, and the new one runs."""
    world.skype_meetings(3)
    await world.ask()
    stored = await world.users.read(KEY)
    working = replace(
        stored.value.current, state=State.IN_PROGRESS, lease_until_at=world.clock.now() + 30 * MINUTE, lease_owner="w"
    )
    await world.users.save(replace(stored.value, current=working), stored)
    await world.ask()
    for _ in range(2):
        await world.queries.cancel(USER)
    assert (await world.record()).following.state is State.CANCELLED
    result = await world.ask()
    record = await world.record()
    assert (result.status, record.following.run_id) == ("accepted", result.correlation_id)
    await world.recover()
    states = {run.run_id: run.state for run in await world.users.runs_of(KEY)}
    assert states.pop(result.correlation_id) is State.SUCCEEDED
    assert set(states.values()) == {State.CANCELLED}


async def test_a_run_that_finds_no_place_at_work_goes_back_in_line(world, monkeypatch):
    """Its lease is given back, and the next delivery finds a place."""
    monkeypatch.setattr("mms_core.service.running.runs.PATIENCE", timedelta(seconds=0.01))
    events = world.skype_meetings(2)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    places = world.runs._places
    world.runs._places = type(places)(0)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.due_at, run.lease_owner) == (State.PENDING, world.clock.now(), None)
    assert world.tenant.mails == []
    world.runs._places = places
    await world.until_quiet()
    await world.assert_migrated_once(events)
