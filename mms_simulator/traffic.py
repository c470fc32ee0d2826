"""The traffic log: every Graph request and answer as a JSON line, in bounded memory, and on disk with ``--data``."""

from collections import deque
from pathlib import Path
from typing import BinaryIO

import msgspec

from mms_simulator import jsontext

_MEMORY = 64 * 1024 * 1024
_DISK = 512 * 1024 * 1024
_FLUSH = 1024 * 1024


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
    """Appends entries; keeps the newest 64 MiB in memory and two files of 512 MiB on disk."""

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / "traffic.jsonl" if directory else None
        self._file: BinaryIO | None = self._path.open("ab", buffering=_FLUSH) if self._path else None
        self._lines: deque[bytes] = deque()
        self._size = 0

    def add(self, entry: Entry) -> None:
        """Remember one exchange."""
        line = jsontext.encode(entry) + b"\n"
        self._lines.append(line)
        self._size += len(line)
        while self._size > _MEMORY:
            self._size -= len(self._lines.popleft())
        if self._file:
            self._file.write(line)
            if self._file.tell() > _DISK:
                self._rotate()

    def read(self) -> bytes:
        """Give the log as JSON lines: the whole file where there is one, else what memory holds."""
        if self._path is None or self._file is None:
            return b"".join(self._lines)
        self._file.flush()
        return self._path.read_bytes()

    def clear(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._size = 0
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
        self._file = self._path.open("ab", buffering=_FLUSH)
