"""Answers that never came: what was written is known before anything is repeated, counted, or taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import GRANTED, KEY, NAME, World
from meeting_values import USER, online_meeting, teams_event

from mms_core.errors import OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError
from mms_core.model import Source, State, Target
from mms_core.service.running.previews import Asked, Previews

MINUTE = timedelta(minutes=1)
AGENDA = "the agenda:"


def _edits(world, event, old=AGENDA, new="the agenda: lunch first!"):
    """Let the organizer change words of an invitation."""
    body = world.tenant.events[event.event_id].body
    assert old in body
    world.tenant.edit(event.event_id, body=body.replace(old, new))


def _lost_and_edited(world, event, **how):
    """The answer to the next write is lost, and the organizer edits before anybody looks."""

    def act():
        _edits(world, event, **how)
        raise OutcomeUnknown

    world.tenant.on("updated", act)


async def _undone(world, *, quietly=True):
    await world.queries.undo(USER, (), actor="admin")
    if quietly:
        await world.until_quiet()


async def _migrated(world, count=1):
    events = world.skype_meetings(count)
    await world.ask()
    await world.until_quiet()
    return events


# -- a migration's answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"old": AGENDA, "new": f"<b>{AGENDA}</b>"},
        {"old": "Grüße", "new": '<a href="https://contoso.example/menu">Grüße</a>'},
    ],
    ids=["words", "bold", "a-link"],
)
@pytest.mark.parametrize("looks", ["at-once", "in-the-retry"])
async def test_an_edit_behind_a_lost_answer_is_not_taken_for_our_own_letters(world, how, looks):
    """The write is recognised by its link; undo refuses all the same, and shows what was edited."""
    (event,) = world.skype_meetings(1)
    _lost_and_edited(world, event, **how)
    if looks == "in-the-retry":
        world.tenant.on("event", TemporaryError(retry_after=timedelta(minutes=3)))
    await world.ask()
    await world.until_quiet()
    assert (await world.entry(event)).verdict == "migrated"
    assert (await world.run()).invites == 1
    edited = world.tenant.events[event.event_id].body
    await _undone(world)
    assert world.tenant.events[event.event_id].body == edited
    entry = await world.entry(event)
    assert (entry.code, world.tenant.mails_of(event.event_id)) == ("EditedSince", 1)
    assert entry.difference.body


@pytest.mark.parametrize("route", ["B", "A"])
async def test_letters_that_only_exchange_wrote_anew_can_be_undone_though_the_answer_was_lost(world, route):
    """Other quotes, other case, a wrapped head: nobody edited that."""
    (event,) = world.skype_meetings(1)
    if route == "A":
        world.tenant.on("create_or_get", PermanentError(code="AppAccessPolicyMissing"))

    def rewritten():
        body = world.tenant.events[event.event_id].body.replace("<p>", "<P >").replace("&nbsp;", "\u00a0")
        world.tenant.edit(event.event_id, body=body)
        raise OutcomeUnknown

    world.tenant.on("updated", rewritten)
    await world.ask()
    await world.until_quiet()
    assert (await world.entry(event)).verdict == "migrated"
    await _undone(world)
    assert world.tenant.events[event.event_id].body == event.body


async def test_a_look_that_fails_as_well_does_not_forget_that_the_outcome_is_unknown(world):
    """The network is gone for both: the retry still recognises the write, and it counts as one update."""
    events = world.skype_meetings(1)
    world.tenant.on("updated", OutcomeUnknown())
    world.tenant.on("event", TemporaryError(retry_after=timedelta(minutes=3)))
    await world.ask(source=Source.SFB)
    await world.until_quiet()
    await world.assert_migrated_once(events)
    run = await world.run()
    assert (run.invites, run.succeeded, run.retries) == (1, 1, 1)


async def test_a_trigger_that_joins_a_run_under_retry_does_not_make_it_forget_a_write(world):
    """It looks at everything again; an update whose answer was lost is counted all the same."""
    events = world.skype_meetings(1)
    world.tenant.on("updated", OutcomeUnknown())
    world.tenant.on("event", TemporaryError(retry_after=timedelta(minutes=3)))
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert await world.state() is State.PENDING
    await world.queue.send(GRANTED)
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.invites, len(run.reasons)) == (State.SUCCEEDED, 1, 2)
    assert world.tenant.mails_of(events[0].event_id) == 1


# -- the original that undo leads back to ------------------------------------------------------------------------------


async def _stale(world):
    """A Skype meeting that was migrated, and whose number has changed since."""
    (event,) = await _migrated(world)
    world.tenant.meetings = {
        key: replace(online_meeting("m0", number="+4940404040"), external_id=key) for key in world.tenant.meetings
    }
    return event


@pytest.mark.parametrize(
    "failure",
    [PreconditionLost(), TemporaryError(), OutcomeUnknown(), PermanentError(code="MeetingRejected")],
    ids=repr,
)
async def test_a_refresh_that_is_tried_again_does_not_lose_the_first_original(world, failure):
    """Whatever became of the second write, undo leads back to before the first, and nobody has edited."""
    event = await _stale(world)
    world.tenant.on("update", failure)
    await world.ask(target=Target.CURRENT)
    await world.until_quiet()
    await _undone(world)
    assert world.tenant.events[event.event_id].body == event.body
    assert (await world.entry(event)).code is None


# -- an undo's answer ---------------------------------------------------------------------------------------------------


async def test_an_undo_whose_answer_was_lost_counts_as_one_update(world):
    """It was sent, attendees have it, and it is not sent again."""
    events = await _migrated(world, 3)
    world.tenant.on("updated", None, OutcomeUnknown())
    await _undone(world)
    assert [world.tenant.events[each.event_id].body for each in events] == [each.body for each in events]
    assert [world.tenant.mails_of(each.event_id) for each in events] == [2, 2, 2]
    run = await world.run()
    assert (run.state, run.succeeded, run.invites) == (State.SUCCEEDED, 3, 3)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_that_dies_in_an_undo_leaves_the_count_right(when):
    """For each write: the mails that the run says are the mails that were sent."""
    quiet = World()
    await _migrated(quiet, 2)
    await _undone(quiet, quietly=False)
    asked = len(quiet.steps.names)
    await quiet.recover()
    for number in range(asked + 1, len(quiet.steps.names) + 1):
        world = World()
        await _migrated(world, 2)
        await _undone(world, quietly=False)
        world.steps.crashes = {number: when}
        await world.recover()
        run = await world.run()
        assert (run.invites, len(world.tenant.mails)) == (2, 4), f"{when} {world.steps.names[number - 1]}"


async def test_an_edit_behind_an_undo_whose_answer_was_lost_is_kept(world):
    """The meeting was restored, once; what the organizer changed afterwards stays, and the row shows it."""
    (event,) = await _migrated(world)
    _lost_and_edited(world, event)
    world.tenant.on("event", None, TemporaryError(retry_after=timedelta(minutes=3)))
    await _undone(world)
    now = world.tenant.events[event.event_id]
    assert "lunch first!" in now.body
    assert "OutJoinLink" in now.body
    assert world.tenant.mails_of(event.event_id) == 2
    entry = await world.entry(event)
    assert (entry.verdict, entry.mails, (await world.run()).invites) == ("restored", 1, 1)
    assert "lunch first!" in entry.difference.body
    await world.ask()
    await world.until_quiet()
    await _undone(world)
    assert world.tenant.events[event.event_id].body == now.body  # the edit is part of the next original


async def test_an_edit_behind_an_undo_that_never_arrived_is_refused(world):
    """It was not carried out: the invitation is the migrated one, edited, and stays so."""
    (event,) = await _migrated(world)

    def act():
        _edits(world, event)
        raise OutcomeUnknown

    world.tenant.on("update", act)
    await _undone(world)
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.mails) == ("failed", "EditedSince", 0)
    assert "lunch first!" in world.tenant.events[event.event_id].body
    assert world.tenant.mails_of(event.event_id) == 1


async def test_an_undo_that_meets_another_writer_looks_again(world):
    """An ETag that moved by itself is no edit; an edit is, and is refused."""
    moved, edited = await _migrated(world, 2)
    world.tenant.on("update", lambda: world.tenant.edit(moved.event_id), None, lambda: _edits(world, edited))
    await _undone(world)
    assert world.tenant.events[moved.event_id].body == moved.body
    assert (await world.entry(moved)).verdict == "restored"
    assert (await world.entry(edited)).code == "EditedSince"
    assert "lunch first!" in world.tenant.events[edited.event_id].body


async def test_an_undo_that_always_meets_another_writer_is_tried_again_later(world):
    """Not for ever in one pass, and not a failure that nobody tries again."""
    (event,) = await _migrated(world)
    world.tenant.on("update", *[lambda: world.tenant.edit(event.event_id)] * 4)
    await _undone(world, quietly=False)
    await world.deliver()
    assert (await world.state(), (await world.entry(event)).code) == (State.PENDING, "MeetingChanged")
    await world.until_quiet()
    assert world.tenant.events[event.event_id].body == event.body
    assert world.tenant.mails_of(event.event_id) == 2


async def test_an_undo_of_many_meetings_checkpoints_before_the_function_is_killed(world):
    """And goes on in a new message, without being a retry."""
    events = await _migrated(world, 6)
    world.start_services(function_budget=timedelta(seconds=100), run_lease=timedelta(days=1))
    world.tenant.on("update", *[lambda: world.clock.advance(timedelta(seconds=60))] * 6)
    await _undone(world, quietly=False)
    await world.deliver()
    assert await world.state() is State.PENDING
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.retries, run.total, run.succeeded, run.invites) == (State.SUCCEEDED, 0, 6, 6, 6)
    assert [world.tenant.mails_of(each.event_id) for each in events] == [2] * 6


# -- previews ----------------------------------------------------------------------------------------------------------------


async def test_a_trigger_does_not_vanish_in_the_run_of_a_preview(world):
    """The preview's run carries out what was shown; what the trigger wants beyond it is done as well."""
    world.tenant.meetings["known"] = online_meeting("alpha")
    first, second = world.skype_meetings(2)
    previews = Previews(world.parts)
    preview = await previews.ask(Asked(key=KEY, identity=NAME, source=Source.ALL, target=Target.TEAMS, actor="admin"))
    await world.until_quiet()
    world.tenant.on("update", *[TemporaryError(retry_after=timedelta(minutes=3))] * 2)
    await previews.apply(preview, actor="admin")
    await world.deliver()
    assert await world.state() is State.PENDING
    (later,) = world.tenant.add(teams_event(9, dial_in={"number": "+4989999999"}))
    await world.queue.send(GRANTED)
    await world.until_quiet()
    assert [world.tenant.mails_of(each.event_id) for each in (first, second, later)] == [1, 1, 1]
