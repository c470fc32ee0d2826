"""Office 365 Management Activity API (fact sheet 6.6): start with webhook validation, list, stop, content."""

import secrets
from typing import Any

import aiohttp
import msgspec

from mms_simulator import notify, payloads
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.courier import Courier
from mms_simulator.errors import GraphError, bad_request
from mms_simulator.model import FeedSubscription
from mms_simulator.odata.query import next_link
from mms_simulator.zones import parse_instant

TYPES = ("Audit.AzureActiveDirectory", "Audit.Exchange", "Audit.SharePoint", "Audit.General", "DLP.All")
_PAGE = 200
_DAY = 86_400
_VALIDATION_SECONDS = 10


def register(routes: Routes, courier: Courier) -> None:
    """Add the routes of the feed, under ``/api/v1.0/{tenant}/activity/feed``."""
    base = "api/v1.0/{tenant}/activity/feed"

    async def start(call: Call) -> Reply:
        content_type = _content_type(call)
        webhook = call.read(payloads.Feed).get("webhook")
        made = FeedSubscription(contentType=content_type)
        if webhook:
            made.address = webhook.get("address")
            made.authId = webhook.get("authId")
            made.expiration = webhook.get("expiration") or None
            if not made.address:
                raise bad_request("The webhook has no address.", "AF20020")
        if made == call.store.feed.get(content_type.lower()):
            raise bad_request("The subscription is already enabled. No property change.", "AF20024")
        if webhook:
            await _validate(courier, made)
        call.store.save(made)
        return Reply(200, view(made), content_type="application/json")

    routes.add("POST", f"{base}/subscriptions/start", start)
    routes.add("POST", f"{base}/subscriptions/stop", _stop)
    routes.add("GET", f"{base}/subscriptions/list", _list)
    routes.add("GET", f"{base}/subscriptions/content", _content)
    routes.add("GET", f"{base}/audit/{{content}}", _blob)


def view(feed: FeedSubscription) -> dict[str, Any]:
    """Write a subscription of the feed."""
    webhook = None
    if feed.address:
        webhook = {
            "status": "enabled",
            "address": feed.address,
            "authId": feed.authId,
            "expiration": feed.expiration,
        }
    return {"contentType": feed.contentType, "status": "enabled" if feed.enabled else "disabled", "webhook": webhook}


async def _validate(courier: Courier, feed: FeedSubscription) -> None:
    """Call the webhook with a code; without a 200 there is no subscription (6.6)."""
    code = secrets.token_urlsafe(16)
    headers = {"Webhook-ValidationCode": code, "Content-Type": "application/json"}
    if feed.authId:
        headers["Webhook-AuthID"] = feed.authId
    problem = ""
    try:
        async with courier.session.post(
            feed.address or "",
            data=msgspec.json.encode({"validationCode": code}),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=_VALIDATION_SECONDS),
        ) as answer:
            if answer.status != 200:  # noqa: PLR2004
                problem = f"it answered {answer.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        problem = type(exc).__name__
    if problem:
        raise bad_request(f"The webhook endpoint {{{feed.address}}} could not be validated: {problem}.", "AF20021")


def _stop(call: Call) -> Reply:
    found = call.store.feed.get(_content_type(call).lower())
    if found:
        call.store.drop(found)
    return Reply(204)


def _list(call: Call) -> Reply:
    return Reply(200, [view(feed) for feed in call.store.feed.values()], content_type="application/json")


def _content(call: Call) -> Reply:
    """List blobs of a content type: at most 24 hours at once, not older than seven days, NextPageUri in a header."""
    store = call.store
    content_type = _content_type(call)
    if content_type.lower() not in store.feed:
        raise bad_request("The subscription for this content type is disabled or does not exist.", "AF20022")
    now = store.clock.now()
    lowered = {name.lower(): value for name, value in call.query.items()}
    begin, end = lowered.get("starttime"), lowered.get("endtime")
    if (begin is None) != (end is None):
        raise bad_request("Both start and end time must be given, or neither.", "AF20030")
    start = parse_instant(begin) if begin else now - _DAY
    until = parse_instant(end) if end else now
    if until < start or until - start > _DAY + 1 or start < now - notify.CONTENT_LIFE_SECONDS - _DAY:
        raise bad_request("Start and end must be 24 hours apart at most, within the last seven days.", "AF20055")
    visible = now - store.switches.auditDelaySeconds
    # Instants in the query are whole seconds; a blob of the second that "now" is in belongs to it.
    rows = [
        notify.content_entry(store, blob)
        for blob in store.contents.values()
        if blob.contentType == content_type and start <= blob.created < until + 1 and blob.created <= visible
    ]
    skip = int(lowered.get("nextpage") or 0)
    headers = {}
    if len(rows) > skip + _PAGE:
        query = {name: value for name, value in call.query.items() if name.lower() != "nextpage"}
        headers["NextPageUri"] = f"{next_link(call.url, query)}&nextPage={skip + _PAGE}"
    return Reply(200, rows[skip : skip + _PAGE], headers, content_type="application/json")


def _blob(call: Call) -> Reply:
    found = call.store.contents.get(call.arguments["content"])
    if found is None or call.store.clock.now() > found.created + notify.CONTENT_LIFE_SECONDS:
        raise GraphError(404, "AF20051", "The content requested was not found or has expired.")
    return Reply(200, found.records, content_type="application/json")


def _content_type(call: Call) -> str:
    given = {name.lower(): value for name, value in call.query.items()}.get("contenttype", "")
    for known in TYPES:
        if known.lower() == given.lower():
            return known
    raise bad_request(f"The specified content type '{given}' is not valid.", "AF20020")
