"""What the tenant sends by itself: the subscription for users, and the Management Activity feed.

Source: Graph "subscription resource type" (users: at most 41,760 minutes); Office 365 Management Activity API
reference ("Start a subscription", webhook validation).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from kiota_abstractions.method import Method

from mms_core.adapters.graph.failures import failure
from mms_core.adapters.graph.wire import WireSubscription, WireSubscriptions
from mms_core.errors import NotFound, PermanentError, PreconditionLost, TemporaryError
from mms_core.ports import Content, Page, Subscribed, Tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials_async import AsyncTokenCredential

    from mms_core.adapters.graph.transport import GraphTransport
    from mms_core.settings import Deployment

LIFETIME: Final = timedelta(minutes=41_760) - timedelta(hours=1)
RENEW_BEFORE: Final = timedelta(days=7)
CONTENT_TYPES: Final = ("Audit.General", "Audit.AzureActiveDirectory")
"""Teams admin actions are in the first, licences in the second."""


class GraphTenant(Tenant):
    """Subscriptions over Graph and the Management Activity API."""

    def __init__(self, transport: GraphTransport, credential: AsyncTokenCredential, *, deployment: Deployment) -> None:
        self._transport = transport
        self._credential = credential
        self._deployment = deployment
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(30))

    async def ensure_subscriptions(
        self, *, now: datetime, noted: Mapping[str, str], renews: bool = False
    ) -> list[Subscribed]:
        """See :class:`~mms_core.ports.Tenant`."""
        # Without our secret, notifications could not be told from a stranger's: what is there stays as it is.
        if not (self._deployment.public_url and self._deployment.client_state):
            return []
        return [await self._users(now, noted, renews=renews), *await self._feed()]

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

    def _is_stale(self, subscription: WireSubscription, noted: Mapping[str, str]) -> bool:
        """Say whether its notifications carry another secret than ours; Graph itself seldom tells."""
        told, ours = subscription.client_state, self._deployment.client_state
        return told not in (None, ours) or noted.get(subscription.id, "") not in ("", fingerprint(ours))

    async def _users(self, now: datetime, noted: Mapping[str, str], *, renews: bool) -> Subscribed:
        address = f"{self._deployment.public_url}/api/graph/notifications"
        ours = [
            each
            for each in await self._subscriptions()
            if each.notification_url == address and (each.resource or "").strip("/").lower() == "users"
        ]
        alive = [each for each in ours if each.expiration_date_time and each.expiration_date_time > now]
        good = [each for each in alive if not self._is_stale(each, noted)]
        newest = max(good, key=lambda each: each.expiration_date_time or now, default=None)
        for surplus in alive:  # never more than one, not for a moment: a further one doubles all notifications
            if newest is None or surplus.id != newest.id:
                builder = self._transport.client.subscriptions.by_subscription_id(surplus.id)
                await self._transport.read(self._transport.request(builder, Method.DELETE))
        if newest is None:
            return await self._create(address, now)
        if renews or (newest.expiration_date_time and newest.expiration_date_time - now < RENEW_BEFORE):
            return await self._renew(newest, address, now)
        return self._done(newest, "kept", newest.expiration_date_time)

    def _done(self, subscription: WireSubscription, done: str, expires_at: datetime | None) -> Subscribed:
        return Subscribed(
            kind="users",
            subscription_id=subscription.id,
            done=done,
            expires_at=expires_at,
            secret=fingerprint(self._deployment.client_state),
        )

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
        return self._done(made, "created", made.expiration_date_time or now + LIFETIME)

    async def _renew(self, subscription: WireSubscription, address: str, now: datetime) -> Subscribed:
        builder = self._transport.client.subscriptions.by_subscription_id(subscription.id)
        # A new end authorizes it again as well; Graph warns of doing that by ``/reauthorize`` within ten minutes of it.
        info = self._transport.request(builder, Method.PATCH, {"expirationDateTime": now + LIFETIME})
        try:
            await self._transport.read(info)
        except NotFound:
            return await self._create(address, now)
        return self._done(subscription, "renewed", now + LIFETIME)

    # -- the activity feed ------------------------------------------------------------------------------------

    async def _call(self, method: str, url: str, body: Any = None) -> Any:
        return (await self._called(method, url, body))[0]

    async def _called(self, method: str, url: str, body: Any = None) -> tuple[Any, str | None]:
        """Return an answer, and where its next page is."""
        try:
            token = await self._credential.get_token(self._deployment.activity_scope)
            response = await self._http.request(
                method,
                # Calls that name no publisher share one quota, whoever makes them.
                httpx.URL(url).copy_set_param("PublisherIdentifier", self._deployment.tenant_id),
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
            return msgspec.json.decode(response.content or b"null"), response.headers.get("NextPageUri")
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise TemporaryError("an answer of the activity feed could not be decoded") from exc

    async def _feed(self) -> list[Subscribed]:
        if not (self._deployment.activity_url and self._deployment.activity_auth_id):
            return []
        address = f"{self._deployment.public_url}/api/activity"
        listed = await self._call("GET", f"{self._deployment.activity_url}/subscriptions/list")
        kept = {
            each.get("contentType")
            for each in (listed if isinstance(listed, list) else [])
            if isinstance(each, dict) and _is_ours(each, address, self._deployment.activity_auth_id)
        }
        return [
            Subscribed(kind="activity", subscription_id=each, done="kept")
            if each in kept
            else await self._start_feed(each, address)
            for each in CONTENT_TYPES
        ]

    async def _start_feed(self, content_type: str, address: str) -> Subscribed:
        body = {
            "webhook": {
                "address": address,
                "authId": self._deployment.activity_auth_id,
                # No expiration: the feed keeps it until it is stopped.
                "expiration": "",
            }
        }
        url = f"{self._deployment.activity_url}/subscriptions/start?contentType={content_type}"
        try:
            await self._call("POST", url, body)
        except PreconditionLost:  # it is exactly so already: another machine was faster
            return Subscribed(kind="activity", subscription_id=content_type, done="kept")
        return Subscribed(kind="activity", subscription_id=content_type, done="created")

    async def contents(self, content_type: str, *, since: datetime, until: datetime) -> Page[Content]:
        """See :class:`~mms_core.ports.Tenant`."""
        if not self._deployment.activity_url:
            return Page(items=())
        span = f"&startTime={since:%Y-%m-%dT%H:%M:%S}&endTime={until:%Y-%m-%dT%H:%M:%S}"
        url = f"{self._deployment.activity_url}/subscriptions/content?contentType={content_type}{span}"
        return await self._contents(url)

    async def more_contents(self, link: str) -> Page[Content]:
        """See :class:`~mms_core.ports.Tenant`.

        Raises:
            PermanentError: The link leads to another host.
        """
        self._check_host(link)
        return await self._contents(link)

    async def _contents(self, url: str) -> Page[Content]:
        listed, link = await self._called("GET", url)
        rows = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        contents = (
            Content(
                uri=str(row.get("contentUri") or ""),
                content_id=str(row.get("contentId") or ""),
                created_at=_instant(row.get("contentCreated")),
            )
            for row in rows
        )
        return Page(items=tuple(each for each in contents if each.uri), next_link=link)

    def _check_host(self, uri: str) -> None:
        if not self._deployment.activity_url or urlsplit(uri)[:2] != urlsplit(self._deployment.activity_url)[:2]:
            raise PermanentError("a content address leads to another host", code="InvalidParameter")

    async def activity(self, uri: str) -> list[dict[str, Any]]:
        """See :class:`~mms_core.ports.Tenant`.

        Raises:
            PermanentError: The URI leads to another host; our token must not go there.
        """
        self._check_host(uri)
        records = await self._call("GET", uri)
        return [each for each in records if isinstance(each, dict)] if isinstance(records, list) else []

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def fingerprint(secret: str) -> str:
    """Tell whether a secret has changed; too short to find the secret by."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _is_ours(listed: dict[str, Any], address: str, auth_id: str) -> bool:
    """Say whether a subscription of the feed is enabled, leads to us, and carries today's secret."""
    webhook = listed.get("webhook") or {}
    return (
        str(listed.get("status", "")).lower() == "enabled"
        and webhook.get("address") == address
        and webhook.get("authId") in (None, auth_id)
        and str(webhook.get("status") or "enabled").lower() == "enabled"
    )


def _instant(text: Any) -> datetime:
    """Read an instant of the feed: UTC, whether it says so or not."""
    try:
        at = datetime.fromisoformat(str(text)[:19])
    except ValueError as exc:
        raise TemporaryError("an instant of the activity feed could not be read") from exc
    return at.replace(tzinfo=UTC)
