"""A message that failed five times is shown where whoever waits for it looks, and can be put back from there.

What waits for a run is a failed run, a plan is a failed plan. What nobody has asked for, because the tenant told it or
a timer began it, is a decision, refused, whose request id is that of the kept message; and each user whom the tenant
named has a failed run, which stands for the message and not for work: putting the message back ends it. Who has work in
the record, waiting, under way or over, has none: an entry never takes the place of a run.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import BadInput, PreconditionLost, RecordUnreadable, explain
from mms_core.messages import (
    Batch,
    Notice,
    Preview,
    Resolve,
    StartMany,
    TenantEvent,
    UnknownMessage,
    UsersChanged,
    Wake,
    decode,
    encode,
)
from mms_core.model import NAME_PREFIX, Run, RunId, State, UserKey, UserRecord
from mms_core.service.admin.fanout import Fanout, row_due_at, run_id
from mms_core.service.admin.intake import user_key
from mms_core.service.admin.queries import retried
from mms_core.service.batches import Batches
from mms_core.service.journal import Journal, Origin
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.remembered import note_unreadable
from mms_core.states import STANDS_FOR_MESSAGE, Happening, advance, can
from mms_core.telemetry import log
from mms_core.triggers import Answer, Decision

if TYPE_CHECKING:
    from datetime import datetime

    from mms_core.messages import AnyMessage
    from mms_core.service.parts import Parts

CODE: Final = "PoisonedMessage"
_TOLD: Final = "TenantMessageFailed"
_REPLAYED: Final = "MessageReplayed"


def _entry_id(kept: str, user: str) -> RunId:
    return RunId(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kept}/{user.lower()}")))


class Poison:
    """Says which work a message that failed for good was about, and takes that back when it is put into its queue."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show(self, message: AnyMessage, *, kept: str, at: datetime) -> None:
        """Make the failure visible, as far as the records that it belongs into can be read; safe to repeat.

        Args:
            message: What was poisoned.
            kept: The id under which it is kept.
            at: Since when.
        """
        try:
            await self._show(message, kept, at)
        except RecordUnreadable as exc:  # often why it failed; it is kept, and shown as a message
            log("message_not_shown", level=logging.ERROR, code=exc.code)

    async def _show(self, message: AnyMessage, kept: str, at: datetime) -> None:
        match message:
            case Wake() | Resolve():
                await self._fail(UserKey(message.user), message)
            case StartMany():
                await Fanout(self._parts).admit(message, code=CODE)
            case Preview():
                await self._preview(message.preview_id, was="pending", state="failed", code=CODE, message=explain(CODE))
            case Batch():
                async for text in Batches(self._parts).texts(message):
                    with contextlib.suppress(UnknownMessage):  # the kept message holds it
                        await self.show(decode(text), kept=kept, at=at)
            case _:
                await self._note(message, kept, at)

    async def forgive(self, message: AnyMessage, *, kept: str) -> None:
        """Let the work that was shown as failed wait again, for the message that comes; safe to repeat.

        Args:
            message: What is put back.
            kept: The id under which it is kept.
        """
        match message:
            case Wake() | Resolve():
                await self._again(UserKey(message.user), None, self._parts.clock.now())
            case StartMany():
                for index, key, _ in message.rows:
                    await self._again(UserKey(key), run_id(message.batch, index), row_due_at(message, index))
            case Preview():
                await self._preview(message.preview_id, was="failed", state="pending", code=None, message=None)
            case UsersChanged() | TenantEvent():
                for user in filter(None, _named(message)):
                    await self._put_back(user, kept)
            case Batch():
                async for text in Batches(self._parts).texts(message):
                    with contextlib.suppress(UnknownMessage):
                        await self.forgive(decode(text), kept=kept)
            case _:
                pass  # nobody's run stands for it

    async def _fail(self, key: UserKey, message: Wake | Resolve) -> None:
        for _ in range(CONFLICT_ATTEMPTS):
            stored = await self._parts.users.read(key)
            if stored is None or not can(stored.value.current, Happening.FAILED):
                return
            if isinstance(message, Wake) and message.wake_id != stored.value.wake_id:
                return  # a leftover: the run's own message is another one
            with contextlib.suppress(PreconditionLost):
                await self._parts.end(stored, Happening.FAILED, code=CODE)
                return

    async def _again(self, key: UserKey, wanted: str | None, due_at: datetime) -> None:
        """Start the poisoned run of a user afresh; with *wanted* only that one."""
        now = self._parts.clock.now()

        def again(run: Run) -> Run:
            is_meant = run.code == CODE and wanted in (None, run.run_id) and can(run, Happening.RETRIED)
            return retried(run, now=now, due_at=max(now, due_at)) if is_meant else run

        for _ in range(CONFLICT_ATTEMPTS):
            stored = await self._parts.users.read(key)
            if stored is None:
                return
            record, following = stored.value, stored.value.following
            record = replace(record, current=again(record.current), following=following and again(following))
            if record == stored.value:
                return
            try:
                await self._parts.save_with_wake(record, stored, afresh=True)
            except PreconditionLost:
                continue
            return
        raise PreconditionLost("the user's record is written by others all the time")

    async def _preview(self, preview_id: str, *, was: str, **now: Any) -> None:
        stored = await self._parts.documents.get("preview", preview_id)
        if stored is None or stored.value["state"] != was or stored.value.get("code") not in (None, CODE):
            return
        await self._parts.documents.put("preview", preview_id, {**stored.value, **now}, etag=stored.etag)

    async def note_unknown(self, kept: str, *, at: datetime) -> None:
        """Keep a decision for a message that this version does not understand; safe to repeat."""
        await self._decide("unknown", None, kept, at)

    async def _note(self, message: AnyMessage, kept: str, at: datetime) -> None:
        """Keep a decision for everybody whom the message names, or one for nobody in particular."""
        is_told = isinstance(message, UsersChanged | TenantEvent)
        what = message.type if isinstance(message, TenantEvent) else type(message).__name__
        for user in _named(message):
            entry = await self._enter(user, what, kept) if is_told and user else None
            await self._decide(type(message).__name__, user, kept, at, message=message, what=what, run=entry)

    async def _decide(
        self,
        kind: str,
        user: str | None,
        kept: str,
        at: datetime,
        *,
        message: AnyMessage | None = None,
        what: str | None = None,
        run: RunId | None = None,
    ) -> None:
        told = f"{kept}/{user}/{encode(message) if message else ''}"
        await Journal(self._parts).note(
            Decision(answer=Answer.REFUSE, rule=CODE, reason=f"{CODE} {kind}", code=CODE),
            what=what or kind,
            user=user,
            user_id=user if isinstance(message, UsersChanged | Notice) else None,
            request_id=kept,
            origin=Origin(actor=message.actor if isinstance(message, TenantEvent) else None, proof="queue"),
            outcome=CODE,
            correlation_id=run,
            once=(at, str(uuid.uuid5(uuid.NAMESPACE_OID, told))),
        )

    async def _keys(self, user: str) -> list[UserKey]:
        """Return where a user's record may be, the own one last; nothing for what is no name."""
        try:
            key = user_key(user)
        except BadInput:
            return []
        named = await self._parts.documents.get("name", key) if key.startswith(NAME_PREFIX) else None
        return [key] if named is None else [key, UserKey(str(named.value["userId"]))]

    async def _enter(self, user: str, what: str, kept: str) -> RunId | None:
        """Put the failure into a user's record; ``None`` where that holds work, which nothing may hide, or damage."""
        keys, now = await self._keys(user), self._parts.clock.now()
        entry = Run(
            run_id=_entry_id(kept, user),
            identity=user,
            user_id=None if not keys or keys[-1].startswith(NAME_PREFIX) else keys[-1],
            state=State.FAILED,
            reasons=(f"{CODE} {what}",),
            code=_TOLD,
            last_message=explain(_TOLD, f"message {kept}"),
            created_at=now,
            modified_at=now,
            fresh_at=now,
            due_at=now,
        )
        for _ in range(CONFLICT_ATTEMPTS if keys else 0):
            try:
                stored = await self._parts.users.read(keys[-1])
            except RecordUnreadable as exc:
                await note_unreadable(self._parts, keys[-1], exc)
                return None
            record = stored.value if stored else UserRecord(key=keys[-1], current=entry)
            if kept in record.seen:
                return entry.run_id
            if any(run.code not in STANDS_FOR_MESSAGE for run in record.runs):
                return None
            shown = replace(entry, user_principal_name=record.current.user_principal_name)
            with contextlib.suppress(PreconditionLost):
                await self._parts.users.save(replace(record, current=shown, seen=record.remembering(kept)), stored)
                return entry.run_id
        return None

    async def _put_back(self, user: str, kept: str) -> None:
        """End the run that stands for a message, where no other has taken its place."""
        now, entry = self._parts.clock.now(), _entry_id(kept, user)

        def ended(run: Run) -> Run:
            if run.run_id != entry or not can(run, Happening.REPLAYED):
                return run
            return advance(run, Happening.REPLAYED, now=now, code=_REPLAYED, last_message=explain(_REPLAYED))

        for key in await self._keys(user):
            for _ in range(CONFLICT_ATTEMPTS):
                stored = await self._parts.users.read(key)
                if stored is None:
                    break
                record = replace(stored.value, current=ended(stored.value.current))
                if record == stored.value:
                    break
                with contextlib.suppress(PreconditionLost):
                    await self._parts.users.save(record, stored)
                    break


def _named(message: AnyMessage) -> tuple[str | None, ...]:
    if isinstance(message, UsersChanged):
        return message.users
    if isinstance(message, Notice):
        return (message.user,)
    user = message.data.get("user") if isinstance(message, TenantEvent) else None
    return (user if isinstance(user, str) else None,)
