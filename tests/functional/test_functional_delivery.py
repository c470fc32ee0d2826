"""At least once, and yet exactly one effect: crashes, redeliveries, sweeps, poison, names, following runs."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import GRANTED, KEY, NAME, Crash, World, granted
from meeting_values import AUDIO_CONFERENCING, NOW, OTHER_USER, USER, skype_event

from mms_core.errors import BadInput, PermanentError, TemporaryError
from mms_core.messages import (
    ActivityContent,
    LookAfterSubscriptions,
    Preview,
    Resolve,
    TenantEvent,
    UnknownMessage,
    UsersChanged,
    Wake,
    encode,
)
from mms_core.model import RunId, Source, State, Target, UserKey, name_key
from mms_core.service import Previews
from mms_core.service.running.previews import Asked

MINUTE = timedelta(minutes=1)


# -- crashes ------------------------------------------------------------------------------------------------------------


async def _writes_of_a_quiet_history():
    world, _ = await granted({})
    return len(world.steps.names)


async def test_the_history_that_is_crashed_has_writes_of_every_kind():
    """Otherwise the tests below prove less than they say."""
    world, events = await granted({})
    assert set(world.steps.names) == {
        "MemoryUserStore.save",
        "MemoryLedger.put",
        "MemoryDocuments.put",
        "MemoryQueue.send",
        "create_or_get",
        "update",
    }
    await world.assert_migrated_once(events)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_write_costs_nothing_but_time(when):
    """For each write N: the worker dies, the message comes back, the sweep looks; every meeting is updated once."""
    for number in range(1, await _writes_of_a_quiet_history() + 1):
        world, events = await granted({number: when})
        assert world.steps.crashes == {}, f"write {number} was never made"
        try:
            await world.assert_migrated_once(events)
            run = await world.run()
            assert (run.succeeded, run.total, run.failed) == (4, 4, 0)
            assert len(await world.users.runs_of(KEY)) == 1
            assert world.queue.messages == []
        except AssertionError as exc:
            exc.add_note(f"crashed {when} write {number}: {world.steps.names[number - 1]}")
            raise


@pytest.mark.parametrize("hands", [1, 4, 8])
async def test_a_killed_worker_is_behind_by_the_meetings_in_hand_only(hands, monkeypatch):
    """Whichever write was its last: all that was written before is in the row already; one meeting at a time, one."""
    monkeypatch.setattr("mms_core.service.running.passes.IN_HAND", hands)
    behind = []
    for write in range(1, 100):
        world = World()
        events = world.skype_meetings(5)
        await world.ask()
        world.clock.advance(90 * MINUTE)
        world.steps.names.clear()
        world.steps.crashes = {write: "after"}
        await world.deliver()
        behind.append(len(world.tenant.mails) - (await world.run()).succeeded)
        if world.steps.crashes:
            break  # the run had no such write any more
        await world.recover()
        await world.assert_migrated_once(events)
    assert write > 20, "every write of the run was to be its last"
    assert 0 <= min(behind) <= max(behind) <= hands


async def test_several_crashes_in_a_row_cost_nothing_but_time():
    """Forty histories with up to six dead workers each."""
    dice = random.Random(20260302)
    writes = await _writes_of_a_quiet_history()
    for _ in range(40):
        crashes = {dice.randrange(1, writes + 8): dice.choice(["before", "after"]) for _ in range(dice.randrange(2, 7))}
        world, events = await granted(crashes)
        try:
            await world.assert_migrated_once(events)
        except AssertionError as exc:
            exc.add_note(f"crashes: {crashes}")
            raise


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_while_a_name_is_resolved_loses_and_doubles_nothing(when):
    """The request by name moves to the user's record, whatever happens in between."""
    quiet = World()
    await quiet.ask(NAME)
    asked = len(quiet.steps.names)
    await quiet.recover()
    for number in range(asked + 1, len(quiet.steps.names) + 1):
        world = World()
        events = world.skype_meetings(1)
        await world.ask(NAME)
        world.steps.crashes = {number: when}
        await world.recover()
        try:
            await world.assert_migrated_once(events)
            assert await world.record(name_key(NAME)) is None
            assert len(await world.users.runs_of(KEY)) == 1
        except AssertionError as exc:
            exc.add_note(f"crashed {when} write {number}: {world.steps.names[number - 1]}")
            raise


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_during_an_undo_restores_everything_once(when):
    """Each meeting gets its original back by exactly one further mail."""
    quiet = World()
    quiet.skype_meetings(3)
    await quiet.ask()
    await quiet.until_quiet()
    start = len(quiet.steps.names)
    await quiet.queries.undo(USER, (), actor="admin")
    asked = len(quiet.steps.names)
    await quiet.recover()
    assert asked > start
    for number in range(asked + 1, len(quiet.steps.names) + 1):
        world = World()
        events = world.skype_meetings(3)
        await world.ask()
        await world.until_quiet()
        await world.queries.undo(USER, (), actor="admin")
        world.steps.crashes = {number: when}
        await world.recover()
        try:
            assert [world.tenant.events[event.event_id].body for event in events] == [event.body for event in events]
            assert [world.tenant.mails_of(event.event_id) for event in events] == [2, 2, 2]
            assert await world.state() is State.SUCCEEDED
            assert await world.ledger.originals(KEY) == []
        except AssertionError as exc:
            exc.add_note(f"crashed {when} write {number}: {world.steps.names[number - 1]}")
            raise


# -- redelivery and the sweep ---------------------------------------------------------------------------------------------


async def test_the_same_event_twice_is_one_request(world):
    """At least once is how queues and Event Grid deliver."""
    events = world.skype_meetings(1)
    for _ in range(3):
        await world.queue.send(GRANTED)
    await world.deliver()
    assert (await world.run()).reasons == ("T9 PolicyGranted",)
    assert len(world.queue.wakes()) == 1
    await world.until_quiet()
    await world.queue.send(GRANTED)
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert len(await world.users.runs_of(KEY)) == 1


async def test_the_sweep_wakes_a_run_whose_message_was_lost(world):
    """Once: a second look while that wake-up is under way sends no other."""
    events = world.skype_meetings(1)
    await world.ask()
    world.queue.messages.clear()
    world.clock.advance(90 * MINUTE)
    assert await world.recovery.sweep() == 0  # its own message may still come
    world.clock.advance(MINUTE)
    assert await world.recovery.sweep() == 1
    assert await world.recovery.sweep() == 0
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_the_sweep_leaves_alone_what_waits_and_what_works(world):
    """A request before its time, a run whose lease is fresh, a run that is over."""
    world.skype_meetings(1)
    await world.ask()
    assert await world.recovery.sweep() == 0
    world.tenant.on("update", world.recovery.sweep)
    await world.until_quiet()
    assert world.queue.messages == []
    world.clock.advance(timedelta(days=1))
    assert await world.recovery.sweep() == 0


async def test_the_sweep_wakes_a_name_that_was_never_resolved(world):
    """Both messages were lost."""
    events = world.skype_meetings(1)
    await world.ask(NAME)
    world.queue.messages.clear()
    world.clock.advance(92 * MINUTE)
    assert await world.recovery.sweep() == 1
    await world.recover()
    await world.assert_migrated_once(events)


# -- names ------------------------------------------------------------------------------------------------------------------


async def test_a_request_by_name_waits_as_pending_until_graph_tells_who_it_is(world):
    """HTTP functions do not call Graph; a queued step does."""
    result = await world.ask(NAME.upper())
    assert (result.status, result.user_id) == ("accepted", None)
    assert world.graph_is_made == 0
    assert (await world.run(name_key(NAME))).state is State.PENDING
    await world.deliver()
    run = await world.run()
    assert (run.run_id, run.user_id, run.user_principal_name) == (result.correlation_id, USER, NAME)
    assert run.due_at == NOW + 90 * MINUTE
    assert await world.record(name_key(NAME)) is None


@pytest.mark.parametrize("dies", [False, True], ids=["at once", "by the next worker"])
@pytest.mark.parametrize("waits", [False, True], ids=["alone", "beside another request"])
async def test_a_cancel_that_meets_a_name_on_its_way_to_the_user_holds(world, monkeypatch, waits, dies):
    """Between the write of the user's record and the removal of the name's; whoever cancelled was told that it is."""
    world.skype_meetings(1)
    if waits:
        await world.ask(USER)
    await world.ask(NAME)
    delete = world.users.delete

    async def cancel_first(stored):
        monkeypatch.setattr(world.users, "delete", delete)
        key = stored.value.key
        own = await world.users.read(KEY)
        monkeypatch.setattr(world.users, "read", lambda asked: _nothing() if asked == KEY else read(asked))
        assert (await world.queries.cancel(NAME, actor="ada")).state is State.CANCELLED
        monkeypatch.setattr(world.users, "read", read)
        assert own.value.current.state is State.PENDING
        assert (await world.record(key)).current.state is State.CANCELLED
        if dies:
            raise Crash
        await delete(stored)

    async def _nothing():
        return None

    read = world.users.read
    monkeypatch.setattr(world.users, "delete", cancel_first)
    await world.until_quiet()
    assert {run.state for run in await world.queries.runs_of(NAME)} == {State.CANCELLED}
    assert (await world.run()).actors[-1:] == ("ada",)
    assert await world.record(name_key(NAME)) is None
    assert world.tenant.mails == []


async def test_an_order_finds_a_run_that_moves_while_it_looks(world, monkeypatch):
    """The user's record was not there yet, the name's not any more."""
    await world.ask(NAME)
    read = world.users.read

    async def read_and_move(key):
        found = await read(key)
        if key == KEY:
            monkeypatch.setattr(world.users, "read", read)
            await world.deliver()
        return found

    await world.parts.documents.put("name", name_key(NAME), {"userId": KEY})
    monkeypatch.setattr(world.users, "read", read_and_move)
    assert (await world.queries.cancel(NAME)).state is State.CANCELLED
    assert (await world.run()).state is State.CANCELLED


async def test_requests_by_name_and_by_id_merge(world):
    """One run, both reasons, the stronger target, and one migration."""
    events = world.skype_meetings(2)
    first = await world.ask(USER, source=Source.SFB, target=Target.CURRENT)
    world.clock.advance(10 * MINUTE)
    await world.ask(NAME, source=Source.TEAMS, target=Target.TEAMS)
    await world.deliver()
    run = await world.run()
    assert (run.run_id, run.source, run.target) == (first.correlation_id, Source.ALL, Target.TEAMS)
    assert run.due_at == NOW + 100 * MINUTE
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert len(await world.users.runs_of(KEY)) == 1
    # The name is known now, so that the answer can tell that the request joined another.
    assert (await world.ask(NAME)).user_id == USER
    assert (await world.ask(NAME)).status == "merged"


async def test_a_sip_address_means_the_same_user(world):
    """As in the cmdlet."""
    events = world.skype_meetings(1)
    await world.ask(f"sip:{NAME}")
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_an_unknown_user_fails_visibly(world):
    """With its code, under the name that was asked for; nothing is retried."""
    await world.ask("nobody@contoso.example")
    await world.until_quiet()
    run = await world.queries.user("nobody@contoso.example")
    assert (run.state, run.code, run.retries) == (State.FAILED, "UserNotFound", 0)
    assert run.identity == "nobody@contoso.example"
    assert "Get-MgUser" in run.last_message
    assert world.tenant.calls == ["user"]


async def test_a_directory_that_is_down_delays_the_name_but_does_not_lose_it(world):
    """Put back with growing delays; the run starts when it is known."""
    events = world.skype_meetings(1)
    world.tenant.on("user", *[TemporaryError()] * 7)
    await world.ask(NAME)
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_an_object_id_that_nobody_has_fails_in_the_run(world):
    """There is no name to resolve: the worker finds out."""
    await world.ask(OTHER_USER)
    await world.until_quiet()
    run = await world.run(UserKey(OTHER_USER))
    assert (run.state, run.code) == (State.FAILED, "UserNotFound")


# -- following runs ---------------------------------------------------------------------------------------------------------


async def test_a_trigger_during_a_run_makes_a_following_one_that_starts_after_it(world):
    """The work that is under way is not touched; the next one waits its own ninety minutes."""
    events = world.skype_meetings(2)
    world.tenant.on("update", lambda: world.ask(source=Source.ALL, target=Target.CURRENT))
    first = await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    record = await world.record()
    assert record.current.run_id != first.correlation_id
    assert (record.current.state, record.following) == (State.PENDING, None)
    assert record.current.due_at == NOW + 180 * MINUTE
    assert [at for at, _ in world.queue.wakes()] == [NOW + 180 * MINUTE]
    await world.until_quiet()
    runs = await world.users.runs_of(KEY)
    assert [run.state for run in runs] == [State.SUCCEEDED, State.SUCCEEDED]
    assert [world.tenant.mails_of(event.event_id) for event in events] == [1, 1]


async def test_triggers_during_a_run_merge_into_one_following_run(world):
    """However many."""
    world.skype_meetings(3)
    world.tenant.on("update", *[world.ask] * 3)
    await world.ask()
    await world.until_quiet()
    assert len(await world.users.runs_of(KEY)) == 2


async def test_cancelling_a_running_run_cancels_the_following_one_too(world):
    """Both are visible as Cancelled."""
    world.skype_meetings(12)

    async def more_then_cancel():
        await world.ask()
        await world.queries.cancel(USER)

    world.tenant.on("update", more_then_cancel)
    await world.ask()
    await world.until_quiet()
    assert [run.state for run in await world.users.runs_of(KEY)] == [State.CANCELLED, State.CANCELLED]
    assert 2 <= len(world.tenant.mails) <= 4


# -- poison ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Wake, Resolve])
async def test_a_poisoned_message_becomes_a_visible_failure(world, kind):
    """The run says so, the message is kept, and an administrator can retry."""
    world.skype_meetings(1)
    identity = USER if kind is Wake else NAME
    key = KEY if kind is Wake else name_key(NAME)
    await world.ask(identity)
    poisoned = next(message for _, message in world.queue.messages if isinstance(message, kind))
    world.queue.messages.clear()
    await world.recovery.poisoned(encode(poisoned))
    run = await world.queries.user(identity)
    assert (run.state, run.code) == (State.FAILED, "PoisonedMessage")
    assert "correlation id" in run.last_message
    assert [each["text"] for each in await world.documents.list("poison")] == [encode(poisoned)]
    assert (await world.record(key)).wake_id == ""
    await world.queries.retry(identity)
    await world.recover()
    assert (await world.queries.user(identity)).state is State.SUCCEEDED


async def test_a_message_nobody_understands_is_kept(world):
    """Of a newer version, or not ours at all: refused by the function, kept by the poison queue's."""
    for text in ('{"kind":"wake","v":99,"user":"u","wake_id":"w"}', "not json", '{"kind":"invented"}'):
        with pytest.raises(UnknownMessage):
            await world.runs.message(text)
        with pytest.raises(UnknownMessage):
            await world.triage.message(text)
        await world.recovery.poisoned(text)
    assert len(await world.documents.list("poison")) == 3


async def test_messages_in_the_wrong_queue_are_refused(world):
    """A wake-up is no trigger, nor the other way round."""
    with pytest.raises(UnknownMessage):
        await world.triage.message(encode(Wake(user="u", wake_id="w")))
    with pytest.raises(UnknownMessage):
        await world.runs.message(encode(Resolve(user="u")))


async def test_a_poisoned_message_of_a_run_that_is_over_changes_nothing(world):
    """The failure belongs to nobody any more."""
    world.skype_meetings(1)
    await world.ask()
    wake = world.queue.messages[0][1]
    await world.until_quiet()
    await world.recovery.poisoned(encode(wake))
    assert await world.state() is State.SUCCEEDED


async def test_switching_off_ends_the_run_under_retry_and_lets_the_following_one_go_on(world):
    """It moves up at once, with a wake-up of its own, and is not left to the sweep."""
    await world.ask()
    stored = await world.users.read(KEY)
    behind = replace(stored.value.current, run_id=RunId("behind"), created_at=NOW + MINUTE, due_at=NOW + 1440 * MINUTE)
    await world.users.save(replace(stored.value, following=behind), stored)
    await world.configure(MeetingMigrationEnabled=False)
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    record = await world.record()
    assert (record.current.run_id, record.current.state, record.following) == ("behind", State.PENDING, None)
    assert [wake.wake_id for _, wake in world.queue.wakes()] == [record.wake_id]
    assert [run.state for run in await world.users.runs_of(KEY)] == [State.PENDING, State.SKIPPED]


async def test_a_poisoned_wake_fails_the_current_run_and_lets_the_following_one_go_on(world):
    """The next run does not wait for an administrator."""
    world.skype_meetings(1)
    stored = None

    async def more():
        nonlocal stored
        await world.ask()
        stored = await world.users.read(KEY)
        raise RuntimeError("a bug")

    world.tenant.on("update", more)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    wake = world.queue.messages.pop()[1]
    with pytest.raises(RuntimeError):
        await world.dispatch(wake)
    assert stored.value.following is not None
    await world.recovery.poisoned(encode(wake))
    await world.until_quiet()  # and not for the sweep either
    assert sorted(run.state for run in await world.users.runs_of(KEY)) == [State.FAILED, State.SUCCEEDED]


# -- undo -----------------------------------------------------------------------------------------------------------------------


async def _migrated(world, count=2):
    events = world.skype_meetings(count)
    await world.ask()
    await world.until_quiet()
    return events


@pytest.mark.parametrize("order", ["undo", "apply"])
async def test_a_run_at_work_is_not_replaced_because_the_one_behind_it_is_over(world, order):
    """It is told to stop, what waited behind it is cancelled; until it has stopped, nothing takes its place."""
    events = await _migrated(world)
    world.skype_meetings(3)
    asked = Asked(key=KEY, identity=USER, source=Source.ALL, target=Target.TEAMS)
    preview = Preview(preview_id=await Previews(world.parts).ask(asked))
    await world.dispatch(preview)
    refused = []

    async def at_work():
        await world.ask()
        await world.queries.cancel(USER)
        before = await world.record()
        assert (before.current.state, before.following.state) == (State.IN_PROGRESS, State.CANCELLED)
        assert (await world.queries.counts())[State.IN_PROGRESS] == 1
        orders = {"undo": world.queries.undo(USER, [events[0].event_id], actor="ada")}
        orders["apply"] = Previews(world.parts).apply(preview.preview_id, actor="ada")
        orders.pop("apply" if order == "undo" else "undo").close()
        with pytest.raises(BadInput) as caught:
            await orders[order]
        refused.append(caught.value.code)
        assert (await world.record()).current.run_id == before.current.run_id

    world.tenant.on("candidates", at_work)
    await world.ask()
    await world.until_quiet()
    assert refused == ["RunUnderWay"]


async def test_undo_refuses_a_meeting_that_somebody_edited_since(world):
    """Their words are worth more than our way back; the others are restored."""
    edited, other = await _migrated(world)
    body = world.tenant.events[edited.event_id].body
    world.tenant.edit(edited.event_id, body=body.replace("the agenda:", "the agenda: changed"))
    await world.queries.undo(USER, (), actor="admin")
    await world.until_quiet()
    entry = await world.entry(edited)
    assert (entry.verdict, entry.code) == ("failed", "EditedSince")
    assert "changed" in world.tenant.events[edited.event_id].body
    assert world.tenant.events[other.event_id].body == other.body
    assert (await world.run()).code == "EditedSince"
    # What could not be restored is still kept.
    assert [original.event_id for original in await world.ledger.originals(KEY)] == [edited.event_id]


async def test_a_refused_undo_shows_what_was_edited_and_says_nothing_of_it_elsewhere(world, caplog):
    """In the meeting's row: the organizer's words, not our own block; never in a log or in the run's message."""
    (event,) = await _migrated(world, 1)
    body = world.tenant.events[event.event_id].body
    world.tenant.edit(event.event_id, body=body.replace("the agenda:", "the secret agenda:"))
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):  # a second undo has the first one's row before it, and says the same
            await world.queries.undo(USER, (), actor="admin")
            await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.code, entry.detail) == ("EditedSince", "body")
    difference = entry.difference
    assert "-<p class=MsoNormal>Grüße, 你好 👋&nbsp;— the agenda:</p>" in difference.body
    assert "+<p class=MsoNormal>Grüße, 你好 👋&nbsp;— the secret agenda:</p>" in difference.body
    assert "OutJoinLink" not in difference.body
    assert "meetup-join" not in difference.body
    assert (difference.is_cut, difference.in_block, difference.locations_now, difference.properties) == (
        False,
        False,
        None,
        (),
    )
    assert "secret" not in caplog.text
    assert "secret" not in (await world.run()).last_message


async def test_undo_refuses_a_meeting_whose_place_was_changed_since(world):
    """The room that somebody booked after the migration would be lost."""
    moved, other = await _migrated(world)
    world.tenant.edit(moved.event_id, locations=({"displayName": "Microsoft Teams Meeting"}, {"displayName": "Room 7"}))
    await world.queries.undo(USER, (), actor="admin")
    await world.until_quiet()
    entry = await world.entry(moved)
    assert (entry.code, entry.detail) == ("EditedSince", "locations")
    assert entry.difference.locations_before == ("Skype Meeting",)
    assert entry.difference.locations_now == ("Microsoft Teams Meeting", "Room 7")
    assert world.tenant.events[moved.event_id].locations[1]["displayName"] == "Room 7"
    assert world.tenant.events[other.event_id].locations == other.locations


async def test_undo_narrowed_to_some_meetings_leaves_the_others(world):
    """By event id."""
    first, second = await _migrated(world)
    await world.queries.undo(USER, (second.event_id,), actor=None)
    await world.until_quiet()
    assert world.tenant.events[first.event_id].body != first.body
    assert world.tenant.events[second.event_id].body == second.body
    assert [original.event_id for original in await world.ledger.originals(KEY)] == [first.event_id]


async def test_undo_of_a_deleted_meeting_says_so(world):
    """The code names it."""
    event, _ = await _migrated(world)
    del world.tenant.events[event.event_id]
    await world.queries.undo(USER, (event.event_id,), actor=None)
    await world.until_quiet()
    assert (await world.entry(event)).code == "Deleted"


async def test_undo_leads_back_to_before_the_first_of_several_runs(world):
    """A refresh after the migration does not become the original."""
    (event,) = await _migrated(world, 1)
    world.tenant.meetings = {
        key: replace(meeting, join_information=meeting.join_information.replace("4930123456", "4930999999"))
        for key, meeting in world.tenant.meetings.items()
    }
    await world.ask(target=Target.CURRENT)
    await world.until_quiet()
    assert (await world.entry(event)).verdict == "refreshed"
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert world.tenant.events[event.event_id].body == event.body


async def test_a_restored_meeting_can_be_migrated_again(world):
    """Whoever undoes may change their mind."""
    (event,) = await _migrated(world, 1)
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    await world.ask()
    await world.until_quiet()
    assert (await world.entry(event)).verdict == "migrated"
    assert world.tenant.mails_of(event.event_id) == 3
    assert len(await world.ledger.originals(KEY)) == 1


async def test_undo_looks_at_the_off_switch_before_each_write(world):
    """Off means off for the way back too."""
    first, second = await _migrated(world)
    world.tenant.on("update", lambda: world.configure(MeetingMigrationEnabled=False))
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert (await world.run()).code == "MigrationDisabled"
    restored = [world.tenant.events[event.event_id].body == event.body for event in (first, second)]
    assert sorted(restored) == [False, True]


async def test_undo_goes_on_after_a_temporary_failure(world):
    """By the same retries as a migration, without repeating what is restored."""
    events = await _migrated(world)
    world.tenant.on("update", TemporaryError(retry_after=timedelta(seconds=30)))
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert [world.tenant.events[event.event_id].body for event in events] == [event.body for event in events]
    assert [world.tenant.mails_of(event.event_id) for event in events] == [2, 2]
    run = await world.run()
    assert (run.state, run.retries, run.failed) == (State.SUCCEEDED, 1, 0)


# -- what the tenant tells ----------------------------------------------------------------------------------------------------


async def test_a_changed_licence_is_found_by_comparing_with_the_snapshot(world):
    """T3: gained, then lost; a profile edit costs one read and causes nothing."""
    world.tenant.add_user(USER, NAME, plans=())
    changed = UsersChanged(users=(USER,), received=NOW.isoformat())
    await world.triage.message(encode(changed))
    assert await world.record() is None
    world.tenant.add_user(USER, NAME, plans={AUDIO_CONFERENCING})
    await world.triage.message(encode(changed))
    assert (await world.run()).reasons == ("T3 LicenseAssigned",)
    before = (await world.record(), len(await world.documents.list("decision")))
    await world.triage.message(encode(changed))
    assert (await world.record(), len(await world.documents.list("decision"))) == before
    world.tenant.add_user(USER, NAME, plans=())
    await world.triage.message(encode(changed))
    assert (await world.run()).reasons == ("T3 LicenseAssigned", "T3 LicenseRemoved")


async def test_without_a_snapshot_a_plan_assigned_after_we_subscribed_counts_as_gained(world):
    """And an older one does not."""
    await world.recovery.subscriptions()
    changed = UsersChanged(users=(USER, OTHER_USER), received=NOW.isoformat())
    world.tenant.add_user(USER, NAME, plans={AUDIO_CONFERENCING}, assigned_at=NOW + MINUTE)
    world.tenant.add_user(OTHER_USER, "b@contoso.example", plans={AUDIO_CONFERENCING}, assigned_at=NOW - MINUTE)
    await world.triage.message(encode(changed))
    assert (await world.run()).reasons == ("T3 LicenseAssigned",)
    assert await world.record(UserKey(OTHER_USER)) is None


async def test_several_triggers_in_the_window_make_one_run(world):
    """Licence and policy and a request by hand: one migration, all reasons (Q2)."""
    events = world.skype_meetings(2)
    await world.queue.send(GRANTED)
    await world.deliver()
    world.clock.advance(30 * MINUTE)
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert run.reasons == ("T9 PolicyGranted", "T10 Manual")
    assert run.actors == ("script",)
    await world.assert_migrated_once(events)


async def test_every_decision_is_recorded_the_ignored_ones_too(world):
    """Who asked, when, with which rule, and what became of it; newest first."""
    for number, (kind, data) in enumerate(
        (
            ("mms.policy.granted", {"tenant": True, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}),
            ("mms.user.sipaddresschanged", {}),
            ("mms.policy.granted", {"user": NAME, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}),
            ("mms.user.moved", {"user": "ghost@contoso.example", "direction": "toCloud", "moveToTeams": True}),
        )
    ):
        world.clock.advance(MINUTE)
        await world.triage.message(encode(TenantEvent(event_id=str(number), type=kind, data=data, actor="script")))
    decisions = await world.documents.list("decision")
    assert [(each["rule"], each["outcome"]) for each in decisions] == [
        ("T1", "UserNotFound"),
        ("T9", "accepted"),
        ("N1", "ignore"),
        ("N3", "ignore"),
    ]
    assert {each["actor"] for each in decisions} == {"script"}


async def test_an_event_that_is_never_a_trigger_is_recorded_with_its_user(world):
    """Else nobody could ask why this user's new SIP address had caused nothing (N1)."""
    data = {"user": NAME, "from": "sip:old@contoso.example", "to": "sip:new@contoso.example"}
    event = TenantEvent(event_id="1", type="mms.user.sipaddresschanged", data=data, actor="script")
    await world.triage.message(encode(event))
    (decision,) = await world.documents.list("decision")
    assert (decision["rule"], decision["user"], decision["userId"]) == ("N1", NAME, USER)


async def test_audit_records_are_fetched_and_decided(world):
    """A grant that only the activity feed told; delivered twice it is one request."""
    record = {
        "Id": "record-1",
        "Operation": "TeamsAdminAction",
        "ItemName": "Grant-CsTeamsUpgradePolicy",
        "Parameters": [{"Name": "PolicyName", "Value": "TeamsOnly"}, {"Name": "Identity", "Value": NAME}],
    }
    world.tenant.records["https://manage.example/1"] = [record, {"Operation": "UserLoggedIn"}]
    message = ActivityContent(uris=("https://manage.example/1", "https://manage.example/gone"))
    for _ in range(2):
        await world.triage.message(encode(message))
    run = await world.run()
    assert (run.reasons, run.target, run.actors) == (("T9 PolicyGranted",), Target.TEAMS, ("activity",))
    assert len(world.queue.wakes()) == 1


async def test_subscriptions_are_looked_after_and_their_birthday_remembered(world):
    """A re-created subscription counts on: what was not told in between has to be found."""
    await world.triage.message(encode(LookAfterSubscriptions()))
    first = (await world.documents.get("subscription", "users")).value
    world.clock.advance(MINUTE)
    await world.recovery.subscriptions()
    assert (await world.documents.get("subscription", "users")).value == first
    world.tenant.subscription = "subscription-2"
    await world.recovery.subscriptions()
    assert (await world.documents.get("subscription", "users")).value == {**first, "id": "subscription-2"}


async def test_an_outage_of_hours_poisons_no_trigger(world):
    """Put back nine times with growing delays, then given up loudly."""
    world.tenant.on("user", *[TemporaryError()] * 10)
    await world.queue.send(GRANTED)
    waits = []
    for _ in range(9):
        await world.deliver()
        ((at, message),) = world.queue.messages
        waits.append(at - world.clock.now())
        world.clock.at = at
    assert waits == [timedelta(seconds=169) * 2**number for number in range(9)]
    assert message.attempt == 9
    with pytest.raises(TemporaryError):
        await world.deliver()


async def test_a_user_whom_graph_does_not_know_any_more_is_not_an_error(world):
    """Deleted between notification and look."""
    world.tenant.on("user", PermanentError(code="UserNotFound"))
    await world.triage.message(encode(UsersChanged(users=("gone", USER), received=NOW.isoformat())))
    assert (await world.documents.get("snapshot", USER)) is not None


async def test_a_retry_by_hand_is_refused_while_something_runs(world):
    """And cancel is refused when nothing does; unknown users are not found."""
    from mms_core.errors import BadInput, NotFound

    for call in (world.queries.retry, world.queries.cancel, world.queries.user, world.queries.meetings):
        with pytest.raises(NotFound):
            await call(USER)
    with pytest.raises(NotFound):
        await world.queries.undo(USER, (), actor=None)
    world.tenant.add(skype_event(1))
    await world.ask()
    with pytest.raises(BadInput) as caught:
        await world.queries.retry(USER)
    assert caught.value.code == "InvalidState"
    await world.until_quiet()
    with pytest.raises(BadInput):
        await world.queries.cancel(USER)
    await world.ask()
    with pytest.raises(BadInput):
        await world.queries.undo(USER, (), actor=None)
