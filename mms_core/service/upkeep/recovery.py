"""What makes sure that nothing is lost: the sweep over waiting rows, the poison queue, the subscriptions."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mms_core.debounce import with_next
from mms_core.errors import BadInput, MmsError, NotFound, PreconditionLost, RecordUnreadable
from mms_core.messages import Resolve, UnknownMessage, Wake, decode, kind_of
from mms_core.metrics import DUE_OLDEST, MESSAGES_POISONED, SUBSCRIPTION_REMAINING, measure
from mms_core.model import State, UserKey, name_key
from mms_core.service.batches import Batches
from mms_core.service.jobs import SWEEP, start_anew
from mms_core.service.journal import Journal
from mms_core.service.remembered import note_unreadable
from mms_core.service.upkeep.poison import Poison
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mms_core.model import Run, UserRecord
    from mms_core.ports import Stored, Subscribed
    from mms_core.service.parts import Parts

POISONED_TEXT: Final = "poisonText"
"""Kind of the documents that say under which id a message is kept; by the hash of its text."""
_REPLAY: Final = "python -m mms_core.maintenance replay"
_LONGEST_LOOK: Final = timedelta(minutes=2)
"""A worker that looks after the subscriptions for longer is not there any more."""


class Recovery:
    """Runs on timers and on the poison queues."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._poison = Poison(parts)

    async def sweep(self) -> int:
        """Wake every run that should be at work and is not, and every batch; returns how many runs.

        A run that waits is left alone while its own message may still come: for one lease after it was due, and as
        long as the queue's front is older than it, because then its message is probably further back.
        """
        await Batches(self._parts).revive()
        grace, now = self._parts.options.run_lease, self._parts.clock.now()
        front = await self._parts.queue.front()
        woken, oldest = 0, timedelta(0)
        async for run in self._parts.users.overdue(now - grace):
            if run.state is State.PENDING:
                oldest = max(oldest, now - run.due_at)
            woken += await self._look_after(run, grace, front)
        measure(DUE_OLDEST, oldest.total_seconds())
        if woken:
            log("runs_woken", count=woken, level=logging.WARNING)
        return woken

    async def _look_after(self, run: Run, grace: timedelta, front: datetime | None) -> bool:
        key = UserKey(run.user_id) if run.user_id else name_key(run.identity)
        try:
            stored = await self._parts.users.read(key)
        except RecordUnreadable as exc:  # nothing can be done for this one, and all the others wait behind it
            await note_unreadable(self._parts, key, exc)
            return False
        if stored is None:
            return False
        record = stored.value
        if record.current.state.is_final and record.following is not None:
            return await self._promote(stored)
        if record.current.run_id != run.run_id or not self._is_stuck(record, grace, front):
            return False
        now = self._parts.clock.now()
        woken = replace(record, wake_id=self._parts.new_id(), wake_at=now)
        try:
            await self._parts.users.save(woken, stored, publish=False)
        except PreconditionLost:
            return False  # somebody is at work after all
        await self._parts.queue.send(Wake(user=key, wake_id=woken.wake_id, due=now.isoformat()))
        if run.user_id is None:
            await self._parts.queue.send(Resolve(user=key))
        return True

    def _is_stuck(self, record: UserRecord, grace: timedelta, front: datetime | None) -> bool:
        run, now, wake_at = record.current, self._parts.clock.now(), record.wake_at
        if run.state is State.PENDING:
            awaited_at = max(run.due_at, wake_at or run.due_at)
            return awaited_at + grace <= now and (front is None or awaited_at < front)
        if run.state is not State.IN_PROGRESS:
            return False
        silent_since = run.lease_until_at or now
        # A lease that ran out gets one wake-up at once, and another only if that one is lost.
        return silent_since <= now and (wake_at is None or wake_at <= silent_since or wake_at + grace <= now)

    async def _promote(self, stored: Stored[UserRecord]) -> bool:
        """Let the waiting run move up where a crash left it behind one that is over."""
        try:
            await self._parts.save_with_wake(with_next(stored.value), stored, afresh=True)
        except PreconditionLost:
            return False
        return True

    async def poisoned(self, text: str) -> None:
        """Make a message that failed five times visible: keep it, once, and say so where its work is looked for."""
        known = await self._keep(text)
        kept_id, at = known["id"], datetime.fromisoformat(known["at"])
        measure(MESSAGES_POISONED, message=kind_of(text))
        try:
            message = decode(text)
        except UnknownMessage as exc:
            log("message_unknown", level=logging.ERROR, error_type=type(exc).__name__)
            await self._poison.note_unknown(kept_id, at=at)
            return
        log("message_poisoned", level=logging.ERROR, error_type=type(message).__name__)
        await self._poison.show(message, kept=kept_id, at=at)

    async def _keep(self, text: str) -> dict[str, str]:
        """Keep a message, once until it is put back, however often it is delivered; returns its id and since when.

        Its id is noted under its text first: whoever comes after a crash in between keeps it under the same one.
        """
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        noted = await self._parts.documents.get(POISONED_TEXT, digest)
        kept = await self._parts.documents.get("poison", noted.value["id"]) if noted else None
        if noted is None or (kept is not None and "replayedAt" in kept.value):
            now = self._parts.clock.now()
            known = {"id": f"{now.strftime('%Y%m%dT%H%M%S%f')}-{self._parts.new_id()}", "at": now.isoformat()}
            await self._parts.documents.put(POISONED_TEXT, digest, known, etag=noted.etag if noted else "")
            kept = None
        else:
            known = noted.value
        if kept is None:
            await self._parts.documents.put("poison", known["id"], {**known, "text": text})
        return known

    async def kept(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the messages that were poisoned or not understood, oldest first."""
        after = ""
        while page := await self._parts.documents.list("poison", after=after):
            for message in page:
                yield message
            after = page[-1]["id"]

    async def replay(self, message_id: str, *, by: str) -> None:
        """Put a kept message back into its queue, as if it had never failed; it stays in the list, marked.

        A run or a plan that it was about waits again.

        Args:
            message_id: As :meth:`kept` shows it.
            by: Who wants it: there is no caller with a token.

        Raises:
            NotFound: There is none of that id.
            BadInput: This version does not understand it; a later one may.
        """
        journal = Journal(self._parts)
        order: dict[str, Any] = {"actor": by, "proof": "operatingSystem", "more": {"messageId": message_id}}
        async with journal.refusals("Replay", _REPLAY, **order):
            stored = await self._parts.documents.get("poison", message_id)
            if stored is None:
                raise NotFound
            try:
                message = msgspec.structs.replace(decode(stored.value["text"]), attempt=0)
            except UnknownMessage as exc:
                raise BadInput(str(exc)) from exc
        await self._poison.forgive(message, kept=message_id)
        await self._parts.queue.send(message)
        marked = {**stored.value, "replayedAt": self._parts.clock.now().isoformat(), "replayedBy": by}
        await self._parts.documents.put("poison", message_id, marked)
        await journal.ordered("Replay", _REPLAY, **order)
        log("message_replayed", error_type=type(message).__name__)

    async def subscriptions(self, *, renews: bool = False) -> bool:
        """Make sure that the tenant tells us what happens, and remember since when it does.

        Args:
            renews: Graph wants to see that we may still be told.

        Returns:
            ``False`` where another worker is at it right now, and nothing was done: two at once would make two
            subscriptions.
        """
        documents, now = self._parts.documents, self._parts.clock.now()
        stored = await documents.get("subscriptionWork", "all")
        if stored is not None and datetime.fromisoformat(stored.value["until"]) > now:
            return False
        claim = {"until": (now + _LONGEST_LOOK).isoformat()}
        try:
            etag = await documents.put("subscriptionWork", "all", claim, etag=stored.etag if stored else "")
        except PreconditionLost:
            return False
        try:
            await self._look_at_subscriptions(renews=renews)
        finally:
            with contextlib.suppress(MmsError):  # the claim ends by itself
                await documents.put("subscriptionWork", "all", {"until": now.isoformat()}, etag=etag)
        return True

    async def _look_at_subscriptions(self, *, renews: bool) -> None:
        documents, now = self._parts.documents, self._parts.clock.now()
        stored = await documents.get("subscription", "users")
        noted = {stored.value["id"]: stored.value.get("secret", "")} if stored else {}
        found: dict[str, list[Subscribed]] = {}
        for each in await self._parts.graph().tenant.ensure_subscriptions(now=now, noted=noted, renews=renews):
            log("subscription_looked_after", subscription_id=each.subscription_id, state=each.done)
            if each.expires_at is not None:
                measure(SUBSCRIPTION_REMAINING, (each.expires_at - now).total_seconds(), kind=each.kind)
            found.setdefault(each.kind, []).append(each)
        for kind, subscribed in found.items():
            await self._note_subscribed(kind, subscribed)

    async def _note_subscribed(self, kind: str, subscribed: Sequence[Subscribed]) -> None:
        """Remember what is told to us, and since when: a subscription that was lost and made again counts on.

        What happened while there was none has to be found like any other change that nobody told.
        """
        stored = await self._parts.documents.get("subscription", kind)
        is_made_again = stored is not None and any(each.done == "created" for each in subscribed)
        if is_made_again:
            log("subscription_made_again", trigger=kind, level=logging.WARNING)
            await start_anew(self._parts, SWEEP)
        noted = {
            "id": " ".join(each.subscription_id for each in subscribed),
            "since": stored.value["since"] if stored else self._parts.clock.now().isoformat(),
            "secret": subscribed[0].secret,
        }
        if stored is None or stored.value != noted:
            await self._parts.documents.put("subscription", kind, noted)
