"""A new block out of what Graph delivers in ``joinInformation.content``."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from html import unescape
from typing import Final
from urllib.parse import unquote, unquote_plus

from mms_core.block.language import linked_language, tidy_tag
from mms_core.block.links import link_at
from mms_core.block.marks import teams_links
from mms_core.block.model import Fragment
from mms_core.block.tokens import IMPLIED, INLINE, VOID_MATE, Window, cut, shadow_of

_PREFIX = re.compile(r"\s*data(?::|%3a)text(?:/|%2f)html", re.IGNORECASE)
_HEADER_END = re.compile(r",|%2c", re.IGNORECASE)
_LINES: Final = frozenset(b"p div br hr tr li table ul ol h1 h2 h3 h4 h5 h6".split())
MAX_HEADER: Final = 200
"""Characters before the comma of a data URL that can be its media type."""


def decode_join_information(content: str) -> Fragment:
    """Read ``joinInformation.content`` and make a block of it that fits anywhere.

    Args:
        content: A data URL (escaped wholly or in its data only, ``+`` for blanks, or base64), or HTML as it is.

    Returns:
        The block: decoded exactly once, surplus end tags dropped, missing ones added.
    Source:
        RFC 2397; that ``+`` stands for a blank is Graph's own way (docs/blocks.md, "joinInformation").
    """
    return fragment_of(join_information_html(content))


def fragment_of(html: str) -> Fragment:
    """Make a block of HTML that may be unbalanced."""
    html = html.strip().strip("\ufeff")
    if html.endswith('",'):
        # The quoting of a JSON example, copied along with its value.
        html = html[:-2].rstrip()
    html = balanced(html)
    shadow = shadow_of(html)
    window = cut(html, shadow, 0, len(html))
    links = [link for position in teams_links(shadow) if (link := link_at(window, position)) is not None]
    best = next((link for link in links if not link.url.short), links[0] if links else None)
    language = linked_language(shadow)
    if language is None and window.names:
        language = next(
            (
                tidy_tag(window.attributes(index).get("lang"))
                for index, name in enumerate(window.names)
                if name == b"div"
            ),
            None,
        )
    return Fragment(
        html=html,
        text=text_of(window),
        language=language,
        join_url=best.url.canonical if best is not None else None,
    )


def balanced(html: str) -> str:
    """Drop end tags that close nothing and add the end tags that are missing.

    Every fragment of the third generation has one ``</div>`` too many; in a body it would close the user's element.
    """
    window = cut(html, shadow_of(html), 0, len(html))
    names, mates = window.names, window.mates
    pieces: list[str] = []
    position = 0
    opened: list[int] = []
    for index, name in enumerate(names):
        lo, hi = window.starts[index], window.ends[index]
        complete = html[hi - 1] == ">"
        if name.startswith(b"/"):
            if mates[index] >= 0 and complete:
                # What was opened inside and never closed ends here, as a browser would end it.
                pieces.append(html[position:lo])
                position = lo
                while opened and opened[-1] > mates[index]:
                    pieces.append(_end_tag(names[opened.pop()]))
                opened.pop()
                continue
        elif mates[index] in {VOID_MATE, IMPLIED} and complete:
            continue
        elif complete:
            opened.append(index)
            continue
        pieces.append(html[position:lo])
        position = hi
    pieces.append(html[position:])
    pieces += [_end_tag(names[index]) for index in reversed(opened)]
    return "".join(pieces).strip()


def _end_tag(name: bytes) -> str:
    return f"</{name.decode('latin-1')}>"


def text_of(window: Window) -> str:
    """The text alternative of a block: a line for a paragraph, the target of a link in angle brackets behind it."""
    pieces: list[str] = []
    target = ""
    position = 0
    for index, name in enumerate([*window.names, b"!"]):
        end = window.starts[index] if index < len(window.starts) else len(window.body)
        pieces.append(re.sub(r"\s+", " ", unescape(window.body[position:end])))
        if index >= len(window.starts):
            break
        position = window.ends[index]
        plain = name.removeprefix(b"/")
        if name == b"a":
            target = window.attributes(index).get("href", "")
        elif name == b"/a":
            label = "".join(pieces).rstrip().rsplit("\n", 1)[-1]
            if target and not label.endswith(target):
                pieces.append(f"<{target}>")
            target = ""
        elif name in {b"br", b"hr"} or (plain in _LINES and not "".join(pieces[-2:]).rstrip(" ").endswith("\n")):
            pieces.append("\n")
        elif plain not in INLINE:
            pieces.append(" ")
    lines = [" ".join(line.split()) for line in "".join(pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def is_join_information(content: str) -> bool:
    """Say whether a text is a data URL of HTML, escaped or not."""
    return _PREFIX.match(content) is not None


def join_information_html(content: str) -> str:
    """Take the data URL off, whatever form it has; any other text is given back."""
    if not _PREFIX.match(content):
        return content
    comma = _HEADER_END.search(content, 0, MAX_HEADER)
    if comma is None:
        return content
    header = unquote(content[: comma.start()]).lower()
    data = content[comma.end() :]
    if ";base64" in header:
        try:
            return b64decode(unquote(data), validate=False).decode("utf-8", "replace")
        except (Base64Error, ValueError):
            return ""
    if "<" in data:
        # Not escaped at all: a plus is a plus.
        return data
    return unquote_plus(data)
