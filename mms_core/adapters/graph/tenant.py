"""What the tenant sends by itself: the subscription for users, and the Management Activity feed.

Source: Graph "subscription resource type" (users: at most 41,760 minutes); Office 365 Management Activity API
reference ("Start a subscription", webhook validation).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from kiota_abstractions.method import Method

from mms_core.adapters.graph.failures import failure
from mms_core.adapters.graph.wire import WireSubscription, WireSubscriptions
from mms_core.errors import NotFound, PermanentError, TemporaryError
from mms_core.ports import Subscribed, Tenant

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from mms_core.adapters.graph.transport import GraphTransport
    from mms_core.settings import Deployment

LIFETIME: Final = timedelta(minutes=41_760) - timedelta(hours=1)
RENEW_BEFORE: Final = timedelta(days=7)
CONTENT_TYPE: Final = "Audit.General"


class GraphTenant(Tenant):
    """Subscriptions over Graph and the Management Activity API."""

    def __init__(self, transport: GraphTransport, credential: AsyncTokenCredential, *, deployment: Deployment) -> None:
        self._transport = transport
        self._credential = credential
        self._deployment = deployment
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(30))

    async def ensure_subscriptions(self, *, now: datetime) -> list[Subscribed]:
        """See :class:`~mms_core.ports.Tenant`."""
        if not self._deployment.public_url:
            return []
        return [await self._users(now), await self._feed()]

    # -- Graph ------------------------------------------------------------------------------------------------

    async def _subscriptions(self) -> list[WireSubscription]:
        builder = self._transport.client.subscriptions
        info: Any = builder.to_get_request_information()
        found: list[WireSubscription] = []
        while info is not None:
            page = (await self._transport.read(info)).decoded(WireSubscriptions)
            found += page.value
            info = self._transport.page(page.next_link) if page.next_link else None
        return found

    async def _users(self, now: datetime) -> Subscribed:
        address = f"{self._deployment.public_url}/api/graph/notifications"
        ours = [
            each
            for each in await self._subscriptions()
            if each.notification_url == address and (each.resource or "").strip("/") == "users"
        ]
        alive = [each for each in ours if each.expiration_date_time and each.expiration_date_time > now]
        newest = max(alive, key=lambda each: each.expiration_date_time or now, default=None)
        for surplus in alive:  # never more than one: every further one doubles all notifications
            if newest is not None and surplus.id != newest.id:
                builder = self._transport.client.subscriptions.by_subscription_id(surplus.id)
                await self._transport.read(self._transport.request(builder, Method.DELETE))
        if newest is None:
            return await self._create(address, now)
        if newest.expiration_date_time and newest.expiration_date_time - now < RENEW_BEFORE:
            return await self._renew(newest, address, now)
        return Subscribed(kind="users", subscription_id=newest.id, done="kept")

    async def _create(self, address: str, now: datetime) -> Subscribed:
        body = {
            "changeType": "updated",
            "notificationUrl": address,
            "lifecycleNotificationUrl": f"{self._deployment.public_url}/api/graph/lifecycle",
            "resource": "users",
            "expirationDateTime": now + LIFETIME,
            "clientState": self._deployment.client_state,
        }
        info = self._transport.request(self._transport.client.subscriptions, Method.POST, body)
        made = (await self._transport.write(info)).decoded(WireSubscription)
        return Subscribed(kind="users", subscription_id=made.id, done="created")

    async def _renew(self, subscription: WireSubscription, address: str, now: datetime) -> Subscribed:
        builder = self._transport.client.subscriptions.by_subscription_id(subscription.id)
        info = self._transport.request(builder, Method.PATCH, {"expirationDateTime": now + LIFETIME})
        try:
            await self._transport.read(info)
        except NotFound:
            return await self._create(address, now)
        return Subscribed(kind="users", subscription_id=subscription.id, done="renewed")

    # -- the activity feed ------------------------------------------------------------------------------------

    async def _call(self, method: str, url: str, body: Any = None) -> Any:
        try:
            token = await self._credential.get_token(self._deployment.activity_scope)
            response = await self._http.request(
                method,
                url,
                headers={"Authorization": f"Bearer {token.token}", "Content-Type": "application/json"},
                content=msgspec.json.encode(body) if body is not None else None,
            )
        except httpx.HTTPError as exc:
            raise TemporaryError(type(exc).__name__) from exc
        except (ClientAuthenticationError, CredentialUnavailableError) as exc:
            raise TemporaryError(type(exc).__name__, code="SignInFailed") from exc
        problem = failure(
            response.status_code,
            response.headers,
            response.content,
            is_write=False,
            now=datetime.now().astimezone(),
        )
        if problem is not None:
            raise problem
        try:
            return msgspec.json.decode(response.content or b"null")
        except msgspec.MsgspecError as exc:
            raise TemporaryError("an answer of the activity feed could not be decoded") from exc

    async def _feed(self) -> Subscribed:
        address = f"{self._deployment.public_url}/api/activity"
        listed = await self._call("GET", f"{self._deployment.activity_url}/subscriptions/list")
        for each in listed if isinstance(listed, list) else []:
            webhook = each.get("webhook") or {}
            if (
                each.get("contentType") == CONTENT_TYPE
                and str(each.get("status", "")).lower() == "enabled"
                and webhook.get("address") == address
                and str(webhook.get("status") or "enabled").lower() == "enabled"
            ):
                return Subscribed(kind="activity", subscription_id=CONTENT_TYPE, done="kept")
        body = {
            "webhook": {
                "address": address,
                "authId": self._deployment.activity_auth_id,
                # No expiration: the feed keeps it until it is stopped.
                "expiration": "",
            }
        }
        url = f"{self._deployment.activity_url}/subscriptions/start?contentType={CONTENT_TYPE}"
        await self._call("POST", url, body)
        return Subscribed(kind="activity", subscription_id=CONTENT_TYPE, done="created")

    async def activity(self, uri: str) -> list[dict[str, Any]]:
        """See :class:`~mms_core.ports.Tenant`.

        Raises:
            PermanentError: The URI leads to another host; our token must not go there.
        """
        if urlsplit(uri)[:2] != urlsplit(self._deployment.activity_url)[:2]:
            raise PermanentError("a content address leads to another host", code="InvalidParameter")
        records = await self._call("GET", uri)
        return [each for each in records if isinstance(each, dict)] if isinstance(records, list) else []

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
