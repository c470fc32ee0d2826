"""The join links of a window: where they stand, and which meeting they join."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Final

from mms_core.block.tokens import VOID_MATE
from mms_core.block.urls import MAX_URL, JoinUrl, parse_join_url, simple_url

if TYPE_CHECKING:
    from mms_core.block.tokens import Window

MAX_TAG: Final = 2 * MAX_URL
"""Characters of a tag that can be a join link's: one gateway keeps two URLs in it. A tag of megabytes that is full of
anchors would be read again for each of them."""

MAX_BOOKMARK: Final = 10
"""Tags from Outlook's bookmark to the link that it introduces: an arrow stands in between."""

_URL_END = re.compile(r"""[\s<>"'\u00a0]|&(?:gt|lt|quot|nbsp);""")
_HREF = re.compile(r'\shref="([^"]*+)"')
_SCHEME = re.compile(r"https?(?::|%3a)(?:/|%2f)", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Link:
    """A join URL in a body: the whole element where it is an ``<a>``, else the text of the URL."""

    lo: int
    hi: int
    url: JoinUrl
    token: int
    """Index of the ``<a>`` in the window, ``-1`` for a URL that stands in text."""


def link_at(window: Window, position: int) -> Link | None:
    """Read the join URL that covers a position; ``None`` if what stands there is none."""
    index = window.previous_token(position) + 1
    if index < len(window.starts) and window.starts[index] <= position:
        if window.names[index] in {b"http:", b"https:"}:
            return _bracketed(window, index)
        if window.mates[index] == VOID_MATE or window.names[index] != b"a":
            return None
        for value in _targets(window, index):
            url = parse_join_url(value)
            if url is not None:
                mate = window.mates[index]
                hi = window.ends[mate] if mate >= 0 else window.ends[index]
                return Link(lo=window.starts[index], hi=hi, url=url, token=index)
        return None
    found = url_in_text(window.body, position)
    if found is None:
        return None
    lo, hi, url = found
    return Link(lo=lo, hi=hi, url=url, token=-1)


def _bracketed(window: Window, index: int) -> Link | None:
    """Read a URL in angle brackets: text that was put into HTML as it was."""
    lo, hi = window.starts[index], window.ends[index]
    url = parse_join_url(window.body[lo + 1 : hi - 1]) if hi - lo <= MAX_TAG else None
    return Link(lo=lo, hi=hi, url=url, token=-1) if url is not None else None


def bookmarked_link(window: Window, position: int) -> Link | None:
    """Read the link that Outlook's bookmark at a position introduces: around it, or the next that leads anywhere."""
    last = min(len(window.starts), window.next_token(position) + MAX_BOOKMARK)
    for index in range(max(0, window.previous_token(position)), last):
        mate = window.mates[index]
        targets = _targets(window, index) if window.names[index] == b"a" and mate > index else []
        if targets:
            url = next((url for target in targets if (url := simple_url(target)) is not None), None)
            return (
                Link(lo=window.starts[index], hi=window.ends[mate], url=url, token=index) if url is not None else None
            )
    return None


def _targets(window: Window, index: int) -> list[str]:
    """The URLs of an ``<a>``: the one that Safe Links kept first, then the one that it follows."""
    if window.ends[index] - window.starts[index] > MAX_TAG:
        return []
    tag = window.body[window.starts[index] : window.ends[index]]
    plain = _HREF.search(tag)
    if plain is not None and "originalsrc" not in tag:
        return [unescape(plain[1])]
    attributes = window.attributes(index)
    return [attributes[name] for name in ("originalsrc", "href") if name in attributes]


def url_in_text(body: str, position: int) -> tuple[int, int, JoinUrl] | None:
    """Read the join URL that covers a position of plain text."""
    floor = max(0, position - 4_000)
    lo = -1
    for scheme in _SCHEME.finditer(body, floor, position):
        if lo < 0 or _URL_END.search(body, lo, scheme.start()):
            lo = scheme.start()
    if lo < 0:
        return None
    end = _URL_END.search(body, lo, min(len(body), lo + 8_000))
    hi = end.start() if end is not None else min(len(body), lo + 8_000)
    if hi < position:
        return None
    text = body[lo:hi].rstrip(".,;:!?)]}")
    url = parse_join_url(text)
    return (lo, lo + len(text), url) if url is not None else None
