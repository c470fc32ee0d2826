"""What people wrote into a block, and whose mail a block stands in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mms_core.block.model import BlockKind
from mms_core.block.tokens import is_blank

if TYPE_CHECKING:
    from mms_core.block.region import Region
    from mms_core.block.tokens import Window

_QUOTE = re.compile(
    rb"divrplyfwdmsg|appendonsend|<blockquote|gmail_quote|-----[^\r\n<>-]{3,60}-----|yahoo_quoted|moz-cite-prefix"
    rb"|border-top:\s*solid\s*#(?:e1e1e1|b5c4df)\s*1\.0pt|border:none;\s*border-top:\s*solid\s"
)


def quote_before(shadow: bytes, position: int) -> bool:
    """Say whether the header of a quoted or forwarded mail stands above a position."""
    return _QUOTE.search(shadow, 0, position) is not None


def typed_text(window: Window, region: Region) -> str | None:
    """Text inside a block that does not stand where the template puts text.

    Teams styles every word it writes, so text outside all styled elements is a user's. In Skype's block, Outlook marks
    its own paragraphs with ``text-autospace``; a paragraph without it is a user's. Plain text does not tell.
    """
    if not window.names or (region.kind is BlockKind.TEAMS and region.container is None):
        return None
    found: list[str] = []
    index = window.next_token(region.lo)
    position = region.lo
    while index < len(window.starts) and window.starts[index] < region.hi:
        piece = window.body[position : window.starts[index]]
        if not is_blank(piece) and _is_typed(window, index, region):
            found.append(" ".join(piece.split()))
        position = window.ends[index]
        index += 1
    return "\n".join(found) or None


def _is_typed(window: Window, index: int, region: Region) -> bool:
    return False
