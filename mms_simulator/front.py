"""The server: one handler for everything, in front of the route tables.

Each Graph request passes authentication, limits, faults and latency, then a handler that works on memory alone and is
never interrupted; its transaction is committed before the answer leaves. That order makes "after the commit" exact.
"""

import asyncio
import functools
import logging
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from mms_simulator import (
    activity,
    batch,
    codes,
    control,
    deltas,
    groups,
    http_events,
    http_meetings,
    http_registrations,
    http_users,
    jsontext,
    permissions,
    signin,
    subscriptions,
)
from mms_simulator.call import Call, Reply, Routes, error_body
from mms_simulator.courier import Courier
from mms_simulator.errors import GraphError, bad_request
from mms_simulator.faults import Fault, Faults
from mms_simulator.limits import Limits, retry_after
from mms_simulator.store import Store
from mms_simulator.traffic import Entry, Traffic
from mms_simulator.zones import graph_instant

_log = logging.getLogger(__name__)
_GRAPH_AUDIENCES = frozenset({signin.GRAPH, f"{signin.GRAPH}/", "00000003-0000-0000-c000-000000000000"})
_ACTIVITY_AUDIENCES = frozenset({signin.ACTIVITY, f"{signin.ACTIVITY}/"})
_VERSIONS = ("v1.0", "beta")
_LARGEST_BODY = 64 * 1024 * 1024
_NO_BODY = 204
_LOGGED_HEADERS = ("Prefer", "If-Match", "Content-Type", "ConsistencyLevel", "Accept-Language", "Retry-Attempt",
                   "client-request-id", "SdkVersion")  # fmt: skip


class Dropped(Exception):
    """The connection is to be closed without an answer."""


class Front:
    """All parts of the tenant, put together."""

    def __init__(self, store: Store, directory: Path | None) -> None:
        self.store = store
        self.sign_in = signin.SignIn(store)
        self.faults = Faults(store)
        self.limits = Limits(store)
        self.traffic = Traffic(directory)
        self.courier = Courier(store, lambda: self.sign_in.token(signin.API, [signin.OPERATE]))
        self.graph = Routes(400)
        self.open = Routes()
        http_events.register(self.graph)
        http_users.register(self.graph)
        groups.register(self.graph)
        http_registrations.register(self.graph)
        http_meetings.register(self.graph)
        subscriptions.register(self.graph, self.courier)
        deltas.register(self.graph)
        batch.register(self.graph, self.graph_reply)
        control.register(self.open, self.faults, self.limits, self.traffic)
        given = codes.register(self.open, self.sign_in)
        signin.register(self.open, self.sign_in, functools.partial(codes.redemption, given))
        self.activity = Routes()
        activity.register(self.activity, self.courier)
        self._server: web.ServerRunner | None = None
        self._flusher: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port. The address may be taken again at once after a restart."""
        server = web.Server(self.handle, request_factory=_request)
        self._server = web.ServerRunner(server, access_log=None, handle_signals=False, shutdown_timeout=1)
        await self._server.setup()
        site = web.TCPSite(self._server, host, port, reuse_address=True)
        await site.start()
        bound = int(self._server.addresses[0][1])
        self.store.base = f"http://{host}:{bound}"
        await self.courier.start()
        self._flusher = asyncio.create_task(self._flush())
        return bound

    async def stop(self) -> None:
        """Stop cleanly; the journal is complete."""
        if self._flusher:
            self._flusher.cancel()
        await self.courier.stop()
        if self._server:
            await self._server.cleanup()
        self.store.journal.close()
        self.traffic.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request."""
        path, _, query = request.path_qs.partition("?") if not request.raw_path else request.raw_path.partition("?")
        body = await request.read() if request.can_read_body else b""
        call = Call(request.method, path, query, request.headers, body, self.store)
        first, _, rest = path.lstrip("/").partition("/")
        try:
            if first in _VERSIONS:
                return await self._graph(call, rest)
            if first == "api":
                token = self.sign_in.claims(call.headers.get("Authorization", ""), _ACTIVITY_AUDIENCES)
                if self.store.switches.enforcePermissions:
                    permissions.require_feed(token.get("roles") or [])
                return _response(await self._plain(self.activity, call))
            return _response(await self._plain(self.open, call))
        except Dropped:
            if request.transport:
                request.transport.abort()
            return web.Response()
        except GraphError as error:
            return _response(_plain_error(error))
        except Exception:  # noqa: BLE001 - the client gets an answer, the log the reason
            _log.exception("a request failed", extra={"path": path})
            return _response(_plain_error(GraphError(500, "InternalError", "The simulator failed; see its log.")))

    async def graph_reply(self, call: Call, rest: str) -> Reply:
        """Answer one Graph request as a value, errors included; ``$batch`` uses it for each of its parts."""
        request_id = str(uuid.uuid4())
        try:
            reply = await self._process(call, rest)
        except GraphError as error:
            reply = self._error(error, call, request_id)
        except Dropped:
            raise
        except Exception:  # noqa: BLE001 - the client gets an envelope, the log the reason
            _log.exception("a handler failed", extra={"route": call.route})
            failure = GraphError(500, "ErrorInternalServerError", "An internal server error occurred.")
            reply = self._error(failure, call, request_id)
        reply.headers.setdefault("request-id", request_id)
        reply.headers.setdefault("client-request-id", call.headers.get("client-request-id") or request_id)
        return reply

    async def _graph(self, call: Call, rest: str) -> web.Response:
        started = time.perf_counter()
        reply = await self.graph_reply(call, rest)
        reply.headers["x-ms-ags-diagnostic"] = '{"ServerInfo":{"DataCenter":"Simulated","Ring":"1"}}'
        response = _response(reply)
        self._remember(call, reply, response, started)
        return response

    async def _process(self, call: Call, rest: str) -> Reply:
        try:
            call.token = self.sign_in.claims(call.headers.get("Authorization", ""), _GRAPH_AUDIENCES)
            handler, call.route, call.arguments = self.graph.find(call.method, rest)
            if self.store.switches.enforcePermissions:
                body = call.json() if call.method == "POST" and call.route == "subscriptions" else None
                permissions.require(call.method, call.route, call.token.get("roles") or [], body)
            mailbox = self._mailbox_of(call, call.route)
        finally:
            self.limits.requests[f"{call.method} {call.route}"] += 1
        if call.body and "json" not in call.headers.get("Content-Type", ""):
            raise bad_request("Entity only allows writes with a JSON Content-Type header.", "BadRequest")
        if mailbox:
            self.limits.enter(mailbox)
        try:
            self.limits.check(mailbox, call.route, len(call.body))
            charged = self.limits.charge(call.method, call.route, call.query)
            fault = self._fault(call)
            await self._wait(fault)
            if fault and fault.when == "before" and fault.status:
                raise self._fault_error(fault)
            result = handler(call)
            reply = result if isinstance(result, Reply) else await result
        finally:
            # Also after a refusal: what a handler had changed before it raised was never saved.
            self.store.commit()
            self.courier.wake()
            if mailbox:
                self.limits.leave(mailbox)
        await self._after(fault)
        reply.headers |= charged
        return reply

    async def _plain(self, routes: Routes, call: Call) -> Reply:
        handler, route, call.arguments = routes.find(call.method, call.path)
        fault = None if route.startswith("_tenant") else self._fault(call)
        await self._wait(fault)
        if fault and fault.when == "before" and fault.status:
            raise self._fault_error(fault)
        try:
            result = handler(call)
            reply = result if isinstance(result, Reply) else await result
        finally:
            self.store.commit()
            self.courier.wake()
        await self._after(fault)
        return reply

    def _mailbox_of(self, call: Call, route: str) -> str | None:
        """Give the mailbox that a request works on; users, licences and meetings count elsewhere (8.1)."""
        in_mailbox = route.startswith("users/{user}/") and not route.startswith(
            ("users/{user}/onlineMeetings", "users/{user}/licenseDetails")
        )
        if not in_mailbox:
            return None
        user = self.store.find_user(call.arguments["user"])
        return user.id if user else None

    def _fault(self, call: Call) -> Fault | None:
        if not self.faults.active:
            return None
        raw = f"{call.path}?{call.raw_query}" if call.raw_query else call.path
        return self.faults.match(call.method, raw, unquote(raw))

    async def _wait(self, fault: Fault | None) -> None:
        delay = self.store.switches.latencyMs + (fault.delayMs if fault else 0)
        if delay:
            await asyncio.sleep(delay / 1000)
        if fault and fault.hold == "request":
            await self.faults.hold()
        if fault and fault.when == "dropBefore":
            raise Dropped

    async def _after(self, fault: Fault | None) -> None:
        if fault and fault.hold == "answer":
            await self.faults.hold()
        if fault and fault.when == "drop":
            raise Dropped
        if fault and fault.when == "afterCommit":
            raise self._fault_error(fault)

    def _fault_error(self, fault: Fault) -> GraphError:
        status = fault.status or 504
        code = fault.code or _FAULT_CODES.get(status, "UnknownError")
        headers = dict(fault.headers)
        if status == 429 and not any(name.lower() == "retry-after" for name in headers):  # noqa: PLR2004
            headers |= retry_after(self.store)
        return GraphError(status, code, fault.message or "A fault that was asked for.", headers)

    def _error(self, error: GraphError, call: Call, request_id: str) -> Reply:
        at = graph_instant(int(self.store.clock.now())).removesuffix("Z")
        client_id = call.headers.get("client-request-id") or request_id
        return Reply(error.status, error_body(error, at, request_id, client_id), dict(error.headers))

    def _remember(self, call: Call, reply: Reply, response: web.Response, started: float) -> None:
        self.limits.statuses[str(reply.status)] += 1
        kept = {name: call.headers[name] for name in _LOGGED_HEADERS if name in call.headers}
        self.traffic.add(
            Entry(
                at=graph_instant(self.store.clock.now()),
                id=reply.headers["request-id"],
                method=call.method,
                path=unquote(call.path),
                query=unquote(call.raw_query),
                route=call.route,
                requestHeaders=kept,
                requestBody=_raw(call.body),
                status=reply.status,
                responseHeaders=reply.headers,
                responseBody=_raw(response.body if isinstance(response.body, bytes) else b""),
                durationMs=round((time.perf_counter() - started) * 1000, 3),
            )
        )

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.traffic.flush()


_FAULT_CODES = {
    401: "InvalidAuthenticationToken",
    403: "ErrorAccessDenied",
    404: "ErrorItemNotFound",
    409: "ErrorIrresolvableConflict",
    412: "ErrorIrresolvableConflict",
    429: "ApplicationThrottled",
    500: "ErrorInternalServerError",
    503: "ErrorServerBusy",
    504: "GatewayTimeout",
    507: "ErrorQuotaExceeded",
}


def _plain_error(error: GraphError) -> Reply:
    """Write an error outside Graph."""
    payload = {"error": {"code": error.code, "message": error.message}}
    return Reply(error.status, payload, dict(error.headers), content_type="application/json")


def _request(*parts: Any) -> web.BaseRequest:
    """Make requests that may carry large bodies."""
    message, payload, protocol, writer, task = parts
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY)


def _response(reply: Reply) -> web.Response:
    if reply.raw is None and reply.payload is None:
        return web.Response(status=reply.status, headers=reply.headers)
    body: Any = reply.raw if reply.raw is not None else jsontext.encode(reply.payload)
    return web.Response(status=reply.status, body=body, headers={**reply.headers, "Content-Type": reply.content_type})


def _raw(body: bytes) -> msgspec.Raw | None:
    """Keep JSON as it travelled; anything else as a JSON string."""
    if not body:
        return None
    if body[:1] in b"{[":
        try:
            jsontext.check(body)
        except ValueError:
            return msgspec.Raw(jsontext.encode(body.decode("utf-8", "replace")))
        return msgspec.Raw(body.replace(b"\n", b" "))
    return msgspec.Raw(jsontext.encode(body.decode("utf-8", "replace")))
