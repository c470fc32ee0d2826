"""``mms cancel``, ``retry`` and ``undo``: orders for users' runs, one user after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mms_cli.client import path
from mms_cli.commands.shared import FIELDS, INSTANTS, RUN_COLUMNS, connected, named, some
from mms_cli.failures import CliError, Exit, UsageError
from mms_cli.rows import writer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mms_cli.client import Client
    from mms_cli.terminal import Screen


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Give the order for each user; one that is refused does not keep the others from theirs."""
    users = some(named(arguments))
    order = arguments.command
    body: dict[str, Any] | None = None
    with connected(arguments, screen) as client:
        if order == "cancel":
            _ask_cancel(arguments, screen, users)
        elif order == "undo":
            if arguments.event_id:
                if len(users) > 1:
                    raise UsageError("--event-id names meetings of one user")
                body = {"eventIds": arguments.event_id}
            _ask_undo(arguments, screen, client, users)
        return _give(arguments, screen, client, order=order, users=users, body=body)


def _give(
    arguments: argparse.Namespace,
    screen: Screen,
    client: Client,
    *,
    order: str,
    users: Sequence[str],
    body: dict[str, Any] | None,
) -> int:
    out = writer(screen, arguments.output, columns=RUN_COLUMNS, names=FIELDS, instants=INSTANTS)
    failed: list[CliError] = []
    for user in users:
        try:
            out.page([client.post(path("migrations", user, order), body)])
        except CliError as error:
            if len(users) == 1 or error.exit_code is not Exit.REFUSED:
                raise
            failed.append(error)
            screen.fail(CliError(f"{user}: {error.message}", exit_code=error.exit_code, code=error.code))
    out.end()
    return Exit.SOME_FAILED if failed else Exit.DONE


def _ask_cancel(arguments: argparse.Namespace, screen: Screen, users: Sequence[str]) -> None:
    who = users[0] if len(users) == 1 else f"{len(users):,} users"
    screen.confirm(
        [f"The migration of {who} is cancelled; meetings that are done stay as they are."],
        "Cancel?",
        yes=arguments.yes,
    )


def _ask_undo(arguments: argparse.Namespace, screen: Screen, client: Client, users: Sequence[str]) -> None:
    if arguments.yes:
        return
    sentences = []
    for user in users:
        meetings = client.get(path("migrations", user, "meetings"))["value"]
        restorable = [
            row
            for row in meetings
            if row["verdict"] in ("migrated", "refreshed")
            and (not arguments.event_id or row["eventId"] in arguments.event_id)
        ]
        sentences.append(f"{user}: about {len(restorable):,} of {len(meetings):,} meetings get their original back.")
    sentences.append("The attendees of each get one more update. Meetings edited since are left as they are.")
    screen.confirm(sentences, "Restore them now?", yes=False)
