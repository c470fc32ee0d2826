"""What the simulator's tests share: a client of the tenant, a webhook of ours, builders of payloads."""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from mms_simulator import signin
from mms_simulator.front import Front

PUBLIC = "String {00020329-0000-0000-C000-000000000046} Name "
_TLS = ssl.create_default_context()  # loading certificates once for all clients, though none is used
AUDIO = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"


class Tenant:
    """Plain HTTP access to a running simulator: Graph below ``/v1.0``, the control surface below ``/_tenant``."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.base = front.store.base
        self.token = front.sign_in.token(signin.GRAPH, [])
        self.frozen: dict[str, Any] = {}
        """Switches that stay where they are: how it is proved that a test shows both positions."""
        self.moves: list[dict[str, Any]] = []
        self.client = httpx.AsyncClient(headers={"Authorization": f"Bearer {self.token}"}, timeout=30, verify=_TLS)

    async def graph(
        self, method: str, path: str, body: Any = None, *, expect: int | None = None, **options: Any
    ) -> Any:
        """Call Graph and check the status: any success, or the one expected."""
        answer = await self.client.request(method, f"{self.base}/v1.0/{path}", json=body, **options)
        return _checked(answer, expect)

    async def raw(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Call Graph and give the answer whatever it is."""
        return await self.client.request(method, f"{self.base}/v1.0/{path}", json=body, **options)

    async def control(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """Call the control surface."""
        return _checked(await self.client.request(method, f"{self.base}/_tenant/{path}", json=body), expect)

    async def user(self, name: str = "ada", **given: Any) -> dict[str, Any]:
        """Make a user of contoso.example."""
        return await self.control("POST", "users", {"userPrincipalName": f"{name}@contoso.example", **given})

    async def event(self, user: str = "ada", **given: Any) -> dict[str, Any]:
        """Write an event into a user's calendar."""
        return await self.graph("POST", f"users/{user}@contoso.example/events", meeting(**given), expect=201)

    async def patch(self, event: dict[str, Any], body: Any, user: str = "ada", **options: Any) -> Any:
        """Change an event."""
        return await self.graph("PATCH", f"users/{user}@contoso.example/events/{enc(event['id'])}", body, **options)

    async def get(self, event: dict[str, Any], user: str = "ada", **options: Any) -> Any:
        """Read an event again."""
        return await self.graph("GET", f"users/{user}@contoso.example/events/{enc(event['id'])}", **options)

    async def outbox(self) -> list[dict[str, Any]]:
        """Read the outbox."""
        return (await self.control("GET", "outbox"))["value"]

    async def quiet(self) -> None:
        """Empty the outbox."""
        await self.control("DELETE", "outbox")

    async def switch(self, **positions: Any) -> None:
        """Move switches."""
        self.moves.append(positions)
        await self.control("PATCH", "switches", {**positions, **self.frozen})


def _checked(answer: httpx.Response, expect: int | None) -> Any:
    assert answer.status_code == expect if expect else answer.is_success, f"{answer.status_code} {answer.text[:500]}"
    return answer.json() if answer.content else None


def enc(text: str) -> str:
    """Encode an id for a path."""
    return quote(text, safe="")


def attendee(address: str, kind: str = "required") -> dict[str, Any]:
    """Write an attendee."""
    return {"emailAddress": {"address": address, "name": address}, "type": kind}


def at(text: str, zone: str = "UTC") -> dict[str, str]:
    """Write a dateTimeTimeZone."""
    return {"dateTime": text, "timeZone": zone}


def meeting(**given: Any) -> dict[str, Any]:
    """Describe an event; attendees are bob (internal when he exists) and one outsider."""
    return {
        "subject": "Review",
        "body": {"contentType": "html", "content": "<p>Agenda&nbsp;1</p>"},
        "start": at("2027-01-05T10:00:00", "W. Europe Standard Time"),
        "end": at("2027-01-05T11:00:00", "W. Europe Standard Time"),
        "attendees": [attendee("bob@contoso.example"), attendee("eve@fabrikam.example", "optional")],
        **given,
    }


WEEKLY = {
    "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"]},
    "range": {"type": "noEnd", "startDate": "2027-01-05"},
}


@dataclass
class Receiver:
    """A webhook of ours: answers handshakes, keeps what comes, and can be told to fail or to be slow."""

    url: str = ""
    calls: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    status: int = 202
    delay: float = 0
    echo: bool = True

    async def wait(self, count: int, seconds: float = 5) -> list[Any]:
        """Wait for so many calls and give their bodies."""
        for _ in range(int(seconds / 0.02)):
            if len(self.calls) >= count:
                break
            await asyncio.sleep(0.02)
        return [body for _, body in self.calls]


FLAT_CONTRACT: dict[str, Any] = {
    "types": {
        "microsoft.graph.entity": {"base": None, "props": {"id": "Edm.String"}, "nav": {}},
        "microsoft.graph.dateTimeTimeZone": {
            "base": None,
            "props": {"dateTime": "Edm.String", "timeZone": "Edm.String"},
            "nav": {},
        },
        "microsoft.graph.event": {
            "base": "microsoft.graph.entity",
            "props": {
                "subject": "Edm.String",
                "importance": "graph.importance",
                "categories": "Collection(Edm.String)",
                "createdDateTime": "Edm.DateTimeOffset",
                "start": "graph.dateTimeTimeZone",
            },
            "nav": {},
        },
    },
    "enums": {"microsoft.graph.importance": ["low", "normal", "high"]},
}
"""A few of Graph's types, for the tests of the conformance script."""
