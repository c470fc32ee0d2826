"""What an administrator orders: summary, cancel, retry, undo, the off switch, settings."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from system_stack import Stack, User


def _summary(stack: Stack) -> Counter[str]:
    rows = stack.api("GET", "migrations?summaryOnly=true", token="reader").json()["value"]
    return Counter({row["State"]: row["UserCount"] for row in rows})


def test_summary_counts_what_really_happened(stack: Stack) -> None:
    """Done when 6: one more success, one more failure, one more waiting."""
    before = _summary(stack)
    good, bad, late = stack.user(), stack.user(mailbox="onPremises"), stack.user()
    stack.skype_meeting(good)

    stack.start(good)
    stack.start(bad)
    stack.start(late, settleMinutes=60)
    stack.finished(good)
    rows = stack.finished(bad)
    stack.until(lambda: stack.status(late)[0]["UserId"])
    stack.until(lambda: len(stack.status(late)) == 1)

    assert rows[0]["State"] == "Failed"
    assert rows[0]["RetryCount"] == 0
    assert rows[0]["LastMessage"].startswith("W2 MailboxOnPremises: ")
    after = _summary(stack)
    after.subtract(before)
    assert {state: count for state, count in after.items() if count} == {"Succeeded": 1, "Failed": 1, "Pending": 1}
    assert {"Pending", "InProgress", "Failed", "Succeeded"} <= set(after)


def test_requests_by_name_and_by_id_are_one_run(stack: Stack) -> None:
    """The name is resolved behind the queue; both wishes end in the same row."""
    user = stack.user()
    by_id = stack.api("POST", "migrations", {"identity": user.id, "settleMinutes": 10}).json()["value"][0]

    by_name = stack.start(user, settleMinutes=10)
    sip = stack.api("POST", "migrations", {"identity": f"sip:{user.name}", "settleMinutes": 10}).json()["value"][0]
    rows = stack.until(lambda: _one_run(stack, user, by_id["correlationId"]))

    assert by_id["status"] == "accepted"
    assert {by_name["status"], sip["status"]} <= {"accepted", "merged"}
    assert (rows[0]["State"], rows[0]["MigrationType"]) == ("Pending", "AllToTeams")


def _one_run(stack: Stack, user: User, correlation_id: str) -> list[dict[str, object]] | None:
    rows = stack.status(user)
    return rows if [row["CorrelationId"] for row in rows] == [correlation_id] else None


def test_cancelled_request_writes_nothing(stack: Stack) -> None:
    """Cancel while pending; visible as Cancelled."""
    user = stack.user()
    made = stack.skype_meeting(user)
    stack.start(user, settleMinutes=10)
    stack.until(lambda: stack.status(user)[0]["UserId"])

    stack.order(user, "cancel")

    assert stack.status(user)[0]["State"] == "Cancelled"
    assert stack.api("POST", f"migrations/{quote(user.name)}/cancel").json()["code"] == "InvalidState"
    assert "OutJoinLink" in stack.event(user, made["id"])["body"]["content"]


def test_unknown_user_fails_with_a_remedy_and_can_be_retried(stack: Stack) -> None:
    """LastMessage carries code, cause and remedy."""
    nobody = User("", "nobody-here@contoso.example")
    stack.start(nobody)

    rows = stack.finished(nobody)

    assert rows[0]["State"] == "Failed"
    assert rows[0]["LastMessage"].startswith("UserNotFound: ")
    assert "Remedy: " in rows[0]["LastMessage"]


def test_undo_restores_the_invitation_byte_for_byte(stack: Stack) -> None:
    """One more update, and everything is as it was."""
    user = stack.user()
    made = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    before = stack.event(user, made["id"])
    stack.start(user)
    stack.finished(user)
    stack.forget_mails()

    stack.order(user, "undo")
    rows = stack.finished(user, runs=2)

    assert rows[0]["State"] == "Succeeded", rows[0]
    after = stack.event(user, made["id"])
    assert after["body"]["content"] == before["body"]["content"]
    assert after["locations"] == before["locations"]
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]
    assert stack.api("POST", f"migrations/{quote(user.name)}/undo").status_code == 404


def test_undo_refuses_a_meeting_that_was_edited_since(stack: Stack) -> None:
    """Somebody's edit is worth more than our undo."""
    user = stack.user()
    made = stack.skype_meeting(user)
    stack.start(user)
    stack.finished(user)
    migrated = stack.event(user, made["id"])["body"]["content"]
    edited = migrated.replace("the agenda", "the new agenda")
    stack.graph(
        "PATCH",
        f"users/{user.id}/events/{quote(made['id'], safe='')}",
        {"body": {"contentType": "html", "content": edited}},
    )

    stack.order(user, "undo")
    rows = stack.finished(user, runs=2)

    assert rows[0]["State"] == "Failed"
    assert rows[0]["LastMessage"].startswith("EditedSince")
    assert "new agenda" not in rows[0]["LastMessage"]
    (row,) = stack.meetings(user)
    assert (row["code"], row["message"]) == ("EditedSince", "body")
    assert "the new agenda" in row["difference"]["body"]
    assert "meetup-join" not in row["difference"]["body"]
    assert (row["difference"]["isCut"], row["difference"]["locations"]) == (False, None)
    assert stack.event(user, made["id"])["body"]["content"] == edited


def test_off_means_off_for_queued_work_too(stack: Stack) -> None:
    """N7: switched off after the request was accepted, before it is due."""
    user = stack.user()
    made = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()
    stack.start(user, settleMinutes=0.1)
    try:
        assert stack.api("PATCH", "config", {"MeetingMigrationEnabled": False}).status_code == 200
        rows = stack.finished(user)
        refused = stack.start(user)
    finally:
        assert stack.api("PATCH", "config", {"MeetingMigrationEnabled": True}).status_code == 200

    assert rows[0]["State"] == "Skipped"
    assert (refused["status"], refused["code"]) == ("refused", "MigrationDisabled")
    assert stack.mails(user) == []
    assert "OutJoinLink" in stack.event(user, made["id"])["body"]["content"]


def test_retry_after_a_skip_starts_afresh(stack: Stack) -> None:
    """An administrator may start what was switched off."""
    user = stack.user()
    stack.skype_meeting(user)
    stack.start(user, settleMinutes=10)
    stack.until(lambda: stack.status(user)[0]["UserId"])
    stack.order(user, "cancel")

    stack.order(user, "retry")
    rows = stack.finished(user)

    assert (len(rows), rows[0]["State"], rows[0]["SucceededMeeting"]) == (1, "Succeeded", 1)


def test_settings_are_fenced_and_checked(stack: Stack) -> None:
    """ETag and If-Match; unknown names and wrong types are refused by name."""
    answer = stack.api("GET", "config", token="reader")
    assert answer.json()["SettleMinutes"] == 90
    assert stack.api("PATCH", "config", {"SettleMinutes": 60}, **{"If-Match": '"00"'}).status_code == 412
    wrong = stack.api("PATCH", "config", {"SettleMinutes": "60"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "SettleMinutes")
    unknown = stack.api("PATCH", "config", {"Settle": 60})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "UnknownSetting")


def test_transient_failures_of_graph_are_ridden_out(stack: Stack) -> None:
    """429, 503 and a lost answer after the commit: one update all the same."""
    user = stack.user()
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()
    path = f"/users/{user.id}/events/"
    for fault in (
        {"status": 429, "headers": {"Retry-After": "1.5"}},
        {"status": 503},
        {"status": 504, "when": "afterCommit"},
    ):
        stack.tenant("POST", "faults", {"method": "PATCH", "path": path, "times": 1, **fault})

    stack.start(user)
    rows = stack.finished(user, seconds=90)

    assert rows[0]["State"] == "Succeeded"
    assert (rows[0]["SucceededMeeting"], rows[0]["InvitesUpdate"]) == (1, 1)
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]


def test_list_filters_by_state_and_time_and_pages(stack: Stack) -> None:
    """Newest first, pages by token, CSV on request."""
    users = [stack.user() for _ in range(3)]
    for user in users:
        stack.start(user)
    for user in users:
        stack.finished(user)

    first = stack.api("GET", "migrations?state=Succeeded&top=2", token="reader").json()
    second = stack.api(
        "GET", f"migrations?state=Succeeded&top=2&continuationToken={quote(first['continuationToken'])}", token="reader"
    ).json()

    created = [row["CreateDate"] for row in first["value"] + second["value"]]
    assert len(created) >= 3
    assert created == sorted(created, reverse=True)
    future = stack.api("GET", "migrations?startTime=2090-01-01", token="reader").json()
    assert future["value"] == []
    csv = stack.api("GET", "migrations?top=1", token="reader", Accept="text/csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.text.splitlines()[0].startswith("CorrelationId,CreateDate,FailedMeeting")
    bad = stack.api("GET", "migrations?top=0", token="reader")
    assert (bad.status_code, bad.json()["code"], bad.json()["field"]) == (400, "InvalidParameter", "top")


def test_secondary_calendars_are_looked_at_only_if_the_tenant_wants_it(stack: Stack) -> None:
    """The user's own further calendar by setting; somebody else's never."""
    user = stack.user(
        calendars=[
            {"name": "Project", "canEdit": True},
            {"name": "Shared", "canEdit": True, "owner": {"name": "Zoe", "address": "zoe@contoso.example"}},
        ]
    )
    calendars = stack.graph("GET", f"users/{user.id}/calendars")["value"]
    made = {}
    for name in ("Project", "Shared"):
        (calendar,) = [each["id"] for each in calendars if each["name"] == name]
        made[name] = stack.skype_meeting(user, calendar=calendar)["id"]

    stack.start(user, settleMinutes=0)
    assert stack.finished(user)[0]["TotalMeeting"] == 0
    stack.api("PATCH", "config", {"IncludeSecondaryCalendars": True})
    try:
        stack.start(user, settleMinutes=0)
        rows = stack.finished(user, runs=2)
    finally:
        stack.api("PATCH", "config", {"IncludeSecondaryCalendars": False})

    assert (rows[0]["State"], rows[0]["SucceededMeeting"]) == ("Succeeded", 1)
    assert "OutJoinLink" not in stack.event(user, made["Project"])["body"]["content"]
    assert "OutJoinLink" in stack.event(user, made["Shared"])["body"]["content"]


def test_current_makes_skype_online_of_an_on_premises_meeting_where_the_mailbox_allows_it(stack: Stack) -> None:
    """By one write, with Exchange's own block; where the mailbox does not allow it, the meeting stays as it is."""
    able = stack.user(allowedOnlineMeetingProviders=["teamsForBusiness", "skypeForBusiness"])
    unable = stack.user()
    made = stack.skype_meeting(able, attendees=("zoe@fabrikam.example",))
    kept = stack.skype_meeting(unable, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()

    for user in (able, unable):
        stack.start(user, "Current", settleMinutes=0)
    rows = [stack.finished(user)[0] for user in (able, unable)]

    assert [row["State"] for row in rows] == ["Succeeded", "Succeeded"]
    event = stack.event(able, made["id"])
    assert "https://meet.lync.com/" in event["body"]["content"]
    assert "meet.contoso.example" not in event["body"]["content"]
    assert (event["onlineMeetingProvider"], event["isOnlineMeeting"]) == ("skypeForBusiness", True)
    (row,) = stack.meetings(able)
    assert (row["verdict"], row["after"]["kind"]) == ("migrated", "skype")
    assert len(stack.mails(able)) == 1
    assert "OutJoinLink" in stack.event(unable, kept["id"])["body"]["content"]
    assert stack.meetings(unable)[0]["code"] == "SkypeStaysSkype"
    assert stack.mails(unable) == []


def test_a_replaced_teams_meeting_hands_its_options_over_and_ends_after_its_grace(stack: Stack) -> None:
    """One write of the event; the new meeting has the old one's options, and the row lists what it cannot have."""
    user = stack.user()
    start = datetime.now(UTC) + timedelta(days=7)
    made = stack.graph(
        "POST",
        f"users/{user.id}/events",
        {
            "subject": "Project review",
            "start": {"dateTime": start.strftime("%Y-%m-%dT%H:00:00"), "timeZone": "UTC"},
            "end": {"dateTime": start.strftime("%Y-%m-%dT%H:30:00"), "timeZone": "UTC"},
            "body": {"contentType": "html", "content": "<p>Agenda</p>"},
            "attendees": [{"type": "required", "emailAddress": {"address": "zoe@fabrikam.example"}}],
            "isOnlineMeeting": True,
            "onlineMeetingProvider": "teamsForBusiness",
        },
    )

    def meeting() -> dict[str, Any]:
        url = stack.event(user, made["id"])["onlineMeeting"]["joinUrl"]
        found = stack.graph("GET", f"users/{user.id}/onlineMeetings?$filter=JoinWebUrl%20eq%20'{quote(url, safe='')}'")
        return found["value"][0]

    old = meeting()
    chosen = {
        "allowedPresenters": "organizer",
        "allowAttendeeToEnableMic": False,
        "allowMeetingChat": "disabled",
        "lobbyBypassSettings": {"scope": "invited", "isDialInBypassEnabled": True},
    }
    path = f"users/{user.id}/onlineMeetings/{quote(old['id'], safe='')}"
    stack.graph("PATCH", path, chosen)
    stack.forget_mails()
    stack.api("PATCH", "config", {"TeamsToTeams": "replace", "EndReplacedMeetingsAfterDays": 0})
    try:
        stack.start(user, sourceMeetingType="Teams", settleMinutes=0)
        assert stack.finished(user)[0]["State"] == "Succeeded"
        new = meeting()
        assert new["id"] != old["id"]
        assert {name: new[name] for name in chosen} == chosen
        (row,) = stack.meetings(user)
        assert (row["verdict"], row["before"]["kind"], row["after"]["kind"]) == ("migrated", "teams", "teams")
        assert row["notKept"] == ["whiteboard", "polls", "shared notes", "joinMeetingIdSettings"]
        assert len(stack.mails(user)) == 1
        token = {"Authorization": f"Bearer {stack.ready['tokens']['graph']}"}
        stack.until(
            lambda: stack.http.get(f"{stack.ready['graph']}/{path}", headers=token).status_code == 404, seconds=90
        )
        assert meeting()["id"] == new["id"]
    finally:
        stack.api("PATCH", "config", {"TeamsToTeams": "refresh", "EndReplacedMeetingsAfterDays": None})
