"""A shard's counters: what a summary and a chart need to know of any number of users. Pure.

One row a shard, written in the transaction that changes what it counts: users by the state of their newest run, those
of them that failed by the code of the cause, and the runs of the last days by the day they were made: by their state,
and those that succeeded by how long they took.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from mms_core.adapters.tables.rows import COUNTERS, SCHEMA, runs_in
from mms_core.model import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mms_core.model import Run, UserRecord

DAYS: Final = 16
"""Days (UTC) that are kept: two weeks, the one that has begun, and one more for whoever lives west of Greenwich."""


def day_of(run: Run) -> str:
    """Return the day (UTC) on which a run was made."""
    return run.created_at.astimezone(UTC).date().isoformat()


def is_counted(day: str, newest: str) -> bool:
    """Say whether a day is among those that are kept where *newest* is the last."""
    return date.fromisoformat(day) > date.fromisoformat(newest) - timedelta(days=DAYS)


def rounded(span: timedelta) -> int:
    """Return a duration in minutes, rounded to 5 of them below three hours, to 15 below twelve, to 60 beyond."""
    minutes = span / timedelta(minutes=1)
    step = 5 if minutes < 180 else 15 if minutes < 720 else 60  # noqa: PLR2004 - as said above
    return round(minutes / step) * step


@dataclass(slots=True)
class Counters:
    """What is counted, of a shard or of all."""

    users: Counter[State] = field(default_factory=Counter)
    """Users by the state of their newest run."""
    failures: Counter[str] = field(default_factory=Counter)
    """Of those that failed, by code; empty where a run has none."""
    runs: Counter[tuple[str, State]] = field(default_factory=Counter)
    """Runs by the day (UTC, ISO 8601) on which they were made and their state now."""
    took: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Migrations that succeeded by the day on which they were made and the minutes from then to their end, rounded."""

    def count_user(self, state: State, code: str | None, sign: int = 1) -> None:
        """Count a user whose newest run is in a state, with the code of its failure."""
        self.users[state] += sign
        if state is State.FAILED:
            self.failures[code or ""] += sign

    def count_run(self, run: Run, sign: int = 1) -> None:
        """Count a run."""
        day = day_of(run)
        self.runs[day, run.state] += sign
        if run.state is State.SUCCEEDED and not run.undo:
            self.took[day, rounded(run.modified_at - run.created_at)] += sign

    @classmethod
    def read(cls, row: Mapping[str, Any] | None) -> Self:
        """Return what a row says; a missing row says nothing, and one of an earlier version nothing of days."""
        if row is None:
            return cls()
        days = msgspec.json.decode(row.get("Days", "{}"), type=dict[str, dict[State, int]])
        took = msgspec.json.decode(row.get("Took", "{}"), type=dict[str, dict[int, int]])
        return cls(
            Counter({state: int(row.get(str(state), 0)) for state in State}),
            Counter(msgspec.json.decode(row.get("Failures", "{}"), type=dict[str, int])),
            Counter({(day, state): count for day, states in days.items() for state, count in states.items()}),
            Counter({(day, minutes): count for day, spans in took.items() for minutes, count in spans.items()}),
        )

    def row(self, partition: str) -> dict[str, Any]:
        """Return the row that says this; days that nobody asks for any more are left out."""
        newest = max((day for day, _ in self.runs), default="")
        days: dict[str, dict[str, int]] = {}
        took: dict[str, dict[str, int]] = {}
        for cells, shown in ((self.runs, days), (self.took, took)):
            for (day, what), count in sorted(cells.items()):
                if count > 0 and is_counted(day, newest):
                    shown.setdefault(day, {})[str(what)] = count
        failures = {code: count for code, count in sorted(self.failures.items()) if count > 0}
        return {
            "PartitionKey": partition,
            "RowKey": COUNTERS,
            **{str(state): self.users[state] for state in State},
            "Failures": msgspec.json.encode(failures).decode(),
            "Days": msgspec.json.encode(days).decode(),
            "Took": msgspec.json.encode(took).decode(),
            "V": SCHEMA,
        }

    def add(self, other: Counters) -> None:
        """Add what another counts, which may be less than nothing."""
        for key, count in other.users.items():
            self.users[key] += count
        for code, count in other.failures.items():
            self.failures[code] += count
        for cell, count in other.runs.items():
            self.runs[cell] += count
        for span, count in other.took.items():
            self.took[span] += count

    def __bool__(self) -> bool:
        """Say whether anything is counted at all."""
        return any(any(each.values()) for each in (self.users, self.failures, self.runs, self.took))


def moved(before: UserRecord | None, after: UserRecord | None) -> Counters:
    """Return what the change of a record does to the counters.

    A run that has left the record stays in its user's history and is counted on; with a record that is removed its
    runs go as well.
    """
    old, new = runs_in(before), runs_in(after)
    change = Counters()
    for record, sign in ((before, -1), (after, 1)):
        if record is not None:
            change.count_user(record.newest.state, record.newest.code, sign)
    for run_id, run in old.items():
        if after is None or run_id in new:
            change.count_run(run, -1)
    for run in new.values():
        change.count_run(run)
    return change
