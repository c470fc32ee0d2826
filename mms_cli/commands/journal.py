"""``mms discover`` and ``mms decisions``: who needs a migration, and why who got one or did not."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from mms_cli.client import PAGE
from mms_cli.commands.shared import INSTANTS, connected, named
from mms_cli.failures import Exit
from mms_cli.rows import Column, field, writer
from mms_cli.terminal import Progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mms_cli.client import Client
    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

_FOUND: Final = (
    "identity", "userId", "reason", "meetings", "sourceMeetingType", "targetMeetingType", "notBefore", "discovered",
)  # fmt: skip
_FOUND_COLUMNS: Final = (
    field("Identity", "identity", width=24, shrinks=True),
    field("Meetings", "meetings", is_number=True),
    field("Source", "sourceMeetingType"),
    field("Target", "targetMeetingType"),
    field("Reason", "reason", shrinks=True),
)
_DECIDED: Final = (
    "at", "what", "answer", "rule", "reason", "outcome", "user", "userId", "correlationId", "actor", "proof",
    "requestId",
)  # fmt: skip


def _who(row: Row) -> object:
    return row.get("user") or row.get("userId")


_DECIDED_COLUMNS: Final = (
    field("At", "at", is_instant=True),
    Column("User", _who, width=24, shrinks=True),
    field("What", "what", shrinks=True),
    field("Rule", "rule"),
    field("Answer", "answer"),
    field("Outcome", "outcome", shrinks=True),
    field("Reason", "reason", shrinks=True),
)
_POLL_SECONDS: Final = 2.0


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """List what was found, or what was decided."""
    with connected(arguments, screen) as client:
        if arguments.command == "discover":
            _discover(arguments, screen, client)
        else:
            _decisions(arguments, screen, client)
    return Exit.DONE


def _discover(arguments: argparse.Namespace, screen: Screen, client: Client) -> None:
    state: dict[str, Any] = client.get("discovery", {"top": "1"})
    progress = Progress(screen, "", None)
    while arguments.wait and (state["isRunning"] or not state["discoveredAt"]):
        progress.waiting("the service is looking through all users")
        time.sleep(_POLL_SECONDS)
        state = client.get("discovery", {"top": "1"})
    progress.close()
    if state["isRunning"]:
        screen.warn("the service is still searching; what it has found so far (all of it: --wait)")
    out = writer(
        screen,
        arguments.output,
        columns=_FOUND_COLUMNS,
        names=_FOUND,
        instants=INSTANTS,
        empty="Nobody needs a migration." if state["discoveredAt"] else "Nobody is found yet.",
    )
    for page in client.pages("discovery", {}):
        out.page(page)
    out.end()


def _decisions(arguments: argparse.Namespace, screen: Screen, client: Client) -> None:
    given = {
        "rule": arguments.rule,
        "reason": arguments.reason,
        "answer": arguments.answer,
        "correlationId": arguments.correlation_id,
        "startTime": arguments.start_time,
        "endTime": arguments.end_time,
        "top": str(min(arguments.top, PAGE)) if arguments.top else None,
    }
    query = {name: value for name, value in given.items() if value}
    out = writer(
        screen,
        arguments.output,
        columns=_DECIDED_COLUMNS,
        names=_DECIDED,
        instants=INSTANTS,
        empty="No such decisions.",
    )

    def rows() -> Iterator[Row]:
        users = named(arguments)
        for own in [{"identity": user} for user in users] or [{}]:
            for page in client.pages("decisions", {**query, **own}):
                yield from page

    if arguments.top:
        out.page(list(islice(rows(), arguments.top)))
    else:
        found = rows()
        while page := list(islice(found, PAGE)):
            out.page(page)
    out.end()
