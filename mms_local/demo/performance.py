"""The acts of the demo, one method each: seed, fire, watch, report, judge."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from time import monotonic
from typing import Any

from mms_local.demo import report
from mms_local.demo.console import Output
from mms_local.demo.plan import plan_tenant
from mms_local.demo.seeding import Photograph, Seeded, photograph, seed, watch
from mms_local.demo.tenant import Client
from mms_local.demo.triggers import fire
from mms_local.demo.verdict import Check, Finding, Verdict, Watched, judge
from mms_local.demo.watching import Outcome, watch_runs

Runs = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Stopwatch:
    """Where the time went."""

    began: float = field(default_factory=monotonic)
    laps: list[tuple[str, float]] = field(default_factory=list)
    _last: float = field(default_factory=monotonic)

    def lap(self, name: str) -> float:
        """End a part; gives its seconds."""
        now = monotonic()
        seconds, self._last = now - self._last, now
        self.laps.append((name, seconds))
        return seconds

    def __str__(self) -> str:
        whole = monotonic() - self.began
        return f"{whole:.0f} s: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.laps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One showing of the demo on a stack that is empty and answers."""

    client: Client
    output: Output
    stopwatch: Stopwatch
    settle_seconds: float
    patience_seconds: float

    async def play(self, today: date) -> Verdict:
        """Do everything; gives the verdict, which is printed already."""
        seeded, before = await self._seed(today)
        watched = watch(seeded, before)
        await self._fire(seeded)
        outcome = await self._watch(seeded, expected=judge(watched, before.items, ()).expected_updates)
        await self._report(outcome.runs)
        return await self._judge(seeded, watched, before, outcome)

    async def _seed(self, today: date) -> tuple[Seeded, Photograph]:
        self.output.section("Seeding Contoso")
        people, meetings = plan_tenant(today)
        seeded = Seeded(people, meetings)
        with self.output.bars() as bars:
            await seed(self.client, seeded, advance=bars.counter("meetings created", len(meetings)))
        before = await photograph(self.client, seeded)
        languages = len({person.language.locale for person in people})
        series = sum(meeting.weekly is not None for meeting in meetings)
        self.output.line(
            f"{len(people)} users, {len(meetings)} meetings ({series} of them series) in {languages} languages, "
            f"{self.stopwatch.lap('seeding'):.1f} s"
        )
        return seeded, before

    async def _fire(self, seeded: Seeded) -> None:
        self.output.section("What happens at Contoso")
        report.print_fired(self.output, await fire(self.client, seeded.people))
        self.stopwatch.lap("webhooks")

    async def _watch(self, seeded: Seeded, *, expected: int) -> Outcome:
        self.output.section(f"Requests settle for {self.settle_seconds:g} s (90 minutes in real life), then runs go")
        users = sum(person.story.leads_to_a_run for person in seeded.people)
        with self.output.bars() as bars:
            outcome = await watch_runs(
                self.client,
                bars,
                users=users,
                updates=expected,
                settle_seconds=self.settle_seconds,
                patience_seconds=self.patience_seconds,
            )
        self.stopwatch.lap("settling and migrating")
        if not outcome.is_over:
            self.output.line("not every run that must come has come and ended", style="red")
        return outcome

    async def _report(self, runs: Runs) -> None:
        self.output.section("Get-CsMeetingMigrationStatus -SummaryOnly")
        report.print_summary(self.output, await self.client.summary())
        meetings = {run["UserPrincipalName"]: await self.client.meetings(run["UserId"]) for run in runs}
        self.output.section("Skipped and failed, as the service lists it")
        report.print_reasons(self.output, report.reasons_of(runs, meetings))

    async def _judge(self, seeded: Seeded, watched: list[Watched], before: Photograph, outcome: Outcome) -> Verdict:
        after = await photograph(self.client, seeded)
        verdict = judge(watched, after.items, await self.client.outbox(), copies=(before.copies, after.copies))
        verdict.findings += _wrong_runs(seeded, outcome.runs)
        example = report.choose_example(seeded.meetings)
        event_id = seeded.event_ids[example.key]
        self.output.section("One invitation, before and after")
        report.print_invitation(
            self.output,
            f"{example.subject} ({example.organizer.name}, {len(example.attendees)} attendees)",
            before.items[event_id].body,
            after.items[event_id].body,
        )
        self.output.section("Verdict, from the tenant's calendars and outbox")
        report.print_verdict(self.output, verdict)
        self.stopwatch.lap("checking")
        self.output.line()
        message = "Clean." if verdict.is_clean else f"Not clean: {len(verdict.findings)} findings."
        self.output.verdict(f"{message} {self.stopwatch}", is_good=verdict.is_clean)
        return verdict


def _wrong_runs(seeded: Seeded, runs: Runs) -> list[Finding]:
    """Several triggers make one run, and what is to be ignored makes none; the tenant alone cannot tell that."""
    by_user = defaultdict(list)
    for run in runs:
        by_user[str(run["UserPrincipalName"]).lower()].append(", ".join(run.get("Reasons") or ()) or "no reason given")
    findings = []
    for person in seeded.people:
        expected, found = int(person.story.leads_to_a_run), by_user[person.address]
        if len(found) != expected:
            what = f"{len(found)} runs instead of {expected}: {person.story.value}"
            because = f" (heard of as: {'; '.join(found)})" if found else ""
            findings.append(Finding(Check.RUNS, person.name, what + because))
    return findings
