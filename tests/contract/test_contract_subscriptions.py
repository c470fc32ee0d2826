"""The adapter's subscriptions in the simulated tenant: one for users, never two, with today's secrets."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken

from mms_core.adapters.graph import GraphTenant, GraphTransport
from mms_core.adapters.graph.tenant import CONTENT_TYPES
from mms_core.settings import Deployment, from_environment
from mms_simulator import signin
from mms_simulator.front import Front
from mms_simulator.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mms_core.ports import Subscribed

KEY = signin.new_key()


class Identity:
    """May do everything."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return a token for a scope."""
        return AccessToken(self._front.sign_in.token(signin.audience_of(scopes[0]), []), 2**33)


class World:
    """A tenant, an app that answers its handshakes, and the adapter."""

    def __init__(self, front: Front, address: str) -> None:
        self._front = front
        base = front.store.base
        self.graph_url = f"{base}/v1.0"
        self.identity: Any = Identity(front)
        self.deployment: Deployment = from_environment(
            {
                "MMS_TENANT_ID": front.store.tenant_id,
                "MMS_API_AUDIENCE": "api://mms",
                "MMS_GRAPH_URL": self.graph_url,
                "MMS_GRAPH_SCOPE": "https://graph.microsoft.com/.default",
                "MMS_ACTIVITY_URL": f"{base}/api/v1.0/{front.store.tenant_id}/activity/feed",
                "MMS_PUBLIC_URL": address,
                "MMS_CLIENT_STATE": "old secret",
                "MMS_ACTIVITY_AUTH_ID": "old auth",
            }
        )
        self.noted: dict[str, str] = {}

    @contextlib.asynccontextmanager
    async def adapter(self) -> AsyncIterator[GraphTenant]:
        """Give the adapter, as an app with the settings of now."""
        transport = GraphTransport(self.identity, base_url=self.graph_url, scope=self.deployment.graph_scope)
        tenant = GraphTenant(transport, self.identity, deployment=self.deployment)
        try:
            yield tenant
        finally:
            await tenant.close()
            await transport.close()
            await transport._http._transport.transport.aclose()  # type: ignore[attr-defined]  # kiota leaves it open

    async def ensure(self, *, renews: bool = False, now: datetime | None = None, **settings: str) -> list[Subscribed]:
        """Look after the subscriptions, as an app with these settings, and note what was found."""
        self.deployment = replace(self.deployment, **settings)  # type: ignore[arg-type] # of any of its fields
        async with self.adapter() as tenant:
            found = await tenant.ensure_subscriptions(now=now or datetime.now(UTC), noted=self.noted, renews=renews)
        self.noted = {each.subscription_id: each.secret for each in found if each.kind == "users"}
        return found

    async def subscribe(self) -> None:
        """Make a further subscription that leads to us, as a fault of another time would have."""
        token = self._front.sign_in.token(signin.audience_of(self.deployment.graph_scope), [])
        body = {
            "changeType": "updated",
            "resource": "users",
            "notificationUrl": f"{self.deployment.public_url}/api/graph/notifications",
            "expirationDateTime": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
            "clientState": "old secret",
        }
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
            (await client.post(f"{self.graph_url}/subscriptions", json=body)).raise_for_status()

    def pass_time(self, by: timedelta) -> None:
        """Let the tenant's clock go on."""
        self._front.store.clock.offset += by.total_seconds()

    def lose(self) -> None:
        """Let Graph forget the subscription."""
        for each in list(self._front.store.subscriptions.values()):
            self._front.store.drop(each)

    def subscriptions(self) -> list[tuple[str, str | None]]:
        """Give id and clientState of each that is there."""
        return [(each.id, each.clientState) for each in self._front.store.subscriptions.values()]

    def auth_ids(self) -> list[str | None]:
        """Give the secrets of the feed's subscriptions."""
        return [each.authId for each in self._front.store.feed.values()]

    def writes(self) -> list[tuple[str, str]]:
        """Give the writes to Graph that the tenant has seen so far: method and route."""
        rows = [json.loads(line) for line in self._front.traffic.read().splitlines()]
        return [(row["method"], row["route"]) for row in rows if row["method"] != "GET" and "/v1.0/" in row["path"]]


async def _answered(request: web.Request) -> web.Response:
    return web.Response(text=request.query.get("validationToken", ""))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Run an empty tenant in memory, and an app."""
    app = web.Application()
    app.router.add_post("/api/{rest:.*}", _answered)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    store = Store()
    store.setting("signingKey", KEY)
    front = Front(store, None)
    await front.start("127.0.0.1", 0)
    yield World(front, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await front.stop()
    await runner.cleanup()


async def test_a_subscription_is_made_once_and_kept(world: World) -> None:
    """However often it is looked at."""
    done = [[each.done for each in await world.ensure()] for _ in range(3)]
    assert done == [["created"] * 3, ["kept"] * 3, ["kept"] * 3]
    assert [state for _, state in world.subscriptions()] == ["old secret"]


async def test_a_changed_secret_replaces_the_subscription_once_and_never_makes_two(world: World) -> None:
    """Graph repeats the secret of the day on which it was made; what carries another one is refused, all of it."""
    await world.ensure()
    before = len(world.writes())
    for done in ("created", "kept"):
        assert (await world.ensure(client_state="new secret"))[0].done == done
    assert [state for _, state in world.subscriptions()] == ["new secret"]
    assert [method for method, _ in world.writes()[before:]] == ["DELETE", "POST"]


async def test_a_replaced_subscription_that_could_not_be_noted_is_not_replaced_again(world: World) -> None:
    """The worker died in between: what is noted is still the old one's."""
    await world.ensure()
    noted = world.noted
    await world.ensure(client_state="new secret")
    ((made, _),) = world.subscriptions()
    world.noted = noted
    assert (await world.ensure())[0].done == "kept"
    assert world.subscriptions() == [(made, "new secret")]


async def test_a_subscription_is_renewed_before_it_ends_and_made_again_when_it_is_lost(world: World) -> None:
    """A week before, by the timer; gone, it is another one."""
    first = (await world.ensure())[0]
    assert first.expires_at is not None
    early, late = first.expires_at - timedelta(days=8), first.expires_at - timedelta(days=6)
    assert (await world.ensure(now=early))[0].done == "kept"
    world.pass_time(timedelta(days=23))
    renewed = (await world.ensure(now=late))[0]
    assert (renewed.subscription_id, renewed.done) == (first.subscription_id, "renewed")
    world.lose()
    made = (await world.ensure())[0]
    assert (made.done, len(world.subscriptions())) == ("created", 1)
    assert made.subscription_id != first.subscription_id


async def test_of_several_subscriptions_one_is_left(world: World) -> None:
    """And none that carries the old secret."""
    await world.ensure()
    await world.subscribe()
    assert len(world.subscriptions()) == 2
    await world.ensure()
    assert len(world.subscriptions()) == 1


async def test_graphs_wish_for_authorization_is_one_patch_of_the_end(world: World) -> None:
    """It renews and authorizes in one; both calls together are what Graph warns of."""
    first = (await world.ensure())[0]
    before = len(world.writes())
    later = datetime.now(UTC) + timedelta(minutes=5)
    second = (await world.ensure(renews=True, now=later))[0]
    assert (second.subscription_id, second.done) == (first.subscription_id, "renewed")
    assert second.expires_at is not None
    assert first.expires_at is not None
    assert second.expires_at > first.expires_at
    assert [method for method, _ in world.writes()[before:]] == ["PATCH"]


async def test_a_changed_auth_id_starts_the_feed_again_once(world: World) -> None:
    """Else the feed's calls would be refused for ever."""
    await world.ensure()
    for done in ("created", "kept"):
        found = await world.ensure(activity_auth_id="new auth")
        assert [each.done for each in found] == ["kept", done, done]
    assert world.auth_ids() == ["new auth", "new auth"]


async def test_an_app_that_does_not_know_its_secrets_leaves_what_is_there(world: World) -> None:
    """An instance for which Key Vault did not answer must not put an empty secret in the place of ours."""
    await world.ensure()
    before = (world.subscriptions(), world.auth_ids())
    assert await world.ensure(client_state="", activity_auth_id="") == []
    assert [each.kind for each in await world.ensure(client_state="old secret", activity_auth_id="")] == ["users"]
    assert (world.subscriptions(), world.auth_ids()) == before


async def test_of_two_machines_that_start_the_feed_the_slower_one_finds_it_started(world: World) -> None:
    """The feed refuses to start what is exactly so already."""
    await world.ensure()
    address = f"{world.deployment.public_url}/api/activity"
    async with world.adapter() as tenant:
        done = [(await tenant._start_feed(each, address)).done for each in CONTENT_TYPES]
    assert done == ["kept"] * len(CONTENT_TYPES)
    assert world.auth_ids() == ["old auth"] * len(CONTENT_TYPES)
