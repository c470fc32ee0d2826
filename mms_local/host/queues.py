"""Queue triggers with the real host's rules: batches, a renewed lease, dequeue counts, poison queues, back-off."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.functions.queue import QueueMessage
from azure.storage.queue.aio import QueueServiceClient

from mms_local.host.appsettings import DEVELOPMENT_STORAGE, QueueConnection
from mms_local.host.backoff import PollingBackoff
from mms_local.host.logs import LOGGER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.storage.queue import QueueMessage as StoredMessage
    from azure.storage.queue.aio import QueueClient

    from mms_local.host.configuration import QueueOptions
    from mms_local.host.indexing import IndexedFunction
    from mms_local.host.invocation import Invoker

LEASE: Final = timedelta(minutes=10)
"""Invisibility of a message while its function runs; renewed at half time. Not configurable in the real host."""
SHORTEST_RENEWAL: Final = timedelta(minutes=1)
"""After a failed renewal the next try comes sooner and sooner, down to this."""
POISON_SUFFIX: Final = "-poison"
_LONGEST_NAME: Final = 63
_DEVSTORE: Final = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1"
)
_GONE: Final = frozenset(
    {"MessageNotFound", "PopReceiptMismatch", "QueueNotFound", "QueueBeingDeleted", "QueueDisabled"}
)
_RETRY: Final[dict[str, Any]] = {"initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1, "retry_total": 3}
_STOP_PATIENCE: Final = timedelta(seconds=5)


class LostMessageError(Exception):
    """Somebody else has the message now, or it is gone."""


def service_client(connection: QueueConnection) -> QueueServiceClient:
    """Make the host's own client. It retries for a few seconds; what lasts longer is the listener's to wait out."""
    if connection.connection_string is not None:
        is_default = connection.connection_string.strip().rstrip(";") == DEVELOPMENT_STORAGE
        text = _DEVSTORE if is_default else connection.connection_string
        return QueueServiceClient.from_connection_string(text, **_RETRY)
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - half a second that few need

    return QueueServiceClient(str(connection.queue_service_url), credential=DefaultAzureCredential(), **_RETRY)


class Watchers:
    """Tells listeners of this host that it has put a message on their queue, so that they need not poll for it."""

    def __init__(self) -> None:
        self._wake: dict[str, asyncio.Event] = {}

    def event(self, queue_name: str) -> asyncio.Event:
        """Return the event that is set when *queue_name* gets a message from this host."""
        return self._wake.setdefault(queue_name, asyncio.Event())

    def notify(self, queue_name: str) -> None:
        """Wake the listener of *queue_name*, if there is one."""
        if queue_name in self._wake:
            self._wake[queue_name].set()


class MessageLease:
    """Keeps one message invisible while its function runs, and knows its newest pop receipt."""

    def __init__(self, queue: QueueClient, message: StoredMessage, *, lease: timedelta, shortest: timedelta) -> None:
        self._queue = queue
        self._message_id = str(message.id)
        self._lease = lease
        self._shortest = min(shortest, lease / 2)
        self.pop_receipt = str(message.pop_receipt)
        self.renewals = 0
        """How often it was renewed so far."""

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Renew the lease while the block runs.

        At the end of the block a renewal that is under way is waited for: its answer holds the receipt that the next
        call needs.
        """
        over = asyncio.Event()
        keeper = asyncio.create_task(self._keep(over))
        try:
            yield
        finally:
            over.set()
            await keeper

    async def _keep(self, over: asyncio.Event) -> None:
        pause = self._lease / 2
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause.total_seconds()):
                    await over.wait()
            if over.is_set():
                return
            try:
                await self.update(self._lease)
            except LostMessageError:
                LOGGER.warning("Message '%s' is no longer ours; another copy may start", self._message_id)
                return
            except AzureError as error:
                pause = max(pause / 2, self._shortest)
                LOGGER.warning("Lease of message '%s' was not renewed: %s", self._message_id, type(error).__name__)
            else:
                self.renewals += 1
                pause = self._lease / 2

    async def update(self, visibility: timedelta) -> None:
        """Set the time until the message shows again.

        Errors: :class:`LostMessageError`; :class:`AzureError` when storage does not answer as it should.
        """
        try:
            answer = await self._queue.update_message(
                self._message_id, self.pop_receipt, visibility_timeout=int(visibility.total_seconds())
            )
        except HttpResponseError as error:
            raise _lost_or(error) from error
        self.pop_receipt = str(answer.pop_receipt)

    async def delete(self) -> None:
        """Remove the message from the queue.

        Errors: as :meth:`update`.
        """
        try:
            await self._queue.delete_message(self._message_id, self.pop_receipt)
        except HttpResponseError as error:
            raise _lost_or(error) from error


class QueueListener:
    """Feeds one queue to one function.

    Args:
        function: With its trigger resolved.
        service: Client of the storage account.
        options: Section ``queues`` of host.json.
        invoker: Runs the function.
        watchers: Shared by all listeners of this host.
        lease: Shorter in tests only.
        shortest_renewal: Shorter in tests only.
    """

    def __init__(
        self,
        function: IndexedFunction,
        service: QueueServiceClient,
        *,
        options: QueueOptions,
        invoker: Invoker,
        watchers: Watchers,
        lease: timedelta = LEASE,
        shortest_renewal: timedelta = SHORTEST_RENEWAL,
    ) -> None:
        self._function = function
        self._options = options
        self._invoker = invoker
        self._watchers = watchers
        self._lease = lease
        self._shortest = shortest_renewal
        self._name = str(function.trigger["queueName"])
        self._queue = service.get_queue_client(self._name)
        self._poison_name = poison_queue_name(self._name)
        self._poison = service.get_queue_client(self._poison_name) if self._poison_name else None
        self._backoff = PollingBackoff(options.max_polling_interval)
        self._wake = watchers.event(self._name)
        self._processing: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen(), name=f"queue {self._name}")

    async def stop(self) -> None:
        """Fetch no more; return when every message taken is finished or given back."""
        self._stopping.set()
        self._wake.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=_STOP_PATIENCE.total_seconds())
            if not done:
                self._task.cancel()
        if self._processing:
            await asyncio.wait(self._processing)

    async def _listen(self) -> None:
        found_since_pause = False
        while not self._stopping.is_set():
            found = await self._fetch()
            if found:
                found_since_pause = True
                while len(self._processing) > self._options.new_batch_threshold and not self._stopping.is_set():
                    await asyncio.wait(self._processing, return_when=asyncio.FIRST_COMPLETED)
                continue
            pause = self._backoff.next_delay(found_message=found_since_pause)
            found_since_pause = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause.total_seconds()):
                    await self._wake.wait()
            if not self._stopping.is_set():
                self._wake.clear()

    async def _fetch(self) -> bool:
        """Take one batch and start its functions; tell whether there was any message."""
        found = False
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._options.batch_size, visibility_timeout=int(self._lease.total_seconds())
            ).by_page()
            async for message in await anext(pages):
                found = True
                work = self._give_back(message) if self._stopping.is_set() else self._process(message)
                task = asyncio.create_task(work)
                self._processing.add(task)
                task.add_done_callback(self._processing.discard)
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001 - nothing may end the listener: what is wrong with storage may pass
            if getattr(error, "error_code", None) == "QueueNotFound":
                await self._create_queue()
            else:
                LOGGER.warning("Cannot read queue '%s': %s", self._name, type(error).__name__)
        return found

    async def _create_queue(self) -> None:
        """In Azure the deployment creates the queues; here nobody else does."""
        with contextlib.suppress(AzureError):
            await self._queue.create_queue()
            LOGGER.info("Created queue '%s'", self._name)

    async def _give_back(self, message: StoredMessage) -> None:
        lease = MessageLease(self._queue, message, lease=self._lease, shortest=self._shortest)
        with contextlib.suppress(LostMessageError, AzureError):
            await lease.update(timedelta(0))

    async def _process(self, message: StoredMessage) -> None:
        lease = MessageLease(self._queue, message, lease=self._lease, shortest=self._shortest)
        try:
            if (message.dequeue_count or 0) > self._options.max_dequeue_count:
                await self._move_to_poison(message, lease)
                return
            try:
                body = self._decode(message)
            except ValueError:
                LOGGER.error("Message '%s' of queue '%s' is not base64", message.id, self._name)
                await self._move_to_poison(message, lease)
                return
            async with lease.held():
                succeeded = await self._run(message, body)
            await self._complete(message, lease, succeeded=succeeded)
        except LostMessageError:
            LOGGER.warning("Message '%s' of queue '%s' was not ours any more", message.id, self._name)
        except AzureError as error:
            LOGGER.error("Message '%s' of queue '%s' not settled: %s", message.id, self._name, type(error).__name__)

    async def _run(self, message: StoredMessage, body: bytes) -> bool:
        value = QueueMessage(  # type: ignore[no-untyped-call]  # the library has no annotation there
            id=message.id,
            body=body,
            dequeue_count=message.dequeue_count,
            expiration_time=message.expires_on,
            insertion_time=message.inserted_on,
            time_next_visible=message.next_visible_on,
            pop_receipt=message.pop_receipt,
        )
        reason = f"New queue message detected on '{self._name}'."
        try:
            result = await self._invoker.invoke(self._function, value, reason=reason)
        except Exception:  # noqa: BLE001 - the function's own error, logged by the invoker
            return False
        if result is not None:
            LOGGER.error("Function '%s' has no return binding but returned a value: failed", self._function.name)
        return result is None

    async def _complete(self, message: StoredMessage, lease: MessageLease, *, succeeded: bool) -> None:
        if succeeded:
            await lease.delete()
        elif self._poison is None:
            pass  # a poison queue has no poison queue: the message shows again when its lease ends
        elif (message.dequeue_count or 0) >= self._options.max_dequeue_count:
            await self._move_to_poison(message, lease)
        else:
            await lease.update(self._options.visibility_timeout)

    async def _move_to_poison(self, message: StoredMessage, lease: MessageLease) -> None:
        if self._poison is None or self._poison_name is None:
            return
        LOGGER.warning(
            "Message '%s' has reached MaxDequeueCount of %d or cannot be read. Moving it to queue '%s'",
            message.id,
            self._options.max_dequeue_count,
            self._poison_name,
        )
        try:
            await self._poison.send_message(message.content)
        except HttpResponseError as error:
            if error.status_code != 404:  # noqa: PLR2004 - HTTP
                raise
            with contextlib.suppress(ResourceExistsError):
                await self._poison.create_queue()
            await self._poison.send_message(message.content)
        await lease.delete()
        self._watchers.notify(self._poison_name)

    def _decode(self, message: StoredMessage) -> bytes:
        content = str(message.content)
        if not self._options.base64:
            return content.encode()
        try:
            return base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise ValueError("not base64") from error


def poison_queue_name(queue_name: str) -> str | None:
    """Return where hopeless messages of *queue_name* go, ``None`` for a poison queue or a name too long."""
    name = queue_name + POISON_SUFFIX
    return None if queue_name.endswith(POISON_SUFFIX) or len(name) > _LONGEST_NAME else name


def _lost_or(error: HttpResponseError) -> Exception:
    code: Any = getattr(error, "error_code", None)
    return LostMessageError() if str(getattr(code, "value", code)) in _GONE else error
