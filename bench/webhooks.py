"""How quick and how safe are the webhooks? The three figures that the triggers' issue asks for, on this machine.

Run: ``python bench/webhooks.py``. It starts the local stack, posts 10,000 notifications in batches of 100 while the
host is killed in the middle, counts what arrived in storage's queue, and compares the start-up of the HTTP path with
that of a bare function app. Exits 1 if a limit is not kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp

from mms_local.stack import Stack

ROOT = Path(__file__).resolve().parents[1]
CALLS = 100
BATCH = 100
SENDERS = 4
P99_SECONDS = 0.25
STARTUP_RATIO = 1.25
STARTS = 7
_RETRY_SECONDS = 0.2
_LAST_SECONDS = 60.0


def _call(tenant_id: str, client_state: str, users: list[str]) -> bytes:
    rows = [
        {
            "subscriptionId": "bench",
            "changeType": "updated",
            "resource": f"Users/{user}",
            "clientState": client_state,
            "tenantId": tenant_id,
            "resourceData": {"@odata.type": "#Microsoft.Graph.User", "id": user},
        }
        for user in users
    ]
    return json.dumps({"value": rows}).encode()


async def _burst(url: str, bodies: list[bytes], *, at_half: Any) -> tuple[list[float], int]:
    """Post all bodies as Graph would: until each has its 202. Gives the times of the answers, and the repetitions."""
    times: list[float] = []
    repeats = 0
    todo = list(enumerate(bodies))
    total = len(todo)

    async def sender(session: aiohttp.ClientSession) -> None:
        nonlocal repeats
        while todo:
            number, body = todo.pop(0)
            if at_half is not None and number == total // 2:
                await asyncio.to_thread(at_half)
            deadline = time.monotonic() + _LAST_SECONDS
            while True:
                start = time.perf_counter()
                try:
                    async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                        is_done = answer.status == 202
                except (aiohttp.ClientError, TimeoutError):
                    is_done = False
                if is_done:
                    times.append(time.perf_counter() - start)
                    break
                repeats += 1
                assert time.monotonic() < deadline, "the host does not come back"
                await asyncio.sleep(_RETRY_SECONDS)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        await asyncio.gather(*(sender(session) for _ in range(SENDERS)))
    return times, repeats


async def _looked_at(tenant: str, users: set[str]) -> set[str]:
    """Return which of the users the worker has asked the directory about: every notification that was not lost."""
    seen: set[str] = set()
    # A message that a killed host had in hand comes back when its lease of 10 minutes is over.
    deadline = time.monotonic() + 780
    async with aiohttp.ClientSession() as session:
        while seen != users and time.monotonic() < deadline:
            await asyncio.sleep(2)
            async with session.get(f"{tenant}/traffic") as answer:
                text = await answer.text()
            seen |= {user for user in users - seen if user in text}
    return seen


def _identifiers(stack: Stack) -> tuple[str, str]:
    """Return tenant id and clientState as the stack's host got them."""
    environment = Path(f"/proc/{stack.ready['pids']['host']}/environ").read_bytes().split(b"\0")
    values = dict(each.decode().split("=", 1) for each in environment if b"=" in each)
    return values["MMS_TENANT_ID"], values["MMS_CLIENT_STATE"]


def burst() -> bool:
    """Measure and judge the burst: once undisturbed for the times, once with the host killed for the losses."""
    is_good = True
    with tempfile.TemporaryDirectory() as directory:
        options = ("--empty", "--settle-seconds", "2", "--set", "MMS_SWEEP_SCHEDULE=0 0 0 1 1 *")
        with Stack(Path(directory), *options) as stack:
            url = f"{stack.ready['api']}/graph/notifications"
            tenant_id, client_state = _identifiers(stack)
            for name, kill in (("undisturbed", None), ("host killed half-way", lambda: stack.kill("host"))):
                users = [str(uuid.uuid4()) for _ in range(CALLS * BATCH)]
                bodies = [
                    _call(tenant_id, client_state, users[start : start + BATCH])
                    for start in range(0, len(users), BATCH)
                ]
                times, repeats = asyncio.run(_burst(url, bodies, at_half=kill))
                p99 = statistics.quantiles(times, n=100)[98]
                middle = statistics.median(times)
                seen = asyncio.run(_looked_at(stack.ready["tenant"], set(users)))
                lost = len(users) - len(seen)
                print(
                    f"{name}: {len(users)} notifications, answers p50 {middle * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
                    f"{repeats} repeated calls, {lost} lost"
                )
                is_good &= lost == 0 and (kill is not None or p99 < P99_SECONDS)
    return is_good


_BARE = """
import azure.functions as func
import azure.storage.queue.aio, azure.data.tables.aio
app = func.FunctionApp()
@app.route(route="x")
async def x(req): return func.HttpResponse("ok")
import asyncio
request = func.HttpRequest(method="POST", url="/", body=b"{}", params={"validationToken": "t"})
asyncio.run(x.build().get_user_function()(request))
"""
_OURS = """
import function_app, azure.functions as func, asyncio, sys
request = func.HttpRequest(method="POST", url="/", body=BODY, params=PARAMS)
found = {f.get_function_name(): f for f in function_app.app.get_functions()}["graph_notifications"]
answer = asyncio.run(found.get_user_function()(request))
assert answer.status_code in (200, 202), answer.status_code
assert not [name for name in sys.modules if name.partition(".")[0] in ("msgraph", "kiota_abstractions")], "Graph"
"""


def _seconds(code: str) -> float:
    environment = {
        **os.environ,
        "MMS_TENANT_ID": "t",
        "MMS_API_AUDIENCE": "api://mms",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "PYTHONPATH": str(ROOT),
    }
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=environment, cwd=ROOT)  # noqa: S603
    return time.perf_counter() - start


def startup() -> bool:
    """Measure and judge the time from nothing to the first answer, ours and a bare app's, in turn."""
    handshake = _OURS.replace("BODY", "b''").replace("PARAMS", "{'validationToken': 't'}")
    empty = _OURS.replace("BODY", "b'{\"value\": []}'").replace("PARAMS", "{}")
    is_good = True
    for code in (_BARE, handshake, empty):
        _seconds(code)  # fills the caches
    for name, code in (("handshake", handshake), ("an empty batch", empty)):
        pairs = [(_seconds(_BARE), _seconds(code)) for _ in range(STARTS)]
        bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = ours / bare
        print(f"start-up until {name} is answered: {ours:.2f} s, bare app {bare:.2f} s, ratio {ratio:.2f}")
        is_good &= ratio <= STARTUP_RATIO
    return is_good


if __name__ == "__main__":
    good = startup()
    good &= burst()
    sys.exit(0 if good else 1)
