"""Compares users with what we knew of them, and lets the rules decide about what has really changed."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import PermanentError, PreconditionLost, RecordUnreadable
from mms_core.service.deciding import short
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.remembered import note_unreadable, snapshot_of
from mms_core.service.tenant.finds import strike
from mms_core.snapshots import observe
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mms_core.model import TeamsFacts, UserFacts
    from mms_core.notifications import AnyData
    from mms_core.ports import Stored
    from mms_core.service.deciding import Deciding
    from mms_core.service.journal import Origin
    from mms_core.service.parts import Parts
    from mms_core.snapshots import Snapshot

AT_ONCE: Final = 3
"""Users whom one machine looks at side by side, over all messages: a burst of notifications must not keep the next
one waiting for its answer, nor Graph for a breath."""
WHAT: Final = {
    "LicenseChanged": "mms.license.changed",
    "UserMoved": "mms.user.moved",
    "PolicyGranted": "mms.policy.granted",
    "VideoInteropChanged": "videoInteropChanged",
}
"""Types under which derived events are recorded: those of the events that would have told the same."""


async def _unless_unreadable(parts: Parts, user_id: str, look: Awaitable[int]) -> int:
    """Look at a user; one whose snapshot cannot be read costs nobody else anything, and is left as it is."""
    try:
        return await look
    except RecordUnreadable as exc:
        await note_unreadable(parts, user_id, exc)
        return 0


class Changes:
    """Finds out what happened to users."""

    def __init__(self, parts: Parts, deciding: Deciding) -> None:
        self._parts = parts
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._deciding = deciding

    async def of_user(self, user: str, *, origin: Origin) -> int:
        """Look at one user of whom we heard that something changed; returns how many changes there were.

        A profile edit costs one read and causes nothing: Teams is asked only if plans have changed, too, or if we
        see the user for the first time.
        """
        async with self._gate:
            return await self._of_user(user, origin=origin)

    async def of_hint(self, user: UserFacts, *, origin: Origin) -> int:
        """Look at one user of whom a source tells that may be behind the times; returns how many changes there were.

        What it shows is asked about only if it is not what we know, and what is true now counts.
        """
        return await _unless_unreadable(self._parts, user.user_id, self._of_hint(user, origin=origin))

    async def _of_hint(self, user: UserFacts, *, origin: Origin) -> int:
        _, before = await snapshot_of(self._parts, user.user_id)
        _, after = observe(before, user=user, now=self._parts.clock.now())
        return 0 if after == before else await self.of_user(user.user_id, origin=origin)

    async def _of_user(self, user: str, *, origin: Origin) -> int:
        try:
            facts = await self._deciding.facts(user)
        except PermanentError as exc:
            log("changed_user_is_gone", code=exc.code)
            if exc.code == "UserNotFound":
                await strike(self._parts, user.lower())
            return 0
        return await _unless_unreadable(self._parts, facts.user_id, self._of_facts(facts, origin=origin))

    async def _of_facts(self, facts: UserFacts, *, origin: Origin) -> int:
        stored, before = await snapshot_of(self._parts, facts.user_id)
        subscribed_at = await self.subscribed_at()
        now = self._parts.clock.now()
        events, after = observe(before, user=facts, subscribed_at=subscribed_at, now=now)
        teams = None
        if events or "accountType" not in before.seen:
            teams = await self._parts.graph().directory.configuration(facts.user_id)
            more, after = observe(after, teams=teams, now=now)
            events = [*more, *events]
        await self._act(events, facts.user_id, stored, before, after, origin=origin, user=facts, teams=teams)
        return len(events)

    async def compare(
        self,
        *,
        user: UserFacts | None = None,
        teams: TeamsFacts | None = None,
        subscribed_at: datetime | None,
        origin: Origin,
    ) -> int:
        """Compare what a list says about one user; returns how many changes it showed."""
        user_id = user.user_id if user else teams.user_id if teams else ""
        comparing = self._compare(user_id, user=user, teams=teams, subscribed_at=subscribed_at, origin=origin)
        return await _unless_unreadable(self._parts, user_id, comparing)

    async def _compare(
        self,
        user_id: str,
        *,
        user: UserFacts | None,
        teams: TeamsFacts | None,
        subscribed_at: datetime | None,
        origin: Origin,
    ) -> int:
        stored, before = await snapshot_of(self._parts, user_id)
        events, after = observe(
            before, user=user, teams=teams, subscribed_at=subscribed_at, now=self._parts.clock.now()
        )
        await self._act(events, user_id, stored, before, after, origin=origin, user=user, teams=teams)
        return len(events)

    async def _act(
        self,
        events: list[AnyData],
        user_id: str,
        stored: Stored[dict[str, Any]] | None,
        before: Snapshot,
        after: Snapshot,
        *,
        origin: Origin,
        user: UserFacts | None,
        teams: TeamsFacts | None,
    ) -> None:
        for happened in events:
            # The same for everybody who compares the same two states, so that they file one request.
            request_id = f"l-{short(f'{user_id}|{happened}|{stored and stored.etag}')}"
            await self._deciding.happened(
                happened,
                what=WHAT[type(happened).__name__],
                request_id=request_id,
                origin=origin,
                user=user,
                is_compared=True,
            )
        # After the requests are filed: a crash in between repeats them, and their ids are remembered.
        for _ in range(CONFLICT_ATTEMPTS):
            if after == before and stored is not None:
                return
            try:
                await self._parts.documents.put(
                    "snapshot", user_id, after.document(), etag=stored.etag if stored else ""
                )
            except PreconditionLost:
                # Whoever wrote meanwhile has told or seen something: what we saw is put on top, and not acted on again.
                stored, before = await snapshot_of(self._parts, user_id)
                _, after = observe(before, user=user, teams=teams, now=self._parts.clock.now())
            else:
                return

    async def subscribed_at(self) -> datetime | None:
        """Return since when the tenant tells us about users."""
        stored = await self._parts.documents.get("subscription", "users")
        return datetime.fromisoformat(stored.value["since"]) if stored else None
