"""Which call of the service needs which right, and who limits it to which people.

docs/permissions.md is made from this table (``python infra/rights/permissions.py > docs/permissions.md``). A test holds
it against the calls that the service makes while it does its job in the simulated tenant, where each call is refused
without its right.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"
"""Microsoft Graph, in every tenant."""
MANAGEMENT_APP_ID: Final = "c5393580-f805-4401-95e8-94b7a6ef2fc2"
"""Office 365 Management APIs, in every tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One application permission, by the value that its API gives it; ids are looked up in the tenant."""

    api: str
    value: str
    calls: tuple[str, ...]
    why: str
    scoped_by: str | None = None
    """``exchange``: RBAC for Applications can give it for some mailboxes, instead of consent. ``teams``: consent is
    needed, and works only for those whom an application access policy names. ``None``: it is for the whole tenant."""
    exchange_role: str | None = None
    """The Exchange role that gives it for a scope."""
    optional: str | None = None
    """The setting without which it is not needed."""


PERMISSIONS: Final = (
    Permission(
        api=GRAPH_APP_ID,
        value="User.Read.All",
        calls=("GET /users", "GET /users/delta", "GET /users/{id}", "POST /subscriptions (resource users)"),
        why="who a user is, which plans they have, and to be told when that changes",
    ),
    Permission(
        api=GRAPH_APP_ID,
        value="TeamsUserConfiguration.Read.All",
        calls=("GET /admin/teams/userConfigurations", "GET /admin/teams/userConfigurations/{id}"),
        why="where a user is homed, which policies they have, their dial-in number",
    ),
    Permission(
        api=GRAPH_APP_ID,
        value="GroupMember.Read.All",
        calls=("POST /users/{id}/checkMemberGroups",),
        why="lists of groups whose members are migrated, or are not",
        optional="AllowedGroups, DeniedGroups",
    ),
    Permission(
        api=GRAPH_APP_ID,
        value="Calendars.ReadWrite",
        calls=(
            "GET /users/{id}/events",
            "GET /users/{id}/events/{id}",
            "GET /users/{id}/events/{id}/instances",
            "PATCH /users/{id}/events/{id}",
            "GET /users/{id}/calendar",
            "GET /users/{id}/calendars",
            "GET /users/{id}/calendars/{id}/events",
        ),
        why="find the meetings, write their new invitations, verify what was written",
        scoped_by="exchange",
        exchange_role="Application Calendars.ReadWrite",
    ),
    Permission(
        api=GRAPH_APP_ID,
        value="MailboxSettings.Read",
        calls=("GET /users/{id}/mailboxSettings",),
        why="language and kind of a mailbox (shared and room mailboxes follow a policy of their own)",
        scoped_by="exchange",
        exchange_role="Application MailboxSettings.Read",
    ),
    Permission(
        api=GRAPH_APP_ID,
        value="OnlineMeetings.ReadWrite.All",
        calls=(
            "POST /users/{id}/onlineMeetings/createOrGet",
            "GET /users/{id}/onlineMeetings",
            "PATCH /users/{id}/onlineMeetings/{id}",
            "DELETE /users/{id}/onlineMeetings/{id}",
        ),
        why="the Teams meeting behind an invitation, its options and its dial-in",
        scoped_by="teams",
    ),
    Permission(
        api=GRAPH_APP_ID,
        value="Mail.Send",
        calls=("POST /users/{id}/sendMail",),
        why="notices to organizers, digests to administrators, from one mailbox",
        scoped_by="exchange",
        exchange_role="Application Mail.Send",
        optional="MMS_NOTICE_SENDER",
    ),
    Permission(
        api=MANAGEMENT_APP_ID,
        value="ActivityFeed.Read",
        calls=("GET /activity/feed/subscriptions/*", "POST /activity/feed/subscriptions/start"),
        why="who granted which policy, assigned which licence, moved whom",
    ),
)


def page() -> str:
    """Return docs/permissions.md."""
    by = {
        None: "the whole tenant",
        "exchange": "mailboxes of a management scope (Exchange RBAC for Applications)",
        "teams": "people granted the application access policy (Teams)",
    }
    lines = [
        "# What the service may do, and why",
        "",
        "Made by `python infra/rights/permissions.py` from the table that `infra/rights/rights.py` grants from.",
        "The service asks for nothing else. No right here lets it read a message.",
        "",
        "| permission | of | for the calls | why | reaches | only with |",
        "|---|---|---|---|---|---|",
    ]
    for each in PERMISSIONS:
        api = "Microsoft Graph" if each.api == GRAPH_APP_ID else "Office 365 Management APIs"
        calls = "<br>".join(f"`{call}`" for call in each.calls)
        lines.append(
            f"| `{each.value}` | {api} | {calls} | {each.why} | {by[each.scoped_by]} | {each.optional or ''} |"
        )
    lines += [
        "",
        "The service also lists, renews and ends its subscriptions (`GET`, `PATCH`, `DELETE /subscriptions`), with the",
        "right by which it made them.",
        "",
        "Where a right can be limited to mailboxes, `rights.py grant` leaves the tenant-wide consent out, and prints",
        "the commands of Exchange PowerShell that give it for a scope. Rights add up: a tenant-wide consent that is",
        "there already defeats the scope, and `rights.py check` says so. `--tenant-wide` grants it nevertheless.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
