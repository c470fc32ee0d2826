"""Teams meetings that are replaced by others: options carry over, what cannot is listed, the old one has days of grace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import KEY, NAME
from meeting_values import (
    NOW,
    USER,
    online_meeting,
    page,
    skype_block,
    skype_event,
    teams_block,
    teams_event,
    teams_url,
)

from mms_core.errors import OutcomeUnknown, PermanentError
from mms_core.model import Source, State, Target, UserKey
from mms_core.service import Previews
from mms_core.service.running.previews import Asked
from mms_core.service.running.retiring import RETIRE

ANYBODY = {"MaintenanceDays": "", "MaintenanceHours": "", "DeniedUsers": [], "AllowedUsers": []}
"""Settings that hold nothing back."""
OPTIONS = {
    "allowMeetingChat": "disabled",
    "recordAutomatically": True,
    "lobbyBypassSettings": {"scope": "invited"},
    "joinMeetingIdSettings": {"joinMeetingId": "111"},
}


def _old(world, event, meeting="alpha", **more):
    """Let Teams know the meeting that an event leads to."""
    world.tenant.meetings[meeting] = replace(online_meeting(meeting), options={**OPTIONS, **more})
    return event


async def _replacing(world, count=1, **settings):
    events = world.tenant.add(*(_old(world, teams_event(n, meeting=f"old{n}"), f"old{n}") for n in range(1, count + 1)))
    await world.configure(TeamsToTeams="replace", **settings)
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    return events


async def _retired(world):
    await world.parts.documents.put("job", RETIRE, {"doneAt": NOW.isoformat(), "kind": RETIRE})
    for _ in range(2):  # safe to repeat
        await world.triage._jobs.start(RETIRE)
        await world.until_quiet()


def _new_meeting(world):
    return next(each for each in world.tenant.meetings.values() if each.external_id)


async def test_a_replaced_meeting_hands_its_options_over(world):
    """By one write of the event; what the new one cannot have stands in the meeting's row."""
    (event,) = await _replacing(world)
    new = _new_meeting(world)
    assert new.options["allowMeetingChat"] == "disabled"
    assert new.options["recordAutomatically"] is True
    assert new.options["lobbyBypassSettings"] == {"scope": "invited"}
    entry = await world.entry(event)
    assert (entry.verdict, entry.before.join_url != entry.after.join_url) == ("migrated", True)
    assert entry.not_kept == ("whiteboard", "polls", "shared notes", "joinMeetingIdSettings")
    assert world.tenant.mails_of(event.event_id) == 1
    assert world.tenant.events[event.event_id].properties["SkypeTeamsMeetingUrl"] == new.join_url
    assert "end" not in world.tenant.calls


async def test_a_second_request_finds_the_replacement_current(world):
    """It is ours by its external id: no third meeting, no mail."""
    (event,) = await _replacing(world)
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    assert (await world.entry(event)).verdict == "current"
    assert len(world.tenant.mails) == 1
    assert sum(bool(each.external_id) for each in world.tenant.meetings.values()) == 1


async def test_an_option_that_is_refused_is_listed_and_the_others_are_set(world):
    """One that the licences do not cover refuses the whole PATCH."""
    world.tenant.add(_old(world, teams_event(1), watermarkProtection={"isEnabledForVideo": True}))
    await world.configure(TeamsToTeams="replace")
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    (entry,) = await world.ledger.entries(KEY)
    assert entry.not_kept[-2:] == ("watermarkProtection", "joinMeetingIdSettings")
    assert _new_meeting(world).options["recordAutomatically"] is True


async def test_a_meeting_that_teams_does_not_know_is_replaced_and_says_that_its_options_are_lost(world):
    """A refresh would fail; a replacement gives people a link that works."""
    (event,) = world.tenant.add(teams_event(1))
    await world.configure(TeamsToTeams="replace")
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    entry = await world.entry(event)
    assert entry.verdict == "migrated"
    assert entry.not_kept[-1].startswith("meeting options")


async def test_target_current_never_replaces(world):
    """Teams stays Teams (R6): the block is compared, nothing more."""
    (event,) = world.tenant.add(_old(world, teams_event(1)))
    await world.configure(TeamsToTeams="replace")
    await world.ask(target=Target.CURRENT)
    await world.until_quiet()
    assert (await world.entry(event)).verdict == "current"


async def test_a_meeting_converted_by_hand_hands_over_the_options_of_its_teams_meeting(world):
    """A Skype block and a Teams block beside each other: both go, one comes."""
    url = teams_url("byhand")
    body = page(skype_block("https://meet.contoso.example/adele/AB12CD01") + teams_block(url))
    both = skype_event(1, body=body, join_url=url)
    world.tenant.add(_old(world, both, "byhand"))
    await world.ask()
    await world.until_quiet()
    (entry,) = await world.ledger.entries(KEY)
    assert entry.verdict == "migrated"
    assert "joinMeetingIdSettings" in entry.not_kept
    assert _new_meeting(world).options["recordAutomatically"] is True


async def test_a_lost_answer_does_not_replace_twice(world):
    """The write is recognised by the new link."""
    (event,) = world.tenant.add(_old(world, teams_event(1)))
    world.tenant.on("updated", OutcomeUnknown())
    await world.configure(TeamsToTeams="replace")
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    assert ((await world.entry(event)).verdict, world.tenant.mails_of(event.event_id)) == ("migrated", 1)


async def test_a_migrated_skype_meeting_lists_what_is_not_kept(world):
    """R8, in the result."""
    (event,) = world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    assert (await world.entry(event)).not_kept == ("whiteboard", "polls", "shared notes")


async def test_a_preview_says_refresh_of_what_is_replaced_already(world):
    """And migrate of what would be replaced, with what would be lost."""
    (event,) = world.tenant.add(_old(world, teams_event(1)))
    await world.configure(TeamsToTeams="replace")

    async def row():
        previews = Previews(world.parts)
        made = await previews.ask(Asked(key=UserKey(USER), identity=USER, source=Source.ALL, target=Target.TEAMS))
        await world.until_quiet()
        return (await previews.read(made))["meetings"][0]

    before = await row()
    assert (before["verdict"], before["graphCalls"]) == ("migrate", 4)
    assert "joinMeetingIdSettings" in before["notKept"]
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    assert (await row())["verdict"] == "current"
    assert (await world.entry(event)).verdict == "migrated"


# -- the old meeting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "after", "ends"), [(None, 300, False), (7, 6, False), (7, 8, True), (0, 1, True)])
async def test_the_replaced_meeting_is_kept_or_ended_after_its_days_of_grace(world, days, after, ends):
    """Kept by default; ended once, however often the sweep runs."""
    await _replacing(world, EndReplacedMeetingsAfterDays=days, RetentionDays=3000)
    world.tenant.calls.clear()
    world.clock.advance(timedelta(days=after))
    world.tenant.edit("AAMk/event+1==", start_at=world.clock.now() + timedelta(days=1))
    await _retired(world)
    assert world.tenant.calls.count("end") == ends
    assert ("old1" in world.tenant.meetings) is not ends
    assert _new_meeting(world)


async def test_a_meeting_that_an_invitation_still_leads_to_is_not_ended(world):
    """The replacement was undone."""
    (event,) = await _replacing(world, EndReplacedMeetingsAfterDays=1)
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert world.tenant.events[event.event_id].body == event.body
    world.clock.advance(timedelta(days=2))
    await _retired(world)
    assert "old1" in world.tenant.meetings


async def test_a_meeting_that_an_exception_still_leads_to_is_not_ended(world):
    """It has a body of its own, which nobody has rewritten."""
    await _replacing(world, EndReplacedMeetingsAfterDays=1)
    world.clock.advance(timedelta(days=2))
    later = world.clock.now() + timedelta(days=3)
    exception = teams_event(9, meeting="old1", kind="exception", series_master_id="master", start=later)
    world.tenant.add(exception, teams_event(8, meeting="x", event_id="master", kind="seriesMaster"))
    await _retired(world)
    assert "old1" in world.tenant.meetings


async def test_switched_off_nothing_is_ended(world):
    """Off means off."""
    await _replacing(world, EndReplacedMeetingsAfterDays=1)
    world.clock.advance(timedelta(days=2))
    await world.configure(MeetingMigrationEnabled=False)
    await _retired(world)
    assert "old1" in world.tenant.meetings


@pytest.mark.parametrize(
    "settings",
    [
        {"MaintenanceDays": "Mon", "MaintenanceHours": "03:00-03:30"},
        {"DeniedUsers": [NAME]},
        {"AllowedUsers": ["somebody@contoso.example"]},
    ],
    ids=["window", "denied", "not-allowed"],
)
async def test_what_forbids_every_other_write_forbids_the_end_of_a_meeting_too(world, settings):
    """The maintenance window and the lists; once they allow it again, the next sweep ends it."""
    await _replacing(world, EndReplacedMeetingsAfterDays=1)
    world.clock.advance(timedelta(days=2))
    await world.configure(**settings)
    await _retired(world)
    assert ("old1" in world.tenant.meetings, world.tenant.calls.count("end")) == (True, 0)
    await world.configure(**{name: allowed for name, allowed in ANYBODY.items() if name in settings})
    await _retired(world)
    assert "old1" not in world.tenant.meetings


async def test_a_switch_between_two_ends_stops_the_second(world):
    """It is read before each of them."""
    await _replacing(world, 3, EndReplacedMeetingsAfterDays=1)
    world.clock.advance(timedelta(days=4))
    world.tenant.on("end", lambda: world.configure(MeetingMigrationEnabled=False))
    await _retired(world)
    assert world.tenant.calls.count("end") == 1


async def test_while_a_run_is_at_work_nothing_of_its_user_is_ended(world):
    """Four requests at once for a mailbox are the run's."""
    await _replacing(world, EndReplacedMeetingsAfterDays=1)
    world.clock.advance(timedelta(days=2))
    stored = await world.users.read(KEY)
    run = replace(stored.value.current, state=State.IN_PROGRESS)
    stored = await world.users.save(replace(stored.value, current=run), stored)
    world.tenant.calls.clear()
    await _retired(world)
    assert world.tenant.calls == []
    await world.users.save(replace(stored.value, current=replace(run, state=State.SUCCEEDED)), stored)
    await _retired(world)
    assert "old1" not in world.tenant.meetings


async def test_a_refusal_leaves_the_meeting_for_the_next_sweep(world):
    """Somebody took the right away, and gives it back."""
    await _replacing(world, EndReplacedMeetingsAfterDays=1)
    world.clock.advance(timedelta(days=2))
    world.tenant.on("end", PermanentError(code="MailboxAccessDenied"))
    await _retired(world)
    assert "old1" not in world.tenant.meetings
    assert world.tenant.calls.count("end") == 2


async def test_undo_refuses_to_lead_people_to_a_meeting_that_was_ended(world):
    """With a code of its own, and nothing is written."""
    (event,) = await _replacing(world, EndReplacedMeetingsAfterDays=1)
    world.clock.advance(timedelta(days=2))
    await _retired(world)
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert (await world.entry(event)).code == "ReplacedMeetingEnded"
    assert await world.state() is State.FAILED
    assert world.tenant.mails_of(event.event_id) == 1
