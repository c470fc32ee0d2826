"""One pass of a worker over a user's meetings: find, plan, apply, and say how it ended."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mms_core.errors import OutcomeUnknown, PermanentError, TemporaryError, explain
from mms_core.meetings import LedgerEntry, meeting_key
from mms_core.metrics import MEETINGS_ENDED, measure
from mms_core.model import Verdict
from mms_core.planning import Planned, Step, reported
from mms_core.retrying import is_mailbox_awaited, next_attempt_at
from mms_core.rewriting import Route
from mms_core.service.deciding import is_report_only, membership_of
from mms_core.service.running.applying import Applier
from mms_core.service.running.finding import found
from mms_core.service.running.lease import Lease, LeaseLost, Stopped
from mms_core.service.running.previews import Previews, fingerprint
from mms_core.service.running.restoring import Restorer
from mms_core.service.running.wishes import wish_of
from mms_core.states import Happening
from mms_core.telemetry import log

if TYPE_CHECKING:
    from mms_core.model import Run, UserFacts
    from mms_core.service.parts import Parts

IN_HAND: Final = 8
"""Meetings worked on at once: twice as many as Exchange takes requests for a mailbox, so that the time for storage and
for computing between two requests of one meeting is the time in which another one's is under way."""
_SUCCESSES: Final = (Verdict.MIGRATED, Verdict.REFRESHED, Verdict.CURRENT, Verdict.RESTORED)


class OutOfTime(Exception):
    """The function's time is nearly up: checkpoint and go on in a new message."""


class _Tally:
    """Counts what a run has done, over all its passes."""

    def __init__(self, entries: list[LedgerEntry], run: Run) -> None:
        own = [entry for entry in entries if entry.run_id == run.run_id]
        self.entries = {entry.key: entry for entry in own if entry.updated_at >= run.fresh_at}
        self._stale = {entry.key: entry for entry in own if entry.updated_at < run.fresh_at}
        self.temporary: list[TemporaryError] = []

    def earlier(self, key: str) -> LedgerEntry | None:
        """Return what the run has noted about a meeting.

        Of a note from before the last trigger only its mails, and a write of which nobody knows what became.
        """
        stale = self._stale.get(key)
        if key in self.entries or stale is None:
            return self.entries.get(key)
        return replace(stale, is_final=False, step="" if stale.is_final else stale.step, before=None, attempts=0)

    def left_open(self, found: set[str]) -> list[LedgerEntry]:
        """Return the meetings that are not settled, and not among those that were found now."""
        stale = [each for key, each in self._stale.items() if key not in self.entries and each.step]
        return [each for each in (*self.entries.values(), *stale) if not each.is_final and each.key not in found]

    @property
    def done(self) -> int:
        """Meetings that are as they should be."""
        return sum(entry.verdict in _SUCCESSES for entry in self.entries.values())

    @property
    def invites(self) -> int:
        """Updates sent; the ledger knows, so no crash loses one."""
        stale = sum(entry.mails for key, entry in self._stale.items() if key not in self.entries)
        return stale + sum(entry.mails for entry in self.entries.values())

    def counts(self, total: int) -> dict[str, int]:
        """Return the run's numbers; *total* meetings are known to be in question."""
        verdicts = Counter(entry.verdict for entry in self.entries.values())
        succeeded = sum(verdicts[each] for each in _SUCCESSES)
        return {
            "total": total - verdicts[Verdict.SKIPPED],
            "succeeded": succeeded,
            "failed": verdicts[Verdict.FAILED],
            "skipped": verdicts[Verdict.SKIPPED],
            "invites": self.invites,
        }

    def summary(self) -> str:
        """Say in one line what happened."""
        entries = self.entries.values()
        verdicts = Counter(entry.verdict for entry in entries)
        by_flags = sum(entry.route == Route.FLAGS for entry in entries)
        parts = [f"{verdicts[verdict]} {verdict}" for verdict in _SUCCESSES if verdicts[verdict]]
        # A failure by its code, under which its remedy is found; what was skipped by the rule that says so.
        parts += _by_cause(Verdict.FAILED, [each.code or "" for each in entries if each.verdict is Verdict.FAILED])
        skipped = [each.rule or each.code or "" for each in entries if each.verdict is Verdict.SKIPPED]
        parts += _by_cause(Verdict.SKIPPED, skipped)
        if by_flags:
            parts.append(f"{by_flags} of them by flags, for want of an application access policy")
        return ", ".join(parts) + "." if parts else "No meetings to migrate."


def _by_cause(verdict: Verdict, causes: list[str]) -> list[str]:
    """Say how many meetings have a verdict, and why; nothing if none has."""
    named = ", ".join(f"{cause} {count}" for cause, count in sorted(Counter(causes).items()))
    return [f"{len(causes)} {verdict} ({named})"] if causes else []


class Pass:
    """One pass of a worker over a user's meetings."""

    def __init__(self, parts: Parts, lease: Lease, *, began_at: datetime) -> None:
        self._parts = parts
        self._lease = lease
        self._began_at = began_at
        self._total = 0
        self._facts: UserFacts | None = None
        self._remark = ""
        """What the result does not tell of, in words."""
        self._reasons: list[Exception] = []
        """Why no further meeting is begun, and no further write of those in hand is sent."""
        self._tally = _Tally([], lease.run)
        self._done_before = 0
        """Meetings that were as they should be when this pass began."""

    async def go(self) -> None:
        """Work, and write how it ended.

        Raises:
            LeaseLost: Somebody else has the user; nothing more was written.
        """
        try:
            self._tally = _Tally(await self._parts.ledger.entries(self._lease.key), self._lease.run)
            self._done_before = self._tally.done
            # Until this pass has looked for itself: what an earlier one found, or did not come to count.
            run = self._lease.run
            self._total = max(run.total + run.skipped, len(self._tally.entries))
            if self._lease.run.undo:
                await self._restore()
            else:
                await self._migrate()
        except Stopped as exc:
            await self._end(exc.happening, code=exc.code)
        except OutOfTime:
            now = self._parts.clock.now()
            await self._lease.end(Happening.CHECKPOINTED, due_at=now, **self._tally.counts(self._total))
        except PermanentError as exc:
            if exc.code == "MailboxMissing" and self._awaits_mailbox():
                await self._postpone(TemporaryError(exc.detail, code=exc.code))
            else:
                await self._end(Happening.FAILED, code=exc.code, detail=exc.detail)
        except TemporaryError as exc:
            await self._postpone(exc)
        else:
            await self._finish()

    def _awaits_mailbox(self) -> bool:
        facts, run = self._facts, self._lease.run
        if facts is None:
            return False
        return is_mailbox_awaited(
            made_at=[at for at in (facts.created_at, *facts.plan_assigned_at.values()) if at is not None],
            has_moved=any(reason.startswith(("T1 ", "T2 ")) for reason in run.reasons),
            started_at=run.started_at or self._parts.clock.now(),
        )

    async def _finish(self) -> None:
        if self._tally.temporary:
            longest = max(self._tally.temporary, key=lambda each: each.retry_after or timedelta(0))
            await self._postpone(longest)
        elif any(entry.verdict is Verdict.FAILED for entry in self._tally.entries.values()):
            await self._end(Happening.FAILED, code=self._commonest_cause())
        else:
            await self._end(Happening.SUCCEEDED)

    def _commonest_cause(self) -> str:
        codes = Counter(
            entry.code for entry in self._tally.entries.values() if entry.verdict is Verdict.FAILED and entry.code
        )
        return codes.most_common(1)[0][0] if len(codes) == 1 else "MeetingsFailed"

    async def _end(self, happening: Happening, *, code: str | None = None, detail: str = "") -> None:
        message = f"{self._tally.summary()} {self._remark}".rstrip()
        if code is not None:
            message = explain(code, detail) + (f" So far: {message}" if self._tally.entries else "")
        ended = await self._lease.end(happening, code=code, last_message=message, **self._tally.counts(self._total))
        await self._parts.announce(self._lease.key, ended, "after")
        for (verdict, cause), number in Counter(
            (entry.verdict, entry.code or "") for entry in self._tally.entries.values()
        ).items():
            measure(MEETINGS_ENDED, number, verdict=verdict, code=cause)
        log("run_ended", correlation_id=ended.run_id, user_id=self._lease.key, state=happening, code=code)

    async def _postpone(self, exc: TemporaryError) -> None:
        run, now = self._lease.run, self._parts.clock.now()
        # A tenant at its limits lets some through. Who got on has not failed: else a tenth of a large tenant would
        # wait for hours on end, though there is room for it.
        got_on = exc.code == "Throttled" and self._tally.done > self._done_before
        due = next_attempt_at(
            retries=0 if got_on else run.retries,
            started_at=run.started_at or now,
            now=now,
            jitter=self._parts.jitter(),
            retry_after=exc.retry_after,
            first_delay=self._parts.options.first_retry,
        )
        if due is None:
            await self._end(Happening.FAILED, code=exc.code, detail=f"given up after {run.retries} retries")
            return
        await self._lease.end(
            Happening.POSTPONED,
            due_at=due,
            retries=run.retries + (not got_on),
            code=exc.code,
            last_message=explain(exc.code, exc.detail),
            **self._tally.counts(self._total),
        )
        log("run_postponed", correlation_id=run.run_id, code=exc.code, attempt=run.retries + (not got_on))

    # -- undoing ----------------------------------------------------------------------------------------------------

    async def _restore(self) -> None:
        restorer = Restorer(self._parts, self._lease, confirm=self._confirm)
        originals = await restorer.wanted()
        known = {entry.key: entry for entry in await self._parts.ledger.entries(self._lease.key)}
        self._total = len({each.key for each in originals} | set(self._tally.entries))
        await self._lease.note(**self._tally.counts(self._total))
        for original in originals:
            earlier = self._tally.earlier(original.key)
            if earlier is not None and earlier.is_final and earlier.verdict is not Verdict.RESTORED:
                continue  # what was restored is here again after a crash before its original was marked
            self._check_time()
            restored = await restorer.restore(original, known.get(original.key))
            await self._note(restored.entry, temporary=restored.temporary)

    # -- migrating --------------------------------------------------------------------------------------------------

    async def _migrate(self) -> None:
        graph, user = self._parts.graph(), self._lease.key
        self._facts = facts = await graph.directory.user(user)
        settings = await self._parts.settings()
        known = await membership_of(self._parts, settings, facts)
        if known.is_listed_out(settings):
            raise Stopped("UserExcluded")  # the lists hold for queued work, too
        self._lease.admit(known)
        await self._lease.note(
            user_id=facts.user_id, user_principal_name=facts.user_principal_name, **self._tally.counts(self._total)
        )
        run = self._lease.run
        wish = await wish_of(
            self._parts,
            facts,
            settings,
            source=run.source,
            target=run.target,
            selections=run.selections,
            reasons=run.reasons,
        )
        originals = functools.partial(self._parts.ledger.originals, self._lease.key)
        all_found = await found(graph.calendar, wish, now=self._parts.clock.now(), originals=originals)
        wish, groups, self._remark = all_found.wish, all_found.groups, all_found.remark
        if run.preview_id:
            groups = await self._as_previewed(groups, run.preview_id)
        if await is_report_only(self._parts, settings, facts.user_id):
            groups = [[reported(planned) for planned in group] for group in groups]
        keys = {meeting_key(planned.event.event_id) for group in groups for planned in group}
        self._total = len(keys | set(self._tally.entries))
        applier = Applier(self._parts, self._lease, wish, confirm=self._confirm)
        await self._work(groups, applier)
        # What an earlier pass left open and this one did not find any more: over, gone, or done after all.
        for entry in self._tally.left_open(keys):
            self._check_time()
            left = await applier.leave(entry)
            await self._note(left.entry, temporary=left.temporary)

    async def _as_previewed(self, groups: list[list[Planned]], preview_id: str) -> list[list[Planned]]:
        """Keep exactly the writes that the preview showed; what has changed since is refused, each by name."""
        shown = await Previews(self._parts).fingerprints(preview_id)

        def checked(planned: Planned) -> Planned:
            if shown[meeting_key(planned.event.event_id)] == fingerprint(planned.event):
                return planned
            return replace(planned, step=Step.SKIP, code="ChangedSincePreview", rule=None)

        # What this run has written already is not as it was shown, because of that.
        done = {key for key, entry in self._tally.entries.items() if entry.step}
        kept = [
            [
                planned if meeting_key(planned.event.event_id) in done else checked(planned)
                for planned in group
                if meeting_key(planned.event.event_id) in shown
            ]
            for group in groups
        ]
        return [group for group in kept if group]

    async def _work(self, groups: list[list[Planned]], applier: Applier) -> None:
        """Work on several meetings at once; never more requests than Exchange allows for a mailbox.

        When one finds that the run must stop, no further one is begun and nothing more is sent; what was sent is
        brought to its end, because a write that is broken off is a write whose outcome nobody knows.
        """
        left = iter(groups)
        reasons = self._reasons

        async def work() -> None:
            for group in left:
                for planned in group:
                    if reasons:
                        return
                    try:
                        await self._one(planned, applier)
                    except (Stopped, LeaseLost, TemporaryError, OutOfTime) as exc:
                        reasons.append(exc)

        outcomes = await asyncio.gather(*(work() for _ in range(IN_HAND)), return_exceptions=True)
        for crash in outcomes:
            if isinstance(crash, BaseException):
                raise crash
        # Whoever lost the lease must not write how the run ended, whatever else was found.
        for reason in sorted(reasons, key=lambda each: not isinstance(each, LeaseLost)):
            raise reason

    async def _one(self, planned: Planned, applier: Applier) -> None:
        earlier = self._tally.earlier(meeting_key(planned.event.event_id))
        if earlier is not None and earlier.is_final:
            return
        self._check_time()
        applied = await applier.apply(planned, earlier)
        await self._note(applied.entry, temporary=applied.temporary)
        if applied.stopped is not None:
            raise applied.stopped

    async def _confirm(self) -> None:
        """Look once more before a write is sent: it may have waited since it was announced.

        Raises:
            Exception: Why the pass ends; nothing was sent.
        """
        if self._reasons:
            raise self._reasons[0]
        self._check_time()
        await self._lease.check()

    def _check_time(self) -> None:
        if self._parts.clock.now() - self._began_at > self._parts.options.function_budget:
            raise OutOfTime

    async def _note(self, entry: LedgerEntry, *, temporary: TemporaryError | None = None) -> None:
        """Count one meeting. A wish to wait that is long ends the pass: the others would only hear the same."""
        self._tally.entries[entry.key] = entry
        await self._lease.note(**self._tally.counts(max(self._total, len(self._tally.entries))))
        if temporary is not None:
            self._tally.temporary.append(temporary)
            if temporary.code == "Throttled" and not isinstance(temporary, OutcomeUnknown):
                raise temporary
