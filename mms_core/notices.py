"""What notices say: to an organizer before and after a run, and to administrators about failures. Pure.

Each kind has a subject and a body of ours, which the tenant's settings replace (``Notice<kind>Subject``,
``Notice<kind>Body``). Rule R8 is part of both letters to organizers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from mms_core.errors import CATALOGUE
from mms_core.model import State, Verdict
from mms_core.templates import Markup, fill_body, fill_subject, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mms_core.meetings import LedgerEntry
    from mms_core.model import Run
    from mms_core.settings import TenantSettings

MOST_LISTED: Final = 100
"""Meetings or users that one letter names; the others are counted."""

NOT_KEPT: Final = (
    "Whiteboards, polls, shared notes and whatever else belongs to the old online meeting are not kept, nor is text "
    "that was written inside the old block of joining instructions. Everything else in the invitation stays as it is."
)
"""Rule R8, for meetings that get another online meeting."""

ALL_KEPT: Final = "The online meetings stay the same ones, with all that belongs to them."

SUBJECTS: Final = {
    "Before": "Your online meetings will be updated",
    "After": "Your online meetings: $result",
    "Digest": "Meeting migration: failures for $users users",
}
BODIES: Final = {
    "Before": (
        "<p>Your organization changes its online meetings. $count meetings that you organize will be looked at, and "
        "their invitations updated where that is needed. You need not do anything.</p>"
        "<p>When: not before $due.</p>$meetings<p>$notKept</p>"
        "<p>Attendees get one update for each meeting that changes.</p>"
    ),
    "After": (
        "<p>Online meetings that you organize have been looked at: $result.</p>$meetings<p>$notKept</p>$failures"
    ),
    "Digest": (
        "<p>Migrations that failed from $since to $until: $users users, $causes causes.</p>$failures"
        "<p>GET /api/migrations?state=Failed lists them with code, cause and remedy.</p>"
    ),
}
_REPLACED: Final = (Verdict.MIGRATED,)
_CHANGED: Final = (Verdict.MIGRATED, Verdict.REFRESHED, Verdict.RESTORED)
_RESULTS: Final = {
    State.SUCCEEDED: "the update is complete",
    State.FAILED: "the update is complete in part",
    State.SKIPPED: "the update will not take place",
    State.CANCELLED: "the update was cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail: its subject is plain text, its body HTML."""

    subject: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """What a letter says of a meeting."""

    subject: str
    start_at: datetime | None
    is_replaced: bool = False
    """It gets another online meeting, so that R8 matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One cause, and whom it stopped."""

    code: str
    users: tuple[str, ...]
    meetings: int = 0
    """Meetings that failed for it; 0 where the user's whole run did."""


def _letter(kind: str, settings: TenantSettings, values: dict[str, str]) -> Letter:
    subject: str = getattr(settings, f"Notice{kind}Subject") or SUBJECTS[kind]
    body: str = getattr(settings, f"Notice{kind}Body") or BODIES[kind]
    return Letter(subject=fill_subject(subject, values), html=fill_body(body, values))


def _when(at: datetime, settings: TenantSettings) -> str:
    local = at.astimezone(ZoneInfo(settings.MaintenanceTimeZone))
    return f"{local:%Y-%m-%d %H:%M} ({settings.MaintenanceTimeZone})"


def _line(subject: str, start_at: datetime | None, settings: TenantSettings, more: str = "") -> str:
    start = f", {_when(start_at, settings)}" if start_at is not None else ""
    return f"{subject or '(no subject)'}{start}{more}"


def _rest(rows: list[str]) -> list[str]:
    return rows if len(rows) <= MOST_LISTED else [*rows[:MOST_LISTED], f"and {len(rows) - MOST_LISTED} more"]


def before(settings: TenantSettings, *, user: str, due_at: datetime, meetings: Sequence[Meeting]) -> Letter:
    """Say what will be done, when, and what will be lost."""
    return _letter(
        "Before",
        settings,
        {
            "user": user,
            "count": str(len(meetings)),
            "due": _when(due_at, settings),
            "meetings": listed(_rest([_line(each.subject, each.start_at, settings) for each in meetings])),
            "notKept": NOT_KEPT if any(each.is_replaced for each in meetings) else ALL_KEPT,
        },
    )


def _cause(entry: LedgerEntry) -> str:
    explanation = CATALOGUE.get(entry.code or "")
    return f": {explanation.cause}" if explanation else ""


def is_left_out(entry: LedgerEntry) -> bool:
    """Say whether a meeting was not updated for a reason that its organizer should know."""
    explanation = CATALOGUE.get(entry.code or "")
    if entry.code == "ReportOnly":
        return False  # nothing was to be done; the report is the administrators'
    is_ruled_out = entry.verdict is Verdict.SKIPPED and explanation is not None and explanation.rule is not None
    return entry.verdict is Verdict.FAILED or is_ruled_out


def is_changed(entry: LedgerEntry) -> bool:
    """Say whether a run has changed a meeting."""
    return entry.verdict in _CHANGED


def after(
    settings: TenantSettings, run: Run, *, user: str, entries: Sequence[LedgerEntry], is_first: bool = True
) -> Letter:
    """Say what was done, what was not and why, and what is lost.

    Args:
        settings: Of the tenant.
        run: That is over.
        user: Its organizer.
        entries: What became of the meetings.
        is_first: A run that was started afresh has told already what was lost.
    """
    changed = [entry for entry in entries if is_changed(entry)]
    left_out = [entry for entry in entries if is_left_out(entry)]
    result = "the original invitations are back" if run.undo and changed else _RESULTS.get(run.state, str(run.state))
    not_kept = NOT_KEPT if any(entry.verdict in _REPLACED for entry in changed) else ALL_KEPT
    if not changed and not is_first:
        not_kept = ""
    failures = listed(_rest([_line(entry.subject, entry.start_at, settings, _cause(entry)) for entry in left_out]))
    return _letter(
        "After",
        settings,
        {
            "user": user,
            "result": result,
            "changed": str(len(changed)),
            "failed": str(len(left_out)),
            "meetings": listed(_rest([_line(entry.subject, entry.start_at, settings) for entry in changed])),
            "failures": Markup(f"<p>Not updated:</p>{failures}") if failures else failures,
            "notKept": not_kept,
        },
    )


def digest(settings: TenantSettings, *, since: datetime, until: datetime, failures: Sequence[Failure]) -> Letter:
    """Say whom which cause has stopped, and what removes it; the commonest cause first."""
    rows = []
    for each in sorted(failures, key=lambda each: (-len(each.users), each.code)):
        explanation = CATALOGUE[each.code]
        meetings = f", {each.meetings} meetings" if each.meetings else ""
        named = ", ".join(_rest(list(each.users)))
        rows.append(
            f"{each.code} ({len(each.users)} users{meetings}): {explanation.cause} Remedy: {explanation.remedy} "
            f"Users: {named}"
        )
    return _letter(
        "Digest",
        settings,
        {
            "since": _when(since, settings),
            "until": _when(until, settings),
            "users": str(len({user for each in failures for user in each.users})),
            "causes": str(len(failures)),
            "failures": listed(rows),
        },
    )
