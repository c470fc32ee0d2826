"""Lists that overtake one another, and failed messages beside waiting runs, on each storage there is."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from contract_support import START, guid, key_of

from mms_core.adapters.memory import SettableClock
from mms_core.messages import StartMany, UsersChanged, Wake, encode
from mms_core.model import Source, State, Target
from mms_core.ports import RunQuery
from mms_core.service import Intake, Options, Parts, Queries, Recovery, Runs
from mms_core.service.admin.fanout import Fanout
from mms_core.service.admin.intake import Wanted

MINUTE = timedelta(minutes=1)
ROWS = 101
"""One more than are requests at once."""


@pytest.fixture
def service(storage):
    """The use cases over a storage, on a clock that stands still; Graph is never called."""
    clock = SettableClock(START)
    parts = Parts(
        users=storage.users,
        ledger=storage.ledger,
        documents=storage.documents,
        queue=storage.queue,
        clock=clock,
        graph=lambda: pytest.fail("nothing here asks Graph"),
        options=Options(tenant_id="t", sending_limits=True),
    )
    return SimpleNamespace(parts=parts, clock=clock, queries=Queries(parts), recovery=Recovery(parts))


def _wanted(first, **more):
    identities = tuple(guid(first + number) for number in range(ROWS))
    return Wanted(identities=identities, source=Source.ALL, target=Target.TEAMS, **more)


async def test_rows_of_an_earlier_list_make_room_for_a_later_one_of_higher_priority(storage, service):
    """None of them is touched before its time: it looks at the claims then, and waits once more."""
    await service.queries.configure({"AdmissionUsersPerMinute": 60, "SettleMinutes": 10}, etag=None, actor=None)
    intake = Intake(service.parts)
    await intake.start(_wanted(1000))
    service.clock.advance(MINUTE)
    await intake.start(_wanted(5000, priorities=dict.fromkeys(range(ROWS), 3)))
    for message in await storage.received(StartMany):
        await Fanout(service.parts).admit(message)
    first, overtaken, urgent = [(await storage.users.read(key_of(number))).value for number in (1000, 1090, 5000)]
    assert (first.current.due_at, urgent.current.due_at) == (START + 10 * MINUTE, START + 11 * MINUTE)
    assert overtaken.current.due_at == START + 10 * MINUTE + timedelta(seconds=90)
    service.clock.at = overtaken.current.due_at
    await Runs(service.parts).wake(Wake(user=overtaken.key, wake_id=overtaken.wake_id))
    later = (await storage.users.read(overtaken.key)).value
    assert later.current.state is State.PENDING
    assert later.current.due_at == overtaken.current.due_at + timedelta(seconds=ROWS)
    assert later.wake_id == overtaken.wake_id  # no message of the first kind is left over, and none is doubled
    due, turn = await Fanout(service.parts).due_again(later.current)
    assert (due, turn) == (later.current.due_at, later.current.turn)


async def test_what_failed_shows_where_no_work_is_and_goes_when_it_is_put_back(storage, service):
    """In the lists, the counters and the history alike."""
    await Intake(service.parts).start(
        Wanted(identities=(guid(1),), source=Source.ALL, target=Target.TEAMS, settle=timedelta(0))
    )
    told = UsersChanged(users=(guid(1), guid(2)), received=START.isoformat())
    await service.recovery.poisoned(encode(told))
    failed = (await storage.users.page(RunQuery(state=State.FAILED))).runs
    assert [(run.user_id, run.code) for run in failed] == [(guid(2), "TenantMessageFailed")]
    counts = await storage.users.counts()
    assert (counts[State.PENDING], counts[State.FAILED]) == (1, 1)
    assert len(await storage.users.runs_of(key_of(1))) == 1
    (kept,), _ = await service.queries.messages()
    await service.recovery.replay(kept["id"], by="ada@console")
    assert (await storage.users.page(RunQuery(state=State.FAILED))).runs == ()
    assert (await storage.users.counts())[State.SKIPPED] == 1
    assert await storage.users.recount() == []
    assert await service.queries.messages() == ([], None)
