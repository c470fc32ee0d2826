"""WorkQueue: messages that arrive once they are due, as the Functions host reads them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mms_core.messages import (
    ActivityContent,
    LookAfterSubscriptions,
    Resolve,
    TenantEvent,
    UsersChanged,
    Wake,
    users_changed,
)

SECOND = timedelta(seconds=1)


async def test_a_wake_goes_to_the_workers_and_all_else_to_triage(storage):
    """Two queues: a flood of notifications does not hold up the runs."""
    others = [
        Resolve(user="name-1"),
        UsersChanged(users=("a", "b"), received="now"),
        TenantEvent(event_id="s|1", type="mms.user.moved", data={"user": "ü👋", "direction": "toCloud"}),
        ActivityContent(uris=("https://manage.example/api/1",)),
        LookAfterSubscriptions(),
    ]
    await storage.queue.send(Wake(user="u", wake_id="w"))
    for message in others:
        await storage.queue.send(message)
    assert await storage.received(Wake) == [Wake(user="u", wake_id="w")]
    received = await storage.received(Resolve)
    assert sorted(received, key=repr) == sorted(others, key=repr)


@pytest.mark.parametrize("delay", [None, timedelta(0), timedelta(seconds=-5)])
async def test_without_a_delay_a_message_is_there_at_once(storage, delay):
    """A due time in the past is no delay."""
    await storage.queue.send(Wake(user="u", wake_id="w"), delay=delay)
    assert len(await storage.received(Wake)) == 1


async def test_a_delayed_message_is_not_there_before_it_is_due(storage):
    """By the queue's own clock, rounded up, never down."""
    await storage.queue.send(Wake(user="u", wake_id="later"), delay=0.4 * SECOND)
    assert await storage.received(Wake) == []
    await storage.pass_time(0.3 * SECOND)
    assert await storage.received(Wake) == []
    await storage.pass_time(1.2 * SECOND)
    assert [message.wake_id for message in await storage.received(Wake)] == ["later"]


async def test_a_wait_longer_than_the_queue_allows_is_accepted(storage):
    """Ninety days not-before: the message comes early and is put back."""
    await storage.queue.send(Wake(user="u", wake_id="w"), delay=timedelta(days=90))
    assert await storage.received(Wake) == []


async def test_a_full_message_of_changed_users_fits(storage):
    """A thousand notifications in one message, after base64 as well."""
    messages = users_changed([f"{number:08d}-0000-0000-0000-000000000000" for number in range(1000)], received="now")
    for message in messages:
        await storage.queue.send(message)
    received = await storage.received(UsersChanged)
    assert sum(len(message.users) for message in received) == 1000


async def test_a_message_too_large_for_the_queue_is_refused_before_it_is_sent(storage):
    """In memory just as by the wire."""
    huge = TenantEvent(event_id="1", type="t", data={"text": "x" * 49_152})
    with pytest.raises(ValueError, match="bytes"):
        await storage.queue.send(huge)
    assert await storage.received(TenantEvent) == []
