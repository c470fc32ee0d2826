"""The table of permissions against what the service does: with exactly those, granted by the script, all of it works.

The tenant refuses each call whose permission the identity's token lacks. What the service asks for is read from the
tenant's own log of traffic, and is what the table says: no call that it does not name, and none named for nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from package_support import ROOT, deployed, tenant_alone
from system_stack import User

sys.path.insert(0, str(ROOT / "infra" / "rights"))

import permissions

GRAPH = "https://graph.microsoft.com"
SENDER, ADMIN, GUEST = "notices@contoso.example", "admin@contoso.example", "zoe@fabrikam.example"
OURS = "00000000-0000-4000-8000-00000000test"
"""What this test's own calls to Graph carry, so that they can be told from the service's."""
PILOT = "5f0c2b1e-7a63-4a0e-9d3b-0a4f6c1d2e77"
OWN_SUBSCRIPTIONS = {"GET subscriptions", "PATCH subscriptions/{id}", "DELETE subscriptions/{id}"}
"""An application may look at its own subscriptions and end them without any permission."""
ANYBODYS = {"AppRoleAssignment.ReadWrite.All", "Application.ReadWrite.All", "User.ReadWrite.All"}
"""What the administrator's token of this test has beyond the rights of the service."""


def granted(ready, stack_free_tenant):
    """An identity with what ``rights.py grant`` gives it; the script's own sign-in is an administrator's."""
    identity = stack_free_tenant("POST", "identities", {"displayName": "mms"})
    values = {each.value for each in permissions.PERMISSIONS}
    administrator = stack_free_tenant("POST", "tokens", {"aud": GRAPH, "roles": sorted(values | ANYBODYS)})
    command = [
        sys.executable, "infra/rights/rights.py", "grant", "--graph-url", ready["graph"], "--tenant-wide", "--json",
        "--principal-id", identity["id"], "--client-id", identity["appId"], "--notice-sender", SENDER,
    ]  # fmt: skip
    environment = {**os.environ, "MMS_GRAPH_TOKEN": administrator["access_token"]}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    lines = [json.loads(each) for each in done.stdout.splitlines()]
    assert {each["subject"] for each in lines if each["what"] == "made"} == values
    return identity["appId"], administrator["access_token"]


def teams_meeting(stack, user):
    """A Teams meeting with an option of its own, so that replacing it has something to hand over."""
    start = datetime.now(UTC) + timedelta(days=4)
    made = stack.graph(
        "POST",
        f"users/{user.id}/events",
        {
            "subject": "Teams already",
            "start": {"dateTime": start.strftime("%Y-%m-%dT%H:00:00"), "timeZone": "UTC"},
            "end": {"dateTime": start.strftime("%Y-%m-%dT%H:30:00"), "timeZone": "UTC"},
            "body": {"contentType": "html", "content": "<p>Agenda</p>"},
            "attendees": [{"type": "required", "emailAddress": {"address": GUEST}}],
            "isOnlineMeeting": True,
            "onlineMeetingProvider": "teamsForBusiness",
        },
    )
    url = made["onlineMeeting"]["joinUrl"]
    found = stack.graph("GET", f"users/{user.id}/onlineMeetings?$filter=JoinWebUrl%20eq%20'{quote(url, safe='')}'")
    stack.graph("PATCH", f"users/{user.id}/onlineMeetings/{quote(found['value'][0]['id'], safe='')}", {
        "allowedPresenters": "organizer",
    })  # fmt: skip


def series(stack, user):
    """A weekly Skype series with an occurrence that has words of its own."""
    start = datetime.now(UTC) - timedelta(days=20)
    master = stack.skype_meeting(
        user,
        attendees=(GUEST,),
        days=-20,
        recurrence={
            "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [start.strftime("%A").lower()]},
            "range": {"type": "numbered", "startDate": start.strftime("%Y-%m-%d"), "numberOfOccurrences": 6},
        },
    )
    path = f"users/{user.id}/events/{quote(master['id'], safe='')}"
    window = f"startDateTime={start:%Y-%m-%dT%H:%M:%S}&endDateTime={start + timedelta(days=40):%Y-%m-%dT%H:%M:%S}"
    instances = stack.all("GET", f"{path}/instances?{window}")
    first, next_one, last = (each["id"] for each in (instances[0], instances[3], instances[5]))
    # With so many changed or cancelled, only the calendar knows whether anything else is left.
    stack.graph("DELETE", f"users/{user.id}/events/{quote(last, safe='')}")
    for each in (first, next_one):
        stack.graph("PATCH", f"users/{user.id}/events/{quote(each, safe='')}", {"subject": "Moved"})


def log(stack):
    """Every call to Graph that was not this test's own."""
    lines = stack.http.get(f"{stack.ready['tenant']}/traffic").text.splitlines()
    return [each for each in map(json.loads, lines) if OURS not in each["requestHeaders"].values()]


def asked(stack):
    """Method, route and status of each."""
    for each in log(stack):
        yield f"{each['method']} {re.sub(r'{[^}]+}', '{id}', each['route'])}", each["status"]


def table():
    """The calls of Graph that the table names."""
    calls = {call for each in permissions.PERMISSIONS if each.api == permissions.GRAPH_APP_ID for call in each.calls}
    return {call.replace(" /", " ", 1).partition(" (")[0] for call in calls}


def timer(stack, name):
    """Have the clock strike."""
    answer = stack.http.post(f"{stack.ready['api'].removesuffix('/api')}/admin/functions/{name}", json={})
    assert answer.status_code == 202


@pytest.mark.timeout(300)
def test_with_exactly_the_rights_of_the_table_everything_works(package, tmp_path):  # noqa: PLR0915 - one story
    """Main job, triage, sweeps, discovery, notices, replacing and ending meetings, and the doctor; nothing is refused."""
    import httpx

    with tenant_alone(tmp_path) as ready:

        def control(method, path, body=None):
            answer = httpx.request(method, f"{ready['tenant']}/{path}", json=body, timeout=30)
            assert answer.status_code < 400, answer.text
            return answer.json() if answer.content else None

        client_id, ready["tokens"]["graph"] = granted(ready, control)
        control("PATCH", "switches", {"enforcePermissions": True})
        control("DELETE", "traffic")
        # What nobody hurries waits: a notice that comes after its run has begun is not sent.
        more = {"MMS_IDENTITY_CLIENT_ID": client_id, "MMS_NOTICE_SENDER": SENDER, "MMS_SETTLE_SECONDS": "3600"}
        with deployed(package, tmp_path, ready, **more) as stack:
            stack.http.headers["client-request-id"] = OURS
            stack.user(userPrincipalName=SENDER)
            user = stack.user(
                groups=[PILOT], mailbox="exchangeOnline", calendars=[{"name": "Project", "canEdit": True}]
            )
            unknown = stack.user(groups=[PILOT], mode="TeamsOnly")
            stack.skype_meeting(user, attendees=(GUEST,))
            stack.skype_meeting(unknown, attendees=(GUEST,))
            series(stack, user)
            teams_meeting(stack, user)
            settings = {
                "AllowedGroups": [PILOT],
                "IncludeSecondaryCalendars": True,
                "TeamsToTeams": "replace",
                "EndReplacedMeetingsAfterDays": 0,
                "FailureDigestRecipients": [ADMIN],
                "SharedMailboxPolicy": "report",
            }
            assert stack.api("PATCH", "config", settings).status_code == 200
            stack.forget_mails()

            def letters(to):
                rows = stack.tenant("GET", "outbox")["value"]
                return [each for each in rows if each["reason"] == "message" and each["recipients"] == [to]]

            def feed_and_users():
                report = stack.api("GET", "health?deep=true").json()
                found = [each["status"] for each in report["findings"] if each["check"] == "subscriptions"]
                return found == ["ok", "ok"]

            stack.until(feed_and_users)
            # Told by the activity feed, decided by triage, begun afresh at once, and the organizer told each time.
            granted_policy = {"user": user.name, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
            stack.tenant("POST", "actions/grantPolicy", granted_policy)
            stack.until(lambda: len(letters(user.name)) == 1)
            for order, told in (("cancel", 2), ("retry", 3)):
                stack.order(user, order)
                stack.until(lambda told=told: len(letters(user.name)) == told)
            (row,) = stack.finished(user)
            assert (row["State"], row["Reasons"]) == ("Succeeded", ["T9 PolicyGranted"]), (row, stack.meetings(user))
            # By hand, with a Teams meeting replaced and the old one ended.
            stack.start(User(user.id, user.name), sourceMeetingType="Teams", settleMinutes=0)
            assert stack.finished(user, runs=2)[0]["State"] == "Succeeded", stack.meetings(user)
            timer(stack, "recover")
            timer(stack, "housekeep")
            # Found by looking, without being told; the sweep also ends the meeting that was replaced.
            timer(stack, "reconcile")
            timer(stack, "catch_up")
            stack.until(lambda: "DELETE users/{id}/onlineMeetings/{id}" in {call for call, _ in asked(stack)})
            timer(stack, "discover")
            found = stack.until(lambda: stack.api("GET", "discovery", token="reader").json()["value"])
            assert {each["userId"] for each in found} == {unknown.id}
            # A failure, and those who are told of it.
            stack.start(User("", "nobody@contoso.example"), settleMinutes=0)
            stack.finished(User("", "nobody@contoso.example"))
            timer(stack, "digest")
            stack.until(lambda: letters(ADMIN))

            # Each right is proven by the doctor, from within the deployed app.
            report = stack.api("GET", f"health?deep=true&user={user.id}").json()
            wrong = {(each["check"], each["code"]) for each in report["findings"] if each["status"] != "ok"}
            assert wrong == {("appSettings", "SettingForOneMachine"), ("token", "RightTenantWide")}, report
            rights = {each["check"] for each in report["findings"] if each["check"].startswith("right ")}
            assert rights == {f"right {each.value}" for each in permissions.PERMISSIONS}

            calls = list(asked(stack))
            assert [each for each in calls if each[1] in (401, 403)] == []
            made = {call for call, _ in calls}
            # Whoever has a run's correlation id finds its writes in Microsoft's own logs.
            runs = {row["CorrelationId"] for row in stack.status(user)}
            writes = [
                each["requestHeaders"].get("client-request-id")
                for each in log(stack)
                # The doctor's own trial is of an event that nobody has, and is not found.
                if f"{each['method']} {each['route']} {each['status']}" == "PATCH users/{user}/events/{event} 200"
            ]
            assert writes
            assert set(writes) <= runs
            assert made - table() <= OWN_SUBSCRIPTIONS
            assert table() - made == set(), "named in the table, and never called"
