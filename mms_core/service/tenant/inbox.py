"""What a tenant tells over HTTP: written down durably, answered at once, judged later by a queued step.

Imports little: a webhook has three seconds, and its first answer waits for all of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mms_core.errors import TemporaryError
from mms_core.messages import AnyMessage, LookAfterSubscriptions, TenantEvent, activity_content, together, users_changed
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mms_core.notifications import Notified, ParsedEvent
    from mms_core.service.parts import Parts

_MOST_STRANGERS: Final = 1000
_LOSSES: Final = frozenset({"missed", "subscriptionRemoved"})
"""Lifecycle events that say that changes have not been told."""
_ASK_AGAIN: Final = timedelta(minutes=1)


def event_claim(unique_id: str) -> str:
    """Return the key under which an event is remembered."""
    return hashlib.sha256(unique_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]


class Inbox:
    """Receives; never calls Graph, and decides nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._subscription: str | None = None
        self._strangers: dict[str, datetime] = {}

    async def _put(self, messages: Sequence[AnyMessage]) -> None:
        """Put what one call told into the queue: one message, which points at rows if it cannot hold all of it."""
        if not messages:
            return
        message = messages[0] if len(messages) == 1 else together(messages)
        if message is None:
            from mms_core.service.batches import Batches  # noqa: PLC0415 - the first answer does not wait for it

            message = await Batches(self._parts).keep(messages)
        await self._parts.queue.send(message)

    async def notifications(self, notified: Notified) -> None:
        """Put the users that Graph says have changed into the queue; returns when that is durable."""
        received = self._parts.clock.now().isoformat()
        await self._put(users_changed(notified.users, received=received))
        log("notifications_received", count=len(notified.users), total=len(notified.users) + notified.rejected)
        try:
            await self._check_subscriptions(notified.subscriptions)
        except TemporaryError as exc:  # what was told is safe; the timer looks after subscriptions, too
            log("subscriptions_not_checked", code=exc.code)

    async def _check_subscriptions(self, told: Sequence[str]) -> None:
        """Notice notifications of a subscription that is not the one we keep.

        They know our clientState, so they are the tenant's and count like any other: perhaps the subscription is so
        new that it has not been noted yet. But there may be one too many, which doubles every notification; so the
        id is kept, and the subscriptions are looked after at once. Each id is asked about once a minute at most.
        """
        now = self._parts.clock.now()
        strange = [each for each in told if each != self._subscription and self._strangers.get(each, now) <= now]
        if not strange:
            return
        for each in strange:
            if len(self._strangers) < _MOST_STRANGERS or each in self._strangers:
                self._strangers[each] = now + _ASK_AGAIN
        stored = await self._parts.documents.get("subscription", "users")
        self._subscription = str(stored.value["id"]) if stored else None
        unknown = [each for each in strange if each != self._subscription]
        for each in unknown:
            before = await self._parts.documents.get("unknownSubscription", each)
            since = before.value["since"] if before else now.isoformat()
            await self._parts.documents.put(
                "unknownSubscription", each, {"id": each, "since": since, "at": now.isoformat()}
            )
        if unknown:
            log("subscription_unknown", count=len(unknown), level=logging.WARNING)
            await self.look_after_subscriptions()

    async def events(self, events: Sequence[ParsedEvent], *, actor: str | None, proof: str = "token") -> frozenset[str]:
        """Put events into the queue; returns when that is durable. Events with a problem are left out.

        Returns:
            Unique ids of those that have been accepted before and are not queued again.
        """
        received = self._parts.clock.now().isoformat()
        good = {event.unique_id: event for event in events if event.problem is None}
        claims = {name: event_claim(name) for name in good}
        found = await asyncio.gather(*(self._parts.documents.get("event", claim) for claim in claims.values()))
        known = {name for name, stored in zip(claims, found, strict=True) if stored is not None}
        fresh = [event for name, event in good.items() if name not in known]
        users = [event.graph_user for event in fresh if event.graph_user]
        own = [
            TenantEvent(event_id=event.unique_id, type=event.type, data=event.data, actor=actor, proof=proof)
            for event in fresh
            if event.graph_user is None
        ]
        await self._put([*users_changed(users, received=received, proof="eventGrid"), *own])
        # After the queue: a crash in between lets the sender repeat, and the worker knows what it has handled.
        await asyncio.gather(
            *(self._parts.documents.put("event", claims[event.unique_id], {"at": received}) for event in fresh)
        )
        log("events_received", count=len(fresh), total=len(events))
        return frozenset(known)

    async def look_after_subscriptions(self, *, renews: bool = False) -> None:
        """Have the subscriptions checked soon, and renewed where Graph wants that; returns when that is durable."""
        await self._parts.queue.send(LookAfterSubscriptions(renews=renews))

    async def lifecycle(self, events: Collection[str]) -> None:
        """Act on what Graph says about our subscription; returns when that is durable.

        Where notifications are lost or will be, the reconciliation finds what they would have told: it starts now.
        """
        if _LOSSES & set(events):
            from mms_core.service.jobs import SWEEP, start_anew  # noqa: PLC0415 - no other webhook needs it

            await start_anew(self._parts, SWEEP)
        if events:
            await self.look_after_subscriptions(renews="reauthorizationRequired" in events)

    async def activity(self, uris: Sequence[str]) -> None:
        """Put content addresses of the activity feed into the queue; returns when that is durable."""
        await self._put(activity_content(uris))
        log("activity_received", count=len(uris))
