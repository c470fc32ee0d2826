"""Lists of users in CSV, as Excel, ``Export-Csv`` and ``mms`` itself write them; read line by line."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mms_cli.failures import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_IDENTITY_TITLES: Final = ("identity", "userprincipalname", "upn", "userid", "objectid", "mail", "user")
"""Titles of the column that names the user, the most telling first; in any case, blanks left out."""
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NAME: Final = re.compile(r"(sip:)?[^\s@/\\?]+@[^\s@/\\?#]+", re.IGNORECASE)
_LONGEST: Final = 320
_PRIORITIES: Final = frozenset("0123456789")
_SNIFFED: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a list."""

    line: int
    """Of the file, where the row ends; 1 is the first."""
    identity: str
    source: str | None = None
    target: str | None = None
    not_before: str | None = None
    priority: int = 0
    correlation_id: str | None = None
    problem: str | None = None
    """Why the row cannot be sent."""
    digest: str = ""
    """Of the file up to the end of this row."""


def identity_problem(text: str) -> str | None:
    """Say what keeps *text* from being an identity; ``None`` if nothing does."""
    if not text:
        return "no identity"
    if "\ufffd" in text or any("\ud800" <= each <= "\udfff" for each in text):
        return "not readable: the file is neither UTF-8 nor UTF-16"
    if _GUID.fullmatch(text) or (len(text) <= _LONGEST and text.isprintable() and _NAME.fullmatch(text)):
        return None
    return "neither a user principal name, an object id nor a SIP address"


class _Lines:
    """Lines of a file, with a digest of all that were read."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._digest.update(line.encode("utf-8", "surrogatepass"))
        return line

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _delimiter(head: str) -> str:
    """Excel writes semicolons where the comma is the decimal sign."""
    first = next((line for line in head.splitlines() if line.strip() and not line.startswith("#TYPE")), "")
    return max(",;\t", key=first.count)


def _normal(title: str) -> str:
    return title.strip().lower().replace(" ", "").replace("-", "")


class UserList:
    """A list that is being read.

    Args:
        raw: The file, at its beginning.
    """

    def __init__(self, raw: io.BufferedReader) -> None:
        head = raw.peek(_SNIFFED)[:_SNIFFED]
        encoding = _encoding(head)
        # A byte that is not UTF-8 spoils its own row only.
        errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
        text = io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")
        self._lines = _Lines(text)
        self._reader = csv.reader(self._lines, delimiter=_delimiter(head.decode(encoding, "replace")))
        self._columns: dict[str, int] | None = None

    @property
    def has_priorities(self) -> bool:
        """Whether it has a column of that name; known once a row has been read."""
        return self._columns is not None and "priority" in self._columns

    def __iter__(self) -> Iterator[Entry]:
        while True:
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Entry(line=self._reader.line_num, identity="", problem=str(error), digest=self._lines.digest)
                continue
            if not any(cell.strip() for cell in cells) or cells[0].startswith("#TYPE "):
                continue
            if self._columns is None:
                self._columns = self._read_titles(cells)
                if self._columns is not None:
                    continue
                self._columns = {"identity": 0}
            yield self._entry(cells, self._columns)

    def _read_titles(self, cells: list[str]) -> dict[str, int] | None:
        """Return where which column is; ``None`` where the first row is a user already."""
        titles = {_normal(cell): number for number, cell in reversed(list(enumerate(cells)))}
        for name in _IDENTITY_TITLES:
            if name in titles:
                return {**titles, "identity": titles[name]}
        if identity_problem(cells[0].strip()) is None:
            return None
        raise UsageError(
            f"the first row names no column with users: {', '.join(cell.strip() for cell in cells)[:200]}",
            remedy="Call the column Identity, UserPrincipalName or UserId.",
        )

    def _entry(self, cells: list[str], columns: dict[str, int]) -> Entry:
        def cell(name: str) -> str | None:
            number = columns.get(name)
            if number is None or number >= len(cells):
                return None
            text = cells[number].strip()
            # A quote before what looks like a formula was put there by whoever wrote the file for a spreadsheet.
            return (text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@") else text) or None

        identity, priority = cell("identity") or "", cell("priority") or "0"
        return Entry(
            line=self._reader.line_num,
            identity=identity,
            source=cell("sourcemeetingtype"),
            target=cell("targetmeetingtype"),
            not_before=cell("notbefore"),
            priority=int(priority) if priority in _PRIORITIES else 0,
            correlation_id=cell("correlationid"),
            problem=identity_problem(identity) or (None if priority in _PRIORITIES else "no priority from 0 to 9"),
            digest=self._lines.digest,
        )


def by_priority(users: UserList) -> Iterator[Entry]:
    """Return the rows of a list, those of a higher priority first; one without priorities is read row by row.

    In another order than the file's, a part of it is no part of what was sent: each row has the digest of all.
    """
    rows = iter(users)
    head = list(islice(rows, 1))
    if not users.has_priorities:
        return chain(head, rows)
    every = [*head, *rows]
    whole = every[-1].digest
    return (replace(row, digest=whole) for row in sorted(every, key=lambda row: -row.priority))


@contextmanager
def opened(name: str) -> Iterator[UserList]:
    """Open a list; ``-`` is standard input.

    Raises:
        UsageError: The file cannot be read.
    """
    if name == "-":
        with open(sys.stdin.fileno(), "rb", closefd=False) as standard:
            yield UserList(standard)
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
    with file:
        yield UserList(file)


def count(name: str) -> tuple[int, int]:
    """Return how many rows of a file can be sent, and how many cannot."""
    good = bad = 0
    with opened(name) as entries:
        for entry in entries:
            if entry.problem:
                bad += 1
            else:
                good += 1
    return good, bad
