"""What is remembered of a user, and what becomes of it where nobody can read it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import RecordUnreadable
from mms_core.metrics import RECORDS_UNREADABLE, measure
from mms_core.model import UserKey
from mms_core.snapshots import Snapshot
from mms_core.telemetry import log

if TYPE_CHECKING:
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts


UNREADABLE: Final = "unreadable"
"""Kind of the documents: one a user of whom somebody has failed to read what is remembered."""
_LOOKED_AT: Final = 100


async def snapshot_of(parts: Parts, user_id: str) -> tuple[Stored[dict[str, Any]] | None, Snapshot]:
    """Return a user's snapshot as it is stored, and what it says.

    Raises:
        RecordUnreadable: It is there, and is damaged or of a later version: it must not be overwritten.
    """
    stored = await parts.documents.get("snapshot", user_id)
    return stored, Snapshot.read(stored.value if stored else None)


async def note_unreadable(parts: Parts, user_id: str, exc: RecordUnreadable) -> None:
    """Make it visible and count it: whoever meets it goes on without this one user."""
    measure(RECORDS_UNREADABLE, code=exc.code)
    log("record_unreadable", level=logging.ERROR, user_id=user_id, code=exc.code)
    await parts.documents.put(UNREADABLE, user_id, {"userId": user_id, "at": parts.clock.now().isoformat()})


async def still_unreadable(parts: Parts) -> str:
    """Say of how many users something cannot be read, empty if of none. Forgets those of whom all can be read again.

    Where there are many, some of them are enough to know it.
    """
    after = ""
    while rows := await parts.documents.list(UNREADABLE, top=_LOOKED_AT, after=after):
        left = sum(await asyncio.gather(*(_is_unreadable(parts, row["userId"]) for row in rows)))
        if left:
            return f"{left}{' or more' if len(rows) == _LOOKED_AT else ''}"
        after = rows[-1]["userId"]
    return ""


async def _is_unreadable(parts: Parts, user_id: str) -> bool:
    try:
        await snapshot_of(parts, user_id)
        await parts.users.read(UserKey(user_id))
        await parts.ledger.entries(UserKey(user_id))
    except RecordUnreadable:
        return True
    await parts.documents.remove(UNREADABLE, user_id)
    return False
