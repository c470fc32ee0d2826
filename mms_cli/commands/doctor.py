"""``mms doctor``: has the service examine its own deployment, and shows what is not as it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mms_cli.commands.shared import connected
from mms_cli.failures import Exit
from mms_cli.rows import Column, field, text_of, writer

if TYPE_CHECKING:
    import argparse

    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

_NAMES: Final = ("check", "status", "code", "detail", "message", "remedy")


def _what(row: Row) -> str:
    return ": ".join(str(row[name]) for name in ("code", "detail") if row.get(name))


_COLUMNS: Final = (
    field("Status", "status", width=7, is_state=True),
    field("Check", "check"),
    Column("What", _what, shrinks=True, unfolds=True),
)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Show the findings; fails if one of them is an error."""
    query = {"deep": "true", **({"user": arguments.user} if arguments.user else {})}
    with connected(arguments, screen) as client:
        report: dict[str, Any] = client.get("health", query)
    found: list[Row] = report["findings"]
    out = writer(screen, arguments.output, columns=_COLUMNS, names=_NAMES)
    out.page(found)
    out.end()
    if arguments.output == "table":
        _explain(screen, found)
    return Exit.SOME_FAILED if report["status"] == "error" else Exit.DONE


def _explain(screen: Screen, found: list[Row]) -> None:
    """Say once for each code what it means and what to do."""
    explained = {row["code"]: row for row in found if row["code"]}
    for code, row in explained.items():
        screen.line()
        screen.line(f"{text_of(code)}: {text_of(row['message'])}")
        screen.line(f"  {screen.paint('remedy:', 'bold')} {text_of(row['remedy'])}")
