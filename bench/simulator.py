"""How quick is the simulated tenant? Simple GETs and event PATCHes a second on one core, and memory for a large one.

Run: ``python bench/simulator.py [--quick]``. The client is bare sockets, so that it costs little beside the server.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

SECONDS = 3.0
CONNECTIONS = 8
BODY = "<html><body>" + "<p>Agenda item with some words in it&nbsp;</p>" * 60 + "</body></html>"


def start(directory: Path, *options: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start a tenant on one core and wait until it answers."""
    ready = directory / "ready.json"
    command = [sys.executable, "-m", "mms_simulator", "--ready-file", str(ready), *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    while not ready.exists():
        time.sleep(0.02)
    return process, json.loads(ready.read_text())


def call(ready: dict[str, Any], method: str, url: str, body: Any = None) -> Any:
    """Make one request."""
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body is not None else None)  # noqa: S310
    request.add_header("Authorization", f"Bearer {ready['tokens']['graph']}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        return json.loads(answer.read() or b"null")


async def hammer(ready: dict[str, Any], requests: list[bytes]) -> float:
    """Send the requests round and round over several connections; gives answers a second."""
    port = int(ready["base"].rpartition(":")[2])
    until = time.perf_counter() + SECONDS
    done = 0

    async def one(offset: int) -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn = offset
        while time.perf_counter() < until:
            writer.write(requests[turn % len(requests)])
            turn += CONNECTIONS
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 2"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()

    await asyncio.gather(*(one(offset) for offset in range(CONNECTIONS)))
    return done / SECONDS


def request(ready: dict[str, Any], method: str, path: str, body: Any = None) -> bytes:
    """Write a request as bytes."""
    content = json.dumps(body).encode() if body is not None else b""
    head = (
        f"{method} /v1.0/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ready['tokens']['graph']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def processor_seconds(pid: int) -> float:
    """Give the processor time a process has used: what counts when the machine is busy with other things."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(*options: str) -> None:
    """Measure GETs and PATCHes of a tenant with 20 mailboxes."""
    with tempfile.TemporaryDirectory() as name:
        process, ready = start(Path(name), *options)
        try:
            events = []
            for number in range(20):
                user = call(
                    ready, "POST", f"{ready['tenant']}/users", {"userPrincipalName": f"u{number}@contoso.example"}
                )
                event = {
                    "subject": "Bench",
                    "body": {"contentType": "html", "content": BODY},
                    "start": {"dateTime": "2030-01-07T09:00:00", "timeZone": "UTC"},
                    "end": {"dateTime": "2030-01-07T10:00:00", "timeZone": "UTC"},
                    "attendees": [{"emailAddress": {"address": f"guest{each}@fabrikam.example"}} for each in range(5)],
                }
                made = call(ready, "POST", f"{ready['graph']}/users/{user['id']}/events", event)
                events.append(f"users/{user['id']}/events/{quote(made['id'], safe='')}")
            users = [request(ready, "GET", path.partition("/events")[0] + "?$select=id,displayName") for path in events]
            gets = [request(ready, "GET", path) for path in events]
            patches = [
                request(
                    ready, "PATCH", events[number % 20], {"body": {"contentType": "html", "content": f"{BODY}{number}"}}
                )
                for number in range(400)
            ]
            label = "on disk" if "--data" in options else "in memory"
            for kind, requests in (("GET user", users), ("GET event", gets), ("PATCH body", patches)):
                before = processor_seconds(process.pid)
                rate = asyncio.run(hammer(ready, requests))
                used = processor_seconds(process.pid) - before
                print(
                    f"{kind:10} {label}: {rate:6,.0f}/s, {rate * SECONDS / used:6,.0f} for each second of the processor"
                )
        finally:
            process.terminate()
            process.wait()


def large(users: int = 10_000, events_each: int = 20) -> None:
    """Fill a tenant with 200,000 events of 10,000 users and print what it weighs."""
    with tempfile.TemporaryDirectory() as name:
        process, ready = start(Path(name))
        try:
            rows = [{"userPrincipalName": f"u{number}@contoso.example"} for number in range(users)]
            started = time.perf_counter()
            call(ready, "POST", f"{ready['tenant']}/users", rows)
            posts = []
            for number in range(users):
                event = {
                    "subject": f"Meeting {number}",
                    "body": {"contentType": "html", "content": f"{BODY[:1000]}{number}"},
                    "start": {"dateTime": "2030-01-07T09:00:00", "timeZone": "UTC"},
                    "end": {"dateTime": "2030-01-07T10:00:00", "timeZone": "UTC"},
                    "attendees": [
                        {"emailAddress": {"address": f"u{(number + each) % users}@contoso.example"}} for each in (1, 2)
                    ]
                    + [{"emailAddress": {"address": "guest@fabrikam.example"}}],
                }
                posts.append(request(ready, "POST", f"users/u{number}@contoso.example/events", event))
            asyncio.run(fill(ready, posts, events_each))
            resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            seconds = time.perf_counter() - started
            size = f"{resident / 2**20:,.0f} MiB, seeded in {seconds:,.0f} s"
            print(f"{users:,} users, {users * events_each:,} events: {size}")
        finally:
            process.terminate()
            process.wait()


async def fill(ready: dict[str, Any], posts: list[bytes], times: int) -> None:
    """Post everything so many times."""
    port = int(ready["base"].rpartition(":")[2])
    queue = iter(post for _ in range(times) for post in posts)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for post in queue:
            writer.write(post)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201"), head
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the 10,000 users with 200,000 events")
    wanted = parser.parse_args()
    measure()
    with tempfile.TemporaryDirectory() as data:
        measure("--data", data)
    if not wanted.quick:
        large()
