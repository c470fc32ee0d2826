"""HTTP clients of the demo: the simulated tenant as its administrator sees it, and the service as an admin does."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from mms_local.demo.snapshot import Item, read_item
from mms_local.demo.verdict import Mail

_WHOLE_ITEM = (
    "id,iCalUId,subject,start,end,isAllDay,isCancelled,isOrganizer,organizer,attendees,recurrence,type,originalStart,"
    "importance,sensitivity,showAs,categories,isReminderOn,reminderMinutesBeforeStart,responseRequested,hideAttendees,"
    "allowNewTimeProposals,hasAttachments,locations,body,onlineMeeting,onlineMeetingUrl"
)
_PREFER = 'outlook.timezone="UTC", outlook.body-content-type="html", outlook.allow-unsafe-html'
_PAGE = 200
_CHUNK_BYTES = 1 << 20
_PATIENCE_SECONDS = 10
_PAUSE_SECONDS = 0.25


class RefusedError(Exception):
    """A part of the stack answered with an error where none was expected."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the parts of the running stack are, and the keys to them."""

    api: str
    graph: str
    tenant: str
    tokens: Mapping[str, str]

    @classmethod
    def of(cls, ready: Mapping[str, Any]) -> "Endpoints":
        """Take them from what ``mms_local up`` writes into its ready file."""
        return cls(api=ready["api"], graph=ready["graph"], tenant=ready["tenant"], tokens=ready["tokens"])


class Client:
    """Asks one stack; every method is one request, or one list to its end."""

    def __init__(self, session: aiohttp.ClientSession, endpoints: Endpoints) -> None:
        self._session = session
        self._at = endpoints

    # The tenant, through its control surface.

    async def users(self) -> dict[str, str]:
        """Everybody in the tenant: user principal name to object id."""
        answer = await self._send("GET", f"{self._at.tenant}/users")
        return {user["userPrincipalName"].lower(): user["id"] for user in answer["value"]}

    async def create_user(self, user: Mapping[str, Any]) -> dict[str, Any]:
        """Create a user; gives the Graph user."""
        answer: dict[str, Any] = await self._send("POST", f"{self._at.tenant}/users", json=user)
        return answer

    async def act(self, action: str, **details: Any) -> None:
        """Do what the tenant's administrator would: grant, license, move; the tenant's webhooks fire."""
        await self._send("POST", f"{self._at.tenant}/actions/{action}", json=details)

    async def outbox(self) -> list[Mail]:
        """Everything that was mailed since the outbox was emptied."""
        answer = await self._send("GET", f"{self._at.tenant}/outbox")
        return [
            Mail(
                event_id=row["eventId"] or "",
                reason=row["reason"],
                recipients=frozenset(address.lower() for address in row["recipients"]),
            )
            for row in answer["value"]
        ]

    async def empty_outbox(self) -> None:
        """Forget what was mailed."""
        await self._send("DELETE", f"{self._at.tenant}/outbox")

    async def save_traffic(self, path: Path) -> int:
        """Write every Graph request and answer since the tenant began to *path*, as JSON lines; gives how many."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.draft")
        count = 0
        async with self._session.get(f"{self._at.tenant}/traffic", raise_for_status=True) as answer:
            with draft.open("wb") as file:
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    count += chunk.count(b"\n")
                    file.write(chunk)
        draft.replace(path)
        return count

    # The tenant, through Graph.

    async def create_event(self, user: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Create a meeting in *user*'s calendar; gives it as stored."""
        answer: dict[str, Any] = await self._graph("POST", f"/users/{user}/events", json=event)
        return answer

    async def change_event(self, user: str, event_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change a meeting or an occurrence."""
        path = f"/users/{user}/events/{quote(event_id, safe='')}"
        answer: dict[str, Any] = await self._graph("PATCH", path, json=changes)
        return answer

    async def cancel_occurrence(self, user: str, event_id: str) -> None:
        """Delete an occurrence of a series, which cancels it for everybody."""
        await self._graph("DELETE", f"/users/{user}/events/{quote(event_id, safe='')}")

    async def occurrences(self, user: str, series: str, first_day: str, last_day: str) -> list[dict[str, Any]]:
        """The occurrences of a *series* between two days, earliest first."""
        path = f"/users/{user}/events/{quote(series, safe='')}/instances"
        span = {"startDateTime": f"{first_day}T00:00:00Z", "endDateTime": f"{last_day}T00:00:00Z", "$top": "50"}
        found = [event async for event in self._pages(path, span)]
        return sorted(found, key=lambda event: str(event["start"]["dateTime"]))

    async def calendar(self, user: str) -> list[dict[str, Any]]:
        """Every single meeting and series in *user*'s calendar, attendees' copies included."""
        query = {"$select": _WHOLE_ITEM, "$top": str(_PAGE)}
        return [event async for event in self._pages(f"/users/{user}/events", query)]

    async def series(self, user: str, event_id: str) -> Item:
        """A series with its exceptions and cancelled occurrences."""
        query = {
            "$select": f"{_WHOLE_ITEM},cancelledOccurrences,exceptionOccurrences",
            "$expand": f"exceptionOccurrences($select={_WHOLE_ITEM})",
        }
        path = f"/users/{user}/events/{quote(event_id, safe='')}"
        return read_item(await self._graph("GET", path, params=query))

    # The service.

    async def request_migrations(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask for migrations as an admin; gives the answer to each identity."""
        answer = await self._service("POST", "/migrations", role="operator", json=request)
        accepted: list[dict[str, Any]] = answer["value"]
        return accepted

    async def summary(self) -> list[dict[str, Any]]:
        """Users by state, as ``-SummaryOnly`` gives them."""
        answer = await self._service("GET", "/migrations", params={"summaryOnly": "true"})
        rows: list[dict[str, Any]] = answer["value"]
        return rows

    async def runs(self) -> list[dict[str, Any]]:
        """Every run, newest first."""
        rows: list[dict[str, Any]] = []
        query = {"top": "1000"}
        while True:
            answer = await self._service("GET", "/migrations", params=query)
            rows += answer["value"]
            token = answer.get("continuationToken")
            if not token:
                return rows
            query["continuationToken"] = token

    async def meetings(self, user_id: str) -> list[dict[str, Any]]:
        """What the service says of each meeting of a user."""
        answer = await self._service("GET", f"/migrations/{user_id}/meetings", params={"top": "1000"})
        rows: list[dict[str, Any]] = answer["value"]
        return rows

    async def _service(self, method: str, path: str, *, role: str = "reader", **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._at.tokens[role]}"}
        answer: dict[str, Any] = await self._send(method, self._at.api + path, headers=headers, **options)
        return answer

    async def _graph(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._at.tokens['graph']}", "Prefer": _PREFER}
        address = path if path.startswith("http") else self._at.graph + path
        answer: dict[str, Any] = await self._send(method, address, headers=headers, **options)
        return answer

    async def _pages(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        answer = await self._graph("GET", path, params=query)
        while True:
            for event in answer["value"]:
                yield event
            following = answer.get("@odata.nextLink")
            if not following:
                return
            answer = await self._graph("GET", following)

    async def _send(self, method: str, url: str, **options: Any) -> Any:
        give_up_at = monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await self._send_once(method, url, **options)
            except aiohttp.ClientConnectionError:
                # A part that dies is started again within seconds. Only reading may be repeated without a thought.
                if method != "GET" or monotonic() > give_up_at:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _send_once(self, method: str, url: str, **options: Any) -> Any:
        # Given as text, aiohttp would decode the %2F in it, and ids hold slashes.
        async with self._session.request(method, URL(url, encoded=True), **options) as answer:
            text = await answer.text()
            if not answer.ok:
                raise RefusedError(f"{method} {url} was answered {answer.status}: {text[:400]}")
            return json.loads(text) if text.strip() else {}
