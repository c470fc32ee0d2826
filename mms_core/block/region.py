"""A stretch of the body that a recogniser claims, and the spans of it that can go without hurting anything around."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mms_core.block.model import Place
from mms_core.block.tokens import CLOSES_P, IMPLIED, INLINE, MAX_INLINE_DEPTH, OPTIONAL_END, UNMATCHED, VOID_MATE

if TYPE_CHECKING:
    from mms_core.block.model import BlockKind
    from mms_core.block.tokens import Window
    from mms_core.block.urls import JoinUrl

NEVER_OUTSIDE: Final = frozenset({VOID_MATE, IMPLIED})
URL_SCHEMES: Final = (b"http:", b"https:", b"mailto:", b"sip:", b"tel:")
"""How the name of a tag begins that is a URL in angle brackets."""
ROW_ENDS: Final = frozenset({b"/tr", b"/tbody", b"/table"})
LOOK_BACK: Final = 200_000
"""Tags that we count back to learn whether a surplus end tag closes something of the user's."""


@dataclass(slots=True, kw_only=True)
class Region:
    """A candidate: where a block begins and ends, before anything is known about its content."""

    kind: BlockKind
    lo: int
    hi: int
    anchors: set[str] = field(default_factory=set)
    urls: list[JoinUrl] = field(default_factory=list)
    container: tuple[int, int] | None = None
    """The element that the product itself wrote, where there is one."""
    lang: str | None = None
    doubt: str | None = None
    """Why the extent is not certain; then the body is ambiguous."""


def spans_of(window: Window, lo: int, hi: int) -> tuple[tuple[int, int], ...]:
    """Say what may be deleted of ``[lo, hi)``: everything but the tags of elements that reach out of it.

    A start tag whose end tag stands behind the range, or an end tag whose start tag stands before it, belongs to the
    user's own markup, whoever put the block across it. Deleting them would move the user's text into other elements.
    """
    first, last = window.next_token(lo), window.next_token(hi)
    starts, ends, mates = window.starts, window.ends, window.mates
    if lo < hi and window.holder(first) == window.holder(last) and UNMATCHED not in mates[first:last]:
        # One element holds both ends and all between is closed: no tag has its partner elsewhere.
        return ((lo, hi),)
    spans: list[tuple[int, int]] = []
    position = lo
    loose = [index for index, mate in enumerate(mates[first:last], first) if not first <= mate < last]
    for index in loose:
        if mates[index] not in NEVER_OUTSIDE and _stays(window, index, first):
            if starts[index] > position:
                spans.append((position, starts[index]))
            position = ends[index]
    if hi > position:
        spans.append((position, hi))
    spans = [span for span in spans if span[0] < span[1]]
    while len(spans) > 1 and window.body[spans[-1][0] : spans[-1][1]].isspace():
        spans.pop()
    while len(spans) > 1 and window.body[spans[0][0] : spans[0][1]].isspace():
        spans.pop(0)
    return tuple(spans)


def to_own_end(window: Window, lo: int, hi: int) -> int:
    """Move the end of a block over the end tags of table rows that began inside of it and show nothing behind it.

    Somebody put the lines of the block into a table. A cell goes with its row only: without it, the cells beside it
    would move. Any other element stays, because it reaches out of the block.
    """
    first = window.next_token(lo)
    if window.holder(window.next_token(hi)) < first:
        return hi  # no element that began inside is still open, as nearly always
    end = hi
    while True:
        index = window.after_blanks(end)
        if index >= len(window.names) or not first <= window.mates[index] < index:
            return hi
        end = window.ends[index]
        if window.names[index] in ROW_ENDS:
            hi = end


def place_of(window: Window, spans: tuple[tuple[int, int], ...]) -> Place | None:
    """Say where a new block goes if the first span begins inside a user's paragraph; ``None`` if it does not."""
    lo, hi = spans[0]
    index = window.next_token(lo)
    chain: list[int] = []
    element = window.holder(index)
    while element >= 0 and window.names[element] in INLINE and len(chain) < MAX_INLINE_DEPTH:
        chain.append(element)
        element = window.parents[element]
    if element < 0 or window.names[element] != b"p":
        return None
    chain.append(element)
    while index < len(window.starts) and window.starts[index] < hi:
        if window.names[index] in CLOSES_P:
            return None
        index += 1
    end = window.mates[element]
    if len(spans) > 1 and end >= 0 and hi <= window.starts[end] < spans[1][0]:
        return Place(at=spans[1][0])
    return Place(
        at=lo,
        before="".join(f"</{window.names[opener].decode('latin-1')}>" for opener in chain),
        # The old block's own link has closed an open <a>, as HTML has it; the new one must not open it again.
        after="".join(
            window.body[window.starts[opener] : window.ends[opener]]
            for opener in reversed(chain)
            if window.names[opener] != b"a"
        ),
    )


def _stays(window: Window, index: int, first: int) -> bool:
    """Say whether a tag whose partner is not inside the range belongs to an element outside of it."""
    name = window.names[index]
    if window.mates[index] != UNMATCHED:
        return True
    if name.startswith(b"/"):
        return name not in {b"/p", b"/br"} and _is_open_before(window, index)
    # A URL in angle brackets, copied from text, is a tag to a browser, but nobody's element.
    return window.parents[index] < first and name not in OPTIONAL_END and not name.startswith(URL_SCHEMES)


def _is_open_before(window: Window, index: int) -> bool:
    """Say whether an end tag without a partner in the window closes an element opened before the window.

    Its tags are counted backwards from where the window begins, until as many are open as the window closes.
    """
    ending = window.names[index]
    wanted = sum(1 for other in range(index + 1) if window.names[other] == ending and window.mates[other] == UNMATCHED)
    shadow = window.shadow
    opening, closing = b"<" + ending[1:], b"<" + ending
    start = shadow.rfind(opening, 0, window.start)
    end = shadow.rfind(closing, 0, window.start)
    depth = 0
    for _ in range(LOOK_BACK):
        if start < 0:
            return False
        if end > start:
            depth -= _is_tag(shadow, end + len(closing))
            end = shadow.rfind(closing, 0, end)
            continue
        depth += _is_tag(shadow, start + len(opening))
        if depth == wanted:
            return True
        start = shadow.rfind(opening, 0, start)
    return True


def _is_tag(shadow: bytes, behind: int) -> bool:
    """Say whether the name of a tag ends here, so that ``<divider`` is no ``<div``."""
    return shadow[behind : behind + 1] in {b">", b" ", b"\t", b"\r", b"\n", b"\f", b"/"}
