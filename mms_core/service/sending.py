"""Exchange's sending limits: a mailbox is paced, and a tenant's recipients outside are counted over 24 hours.

Source: Exchange Online limits (30 messages a minute and 10,000 recipients a day a mailbox; recipients outside a tenant
in 24 hours: 500 x licences^0.7 + 9,500).
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from mms_core.errors import PreconditionLost
from mms_core.service.parts import CONFLICT_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mms_core.meetings import Event, Series
    from mms_core.ports import Calendar, Confirm, EventChange, Written
    from mms_core.service.lease import Lease
    from mms_core.service.parts import Parts

MESSAGES_A_MINUTE: Final = 30
MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(hours=24)
_HOUR: Final = "%Y%m%d%H"


def external_recipients(event: Event) -> int:
    """Count the people outside the organizer's domain who get an update of a meeting."""
    own = event.organizer_address.rpartition("@")[2]
    return sum(attendee.address.rpartition("@")[2] != own for attendee in event.attendees)


class Budget:
    """Recipients outside that the tenant may still write to. One row for the tenant, by the hour."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def reserve(self, recipients: int, limit: int) -> datetime | None:
        """Take recipients out of the budget; ``None`` if they fit, else the instant from which they may.

        A meeting that is larger than the whole limit fits when nothing else was sent.

        Raises:
            PreconditionLost: Others take from it all the time.
        """
        for _ in range(CONFLICT_ATTEMPTS):
            now = self._parts.clock.now()
            stored = await self._parts.documents.get("budget", "recipients")
            # The hour in which the 24 begin counts as a whole: what was sent late in it is younger than a day.
            oldest = (now - DAY).strftime(_HOUR)
            hours = {h: n for h, n in (stored.value["hours"] if stored else {}).items() if h >= oldest}
            if hours and sum(hours.values()) + recipients > limit:
                return self._free_at(hours, recipients, limit)
            this = now.strftime(_HOUR)
            value: dict[str, Any] = {"hours": {**hours, this: hours.get(this, 0) + recipients}}
            try:
                await self._parts.documents.put("budget", "recipients", value, etag=stored.etag if stored else "")
            except PreconditionLost:
                continue
            return None
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


class MeteredCalendar:
    """A calendar that keeps to the limits. Everything but what counts goes straight to the real one."""

    def __init__(self, calendar: Calendar, parts: Parts, lease: Lease) -> None:
        self._calendar = calendar
        self._parts = parts
        self._lease = lease
        self._budget = Budget(parts)
        self._recipients: dict[str, int] = {}
        self._sent: deque[datetime] = deque(maxlen=MESSAGES_A_MINUTE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calendar, name)

    def _seen(self, event: Event) -> Event:
        self._recipients[event.event_id] = external_recipients(event)
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
            Stopped: ``SendingLimit``: the tenant's recipients of 24 hours are used up; nothing was written.
            LeaseLost, Stopped: From the look before the write.
        """
        limit, recipients = (await self._parts.settings()).RecipientsPerDay, self._recipients.get(event_id, 0)
        if limit and recipients:
            until = await self._budget.reserve(recipients, limit)
            if until is not None:
                raise self._lease.pause("SendingLimit", until=until)
        await self._pace()
        return await self._calendar.update(
            user_id, event_id, change, etag=etag, confirm=self._lease.check if confirm is None else confirm
        )

    async def _pace(self) -> None:
        """Wait until the mailbox may send one more."""
        while len(self._sent) == MESSAGES_A_MINUTE and self._parts.clock.now() - self._sent[0] < MINUTE:
            wait = MINUTE - (self._parts.clock.now() - self._sent[0])
            await asyncio.sleep(wait.total_seconds())
        self._sent.append(self._parts.clock.now())


def metered(calendar: Calendar, parts: Parts, lease: Lease) -> Calendar:
    """Return a calendar that keeps to the sending limits, if the deployment wants that."""
    if not parts.options.sending_limits:
        return calendar
    return cast("Calendar", MeteredCalendar(calendar, parts, lease))
