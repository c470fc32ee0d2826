"""What is remembered of a user, and what becomes of it where nobody can read it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mms_core.metrics import RECORDS_UNREADABLE, measure
from mms_core.snapshots import Snapshot
from mms_core.telemetry import log

if TYPE_CHECKING:
    from mms_core.errors import RecordUnreadable
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts


async def snapshot_of(parts: Parts, user_id: str) -> tuple[Stored[dict[str, Any]] | None, Snapshot]:
    """Return a user's snapshot as it is stored, and what it says.

    Raises:
        RecordUnreadable: It is there, and is damaged or of a later version: it must not be overwritten.
    """
    stored = await parts.documents.get("snapshot", user_id)
    return stored, Snapshot.read(stored.value if stored else None)


def note_unreadable(user_id: str, exc: RecordUnreadable) -> None:
    """Make it visible and count it: whoever meets it goes on without this one user."""
    measure(RECORDS_UNREADABLE, code=exc.code)
    log("snapshot_unreadable", level=logging.ERROR, user_id=user_id, code=exc.code)
