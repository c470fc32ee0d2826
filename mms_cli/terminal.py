"""Text for people: safe, aligned, coloured where there is a terminal, plain everywhere else.

Everything that is written passes :func:`plain`. A subject holds whatever somebody typed, a message whatever a server
sent, and a terminal would obey it: move the cursor, change the title, write to the clipboard, or hide the end of a line
behind a change of direction. Colours are added afterwards, by us.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import unicodedata
from typing import TYPE_CHECKING, Final, TextIO

from mms_cli.failures import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

_JOINERS: Final = frozenset("\u200c\u200d")
"""The two joiners shape words and emoji and can do no harm; every other format character is shown by its number."""
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_CONTROL_PICTURES: Final = 0x2400
_DELETE: Final = 0x7F
_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_STATE_COLOURS: Final = {
    "Pending": "yellow",
    "InProgress": "cyan",
    "Failed": "red",
    "Succeeded": "green",
    "Skipped": "dim",
    "Cancelled": "dim",
    "migrated": "green",
    "refreshed": "green",
    "failed": "red",
    "fail": "red",
    "refused": "red",
    "invalid": "red",
    "accepted": "green",
    "merged": "green",
    "skipped": "dim",
    "skip": "dim",
    "error": "red",
    "warning": "yellow",
    "ok": "green",
}
_UNKNOWN_WIDTH: Final = 80
_BAR_CELLS: Final = 24
_BAR_EVERY_SECONDS: Final = 0.1
_EMOJI_PRESENTATION: Final = "\ufe0f"


def is_unsafe(character: str) -> bool:
    """Say whether a terminal might obey *character*, or hide or reorder others because of it."""
    if " " <= character <= "~":
        return False
    return unicodedata.category(character) in _UNSAFE_CATEGORIES and character not in _JOINERS


def _shown(character: str) -> str:
    if not is_unsafe(character):
        return character
    number = ord(character)
    if number < ord(" "):
        return chr(_CONTROL_PICTURES + number)
    return "\u2421" if number == _DELETE else f"<U+{number:04X}>"


def plain(text: str) -> str:
    r"""Give *text* on one line, with everything that a terminal might obey made visible.

    ``\x1b`` becomes the picture ``␛``, a change of direction ``<U+202E>``; line breaks and tabs become blanks.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return "".join(map(_shown, text))


def cells(text: str) -> int:
    """Return how many cells of a terminal *text* takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    total, last, joined = 0, 0, False
    for character in text:
        if character == _EMOJI_PRESENTATION:
            total += 2 - last if last == 1 else 0
            last = 2
        elif character in _JOINERS:
            joined = character == "\u200d"
        elif unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
            continue
        else:
            width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
            # What a joiner binds to an emoji is drawn in the same place.
            total += 0 if joined and last == width == 2 else width  # noqa: PLR2004 - cells
            last, joined = width, False
    return total


def cut(text: str, width: int) -> str:
    """Shorten *text* to at most *width* cells, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        wide = cells(character)
        if used + wide > max(0, width - 1):
            break
        kept.append(character)
        used += wide
    return "".join(kept).rstrip("\u200d") + "…" if width > 0 else ""


def fold(text: str, width: int) -> list[str]:
    """Break *text* at blanks into lines of at most *width* cells; a word that is longer is cut into pieces."""
    lines = [""]
    for word in text.split():
        room = width - cells(lines[-1]) - (1 if lines[-1] else 0)
        if cells(word) <= room:
            lines[-1] += f" {word}" if lines[-1] else word
            continue
        rest = word
        while cells(rest) > width:
            piece = cut(rest, width + 1)[:-1] or rest[0]
            lines.append(piece)
            rest = rest[len(piece) :]
        lines.append(rest)
    return [line for line in lines if line]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill *text* up to *width* cells; a number stands right."""
    room = " " * max(0, width - cells(text))
    return room + text if right else text + room


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def _takes_colours(stream: TextIO) -> bool:
    """See no-color.org for ``NO_COLOR``."""
    if not _is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    # A console of an old Windows prints the codes instead of obeying them.
    return sys.platform != "win32" or bool(os.environ.get("WT_SESSION") or os.environ.get("TERM"))


class Screen:
    """The command's only way to say something, and to ask."""

    def __init__(self, out: TextIO, err: TextIO, source: TextIO, *, colours: bool = True) -> None:
        for stream in (out, err):
            if hasattr(stream, "reconfigure"):
                # Never fail because a code page lacks a character; files and pipes get UTF-8 everywhere.
                encoding = None if _is_terminal(stream) else "utf-8"
                stream.reconfigure(encoding=encoding, errors="backslashreplace")
        self.out = out
        self._err = err
        self._source = source
        self.is_terminal = _is_terminal(out)
        self.has_bars = _is_terminal(err) and os.environ.get("TERM") != "dumb"
        self._colours = {out: colours and _takes_colours(out), err: colours and _takes_colours(err)}
        self._bar = ""

    @property
    def is_interactive(self) -> bool:
        """Say whether there is somebody who can be asked."""
        return _is_terminal(self._source) and _is_terminal(self._err)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        columns, lines = shutil.get_terminal_size((_UNKNOWN_WIDTH, 24))
        return columns, lines

    def paint(self, text: str, colour: str | None, *, stream: TextIO | None = None) -> str:
        """Colour *text*, which is safe already, where *stream* takes colours."""
        if not colour or not text or not self._colours[stream or self.out]:
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    def state(self, text: str, shown: str | None = None) -> str:
        """Colour *shown* as the state *text* is coloured."""
        return self.paint(shown if shown is not None else text, _STATE_COLOURS.get(text))

    def line(self, text: str = "") -> None:
        """Write one line of the answer. Only :func:`plain` text with our own colours may come here."""
        self.hide_bar()
        self.out.write(text + "\n")

    def raw(self, text: str) -> None:
        """Write JSON or CSV, escaped by its writer."""
        self.hide_bar()
        self.out.write(text)

    def clear(self) -> None:
        """Empty the terminal; nothing where there is none."""
        if self.is_terminal:
            self.out.write("\x1b[H\x1b[2J")

    def note(self, text: str) -> None:
        """Tell the person something that is not part of the answer."""
        self.hide_bar()
        self._err.write(plain(text) + "\n")

    def warn(self, text: str) -> None:
        """Tell that something is not as it should be."""
        self.hide_bar()
        self._err.write(f"{self.paint('warning:', 'yellow', stream=self._err)} {plain(text)}\n")

    def fail(self, error: CliError) -> None:
        """Say why the command ends: code, what happened, what to do."""
        self.hide_bar()
        number = f" ({error.status})" if error.status else ""
        code = f"{plain(error.code)}{number}: " if error.code else ""
        self._err.write(f"{self.paint('error:', 'red', stream=self._err)} {code}{plain(error.message)}\n")
        if error.remedy:
            self._err.write(f"{self.paint('remedy:', 'bold', stream=self._err)} {plain(error.remedy)}\n")

    def confirm(self, sentences: Sequence[str], question: str, *, yes: bool) -> None:
        """Say what will happen and ask; *yes* has answered already.

        Raises:
            CliError: The answer is no, or nobody is there to ask.
        """
        if yes:
            return
        for sentence in sentences:
            self.note(sentence)
        if not self.is_interactive:
            raise CliError(
                "this needs a yes, and there is no terminal to ask on",
                exit_code=Exit.NOT_CONFIRMED,
                remedy="Look at what it will do, then add --yes.",
                code="NotConfirmed",
            )
        self._err.write(f"{plain(question)} [y/N] ")
        self._err.flush()
        if self._source.readline().strip().lower() not in ("y", "yes"):
            raise CliError("nothing was done", exit_code=Exit.NOT_CONFIRMED, code="NotConfirmed")

    # -- the bar ------------------------------------------------------------------------------------------------------

    def show_bar(self, text: str) -> None:
        """Show *text* below everything else, on a terminal."""
        if self.has_bars:
            shown = cut(text, self.size[0] - 1)
            self._err.write(f"\r{shown}\x1b[K")
            self._err.flush()
            self._bar = shown

    def hide_bar(self) -> None:
        """Take the bar away before something else is written."""
        if self._bar:
            self._err.write("\r\x1b[K")
            self._err.flush()
            self._bar = ""


class Progress:
    """How far something is, on the last line of the terminal."""

    def __init__(self, screen: Screen, what: str, total: int | None) -> None:
        self._screen = screen
        self._what = what
        self._total = total
        self._started = time.monotonic()
        self._shown_at = 0.0

    def show(self, done: int, more: str = "") -> None:
        """Draw the bar; at most ten times a second."""
        now = time.monotonic()
        is_last = self._total is not None and done >= self._total
        if now - self._shown_at < _BAR_EVERY_SECONDS and not is_last:
            return
        self._shown_at = now
        seconds = int(now - self._started)
        took = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        if self._total:
            filled = min(_BAR_CELLS, _BAR_CELLS * done // self._total)
            bar = "#" * filled + "." * (_BAR_CELLS - filled)
            amount = f"{done:,} of {self._total:,} {self._what}  {100 * done // self._total:3} %"
            text = f"[{bar}] {amount}  {took}"
        else:
            text = f"{done:,} {self._what}  {took}"
        self._screen.show_bar(f"{text}  {plain(more)}" if more else text)

    def waiting(self, what: str) -> None:
        """Say what is waited for, where there is nothing to count."""
        self._screen.show_bar(f"{plain(what)}  {int(time.monotonic() - self._started)} s")

    def close(self) -> None:
        """Take the bar away."""
        self._screen.hide_bar()
