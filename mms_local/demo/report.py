"""What the demo says at the end: the service's own status, an invitation before and after, and the verdict."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mms_local.demo.bodies import Curiosity
from mms_local.demo.console import Output
from mms_local.demo.invitation import compare
from mms_local.demo.meetings import Fate, SeedMeeting
from mms_local.demo.triggers import Fired
from mms_local.demo.verdict import Check, Verdict

RULES = {
    "W2": "the mailbox is not in Exchange Online",
    "W3": "the user is on-premises",
    "W4": "third-party audio conferencing provider",
    "W5": "the block was pasted from another meeting",
    "W6": "more than 250 attendees",
    "W7": "ended before the run",
}
_EXAMPLES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that the service left alone or could not do, and why."""

    rule: str
    verdict: str
    what: str


def print_fired(output: Output, fired: Iterable[Fired]) -> None:
    """Say what was set off, and what of it must lead to nothing."""
    fired = list(fired)
    event, way = (max(len(text) for text in column) for column in zip(*((f.what, f.how) for f in fired), strict=True))
    headers = ("Users", "Event", "Heard by", "Rule")

    def rows(*, ignored: bool) -> list[tuple[str, ...]]:
        chosen = (f for f in fired if f.is_ignored is ignored)
        return [(f"{f.users:>5}", f.what.ljust(event), f.how.ljust(way), f.rule) for f in chosen]

    output.table(headers, rows(ignored=False))
    output.line()
    output.line("and, to be ignored:")
    output.table(headers, rows(ignored=True))


def print_summary(output: Output, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of ``Get-CsMeetingMigrationStatus -SummaryOnly`` as PowerShell lays it out."""
    width = max([len("State"), *(len(str(row["State"])) for row in rows)])
    count = max([len("UserCount"), *(len(str(row["UserCount"])) for row in rows)])
    output.line(f"{'State':<{width}} {'UserCount':>{count}}", style="bold green")
    output.line(f"{'-----':<{width}} {'---------':>{count}}", style="bold green")
    for row in rows:
        output.line(f"{row['State']!s:<{width}} {row['UserCount']!s:>{count}}")


def reasons_of(runs: Iterable[Mapping[str, Any]], meetings: Mapping[str, list[dict[str, Any]]]) -> list[Reason]:
    """Collect what was left alone or could not be done, from the rows of users and of their *meetings*."""
    reasons = []
    for run in runs:
        user = run["UserPrincipalName"]
        if run["State"] not in {"Succeeded", "Pending", "InProgress"}:
            reasons.append(
                Reason(run.get("Rule") or "", f"user {run['State'].lower()}", f"{user}: {run['LastMessage']}")
            )
        reasons += [
            Reason(row["rule"] or "", row["verdict"], f"{row['subject']} ({user})")
            for row in meetings[user]
            if row["verdict"] in {"skipped", "failed"}
        ]
    return reasons


def print_reasons(output: Output, reasons: Sequence[Reason]) -> None:
    """Group what was skipped or failed by rule, with an example each."""
    groups: defaultdict[tuple[str, str], list[Reason]] = defaultdict(list)
    for reason in reasons:
        groups[reason.verdict, reason.rule].append(reason)
    for (verdict, rule), members in sorted(groups.items()):
        output.line(f"{len(members):>4}  {verdict:<13}  {rule:<3}  {RULES.get(rule, '')}".rstrip())
        output.paragraph(f"such as {members[0].what}", indent=27, style="dim")


def print_invitation(output: Output, subject: str, before: str, after: str) -> None:
    """Show what an attendee read before, and reads now."""
    output.line(subject, style="bold")
    for mark, line in compare(before, after):
        output.changed(mark, line)


def choose_example(meetings: Sequence[SeedMeeting]) -> SeedMeeting:
    """The invitation to show: English, with dial-in now, something odd above the block and something written below."""
    migrated = [meeting for meeting in meetings if meeting.fate is Fate.MIGRATED and meeting.weekly is None]

    def merit(meeting: SeedMeeting) -> int:
        body = meeting.body
        return (
            4 * meeting.organizer.language.locale.startswith("en")
            + 4 * (Curiosity.EMOJI.value in body.above)
            + 2 * meeting.organizer.story.ends_with_audio_conferencing
            + 2 * (meeting.organizer.language.closing in body.below)
            + 2 * ("tel:" in body.block)
        )

    return max(migrated, key=merit)


def print_verdict(output: Output, verdict: Verdict) -> None:
    """Print every check with what came out, then what is wrong."""
    rows = {
        Check.MIGRATED: f"{verdict.migrated} of {verdict.to_migrate}",
        Check.REFRESHED: f"{verdict.refreshed} of {verdict.to_refresh}",
        Check.UPDATES: f"{verdict.updates} of {verdict.expected_updates}",
        Check.DUPLICATES: str(verdict.duplicates),
        Check.CHARACTERS: f"{verdict.characters_changed} of {verdict.characters:,}",
        Check.FACTS: _wrong(verdict, Check.FACTS) or f"{verdict.meetings} meetings as they were",
        Check.UNTOUCHED: f"{verdict.untouched} of {verdict.to_leave} untouched",
        Check.COPIES: _wrong(verdict, Check.COPIES) or f"{verdict.copies} as they were",
        Check.RUNS: _wrong(verdict, Check.RUNS) or "so says its own status",
    }
    for check, detail in rows.items():
        output.check(check.value, detail, is_good=not verdict.of(check))
    if verdict.series_updates:
        output.line()
        output.paragraph(
            f"{verdict.series_updates} of the updates belong to {verdict.changed_occurrences} changed occurrences of "
            "series: when the series changes Graph itself mails one for each, and replacing the old block in the "
            "occurrence's own text mails one more."
        )
    _print_findings(output, verdict)


def _print_findings(output: Output, verdict: Verdict) -> None:
    """One wrong user makes a dozen findings; a count and an example of each check say as much."""
    for check in Check:
        found = verdict.of(check)
        if found:
            output.line()
            more = f", {len(found)} in all" if len(found) > _EXAMPLES_SHOWN else ""
            output.line(f"{check.value}{more}:", style="red")
            for finding in found[:_EXAMPLES_SHOWN]:
                output.paragraph(f"{finding.meeting}: {finding.what}", indent=4, hanging=2, style="red")


def _wrong(verdict: Verdict, check: Check) -> str:
    wrong = {finding.meeting for finding in verdict.of(check)}
    return f"{len(wrong)} wrong" if wrong else ""
