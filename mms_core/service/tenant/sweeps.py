"""The reconciliation: what webhooks should have told, read from the feed's list, the directory and Teams.

One job in three stages. First the feed, because only it says who granted what and how; then all users' plans; then
all Teams configurations. What is found is what nobody has told, and it is found once: comparisons are with the same
snapshots that notifications keep.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import NotFound
from mms_core.notifications import PolicyGranted
from mms_core.service.jobs import Done, each, start_job
from mms_core.service.journal import Journal, Origin
from mms_core.service.tenant.tenantwide import DISCOVERY
from mms_core.triggers import TEAMS_MODES, decide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mms_core.model import TeamsFacts
    from mms_core.service.parts import Parts
    from mms_core.service.tenant.changes import Changes
    from mms_core.service.tenant.feed import Feed

CONTENT_TYPES: Final = ("Audit.General", "Audit.AzureActiveDirectory")
OVERLAP: Final = timedelta(hours=6)
"""Contents are listed hours late and out of order: each list begins so long before the newest one known."""
_DAY: Final = timedelta(hours=24)
KEPT: Final = timedelta(days=7)
_ORIGIN: Final = Origin(actor="sweep", proof="comparison")


class Sweep:
    """Handler of the job."""

    def __init__(self, parts: Parts, changes: Changes, feed: Feed) -> None:
        self._parts = parts
        self._changes = changes
        self._feed = feed

    async def page(self, run: str, arguments: dict[str, Any], cursor: dict[str, Any] | None) -> Done:
        """See :class:`~mms_core.service.jobs.Handler`."""
        del arguments
        at = cursor or {"stage": "feed", "type": 0}
        if at["stage"] == "feed":
            return await self._contents(at)
        if at["stage"] == "users":
            return await self._users(at)
        return await self._teams(at, run)

    # -- the feed -----------------------------------------------------------------------------------------------

    async def _contents(self, at: dict[str, Any]) -> Done:
        number = at["type"]
        if number == len(CONTENT_TYPES):
            return Done(cursor={"stage": "users"}, counts={})
        content_type, now = CONTENT_TYPES[number], self._parts.clock.now()
        following = {"stage": "feed", "type": number + 1}
        tenant = self._parts.graph().tenant
        mark = await self._parts.documents.get("feedMark", content_type)
        since = (
            datetime.fromisoformat(at["since"])
            if "since" in at
            else await self._since(mark.value if mark else None, now)
        )
        if since is None:
            return Done(cursor=following, counts={})  # not subscribed yet: there is nothing to have missed
        until = since + _DAY
        try:
            page = (
                await tenant.more_contents(at["link"])
                if at.get("link")
                else await tenant.contents(content_type, since=since, until=until)
            )
        except NotFound:
            return Done(cursor=following, counts={})
        found = 0
        for content in page.items:  # one after the other: grants of one user must keep their order
            found += await self._feed.read(content.uri, actor="sweep")
        newest = max((content.created_at for content in page.items), default=None)
        known = datetime.fromisoformat(mark.value["newest"]) if mark else None
        if newest is not None and (known is None or newest > known):
            await self._parts.documents.put("feedMark", content_type, {"newest": newest.isoformat()})
        if page.next_link:
            following = {**at, "since": since.isoformat(), "link": page.next_link}
        elif until < now:
            following = {"stage": "feed", "type": number, "since": until.isoformat()}
        return Done(cursor=following, counts={"contents": found})

    async def _since(self, mark: dict[str, Any] | None, now: datetime) -> datetime | None:
        subscription = await self._parts.documents.get("subscription", "activity")
        if subscription is None:
            return None
        # Contents are listed to the second.
        start = datetime.fromisoformat(subscription.value["since"]) - timedelta(seconds=1)
        if mark is not None:
            start = max(start, datetime.fromisoformat(mark["newest"]) - OVERLAP)
        return max(start, now - KEPT + timedelta(minutes=5))

    # -- users and Teams ------------------------------------------------------------------------------------------

    async def _users(self, at: dict[str, Any]) -> Done:
        page = await self._parts.graph().directory.users(at.get("link"))
        subscribed_at = await self._changes.subscribed_at()
        found = await each(
            page.items,
            lambda user: self._changes.compare(user=user, subscribed_at=subscribed_at, origin=_ORIGIN),
        )
        following = {"stage": "users", "link": page.next_link} if page.next_link else {"stage": "teams"}
        return Done(cursor=following, counts={"users": len(page.items), "changes": found})

    async def _teams(self, at: dict[str, Any], run: str) -> Done:
        page = await self._parts.graph().directory.configurations(at.get("link"))
        found = await each(
            page.items, lambda teams: self._changes.compare(teams=teams, subscribed_at=None, origin=_ORIGIN)
        )
        await self._tenant_mode(page.items, run)
        following = {"stage": "teams", "link": page.next_link} if page.next_link else None
        return Done(cursor=following, counts={"configurations": len(page.items), "changes": found})

    async def _tenant_mode(self, page: Iterable[TeamsFacts], run: str) -> None:
        """Notice a tenant-wide grant that no record told: nobody is migrated by it (N3), but some may need it."""
        modes = {(teams.inherited_mode or "").lower() for teams in page} & set(TEAMS_MODES)
        stored = await self._parts.documents.get("tenantModes", "all")
        if stored is None:
            await self._parts.documents.put("tenantModes", "all", {"modes": sorted(modes)})
            return
        new = modes - set(stored.value["modes"])
        if not new:
            return
        await self._parts.documents.put("tenantModes", "all", {"modes": sorted(modes | set(stored.value["modes"]))})
        settings = await self._parts.settings()
        for mode in sorted(new):
            data = PolicyGranted(tenant=True, policy="TeamsUpgradePolicy", mode=mode)
            await Journal(self._parts).note(
                decide(data, settings),
                what="mms.policy.granted",
                user=None,
                request_id=f"n3-{run}-{mode}",
                origin=_ORIGIN,
                outcome="ignore",
            )
        await start_job(self._parts, DISCOVERY)
