"""The command line: every command, every option. Imports nothing that costs time; docs/cli.md is written from it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mms_cli.failures import EXPLANATIONS
from mms_cli.profile import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STATES: Final = ("Pending", "InProgress", "Failed", "Succeeded", "Skipped", "Cancelled")
MIGRATION_TYPES: Final = ("SfbToSfb", "SfbToTeams", "TeamsToTeams", "AllToTeams", "ToSameType", "Unknown")
SOURCES: Final = ("SfB", "Teams", "All")
TARGETS: Final = ("Current", "Teams")
VERDICTS: Final = ("migrated", "refreshed", "current", "skipped", "failed")
FORMATS: Final = ("table", "list", "json", "csv")

ENVIRONMENT: Final = (
    ("MMS_URL", "Address of the service, as `--url`."),
    ("MMS_TOKEN", "A bearer token for it; goes before any sign-in."),
    ("MMS_CONFIG_DIR", "Where `mms login` keeps its profile instead of the system's place for it."),
    ("NO_COLOR", "Set to anything: no colours."),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, the module that does it, and how its options are declared."""

    name: str
    summary: str
    module: str
    declare: Callable[[argparse.ArgumentParser], None]
    cmdlet: str = ""
    """The cmdlet that it stands for."""


def _choice(names: Sequence[str]) -> Callable[[str], str]:
    """Take a name in any case, as PowerShell does."""

    def taken(text: str) -> str:
        for name in names:
            if name.lower() == text.lower():
                return name
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(names)}")

    return taken


def _instant(text: str) -> str:
    from mms_cli import times  # noqa: PLC0415 - only where an instant is given

    try:
        return times.wire(times.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _amount(low: float, high: float) -> Callable[[str], float]:
    def taken(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
        return value

    return taken


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=_choice(FORMATS),
        default="table",
        metavar="FORMAT",
        help="table (default), list, json or csv",
    )


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _identities(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("user", nargs="*", metavar="USER", help=what)
    parser.add_argument(
        "--identity", action="append", default=[], metavar="USER", help="the same, as the cmdlets call it; repeatable"
    )


def _one_identity(parser: argparse.ArgumentParser) -> None:
    _identities(parser, "user principal name, object id or SIP address")


def _source_and_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source-meeting-type",
        "--source",
        type=_choice(SOURCES),
        default="All",
        metavar="TYPE",
        help="which meetings: SfB, Teams or All (default)",
    )
    parser.add_argument(
        "--target-meeting-type",
        "--target",
        type=_choice(TARGETS),
        default="Current",
        metavar="TYPE",
        help="what they become: Teams, or Current (default), which refreshes them as they are",
    )


def _narrowing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("only some of the meetings")
    group.add_argument("--event-id", action="append", default=[], metavar="ID", help="this meeting; repeatable")
    group.add_argument("--meetings-from", type=_instant, metavar="TIME", help="that start at this instant or later")
    group.add_argument("--meetings-until", type=_instant, metavar="TIME", help="that start before this instant")
    group.add_argument("--subject", metavar="TEXT", help="with this in the subject")
    group.add_argument("--url-host", metavar="HOST", help="whose join link leads to this host or domain")
    group.add_argument("--attendee-domain", metavar="DOMAIN", help="with somebody of this domain invited")
    group.add_argument(
        "--externals",
        type=_choice(("include", "exclude", "only")),
        metavar="HOW",
        help="meetings with people of other domains: include (default), exclude or only",
    )


def _start(parser: argparse.ArgumentParser) -> None:
    _identities(parser, "whose meetings: user principal name, object id or SIP address")
    parser.add_argument(
        "--from-csv",
        metavar="FILE",
        help="users from a CSV file with a column Identity, UserPrincipalName or UserId; - is standard input. "
        "Columns SourceMeetingType, TargetMeetingType and NotBefore go before the options; rows of a higher Priority "
        "(0 to 9) are sent and due first",
    )
    _source_and_target(parser)
    parser.add_argument(
        "--settle-minutes",
        type=_amount(0, 10_080),
        metavar="N",
        help="wait this long for further changes (default: the tenant's setting, 90 minutes)",
    )
    parser.add_argument("--not-before", type=_instant, metavar="TIME", help="do not begin before this instant")
    parser.add_argument("--wait", action="store_true", help="wait until all are done, as mms wait does")
    _waiting(parser)
    group = parser.add_argument_group("going on with a list")
    group.add_argument("--restart", action="store_true", help="begin at the list's first row again")
    group.add_argument("--no-resume", action="store_true", help="keep no FILE.mms-progress beside the list")
    _narrowing(parser)
    _output(parser)
    _yes(parser)


def _status(parser: argparse.ArgumentParser) -> None:
    _one_identity(parser)
    parser.add_argument("--summary-only", action="store_true", help="how many users are in which state")
    parser.add_argument(
        "--state", type=_choice(STATES), metavar="STATE", help=f"only runs in this state: {', '.join(STATES)}"
    )
    parser.add_argument("--start-time", type=_instant, metavar="TIME", help="only runs made at this instant or later")
    parser.add_argument("--end-time", type=_instant, metavar="TIME", help="only runs made before this instant")
    parser.add_argument(
        "--migration-type",
        type=_choice(MIGRATION_TYPES),
        metavar="TYPE",
        help=f"only runs of this type: {', '.join(MIGRATION_TYPES)}",
    )
    parser.add_argument("--reason", metavar="RULE", help="only runs with this reason, such as T10")
    parser.add_argument("--top", type=int, metavar="N", help="the newest N runs only")
    parser.add_argument(
        "--watch",
        nargs="?",
        const=5.0,
        type=_amount(1, 3600),
        metavar="SECONDS",
        help="show it again every 5 seconds, or as often as given, until ctrl-c",
    )
    _output(parser)


def _meetings(parser: argparse.ArgumentParser) -> None:
    _one_identity(parser)
    parser.add_argument(
        "--verdict", type=_choice(VERDICTS), metavar="VERDICT", help=f"only these: {', '.join(VERDICTS)}"
    )
    _output(parser)


def _preview(parser: argparse.ArgumentParser) -> None:
    _one_identity(parser)
    parser.add_argument("--id", metavar="PREVIEW", help="show a preview that was made before")
    _source_and_target(parser)
    _narrowing(parser)
    parser.add_argument("--people", action="store_true", help="list who would get mail, and why")
    parser.add_argument("--blocks", action="store_true", help="show the old and the new block of each meeting")
    parser.add_argument(
        "--timeout", type=_amount(0, 10_080), default=10, metavar="MINUTES", help="wait this long for it (default 10)"
    )
    _output(parser)


def _apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preview", metavar="PREVIEW", help="id of the preview")
    _output(parser)
    _yes(parser)


def _order(parser: argparse.ArgumentParser) -> None:
    _one_identity(parser)
    _output(parser)
    _yes(parser)


def _retry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--code", metavar="CODE", help="all users whose newest run has failed with this code, however many there are"
    )
    _order(parser)


def _undo(parser: argparse.ArgumentParser) -> None:
    _one_identity(parser)
    parser.add_argument("--event-id", action="append", default=[], metavar="ID", help="only this meeting; repeatable")
    _output(parser)
    _yes(parser)


def _waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=_amount(0, 100_000), metavar="MINUTES", help="give up waiting after this (default: never)"
    )
    parser.add_argument(
        "--poll",
        type=_amount(0.2, 3600),
        default=5,
        metavar="SECONDS",
        help="look this often (default 5); more rarely where many users are waited for",
    )


def _wait(parser: argparse.ArgumentParser) -> None:
    _one_identity(parser)
    parser.add_argument(
        "--from-csv", metavar="FILE", help="users from a CSV file, as for mms start; what it printed as CSV will do"
    )
    _waiting(parser)
    _output(parser)


def _config(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="show the settings", description="Show the settings.", allow_abbrev=False)
    show.add_argument("name", nargs="*", metavar="NAME", help="only these")
    _output(show)
    common(show)
    change = actions.add_parser(
        "set",
        help="change settings",
        description="Change settings; all of them or, if one is wrong, none. Effective at once, for queued work too."
        " Switching migration on or off asks first.",
        allow_abbrev=False,
    )
    change.add_argument(
        "change", nargs="+", metavar="NAME=VALUE", help="true, false, a number, a text, null, or a,list,of,texts"
    )
    _output(change)
    _yes(change)
    common(change)


def _discover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", action="store_true", help="if the service is still searching, wait until it has searched all users"
    )
    _output(parser)


def _decisions(parser: argparse.ArgumentParser) -> None:
    _one_identity(parser)
    parser.add_argument("--rule", metavar="RULE", help="only decisions by this rule, such as N3")
    parser.add_argument("--reason", metavar="TEXT", help="only those with this in the reason")
    parser.add_argument(
        "--answer", type=_choice(("request", "ignore", "refuse")), metavar="ANSWER", help="request, ignore or refuse"
    )
    parser.add_argument("--correlation-id", metavar="ID", help="only those that became part of this run")
    parser.add_argument("--start-time", type=_instant, metavar="TIME", help="made at this instant or later")
    parser.add_argument("--end-time", type=_instant, metavar="TIME", help="made before this instant")
    parser.add_argument("--top", type=int, metavar="N", help="the newest N only")
    _output(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", nargs="?", metavar="USER", help="somebody whose mailbox proves the rights")
    _output(parser)


def _login(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method",
        type=_choice(METHODS[:-1]),
        metavar="METHOD",
        help="browser (default), device-code, managed-identity, environment (AZURE_CLIENT_ID and so on) or azure-cli",
    )
    parser.add_argument("--tenant-id", metavar="ID", help="the tenant; for browser and device-code")
    parser.add_argument(
        "--client-id",
        metavar="ID",
        help="the application that signs people in (browser, device-code), or the user-assigned identity",
    )
    parser.add_argument("--scope", metavar="SCOPE", help="of the service: its application id, then /.default")
    parser.add_argument("--authority", metavar="HOST", help="sign-in service of a national cloud")
    parser.add_argument(
        "--from",
        dest="origin",
        type=_choice(("azd",)),
        metavar="azd",
        help="take address, tenant and scope from the environment that azd made",
    )
    parser.add_argument("--ready-file", metavar="FILE", help="sign in to a stack on this machine, by its ready file")
    parser.add_argument(
        "--role", type=_choice(("operator", "reader")), default="operator", help="which of the ready file's tokens"
    )


def _nothing(_: argparse.ArgumentParser) -> None:
    """Take no options of its own."""


COMMANDS: Final = (
    Command("login", "Sign in, and remember where the service is.", "access", _login),
    Command("logout", "Forget the sign-in.", "access", _nothing),
    Command("doctor", "Examine the deployment: storage, rights, subscriptions, clock, settings.", "doctor", _doctor),
    Command(
        "status",
        "Show runs and their state, newest first.",
        "status",
        _status,
        "Get-CsMeetingMigrationStatus",
    ),
    Command("meetings", "Show each of a user's meetings: what became of it, and why.", "meetings", _meetings),
    Command("start", "Ask for the migration of users' meetings.", "start", _start, "Start-CsExMeetingMigration"),
    Command("wait", "Wait until users' migrations are over; fails if one has failed.", "wait", _wait),
    Command(
        "preview", "Show what a migration would do, meeting by meeting, and who would get mail.", "previews", _preview
    ),
    Command("apply", "Carry a preview out, exactly as it was shown.", "previews", _apply),
    Command(
        "cancel", "Cancel migrations that wait, and stop those that run after the meeting in hand.", "orders", _order
    ),
    Command("retry", "Start migrations that failed, were skipped or cancelled again, at once.", "orders", _retry),
    Command("undo", "Restore the original invitations.", "orders", _undo),
    Command(
        "config",
        "Show or change the tenant's settings.",
        "config",
        _config,
        "Get- and Set-CsTenantMigrationConfiguration",
    ),
    Command("discover", "List users who need a migration and have none.", "journal", _discover),
    Command(
        "decisions",
        "Show who or what asked for what, and what was decided by which rule.",
        "journal",
        _decisions,
        "Get-CsMeetingMigrationTransactionHistory",
    ),
)


def common(parser: argparse.ArgumentParser) -> None:
    """Declare what every command takes."""
    group = parser.add_argument_group("everywhere")
    group.add_argument("--url", metavar="URL", help="address of the service (default: where you signed in)")
    group.add_argument("--no-color", action="store_true", help="no colours")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    codes = "\n".join(f"  {code.value:>3}  {text.replace('`', '')}" for code, text in EXPLANATIONS.items())
    top = argparse.ArgumentParser(
        prog="mms",
        description="Migrate the meetings of a Microsoft 365 tenant: ask, watch, preview, undo.",
        epilog=f"exit codes:\n{codes}\n\nmms COMMAND --help tells a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.summary, description=command.summary, allow_abbrev=False)
        command.declare(own)
        if command.name != "config":
            common(own)
        own.set_defaults(module=command.module)
    return top
