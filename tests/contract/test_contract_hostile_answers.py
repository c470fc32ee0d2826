"""Where our tokens go: to Graph and to the activity feed, and to no address that an answer, a queue or a mail names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.core.credentials import AccessToken

from mms_core.adapters.graph import GraphCalendar, GraphDirectory, GraphTransport
from mms_core.adapters.graph.tenant import GraphTenant
from mms_core.adapters.probes import HttpProbes
from mms_core.diagnosis import RIGHTS
from mms_core.errors import MmsError, OutcomeUnknown, PermanentError, TemporaryError
from mms_core.ports import EventChange
from mms_core.settings import from_environment

TENANT = "9b1de1a5-5e0c-4f55-8d5f-2f4a1f0a3c11"
FEED = f"/api/v1.0/{TENANT}/activity/feed"


class Identity:
    """An identity whose token is known by its text."""

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """Return it."""
        return AccessToken("our-token", 2**33)


class Server:
    """Answers every request as a test says, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path_qs, request.headers.get("Authorization")))
        status, headers, body = self.answers.pop(0) if self.answers else (200, {}, b'{"value":[]}')
        return web.Response(status=status, headers=headers, body=body, content_type="application/json")

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.server.make_url("")).rstrip("/")


class World:
    """Graph and feed on one server that obeys an attacker, and the attacker's own server."""

    def __init__(self, graph: Server, elsewhere: Server) -> None:
        self.graph, self.elsewhere = graph, elsewhere
        deployment = from_environment(
            {
                "MMS_TENANT_ID": TENANT,
                "MMS_API_AUDIENCE": "api://mms",
                "AzureWebJobsStorage": "none",
                "MMS_GRAPH_URL": f"{graph.url}/v1.0",
                "MMS_ACTIVITY_URL": f"{graph.url}{FEED}",
                "MMS_PUBLIC_URL": "https://mms.contoso.example",
                "MMS_CLIENT_STATE": "state",
                "MMS_ACTIVITY_AUTH_ID": "auth",
            }
        )
        identity: Any = Identity()
        self.transport = GraphTransport(identity, base_url=deployment.graph_url, scope="scope")
        self.directory = GraphDirectory(self.transport)
        self.tenant = GraphTenant(self.transport, identity, deployment=deployment)
        self.probes = HttpProbes(identity, deployment=deployment)


@pytest.fixture
async def world(monkeypatch) -> AsyncIterator[World]:
    """Both servers."""

    async def at_once(_seconds: float) -> None:
        """Retries need not wait here."""

    monkeypatch.setattr("mms_core.adapters.graph.transport.asyncio.sleep", at_once)
    graph, elsewhere = Server(), Server()
    async with graph.server, elsewhere.server:
        made = World(graph, elsewhere)
        yield made
        await made.tenant.close()
        await made.transport.close()
        # Graph's own transport does not pass the closing on to the one beneath it.
        await made.transport._http._transport.transport.aclose()


def links(world: World, path: str) -> list[str]:
    """Addresses that look like ours to a careless eye."""
    graph, host = world.graph.url, world.graph.url.removeprefix("http://")
    return [
        f"{world.elsewhere.url}{path}",
        f"https://{host}{path}",
        f"http://{host}@{world.elsewhere.url.removeprefix('http://')}{path}",
        f"http://{host}.evil.example{path}",
        f"{graph}0{path}",
        f"{graph}\\@{world.elsewhere.url.removeprefix('http://')}{path}",
        f"//{host}{path}",
        "file:///etc/passwd",
        path,
        "",
    ]


async def test_our_token_is_seen_where_it_belongs(world):
    """The tests below could not fail if nobody looked at it."""
    assert (await world.directory.users()).items == ()
    await world.directory.users(f"{world.graph.url}/v1.0/users?$skiptoken=2")
    assert [token for _, token in world.graph.asked] == ["Bearer our-token"] * 2


async def test_a_next_page_on_another_host_is_not_fetched(world):
    """Whoever could write into an answer, or into the row where a sweep keeps its place, gets no token."""
    for link in links(world, "/v1.0/users?$skiptoken=2"):
        if not link:
            continue  # an empty link is no link: the list begins anew
        with pytest.raises(PermanentError):
            await world.directory.users(link)
        with pytest.raises(PermanentError):
            await world.directory.configurations(link)
    assert world.elsewhere.asked == world.graph.asked == []


async def test_a_listing_that_leads_away_ends_in_an_error_and_not_in_half_a_list(world):
    """The subscriptions, which are read to their end."""
    page = {"value": [], "@odata.nextLink": f"{world.elsewhere.url}/v1.0/subscriptions?$skiptoken=2"}
    world.graph.answers.append((200, {}, json.dumps(page).encode()))
    with pytest.raises(PermanentError):
        await world.tenant._subscriptions()
    assert world.elsewhere.asked == []


async def test_audit_contents_are_fetched_from_the_feeds_own_host_only(world):
    """Their address came over the network and lay in a queue."""
    for link in links(world, f"{FEED}/audit/1"):
        with pytest.raises(PermanentError):
            await world.tenant.activity(link)
        with pytest.raises(PermanentError):
            await world.tenant.more_contents(link)
    assert world.elsewhere.asked == world.graph.asked == []
    world.graph.answers.append((200, {}, b"[]"))
    assert await world.tenant.activity(f"{world.graph.url}{FEED}/audit/1") == []
    assert world.graph.asked == [(f"{FEED}/audit/1?PublisherIdentifier={TENANT}", "Bearer our-token")]


async def test_every_call_of_the_feed_names_a_publisher_and_keeps_its_own_query(world):
    """Who names none shares a quota with everybody who does not."""
    world.graph.answers += [(200, {}, b"[]")] * 2
    await world.tenant.more_contents(f"{world.graph.url}{FEED}/subscriptions/content?contentType=A&nextPage=2")
    await world.tenant.activity(f"{world.graph.url}{FEED}/audit/4$f2$04")
    assert [path for path, _ in world.graph.asked] == [
        f"{FEED}/subscriptions/content?contentType=A&nextPage=2&PublisherIdentifier={TENANT}",
        f"{FEED}/audit/4$f2$04?PublisherIdentifier={TENANT}",
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(world, status):
    """Not with the token, and not without it either: nothing that we call leads elsewhere."""
    away = {"Location": f"{world.elsewhere.url}/v1.0/users"}
    for call in (
        world.directory.users,
        lambda: world.tenant.activity(f"{world.graph.url}{FEED}/audit/1"),
        lambda: world.transport.write(world.transport.page(f"{world.graph.url}/v1.0/x")),
    ):
        world.graph.answers = [(status, away, b"")] * 3
        with pytest.raises(TemporaryError):
            await call()
    world.graph.answers = [(status, away, b"")]
    assert (await world.probes.ask(RIGHTS[0], RIGHTS[0].path)).status == status
    assert world.elsewhere.asked == []


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"x"', b'{"value": 5}', b'{"value": [null]}', b"<html>", b"[" * 100_000, b'{"value": [{"id": 7}]}'],
    ids=["empty", "null", "list", "text", "number", "nothing", "html", "deep", "wrong"],
)  # fmt: skip
async def test_nonsense_for_an_answer_is_a_named_failure(world, body):
    """A proxy's page, half an answer, an attacker's: never a crash, never an empty list taken for the truth."""
    world.graph.answers = [(200, {}, body)] * 3
    with pytest.raises(MmsError) as caught:
        await world.directory.users()
    assert caught.value.code == "ServiceUnavailable"
    world.graph.answers = [(403, {}, body)] * 3
    with pytest.raises(PermanentError):
        await world.directory.users()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id":7}', b'{"id":"e"}garbage'])
async def test_a_write_that_was_accepted_and_answered_with_nonsense_may_have_been_carried_out(world, body):
    """It is looked up, never taken for one that failed."""
    world.graph.answers.append((200, {}, body))
    change = EventChange(body="x", content_type="html")
    with pytest.raises(OutcomeUnknown):
        await GraphCalendar(world.transport).update("user", "event", change, etag='W/"1"')
