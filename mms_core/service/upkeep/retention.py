"""What is done once a night: old runs are exported and purged, and the counters are counted again."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core import jsontext
from mms_core.errors import PreconditionLost, RecordUnreadable
from mms_core.model import UserKey
from mms_core.service.admin.repeats import KIND, LIFE, PARTS
from mms_core.service.batches import Batches
from mms_core.service.remembered import UNREADABLE, note_unreadable
from mms_core.service.running.sending import DAY, MAILBOX_KIND
from mms_core.service.upkeep.recovery import POISONED_TEXT
from mms_core.service.visits import VISIT
from mms_core.status import meeting_row, run_row
from mms_core.telemetry import log

if TYPE_CHECKING:
    from mms_core.meetings import LedgerEntry
    from mms_core.model import Run, UserRecord
    from mms_core.ports import Archive, Stored
    from mms_core.service.parts import Parts

_FAR: Final = 10**16
_PAGE: Final = 500
_DAY: Final = timedelta(days=1)
PREVIEWS_KEPT: Final = timedelta(days=30)
"""A preview can be applied for a week, and be looked at for some time after; it holds addresses and invitations."""


def _line(kind: str, key: UserKey, row: dict[str, Any]) -> str:
    return jsontext.dumps({"kind": kind, "user": key, **row}).decode()


class Retention:
    """Purges and recounts. Safe to repeat, and to be broken off anywhere: what is left is done the next time."""

    def __init__(self, parts: Parts, archive: Archive) -> None:
        self._parts = parts
        self._archive = archive

    async def night(self) -> None:
        """Do all of it."""
        await self.purge()
        await self._expire()
        await self.recount()

    async def purge(self) -> int:
        """Export and remove the runs that ended before the retention time; returns how many.

        The export is written first: the runs' rows and the meetings' rows, without the original invitations, whose
        bodies are nobody's business after that time. A run that was started afresh since is kept. A meeting's rows
        leave with their user, or by their own age where the user stays: whatever is so old was written by a run that
        is met here, or was when it left.
        """
        now = self._parts.clock.now()
        cutoff = now - timedelta(days=(await self._parts.settings()).RetentionDays)
        purged = 0
        async for key, run in self._parts.users.ended_before(cutoff):
            try:
                purged += await self._purge(key, run, cutoff, day=now.strftime("%Y%m%d"))
            except RecordUnreadable as exc:  # it stays, and is said, until somebody has looked at it
                await note_unreadable(self._parts, key, exc)
        removed = await self._purge_documents(cutoff) + await self._purge_previews(max(cutoff, now - PREVIEWS_KEPT))
        log("runs_purged", count=purged, total=removed)
        return purged

    async def _purge(self, key: UserKey, run: Run, cutoff: datetime, *, day: str) -> int:
        stored = await self._parts.users.read(key)
        record, is_over = stored.value if stored else None, run.modified_at < cutoff
        is_last = (
            record is not None
            and all(each.state.is_final and each.modified_at < cutoff for each in record.runs)
            and (record.newest.run_id, record.newest.modified_at) == (run.run_id, run.modified_at)
        )
        if stored is not None and is_last:
            return await self._purge_user(stored, run, day=day)
        runs = {run.run_id for run in record.runs} if record else set()
        entries = await self._parts.ledger.entries(key)
        await self._export(key, run, [each for each in entries if each.is_forgotten(cutoff, runs)], day=day)
        await self._parts.ledger.expire(key, before=cutoff, runs=runs)
        if not is_over or run.run_id in runs:
            return 0  # the user is in use
        await self._archive.append(day, f"{key}-{run.run_id}", [_line("run", key, run_row(run))])
        await self._parts.users.forget(key, run)
        return 1

    async def _purge_user(self, stored: Stored[UserRecord], run: Run, *, day: str) -> int:
        key, runs = stored.value.key, stored.value.runs
        await self._archive.append(day, f"{key}-{run.run_id}", [_line("run", key, run_row(each)) for each in runs])
        await self._export(key, run, await self._parts.ledger.entries(key), day=day)
        # The record goes last: as long as it is there, the next night finds what this one left.
        await self._parts.ledger.forget(key)
        try:
            await self._parts.users.delete(stored)
        except PreconditionLost:
            return 0
        return len(runs)

    async def _export(self, key: UserKey, run: Run, entries: list[LedgerEntry], *, day: str) -> None:
        """Export meetings' rows, under a name of their own: a purge that was broken off must not overwrite them."""
        bare = [replace(entry, difference=None) for entry in entries]  # it quotes the invitation
        if bare:
            meetings = [_line("meeting", key, meeting_row(entry)) for entry in bare]
            await self._archive.append(day, f"{key}-{run.run_id}-meetings", meetings)

    async def _purge_previews(self, before: datetime) -> int:
        """Remove the previews made before then, but not one that a run is still carrying out."""
        removed, after = 0, ""
        while page := await self._parts.documents.list("preview", top=_PAGE, after=after):
            for preview in page:
                after = preview["id"]
                if datetime.fromisoformat(preview["createdAt"]) >= before or await self._is_carried_out(preview):
                    continue
                # The meetings first: what is broken off here is found again the next night.
                removed += await self._parts.documents.purge(f"preview-{after}", low="", high="~")
                removed += await self._parts.documents.purge("preview", low=after, high=after + "~")
        return removed

    async def _is_carried_out(self, preview: dict[str, Any]) -> bool:
        try:
            stored = await self._parts.users.read(UserKey(preview["user"]))
        except RecordUnreadable:
            return True  # as far as anybody can tell
        return (
            stored is not None
            and stored.value.current.preview_id == preview["id"]
            and not stored.value.current.state.is_final
        )

    async def _purge_documents(self, cutoff: datetime) -> int:
        """Remove what was decided, poisoned or changed before then."""
        stamp = cutoff.strftime("%Y%m%dT%H%M%S%f")
        yesterday = (self._parts.clock.now() - LIFE).strftime("%Y%m%d")
        order = f"{_FAR - int(cutoff.timestamp() * 1_000_000):016d}"
        removed = await Batches(self._parts).forget_unanswered()
        for kind, low, high in (
            ("decision", order, "~"),
            ("poison", "", stamp),
            ("configChange", "", stamp),
            ("repair", "", stamp),
            (KIND, "", yesterday),
            (PARTS, "", yesterday),
        ):
            removed += await self._parts.documents.purge(kind, low=low, high=high)
        return removed

    async def _expire(self) -> int:
        """Forget what was remembered so that nothing counts twice, once nobody can repeat it any more."""
        settings, now = await self._parts.settings(), self._parts.clock.now()
        claims = now - timedelta(days=settings.ClaimRetentionDays)
        runs = now - timedelta(days=max(settings.RetentionDays, settings.ClaimRetentionDays))
        removed = 0
        for kind, field, before in (
            ("event", "at", claims),
            ("handled", "at", claims),
            (VISIT, "until", now - _DAY),
            ("content", "at", claims),
            ("job", "doneAt", claims),  # of a search for a number: its event may be repeated as long
            ("unknownSubscription", "at", claims),
            (POISONED_TEXT, "at", runs),
            ("notice", "at", runs),  # a run may be told about as long as it is kept
            (MAILBOX_KIND, "at", now - 2 * DAY),
            (UNREADABLE, "at", now - 2 * DAY),  # each sweep meets it again while it is so
        ):
            removed += await self._parts.documents.expire(kind, field=field, before=before)
        log("claims_expired", count=removed)
        return removed

    async def recount(self) -> int:
        """Count users by state again; repairs are logged and kept. Returns how many shards were wrong."""
        now = self._parts.clock.now()
        wrong = await self._parts.users.recount()
        for each in wrong:
            log("counters_repaired", level=logging.ERROR, code=each.shard)
            said, found = ({str(state): count for state, count in counts.items()} for counts in (each.said, each.found))
            await self._parts.documents.put(
                "repair",
                f"{now.strftime('%Y%m%dT%H%M%S%f')}-{each.shard}",
                {"at": now.isoformat(), "shard": each.shard, "said": said, "found": found},
            )
        return len(wrong)
