"""What recovery, lists by type and reason, retention and recounting need: the same on every implementation."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from contract_support import START, a_record, a_run, an_entry, an_original, guid, key_of

from mms_core.errors import PreconditionLost
from mms_core.messages import Wake
from mms_core.model import Source, State, Target
from mms_core.ports import RunQuery

KEY = key_of(1)
MINUTE = timedelta(minutes=1)


async def _saved(storage, key, run, **more):
    return await storage.users.save(a_record(key, run, **more), None)


async def _ids(storage, **query):
    return [run.run_id for run in (await storage.users.page(RunQuery(**query))).runs]


# -- the ledger's claim ---------------------------------------------------------------------------------------------------


async def test_only_the_newest_claim_writes_the_ledger(storage):
    """A worker that was taken over writes no entry, no original, nothing; its reading does no harm."""
    old = await storage.ledger.claim(KEY, 1)
    await old.put(KEY, an_entry("m1"), an_original("m1"))
    new = await storage.ledger.claim(KEY, 2)
    for write in (
        lambda: old.put(KEY, an_entry("m1", subject="zombie")),
        lambda: old.put(KEY, an_entry("m2"), an_original("m2")),
        lambda: old.settle(KEY, an_entry("m1", subject="zombie")),
        lambda: old.put_original(KEY, an_original("m1", body="zombie")),
    ):
        with pytest.raises(PreconditionLost):
            await write()
    assert [entry.subject for entry in await old.entries(KEY)] == ["Review"]
    await new.put(KEY, an_entry("m1", subject="successor"))
    await new.put(KEY, an_entry("m2"), an_original("m2"))
    assert {entry.subject for entry in await new.entries(KEY)} == {"successor", "Review"}
    assert {original.body for original in await new.originals(KEY)} == {"<p>before</p>"}


async def test_a_lower_generation_cannot_claim(storage):
    """A worker that slept between its lease and its claim comes too late; the same generation may claim again."""
    await storage.ledger.claim(KEY, 5)
    with pytest.raises(PreconditionLost):
        await storage.ledger.claim(KEY, 4)
    again = await storage.ledger.claim(KEY, 5)
    await again.put(KEY, an_entry("m1"))


async def test_claims_of_users_do_not_touch_each_other(storage):
    """A partition a user."""
    one, other = await storage.ledger.claim(KEY, 3), await storage.ledger.claim(key_of(2), 1)
    await one.put(KEY, an_entry("m1"))
    await other.put(key_of(2), an_entry("m1"))


async def test_a_forgotten_ledger_is_empty_and_can_be_used_again(storage):
    """Entries, originals and the claim are gone."""
    claimed = await storage.ledger.claim(KEY, 7)
    await claimed.put(KEY, an_entry("m1"), an_original("m1"))
    await storage.ledger.put(key_of(2), an_entry("m1"))
    await storage.ledger.forget(KEY)
    assert await storage.ledger.entries(KEY) == []
    assert await storage.ledger.originals(KEY) == []
    assert len(await storage.ledger.entries(key_of(2))) == 1
    await storage.ledger.claim(KEY, 1)


async def test_what_is_old_leaves_the_ledger_by_its_own_age(storage):
    """Originals, and entries of runs that are gone; what a run has written since stays."""
    old, new = START, START + 9 * MINUTE
    claimed = await storage.ledger.claim(KEY, 7)
    await claimed.put(KEY, an_entry("m1", updated_at=old), an_original("m1", kept_at=old))
    await claimed.put(KEY, an_entry("m2", updated_at=old, run_id=guid(2)), an_original("m2", kept_at=new))
    await claimed.put(KEY, an_entry("m3", updated_at=new), an_original("m3", kept_at=old, undone_at=old))
    await storage.ledger.put(key_of(2), an_entry("m1", updated_at=old), an_original("m1", kept_at=old))
    await storage.ledger.expire(KEY, before=new, runs={guid(2)})
    assert sorted(each.key for each in await storage.ledger.entries(KEY)) == ["m2", "m3"]
    assert [(await storage.ledger.original(KEY, each)) is not None for each in ("m1", "m2", "m3")] == [
        False,
        True,
        False,
    ]
    assert len(await storage.ledger.originals(key_of(2))) == 1
    await claimed.put(KEY, an_entry("m1"), an_original("m1"))


# -- what is due ----------------------------------------------------------------------------------------------------------


async def test_overdue_gives_what_works_and_what_was_due(storage):
    """And not what waits for later, however much that is."""
    await _saved(storage, key_of(1), a_run(1, due_at=START))
    await _saved(storage, key_of(2), a_run(2, due_at=START + MINUTE))
    await _saved(storage, key_of(3), a_run(3, due_at=START + 2 * MINUTE))
    await _saved(storage, key_of(4), a_run(4, state=State.IN_PROGRESS, due_at=START + 9 * MINUTE))
    await _saved(storage, key_of(5), a_run(5, state=State.FAILED, due_at=START))
    assert sorted([run.run_id async for run in storage.users.overdue(START + MINUTE)]) == [guid(1), guid(2), guid(4)]


async def test_a_run_whose_due_time_moves_is_overdue_by_its_new_one(storage):
    """The row of the old due time is gone."""
    stored = await _saved(storage, KEY, a_run(1, due_at=START))
    later = replace(stored.value, current=replace(stored.value.current, due_at=START + 9 * MINUTE))
    stored = await storage.users.save(later, stored)
    assert [run async for run in storage.users.overdue(START + MINUTE)] == []
    working = replace(later, current=replace(later.current, state=State.IN_PROGRESS))
    stored = await storage.users.save(working, stored)
    over = replace(working, current=replace(later.current, state=State.SUCCEEDED))
    await storage.users.save(over, stored)
    assert [run async for run in storage.users.overdue(START + 99 * MINUTE)] == []


@pytest.mark.parametrize(
    "change", [{"due_at": START}, {"reasons": ("T3 x",)}, {"state": State.FAILED}, {"target": Target.TEAMS}]
)
async def test_what_lists_depend_on_is_not_written_behind_their_back(storage, change):
    """A heartbeat may not move a run from list to list."""
    stored = await _saved(storage, KEY, a_run(1))
    record = replace(stored.value, current=replace(stored.value.current, **change))
    with pytest.raises(ValueError, match="published"):
        await storage.users.save(record, stored, publish=False)


async def test_the_front_of_the_queue_tells_how_far_it_has_come(storage):
    """The earliest due time among the wake-ups that can be seen; older messages do not say theirs."""
    assert await storage.queue.front() is None
    await storage.queue.send(Wake(user="u", wake_id="old"))
    assert await storage.queue.front() is None
    await storage.queue.send(Wake(user="u", wake_id="b", due=(START + MINUTE).isoformat()))
    await storage.queue.send(Wake(user="u", wake_id="a", due=START.isoformat()))
    await storage.queue.send(Wake(user="u", wake_id="c", due="nonsense"))
    await storage.queue.send(Wake(user="u", wake_id="later", due="2020-01-01T00:00:00+00:00"), delay=60 * MINUTE)
    assert await storage.queue.front() == START
    assert await storage.queue.front() == START


# -- lists by type and reason ------------------------------------------------------------------------------------------------


async def test_pages_by_reason(storage):
    """A run is listed under the rule of every trigger that has joined it, and follows state and type."""
    stored = await _saved(storage, key_of(1), a_run(1, reasons=("T10 Manual",)))
    await _saved(
        storage, key_of(2), a_run(2, reasons=("T1 MovedToCloud", "T3 LicenseAssigned"), created=START + MINUTE)
    )
    await _saved(storage, key_of(3), a_run(3, reasons=("Undo",), state=State.FAILED))
    assert await _ids(storage, reason="T10") == [guid(1)]
    assert await _ids(storage, reason="T3") == await _ids(storage, reason="T1") == [guid(2)]
    assert await _ids(storage, reason="Undo") == [guid(3)]
    assert await _ids(storage, reason="T") == await _ids(storage, reason="T4'x/") == []
    merged = replace(stored.value.current, reasons=("T10 Manual", "T3 LicenseAssigned"), state=State.IN_PROGRESS)
    await storage.users.save(replace(stored.value, current=merged), stored)
    assert await _ids(storage, reason="T3") == [guid(2), guid(1)]
    assert await _ids(storage, reason="T3", state=State.IN_PROGRESS) == [guid(1)]
    assert await _ids(storage, reason="T3", end_at=START + MINUTE) == [guid(1)]
    assert await _ids(storage, reason="T3", migration_type="SfbToTeams") == []


async def test_pages_by_state_and_type_together(storage):
    """An index of their own: neither reads the other's rows."""
    stored = await _saved(storage, key_of(1), a_run(1, source=Source.SFB, target=Target.TEAMS))
    await _saved(storage, key_of(2), a_run(2, source=Source.ALL, target=Target.TEAMS))
    await _saved(storage, key_of(3), a_run(3, source=Source.SFB, target=Target.TEAMS, state=State.FAILED))
    query = {"state": State.PENDING, "migration_type": "SfbToTeams"}
    assert await _ids(storage, **query) == [guid(1)]
    widened = replace(stored.value, current=replace(stored.value.current, source=Source.ALL))
    await storage.users.save(widened, stored)
    assert await _ids(storage, **query) == []
    assert await _ids(storage, state=State.PENDING, migration_type="AllToTeams") == [guid(1), guid(2)]
    assert await _ids(storage, migration_type="SfbToTeams") == [guid(3)]


# -- retention -------------------------------------------------------------------------------------------------------------


async def test_old_runs_that_are_over_can_be_found_and_forgotten(storage):
    """What still waits or works is not old, whatever its date."""
    stored = await _saved(storage, key_of(1), a_run(1, state=State.SUCCEEDED, reasons=("T10 x",)))
    newer = a_run(2, created=START + 9 * MINUTE, state=State.FAILED)
    await storage.users.save(replace(stored.value, current=newer), stored)
    await _saved(storage, key_of(3), a_run(3))
    await _saved(storage, key_of(4), a_run(4, state=State.CANCELLED, created=START + MINUTE))
    found = [(key, run) async for key, run in storage.users.ended_before(START + MINUTE)]
    assert [(key, run.run_id) for key, run in found] == [(key_of(1), guid(1))]
    for _ in range(2):  # a purge that was broken off does it again
        await storage.users.forget(*found[0])
    assert [run.run_id for run in await storage.users.runs_of(key_of(1))] == [guid(2)]
    assert guid(1) not in await _ids(storage) + await _ids(storage, state=State.SUCCEEDED) + await _ids(
        storage, reason="T10"
    )
    assert sum((await storage.users.counts()).values()) == 3


async def test_counters_that_are_right_are_left_alone(storage):
    """The usual case."""
    await _saved(storage, KEY, a_run(1))
    assert await storage.users.recount() == []


# -- only the real storage can be wrong, or says what a row holds -----------------------------------------------------------------


async def test_a_wrong_counter_is_repaired_and_reported(tables):
    """Somebody edited the table by hand."""
    for number in range(1, 4):
        await tables.users.save(a_record(key_of(number), a_run(number)), None)
    table = await tables.tables.table("Users")
    rows = [row async for row in table.query_entities("RowKey eq 'c|users'")]
    await table.delete_entity(rows[0])
    wrong = {**rows[1], "Pending": 99, "Failed": -1}
    await table.upsert_entity(wrong)
    assert (await tables.users.counts())[State.PENDING] != 3
    repaired = await tables.users.recount()
    assert {each.shard for each in repaired} == {rows[0]["PartitionKey"], rows[1]["PartitionKey"]}
    assert {each.said[State.FAILED] for each in repaired} == {0, -1}
    assert await tables.users.counts() == {**dict.fromkeys(State, 0), State.PENDING: 3}
    assert await tables.users.recount() == []


async def test_counting_again_finds_what_an_earlier_version_did_not_count(tables):
    """Days and causes come back without a complaint: the users' counters were right."""
    failed = a_run(1, state=State.FAILED, code="MailboxMissing")
    await tables.users.save(a_record(KEY, failed), None)
    await tables.users.save(a_record(key_of(2), a_run(2, created=START - timedelta(days=20))), None)
    table = await tables.tables.table("Users")
    async for row in table.query_entities("RowKey eq 'c|users'"):
        await table.update_entity({**row, "Days": "{}", "Failures": "{}"})
    assert await tables.users.failures() == {}
    assert await tables.users.recount() == []
    assert await tables.users.failures() == {"MailboxMissing": 1}
    assert (await tables.users.runs_a_day())[START.date(), State.FAILED] == 1


async def test_every_row_says_the_version_of_its_schema(tables):
    """Whatever wrote it: records, runs, counters, ledger, documents."""
    await tables.users.save(a_record(KEY, a_run(1, reasons=("T10 x",))), None)
    claimed = await tables.ledger.claim(KEY, 1)
    await claimed.put(KEY, an_entry("m1"), an_original("m1"))
    await tables.documents.put("config", "tenant", {"a": 1})
    for name in ("Users", "Ledger", "State"):
        table = await tables.tables.table(name)
        versions = [row.get("V") async for row in table.list_entities()]
        assert versions
        assert set(versions) == {1}


async def test_a_long_document_is_kept_whole(storage):
    """A poisoned message of 48 KiB: a property holds less."""
    text = json.dumps({"text": "👋" * 20_000 + "x" * 8_000})
    await storage.documents.put("poison", "1", {"text": text})
    assert (await storage.documents.get("poison", "1")).value == {"text": text}
    await storage.documents.put("poison", "1", {"text": "short"})
    assert await storage.documents.list("poison") == [{"text": "short"}]
