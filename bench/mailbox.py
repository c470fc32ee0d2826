"""What a mailbox costs: Graph calls a meeting, wall time against what four requests at once allow, decoding, memory.

Run: ``python bench/mailbox.py [--quick]``. The product's own service runs in this process on its in-memory storage,
against the simulated tenant in a process of its own, over HTTP, with a latency of 150 ms where time is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

TENANT = "5f1b9a2c-70d4-4c8e-9b36-2e8d1a4f6c07"
LATENCY = 0.150
PUBLIC = "String {00020329-0000-0000-C000-000000000046} Name "
DOTS = "." * 137


def peak_mib() -> float:
    """Return the most memory that this process has had, in MiB.

    From the memory itself where the system tells (Linux): ``ru_maxrss`` begins with what the process had before it
    became this program, and that was its parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return aware UTC."""
        return datetime.now(UTC)


def start(directory: Path, *options: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start a tenant and wait until it answers."""
    ready = directory / f"{uuid.uuid4().hex}.json"
    command = [sys.executable, "-m", "mms_simulator", "--in-memory", "--ready-file", str(ready), *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
    while not ready.exists():
        time.sleep(0.05)
    return process, json.loads(ready.read_text())


def skype_body(url: str, paragraphs: int = 20) -> str:
    """An invitation of some 4 KiB with a Skype block."""
    text = "<p class=MsoNormal>Agenda item with some words in it&nbsp;</p>\r\n" * paragraphs
    dots = f"<p class=MsoNormal><span style='font-size:8.0pt;color:#404040'>{DOTS}</span></p>\r\n"
    block = (
        f'{dots}<p class=MsoNormal><a name=OutJoinLink>x</a><a href="{url}">Join Skype Meeting</a>'
        f'<a name=OutSharedNoteBorder>&nbsp;</a></p>\r\n<p><a href="{url}?sl=1">Try Skype Web App</a></p>\r\n'
        f"<p><span style='color:white'>[!OC([1033])!]</span></p>\r\n{dots}"
    )
    return f"<html><head></head><body>{text}{block}{text}</body></html>"


def seed(ready: dict[str, Any], *, meetings: int, series: int = 0, plain: int = 0) -> str:
    """Make a user with a mailbox; returns the object id."""
    headers = {"Authorization": f"Bearer {ready['tokens']['graph']}"}
    with httpx.Client(headers=headers, timeout=60) as http:
        name = f"{uuid.uuid4().hex[:8]}@contoso.example"
        user = http.post(f"{ready['tenant']}/users", json={"userPrincipalName": name, "displayName": "Bench"}).json()
        first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
        for number in range(meetings + series + plain):
            focus = f"{number:08X}"
            url = f"https://meet.contoso.example/bench/{focus}"
            at = first + timedelta(hours=number)
            event: dict[str, Any] = {
                "subject": f"Meeting {number}",
                "start": {"dateTime": f"{at:%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"},
                "end": {"dateTime": f"{at + timedelta(minutes=30):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"},
                "attendees": [{"type": "required", "emailAddress": {"address": "zoe@fabrikam.example"}}],
                "body": {"contentType": "html", "content": "<html><body><p>Plain</p></body></html>"},
            }
            if number < meetings + series:
                event["body"]["content"] = skype_body(url)
                event["singleValueExtendedProperties"] = [
                    {"id": f"{PUBLIC}OnlineMeetingConfLink", "value": f"conf:sip:b;gruu;focus:id:{focus}?x=1"},
                    {"id": f"{PUBLIC}OnlineMeetingExternalLink", "value": url},
                ]
            if meetings <= number < meetings + series:
                event["recurrence"] = {
                    "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [at.strftime("%A").lower()]},
                    "range": {"type": "noEnd", "startDate": f"{at:%Y-%m-%d}"},
                }
            http.post(f"{ready['graph']}/users/{user['id']}/events", json=event).raise_for_status()
        http.delete(f"{ready['tenant']}/outbox")
        http.request("DELETE", f"{ready['tenant']}/stats")
    return str(user["id"])


async def run(ready: dict[str, Any], user_id: str) -> float:
    """Let the service migrate one user; returns the seconds it took."""
    os.environ |= {"IDENTITY_ENDPOINT": f"{ready['base']}/msi/token", "IDENTITY_HEADER": "bench"}
    from azure.identity.aio import ManagedIdentityCredential  # noqa: PLC0415

    from mms_core.adapters.graph import (  # noqa: PLC0415
        GraphCalendar,
        GraphDirectory,
        GraphMeetings,
        GraphTransport,
    )
    from mms_core.adapters.memory import MemoryDocuments, MemoryLedger, MemoryQueue, MemoryUserStore  # noqa: PLC0415
    from mms_core.model import Request, Target, UserKey  # noqa: PLC0415
    from mms_core.service import GraphPorts, Options, Parts, Runs  # noqa: PLC0415

    async with ManagedIdentityCredential() as credential:
        scope = "https://graph.microsoft.com/.default"
        transport = GraphTransport(credential, base_url=ready["graph"], scope=scope)
        clock = Clock()
        graph = GraphPorts(
            directory=GraphDirectory(transport),
            calendar=GraphCalendar(transport),
            meetings=GraphMeetings(transport),
            tenant=None,  # type: ignore[arg-type] # nothing subscribes here
            mail=None,  # type: ignore[arg-type] # and nobody is told
        )
        queue = MemoryQueue(clock)
        parts = Parts(
            users=MemoryUserStore(),
            ledger=MemoryLedger(),
            documents=MemoryDocuments(),
            queue=queue,
            clock=clock,
            graph=lambda: graph,
            options=Options(tenant_id=ready["tenantId"], settle=timedelta(0)),
        )
        await credential.get_token(scope)
        request = Request(request_id="bench", reason="T10 Manual", target=Target.TEAMS)
        await parts.accept(UserKey(user_id), user_id, request)
        (wake,) = queue.visible()
        began = time.perf_counter()
        await Runs(parts).wake(wake)  # type: ignore[arg-type] # it is the only message
        took = time.perf_counter() - began
        stored = await parts.users.read(UserKey(user_id))
        assert stored is not None
        print(f"    {stored.value.current.state}: {stored.value.current.last_message}")
        await transport.close()
    return took


def stats(ready: dict[str, Any]) -> dict[str, Any]:
    """Read the tenant's own count of requests."""
    found: dict[str, Any] = httpx.get(f"{ready['tenant']}/stats").json()
    return found


def calls(counted: dict[str, Any]) -> int:
    """Graph requests, without the control surface and sign-in."""
    return sum(n for route, n in counted["requests"].items() if "users" in route and "_tenant" not in route)


def report(title: str, ready: dict[str, Any], user_id: str, *, written: int, took: float | None = None) -> None:
    """Print one case."""
    counted = stats(ready)
    total = calls(counted)
    outbox = httpx.get(f"{ready['tenant']}/outbox", timeout=60).json()["value"]
    each = f"{total / written:.3f} a meeting" if written else "no meeting written"
    print(f"  {title}: {total} Graph calls, {each}; {len(outbox)} mails; 429: {counted['throttled']}")
    if took is not None:
        print(f"    {took:.2f} s at {LATENCY * 1000:.0f} ms latency; concurrency at most {counted['maxConcurrency']}")
        bound = total * LATENCY / 4
        print(f"    bound of 4 requests at once: {bound:.2f} s; ratio {took / bound:.3f}")
    del user_id


def case(title: str, *options: str, switches: dict[str, Any] | None = None, timed: bool = False, **shape: int) -> None:
    """Seed, run and report one mailbox in a tenant of its own."""
    with tempfile.TemporaryDirectory() as directory:
        process, ready = start(Path(directory), *options)
        try:
            user_id = seed(ready, **shape)
            httpx.patch(
                f"{ready['tenant']}/switches", json={**(switches or {}), "latencyMs": LATENCY * 1000 if timed else 0}
            ).raise_for_status()
            took = asyncio.run(run(ready, user_id))
            written = shape["meetings"] + shape.get("series", 0)
            report(title, ready, user_id, written=written, took=took if timed else None)
        finally:
            process.terminate()
            process.wait(30)


def decoding() -> None:
    """Compare our decoding of 1,000 events with the SDK's models, in the same process."""
    from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory  # noqa: PLC0415
    from msgraph.generated.models.event_collection_response import EventCollectionResponse  # noqa: PLC0415

    from mms_core import jsontext  # noqa: PLC0415
    from mms_core.adapters.graph.wire import WireEvents  # noqa: PLC0415

    event = {
        "id": "AAMk" + "x" * 120,
        "@odata.etag": 'W/"abc"',
        "iCalUId": "0400" + "0" * 100,
        "subject": "Weekly",
        "type": "singleInstance",
        "start": {"dateTime": "2031-01-01T10:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2031-01-01T11:00:00.0000000", "timeZone": "UTC"},
        "isOrganizer": True,
        "body": {"contentType": "html", "content": skype_body("https://meet.contoso.example/a/B")},
        "attendees": [
            {"type": "required", "status": {"response": "none"}, "emailAddress": {"address": f"p{n}@c.example"}}
            for n in range(8)
        ],
        "locations": [{"displayName": "Skype Meeting", "locationType": "default"}],
        "singleValueExtendedProperties": [{"id": f"{PUBLIC}OnlineMeetingExternalLink", "value": "https://x"}],
    }
    content = json.dumps({"value": [event] * 1000}).encode()

    def ours() -> None:
        facts = [each.facts() for each in jsontext.loads(content, WireEvents).value]
        assert len(facts) == 1000

    def theirs() -> None:
        node = JsonParseNodeFactory().get_root_parse_node("application/json", content)
        models = node.get_object_value(EventCollectionResponse).value
        assert models is not None
        assert [each.subject for each in models] == ["Weekly"] * 1000

    timings = {}
    for name, work in (("ours", ours), ("msgraph-sdk models", theirs)):
        work()  # imports and caches
        samples = []
        for _ in range(3):
            began = time.perf_counter()
            work()
            samples.append(time.perf_counter() - began)
        timings[name] = sorted(samples)[1]
        print(f"  {name}: {timings[name] * 1000:.0f} ms for 1,000 events with bodies")
    print(f"  ratio {timings['msgraph-sdk models'] / timings['ours']:.1f}")


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the mailbox of 5,000 events")
    parser.add_argument("--memory", action="store_true", help="only the mailbox of 5,000 events, and what it takes")
    wanted = parser.parse_args()
    if wanted.memory:
        case("5,000 events, 250 of them to migrate", meetings=250, plain=4750)
        print(f"    peak of the worker: {peak_mib():.0f} MiB")
        return
    print("Graph calls and mails")
    case("250 single meetings, route B", meetings=250)
    case("250 single meetings, route A", meetings=250, switches={"applicationAccessPolicy": "denied"})
    case("50 series", meetings=0, series=50)
    case("nothing to change", meetings=0, plain=250)
    print("Time")
    case("250 single meetings, route B", meetings=250, timed=True)
    print("Decoding")
    decoding()
    if not wanted.quick:
        print("Memory")
        sys.stdout.flush()
        # A process of its own: this one has loaded the SDK's models.
        subprocess.run([sys.executable, __file__, "--memory"], check=True)  # noqa: S603 - ourselves


if __name__ == "__main__":
    main()
