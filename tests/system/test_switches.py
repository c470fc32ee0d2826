"""Where public text leaves open how Graph behaves, the service must be right either way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from system_stack import ABOVE, AUDIO_CONFERENCING, BELOW, Stack, User

if TYPE_CHECKING:
    from collections.abc import Iterator

POSITIONS: list[dict[str, Any]] = [
    {},
    {"blobMode": "reappend"},
    {"blobMode": "alternate"},
    {"providerFollowsBlob": True},
    {"providerChange": "refuse"},
    {"skypeRepresentation": "provider"},
    {"skypeRepresentation": "provider", "providerChange": "refuse", "blobMode": "reappend"},
    {"ifMatch": "409"},
    {"ifMatch": "ignore"},
    {"etagHousekeeping": True, "housekeepingSeconds": 0.5},
    {"masterMailsExceptions": False},
    {"exceptionBody": "inherit"},
    {"readOnlyProperties": "refuse"},
    {"unsafeHtml": "stripStyles"},
    {"emptyPages": True, "trailingNextLink": True},
    {"eventsScope": "allCalendars"},
    {"teamsGeneration": "1"},
    {"teamsGeneration": "2"},
    {"teamsGeneration": "3"},
    {"teamsGeneration": "3b"},
    {"joinInformationEncoding": "upper"},
    {"userConfigurationWrapped": True},
]


@pytest.fixture(autouse=True)
def _by_hand(config: Any) -> None:
    """What happens to a user's licences while a test prepares a calendar starts no run of its own."""
    config(AutomaticallyMigrateUserMeetings=False)


@pytest.fixture
def switched(stack: Stack, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Put switches into a position for one test."""
    before = stack.tenant("GET", "switches")
    stack.tenant("PATCH", "switches", request.param)
    yield request.param
    stack.tenant("PATCH", "switches", {name: before[name] for name in request.param})


def _item(user: User, event_id: str) -> str:
    return f"users/{user.id}/events/{quote(event_id, safe='')}"


def _series(stack: Stack, user: User) -> tuple[dict[str, Any], dict[str, Any]]:
    """A weekly Skype series that began long ago, with one moved occurrence that has a text of its own."""
    start = datetime.now(UTC) - timedelta(days=70)
    master = stack.skype_meeting(
        user,
        attendees=("zoe@fabrikam.example",),
        days=-70,
        recurrence={
            "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [start.strftime("%A").lower()]},
            "range": {"type": "noEnd", "startDate": start.strftime("%Y-%m-%d")},
        },
    )
    first = datetime.now(UTC) + timedelta(days=2)
    window = f"startDateTime={first:%Y-%m-%dT%H:%M:%S}&endDateTime={first + timedelta(days=30):%Y-%m-%dT%H:%M:%S}"
    instances = stack.all("GET", f"{_item(user, master['id'])}/instances?{window}")
    content = master["body"]["content"].replace("the agenda", "another agenda")
    exception = stack.graph(
        "PATCH",
        _item(user, instances[0]["id"]),
        {"subject": "Moved", "body": {"contentType": "html", "content": content}},
    )
    stack.graph("DELETE", _item(user, instances[1]["id"]))
    return master, exception


@pytest.mark.parametrize(
    "switched", POSITIONS, indirect=True, ids=lambda each: "-".join(f"{k}={v}" for k, v in each.items()) or "plain"
)
def test_mailbox_is_migrated_in_every_position_of_the_switches(stack: Stack, switched: dict[str, Any]) -> None:
    """A Skype meeting, a running series with a changed and a cancelled occurrence, and a stale Teams meeting."""
    user = stack.user(
        plans=[AUDIO_CONFERENCING], audioConferencing={"provider": "microsoft", "tollNumber": "+46 8 555 01 00"}
    )
    single = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    master, exception = _series(stack, user)
    stale = stack.graph(
        "POST",
        f"users/{user.id}/events",
        {
            "subject": "Teams already",
            "start": {"dateTime": "2031-03-03T09:00:00", "timeZone": "UTC"},
            "end": {"dateTime": "2031-03-03T10:00:00", "timeZone": "UTC"},
            "body": {"contentType": "html", "content": "<html><body><p>Hello&nbsp;all</p></body></html>"},
            "isOnlineMeeting": True,
            "onlineMeetingProvider": "teamsForBusiness",
            "attendees": [{"type": "required", "emailAddress": {"address": "zoe@fabrikam.example"}}],
        },
    )
    stack.tenant("POST", "actions/setAudioConferencing", {"user": user.name, "tollNumber": "+46 8 555 02 00"})
    stack.forget_mails()

    stack.start(user, settleMinutes=0)
    rows = stack.finished(user)

    assert rows[0]["State"] == "Succeeded", (rows[0]["LastMessage"], stack.meetings(user))
    verdicts = {row["subject"]: row["verdict"] for row in stack.meetings(user)}
    assert verdicts["Moved"] in ("migrated", "refreshed", "current")
    assert (verdicts["Project review"], verdicts["Teams already"]) == ("migrated", "refreshed")
    for event_id in (single["id"], master["id"], exception["id"]):
        content = stack.event(user, event_id)["body"]["content"]
        assert "OutJoinLink" not in content
        assert content.count("https://teams.microsoft.com/l/meetup-join/") >= 1
        agenda = "another agenda" if event_id == exception["id"] and "exceptionBody" not in switched else "agenda"
        assert agenda in content
        assert content.index("Grüße") < content.index("teams.microsoft.com") < content.index("שלום")
    content = stack.event(user, stale["id"])["body"]["content"]
    assert "<p>Hello&nbsp;all</p>" in content
    assert "555 02 00" in content or "5550200" in content.replace(" ", "")
    mails = [mail["eventId"] for mail in stack.mails(user)]
    assert mails.count(single["id"]) == 1
    assert mails.count(stale["id"]) == 1
    assert mails.count(master["id"]) == 1
    # Graph itself mails once for each exception when a master is written; its own text costs one more.
    assert mails.count(exception["id"]) <= 2
    stack.forget_mails()

    stack.start(user, settleMinutes=0)
    rows = stack.finished(user, runs=2)

    assert (rows[0]["State"], rows[0]["InvitesUpdate"]) == ("Succeeded", 0), stack.meetings(user)
    assert stack.mails(user) == []


@pytest.mark.usefixtures("switched")
@pytest.mark.parametrize("switched", [{"applicationAccessPolicy": "denied"}], indirect=True)
def test_without_an_access_policy_exchange_makes_the_meeting_by_flags(stack: Stack) -> None:
    """Route A: one update as well, said in the result; the text stays."""
    user = stack.user()
    made = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()

    stack.start(user, settleMinutes=0)
    rows = stack.finished(user)

    assert rows[0]["State"] == "Succeeded", (rows[0]["LastMessage"], stack.meetings(user))
    assert "by flags" in rows[0]["LastMessage"]
    after = stack.event(user, made["id"])
    assert after["isOnlineMeeting"] is True
    assert "OutJoinLink" not in after["body"]["content"]
    assert ABOVE.strip() in after["body"]["content"]
    assert BELOW.strip() in after["body"]["content"]
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]


@pytest.mark.usefixtures("switched")
@pytest.mark.parametrize(
    "switched", [{"applicationAccessPolicy": "denied", "skypeRepresentation": "provider"}], indirect=True
)
def test_without_a_policy_an_online_event_is_left_alone_with_a_remedy(stack: Stack) -> None:
    """Flags would be ignored there, and attendees left without any link: nothing is written."""
    user = stack.user()
    made = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()

    stack.start(user, settleMinutes=0)
    rows = stack.finished(user)

    assert (rows[0]["State"], rows[0]["Code"]) == ("Failed", "AppAccessPolicyMissing")
    assert stack.mails(user) == []
    assert "OutJoinLink" in stack.event(user, made["id"])["body"]["content"]


def test_a_mailbox_is_never_asked_more_than_four_things_at_once(stack: Stack) -> None:
    """Exchange allows four; more are 429s of our own making."""
    user = stack.user()
    for day in range(12):
        stack.skype_meeting(user, days=3 + day)
    stack.http.request("DELETE", f"{stack.ready['tenant']}/stats")

    stack.start(user, settleMinutes=0)
    stack.finished(user)

    stats = stack.tenant("GET", "stats")
    assert stats["maxConcurrency"] <= 4
    assert stats["throttled"] == 0
