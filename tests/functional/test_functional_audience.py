"""Whom the settings leave out is left alone at once: while a run waits, and while it works."""

from __future__ import annotations

import pytest
from functional_support import NAME
from meeting_values import USER

from mms_core.audience import is_in_pilot
from mms_core.messages import TenantEvent, encode
from mms_core.model import State

GRANT = {"user": NAME, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
GROUP = "0f3f6c1e-8f5a-4f8e-9a51-7d6f0a2b9c3d"
OTHER_GROUP = "1f3f6c1e-8f5a-4f8e-9a51-7d6f0a2b9c3d"


async def _granted(world):
    await world.triage.message(encode(TenantEvent(event_id="s|1", type="mms.policy.granted", data=GRANT)))


async def test_a_user_who_left_the_pilot_while_the_run_waits_is_left_alone(world):
    """X3: not one question to the calendar; back in the pilot and retried, it runs."""
    events = world.skype_meetings(2)
    await _granted(world)
    await world.configure(PilotPercentage=0)
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code) == (State.SKIPPED, "NotInPilot")
    assert run.last_message.startswith("X3 NotInPilot")
    assert not {"candidates", "update"} & set(world.tenant.calls)
    await world.configure(PilotPercentage=100)
    await world.queries.retry(USER)
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_the_pilot_keeps_its_own_users(world):
    """The percentage at which the user joins lets the run go on, one less does not."""
    joins = next(share for share in range(101) if is_in_pilot(USER, share))
    world.skype_meetings(1)
    await _granted(world)
    await world.configure(PilotPercentage=joins)
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED
    await world.triage.message(encode(TenantEvent(event_id="s|2", type="mms.policy.granted", data=GRANT)))
    await world.configure(PilotPercentage=joins - 1)
    await world.until_quiet()
    assert (await world.run()).code == "NotInPilot"


async def test_an_administrators_request_is_not_of_the_pilot(world):
    """T10, alone and together with a trigger of the pilot."""
    events = world.skype_meetings(2)
    await _granted(world)
    await world.ask()
    await world.configure(PilotPercentage=0)
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_an_undo_is_not_of_the_pilot(world):
    """Who was migrated too early is restored."""
    (event,) = world.skype_meetings(1)
    await _granted(world)
    await world.until_quiet()
    await world.configure(PilotPercentage=0, DeniedUsers=[NAME])
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert world.tenant.events[event.event_id].body == event.body


async def test_what_is_left_of_a_run_outside_the_pilot_is_decided_by_the_reasons_that_are_on(world):
    """A request that is switched off by now does not keep the others' run going."""
    world.skype_meetings(1)
    await _granted(world)
    await world.ask()
    await world.configure(PilotPercentage=0, TriggerT10=False)
    await world.until_quiet()
    assert (await world.run()).code == "NotInPilot"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PilotPercentage": 0}, "NotInPilot"),
        ({"DeniedUsers": [NAME]}, "UserExcluded"),
        ({"DeniedUsers": [USER]}, "UserExcluded"),
        ({"AllowedUsers": ["zoe@contoso.example"]}, "UserExcluded"),
        ({"DeniedGroups": [GROUP]}, "UserExcluded"),
        ({"AllowedGroups": [OTHER_GROUP]}, "UserExcluded"),
    ],
)
async def test_a_run_at_work_stops_before_its_next_write(world, changes, code):
    """Meetings in hand have been looked at before the change, so they may still be written; no other is."""
    world.tenant.groups = frozenset({GROUP})
    events = world.skype_meetings(9)

    async def change():
        await world.configure(**changes)

    world.tenant.on("updated", change)
    await _granted(world)
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code) == (State.SKIPPED, code)
    assert 1 <= len(world.tenant.mails) < len(events) / 2


async def test_a_list_that_does_not_concern_the_user_does_not_disturb_a_run_at_work(world):
    """Asked again, at most once a change."""
    world.tenant.groups = frozenset({GROUP})
    events = world.skype_meetings(9)

    async def change():
        await world.configure(AllowedGroups=[GROUP], DeniedGroups=[OTHER_GROUP], DeniedUsers=["zoe@contoso.example"])

    world.tenant.on("updated", change)
    await _granted(world)
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert (await world.run()).retries == 0
    assert world.tenant.calls.count("member_of") <= 2
