"""What a system test does to the stack: seed a tenant, ask the API, read calendars and outbox. HTTP only."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOTICE_SENDER = "notices@contoso.example"
IDENTITY = "6f9d2a7c-1b04-4a7e-9e55-2c8d0b3a4f11"
"""Whom the app signs in as where the tenant decides what it may do."""
AUDIO_CONFERENCING = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
PUBLIC_STRINGS = "String {00020329-0000-0000-C000-000000000046} Name "
DOTS = "." * 137

ABOVE = "<p class=MsoNormal>Grüße, 你好 👋&nbsp;— the agenda:</p>\r\n"
BELOW = "\r\n<p class=MsoNormal>שלום &amp; see you there.</p>"


def skype_block(join_url: str) -> str:
    """A Skype for Business block, as Outlook's Word engine writes it."""
    dots = f"<p class=MsoNormal><span style='font-size:8.0pt;color:#404040'>{DOTS}</span></p>"
    return (
        f"{dots}\r\n<p class=MsoNormal><a name=OutJoinLink><span style='font-family:Wingdings'>à</span></a>"
        f"<a href=\"{join_url}\"><span style='font-size:16.0pt;color:#0066CC'>Join Skype Meeting</span></a>"
        "<a name=OutSharedNoteBorder>&nbsp;</a><a name=OutSharedNoteLink>&nbsp;</a></p>\r\n"
        f'<p class=MsoNormal>Trouble Joining? <a href="{join_url}?sl=1">Try Skype Web App</a></p>\r\n'
        '<p class=MsoNormal><a href="https://o15.officeredir.microsoft.com/r/rlidLync15?clid=1033&amp;p1=5&amp;p2=2009">'
        "Help</a></p>\r\n<p class=MsoNormal><sub><span style='font-size:1.0pt;color:white'>[!OC([1033])!]</span></sub></p>"
        f"\r\n{dots}"
    )


def skype_body(join_url: str) -> str:
    """An invitation with text above and below the block."""
    return (
        '<html>\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n</head>\r\n'
        f"<body lang=EN-US>\r\n<div class=WordSection1>\r\n{ABOVE}{skype_block(join_url)}{BELOW}\r\n</div>\r\n</body>\r\n</html>"
    )


@dataclass
class User:
    """A user of the tenant."""

    id: str
    name: str


class Stack:
    """The running stack, by its ready file."""

    def __init__(self, ready: dict[str, Any], path: Path) -> None:
        self.path = path
        self.http = httpx.Client(timeout=30)
        self.ready = ready

    def refresh(self) -> dict[str, Any]:
        """Read the ready file again: a part that was restarted has a new pid."""
        self.ready = json.loads(self.path.read_text())
        return self.ready

    # -- the tenant ---------------------------------------------------------------------------------------------

    def tenant(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control surface of the simulated tenant."""
        answer = self.http.request(method, f"{self.ready['tenant']}/{path}", json=body)
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def graph(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call Graph as an app that may do everything."""
        answer = self.http.request(
            method,
            f"{self.ready['graph']}/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.ready['tokens']['graph']}", **headers},
        )
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def all(self, method: str, path: str) -> list[dict[str, Any]]:
        """Read a list of Graph to its last page."""
        page = self.graph(method, path)
        found = page["value"]
        while "@odata.nextLink" in page:
            page = self.graph(method, page["@odata.nextLink"].removeprefix(f"{self.ready['graph']}/"))
            found += page["value"]
        return found

    def user(self, **more: Any) -> User:
        """Make a user whom no other test knows."""
        name = f"u{uuid.uuid4().hex[:10]}@contoso.example"
        made = self.tenant(
            "POST",
            "users",
            {
                "userPrincipalName": name,
                "displayName": "Test User",
                "mailbox": "exchangeOnline",
                "homed": "online",
                "mode": "Islands",
                "plans": [],
                "audioConferencing": {"provider": "microsoft"},
                **more,
            },
        )
        return User(made["id"], name)

    def skype_meeting(
        self, user: User, *, attendees: tuple[str, ...] = (), days: float = 7, **more: Any
    ) -> dict[str, Any]:
        """Seed a Skype meeting as the add-in makes it, extended properties included; *calendar* is another one's id."""
        calendar = more.pop("calendar", None)
        focus = uuid.uuid4().hex[:8].upper()
        join_url = f"https://meet.contoso.example/{user.name.partition('@')[0]}/{focus}"
        start = (datetime.now(UTC) + timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
        event = {
            "subject": "Project review",
            "start": {"dateTime": start.strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"},
            "end": {"dateTime": (start + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"},
            "body": {"contentType": "html", "content": skype_body(join_url)},
            "location": {"displayName": "Skype Meeting"},
            "attendees": [{"type": "required", "emailAddress": {"address": each, "name": each}} for each in attendees],
            "singleValueExtendedProperties": [
                {
                    "id": f"{PUBLIC_STRINGS}OnlineMeetingConfLink",
                    "value": f"conf:sip:{user.name};gruu;opaque=app:conf:focus:id:{focus}?conversation-id=x1",
                },
                {"id": f"{PUBLIC_STRINGS}OnlineMeetingExternalLink", "value": join_url},
                {"id": f"{PUBLIC_STRINGS}UCMeetingSetting", "value": "<settings/>"},
            ],
            **more,
        }
        place = f"calendars/{quote(calendar, safe='')}/events" if calendar else "events"
        return self.graph("POST", f"users/{user.id}/{place}", event)

    def event(self, user: User, event_id: str) -> dict[str, Any]:
        """Read an event."""
        return self.graph("GET", f"users/{user.id}/events/{quote(event_id, safe='')}")

    def mails(self, user: User) -> list[dict[str, Any]]:
        """Mails that this organizer caused."""
        return [each for each in self.tenant("GET", "outbox")["value"] if each["organizer"] == user.name]

    def forget_mails(self) -> None:
        """Empty the outbox."""
        self.tenant("DELETE", "outbox")

    # -- the product ----------------------------------------------------------------------------------------------

    def api(
        self, method: str, path: str, body: Any = None, *, token: str | None = "operator", **headers: str
    ) -> httpx.Response:
        """Call the product; *token* is a role of the ready file, a token, or nothing."""
        bearer = self.ready["tokens"].get(token, token) if token else None
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        return self.http.request(method, f"{self.ready['api']}/{path}", json=body, headers=headers)

    def start(self, user: User, target: str = "Teams", **more: Any) -> dict[str, Any]:
        """Ask for a migration by name."""
        answer = self.api("POST", "migrations", {"identity": user.name, "targetMeetingType": target, **more})
        assert answer.status_code == 202, answer.text
        return answer.json()["value"][0]

    def order(self, user: User, order: str, body: Any = None) -> dict[str, Any]:
        """Cancel, retry or undo."""
        answer = self.api("POST", f"migrations/{quote(user.name)}/{order}", body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def status(self, user: User) -> list[dict[str, Any]]:
        """Return the user's runs, newest first."""
        answer = self.api("GET", f"migrations?identity={quote(user.name)}", token="reader")
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def meetings(self, user: User) -> list[dict[str, Any]]:
        """Return what became of the user's meetings."""
        answer = self.api("GET", f"migrations/{quote(user.name)}/meetings", token="reader")
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def until(self, what: Callable[[], Any], *, seconds: float = 60) -> Any:
        """Poll until *what* is true; the deadline is generous because machines differ."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, f"did not happen in {seconds} s"
            time.sleep(0.2)
        return found

    def finished(self, user: User, *, runs: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
        """Wait until the user has this many runs and all are over."""

        def over() -> list[dict[str, Any]] | None:
            rows = self.status(user)
            done = len(rows) >= runs and all(row["State"] not in ("Pending", "InProgress") for row in rows)
            return rows if done else None

        return self.until(over, seconds=seconds)
