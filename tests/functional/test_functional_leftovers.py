"""Meetings that a pass could not settle, and that the next one does not find any more."""

from __future__ import annotations

from datetime import timedelta

from meeting_values import NOW, USER, online_meeting, skype_event, teams_event

from mms_core.errors import OutcomeUnknown, TemporaryError
from mms_core.meetings import Recurrence
from mms_core.model import Source, State

MINUTE = timedelta(minutes=1)
BUSY = TemporaryError(retry_after=timedelta(seconds=30))
"""Longer than a worker waits by itself, so the meeting waits for the run's retry."""


async def _first_pass(world, **asked):
    await world.ask(**asked)
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert await world.state() is State.PENDING


async def test_a_meeting_that_is_over_before_its_retry_is_skipped_and_the_run_succeeds(world):
    """It failed for a moment only, and nobody can do anything about it any more (W7)."""
    ends_soon = skype_event(1, start=NOW + 60 * MINUTE, end_at=NOW + 91 * MINUTE)
    other = skype_event(2)
    world.tenant.add(ends_soon, other)
    world.tenant.on("update", BUSY)
    await _first_pass(world)
    await world.until_quiet()
    entry = await world.entry(ends_soon)
    assert (entry.verdict, entry.code, entry.rule, entry.is_final) == ("skipped", "NoLongerDue", "W7", True)
    run = await world.run()
    assert (run.state, run.total, run.succeeded, run.failed, run.skipped) == (State.SUCCEEDED, 1, 1, 0, 1)
    assert run.last_message == "1 migrated, 1 skipped (W7 1)."
    assert world.tenant.mails_of(ends_soon.event_id) == 0


async def test_a_meeting_deleted_before_its_retry_is_skipped(world):
    """The listing does not show it any more."""
    (event,) = world.skype_meetings(1)
    world.tenant.on("update", BUSY)
    await _first_pass(world)
    del world.tenant.events[event.event_id]
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.rule) == ("skipped", "Deleted", None)
    assert await world.state() is State.SUCCEEDED


async def test_a_meeting_that_lost_its_skype_block_before_its_retry_is_skipped_without_w7(world):
    """It is not over; there is just nothing left to migrate."""
    (event,) = world.skype_meetings(1)
    world.tenant.on("update", BUSY)
    await _first_pass(world)
    world.tenant.edit(event.event_id, body="<p>Lunch instead</p>", properties={})
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.rule) == ("skipped", "NoLongerDue", None)
    assert await world.state() is State.SUCCEEDED


async def test_a_write_that_was_carried_out_counts_though_the_meeting_is_over_now(world):
    """The answer was lost, the retry finds the meeting over: attendees did get the mail, and undo has the original."""
    (event,) = world.tenant.add(skype_event(1, start=NOW + 60 * MINUTE, end_at=NOW + 91 * MINUTE))
    sent = []
    real = world.tenant._update

    async def late(event_id, change, etag):
        sent.append((event_id, change, etag))
        raise OutcomeUnknown

    world.tenant._update = late
    await _first_pass(world)
    await real(*sent[0])
    world.tenant._update = real
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.mails) == ("migrated", None, 1)
    run = await world.run()
    assert (run.state, run.invites, run.succeeded) == (State.SUCCEEDED, 1, 1)
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert world.tenant.events[event.event_id].body == event.body


async def test_a_request_for_skype_meetings_recognises_its_own_write_after_a_lost_answer(world):
    """What was written is a Teams meeting, which the request does not ask for; it is migrated all the same."""
    events = world.skype_meetings(2)
    world.tenant.on("updated", OutcomeUnknown())
    await world.ask(source=Source.SFB)
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert ((await world.run()).invites, (await world.run()).retries) == (2, 0)


async def test_a_request_for_skype_meetings_recognises_a_write_that_happened_late(world):
    """Found in the retry, which would not even look at Teams meetings."""
    events = world.skype_meetings(1)
    sent = []
    real = world.tenant._update

    async def late(event_id, change, etag):
        sent.append((event_id, change, etag))
        raise OutcomeUnknown

    world.tenant._update = late
    await _first_pass(world, source=Source.SFB)
    await real(*sent[0])
    world.tenant._update = real
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert (await world.run()).invites == 1


async def test_the_numbers_of_a_request_for_skype_meetings_hold_over_its_passes(world):
    """What the first pass migrated is not in the second one's listing, and counts all the same."""
    world.skype_meetings(3)
    world.tenant.on("update", BUSY)
    await _first_pass(world, source=Source.SFB)
    await world.until_quiet()
    run = await world.run()
    assert (run.total, run.succeeded, run.failed) == (3, 3, 0)


async def test_a_series_that_ended_before_its_retry_is_skipped(world):
    """W7 again, by the series' own last day."""
    (series,) = world.tenant.add(
        skype_event(
            1,
            kind="seriesMaster",
            start=NOW - timedelta(days=7),
            recurrence=Recurrence(kind="endDate", start_date=NOW.date(), end_date=NOW.date(), zone="UTC"),
        )
    )
    world.tenant.occurrences[series.event_id] = [NOW + 10 * 60 * MINUTE]
    world.tenant.on("update", *[BUSY] * 8)
    await _first_pass(world)
    world.clock.advance(timedelta(days=2))
    await world.until_quiet()
    entry = await world.entry(series)
    assert (entry.verdict, entry.code, entry.rule) == ("skipped", "NoLongerDue", "W7")
    assert await world.state() is State.SUCCEEDED


async def test_a_read_that_fails_leaves_the_leftover_for_the_next_pass(world):
    """Graph does not answer when it is asked about the leftover: postponed again, then settled."""
    (event,) = world.tenant.add(skype_event(1, start=NOW + 60 * MINUTE, end_at=NOW + 91 * MINUTE))
    world.tenant.on("update", BUSY)
    await _first_pass(world)
    world.tenant.on("event", TemporaryError())
    await world.until_quiet()
    assert (await world.entry(event)).code == "NoLongerDue"
    run = await world.run()
    assert (run.state, run.retries) == (State.SUCCEEDED, 2)


async def test_a_meeting_edited_to_be_over_while_it_is_written_is_skipped_with_w7(world):
    """The organizer moves it into the past between listing and writing."""
    (event,) = world.skype_meetings(1)
    world.tenant.on(
        "update",
        lambda: world.tenant.edit(event.event_id, start_at=NOW - 60 * MINUTE, end_at=NOW - 30 * MINUTE),
    )
    await world.ask()
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.rule) == ("skipped", "NoLongerDue", "W7")


async def test_a_refresh_that_was_carried_out_is_recognised_by_how_people_join(world):
    """Exchange wrote the HTML in its own way, so the letters differ; the new number does not."""
    (event,) = world.tenant.add(teams_event(1, meeting="m0", dial_in={"number": "+4930999999"}))
    world.tenant.meetings["x"] = online_meeting("m0")
    world.tenant.on("updated", OutcomeUnknown())
    real = world.tenant._update

    async def rewritten(event_id, change, etag):
        await real(event_id, change, etag)
        body = world.tenant.events[event_id].body
        world.tenant.edit(event_id, body=body.replace("<body lang=EN-US>", '<body lang="EN-US">'))

    world.tenant._update = rewritten
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.mails, entry.after.numbers) == ("refreshed", 1, ("+4930123456",))
    assert world.tenant.mails_of(event.event_id) == 1
