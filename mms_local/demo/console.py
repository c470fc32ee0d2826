"""Where the demo writes: bars and colour on a terminal, plain lines everywhere else.

Everything that comes from the tenant passes :func:`plain` first. A subject may hold whatever an organiser typed, and a
terminal would obey it.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from textwrap import wrap
from time import monotonic
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_LINE_EVERY_SECONDS = 4
_CHECK_WIDTH = 50
_WIDEST_PARAGRAPH = 100
_KEPT_FORMAT_CHARACTERS = {"\u200d"}
"""The joiner inside emoji is harmless; the other format characters reorder or hide text."""


def plain(text: str) -> str:
    """Give *text* on one line, without anything that a terminal would take for a command."""
    kept = (
        character
        for character in text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or character in _KEPT_FORMAT_CHARACTERS
    )
    return "".join(kept)


class Bars:
    """Named amounts on their way to a total."""

    def __init__(self, output: "Output", progress: Progress | None) -> None:
        self._output = output
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._amounts: dict[str, tuple[int, int]] = {}
        self._last_line_at = monotonic()
        self._last_line = ""

    def show(self, name: str, done: int, total: int) -> None:
        """Set one amount; on a terminal it moves a bar, elsewhere it is part of the next line."""
        self._amounts[name] = (done, total)
        if self._progress is None:
            self._write_line_when_due()
        elif name in self._tasks:
            self._progress.update(self._tasks[name], completed=done, total=total)
        else:
            self._tasks[name] = self._progress.add_task(name, completed=done, total=total)

    def counter(self, name: str, total: int) -> Callable[[], None]:
        """Give a function that adds one to an amount."""
        steps = count(1)
        return lambda: self.show(name, next(steps), total)

    def finish(self) -> None:
        """Write the last amounts, which may not have been due."""
        if self._progress is None:
            self._write_line()

    def _write_line_when_due(self) -> None:
        if monotonic() - self._last_line_at >= _LINE_EVERY_SECONDS:
            self._write_line()

    def _write_line(self) -> None:
        line = ", ".join(f"{name} {done} of {total}" for name, (done, total) in self._amounts.items())
        if line != self._last_line:
            self._output.line(line)
        self._last_line, self._last_line_at = line, monotonic()


class Output:
    """The demo's only way to say something."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal of another age shows a question mark, and goes on
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self.has_bars = self._console.is_terminal and not self._console.is_dumb_terminal
        can_tick = (self._console.encoding or "").lower().startswith("utf")
        self._yes, self._no = ("✓", "✗") if can_tick else ("ok", "NO")

    @property
    def width(self) -> int:
        """Columns of the terminal; 80 where there is none."""
        return self._console.width if self._console.is_terminal else 80

    def title(self, text: str) -> None:
        """Say what this is."""
        self._console.print(Text(plain(text), style="bold"))

    def section(self, text: str) -> None:
        """Begin a part, after an empty line."""
        self._console.print()
        self._console.print(Text(plain(text), style="bold cyan"))

    def line(self, text: str = "", *, style: str = "") -> None:
        """Write one line, indented under its section."""
        self._print(Text(f"  {plain(text)}" if text else "", style=style))

    def paragraph(self, text: str, *, indent: int = 2, hanging: int = 0, style: str = "") -> None:
        """Write text that is as long as it is, broken at the width of the terminal; further lines hang in."""
        width = min(self.width, _WIDEST_PARAGRAPH) - 1
        first, further = " " * indent, " " * (indent + hanging)
        for line in wrap(plain(text), width, initial_indent=first, subsequent_indent=further, break_on_hyphens=False):
            self._print(Text(line, style=style))

    def check(self, text: str, detail: str, *, is_good: bool) -> None:
        """Write a line of the verdict: a tick or a cross, what was checked, and what came out."""
        mark = Text(f"  {self._yes if is_good else self._no} ", style="bold green" if is_good else "bold red")
        self._print(mark + Text(f"{plain(text):<{_CHECK_WIDTH}}") + Text(plain(detail), style="bold"))

    def verdict(self, text: str, *, is_good: bool) -> None:
        """Write the one sentence that matters."""
        self.paragraph(text, style="bold green" if is_good else "bold red")

    def changed(self, mark: str, text: str) -> None:
        """Write a line of a comparison: removed, added, or the same."""
        style = {"-": "red", "+": "green"}.get(mark, "dim")
        line = Text(f"  {mark} {plain(text)}", style=style)
        line.truncate(self.width, overflow="ellipsis")
        self._print(line)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table whose last column takes the room that is left."""
        table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for header in headers:
            table.add_column(plain(header), overflow="fold")
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        for line in self._console.render_lines(table, self._console.options.update(width=self.width - 2), pad=False):
            text = Text("  ") + Text.assemble(*((part.text, part.style or "") for part in line))
            text.rstrip()
            self._print(text)

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Show amounts while the block runs."""
        if not self.has_bars:
            bars = Bars(self, None)
            yield bars
            bars.finish()
            return
        columns = (
            TextColumn("  {task.description:<22}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:>4.0f} of {task.total:<4.0f}", style="bold"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            yield Bars(self, progress)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
