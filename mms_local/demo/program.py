"""The command: start a stack, let the demo play on it, say where to look next."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from mms_local.demo.cast import contoso
from mms_local.demo.console import Output
from mms_local.demo.performance import Performance, Stopwatch
from mms_local.demo.tenant import Client, Endpoints, RefusedError
from mms_local.demo.verdict import Verdict
from mms_local.stack import Stack, StackError

_DIRECTORY = Path(".mms") / "demo"
"""Holds the logs of the last showing."""
_READY_WITHIN_SECONDS = 90
_INTERRUPTED = 130
_TERMINATED = 143
_MAY_HAPPEN = (StackError, RefusedError, aiohttp.ClientError, TimeoutError)


def main(argv: list[str]) -> int:
    """Run the demo; gives 0 only if the tenant is exactly as it must be."""
    options = _parse(argv)
    output = Output()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        return _run(options, output)
    except KeyboardInterrupt:
        output.line()
        output.line("interrupted; everything is stopped")
        return _INTERRUPTED
    except (ExceptionGroup, *_MAY_HAPPEN) as error:
        leaves = _leaves(error)
        if not all(isinstance(leaf, _MAY_HAPPEN) for leaf in leaves):
            raise
        output.line()
        for line in (str(leaves[0]) or type(leaves[0]).__name__).splitlines():
            output.line(line, style="red")
        output.line(f"The demo could not go on. {_DIRECTORY} holds what the stack wrote.")
        return 1


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m mms_local demo",
        description="Seed a Contoso of 40 users and 600 meetings, migrate it, and check the result in the tenant.",
    )
    parser.add_argument(
        "--settle-seconds",
        type=float,
        default=12,
        metavar="N",
        help="how long a request waits for company, 90 minutes in real life (default: %(default)s)",
    )
    parser.add_argument(
        "--patience-seconds", type=float, default=300, metavar="N", help="when to stop waiting (default: %(default)s)"
    )
    parser.add_argument(
        "--traffic",
        type=Path,
        default=_DIRECTORY / "traffic.jsonl",
        metavar="FILE",
        help="where every Graph request and answer of the demo is written, as JSON lines (default: %(default)s)",
    )
    parser.add_argument("--stay", action="store_true", help="leave the stack running at the end, until ctrl-c")
    parser.add_argument(
        "--stack", type=Path, metavar="FILE", help="ready file of a stack that runs already, and is empty"
    )
    options = parser.parse_args(argv)
    if options.stack is not None and not options.stack.is_file():
        parser.error(f"there is no {options.stack}; `python -m mms_local up --ready-file FILE` writes one")
    return options


def _run(options: argparse.Namespace, output: Output) -> int:
    stopwatch = Stopwatch()
    output.title("Meeting Migration Service: the demo")
    output.line("A simulated Microsoft 365 tenant, storage, and the service, on this machine.")
    output.section("Starting")
    with ExitStack() as exits:
        if options.stack:
            ready = json.loads(options.stack.read_text(encoding="utf-8"))
        else:
            stack = Stack(
                _DIRECTORY,
                *("--tenant", str(_write_tenant()), "--in-memory"),
                *("--settle-seconds", f"{options.settle_seconds:g}"),
                patience_seconds=_READY_WITHIN_SECONDS,
            )
            ready = exits.enter_context(stack).ready
        output.line(f"storage, tenant and service answer after {stopwatch.lap('start'):.1f} s")
        verdict, exchanges = asyncio.run(_play(options, output, Endpoints.of(ready), stopwatch))
        output.section("Where to look next")
        _print_next(output, ready, options, exchanges)
        if options.stay:
            with suppress(KeyboardInterrupt):
                signal.pause()
    return 0 if verdict.is_clean else 1


def _write_tenant() -> Path:
    """Write who is at Contoso before the service comes: as in real life, it finds people with their licences."""
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = (_DIRECTORY / "contoso.json").resolve()
    users = [person.as_tenant_user() for person in contoso()]
    path.write_text(json.dumps({"users": users}, indent=1), encoding="utf-8")
    return path


async def _play(
    options: argparse.Namespace, output: Output, endpoints: Endpoints, stopwatch: Stopwatch
) -> tuple[Verdict, int]:
    """Give the verdict, and how many exchanges with Graph were recorded."""
    async with aiohttp.ClientSession() as session:
        performance = Performance(
            client=Client(session, endpoints),
            output=output,
            stopwatch=stopwatch,
            settle_seconds=options.settle_seconds,
            patience_seconds=options.patience_seconds,
        )
        verdict = await performance.play(datetime.now(UTC).date())
        return verdict, await performance.client.save_traffic(options.traffic)


def _print_next(output: Output, ready: Mapping[str, Any], options: argparse.Namespace, exchanges: int) -> None:
    recorded = f"{_near(options.traffic)}, {exchanges:,} requests and answers"
    if options.stay:
        ready_file = options.stack or _DIRECTORY / "ready.json"
        output.line(f"status, user by user   {ready['api']}/migrations")
        output.line(f"mail the tenant sent   {ready['tenant']}/outbox")
        output.line(f"tokens for the first   {ready_file}")
        output.line(f"Graph's traffic        {recorded}")
        output.line("ctrl-c stops everything")
        return
    output.line("make run                           the same stack, left running")
    output.line("python -m mms_local demo --stay    this demo, left running at its end")
    output.line("docs/architecture.md               how it all works")
    output.line(f"logs of this run                   {_near(Path(ready['logs']))}")
    output.line(f"Graph's traffic in this run        {recorded}")


def _near(path: Path) -> Path:
    """Write *path* as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _leaves(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in _leaves(part)]
