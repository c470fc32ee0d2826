"""``mms status``: what ``Get-CsMeetingMigrationStatus`` shows, and keeps showing with ``--watch``."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from mms_cli import times
from mms_cli.client import PAGE
from mms_cli.commands.shared import FIELDS, INSTANTS, RUN_COLUMNS, connected, named
from mms_cli.failures import Exit, UsageError
from mms_cli.rows import Column, Table, Writer, field, text_of, writer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mms_cli.client import Client
    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

_SUMMARY: Final = ("State", "UserCount")
_FILTERS: Final = {
    "state": "state",
    "start_time": "startTime",
    "end_time": "endTime",
    "migration_type": "migrationType",
    "reason": "reason",
}


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Show the status once, or until ctrl-c."""
    users = named(arguments)
    if arguments.summary_only and users:
        raise UsageError("--summary-only counts all users; it takes no user")
    if arguments.watch and arguments.output in ("json", "csv"):
        raise UsageError("--watch is for people; it takes no JSON or CSV")
    with connected(arguments, screen) as client:
        if not arguments.watch:
            _show(arguments, screen, client, users)
            return Exit.DONE
        try:
            while True:
                _show_again(arguments, screen, client, users)
                time.sleep(arguments.watch)
        except KeyboardInterrupt:  # the way to end it
            return Exit.DONE


def _show_again(arguments: argparse.Namespace, screen: Screen, client: Client, users: list[str]) -> None:
    if screen.is_terminal:
        screen.clear()
        # Heading, empty line, titles, and one for the cursor.
        room = max(1, screen.size[1] - 4)
        arguments.top = min(arguments.top or room, room)
    screen.line(f"mms status, {times.local(times.now())}, every {arguments.watch:g} s")
    screen.line()
    _show(arguments, screen, client, users)
    if not screen.is_terminal:
        screen.line()
    screen.out.flush()


def _show(arguments: argparse.Namespace, screen: Screen, client: Client, users: list[str]) -> None:
    if arguments.summary_only:
        out = _summary(arguments, screen)
        out.page(client.get("migrations", {"summaryOnly": "true"})["value"])
    else:
        out = writer(
            screen,
            arguments.output,
            columns=RUN_COLUMNS,
            names=FIELDS,
            instants=INSTANTS,
            empty="No such runs.",
            unfolds=not arguments.watch,
        )
        for page in _limited(_runs(arguments, client, users), arguments.top):
            out.page(page)
    out.end()


def _summary(arguments: argparse.Namespace, screen: Screen) -> Writer:
    columns: tuple[Column, ...] = (
        Column("State", lambda row: row["State"], is_state=True),
        field("UserCount", is_number=True),
    )
    if arguments.output == "table":
        return Table(screen, columns, ruled=True)
    return writer(screen, arguments.output, columns=columns, names=_SUMMARY)


def _runs(arguments: argparse.Namespace, client: Client, users: list[str]) -> Iterator[list[Row]]:
    query: dict[str, str] = {
        wire: text_of(value) for name, wire in _FILTERS.items() if (value := getattr(arguments, name)) is not None
    }
    if arguments.top:
        query["top"] = str(min(arguments.top, PAGE))
    if not users:
        yield from client.pages("migrations", query)
    for user in users:
        yield from client.pages("migrations", {**query, "identity": user})


def _limited(pages: Iterator[list[Row]], top: int | None) -> Iterator[list[Row]]:
    if top is None:
        yield from pages
        return
    rows: Iterator[dict[str, Any]] = (row for page in pages for row in page)
    yield list(islice(rows, top))
