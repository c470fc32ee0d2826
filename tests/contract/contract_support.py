"""What the contract tests share: both implementations behind one face, and values to store."""

from __future__ import annotations

import asyncio
import base64
import uuid
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from mms_core import wiring
from mms_core.adapters.memory import MemoryDocuments, MemoryLedger, MemoryQueue, MemoryUserStore, SettableClock
from mms_core.adapters.tables import TableDocuments, TableLedger, TableUserStore
from mms_core.adapters.tables.clients import shard
from mms_core.adapters.work_queue import StorageWorkQueue
from mms_core.meetings import LedgerEntry, Original
from mms_core.messages import Wake, decode
from mms_core.model import Run, RunId, State, UserKey, UserRecord, Verdict
from mms_core.settings import from_environment

START = datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC)


class MemoryStorage:
    """The shipped fakes."""

    def __init__(self):
        self.clock = SettableClock(START)
        self.users = MemoryUserStore()
        self.ledger = MemoryLedger()
        self.documents = MemoryDocuments()
        self.queue = MemoryQueue(self.clock)
        self._taken = []

    async def pass_time(self, by):
        """Let *by* go by."""
        self.clock.advance(by)

    async def received(self, kind):
        """Take the visible messages of the queue that *kind* belongs to."""
        self._taken += self.queue.visible()
        wanted = [message for message in self._taken if isinstance(message, Wake) is (kind is Wake)]
        self._taken = [message for message in self._taken if message not in wanted]
        return wanted


class AzuriteStorage:
    """The real adapters with the options that the app gives them."""

    def __init__(self, connection, *, prefix):
        self._deployment = from_environment(
            {
                "AzureWebJobsStorage": connection,
                "MMS_TENANT_ID": "t",
                "MMS_API_AUDIENCE": "a",
                "MMS_TABLE_PREFIX": prefix,
                "MMS_TRIGGER_QUEUE": f"{prefix}-triggers".lower(),
                "MMS_RUN_QUEUE": f"{prefix}-runs".lower(),
            }
        )
        self.tables = wiring._tables(self._deployment)
        self.users = TableUserStore(self.tables)
        self.ledger = TableLedger(self.tables)
        self.documents = TableDocuments(self.tables)
        self.queue = StorageWorkQueue(
            triggers=wiring._queue(self._deployment, self._deployment.trigger_queue),
            runs=wiring._queue(self._deployment, self._deployment.run_queue),
        )

    async def pass_time(self, by):
        """Let *by* go by on the server's clock, of which we have only the real one."""
        await asyncio.sleep(by.total_seconds())

    async def raw(self, kind):
        """Take the visible messages as they lie in the queue, without any decoding policy."""
        name = self._deployment.run_queue if kind is Wake else self._deployment.trigger_queue
        async with QueueClient.from_connection_string(self._deployment.storage_connection, name) as client:
            try:
                return [message.content async for message in client.receive_messages(max_messages=32)]
            except ResourceNotFoundError:
                return []  # made by the first message

    async def received(self, kind):
        """Take the visible messages as the Functions host reads them."""
        return [decode(base64.b64decode(text, validate=True)) for text in await self.raw(kind)]

    async def close(self):
        """Close every connection."""
        await self.tables.close()
        await self.queue.close()


def guid(number):
    """The same object id for the same number."""
    return str(uuid.UUID(int=number))


def key_of(number):
    """A user's key."""
    return UserKey(guid(number))


def keys_in_one_shard(count):
    """Users who share a partition, and therefore its counter."""
    wanted = shard(guid(0))
    found = (key_of(number) for number in range(100_000) if shard(guid(number)) == wanted)
    return [next(found) for _ in range(count)]


def a_run(number=1, *, created=START, **more):
    """A run; *number* makes its id."""
    values = {
        "run_id": RunId(guid(number)),
        "identity": "adele@contoso.example",
        "created_at": created,
        "modified_at": created,
        "fresh_at": created,
        "due_at": created + timedelta(minutes=90),
    }
    return Run(**{**values, **more})


def a_record(key, current=None, **more):
    """A user's record."""
    return UserRecord(key=key, current=current or a_run(), **more)


def an_entry(key="m1", **more):
    """One meeting's row."""
    values = {
        "run_id": RunId(guid(1)),
        "event_id": f"event-{key}",
        "ical_uid": "uid",
        "subject": "Review",
        "start_at": START,
        "verdict": Verdict.MIGRATED,
        "updated_at": START,
    }
    return LedgerEntry(key=key, **{**values, **more})


def an_original(key="m1", *, body="<p>before</p>", **more):
    """An invitation as it was."""
    values = {
        "run_id": RunId(guid(1)),
        "event_id": f"event-{key}",
        "content_type": "html",
        "locations_json": "[]",
        "written_hash": "hash",
        "kept_at": START,
    }
    return Original(key=key, body=body, **{**values, **more})


async def counted(storage, keys):
    """Count users by the state of their newest run from the records themselves."""
    totals = dict.fromkeys(State, 0)
    for key in keys:
        stored = await storage.users.read(key)
        if stored is not None:
            totals[stored.value.newest.state] += 1
    return totals
