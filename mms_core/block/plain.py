"""Blocks in plain text: iCalendar descriptions, text alternatives, bodies that were never HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mms_core.block.links import url_in_text
from mms_core.block.marks import NO_PROOF, PRODUCT, Mark, rule_after, rule_before
from mms_core.block.model import BlockKind
from mms_core.block.region import Region
from mms_core.block.skype_html import HELP_LINKS, LAST_MARKS, conference_line, own_rules
from mms_core.block.teams_html import is_enough, last_secondary, secondary_anchors

if TYPE_CHECKING:
    from mms_core.block.urls import JoinUrl

NEAR: Final = 900
"""Characters between a separator and the join link below it."""

HEAD: Final = 500
"""Characters between a Teams block's separator and its join link, with room for long languages."""

HEADLINE: Final = 300
"""Characters between the line with the product's name and the line of the join link."""

REFERENCE: Final = 600
"""Characters between the short link of generation 4 and the classic one below it."""

FAR: Final = 12_000
"""Characters between the join link and the separator that closes the block."""

GAP: Final = 1_200
"""Characters between the last anchor and a closing separator that is certainly the block's."""

_TAIL = re.compile(
    rb"tel:[0-9+]|dialin|\[!oc\(\[|officeredir|linkid=389737|[0-9][0-9 ]{4,14}#|://aka\.ms/|meetingoptions"
)
_SHORT_RULE = re.compile(rb"[ \t]*(?:\r\n|\r|\n)[ \t\r\n]{0,4}_{32}(?=[ \t]*(?:[\r\n]|\Z))")
"""Generation 4 in text has a rule of 32 underscores inside, which stands last where the rest was cut off."""
_HASHED_ID = re.compile(rb":[ \t]*[0-9][0-9 \xa0]{5,16}#")
_LINKS_ROW = re.compile(rb"[^\r\n|]{2,80}\|[^\r\n|]{2,80}\|[^\r\n]{2,200}")
_PHONE_LINE = re.compile(rb"^[ \t]*\+[0-9][0-9 ()-]{6,20}", re.MULTILINE)


def find_teams(body: str, shadow: bytes, positions: list[int]) -> list[Region]:
    """Find the Teams blocks of a plain text; *positions* are where its Teams links are."""
    found: list[tuple[int, int, JoinUrl]] = []
    for position in positions:
        link = url_in_text(body, position)
        if link is not None and link[2].product != "skype" and (not found or link[0] >= found[-1][1]):
            found.append(link)
    regions: list[Region] = []
    for index, (lo, hi, url) in enumerate(found):
        if regions and lo < regions[-1].hi:
            if url not in regions[-1].urls:
                regions[-1].urls.append(url)
            continue
        floor = max(0, lo - NEAR, found[index - 1][1] if index else 0, regions[-1].hi if regions else 0)
        ceiling = min([len(body), hi + FAR] + [other[0] for other in found[index + 1 :][:1] if _other(url, other[2])])
        region = _teams_region(shadow, (lo, _end_of_reference(found, index)), floor, ceiling)
        if region is not None:
            region.urls = [url]
            regions.append(region)
    return regions


def find_linkless_teams(shadow: bytes) -> list[Region]:
    """Find a Teams block that has lost its links: headline, hashed conference id and row of links remain."""
    headline = shadow.find(PRODUCT)
    if headline < 0:
        return []
    before = rule_before(shadow, headline, max(0, headline - 200), dots=False)
    lo = shadow.rfind(b"\n", 0, headline) + 1
    hashed = _HASHED_ID.search(shadow, headline, headline + 4_000)
    row = _LINKS_ROW.search(shadow, headline, headline + 4_000)
    phone = _PHONE_LINE.search(shadow, headline, headline + 4_000)
    anchors = {"product-name"}
    if before is None and (hashed is None or row is None):
        return []
    if before is not None and shadow[before.hi : lo].strip():
        return []
    ends = [match.end() for match in (hashed, row, phone) if match is not None]
    after = rule_after(shadow, headline, headline + 6_000, dots=False)
    hi = _line_end(shadow, max([headline, *ends]))
    if hashed is not None:
        anchors.add("conference-id")
    if row is not None:
        anchors.add("links-row")
        hi = _room_system_lines(shadow, hi)
    region = Region(kind=BlockKind.TEAMS, lo=before.lo if before else lo, hi=hi, anchors=anchors)
    if before is not None:
        anchors.add("separator-before")
    if after is not None:
        region.hi = after.hi
        anchors.add("separator-after")
    region.doubt = "no-join-link: a Teams block without the link that joins its meeting"
    return [region]


def find_skype(body: str, shadow: bytes, marks: list[Mark]) -> list[Region]:
    """Find the Skype blocks of a plain text."""
    regions: list[Region] = []
    for mark in marks:
        if regions and mark.position < regions[-1].hi:
            continue
        region = _skype_region(body, shadow, mark, marks, regions[-1].hi if regions else 0)
        if region is not None:
            regions.append(region)
    return regions


def _teams_region(shadow: bytes, link: tuple[int, int], floor: int, ceiling: int) -> Region | None:
    lo, hi = link
    before = rule_before(shadow, lo, floor, dots=False)
    after = rule_after(shadow, hi, ceiling, dots=False)
    if before is not None and not (before.is_teams and lo - before.hi <= HEAD):
        before = None
    if after is not None and not after.is_teams:
        after = None
    tail = last_secondary(shadow, hi, after.lo if after is not None else ceiling)
    marks = secondary_anchors(shadow, lo, max(tail, hi))
    if after is not None and before is None and after.lo - max(tail, hi) > GAP:
        after = None
    region = Region(kind=BlockKind.TEAMS, lo=_line_start(shadow, lo), hi=hi, anchors={"join-link", *marks})
    if before is not None:
        region.lo = before.lo
        region.anchors.add("separator-before")
    else:
        headline = _headline(shadow, region.lo, floor)
        if headline is not None:
            region.lo = headline
            region.anchors.add("product-name")
        region.lo = max(region.lo, floor)
    if after is not None:
        region.hi = after.hi
        region.anchors.add("separator-after")
    else:
        region.hi = _line_end(shadow, max(tail, hi))
        short_rule = _SHORT_RULE.match(shadow, region.hi)
        if short_rule is not None:
            region.hi = short_rule.end()
    return region if is_enough(region.anchors) else None


def _skype_region(body: str, shadow: bytes, mark: Mark, marks: list[Mark], floor: int) -> Region | None:
    lo = mark.position
    link = url_in_text(body, lo)
    if link is not None:
        lo = link[0]
    before = rule_before(shadow, lo, max(floor, lo - NEAR), dots=True)
    # The join link stands above the first anchor ("?sl=1"), on a line of its own.
    above = _first_join_link(body, shadow, before.hi if before else max(floor, lo - NEAR), lo)
    urls = [above[2]] if above is not None else []
    if link is not None and link[2].product == "skype" and link[2] not in urls:
        urls.append(link[2])
    if above is not None and before is None:
        lo = above[0]
    after = rule_after(shadow, mark.position, min(len(body), mark.position + FAR), dots=True)
    before, after = own_rules(before, after, by_hand=shadow.find(b"[!oc([", lo, lo + FAR) < 0)
    ceiling = after.lo if after is not None else min(len(body), mark.position + FAR)
    own = [other for other in marks if mark.position <= other.position < ceiling]
    names = {other.name for other in own} - NO_PROOF
    identified = conference_line(shadow, lo, mark.position, ceiling) if names == {"dial-in-page"} else -1
    if identified >= 0:
        names.add("conference-id")
    if after is not None and before is None and after.lo - own[-1].position > GAP:
        after = None
    count = len(names) + (before is not None) + (after is not None)
    if not urls or (count < 2 and names.isdisjoint(HELP_LINKS)):  # noqa: PLR2004
        return None
    region = Region(kind=BlockKind.SKYPE, lo=_line_start(shadow, lo), hi=lo, anchors={*names, "join-link"}, urls=urls)
    if before is not None:
        region.lo = before.lo
        region.anchors.add("separator-before")
    if after is not None:
        region.hi = after.hi
        region.anchors.add("separator-after")
    else:
        last = max(own[-1].position, identified)
        region.hi = _line_end(shadow, last if names & LAST_MARKS else _last_of_tail(shadow, last, ceiling))
    return region


def _last_of_tail(shadow: bytes, last: int, ceiling: int) -> int:
    """The end of the last thing of Skype's below an anchor, in a block that lost its closing line of dots."""
    for match in _TAIL.finditer(shadow, last, min(ceiling, last + GAP)):
        last = match.end()
    return last


def _first_join_link(body: str, shadow: bytes, lo: int, hi: int) -> tuple[int, int, JoinUrl] | None:
    """The first Skype join URL of a stretch."""
    position = shadow.find(b"://", lo, hi)
    while position >= 0:
        link = url_in_text(body, position + 3)
        if link is not None and link[2].product == "skype":
            return link
        position = shadow.find(b"://", position + 3, hi)
    return None


def _end_of_reference(found: list[tuple[int, int, JoinUrl]], index: int) -> int:
    """End of a link, or of the classic link that generation 4 gives as a reference below its short one."""
    _, hi, url = found[index]
    if url.short and index + 1 < len(found):
        lo, end, reference = found[index + 1]
        if not reference.short and lo - hi <= REFERENCE:
            return end
    return hi


def _other(url: JoinUrl, other: JoinUrl) -> bool:
    """Say whether two URLs are of two blocks."""
    return url.canonical != other.canonical and url.short == other.short


def _headline(shadow: bytes, start: int, floor: int) -> int | None:
    """Start of the nearest line above with the product's name, if it is close to the line of the link."""
    above = shadow.rfind(PRODUCT, max(floor, start - HEADLINE), start)
    return _line_start(shadow, above) if above >= 0 else None


def _room_system_lines(shadow: bytes, hi: int) -> int:
    """Take the lines of a room-system sub-block that follow: one to four lines, the second with an address."""
    address = shadow.find(b"@", hi, hi + 300)
    if address < 0:
        return hi
    end = _line_end(shadow, address)
    following = _line_end(shadow, end + 2)
    # The last line of the sub-block is the label of a link to other instructions.
    return following if 0 < following - end <= 90 and shadow[end:following].strip() else end  # noqa: PLR2004


def _line_start(shadow: bytes, position: int) -> int:
    return max(shadow.rfind(b"\n", 0, position), shadow.rfind(b"\r", 0, position)) + 1


def _line_end(shadow: bytes, position: int) -> int:
    ends = [end for end in (shadow.find(b"\n", position), shadow.find(b"\r", position)) if end >= 0]
    return min(ends, default=len(shadow))
