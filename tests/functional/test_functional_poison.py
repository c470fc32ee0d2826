"""Every kind of message, poisoned: its work is shown as failed where one looks for it, and waits again after a replay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

import pytest
from functional_support import GRANTED, KEY, NAME
from meeting_values import NOW, USER
from msgspec.structs import replace

from mms_core.errors import BadInput
from mms_core.messages import (
    ActivityContent,
    AnyMessage,
    Batch,
    JobStep,
    LookAfterSubscriptions,
    Notice,
    Preview,
    Resolve,
    StartMany,
    TenantEvent,
    UsersChanged,
    Wake,
    encode,
)
from mms_core.model import Source, State, Target, UserKey, name_key
from mms_core.service import Journal, Previews, Retries
from mms_core.service.admin.fanout import run_id
from mms_core.service.batches import Batches
from mms_core.service.journal import DecisionQuery
from mms_core.service.running.previews import Asked

LIST = StartMany(
    batch="list",
    rows=((0, USER, USER), (1, name_key("nobody@contoso.example"), "nobody@contoso.example")),
    reason="T10 Manual",
    source="All",
    target="Teams",
    first_at=NOW.isoformat(),
)


async def _run_failed(world, _):
    run = await world.queries.user(USER)
    return run.state is State.FAILED, run.code


async def _plan_failed(world, message):
    plan = await Previews(world.parts).read(message.preview_id)
    return plan["state"] == "failed", plan["code"]


async def _decided(world, _):
    rows, _ = await Journal(world.parts).page(DecisionQuery(answer="refuse"))
    kept = [each["id"] async for each in world.recovery.kept()]
    return [row["requestId"] for row in rows] == kept, rows[0]["outcome"]


async def _wake(world):
    await world.ask()
    return next(each for _, each in world.queue.messages if isinstance(each, Wake))


async def _resolve(world):
    await world.ask(NAME)
    return next(each for _, each in world.queue.messages if isinstance(each, Resolve))


async def _named_failed(world, _):
    run = await world.queries.user(NAME)
    return run.state is State.FAILED, run.code


async def _preview(world):
    asked = Asked(key=KEY, identity=USER, source=Source.ALL, target=Target.TEAMS)
    return Preview(preview_id=await Previews(world.parts).ask(asked))


async def _succeeded(world, _):
    return await world.state() is State.SUCCEEDED


async def _planned(world, message):
    return (await Previews(world.parts).read(message.preview_id))["writes"] == 1


async def _asked(world, _):
    return (await world.record()) is not None


async def _called(world, message):
    wanted = {LookAfterSubscriptions: "ensure_subscriptions", ActivityContent: "activity", UsersChanged: "user"}
    return wanted[type(message)] in world.tenant.calls


async def _nothing(world, _):
    return world.queue.messages == []  # taken, and a leftover of a job and a run that are over


@dataclass(frozen=True)
class Kind:
    """How a message of a kind comes to be, where its failure shows, and what it has done once it was put back."""

    make: object
    shown: object
    done: object


def _made(message):
    async def make(_):
        return message

    return make


async def _kept(world):
    """Of one row, as a call makes it that is too large for one message."""
    return await Batches(world.parts).keep([GRANTED])


def _told(message, done):
    return Kind(_made(message), _decided, done)


KINDS = {
    Wake: Kind(_wake, _run_failed, _succeeded),
    Resolve: Kind(_resolve, _named_failed, _succeeded),
    StartMany: Kind(_made(LIST), _run_failed, _succeeded),
    Preview: Kind(_preview, _plan_failed, _planned),
    UsersChanged: _told(UsersChanged(users=(USER,), received=NOW.isoformat()), _called),
    TenantEvent: _told(GRANTED, _asked),
    Batch: Kind(_kept, _decided, _asked),
    ActivityContent: _told(ActivityContent(uris=("https://feed.example/1",)), _called),
    LookAfterSubscriptions: _told(LookAfterSubscriptions(), _called),
    Notice: _told(Notice(user=USER, run="over", notice="after"), _nothing),
    JobStep: _told(JobStep(job="sweep", run="over"), _nothing),
}


def test_every_kind_of_message_is_here():
    """A new one has to say where its failure shows."""
    assert set(KINDS) == set(get_args(AnyMessage))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_poisoned_message_shows_as_failed_and_does_its_work_after_a_replay(world, kind):
    """Delivered twice to the poison queue, as a crash in the middle of the host's move has it, it shows once."""
    world.skype_meetings(1)
    message = await KINDS[kind].make(world)
    world.queue.messages.clear()
    for _ in range(2):
        await world.recovery.poisoned(encode(message))
        world.clock.advance(timedelta(minutes=10))
    assert await KINDS[kind].shown(world, message) == (True, "PoisonedMessage")
    (kept,) = [each async for each in world.recovery.kept()]
    await world.recovery.replay(kept["id"], by="ada@console")
    assert message in [each for _, each in world.queue.messages]
    await world.until_quiet()
    assert await KINDS[kind].done(world, message)


async def _poisoned(world, message):
    """Poison what the tenant told; gives the id under which it is kept."""
    await world.recovery.poisoned(encode(message))
    return [each async for each in world.recovery.kept()][-1]["id"]


async def _history(world, key=KEY):
    return [(run.state, run.code) for run in await world.users.runs_of(key)]


POISONED, REPLAYED = (State.FAILED, "TenantMessageFailed"), (State.SKIPPED, "MessageReplayed")


@pytest.mark.parametrize("is_known", [True, False])
async def test_each_user_whom_a_poisoned_message_names_shows_as_failed(world, is_known):
    """With the reason, and the id by which it is put back; under the name where nobody knows yet whose that is."""
    if is_known:
        await world.triage._deciding.facts(NAME)
    key = KEY if is_known else name_key(NAME)
    kept = await _poisoned(world, GRANTED)
    run = await world.queries.user(NAME)
    assert (run.state, run.code, run.reasons) == (*POISONED, ("PoisonedMessage mms.policy.granted",))
    assert f"(message {kept})" in run.last_message
    assert (await world.queries.counts())[State.FAILED] == 1
    assert (await world.record(key)).current == run
    (row,) = await world.documents.list("decision")
    assert row["correlationId"] == run.run_id
    assert world.queue.messages == []  # nobody is told of a migration that was none
    await world.recovery.replay(kept, by="ada@console")
    assert await _history(world, key) == [REPLAYED]
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


@pytest.mark.parametrize("is_replayed", [False, True])
async def test_what_only_stands_for_a_message_cannot_be_tried_again_as_a_migration(world, is_replayed):
    """Nobody asked for one: a profile edit whose message failed must not write to a calendar. Asked for, it is done."""
    world.skype_meetings(1)
    kept = await _poisoned(world, UsersChanged(users=(USER,), received=NOW.isoformat()))
    code = "TenantMessageFailed"
    if is_replayed:
        await world.recovery.replay(kept, by="ada@console")
        world.queue.messages.clear()
        code = "MessageReplayed"
    retries, previews = Retries(world.parts), Previews(world.parts)
    asked = Asked(key=KEY, identity=USER, source=Source.ALL, target=Target.TEAMS, action="retry")
    for order in (world.queries.retry(USER), previews.ask(asked), retries.order(code, actor="admin")):
        with pytest.raises(BadInput) as caught:
            await order
        assert caught.value.code == code
    await retries.order("PoisonedMessage", actor="admin")
    await world.until_quiet()
    assert world.tenant.mails == []
    await world.ask()
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED
    assert len(world.tenant.mails) == 1


async def test_many_users_are_named_and_each_has_an_entry_of_its_own(world):
    """In one message, or in the messages of one batch."""
    users = [f"00000000-0000-4000-9000-{number:012d}" for number in range(3)]
    changed = UsersChanged(users=(*users, "nobody at all"), received=NOW.isoformat())
    kept = await _poisoned(world, Batch(texts=(encode(changed), encode(GRANTED), "not ours")))
    assert (await world.queries.counts())[State.FAILED] == 4
    await world.recovery.replay(kept, by="ada@console")
    assert [await _history(world, UserKey(user)) for user in users] == [[REPLAYED]] * 3
    assert await _history(world, name_key(NAME)) == [REPLAYED]


async def _told_of(world, user=USER):
    """Poison what the tenant told about a user; gives the decisions that say so."""
    await world.recovery.poisoned(encode(UsersChanged(users=(user,), received=NOW.isoformat())))
    rows, _ = await Journal(world.parts).page(DecisionQuery(rule="PoisonedMessage"))
    return [(row["user"], row["correlationId"]) for row in rows]


async def test_an_entry_is_named_by_one_decision_however_often_its_message_is_delivered(world):
    """Also after work has taken its place."""
    (first,) = await _told_of(world)
    assert first == (USER, (await world.queries.user(USER)).run_id)
    world.clock.advance(timedelta(minutes=10))
    await world.ask()
    record = await world.record()
    assert await _told_of(world) == [first]
    assert await world.record() == record


async def test_a_run_that_waits_is_not_touched_where_a_message_failed(world):
    """Neither its time, its meetings nor its message change, nor a name's; the decision and the kept message tell."""
    world.skype_meetings(1)
    await world.ask()
    await world.ask(NAME)
    before, name = await world.record(), await world.record(name_key(NAME))
    assert await _told_of(world) == [(USER, None)]
    await _poisoned(world, GRANTED)
    assert await world.record() == before
    assert await world.record(name_key(NAME)) == name
    assert len((await world.queries.messages())[0]) == 2
    await world.until_quiet()
    assert await _history(world) == [(State.SUCCEEDED, None)]
    assert len(world.tenant.mails) == 1


async def test_a_run_at_work_and_the_one_in_line_are_not_touched_where_a_message_failed(world):
    """With nobody in line, and with somebody."""
    world.skype_meetings(1)

    async def meanwhile():
        for _ in range(2):
            before = await world.record()
            await _told_of(world)
            assert await world.record() == before
            await world.ask()

    world.tenant.on("update", meanwhile)
    await world.ask()
    await world.until_quiet()
    assert await _history(world) == [(State.SUCCEEDED, None)] * 2


async def test_a_run_that_failed_is_counted_and_can_be_retried_though_a_message_failed_since(world):
    """Neither before the message is put back nor after."""
    world.skype_meetings(1)
    await world.ask()
    wake = next(each for _, each in world.queue.messages if isinstance(each, Wake))
    await world.recovery.poisoned(encode(wake))
    kept = await _poisoned(world, UsersChanged(users=(USER,), received=NOW.isoformat()))
    for _ in range(2):
        assert await world.queries.failures() == {"PoisonedMessage": 1}
        assert await _history(world) == [(State.FAILED, "PoisonedMessage")]
        await world.recovery.replay(kept, by="ada@console")
    await world.queries.retry(USER)
    await world.until_quiet()
    await _told_of(world)
    assert (await world.queries.user(USER)).state is State.SUCCEEDED
    assert await world.queries.failures() == {}


async def test_a_cancellation_tells_of_the_run_that_it_cancelled(world):
    """Not of one in line that had failed before."""
    world.start_services(notice_sender="it@contoso.example")
    world.skype_meetings(1)

    async def cancel():
        await world.recovery.poisoned(encode(LIST))
        record = await world.record()
        assert record.following.code == "PoisonedMessage"
        world.queue.messages.clear()
        run = await world.queries.cancel(USER, actor="ada")
        assert (run.run_id, run.state, run.cancel_requested) == (record.current.run_id, State.IN_PROGRESS, True)
        assert world.queue.messages == []  # it is told of when it has stopped
        assert (await world.queries.cancel(USER, actor="ada")).run_id == record.current.run_id
        rows, _ = await Journal(world.parts).page(DecisionQuery(rule="Cancel"))
        assert {row["correlationId"] for row in rows} == {record.current.run_id}

    world.tenant.on("update", cancel)
    await world.ask()
    await world.until_quiet()
    assert world.queue.messages == []


async def test_a_message_nobody_understands_is_a_refused_decision_and_in_the_list_of_failures(world):
    """It names nobody."""
    await world.recovery.poisoned("not ours")
    (kept,) = [each async for each in world.recovery.kept()]
    (row,) = await world.documents.list("decision")
    assert (row["answer"], row["what"], row["requestId"], row["outcome"]) == (
        "refuse",
        "unknown",
        kept["id"],
        "PoisonedMessage",
    )
    assert [(each["id"], each["kind"]) for each in (await world.queries.messages())[0]] == [(kept["id"], "unknown")]


async def test_a_poisoned_list_spares_what_was_admitted_and_what_joined(world):
    """A row that is done stays; one whose user's run waits rides along; the others are shown, under the ids promised."""
    world.skype_meetings(1)
    other, third = (UserKey(f"00000000-0000-4000-9000-{number:012d}") for number in (1, 2))
    rows = ((0, USER, USER), (1, other, other), (2, third, third))
    await world.ask(other)
    await world.dispatch(replace(LIST, rows=rows[:1]))
    await world.recovery.poisoned(encode(replace(LIST, rows=rows)))
    assert await world.state() is State.PENDING
    joined = (await world.record(other)).current
    assert (joined.state, joined.reasons) == (State.PENDING, ("T10 Manual",))
    shown = (await world.record(third)).current
    assert (shown.run_id, shown.state, shown.code) == (run_id("list", 2), State.FAILED, "PoisonedMessage")


async def test_a_poisoned_row_behind_a_run_at_work_fails_alone(world):
    """The run at work goes on; the failed one is in the history and, once replayed, waits in line."""
    world.skype_meetings(1)

    async def poisoned():
        await world.recovery.poisoned(encode(LIST))
        record = await world.record()
        assert (record.current.state, record.following.code) == (State.IN_PROGRESS, "PoisonedMessage")
        (kept,) = [each async for each in world.recovery.kept()]
        await world.recovery.replay(kept["id"], by="ada@console")
        assert (await world.record()).following.state is State.PENDING

    world.tenant.on("update", poisoned)
    await world.ask()
    await world.until_quiet()
    assert [run.state for run in await world.users.runs_of(KEY)] == [State.SUCCEEDED] * 2
    assert (await world.run()).run_id == run_id("list", 0)


async def test_a_replay_leaves_a_run_that_was_started_afresh_alone(world):
    """An administrator was faster."""
    wake = await _wake(world)
    world.queue.messages.clear()
    await world.recovery.poisoned(encode(wake))
    await world.queries.retry(USER)
    before = await world.record()
    (kept,) = [each async for each in world.recovery.kept()]
    await world.recovery.replay(kept["id"], by="ada@console")
    assert await world.record() == before


async def test_one_bad_row_of_a_list_does_not_keep_the_others(world, monkeypatch):
    """The host delivers the message again, and only the bad row is left over for the poison queue."""
    bad, real = "00000000-0000-4000-9000-000000000001", world.users.read

    async def read(key):
        if key == bad:
            raise RuntimeError("a bug")
        return await real(key)

    monkeypatch.setattr(world.users, "read", read)
    others = [f"00000000-0000-4000-9000-{number:012d}" for number in range(2, 30)]
    message = replace(LIST, rows=tuple((index, key, key) for index, key in enumerate((bad, *others))))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await world.dispatch(message)
    monkeypatch.setattr(world.users, "read", real)
    assert (await world.queries.counts())[State.PENDING] == 28


async def test_a_message_is_kept_once_however_many_others_are_kept(world):
    """More than one page of them; and all of them are listed, the oldest first."""
    texts = [f"not ours {number}" for number in range(1100)]
    for text in (*texts, texts[0], texts[-1]):
        world.clock.advance(timedelta(seconds=1))
        await world.recovery.poisoned(text)
    assert [each["text"] async for each in world.recovery.kept()] == texts


async def test_a_message_that_was_put_back_and_fails_again_is_kept_again(world):
    """Its first failure stays as it was, marked; delivered twice, the second shows once."""
    text = encode(GRANTED)
    first = await _poisoned(world, GRANTED)
    await world.recovery.replay(first, by="ada@console")
    world.clock.advance(timedelta(hours=1))
    for _ in range(2):
        await world.recovery.poisoned(text)
    kept = [each async for each in world.recovery.kept()]
    assert [each["text"] for each in kept] == [text, text]
    assert ["replayedAt" in each for each in kept] == [True, False]
    assert len(await world.documents.list("poisonText")) == 1


async def test_a_worker_that_dies_while_it_keeps_a_message_leaves_it_to_the_next(world):
    """Between the note of its id and the message itself: kept under that id, once."""
    text = encode(GRANTED)
    await world.recovery.poisoned(text)
    (kept,) = [each async for each in world.recovery.kept()]
    await world.documents.remove("poison", kept["id"])
    await world.recovery.poisoned(text)
    assert [each async for each in world.recovery.kept()] == [kept]
