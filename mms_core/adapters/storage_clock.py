"""One clock for all workers: the storage's.

Due times and leases are written by one machine and read by another, whose clock may be wrong. Each answer of the
storage says what time it is there, to the second, and it was said between our request and now. As long as our own clock
agrees with that, it is left alone; else it is set to what the storage said: what has passed there for certain.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from mms_core.ports import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

_SECOND: Final = timedelta(seconds=1)
_SENT: Final = "mms_sent_at"


def _machine() -> datetime:
    return datetime.now(UTC)


class StorageClock(Clock):
    """The machine's clock, put right by what the storage says.

    Args:
        machine: Returns aware UTC as the machine has it.
    """

    def __init__(self, machine: Callable[[], datetime] = _machine) -> None:
        self._machine = machine
        self._behind = timedelta(0)
        """What the machine's time lacks."""

    def now(self) -> datetime:
        """Return aware UTC."""
        return self._machine() + self._behind

    def heard(self, date: datetime, *, sent_at: datetime, received_at: datetime) -> None:
        """Take note of a time that the storage has told.

        Args:
            date: Its time, cut to the second.
            sent_at: When it was asked, by the machine's clock.
            received_at: When the answer was there, by the machine's clock.
        """
        least, most = date - received_at, date + _SECOND - sent_at
        if not least <= self._behind <= most:
            self._behind = least

    def hooks(self) -> dict[str, Any]:
        """Return options for a client of the storage that let this clock listen."""
        return {"raw_request_hook": self._asked, "raw_response_hook": self._answered}

    def _asked(self, request: Any) -> None:
        request.context[_SENT] = self._machine()

    def _answered(self, response: Any) -> None:
        sent_at, said = response.context.get(_SENT), response.http_response.headers.get("Date")
        if sent_at is None or not said:
            return
        try:
            date = parsedate_to_datetime(said)
        except ValueError:
            return  # a proxy's nonsense is no time
        if date.tzinfo is not None:
            self.heard(date, sent_at=sent_at, received_at=self._machine())
