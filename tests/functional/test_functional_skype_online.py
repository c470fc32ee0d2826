"""Skype for Business Online as a target (T2, R6): where the mailbox allows it, and what is said where it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from functional_support import KEY
from meeting_values import NOW, USER, page, skype_block, skype_event, skype_properties, teams_event

from mms_core.errors import OutcomeUnknown
from mms_core.meetings import Recurrence
from mms_core.messages import TenantEvent
from mms_core.model import Source, State, Target, UserKey
from mms_core.service import Previews
from mms_core.service.running.previews import Asked

SKYPE_ONLINE = "https://meet.lync.com/contoso/adele/AB12CD09"
MOVED = TenantEvent(
    event_id="contoso|2", type="mms.user.moved", data={"user": USER, "direction": "toCloud", "moveToTeams": False}
)


async def _current(world, *, source=Source.ALL):
    await world.ask(source=source, target=Target.CURRENT)
    await world.until_quiet()


async def test_an_on_premises_meeting_becomes_one_of_skype_online(world):
    """Exchange makes it; one write, one mail, the label in the location stays, and undo leads back."""
    world.tenant.other_providers = frozenset({"skypeForBusiness"})
    (event,) = world.skype_meetings(1)
    await _current(world)
    now = world.tenant.events[event.event_id]
    assert "meet.lync.com" in now.body
    assert "meet.contoso.example" not in now.body
    assert "Grüße, 你好 👋&nbsp;— the agenda:" in now.body
    assert now.locations == event.locations
    entry = await world.entry(event)
    assert (entry.verdict, entry.route, entry.after.kind) == ("migrated", "skype", "skype")
    assert entry.after.join_url.startswith("https://meet.lync.com/")
    assert world.tenant.mails_of(event.event_id) == 1
    assert (await world.run()).last_message == "1 migrated."
    assert "create_or_get" not in world.tenant.calls
    await _current(world)
    assert (await world.entry(event)).code == "SkypeStaysSkype"
    assert world.tenant.mails_of(event.event_id) == 1
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert world.tenant.events[event.event_id].body == event.body


@pytest.mark.parametrize("source", [Source.ALL, Source.SFB])
async def test_where_the_mailbox_does_not_allow_it_skype_stays_skype(world, source):
    """Listed by R6, no failure: nobody asked for more."""
    events = world.skype_meetings(2)
    await _current(world, source=source)
    entry = await world.entry(events[0])
    assert (entry.verdict, entry.code, entry.rule) == ("skipped", "SkypeStaysSkype", "R6")
    assert (await world.state(), world.tenant.mails) == (State.SUCCEEDED, [])
    assert world.tenant.calls.count("providers") == 1


async def test_nobody_asks_the_calendar_where_no_plan_depends_on_it(world):
    """Teams meetings, and Skype meetings that are online already, cost no request."""
    body = page(skype_block(SKYPE_ONLINE))
    properties = {**skype_properties("AB12CD09"), "OnlineMeetingExternalLink": SKYPE_ONLINE}
    world.tenant.add(skype_event(1, body=body, properties=properties), teams_event(2))
    await _current(world)
    assert "providers" not in world.tenant.calls


@pytest.mark.parametrize("obstacle", ["calendar", "event"])
async def test_a_user_who_left_the_server_fails_where_skype_online_cannot_be_made(world, obstacle):
    """T2 with Current as the tenant's wish: the old meetings are dead, so this is no skip; the remedy says what to do."""
    world.tenant.other_providers = frozenset({"skypeForBusiness"} if obstacle == "event" else ())
    (event,) = world.skype_meetings(1, **({"provider": "skypeForBusiness"} if obstacle == "event" else {}))
    await world.configure(MoveWithoutMoveToTeams="Current")
    await world.queue.send(MOVED)
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.rule) == ("failed", "SkypeOnlineUnavailable", "T2")
    run = await world.run(KEY)
    assert (run.state, run.code) == (State.FAILED, "SkypeOnlineUnavailable")
    assert "targetMeetingType Teams" in run.last_message
    assert world.tenant.mails == []


async def test_the_plan_of_a_retry_says_what_the_retry_of_a_move_will_say(world):
    """It knows why the run was there (T2), with the tenant's setting for it; a plan of one's own is asked for by hand."""
    (event,) = world.skype_meetings(1)
    await world.configure(MoveWithoutMoveToTeams="Current")
    await world.queue.send(MOVED)
    await world.until_quiet()

    async def shown(action):
        asked = Asked(key=UserKey(USER), identity=USER, source=Source.ALL, target=Target.CURRENT, action=action)
        made = await Previews(world.parts).ask(asked)
        await world.until_quiet()
        (row,) = (await Previews(world.parts).read(made))["meetings"]
        return row["verdict"], row["code"], row["rule"]

    assert await shown("retry") == ("fail", "SkypeOnlineUnavailable", "T2")
    assert await shown("migrate") == ("skip", "SkypeStaysSkype", "R6")
    await world.queries.retry(USER, actor=None)
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.rule) == ("failed", "SkypeOnlineUnavailable", "T2")


async def test_a_user_who_left_the_server_gets_skype_online_where_it_can_be_made(world):
    """T2 as until 2019."""
    world.tenant.other_providers = frozenset({"skypeForBusiness"})
    (event,) = world.skype_meetings(1)
    await world.configure(MoveWithoutMoveToTeams="Current")
    await world.queue.send(MOVED)
    await world.until_quiet()
    assert (await world.entry(event)).verdict == "migrated"
    assert await world.state() is State.SUCCEEDED


async def test_a_lost_answer_is_recognised_and_not_repeated(world):
    """By the block that Exchange made."""
    world.tenant.other_providers = frozenset({"skypeForBusiness"})
    (event,) = world.skype_meetings(1)
    world.tenant.on("updated", OutcomeUnknown())
    await _current(world)
    assert ((await world.entry(event)).verdict, world.tenant.mails_of(event.event_id)) == ("migrated", 1)


async def test_an_exchange_that_makes_nothing_is_a_loud_failure(world):
    """The calendar said that it could, and the invitation has no link now."""
    world.tenant.other_providers = frozenset({"skypeForBusiness"})
    (event,) = world.skype_meetings(1)
    world.tenant.on("update", lambda: setattr(world.tenant, "other_providers", frozenset()))
    await _current(world)
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, entry.detail) == ("failed", "VerificationFailed", "joinUrl")


async def test_a_preview_shows_the_move(world):
    """As a migration, of one request."""
    world.tenant.other_providers = frozenset({"skypeForBusiness"})
    world.skype_meetings(1)
    previews = Previews(world.parts)
    made = await previews.ask(Asked(key=UserKey(USER), identity=USER, source=Source.SFB, target=Target.CURRENT))
    await world.until_quiet()
    (row,) = (await previews.read(made))["meetings"]
    assert (row["verdict"], row["updates"], row["graphCalls"], row["recipients"][0]["why"]) == (
        "migrate",
        1,
        1,
        ["external", "unanswered"],
    )


# -- the source filter comes first --------------------------------------------------------------------------------------


async def test_an_ambiguous_skype_meeting_does_not_fail_a_request_for_teams_meetings(world):
    """Which of its blocks is its own nobody knows; that it was made with Skype, its properties say."""
    block = skype_block("https://meet.contoso.example/adele/YY88")
    body = page(block + "<p>and</p>" + block.replace("YY88", "ZZ99"))
    (event,) = world.tenant.add(skype_event(1, body=body))
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    assert await world.verdicts() == {}
    assert await world.state() is State.SUCCEEDED
    await world.ask(source=Source.SFB)
    await world.until_quiet()
    assert (await world.entry(event)).code == "AmbiguousBlock"


async def test_an_ambiguous_series_that_is_over_is_left_alone(world):
    """A counted series without occurrences left: the calendar says so."""
    block = skype_block("https://meet.contoso.example/adele/YY88")
    world.tenant.add(
        skype_event(
            1,
            kind="seriesMaster",
            start=NOW - timedelta(days=60),
            body=page(block + "<p>and</p>" + block.replace("YY88", "ZZ99")),
            recurrence=Recurrence(kind="numbered", start_date=(NOW - timedelta(days=60)).date(), count=3),
        )
    )
    await world.ask()
    await world.until_quiet()
    assert await world.verdicts() == {}
