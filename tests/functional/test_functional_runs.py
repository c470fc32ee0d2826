"""From a request to the ledger: what a worker does with a user's run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import KEY, NAME
from meeting_values import (
    AUDIO_CONFERENCING,
    NOW,
    OTHER_USER,
    USER,
    an_event,
    online_meeting,
    page,
    people,
    skype_block,
    skype_event,
    skype_url,
    teams_block,
    teams_event,
    teams_url,
)

import mms_core.service.running.runs as runs_module
from mms_core import block
from mms_core.errors import OutcomeUnknown, PermanentError, TemporaryError
from mms_core.meetings import LedgerEntry, Recurrence
from mms_core.messages import TenantEvent, Wake
from mms_core.model import Source, State, Target, Verdict
from mms_core.planning import coordinates
from mms_core.service.running.applying import is_carried_out
from mms_core.service.running.passes import IN_HAND
from mms_core.service.running.previews import Asked, Previews

MINUTE = timedelta(minutes=1)


async def _in_the_middle(world):
    """Let a worker begin the run and hang in its second write; gives its task and the event that lets it go on."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hang():
        reached.set()
        await go_on.wait()

    world.tenant.on("update", None, hang)
    (message,) = [message for _, message in world.queue.messages]
    world.queue.messages.clear()
    task = asyncio.create_task(world.dispatch(message))
    await reached.wait()
    for _ in range(200):  # the meetings in hand of its other tasks come to their end
        await asyncio.sleep(0)
    return task, go_on


# -- the straight way -------------------------------------------------------------------------------------------------


async def test_a_request_is_carried_out_ninety_minutes_later(world):
    """Request, wake, run, ledger: every meeting once, nothing before its time."""
    events = world.skype_meetings(3)
    result = await world.ask()
    assert (result.status, result.user_id) == ("accepted", USER)
    world.clock.advance(90 * MINUTE - timedelta(seconds=1))
    assert await world.deliver() == 0
    world.clock.advance(timedelta(seconds=1))
    assert await world.deliver() == 1
    await world.assert_migrated_once(events)
    run = await world.run()
    assert (run.run_id, run.total, run.succeeded, run.failed, run.invites) == (result.correlation_id, 3, 3, 0, 3)
    assert (run.user_principal_name, run.reasons, run.retries) == (NAME, ("T10 Manual",), 0)
    assert run.last_message == "3 migrated."
    assert world.queue.messages == []


async def test_the_ledger_tells_before_and_after_of_each_meeting(world):
    """With Graph's request id, and the original for undo."""
    (event,) = world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.before.kind, entry.before.join_url) == ("skype", skype_url("AB12CD01"))
    assert (entry.after.kind, entry.after.conference_id, entry.after.numbers) == (
        "teams",
        "515253545",
        ("+4930123456",),
    )
    assert (entry.request_id, entry.attempts, entry.is_final, entry.rule) == ("request-1", 1, True, None)
    (original,) = await world.ledger.originals(KEY)
    assert (original.body, original.properties) == (event.body, event.properties)


async def test_the_write_changes_block_label_and_properties_and_nothing_else(world):
    """One PATCH carries all three; the room keeps its name."""
    room = {"displayName": "Skype corner 3.14", "locationEmailAddress": "room@contoso.example"}
    (event,) = world.skype_meetings(1, locations=({"displayName": "Skype Meeting"}, room))
    await world.ask()
    await world.until_quiet()
    now = world.tenant.events[event.event_id]
    assert now.locations == ({"displayName": "Microsoft Teams Meeting"}, room)
    assert set(now.properties) == {"SkypeTeamsMeetingUrl", "SkypeTeamsProperties", "MmsRun"}
    assert now.properties["MmsRun"] == (await world.run()).run_id
    assert replace(now, body="", properties={}, locations=(), etag="") == replace(
        event, body="", properties={}, locations=(), etag=""
    )


async def test_the_nearest_meeting_comes_first(world):
    """Whatever the calendar's order, a series that runs counts as now."""
    late, soon = world.tenant.add(
        skype_event(1, start=NOW + timedelta(days=30)), skype_event(2, start=NOW + timedelta(days=1))
    )
    (series,) = world.tenant.add(
        skype_event(3, start=NOW - timedelta(days=900), kind="seriesMaster", recurrence=Recurrence(kind="noEnd"))
    )
    await world.ask()
    await world.until_quiet()
    assert [mail.event_id for mail in world.tenant.mails] == [series.event_id, soon.event_id, late.event_id]


async def test_what_is_none_of_our_business_leaves_no_trace(world):
    """Copies of others' meetings, drafts, cancelled, past and plain appointments."""
    world.tenant.add(
        skype_event(1, is_organizer=False),
        skype_event(2, is_draft=True),
        skype_event(3, is_cancelled=True),
        skype_event(4, start=NOW - timedelta(days=2)),
        an_event(5),
        skype_event(6, kind="seriesMaster", recurrence=Recurrence(kind="numbered")),
    )
    await world.ask()
    await world.until_quiet()
    assert await world.verdicts() == {}
    assert world.tenant.mails == []
    assert (await world.run()).last_message == "No meetings to migrate."
    assert await world.state() is State.SUCCEEDED


async def test_skipped_meetings_are_listed_with_their_rule(world):
    """A town hall and a pasted block are results, not silence."""
    hall, pasted, good = world.tenant.add(
        skype_event(1, attendees=people(250)), skype_event(2, properties={}), skype_event(3)
    )
    await world.ask()
    await world.until_quiet()
    assert await world.verdicts() == {hall.event_id: "skipped", pasted.event_id: "skipped", good.event_id: "migrated"}
    assert ((await world.entry(hall)).rule, (await world.entry(pasted)).rule) == ("W6", "W5")
    run = await world.run()
    assert (run.total, run.succeeded, run.skipped) == (1, 1, 2)
    assert run.last_message == "1 migrated, 2 skipped (W5 1, W6 1)."


async def test_a_series_costs_one_update_for_its_master_and_one_for_each_exception(world):
    """All of them lead to one Teams meeting; cancelled and foreign ones are left out."""
    master = skype_event(1, kind="seriesMaster", recurrence=Recurrence(kind="numbered"))
    moved = replace(
        skype_event(1, kind="exception"), event_id="moved", series_uid="uid-1", series_master_id=master.event_id
    )
    moved = replace(moved, properties={}, start_at=NOW + timedelta(days=8), end_at=NOW + timedelta(days=8, hours=1))
    past = replace(moved, event_id="past", start_at=NOW - timedelta(days=8), end_at=NOW - timedelta(days=8))
    world.tenant.add(master, moved, past, replace(moved, event_id="gone", is_cancelled=True))
    world.tenant.occurrences[master.event_id] = [NOW + timedelta(days=400)]
    await world.ask()
    await world.until_quiet()
    await world.assert_migrated_once([master, moved])
    assert len(world.tenant.meetings) == 1
    assert len(world.tenant.mails) == 2


@pytest.mark.parametrize("shows_properties", [True, False], ids=["own-properties", "the-series-properties"])
@pytest.mark.parametrize("previewed", [False, True], ids=["asked", "previewed"])
async def test_exceptions_are_not_lost_when_a_pass_ends_behind_their_master(world, shows_properties, previewed):
    """The master does not show the add-in's properties any more; the exception is as genuine as before."""
    master = skype_event(1, kind="seriesMaster", recurrence=Recurrence(kind="noEnd"))
    moved = replace(
        skype_event(1, kind="exception"), event_id="moved", series_uid="uid-1", series_master_id=master.event_id
    )
    world.tenant.add(master, moved if shows_properties else replace(moved, properties={}))
    world.tenant.on("update", None, TemporaryError(code="Throttled", retry_after=timedelta(seconds=200)))
    if previewed:
        previews = Previews(world.parts)
        asked = Asked(key=KEY, identity=NAME, source=Source.ALL, target=Target.TEAMS, actor="admin")
        preview = await previews.ask(asked)
        await world.until_quiet()
        await previews.apply(preview, actor="admin")
    else:
        await world.ask()
    await world.until_quiet()
    await world.assert_migrated_once([master, moved])
    assert (await world.run()).succeeded == 2


async def test_a_refresh_writes_only_what_is_stale(world):
    """Current for Teams meetings: a changed number is a mail, an unchanged one is none (R5)."""
    world.tenant.meetings["known"] = online_meeting("alpha")
    stale, fresh = world.tenant.add(teams_event(1, dial_in={"number": "+4989999999"}), teams_event(2))
    await world.ask(target=Target.CURRENT)
    await world.until_quiet()
    assert await world.verdicts() == {stale.event_id: "refreshed", fresh.event_id: "current"}
    assert [mail.event_id for mail in world.tenant.mails] == [stale.event_id]
    assert "+4930123456" in world.tenant.events[stale.event_id].body
    run = await world.run()
    assert (run.total, run.succeeded, run.invites) == (2, 2, 1)
    # A second run finds nothing to do, and the original of the first stays.
    await world.ask(target=Target.CURRENT)
    await world.until_quiet()
    assert len(world.tenant.mails) == 1
    assert [original.event_id for original in await world.ledger.originals(KEY)] == [stale.event_id]


async def test_skype_stays_skype_where_nothing_else_was_asked(world):
    """Target Current is recorded as a skip with its rule, without a mail."""
    (event,) = world.skype_meetings(1)
    await world.ask(target=Target.CURRENT)
    await world.until_quiet()
    assert (await world.entry(event)).rule == "R6"
    assert world.tenant.mails == []


async def test_a_migrated_calendar_costs_no_second_mail(world):
    """Asking again changes nothing."""
    events = world.skype_meetings(2)
    for _ in range(2):
        await world.ask()
        await world.until_quiet()
    assert len(world.tenant.mails) == 2
    assert await world.verdicts() == {event.event_id: "current" for event in events}
    assert [run.state for run in await world.users.runs_of(KEY)] == [State.SUCCEEDED] * 2


# -- wake-ups -----------------------------------------------------------------------------------------------------------


async def test_a_wake_that_comes_early_is_put_back_until_it_is_due(world):
    """Whatever the reason: a queue's limit of 7 days, a pushed due time, a wrong clock."""
    world.skype_meetings(1)
    await world.ask()
    wake = world.queue.messages.pop()[1]
    await world.dispatch(wake)
    assert world.queue.wakes() == [(NOW + 90 * MINUTE, wake)]
    assert await world.state() is State.PENDING
    assert world.tenant.calls == []
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


async def test_a_leftover_wake_is_ignored(world):
    """A message whose id is not the row's, or whose user is gone, or whose run is over."""
    world.skype_meetings(1)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.dispatch(Wake(user=USER, wake_id="of another time"))
    await world.dispatch(Wake(user="nobody", wake_id="x"))
    assert await world.state() is State.PENDING
    wake = world.queue.messages[0][1]
    await world.until_quiet()
    calls = len(world.tenant.calls)
    await world.dispatch(wake)
    assert len(world.tenant.calls) == calls
    assert await world.state() is State.SUCCEEDED


async def test_a_duplicated_wake_starts_the_run_once(world):
    """Two workers get the same message: one takes the lease."""
    events = world.skype_meetings(2)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    wake = world.queue.messages.pop()[1]
    await asyncio.gather(world.dispatch(wake), world.dispatch(wake))
    await world.assert_migrated_once(events)
    assert (await world.run()).generation == 1


async def test_a_not_before_is_kept(world):
    """However short the settling time."""
    world.skype_meetings(1)
    await world.ask(not_before_at=NOW + timedelta(days=20), settle=timedelta(0))
    await world.until_quiet(within=timedelta(days=21))
    assert world.clock.now() == NOW + timedelta(days=20)
    assert await world.state() is State.SUCCEEDED


# -- the lease ----------------------------------------------------------------------------------------------------------


async def test_a_run_is_not_taken_over_while_its_worker_lives(world):
    """A second delivery during the lease does nothing."""
    world.skype_meetings(3)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    task, go_on = await _in_the_middle(world)
    record = await world.record()
    world.clock.advance(timedelta(seconds=59))
    await world.dispatch(Wake(user=USER, wake_id=record.wake_id))
    assert (await world.run()).generation == 1
    world.clock.advance(timedelta(seconds=-59))
    go_on.set()
    await task
    assert await world.state() is State.SUCCEEDED


async def test_a_silent_workers_run_is_taken_over_and_the_silent_one_writes_nothing_more(world):
    """The lease expired: the second worker finishes; the first, waking up, touches neither storage nor calendar."""
    events = world.skype_meetings(4)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    task, go_on = await _in_the_middle(world)
    world.clock.advance(timedelta(minutes=3))
    assert await world.recovery.sweep() == 1
    # The hanging PATCH of the first worker has not reached Exchange; the second worker writes that meeting itself.
    await world.until_quiet()
    await world.assert_migrated_once(events)
    before = (await world.record(), await world.verdicts(), list(world.steps.names))
    go_on.set()
    await task
    assert (await world.record(), await world.verdicts()) == before[:2]
    assert world.steps.names[len(before[2]) :] == ["update"]  # the PATCH that hung: refused by its ETag
    await world.assert_migrated_once(events)


async def test_a_lost_lease_stops_a_worker_before_its_next_write(world):
    """It notices at the look before the write, not after it."""
    events = world.skype_meetings(2)

    async def robbed():
        stored = await world.users.read(KEY)
        thief = replace(stored.value.current, generation=99, lease_owner="thief")
        await world.users.save(replace(stored.value, current=thief), stored)

    world.tenant.on("create_or_get", robbed)
    await world.ask()
    await world.until_quiet()
    assert world.tenant.mails == []
    assert (await world.run()).generation == 99
    assert await world.verdicts() == {}
    assert {event.event_id for event in events} == set(world.tenant.events)


async def test_the_heartbeat_keeps_a_long_run_alive(world):
    """The lease is renewed while one Graph call takes longer than it."""
    world.start_services(run_lease=timedelta(seconds=0.06))
    events = world.skype_meetings(1)

    async def slow():
        for _ in range(8):
            world.clock.advance(timedelta(seconds=0.01))
            await asyncio.sleep(0.021)  # real: the heartbeat beats by the loop's clock

    world.tenant.on("create_or_get", slow)
    await world.ask()
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_a_worker_whose_heartbeat_stopped_does_not_write(world):
    """Its lease has run out by the clock, though nobody has taken over yet."""
    world.skype_meetings(1)

    async def stalled():
        world.clock.advance(timedelta(seconds=61))

    world.tenant.on("create_or_get", stalled)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert world.tenant.mails == []
    assert await world.state() is State.IN_PROGRESS
    await world.recover()
    assert await world.state() is State.SUCCEEDED
    assert len(world.tenant.mails) == 1


# -- off, cancelled, out of time ------------------------------------------------------------------------------------------


def _sent(world, events):
    """Return how many were written when the second write met a stop: that one, and at most those beside it."""
    sent = [world.tenant.mails_of(event.event_id) for event in events]
    count = sum(sent)
    assert sent == [1] * count + [0] * (len(events) - count)
    assert 2 <= count <= 4
    return count


async def test_the_off_switch_stops_before_the_next_write(world):
    """Off means off: what was sent is brought to its end, the rest is not touched, and the run says why."""
    events = world.skype_meetings(12)
    world.tenant.on("update", None, lambda: world.configure(MeetingMigrationEnabled=False))
    await world.ask()
    await world.until_quiet()
    sent = _sent(world, events)
    run = await world.run()
    assert (run.state, run.code) == (State.SKIPPED, "MigrationDisabled")
    assert run.last_message.startswith("N7 MigrationDisabled: ")
    assert f"So far: {sent} migrated" in run.last_message
    assert (run.invites, run.succeeded, run.total) == (sent, sent, 12 - run.skipped)
    # What had been announced and was not sent any more is not left in the air.
    rows = {row.event_id: row for row in await world.queries.meetings(USER)}
    assert len(rows) == sent + run.skipped
    assert {rows[each.event_id].code for each in events[sent:] if each.event_id in rows} == {"MigrationDisabled"}
    # Switched on again, a retry does the rest and repeats nothing.
    await world.configure(MeetingMigrationEnabled=True)
    world.clock.advance(MINUTE)
    await world.queries.retry(USER)
    await world.until_quiet()
    assert [world.tenant.mails_of(event.event_id) for event in events] == [1] * 12


async def test_switched_off_before_the_run_nothing_is_even_read(world):
    """The run is skipped with its rule."""
    world.skype_meetings(1)
    await world.ask()
    await world.configure(MeetingMigrationEnabled=False)
    await world.until_quiet()
    assert (await world.run()).code == "MigrationDisabled"
    assert await world.state() is State.SKIPPED
    assert world.tenant.calls == []


async def test_switched_off_a_request_is_refused(world):
    """And leaves no row."""
    await world.configure(MeetingMigrationEnabled=False)
    result = await world.ask()
    assert (result.status, result.code, result.correlation_id) == ("refused", "MigrationDisabled", None)
    assert await world.record() is None
    assert world.queue.messages == []


async def test_a_cancel_stops_a_running_run_after_the_meetings_in_hand(world):
    """Visible as Cancelled, with what was done."""
    events = world.skype_meetings(12)
    world.tenant.on("update", None, lambda: world.queries.cancel(USER))
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code, run.succeeded) == (State.CANCELLED, "Cancelled", _sent(world, events))
    assert run.lease_owner is None


async def test_an_undo_of_a_cancelled_run_counts_what_it_restores(world):
    """What was announced when the run was cancelled, and never sent, has its original: there is nothing to restore."""
    events = world.skype_meetings(12)
    world.tenant.on("update", None, lambda: world.queries.cancel(USER))
    await world.ask()
    await world.until_quiet()
    sent, kept = _sent(world, events), len(await world.ledger.originals(KEY))
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    run = await world.run()
    assert 0 < sent < kept
    assert (run.invites, run.last_message) == (sent, f"{kept - sent} current, {sent} restored.")
    assert sum(world.tenant.mails_of(event.event_id) for event in events) == 2 * sent
    assert await world.ledger.originals(KEY) == []


async def test_a_cancelled_request_never_runs(world):
    """Its message is a leftover."""
    world.skype_meetings(1)
    await world.ask()
    assert (await world.queries.cancel(USER)).state is State.CANCELLED
    await world.until_quiet()
    assert world.tenant.calls == []
    assert await world.state() is State.CANCELLED


async def test_a_run_that_uses_up_the_functions_time_goes_on_in_a_new_message(world):
    """Nothing is repeated, nothing is forgotten, and it is not a retry."""
    world.start_services(function_budget=timedelta(seconds=100), run_lease=timedelta(days=1))
    events = world.skype_meetings(10)
    world.tenant.on("update", *[lambda: world.clock.advance(timedelta(seconds=60))] * 10)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.succeeded, run.total, run.retries) == (State.PENDING, 4, 10, 0)
    await world.until_quiet()
    await world.assert_migrated_once(events)
    run = await world.run()
    assert (run.succeeded, run.total, run.invites, run.generation, run.retries) == (10, 10, 10, 3, 0)


# -- failures -------------------------------------------------------------------------------------------------------------


async def test_a_temporary_failure_postpones_the_run_and_only_the_failed_meeting_is_repeated(world):
    """The wait is ours, doubling from 169 s."""
    events = world.skype_meetings(3)
    outage = TemporaryError(retry_after=timedelta(seconds=11))
    world.tenant.on("update", None, outage)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.succeeded, run.failed, run.retries) == (State.PENDING, 2, 1, 1)
    assert run.due_at == world.clock.now() + timedelta(seconds=169)
    assert run.code == "ServiceUnavailable"
    assert world.tenant.calls.count("update") == 3
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert world.tenant.calls.count("update") == 4
    assert (await world.run()).failed == 0


async def test_a_long_wish_to_wait_is_granted_and_ends_the_pass(world):
    """Throttled with 20 minutes: no further meeting is begun."""
    events = world.skype_meetings(12)
    world.tenant.on("update", TemporaryError(code="Throttled", retry_after=20 * MINUTE))
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert (await world.run()).due_at == world.clock.now() + 20 * MINUTE
    assert world.tenant.calls.count("update") <= IN_HAND
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_a_short_wish_to_wait_is_granted_at_once(world):
    """Up to ten seconds the worker waits itself, and the meeting is not a failure."""
    events = world.skype_meetings(1)
    world.tenant.on("update", TemporaryError(code="Throttled", retry_after=timedelta(seconds=3)))
    await world.ask()
    await world.until_quiet()
    assert world.slept == [3]
    await world.assert_migrated_once(events)
    assert (await world.run()).retries == 0


async def test_a_failure_of_the_listing_postpones_the_whole_run(world):
    """Nothing was known, so nothing failed."""
    events = world.skype_meetings(2)
    world.tenant.on("candidates", TemporaryError())
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert ((await world.run()).state, (await world.run()).total) == (State.PENDING, 0)
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_after_nine_retries_within_a_day_the_run_has_failed(world):
    """With the cause and the remedy, and the meetings that were done stay done."""
    events = world.skype_meetings(2)
    world.tenant.on("update", None, *[TemporaryError(retry_after=timedelta(seconds=30))] * 50)
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.retries, run.code) == (State.FAILED, 9, "ServiceUnavailable")
    assert "given up after 9 retries" in run.last_message
    assert "Remedy:" in run.last_message
    assert (run.succeeded, run.failed) == (1, 1)
    assert world.clock.now() - (NOW + 90 * MINUTE) <= timedelta(hours=25)
    assert [world.tenant.mails_of(event.event_id) for event in events] == [1, 0]
    assert world.queue.messages == []


async def test_a_throttled_run_that_gets_on_spends_no_retries(world):
    """A full tenant lets one meeting through a pass: twelve passes, the first wait each time, and no failure."""
    events = world.skype_meetings(12)
    busy = TemporaryError(code="Throttled", retry_after=timedelta(seconds=11))
    world.tenant.on("update", *[None, busy] * 11)
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.retries, run.succeeded) == (State.SUCCEEDED, 0, 12)
    assert [world.tenant.mails_of(event.event_id) for event in events] == [1] * 12
    assert world.clock.now() - (NOW + 90 * MINUTE) < timedelta(hours=1)


async def test_a_throttled_run_that_gets_nowhere_waits_longer_each_time(world):
    """And gives up after nine retries, as for any other cause."""
    world.skype_meetings(2)
    world.tenant.on("update", *[TemporaryError(code="Throttled", retry_after=timedelta(seconds=11))] * 50)
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.retries, run.code) == (State.FAILED, 9, "Throttled")


async def test_a_retry_by_hand_starts_afresh(world):
    """At once, with all nine retries, and what is done is not repeated."""
    events = world.skype_meetings(2)
    world.tenant.on("update", None, *[TemporaryError(retry_after=timedelta(seconds=30))] * 10)
    await world.ask()
    await world.until_quiet()
    assert await world.state() is State.FAILED
    before = world.clock.now()
    await world.queries.retry(USER)
    await world.until_quiet()
    assert world.clock.now() == before
    assert (await world.run()).retries == 0
    assert [world.tenant.mails_of(event.event_id) for event in events] == [1, 1]
    assert await world.state() is State.SUCCEEDED


@pytest.mark.parametrize("code", ["MailboxOnPremises", "MailboxMissing", "MailboxAccessDenied"])
async def test_a_cause_that_only_an_administrator_can_remove_is_final(world, code):
    """One try, and LastMessage names cause and remedy."""
    world.skype_meetings(1)
    world.tenant.on("candidates", PermanentError(code=code))
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code, run.retries) == (State.FAILED, code, 0)
    assert code in run.last_message
    assert world.tenant.calls.count("candidates") == 1


MOVED = TenantEvent(
    event_id="contoso|move",
    type="mms.user.moved",
    data={"user": NAME, "direction": "toCloud", "moveToTeams": True},
    actor="script",
)
YOUNG = {
    "created": {"created_at": NOW - timedelta(hours=20)},
    "licensed": {"created_at": NOW - timedelta(days=900), "assigned_at": NOW - timedelta(hours=1)},
    "moved": {"created_at": NOW - timedelta(days=900), "assigned_at": NOW - timedelta(days=30)},
}


@pytest.mark.parametrize("why", YOUNG)
async def test_a_mailbox_that_may_still_come_is_waited_for(world, why):
    """Exchange takes a while after a licence or a move: the normal retries, and then everything is migrated."""
    world.tenant.add_user(USER, NAME, plans={AUDIO_CONFERENCING}, **YOUNG[why])
    events = world.skype_meetings(2)
    world.tenant.on("candidates", *[PermanentError(code="MailboxMissing")] * 3)
    await (world.queue.send(MOVED) if why == "moved" else world.ask())
    await world.deliver()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.code, run.retries) == (State.PENDING, "MailboxMissing", 1)
    assert "Remedy:" in run.last_message
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert (await world.run()).retries == 3


async def test_a_mailbox_that_does_not_come_is_missing_after_the_ninth_retry(world):
    """Not for ever."""
    world.tenant.add_user(USER, NAME, created_at=NOW)
    world.tenant.on("candidates", *[PermanentError(code="MailboxMissing")] * 20)
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code, run.retries) == (State.FAILED, "MailboxMissing", 9)
    assert "given up after 9 retries" in run.last_message


async def test_a_mailbox_that_has_been_missing_for_long_is_not_waited_for(world):
    """Neither the user nor a licence is new."""
    long_ago = NOW - timedelta(days=2)
    world.tenant.add_user(USER, NAME, plans={AUDIO_CONFERENCING}, created_at=long_ago, assigned_at=long_ago)
    world.tenant.on("candidates", PermanentError(code="MailboxMissing"))
    await world.ask()
    await world.until_quiet()
    assert ((await world.run()).retries, await world.state()) == (0, State.FAILED)


async def test_a_meeting_that_is_refused_fails_alone(world):
    """The others are migrated, and the run says which code."""
    bad, good = world.skype_meetings(2)
    world.tenant.on("update", PermanentError("HTTP 400 ErrorInvalidProperty", code="MeetingRejected"))
    await world.ask()
    await world.until_quiet()
    assert await world.verdicts() == {bad.event_id: "failed", good.event_id: "migrated"}
    run = await world.run()
    assert (run.state, run.code, run.succeeded, run.failed) == (State.FAILED, "MeetingRejected", 1, 1)
    assert "1 migrated, 1 failed (MeetingRejected 1)" in run.last_message


async def test_an_ambiguous_body_is_a_listed_failure(world):
    """Nothing is written where it is not certain what to replace."""
    block = skype_block(skype_url("YY88"))
    (event,) = world.tenant.add(skype_event(1, body=page(block + "<p>and</p>" + block.replace("YY88", "ZZ99"))))
    await world.ask()
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code) == ("failed", "AmbiguousBlock")
    assert entry.detail.startswith("several-meetings")
    assert world.tenant.mails == []
    assert (await world.run()).code == "AmbiguousBlock"


async def test_an_unknown_outcome_that_had_happened_is_not_repeated(world):
    """The answer was lost after the write: one mail, and the meeting counts as migrated."""
    events = world.skype_meetings(2)
    world.tenant.on("updated", OutcomeUnknown())
    await world.ask()
    await world.until_quiet()
    await world.assert_migrated_once(events)
    run = await world.run()
    assert (run.invites, run.retries) == (2, 0)


async def test_an_unknown_outcome_that_had_not_happened_is_looked_at_again_later(world):
    """The request may still be on its way: not repeated at once, but in the retry."""
    events = world.skype_meetings(2)
    world.tenant.on("update", OutcomeUnknown())
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert (await world.run()).state is State.PENDING
    assert world.tenant.calls.count("update") == 2
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_an_unknown_outcome_that_happens_late_is_recognised_in_the_retry(world):
    """Exchange carried it out after we looked: the retry finds it done and mails nobody."""
    events = world.skype_meetings(1)
    sent = []
    real = world.tenant._update

    async def remembered(event_id, change, etag):
        sent.append((event_id, change, etag))
        if len(sent) == 1:
            raise OutcomeUnknown
        return await real(event_id, change, etag)

    world.tenant._update = remembered
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    await real(*sent[0])  # now it arrives
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert len(sent) == 1
    assert (await world.run()).invites == 1


async def test_an_edit_between_reading_and_writing_survives(world):
    """412: read again, planned again, written over the newer version with the organizer's words in it."""
    (event,) = world.skype_meetings(1)

    def edited():
        body = world.tenant.events[event.event_id].body
        world.tenant.edit(event.event_id, body=body.replace("the agenda:", "the agenda: lunch first!"), subject="New")

    world.tenant.on("update", edited)
    await world.ask()
    await world.until_quiet()
    now = world.tenant.events[event.event_id]
    assert "the agenda: lunch first!" in now.body
    assert now.subject == "New"
    assert "OutJoinLink" not in now.body
    assert world.tenant.mails_of(event.event_id) == 1
    (original,) = await world.ledger.originals(KEY)
    assert "lunch first!" in original.body


async def test_a_meeting_that_is_edited_all_the_time_is_looked_at_again_later(world):
    """After four looks in one pass it is left alone until the retry, not an endless loop."""
    events = world.skype_meetings(1)
    world.tenant.on("update", *[lambda: world.tenant.edit(events[0].event_id, subject="Project review")] * 4)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    entry = await world.entry(events[0])
    assert (entry.verdict, entry.code, entry.is_final) == ("failed", "MeetingChanged", False)
    assert world.tenant.mails == []
    assert (await world.run()).state is State.PENDING
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_a_meeting_deleted_meanwhile_is_a_skip(world):
    """Noticed by the 412 or 404 of the write."""
    first, second = world.skype_meetings(2)

    def deleted():
        del world.tenant.events[first.event_id]

    world.tenant.on("update", deleted)
    await world.ask()
    await world.until_quiet()
    verdicts = await world.verdicts()
    assert verdicts[second.event_id] == "migrated"
    assert verdicts[first.event_id] == "skipped"
    assert (await world.entry(first)).code == "Deleted"
    assert await world.state() is State.SUCCEEDED


async def test_a_meeting_that_lost_its_block_meanwhile_is_a_skip(world):
    """The organizer removed the meeting from the invitation between listing and writing."""
    (event,) = world.skype_meetings(1)
    world.tenant.on("update", lambda: world.tenant.edit(event.event_id, body="<p>Lunch instead</p>"))
    await world.ask()
    await world.until_quiet()
    assert ((await world.entry(event)).verdict, (await world.entry(event)).code) == ("skipped", "BlockNotFound")
    assert world.tenant.events[event.event_id].body == "<p>Lunch instead</p>"


async def test_an_answer_that_is_not_as_planned_is_a_loud_failure(world):
    """Exchange dropped an attendee: VerificationFailed names it, and undo has the original."""
    (event,) = world.skype_meetings(1)
    real = world.tenant._update

    async def damaged(event_id, change, etag):
        written = await real(event_id, change, etag)
        return replace(written, event=replace(written.event, attendees=event.attendees[:1]))

    world.tenant._update = damaged
    await world.ask()
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.detail) == ("failed", "VerificationFailed", "attendees")
    assert (await world.run()).code == "VerificationFailed"
    assert len(world.tenant.mails) == 1
    assert len(await world.ledger.originals(KEY)) == 1


async def test_a_teams_meeting_that_teams_does_not_know_fails_with_its_code(world):
    """A refresh asks for every form of the join URL and then says so."""
    (event,) = world.tenant.add(teams_event(1))
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    assert (await world.entry(event)).code == "TeamsMeetingNotFound"
    assert (await world.run()).state is State.FAILED


@pytest.mark.parametrize("obstacle", ["calendar", "event"])
async def test_without_the_application_access_policy_and_a_way_around_it_each_meeting_says_so(world, obstacle):
    """Terminal, with the cmdlet to run, and nothing is written that would leave people without a link."""
    world.skype_meetings(2, **({"provider": "skypeForBusiness"} if obstacle == "event" else {}))
    world.tenant.makes_teams = obstacle == "event"
    world.tenant.on("create_or_get", *[PermanentError(code="AppAccessPolicyMissing")] * 2)
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code, run.failed) == (State.FAILED, "AppAccessPolicyMissing", 2)
    assert "New-CsApplicationAccessPolicy" in run.last_message
    assert world.tenant.mails == []


async def test_without_the_application_access_policy_exchange_makes_the_meeting(world):
    """Route A: the old block goes, Exchange appends its own; once for each meeting, and the run says so."""
    events = world.skype_meetings(6)
    world.tenant.on("create_or_get", *[PermanentError(code="AppAccessPolicyMissing")] * 6)
    await world.ask()
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert (await world.run()).last_message == (
        "6 migrated, 6 of them by flags, for want of an application access policy."
    )
    assert world.tenant.calls.count("providers") == 1
    entry = await world.entry(events[0])
    assert (entry.route, entry.after.kind) == ("flags", "teams")
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert [world.tenant.events[event.event_id].body for event in events] == [event.body for event in events]


def test_a_pasted_teams_block_is_not_taken_for_one_that_flags_have_made():
    """The meeting's own block stands there still: the write was not carried out."""
    others = teams_block(teams_url("beta", user=OTHER_USER)) + "<p>or</p>" + teams_block(teams_url("gamma"))
    before = skype_event(1, body=page(skype_block(skype_url("AB12CD01")) + others))
    way = coordinates(block.locate(before.body).blocks[0])
    values = {"run_id": "run", "ical_uid": "uid", "subject": "", "start_at": NOW, "updated_at": NOW}
    intent = LedgerEntry(
        key="k", event_id=before.event_id, verdict=Verdict.WRITING, before=way, route="flags", step="migrate", **values
    )
    assert not is_carried_out(intent, before)
    assert is_carried_out(intent, replace(before, body=page(others + teams_block(teams_url("new")))))


async def test_by_flags_too_a_lost_answer_is_not_repeated(world):
    """The invitation shows whether it happened."""
    events = world.skype_meetings(1)
    world.tenant.on("create_or_get", PermanentError(code="AppAccessPolicyMissing"))
    world.tenant.on("updated", OutcomeUnknown())
    await world.ask()
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert (await world.run()).invites == 1


async def test_a_missing_storage_during_a_wake_is_left_to_the_sweep(world):
    """The message ends quietly; the row still says what is due."""
    world.skype_meetings(1)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    real = world.users.read

    async def broken(_):
        raise TemporaryError(code="StorageUnavailable")

    world.users.read = broken
    await world.deliver()
    world.users.read = real
    assert await world.state() is State.PENDING
    await world.recover()
    assert await world.state() is State.SUCCEEDED


async def test_an_unexpected_error_leaves_the_run_to_be_taken_over(world):
    """A bug stays loud, and nothing is lost by it."""
    events = world.skype_meetings(2)
    world.tenant.on("create_or_get", None, RuntimeError("a bug"))
    await world.ask()
    world.clock.advance(90 * MINUTE)
    with pytest.raises(RuntimeError, match="a bug"):
        await world.deliver()
    assert await world.state() is State.IN_PROGRESS
    await world.recover()
    await world.assert_migrated_once(events)


async def test_runs_that_are_due_together_all_start_before_the_first_is_worked_on(world, monkeypatch):
    """A lease costs little, a pass much: nobody's start waits for the work on others."""
    keys = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(10)]
    for key in keys:
        await world.ask(key)
    world.clock.advance(90 * MINUTE)
    wakes = world.queue.visible()
    assert len(wakes) == len(keys)
    seen = []
    read = world.users.read

    async def slow_read(key):
        for _ in range(20 * int(key[:8])):
            await asyncio.sleep(0)
        return await read(key)

    async def look():
        seen.append([(await read(key)).value.current.started_at is not None for key in keys])

    monkeypatch.setattr(world.users, "read", slow_read)
    world.tenant.on("user", None, look)
    await asyncio.gather(*map(world.dispatch, wakes))
    assert seen == [[True] * len(keys)]


async def test_a_rush_of_starts_holds_nobody_back_for_ever(world, monkeypatch):
    """A wake-up that hangs in storage delays the work on others, and does not end it."""
    monkeypatch.setattr(runs_module, "LONGEST_RUSH", timedelta(milliseconds=1))
    events = world.skype_meetings(2)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    with world.runs._rush.woken():
        await world.deliver()
    await world.assert_migrated_once(events)
