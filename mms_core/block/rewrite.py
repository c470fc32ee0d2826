"""Put a new block where the old one stood; every other character stays."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from mms_core.block.locate import is_html, locate
from mms_core.block.model import AmbiguousBlock
from mms_core.block.tokens import shadow_of

if TYPE_CHECKING:
    from mms_core.block.model import Fragment, Located

_NEWLINE = re.compile(r"\r\n|\r|\n")
_BODY_END = re.compile(rb"</(?:body|html)[\s>]")


def replace(body: str, fragment: Fragment, *, located: Located | None = None, keep_user_text: bool = False) -> str:
    """Put a new block in the place of the first block of a body; the other blocks go.

    Args:
        body: HTML or plain text.
        fragment: The new block.
        located: What :func:`mms_core.block.locate` said of this very body; found out here if not given.
        keep_user_text: Put text that a user typed inside an old block below the new one.

    Returns:
        The new body; *body* itself where there is no block or the new one stands there already.

    Raises:
        AmbiguousBlock: It is not certain what the block is.
    """
    located = locate(body) if located is None else located
    if located.ambiguous is not None:
        raise AmbiguousBlock(located.ambiguous)
    if not located.blocks:
        return body
    new = fragment.html if is_html(body) else _text_for(body, fragment.text)
    if keep_user_text:
        new += _kept(located)
    return _splice(body, located, new)


def remove(body: str, *, located: Located | None = None) -> str:
    """Take all blocks out of a body and put nothing in their place.

    Args:
        body: HTML or plain text.
        located: As for :func:`replace`.

    Returns:
        The new body; *body* itself where there is no block.

    Raises:
        AmbiguousBlock: It is not certain what the block is.
    """
    located = locate(body) if located is None else located
    if located.ambiguous is not None:
        raise AmbiguousBlock(located.ambiguous)
    return _splice(body, located, "")


def append(body: str, fragment: Fragment) -> str:
    """Put a block at the end of a body: before ``</body>`` in HTML, behind the last line in plain text.

    An empty body becomes HTML, which is what Exchange makes of it anyway.
    """
    if not body or body.isspace():
        return body + fragment.html
    shadow = shadow_of(body)
    if not is_html(body):
        newline = _newline_of(body)
        return body + ("" if body.endswith(("\n", "\r")) else newline) + _text_for(body, fragment.text) + newline
    at = len(body)
    for name in (b"</html", b"</body"):
        found = shadow.rfind(name, 0, at)
        if found >= 0 and _BODY_END.match(shadow, found):
            at = found
    return body[:at] + fragment.html + body[at:]


def _splice(body: str, located: Located, new: str) -> str:
    """Cut all spans out and put *new* where the first block stood."""
    edits = [(lo, hi, "") for block in located.blocks for lo, hi in block.spans]
    if not edits:
        return body
    place = located.blocks[0].place
    if new and place is not None:
        edits.append((place.at, place.at, place.before + new + place.after))
        edits.sort()
    else:
        edits[0] = (edits[0][0], edits[0][1], new)
    pieces: list[str] = []
    position = 0
    for lo, hi, text in edits:
        pieces += [body[position:lo], text]
        position = hi
    pieces.append(body[position:])
    result = "".join(pieces)
    return body if result == body else result


def _kept(located: Located) -> str:
    """Users' text from inside the old blocks, to stand below the new one; in plain text none can be told."""
    texts = [block.user_text for block in located.blocks if block.user_text]
    if not texts:
        return ""
    lines = "\n".join(texts).split("\n")
    return "<div>" + "<br>".join(escape(line, quote=False) for line in lines) + "</div>"


def _text_for(body: str, text: str) -> str:
    """The text with the newlines of the body."""
    return _NEWLINE.sub(_newline_of(body), text)


def _newline_of(body: str) -> str:
    """The first newline of a body, LF where it has none."""
    found = _NEWLINE.search(body)
    return found[0] if found is not None else "\n"
