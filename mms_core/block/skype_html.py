"""Skype for Business and Lync blocks in HTML: by Outlook's bookmarks, the hidden marker, and lines of dots."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from mms_core.block.marks import NO_PROOF, Mark, Rule, has_rule, rule_after, rule_before
from mms_core.block.model import BlockKind
from mms_core.block.region import Region

if TYPE_CHECKING:
    from mms_core.block.links import Link
    from mms_core.block.tokens import Window

NEAR: Final = 6_000
"""Characters of HTML between the line of dots and the join link."""

FAR: Final = 80_000
"""Characters of HTML from the last anchor to the closing line of dots: the organisation's footer is in between."""

SPREAD: Final = 40_000
"""Characters of HTML between two anchors of one block; a dial-in list is in between."""

HEAD_TEXT: Final = 300
FOOTER_TEXT: Final = 1_800
"""Visible characters between the last anchor and a closing line of dots that is certainly the block's."""

LABEL_ROOM: Final = 1_500
"""Characters of HTML between the page of numbers and the end of the conference id below it: three tags of Word's."""

PARAGRAPH: Final = frozenset({b"p"})
"""What may go together with a lone link: a paragraph of its own, but no element that could be the user's."""

MAX_TAIL_LINES: Final = 12
"""Lines below the last anchor that are searched for more of a block that lost its separators."""

OUTLOOK_MARKS: Final = frozenset({"OutJoinLink", "OutSharedNoteBorder", "OutSharedNoteLink", "OC-marker"})
"""What only Outlook's add-in writes."""

HELP_LINKS: Final = frozenset({"rlidLync", "rlidOC"})
"""Links to help that nobody but the add-in writes: below a join link one of them is enough."""

_POSITION: Final = itemgetter(0)
_BOOKMARK = re.compile(rb"name\s*+=\s*+[\"']?(?:x_)*outjoinlink")
_BIG_FONT = re.compile(r"font-size:\s*(?:1[4-9]|2\d)(?:\.\d+)?pt", re.IGNORECASE)
LAST_MARKS: Final = frozenset({"OC-marker", "rlidLync", "rlidOC", "help-link"})
"""What stands below all that is said of dialling in: a telephone number behind it is the user's."""

_LABELLED = re.compile(
    rb"[:?](?:\s|&nbsp;|\xa0|<[^<>]{1,300}>)*+[0-9][0-9 ]{2,16}[0-9](?=(?:[ \t\xa0]|&nbsp;)*+(?:[<\r\n]|\Z))"
)
"""A full-width colon is a question mark in the shadow."""
_TO_DIAL = re.compile(rb"(?:tel:|[>\s])\+?[0-9(][0-9 ().-]{6}")
_TAIL = re.compile(rb"tel:[0-9+&%]|dialin\.|/dialin|\[!oc\(\[|o15\.officeredir|linkid=389737")


def find(window: Window, marks: list[Mark], links: list[Link]) -> list[Region]:
    """Find the Skype and Lync blocks of a window.

    Args:
        window: Tokens of a stretch of the body.
        marks: Skype's anchors in it, in order.
        links: Its Skype join links, in order.
    """
    regions: list[Region] = []
    clusters = _clusters(window, marks, links)
    ceilings = [cluster.lo for cluster in clusters[1:]]
    floor = window.start
    for cluster, ceiling in zip(clusters, [*ceilings, window.end], strict=True):
        region = _region(window, cluster, floor, ceiling)
        if region is not None:
            regions.append(region)
        floor = region.hi if region is not None else cluster.hi
    return regions


class _Cluster:
    """Anchors and links that can be of one block."""

    def __init__(self, lo: int) -> None:
        self.marks: list[Mark] = []
        self.links: list[Link] = []
        self.bookmarked = False
        self.lo = self.hi = lo
        """Where the first of them stands and the last of them ends."""


def _clusters(window: Window, marks: list[Mark], links: list[Link]) -> list[_Cluster]:
    """Divide anchors among blocks: a new bookmark, another meeting's link or a line of dots on both sides divides."""
    whole = _Cluster(min(marks[0].position, links[0].lo) if links else marks[0].position)
    whole.marks, whole.links = marks, links
    whole.hi = max([marks[-1].position, *[link.hi for link in links]])
    if (
        whole.hi - whole.lo <= SPREAD
        and [mark.name for mark in marks].count("OutJoinLink") <= 1
        and len({link.url.canonical.lower() for link in links}) <= 1
        and not has_rule(window.shadow, whole.lo, whole.hi)
    ):
        return [whole]  # nearly all bodies have one block
    events: list[tuple[int, Mark | Link]] = [(mark.position, mark) for mark in marks]
    events += [(link.lo, link) for link in links]
    events.sort(key=_POSITION)
    clusters: list[_Cluster] = []
    last = -1
    current = None
    for position, event in events:
        if current is None or _divides(window, current, last, position, event):
            current = _Cluster(position)
            clusters.append(current)
        if isinstance(event, Mark):
            current.marks.append(event)
            current.bookmarked = current.bookmarked or event.name == "OutJoinLink"
            current.hi = max(current.hi, position)
        else:
            current.links.append(event)
            current.hi = max(current.hi, event.hi)
        last = max(last, current.hi)
    return clusters


def _divides(window: Window, current: _Cluster, last: int, position: int, event: Mark | Link) -> bool:
    """Say whether a new block begins with this anchor."""
    if position - last > SPREAD:
        return True
    if isinstance(event, Mark):
        if event.name == "OutJoinLink" and current.bookmarked:
            return _BOOKMARK.search(window.shadow, max(0, position - 20), position + 12) is not None
    elif current.links and current.links[-1].url.canonical.lower() != event.url.canonical.lower():
        # All links so far are of one meeting: this is asked of each of them.
        return True
    return bool(current.links) and has_rule(window.shadow, last, position)


def _region(window: Window, cluster: _Cluster, floor: int, ceiling: int) -> Region | None:
    """The extent of one block, or ``None`` where the anchors are too few for one."""
    shadow = window.shadow
    lo, hi = cluster.lo, cluster.hi
    names = {mark.name for mark in cluster.marks} - NO_PROOF
    before = _opening(window, lo, floor)
    after = rule_after(shadow, hi, min(ceiling, hi + FAR), dots=True)
    if after is not None and not window.in_text(after.lo):
        after = None

    before, after = own_rules(before, after, by_hand=bool(names) and not names & OUTLOOK_MARKS)
    big = len(cluster.links) == 1 and not names and _is_big(window, cluster.links[0])
    after = _closing(window, hi, before, after, is_lone_above_another=big and ceiling < window.end)
    if big and before is not None and after is None and window.text(before.hi, lo).strip():
        before = None  # a lone link has no separators: somebody wrote below a line of their own
    helped = bool(cluster.links) and not names.isdisjoint(HELP_LINKS)
    identified = (
        conference_line(shadow, cluster.links[0].hi, hi, ceiling) if cluster.links and names == {"dial-in-page"} else -1
    )
    if identified >= 0:
        names.add("conference-id")
    count = len(names) + (before is not None) + (after is not None) + (len(cluster.links) > 1)
    if count < 2 and not big and not helped:  # noqa: PLR2004
        return None
    if not cluster.links and (not (before and after) or not names) and "OutJoinLink" not in names:
        return None
    region = Region(kind=BlockKind.SKYPE, lo=lo, hi=hi, anchors=names)
    region.urls = [link.url for link in cluster.links]
    if cluster.links:
        region.anchors.add("join-link")
    if big and before is None and after is None:
        region.lo, region.hi = window.wrap(lo, hi, blocks=1, kinds=PARAGRAPH)
        region.anchors.add("headline-size")
        return region
    if before is not None:
        region.lo = window.wrap(before.lo, before.hi)[0]
        region.anchors.add("separator-before")
    else:
        region.lo = max(floor, window.line(lo)[0])
    if after is not None:
        region.hi = window.wrap(after.lo, after.hi)[1]
        region.anchors.add("separator-after")
    else:
        region.hi = window.line(hi - 1)[1] if names & LAST_MARKS else _tail(window, max(hi, identified), ceiling)
    return region


def conference_line(shadow: bytes, link: int, page: int, ceiling: int) -> int:
    """End of the conference id of a block of Lync 2010, ``-1`` if the lines are not those of one.

    Args:
        shadow: See :func:`mms_core.block.tokens.shadow_of`.
        link: Where the join link ends; a number to dial stands below it. A signature has both links and no number.
        page: Where the page of numbers stands; a label and the id stand shortly below it.
        ceiling: Where to stop.
    """
    labelled = _LABELLED.search(shadow, page, min(ceiling, page + LABEL_ROOM))
    return labelled.end() if labelled is not None and _TO_DIAL.search(shadow, link, page) is not None else -1


def _opening(window: Window, lo: int, floor: int) -> Rule | None:
    """Find the line of dots above the first anchor, if little is written between the two."""
    before = rule_before(window.shadow, lo, max(floor, lo - NEAR), dots=True)
    if before is None or not window.in_text(before.lo) or _is_longer(window, before.hi, lo, HEAD_TEXT):
        return None
    return before


def _closing(
    window: Window, hi: int, before: Rule | None, after: Rule | None, *, is_lone_above_another: bool
) -> Rule | None:
    """Keep the line of dots below a block, if it is certainly the block's."""
    if after is None or (before is None and is_lone_above_another):
        return None  # a lone link has no separators: the next one opens the block behind it
    is_certain = before is not None and after.is_skype
    return after if is_certain or not _is_longer(window, hi, after.lo, FOOTER_TEXT) else None


def _is_longer(window: Window, lo: int, hi: int, most: int) -> bool:
    """Say whether more than so many characters can be read in a range; no text is longer than its HTML."""
    return hi - lo > most and len(window.text(lo, hi)) > most


def own_rules(before: Rule | None, after: Rule | None, *, by_hand: bool) -> tuple[Rule | None, Rule | None]:
    """Keep the lines of dots that belong to a block.

    The add-in writes them in one length; every other line is a user's. Only a block without Outlook's bookmarks, which
    somebody may have built by hand, can have others, if they are alike above and below.
    """
    if by_hand and before is not None and after is not None and before.length == after.length:
        return before, after
    return (
        before if before is not None and before.is_skype else None,
        after if after is not None and after.is_skype else None,
    )


def _is_big(window: Window, link: Link) -> bool:
    """Say whether a lone link is set as Lync set its own: larger than text, and words instead of the URL."""
    if link.token < 0 or "://" in window.text(link.lo, link.hi):
        return False
    parent = link.token
    tokens = [parent]
    while parent >= 0 and len(tokens) < 8:  # noqa: PLR2004
        parent = window.parents[parent]
        tokens.append(parent)
    inside = window.mates[link.token]
    tokens += range(link.token + 1, inside if inside >= 0 else link.token + 1)
    for token in tokens[:40]:
        if token >= 0 and not window.names[token].startswith(b"/"):
            attributes = window.attributes(token)
            if _BIG_FONT.search(attributes.get("style", "")) or (
                window.names[token] == b"font" and attributes.get("size") in {"4", "5", "6"}
            ):
                return True
    return False


def _tail(window: Window, hi: int, ceiling: int) -> int:
    """End of a block without a closing line of dots: the last line with something of Skype's in it."""
    end = last = window.line(hi - 1)[1]
    for _ in range(MAX_TAIL_LINES):
        if end >= ceiling:
            break
        # Behind the tag that the next line begins with, so that the element around that line is found.
        token = window.next_token(end)
        start = max(window.ends[token] if token < len(window.ends) else 0, end + 1)
        following = max(window.line(start)[1], start)
        if _TAIL.search(window.shadow, end, following):
            last = following
        end = following
    return max(hi, min(last, ceiling))
