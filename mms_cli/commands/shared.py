"""What several commands need: the connection, the users that were named, the columns of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mms_cli import signin
from mms_cli.client import Client
from mms_cli.failures import UsageError
from mms_cli.lists import identity_problem
from mms_cli.rows import Column, field

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

FIELDS: Final = (
    "CorrelationId",
    "CreateDate",
    "FailedMeeting",
    "InvitesUpdate",
    "LastMessage",
    "MigrationType",
    "ModifiedDate",
    "RetryCount",
    "State",
    "SucceededMeeting",
    "TotalMeeting",
    "UserId",
    "UserPrincipalName",
    "Reasons",
    "NextAttempt",
    "SkippedMeeting",
    "Code",
    "Rule",
    "Actors",
)
"""The cmdlet's 13 fields, and after them the service's own."""
INSTANTS: Final = ("CreateDate", "ModifiedDate", "NextAttempt", "start", "modified", "notBefore", "discovered", "at")
FINAL: Final = frozenset({"Failed", "Succeeded", "Skipped", "Cancelled"})


def connected(arguments: argparse.Namespace, screen: Screen) -> Client:
    """Return a client of the service where somebody is signed in.

    Raises:
        CliError: Nobody is.
    """

    def prompt(address: str, code: str, _: Any) -> None:
        screen.note(f"To sign in, open {address} and type the code {code}")

    url, tokens = signin.connection(arguments.url, prompt=prompt, interactive=screen.is_interactive)
    return Client(url, tokens)


def named(arguments: argparse.Namespace) -> list[str]:
    """Return the users that the command line names, each once, in order.

    Raises:
        UsageError: One of them cannot be a user.
    """
    users = list(dict.fromkeys(each.strip() for each in (*arguments.user, *arguments.identity)))
    for user in users:
        if problem := identity_problem(user):
            raise UsageError(f"{user!r}: {problem}")
    return users


def some(users: Sequence[str]) -> Sequence[str]:
    """Return *users*. Raises ``UsageError`` where there is none."""
    if not users:
        raise UsageError("no user is named", remedy="Add a user principal name or an object id.")
    return users


def one(users: Sequence[str]) -> str:
    """Return the only user. Raises ``UsageError`` where it is not one."""
    if len(users) != 1:
        raise UsageError(f"this command is for one user at a time, not for {len(users)}")
    return users[0]


def narrowed(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return which meetings a request is narrowed to, ``None`` for all."""
    given = {
        "eventIds": arguments.event_id,
        "start": arguments.meetings_from,
        "end": arguments.meetings_until,
        "subject": arguments.subject,
        "urlHost": arguments.url_host,
        "attendeeDomain": arguments.attendee_domain,
        "externals": arguments.externals,
    }
    return {name: value for name, value in given.items() if value} or None


def _name(row: Row) -> object:
    return row.get("UserPrincipalName") or row.get("UserId")


def _meetings(row: Row) -> str:
    if not row.get("TotalMeeting"):
        return ""
    return f"{row['SucceededMeeting']}/{row['TotalMeeting']}"


RUN_COLUMNS: Final = (
    Column("UserPrincipalName", _name, width=24, shrinks=True),
    field("State", width=10, is_state=True),
    field("MigrationType", width=13),
    field("CreateDate", is_instant=True),
    Column("Meetings", _meetings, is_number=True),
    field("LastMessage", shrinks=True, unfolds=True),
)
