"""``mms cancel``, ``retry`` and ``undo``: orders for users' runs, one user after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mms_cli.client import path
from mms_cli.commands import forecasts
from mms_cli.commands.shared import FIELDS, INSTANTS, RUN_COLUMNS, connected, named, some
from mms_cli.failures import CliError, Exit, UsageError
from mms_cli.rows import writer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from mms_cli.client import Client
    from mms_cli.terminal import Screen


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Give the order for each user; one that is refused does not keep the others from theirs."""
    users = some(named(arguments))
    order = arguments.command
    body: dict[str, Any] | None = None
    with connected(arguments, screen) as client:
        if order == "undo" and arguments.event_id:
            if len(users) > 1:
                raise UsageError("--event-id names meetings of one user")
            body = {"eventIds": arguments.event_id}
        if not arguments.yes:
            screen.confirm(_sentences(screen, client, order, users, body), f"{order.capitalize()}?", yes=False)
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


def _sentences(
    screen: Screen, client: Client, order: str, users: Sequence[str], body: Mapping[str, Any] | None
) -> list[str]:
    """Say what the order will do, and who gets mail."""
    who = users[0] if len(users) == 1 else f"{len(users):,} users"
    if order == "cancel":
        first = (
            f"The migration of {who} is cancelled: what waits has changed nothing, what runs stops after the meeting"
        )
        return [f"{first} in hand. What is migrated stays so.", "Nobody will get mail beyond those who already have."]
    if len(users) > forecasts.MOST:
        return [f"For more than {forecasts.MOST} users at once it is not looked up who gets mail."]
    made = forecasts.plans(
        screen,
        client,
        [{"identity": user, "action": order, **({"meetings": body} if body else {})} for user in users],
    )
    return forecasts.undone(made) if order == "undo" else forecasts.told(f"{who}: tried again at once.", made)
