"""Teams blocks in HTML: by the element that Teams wrote, else by what stands around the join link."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from mms_core.block.marks import PRODUCT, Rule, find_all, holds, rule_after, rule_before
from mms_core.block.model import BlockKind
from mms_core.block.region import Region
from mms_core.block.tokens import INLINE, VOID_MATE, is_blank

if TYPE_CHECKING:
    from mms_core.block.links import Link
    from mms_core.block.tokens import Window

NEAR: Final = 6_000
"""Characters of HTML between a separator and the block it belongs to; Word writes 500 of them for a word."""

FAR: Final = 60_000
"""Characters of HTML from the join link to the closing separator: a dial-in list of eighty countries is in between."""

CHAIN: Final = 8_000
"""Characters of HTML between two marks of one block; a Safe Link in Word's HTML takes 1,500."""

FOOTER_TEXT: Final = 1_500
"""Visible characters of an organisation's footer between a block's last link and its closing separator."""

MAX_FOOTER_TOKENS: Final = 4
"""Tokens of an empty footer element."""

HEADLINE_TEXT: Final = 200
"""Visible characters from the product's name to the line of the join link."""

BOTH: Final = 2
"""Separators of a block; also the anchors that a join link needs beside itself."""

HEAD_TEXT: Final = 500
"""Visible characters that Teams writes between its separator and its join link, with room for long languages."""

TYPED_TEXT: Final = 300
"""Visible characters that somebody may have typed above the closing separator of a block that has both."""

ELEMENT_CLASS: Final = b"me-email-text"

_LANG = re.compile(r"""\slang\s*+=\s*+["']?([A-Za-z-]{2,20})""", re.IGNORECASE)
_CONTAINER = re.compile(r"(?:x_|m_-?\d+|yiv\d+)*+me-email-text\Z", re.IGNORECASE)
"""Outlook on the web, Gmail and Yahoo put these before a class that they copy."""
_CONFERENCE_URI = re.compile(rb"tel:[^\"'<>]{3,60},,")
_SECONDARY: Final[tuple[tuple[bytes, str], ...]] = (
    (b"meetingoptions", "meeting-options-link"),
    (b"jointeamsmeeting", "help-link"),
    (b"dialin.teams.", "dial-in-link"),
    (b".lync.com", "dial-in-link"),
    (b"microsoft-teams", "download-link"),
    (b"meet_invite_block", "invite-block-id"),
)
"""What is in the path of a link as it stands and as it stands inside a Safe Link."""


def secondary_anchors(shadow: bytes, lo: int, hi: int) -> set[str]:
    """Marks besides the join link and the separators that a stretch carries."""
    part = shadow[lo:hi]
    found = {name for needle, name in _SECONDARY if holds(part, needle)}
    if _CONFERENCE_URI.search(part):
        found.add("conference-uri")
    return found


def last_secondary(shadow: bytes, lo: int, hi: int) -> int:
    """End of the last such mark in a stretch, or *lo*; the chain ends where the next one is too far away."""
    part = shadow[lo:hi]
    ends = [match.end() for match in _CONFERENCE_URI.finditer(part)]
    for needle, _ in _SECONDARY:
        ends += [position + len(needle) for position in find_all(part, needle)]
    last = 0
    for end in sorted(ends):
        if end - last > CHAIN:
            break
        last = end
    return lo + last


def find(window: Window, links: list[Link]) -> list[Region]:
    """Find the Teams blocks of a window.

    Args:
        window: Tokens of a stretch of the body.
        links: Its Teams join links, in order.
    """
    regions = _by_container(window, links)
    covered = [(region.lo, region.hi) for region in regions]
    for position, link in enumerate(links):
        if any(lo <= link.lo < hi for lo, hi in covered):
            continue
        region = _by_surroundings(window, links, position, covered)
        if region is not None:
            regions.append(region)
            covered.append((region.lo, region.hi))
    return regions


def _by_container(window: Window, links: list[Link]) -> list[Region]:
    """Blocks whose own element is still there, with or without ``x_`` before its class."""
    regions: list[Region] = []
    shadow, names, starts = window.shadow, window.names, window.starts
    position = shadow.find(ELEMENT_CLASS, window.start, window.end)
    while position >= 0:
        at, position = position, shadow.find(ELEMENT_CLASS, position + 1, window.end)
        index = window.previous_token(at) + 1
        if index >= len(names) or starts[index] > at:
            continue
        if names[index] in INLINE or names[index].startswith(b"/") or window.mates[index] == VOID_MATE:
            continue
        lo = window.starts[index]
        if not _has_class(window, index, at):
            continue
        mate = window.mates[index]
        hi = window.ends[mate] if mate >= 0 else window.end
        own = [link for link in links if lo <= link.lo < hi]
        region = Region(kind=BlockKind.TEAMS, lo=lo, hi=hi, anchors={"block-class"}, container=(lo, hi))
        region.urls = [link.url for link in own]
        lang = _LANG.search(window.body, lo, window.ends[index])
        region.lang = lang[1] if lang is not None else None
        if mate < 0:
            region.doubt = "unclear-extent: the element of the Teams block is never closed"
        if _starts_with_rule(window, index):
            region.anchors |= {"separator-before", "separator-after"}
        else:
            _take_separators(window, region, links)
        region.anchors |= secondary_anchors(window.shadow, lo, hi)
        if own:
            region.anchors.add("join-link")
        if len(region.anchors) > 1:
            regions.append(region)
        # What bears the class inside of it is part of it.
        position = shadow.find(ELEMENT_CLASS, region.hi, window.end)
    return regions


def _has_class(window: Window, index: int, at: int) -> bool:
    """Say whether a tag bears the class of Teams' element, ``x_`` before it or not."""
    lead = window.shadow[window.starts[index] : at]
    if lead.endswith(b' class="') and lead.count(b'"') % 2 == 1 and b"='" not in lead:
        return window.shadow[at + len(ELEMENT_CLASS) : at + len(ELEMENT_CLASS) + 1] in {b'"', b" "}
    return any(_CONTAINER.match(name) for name in window.attributes(index).get("class", "").split())


def _starts_with_rule(window: Window, index: int) -> bool:
    """Say whether the first thing to read in an element is a separator: generations 3b and 4 hold theirs inside."""
    rule = rule_after(window.shadow, window.ends[index], window.ends[index] + 2_000, dots=False)
    return rule is not None and window.is_blank_between(window.ends[index], rule.lo)


def _take_separators(window: Window, region: Region, links: list[Link]) -> None:
    """Widen a region by the separators that stand beside its element, and by what Teams put in between."""
    shadow = window.shadow
    lo, hi = region.lo, region.hi
    before = rule_before(shadow, lo, max(window.start, lo - NEAR), dots=False)
    if before is not None and before.is_teams and window.in_text(before.lo):
        wrapped = window.wrap(before.lo, before.hi)
        if window.is_blank_between(wrapped[1], lo):
            region.lo = wrapped[0]
            region.anchors.add("separator-before")
        else:
            before = None
    else:
        before = None
    after = rule_after(shadow, hi, min(window.end, hi + NEAR), dots=False)
    if after is not None and after.is_teams and window.in_text(after.lo) and not _has_start(window, hi, after.lo):
        wrapped = window.wrap(after.lo, after.hi)
        if not any(hi <= link.lo < wrapped[0] for link in links) and (
            window.is_blank_between(hi, wrapped[0])
            or _is_footer(window, hi, wrapped[0])
            or (before is not None and len(window.text(hi, wrapped[0])) <= TYPED_TEXT)
        ):
            region.hi = wrapped[1]
            region.anchors.add("separator-after")
            return
    region.hi = _over_empty_footers(window, hi)


def _has_start(window: Window, lo: int, hi: int) -> bool:
    """Say whether another block begins in a stretch."""
    return window.shadow.find(b"me-email-text", lo, hi) >= 0 or window.shadow.find(b"outjoinlink", lo, hi) >= 0


def _is_footer(window: Window, lo: int, hi: int) -> bool:
    """Say whether all text of a stretch stands in the small print that Teams writes below its element."""
    index = window.next_token(lo)
    position = lo
    while index < len(window.starts) and window.starts[index] < hi:
        if not is_blank(window.body[position : window.starts[index]]) and not _is_small_print(window, index):
            return False
        position = window.ends[index]
        index += 1
    return is_blank(window.body[position:hi])


def _is_small_print(window: Window, index: int) -> bool:
    """Say whether a token stands in an element with the style of the footer."""
    parent = window.parents[index]
    while parent >= 0:
        style = window.attributes(parent).get("style", "").replace(" ", "").lower()
        if "font-size:12px" in style or "font-size:14px" in style:
            return True
        parent = window.parents[parent]
    return False


def _over_empty_footers(window: Window, hi: int) -> int:
    """Take the empty footer elements that follow a block without a closing separator."""
    index = window.next_token(hi)
    while index < len(window.names):
        mate = window.mates[index]
        if mate <= index or mate - index > MAX_FOOTER_TOKENS or not is_blank(window.body[hi : window.starts[index]]):
            return hi
        style = window.attributes(index).get("style", "").replace(" ", "").lower()
        if "font-size:12px" not in style and "font-size:14px" not in style:
            return hi
        if not window.is_blank_between(window.ends[index], window.starts[mate]):
            return hi
        hi = window.ends[mate]
        index = mate + 1
    return hi


def _by_surroundings(window: Window, links: list[Link], position: int, covered: list[tuple[int, int]]) -> Region | None:
    """A block without its classes (Word, copies): between separators, else between headline and last own link."""
    link = links[position]
    floor, ceiling = _room(window, links, position, covered)
    before = _fitting_before(window, rule_before(window.shadow, link.lo, floor, dots=False), link.lo)
    after = rule_after(window.shadow, link.hi, ceiling, dots=False)
    tail = last_secondary(window.shadow, link.hi, after.lo if after is not None else ceiling)
    marks = secondary_anchors(window.shadow, link.lo, max(tail, link.hi))
    if after is not None and not _closes(window, before, after, tail):
        after = None
    region = Region(kind=BlockKind.TEAMS, lo=link.lo, hi=link.hi, anchors={"join-link", *marks})
    if before is not None:
        region.lo = window.wrap(before.lo, before.hi)[0]
        region.anchors.add("separator-before")
    else:
        region.lo = window.line(link.lo)[0]
        headline = _headline(window, region.lo, floor)
        if headline is not None:
            region.lo = headline
            region.anchors.add("product-name")
    if after is not None:
        region.hi = window.wrap(after.lo, after.hi)[1]
        region.anchors.add("separator-after")
    else:
        region.hi = window.line(max(tail, link.hi) - 1)[1]
    region.urls = [other.url for other in links if region.lo <= other.lo < region.hi]
    return region if is_enough(region.anchors) else None


def is_enough(anchors: set[str]) -> bool:
    """Say whether a join link and what stands around it make a block.

    A link alone is the user's own. Two separators make a block of it; else two other marks, one of which may be a
    separator, but not the product's name alone with one: people write both above a link.
    """
    rules = anchors & {"separator-before", "separator-after"}
    marks = anchors - rules - {"join-link", "product-name"}
    return len(rules) == BOTH or (bool(marks) and len(anchors) > BOTH)


def _room(window: Window, links: list[Link], position: int, covered: list[tuple[int, int]]) -> tuple[int, int]:
    """How far a block around a link can reach: not into another block, nor over another meeting's link."""
    link = links[position]
    floor = max([window.start, link.lo - NEAR, *(hi for _, hi in covered if hi <= link.lo)])
    ceiling = min([window.end, link.hi + FAR, *(lo for lo, _ in covered if lo >= link.hi)])
    for other in islice(links, position + 1, None):
        if other.url.canonical != link.url.canonical and not _same_block(link, other):
            ceiling = min(ceiling, other.lo)
            break
    if position > 0 and links[position - 1].hi <= link.lo:
        floor = max(floor, links[position - 1].hi)
    return floor, ceiling


def _same_block(link: Link, other: Link) -> bool:
    """Say whether two links can be of one block: the short one and the classic one of generation 4."""
    return link.url.short != other.url.short


def _fitting_before(window: Window, rule: Rule | None, lo: int) -> Rule | None:
    """A separator above the join link, unless too much is written in between: then it is the user's own line."""
    if rule is None or not window.in_text(rule.lo):
        return None
    return rule if rule.is_teams and len(window.text(rule.hi, lo)) <= HEAD_TEXT else None


def _closes(window: Window, before: Rule | None, after: Rule, tail: int) -> bool:
    """Say whether a separator below the join link is the block's own and not the user's."""
    if not after.is_teams or not window.in_text(after.lo):
        return False
    return len(window.text(tail, after.lo)) <= (HEAD_TEXT if before is None else FOOTER_TEXT)


def _headline(window: Window, start: int, floor: int) -> int | None:
    """Start of the headline above the line of a join link, where there is no separator.

    The product's name is the one part of the headline that no language translates.
    """
    above = window.shadow.rfind(PRODUCT, max(floor, start - CHAIN), start)
    if above < 0 or not window.in_text(above):
        return None
    headline = window.line(above)[0]
    return headline if len(window.text(headline, start)) <= HEADLINE_TEXT else None
