"""Exchange's sending limits: a mailbox is paced, and its recipients and the tenant's outside are counted over 24 hours.

Source: Exchange Online limits (30 messages a minute and 10,000 recipients a day a mailbox; recipients outside a tenant
in 24 hours: 500 x licences^0.7 + 9,500).
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Lock
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from mms_core.errors import MmsError, OutcomeUnknown, PreconditionLost, TemporaryError
from mms_core.ports import Stored
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.running.lease import LeaseLost, Stopped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mms_core.meetings import Event, Series
    from mms_core.ports import Calendar, Confirm, EventChange, Written
    from mms_core.service.parts import Parts
    from mms_core.service.running.lease import Lease

MESSAGES_A_MINUTE: Final = 30
MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(hours=24)
_HOUR: Final = "%Y%m%d%H"
MAILBOX_KIND: Final = "mailbox"
"""Kind of the documents that count the recipients of one mailbox."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom an update of a meeting is sent to."""

    everybody: int = 0
    outside: int = 0
    """Those outside the organizer's domain."""


def recipients_of(event: Event) -> Recipients:
    """Count the people who get an update of a meeting: all but the organizer."""
    others = {each.address for each in event.attendees} - {event.organizer_address}
    own = event.organizer_address.rpartition("@")[2]
    return Recipients(len(others), sum(address.rpartition("@")[2] != own for address in others))


class Budget:
    """Recipients that may still be written to, in one row by the hour.

    Args:
        parts: Where the row is.
        mailbox: Whose recipients are counted; empty for those outside, of the whole tenant.
    """

    def __init__(self, parts: Parts, mailbox: str = "") -> None:
        self._documents = parts.documents
        self._row = (MAILBOX_KIND, mailbox) if mailbox else ("budget", "recipients")
        # A run works on several meetings at once: they must not meet in the row.
        self._lock = Lock()
        self._is_ours = bool(mailbox)
        self._last: Stored[dict[str, Any]] | None = None
        """The row as we wrote it: nobody else writes a mailbox's while its user is leased."""

    async def reserve(self, recipients: int, limit: int, *, at: datetime) -> tuple[bool, datetime]:
        """Take recipients out of the budget; a limit of 0 is none.

        A meeting that is larger than the whole limit fits when nothing else was sent.

        Returns:
            Whether they fit; and from which instant the mailbox may write to them, or there is room for them.

        Raises:
            PreconditionLost: Others take from it all the time.
        """
        async with self._lock:
            return await self._add(recipients, limit, at)

    async def give_back(self, recipients: int, *, at: datetime) -> None:
        """Put back what was reserved at an instant, and then nobody was written to.

        Raises:
            PreconditionLost: Others take from it all the time.
        """
        async with self._lock:
            await self._add(-recipients, 0, at)

    async def _add(self, recipients: int, limit: int, at: datetime) -> tuple[bool, datetime]:
        # The hour in which the 24 begin counts as a whole: what was sent late in it is younger than a day.
        oldest, this = (at - DAY).strftime(_HOUR), at.strftime(_HOUR)
        for _ in range(CONFLICT_ATTEMPTS):
            stored = self._last or await self._documents.get(*self._row)
            known: dict[str, Any] = stored.value if stored else {"hours": {}}
            hours = {h: n for h, n in known["hours"].items() if h >= oldest}
            if recipients > 0 and limit and hours and sum(hours.values()) + recipients > limit:
                return False, self._free_at(hours, recipients, limit)
            count = max(hours.pop(this, 0) + recipients, 0)
            value: dict[str, Any] = {"hours": hours | ({this: count} if count else {}), "at": at.isoformat()}
            turn, turns = at, known.get("turns", [])
            if self._is_ours:
                # Kept in the row that is written anyway: whoever takes the mailbox over knows what was sent just now.
                turn, turns = _turn(turns, at) if recipients > 0 else (at, turns)
                value["turns"] = turns
            try:
                etag = await self._documents.put(*self._row, value, etag=stored.etag if stored else "")
            except PreconditionLost:
                self._last = None
                continue
            self._last = Stored(value, etag) if self._is_ours else None
            return True, turn
        raise PreconditionLost("the recipients' budget")

    @staticmethod
    def _free_at(hours: dict[str, int], recipients: int, limit: int) -> datetime:
        left = sum(hours.values())
        at = datetime.strptime(max(hours), _HOUR).replace(tzinfo=UTC)
        for hour in sorted(hours):
            left -= hours[hour]
            at = datetime.strptime(hour, _HOUR).replace(tzinfo=UTC)
            if left + recipients <= limit:
                break
        return at + DAY + timedelta(hours=1)


def _turn(turns: list[float], at: datetime) -> tuple[datetime, list[float]]:
    """Return when a mailbox may send one more, and its last turns, in seconds since 1970, that one included."""
    turn = at.timestamp()
    if len(turns) == MESSAGES_A_MINUTE:
        turn = max(turn, turns[0] + MINUTE.total_seconds())
    return max(at, datetime.fromtimestamp(turn, UTC)), [*turns, turn][-MESSAGES_A_MINUTE:]


_Taken: TypeAlias = tuple[Budget, int, datetime]
"""What was reserved where, and when."""


class MeteredCalendar:
    """A calendar that keeps to the limits. Everything but what counts goes straight to the real one."""

    def __init__(self, calendar: Calendar, parts: Parts, lease: Lease) -> None:
        self._calendar = calendar
        self._parts = parts
        self._lease = lease
        self._mailbox, self._tenant = Budget(parts, lease.key), Budget(parts)
        self._recipients: dict[str, Recipients] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calendar, name)

    def _seen(self, event: Event) -> Event:
        self._recipients[event.event_id] = recipients_of(event)
        return event

    async def candidates(self, user_id: str, **which: Any) -> AsyncIterator[Event]:
        """See :class:`~mms_core.ports.Calendar`."""
        async for event in self._calendar.candidates(user_id, **which):
            yield self._seen(event)

    async def series(self, user_id: str, master_id: str) -> Series:
        """See :class:`~mms_core.ports.Calendar`."""
        series = await self._calendar.series(user_id, master_id)
        for event in series.exceptions:
            self._seen(event)
        return series

    async def event(self, user_id: str, event_id: str) -> Event | None:
        """See :class:`~mms_core.ports.Calendar`."""
        event = await self._calendar.event(user_id, event_id)
        return None if event is None else self._seen(event)

    async def update(
        self, user_id: str, event_id: str, change: EventChange, *, etag: str, confirm: Confirm | None = None
    ) -> Written:
        """See :class:`~mms_core.ports.Calendar`.

        Raises:
            Stopped: ``SendingLimit``: the recipients that the mailbox or the tenant has in 24 hours are used up;
                nothing was written.
            LeaseLost, Stopped: From the look before the write.
        """
        taken, turn = await self._reserve(self._recipients.get(event_id, Recipients()))
        try:
            wait = turn - self._parts.clock.now()
            if wait > timedelta(0):
                await asyncio.sleep(wait.total_seconds())
            return await self._calendar.update(
                user_id, event_id, change, etag=etag, confirm=self._lease.check if confirm is None else confirm
            )
        except OutcomeUnknown:
            raise  # perhaps they were written to
        except (MmsError, LeaseLost, Stopped):
            await self._give_back(taken)
            raise

    async def _reserve(self, recipients: Recipients) -> tuple[list[_Taken], datetime]:
        """Take a meeting's recipients out of the budgets; returns what was taken, and when the mailbox may send."""
        settings, at = await self._parts.settings(), self._parts.clock.now()
        taken, turn = list[_Taken](), at
        for budget, count, limit in (
            (self._mailbox, recipients.everybody, settings.MailboxRecipientsPerDay),
            (self._tenant, recipients.outside, settings.RecipientsPerDay),
        ):
            if not count or (budget is self._tenant and not limit):
                continue
            fits, then = await budget.reserve(count, limit, at=at)
            if not fits:
                await self._give_back(taken)
                raise self._lease.pause("SendingLimit", until=then)
            taken.append((budget, count, at))
            turn = max(turn, then)
        return taken, turn

    @staticmethod
    async def _give_back(taken: list[_Taken]) -> None:
        for budget, count, at in taken:
            # Where that fails they stay counted: too many make a run wait, too few break a limit.
            with contextlib.suppress(TemporaryError, PreconditionLost):
                await budget.give_back(count, at=at)


def metered(calendar: Calendar, parts: Parts, lease: Lease) -> Calendar:
    """Return a calendar that keeps to the sending limits, if the deployment wants that."""
    if not parts.options.sending_limits:
        return calendar
    return cast("Calendar", MeteredCalendar(calendar, parts, lease))
