r"""Offsets of tags in the original string, for a window of it.

Nothing here builds a tree of the document or a new text. A *shadow* of the body has one lower-case byte for each
character of it, so that searching is as quick as bytes are and every offset is an offset of the original. Only the
neighbourhood of something interesting is cut into tokens, and only there do we say which end tag closes
which start tag.

Source: the tokenizer's states in https://html.spec.whatwg.org/multipage/parsing.html, sections 13.2.5.1 to 13.2.5.51;
which start tags close an open ``<p>``: 13.2.6.4.7.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from html import unescape
from itertools import islice
from operator import itemgetter
from typing import Final

UNMATCHED: Final = -1
"""Mate of a tag whose partner is not in the window."""
IMPLIED: Final = -2
"""Mate of a start tag that HTML closes without an end tag (``<p>`` before ``<div>``)."""
VOID_MATE: Final = -3
"""Mate of something that never has a partner: ``<br>``, comments, declarations."""

SLASH: Final = ord("/")

# An attribute's quotes count only behind "="; everything else runs on to ">". Possessive throughout: no backtracking.
# What is not closed swallows the rest of the document, as the standard says; that also keeps every scan linear.
_ATTRIBUTES = rb"""(?:[^>=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+|(?=>)|\Z))*+"""
_WHOLE_ATTRIBUTES = rb"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+|(?=>)))*+"""
_RAW = rb"style|script|title|textarea|xmp|iframe|noembed|noframes"
# A name is not one of _RAW; only five letters can begin one of those, and of these "s" is nearly always <span>.
_NAME = (
    rb"(?:[a-hj-mo-ru-wyz]|s[abd-su-z]|s(?!(?:tyle|cript)[\s/>])|t(?!(?:itle|extarea)[\s/>])|i(?!frame[\s/>])"
    rb"|n(?!o(?:embed|frames)[\s/>])|x(?!mp[\s/>]))"
)
# Most tags have no attribute, one, or several with values between double quotes; what has not goes the longer way.
_PLAIN = rb""">| [a-z]++="[^"]*+">|(?:[^>=]*+="[^"]*+")*+[^<>"'=]*+>"""
_TOKEN = re.compile(
    rb"<(?:(/?" + _NAME + rb"[a-z0-9:]*+)(?:" + _PLAIN + rb"|" + _ATTRIBUTES + rb"(?:>|\Z))"
    rb"|!--(?:-?>|.*?(?:--!?>|\Z))|!(?!--)[^>]*+(?:>|\Z)|\?[^>]*+(?:>|\Z)|/(?![a-z])[^>]*+(?:>|\Z)"
    rb"|/(?:" + _RAW + rb")(?=[\s/>])[^>]*+(?:>|\Z)"
    rb"|(" + _RAW + rb")" + _ATTRIBUTES + rb"(?:>.*?(?:</\2(?=[\s/>])[^>]*+(?:>|\Z)|\Z)|\Z))",
    re.DOTALL,
)
# Written out instead of referred back to: a group inside a possessive repeat makes Python 3.11's re raise SystemError.
_WHOLE_RAW_ELEMENTS = rb"|".join(
    name + rb"(?=[\s/>])" + _WHOLE_ATTRIBUTES + rb">.*?</" + name + rb"(?=[\s/>])[^>]*+>" for name in _RAW.split(b"|")
)
_SKIP = re.compile(
    rb"(?:[^<]*+<(?:/?" + _NAME + rb"(?:" + _PLAIN + rb"|" + _WHOLE_ATTRIBUTES + rb">)"
    rb"|!--(?:-?>|.*?--!?>)|!(?!--)[^>]*+>|\?[^>]*+>|/(?![a-z])[^>]*+>"
    rb"|/(?:" + _RAW + rb")(?=[\s/>])[^>]*+>"
    rb"|" + _WHOLE_RAW_ELEMENTS + rb"|(?![a-z/!?]|\Z)))*+",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""([^\s"'>/=][^\s>/=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+))?)?""",
)
_BLANK = re.compile(
    "(?:[\\s\u200b\u200c\u200d\u2060\ufeff\u00a0\u00ad]|&nbsp;|&#160;|&#xa0;|&#8203;|&zwnj;|&#32;)*+", re.IGNORECASE
)

MAX_TEXT: Final = 2_000
"""Characters of text that a question about a range looks at."""

MAX_WRAPPERS: Final = 3
"""Elements of block level around a separator that hold nothing else: Word makes two of Teams' one."""

MAX_EMPTY: Final = 12
"""Tokens of an element that can be empty to a reader: ``<b><span><o:p></o:p></span></b>`` has six."""

MAX_INLINE_DEPTH: Final = 64
"""Inline elements that we look through for the partner of a tag: keeps misnested mail linear."""

VOID: Final = frozenset(
    b"area base basefont bgsound br col embed hr img input keygen link meta param source track wbr frame !".split()
)
INLINE: Final = frozenset(
    b"a abbr acronym b big cite code del dfn em font i ins kbd label mark nobr q s samp small span strike strong sub "
    b"sup tt u var o:p st1:place bdi bdo time".split()
)
NOTHING_TO_SEE: Final = frozenset({b"!", b"br", b"wbr"})
"""What has no partner and shows nothing."""
SEEN: Final = frozenset({b"img", b"hr", b"input"})
"""What a reader sees though there is no text in it."""
ONE_LINE: Final = frozenset(b"p div h1 h2 h3 h4 h5 h6 center".split())
"""Elements that hold a line of text, as mail programs write them."""
CLOSES_P: Final = frozenset(
    b"address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer form h1 h2 "
    b"h3 h4 h5 h6 header hgroup hr li main menu nav ol p pre section summary table ul dd dt td th tr tbody thead "
    b"tfoot caption listing plaintext xmp".split()
)
_IMPLIES_END: Final[dict[bytes, frozenset[bytes]]] = {
    b"li": frozenset({b"li"}),
    b"dt": frozenset({b"dt", b"dd"}),
    b"dd": frozenset({b"dt", b"dd"}),
    b"td": frozenset({b"td", b"th"}),
    b"th": frozenset({b"td", b"th"}),
    b"tr": frozenset({b"td", b"th", b"tr"}),
    b"tbody": frozenset({b"td", b"th", b"tr", b"tbody", b"thead", b"tfoot"}),
    b"option": frozenset({b"option"}),
}


class _Special(Enum):
    """What is special about a start tag."""

    VOID = 1
    CLOSES_P = 2
    ENDS_ITS_LIKE = 3


_SPECIAL: Final[dict[bytes, _Special]] = (
    dict.fromkeys(CLOSES_P, _Special.CLOSES_P)
    | dict.fromkeys(_IMPLIES_END, _Special.ENDS_ITS_LIKE)
    | dict.fromkeys(VOID, _Special.VOID)
)
OPTIONAL_END: Final = frozenset(b"p li dt dd td th tr tbody thead tfoot option body html head colgroup".split())
"""Elements whose end tag an author may leave out."""


def shadow_of(body: str) -> bytes:
    """Give one lower-case Latin-1 byte a character (``?`` for what Latin-1 lacks), offsets unchanged."""
    return body.encode("latin-1", "replace").lower()


def token_start(shadow: bytes, known: int, position: int) -> int:
    """Give a place at or before a position where no tag, comment or style sheet is open.

    Args:
        shadow: See :func:`shadow_of`.
        known: Such a place, to begin at.
        position: Any offset.
    """
    near = shadow.rfind(b"<", known, position + 1)
    if near < 0:
        return known
    start = known
    # One byte is found much sooner than four, and mail has few of these.
    comment = shadow.rfind(b"<!--", known, shadow.rfind(b"!", known, near) + 3)
    if comment >= 0:
        start = shadow.rfind(b"-->", known, near) + 3
    if comment < start and shadow.rfind(b"<", start, near) <= shadow.rfind(b">", start, near):
        # The tag before is closed. It takes an attribute with both ">" and "<" in its value to be wrong here, and then
        # one tag that is none stands before the block.
        return near
    found = _SKIP.match(shadow, known, position)
    return found.end() if found is not None else known


def is_blank(text: str) -> bool:
    """Say whether a reader sees nothing: white space, ``&nbsp;``, zero-width characters."""
    return not text or text.isspace() or _BLANK.fullmatch(text) is not None


@dataclass(slots=True, kw_only=True)
class Window:
    """The tokens of one stretch of a body, as parallel lists (a tuple a token would cost twice the time)."""

    body: str
    shadow: bytes
    start: int
    end: int
    names: list[bytes]
    """``div`` and ``/div``; ``!`` for a comment, declaration or an element whose content is not HTML."""
    starts: list[int]
    ends: list[int]
    mates: list[int]
    parents: list[int]
    """Index of the start tag that a token stands in, ``-1`` outside all of the window's elements."""

    def next_token(self, position: int) -> int:
        """Index of the first token that begins at or after a position."""
        return bisect_left(self.starts, position)

    def previous_token(self, position: int) -> int:
        """Index of the last token that ends at or before a position, ``-1`` if there is none."""
        return bisect_right(self.ends, position) - 1

    def in_text(self, position: int) -> bool:
        """Say whether a position lies between tags."""
        index = bisect_right(self.starts, position) - 1
        return index < 0 or self.ends[index] <= position

    def holder(self, index: int) -> int:
        """The element that the text before a token stands in, ``-1`` if it is none of the window's."""
        if index >= len(self.names):
            return -1
        if self.names[index].startswith(b"/") and self.mates[index] >= 0:
            return self.mates[index]
        return self.parents[index]

    def attributes(self, index: int) -> dict[str, str]:
        """Attributes of a start tag, names in lower case, values unescaped; the first of a name wins."""
        found: dict[str, str] = {}
        tag = self.body[self.starts[index] + 1 + len(self.names[index]) : self.ends[index] - 1]
        for match in _ATTRIBUTE.finditer(tag):
            name = match[1].lower()
            if name not in found:
                value = match[2] or match[3] or match[4] or ""
                found[name] = unescape(value) if "&" in value else value
        return found

    def wrap(
        self, lo: int, hi: int, *, blocks: int = MAX_WRAPPERS, kinds: frozenset[bytes] = ONE_LINE
    ) -> tuple[int, int]:
        """Grow a range to the outermost element that holds nothing else a reader could see.

        Args:
            lo: Start of the range.
            hi: End of it.
            blocks: How many elements of block level may be taken; inline ones are free.
            kinds: Which elements of block level.
        """
        while True:
            left = self.before_blanks(lo)
            if left < 0 or self.names[left].startswith(b"/") or self.mates[left] == VOID_MATE:
                return lo, hi
            right = self.after_blanks(hi)
            name = self.names[left]
            if (
                self.mates[left] == IMPLIED
                and right < len(self.names)
                and name == b"p"
                and self._holds(left, right, lo)
            ):
                outer = (self.starts[left], self.starts[right])
            elif right < len(self.names) and self.mates[left] == right:
                outer = (self.starts[left], self.ends[right])
            else:
                return lo, hi
            if name not in INLINE:
                if blocks == 0 or name not in kinds:
                    return lo, hi
                blocks -= 1
            lo, hi = outer

    def _holds(self, element: int, closer: int, lo: int) -> bool:
        """Say whether an element without an end tag still holds what begins at *lo*."""
        first = self.next_token(lo)
        return first >= closer or self.parents[first] == element

    def is_blank_between(self, lo: int, hi: int) -> bool:
        """Say whether a reader sees nothing in a range: no text, no picture, no rule."""
        body, starts, ends, names = self.body, self.starts, self.ends, self.names
        first, last = bisect_left(starts, lo), bisect_left(starts, hi)
        position = lo
        for index in range(first, last):
            if starts[index] > position and not is_blank(body[position : starts[index]]):
                return False
            if names[index] in SEEN:
                return False
            position = ends[index]
        return is_blank(body[position:hi])

    def text(self, lo: int, hi: int) -> str:
        """What a reader sees of a range, white space squeezed, at most 2,000 characters of it."""
        pieces = []
        size = 0
        index = self.next_token(lo)
        position = lo
        while index < len(self.starts) and self.starts[index] < hi and size < MAX_TEXT:
            pieces.append(self.body[position : self.starts[index]])
            size += len(pieces[-1])
            position = max(position, self.ends[index])
            index += 1
        pieces.append(self.body[position : min(hi, position + MAX_TEXT)])
        return " ".join(unescape("".join(pieces)).split())

    def line(self, position: int) -> tuple[int, int]:
        """The line in which a position lies, with the elements around it that hold nothing else.

        A line runs from one tag of block level or ``<br>`` to the next.
        """
        before = self.previous_token(position)
        while before >= 0 and self._is_inline(before):
            before -= 1
        after = max(before + 1, self.next_token(position))
        while after < len(self.starts) and self._is_inline(after):
            after += 1
        lo = self.ends[before] if before >= 0 else self.start
        hi = self.starts[after] if after < len(self.starts) else self.end
        return self.wrap(lo, max(lo, hi))

    def _is_inline(self, index: int) -> bool:
        name = self.names[index]
        return name.removeprefix(b"/") in INLINE or name in {b"!", b"img", b"wbr"}

    def before_blanks(self, position: int) -> int:
        """The nearest token on the left that is not an empty element, if only blanks lie between."""
        body, names, starts, ends, mates = self.body, self.names, self.starts, self.ends, self.mates
        index = bisect_right(ends, position) - 1
        while index >= 0 and (ends[index] == position or is_blank(body[ends[index] : position])):
            mate = mates[index]
            if mate == VOID_MATE and names[index] in NOTHING_TO_SEE:
                position = starts[index]
                index -= 1
                continue
            if mate < 0 or mate > index or index - mate > MAX_EMPTY:
                return index
            if not self.is_blank_between(ends[mate], starts[index]):
                return index
            position = starts[mate]
            index = mate - 1
        return -1

    def after_blanks(self, position: int) -> int:
        """The same on the right; the number of tokens if there is none."""
        body, names, starts, ends, mates = self.body, self.names, self.starts, self.ends, self.mates
        index = bisect_left(starts, position)
        count = len(starts)
        while index < count and (starts[index] == position or is_blank(body[position : starts[index]])):
            mate = mates[index]
            if mate == VOID_MATE and names[index] in NOTHING_TO_SEE:
                position = ends[index]
                index += 1
                continue
            if mate < index or mate - index > MAX_EMPTY:
                return index
            if not self.is_blank_between(ends[index], starts[mate]):
                return index
            position = ends[mate]
            index = mate + 1
        return count


def cut(body: str, shadow: bytes, start: int, end: int) -> Window:
    """Cut a stretch of a body into tokens and pair them.

    Args:
        body: The original.
        shadow: Its shadow.
        start: Where no tag is open (see :func:`token_start`).
        end: Where to stop; the last token may reach beyond it.
    """
    if end < len(shadow):
        end = shadow.find(b">", end) + 1 or len(shadow)
    # This is most of the time that locating takes: list by list is half as long as token by token.
    matches = list(_TOKEN.finditer(shadow, start, end))
    names: list[bytes] = list(map(_NAME_OF, matches))
    if not all(names):
        names = [name or b"!" for name in names]
    pairing = _Pairing(names)
    pairing.run()
    return Window(
        body=body,
        shadow=shadow,
        start=start,
        end=end,
        names=names,
        starts=list(map(re.Match.start, matches)),
        ends=list(map(re.Match.end, matches)),
        mates=pairing.mates,
        parents=pairing.parents,
    )


_NAME_OF: Final = itemgetter(1)
_ENDS_IN_PARAGRAPH: Final = {name: b"/" + name for name in INLINE - _SPECIAL.keys()}
"""The end tags of the elements that may stand in a paragraph."""
_ENDS: Final = _ENDS_IN_PARAGRAPH | {name: b"/" + name for name in CLOSES_P - VOID - _IMPLIES_END.keys()}
"""The same and those that would close one, for where none is open."""


class _Pairing:
    """Which end tag closes which start tag, with the few of HTML's rules that real mail needs."""

    __slots__ = ("mates", "names", "opened", "parents", "stack")

    def __init__(self, names: list[bytes]) -> None:
        self.names = names
        self.mates = [UNMATCHED] * len(names)
        self.parents = [-1] * len(names)
        self.stack: list[int] = []
        self.opened: defaultdict[bytes, int] = defaultdict(int)

    def run(self) -> None:
        """Go through the tokens once, as long as every end tag closes the innermost element; then the longer way.

        Nearly all mail is nested that well around its block, and then nothing needs to be counted.
        """
        mates, parents, names = self.mates, self.parents, self.names
        special_names, void = _SPECIAL, _Special.VOID
        # What ends each element; the last stands for "nothing is open", which is what -1 means as an index as well.
        closers = [b""] * (len(names) + 1)
        top, closer = -1, b""
        ends = _ENDS
        for index, name in enumerate(names):
            if name == closer:
                mates[top] = index
                mates[index] = top
                parents[index] = top = parents[top]
                closer = closers[top]
                if name == b"/p":
                    ends = _ENDS
                continue
            end = ends.get(name)
            if end is None:
                if name[0] == SLASH:
                    if top >= 0:
                        break
                    continue
                special = special_names.get(name)
                if special is void and (name != b"hr" or ends is _ENDS):
                    mates[index] = VOID_MATE
                    parents[index] = top
                    continue
                if special is not None:
                    break
                end = b"/" + name
            elif name == b"p":
                ends = _ENDS_IN_PARAGRAPH
            parents[index] = top
            top = index
            closers[index] = closer = end
        else:
            return
        self._go_on(index, top)

    def _go_on(self, first: int, innermost: int) -> None:
        """Pair from a token on, whatever comes: what is common is written out here, the rest is below."""
        mates, parents, stack, opened, names = self.mates, self.parents, self.stack, self.opened, self.names
        while innermost >= 0:
            stack.append(innermost)
            opened[names[innermost]] += 1
            innermost = parents[innermost]
        stack.reverse()
        special_names, void, ends_its_like = _SPECIAL, _Special.VOID, _Special.ENDS_ITS_LIKE
        top = stack[-1] if stack else -1
        for index, name in enumerate(islice(names, first, None), first):
            if name[0] == SLASH:
                bare = name[1:]
                if top >= 0 and names[top] == bare:
                    del stack[-1]
                    opened[bare] -= 1
                    mates[top] = index
                    mates[index] = top
                    top = stack[-1] if stack else -1
                elif opened[bare]:
                    self.close(index, bare)
                    top = stack[-1] if stack else -1
            else:
                special = special_names.get(name)
                if special is void:
                    mates[index] = VOID_MATE
                    if name == b"hr":
                        self.close_paragraph()
                        top = stack[-1] if stack else -1
                    parents[index] = top
                    continue
                if special is not None and (opened[b"p"] or special is ends_its_like):
                    self.close_implied(name)
                    top = stack[-1] if stack else -1
                parents[index] = top
                stack.append(index)
                opened[name] += 1
                top = index
                continue
            parents[index] = top

    def close(self, index: int, name: bytes) -> None:
        """Note an end tag whose element is open, but not the innermost one."""
        stack, names = self.stack, self.names
        if name in INLINE:
            # An inline end tag does not close a block element: it is paired where it was opened, and the rest stays.
            at = len(stack) - 1
            bottom = max(0, at - MAX_INLINE_DEPTH)
            while names[stack[at]] != name:
                if names[stack[at]] not in INLINE or at <= bottom:
                    return
                at -= 1
            while names[stack[-1]] != name:
                self._pop(UNMATCHED)
        else:
            while names[stack[-1]] != name:
                self._pop(IMPLIED if names[stack[-1]] in OPTIONAL_END else UNMATCHED)
        opener = stack.pop()
        self.opened[name] -= 1
        self.mates[index] = opener
        self.mates[opener] = index

    def close_implied(self, name: bytes) -> None:
        """Close what a start tag of block level closes: a paragraph, and before ``<li>`` the last ``<li>``."""
        if self.opened[b"p"]:
            self.close_paragraph()
        implied = _IMPLIES_END.get(name)
        if implied is not None:
            while self.stack and self.names[self.stack[-1]] in implied:
                self._pop(IMPLIED)

    def close_paragraph(self) -> None:
        """Close an open ``<p>``, as a start tag of block level does."""
        if not self.opened[b"p"]:
            return
        at = len(self.stack) - 1
        bottom = max(-1, at - MAX_INLINE_DEPTH)
        while at > bottom and self.names[self.stack[at]] in INLINE:
            at -= 1
        if at >= 0 and self.names[self.stack[at]] == b"p":
            while len(self.stack) > at + 1:
                self._pop(UNMATCHED)
            self._pop(IMPLIED)

    def _pop(self, mate: int) -> None:
        opener = self.stack.pop()
        self.opened[self.names[opener]] -= 1
        self.mates[opener] = mate
