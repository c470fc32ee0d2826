"""Dry runs, and requests that are narrowed to some meetings."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from system_stack import Stack, User


def _preview(stack: Stack, user: User, **more: Any) -> dict[str, Any]:
    answer = stack.api("POST", "previews", {"identity": user.name, "targetMeetingType": "Teams", **more})
    assert answer.status_code == 202, answer.text
    made = answer.json()["id"]

    def ready() -> dict[str, Any] | None:
        shown = stack.api("GET", f"previews/{made}", token="reader").json()
        return shown if shown["state"] != "pending" else None

    return stack.until(ready)


def test_preview_shows_the_plan_and_writes_nothing(stack: Stack) -> None:
    """Old block, who would get mail and why, and what is not kept."""
    user = stack.user()
    made = stack.skype_meeting(user, attendees=("zoe@fabrikam.example", "yan@contoso.example"))
    before = stack.event(user, made["id"])
    stack.forget_mails()

    shown = _preview(stack, user)

    assert shown["state"] == "ready"
    (row,) = shown["meetings"]
    assert (row["eventId"], row["verdict"], row["updates"]) == (made["id"], "migrate", 1)
    assert "OutJoinLink" in row["oldBlock"]
    assert "whiteboard" in row["notKept"]
    why = {person["address"]: set(person["why"]) for person in row["recipients"]}
    assert "external" in why["zoe@fabrikam.example"]
    assert "external" not in why["yan@contoso.example"]
    assert stack.mails(user) == []
    after = stack.event(user, made["id"])
    assert (after["body"], after["@odata.etag"]) == (before["body"], before["@odata.etag"])
    assert stack.status(user) == []


def test_applying_a_preview_does_that_plan_and_refuses_what_has_changed(stack: Stack) -> None:
    """One of two meetings is edited in between: it is left alone, and the result says so."""
    user = stack.user()
    kept = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    edited = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",), days=9)
    shown = _preview(stack, user)
    later = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",), days=11)
    stack.graph("PATCH", f"users/{user.id}/events/{quote(edited['id'], safe='')}", {"subject": "Another subject"})
    stack.forget_mails()

    answer = stack.api("POST", f"previews/{shown['id']}/apply")
    rows = stack.finished(user)

    assert answer.status_code == 202
    assert rows[0]["CorrelationId"] == answer.json()["CorrelationId"]
    verdicts = {row["eventId"]: (row["verdict"], row["code"]) for row in stack.meetings(user)}
    assert verdicts == {kept["id"]: ("migrated", None), edited["id"]: ("skipped", "ChangedSincePreview")}
    assert "OutJoinLink" in stack.event(user, later["id"])["body"]["content"]
    assert [mail["eventId"] for mail in stack.mails(user)] == [kept["id"]]
    again = stack.api("POST", f"previews/{shown['id']}/apply")
    assert (again.status_code, again.json()["code"]) == (409, "InvalidState")


def test_preview_of_a_mailbox_that_cannot_be_migrated_says_why(stack: Stack) -> None:
    """The checks of a run, before the run."""
    user = stack.user(mailbox="onPremises")
    shown = _preview(stack, user)
    assert (shown["state"], shown["code"]) == ("failed", "MailboxOnPremises")
    assert stack.api("POST", f"previews/{shown['id']}/apply").json()["code"] == "InvalidState"
    assert stack.api("GET", "previews/nonsense").status_code == 404


def test_request_narrowed_to_some_meetings_leaves_the_others_alone(stack: Stack) -> None:
    """By id, by subject, by attendee, by host; what is not asked for is not even looked at."""
    user = stack.user()
    chosen = stack.skype_meeting(user, subject="Budget 2031", attendees=("zoe@fabrikam.example",))
    other = stack.skype_meeting(user, days=9)

    stack.start(user, settleMinutes=0, meetings={"subject": "budget", "attendeeDomain": "fabrikam.example"})
    rows = stack.finished(user)

    assert (rows[0]["TotalMeeting"], rows[0]["SucceededMeeting"]) == (1, 1)
    assert "OutJoinLink" not in stack.event(user, chosen["id"])["body"]["content"]
    assert "OutJoinLink" in stack.event(user, other["id"])["body"]["content"]

    stack.start(user, settleMinutes=0, meetings={"eventIds": [other["id"]], "urlHost": "contoso.example"})
    rows = stack.finished(user, runs=2)

    assert rows[0]["SucceededMeeting"] == 1
    assert "OutJoinLink" not in stack.event(user, other["id"])["body"]["content"]
    wrong = stack.api("POST", "migrations", {"identity": user.name, "meetings": {"title": "x"}})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "InvalidBody")


def test_validation_tells_what_is_in_the_way_and_writes_nothing(stack: Stack) -> None:
    """One user for whom all is ready, one without the access policy, one outside the app's scope, one on-premises."""
    ready, unpoliced, unreachable = stack.user(), stack.user(), stack.user()
    old = stack.user(mailbox="onPremises", homed="onPremises")
    made = stack.skype_meeting(ready)
    before = stack.event(ready, made["id"])
    stack.tenant("PATCH", "switches", {"policyDeniedUsers": [unpoliced.id], "deniedMailboxes": [unreachable.id]})
    try:
        shown = {user.name: _preview(stack, user, validateOnly=True) for user in (ready, unpoliced, unreachable, old)}
    finally:
        stack.tenant("PATCH", "switches", {"policyDeniedUsers": [], "deniedMailboxes": []})

    def codes(user: User) -> dict[str, str]:
        return {
            each["check"]: each["code"]
            for each in shown[user.name]["findings"]
            if each["result"] in ("fail", "warning")
        }

    assert codes(ready) == {"audioConferencing": "NoDialIn"}
    assert codes(unpoliced)["onlineMeetings"] == "AppAccessPolicyMissing"
    assert codes(unreachable)["mailbox"] == "MailboxAccessDenied"
    assert (codes(old)["mailbox"], codes(old)["teams"]) == ("MailboxOnPremises", "HomedOnPremises")
    assert [shown[user.name]["isValid"] for user in (ready, unreachable, old)] == [True, False, False]
    assert all(each["remedy"] for row in shown.values() for each in row["findings"] if each["code"])
    assert stack.event(ready, made["id"])["@odata.etag"] == before["@odata.etag"]
    assert stack.status(ready) == []


def test_a_shared_mailbox_is_only_reported_where_the_policy_says_so(stack: Stack) -> None:
    """Planned and recorded, not written; a person's mailbox is migrated all the same."""
    shared, person = stack.user(mailboxKind="shared"), stack.user()
    made = stack.skype_meeting(shared, attendees=("zoe@fabrikam.example",))
    stack.skype_meeting(person)
    stack.forget_mails()
    stack.api("PATCH", "config", {"SharedMailboxPolicy": "report"})
    try:
        stack.start(shared, settleMinutes=0)
        stack.start(person, settleMinutes=0)
        rows, others = stack.finished(shared), stack.finished(person)
    finally:
        stack.api("PATCH", "config", {"SharedMailboxPolicy": "migrate"})
    assert (rows[0]["State"], rows[0]["SkippedMeeting"]) == ("Succeeded", 1)
    (row,) = stack.meetings(shared)
    assert (row["verdict"], row["code"], row["rule"]) == ("skipped", "ReportOnly", "X4")
    assert "OutJoinLink" in stack.event(shared, made["id"])["body"]["content"]
    assert stack.mails(shared) == []
    assert others[0]["SucceededMeeting"] == 1
