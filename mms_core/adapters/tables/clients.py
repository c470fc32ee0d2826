"""Clients of the tables, and what all of them share: creating on first use, translating errors, safe keys."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from mms_core.errors import PreconditionLost, RecordUnreadable, TemporaryError
from mms_core.metrics import RECORDS_UNREADABLE, measure
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from azure.data.tables.aio import TableClient

T = TypeVar("T")

SHARDS: Final = 32
CONFLICTS: Final = (409, 412)
_LONGEST_KEY: Final = 200


def shard(key: str) -> str:
    """Return the partition of a user's key."""
    return f"s{hashlib.sha256(key.encode()).digest()[0] % SHARDS:02d}"


def key_safe(key: str) -> str:
    r"""Return *key* if a row key may hold it, else its hash (``/ \ # ? %`` and control characters break keys)."""
    if len(key) <= _LONGEST_KEY and key.isascii() and all(each.isalnum() or each in "-_.@" for each in key):
        return key
    return "h-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def unavailable(exc: AzureError) -> TemporaryError:
    """Translate a failure that is worth another try; the foreign text stays out."""
    status = exc.status_code if isinstance(exc, HttpResponseError) else None
    return TemporaryError(f"{type(exc).__name__} {status or ''}".strip(), code="StorageUnavailable")


@contextmanager
def decoding() -> Iterator[None]:
    """Say of a row that cannot be decoded that it is damaged, or of a later version. Raises ``RecordUnreadable``."""
    try:
        yield
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError, zlib.error) as exc:
        raise RecordUnreadable(type(exc).__name__) from exc


def left_out(exc: RecordUnreadable, *, where: str) -> None:
    """Count a row that a list goes on without, and say it; *where* is its partition."""
    measure(RECORDS_UNREADABLE, code=exc.code)
    log("row_unreadable", level=logging.ERROR, code=exc.code, where=where)


async def answered(call: Awaitable[T]) -> T:
    """Await a storage call and translate what it raises.

    Raises:
        PreconditionLost: The row is another one by now.
        TemporaryError: Storage did not answer as it should.
    """
    try:
        return await call
    except (ResourceExistsError, ResourceModifiedError) as exc:
        raise PreconditionLost(type(exc).__name__) from exc
    except HttpResponseError as exc:
        if exc.status_code in CONFLICTS:
            raise PreconditionLost(str(exc.status_code)) from exc
        raise unavailable(exc) from exc
    except AzureError as exc:
        raise unavailable(exc) from exc


async def found(table: TableClient, partition: str, row: str) -> Any:
    """Return an entity, or ``None``; ``Any``, because an entity is a dictionary of any shape."""
    try:
        return await table.get_entity(partition, row)
    except ResourceNotFoundError:
        return None
    except AzureError as exc:
        raise unavailable(exc) from exc


class Tables:
    """Hands out clients of the tables and creates a missing one on first use."""

    def __init__(self, client: Callable[[str], TableClient], *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._ready: dict[str, TableClient] = {}
        self._lock = asyncio.Lock()

    async def table(self, name: str) -> TableClient:
        """Return the client of ``<prefix><name>``; the table exists afterwards."""
        if name not in self._ready:
            async with self._lock:
                if name not in self._ready:
                    client = self._client(self._prefix + name)
                    try:
                        with suppress(ResourceExistsError):  # the usual case: every start but the first
                            await client.create_table()
                    except AzureError as exc:
                        await client.close()
                        raise unavailable(exc) from exc
                    self._ready[name] = client
        return self._ready[name]

    async def close(self) -> None:
        """Close the clients."""
        await asyncio.gather(*(client.close() for client in self._ready.values()))
        self._ready.clear()
