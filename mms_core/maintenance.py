"""``python -m mms_core.maintenance``: what an administrator needs seldom, run with the app's own settings.

``messages`` shows the messages that were poisoned or not understood, ``replay ID`` puts one back into its queue, and
``export DAY`` prints what was purged on a day (``20260131``) as lines of JSON. A poisoned run has
``POST migrations/{userId}/retry`` as well.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import platform
import sys

from mms_core import wiring
from mms_core.errors import MmsError


def operator() -> str:
    """Return the user of this machine and the machine, for the record: nobody has signed in here."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container without a name for its user
        user = "unknown"
    return f"{user}@{platform.node()}"


async def messages() -> int:
    """Print the kept messages, one a line: id, time, whether and by whom it was replayed, and its text."""
    async for each in wiring.recovery().kept():
        again = f" replayed {each['replayedAt']} by {each.get('replayedBy', '?')}" if "replayedAt" in each else ""
        sys.stdout.write(f"{each['id']} {each['at']}{again} {each['text']}\n")
    return 0


async def replay(message_id: str) -> int:
    """Put a kept message back; 1 if there is none of that id, or this version does not understand it."""
    try:
        await wiring.recovery().replay(message_id, by=operator())
    except MmsError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


async def export(day: str) -> int:
    """Print what was purged on a day."""
    async for line in wiring.archive().lines(day):
        sys.stdout.write(f"{line}\n")
    return 0


async def _run(arguments: argparse.Namespace) -> int:
    try:
        if arguments.what == "messages":
            return await messages()
        if arguments.what == "replay":
            return await replay(arguments.id)
        return await export(arguments.day)
    finally:
        await wiring.close()


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m mms_core.maintenance", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("messages", help="show messages that were poisoned or not understood")
    what.add_parser("replay", help="put one back into its queue").add_argument("id")
    what.add_parser("export", help="print what was purged on a day").add_argument("day")
    return asyncio.run(_run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
