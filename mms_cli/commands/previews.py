"""``mms preview`` and ``mms apply``: look first, then do exactly that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from mms_cli import rows as writing
from mms_cli.client import path
from mms_cli.commands.meetings import change, why
from mms_cli.commands.shared import FIELDS, INSTANTS, RUN_COLUMNS, connected, named, narrowed, one
from mms_cli.failures import CliError, Exit, UsageError
from mms_cli.rows import Column, field, text_of
from mms_cli.terminal import Progress

if TYPE_CHECKING:
    import argparse

    from mms_cli.client import Client
    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

_REPORTED: Final = "the policy for this kind of mailbox is to report."
_POLL_SECONDS: Final = (0.2, 0.5, 1.0, 2.0)
_NAMES: Final = (
    "eventId", "iCalUId", "subject", "start", "verdict", "rule", "code", "before", "after", "people", "recipients",
    "startsWithin15Minutes", "updates", "graphCalls", "notKept", "userTextInBlock",
)  # fmt: skip
_COLUMNS: Final = (
    field("Start", "start", is_instant=True),
    field("Plan", "verdict", is_state=True),
    field("Updates", "updates", is_number=True),
    Column("People", lambda row: len(row["recipients"]), is_number=True),
    field("Subject", "subject", shrinks=True),
    Column("Way in", change, shrinks=True),
    Column("Why", why, shrinks=True),
)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Make or show a preview, or apply one."""
    if arguments.command == "apply":
        return _apply(arguments, screen)
    users = named(arguments)
    if bool(arguments.id) is bool(users):
        raise UsageError("name either a user, or a preview with --id")
    with connected(arguments, screen) as client:
        preview_id = arguments.id or _ask(arguments, client, one(users))
        preview = _made(arguments, screen, client, preview_id)
    if preview["state"] == "failed":
        code = str(preview.get("code") or "")
        # The message is "W2 MailboxMissing: the cause. Remedy: the remedy.", and the code is shown by itself.
        cause, _, remedy = str(preview.get("message") or "the preview could not be made").partition(" Remedy: ")
        if code:
            cause = cause.partition(f"{code}: ")[2] or cause
        raise CliError(cause, exit_code=Exit.REFUSED, code=code, remedy=remedy)
    _show(arguments, screen, preview)
    return Exit.DONE


def _ask(arguments: argparse.Namespace, client: Client, user: str) -> str:
    meetings = narrowed(arguments)
    body = {
        "identity": user,
        "sourceMeetingType": arguments.source_meeting_type,
        "targetMeetingType": arguments.target_meeting_type,
        **({"meetings": meetings} if meetings else {}),
    }
    return str(client.post("previews", body)["id"])


def _made(arguments: argparse.Namespace, screen: Screen, client: Client, preview_id: str) -> dict[str, Any]:
    """Return a preview when it is made.

    Raises:
        CliError: It is not, in the time given.
    """
    deadline = time.monotonic() + arguments.timeout * 60
    progress = Progress(screen, "", None)
    for attempt in range(10**9):
        preview: dict[str, Any] = client.get(path("previews", preview_id))
        if preview["state"] != "pending":
            progress.close()
            return preview
        if time.monotonic() > deadline:
            break
        progress.waiting(f"waiting for the preview {preview_id}")
        time.sleep(_POLL_SECONDS[min(attempt, len(_POLL_SECONDS) - 1)])
    progress.close()
    raise CliError(
        f"the preview {preview_id} is not made yet",
        exit_code=Exit.TIMED_OUT,
        remedy=f"Look again with mms preview --id {preview_id}.",
        code="TimedOut",
    )


def mail(preview: dict[str, Any]) -> str:
    """Say how many people would get how many mails, and how many of them are not the tenant's own."""
    outside = {
        person["address"] for row in preview["meetings"] for person in row["recipients"] if "external" in person["why"]
    }
    updates, people = preview["updates"], preview["recipients"]
    if preview.get("reportOnly"):
        return f"Nobody gets mail, and nothing is written: {_REPORTED}"
    if not updates:
        return "Nobody gets mail."
    return (
        f"{updates:,} {'update goes' if updates == 1 else 'updates go'} to "
        f"{people:,} {'person' if people == 1 else 'people'}, {len(outside):,} of them outside of the organization."
    )


def _plan(preview: dict[str, Any]) -> str:
    count: dict[str, int] = {}
    for row in preview["meetings"]:
        count[row["verdict"]] = count.get(row["verdict"], 0) + 1
    return ", ".join(
        f"{amount:,} to {name}" if name != "current" else f"{amount:,} current" for name, amount in count.items()
    )


def _show(arguments: argparse.Namespace, screen: Screen, preview: dict[str, Any]) -> None:
    if arguments.output == "json":
        screen.raw(writing.json_text(preview, indent=2) + "\n")
        return
    out = writing.writer(
        screen, arguments.output, columns=_COLUMNS, names=_NAMES, instants=INSTANTS, empty="There is no such meeting."
    )
    writing.write_all(out, preview["meetings"])
    if arguments.output != "table":
        return
    for row in preview["meetings"]:
        if arguments.people:
            _people(screen, row)
        if arguments.blocks:
            _blocks(screen, row)
    screen.line()
    if preview["meetings"]:
        screen.line(f"{text_of(preview['identity'])}: {_plan(preview)}. {mail(preview)}")
    if preview["message"]:
        screen.line(text_of(preview["message"]))
    lost = sorted({each for row in preview["meetings"] for each in row["notKept"]})
    if lost:
        screen.line(f"Not kept from the old meetings: {text_of(lost)}.")
    if preview["state"] == "ready" and preview["updates"] and not preview.get("reportOnly"):
        screen.line(f"To do exactly this: mms apply {text_of(preview['id'])}")


def _people(screen: Screen, row: Row) -> None:
    if row["recipients"]:
        screen.line()
        screen.line(f"{text_of(row['subject'])}:")
    for person in row["recipients"]:
        screen.line(f"  {text_of(person['address'])}  ({', '.join(map(text_of, person['why']))})")


def _blocks(screen: Screen, row: Row) -> None:
    for title, mark, name in (("old block of", "-", "oldBlock"), ("new block of", "+", "newBlock")):
        if row.get(name):
            screen.line()
            screen.line(f"{title} {text_of(row['subject'])}:")
            for line in row[name].splitlines():
                screen.line(screen.paint(f"{mark} {text_of(line)}", "red" if mark == "-" else "green"))


def _apply(arguments: argparse.Namespace, screen: Screen) -> int:
    with connected(arguments, screen) as client:
        preview = client.get(path("previews", arguments.preview))
        screen.confirm(
            [f"Preview {preview['id']} of {preview['identity']}: {_plan(preview)}.", mail(preview)],
            "Write these meetings now?",
            yes=arguments.yes,
        )
        made = client.post(path("previews", arguments.preview, "apply"))
    writing.write_all(
        writing.writer(screen, arguments.output, columns=RUN_COLUMNS, names=FIELDS, instants=INSTANTS), [made]
    )
    return Exit.DONE
