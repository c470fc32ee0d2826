"""HTTP triggers: what a caller sees and what a function is given."""

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace

import azure.functions as func
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from mms_local.host.configuration import HttpOptions
from mms_local.host.http import HttpFrontEnd
from mms_local.host.indexing import IndexedFunction
from mms_local.host.invocation import Invoker
from mms_local.host.routes import parse_template


def function(name, route, call, *, methods=None, **more):
    """What indexing would have made of an HTTP function."""
    return IndexedFunction(
        name=name,
        call=call,
        trigger={"type": "httpTrigger", "name": "req", "route": route},
        raw_bindings=({"type": "httpTrigger", "name": "req", "route": route},),
        is_async=True,
        wants_context=False,
        route=parse_template(route),
        methods=frozenset(methods) if methods else None,
        **more,
    )


async def seen(req):
    """Answer with what came in."""
    facts = SimpleNamespace(
        method=req.method,
        url=req.url,
        params=dict(req.params),
        route=dict(req.route_params),
        headers=dict(req.headers),
        body=req.get_body().decode(),
    )
    return func.HttpResponse(json.dumps(vars(facts)), mimetype="application/json")


@pytest.fixture
async def serve(tmp_path):
    """Serve functions; gives a client."""
    clients = []
    invoker = Invoker(tmp_path, timeout=None)

    async def start(*functions, limit=1024, options=None, **more):
        front = HttpFrontEnd(functions, invoker, options=options or HttpOptions(), **more)
        app = web.Application(client_max_size=limit)
        app.router.add_route("*", "/{rest:.*}", front.handle)
        client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    await invoker.wait_idle()
    for client in clients:
        await client.close()
    invoker.close()


async def test_a_function_gets_what_the_worker_would_give_it(serve):
    """Header names in lower case, repeated query names joined, empty ones dropped, missing parameters absent."""
    client = await serve(function("see", "see/{id}/{more?}", seen))
    answer = await client.post(
        "/api/see/a%20b?x=1&x=2&empty=&q=%C3%BC", data=b"body", headers={"X-Some": "1", "Content-Type": "text/x"}
    )
    facts = await answer.json()
    assert facts["method"] == "POST"
    assert facts["url"] == f"{client.make_url('/')}api/see/a%20b?x=1&x=2&empty=&q=%C3%BC"
    assert facts["params"] == {"x": "1,2", "q": "ü"}
    assert facts["route"] == {"id": "a b"}
    assert facts["headers"]["x-some"] == "1"
    assert facts["headers"]["content-type"] == "text/x"
    assert facts["body"] == "body"


async def test_a_body_whose_length_nobody_told_does_not_reach_the_function(serve):
    """The real host hands on what Content-Length counts (azure-functions-host issue 4926): a chunked body is dropped."""

    async def pieces():
        yield b"bo"
        yield b"dy"

    client = await serve(function("see", "see", seen))
    facts = await (await client.post("/api/see", data=pieces())).json()
    assert (facts["headers"]["transfer-encoding"], facts["body"]) == ("chunked", "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/see", 200),
        ("GET", "/API/See/", 200),
        ("PUT", "/api/see", 404),
        ("HEAD", "/api/see", 404),
        ("OPTIONS", "/api/see", 404),
        ("GET", "/see", 404),
        ("GET", "/apis/see", 404),
        ("GET", "/api/other", 404),
        ("OPTIONS", "/api/any", 200),
        ("HEAD", "/api/any", 200),
        ("GET", "/", 200),
    ],
)
async def test_routing(serve, method, path, status):
    """A method that a function does not have is a 404 with an empty body, as the real host answers; HEAD is not GET."""
    client = await serve(function("see", "see", seen, methods={"GET", "POST"}), function("any", "any", seen))
    answer = await client.request(method, path)
    assert answer.status == status
    if status == 404:
        assert await answer.read() == b""


async def test_the_first_declared_route_wins(serve):
    """Routes are compared in the order of declaration, a route in error not at all."""

    async def name(req):
        return func.HttpResponse("specific")

    client = await serve(
        function("broken", "a/b", seen, errors=["in error"]),
        function("specific", "a/b", name),
        function("all", "a/{x}", seen),
    )
    assert await (await client.get("/api/a/b")).text() == "specific"
    assert (await (await client.get("/api/a/c")).json())["route"] == {"x": "c"}


async def test_answers_keep_status_headers_cookies_and_charset(serve):
    """The library's own encoder decides, as in Azure."""

    async def answer(req):
        headers = {"X-One": "1", "Set-Cookie": "a=b; Path=/", "Content-Length": "99"}
        return func.HttpResponse("grüezi", status_code=418, charset="latin-1", headers=headers)

    client = await serve(function("f", "f", answer), options=HttpOptions(custom_headers={"X-All": "yes"}))
    got = await client.get("/api/f")
    assert got.status == 418
    assert await got.read() == "grüezi".encode("latin-1")
    assert got.headers["Content-Type"] == "text/plain; charset=latin-1"
    assert (got.headers["X-One"], got.headers["X-All"]) == ("1", "yes")
    assert got.cookies["a"].value == "b"


async def test_a_string_is_an_answer_and_none_is_not(serve):
    """Also an exception is an empty 500: the caller learns nothing of it."""

    async def text(req):
        return "plain"

    async def nothing(req):
        return None

    async def broken(req):
        raise RuntimeError("secret")

    client = await serve(function("t", "t", text), function("n", "n", nothing), function("b", "b", broken))
    assert await (await client.get("/api/t")).text() == "plain"
    for path in ("/api/n", "/api/b"):
        got = await client.get(path)
        assert (got.status, await got.read()) == (500, b"")


async def test_limits(serve):
    """A body too large is 413; a function too slow is 504 for the caller, and goes on."""
    finished = asyncio.Event()

    async def slow(req):
        await asyncio.sleep(0.2)
        finished.set()
        return func.HttpResponse("late")

    client = await serve(function("see", "see", seen))
    assert (await client.post("/api/see", data=b"x" * 1024)).status == 200
    assert (await client.post("/api/see", data=b"x" * 1025)).status == 413
    impatient = await serve(function("slow", "slow", slow), response_timeout=timedelta(seconds=0.05))
    assert (await impatient.get("/api/slow")).status == 504
    await asyncio.wait_for(finished.wait(), 30)


async def test_more_than_the_outstanding_requests_get_429(serve):
    """The limit maxOutstandingRequests counts running and waiting ones, maxConcurrentRequests lets the others wait."""
    gate = asyncio.Event()

    async def wait(req):
        await gate.wait()
        return func.HttpResponse("done")

    options = HttpOptions(max_outstanding_requests=2, max_concurrent_requests=1)
    client = await serve(function("w", "w", wait), options=options)
    asked = [asyncio.create_task(client.get("/api/w")) for _ in range(3)]
    (refused,), _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    assert refused.result().status == 429
    assert refused.result().headers["Retry-After"]
    gate.set()
    assert sorted([(await task).status for task in asked]) == [200, 200, 429]


async def test_admin_routes_tell_what_runs(serve):
    """For tools: status, functions, and running a timer now."""
    asked = []
    client = await serve(
        function("good", "good", seen),
        function("bad", "bad", seen, errors=["why"]),
        run_timer=lambda name: asked.append(name) or name == "tick",
    )
    status = await (await client.get("/admin/host/status")).json()
    assert status == {"state": "Running", "functions": ["good"], "errors": {"bad": ["why"]}}
    assert [item["name"] for item in await (await client.get("/admin/functions")).json()] == ["good", "bad"]
    assert (await (await client.get("/admin/functions/bad/status")).json())["errors"] == ["why"]
    assert (await client.post("/admin/functions/tick")).status == 202
    assert (await client.post("/admin/functions/good")).status == 404
    assert (await client.get("/admin/host/ping")).status == 200
    assert (await client.get("/admin/nothing")).status == 404
    assert asked == ["tick", "good"]
