"""HTTP triggers: route, translate to ``func.HttpRequest``, run, translate the answer back, as the real host does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from aiohttp import web
from azure.functions.http import HttpRequest, HttpResponseConverter

from mms_local.host.indexing import HTTP_TRIGGER
from mms_local.host.logs import LOGGER
from mms_local.host.routes import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mms_local.host.configuration import HttpOptions
    from mms_local.host.indexing import IndexedFunction
    from mms_local.host.invocation import Invoker

RESPONSE_TIMEOUT: Final = timedelta(seconds=230)
"""Azure's load balancer gives up then; the function itself goes on."""
BODY_LIMIT_BYTES: Final = 104_857_600
"""Default of ``FUNCTIONS_REQUEST_BODY_SIZE_LIMIT``."""
_OURS: Final = frozenset({"content-length", "transfer-encoding", "connection"})
_NOT_FOUND: Final = 404
_NO_LIMIT: Final = 10**9


class HttpFrontEnd:
    """Serves the HTTP functions and the few admin routes that tools use.

    Args:
        functions: All of the app; only running HTTP functions get a route.
        invoker: Runs them.
        options: Section ``http`` of host.json.
        response_timeout: After that the caller gets 504.
        run_timer: Starts the timer function of a name now; tells whether there is one.
    """

    def __init__(
        self,
        functions: Sequence[IndexedFunction],
        invoker: Invoker,
        *,
        options: HttpOptions,
        response_timeout: timedelta = RESPONSE_TIMEOUT,
        run_timer: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._routed = [f for f in functions if f.is_running and f.trigger_type == HTTP_TRIGGER]
        self._invoker = invoker
        self._options = options
        self._prefix = f"/{options.route_prefix}" if options.route_prefix else ""
        self._timeout_seconds = response_timeout.total_seconds()
        self._run_timer = run_timer
        self._outstanding = 0
        self._slots = asyncio.Semaphore(options.max_concurrent_requests or _NO_LIMIT)
        self._background: set[asyncio.Task[Any]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        path = request.rel_url.raw_path
        response = self._admin(request, path) if path.lower().startswith("/admin/") else None
        if response is None:
            response = await self._function(request, path)
        for name, value in self._options.custom_headers.items():
            response.headers.setdefault(name, value)
        return response

    async def _function(self, request: web.Request, path: str) -> web.Response:
        match = self._match(request.method, path)
        if match is None:
            is_home = path == "/" and request.method in {"GET", "HEAD"}
            return (
                web.Response(text="Your local function app is up and running.") if is_home else web.Response(status=404)
            )
        limit = self._options.max_outstanding_requests
        if limit is not None and self._outstanding >= limit:
            return web.Response(status=429, headers={"Retry-After": "1"})
        self._outstanding += 1
        try:
            async with self._slots:
                return await self._call(*match, request)
        finally:
            self._outstanding -= 1

    def _match(self, method: str, path: str) -> tuple[IndexedFunction, dict[str, str]] | None:
        """The first function, in order of declaration, whose route and methods fit. A wrong method is a 404."""
        if path[: len(self._prefix)].lower() != self._prefix.lower():
            return None
        rest = path[len(self._prefix) :]
        if rest and not rest.startswith("/"):
            return None
        for function in self._routed:
            if function.route is None or (function.methods is not None and method.upper() not in function.methods):
                continue
            parameters = function.route.match(rest)
            if parameters is not None:
                return function, parameters
        return None

    async def _call(self, function: IndexedFunction, parameters: dict[str, str], request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413)
        if not request.content_length:  # the real host hands on what Content-Length counts, and drops a chunked body
            body = b""
        value = HttpRequest(
            method=request.method,
            url=f"{request.scheme}://{request.host}{request.rel_url.raw_path_qs}",
            headers=_joined((name.lower(), text) for name, text in request.headers.items()),
            params=_query(request.rel_url.raw_query_string),
            route_params={name: text for name, text in parameters.items() if text},
            body_type="bytes",
            body=body,
        )
        run = asyncio.ensure_future(
            self._invoker.invoke(
                function,
                value,
                reason="This function was programmatically called via the host APIs.",
                trace_parent=request.headers.get("traceparent", ""),
            )
        )
        self._background.add(run)
        run.add_done_callback(self._background.discard)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await asyncio.shield(run)
        except TimeoutError:
            if run.done():  # the function's own TimeoutError
                return web.Response(status=500)
            LOGGER.error("No answer from '%s' within %d s", function.name, self._timeout_seconds)
            run.add_done_callback(lambda late: late.cancelled() or late.exception())
            return web.Response(status=504)
        except Exception:  # noqa: BLE001 - logged by the invoker; the caller learns nothing
            return web.Response(status=500)
        return _answer(function, result)

    def _admin(self, request: web.Request, path: str) -> web.Response | None:
        parts = [decode(part) for part in path.strip("/").split("/")][1:]
        known = self._functions.get(parts[1]) if len(parts) > 1 else None
        answer: Any = None
        match (request.method, parts):
            case ("GET" | "HEAD", ["host", "status"]):
                running = [name for name, function in self._functions.items() if function.is_running]
                errors = {name: function.errors for name, function in self._functions.items() if function.errors}
                answer = {"state": "Running", "functions": running, "errors": errors}
            case ("GET" | "HEAD" | "POST", ["host", "ping"]):
                return web.Response()
            case ("GET", ["functions"]):
                answer = [_described(function) for function in self._functions.values()]
            case ("POST", ["functions", name]) if self._run_timer(name):
                return web.Response(status=202)
            case ("GET", ["functions", _]) if known:
                answer = _described(known)
            case ("GET", ["functions", _, "status"]) if known:
                answer = {"isDisabled": known.is_disabled, "errors": known.errors}
        return None if answer is None else web.json_response(answer)


def _described(function: IndexedFunction) -> dict[str, Any]:
    return {
        "name": function.name,
        "isDisabled": function.is_disabled,
        "language": "python",
        "config": {"bindings": list(function.raw_bindings)},
    }


def _answer(function: IndexedFunction, result: object) -> web.Response:
    """Encode with the library's own converter, so that what it refuses fails here as in Azure."""
    try:
        datum: Any = HttpResponseConverter.encode(result, expected_type=None)
    except Exception:  # noqa: BLE001 - an answer that cannot be encoded is a failed function
        LOGGER.error("Function '%s' returned a %s, which is no answer", function.name, type(result).__name__)
        return web.Response(status=500)
    if datum.type == "string":
        return web.Response(text=datum.value, content_type="text/plain", charset="utf-8")
    parts = datum.value
    response = web.Response(status=int(parts["status_code"].value), body=parts["body"].value)
    response.headers.pop("Content-Type", None)
    for name, value in parts["headers"].items():
        if name.lower() not in _OURS:
            response.headers[name] = value.value
    for cookie in parts["cookies"] or ():
        for morsel in cookie.values():
            response.headers.add("Set-Cookie", morsel.OutputString())
    return response


def _query(text: str) -> dict[str, str]:
    """Repeated names are joined by commas and empty values are dropped: the real host's wire format does that."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return {name: value for name, value in _joined(pairs).items() if value}


def _joined(pairs: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
