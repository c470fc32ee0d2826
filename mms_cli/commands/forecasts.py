"""What an order would do, in the words of the web page: the service plans it first, and writes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from mms_cli.client import path
from mms_cli.failures import CliError, Exit
from mms_cli.terminal import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mms_cli.client import Client
    from mms_cli.terminal import Screen

MOST: Final = 200
"""Users whose calendars are looked at before a question is asked; a plan reads as much as a run does. Of a longer list
these are the first ones, and what is said is that it is at least so much."""
_AT_ONCE: Final = 20
_PATIENCE_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.4

Plan = dict[str, Any]


def plans(screen: Screen, client: Client, wishes: Sequence[Mapping[str, Any]]) -> list[Plan | None]:
    """Return the plan of each wish, in order; of several, ``None`` for one that the service refuses to plan.

    Raises:
        CliError: The service does not answer, refuses the only wish, or has not made a plan in ten minutes.
    """
    progress = Progress(screen, "users looked at", len(wishes))
    made: list[Plan | None] = []
    for first in range(0, len(wishes), _AT_ONCE):
        asked = [_ask(client, wish, is_one=len(wishes) == 1) for wish in wishes[first : first + _AT_ONCE]]
        for preview_id in asked:
            made.append(None if preview_id is None else _made(client, preview_id))
            progress.show(len(made))
    progress.close()
    return made


def _ask(client: Client, wish: Mapping[str, Any], *, is_one: bool) -> str | None:
    try:
        return str(client.post("previews", wish)["id"])
    except CliError as error:
        if is_one or error.exit_code is not Exit.REFUSED:
            raise
        return None


def _made(client: Client, preview_id: str) -> Plan:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        plan: Plan = client.get(path("previews", preview_id))
        if plan["state"] != "pending":
            # Where the policy is to report, the plan says what would be done, and nothing is.
            return {**plan, "writes": 0, "updates": 0, "mailTo": []} if plan.get("reportOnly") else plan
        if time.monotonic() > deadline:
            raise CliError(
                "the service has not looked at the calendars in ten minutes",
                exit_code=Exit.TIMED_OUT,
                remedy="Try again, or add --yes to do it without knowing who gets mail.",
                code="TimedOut",
            )
        time.sleep(_POLL_SECONDS)


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def mail(found: Sequence[Plan]) -> str:
    """Say how many people get mail; somebody invited by several users is one."""
    people = {address for plan in found for address in plan["mailTo"]}
    updates = sum(plan["updates"] for plan in found)
    if not updates:
        return "Nobody will get mail."
    return f"{counted(len(people), 'person', 'people')} will get mail, {counted(updates, 'update')} in all."


def _looked_at(made: Sequence[Plan | None], count: int) -> list[str]:
    """Say how many of the users the following is about, if not about all."""
    return [f"The calendars of {len(made):,} of them were looked at. For these:"] if len(made) < count else []


def _at_least(found: Sequence[Plan], made: Sequence[Plan | None], count: int) -> list[str]:
    """Say what that tells about all."""
    if len(made) >= count:
        return []
    people = len({address for plan in found for address in plan["mailTo"]})
    updates = sum(plan["updates"] for plan in found)
    if not updates:
        return ["How many people the others would send mail to is not known."]
    guess = counted(round(updates * count / len(made)), "update")
    get = "person gets" if people == 1 else "people get"
    return [f"So at least {people:,} {get} mail. If the others are like these, it is about {guess} in all."]


def told(first: str, made: Sequence[Plan | None], count: int) -> list[str]:
    """Say what starting or retrying so many users comes to, of whom all or the first ones were planned."""
    found = [plan for plan in made if plan is not None]
    failing = [plan for plan in found if plan["state"] == "failed"]
    writes = sum(plan["writes"] for plan in found)
    sentences = [first, *_looked_at(made, count)]
    if failing:
        whose = "It" if count == 1 else f"{len(failing):,} of them"
        why = f": {failing[0]['message']}" if len(made) == 1 and failing[0].get("message") else "."
        sentences.append(f"{whose} would fail{why}")
    if refused := len(made) - len(found):
        sentences.append(f"{counted(refused, 'user')} cannot be planned: something has changed meanwhile.")
    changes = f"{counted(writes, 'meeting')} would be changed."
    return [*sentences, changes, mail(found), *_at_least(found, made, count)]


def undone(made: Sequence[Plan | None], count: int) -> list[str]:
    """Say what an undo of so many users comes to, of whom all or the first ones were planned."""
    found = [plan for plan in made if plan is not None]
    rows = [row for plan in found for row in plan["meetings"] if row["verdict"] == "fail"]
    edited = sum(row["code"] == "EditedSince" for row in rows)
    writes = sum(plan["writes"] for plan in found)
    goes, was = ("invitation goes", "it was") if writes == 1 else ("invitations go", "they were")
    sentences = _looked_at(made, count)
    sentences += [f"{writes:,} {goes} back to what {was} before the migration, at once.", mail(found)]
    if edited:
        sentences.append(f"{counted(edited, 'invitation was', 'invitations were')} edited since: left alone.")
    if others := len(rows) - edited:
        sentences.append(f"{counted(others, 'meeting')} cannot go back: deleted, or the old meeting was ended.")
    sentences += [f"This would fail: {plan['message']}" for plan in found if plan["state"] == "failed"]
    if refused := len(made) - len(found):
        sentences.append(f"Of {counted(refused, 'user')} there is nothing to restore, or a run is under way.")
    return [*sentences, *_at_least(found, made, count)]
