"""Command line of the local stack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE: Final = """\
usage: python -m mms_local COMMAND [OPTIONS]

  setup   install what the stack needs besides Python packages (the storage emulator)
  up      run storage, the simulated tenant and the app until stopped
  demo    do the service's main job on a seeded tenant, start to end, and report
  host    run one function app alone

COMMAND --help tells the options.
"""


def main(argv: list[str]) -> int:
    """Run one command; the exit code is its own."""
    commands: dict[str, Callable[[list[str]], int]] = {"setup": _set_up, "up": _up, "demo": _demo, "host": _host}
    if not argv or argv[0] not in commands:
        is_help = bool(argv) and argv[0] in {"-h", "--help"}
        (sys.stdout if is_help else sys.stderr).write(USAGE)
        return 0 if is_help else 2
    return commands[argv[0]](argv[1:])


# Each command imports what it needs when it runs: set-up must work before anything else is installed.


def _set_up(_: list[str]) -> int:
    from mms_local.node import SetupError, set_up_azurite  # noqa: PLC0415

    try:
        set_up_azurite()
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _up(argv: list[str]) -> int:
    from mms_local.up import main as up  # noqa: PLC0415

    return up(argv)


def _demo(argv: list[str]) -> int:
    from mms_local.demo import main as demo  # noqa: PLC0415

    return demo(argv)


def _host(argv: list[str]) -> int:
    from mms_local.host.__main__ import main as host  # noqa: PLC0415

    return host(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
