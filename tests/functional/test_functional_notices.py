"""Organizers are told before and after a run, administrators what failed: each once, and never at the run's cost."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest
from functional_support import KEY, NAME
from meeting_values import NOW, USER

from mms_core.errors import NotFound, OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError
from mms_core.messages import Notice, TenantEvent
from mms_core.model import State
from mms_core.service import Noticing
from mms_core.service.upkeep.noticing import notice_key
from mms_core.service.upkeep.posting import APART, place_in_line

SENDER = "notices@contoso.example"


@pytest.fixture
def told(world):
    """A world whose deployment names a sender."""
    world.start_services(notice_sender=SENDER)
    return world


async def _announced_and_cancelled(world):
    """Ask for a user with one meeting, let the first letter leave, and cancel."""
    world.skype_meetings(1)
    await world.ask()
    await world.deliver()
    await world.queries.cancel(USER)


async def _say_again(world, kind):
    run = await world.run()
    await world.dispatch(Notice(user=KEY, run=run.run_id, notice=kind))


async def test_an_organizer_is_told_before_and_after(told):
    """What, when, and what is not kept (R8); then what was done."""
    events = told.skype_meetings(3, subject="Review <b>&")
    await told.ask()
    await told.deliver()
    (before,) = told.tenant.letters
    assert (before.sender, before.to) == (SENDER, (NAME,))
    assert before.html.count("Review &lt;b&gt;&amp;") == 3
    assert f"{NOW + timedelta(minutes=90):%Y-%m-%d %H:%M} (UTC)" in before.html
    assert "Whiteboards, polls" in before.html
    await told.until_quiet()
    await told.assert_migrated_once(events)
    _, after = told.tenant.letters
    assert after.to == (NAME,)
    assert after.html.count("<li>") == 3
    assert "complete" in after.subject


async def test_a_notice_is_sent_once_however_often_it_is_delivered(told):
    """At most once is right for letters."""
    told.skype_meetings(1)
    await told.ask()
    await told.deliver()
    for _ in range(3):
        await _say_again(told, "before")
    assert len(told.tenant.letters) == 1
    await told.until_quiet()
    for _ in range(3):
        await _say_again(told, "after")
    assert len(told.tenant.letters) == 2


async def test_nobody_is_told_without_a_sender_or_when_switched_off(world):
    """Both are needed; the switch is read when the letter would be sent."""
    world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    assert world.tenant.letters == []
    world.start_services(notice_sender=SENDER)
    await world.configure(AutomaticallySendEmailsToUsers=False)
    world.skype_meetings(3)
    await world.ask()
    await world.until_quiet()
    assert world.tenant.letters == []
    assert "send" not in world.tenant.calls


async def test_nobody_is_told_about_nothing(told):
    """A calendar without such meetings gets no letter."""
    await told.ask()
    await told.until_quiet()
    assert await told.state() is State.SUCCEEDED
    assert told.tenant.letters == []


@pytest.mark.parametrize(
    "problem", [PermanentError(code="MailboxAccessDenied"), OutcomeUnknown(), NotFound()], ids=["403", "unknown", "404"]
)
async def test_a_letter_that_cannot_be_sent_is_not_tried_again_and_disturbs_no_run(told, problem):
    """It may have arrived, or never will."""
    events = told.skype_meetings(2)
    told.tenant.on("send", problem)
    await told.ask()
    await told.deliver()
    await _say_again(told, "before")
    assert told.tenant.letters == []
    await told.until_quiet()
    await told.assert_migrated_once(events)
    run = await told.run()
    assert (run.state, run.retries) == (State.SUCCEEDED, 0)


async def test_a_letter_that_was_surely_not_sent_is_tried_again(told):
    """Throttled before it was taken: the message comes back."""
    told.skype_meetings(1)
    told.tenant.on("send", TemporaryError(code="Throttled", retry_after=timedelta(minutes=5)))
    await told.ask()
    await told.deliver()
    assert told.tenant.letters == []
    told.clock.advance(timedelta(minutes=6))
    await told.deliver()
    assert len(told.tenant.letters) == 1


async def test_a_letter_about_what_will_be_is_not_sent_when_it_has_been(told):
    """A queue that lags tells nobody tomorrow's news about yesterday."""
    told.skype_meetings(1)
    await told.ask()
    notices = [each for each in told.queue.messages if isinstance(each[1], Notice)]
    told.queue.messages = [each for each in told.queue.messages if not isinstance(each[1], Notice)]
    await told.until_quiet()
    letters = list(told.tenant.letters)
    for _, message in notices:
        await told.dispatch(message)
    assert [letter.subject for letter in letters] == [letter.subject for letter in told.tenant.letters]
    assert len(letters) == 1, "the one after the run"


async def test_whoever_was_told_that_it_comes_is_told_that_it_does_not(told):
    """Cancelled before any work."""
    await _announced_and_cancelled(told)
    await told.until_quiet()
    assert ["cancelled" in each.html for each in told.tenant.letters] == [False, True]
    assert told.tenant.mails == []


async def _retry(world):
    world.clock.advance(timedelta(minutes=1))
    await world.queries.retry(USER)
    await world.until_quiet()


def _cancelled(world):
    """Which of the letters say that the run was cancelled."""
    return ["cancelled" in each.html for each in world.tenant.letters]


async def test_a_cancellation_while_the_first_letter_leaves_is_told_as_well(told):
    """It may arrive after all, and would be the last word."""
    told.skype_meetings(1)
    await told.ask()

    async def cancel():
        await told.queries.cancel(USER)
        notices = [each for each in told.queue.visible() if isinstance(each, Notice)]
        for each in notices:
            await told.dispatch(each)

    told.tenant.on("send", cancel)
    await told.until_quiet()
    assert sorted(_cancelled(told)) == [False, True]


async def test_whoever_was_told_that_it_does_not_come_is_told_when_it_comes_after_all(told):
    """A run that is started afresh ends a second time; once more, however often that is delivered."""
    await _announced_and_cancelled(told)
    await told.until_quiet()
    await _retry(told)
    await told.configure(NoticeAfterBody="Other words: $result")
    told.skype_meetings(2)
    for _ in range(3):
        await _say_again(told, "before")
        await _say_again(told, "after")
    assert _cancelled(told) == [False, True, False]
    assert "complete" in told.tenant.letters[-1].subject


@pytest.mark.parametrize("call", ["send", "user"])
async def test_a_slow_letter_does_not_take_back_what_was_told_since(told, call):
    """Its run was started afresh and ended meanwhile; the second ending is told once, however often it is delivered."""
    await _announced_and_cancelled(told)
    told.tenant.on(call, lambda: _retry(told))
    await told.until_quiet()
    for _ in range(3):
        await _say_again(told, "after")
    expected = [False, False, True] if call == "send" else [False, False]
    assert sorted(_cancelled(told)) == expected, "what has not left when it is outdated does not leave"


async def test_an_ending_is_told_although_the_letter_before_is_noted_only_now(told):
    """Whoever told of the first ending writes into the row that was read for the second one."""
    await _announced_and_cancelled(told)
    await told.until_quiet()
    await told.configure(AutomaticallySendEmailsToUsers=False)
    await _retry(told)
    await told.configure(AutomaticallySendEmailsToUsers=True)
    key = notice_key((await told.run()).run_id, "after")

    async def note():
        row = await told.documents.get("notice", key)
        await told.documents.put("notice", key, {**row.value, "state": "unknown"})

    told.tenant.on("user", note)
    await _say_again(told, "after")
    assert _cancelled(told) == [False, True, False]


async def test_a_retry_that_ends_as_before_is_no_news(told):
    """Administrators may try a failure again and again; its organizer is told what is new."""
    fine, bad = told.skype_meetings(2, subject="Review")
    told.tenant.edit(bad.event_id, subject="Budget")

    def refuse():
        raise PermanentError(code="MeetingRejected")

    told.tenant.on("update", None, *[refuse] * 3)
    await told.ask()
    await told.until_quiet()
    assert await told.state() is State.FAILED
    assert len(told.tenant.letters) == 2
    for _ in range(2):
        await _retry(told)
        await _say_again(told, "after")
        assert await told.state() is State.FAILED
        assert len(told.tenant.letters) == 2
    await _retry(told)
    assert await told.state() is State.SUCCEEDED
    assert len(told.tenant.letters) == 3
    assert told.tenant.letters[-1].html.count("<li>") == 1, "only what this one has changed"
    assert [told.tenant.mails_of(each.event_id) for each in (fine, bad)] == [1, 1]


async def test_a_wish_that_joins_announces_nothing_anew(told):
    """The run has one letter before it, however often that is delivered afterwards."""
    told.skype_meetings(1)
    await told.ask()
    await told.deliver()
    told.clock.advance(timedelta(minutes=1))
    await told.ask()
    await _say_again(told, "before")
    assert len(told.tenant.letters) == 1


async def test_another_meeting_that_changed_is_news_although_the_same_one_was_left_out(told):
    """The result and what is left out are as before, and the invitation went out all the same."""
    told.skype_meetings(1)
    told.tenant.on("update", *[PermanentError(code="MeetingRejected")] * 2)
    await told.ask()
    await told.until_quiet()
    told.skype_meetings(2)
    await _retry(told)
    assert await told.state() is State.FAILED
    assert len(told.tenant.letters) == 3
    assert told.tenant.letters[-1].html.count("<li>") == 2, "one changed, one left out"


async def test_an_ending_that_was_no_news_stays_none_when_a_later_run_has_looked(told):
    """The ledger has one row a meeting, and it is the later run's by then."""
    told.skype_meetings(1)
    told.tenant.on("update", *[PermanentError(code="MeetingRejected")] * 2)
    await told.ask()
    await told.until_quiet()
    await _retry(told)
    earlier = await told.run()
    assert len(told.tenant.letters) == 2
    told.clock.advance(timedelta(minutes=1))
    await told.ask()
    await told.until_quiet()
    assert await told.state() is State.SUCCEEDED
    letters = len(told.tenant.letters)
    await told.dispatch(Notice(user=KEY, run=earlier.run_id, notice="after"))
    assert len(told.tenant.letters) == letters


async def test_what_was_told_as_left_out_is_told_to_be_in_order(told):
    """Also where nothing was announced, and without naming what is no longer left out."""
    (bad,) = told.skype_meetings(1)
    told.tenant.on("update", PermanentError(code="MeetingRejected"))
    await told.ask()
    told.queue.messages = [each for each in told.queue.messages if not isinstance(each[1], Notice)]
    await told.until_quiet()
    (first,) = told.tenant.letters
    assert "Not updated" in first.html
    del told.tenant.events[bad.event_id]
    await _retry(told)
    assert await told.state() is State.SUCCEEDED
    _, second = told.tenant.letters
    assert "complete." in second.html
    assert "Not updated" not in second.html
    assert "stay the same" not in second.html, "it is not about any meeting"


async def test_a_letter_that_was_refused_has_told_nobody(told):
    """The same ending of a run that was started afresh is news to whoever got no letter about the first."""
    told.skype_meetings(1)
    told.tenant.on("update", *[PermanentError(code="MeetingRejected")] * 2)
    await told.ask()
    await told.deliver()
    told.tenant.on("send", PermanentError(code="MailboxAccessDenied"))
    await told.until_quiet()
    assert len(told.tenant.letters) == 1
    await _say_again(told, "after")
    assert len(told.tenant.letters) == 1
    await _retry(told)
    assert len(told.tenant.letters) == 2
    assert "Not updated" in told.tenant.letters[-1].html


async def test_a_postponed_letter_does_not_make_old_news_new(told):
    """What was told last stays what was told last until another letter has left."""
    told.skype_meetings(1)
    told.tenant.on("update", *[PermanentError(code="MeetingRejected")] * 2)
    await told.ask()
    await told.until_quiet()
    assert len(told.tenant.letters) == 2
    told.clock.advance(timedelta(minutes=1))
    await told.queries.retry(USER)
    told.tenant.on("send", TemporaryError(code="Throttled", retry_after=timedelta(minutes=5)))
    await told.queries.cancel(USER)
    await told.deliver()
    assert len(told.tenant.letters) == 2
    await _retry(told)
    assert await told.state() is State.FAILED
    assert len(told.tenant.letters) == 2


async def test_what_an_earlier_version_has_told_is_not_told_again(told):
    """Its rows name neither the ending nor the news."""
    told.skype_meetings(1)
    await told.ask()
    await told.until_quiet()
    run = await told.run()
    for kind in ("before", "after"):
        key = notice_key(run.run_id, kind)
        row = await told.documents.get("notice", key)
        kept = {name: row.value[name] for name in ("state", "at", "user")}
        await told.documents.put("notice", key, kept)
        await _say_again(told, kind)
    assert len(told.tenant.letters) == 2


async def test_a_claim_whose_answer_was_lost_is_ours(told, monkeypatch):
    """The storage SDK repeats the write, and is refused because the first one has succeeded."""
    told.skype_meetings(1)
    put = type(told.documents).put

    async def put_and_lose(documents, kind, key, value, *, etag=None):
        new = await put(documents, kind, key, value, etag=etag)
        if kind == "notice":
            raise PreconditionLost("document")
        return new

    monkeypatch.setattr(type(told.documents), "put", put_and_lose)
    await told.ask()
    await told.until_quiet()
    for kind in ("before", "after"):
        await _say_again(told, kind)
    assert len(told.tenant.letters) == 2


async def test_a_name_that_becomes_known_is_told_as_well(told):
    """The request was for a name; the notice waits until somebody knows whose it is."""
    told.skype_meetings(1)
    await told.ask(NAME)
    await told.until_quiet()
    assert len(told.tenant.letters) == 2


async def test_templates_of_the_tenant_replace_ours(told):
    """Names are filled in, values are escaped, the rest stays as it was written."""
    await told.configure(
        NoticeBeforeSubject="$count für $user", NoticeBeforeBody="<h1>Hallo</h1>$meetings<i>$notKept</i> $$5"
    )
    told.skype_meetings(1, subject="<script>")
    await told.ask()
    await told.deliver()
    (letter,) = told.tenant.letters
    assert letter.subject == f"1 für {NAME}"
    assert letter.html.startswith("<h1>Hallo</h1><ul><li>&lt;script&gt;")
    assert letter.html.endswith("</i> $5")


async def test_the_digest_groups_failures_by_cause_once(told):
    """Whom which cause stopped, with the remedy; the next one has only what is new."""
    await told.configure(FailureDigestRecipients=["Admin@contoso.example"])
    digest = Noticing(told.parts)
    assert await digest.digest() == 0
    told.tenant.on("candidates", *[PermanentError(code="MailboxOnPremises")] * 2)
    await told.ask()
    await told.until_quiet()
    assert await told.state() is State.FAILED
    told.clock.advance(timedelta(minutes=1))
    assert await digest.digest() == 1
    letter = told.tenant.letters[-1]
    assert letter.to == ("admin@contoso.example",)
    assert "MailboxOnPremises (1 users): The mailbox is not in Exchange Online" in letter.html
    assert NAME in letter.html
    told.clock.advance(timedelta(days=1))
    assert await digest.digest() == 0
    assert sum("failures" in each.subject for each in told.tenant.letters) == 1


async def test_a_digest_that_could_not_be_sent_is_part_of_the_next(told):
    """Nothing that failed is forgotten because Graph was busy."""
    await told.configure(FailureDigestRecipients=["admin@contoso.example"])
    told.tenant.on("candidates", *[PermanentError(code="MailboxOnPremises")] * 2)
    await told.ask()
    await told.until_quiet()
    told.clock.advance(timedelta(minutes=1))
    told.tenant.on("send", TemporaryError())
    assert await Noticing(told.parts).digest() == 0
    told.clock.advance(timedelta(hours=1))
    assert await Noticing(told.parts).digest() == 1


GRANTED = TenantEvent(
    event_id="contoso|1",
    type="mms.policy.granted",
    data={"user": NAME, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"},
    actor="script",
)


async def _notices(world):
    """Deliver what tells organizers before their runs, and nothing else."""
    for message in [each for _, each in world.queue.messages if isinstance(each, Notice)]:
        await world.dispatch(message)


@pytest.mark.parametrize(
    "changes",
    [
        {"PilotPercentage": 0},
        {"TriggerT9": False},
        {"MeetingMigrationEnabled": False},
        {"DeniedUsers": [NAME]},
        {"AllowedUsers": ["bob@contoso.example"]},
        {"AutomaticallySendEmailsToUsers": False},
        {"SharedMailboxPolicy": "report"},
    ],
    ids=lambda each: next(iter(each)),
)
async def test_nobody_is_told_of_a_run_that_the_settings_hold_back_by_now(told, changes):
    """Neither that it comes nor that it does not: it ends without a word to the organizer."""
    told.skype_meetings(2)
    told.tenant.kind = "shared"
    await told.dispatch(GRANTED)
    await told.configure(**changes)
    await told.until_quiet()
    assert told.tenant.mails == [] or "AutomaticallySendEmailsToUsers" in changes
    assert told.tenant.letters == []


async def test_an_organizer_outside_the_pilot_is_told_of_what_an_administrator_asked_for(told):
    """The pilot does not hold for T10, and so neither for its letters."""
    told.skype_meetings(1)
    await told.configure(PilotPercentage=0)
    await told.ask()
    await told.until_quiet()
    assert len(told.tenant.letters) == 2


async def test_whoever_was_told_hears_that_the_pilot_goes_on_without_them(told):
    """A promise that is not kept is explained."""
    told.skype_meetings(1)
    await told.dispatch(GRANTED)
    await _notices(told)
    await told.configure(PilotPercentage=0)
    await told.until_quiet()
    assert (await told.run()).code == "NotInPilot"
    assert len(told.tenant.letters) == 2


async def test_the_letter_names_the_hour_at_which_the_window_opens(told):
    """The run is due when it is due, and waits for the window all the same."""
    told.skype_meetings(1)
    await told.dispatch(GRANTED)
    opens = (NOW + timedelta(hours=9)).replace(minute=0, second=0, microsecond=0)
    await told.configure(MaintenanceHours=f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}")
    await _notices(told)
    (before,) = told.tenant.letters
    assert f"{opens:%Y-%m-%d %H:%M} (UTC)" in before.html


async def test_letters_stand_in_line_before_exchanges_limits_of_their_sender(world):
    """A mailbox sends 30 messages a minute: of 200 organizers who are due together everyone is told, and once."""
    line = [await place_in_line(world.parts, 1, limit=10_000) for _ in range(200)]
    assert line[0] == world.clock.now()
    assert all(sum(at <= each < at + timedelta(minutes=1) for each in line) <= 30 for at in line)
    assert line[-1] - line[0] < timedelta(minutes=8)


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_a_senders_recipients_of_any_24_hours_stay_within_its_limit(world, limit):
    """Whatever the letters are: to one, or to all administrators."""
    dice = random.Random(limit)
    line = []
    for _ in range(120):
        count = dice.randint(1, min(limit, 5))
        line.append((await place_in_line(world.parts, count, limit=limit), count))
        if dice.random() < 0.2:
            world.clock.advance(timedelta(minutes=dice.uniform(0, 300)))
    for at, _ in line:
        assert sum(count for each, count in line if at <= each < at + timedelta(days=1)) <= limit


async def test_a_letter_larger_than_the_limit_has_its_turn_when_nothing_else_was_sent(world):
    """It must not wait for ever."""
    first = await place_in_line(world.parts, 1, limit=3)
    later = await place_in_line(world.parts, 5, limit=3)
    assert timedelta(days=1) < later - first < timedelta(hours=27)


async def _ask_behind(told, letters):
    """Ask for a user whose organizer is to be told when so many letters stand in line already."""
    told.start_services(notice_sender=SENDER, sending_limits=True)
    for _ in range(letters):
        await place_in_line(told.parts, 1, limit=0)
    told.skype_meetings(1)
    await told.ask()
    await told.deliver()


async def test_a_letter_whose_turn_is_later_comes_back_then_and_is_planned_anew(told):
    """Else a sender over its limit is told by Exchange alone, and organizers are told nothing."""
    await _ask_behind(told, 10)
    assert told.tenant.letters == []
    (waiting,) = [(due, each) for due, each in told.queue.messages if isinstance(each, Notice)]
    assert waiting[1].place_at
    told.skype_meetings(2, subject="came meanwhile")
    told.clock.advance(timedelta(seconds=30))
    await told.deliver()
    (letter,) = told.tenant.letters
    assert letter.html.count("came meanwhile") == 2


async def test_a_letter_that_waits_is_not_sent_after_notices_were_switched_off(told):
    """Off means off for queued work, too."""
    await _ask_behind(told, 10)
    await told.configure(AutomaticallySendEmailsToUsers=False)
    told.clock.advance(timedelta(minutes=5))
    await told.deliver()
    assert told.tenant.letters == []


async def test_hosts_that_take_places_at_once_get_different_ones(world):
    """They meet in one row."""
    line = await asyncio.gather(*(place_in_line(world.parts, 1, limit=10_000) for _ in range(15)))
    assert len(set(line)) == len(line)


async def test_a_letter_that_would_come_after_its_run_takes_no_place_from_others(told):
    """In a large tenant the letters before runs would keep those after them waiting for days, and be dropped themselves."""
    await _ask_behind(told, 3000)
    assert told.tenant.letters == []
    assert not [each for _, each in told.queue.messages if isinstance(each, Notice)]
    place = await place_in_line(told.parts, 1, limit=0)
    assert place - NOW == 3000 * APART, "nobody was given it"


async def test_letters_whose_places_passed_while_nobody_worked_stand_in_line_again(told):
    """Else all of them would be sent in the first second after a stop of the app."""
    told.start_services(notice_sender=SENDER, sending_limits=True)
    told.skype_meetings(1)
    await told.ask()
    run = await told.run()
    told.queue.messages = [each for each in told.queue.messages if not isinstance(each[1], Notice)]
    told.clock.advance(timedelta(minutes=30))
    for _ in range(10):
        await place_in_line(told.parts, 1, limit=0)
    passed = (told.clock.now() - timedelta(minutes=20)).isoformat()
    await told.dispatch(Notice(user=KEY, run=run.run_id, notice="before", place_at=passed))
    assert told.tenant.letters == []
    told.clock.advance(timedelta(seconds=30))
    await told.deliver()
    assert len(told.tenant.letters) == 1
