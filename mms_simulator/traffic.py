"""The traffic log: every Graph request and answer as a JSON line; compressed in bounded memory, or on disk."""

import zlib
from collections import deque
from pathlib import Path
from typing import BinaryIO

import msgspec

from mms_simulator import jsontext

_CHUNK = 1024 * 1024
_MEMORY = 48 * 1024 * 1024
"""Compressed, so about ten times as much text."""
_DISK = 1024 * 1024 * 1024
_FASTEST = 1


class Entry(msgspec.Struct, kw_only=True):
    """One request and its answer; bodies are the JSON that travelled, or text when they were no JSON."""

    at: str
    id: str
    method: str
    path: str
    query: str
    route: str
    requestHeaders: dict[str, str]
    requestBody: msgspec.Raw | None
    status: int
    responseHeaders: dict[str, str]
    responseBody: msgspec.Raw | None
    durationMs: float


class Traffic:
    """Appends entries: with a directory to a file (two of 1 GiB at most), else to memory, the oldest going first."""

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / "traffic.jsonl" if directory else None
        self._file: BinaryIO | None = self._path.open("ab", buffering=_CHUNK) if self._path else None
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._open = bytearray()

    def add(self, entry: Entry) -> None:
        """Remember one exchange."""
        line = jsontext.encode(entry) + b"\n"
        if self._file:
            self._file.write(line)
            if self._file.tell() > _DISK:
                self._rotate()
            return
        self._open += line
        if len(self._open) > _CHUNK:
            self._chunks.append(zlib.compress(self._open, _FASTEST))
            self._size += len(self._chunks[-1])
            self._open = bytearray()
            while self._size > _MEMORY:
                self._size -= len(self._chunks.popleft())

    def read(self) -> bytes:
        """Give the log as JSON lines."""
        if self._path and self._file:
            self._file.flush()
            return self._path.read_bytes()
        return b"".join(zlib.decompress(chunk) for chunk in self._chunks) + bytes(self._open)

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._size = 0
        self._open = bytearray()
        if self._file:
            self._file.truncate(0)

    def flush(self) -> None:
        """Hand to the operating system what is buffered."""
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _rotate(self) -> None:
        if self._path is None or self._file is None:
            return
        self._file.close()
        self._path.replace(self._path.with_suffix(".1.jsonl"))
        self._file = self._path.open("ab", buffering=_CHUNK)
