"""The ledger in Azure Table Storage.

A partition a user: ``m|<meeting>`` is a meeting's newest entry, ``o|<meeting>`` its original, and ``f|claim`` says
which generation of workers may write them. A claimed ledger writes that row with every other one, in the same entity
group transaction and only if it is still its own: a worker whose lease somebody has taken over cannot write here.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode

from mms_core import jsontext
from mms_core.adapters.tables.clients import Tables, answered, decoding, found, unavailable
from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.ports import Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from mms_core.meetings import LedgerEntry, Original
    from mms_core.model import RunId, UserKey

_CLAIM: Final = "f|claim"
_CLAIM_ATTEMPTS: Final = 20
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
        return [_entry_value(row) for row in await self._rows(key, "m")]

    async def claim(self, key: UserKey, generation: int) -> Ledger:
        """See :class:`~mms_core.ports.Ledger`."""
        table = await self._tables.table("Ledger")
        for _ in range(_CLAIM_ATTEMPTS):
            row = await found(table, key, _CLAIM)
            if row is not None and int(row["Generation"]) > generation:
                break
            nonce = secrets.token_hex(8)
            try:
                if row is None:
                    answer = await answered(table.create_entity(_claim_entity(key, generation, nonce)))
                else:
                    entity = _claim_entity(key, generation, nonce)
                    answer = await answered(table.update_entity(entity, **_fence(row.metadata["etag"])))
            except PreconditionLost:
                continue
            return _ClaimedLedger(self._tables, generation, str(answer["etag"]))
        raise PreconditionLost("the ledger's rows")

    async def _submit(self, key: UserKey, operations: list[tuple[Any, ...]]) -> None:
        """Write rows of a user together."""
        del key  # the rows carry it; a claimed ledger needs it for its claim
        table = await self._tables.table("Ledger")
        await answered(table.submit_transaction(operations))

    async def expire(self, key: UserKey, *, before: datetime, runs: Collection[RunId]) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        old = [row for row in await self._rows(key, "o") if _original_value(row).kept_at < before]
        old += [row for row in await self._rows(key, "m") if _entry_value(row).is_forgotten(before, runs)]
        table = await self._tables.table("Ledger")
        for row in old:
            fence = {"etag": row.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
            with contextlib.suppress(PreconditionLost):  # written anew since
                await answered(table.delete_entity(key, row["RowKey"], **fence))

    async def forget(self, key: UserKey) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        table = await self._tables.table("Ledger")
        try:
            rows = [
                entity["RowKey"] async for entity in table.query_entities(f"PartitionKey eq '{key}'", select=["RowKey"])
            ]
        except AzureError as exc:
            raise unavailable(exc) from exc
        for row in rows:
            await answered(table.delete_entity(key, row))

    async def put(self, key: UserKey, entry: LedgerEntry, original: Original | None = None) -> None:
        """See :class:`~mms_core.ports.Ledger`.

        Raises:
            PermanentError: Code ``OriginalTooLarge``; nothing was written.
        """
        operations = [_upsert(_entry_entity(key, entry))]
        if original is not None:
            kept = await self.original(key, original.key)
            operations.append(_upsert(_original_entity(key, original.succeeding(kept))))
        await self._submit(key, operations)

    async def settle(self, key: UserKey, entry: LedgerEntry, *, written_block: str = "") -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        operations = [_upsert(_entry_entity(key, entry))]
        kept = await self.original(key, entry.key)
        if kept is not None:
            settled = replace(kept, written_hash=entry.written_hash, written_block=written_block)
            operations.append(_upsert(_original_entity(key, settled)))
        await self._submit(key, operations)

    async def entry(self, key: UserKey, meeting: str) -> LedgerEntry | None:
        """See :class:`~mms_core.ports.Ledger`."""
        entity = await found(await self._tables.table("Ledger"), key, f"m|{meeting}")
        return None if entity is None else _entry_value(entity)

    async def original(self, key: UserKey, meeting: str) -> Original | None:
        """See :class:`~mms_core.ports.Ledger`."""
        entity = await found(await self._tables.table("Ledger"), key, f"o|{meeting}")
        return None if entity is None else _original_value(entity)

    async def originals(self, key: UserKey) -> list[Original]:
        """See :class:`~mms_core.ports.Ledger`."""
        originals = [_original_value(row) for row in await self._rows(key, "o")]
        return [each for each in originals if each.undone_at is None]

    async def put_original(self, key: UserKey, original: Original) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        await self._submit(key, [_upsert(_original_entity(key, original))])


class _ClaimedLedger(TableLedger):
    """The ledger of one lease holder: one write after the other, each fenced by the claim as the last one left it."""

    def __init__(self, tables: Tables, generation: int, etag: str) -> None:
        super().__init__(tables)
        self._generation = generation
        self._etag = etag
        self._lock = asyncio.Lock()

    async def _submit(self, key: UserKey, operations: list[tuple[Any, ...]]) -> None:
        table = await self._tables.table("Ledger")
        async with self._lock:
            nonce = secrets.token_hex(8)
            claim = ("update", _claim_entity(key, self._generation, nonce), _fence(self._etag))
            try:
                results = await answered(table.submit_transaction([claim, *operations]))
            except (PreconditionLost, TemporaryError):
                row = await found(table, key, _CLAIM)
                if row is None or row["Nonce"] != nonce:
                    raise
                # It was carried out and only its answer was lost.
                self._etag = str(row.metadata["etag"])
            else:
                self._etag = str(results[0]["etag"])


def _fence(etag: str) -> dict[str, Any]:
    return {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified}


def _claim_entity(key: UserKey, generation: int, nonce: str) -> dict[str, Any]:
    return {"PartitionKey": key, "RowKey": _CLAIM, "Generation": generation, "Nonce": nonce, "V": 1}


def _upsert(entity: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "upsert", entity, {"mode": UpdateMode.REPLACE}


def _entry_entity(key: UserKey, entry: LedgerEntry) -> dict[str, Any]:
    return {"PartitionKey": key, "RowKey": f"m|{entry.key}", "Entry": jsontext.dumps(entry).decode(), "V": 1}


def _entry_value(entity: Any) -> LedgerEntry:
    # Meetings' types are imported here and below, because a webhook's first answer builds a ledger and reads none.
    from mms_core.meetings import LedgerEntry  # noqa: PLC0415

    with decoding():
        return jsontext.loads(entity["Entry"], LedgerEntry)


def _original_entity(key: UserKey, original: Original) -> dict[str, Any]:
    from mms_core.packing import pack  # noqa: PLC0415

    chunks = list(_chunks(pack(original)))
    parts = {f"Part{number:02d}": chunk for number, chunk in enumerate(chunks)}
    return {"PartitionKey": key, "RowKey": f"o|{original.key}", "Parts": len(chunks), **parts, "V": 1}


def _original_value(entity: Any) -> Original:
    from mms_core.packing import unpack  # noqa: PLC0415

    with decoding():
        return unpack(b"".join(entity[f"Part{number:02d}"] for number in range(entity["Parts"])))
