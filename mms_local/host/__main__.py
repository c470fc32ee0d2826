"""``python -m mms_local.host``: run one function app on this machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from mms_local.host.appsettings import load_local_settings
from mms_local.host.configuration import ConfigurationError, load_host_configuration
from mms_local.host.logs import LOGGER, set_up_logging
from mms_local.host.runtime import LocalHost


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m mms_local.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="directory of function_app.py and host.json")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=7071, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--settings", type=Path, help="a file like local.settings.json (default: the app's own, if there)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an app setting; wins over all others"
    )
    parser.add_argument("--state", type=Path, help="directory that remembers timers' schedules (default: nothing does)")
    parser.add_argument(
        "--grace", type=float, default=30.0, metavar="SECONDS", help="longest drain (default: %(default)s)"
    )
    parser.add_argument("--ready-file", type=Path, help="JSON with url, pid and functions, written when it serves")
    arguments = parser.parse_args(argv)
    wrong = [item for item in arguments.set if "=" not in item]
    if wrong:
        parser.error(f"--set needs KEY=VALUE, not {wrong[0]!r}")
    return arguments


def apply_settings(arguments: argparse.Namespace) -> None:
    """Put settings into the environment: the file's where nothing is set, as Core Tools do, then ``--set``."""
    own = arguments.app / "local.settings.json"
    path = arguments.settings or (own if own.exists() else None)
    for name, value in (load_local_settings(path) if path else {}).items():
        os.environ.setdefault(name, value)
    for item in arguments.set:
        name, _, value = item.partition("=")
        os.environ[name] = value
    os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    os.environ["AzureWebJobsScriptRoot"] = str(arguments.app)  # noqa: SIM112 - the platform's own spelling


async def serve(host: LocalHost, arguments: argparse.Namespace) -> bool:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends it at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await host.start(arguments.address, arguments.port)
    if arguments.ready_file is not None:
        ready = {
            "url": f"http://{arguments.address}:{host.port}",
            "pid": os.getpid(),
            "functions": [function.name for function in host.functions if function.is_running],
        }
        temporary = arguments.ready_file.with_name(f"{arguments.ready_file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(ready), encoding="utf-8")
        temporary.replace(arguments.ready_file)
    await stop.wait()
    return await host.drain(timedelta(seconds=arguments.grace))


def main(argv: list[str] | None = None) -> int:
    """Run the host; 0 after a drain, 1 when it cannot start."""
    arguments = parse_arguments(argv)
    for name in ("app", "settings", "state", "ready_file"):
        path = getattr(arguments, name)
        setattr(arguments, name, path and path.resolve())
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    try:
        apply_settings(arguments)
        configuration = load_host_configuration(arguments.app, os.environ)
    except ConfigurationError as error:
        LOGGER.error("%s", error)
        return 1
    set_up_logging(configuration.log_levels)
    os.chdir(arguments.app)
    host = LocalHost(arguments.app, configuration, environment=os.environ, state_directory=arguments.state)
    try:
        drained = asyncio.run(_guarded(host, arguments))
    except OSError as error:
        LOGGER.error("Cannot listen on port %d: %s", arguments.port, error)
        return 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    if not drained:
        os._exit(0)  # threads of unfinished functions would keep the interpreter
    return 0


async def _guarded(host: LocalHost, arguments: argparse.Namespace) -> bool:
    drained = await serve(host, arguments)
    if not drained:
        sys.stderr.flush()
        os._exit(0)
    return drained


if __name__ == "__main__":
    sys.exit(main())
