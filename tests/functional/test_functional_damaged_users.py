"""A user's record that cannot be read costs that user, and nobody else: no sweep, list, order or message stops at it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from functional_support import KEY, NAME
from meeting_values import NOW, USER
from test_functional_discovery import AGE, OTHER, _grant, tenant  # noqa: F401 - a fixture
from test_functional_lists_time import _night
from test_functional_retries import DENIED, _carry_out, _failed, _seed

from mms_core.errors import RecordUnreadable
from mms_core.messages import TenantEvent, UsersChanged, Wake, encode
from mms_core.model import State, UserKey, name_key
from mms_core.service import Finds, Retries, remembered

OTHERS = [UserKey(f"00000000-0000-4000-9000-{number:012d}") for number in range(3)]


@pytest.fixture
def damage(world, monkeypatch):
    """Makes records unreadable, as the tables do where they cannot be decoded."""
    damaged, read = set(), world.users.read

    async def reading(key):
        if key in damaged:
            raise RecordUnreadable("DecodeError")
        return await read(key)

    monkeypatch.setattr(world.users, "read", reading)
    return damaged


async def _noted(world):
    return [each["userId"] for each in await world.documents.list("unreadable")]


async def test_the_sweep_wakes_everybody_else(world, damage):
    """Whoever is listed behind the one would wait for ever; the doctor hears of the one until it can be read again."""
    for user in OTHERS:
        await world.ask(user)
    world.queue.messages.clear()
    world.clock.advance(timedelta(hours=3))
    damage.add(OTHERS[0])
    assert await world.recovery.sweep() == 2
    assert {each.user for _, each in world.queue.messages if isinstance(each, Wake)} == set(OTHERS[1:])
    assert await _noted(world) == [OTHERS[0]]
    assert await remembered.still_unreadable(world.parts) == "1"
    damage.clear()
    assert await remembered.still_unreadable(world.parts) == ""


async def test_the_night_purges_everybody_else(world, damage):
    """The one stays until somebody has looked at it."""
    keys = await _seed(world, *(_failed(number) for number in range(3)))
    damage.add(keys[1])
    lines = await _night(world, 151)
    assert {line["user"] for line in lines} == {keys[0], keys[2]}
    assert await _noted(world) == [keys[1]]


async def test_a_group_is_tried_again_without_the_one(world, damage):
    """The order does not stop at its page."""
    keys = await _seed(world, *(_failed(number) for number in range(3)))
    await Retries(world.parts).order(DENIED, actor="ann")
    damage.add(keys[1])
    await _carry_out(world)
    damage.clear()
    assert [await world.state(key) for key in keys] == [State.PENDING, State.FAILED, State.PENDING]
    assert await _noted(world) == [keys[1]]


@pytest.mark.usefixtures("tenant")
async def test_who_needs_a_migration_is_shown_all_the_same(world, damage):
    """One of whom nobody knows whether a run waits is better shown than missed."""
    await _grant(world)
    finds = Finds(world.parts, age=AGE)
    damage |= {KEY, UserKey(OTHER)}
    rows = (await finds.page(top=10, continuation=None, search=False))["value"]
    assert [row["userId"] for row in rows] == [OTHER, USER]


@pytest.mark.parametrize(
    "message",
    [
        Wake(user=OTHERS[0], wake_id="w"),
        UsersChanged(users=(OTHERS[0],), received=NOW.isoformat()),
        TenantEvent(event_id="s|1", type="mms.policy.granted", data={"user": OTHERS[0]}),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_message_that_failed_because_of_it_is_kept_and_shown(world, damage, message):
    """Not lost in a queue behind the poison queue, which nobody reads."""
    damage.add(OTHERS[0])
    await world.recovery.poisoned(encode(message))
    shown, _ = await world.queries.messages()
    assert len(shown) == 1
    assert len(await world.documents.list("decision")) == (not isinstance(message, Wake))


async def test_others_whom_the_same_message_names_have_their_entries(world, damage):
    """In the order of the message, before and behind the one."""
    damage.add(OTHERS[1])
    await world.recovery.poisoned(encode(UsersChanged(users=tuple(OTHERS), received=NOW.isoformat())))
    assert (await world.queries.counts())[State.FAILED] == 2
    assert len(await world.documents.list("decision")) == 3
    assert await _noted(world) == [OTHERS[1]]


async def test_what_stands_under_a_name_is_noted_without_the_name(world, damage):
    """The log line has the record's key; names stay out of logs."""
    damage.add(name_key(NAME))
    data = {"user": NAME, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
    await world.recovery.poisoned(encode(TenantEvent(event_id="s|1", type="mms.policy.granted", data=data)))
    assert await _noted(world) == [name_key(NAME)]
