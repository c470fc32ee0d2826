"""Who is at a mailbox besides its run: Exchange takes four requests at once from an app, whatever its processes.

A run keeps four under way by itself. Whoever else looks into a mailbox (a plan, a notice, a search, a check, the end of
replaced meetings) holds a row about it meanwhile and leaves if a run is at work; a run that has taken its lease waits
until that row is given back. Both write first and look then, so that of two at least one sees the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.model import State, UserKey
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mms_core.service.parts import Parts

VISIT: Final = "visit"
"""Kind of the documents: one a mailbox that was ever visited, for a day."""
_LIFE: Final = timedelta(seconds=60)
"""A visitor that died is out of the way after so long; one that lives says so three times meanwhile."""
_LOOK: Final = timedelta(milliseconds=500)
PATIENCE: Final = timedelta(seconds=20)
"""So long whoever finds a mailbox in use waits, before it tries again later."""


class MailboxBusy(TemporaryError):
    """Others are at a mailbox; nothing was asked of it."""

    default_code = "MailboxBusy"


@contextlib.asynccontextmanager
async def visiting(parts: Parts, user_id: str, *, patience: timedelta | None = None) -> AsyncIterator[None]:
    """Have a user's mailbox to oneself while the body runs, outside of any run.

    Raises:
        MailboxBusy: A run is at work there, or somebody else, and has been for *patience* (:data:`PATIENCE` if that is
            not given).
    """
    visit = _Visit(parts, user_id)
    for _ in range((PATIENCE if patience is None else patience) // _LOOK):
        if await visit.enter():
            break
        await asyncio.sleep(_LOOK.total_seconds())
    else:
        if not await visit.enter():
            raise MailboxBusy
    renewing = asyncio.create_task(visit.renew())
    try:
        yield
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        await visit.leave()


async def is_free(parts: Parts, user_id: str) -> bool:
    """Wait until nobody visits a mailbox, for whoever has its lease; ``False`` if it takes longer than a visit lasts.

    Raises:
        TemporaryError: Storage did not answer.
    """
    for _ in range(_LIFE // _LOOK):
        stored = await parts.documents.get(VISIT, user_id)
        if stored is None or not _is_live(stored.value, parts.clock.now()):
            return True
        await asyncio.sleep(_LOOK.total_seconds())
    return False


def _is_live(visit: dict[str, Any], now: datetime) -> bool:
    return datetime.fromisoformat(visit["until"]) > now


class _Visit:
    def __init__(self, parts: Parts, user_id: str) -> None:
        self._parts = parts
        self._user_id = user_id
        self._etag = ""

    async def _write(self, life: timedelta) -> None:
        until = self._parts.clock.now() + life
        value = {"until": until.isoformat()}
        self._etag = await self._parts.documents.put(VISIT, self._user_id, value, etag=self._etag)

    async def enter(self) -> bool:
        """Say whether the mailbox is ours now."""
        stored, now = await self._parts.documents.get(VISIT, self._user_id), self._parts.clock.now()
        if stored is not None and _is_live(stored.value, now):
            return False
        self._etag = stored.etag if stored else ""
        try:
            await self._write(_LIFE)
        except PreconditionLost:
            return False
        record = await self._parts.users.read(UserKey(self._user_id))
        run = record.value.current if record else None
        if run is None or run.state is not State.IN_PROGRESS or run.lease_until_at is None or run.lease_until_at <= now:
            return True
        await self.leave()
        return False

    async def renew(self) -> None:
        """Say that we are there still, until cancelled."""
        while True:
            await asyncio.sleep(_LIFE.total_seconds() / 3)
            try:
                await self._write(_LIFE)
            except (TemporaryError, PreconditionLost) as exc:
                log("visit_not_renewed", user_id=self._user_id, error_type=type(exc).__name__)

    async def leave(self) -> None:
        """Give the mailbox back; what fails of it is left to the row's end."""
        try:
            await self._write(timedelta(0))
        except (TemporaryError, PreconditionLost) as exc:
            log("visit_not_ended", user_id=self._user_id, error_type=type(exc).__name__)
