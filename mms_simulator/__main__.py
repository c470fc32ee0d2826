"""``python -m mms_simulator``: run a tenant until it is told to stop."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import msgspec

from mms_simulator import calendar, directory, payloads, signin
from mms_simulator.front import Front
from mms_simulator.store import DEFAULT_TENANT, Store


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m mms_simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--tenant", type=Path, help='JSON: {"users": [...], "switches": {...}}, used on an empty tenant'
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--data", type=Path, help="directory that keeps the tenant over restarts")
    place.add_argument("--in-memory", action="store_true", help="keep nothing (the default)")
    parser.add_argument("--ready-file", type=Path, help="written when the tenant answers")
    parser.add_argument("--latency-ms", type=float, help="added to every Graph answer")
    parser.add_argument("--throttle", choices=("on", "off"))
    parser.add_argument("--events-url", help="where the tenant's own CloudEvents go")
    parser.add_argument("--tenant-id", help="GUID of the tenant")
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT."""
    if options.data:
        options.data.mkdir(parents=True, exist_ok=True)
    store = Store(options.data, (options.tenant_id or DEFAULT_TENANT).lower())
    _prepare(store, options)
    front = Front(store, options.data)
    port = await front.start(options.host, options.port)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stopped.set)
    if options.ready_file:
        write_ready(options.ready_file, ready(front))
    sys.stderr.write(f"tenant {store.tenant_id} at http://{options.host}:{port}/v1.0\n")
    try:
        await stopped.wait()
    finally:
        await front.stop()


def ready(front: Front) -> dict[str, object]:
    """Describe a running tenant: addresses, and tokens that live two days."""
    store, sign_in = front.store, front.sign_in
    return {
        "base": store.base,
        "graph": f"{store.base}/v1.0",
        "tenant": f"{store.base}/_tenant",
        "tenantId": store.tenant_id,
        "pid": os.getpid(),
        "tokens": {
            "operator": sign_in.token(signin.API, [signin.READ, signin.OPERATE]),
            "reader": sign_in.token(signin.API, [signin.READ]),
            "graph": sign_in.token(signin.GRAPH, signin.roles_for(signin.GRAPH)),
        },
    }


def write_ready(path: Path, content: dict[str, object]) -> None:
    """Replace the ready file in one step."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
    draft.replace(path)


def _prepare(store: Store, options: argparse.Namespace) -> None:
    """Seed an empty tenant from its file, and let the command line move switches."""
    given = msgspec.json.decode(options.tenant.read_bytes()) if options.tenant and not store.users else {}
    moved = dict(given.get("switches") or {})
    if options.latency_ms is not None:
        moved["latencyMs"] = options.latency_ms
    if options.throttle:
        moved["throttle"] = options.throttle == "on"
    if options.events_url:
        moved["eventsUrl"] = options.events_url
    if moved:
        merged = {**msgspec.to_builtins(store.switches), **moved}
        store.switches = msgspec.convert(merged, type(store.switches))
        store.setting("switches", msgspec.to_builtins(store.switches))
    seeds = [(user.pop("events", []), directory.create(store, user)) for user in given.get("users") or ()]
    for events, owner in seeds:
        for event in events:
            calendar.create(store, owner, calendar.default_calendar(owner), payloads.checked(event, payloads.Event))
    if seeds:  # what was seeded was sent long ago
        for mail in list(store.outbox.values()):
            store.drop(mail)
    store.commit()


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
