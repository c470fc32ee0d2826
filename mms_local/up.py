"""``python -m mms_local up``: the whole stack in the foreground, supervised."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import aiohttp

from mms_local.node import SetupError
from mms_local.plans import (
    StackOptions,
    Tenant,
    app_settings,
    host_plan,
    is_subscribed,
    run_timers_with,
    simulator_plan,
    storage_plan,
    tenant_file,
)
from mms_local.ports import bypass_proxies
from mms_local.storage import StoragePorts
from mms_local.supervision import Part, PartError, Supervisor
from mms_local.workplace import Workplace, WorkplaceError, write_atomically

PATIENCE_SECONDS: Final = 60.0
"""How long parts may take to answer, and subscriptions to appear."""


class RunningStack:
    """One stack from its start to its end.

    Args:
        options: What runs.
        workplace: Where.
        ready_files: Written when the stack is ready, and again whenever a part is started anew.
        waits_for_subscriptions: Off only for apps that make none.
    """

    def __init__(
        self,
        options: StackOptions,
        workplace: Workplace,
        *,
        ready_files: list[Path],
        waits_for_subscriptions: bool = True,
    ) -> None:
        self._options = options
        self._workplace = workplace
        self._ready_files = ready_files
        self._waits_for_subscriptions = waits_for_subscriptions
        self._supervisor = Supervisor(on_restart=self._on_restart)
        ports = workplace.ports("app", "graph", "blob", "queue", "table")
        self._storage_ports = StoragePorts(**{name: ports[name] for name in ("blob", "queue", "table")})
        self._port = options.port or ports["app"]
        self._graph_port = options.graph_port or ports["graph"]
        self._tenant: Tenant | None = None
        self._is_ready = False
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> dict[str, Any]:
        """Start the parts, wait until the stack is ready, write the ready files and return what is in them.

        Errors: :class:`PartError`.
        """
        app = f"http://127.0.0.1:{self._port}"
        async with aiohttp.ClientSession() as session:
            simulator = simulator_plan(
                self._workplace, self._options, port=self._graph_port, events_url=f"{app}/api/events", session=session
            )
            storage = storage_plan(self._workplace, self._storage_ports)
            await self._supervisor.start(storage, simulator, patience_seconds=PATIENCE_SECONDS)
            tenant = self._tenant = Tenant.read(tenant_file(self._workplace))
            if tenant is None:
                raise PartError("the simulated tenant took its ready file back")
            settings = app_settings(
                self._options,
                tenant,
                self._workplace,
                storage=self._storage_ports.connection_string,
                port=self._port,
            )
            host = host_plan(self._workplace, self._options, settings, port=self._port, session=session)
            await self._supervisor.start(host, patience_seconds=PATIENCE_SECONDS)
            if self._waits_for_subscriptions:
                await self._wait_for_subscriptions(tenant, app, session)
        self._is_ready = True
        self._write()
        return self._ready()

    async def stop(self) -> None:
        """Stop the host, then the tenant, then storage."""
        self._is_ready = False
        for task in self._background:
            task.cancel()
        await self._supervisor.stop()

    def hurry(self) -> None:
        """Kill what :meth:`stop` waits for."""
        self._supervisor.kill()

    async def _wait_for_subscriptions(self, tenant: Tenant, app: str, session: aiohttp.ClientSession) -> None:
        await run_timers_with("MMS_SUBSCRIPTION_SCHEDULE", app, session)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await is_subscribed(tenant, app, session):
            if time.monotonic() > deadline:
                words = self._supervisor.parts["host"].last_words()
                raise PartError(f"the app has made no subscriptions after {PATIENCE_SECONDS:g} s\n{words}")
            await asyncio.sleep(0.2)

    def _ready(self) -> dict[str, Any]:
        tenant = self._tenant
        if tenant is None:
            raise PartError("not started")
        return {
            "api": f"http://127.0.0.1:{self._port}/api",
            "graph": tenant.graph,
            "tenant": tenant.control,
            "storage": self._storage_ports.connection_string,
            "tokens": {name: tenant.tokens[name] for name in ("operator", "reader", "graph")},
            "pids": {name: self._supervisor.parts[name].pid for name in ("host", "storage", "simulator")},
            "logs": str(self._workplace.logs),
        }

    def _write(self) -> None:
        for path in self._ready_files:
            write_atomically(path, self._ready())

    def _on_restart(self, part: Part) -> None:
        tell(f"{part.plan.name} ended and was started again as process {part.pid}")
        if part.plan.name == "simulator":
            task = asyncio.create_task(self._take_new_tokens())
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        if self._is_ready:
            self._write()

    async def _take_new_tokens(self) -> None:
        """A tenant that was started again writes its ready file anew, maybe with other tokens."""
        for _ in range(int(PATIENCE_SECONDS * 10)):
            await asyncio.sleep(0.1)
            tenant = Tenant.read(tenant_file(self._workplace))
            if tenant is not None and tenant != self._tenant:
                self._tenant = tenant
                if self._is_ready:
                    self._write()


def tell(text: str) -> None:
    """Say one thing that happened to whoever watches the terminal."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def describe(ready: dict[str, Any], where: Path) -> str:
    """Return where everything is, in plain lines."""
    lines = [
        f"app        {ready['api']}",
        f"dashboard  {ready['api']}/dashboard#token={ready['tokens']['operator']}",
        f"graph      {ready['graph']}",
        f"tenant     {ready['tenant']}",
        f"tokens     in {where}",
        f"logs       {ready['logs']}",
        "The stack is running; ctrl-c stops it.",
    ]
    return "\n".join(lines) + "\n"


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line of ``up``."""
    parser = argparse.ArgumentParser(prog="python -m mms_local up", description=__doc__)
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--empty", action="store_true", help="a tenant without users (the default)")
    who.add_argument("--tenant", type=Path, metavar="FILE", help="a tenant as the file describes it")
    number: dict[str, Any] = {"type": int, "default": 0, "metavar": "N"}
    parser.add_argument(
        "--settle-seconds", type=float, default=5.0, metavar="N", help="wait of a request (%(default)s)"
    )
    parser.add_argument("--port", **number, help="the app's port, 0 for a free one (default)")
    parser.add_argument("--graph-port", **number, help="the tenant's port, 0 for a free one (default)")
    parser.add_argument("--latency-ms", **number, help="added to each answer of the tenant (%(default)s)")
    parser.add_argument("--throttle", choices=("on", "off"), default="off", help="the tenant's limits (%(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="kept over restarts (default: forgotten at the end)")
    parser.add_argument("--in-memory", action="store_true", help="storage and tenant keep nothing on disk")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="JSON, written when the stack is ready")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an app setting, wins over ours"
    )
    parser.add_argument("--app", type=Path, metavar="DIR", help=argparse.SUPPRESS)  # for the tests of this command
    parser.add_argument("--no-subscriptions", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    wrong = [item for item in arguments.set if "=" not in item]
    if wrong:
        parser.error(f"--set needs KEY=VALUE, not {wrong[0]!r}")
    return arguments


def main(argv: list[str]) -> int:
    """Run the stack until SIGTERM or SIGINT: 0. 1 when it does not come up."""
    arguments = parse_arguments(argv)
    bypass_proxies()
    options = StackOptions(
        tenant_file=arguments.tenant,
        settle_seconds=arguments.settle_seconds,
        port=arguments.port,
        graph_port=arguments.graph_port,
        latency_ms=arguments.latency_ms,
        throttle=arguments.throttle == "on",
        settings=dict(item.split("=", 1) for item in arguments.set),
        core_tools=os.environ.get("HOST") == "func",
        **({"app": arguments.app} if arguments.app else {}),
    )
    if arguments.ready_file is not None:
        arguments.ready_file.unlink(missing_ok=True)
    try:
        workplace = Workplace(arguments.data, in_memory=arguments.in_memory)
    except WorkplaceError as error:
        tell(str(error))
        return 1
    try:
        return asyncio.run(_run(options, workplace, arguments))
    finally:
        if arguments.ready_file is not None:
            arguments.ready_file.unlink(missing_ok=True)
        workplace.close()


async def _run(options: StackOptions, workplace: Workplace, arguments: argparse.Namespace) -> int:
    own = workplace.root / "ready.json"
    files = [own] if arguments.ready_file is None else [own, arguments.ready_file.resolve()]
    try:
        stack = RunningStack(
            options, workplace, ready_files=files, waits_for_subscriptions=not arguments.no_subscriptions
        )
        return await _until_stopped(stack, where=files[-1])
    except (PartError, SetupError, OSError) as error:
        tell(str(error))
        return 1


async def _until_stopped(stack: RunningStack, *, where: Path) -> int:
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            stack.hurry()
        else:
            tell(f"{number.name}: stopping")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    stopped = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(stack.start())
    try:
        await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            sys.stdout.write(describe(await starting, where))
            sys.stdout.flush()
            await stopped
        return 0
    finally:
        for task in (starting, stopped):
            task.cancel()
        await asyncio.wait({starting, stopped})
        await stack.stop()
