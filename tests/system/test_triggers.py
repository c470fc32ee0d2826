"""From what an administrator does to the tenant to calendar, outbox and status, with nobody calling our API between."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from system_stack import AUDIO_CONFERENCING, Stack, User

GUEST = "zoe@fabrikam.example"
TEAMS_ONLY = {"policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
LICENSED = {"plans": [AUDIO_CONFERENCING]}


def _teams_meeting(stack: Stack, user: User, **more: Any) -> str:
    """A Teams meeting as Graph makes it, with the dial-in that the user has now."""
    made = stack.graph(
        "POST",
        f"users/{user.id}/events",
        {
            "subject": "Weekly",
            "start": {"dateTime": "2031-03-03T09:00:00", "timeZone": "UTC"},
            "end": {"dateTime": "2031-03-03T10:00:00", "timeZone": "UTC"},
            "body": {"contentType": "html", "content": "<html><body><p>Hello&nbsp;all</p></body></html>"},
            "isOnlineMeeting": True,
            "onlineMeetingProvider": "teamsForBusiness",
            "attendees": [{"type": "required", "emailAddress": {"address": GUEST}}],
            **more,
        },
    )
    return str(made["id"])


def _body(stack: Stack, user: User, event_id: str) -> str:
    return str(stack.event(user, event_id)["body"]["content"])


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isdigit())


def _act(stack: Stack, name: str, user: User | None = None, **more: Any) -> None:
    stack.tenant("POST", f"actions/{name}", {**({"user": user.name} if user else {}), **more})


def _decisions(stack: Stack, **query: str) -> list[dict[str, Any]]:
    text = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    answer = stack.api("GET", f"decisions?{text}", token="reader")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["value"])


def _decided(stack: Stack, user: User, rule: str, answer: str = "ignore") -> dict[str, Any]:
    """Wait until something about a user was decided by a rule."""
    return stack.until(lambda: _decisions(stack, identity=user.id, rule=rule, answer=answer))[0]


@pytest.mark.shows("T1", "T2", "T9")
def test_moves_and_grants_turn_skype_meetings_into_teams_meetings(stack: Stack) -> None:
    """T1, T2 and T9 in both modes: one run, one update, and the reason in the status."""
    users = {
        rule: stack.user(homed="onPremises" if rule in ("T1", "T2") else "online") for rule in ("T1", "T2", "T9", "T9b")
    }
    events = {rule: stack.skype_meeting(user, attendees=(GUEST,)) for rule, user in users.items()}
    stack.forget_mails()

    _act(stack, "moveUser", users["T1"], direction="toCloud", moveToTeams=True)
    _act(stack, "moveUser", users["T2"], direction="toCloud", moveToTeams=False)
    _act(stack, "grantPolicy", users["T9"], **TEAMS_ONLY)
    _act(stack, "grantPolicy", users["T9b"], policy="TeamsUpgradePolicy", mode="SfBWithTeamsCollabAndMeetings")

    for rule, user in users.items():
        rows = stack.finished(user)
        assert [(row["State"], row["MigrationType"]) for row in rows] == [("Succeeded", "AllToTeams")], rule
        assert [reason.partition(" ")[0] for reason in rows[0]["Reasons"]] == [rule[:2]]
        assert stack.event(user, events[rule]["id"])["isOnlineMeeting"] is True
        assert "teams.microsoft.com" in _body(stack, user, events[rule]["id"])
        assert [(mail["reason"], mail["recipients"]) for mail in stack.mails(user)] == [("update", [GUEST])]
        decision = _decided(stack, user, rule[:2], "request")
        assert decision["correlationId"] == rows[0]["CorrelationId"]
        assert decision["proof"] in ("token", "audit")


@pytest.mark.shows("T3", "T4", "T5", "T6", "T7", "T8")
def test_dial_in_changes_refresh_the_invitations(stack: Stack) -> None:
    """T3 (both ways) to T8: each finds its user, and the refreshed invitation goes out once."""
    number = f"+1 425-555-{random.randint(1000, 9999)}"
    rules = ("T3", "T3removed", "T4", "T5", "T6", "T7", "T8")
    plans = {rule: [] if rule == "T3" else [AUDIO_CONFERENCING] for rule in rules}
    audio = {
        "T4": {"provider": "thirdParty"},
        "T8": {"provider": "microsoft", "tollNumber": number},
    }
    users = {
        rule: stack.user(plans=plans[rule], audioConferencing=audio.get(rule, {"provider": "microsoft"}))
        for rule in rules
    }
    bystander = stack.user(plans=[AUDIO_CONFERENCING])
    aside = _teams_meeting(stack, bystander)
    events = {rule: _teams_meeting(stack, user) for rule, user in users.items()}
    for rule, user in (*users.items(), ("bystander", bystander)):
        if rule != "T3":  # a licence that is younger than our subscription counts as assigned
            stack.finished(user)
    stack.forget_mails()
    untouched = stack.event(bystander, aside)["@odata.etag"]

    _act(stack, "assignLicense", users["T3"], **LICENSED)
    _act(stack, "removeLicense", users["T3removed"], **LICENSED)
    _act(stack, "setAudioConferencing", users["T4"], provider="microsoft")
    _act(stack, "setAudioConferencing", users["T5"], enabled=False)
    _act(stack, "setAudioConferencing", users["T6"], conferenceId="987654321")
    _act(stack, "setAudioConferencing", users["T7"], bridge="Tokyo", tollNumber="+81 3-4579-5000")

    mailed, shown = {}, {}
    for rule, user in users.items():
        if rule == "T8":  # only now: of a mailbox in which a run works, the search must think that it has the number
            _act(stack, "unassignNumber", number=number, replacement="+1 425-555-9999")
        rows = stack.finished(user, runs=1 if rule == "T3" else 2)
        assert rows[0]["State"] == "Succeeded", (rule, rows[0])
        assert [reason.partition(" ")[0] for reason in rows[0]["Reasons"]] == [rule[:2]]
        assert rows[0]["MigrationType"] == "ToSameType"
        mailed[rule] = [mail["reason"] for mail in stack.mails(user)]
        shown[rule] = _body(stack, user, events[rule])
    assert mailed == {rule: ["update"] for rule in rules}
    assert {rule: "tel:" in body for rule, body in shown.items()} == {
        rule: rule not in ("T3removed", "T5") for rule in rules
    }
    assert "987654321" in _digits(shown["T6"])
    assert "81345795000" in _digits(shown["T7"])
    assert "14255559999" in _digits(shown["T8"])
    assert _digits(number) not in _digits(shown["T8"])
    assert len(stack.status(bystander)) == 1, "its invitations do not carry the number"
    assert stack.mails(bystander) == []
    assert stack.event(bystander, aside)["@odata.etag"] == untouched


@pytest.mark.shows("T8")
def test_number_that_one_changed_occurrence_carries_is_found_there(stack: Stack) -> None:
    """T8 by the body of its own that an occurrence has; its series shows another number, and is left as it is."""
    gone, kept = (f"+1 425-555-{place}{random.randint(100, 999)}" for place in "12")
    audio = {"provider": "microsoft", "tollNumber": kept}
    carrier, other = (stack.user(plans=[AUDIO_CONFERENCING], audioConferencing=audio) for _ in range(2))
    every_week = {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
        "range": {"type": "numbered", "startDate": "2031-03-03", "numberOfOccurrences": 5},
    }
    masters = {user.id: _teams_meeting(stack, user, recurrence=every_week) for user in (carrier, other)}
    for user in (carrier, other):
        stack.finished(user)  # a licence that is younger than our subscription counts as assigned
    span = "startDateTime=2031-03-01T00:00:00Z&endDateTime=2031-04-30T00:00:00Z"
    path = f"users/{carrier.id}/events"
    occurrence = stack.all("GET", f"{path}/{quote(masters[carrier.id], safe='')}/instances?{span}")[2]["id"]
    series = _body(stack, carrier, masters[carrier.id])
    edited = series.replace(kept, gone).replace(f"+{_digits(kept)}", f"+{_digits(gone)}")
    assert edited != series
    change = {"body": {"contentType": "html", "content": edited}}
    stack.graph("PATCH", f"{path}/{quote(occurrence, safe='')}", change)
    stack.forget_mails()

    _act(stack, "unassignNumber", number=gone, replacement=kept)

    assert stack.finished(carrier, runs=2)[0]["Reasons"] == ["T8 NumberUnassigned"]
    assert _digits(gone) not in _digits(_body(stack, carrier, occurrence))
    assert _digits(kept) in _digits(_body(stack, carrier, occurrence))
    assert _body(stack, carrier, masters[carrier.id]) == series
    assert [(mail["eventId"], mail["reason"]) for mail in stack.mails(carrier)] == [(occurrence, "update")]
    assert (len(stack.status(other)), stack.mails(other)) == (1, [])


@pytest.mark.shows("N1", "N2", "N4", "N5", "N6", "W3", "W4")
def test_what_is_no_trigger_is_recorded_and_disturbs_nobody(stack: Stack) -> None:
    """N1 to N6, W3, W4 and T6's condition: ignored by its rule, no run, no mail."""
    users = {
        rule: stack.user(homed="onPremises" if rule == "N6" else "online")
        for rule in ("N1", "N4", "N5", "N6", "W3", "W4")
    }
    events = {user.id: stack.skype_meeting(user, attendees=(GUEST,)) for user in users.values()}
    stack.forget_mails()

    _act(stack, "changeSipAddress", users["N1"], sip=f"new.{users['N1'].name}")
    _act(stack, "changeMeetingUrl", url="https://meet.contoso.example/new")
    _act(stack, "grantPolicy", users["N4"], policy="TeamsUpgradePolicy", mode="SfBOnly")
    _act(stack, "grantPolicy", users["N5"], **TEAMS_ONLY, migrateMeetingsToTeams=False)
    _act(stack, "grantPolicy", users["N6"], **TEAMS_ONLY)
    _act(stack, "moveUser", users["W3"], direction="toOnPremises")
    _act(stack, "setAudioConferencing", users["W4"], provider="thirdParty")
    for rule in ("N4", "N5", "N6", "W3", "W4"):
        decision = _decided(stack, users[rule], rule)
        assert (decision["outcome"], decision["correlationId"]) == ("ignore", None)
    stack.until(lambda: _decisions(stack, rule="N1"))
    stack.until(lambda: _decisions(stack, rule="N2"))

    # The provider is remembered: what changes now is left alone, too (W4).
    _act(stack, "assignLicense", users["W4"], **LICENSED)
    stack.until(
        lambda: [each for each in _decisions(stack, identity=users["W4"].id) if each["what"] == "mms.license.changed"]
    )
    assert {each["rule"] for each in _decisions(stack, identity=users["W4"].id)} == {"W4"}

    for user in users.values():
        assert stack.status(user) == []
        assert stack.mails(user) == []
        assert stack.event(user, events[user.id]["id"])["@odata.etag"] == events[user.id]["@odata.etag"]


@pytest.mark.shows("T6")
def test_conference_id_of_a_user_without_public_meetings_is_no_trigger(stack: Stack) -> None:
    """T6's condition: each of such a user's meetings has an id of its own, so the invitations stay right."""
    private, public = (
        stack.user(plans=[AUDIO_CONFERENCING], audioConferencing={"provider": "microsoft", "publicMeetings": each})
        for each in (False, True)
    )
    for user in (private, public):
        _teams_meeting(stack, user)
        stack.finished(user)  # a licence that is younger than our subscription counts as assigned
        _act(stack, "setAudioConferencing", user, conferenceId="987654321")
    assert _decided(stack, private, "T6")["outcome"] == "ignore"
    assert stack.finished(public, runs=2)[0]["Reasons"] == ["T6 ConferenceIdChanged"]
    assert len(stack.status(private)) == 1


TROUBLE = "<p class=MsoNormal>Trouble Joining?"
PHONE = (
    "<p class=MsoNormal>Join by phone</p>\r\n<p class=MsoNormal>Toll number: +1 (555) 555-0100</p>\r\n"
    "<p class=MsoNormal>Passcode: 123456</p>\r\n"
    '<p class=MsoNormal><a href="https://www.intercall.example/l/dial-in-number-lookup.php">Find a local number</a></p>'
)
"""Dial-in of another provider, as its users' invitations carry it."""


def _with_other_provider(stack: Stack, user: User) -> str:
    """A Skype meeting whose block carries another provider's numbers."""
    made = stack.skype_meeting(user, attendees=(GUEST,))
    content = made["body"]["content"].replace(TROUBLE, PHONE + TROUBLE)
    assert PHONE in content
    changed = {"body": {"contentType": "html", "content": content}}
    stack.graph("PATCH", f"users/{user.id}/events/{quote(made['id'], safe='')}", changed)
    return str(made["id"])


@pytest.mark.shows("W4")
def test_another_providers_users_are_left_alone_until_the_setting_replaces_it(stack: Stack, config: Any) -> None:
    """W4: their numbers stay; with AutomaticallyReplaceAcpProvider and the licence the same grant replaces them."""
    kept, replaced, unlicensed = (stack.user(plans=plans) for plans in ([AUDIO_CONFERENCING],) * 2 + ([],))
    users = (kept, replaced, unlicensed)
    events = {user.id: _with_other_provider(stack, user) for user in users}
    for user in (kept, replaced):  # a licence that is younger than our subscription counts as assigned
        stack.finished(user)
    for user in users:
        _act(stack, "setAudioConferencing", user, provider="thirdParty")
        _decided(stack, user, "W4")
    stack.forget_mails()

    _act(stack, "grantPolicy", kept, **TEAMS_ONLY)
    stack.until(lambda: _grants(stack, kept))
    stack.start(kept, settleMinutes=0)  # an administrator may ask; the invitation still stays
    stack.finished(kept, runs=2)
    assert [(row["verdict"], row["rule"]) for row in stack.meetings(kept)] == [("skipped", "W4")]
    config(AutomaticallyReplaceAcpProvider=True)
    for user in (replaced, unlicensed):
        _act(stack, "grantPolicy", user, **TEAMS_ONLY)
        stack.until(lambda user=user: _grants(stack, user))
    stack.finished(replaced, runs=2)

    assert {user.id: _grants(stack, user) for user in users} == {
        kept.id: [("W4", "ignore")],
        replaced.id: [("T9", "request")],
        unlicensed.id: [("W4", "ignore")],
    }
    bodies = {user.id: stack.event(user, events[user.id])["body"]["content"] for user in users}
    assert ["intercall" in bodies[user.id] for user in users] == [True, False, True]
    assert "teams.microsoft.com" in bodies[replaced.id]
    assert [len(stack.mails(user)) for user in users] == [0, 1, 0]


def _grants(stack: Stack, user: User) -> list[tuple[str, str]]:
    rows = _decisions(stack, identity=user.id)
    return [(each["rule"], each["answer"]) for each in rows if each["what"] == "mms.policy.granted"]


def test_provider_that_becomes_microsoft_lets_the_other_ones_numbers_go(stack: Stack) -> None:
    """T4 refreshes what is Teams' at once; a Skype meeting's old numbers go with its migration, setting or not."""
    user = stack.user(plans=[AUDIO_CONFERENCING])
    teams, skype = _teams_meeting(stack, user), _with_other_provider(stack, user)
    stack.finished(user)
    _act(stack, "setAudioConferencing", user, provider="thirdParty", tollNumber="+1 555-555-0100")
    _decided(stack, user, "W4")
    stack.forget_mails()
    _act(stack, "setAudioConferencing", user, provider="microsoft", tollNumber="+1 425-555-0199")
    assert "T4 ProviderChanged" in stack.finished(user, runs=2)[0]["Reasons"]
    assert "425" in stack.event(user, teams)["body"]["content"]
    assert "intercall" in stack.event(user, skype)["body"]["content"]
    stack.start(user, settleMinutes=0)
    stack.finished(user, runs=3)
    assert "intercall" not in stack.event(user, skype)["body"]["content"]
    assert sorted(mail["eventId"] for mail in stack.mails(user)) == sorted([teams, skype])


@pytest.mark.shows("W2")
def test_mailbox_on_premises_is_refused_before_any_work(stack: Stack) -> None:
    """W2: terminal, with a remedy, and not one retry."""
    user = stack.user(mailbox="onPremises")
    stack.forget_mails()
    _act(stack, "grantPolicy", user, **TEAMS_ONLY)
    row = stack.finished(user)[0]
    assert (row["State"], row["Rule"], row["RetryCount"]) == ("Failed", "W2", 0)
    assert "MailboxOnPremises" in row["LastMessage"]
    assert "Remedy" in row["LastMessage"]
    assert _decided(stack, user, "W2", "refuse")["outcome"] == "MailboxOnPremises"
    assert stack.mails(user) == []


@pytest.mark.shows("N7", "N8", "X1", "X2", "X3")
def test_off_means_off(stack: Stack, config: Any) -> None:
    """N7 stops everything, N8 the dial-in triggers only; a switch its own kind, a list its users."""
    first, second, third, denied, later = users = [stack.user() for _ in range(5)]
    events = {user.id: stack.skype_meeting(user, attendees=(GUEST,)) for user in users}
    stack.forget_mails()
    config(MeetingMigrationEnabled=False)
    _act(stack, "grantPolicy", first, **TEAMS_ONLY)
    _decided(stack, first, "N7")
    assert stack.start(first)["code"] == "MigrationDisabled"
    config(MeetingMigrationEnabled=True, AutomaticallyMigrateUserMeetings=False)
    _act(stack, "assignLicense", second, **LICENSED)
    _decided(stack, second, "N8")
    _act(stack, "grantPolicy", second, **TEAMS_ONLY)
    assert stack.finished(second)[0]["Reasons"] == ["T9 PolicyGranted"]
    config(AutomaticallyMigrateUserMeetings=True, TriggerT3=False, DeniedUsers=[denied.name])
    _act(stack, "assignLicense", third, **LICENSED)
    _decided(stack, third, "X1")
    _act(stack, "grantPolicy", denied, **TEAMS_ONLY)
    _decided(stack, denied, "X2")
    assert stack.start(denied)["code"] == "UserExcluded"
    config(DeniedUsers=[], PilotPercentage=0)
    _act(stack, "grantPolicy", later, **TEAMS_ONLY)
    _decided(stack, later, "X3")
    left_alone = (first, third, denied, later)
    assert [stack.status(user) for user in left_alone] == [[]] * 4
    assert [len(stack.mails(user)) for user in users] == [0, 1, 0, 0, 0]
    assert [
        user for user in left_alone
        if stack.event(user, events[user.id]["id"])["@odata.etag"] != events[user.id]["@odata.etag"]
    ] == []  # fmt: skip


def test_lists_of_groups_say_whom_it_touches(stack: Stack, config: Any) -> None:
    """X2 for members, nested ones included; by hand as well, and for work that waits already."""
    pilot, inner, frozen = (str(uuid.uuid4()) for _ in range(3))
    stack.tenant("POST", "groups", {"id": inner, "memberOf": [pilot]})
    member, nested, outsider, denied, waiting = (
        stack.user(groups=groups) for groups in ([pilot], [inner], [], [inner, frozen], [pilot])
    )
    for user in (member, nested, outsider, denied, waiting):
        stack.skype_meeting(user, attendees=(GUEST,))
    stack.forget_mails()
    config(AllowedGroups=[pilot], DeniedGroups=[frozen.upper()])
    due = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
    stack.start(User(waiting.id, waiting.id), settleMinutes=0, notBefore=due)
    for user in (member, nested, outsider, denied):
        _act(stack, "grantPolicy", user, **TEAMS_ONLY)
    _act(stack, "setGroups", waiting, groups=[pilot, frozen])
    for user in (outsider, denied):
        assert _decided(stack, user, "X2")["outcome"] == "ignore"
        assert stack.status(user) == []
    stack.start(outsider, settleMinutes=0)
    for user in (member, nested):
        assert stack.finished(user)[0]["State"] == "Succeeded"
    refused, stopped = stack.finished(outsider)[0], stack.finished(waiting)[0]
    assert (refused["State"], refused["Code"]) == ("Failed", "UserExcluded")
    assert (stopped["State"], stopped["Code"]) == ("Skipped", "UserExcluded")
    assert [len(stack.mails(user)) for user in (member, nested, outsider, denied, waiting)] == [1, 1, 0, 0, 0]


@pytest.mark.shows("T11")
def test_video_interop_is_by_hand_unless_the_tenant_wants_it(stack: Stack, config: Any) -> None:
    """T11: seen by the sweep; ignored, or after its delay refreshed."""
    by_hand, automatic = stack.user(), stack.user()
    events = {user.id: _teams_meeting(stack, user) for user in (by_hand, automatic)}
    stack.forget_mails()
    _sweep(stack)  # both have been seen without a partner
    _act(stack, "setCvi", by_hand, policy="PexipServiceProviderEnabled")
    _sweep(stack)
    _decided(stack, by_hand, "T11")
    config(TriggerT11=True, TriggerT11DelayMinutes=0)
    _act(stack, "setCvi", automatic, policy="PexipServiceProviderEnabled")
    _sweep(stack)
    row = stack.finished(automatic)[0]
    assert (row["State"], row["Reasons"]) == ("Succeeded", ["T11 VideoInteropChanged"])
    assert stack.status(by_hand) == []
    assert {user.id: "pexip" in _body(stack, user, events[user.id]).lower() for user in (by_hand, automatic)} == {
        by_hand.id: False,
        automatic.id: True,
    }
    assert [mail["reason"] for mail in stack.mails(automatic)] == ["update"]
    assert stack.mails(by_hand) == []


def _sweep(stack: Stack) -> None:
    """Let a whole sweep begin and end. The third listing of all users from now on belongs to the one after it."""
    host = stack.ready["api"].removesuffix("/api")
    before = _listings(stack)

    def is_over() -> bool:
        assert stack.http.post(f"{host}/admin/functions/reconcile", json={}).status_code == 202
        return _listings(stack) >= before + 3

    stack.until(is_over)


def _listings(stack: Stack) -> int:
    return int(stack.tenant("GET", "stats")["requests"].get("GET users", 0))


@pytest.mark.shows("N3")
def test_tenant_wide_grant_is_ignored_and_starts_the_discovery(stack: Stack) -> None:
    """N3: nobody is migrated, everybody concerned is listed, and the list can be posted back."""
    user, idle = stack.user(), stack.user()
    events = [stack.skype_meeting(user, attendees=(GUEST,), days=days) for days in (3, 5)]
    stack.forget_mails()
    try:
        _act(stack, "grantPolicy", tenant=True, **TEAMS_ONLY)
        stack.until(lambda: _decisions(stack, rule="N3"))

        def listed() -> dict[str, Any] | None:
            answer = stack.api("GET", "discovery?top=1000", token="reader").json()
            return answer if any(row["userId"] == user.id for row in answer["value"]) else None

        found = stack.until(listed)
        row = next(row for row in found["value"] if row["userId"] == user.id)
        assert (row["identity"], row["meetings"], row["reason"]) == (user.name, 2, "N3 PolicyGrantedTenantWide")
        assert idle.id not in {row["userId"] for row in found["value"]}
        assert stack.status(user) == []
        assert stack.mails(user) == []
        assert [stack.event(user, each["id"])["@odata.etag"] for each in events] == [
            each["@odata.etag"] for each in events
        ]
        request = next(each for each in found["requests"] if user.id in each["identities"])
        assert stack.api("POST", "migrations", {**request, "identities": [user.id]}).status_code == 202
        assert stack.finished(user)[0]["SucceededMeeting"] == 2
        assert listed() is None
    finally:
        _act(stack, "grantPolicy", tenant=True, policy="TeamsUpgradePolicy", mode="Islands")


def test_profile_edit_costs_one_read_and_causes_nothing(stack: Stack) -> None:
    """The subscription fires for everything; comparing is cheap."""
    user = stack.user()
    stack.until(lambda: _reads(stack, user) >= 2)  # first sight: directory and Teams
    stack.tenant("DELETE", "traffic")
    _act(stack, "editProfile", user)
    stack.until(lambda: _reads(stack, user) >= 1)
    time.sleep(1)
    assert _reads(stack, user) == 1
    assert stack.status(user) == []
    assert _decisions(stack, identity=user.id) == []


def _reads(stack: Stack, user: User) -> int:
    lines = stack.http.get(f"{stack.ready['tenant']}/traffic").text.splitlines()
    return sum(
        user.id in line or user.name in line
        for line in lines
        if f"/users/{user.id}" in line or "userConfigurations/" in line
    )


@pytest.mark.parametrize("licence_first", [True, False], ids=["licence, move", "move, licence"])
def test_licence_and_move_are_one_migration(stack: Stack, licence_first: bool) -> None:  # noqa: FBT001
    """In either order, inside the settling time."""
    user = stack.user(homed="onPremises")
    stack.skype_meeting(user, attendees=(GUEST,))
    stack.forget_mails()
    actions = [("assignLicense", LICENSED), ("moveUser", {"direction": "toCloud", "moveToTeams": True})]
    for name, more in actions if licence_first else reversed(actions):
        _act(stack, name, user, **more)
    rows = stack.finished(user)
    assert len(rows) == 1
    assert {reason.partition(" ")[0] for reason in rows[0]["Reasons"]} == {"T1", "T3"}
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]


def test_campaign_with_lost_duplicated_and_reordered_notifications_ends_as_without(stack: Stack) -> None:
    """Done when 2: after one sweep there are the same runs, each once."""
    dice = random.Random(7)
    kinds = [
        ("assignLicense", LICENSED, "T3"),
        ("grantPolicy", TEAMS_ONLY, "T9"),
        ("grantPolicy", {**TEAMS_ONLY, "migrateMeetingsToTeams": False}, None),
        ("editProfile", {}, None),
    ]
    plan = [(stack.user(), *dice.choice(kinds)) for _ in range(24)]
    before = stack.tenant("GET", "switches")
    stack.tenant("PATCH", "switches", {"duplicateNotifications": True, "reorderNotifications": True})
    try:
        for user, name, more, _ in plan:
            stack.tenant("PATCH", "switches", {"loseNotifications": dice.random() < 0.2})
            _act(stack, name, user, **more)
    finally:
        names = ("duplicateNotifications", "reorderNotifications", "loseNotifications")
        stack.tenant("PATCH", "switches", {name: before[name] for name in names})
    _sweep(stack)
    for user, _, _, rule in plan:
        if rule is not None:
            stack.finished(user)
    ended = {
        user.id: [[r.partition(" ")[0] for r in row["Reasons"]] for row in stack.status(user)] for user, *_ in plan
    }
    assert ended == {user.id: [[rule]] if rule else [] for user, _, _, rule in plan}


def test_each_event_is_accepted_once(stack: Stack) -> None:
    """A repeated id is no second trigger, and a bad event names its field without spoiling the others."""
    user = stack.user()
    good = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/scripts/test",
        "type": "mms.policy.granted",
        "data": {"user": user.name, **TEAMS_ONLY},
    }
    bad = {**good, "id": "bad", "data": {"user": user.name, "policy": "TeamsUpgradePolicy", "mode": 5}}
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    other = stack.user()
    encoded = base64.b64encode(json.dumps({**good["data"], "user": other.name}).encode()).decode()
    in_base64 = {**good, "id": str(uuid.uuid4()), "data": None, "data_base64": encoded}
    of_grid = {**good, "id": "grid", "type": "Microsoft.Graph.UserUpdated", "subject": f"Users/{user.id}", "data": {}}
    answer = stack.api("POST", "events", [good, bad, in_base64, {**in_base64, "data_base64": "!"}, of_grid], **headers)
    assert answer.status_code == 202
    rows = answer.json()["value"]
    assert [row["status"] for row in rows] == ["accepted", "refused", "accepted", "refused", "accepted"]
    assert (rows[1]["field"], rows[3]["field"]) == ("data.mode", "data_base64")
    assert stack.finished(other)[0]["Reasons"] == ["T9 PolicyGranted"]
    assert stack.api("POST", "events", [good], **headers).json()["value"][0]["status"] == "duplicate"
    assert len(stack.finished(user)) == 1
    assert len(_decisions(stack, identity=user.id)) == 1


def test_unsigned_and_badly_signed_events_are_refused(stack: Stack) -> None:
    """A signature that no key made is a 401, whatever else is right."""
    body = json.dumps({"specversion": "1.0", "id": "1", "source": "s", "type": "mms.user.sipaddresschanged"})
    moment = str(int(time.time()))
    digest = hmac.new(b"wrong key", f"m1.{moment}.{body}".encode(), hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/cloudevents+json",
        "webhook-id": "m1",
        "webhook-timestamp": moment,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    answer = stack.http.post(f"{stack.ready['api']}/events", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "Unauthorized")


@pytest.mark.shows("T10")
def test_everything_is_recorded_and_can_be_asked_for(stack: Stack) -> None:
    """Who, when, with which proof, by which rule, and the run that it became part of; by user, rule, reason and time."""
    began = datetime.now(UTC)
    asked, ignored = stack.user(), stack.user()
    stack.start(asked, settleMinutes=30)
    _act(stack, "grantPolicy", asked, **TEAMS_ONLY)
    _act(stack, "grantPolicy", ignored, policy="TeamsUpgradePolicy", mode="Islands")
    _decided(stack, ignored, "N4")
    granted = _decided(stack, asked, "T9", "request")
    manual = _decided(stack, asked, "T10", "request")
    (row,) = stack.status(asked)
    assert {reason.partition(" ")[0] for reason in row["Reasons"]} == {"T9", "T10"}
    assert {granted["correlationId"], manual["correlationId"]} == {row["CorrelationId"]}
    assert (manual["what"], manual["proof"], granted["proof"]) == ("POST migrations", "token", "audit")
    assert manual["actor"]
    assert began.isoformat() <= manual["at"] <= granted["at"]

    def found(**query: str) -> set[str]:
        return {each["id"] for each in _decisions(stack, identity=asked.name, **query)}

    both = {manual["id"], granted["id"]}
    assert found() == found(correlationId=row["CorrelationId"]) == both
    assert found(reason="manual") == found(rule="t10") == {manual["id"]}
    assert found(endTime=granted["at"]) == {manual["id"]}
    assert found(startTime=granted["at"]) == {granted["id"]}
    assert found(answer="ignore") == set()
    for rule, is_there in (("T9", True), ("T10", True), ("T3", False)):
        rows = stack.api("GET", f"migrations?reason={rule}&top=1000", token="reader").json()["value"]
        assert (row["CorrelationId"] in {each["CorrelationId"] for each in rows}) is is_there
    assert stack.api("POST", f"migrations/{asked.id}/cancel").status_code == 202
    csv = stack.api("GET", f"decisions?identity={ignored.id}", token="reader", Accept="text/csv").text
    assert csv.splitlines()[0].startswith("at,what,answer,rule,reason")
    assert ",N4," in csv
