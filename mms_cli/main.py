"""``mms``: reads the command line, imports the one command that was asked for, and runs it."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from mms_cli.arguments import parser
from mms_cli.failures import CliError, Exit
from mms_cli.terminal import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, one of :class:`Exit`."""
    top = parser()
    arguments = top.parse_args(argv)
    if arguments.version:
        from mms_cli.version import __version__  # noqa: PLC0415 - only here

        sys.stdout.write(f"mms {__version__}\n")
        return Exit.DONE
    if arguments.command is None:
        top.print_help(sys.stderr)
        return Exit.USAGE
    screen = Screen(sys.stdout, sys.stderr, sys.stdin, colours=not arguments.no_color)
    try:
        command = importlib.import_module(f"mms_cli.commands.{arguments.module}")
        code: int = command.run(arguments, screen)
        sys.stdout.flush()
    except CliError as error:
        _flush()
        screen.fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        screen.hide_bar()
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Python would fail once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    return code


def _flush() -> None:
    """Write what was said before the error, so that the order on a terminal is right."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
