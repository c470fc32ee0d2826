"""A tenant in this process, and the clients that talk to it over HTTP."""

import asyncio
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
from aiohttp import web
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_http.kiota_client_factory import KiotaClientFactory
from msgraph import GraphRequestAdapter, GraphServiceClient
from prove_switches import freeze, record, switch_of
from simulator_support import Receiver, Tenant

from mms_simulator import signin
from mms_simulator.front import Front
from mms_simulator.store import Store

_KEY = signin.new_key()  # one for all tests: making it is what takes long


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """While switches are frozen, a test of one must fail: then it is the test that passes."""
    report = yield
    if report.when == "setup" and report.failed and os.environ.get("SWITCH_PROOF") == "moved":
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, "noticed before it began")
    if report.when == "call" and "SWITCH_PROOF" in os.environ and switch_of(item.name):
        if os.environ["SWITCH_PROOF"] == "record":
            return report
        noticed = report.outcome == "failed"
        report.outcome = "passed" if noticed else "failed"
        report.longrepr = None if noticed else f"{item.name} does not notice that its switch is frozen"
    return report


@pytest.fixture
async def tenant(request: pytest.FixtureRequest) -> AsyncIterator[Tenant]:
    """Run an empty tenant in memory."""
    store = Store()
    store.setting("signingKey", _KEY)
    front = Front(store, None)
    await front.start("127.0.0.1", 0)
    found = Tenant(front)
    name = switch_of(request.node.name)
    if name and "SWITCH_PROOF" in os.environ:
        await freeze(found, name, os.environ["SWITCH_PROOF"])
    yield found
    if name and os.environ.get("SWITCH_PROOF") == "record":
        record(found, name)
    if "SIMULATOR_TRAFFIC" in os.environ:  # for the conformance script
        with Path(os.environ["SIMULATOR_TRAFFIC"]).open("ab") as log:  # noqa: ASYNC230
            log.write(front.traffic.read())
    await found.client.aclose()
    await front.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Run a webhook of ours."""
    found = Receiver()

    async def handle(request: web.Request) -> web.Response:
        if "validationToken" in request.query:
            text = request.query["validationToken"] if found.echo else "something else"
            return web.Response(text=text)
        if found.delay:
            await asyncio.sleep(found.delay)
        found.calls.append((dict(request.headers), await request.json()))
        validating = "Webhook-ValidationCode" in request.headers
        return web.Response(status=(200 if found.echo else 400) if validating else found.status)

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield found
    await runner.cleanup()


@pytest.fixture
async def sdk(tenant: Tenant) -> AsyncIterator[GraphServiceClient]:
    """Microsoft's own client, unmodified, with only its base address changed (fact sheet 9)."""
    client = KiotaClientFactory.create_with_default_middleware()
    client.headers["Authorization"] = f"Bearer {tenant.token}"
    adapter = GraphRequestAdapter(AnonymousAuthenticationProvider(), client=client)
    adapter.base_url = f"{tenant.base}/v1.0"
    yield GraphServiceClient(request_adapter=adapter)
    await client.aclose()
