"""Teams blocks without their classes whose every link a mail gateway has hidden behind an opaque one of its own.

What is left is what no gateway touches: the separators, the product's name, telephone links, numbers with their ``#``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from mms_core.block.marks import PRODUCT, Rule, find_all, holds, rule_after
from mms_core.block.model import BlockKind
from mms_core.block.region import Region
from mms_core.block.teams_html import BOTH, CHAIN, FAR, secondary_anchors

if TYPE_CHECKING:
    from mms_core.block.tokens import Window

ROOM: Final = 20_000
"""Characters of HTML from a block's begin to the end of its first numbers."""

MAX_PLACES: Final = 8
"""Separators, and places of the product's name, that are looked at: real mail has a few."""

DOUBT: Final = "hidden-join-link: what looks like a Teams block has no link that can be read"

_GAP = rb"(?:[ \xa0]|&nbsp;)"
_NUMBERS: Final = {
    "meeting-id": re.compile(rb"(?<![0-9])[0-9]{3}(?:" + _GAP + rb"[0-9]{3}){3,4}(?![0-9])"),
    "conference-id": re.compile(rb"(?<![0-9])[0-9]{3}" + _GAP + rb"?[0-9]{3}" + _GAP + rb"?[0-9]{3}#"),
}
"""Twelve digits and more in groups of three (room systems have ten), and nine before a ``#``."""
_LINK = re.compile(rb"href\s*+=\s*+[\"']?http|(?:&lt;|[<\s(])https?://")


@dataclass(slots=True, kw_only=True)
class Candidate:
    """Where such a block may stand, as far as can be told without tags."""

    anchors: set[str]
    first: tuple[int, int]
    """Its separator, else its headline."""
    last: tuple[int, int]
    """The other separator, else the last of its marks."""
    is_certain: bool


def candidates(shadow: bytes) -> list[Candidate]:
    """Find what may be such blocks.

    Two separators with a link and two other marks in between are certain. One mark less, or no separators and one mark
    more, is only a doubt, but more than silence.
    """
    rules: list[Rule] = []
    rule = rule_after(shadow, 0, len(shadow), dots=False)
    while rule is not None and len(rules) < MAX_PLACES:
        rules.append(rule)
        rule = rule_after(shadow, rule.hi, len(shadow), dots=False)
    found: list[Candidate] = []
    for before, after in pairwise(filter(attrgetter("is_teams"), rules)):
        anchors = _anchors(shadow[before.hi : after.lo]) if after.lo - before.hi <= FAR else set()
        if anchors and not (found and before.lo < found[-1].last[1]):
            found.append(
                Candidate(
                    anchors=anchors | {"separator-before", "separator-after"},
                    first=(before.lo, before.hi),
                    last=(after.lo, after.hi),
                    is_certain=len(anchors) > BOTH,
                )
            )
    return found or _without_separators(shadow)


def _without_separators(shadow: bytes) -> list[Candidate]:
    """The first headline that is followed by a link and a number of Teams'."""
    for position in find_all(shadow, PRODUCT)[:MAX_PLACES]:
        stretch = shadow[position : position + CHAIN]
        anchors = _anchors(stretch)
        numbers = [match for pattern in _NUMBERS.values() for match in pattern.finditer(stretch)]
        if "meeting-id" in anchors or anchors >= {"conference-id", "conference-uri"}:
            last = max(numbers, key=re.Match.end)
            return [
                Candidate(
                    anchors=anchors,
                    first=(position, position + len(PRODUCT)),
                    last=(position + last.start(), position + last.end()),
                    is_certain=False,
                )
            ]
    return []


def region_of(window: Window, candidate: Candidate) -> Region | None:
    """Take the elements around a candidate's ends that hold nothing else; ``None`` where they are no text."""
    first, last = candidate.first, candidate.last
    if not window.in_text(first[0]) or (candidate.is_certain and not window.in_text(last[0])):
        return None
    region = Region(kind=BlockKind.TEAMS, lo=first[0], hi=last[1], anchors=candidate.anchors)
    if "separator-before" in candidate.anchors:
        region.lo, region.hi = window.wrap(*first)[0], window.wrap(*last)[1]
    else:
        region.lo, region.hi = window.line(first[0])[0], window.line(last[1] - 1)[1]
    region.doubt = None if candidate.is_certain else DOUBT
    return region


def in_text(shadow: bytes) -> list[Region]:
    """Find them in plain text, where a candidate is a region as it stands, line by line."""
    regions: list[Region] = []
    for candidate in candidates(shadow):
        region = Region(
            kind=BlockKind.TEAMS, lo=candidate.first[0], hi=candidate.last[1], anchors=set(candidate.anchors)
        )
        if not candidate.is_certain:
            region.doubt = DOUBT
            region.lo = max(shadow.rfind(b"\n", 0, region.lo), shadow.rfind(b"\r", 0, region.lo)) + 1
        regions.append(region)
    return regions


def _anchors(stretch: bytes) -> set[str]:
    """The marks of Teams' in a stretch; none where no link stands in it or nothing is Teams'."""
    found = secondary_anchors(stretch, 0, len(stretch))
    if holds(stretch, PRODUCT):
        found.add("product-name")
    # Other products write telephone links in the same way.
    if not found - {"conference-uri"} or _LINK.search(stretch) is None:
        return set()
    return found | {"hidden-link"} | {name for name, pattern in _NUMBERS.items() if pattern.search(stretch, 0, ROOM)}
