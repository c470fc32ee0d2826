"""``mms cancel``, ``retry`` and ``undo``: orders for users' runs, one user after the other."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from mms_cli.client import path
from mms_cli.commands import forecasts
from mms_cli.commands.shared import FIELDS, INSTANTS, RUN_COLUMNS, connected, named, some
from mms_cli.failures import CliError, Exit, UsageError
from mms_cli.rows import field, text_of, write_all, writer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from mms_cli.client import Client
    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

_PAGES: Final = 5
"""Pages of failed runs that are looked through for users of a group before it is asked."""


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Give the order for each user; one that is refused does not keep the others from theirs."""
    order = arguments.command
    if order == "retry" and arguments.code:
        return _retry_group(arguments, screen)
    users = some(named(arguments))
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
    more = {"meetings": body} if body else {}
    wishes = [{"identity": user, "action": order, **more} for user in users[: forecasts.MOST]]
    made = forecasts.plans(screen, client, wishes)
    if order == "undo":
        return forecasts.undone(made, len(users))
    return forecasts.told(f"{who}: tried again at once.", made, len(users))


# -- a whole group ----------------------------------------------------------------------------------------------------


def _retry_group(arguments: argparse.Namespace, screen: Screen) -> int:
    """Have all users tried again whose newest run has failed with a code."""
    if named(arguments):
        raise UsageError("name either users, or the code of a group with --code")
    with connected(arguments, screen) as client:
        groups = client.get("migrations", {"summaryOnly": "true", "summaryBy": "code"})["value"]
        group = next((each for each in groups if str(each["Code"]).lower() == arguments.code.lower()), None)
        if group is None:
            codes = ", ".join(text_of(each["Code"]) for each in groups)
            raise CliError(
                f"nobody's newest run has failed with {arguments.code}",
                exit_code=Exit.REFUSED,
                code="NotFound",
                remedy=f"These codes there are: {codes}." if codes else "Nobody's newest run has failed.",
            )
        if not arguments.yes:
            screen.confirm(_of_group(screen, client, group), "Retry?", yes=False)
        done = client.post("retries", {"code": group["Code"]})
    columns = (field("Code"), field("UserCount", is_number=True))
    write_all(writer(screen, arguments.output, columns=columns, names=("Code", "UserCount")), [done])
    return Exit.DONE


def _of_group(screen: Screen, client: Client, group: Row) -> list[str]:
    """Say what a retry of a group comes to, from the plans of its newest users."""
    users: dict[str, None] = {}
    for page in islice(client.pages("migrations", {"state": "Failed"}), _PAGES):
        users |= {row["UserId"] or row["UserPrincipalName"]: None for row in page if row["Code"] == group["Code"]}
        if len(users) >= min(forecasts.MOST, group["UserCount"]):
            break
    wishes = [{"identity": user, "action": "retry"} for user in islice(users, forecasts.MOST)]
    count = forecasts.counted(group["UserCount"], "user")
    first = f"{count} with {group['Code']}: tried again, as fast as lists are admitted."
    return forecasts.told(first, forecasts.plans(screen, client, wishes), group["UserCount"])
