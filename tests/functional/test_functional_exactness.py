"""What must come true to the last count and the last property."""

from __future__ import annotations

from dataclasses import replace

import pytest
from functional_support import World, granted
from meeting_values import USER

from mms_core import block
from mms_core.errors import PermanentError
from mms_core.model import State


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_write_loses_no_count_of_updates(when):
    """InvitesUpdate is what attendees got, however many workers it took."""
    quiet, _ = await granted({})
    for number in range(1, len(quiet.steps.names) + 1):
        world, events = await granted({number: when})
        await world.assert_migrated_once(events)
        assert (await world.run()).invites == 4, f"crashed {when} write {number}: {world.steps.names[number - 1]}"


async def test_undo_restores_body_locations_and_properties(world: World):
    """Byte for byte, at once, by one mail each; shown as a run and as skipped meetings."""
    events = world.skype_meetings(2)
    await world.ask()
    await world.until_quiet()
    before = world.clock.now()
    run = await world.queries.undo(USER, (), actor="admin")
    assert run.due_at == before
    await world.until_quiet()
    assert world.clock.now() == before
    for event in events:
        assert replace(world.tenant.events[event.event_id], etag="") == replace(event, etag="")
        assert world.tenant.mails_of(event.event_id) == 2
    assert await world.verdicts() == {event.event_id: "restored" for event in events}
    run = await world.run()
    assert (run.state, run.succeeded, run.invites, run.migration_type) == (State.SUCCEEDED, 2, 2, "Unknown")
    assert run.reasons == ("Undo",)


@pytest.mark.parametrize("route", ["replace", "flags"])
async def test_each_meeting_shows_its_block_before_and_after_and_the_other_way_round_once_undone(world: World, route):
    """As they stand in the calendar, also where Exchange wrote the new one; and nothing around them."""
    (event,) = world.skype_meetings(1)
    if route == "flags":
        world.tenant.on("create_or_get", PermanentError(code="AppAccessPolicyMissing"))
    await world.ask()
    await world.until_quiet()
    now = world.tenant.events[event.event_id]
    entry, shown = await world.queries.meeting(USER, event.event_id)
    assert (entry.verdict, shown.content_type) == ("migrated", "html")
    assert "Join Skype Meeting" in shown.old
    assert shown.old in event.body
    assert block.locate(shown.new).blocks[0].join_url == entry.after.join_url
    assert shown.new in now.body
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    entry, back = await world.queries.meeting(USER, event.event_id)
    assert (entry.verdict, back.old, back.new) == ("restored", shown.new, shown.old)
