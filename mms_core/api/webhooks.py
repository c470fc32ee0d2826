"""The routes that a tenant calls: open to the network, each with its own proof; answered after the durable write."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from mms_core.api.http import ApiRequest, ApiResponse, answering, json_response, text_response
from mms_core.auth import Keys, Principal, Role, bearer, require, verify
from mms_core.errors import AccessDenied, BadInput
from mms_core.notifications import decode, parse_activity, parse_events, parse_notifications, same_secret
from mms_core.signatures import SigningKey, is_signed, read_keys, verify_signature
from mms_core.telemetry import log

if TYPE_CHECKING:
    from mms_core.ports import Clock
    from mms_core.service import Inbox
    from mms_core.settings import Deployment

LONGEST_VALIDATION: Final = 2048


async def authenticate(request: ApiRequest, keys: Keys, deployment: Deployment, role: Role) -> Principal:
    """Return the caller, verified and with the role.

    Raises:
        AccessDenied: No, wrong or insufficient token.
    """
    principal = await verify(
        bearer(request.headers),
        keys,
        issuer=deployment.token_issuer,
        audience=deployment.api_audience,
        tenant_id=deployment.tenant_id,
    )
    require(principal, role)
    return principal


def _handshake(request: ApiRequest) -> ApiResponse | None:
    """Answer Graph's validation: the token, decoded, as plain text (never as HTML, it is a stranger's text)."""
    token = request.query.get("validationToken")
    if token is not None and not 0 < len(token) <= LONGEST_VALIDATION:
        raise BadInput(f"1 to {LONGEST_VALIDATION} characters", code="InvalidParameter", field="validationToken")
    is_call = bool(request.body.strip()) and request.headers.get("content-type", "").startswith("application/json")
    if token is None or is_call:
        return None
    return text_response(token, content_type="text/plain")


class WebhookApi:
    """Handlers of the webhook routes."""

    def __init__(self, inbox: Inbox, *, keys: Keys, deployment: Deployment, clock: Clock | None = None) -> None:
        self._inbox = inbox
        self._clock = clock
        self._signing_keys: tuple[SigningKey, ...] | None = None
        self._keys = keys
        self._deployment = deployment

    @answering
    async def notifications(self, request: ApiRequest) -> ApiResponse:
        """``POST graph/notifications``."""
        handshake = _handshake(request)
        if handshake is not None:
            return handshake
        notified = parse_notifications(
            request.body, client_state=self._deployment.client_state, tenant_id=self._deployment.tenant_id
        )
        await self._inbox.notifications(notified)
        return ApiResponse(status=HTTPStatus.ACCEPTED)

    @answering
    async def lifecycle(self, request: ApiRequest) -> ApiResponse:
        """``POST graph/lifecycle``: look after the subscriptions now, and for what was not told."""
        handshake = _handshake(request)
        if handshake is not None:
            return handshake
        notified = parse_notifications(
            request.body, client_state=self._deployment.client_state, tenant_id=self._deployment.tenant_id
        )
        await self._inbox.lifecycle(notified.lifecycle)
        log("lifecycle_received", count=len(notified.lifecycle))
        return ApiResponse(status=HTTPStatus.ACCEPTED)

    @answering
    async def events(self, request: ApiRequest) -> ApiResponse:
        """``POST, OPTIONS events``: CloudEvents."""
        if request.method == "OPTIONS":
            return self._abuse_protection(request)
        actor, proof = await self._sender(request)
        events = parse_events(request.body, request.headers, tenant_id=self._deployment.tenant_id)
        if len(events) == 1 and events[0].problem is not None:
            raise events[0].problem
        repeated = await self._inbox.events(events, actor=actor, proof=proof)
        rows: list[dict[str, Any]] = []
        for event in events:
            status = "duplicate" if event.unique_id in repeated else "accepted"
            row: dict[str, Any] = {"id": event.event_id.rpartition("|")[2], "status": status}
            if event.problem is not None:
                row |= {"status": "refused", "code": event.problem.code, "field": event.problem.field}
            rows.append(row)
        return json_response({"value": rows}, status=HTTPStatus.ACCEPTED)

    async def _sender(self, request: ApiRequest) -> tuple[str, str]:
        """Return who posts events, and what proves it: a token with the role, or a signature.

        Raises:
            AccessDenied: Neither does.
        """
        if not is_signed(request.headers):
            return (await authenticate(request, self._keys, self._deployment, Role.OPERATE)).name, "token"
        if self._signing_keys is None:
            self._signing_keys = read_keys(self._deployment.webhook_keys)
        now = self._clock.now() if self._clock else datetime.now(UTC)
        key = verify_signature(request.headers, request.body, self._signing_keys, now=now)
        return key.name, "signature"

    @staticmethod
    def _abuse_protection(request: ApiRequest) -> ApiResponse:
        # CloudEvents HTTP webhook 1.0, section 4: saying yes allows the sender to try; the POST still needs its proof.
        origin = request.headers.get("webhook-request-origin")
        headers = {"Allow": "POST, OPTIONS"}
        if origin and origin.isprintable():
            headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return ApiResponse(status=HTTPStatus.OK, headers=headers)

    @answering
    async def activity(self, request: ApiRequest) -> ApiResponse:
        """``POST activity``: the Management Activity feed; 200 to its validation, else there is no subscription."""
        if not same_secret(request.headers.get("webhook-authid"), self._deployment.activity_auth_id):
            raise AccessDenied("auth id")
        body = decode(request.body, Any)
        if "webhook-validationcode" in request.headers or (isinstance(body, dict) and "validationCode" in body):
            return ApiResponse(status=HTTPStatus.OK)
        uris = parse_activity(request.body, tenant_id=self._deployment.tenant_id)
        allowed = self._deployment.activity_url.split("/api/", 1)[0] + "/"
        if not self._deployment.activity_url or any(not uri.startswith(allowed) for uri in uris):
            raise BadInput("contentUri leads to another host", field="contentUri")
        await self._inbox.activity(uris)
        return ApiResponse(status=HTTPStatus.OK)
