"""The line in front of the mailbox that notices come from: Exchange's sending limits hold for it as for any other.

Whoever has a letter is given an instant of its own, however many hosts send: they meet in one row. A large tenant's
letters so take days, and none of them is refused by Exchange after it was counted as sent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.service.parts import CONFLICT_ATTEMPTS

if TYPE_CHECKING:
    from mms_core.service.parts import Parts

APART: Final = timedelta(seconds=2.1)
"""Between two letters: fewer than 30 a minute (Exchange Online limits)."""
DAY: Final = timedelta(hours=24)
_HOUR: Final = "%Y%m%d%H"
_ROW: Final = ("post", "line")


def _start(hour: str) -> datetime:
    return datetime.strptime(hour, _HOUR).replace(tzinfo=UTC)


def _from(at: datetime, hours: dict[str, int], recipients: int, limit: int) -> datetime:
    """Return the first instant from *at* on before which fewer than *limit* recipients have had letters in 24 hours."""
    while True:
        oldest = (at - DAY).strftime(_HOUR)  # counts as a whole: what was sent late in it is younger than a day
        recent = sorted(hour for hour in hours if hour >= oldest)
        if not recent or sum(hours[hour] for hour in recent) + recipients <= limit:
            return at
        at = _start(recent[0]) + DAY + timedelta(hours=1)


async def place_in_line(
    parts: Parts, recipients: int, *, limit: int, latest: datetime | None = None
) -> datetime | None:
    """Give a letter its instant; nothing is waited for.

    Args:
        parts: Where the row is.
        recipients: Of the letter.
        limit: Recipients in 24 hours; 0 is no limit. A letter to more than that has its turn when nothing else has.
        latest: A letter that would come later is of no use to anybody.

    Returns:
        Aware UTC, now or later. It is used up, whether a letter is sent or not. ``None`` where it would be too late.

    Raises:
        TemporaryError: Others take their places all the time.
    """
    for _ in range(CONFLICT_ATTEMPTS):
        now, stored = parts.clock.now(), await parts.documents.get(*_ROW)
        line: dict[str, Any] = stored.value if stored else {"next": now.isoformat(), "hours": {}}
        oldest = (now - DAY).strftime(_HOUR)
        hours = {hour: count for hour, count in line["hours"].items() if hour >= oldest}
        at = max(now, datetime.fromisoformat(line["next"]))
        if limit:
            at = _from(at, hours, recipients, limit)
        if latest is not None and at > latest:
            return None
        this = at.strftime(_HOUR)
        hours[this] = hours.get(this, 0) + recipients
        value = {"next": (at + APART).isoformat(), "hours": hours}
        try:
            await parts.documents.put(*_ROW, value, etag=stored.etag if stored else "")
        except PreconditionLost:
            continue
        return at
    raise TemporaryError("the line of letters is taken by others all the time")
