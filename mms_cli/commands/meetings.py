"""``mms meetings``: a row for each meeting, with what became of it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mms_cli.client import path
from mms_cli.commands.shared import INSTANTS, connected, named, one
from mms_cli.failures import Exit
from mms_cli.rows import Column, field, write_all, writer

if TYPE_CHECKING:
    import argparse

    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

_NAMES: Final = (
    "eventId", "iCalUId", "subject", "start", "verdict", "rule", "code", "message", "before", "after", "requestId",
    "attempts", "correlationId", "modified", "durationMs",
)  # fmt: skip


def coordinates(value: Any) -> str:
    """Return how people get into a meeting, in a few words."""
    if not isinstance(value, dict):
        return ""
    parts = [str(value.get("kind") or ""), *(value.get("numbers") or ())]
    if value.get("conferenceId"):
        parts.append(f"#{value['conferenceId']}")
    return " ".join(part for part in parts if part)


def change(row: Row) -> str:
    """Return the way in before and after, where there is one."""
    before, after = coordinates(row.get("before")), coordinates(row.get("after"))
    return f"{before} -> {after}" if before and after and before != after else before or after


def why(row: Row) -> str:
    """Return rule and code of what was not done."""
    return " ".join(str(row[name]) for name in ("rule", "code") if row.get(name))


COLUMNS: Final = (
    field("Start", "start", is_instant=True),
    field("Verdict", "verdict", is_state=True),
    field("Subject", "subject", shrinks=True),
    Column("Way in", change, shrinks=True),
    Column("Why", why, shrinks=True),
)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Show a user's meetings."""
    user = one(named(arguments))
    with connected(arguments, screen) as client:
        rows: list[Row] = client.get(path("migrations", user, "meetings"))["value"]
    if arguments.verdict:
        rows = [row for row in rows if row["verdict"] == arguments.verdict]
    out = writer(screen, arguments.output, columns=COLUMNS, names=_NAMES, instants=INSTANTS, empty="No such meetings.")
    write_all(out, rows)
    return Exit.DONE
