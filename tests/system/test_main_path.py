"""The main job over HTTP alone: a Skype meeting becomes a Teams meeting, by one update, and nothing else changes."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import httpx
from system_stack import ABOVE, AUDIO_CONFERENCING, BELOW, Stack, User


def test_manual_request_migrates_a_skype_meeting_with_exactly_one_update(stack: Stack) -> None:
    """Done when 3 of the issue: request, status, calendar, outbox."""
    user = stack.user()
    made = stack.skype_meeting(user, attendees=("zoe@fabrikam.example", "yan@fabrikam.example"))
    before = stack.event(user, made["id"])
    stack.forget_mails()

    result = stack.start(user)
    rows = stack.finished(user)

    assert result["status"] == "accepted"
    assert [row["State"] for row in rows] == ["Succeeded"]
    assert (rows[0]["TotalMeeting"], rows[0]["SucceededMeeting"], rows[0]["FailedMeeting"]) == (1, 1, 0)
    assert rows[0]["InvitesUpdate"] == 1
    assert rows[0]["MigrationType"] == "AllToTeams"
    assert rows[0]["UserId"] == user.id
    assert rows[0]["UserPrincipalName"] == user.name
    after = stack.event(user, made["id"])
    assert after["onlineMeeting"]["joinUrl"].startswith("https://teams.microsoft.com/l/meetup-join/")
    content = after["body"]["content"]
    head, _, _ = before["body"]["content"].partition(ABOVE)
    _, _, tail = before["body"]["content"].partition(BELOW)
    assert content.startswith(head + ABOVE)
    assert content.endswith(BELOW + tail)
    assert "OutJoinLink" not in content
    assert after["location"]["displayName"] == "Microsoft Teams Meeting"
    assert after["iCalUId"] == before["iCalUId"]
    mails = stack.mails(user)
    assert [(mail["reason"], sorted(mail["recipients"])) for mail in mails] == [
        ("update", ["yan@fabrikam.example", "zoe@fabrikam.example"])
    ]
    meetings = stack.meetings(user)
    assert [row["verdict"] for row in meetings] == ["migrated"]
    assert meetings[0]["before"]["kind"] == "skype"
    assert meetings[0]["after"]["joinUrl"].startswith("https://teams.microsoft.com/")


def test_second_request_finds_everything_current_and_mails_nobody(stack: Stack) -> None:
    """A repeated migration must not disturb attendees (R5)."""
    user = stack.user()
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.start(user)
    stack.finished(user)
    stack.forget_mails()

    stack.start(user)
    rows = stack.finished(user, runs=2)

    assert rows[0]["State"] == "Succeeded"
    assert rows[0]["InvitesUpdate"] == 0
    assert stack.mails(user) == []


def test_three_triggers_inside_the_window_make_one_run(stack: Stack) -> None:
    """A move, a licence and a manual request are one migration (Q2)."""
    user = stack.user(homed="onPremises")
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()

    stack.start(user, settleMinutes=0.2)
    stack.tenant("POST", "actions/moveUser", {"user": user.name, "direction": "toCloud", "moveToTeams": True})
    stack.tenant("POST", "actions/assignLicense", {"user": user.name, "plans": [AUDIO_CONFERENCING]})
    rows = stack.finished(user)

    assert len(rows) == 1
    assert rows[0]["Reasons"] == ["T10 Manual", "T1 MovedToCloud", "T3 LicenseAssigned"] or set(rows[0]["Reasons"]) == {
        "T10 Manual",
        "T1 MovedToCloud",
        "T3 LicenseAssigned",
    }
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]


def test_policy_grant_comes_in_through_the_activity_feed(stack: Stack) -> None:
    """T9: nobody calls our API; the audit record does."""
    user = stack.user()
    made = stack.skype_meeting(user)

    stack.tenant(
        "POST", "actions/grantPolicy", {"user": user.name, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
    )
    rows = stack.finished(user)

    assert rows[0]["Reasons"] == ["T9 PolicyGranted"]
    assert rows[0]["State"] == "Succeeded"
    assert stack.event(user, made["id"])["isOnlineMeeting"] is True


def test_licence_refreshes_teams_meetings_and_leaves_skype_meetings(stack: Stack) -> None:
    """T3 with target Current: dial-in appears in the Teams block; Skype stays Skype (R6, R7)."""
    user = stack.user()
    teams = stack.graph(
        "POST",
        f"users/{user.id}/events",
        {
            "subject": "Weekly",
            "start": {"dateTime": "2031-03-03T09:00:00", "timeZone": "UTC"},
            "end": {"dateTime": "2031-03-03T10:00:00", "timeZone": "UTC"},
            "body": {"contentType": "html", "content": "<html><body><p>Hello&nbsp;all</p></body></html>"},
            "isOnlineMeeting": True,
            "onlineMeetingProvider": "teamsForBusiness",
            "attendees": [{"type": "required", "emailAddress": {"address": "zoe@fabrikam.example"}}],
        },
    )
    stack.skype_meeting(user)
    stack.forget_mails()

    stack.tenant("POST", "actions/assignLicense", {"user": user.name, "plans": [AUDIO_CONFERENCING]})
    rows = stack.finished(user)

    assert rows[0]["Reasons"] == ["T3 LicenseAssigned"]
    assert rows[0]["MigrationType"] == "ToSameType"
    assert {row["verdict"] for row in stack.meetings(user)} == {"refreshed", "skipped"}
    assert [mail["eventId"] for mail in stack.mails(user)] == [teams["id"]]
    after = stack.event(user, teams["id"])
    assert after["onlineMeeting"]["joinUrl"] == teams["onlineMeeting"]["joinUrl"]
    assert "<p>Hello&nbsp;all</p>" in after["body"]["content"]


def test_host_killed_in_the_middle_loses_nothing_and_doubles_nothing(stack: Stack) -> None:
    """Done when 4: 40 meetings, SIGKILL half-way, each with exactly one update."""
    user = stack.user()
    events = [stack.skype_meeting(user, attendees=("zoe@fabrikam.example",), days=7 + day) for day in range(40)]
    stack.forget_mails()

    stack.start(user)
    stack.until(lambda: len(stack.mails(user)) >= 8)
    os.kill(stack.ready["pids"]["host"], signal.SIGKILL)
    before = len(stack.mails(user))
    time.sleep(0.5)
    rows = stack.until(lambda: _succeeded(stack, user), seconds=90)

    assert before < 40
    assert rows[0]["TotalMeeting"] == 40
    assert rows[0]["SucceededMeeting"] == 40
    assert rows[0]["InvitesUpdate"] == 40
    mails = stack.mails(user)
    assert sorted(mail["eventId"] for mail in mails) == sorted(event["id"] for event in events)
    assert {mail["reason"] for mail in mails} == {"update"}
    stack.refresh()


def _succeeded(stack: Stack, user: User) -> list[dict[str, Any]] | None:
    try:
        rows = stack.status(user)
    except httpx.TransportError:  # the host is down for a moment
        return None
    return rows if rows and rows[0]["State"] == "Succeeded" else None


def test_grant_to_a_user_who_is_still_on_premises_is_ignored(stack: Stack) -> None:
    """N6: the move comes first, and is a trigger of its own."""
    user, other = stack.user(homed="onPremises"), stack.user()
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()

    for each in (user, other):
        stack.tenant(
            "POST", "actions/grantPolicy", {"user": each.name, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
        )
    stack.finished(other)  # filed after it, so the first one has been decided too

    assert stack.status(user) == []
    assert stack.mails(user) == []
