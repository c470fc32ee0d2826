"""Change-notification subscriptions over HTTP (fact sheet 7): handshake, lifetimes, renewal."""

import html
import secrets
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from mms_simulator import notify, payloads
from mms_simulator.call import Call, Handler, Reply, Routes
from mms_simulator.courier import Courier
from mms_simulator.errors import GraphError, bad_request, resource_not_found
from mms_simulator.model import Subscription
from mms_simulator.notify import APPLICATION
from mms_simulator.store import Store
from mms_simulator.zones import graph_instant, parse_instant

USERS_MINUTES = 41_760
EVENTS_MINUTES = 4_230
_HANDSHAKE_SECONDS = 10
_CLIENT_STATE = 128
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_USERS_PER_APPLICATION, _USERS_PER_TENANT, _EVENTS_PER_MAILBOX = 100, 1_000, 1_000


def register(routes: Routes, courier: Courier) -> None:
    """Add the routes of subscriptions."""

    async def post(call: Call) -> Reply:
        payload = call.read(payloads.Subscription)
        made = _new(call, payload)
        for url in filter(None, (made.notificationUrl, made.lifecycleNotificationUrl)):
            if not url.startswith("EventGrid:"):
                await _handshake(courier, url)
        call.store.save(made)
        return Reply(201, view(made))

    routes.add("POST", "subscriptions", post)
    simple: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "subscriptions", _list),
        ("GET", "subscriptions/{subscription}", lambda call: Reply(200, view(_find(call)))),
        ("PATCH", "subscriptions/{subscription}", _renew),
        ("DELETE", "subscriptions/{subscription}", _delete),
        ("POST", "subscriptions/{subscription}/reauthorize", _reauthorize),
    )
    for method, pattern, handler in simple:
        routes.add(method, pattern, handler)


def view(subscription: Subscription) -> dict[str, Any]:
    """Write a subscription; the clientState is never told."""
    return {
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.applicationId or APPLICATION,
        "changeType": subscription.changeType,
        "clientState": None,
        "notificationUrl": subscription.notificationUrl,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": subscription.lifecycleNotificationUrl,
        "expirationDateTime": graph_instant(subscription.expires),
        "creatorId": subscription.applicationId or APPLICATION,
        "includeResourceData": None,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }


def _new(call: Call, payload: dict[str, Any]) -> Subscription:
    store = call.store
    for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
        if not payload.get(name):
            raise bad_request(f"The '{name}' attribute is required.", "InvalidRequest")
    changes = [each.strip() for each in str(payload["changeType"]).split(",")]
    resource = str(payload["resource"])
    limit = _limit(store, resource, changes)
    if len(payload.get("clientState") or "") > _CLIENT_STATE:
        raise bad_request("The clientState is longer than 128 characters.", "InvalidRequest")
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        if payload.get(name):
            _check_url(payload[name], name)
    application = call.token.get("appid") or APPLICATION
    _check_quota(store, resource, application)
    return Subscription(
        id=str(uuid.uuid4()),
        resource=resource,
        changeType=",".join(changes),
        notificationUrl=payload["notificationUrl"],
        lifecycleNotificationUrl=payload.get("lifecycleNotificationUrl"),
        clientState=payload.get("clientState"),
        expires=_expiry(store, payload["expirationDateTime"], limit),
        applicationId=application,
        immutableIds=call.manner.immutable,
    )


def _check_quota(store: Store, resource: str, application: str) -> None:
    """Refuse one more subscription than the directory (6.3) or a mailbox (7) takes."""
    mailbox = notify.mailbox_of(store, resource)
    rows = [each for each in store.subscriptions.values() if notify.mailbox_of(store, each.resource) == mailbox]
    if mailbox:
        full = len(rows) >= _EVENTS_PER_MAILBOX
    else:
        own = sum(each.applicationId == application for each in rows)
        full = own >= _USERS_PER_APPLICATION or len(rows) >= _USERS_PER_TENANT
    if full:
        raise GraphError(403, "ExtensionError", "The limit of subscriptions for this resource is reached.")


def _limit(store: Store, resource: str, changes: list[str]) -> int:
    """Give the longest life in minutes for a resource; refuse resources and change types that are not there (6.3)."""
    parts = resource.strip("/").split("?")[0].split("/")
    if parts[0].lower() != "users":
        raise bad_request(f"Unsupported resource '{resource}'.", "InvalidRequest")
    users = len(parts) <= 2  # noqa: PLR2004 - users, users/{id}
    allowed = {"updated", "deleted"} if users else {"created", "updated", "deleted"}
    for change in changes:
        if change not in allowed:
            raise bad_request(f"Invalid 'changeType' attribute: '{change}'.", "InvalidRequest")
    if users:
        return USERS_MINUTES
    if parts[-1].lower() != "events":
        raise bad_request(f"Unsupported resource '{resource}'.", "InvalidRequest")
    store.mailbox_user(parts[1])
    return EVENTS_MINUTES


def _expiry(store: Store, text: str, limit: int) -> float:
    now = store.clock.now()
    expires = parse_instant(text)
    if expires <= now:
        raise bad_request("The expiration is in the past.", "InvalidRequest")
    if expires > now + limit * 60:
        raise bad_request(f"Subscription expiration can only be {limit} minutes in the future.", "InvalidRequest")
    return float(expires)


def _check_url(url: str, name: str) -> None:
    if url.startswith("EventGrid:"):
        return
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise bad_request(f"The '{name}' must be an HTTPS URL.", "InvalidRequest")


async def _handshake(courier: Courier, url: str) -> None:
    """Validate an endpoint: it must echo the decoded token as text within ten seconds (7)."""
    token = f"Validation: Testing client application reachability for subscription <{secrets.token_urlsafe(18)}+/=>"
    separator = "&" if "?" in url else "?"
    target = f"{url}{separator}validationToken={quote(token, safe='')}"
    problem = ""
    try:
        async with courier.session.post(
            target,
            data=b"",
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=aiohttp.ClientTimeout(total=_HANDSHAKE_SECONDS),
        ) as answer:
            text = await answer.text()
            if answer.status != 200:  # noqa: PLR2004
                problem = f"The endpoint answered {answer.status}."
            elif text not in {token, html.escape(token)}:
                problem = "The endpoint did not return the validation token."
            elif not answer.content_type.startswith("text/plain"):
                problem = "The endpoint did not answer text/plain."
    except (aiohttp.ClientError, TimeoutError) as exc:
        problem = f"The endpoint could not be reached: {type(exc).__name__}."
    if problem:
        raise bad_request(f"Subscription validation request failed. {problem}", "ValidationError")


def _find(call: Call) -> Subscription:
    found = call.store.subscriptions.get(call.arguments["subscription"].lower())
    if found is None or found.expires < call.store.clock.now():
        raise resource_not_found(call.arguments["subscription"], "ResourceNotFound")
    return found


def _list(call: Call) -> Reply:
    now = call.store.clock.now()
    return Reply(200, {"value": [view(each) for each in call.store.subscriptions.values() if each.expires >= now]})


def _renew(call: Call) -> Reply:
    found, payload = _find(call), call.read(payloads.Subscription)
    changes: dict[str, Any] = {"reauthorize_sent": False}
    if payload.get("lifecycleNotificationUrl") not in {None, found.lifecycleNotificationUrl}:
        raise bad_request("lifecycleNotificationUrl cannot be added or changed later.", "InvalidRequest")
    if payload.get("expirationDateTime"):
        limit = _limit(call.store, found.resource, found.changeType.split(","))
        changes["expires"] = _expiry(call.store, payload["expirationDateTime"], limit)
    if payload.get("notificationUrl"):
        _check_url(payload["notificationUrl"], "notificationUrl")
        changes["notificationUrl"] = payload["notificationUrl"]
    renewed = msgspec.structs.replace(found, **changes)
    call.store.save(renewed)
    return Reply(200, view(renewed))


def _delete(call: Call) -> Reply:
    call.store.drop(_find(call))
    return Reply(204)


def _reauthorize(call: Call) -> Reply:
    call.store.save(msgspec.structs.replace(_find(call), reauthorize_sent=False))
    return Reply(202)
