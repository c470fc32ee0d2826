"""What people wrote into a block, and whose mail a block stands in."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Final

from mms_core.block.model import BlockKind
from mms_core.block.tokens import INLINE, is_blank

if TYPE_CHECKING:
    from mms_core.block.region import Region
    from mms_core.block.tokens import Window

MIN_LETTERS: Final = 2
"""Letters that make a text a text: ``|`` and ``,`` between two links are the template's."""

_QUOTE = re.compile(
    rb"divrplyfwdmsg|appendonsend|<blockquote|gmail_quote|yahoo_quoted|moz-cite-prefix"
    rb"|-----[^\r\n<>-]{3,60}-----|border-top:\s*+solid\s*+#(?:e1e1e1|b5c4df)\s*+1\.0pt"
)
_LETTER = re.compile(r"[^\W\d_]")
_TEAMS_STYLE = re.compile(r"font-size:\s*+\d|me-email-|data-tid", re.IGNORECASE)
_SKYPE_STYLE = re.compile(r"text-autospace|font-size:\s*+(?:1|3|8|10|13|14|16|26|28)(?:\.\d)?pt", re.IGNORECASE)


def quote_start(shadow: bytes) -> int:
    """Where the first quoted or forwarded mail of a body begins; the length of the body if there is none."""
    found = _QUOTE.search(shadow)
    return found.start() if found is not None else len(shadow)


def typed_text(window: Window, region: Region) -> str | None:
    """Text inside a block that does not stand where the template puts text.

    Teams styles every word it writes, in an element of its own, so text in elements without any style of Teams' is a
    user's; that needs Teams' own element around it, because Word takes the styles away. In Skype's block Outlook marks
    its own paragraphs with ``text-autospace`` and a size; a paragraph with neither is a user's. Plain text does not
    tell.
    """
    if not window.names:
        return None
    if not _is_styled(window, region):
        return None
    paragraphs: dict[int, list[str]] = {}
    index = window.next_token(region.lo)
    position = region.lo
    while index < len(window.starts) and window.starts[index] < region.hi:
        piece = window.body[position : window.starts[index]]
        if len(piece) >= MIN_LETTERS and not is_blank(piece) and len(_LETTER.findall(piece)) >= MIN_LETTERS:
            holder = window.holder(index)
            if _is_typed(window, holder, region):
                paragraphs.setdefault(_paragraph(window, holder), []).append(unescape(piece))
        position = window.ends[index]
        index += 1
    lines = [" ".join("".join(pieces).split()) for pieces in paragraphs.values()]
    return "\n".join(lines) or None


def _is_styled(window: Window, region: Region) -> bool:
    """Say whether the block still has its product's styles: copies lose them, and then nothing can be told."""
    if region.kind is BlockKind.SKYPE:
        return window.shadow.find(b"text-autospace", region.lo, region.hi) >= 0
    return region.container is not None and window.shadow.find(b"font-size", *region.container) >= 0


def _paragraph(window: Window, element: int) -> int:
    """The nearest element of block level around an element, itself included."""
    while element >= 0 and window.names[element] in INLINE:
        element = window.parents[element]
    return element


def _is_typed(window: Window, element: int, region: Region) -> bool:
    """Say whether no element around a text, up to the block's own, bears the template's style."""
    if region.kind is BlockKind.TEAMS:
        style, top = _TEAMS_STYLE, (region.container or (region.lo, region.hi))[0]
    else:
        style, top = _SKYPE_STYLE, region.lo - 1
    while element >= 0 and window.starts[element] > top:
        tag = window.body[window.starts[element] : window.ends[element]]
        if style.search(tag) or (window.names[element] in {b"a", b"font"} and region.kind is BlockKind.SKYPE):
            return False
        element = window.parents[element]
    return True
