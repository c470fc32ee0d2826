"""UserStore: one record a user, its runs in lists, and the counters, all of one mind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from contract_support import START, a_record, a_run, counted, guid, key_of, keys_in_one_shard

from mms_core.errors import BadInput, PreconditionLost
from mms_core.model import Source, State, Target, UserKey, name_key
from mms_core.ports import RunQuery

KEY = key_of(7)
MINUTE = timedelta(minutes=1)


async def _saved(storage, key, current, **more):
    return await storage.users.save(a_record(key, current, **more), None)


async def _page(storage, **query):
    return await storage.users.page(RunQuery(**query))


async def _all_pages(storage, *, top, **query):
    """Follow the tokens to the end; gives the ids and the number of pages."""
    ids, continuation, pages = [], None, 0
    while True:
        page = await _page(storage, top=top, continuation=continuation, **query)
        pages += 1
        ids += [run.run_id for run in page.runs]
        continuation = page.continuation
        if continuation is None:
            return ids, pages


# -- the record and its fence ---------------------------------------------------------------------------------------


async def test_a_user_nobody_asked_for_has_no_record(storage):
    """Reading before any request gives nothing, and lists and counters are empty."""
    assert await storage.users.read(KEY) is None
    assert await storage.users.runs_of(KEY) == []
    assert (await _page(storage)).runs == ()
    assert set((await storage.users.counts()).values()) == {0}


async def test_what_was_saved_is_read_back_with_its_etag(storage):
    """Every field survives, and the ETag that save gave is the one that read gives."""
    current = a_run(
        1,
        identity="o'brien_fabrikam.example#EXT#@contoso.example",
        user_principal_name='"quoted \\ slash/%41 你好 👋"@contoso.example',
        state=State.IN_PROGRESS,
        source=Source.SFB,
        target=Target.TEAMS,
        reasons=("T3 LicenseAssigned", "T10 Manual"),
        lease_until_at=START + MINUTE,
        generation=3,
        last_message="W2 MailboxOnPremises: …\r\n\t\u2028",
    )
    record = a_record(KEY, current, following=a_run(2), wake_id="w", wake_at=START, seen=("a", "b  c", "(@x"))
    saved = await storage.users.save(record, None)
    assert await storage.users.read(KEY) == saved
    assert saved.value == record


async def test_only_the_first_creation_of_a_record_succeeds(storage):
    """A second worker that saw no row either loses, and its run is in no list."""
    await _saved(storage, KEY, a_run(1))
    with pytest.raises(PreconditionLost):
        await _saved(storage, KEY, a_run(2))
    assert (await storage.users.read(KEY)).value.current.run_id == guid(1)
    assert [run.run_id for run in await storage.users.runs_of(KEY)] == [guid(1)]
    assert (await storage.users.counts())[State.PENDING] == 1


async def test_a_stale_etag_writes_nothing_at_all(storage):
    """Neither the record nor the lists nor the counters show the loser's version."""
    old = await _saved(storage, KEY, a_run(1))
    new = await storage.users.save(replace(old.value, wake_id="winner"), old)
    loser = replace(old.value, current=a_run(1, state=State.FAILED), wake_id="loser")
    with pytest.raises(PreconditionLost):
        await storage.users.save(loser, old)
    assert await storage.users.read(KEY) == new
    assert [run.state for run in await storage.users.runs_of(KEY)] == [State.PENDING]
    assert await storage.users.counts() == await counted(storage, [KEY])


async def test_each_save_gives_the_fence_of_the_next(storage):
    """A chain of saves needs no read in between."""
    stored = await _saved(storage, KEY, a_run(1))
    for number in range(3):
        stored = await storage.users.save(replace(stored.value, wake_id=str(number)), stored)
    assert (await storage.users.read(KEY)).value.wake_id == "2"


async def test_a_deleted_record_cannot_be_written_by_who_read_it_before(storage):
    """The row is gone: its reader has lost, whether writing or deleting again."""
    stored = await _saved(storage, KEY, a_run(1))
    await storage.users.delete(stored)
    with pytest.raises(PreconditionLost):
        await storage.users.save(replace(stored.value, wake_id="late"), stored)
    with pytest.raises(PreconditionLost):
        await storage.users.delete(stored)
    assert await storage.users.read(KEY) is None


async def test_delete_removes_the_record_its_rows_and_its_part_in_the_counters(storage):
    """Somebody else's record stays."""
    stored = await _saved(storage, KEY, a_run(1), following=a_run(2, created=START + MINUTE))
    await _saved(storage, key_of(8), a_run(3))
    await storage.users.delete(stored)
    assert await storage.users.runs_of(KEY) == []
    assert [run.run_id for run in (await _page(storage)).runs] == [guid(3)]
    assert [run.run_id for run in (await _page(storage, state=State.PENDING)).runs] == [guid(3)]
    assert await storage.users.counts() == await counted(storage, [KEY, key_of(8)])


async def test_delete_with_a_stale_etag_keeps_everything(storage):
    """A request that came in meanwhile is not lost with the record."""
    old = await _saved(storage, KEY, a_run(1))
    new = await storage.users.save(replace(old.value, wake_id="newer"), old)
    with pytest.raises(PreconditionLost):
        await storage.users.delete(old)
    assert await storage.users.read(KEY) == new
    assert (await storage.users.counts())[State.PENDING] == 1


async def test_of_many_writers_of_one_record_exactly_one_wins(storage):
    """All read the same version and write at once."""
    stored = await _saved(storage, KEY, a_run(1))
    results = await asyncio.gather(
        *(storage.users.save(replace(stored.value, wake_id=str(number)), stored) for number in range(8)),
        return_exceptions=True,
    )
    winners = [each for each in results if not isinstance(each, BaseException)]
    assert len(winners) == 1
    assert all(isinstance(each, PreconditionLost) for each in results if isinstance(each, BaseException))
    assert await storage.users.read(KEY) == winners[0]


async def test_a_record_created_by_many_at_once_exists_once(storage):
    """The counters count the user once."""
    results = await asyncio.gather(
        *(_saved(storage, KEY, a_run(number)) for number in range(1, 9)), return_exceptions=True
    )
    assert sum(isinstance(each, PreconditionLost) for each in results) == 7
    assert len(await storage.users.runs_of(KEY)) == 1
    assert (await storage.users.counts())[State.PENDING] == 1


@pytest.mark.parametrize(
    "identity",
    [
        "guest_fabrikam.example#EXT#@contoso.onmicrosoft.example",
        "o'brien@contoso.example",
        "100%@contoso.example",
        "müller@contoso.example",
        "👩‍💻@contoso.example",
        "a b@contoso.example",
        "x" * 300 + "@contoso.example",
    ],
)
async def test_any_name_can_stand_for_a_user(storage, identity):
    """Guests, quotes, percent signs and emoji make a key that storage takes."""
    key = name_key(identity)
    await _saved(storage, key, a_run(1, identity=identity))
    assert (await storage.users.read(key)).value.current.identity == identity
    assert [run.identity for run in await storage.users.runs_of(key)] == [identity]


async def test_an_undo_of_a_thousand_meetings_fits_into_a_record(storage):
    """The API takes 1,000 event ids, and Graph's are long."""
    events = tuple(f"AAMkAD{number:04d}" + "x" * 146 for number in range(1000))
    await _saved(storage, KEY, a_run(1, undo=True, undo_events=events))
    assert (await storage.users.read(KEY)).value.current.undo_events == events


async def test_failures_are_counted_by_code_and_runs_by_day_and_state(storage):
    """A retry takes a user out of the failures; what a newer run leaves behind stays in its day."""
    today, yesterday = START.date(), (START - timedelta(days=1)).date()
    old = a_run(1, state=State.FAILED, created=START - timedelta(days=1), code="MailboxMissing")
    stored = await _saved(storage, KEY, old)
    await _saved(storage, key_of(8), a_run(3, state=State.FAILED, code="MeetingsFailed"))
    assert await storage.users.failures() == {"MailboxMissing": 1, "MeetingsFailed": 1}
    assert await storage.users.runs_a_day() == {(yesterday, State.FAILED): 1, (today, State.FAILED): 1}
    retried = replace(stored.value, current=replace(old, state=State.PENDING, code=None))
    stored = await storage.users.save(retried, stored)
    assert await storage.users.failures() == {"MeetingsFailed": 1}
    assert await storage.users.runs_a_day() == {(yesterday, State.PENDING): 1, (today, State.FAILED): 1}
    # The newest state stays the same while the run behind it ends.
    working = replace(stored.value, current=replace(old, state=State.IN_PROGRESS), following=a_run(4))
    stored = await storage.users.save(working, stored)
    done = replace(old, state=State.SUCCEEDED, modified_at=old.created_at + 101 * MINUTE)
    stored = await storage.users.save(replace(stored.value, current=done), stored)
    assert await storage.users.minutes_a_day() == {(yesterday, 100): 1}
    expected = {(yesterday, State.SUCCEEDED): 1, (today, State.FAILED): 1, (today, State.PENDING): 1}
    assert await storage.users.runs_a_day() == expected
    stored = await storage.users.save(replace(stored.value, current=a_run(4), following=None), stored)
    assert await storage.users.runs_a_day() == expected
    assert await storage.users.recount() == []
    assert await storage.users.runs_a_day() == expected
    assert await storage.users.minutes_a_day() == {(yesterday, 100): 1}
    await storage.users.delete(stored)
    assert await storage.users.runs_a_day() == {(yesterday, State.SUCCEEDED): 1, (today, State.FAILED): 1}


async def test_who_waits_is_listed_in_the_order_of_being_due(storage):
    """Whatever the order in which they were asked for; page by page."""
    for number, minutes in ((1, 30), (2, 10), (3, 20), (4, 5)):
        state = State.FAILED if number == 4 else State.PENDING
        await _saved(storage, key_of(number), a_run(number, state=state, due_at=START + minutes * MINUTE))
    first = await storage.users.page(RunQuery(by_due=True, top=2))
    assert [run.run_id for run in first.runs] == [guid(2), guid(3)]
    then = await storage.users.page(RunQuery(by_due=True, top=2, continuation=first.continuation))
    assert [run.run_id for run in then.runs] == [guid(1)]
    assert then.continuation is None


# -- publishing -------------------------------------------------------------------------------------------------------


async def test_unpublished_progress_is_in_the_record_and_shown_at_the_next_publish(storage):
    """Heartbeats spare the lists; what they carried appears with the next change that is published."""
    stored = await _saved(storage, KEY, a_run(1, state=State.IN_PROGRESS))
    stored = await storage.users.save(
        replace(stored.value, current=replace(stored.value.current, total=5, succeeded=2)), stored, publish=False
    )
    assert (await storage.users.read(KEY)).value.current.succeeded == 2
    assert [run.succeeded for run in (await _page(storage)).runs] == [0]
    await storage.users.save(replace(stored.value, current=replace(stored.value.current, succeeded=3)), stored)
    assert [run.succeeded for run in (await _page(storage)).runs] == [3]
    assert [run.succeeded for run in (await _page(storage, state=State.IN_PROGRESS)).runs] == [3]
    assert [run.succeeded for run in await storage.users.runs_of(KEY)] == [3]


async def test_unpublished_writes_are_fenced_like_others(storage):
    """A heartbeat of a worker that lost its lease does not get through."""
    old = await _saved(storage, KEY, a_run(1, state=State.IN_PROGRESS))
    await storage.users.save(replace(old.value, wake_id="other"), old)
    with pytest.raises(PreconditionLost):
        await storage.users.save(old.value, old, publish=False)


async def test_a_change_of_state_cannot_be_kept_from_the_lists(storage):
    """Counters would be wrong: refused, and nothing changes."""
    stored = await _saved(storage, KEY, a_run(1))
    failed = replace(stored.value, current=replace(stored.value.current, state=State.FAILED))
    with pytest.raises(ValueError, match="published"):
        await storage.users.save(failed, stored, publish=False)
    with pytest.raises(ValueError, match="published"):
        await storage.users.save(a_record(key_of(9)), None, publish=False)
    assert await storage.users.read(KEY) == stored


# -- counters ---------------------------------------------------------------------------------------------------------


async def test_counters_follow_every_change_of_state(storage):
    """After each step they equal what the records say."""
    stored = await _saved(storage, KEY, a_run(1))
    await _saved(storage, key_of(8), a_run(2, state=State.FAILED))
    for state in (State.IN_PROGRESS, State.PENDING, State.IN_PROGRESS, State.SUCCEEDED):
        run = replace(stored.value.current, state=state)
        stored = await storage.users.save(replace(stored.value, current=run), stored)
        counts = await storage.users.counts()
        assert counts == await counted(storage, [KEY, key_of(8)])
        assert counts[state] >= 1


async def test_a_user_with_a_following_run_counts_once_by_the_following_one(storage):
    """The summary counts users, not runs."""
    done = a_run(1, state=State.IN_PROGRESS)
    stored = await _saved(storage, KEY, done, following=a_run(2, created=START + MINUTE))
    assert (await storage.users.counts())[State.PENDING] == 1
    assert sum((await storage.users.counts()).values()) == 1
    over = replace(stored.value, current=replace(done, state=State.SUCCEEDED))
    stored = await storage.users.save(over, stored)
    await storage.users.save(replace(stored.value, current=stored.value.following, following=None), stored)
    assert await storage.users.counts() == {**dict.fromkeys(State, 0), State.PENDING: 1}


async def test_parallel_writers_of_one_shard_keep_the_counters_right(storage):
    """Thirty users who share a partition are saved at once: nobody loses, every one is counted."""
    keys = keys_in_one_shard(30)
    stored = await asyncio.gather(*(_saved(storage, key, a_run(n)) for n, key in enumerate(keys, 1)))
    assert (await storage.users.counts())[State.PENDING] == 30
    states = (State.SUCCEEDED, State.FAILED, State.IN_PROGRESS)
    await asyncio.gather(
        *(
            storage.users.save(replace(each.value, current=replace(each.value.current, state=states[number % 3])), each)
            for number, each in enumerate(stored[:9])
        )
    )
    assert await storage.users.counts() == await counted(storage, keys)
    assert [(await storage.users.counts())[state] for state in states] == [3, 3, 3]


async def test_a_run_that_moves_from_a_name_to_its_user_stays_in_the_lists(storage):
    """Both records hold it for a moment, with one id and perhaps in one partition: removing one keeps the other's rows."""
    name, user = keys_in_one_shard(2)
    by_name = await _saved(storage, name, a_run(1))
    await _saved(storage, user, a_run(1))
    await storage.users.delete(by_name)
    assert [run.run_id for run in (await _page(storage)).runs] == [guid(1)]
    assert [run.run_id for run in (await _page(storage, state=State.PENDING)).runs] == [guid(1)]
    assert [run.run_id for run in await storage.users.runs_of(user)] == [guid(1)]
    assert [run.run_id async for run in storage.users.active()] == [guid(1)]
    assert await storage.users.counts() == await counted(storage, [name, user])


# -- lists --------------------------------------------------------------------------------------------------------------


async def test_history_has_every_run_of_the_user_newest_first_and_nobody_elses(storage):
    """Runs that have left the record stay in the history."""
    stored = await _saved(storage, KEY, a_run(1, state=State.SUCCEEDED))
    for number in (2, 3):
        run = a_run(number, created=START + number * MINUTE, state=State.SUCCEEDED)
        stored = await storage.users.save(replace(stored.value, current=run), stored)
    await storage.users.save(replace(stored.value, following=a_run(4, created=START + 4 * MINUTE)), stored)
    await _saved(storage, UserKey(KEY + "-longer"), a_run(5))
    assert [run.run_id for run in await storage.users.runs_of(KEY)] == [guid(4), guid(3), guid(2), guid(1)]


async def test_pages_are_newest_first_over_all_users_and_end(storage):
    """Each run once, whatever the page size; equal instants are ordered by run id."""
    created = [START + (number // 2) * MINUTE for number in range(9)]
    for number, at in enumerate(created, 1):
        await _saved(storage, key_of(number), a_run(number, created=at))
    expected = [guid(number) for number in (9, 7, 8, 5, 6, 3, 4, 1, 2)]
    for top, pages in ((1, 9), (2, 5), (3, 3), (9, 1), (1000, 1)):
        assert await _all_pages(storage, top=top) == (expected, pages)


async def test_pages_by_state_follow_the_run_from_state_to_state(storage):
    """A run is in the list of the state it has now, and in no other."""
    stored = await _saved(storage, KEY, a_run(1))
    await _saved(storage, key_of(8), a_run(2, state=State.FAILED, created=START + MINUTE))
    await _saved(storage, key_of(9), a_run(3, state=State.FAILED, created=START + 2 * MINUTE))
    await storage.users.save(replace(stored.value, current=replace(stored.value.current, state=State.FAILED)), stored)
    assert (await _page(storage, state=State.PENDING)).runs == ()
    assert await _all_pages(storage, top=2, state=State.FAILED) == ([guid(3), guid(2), guid(1)], 2)


async def test_the_time_range_includes_its_start_and_excludes_its_end(storage):
    """To the microsecond, with and without a state."""
    tick = timedelta(microseconds=1)
    for number, at in enumerate((START - tick, START, START + tick, START + 2 * tick), 1):
        await _saved(storage, key_of(number), a_run(number, created=at))
    for more in ({}, {"state": State.PENDING}):
        page = await _page(storage, start_at=START, end_at=START + 2 * tick, **more)
        assert [run.run_id for run in page.runs] == [guid(3), guid(2)]
    assert [run.run_id for run in (await _page(storage, end_at=START)).runs] == [guid(1)]
    assert [run.run_id for run in (await _page(storage, start_at=START + 2 * tick)).runs] == [guid(4)]


async def test_the_time_range_holds_over_pages(storage):
    """The token of a page does not widen the range."""
    for number in range(1, 7):
        await _saved(storage, key_of(number), a_run(number, created=START + number * MINUTE))
    ids, _ = await _all_pages(storage, top=2, start_at=START + 2 * MINUTE, end_at=START + 6 * MINUTE)
    assert ids == [guid(5), guid(4), guid(3), guid(2)]


async def test_pages_by_kind_of_migration(storage):
    """As the cmdlet's -MigrationType filters."""
    await _saved(storage, key_of(1), a_run(1, source=Source.SFB, target=Target.TEAMS))
    await _saved(storage, key_of(2), a_run(2, source=Source.ALL, target=Target.TEAMS))
    await _saved(storage, key_of(3), a_run(3, source=Source.SFB, target=Target.TEAMS, created=START + MINUTE))
    assert await _all_pages(storage, top=1, migration_type="SfbToTeams") == ([guid(3), guid(1)], 2)
    assert [run.run_id for run in (await _page(storage, migration_type="AllToTeams")).runs] == [guid(2)]


async def test_a_page_asked_for_later_shows_nothing_twice(storage):
    """Runs that begin while somebody reads are newer than the token."""
    for number in (1, 2, 3):
        await _saved(storage, key_of(number), a_run(number, created=START + number * MINUTE))
    first = await _page(storage, top=2)
    await _saved(storage, key_of(4), a_run(4, created=START + 4 * MINUTE))
    rest = await _page(storage, top=2, continuation=first.continuation)
    assert [run.run_id for run in (*first.runs, *rest.runs)] == [guid(3), guid(2), guid(1)]
    assert rest.continuation is None


@pytest.mark.parametrize("token", ["", "nonsense", "bnVsbCcgb3IgJzEn", "ÿ", "e30=", "fA|", "'"])
async def test_a_bad_token_is_the_callers_mistake(storage, token):
    """It names the parameter and never reaches a query."""
    with pytest.raises(BadInput) as caught:
        await _page(storage, continuation=token)
    assert caught.value.field == "continuationToken"


async def test_active_gives_what_waits_and_what_runs(storage):
    """Of every user, current and following, and nothing that is over."""
    await _saved(storage, key_of(1), a_run(1))
    await _saved(storage, key_of(2), a_run(2, state=State.IN_PROGRESS), following=a_run(3))
    await _saved(storage, key_of(4), a_run(4, state=State.SUCCEEDED))
    await _saved(storage, key_of(5), a_run(5, state=State.SKIPPED))
    assert sorted([run.run_id async for run in storage.users.active()]) == [guid(1), guid(2), guid(3)]


async def test_waiting_runs_are_yielded_and_of_one_user_the_newest_first(storage):
    """The one in line behind another; runs at work or over are left out."""
    retried, behind = a_run(1), replace(a_run(2), created_at=a_run(1).created_at + timedelta(seconds=1))
    await storage.users.save(replace(a_record(key_of(1), retried), following=behind), None)
    await storage.users.save(a_record(key_of(2), a_run(3, state=State.IN_PROGRESS)), None)
    await storage.users.save(a_record(key_of(3), a_run(4, state=State.SUCCEEDED)), None)
    assert [run.run_id async for run in storage.users.waiting()] == [behind.run_id, retried.run_id]
