"""The archive of purged rows in Azure Table Storage: a partition a day, a row a user's run, its lines as properties.

A table and not a blob, because the app has the right to write tables anyway, and an appended blob has no way to say
that the same lines were written before. ``python -m mms_core.archive DAY`` prints a day as JSON lines.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError
from azure.data.tables import UpdateMode

from mms_core.adapters.tables.clients import Tables, answered, key_safe, unavailable
from mms_core.ports import Archive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_CHUNK: Final = 60_000
_MOST_CHUNKS: Final = 10
"""An entity holds 1 MiB."""


class TableArchive(Archive):
    """Lines in table ``<prefix>Archive``."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def append(self, day: str, name: str, lines: Sequence[str]) -> None:
        """See :class:`~mms_core.ports.Archive`."""
        table = await self._tables.table("Archive")
        data = zlib.compress("\n".join(lines).encode("utf-8", "surrogatepass"), 6)
        chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
        for number in range(0, len(chunks), _MOST_CHUNKS):
            some = chunks[number : number + _MOST_CHUNKS]
            entity = {
                "PartitionKey": key_safe(day),
                "RowKey": f"{key_safe(name)}-{number:04d}",
                "Parts": len(some),
                "V": 1,
                **{f"Part{index:02d}": chunk for index, chunk in enumerate(some)},
            }
            await answered(table.upsert_entity(entity, mode=UpdateMode.REPLACE))

    async def lines(self, day: str) -> AsyncIterator[str]:
        """See :class:`~mms_core.ports.Archive`."""
        table = await self._tables.table("Archive")
        name, data = "", b""
        try:
            async for entity in table.query_entities(f"PartitionKey eq '{key_safe(day)}'"):
                owner = entity["RowKey"].rpartition("-")[0]
                if owner != name and data:
                    for line in _unpacked(data):
                        yield line
                    data = b""
                name = owner
                data += b"".join(entity[f"Part{number:02d}"] for number in range(entity["Parts"]))
        except AzureError as exc:
            raise unavailable(exc) from exc
        if data:
            for line in _unpacked(data):
                yield line


def _unpacked(data: bytes) -> list[str]:
    return zlib.decompress(data).decode("utf-8", "surrogatepass").split("\n")
