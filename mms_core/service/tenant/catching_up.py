"""Between two reconciliations: what the directory's delta query tells, at the cost of one request if that is nothing.

The query is a hint. Graph's documentation does not say whether it tracks licences, it may repeat itself, and it knows
nothing of Teams. So it is trusted to name users who are worth a look, and never to say that nothing has happened: that
is what the reconciliation is for, which reads everything, on its own schedule and whenever the query's thread is lost.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import NotFound, PermanentError
from mms_core.service.jobs import SWEEP, Done, each, start_anew
from mms_core.service.journal import Origin
from mms_core.telemetry import log

if TYPE_CHECKING:
    from mms_core.service.parts import Parts
    from mms_core.service.tenant.changes import Changes

CATCH_UP: Final = "catchUp"
KEPT: Final = ("deltaLink", "users")
"""Where the link to the next round is kept, with the instant of the first one of its thread."""
_ENOUGH: Final = timedelta(hours=1)
"""A thread that is lost again so soon asks for no further reconciliation: Graph forgets them as fast as we take them
up, and the one on its schedule finds everything."""
_ORIGIN: Final = Origin(actor="delta", proof="comparison")


class CatchUp:
    """Handler of the job."""

    def __init__(self, parts: Parts, changes: Changes) -> None:
        self._parts = parts
        self._changes = changes

    async def page(self, run: str, arguments: dict[str, Any], cursor: dict[str, Any] | None) -> Done:
        """See :class:`~mms_core.service.jobs.Handler`."""
        del run, arguments
        stored = await self._parts.documents.get(*KEPT)
        kept = stored.value if stored else None
        link = cursor["link"] if cursor else kept["link"] if kept else None
        if link is None:
            return await self._begin(kept)
        try:
            told = await self._parts.graph().directory.changed(link)
        except (NotFound, PermanentError) as exc:
            log("delta_lost", code=exc.code, level=logging.WARNING)
            return await self._begin(kept)
        found = await each(told.users, lambda user: self._changes.of_hint(user, origin=_ORIGIN))
        found += await each(told.gone, lambda user: self._changes.of_user(user, origin=_ORIGIN))
        if told.delta_link and kept:
            # After the users have been looked at: a crash in between names them again.
            await self._parts.documents.put(*KEPT, {**kept, "link": told.delta_link})
        following = {"link": told.next_link} if told.next_link else None
        return Done(cursor=following, counts={"users": len(told.users), "changes": found})

    async def _begin(self, kept: dict[str, Any] | None) -> Done:
        """Take up a new thread from now on; what was before it, the reconciliation finds, at once."""
        told, now = await self._parts.graph().directory.changed(), self._parts.clock.now()
        if kept is None or now - datetime.fromisoformat(kept["since"]) > _ENOUGH:
            await start_anew(self._parts, SWEEP)
        await self._parts.documents.put(*KEPT, {"link": told.delta_link or told.next_link, "since": now.isoformat()})
        return Done(cursor=None, counts={})
