"""Dry runs and validations: what they ask, what they show, and that they write nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import NAME
from meeting_values import NOW, USER, online_meeting, skype_event, teams_event

from mms_core.adapters.memory import MemoryArchive
from mms_core.block import decode_join_information
from mms_core.errors import BadInput, NotFound, PermanentError, TemporaryError
from mms_core.meetings import Attendee
from mms_core.model import Selection, Source, State, Target, TeamsFacts, UserKey
from mms_core.service import Previews
from mms_core.service.running.previews import Asked
from mms_core.service.upkeep.retention import Retention
from mms_core.settings import TEAMS_PLAN

GROUP = "99998888-0000-4000-8000-000000000001"
READS = {"user", "candidates", "series", "find", "mailbox_kind", "providers", "configuration", "member_of"}


async def _asked(world, **more):
    values = {"key": UserKey(USER), "identity": NAME, "source": Source.ALL, "target": Target.TEAMS}
    previews = Previews(world.parts)
    made = await previews.ask(Asked(**{**values, **more}))
    await world.until_quiet()
    assert set(world.tenant.calls) <= READS
    assert world.tenant.mails == []
    return await previews.read(made)


async def _validated(world):
    shown = await _asked(world, validate_only=True)
    assert shown["state"] == "ready"
    return shown, {each["check"]: each for each in shown["findings"]}


def _license(world, *plans):
    world.tenant.add_user(USER, NAME, plans=frozenset(plans))


# -- the lists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lists", [{"DeniedUsers": [NAME]}, {"AllowedUsers": ["other@contoso.example"]}, {"DeniedGroups": [GROUP]}]
)
async def test_a_preview_asks_the_lists(world, lists):
    """A user who may not be touched gets no plan: nobody looks at the calendar."""
    world.skype_meetings(1)
    world.tenant.groups = frozenset({GROUP})
    await world.configure(**lists)
    shown = await _asked(world)
    assert (shown["state"], shown["code"], shown["meetings"]) == ("failed", "UserExcluded", [])
    assert "candidates" not in world.tenant.calls


async def test_a_preview_of_an_allowed_user_is_made(world):
    """By a group as well."""
    world.skype_meetings(1)
    world.tenant.groups = frozenset({GROUP})
    await world.configure(AllowedGroups=[GROUP])
    assert [each["verdict"] for each in (await _asked(world))["meetings"]] == ["migrate"]


async def test_a_subject_that_was_cut_inside_an_emoji_spoils_no_preview(world):
    """Exchange keeps halves of surrogate pairs."""
    (event,) = world.skype_meetings(1)
    world.tenant.edit(event.event_id, subject="cut \ud83d")
    shown = await _asked(world)
    assert [(each["verdict"], each["subject"]) for each in shown["meetings"]] == [("migrate", "cut \ud83d")]


# -- people outside --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("externals", "expected"), [("include", {1, 2}), ("exclude", {1}), ("only", {2})])
async def test_meetings_with_external_attendees_are_listed_or_left_out(world, externals, expected):
    """By the request; who is external stands in each row."""
    inside, outside = world.tenant.add(
        skype_event(1, attendees=(Attendee(address="yan@contoso.example"),)), skype_event(2)
    )
    numbers = {inside.event_id: 1, outside.event_id: 2}
    shown = await _asked(world, selections=(Selection(externals=externals),))
    assert {numbers[each["eventId"]] for each in shown["meetings"]} == expected


# -- shared mailboxes and rooms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings", "writes"),
    [
        ("shared", {"SharedMailboxPolicy": "report"}, False),
        ("shared", {"RoomMailboxPolicy": "report"}, True),
        ("room", {"RoomMailboxPolicy": "report"}, False),
        ("equipment", {"RoomMailboxPolicy": "report"}, False),
        ("user", {"SharedMailboxPolicy": "report", "RoomMailboxPolicy": "report"}, True),
        ("shared", {}, True),
    ],
)
async def test_a_mailbox_under_the_policy_to_report_is_planned_and_not_written(world, kind, settings, writes):
    """The plan is recorded in the ledger, under its own rule."""
    events = world.tenant.add(skype_event(1), teams_event(2))
    world.tenant.kind = kind
    await world.configure(**settings)
    await world.ask(source=Source.SFB)
    await world.until_quiet()
    assert len(world.tenant.mails) == writes
    assert await world.state() is State.SUCCEEDED
    entry = await world.entry(events[0])
    if writes:
        assert entry.verdict == "migrated"
    else:
        assert (entry.verdict, entry.code, entry.rule, entry.detail) == ("skipped", "ReportOnly", "X4", "would migrate")
        assert (await world.run()).last_message == "1 skipped (X4 1)."
        assert "create_or_get" not in world.tenant.calls


async def test_without_such_a_policy_nobody_asks_what_kind_of_mailbox_it_is(world):
    """A request saved for every run."""
    world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    assert "mailbox_kind" not in world.tenant.calls


async def test_a_mailbox_whose_kind_cannot_be_read_is_not_written_under_such_a_policy(world):
    """It might be one that must not be."""
    world.skype_meetings(1)
    await world.configure(SharedMailboxPolicy="report")
    world.tenant.on("mailbox_kind", PermanentError(code="MailboxSettingsDenied"))
    await world.ask()
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code, world.tenant.mails) == (State.FAILED, "MailboxSettingsDenied", [])


async def test_a_preview_under_the_policy_to_report_shows_the_plan(world):
    """As it would be, and says that it will not be carried out."""
    world.skype_meetings(1)
    world.tenant.kind = "shared"
    await world.configure(SharedMailboxPolicy="report")
    shown = await _asked(world)
    assert ([each["verdict"] for each in shown["meetings"]], shown["reportOnly"]) == (["migrate"], True)
    await Previews(world.parts).apply(shown["id"], actor="admin")
    await world.until_quiet()
    assert world.tenant.mails == []


# -- validation --------------------------------------------------------------------------------------------------------


async def test_a_user_for_whom_all_is_ready_passes_every_check(world):
    """Each check by name, and no meeting is looked at."""
    world.skype_meetings(1)
    _license(world, TEAMS_PLAN, "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40")
    world.tenant.teams = TeamsFacts(user_id=USER, account_type="user", inherited_mode="TeamsOnly")
    shown, found = await _validated(world)
    assert (shown["isValid"], shown["userId"], shown["validateOnly"], shown["meetings"]) == (True, USER, True, [])
    assert {check: each["result"] for check, each in found.items()} == dict.fromkeys(
        (
            "identity",
            "settings",
            "lists",
            "teamsLicence",
            "audioConferencing",
            "teams",
            "mailbox",
            "mailboxKind",
            "onlineMeetings",
        ),
        "pass",
    )
    assert (found["mailboxKind"]["detail"], found["teams"]["detail"]) == ("user", "mode TeamsOnly")
    assert "candidates" not in world.tenant.calls
    with pytest.raises(BadInput, match="InvalidState"):
        await Previews(world.parts).apply(shown["id"], actor="admin")


@pytest.mark.parametrize(
    ("call", "exc", "check", "code"),
    [
        ("providers", PermanentError(code="MailboxOnPremises"), "mailbox", "MailboxOnPremises"),
        ("providers", PermanentError(code="MailboxAccessDenied"), "mailbox", "MailboxAccessDenied"),
        ("find", PermanentError(code="OnlineMeetingsDenied"), "onlineMeetings", "OnlineMeetingsDenied"),
    ],
)
async def test_what_graph_refuses_is_a_finding_with_its_remedy(world, call, exc, check, code):
    """And the checks after it go on."""
    _license(world, TEAMS_PLAN)
    world.tenant.on(call, exc)
    shown, found = await _validated(world)
    assert shown["isValid"] is False
    assert (found[check]["result"], found[check]["code"]) == ("fail", code)
    assert found[check]["remedy"]
    assert found["onlineMeetings"]["result"] == ("pass" if check == "mailbox" else "fail")


@pytest.mark.parametrize(("has_way_around", "result"), [(True, "warning"), (False, "fail")])
async def test_a_missing_access_policy_is_a_warning_where_exchange_can_make_the_meetings(world, has_way_around, result):
    """Route A; without it nothing can be migrated."""
    _license(world, TEAMS_PLAN)
    world.tenant.makes_teams = has_way_around
    world.tenant.on("find", PermanentError(code="AppAccessPolicyMissing"))
    shown, found = await _validated(world)
    assert (found["onlineMeetings"]["result"], shown["isValid"]) == (result, has_way_around)
    assert found["onlineMeetings"]["code"] == "AppAccessPolicyMissing"


async def test_settings_licences_and_homing_are_checked(world):
    """Everything that is wrong at once, not the first thing only."""
    _license(world)
    world.tenant.teams = TeamsFacts(user_id=USER, account_type="sfbOnPremUser")
    world.tenant.kind = "shared"
    await world.configure(MeetingMigrationEnabled=False, DeniedUsers=[NAME], SharedMailboxPolicy="report")
    _, found = await _validated(world)
    assert {check: (each["result"], each["code"]) for check, each in found.items() if each["code"]} == {
        "settings": ("fail", "MigrationDisabled"),
        "lists": ("fail", "UserExcluded"),
        "teamsLicence": ("fail", "TeamsLicenceMissing"),
        "audioConferencing": ("warning", "NoDialIn"),
        "teams": ("fail", "HomedOnPremises"),
        "mailboxKind": ("fail", "ReportOnly"),
    }


async def test_an_unknown_user_is_the_only_finding(world):
    """There is nothing else to check."""
    shown = await _asked(world, identity="nobody@contoso.example", key=UserKey("name-1"), validate_only=True)
    assert (shown["isValid"], shown["userId"]) == (False, None)
    assert [(each["check"], each["code"]) for each in shown["findings"]] == [("identity", "UserNotFound")]


async def test_a_validation_that_graph_did_not_answer_is_done_again(world):
    """A busy moment is no finding."""
    _license(world, TEAMS_PLAN)
    world.tenant.on("find", TemporaryError())
    shown, _ = await _validated(world)
    assert shown["isValid"] is True
    assert world.clock.now() - NOW >= timedelta(minutes=2)


# -- what an order would do -----------------------------------------------------------------------------------------------


async def _migrated(world, *events):
    made = world.tenant.add(*events)
    await world.ask()
    await world.until_quiet()
    return made, len(world.tenant.mails)


async def _planned(world, action, **more):
    previews = Previews(world.parts)
    made = await previews.ask(Asked(**{
        "key": UserKey(USER), "identity": USER, "source": Source.ALL, "target": Target.CURRENT, "action": action, **more,
    }))  # fmt: skip
    await world.until_quiet()
    return await previews.read(made)


async def test_an_undo_is_planned_meeting_by_meeting_and_writes_nothing(world):
    """What goes back, what somebody has edited since, and exactly who would get mail; then the undo does that."""
    (kept, edited, gone), mails = await _migrated(world, skype_event(1), skype_event(2), skype_event(3))
    now = world.tenant.events[edited.event_id]
    world.tenant.events[edited.event_id] = replace(now, body=now.body.replace("</body>", "<p>My notes</p></body>"))
    del world.tenant.events[gone.event_id]
    shown = await _planned(world, "undo")
    assert (shown["action"], shown["state"], len(world.tenant.mails)) == ("undo", "ready", mails)
    rows = {row["eventId"]: row for row in shown["meetings"]}
    assert {each: (row["verdict"], row["code"]) for each, row in rows.items()} == {
        kept.event_id: ("restore", None),
        edited.event_id: ("fail", "EditedSince"),
        gone.event_id: ("fail", "Deleted"),
    }
    row = rows[kept.event_id]
    assert (row["before"]["kind"], row["after"]["kind"], row["updates"]) == ("teams", "skype", 1)
    assert row["oldBlock"] in world.tenant.events[kept.event_id].body
    assert row["newBlock"] in kept.body
    assert shown["mailTo"] == sorted(each.address for each in kept.attendees)
    assert (shown["writes"], shown["updates"], shown["recipients"]) == (1, 1, len(shown["mailTo"]))
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert len(world.tenant.mails) == mails + shown["updates"]


async def test_an_undo_of_some_meetings_is_planned_for_those(world):
    """By their events' ids."""
    (first, _), _ = await _migrated(world, skype_event(1), skype_event(2))
    shown = await _planned(world, "undo", event_ids=(first.event_id,))
    assert [row["eventId"] for row in shown["meetings"]] == [first.event_id]


async def test_a_meeting_that_is_back_already_is_no_mail(world):
    """An undo that was broken off, or an intent that was never carried out."""
    (event,), _ = await _migrated(world, skype_event(1))
    world.tenant.events[event.event_id] = replace(world.tenant.events[event.event_id], body=event.body)
    shown = await _planned(world, "undo")
    assert ([row["verdict"] for row in shown["meetings"]], shown["updates"], shown["mailTo"]) == (["current"], 0, [])


async def test_a_retry_is_planned_as_the_run_was_asked_for(world):
    """With its own types and narrowing, which its kind does not tell."""
    first, _ = world.tenant.add(skype_event(1), skype_event(2))
    world.tenant.on("candidates", *[PermanentError(code="MailboxAccessDenied")])
    await world.ask(source=Source.SFB, selection=Selection(event_ids=(first.event_id,)))
    await world.until_quiet()
    assert await world.state() is State.FAILED
    shown = await _planned(world, "retry")
    assert (shown["sourceMeetingType"], shown["targetMeetingType"]) == ("SfB", "Teams")
    assert [(row["eventId"], row["verdict"]) for row in shown["meetings"]] == [(first.event_id, "migrate")]
    with pytest.raises(BadInput) as caught:
        await Previews(world.parts).apply(shown["id"], actor=None)
    assert caught.value.code == "InvalidState"


async def test_a_plan_waits_for_the_run_that_is_under_way_and_can_be_applied_behind_it(world):
    """A trigger came in between: the refusal says what to do, and costs nobody the plan."""
    (event,) = world.tenant.add(skype_event(1))
    shown = await _asked(world)
    previews = Previews(world.parts)
    await world.ask()
    with pytest.raises(BadInput) as caught:
        await previews.apply(shown["id"], actor="admin")
    assert caught.value.code == "RunUnderWay"
    assert (await previews.read(shown["id"]))["state"] == "ready"
    await world.queries.cancel(USER)
    await previews.apply(shown["id"], actor="admin")
    await world.until_quiet()
    await world.assert_migrated_once([event])


@pytest.mark.parametrize("is_written", [False, True])
async def test_a_plan_whose_run_storage_did_not_take_can_be_applied_again_and_is_carried_out_once(
    world, monkeypatch, is_written
):
    """Not even where it took it, and only the answer was lost."""
    (event,) = world.tenant.add(skype_event(1))
    shown = await _asked(world)
    previews, real = Previews(world.parts), world.users.save

    async def broken(*args, **more):
        if is_written:
            await real(*args, **more)
        raise TemporaryError(code="StorageUnavailable")

    with monkeypatch.context() as patch:
        patch.setattr(world.users, "save", broken)
        with pytest.raises(TemporaryError):
            await previews.apply(shown["id"], actor="admin")
    assert (await previews.read(shown["id"]))["state"] == "ready"
    if is_written:
        with pytest.raises(BadInput) as caught:
            await previews.apply(shown["id"], actor="admin")
        assert caught.value.code == "RunUnderWay"
        world.clock.advance(timedelta(hours=1))
        await world.recovery.sweep()
    else:
        await previews.apply(shown["id"], actor="admin")
    await world.until_quiet()
    await world.assert_migrated_once([event])


async def test_a_retry_of_an_undo_is_planned_as_an_undo(world):
    """Of the same meetings, and not as a migration."""
    (event, _), _ = await _migrated(world, skype_event(1), skype_event(2))
    world.tenant.on("event", PermanentError(code="MailboxAccessDenied"))
    await world.queries.undo(USER, (event.event_id,), actor=None)
    await world.until_quiet()
    assert await world.state() is State.FAILED
    shown = await _planned(world, "retry")
    assert [(row["eventId"], row["verdict"]) for row in shown["meetings"]] == [(event.event_id, "restore")]


async def test_what_cannot_be_retried_and_who_is_not_known_has_no_plan(world):
    """Refused at once, like the order itself."""
    with pytest.raises(NotFound):
        await _planned(world, "undo")
    await _migrated(world, skype_event(1))
    with pytest.raises(BadInput) as caught:
        await _planned(world, "retry")
    assert caught.value.code == "InvalidState"


async def test_a_preview_can_be_read_without_its_meetings(world):
    """Its numbers stay."""
    world.skype_meetings(2)
    shown = await _asked(world)
    brief = await Previews(world.parts).read(shown["id"], summary_only=True)
    assert brief == {**shown, "meetings": []}
    assert (brief["writes"], brief["updates"]) == (2, 2)


async def test_a_plain_invitation_is_planned_as_plain_text(world):
    """The new block is what would stand there, not markup."""
    plain = decode_join_information(online_meeting("alpha").join_information).text
    world.tenant.add(teams_event(1, content_type="text", body=f"Hello\r\n{plain}\r\n"))
    world.tenant.meetings["alpha"] = online_meeting("alpha", number="+4989123456")
    (row,) = (await _asked(world, source=Source.TEAMS))["meetings"]
    assert (row["contentType"], row["verdict"]) == ("text", "refresh")
    assert "4989123456" in row["newBlock"]
    assert "<div" not in row["newBlock"]


# -- retention -----------------------------------------------------------------------------------------------------------


async def _nights(world, **after):
    world.clock.advance(timedelta(**after))
    await Retention(world.parts, MemoryArchive()).night()


async def test_a_preview_is_removed_with_its_meetings_after_thirty_days(world):
    """It holds addresses and parts of invitations."""
    world.skype_meetings(3)
    shown = await _asked(world)
    await _nights(world, days=29)
    assert len((await Previews(world.parts).read(shown["id"]))["meetings"]) == 3
    await _nights(world, days=2)
    with pytest.raises(NotFound):
        await Previews(world.parts).read(shown["id"])
    assert await world.documents.list(f"preview-{shown['id']}") == []
    assert await world.documents.list("preview") == []


async def test_a_shorter_retention_holds_for_previews_too(world):
    """What the tenant keeps for a week, it keeps for a week."""
    shown = await _asked(world)
    await world.configure(RetentionDays=7)
    await _nights(world, days=8)
    with pytest.raises(NotFound):
        await Previews(world.parts).read(shown["id"])


async def test_a_preview_that_a_run_still_carries_out_is_kept(world):
    """It waits for its window, or for a retry."""
    (event,) = world.tenant.add(skype_event(1, start=NOW + timedelta(days=90)))
    shown = await _asked(world)
    await Previews(world.parts).apply(shown["id"], actor="admin")
    await _nights(world, days=40)
    await world.until_quiet()
    assert world.tenant.mails_of(event.event_id) == 1
    await _nights(world, days=1)
    assert await world.documents.list("preview") == []
