"""An invitation as a person sees it: text, line by line, and what has changed between two versions of it."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from html.parser import HTMLParser
from itertools import groupby

_LINE_TAGS = {"p", "div", "li", "br", "tr", "table", "ol", "ul", "hr", "body"}
_SILENT_TAGS = {"head", "style", "script", "title"}
_SHORTEST_RULER = 40
_RULER_SHOWN = 24
_LONGEST_LINK = 52


def readable_lines(body: str) -> list[str]:
    """The text of an HTML *body*, one line a paragraph, links in angle brackets."""
    reader = _Reader()
    reader.feed(body)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return [_shorten_ruler(line) for line in lines if line and not _is_hidden(line)]


def compare(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Every line of either version with a mark: ``-`` is gone, ``+`` is new, a blank is in both."""
    old, new = readable_lines(before), readable_lines(after)
    for operation, i, j, k, m in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if operation == "equal":
            yield from ((" ", line) for line in old[i:j])
        else:
            yield from (("-", line) for line in old[i:j])
            yield from (("+", line) for line in new[k:m])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0
        self._links: list[tuple[str, int]] = []
        self._is_wingdings = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT_TAGS:
            self._silent += 1
        if tag in _LINE_TAGS:
            self.parts.append("\n")
        if tag == "li":
            self.parts.append("- ")
        if tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.parts)))
        if tag == "span":
            self._is_wingdings = "wingdings" in (dict(attrs).get("style") or "").lower()

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT_TAGS:
            self._silent = max(0, self._silent - 1)
        if tag in _LINE_TAGS:
            self.parts.append("\n")
        if tag == "a" and self._links:
            link, began = self._links.pop()
            shows_itself = "".join(self.parts[began:]).strip() == link
            if link.startswith("http") and not shows_itself:
                self.parts.append(f" <{_shorten_link(link)}>")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            # Outlook draws its arrow as the letter that Wingdings has in that place.
            text = data.replace("\u00e0", "\u2192") if self._is_wingdings else data
            self.parts.append(text.replace("\n", " "))


def _shorten_link(link: str) -> str:
    bare = link.removeprefix("https://")
    return bare if len(bare) <= _LONGEST_LINK else f"{bare[: _LONGEST_LINK - 1]}…"


def _shorten_ruler(line: str) -> str:
    """137 dots say no more than two dozen."""
    ruler = [(character, len(list(run))) for character, run in groupby(line)]
    if len(ruler) == 1 and ruler[0][1] >= _SHORTEST_RULER:
        return f"{ruler[0][0] * _RULER_SHOWN} ({ruler[0][1]} of them)"
    return line


def _is_hidden(line: str) -> bool:
    """Skype's language marker is white on white, one point high."""
    return re.fullmatch(r"\[!OC\(\[\w+\]\)!\]", line) is not None
