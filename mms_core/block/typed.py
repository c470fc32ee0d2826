"""What people wrote into a block, and whose mail a block stands in."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Final

from mms_core.block.model import BlockKind
from mms_core.block.tokens import INLINE

if TYPE_CHECKING:
    from mms_core.block.region import Region
    from mms_core.block.tokens import Window

MIN_LETTERS: Final = 2
"""Letters that make a text a text: ``|`` and ``,`` between two links are the template's."""

MIN_TEXT: Final = 3
"""Characters of the shortest text looked at: most of what stands between two tags is CR LF."""

RULES: Final = frozenset({"____", "...."})
"""How a separator begins."""

_QUOTE = re.compile(
    rb"divrplyfwdmsg|appendonsend|<blockquote|gmail_quote|yahoo_quoted|moz-cite-prefix"
    rb"|-----[^\r\n<>-]{3,60}-----|border-top:\s*+solid\s*+#(?:e1e1e1|b5c4df)\s*+1\.0pt"
)
_LETTER = re.compile(r"[^\W\d_]")
_TEAMS_STYLES: Final[tuple[bytes, ...]] = (b"font-size:", b"me-email-", b"data-tid")
_SKYPE_OWN: Final = frozenset({b"a", b"font"})
"""Elements that Outlook styles by what they are."""
_SKYPE_STYLES: Final[tuple[bytes, ...]] = (b"text-autospace", b"font-size:")


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
    body, shadow, starts, ends, names = window.body, window.shadow, window.starts, window.ends, window.names
    mates, parents = window.mates, window.parents
    of_skype = region.kind is BlockKind.SKYPE
    styles = _SKYPE_STYLES if of_skype else _TEAMS_STYLES
    usual = styles[0]
    top = region.container[0] if region.container is not None else region.lo - 1
    index, last = window.next_token(region.lo), window.next_token(region.hi)
    lo = region.lo
    while index < last:
        hi, mate = starts[index], mates[index]
        if hi - lo >= MIN_TEXT and not body[lo:hi].isspace():
            piece = body[lo:hi]
            holder = mate if 0 <= mate < index else parents[index]
            if (
                piece.strip()[:4] not in RULES
                and _is_typed(window, holder, region, styles)
                and len(_LETTER.findall(unescape(piece))) >= MIN_LETTERS
            ):
                paragraphs.setdefault(_paragraph(window, holder), []).append(unescape(piece))
        if (
            index < mate < last
            and hi > top
            and (shadow.find(usual, hi, ends[index]) >= 0 or (of_skype and names[index] in _SKYPE_OWN))
        ):
            # What stands in an element of the template's is the template's, all of it.
            index = mate
        lo = ends[index]
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


def _is_typed(window: Window, element: int, region: Region, styles: tuple[bytes, ...]) -> bool:
    """Say whether no element around a text, up to the block's own, bears the template's style."""
    shadow, starts, ends, names, parents = window.shadow, window.starts, window.ends, window.names, window.parents
    top = region.container[0] if region.container is not None else region.lo - 1
    of_skype = region.kind is BlockKind.SKYPE
    while element >= 0 and starts[element] > top:
        if of_skype and names[element] in _SKYPE_OWN:
            return False
        lo, hi = starts[element], ends[element]
        for style in styles:
            if shadow.find(style, lo, hi) >= 0:
                return False
        element = parents[element]
    return True
