"""A message that failed five times is shown where whoever waits for it looks, and can be put back from there.

What waits for a run is a failed run, a plan is a failed plan. What nobody has asked for, because the tenant told it or
a timer began it, is a decision, refused, whose request id is that of the kept message.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import PreconditionLost, explain
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
)
from mms_core.model import UserKey
from mms_core.service.admin.fanout import Fanout, row_due_at, run_id
from mms_core.service.admin.queries import retried
from mms_core.service.batches import Batches
from mms_core.service.journal import Journal, Origin
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.states import Happening, advance, can
from mms_core.triggers import Answer, Decision

if TYPE_CHECKING:
    from datetime import datetime

    from mms_core.messages import AnyMessage
    from mms_core.model import Run
    from mms_core.service.parts import Parts

CODE: Final = "PoisonedMessage"


class Poison:
    """Says which work a message that failed for good was about, and takes that back when it is put into its queue."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show(self, message: AnyMessage, *, kept: str) -> None:
        """Make the failure visible; safe to repeat.

        Args:
            message: What was poisoned.
            kept: The id under which it is kept.
        """
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
                        await self.show(decode(text), kept=kept)
            case _:
                await self._note(message, kept)

    async def forgive(self, message: AnyMessage) -> None:
        """Let the work that was shown as failed wait again, for the message that comes; safe to repeat."""
        match message:
            case Wake() | Resolve():
                await self._again(UserKey(message.user), None, self._parts.clock.now())
            case StartMany():
                for index, key, _ in message.rows:
                    await self._again(UserKey(key), run_id(message.batch, index), row_due_at(message, index))
            case Preview():
                await self._preview(message.preview_id, was="failed", state="pending", code=None, message=None)
            case _:
                pass  # what was told is looked at when it comes

    async def _fail(self, key: UserKey, message: Wake | Resolve) -> None:
        for _ in range(CONFLICT_ATTEMPTS):
            stored = await self._parts.users.read(key)
            if stored is None or not can(stored.value.current, Happening.FAILED):
                return
            if isinstance(message, Wake) and message.wake_id != stored.value.wake_id:
                return  # a leftover: the run's own message is another one
            failed = advance(
                stored.value.current,
                Happening.FAILED,
                now=self._parts.clock.now(),
                code=CODE,
                last_message=explain(CODE),
            )
            try:
                await self._parts.save_ended(replace(stored.value, current=failed), stored)
            except PreconditionLost:
                continue
            await self._parts.announce(key, failed, "after")
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

    async def _note(self, message: AnyMessage, kept: str) -> None:
        """Keep a decision for everybody whom the message names, or one for nobody in particular."""
        kind = type(message).__name__
        what = message.type if isinstance(message, TenantEvent) else kind
        for user in _named(message):
            await Journal(self._parts).note(
                Decision(answer=Answer.REFUSE, rule=CODE, reason=f"{CODE} {kind}", code=CODE),
                what=what,
                user=user,
                user_id=user if isinstance(message, UsersChanged | Notice) else None,
                request_id=kept,
                origin=Origin(actor=message.actor if isinstance(message, TenantEvent) else None, proof="queue"),
                outcome=CODE,
            )


def _named(message: AnyMessage) -> tuple[str | None, ...]:
    if isinstance(message, UsersChanged):
        return message.users
    if isinstance(message, Notice):
        return (message.user,)
    user = message.data.get("user") if isinstance(message, TenantEvent) else None
    return (user if isinstance(user, str) else None,)
