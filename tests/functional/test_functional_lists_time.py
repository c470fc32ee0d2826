"""Large lists, sending limits, and what is done at night."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import KEY, NAME, Crash
from meeting_values import NOW, USER, people, skype_event

from mms_core.adapters.memory import MemoryArchive
from mms_core.audience import is_in_pilot
from mms_core.errors import BadInput, OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError
from mms_core.messages import Resolve, StartMany, Wake, encode
from mms_core.model import Run, RunId, Source, State, Target, UserKey, UserRecord, name_key
from mms_core.ports import LONGEST_DELAY, Recount
from mms_core.service import Retention
from mms_core.service.admin.fanout import Fanout
from mms_core.service.admin.intake import Wanted
from mms_core.service.running.sending import MAILBOX_KIND, Budget
from mms_core.service.tenant.sweeps import KEPT
from mms_core.settings import LEAST_CLAIM_DAYS
from mms_core.signatures import TOLERANCE

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def _guid(number):
    return f"{number:08d}-0000-4000-8000-000000000000"


def _wanted(identities, **more):
    return Wanted(identities=tuple(identities), source=Source.ALL, target=Target.TEAMS, **more)


async def _admitted(world):
    """Work through the messages of a list, and through nothing else."""
    lists = [message for _, message in world.queue.messages if isinstance(message, StartMany)]
    world.queue.messages = [pair for pair in world.queue.messages if not isinstance(pair[1], StartMany)]
    for message in lists:
        await world.dispatch(message)
    return lists


# -- large lists ----------------------------------------------------------------------------------------------------------


async def test_fifty_thousand_rows_are_answered_one_by_one_and_written_as_messages(world):
    """A result for each row, in order; bad rows refuse themselves; a repeated row merges; no user's row is written."""
    identities = [_guid(number) for number in range(49_990)]
    identities += [
        "not an identity",
        "",
        identities[7],
        identities[7].upper(),
        *(f"u{n}@contoso.example" for n in range(6)),
    ]
    results = await world.intake.start(_wanted(identities))
    assert [each.identity for each in results] == identities
    assert [each.status for each in results[49_990:]] == ["refused", "refused", "merged", "merged"] + ["accepted"] * 6
    assert results[49_992].correlation_id == results[7].correlation_id
    assert (results[3].user_id, results[-1].user_id) == (_guid(3), None)
    messages = [message for _, message in world.queue.messages]
    assert sum(len(message.rows) for message in messages) == 49_996
    assert max(len(encode(message)) for message in messages) <= 48 * 1024
    assert await world.users.read(UserKey(_guid(1))) is None


async def test_rows_become_runs_with_the_promised_ids(world):
    """By name and by id, with everything that was asked for."""
    identities = [_guid(number) for number in range(120)] + ["new@contoso.example"]
    results = await world.intake.start(_wanted(identities, actor="admin", not_before_at=NOW + 3 * DAY))
    await _admitted(world)
    run = await world.run(UserKey(_guid(5)))
    assert (run.run_id, run.actors, run.due_at) == (results[5].correlation_id, ("admin",), NOW + 3 * DAY)
    assert (run.reasons, run.target) == (("T10 Manual",), Target.TEAMS)
    assert len([message for _, message in world.queue.messages if isinstance(message, Resolve)]) == 1
    assert (await world.users.counts())[State.PENDING] == 121


async def test_a_row_whose_users_run_waits_already_is_answered_with_that_run(world):
    """By id and by name, the run in line before the one under retry; what is over or undoes is joined by nothing."""
    await world.documents.put("name", name_key(NAME), {"userId": USER})
    await world.ask()
    await world.ask("new@contoso.example")
    over = a_run_of(1, state=State.SUCCEEDED)
    undo = a_run_of(2, undo=True)
    retried = a_run_of(3)
    behind = replace(retried, run_id=RunId("behind"), created_at=NOW + MINUTE)
    for run, following in ((over, None), (undo, None), (retried, behind)):
        await world.users.save(UserRecord(key=UserKey(run.user_id), current=run, following=following), None)
    await world.users.save(
        replace((await world.record()), current=replace(await world.run(), user_principal_name=NAME)),
        await world.users.read(KEY),
    )
    asked = [USER.upper(), NAME.upper(), "new@contoso.example", over.user_id, undo.user_id, retried.user_id]
    results = await world.intake.start(_wanted([*asked, "bad", *(_guid(100 + number) for number in range(100))]))
    by_id, by_name, new, fresh, alone, joined, bad = results[:7]
    waiting = (await world.run()).run_id
    assert (by_id.correlation_id, by_id.status) == (waiting, "merged")
    assert (by_name.correlation_id, by_name.status) == (waiting, "merged")
    assert new.correlation_id == (await world.run(name_key("new@contoso.example"))).run_id
    assert joined.correlation_id == "behind"
    assert [each.status for each in (fresh, alone, bad)] == ["accepted", "accepted", "refused"]
    assert len({each.correlation_id for each in results} - {None}) == 105
    await _admitted(world)
    assert (await world.record(UserKey(retried.user_id))).following.reasons == ("T10 Manual",)
    assert (await world.run(UserKey(over.user_id))).run_id == fresh.correlation_id


def a_run_of(number, **more):
    """A waiting run of a user of its own."""
    values = {
        "run_id": RunId(f"run-{number}"),
        "identity": _guid(number),
        "user_id": _guid(number),
        "created_at": NOW,
        "modified_at": NOW,
        "fresh_at": NOW,
        "due_at": NOW + 90 * MINUTE,
    }
    return Run(**{**values, **more})


async def test_a_message_of_a_list_that_comes_twice_or_half_makes_nothing_twice(world):
    """Its worker died in the middle; the row's own id tells what is done."""
    await world.intake.start(_wanted(_guid(number) for number in range(150)))
    (message,) = [message for _, message in world.queue.messages]
    half = replace_rows(message, message.rows[:70])
    world.queue.messages.clear()
    for each in (half, message, message):
        await world.dispatch(each)
    assert len(world.queue.wakes()) == 150
    for number in range(150):
        assert len(await world.users.runs_of(UserKey(_guid(number)))) == 1


def replace_rows(message, rows):
    """The same message with other rows."""
    return type(message)(**{name: getattr(message, name) for name in message.__struct_fields__} | {"rows": tuple(rows)})


async def test_a_list_is_admitted_at_the_tenants_rate_in_its_own_order(world):
    """The next list waits for the one before."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10)
    for start in (0, 1000):
        await world.intake.start(_wanted(_guid(start + number) for number in range(300)))
    await _admitted(world)
    due = [(await world.run(UserKey(_guid(number)))).due_at for number in (0, 60, 299, 1000, 1299)]
    seconds = [round((at - NOW).total_seconds()) for at in due]
    assert seconds == [600, 660, 899, 900, 1199]


@pytest.mark.parametrize("sent", [0, 1, 2])
async def test_a_list_that_broke_off_and_is_sent_once_more_keeps_its_turns_and_its_runs(world, monkeypatch, sent):
    """Else half of it would wait behind the time of the other half, in which nobody is let in."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10)
    wanted = _wanted((_guid(number) for number in range(1200)), request_id="admin\nkey")
    real, left = world.queue.send, [sent]

    async def failing(message, **more):
        if isinstance(message, StartMany) and not left[0]:
            raise TemporaryError("the queue")
        left[0] -= 1
        await real(message, **more)

    monkeypatch.setattr(world.queue, "send", failing)
    with pytest.raises(TemporaryError):
        await world.intake.start(wanted)
    monkeypatch.setattr(world.queue, "send", real)
    await _admitted(world)
    world.clock.advance(MINUTE)
    results = await world.intake.start(wanted)
    await _admitted(world)
    runs = [await world.run(UserKey(_guid(number))) for number in range(1200)]
    assert [round((run.due_at - NOW).total_seconds()) for run in runs] == [600 + number for number in range(1200)]
    assert [result.correlation_id for result in results] == [run.run_id for run in runs]
    assert {result.status for result in results} == {"accepted"}
    other = await world.intake.start(replace(wanted, request_id="admin\nother key"))
    assert {result.status for result in other} == {"merged"}


async def test_a_list_that_is_sent_once_more_when_its_time_has_passed_gets_another(world, monkeypatch):
    """Else all that it missed would be let in at once."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10)
    wanted = _wanted((_guid(number) for number in range(600)), request_id="admin\nkey")
    with monkeypatch.context() as broken:

        async def nobody(*_, **__):
            raise TemporaryError("the queue")

        broken.setattr(world.queue, "send", nobody)
        with pytest.raises(TemporaryError):
            await world.intake.start(wanted)
    world.clock.advance(60 * MINUTE)
    await world.intake.start(wanted)
    await _admitted(world)
    due = [(await world.run(UserKey(_guid(number)))).due_at for number in (0, 599)]
    assert [round((at - NOW).total_seconds()) for at in due] == [4200, 4799]


async def test_rows_that_are_judged_otherwise_by_now_make_another_list(world, monkeypatch):
    """A place in the list would be another user's, and two users would have one run's id."""
    first = _wanted((_guid(number) for number in range(150)), request_id="admin\nkey")
    one = await world.intake.start(first)
    await _admitted(world)
    await world.configure(DeniedUsers=[_guid(0)])
    other = await world.intake.start(first)
    await _admitted(world)
    ids = [each.correlation_id for each in one]
    assert len(set(ids)) == 150
    assert [each.correlation_id for each in other[1:]] == ids[1:], "the runs that wait are joined"


@pytest.mark.parametrize("is_by_hand", [False, True])
async def test_whoever_is_asked_for_once_more_is_not_put_behind_the_list_that_names_them(world, is_by_hand):
    """In a list of a higher priority, or alone: what others take of the rate afterwards is not taken from them."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10)
    await world.intake.start(_wanted(_guid(number) for number in range(1000)))
    await _admitted(world)
    user = UserKey(_guid(900))
    due_at = (await world.run(user)).due_at
    again = [_guid(900)]
    if is_by_hand:
        await world.intake.start(_wanted(again, settle=timedelta(0)))
        again = []
    wanted = [*again, *(_guid(number) for number in range(2000, 2300))]
    await world.intake.start(_wanted(wanted, priorities=dict.fromkeys(range(len(wanted)), 9)))
    await _admitted(world)
    run = await world.run(user)
    assert (run.due_at, (await Fanout(world.parts).due_again(run))[0]) == (due_at, due_at)
    other = await world.run(UserKey(_guid(901)))
    assert (await Fanout(world.parts).due_again(other))[0] > other.due_at


async def _started(world, numbers):
    """When the runs of users began, in seconds."""
    runs = [(await world.users.runs_of(UserKey(_guid(number))))[0] for number in numbers]
    return [round((run.started_at - NOW).total_seconds()) for run in runs]


async def test_a_later_list_of_higher_priority_is_let_in_before_the_rest_of_the_one_before_at_the_same_rate(world):
    """The rows that it overtakes make room when their time comes; the next list of their rank comes behind them."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10)
    await world.intake.start(_wanted(_guid(number) for number in range(300)))
    await _admitted(world)
    world.clock.advance(2 * MINUTE)
    urgent = [_guid(1000 + number) for number in range(120)]
    await world.intake.start(_wanted(urgent, priorities=dict.fromkeys(range(120), 5)))
    await world.intake.start(_wanted(_guid(2000 + number) for number in range(101)))
    await world.until_quiet()
    assert await _started(world, range(1000, 1120)) == list(range(720, 840))
    assert await _started(world, range(300)) == [*range(600, 720), *range(840, 1020)]
    assert await _started(world, range(2000, 2101)) == list(range(1020, 1121))


async def test_the_pilot_of_a_later_list_is_let_in_before_the_rest_of_the_one_before(world):
    """Also where a second list overtakes what a first one has overtaken, and what has begun takes no turn again."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10, PilotPercentage=20)
    pilot = [number for number in range(9000) if is_in_pilot(_guid(number), 20)][:240]
    others = [number for number in range(9000) if not is_in_pilot(_guid(number), 20)][:300]
    await world.intake.start(_wanted(map(_guid, others)))
    world.clock.advance(MINUTE)
    await world.intake.start(_wanted(map(_guid, pilot[:120])))
    world.clock.advance(MINUTE)
    wanted = _wanted(map(_guid, pilot[120:]), priorities=dict.fromkeys(range(120), 1))
    await world.intake.start(wanted)
    await world.until_quiet()
    assert await _started(world, pilot[120:]) == list(range(720, 840))
    assert await _started(world, pilot[:120]) == [*range(660, 720), *range(840, 900)]
    assert await _started(world, others) == [*range(600, 660), *range(900, 1140)]
    assert all(run.turn is None for run in [await world.run(UserKey(_guid(number))) for number in others])


async def test_nobody_is_let_in_before_a_list_that_an_earlier_version_let_in(world):
    """Its rows do not make room."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10)
    taken_until = NOW + 20 * MINUTE
    await world.documents.put("budget", "admission", {"takenUntil": taken_until.isoformat()})
    wanted = _wanted((_guid(number) for number in range(101)), priorities=dict.fromkeys(range(101), 9))
    await world.intake.start(wanted)
    await _admitted(world)
    assert (await world.run(UserKey(_guid(0)))).due_at == taken_until


async def test_priorities_come_first_then_the_pilot_then_the_order_of_the_list(world):
    """Answers stay in the caller's order, and name the runs that come of them."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10, PilotPercentage=20)
    identities = [*(_guid(number) for number in range(300)), _guid(5)]
    results = await world.intake.start(_wanted(identities, priorities={250: 1, 120: 9, 300: 2}))
    await _admitted(world)
    runs = {identity: await world.run(UserKey(identity)) for identity in identities}
    urgent = [identities[120], identities[5], identities[250]]
    rest = [each for each in dict.fromkeys(identities) if each not in urgent]
    pilot = [each for each in rest if is_in_pilot(each, 20)]
    assert 30 < len(pilot) < 90
    wanted = [*urgent, *pilot, *(each for each in rest if each not in pilot)]
    assert sorted(runs, key=lambda each: runs[each].due_at) == wanted
    assert runs[urgent[0]].due_at == NOW + 10 * MINUTE
    assert [(each.identity, each.correlation_id) for each in results] == [
        (each, runs[each].run_id) for each in identities
    ]
    assert [each.status for each in results] == ["accepted"] * 300 + ["merged"]


@pytest.mark.parametrize(("percentage", "first"), [(100, 0), (99, 1)])
async def test_a_name_is_in_the_pilot_when_everybody_is_and_else_once_graph_has_told_whose_it_is(
    world, percentage, first
):
    """Its hash says nothing about the user."""
    await world.configure(PilotPercentage=percentage)
    names = [f"u{number}@contoso.example" for number in range(101)]
    identities = [names[0], next(each for each in map(_guid, range(300)) if is_in_pilot(each, 99)), *names[1:]]
    await world.intake.start(_wanted(identities))
    rows = [row for _, message in world.queue.messages for row in message.rows]
    assert [identity for _, _, identity in rows][:2] == [identities[first], identities[1 - first]]


async def test_a_run_that_waits_already_is_not_pushed_to_the_end_of_a_list(world):
    """The row merges; the maximum wait holds."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=1)
    await world.ask()
    await world.intake.start(_wanted([*(_guid(number) for number in range(1000)), USER]))
    await _admitted(world)
    run = await world.run()
    assert run.due_at <= NOW + timedelta(minutes=360)
    assert len(await world.users.runs_of(KEY)) == 1


async def test_a_list_while_switched_off_is_refused_row_by_row(world):
    """Nothing is queued."""
    await world.configure(MeetingMigrationEnabled=False)
    results = await world.intake.start(_wanted(_guid(number) for number in range(200)))
    assert {each.code for each in results} == {"MigrationDisabled"}
    assert world.queue.messages == []


# -- sending limits -------------------------------------------------------------------------------------------------------


async def test_a_tenant_whose_recipients_are_used_up_goes_on_a_day_later(world):
    """Recipients outside the organizer's domain count; the run waits and says why; nothing is lost or doubled."""
    world.start_services(sending_limits=True)
    await world.configure(RecipientsPerDay=25)
    events = world.tenant.add(
        *(
            skype_event(number, start=NOW + timedelta(days=30 + number), attendees=people(10), organizer_address=NAME)
            for number in range(1, 6)
        )
    )
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.code, len(world.tenant.mails)) == (State.PENDING, "SendingLimit", 2)
    assert DAY - 2 * MINUTE * 60 <= run.due_at - world.clock.now() <= DAY + timedelta(hours=1)
    await world.until_quiet(within=timedelta(days=5))
    await world.assert_migrated_once(events)
    assert world.clock.now() > NOW + 2 * DAY


async def test_recipients_count_for_whole_twenty_four_hours(world):
    """Those of 10:59 still count at 10:58 the day after: Exchange's day is any 24 hours, not ours by the hour."""
    budget = Budget(world.parts)
    first = NOW.replace(hour=10, minute=59)
    assert await budget.reserve(100, 100, at=first) == (True, first)
    for minutes in range(0, 24 * 60, 20):
        assert not (await budget.reserve(1, 100, at=first + minutes * MINUTE))[0]
    _, until = await budget.reserve(1, 100, at=first)
    assert first + DAY < until <= first + DAY + timedelta(hours=1)
    assert (await budget.reserve(100, 100, at=until))[0]


async def test_what_is_given_back_fits_again_and_no_more_than_that(world):
    """In the hour from which it was taken; giving back cannot make room that never was."""
    budget, other = Budget(world.parts, "one"), Budget(world.parts, "two")
    assert (await budget.reserve(60, 100, at=NOW))[0]
    assert (await budget.reserve(40, 100, at=NOW + DAY / 2))[0]
    await budget.give_back(40, at=NOW + DAY / 2)
    assert not (await budget.reserve(41, 100, at=NOW + DAY / 2))[0]
    assert (await budget.reserve(40, 100, at=NOW + DAY / 2))[0]
    await other.give_back(40, at=NOW)
    assert (await other.reserve(100, 100, at=NOW))[0]
    assert not (await other.reserve(1, 100, at=NOW))[0]


async def test_an_organizer_whose_recipients_are_used_up_goes_on_a_day_later(world):
    """Colleagues count as well as guests; what was sent is remembered by whichever worker goes on."""
    world.start_services(sending_limits=True)
    await world.configure(MailboxRecipientsPerDay=25, RecipientsPerDay=0)
    own = tuple(replace(each, address=each.address.replace("fabrikam", "contoso")) for each in people(5))
    events = world.skype_meetings(5, attendees=people(5) + own, organizer_address=NAME)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    run = await world.run()
    assert (run.state, run.code, len(world.tenant.mails)) == (State.PENDING, "SendingLimit", 2)
    assert DAY < run.due_at - world.clock.now() <= DAY + timedelta(hours=1)
    await world.queries.cancel(USER)
    await world.ask()
    world.start_services()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert ((await world.run()).code, len(world.tenant.mails)) == ("SendingLimit", 2)
    await world.until_quiet(within=timedelta(days=5))
    assert [world.tenant.mails_of(event.event_id) for event in events] == [1] * 5
    assert await world.state() is State.SUCCEEDED
    assert world.clock.now() > NOW + 2 * DAY


async def test_one_organizers_recipients_are_not_anothers(world):
    """Each mailbox has its own; the organizer, who is listed among the attendees, gets no mail."""
    world.start_services(sending_limits=True)
    await world.configure(MailboxRecipientsPerDay=20)
    organizer = replace(people(1)[0], address=NAME)
    world.skype_meetings(2, attendees=(*people(10), organizer), organizer_address=NAME)
    await Budget(world.parts, "somebody-else").reserve(20, 20, at=NOW)
    await world.ask()
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED
    assert world.clock.now() < NOW + DAY


@pytest.mark.parametrize(
    ("failure", "limit", "sent"),
    [
        (PreconditionLost(), "MailboxRecipientsPerDay", 2),
        (TemporaryError(code="Throttled"), "RecipientsPerDay", 2),
        (PermanentError("HTTP 400"), "RecipientsPerDay", 1),
        (OutcomeUnknown(), "MailboxRecipientsPerDay", 1),
    ],
    ids=["edited", "throttled", "refused", "answer-lost"],
)
async def test_only_a_write_that_certainly_failed_gives_its_recipients_back(world, monkeypatch, failure, limit, sent):
    """Twenty fit: where one write failed for certain there is room for two more, where its outcome is unknown for one."""
    monkeypatch.setattr("mms_core.service.running.applying.asyncio", world.waiting)
    world.start_services(sending_limits=True)
    await world.configure(**{limit: 20})
    world.skype_meetings(2, attendees=people(10), organizer_address=NAME)
    world.tenant.on("update", failure)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert len(world.tenant.mails) == sent
    assert (await world.run()).code != "SendingLimit"
    mailbox = limit.startswith("Mailbox")
    budget = Budget(world.parts, KEY if mailbox else "")
    left = 20 - 10 * (sent + isinstance(failure, OutcomeUnknown))
    assert not (await budget.reserve(left + 1, 20, at=world.clock.now()))[0]


async def test_what_the_tenant_refuses_is_not_taken_from_the_mailbox(world):
    """Neither is what a cancel or the off switch stops at the last moment."""
    world.start_services(sending_limits=True)
    await world.configure(MailboxRecipientsPerDay=30, RecipientsPerDay=10)
    world.skype_meetings(3, attendees=people(10), organizer_address=NAME)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert ((await world.run()).code, len(world.tenant.mails)) == ("SendingLimit", 1)
    budget = Budget(world.parts, KEY)
    assert not (await budget.reserve(21, 30, at=world.clock.now()))[0]
    assert (await budget.reserve(20, 30, at=world.clock.now()))[0]


async def test_nobodys_recipients_are_kept_for_longer_than_they_count(world):
    """The night removes them."""
    await Budget(world.parts, "one").reserve(1, 1, at=NOW)
    await _night(world, 1)
    assert await world.documents.get(MAILBOX_KIND, "one") is not None
    await _night(world, 2)
    assert await world.documents.get(MAILBOX_KIND, "one") is None


async def test_people_of_the_organizers_domain_do_not_count(world):
    """And without a limit nobody does."""
    world.start_services(sending_limits=True)
    await world.configure(RecipientsPerDay=1)
    own = tuple(replace(each, address=each.address.replace("fabrikam", "contoso")) for each in people(10))
    world.tenant.add(*(skype_event(n, attendees=own, organizer_address=NAME) for n in range(1, 4)))
    await world.ask()
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


async def test_a_meeting_larger_than_the_whole_limit_is_sent_when_nothing_else_was(world):
    """Otherwise it would never be."""
    world.start_services(sending_limits=True)
    await world.configure(RecipientsPerDay=5)
    world.tenant.add(skype_event(1, attendees=people(50), organizer_address=NAME))
    await world.ask()
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


async def test_a_mailbox_sends_thirty_a_minute(world, monkeypatch):
    """The thirty-first waits until the first is a minute old."""
    monkeypatch.setattr("mms_core.service.running.sending.asyncio", world.waiting)
    world.start_services(sending_limits=True, run_lease=timedelta(minutes=30))
    events = world.skype_meetings(70)
    await world.ask()
    began = NOW + 90 * MINUTE
    await world.until_quiet()
    await world.assert_migrated_once(events)
    assert 2 * MINUTE <= world.clock.now() - began < 4 * MINUTE


async def test_whoever_takes_a_mailbox_over_knows_what_was_sent_just_now(world, monkeypatch):
    """In any minute thirty messages, whichever worker sent them."""
    monkeypatch.setattr("mms_core.service.running.sending.asyncio", world.waiting)
    await world.configure(MailboxRecipientsPerDay=0)
    world.start_services(sending_limits=True, run_lease=timedelta(minutes=5))
    events = world.skype_meetings(50)
    sent = []

    async def note():
        sent.append(world.clock.now())

    async def die():
        world.steps.is_dead = True
        raise Crash("update")

    world.tenant.on("update", *[note] * 25, die, *[note] * 50)
    await world.ask()
    world.clock.advance(90 * MINUTE)
    await world.deliver()
    assert 20 < len(sent) < 30
    lost = await world.users.read(KEY)
    freed = replace(lost.value, current=replace(lost.value.current, lease_until_at=world.clock.now()))
    await world.users.save(freed, lost, publish=False)
    await world.runs.wake(Wake(user=KEY, wake_id=lost.value.wake_id))
    await world.assert_migrated_once(events)
    assert all(later - earlier >= MINUTE for earlier, later in zip(sent, sent[30:], strict=False))


# -- at night ---------------------------------------------------------------------------------------------------------------


async def _night(world, days):
    archive = MemoryArchive()
    world.clock.advance(days * DAY)
    await Retention(world.parts, archive).night()
    day = world.clock.now().strftime("%Y%m%d")
    return [json.loads(line) async for line in archive.lines(day)]


async def test_what_ended_150_days_ago_is_exported_and_purged(world):
    """Runs and meetings as lines of JSON; status, counters, ledger and originals are gone."""
    world.skype_meetings(2)
    await world.ask()
    await world.until_quiet()
    assert await _night(world, 149) == []
    lines = await _night(world, 2)
    assert [line["kind"] for line in lines] == ["run", "meeting", "meeting"]
    assert (lines[0]["State"], lines[0]["user"], lines[1]["verdict"]) == ("Succeeded", USER, "migrated")
    assert await world.record() is None
    assert await world.users.runs_of(KEY) == []
    assert await world.ledger.entries(KEY) == []
    assert await world.ledger.originals(KEY) == []
    assert sum((await world.users.counts()).values()) == 0


async def test_originals_of_a_user_who_goes_on_having_runs_leave_by_their_own_age(world):
    """Only what nobody has written for 150 days; the meetings' rows of a run that has left are exported with it."""
    old, new = world.skype_meetings(2)
    later = world.tenant.events.pop(new.event_id)
    await world.ask()
    await world.until_quiet()
    del world.tenant.events[old.event_id]  # held, and gone from the calendar since
    assert await _night(world, 100) == []
    world.tenant.add(replace(later, start_at=NOW + 200 * DAY, end_at=NOW + 200 * DAY + 60 * MINUTE))
    await world.ask()
    await world.until_quiet()
    assert len(await world.ledger.originals(KEY)) == 2
    lines = await _night(world, 51)
    assert [(each["kind"], each.get("eventId")) for each in lines] == [("run", None), ("meeting", old.event_id)]
    assert [each.event_id for each in await world.ledger.originals(KEY)] == [new.event_id]
    assert [each.event_id for each in await world.ledger.entries(KEY)] == [new.event_id]
    assert (await world.record()).current.state is State.SUCCEEDED


async def test_a_run_that_is_started_again_and_again_keeps_no_original_for_longer(world):
    """Its own age counts, not the run's; the rows that tell what became of the run's meetings stay with it."""
    first, second = world.skype_meetings(2)
    world.tenant.on("updated", *[PermanentError(code="MeetingRejected")])
    await world.ask()
    await world.until_quiet()
    assert await world.state() is State.FAILED
    originals = await world.ledger.originals(KEY)
    world.clock.advance(100 * DAY)
    await world.queries.retry(USER, actor=None)
    await world.until_quiet()
    assert await _night(world, 51) == []
    left = {each.event_id for each in await world.ledger.originals(KEY)}
    assert {each.event_id for each in originals} == {first.event_id, second.event_id}
    assert left == set()
    assert {each.event_id for each in await world.ledger.entries(KEY)} == {first.event_id, second.event_id}


async def test_history_goes_and_the_user_stays(world):
    """Only the old run of a user with a new one, and what it alone has written."""
    world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    world.clock.advance(140 * DAY)
    await world.ask()
    await world.until_quiet()
    lines = await _night(world, 12)
    assert [line["kind"] for line in lines] == ["run", "meeting"]
    assert len(await world.users.runs_of(KEY)) == 1
    assert await world.record() is not None
    assert (await world.ledger.entries(KEY), await world.ledger.originals(KEY)) == ([], [])


async def test_a_user_leaves_whose_undo_and_the_request_behind_it_were_both_cancelled(world):
    """Both runs are exported: one as late as the other."""
    world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    world.clock.advance(DAY)
    await world.queries.undo(USER, (), actor=None)
    await world.ask()
    runs = (await world.record()).runs
    assert (len(runs), runs[0].undo) == (2, True)
    assert (await world.queries.cancel(USER)).run_id == runs[1].run_id  # the undo had been told to nobody
    assert [run.state for run in (await world.record()).runs] == [State.CANCELLED] * 2
    assert await _night(world, 148) == []
    lines = await _night(world, 3)
    assert Counter(line["kind"] for line in lines) == {"run": 3, "meeting": 1}
    assert {each.run_id for each in runs} < {line.get("CorrelationId") for line in lines}
    assert await world.record() is None
    assert await world.users.runs_of(KEY) == []


async def test_what_waits_or_was_retried_is_never_purged(world):
    """However old the request is."""
    await world.ask(not_before_at=NOW + 400 * DAY)
    assert await _night(world, 300) == []
    assert await world.state() is State.PENDING


async def test_old_decisions_and_poisoned_messages_go_too(world):
    """And newer ones stay."""
    await world.recovery.poisoned("rubbish")
    await world.configure(SettleMinutes=1)
    world.clock.advance(100 * DAY)
    await world.recovery.poisoned("more rubbish")
    await _night(world, 60)
    assert [each["text"] for each in await world.documents.list("poison")] == ["more rubbish"]
    assert await world.documents.list("configChange") == []


async def test_what_was_remembered_so_that_it_counts_once_is_forgotten_after_its_time(world):
    """Ids of events and contents, notices, and searches that are done; not one day before nobody can repeat them."""
    claims = {"event": "at", "handled": "at", "content": "at", "job": "doneAt", "notice": "at"}
    for kind, field in claims.items():
        await world.documents.put(kind, "old", {field: NOW.isoformat()})
        await world.documents.put(kind, "new", {field: (NOW + 25 * DAY).isoformat()})
    await world.documents.put("job", "at work", {"beatAt": NOW.isoformat()})
    await _night(world, 29)
    assert None not in [await world.documents.get(kind, "old") for kind in claims]
    await _night(world, 2)
    kept = [kind for kind in claims if await world.documents.get(kind, "old") is not None]
    assert kept == ["notice"], "it is kept as long as its run"
    assert None not in [await world.documents.get(kind, "new") for kind in claims]
    assert await world.documents.get("job", "at work") is not None
    await _night(world, 130)
    assert await world.documents.get("notice", "old") is None


async def test_claims_outlive_every_replay(world):
    """The setting cannot be shorter than what may still come again."""
    assert timedelta(days=LEAST_CLAIM_DAYS) > max(TOLERANCE, KEPT, LONGEST_DELAY)
    with pytest.raises(BadInput):
        await world.configure(ClaimRetentionDays=LEAST_CLAIM_DAYS - 1)


async def test_a_repaired_counter_is_said(world, monkeypatch):
    """In the log and among the documents."""
    wrong = Recount(shard="s07", said=dict.fromkeys(State, 0), found={**dict.fromkeys(State, 0), State.FAILED: 2})

    async def recount():
        return [wrong]

    monkeypatch.setattr(world.users, "recount", recount)
    assert await Retention(world.parts, MemoryArchive()).recount() == 1
    (kept,) = await world.documents.list("repair")
    assert (kept["shard"], kept["said"]["Failed"], kept["found"]["Failed"]) == ("s07", 0, 2)


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_a_purge_that_is_broken_off_is_done_the_next_night(world, steps):
    """Nothing is left over, and nothing is exported under another name."""
    from functional_support import Crash

    world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    world.clock.advance(200 * DAY)
    world.steps.crashes[len(world.steps.names) + steps] = "before"
    archive = MemoryArchive()
    try:
        await Retention(world.parts, archive).night()
    except Crash:
        world.steps.is_dead = False
        await Retention(world.parts, archive).night()
    assert await world.record() is None
    day = world.clock.now().strftime("%Y%m%d")
    assert len([line async for line in archive.lines(day)]) == 2
