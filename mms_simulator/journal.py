"""State on disk: an append-only journal of whole records, one transaction a request.

A transaction is lines ``kind TAB key TAB json`` closed by an empty line, written by one ``write`` before the request is
answered. The operating system keeps what was written when the process is killed; a transaction that was cut short has
no empty line and is forgotten. At start, and when much of the file is out of date, the journal is rewritten.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_COMPACT_AT = 256 * 1024 * 1024
_COMPACT_RATIO = 4


class Journal:
    """Durable map of (kind, key) to JSON text; without a directory it keeps nothing."""

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / "tenant.journal" if directory else None
        self._file: BinaryIO | None = None
        self._pending: list[bytes] = []
        self._written = 0
        self._live_size = 0

    def load(self) -> dict[str, dict[str, bytes]]:
        """Read all complete transactions; the last record of each key wins, deleted keys are left out."""
        tables: dict[str, dict[str, bytes]] = {}
        if self._path is None or not self._path.exists():
            return tables
        batch: list[tuple[str, str, bytes]] = []
        with self._path.open("rb") as lines:
            for line in lines:
                if line == b"\n":
                    for kind, key, value in batch:
                        _apply(tables.setdefault(kind, {}), key, value)
                    batch = []
                elif line.endswith(b"\n"):
                    kind_text, key_text, value = line[:-1].split(b"\t", 2)
                    batch.append((kind_text.decode(), key_text.decode(), value))
        return tables

    def rewrite(self, records: Iterable[tuple[str, str, bytes]]) -> None:
        """Replace the journal, atomically, by one that holds exactly these records, and go on appending to it."""
        if self._path is None:
            return
        if self._file:
            self._file.close()
        draft = self._path.with_suffix(".draft")
        with draft.open("wb") as out:
            for kind, key, value in records:
                out.write(_line(kind, key, value))
            out.write(b"\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._path)
        self._file = self._path.open("ab", buffering=0)
        self._live_size = self._written = self._path.stat().st_size

    @property
    def enabled(self) -> bool:
        """Whether anything is kept at all; callers skip the encoding when not."""
        return self._path is not None

    @property
    def wants_compaction(self) -> bool:
        """Whether most of the file is out of date."""
        return self._written > _COMPACT_AT and self._written > _COMPACT_RATIO * self._live_size

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Add a record to the open transaction; an empty value deletes."""
        self._pending.append(_line(kind, key, value))

    def commit(self) -> None:
        """Write the open transaction."""
        if not self._pending or self._file is None:
            return
        self._pending.append(b"\n")
        block = b"".join(self._pending)
        self._pending = []
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._written += len(block)

    def close(self) -> None:
        """Write what is open and close the file."""
        self.commit()
        if self._file:
            self._file.close()
            self._file = None


def _line(kind: str, key: str, value: bytes) -> bytes:
    return b"%b\t%b\t%b\n" % (kind.encode(), key.encode(), value)


def _apply(table: dict[str, bytes], key: str, value: bytes) -> None:
    if value:
        table[key] = value
    else:
        table.pop(key, None)
