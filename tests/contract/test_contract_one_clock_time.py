"""Workers whose clocks are wrong decide by the storage's: a run is never early, and a live lease is never taken."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from mms_core import wiring
from mms_core.adapters.storage_clock import StorageClock
from mms_core.adapters.tables import TableDocuments, TableLedger, TableUserStore
from mms_core.adapters.work_queue import StorageWorkQueue
from mms_core.messages import Wake
from mms_core.model import Request, State, Target, UserKey
from mms_core.service import Options, Parts, Recovery, Runs
from mms_core.settings import from_environment

USER = UserKey("77778888-9999-4aaa-bbbb-ccccddddeeee")
MINUTE = timedelta(minutes=1)


class Machine:
    """A worker on a machine of its own."""

    def __init__(self, connection, prefix, monkeypatch, *, wrong):
        self.clock = StorageClock(lambda: datetime.now(UTC) + wrong)
        monkeypatch.setattr(wiring, "_clock", lambda: self.clock)
        settings = from_environment(
            {
                "AzureWebJobsStorage": connection,
                "MMS_TENANT_ID": "t",
                "MMS_API_AUDIENCE": "a",
                "MMS_TABLE_PREFIX": prefix,
                "MMS_TRIGGER_QUEUE": f"{prefix}-triggers".lower(),
                "MMS_RUN_QUEUE": f"{prefix}-runs".lower(),
            }
        )
        self.tables = wiring._tables(settings)
        self.parts = Parts(
            users=TableUserStore(self.tables),
            ledger=TableLedger(self.tables),
            documents=TableDocuments(self.tables),
            queue=StorageWorkQueue(
                triggers=wiring._queue(settings, settings.trigger_queue),
                runs=wiring._queue(settings, settings.run_queue),
            ),
            clock=self.clock,
            graph=self._no_graph,
            options=Options(tenant_id="t", run_lease=MINUTE),
        )
        self.runs, self.recovery = Runs(self.parts), Recovery(self.parts)

    @staticmethod
    def _no_graph():
        raise AssertionError("nothing is to be worked on")

    async def record(self):
        """The user's record."""
        return (await self.parts.users.read(USER)).value

    async def close(self):
        """Close the connections."""
        await self.tables.close()
        await self.parts.queue.close()


@pytest.fixture
async def machines(azurite, monkeypatch):
    """Make workers over one storage."""
    made, prefix = [], f"T{secrets.token_hex(6)}"

    def make(wrong):
        made.append(Machine(azurite.connection_string, prefix, monkeypatch, wrong=wrong))
        return made[-1]

    yield make
    for machine in made:
        await machine.close()


@pytest.mark.parametrize("hours", [-9, 9])
async def test_a_machine_whose_clock_is_wrong_starts_nothing_early_and_wakes_nothing(machines, hours):
    """Neither by a message nor by its sweep; what it files is due when it should be."""
    right, wrong = machines(timedelta(0)), machines(timedelta(hours=hours))
    request = Request(request_id="r", reason="T10 Manual", target=Target.TEAMS, settle=90 * MINUTE)
    await wrong.parts.users.read(USER)  # the first answer of the storage, before anything is decided
    await wrong.parts.accept(USER, USER, request)
    record = await right.record()
    assert abs(record.current.due_at - datetime.now(UTC) - 90 * MINUTE) < MINUTE
    for machine in (right, wrong):
        assert await machine.recovery.sweep() == 0
        await machine.runs.wake(Wake(user=USER, wake_id=record.wake_id))
        assert (await machine.record()).current.state is State.PENDING


async def test_a_machine_whose_clock_is_ahead_takes_no_live_lease(machines):
    """The other one's heartbeat is fresh by the storage's clock."""
    right, ahead = machines(timedelta(0)), machines(timedelta(hours=9))
    request = Request(request_id="r", reason="T10 Manual", target=Target.TEAMS, settle=timedelta(0))
    await right.parts.accept(USER, USER, request)
    taken = await right.runs._look(Wake(user=USER, wake_id=(await right.record()).wake_id))
    assert taken.value.current.state is State.IN_PROGRESS
    assert await ahead.recovery.sweep() == 0
    await ahead.runs.wake(Wake(user=USER, wake_id=taken.value.wake_id))
    assert (await right.record()).current.lease_owner == taken.value.current.lease_owner
