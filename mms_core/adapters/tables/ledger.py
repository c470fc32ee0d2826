"""The ledger in Azure Table Storage.

A partition a user: ``m|<meeting>`` is a meeting's newest entry, ``o|<meeting>`` its original.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode

from mms_core import jsontext
from mms_core.adapters.tables.clients import Tables, answered, found, unavailable
from mms_core.model import LedgerEntry, Original, UserKey
from mms_core.packing import pack, unpack
from mms_core.ports import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHUNK: Final = 60_000
"""Bytes in a binary property (the limit is 64 KiB)."""


def _chunks(data: bytes) -> Iterable[bytes]:
    return (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))


class TableLedger(Ledger):
    """A partition a user: ``m|<meeting>`` the newest entry, ``o|<meeting>`` the original."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def _rows(self, key: UserKey, prefix: str) -> list[Any]:
        table = await self._tables.table("Ledger")
        condition = f"PartitionKey eq '{key}' and RowKey gt '{prefix}|' and RowKey lt '{prefix}|~'"
        try:
            return [entity async for entity in table.query_entities(condition)]
        except AzureError as exc:
            raise unavailable(exc) from exc

    async def entries(self, key: UserKey) -> list[LedgerEntry]:
        """See :class:`~mms_core.ports.Ledger`."""
        return [jsontext.loads(row["Entry"], LedgerEntry) for row in await self._rows(key, "m")]

    async def put(self, key: UserKey, entry: LedgerEntry, original: Original | None = None) -> None:
        """See :class:`~mms_core.ports.Ledger`.

        Raises:
            PermanentError: Code ``OriginalTooLarge``; nothing was written.
        """
        table = await self._tables.table("Ledger")
        operations = [_upsert(_entry_entity(key, entry))]
        if original is not None:
            kept = await self._original(key, original.key)
            operations.append(_upsert(_original_entity(key, original.succeeding(kept))))
        await answered(table.submit_transaction(operations))

    async def settle(self, key: UserKey, entry: LedgerEntry) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        table = await self._tables.table("Ledger")
        operations = [_upsert(_entry_entity(key, entry))]
        kept = await self._original(key, entry.key)
        if kept is not None:
            operations.append(_upsert(_original_entity(key, replace(kept, written_hash=entry.written_hash))))
        await answered(table.submit_transaction(operations))

    async def _original(self, key: UserKey, meeting: str) -> Original | None:
        entity = await found(await self._tables.table("Ledger"), key, f"o|{meeting}")
        return None if entity is None else _original_value(entity)

    async def originals(self, key: UserKey) -> list[Original]:
        """See :class:`~mms_core.ports.Ledger`."""
        originals = [_original_value(row) for row in await self._rows(key, "o")]
        return [each for each in originals if each.undone_at is None]

    async def put_original(self, key: UserKey, original: Original) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        table = await self._tables.table("Ledger")
        await answered(table.upsert_entity(_original_entity(key, original), mode=UpdateMode.REPLACE))


def _upsert(entity: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "upsert", entity, {"mode": UpdateMode.REPLACE}


def _entry_entity(key: UserKey, entry: LedgerEntry) -> dict[str, Any]:
    return {"PartitionKey": key, "RowKey": f"m|{entry.key}", "Entry": jsontext.dumps(entry).decode(), "V": 1}


def _original_entity(key: UserKey, original: Original) -> dict[str, Any]:
    chunks = list(_chunks(pack(original)))
    parts = {f"Part{number:02d}": chunk for number, chunk in enumerate(chunks)}
    return {"PartitionKey": key, "RowKey": f"o|{original.key}", "Parts": len(chunks), **parts, "V": 1}


def _original_value(entity: Any) -> Original:
    return unpack(b"".join(entity[f"Part{number:02d}"] for number in range(entity["Parts"])))
