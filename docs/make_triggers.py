"""Writes docs/triggers.md from the table in mms_core/triggers.py: ``python -m docs.make_triggers``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mms_core.errors import CATALOGUE
from mms_core.triggers import TABLE, TRIGGER_OF, Answer, Row, What

TARGET: Final = Path(__file__).with_name("triggers.md")

CONDITIONS: Final = {
    ("scope", "tenant"): "granted tenant-wide",
    ("mode", "other"): "another mode than TeamsOnly or SfBWithTeamsCollabAndMeetings",
    ("migrate", "no"): "`-MigrateMeetingsToTeams $false`",
    ("homed", "onPremises"): "the user is homed on-premises",
    ("licensed", "no"): "no Audio Conferencing licence",
    ("licensed", "unknown"): "licence not known",
    ("public_meetings", "no"): "not set up for public meetings",
    ("enabled", "no"): "`MeetingMigrationEnabled` is false",
    ("automatic", "no"): "`AutomaticallyMigrateUserMeetings` is false",
    ("replace_acp", "no"): "`AutomaticallyReplaceAcpProvider` is false",
    ("switched_on", "no"): "its switch `TriggerT…` is false",
    ("provider", "thirdParty"): "a third-party audio conferencing provider",
    ("audience", "excluded"): "left out by `AllowedUsers`, `AllowedGroups`, `DeniedUsers` or `DeniedGroups`",
    ("audience", "notInPilot"): "outside `PilotPercentage`",
    ("mailbox", "onPremises"): "the mailbox is on-premises",
}

INTRODUCTION: Final = """\
# What starts a migration, and what does not

This page is made from the table in `mms_core/triggers.py` by `python -m docs.make_triggers`; a test compares them.

The rows are tried from above; **the first whose events and conditions fit decides**. What is not known about a user
never stands in the way: the run finds out. Rules T, N and W are those of Microsoft's Meeting Migration Service; X are
ours. Every decision is recorded, the ignored ones too: `GET /api/decisions`. So is what an operator sends and nobody
can make sense of: one row a caller, route, code and minute, with its number of times, and nothing of what it said.

A request waits for `SettleMinutes`, or for the delay of its kind, `TriggerT…DelayMinutes`. T11 waits for the
policy cache of Teams, 6 hours, unless it has a delay of its own. The target of T2 is the setting
`MoveWithoutMoveToTeams`; that of T10 is what the request says.

## What is told

A call of Graph, a batch of CloudEvents and a call of the activity feed become one queue message each, and are answered
when that is durable. A thousand notifications, the most that Graph sends at once, fit into one message of 48 KiB. What
does not fit is written into rows of a table first, and the message points at them; should the message be lost, the
recovery sweep (`MMS_RECOVERY_SCHEDULE`) sends another after 15 minutes.

## What nobody told

**Reconciliation** (`MMS_SWEEP_SCHEDULE`, every hour) reads the activity feed's list of contents, then all users, then
all Teams configurations, in pages. It finds plans gained or lost, moves, grants and interop partners, and whatever the
feed tells besides. **Catching up** (`MMS_DELTA_SCHEDULE`, every 10 minutes) asks `users/delta` what has changed since
the last look, one request where nothing has. It finds new users, and plans gained or lost as far as the query tells.

Whether the delta query tracks licences is not documented, it may repeat itself, and it knows nothing of Teams. So it
is trusted to name users who are worth a look: a user whose plans differ from those we know is read, and what is true
then counts. It is never trusted to say that nothing has happened. That a change is found within one sweep is the
reconciliation's promise, in every position of the query. A lost or expired link (410) begins a new thread and has a
reconciliation started at once; one that is lost again within the hour waits for the one on its schedule.
Both keep their place between two pages, and both compare with the same snapshots as notifications do, so a change
counts once, whoever finds it first. A grant without its audit record counts when a second look still shows it.

Compared are the Audio Conferencing plans in force, the account type, the mode and the interop partner. Bridges, dial-in
numbers, conference IDs and providers of audio conferencing are in no answer of Graph: they are known from events and
audit records only. The telephone numbers that a Teams configuration has are a user's own, which no rule is about.

## What a search finds

A number that is gone (T8) and a tenant-wide grant (N3) start a search through the calendars of all users, for what a
run would find there: one listing a calendar, and one read a series, whose exceptions have bodies of their own.

**T8** asks the ledger first, and stops at the first invitation with a future that carries the number. At a mailbox
where a run is at work, or somebody who looks, it does not wait: it asks for a run there, too. That finds out; where
no invitation has changed, it writes nothing and nobody gets mail.

**Discovery** (`GET /api/discovery`) shows what the last search found about a user until the next one has looked, which
a question starts when the findings are older than `MMS_DISCOVERY_MAX_AGE_SECONDS` (an hour). A user disappears who has
a run, as soon as it waits; who is deleted, as soon as a notification, the delta query, a run or the next search says
so; and of whom the next search finds nothing. One question looks at a thousand findings at most: where they are of
users who have disappeared, its answer is short or empty, and its token leads on.

## The table

| | rule | what happened | and | then |
|---|---|---|---|---|
"""


def _events(row: Row) -> str:
    covered = set(row.whats)
    if covered == set(TRIGGER_OF):
        return "any trigger"
    if covered == set(TRIGGER_OF) - {What.MANUAL}:
        return "any trigger but T10"
    if len(covered) > 1:
        rules = [rule for what, rule in TRIGGER_OF.items() if what in covered]
        return f"{rules[0]} to {rules[-1]}"
    return str(row.whats[0])


def _conditions(row: Row) -> str:
    return " and ".join(" or ".join(CONDITIONS[name, each] for each in values) for name, values in row.given.items())


def _then(row: Row) -> str:
    if row.answer is Answer.REQUEST:
        target = row.target or ("as asked" if row.rule == "T10" else "as the setting says")
        return f"**request** {row.reason}, target {target}"
    if row.code is not None:
        return f"**refused** `{row.code}`: {CATALOGUE[row.code].remedy}"
    return f"ignored: {row.reason}"


def render() -> str:
    """Return the whole page."""
    rows = (
        f"| {number} | {row.rule} | {_events(row)} | {_conditions(row)} | {_then(row)} |\n"
        for number, row in enumerate(TABLE, 1)
    )
    return INTRODUCTION + "".join(rows)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
