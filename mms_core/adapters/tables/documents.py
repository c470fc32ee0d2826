"""Small JSON documents in Azure Table Storage."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from mms_core import jsontext
from mms_core.adapters.tables.clients import (
    SHARDS,
    Tables,
    answered,
    decoding,
    found,
    key_safe,
    left_out,
    shard,
    unavailable,
)
from mms_core.errors import PreconditionLost, RecordUnreadable, TemporaryError
from mms_core.ports import ONE_A_USER, Documents, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.data.tables.aio import TableClient

_TRANSACTION: Final = 100
"""Entities that one transaction takes."""
_CHUNK: Final = 15_000
"""Characters in a property: 64 KiB of UTF-16, and a character may need two of its units."""


class TableDocuments(Documents):
    """Small documents: partition = kind (sharded where there is one a user), row = key."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @staticmethod
    def _partition(kind: str, key: str) -> str:
        return f"{kind}-{shard(key)}" if kind in ONE_A_USER else kind

    async def get(self, kind: str, key: str) -> Stored[dict[str, Any]] | None:
        """See :class:`~mms_core.ports.Documents`."""
        entity = await found(await self._tables.table("State"), self._partition(kind, key), key_safe(key))
        if entity is None:
            return None
        return Stored(_value(entity), str(entity.metadata["etag"]))

    async def put(self, kind: str, key: str, value: dict[str, Any], *, etag: str | None = None) -> str:
        """See :class:`~mms_core.ports.Documents`."""
        table = await self._tables.table("State")
        entity = {
            "PartitionKey": self._partition(kind, key),
            "RowKey": key_safe(key),
            **_properties(value),
        }
        if etag is None:
            answer = await answered(table.upsert_entity(entity, mode=UpdateMode.REPLACE))
        elif etag == "":
            answer = await answered(table.create_entity(entity))
        else:
            fenced = table.update_entity(
                entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
            )
            try:
                answer = await answered(fenced)
            except TemporaryError as exc:
                if isinstance(exc.__cause__, ResourceNotFoundError):
                    raise PreconditionLost("the document is gone") from exc
                raise
        return str(answer["etag"])

    async def list(self, kind: str, *, top: int = 1000, after: str = "") -> list[dict[str, Any]]:
        """See :class:`~mms_core.ports.Documents`."""
        if kind in ONE_A_USER:
            raise ValueError(f"{kind} is spread over partitions and cannot be listed")
        table = await self._tables.table("State")
        documents: list[dict[str, Any]] = []
        try:
            condition = f"PartitionKey eq '{kind}' and RowKey gt '{key_safe(after)}'"
            async for entity in table.query_entities(condition, results_per_page=min(top, 1000)):
                value = _readable(entity)
                documents += [] if value is None else [value]
                if len(documents) == top:
                    break
        except AzureError as exc:
            raise unavailable(exc) from exc
        return documents

    async def remove(self, kind: str, key: str) -> None:
        """See :class:`~mms_core.ports.Documents`."""
        table = await self._tables.table("State")
        await answered(table.delete_entity(self._partition(kind, key), key_safe(key)))

    async def purge(self, kind: str, *, low: str, high: str) -> int:
        """See :class:`~mms_core.ports.Documents`."""
        if kind in ONE_A_USER:
            raise ValueError(f"{kind} is spread over partitions and cannot be purged")
        table = await self._tables.table("State")
        start, end = (bound.replace("'", "''") for bound in (low, high))
        condition = f"PartitionKey eq '{kind}' and RowKey ge '{start}' and RowKey lt '{end}'"
        try:
            rows = [entity["RowKey"] async for entity in table.query_entities(condition, select=["RowKey"])]
        except AzureError as exc:
            raise unavailable(exc) from exc
        for row in rows:
            await answered(table.delete_entity(kind, row))
        return len(rows)

    async def expire(self, kind: str, *, field: str, before: datetime) -> int:
        """See :class:`~mms_core.ports.Documents`. A document that is written meanwhile stays, with its hundred."""
        table = await self._tables.table("State")
        partitions = [f"{kind}-s{number:02d}" for number in range(SHARDS)] if kind in ONE_A_USER else [kind]
        removed = 0
        for partition in partitions:
            try:
                old = [
                    entity
                    async for entity in table.query_entities(f"PartitionKey eq '{partition}'")
                    if (at := (_readable(entity) or {}).get(field)) and datetime.fromisoformat(at) < before
                ]
            except AzureError as exc:
                raise unavailable(exc) from exc
            for start in range(0, len(old), _TRANSACTION):
                removed += await self._remove(table, old[start : start + _TRANSACTION])
        return removed

    @staticmethod
    async def _remove(table: TableClient, entities: Sequence[Any]) -> int:
        steps: Any = [
            (
                "delete",
                {"PartitionKey": entity["PartitionKey"], "RowKey": entity["RowKey"]},
                {"etag": entity.metadata["etag"], "match_condition": MatchConditions.IfNotModified},
            )
            for entity in entities
        ]
        try:
            await answered(table.submit_transaction(steps))
        except PreconditionLost:
            return 0
        return len(entities)


def _properties(value: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that hold a document: one if it fits, several if a poisoned message is 48 KiB long."""
    text = jsontext.dumps(value).decode()
    chunks = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]
    more = {f"Value{number:02d}": chunk for number, chunk in enumerate(chunks[1:], 1)}
    return {"Value": chunks[0], **more, "V": 1}


def _value(entity: Any) -> dict[str, Any]:
    """Return the document that an entity holds. Raises ``RecordUnreadable``."""
    with decoding():
        chunks = [entity["Value"]]
        while (name := f"Value{len(chunks):02d}") in entity:
            chunks.append(entity[name])
        return jsontext.loads("".join(chunks), dict[str, Any])


def _readable(entity: Any) -> dict[str, Any] | None:
    """Return what an entity of a list holds; one that cannot be read is left out, and said to be."""
    try:
        return _value(entity)
    except RecordUnreadable as exc:
        left_out(exc, where=str(entity["PartitionKey"]))
        return None
