"""Runs and meetings as administrators see them: the cmdlet's 13 fields, the summary, CSV. Pure formatting."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import CATALOGUE, explain
from mms_core.model import State, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from mms_core.meetings import Coordinates, Damaged, Difference, LedgerEntry
    from mms_core.model import Run

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
)
"""The 13 fields of ``Get-CsMeetingMigrationStatus``, same names and order (mms-rules section 4)."""

MESSAGE_FIELDS: Final = ("MessageId", "CreateDate", "Kind", "State", "Code", "LastMessage")
"""Of a message that failed for good."""

OWN_FIELDS: Final = ("Reasons", "NextAttempt", "SkippedMeeting", "Code", "Rule", "Actors")


def instant(at: datetime | None) -> str | None:
    """ISO 8601 with seven decimals and ``Z``, as the cmdlet prints dates."""
    # Not strftime, which does not pad a year before 1000 everywhere.
    return None if at is None else at.replace(tzinfo=None).isoformat(timespec="microseconds") + "0Z"


def run_row(run: Run) -> dict[str, Any]:
    """Return one row of status."""
    explanation = CATALOGUE.get(run.code or "")
    return {
        "CorrelationId": run.run_id,
        "CreateDate": instant(run.created_at),
        "FailedMeeting": run.failed,
        "InvitesUpdate": run.invites,
        "LastMessage": run.last_message,
        "MigrationType": run.migration_type,
        "ModifiedDate": instant(run.modified_at),
        "RetryCount": run.retries,
        "State": str(run.state),
        "SucceededMeeting": run.succeeded,
        "TotalMeeting": run.total,
        "UserId": run.user_id,
        "UserPrincipalName": run.user_principal_name or (run.identity if run.user_id is None else None),
        "Reasons": list(run.reasons),
        "NextAttempt": instant(run.due_at) if run.state is State.PENDING else None,
        "SkippedMeeting": run.skipped,
        "Code": run.code,
        "Rule": explanation.rule if explanation else None,
        "Actors": list(run.actors),
    }


def message_rows(kept: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each message that failed for good; what it says stays where it is kept."""
    return [
        {
            "MessageId": each["id"],
            "CreateDate": instant(datetime.fromisoformat(each["at"])),
            "Kind": each["kind"],
            "State": str(State.FAILED),
            "Code": "PoisonedMessage",
            "LastMessage": explain("PoisonedMessage", f"message {each['id']}"),
        }
        for each in kept
    ]


def summary_rows(counts: Mapping[State, int]) -> list[dict[str, Any]]:
    """Return the rows of ``-SummaryOnly``: the cmdlet's four states always, ours where they occur."""
    four = (State.PENDING, State.IN_PROGRESS, State.FAILED, State.SUCCEEDED)
    return [
        {"State": str(state), "UserCount": counts.get(state, 0)}
        for state in State
        if state in four or counts.get(state, 0)
    ]


def code_rows(failures: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return users whose newest run has failed, the most frequent cause first."""
    ordered = sorted(failures.items(), key=lambda each: (-each[1], each[0]))
    return [
        {"Code": code or None, "UserCount": count, "LastMessage": explain(code) if code in CATALOGUE else ""}
        for code, count in ordered
    ]


def day_rows(runs: Mapping[tuple[date, State], int]) -> list[dict[str, Any]]:
    """Return runs by the day (UTC) they were made and their state, oldest first."""
    states = list(State)
    ordered = sorted(runs.items(), key=lambda each: (each[0][0], states.index(each[0][1])))
    return [{"Date": day.isoformat(), "State": str(state), "RunCount": count} for (day, state), count in ordered]


def duration_rows(took: Mapping[tuple[date, int], int]) -> list[dict[str, Any]]:
    """Return migrations that succeeded by the day (UTC) they were asked for and the minutes to their end."""
    return [
        {"Date": day.isoformat(), "Minutes": minutes, "RunCount": count}
        for (day, minutes), count in sorted(took.items())
    ]


def _coordinates(value: Coordinates | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "kind": value.kind,
        "joinUrl": value.join_url,
        "conferenceId": value.conference_id,
        "numbers": list(value.numbers),
    }


def meeting_row(entry: LedgerEntry) -> dict[str, Any]:
    """Return one row of ``GET migrations/{userId}/meetings``."""
    # To the outside a restored meeting is one that is not migrated, by an administrator's order.
    is_restored = entry.verdict is Verdict.RESTORED
    return {
        "eventId": entry.event_id,
        "iCalUId": entry.ical_uid,
        "subject": entry.subject,
        "start": instant(entry.start_at),
        "verdict": str(Verdict.SKIPPED if is_restored else entry.verdict),
        "rule": entry.rule,
        "code": "Restored" if is_restored else entry.code,
        "message": entry.detail,
        "before": _coordinates(entry.before),
        "after": _coordinates(entry.after),
        "requestId": entry.request_id,
        "attempts": entry.attempts,
        "correlationId": entry.run_id,
        "modified": instant(entry.updated_at),
        "durationMs": entry.duration_ms,
        "updates": entry.mails,
        "people": entry.people,
        "notKept": list(entry.not_kept),
        "damage": damage_rows(entry.damage),
        "difference": _difference(entry.difference),
    }


def damage_rows(damage: Sequence[Damaged]) -> list[dict[str, Any]]:
    """Return what an earlier migration left in an invitation."""
    return [
        {
            "code": each.code,
            "cause": CATALOGUE[each.code].cause,
            "remedy": CATALOGUE[each.code].remedy,
            "detail": each.detail,
            "isCertain": each.is_certain,
            "isRepaired": each.is_repaired,
        }
        for each in damage
    ]


def _difference(value: Difference | None) -> dict[str, Any] | None:
    if value is None:
        return None
    places = value.locations_now is not None
    return {
        "body": value.body,
        "isCut": value.is_cut,
        "inBlock": value.in_block,
        "locations": {"before": value.locations_before, "now": value.locations_now} if places else None,
        "properties": [{"name": each.name, "before": each.before, "now": each.now} for each in value.properties],
    }


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = "; ".join(str(each) for each in value)
    # A cell that begins like a formula would be run by a spreadsheet (OWASP, CSV injection).
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def as_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return rows as RFC 4180 CSV with a heading."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()
