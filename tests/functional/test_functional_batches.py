"""What one call tells becomes one queue message; where that cannot hold it, rows, and one message that points at them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from functional_support import NAME, Crash, World
from meeting_values import NOW, TENANT

from mms_core.adapters.memory import MemoryArchive
from mms_core.errors import PermanentError
from mms_core.messages import ActivityContent, Batch, UsersChanged
from mms_core.notifications import NOTIFICATION_LIMIT, parse_activity, parse_events, parse_notifications
from mms_core.service import Retention

GUIDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(NOTIFICATION_LIMIT)]
OURS = {"id": "ours", "since": NOW.isoformat()}
LONG = [f"{number:04d}-{'é' * 300}" for number in range(NOTIFICATION_LIMIT)]
"""Nobody's ids, and more than a message holds; Graph's resource paths are not ours to choose."""


def _notified(users):
    row = {"clientState": "state", "tenantId": TENANT, "subscriptionId": "ours"}
    rows = [{**row, "resourceData": {"id": user}} for user in users]
    return parse_notifications(json.dumps({"value": rows}).encode(), client_state="state", tenant_id=TENANT)


@pytest.fixture
async def world(world):
    """A world that knows its subscription."""
    await world.documents.put("subscription", "users", OURS)
    return world


async def _rows(world):
    return len(await world.documents.list("batch")), len(await world.documents.list("batchRow"))


def _seen(world):
    """Note every user whom the directory is asked about; nobody is known there."""
    seen = []

    async def user(identity):
        seen.append(identity)
        raise PermanentError(code="UserNotFound")

    world.tenant.user = user
    return seen


async def test_a_thousand_notifications_are_one_message(world):
    """The most that Graph sends, with ids as Graph has them: no row is needed."""
    await world.inbox.notifications(_notified(GUIDS))
    ((_, message),) = world.queue.messages
    assert message.users == tuple(GUIDS)
    assert await _rows(world) == (0, 0)


async def test_what_one_message_cannot_hold_is_kept_in_rows_and_worked_off(world):
    """One message all the same; everybody is looked at, and nothing is left behind."""
    seen = _seen(world)
    await world.inbox.notifications(_notified(LONG))
    ((_, message),) = world.queue.messages
    assert isinstance(message, Batch)
    heads, rows = await _rows(world)
    assert heads == 1
    assert rows > 1
    await world.until_quiet()
    assert sorted(seen) == LONG
    assert await _rows(world) == (0, 0)
    await world.dispatch(message)  # delivered twice
    assert world.queue.messages == []


async def _fresh():
    world = World()
    await world.documents.put("subscription", "users", OURS)
    world.steps.names.clear()
    return world


@pytest.mark.parametrize("when", ["before", "after"])
async def test_nothing_is_lost_wherever_the_host_dies(when):
    """In the call: Graph repeats it, or the sweep finds it. While it is worked off: the message comes again."""
    world = await _fresh()
    await world.inbox.notifications(_notified(LONG[:200]))
    await world.until_quiet()
    writes = len(world.steps.names)
    for number in range(1, writes + 1):
        world = await _fresh()
        seen = _seen(world)
        world.steps.crashes = {number: when}
        try:
            await world.inbox.notifications(_notified(LONG[:200]))
        except Crash:
            world.steps.is_dead = False
            is_pointed_at = bool(await world.documents.list("batch"))
            if not is_pointed_at:  # no answer, and nothing that a sweep would find: Graph tries again
                await world.inbox.notifications(_notified(LONG[:200]))
        await world.recover()
        world.clock.advance(timedelta(minutes=20))
        await world.recover()
        assert set(seen) == set(LONG[:200]), number
        assert not await world.documents.list("batch")


async def test_a_batch_whose_message_is_lost_is_found_by_the_sweep_once(world):
    """Not at once, for its message may only be late; and not again and again."""
    seen = _seen(world)
    await world.inbox.notifications(_notified(LONG))
    world.queue.messages = []
    await world.recovery.sweep()
    assert world.queue.messages == []
    world.clock.advance(timedelta(minutes=16))
    for _ in range(3):
        await world.recovery.sweep()
    assert [type(message) for _, message in world.queue.messages] == [Batch]
    await world.until_quiet()
    assert sorted(seen) == LONG


async def test_rows_of_a_call_that_broke_off_are_forgotten_after_a_day(world):
    """And no row of a batch that is still to be worked off."""
    world.steps.crashes = {4: "before"}
    with pytest.raises(Crash):
        await world.inbox.notifications(_notified(LONG))
    world.steps.is_dead = False
    heads, rows = await _rows(world)
    assert (heads, rows > 0) == (0, True)
    world.clock.advance(timedelta(hours=20))
    await world.inbox.notifications(_notified(LONG))
    both = (await _rows(world))[1]
    await Retention(world.parts, MemoryArchive()).night()
    assert (await _rows(world))[1] == both
    world.clock.advance(timedelta(days=3))
    await Retention(world.parts, MemoryArchive()).night()
    assert await _rows(world) == (1, both - rows)


async def test_a_message_in_a_row_that_nobody_understands_is_shown_and_spoils_no_other(world):
    """A later version wrote it, and was rolled back."""
    seen = _seen(world)
    await world.inbox.notifications(_notified(LONG))
    ((_, message),) = world.queue.messages
    key = f"{message.batch}-0000"
    stored = await world.documents.get("batchRow", key)
    await world.documents.put("batchRow", key, {**stored.value, "texts": ['{"kind":"later"}', *stored.value["texts"]]})
    await world.until_quiet()
    assert sorted(seen) == LONG
    assert [each["text"] async for each in world.recovery.kept()] == ['{"kind":"later"}']


EVENTS = {"Content-Type": "application/cloudevents-batch+json"}


def _events(*data):
    rows = [
        {"specversion": "1.0", "id": str(number), "source": "s", "type": "mms.policy.granted", "data": each}
        for number, each in enumerate(data)
    ]
    return parse_events(json.dumps(rows).encode(), EVENTS, tenant_id=TENANT)


@pytest.mark.parametrize(("count", "size"), [(100, 0), (40, 3000)], ids=["fits", "does not"])
async def test_a_batch_of_events_is_one_message_and_each_is_decided_once(world, count, size):
    """However many there are, and however often they are delivered; rows only for what a message cannot hold."""
    events = _events(
        *({"note": "x" * size, "user": NAME, "policy": "TeamsUpgradePolicy", "mode": "Islands"} for _ in range(count))
    )
    for _ in range(2):
        await world.inbox.events(events, actor="script")
        world.queue.messages = [each for each in world.queue.messages if isinstance(each[1], Batch)]
        assert len(world.queue.messages) == 1
        assert await _rows(world) == ((1, 1) if size else (0, 0))
    await world.until_quiet()
    decisions = [each["requestId"] for each in await world.documents.list("decision")]
    assert (len(decisions), len(set(decisions))) == (count, count)


async def test_an_event_that_no_message_holds_names_its_field_and_spoils_no_other(world):
    """It is refused, not crashed on."""
    grant = {"tenant": True, "policy": "TeamsUpgradePolicy", "mode": "Islands"}
    small, large = _events(grant, {**grant, "note": "ü" * 30_000})
    assert small.problem is None
    assert large.problem.field == "data"
    await world.inbox.events([small, large], actor="script")
    assert len(world.queue.messages) == 1


async def test_no_id_is_longer_than_an_identity(world):
    """Graph's are GUIDs; what is longer than any name is nobody, and fits into no message."""
    assert _notified(["x" * 60_000, GUIDS[0]]).users == (GUIDS[0],)
    graph = {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": "Microsoft.Graph.UserUpdated",
        "data": {"resourceData": {"id": "x" * 60_000}},
    }
    (event,) = parse_events(json.dumps([graph]).encode(), EVENTS, tenant_id=TENANT)
    assert event.problem.field == "data.resourceData.id"
    assert world.queue.messages == []


async def test_contents_of_the_feed_are_one_message_too(world):
    """Many, or long ones: each address is fetched by a message that takes a worker a while, not hours."""
    uris = [f"https://manage.example/{number:04d}/{'x' * 1900}" for number in range(120)]
    body = json.dumps([{"contentUri": uri} for uri in uris]).encode()
    await world.inbox.activity(parse_activity(body, tenant_id=TENANT))
    ((_, message),) = world.queue.messages
    world.queue.messages = []
    await world.dispatch(message)
    parts = [each for _, each in world.queue.messages]
    assert {type(each) for each in parts} == {ActivityContent}
    assert [uri for part in parts for uri in part.uris] == uris
    assert all(len(part.uris) <= 50 for part in parts)


async def test_a_single_user_needs_no_batch(world):
    """The usual case."""
    await world.inbox.notifications(_notified(GUIDS[:1]))
    assert [type(message) for _, message in world.queue.messages] == [UsersChanged]
