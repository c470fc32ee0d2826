"""What is remembered of one user and cannot be read costs that user, and nobody else; and it is not written over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from functional_support import NAME
from meeting_values import AUDIO_CONFERENCING, NOW, USER
from test_functional_triggers import _Lists, _sweep

from mms_core.messages import TenantEvent, UsersChanged, encode
from mms_core.model import State, UserKey
from mms_core.service import remembered

OTHERS = [f"00000000-0000-4000-9000-{number:012d}" for number in range(3)]
DAMAGED = [
    {"v": 3, "seen": {"plans": []}, "later": True},
    {"seen": 5},
    {"seen": {"plans": "x"}},
    {"seen": {"plans": []}, "derived": {"mode": ["teamsonly"]}},
    {"seen": {"plans": []}, "derived": {"mode": ["teamsonly", "yesterday"]}},
    {"seen": {"plans": []}, "told": []},
    {"interop_at": "soon"},
    {"dialInPlans": 7},
]


@pytest.fixture
async def counted(world, monkeypatch):
    """The world with four users, each seen once, and what is counted of them."""
    for number, user in enumerate(OTHERS):
        world.tenant.add_user(user, f"u{number}@contoso.example")
    world.tenant = _Lists(world.tenant)
    await _sweep(world)
    world.counts = []
    monkeypatch.setattr(remembered, "measure", lambda metric, **more: world.counts.append((metric.name, more)))
    return world


def _license(world, user):
    world.tenant.people[user] = replace(world.tenant.people[user], plans=frozenset({AUDIO_CONFERENCING}))


@pytest.mark.parametrize("document", DAMAGED, ids=range(len(DAMAGED)))
async def test_a_sweep_goes_on_without_the_one(counted, document, caplog):
    """The others' changes are found; the one is said and counted, with a code, at each look."""
    world = counted
    await world.documents.put("snapshot", OTHERS[1], document)
    for user in OTHERS:
        _license(world, user)
    await _sweep(world)
    assert sorted(each["userId"] for each in await world.documents.list("decision")) == [OTHERS[0], OTHERS[2]]
    assert (await world.documents.get("snapshot", OTHERS[1])).value == document
    assert world.counts == [("mms.records.unreadable", {"code": "RecordUnreadable"})] * 2, "users, and Teams"
    assert [each for each in caplog.messages if "record_unreadable" in each and "RecordUnreadable" in each]


@pytest.mark.usefixtures("counted")
async def test_whoever_examines_the_service_hears_of_it_until_it_can_be_read_again(world):
    """From a sweep that met it until the row is mended, or deleted as the remedy says."""
    good = {user: (await world.documents.get("snapshot", user)).value for user in OTHERS}
    for user in OTHERS[:2]:
        await world.documents.put("snapshot", user, DAMAGED[0])
    assert await remembered.still_unreadable(world.parts) == "", "nobody has tried"
    await _sweep(world)
    assert await remembered.still_unreadable(world.parts) == "2"
    await world.documents.put("snapshot", OTHERS[0], good[OTHERS[0]])
    assert await remembered.still_unreadable(world.parts) == "1"
    assert [each["userId"] for each in await world.documents.list("unreadable")] == [OTHERS[1]]
    await world.documents.put("snapshot", OTHERS[1], good[OTHERS[1]])
    assert await remembered.still_unreadable(world.parts) == ""
    assert await world.documents.list("unreadable") == []


async def test_a_hundred_that_cannot_be_read_are_enough_to_know_it(world):
    """After a roll-back it may be everybody: nobody waits for a count of them all."""
    for number in range(250):
        await world.documents.put("unreadable", f"{number:03d}", {"userId": f"{number:03d}", "at": NOW.isoformat()})
        if number >= 150:
            await world.documents.put("snapshot", f"{number:03d}", DAMAGED[0])
    assert await remembered.still_unreadable(world.parts) == "50 or more"
    assert len(await world.documents.list("unreadable")) == 100
    assert await remembered.still_unreadable(world.parts) == "100 or more"


async def test_notifications_of_others_are_worked_off(counted):
    """A batch is not poisoned for the sake of one."""
    world = counted
    await world.documents.put("snapshot", OTHERS[0], DAMAGED[1])
    await world.triage.message(encode(UsersChanged(users=tuple(OTHERS), received=NOW.isoformat())))
    assert [message for _, message in world.queue.messages if isinstance(message, UsersChanged)] == []
    assert len(world.counts) == 1


async def test_an_event_about_the_one_is_decided_and_its_run_says_what_is_wrong(counted):
    """Nothing is known, which stands in nobody's way; the run needs to know, and names the remedy."""
    world = counted
    await world.documents.put("snapshot", USER, DAMAGED[0])
    data = {"user": NAME, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
    world.skype_meetings(1)
    await world.dispatch(TenantEvent(event_id="s|1", type="mms.policy.granted", data=data, actor="script"))
    await world.until_quiet()
    run = await world.run(UserKey(USER))
    assert (run.state, run.code) == (State.FAILED, "RecordUnreadable")
    assert (await world.documents.get("snapshot", USER)).value == DAMAGED[0]
