"""A call that is more than one queue message holds: rows in a table, and one message that points at them.

The rows are written first, then the row that says how many there are, then the message. A crash before the second
leaves rows that nobody sees, and a sender without an answer, who repeats the call; one after it leaves a batch that the
sweep finds. Whoever works it off hands its messages to the queue one by one, and then removes it: a second delivery
finds nothing, or hands the same messages on again, each of which counts once.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mms_core.errors import PreconditionLost
from mms_core.messages import AnyMessage, Batch, UnknownMessage, decode, encode
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from mms_core.service.parts import Parts

HEAD: Final = "batch"
ROWS: Final = "batchRow"
_ROW: Final = 150_000
"""Characters of messages in a row: a third of what an entity of 1 MiB holds, should each need an escape."""
SILENCE: Final = timedelta(minutes=15)
"""A batch that is there for so long has lost its message, or its worker: it gets another."""

ABANDONED: Final = timedelta(days=1)
"""Rows that are older than this, and than any batch, belong to a call whose sender has repeated it or given up."""


def _packed(messages: Sequence[AnyMessage]) -> Iterator[list[str]]:
    row: list[str] = []
    for text in map(encode, messages):
        if row and sum(map(len, row)) + len(text) > _ROW:
            yield row
            row = []
        row.append(text)
    yield row


def _key(batch: str, number: int) -> str:
    return f"{batch}-{number:04d}"


class Batches:
    """Writes batches, works them off, and revives those that were forgotten."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def keep(self, messages: Sequence[AnyMessage]) -> Batch:
        """Write messages down; returns the one that points at them, which the caller sends."""
        now, documents = self._parts.clock.now(), self._parts.documents
        batch, at = f"{now.strftime('%Y%m%dT%H%M%S%f')}-{self._parts.new_id()}", now.isoformat()
        rows = list(_packed(messages))
        await asyncio.gather(
            *(documents.put(ROWS, _key(batch, number), {"texts": row, "at": at}) for number, row in enumerate(rows))
        )
        await documents.put(HEAD, batch, {"id": batch, "rows": len(rows), "at": at})
        log("batch_kept", count=len(messages))
        return Batch(batch=batch)

    async def work_off(self, message: Batch, not_understood: Callable[[str], Awaitable[None]]) -> None:
        """Hand the messages of a batch to the queue; safe to repeat. One that is none of ours is handed over."""
        documents, batch = self._parts.documents, message.batch
        async for text in self.texts(message):
            try:
                known = decode(text)
            except UnknownMessage:
                await not_understood(text)  # of a newer version, which was rolled back
            else:
                await self._parts.queue.send(known)
        if batch:
            await documents.remove(HEAD, batch)
            await documents.purge(ROWS, low=f"{batch}-", high=f"{batch}-~")

    async def texts(self, message: Batch) -> AsyncIterator[str]:
        """Yield the messages that a batch holds, encoded; none of one that has been worked off."""
        for text in message.texts:
            yield text
        head = await self._parts.documents.get(HEAD, message.batch) if message.batch else None
        for number in range(head.value["rows"] if head else 0):
            row = await self._parts.documents.get(ROWS, _key(message.batch, number))
            for text in row.value["texts"] if row else ():
                yield text

    async def forget_unanswered(self) -> int:
        """Remove rows of calls that broke off before they were answered, long ago; returns how many."""
        old = (self._parts.clock.now() - ABANDONED).strftime("%Y%m%d")
        heads = await self._parts.documents.list(HEAD, top=1)
        return await self._parts.documents.purge(ROWS, low="", high=min([old, *(head["id"] for head in heads)]))

    async def revive(self) -> None:
        """Send another message for every batch that was forgotten."""
        now = self._parts.clock.now()
        for head in await self._parts.documents.list(HEAD):
            if now - datetime.fromisoformat(head["at"]) < SILENCE:
                continue
            stored = await self._parts.documents.get(HEAD, head["id"])
            if stored is None or stored.value != head:
                continue
            try:
                await self._parts.documents.put(HEAD, head["id"], {**head, "at": now.isoformat()}, etag=stored.etag)
            except PreconditionLost:
                continue  # worked off meanwhile, or revived by somebody else
            await self._parts.queue.send(Batch(batch=head["id"]))
            log("batch_revived", level=logging.WARNING)
