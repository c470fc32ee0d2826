"""Rows of users that somebody has damaged, or that a later version wrote: named by a code, and they spoil no list."""

from __future__ import annotations

from datetime import timedelta

import pytest
from contract_support import START, a_record, a_run, an_entry, an_original, guid, keys_in_one_shard

from mms_core.adapters.tables.clients import shard
from mms_core.errors import RecordUnreadable
from mms_core.model import State
from mms_core.ports import RunQuery

GOOD, BAD = keys_in_one_shard(2)
DAMAGE = [
    {"Record": "{", "Run": "["},
    {"Record": '{"v":1}', "Run": '{"state":"Dreaming"}'},
    {"Record": 7, "Run": 7},
    {},
]


@pytest.fixture
async def users(tables):
    """Two users of one shard, each with a run that is due."""
    for number, key in enumerate((GOOD, BAD), 1):
        run = a_run(number, user_id=key, due_at=START)
        await tables.users.save(a_record(key, run), None)
    return tables.users


async def _damage(tables, damage):
    """Put something else into every row of the bad user; its keys stay."""
    table = await tables.tables.table("Users")
    partition = shard(BAD)
    rows = [each["RowKey"] async for each in table.query_entities(f"PartitionKey eq '{partition}'")]
    mine = [row for row in rows if BAD in row]
    assert f"u|{BAD}" in mine
    assert len(mine) > 5
    for row in mine:
        await table.upsert_entity({"PartitionKey": partition, "RowKey": row, **damage}, mode="replace")


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
async def test_lists_go_on_without_a_damaged_user(tables, users, damage):
    """The sweep, the night's clean-up and what administrators see; the one is named by its code."""
    await _damage(tables, damage)
    with pytest.raises(RecordUnreadable) as caught:
        await users.read(BAD)
    assert (caught.value.code, guid(1) in str(caught.value)) == ("RecordUnreadable", False)
    later = START + timedelta(days=1)
    assert [run.user_id async for run in users.overdue(later)] == [GOOD]
    assert [run.user_id async for run in users.active()] == [GOOD]
    assert [run.user_id for run in (await users.page(RunQuery())).runs] == [GOOD]
    assert [run.user_id for run in (await users.page(RunQuery(by_due=True))).runs] == [GOOD]
    assert await users.runs_of(BAD) == []


async def test_who_cannot_be_counted_is_left_out_of_the_count(tables, users):
    """The counters are put right for all the others."""
    await _damage(tables, {})
    (wrong,) = await users.recount()
    assert (wrong.said[State.PENDING], wrong.found[State.PENDING]) == (2, 1)
    assert (await users.counts())[State.PENDING] == 1


@pytest.mark.parametrize(
    "damage", [{"Entry": "{", "Parts": 1, "Part00": b"?"}, {"Entry": 7, "Parts": "x"}, {}], ids=str
)
async def test_a_damaged_row_of_a_meeting_is_named_by_its_code(tables, damage):
    """Whoever needs it hears of it: a run must not write as if nothing had been noted."""
    await tables.ledger.put(BAD, an_entry("m1"), an_original("m1"))
    await tables.ledger.put(GOOD, an_entry("m1"), an_original("m1"))
    table = await tables.tables.table("Ledger")
    for row in ("m|m1", "o|m1"):
        await table.upsert_entity({"PartitionKey": BAD, "RowKey": row, **damage}, mode="replace")
    ledger = tables.ledger
    for question in (
        ledger.entries(BAD),
        ledger.entry(BAD, "m1"),
        ledger.original(BAD, "m1"),
        ledger.originals(BAD),
        ledger.expire(BAD, before=START, runs=()),
    ):
        with pytest.raises(RecordUnreadable):
            await question
    assert [each.key for each in await ledger.originals(GOOD)] == ["m1"]
