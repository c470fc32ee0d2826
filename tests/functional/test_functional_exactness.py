"""What must come true to the last count and the last property."""

from __future__ import annotations

from dataclasses import replace

import pytest
from functional_support import World, granted
from meeting_values import USER

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
