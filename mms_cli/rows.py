"""Rows as a table, a list, JSON or CSV; each written as it comes, so that a million of them fit."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from mms_cli import times
from mms_cli.terminal import cells, cut, fold, is_unsafe, pad, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mms_cli.terminal import Screen

Row = dict[str, Any]
Format = Literal["table", "list", "json", "csv"]
_GAP: Final = 2
_NARROWEST: Final = 8
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in a spreadsheet (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    value: Callable[[Row], object]
    width: int = 0
    """Cells it gets at least, for rows that come later."""
    is_number: bool = False
    is_instant: bool = False
    is_state: bool = False
    shrinks: bool = False
    """Gives room away when the terminal is narrow."""
    unfolds: bool = False
    """What does not fit stands below the row, whole. Gives room away first."""


def field(title: str, name: str | None = None, **more: Any) -> Column:
    """Return a column that shows one field of a row."""
    return Column(title, lambda row: row.get(name or title), **more)


class Writer(Protocol):
    """Writes rows, page after page."""

    def page(self, rows: Sequence[Row]) -> None:
        """Write some rows."""

    def end(self) -> None:
        """Write what comes after the last one."""


def text_of(value: object) -> str:
    """Return a value as one line of safe text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "; ".join(text_of(each) for each in value)
    if isinstance(value, dict):
        return plain(json.dumps(value, ensure_ascii=False))
    return plain(str(value))


class Table:
    """Aligned columns. The first page decides how wide they are; on a terminal what is too long is cut.

    Args:
        screen: Where.
        columns: Of the table.
        empty: What to say when there is no row.
        ruled: Underline the titles, as PowerShell does.
        unfolds: Columns may unfold; else they are cut, and each row takes one line.
    """

    def __init__(
        self,
        screen: Screen,
        columns: Sequence[Column],
        *,
        empty: str = "",
        ruled: bool = False,
        unfolds: bool = True,
    ) -> None:
        self._unfolds = unfolds
        self._screen = screen
        self._columns = columns
        self._empty = empty
        self._ruled = ruled
        self._widths: list[int] = []

    def _cell(self, column: Column, row: Row) -> str:
        value = column.value(row)
        return times.local(value) if column.is_instant and self._screen.is_terminal else text_of(value)

    def page(self, rows: Sequence[Row]) -> None:
        """Write some rows."""
        if not rows:
            return
        shown = [[self._cell(column, row) for column in self._columns] for row in rows]
        if not self._widths:
            self._measure(shown)
            self._head()
        for texts in shown:
            self._line(texts, is_head=False)

    def end(self) -> None:
        """Say that there was nothing, if so; to a person only."""
        if not self._widths and self._empty:
            self._screen.note(self._empty)

    def _measure(self, shown: list[list[str]]) -> None:
        self._widths = [
            max(column.width, cells(column.title), *(cells(texts[number]) for texts in shown))
            for number, column in enumerate(self._columns)
        ]
        if not self._screen.is_terminal:
            return
        surplus = sum(self._widths) + _GAP * (len(self._widths) - 1) - self._screen.size[0]
        while surplus > 0:
            room = [
                (self._columns[number].unfolds, width, number)
                for number, width in enumerate(self._widths)
                if self._columns[number].shrinks and width > max(_NARROWEST, cells(self._columns[number].title))
            ]
            if not room:
                return
            *_, widest = max(room)
            self._widths[widest] -= 1
            surplus -= 1

    def _head(self) -> None:
        titles = [column.title for column in self._columns]
        self._line(titles, is_head=True)
        if self._ruled:
            self._line(["-" * cells(title) for title in titles], is_head=True)

    def _line(self, texts: list[str], *, is_head: bool) -> None:
        parts, below = [], list[str]()
        last = len(texts) - 1
        for number, (column, text, width) in enumerate(zip(self._columns, texts, self._widths, strict=True)):
            fits = not self._screen.is_terminal or cells(text) <= width
            if not fits and column.unfolds and self._unfolds and not is_head:
                below += fold(text, max(_NARROWEST, self._screen.size[0] - _GAP - 1))
                text = ""  # noqa: PLW2901 - it stands below
            shown = text if fits else cut(text, width)
            # No blanks at the end of a line: it would wrap on a terminal that is just wide enough.
            padded = shown if number == last and not column.is_number else pad(shown, width, right=column.is_number)
            if is_head:
                padded = self._screen.paint(padded, "bold")
            elif column.is_state:
                padded = self._screen.state(text, padded)
            parts.append(padded)
        self._screen.line((" " * _GAP).join(parts).rstrip(" "))
        for line in below:
            self._screen.line(" " * _GAP + line)


class Listing:
    """A block of ``Name : value`` lines a row, as ``Format-List`` of PowerShell prints objects."""

    def __init__(self, screen: Screen, instants: Iterable[str] = ()) -> None:
        self._screen = screen
        self._instants = frozenset(instants)
        self._is_first = True

    def page(self, rows: Sequence[Row]) -> None:
        """Write some rows."""
        for row in rows:
            if not self._is_first:
                self._screen.line()
            self._is_first = False
            width = max(map(cells, row), default=0)
            for name, value in row.items():
                is_local = name in self._instants and self._screen.is_terminal
                text = times.local(value) if is_local else text_of(value)
                shown = self._screen.state(text) if name in ("State", "verdict") else text
                self._screen.line(f"{pad(plain(name), width)} : {shown}".rstrip(" "))

    def end(self) -> None:
        """Nothing comes after the last one."""


_RISKY: Final = re.compile(r"[^\x20-\x7e\n]")


def json_text(value: object, *, indent: int | None = None) -> str:
    r"""Return JSON that is safe on a terminal: what it might obey is written as ``\uXXXX``, which means the same.

    The only line breaks are those between values: inside of strings JSON has none.
    """

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if not is_unsafe(character):
            return character
        return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"  # noqa: PLR2004

    return _RISKY.sub(escaped, json.dumps(value, ensure_ascii=False, indent=indent))


class Json:
    """One array, an object a line."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._is_first = True

    def page(self, rows: Sequence[Row]) -> None:
        """Write some rows."""
        for row in rows:
            self._screen.raw(("[\n" if self._is_first else ",\n") + json_text(row))
            self._is_first = False

    def end(self) -> None:
        """Close the array."""
        self._screen.raw("[]\n" if self._is_first else "\n]\n")


def csv_cell(value: object) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula and no terminal for a command."""
    formula = isinstance(value, str) and value[:1] in _FORMULA
    return ("'" if formula else "") + text_of(value)


class Csv:
    """RFC 4180 with a heading.

    Args:
        screen: Where.
        names: Of the fields, in order.
    """

    def __init__(self, screen: Screen, names: Sequence[str]) -> None:
        self._screen = screen
        self._names = names
        self._has_head = False
        if hasattr(screen.out, "reconfigure"):
            screen.out.reconfigure(newline="")

    def _write(self, lines: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        rows = csv.writer(text, lineterminator="\r\n")
        if not self._has_head:
            rows.writerow(self._names)
            self._has_head = True
        rows.writerows(lines)
        self._screen.raw(text.getvalue())

    def page(self, rows: Sequence[Row]) -> None:
        """Write some rows."""
        self._write([csv_cell(row.get(name)) for name in self._names] for row in rows)

    def end(self) -> None:
        """Write the heading where no row has come."""
        self._write([])


def writer(
    screen: Screen,
    form: Format,
    *,
    columns: Sequence[Column],
    names: Sequence[str],
    instants: Iterable[str] = (),
    empty: str = "",
    unfolds: bool = True,
) -> Writer:
    """Return the writer of a format.

    Args:
        screen: Where.
        form: Which.
        columns: Of a table.
        names: Fields of CSV, in order.
        instants: Fields that hold instants.
        empty: What to tell a person when there is no row.
        unfolds: Long cells of a table may stand below their row.
    """
    if form == "json":
        return Json(screen)
    if form == "csv":
        return Csv(screen, names)
    if form == "list":
        return Listing(screen, instants)
    return Table(screen, columns, empty=empty, unfolds=unfolds)


def write_all(out: Writer, rows: Iterable[Row]) -> None:
    """Write rows that are all there."""
    out.page(list(rows))
    out.end()


def write_object(screen: Screen, form: Format, value: Mapping[str, Any], instants: Iterable[str] = ()) -> None:
    """Write one object."""
    if form == "json":
        screen.raw(json_text(dict(value), indent=2) + "\n")
    elif form == "csv":
        write_all(Csv(screen, tuple(value)), [dict(value)])
    else:
        write_all(Listing(screen, instants), [dict(value)])
