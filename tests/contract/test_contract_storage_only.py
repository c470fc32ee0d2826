"""What only the wire can show: encodings, lost answers, and storage that is not there."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import TableTransactionError
from azure.storage.queue.aio import QueueClient
from contract_support import AzuriteStorage, a_record, a_run, an_entry, an_original, key_of

import mms_core.adapters.tables.users as users_module
from mms_core.adapters.tables.clients import shard
from mms_core.adapters.tables.rows import COUNTERS
from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.messages import LookAfterSubscriptions, Resolve, Wake
from mms_core.model import State
from mms_core.ports import RunQuery
from mms_local.ports import free_ports
from mms_local.storage import StoragePorts

KEY = key_of(1)


async def test_messages_lie_in_the_queue_as_base64_of_json(tables):
    """The Functions host decodes base64 by default and hands the text on."""
    await tables.queue.send(Resolve(user="name-ü"))
    (text,) = await tables.raw(Resolve)
    assert json.loads(base64.b64decode(text, validate=True)) == {
        "kind": "resolve",
        "v": 1,
        "attempt": 0,
        "user": "name-ü",
    }


async def test_messages_never_expire(tables):
    """A message is a promise: the default of 7 days would break it."""
    await tables.queue.send(LookAfterSubscriptions())
    name = tables._deployment.trigger_queue
    async with QueueClient.from_connection_string(tables._deployment.storage_connection, name) as client:
        (message,) = await client.peek_messages()
    assert message.expires_on > datetime.now(UTC) + timedelta(days=365)


class _Repeating:
    """A table client whose transactions are carried out, their answers lost, and repeated by the SDK."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def submit_transaction(self, operations):
        await self._client.submit_transaction(list(operations))
        return await self._client.submit_transaction(list(operations))


async def test_a_save_whose_answer_was_lost_is_recognised_as_carried_out(tables):
    """The SDK repeats it, the second try conflicts with the first: it is still ours, and counted once."""
    real = await tables.tables.table("Users")
    tables.tables._ready["Users"] = _Repeating(real)
    created = await tables.users.save(a_record(KEY), None)
    assert await tables.users.read(KEY) == created
    done = replace(created.value, current=a_run(state=State.SUCCEEDED))
    saved = await tables.users.save(done, created)
    tables.tables._ready["Users"] = real
    assert await tables.users.read(KEY) == saved
    assert saved.etag != created.etag
    assert await tables.users.counts() == {**dict.fromkeys(State, 0), State.SUCCEEDED: 1}


async def test_a_save_that_lost_is_not_mistaken_for_a_repeated_one(tables):
    """Somebody else's write has another mark."""
    old = await tables.users.save(a_record(KEY), None)
    await tables.users.save(replace(old.value, wake_id="theirs"), old)
    with pytest.raises(PreconditionLost) as caught:
        await tables.users.save(replace(old.value, wake_id="ours"), old)
    assert isinstance(caught.value.__cause__, TableTransactionError)


class _Crowded:
    """A table client before each of whose transactions somebody else writes the shard's counters, *times* times."""

    def __init__(self, client, times):
        self._client = client
        self._left = times

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def submit_transaction(self, operations):
        if self._left:
            self._left -= 1
            await self._client.upsert_entity({"PartitionKey": shard(KEY), "RowKey": COUNTERS, "Failed": 7})
        return await self._client.submit_transaction(list(operations))


@pytest.mark.parametrize("times", [1, 5])
async def test_counters_that_others_write_are_met_until_it_works(tables, times):
    """Their part is kept, ours is added."""
    tables.tables._ready["Users"] = _Crowded(await tables.tables.table("Users"), times)
    await tables.users.save(a_record(KEY), None)
    assert await tables.users.counts() == {**dict.fromkeys(State, 0), State.PENDING: 1, State.FAILED: 7}


async def test_counters_that_others_write_all_the_time_are_given_up_on(tables, monkeypatch):
    """Another try later is better than a loop without an end; nothing was written."""
    monkeypatch.setattr(users_module, "_COUNTER_PAUSE_SECONDS", 0.0)
    tables.tables._ready["Users"] = _Crowded(await tables.tables.table("Users"), 10_000)
    with pytest.raises(TemporaryError) as caught:
        await tables.users.save(a_record(KEY), None)
    assert caught.value.code == "StorageUnavailable"
    assert await tables.users.read(KEY) is None


async def test_storage_that_is_not_there_is_worth_another_try(tables):
    """Every port says so with one code, and soon: a webhook has three seconds."""
    await tables.queue.send(Wake(user="u", wake_id="w"))
    blob, queue, table = free_ports(3)
    gone = AzuriteStorage(StoragePorts(blob=blob, queue=queue, table=table).connection_string, prefix="Gone")
    calls = (
        gone.users.read(KEY),
        gone.users.save(a_record(KEY), None),
        gone.users.page(RunQuery()),
        gone.ledger.entries(KEY),
        gone.ledger.put(KEY, an_entry(), an_original()),
        gone.documents.get("config", "tenant"),
        gone.documents.list("config"),
        gone.queue.send(Wake(user="u", wake_id="w")),
    )
    began = datetime.now(UTC)
    try:
        for call in calls:
            with pytest.raises(TemporaryError) as caught:
                await call
            assert caught.value.code == "StorageUnavailable"
    finally:
        await gone.close()
    assert datetime.now(UTC) - began < timedelta(seconds=3 * len(calls))
