"""Azure Queue Storage, as the Functions host reads it: base64 text, delayed by the server's own clock."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from mms_core.errors import TemporaryError
from mms_core.messages import AnyMessage, LookAfterSubscriptions, UnknownMessage, Wake, decode, due_of, encode
from mms_core.ports import LONGEST_DELAY, WorkQueue

if TYPE_CHECKING:
    from datetime import datetime

    from azure.storage.queue.aio import QueueClient

_MOST_PEEKED: Final = 32
_HIDDEN: Final = 60
"""Seconds for which a trial message is not seen: it is deleted at once, and expires a second later anyway."""


class StorageWorkQueue(WorkQueue):
    """Wakes go to the run queue, everything else to the trigger queue."""

    def __init__(self, *, triggers: QueueClient, runs: QueueClient) -> None:
        self._triggers = triggers
        self._runs = runs

    async def send(self, message: AnyMessage, *, delay: timedelta | None = None) -> None:
        """See :class:`~mms_core.ports.WorkQueue`."""
        client = self._runs if isinstance(message, Wake) else self._triggers
        seconds = 0
        if delay is not None and delay > timedelta(0):
            # Up to the next whole second: never before the due time.
            seconds = -int(-min(delay, LONGEST_DELAY).total_seconds() // 1)
        try:
            await self._put(client, encode(message), seconds)
        except AzureError as exc:
            raise TemporaryError(type(exc).__name__, code="StorageUnavailable") from exc

    async def front(self) -> datetime | None:
        """See :class:`~mms_core.ports.WorkQueue`. Looks at 32 messages, the most that one request shows."""
        dues: list[datetime] = []
        try:
            for each in await self._runs.peek_messages(max_messages=_MOST_PEEKED):
                with contextlib.suppress(UnknownMessage, ValueError):
                    due = due_of(decode(base64.b64decode(each.content, validate=True)))
                    dues += [due] if due is not None else []
        except ResourceNotFoundError:
            return None
        except AzureError as exc:
            raise TemporaryError(type(exc).__name__, code="StorageUnavailable") from exc
        return min(dues, default=None)

    async def prove(self) -> None:
        """See :class:`~mms_core.ports.WorkQueue`. Were the deletion lost, the message would expire all the same."""
        text = encode(LookAfterSubscriptions())
        try:
            for client in (self._triggers, self._runs):
                with contextlib.suppress(ResourceExistsError):
                    await client.create_queue()
                made = await client.send_message(text, visibility_timeout=_HIDDEN, time_to_live=_HIDDEN + 1)
                await client.delete_message(made)
        except AzureError as exc:
            raise TemporaryError(type(exc).__name__, code="StorageNotWritable") from exc

    @staticmethod
    async def _put(client: QueueClient, text: str, seconds: int) -> None:
        async def put() -> None:
            # Never expires: a message is a promise. The limit of invisibility is 7 days all the same.
            await client.send_message(text, visibility_timeout=seconds, time_to_live=-1)

        try:
            await put()
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):  # another worker was faster
                await client.create_queue()
            await put()

    async def close(self) -> None:
        """Close the clients."""
        await asyncio.gather(self._triggers.close(), self._runs.close())
