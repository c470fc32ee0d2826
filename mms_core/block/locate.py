"""Find the online-meeting blocks of a body."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mms_core.block import hidden, plain, skype_html, teams_html
from mms_core.block.coordinates import skype_coordinates, teams_coordinates
from mms_core.block.language import linked_language, skype_language, tidy_tag
from mms_core.block.links import Link, bookmarked_link, link_at
from mms_core.block.marks import (
    MAX_ANCHORS,
    PRODUCT,
    TEAMS_CLASS,
    Mark,
    Rule,
    holds,
    older_marks,
    rule_after,
    rule_before,
    skype_links,
    skype_marks,
    teams_classes,
    teams_links,
)
from mms_core.block.model import NOTHING, BlockKind, Located, MeetingBlock
from mms_core.block.region import Region, place_of, spans_of, to_own_end
from mms_core.block.tokens import Window, cut, shadow_of, token_start
from mms_core.block.typed import quote_start, typed_text

if TYPE_CHECKING:
    from mms_core.block.urls import JoinUrl

WRAP_ROOM: Final = 900
"""Characters before a separator or an element of Teams' that its wrapping takes: three tags of Word's."""

MARGIN_BEFORE: Final = 4_000
"""Characters before the first anchor that are looked at where there is no separator: a headline in Word's HTML."""

MARGIN_AFTER: Final = 8_000
"""Characters after the last anchor that are looked at where there is no separator."""

WRAPPERS_ABOVE: Final = 4
"""Elements of block level above a separator that are looked at: its own and empty ones that Outlook puts before."""

SURELY_SEEN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789.,:!)")
"""Bytes of a shadow that a reader sees: not the end of an entity, nor what stands for a zero-width character."""

GREATER: Final = ord(">")

END_ROOM: Final = 250
"""Characters behind a separator that the end tags of its wrapping take, and a footer element or two."""

_MARKS_OF_3: Final = (b"meeting-code", b"microsoft-teams/download-app", b"microsoft-teams/join-a-meeting")

GAP: Final = 60_000
"""Anchors farther apart than this are looked at separately."""

_HTML = re.compile(
    r"<(?:!doctype|/?(?:html|head|body|div|p|br|span|a|table|tbody|tr|td|font|meta|b|i|u|strong|em|ul|ol|li|h[1-6]|"
    r"style|pre|blockquote|hr|img|center|o:p)(?=[\s/>]))",
    re.IGNORECASE,
)
_TAG = re.compile(rb"<[^<>]*+>")
_MEETING_ID = re.compile(rb"(?<![0-9])[0-9]{3}[ \xa0][0-9]{3}[ \xa0][0-9]{3}[ \xa0][0-9]{3}(?![0-9])")
"""Twelve digits in groups of three: room systems have ten, conference ids nine."""


def is_html(body: str) -> bool:
    """Say whether a body is HTML: it has a tag that HTML knows (``<https://…>`` and comments are none)."""
    return _HTML.search(body) is not None


def locate(body: str) -> Located:
    """Find the online-meeting blocks of a body.

    Args:
        body: HTML or plain text; which of the two is told by its content.

    Returns:
        The blocks in the order of the body. With ``ambiguous`` set, nothing may be changed.
    Errors:
        None: any string has an answer. Time and memory grow linearly with the body.
    """
    shadow = shadow_of(body)
    teams = teams_links(shadow)
    classes = teams_classes(shadow)
    marks = skype_marks(shadow) or ([] if teams or classes else older_marks(shadow))
    if len(teams) + len(classes) + len(marks) > MAX_ANCHORS:
        return Located(blocks=(), ambiguous="too-many-anchors: more meeting links than any invitation has")
    if not is_html(body):
        blocks, doubts = _in_text(body, shadow, teams, marks)
    else:
        blocks, doubts = _in_html(body, shadow, teams, classes, marks)
        if not blocks and not doubts:
            blocks, doubts = _hidden(body, shadow, teams)
    if not blocks and not doubts:
        return NOTHING
    if len(blocks) > 1:
        quote_at = quote_start(shadow)
        blocks = [replace(block, quoted=block.spans[0][0] > quote_at) for block in blocks]
    return Located(blocks=tuple(blocks), ambiguous=doubts[0] if doubts else _several(blocks))


def _in_html(
    body: str, shadow: bytes, teams: list[int], classes: list[int], marks: list[Mark]
) -> tuple[list[MeetingBlock], list[str]]:
    """Recognise in HTML, a window of neighbouring anchors at a time."""
    blocks: list[MeetingBlock] = []
    doubts: list[str] = []
    positions = sorted([*teams, *classes, *[mark.position for mark in marks]])
    known = 0
    index = 0
    while index < len(positions):
        first = last = positions[index]
        while index < len(positions) and positions[index] - last <= GAP:
            last = positions[index]
            index += 1
        lo, hi = _reach(shadow, first, last, underscores=bool(teams or classes), dots=bool(marks))
        start = token_start(shadow, known, max(known, lo))
        window = cut(body, shadow, start, hi)
        regions = _regions(window, teams, classes, marks)
        if hi < len(shadow) and any(region.doubt for region in regions):
            window = cut(body, shadow, start, len(shadow))
            regions = _regions(window, teams, classes, marks)
        for region in regions:
            region.hi = to_own_end(window, region.lo, region.hi)
            spans = spans_of(window, region.lo, region.hi)
            if spans:
                blocks.append(_describe(window, region, spans))
            if region.doubt:
                doubts.append(region.doubt)
        if index == len(positions):
            break
        known = token_start(shadow, start, window.ends[-1] if window.ends else last)
        while index < len(positions) and positions[index] < known:
            index += 1
    return blocks, doubts


def _hidden(body: str, shadow: bytes, teams: list[int]) -> tuple[list[MeetingBlock], list[str]]:
    """Recognise in HTML what has no link that can be read; a link that can, without a block, is the user's."""
    blocks: list[MeetingBlock] = []
    doubts: list[str] = []
    for candidate in hidden.candidates(shadow):
        start = token_start(shadow, 0, max(0, candidate.first[0] - MARGIN_BEFORE))
        window = cut(body, shadow, start, min(len(shadow), candidate.last[1] + MARGIN_AFTER))
        own = [position for position in teams if candidate.first[0] <= position < candidate.last[1]]
        region = hidden.region_of(window, candidate) if not any(link_at(window, each) for each in own) else None
        spans = spans_of(window, region.lo, region.hi) if region is not None else ()
        if region is not None and spans:
            blocks.append(_describe(window, region, spans))
            doubts += [region.doubt] if region.doubt else []
    return blocks, doubts


def _reach(shadow: bytes, first: int, last: int, *, underscores: bool, dots: bool) -> tuple[int, int]:
    """Say how much of the body to cut into tokens around some anchors: to their separators, else a good margin.

    Generations with their separators inside begin with an anchor, their element's class, and end behind the last one.
    """
    lo, hi = first - MARGIN_BEFORE, last + MARGIN_AFTER
    before: list[Rule | None] = []
    after: list[Rule | None] = []
    if underscores:
        before.append(rule_before(shadow, first, first - teams_html.NEAR, dots=False))
        after.append(rule_after(shadow, last, last + teams_html.FAR, dots=False))
    if dots:
        before.append(rule_before(shadow, first, first - skype_html.NEAR, dots=True))
        after.append(rule_after(shadow, last, last + skype_html.FAR, dots=True))
    starts = [rule.lo for rule in before if rule is not None]
    ends = [rule.hi for rule in after if rule is not None]
    if starts:
        lo = _line_of(shadow, min(starts))
    elif shadow.startswith(TEAMS_CLASS, first):
        lo = shadow.rfind(b"<", 0, first)
    if ends:
        hi = max(ends) + END_ROOM
    return lo, min(len(shadow), hi)


def _line_of(shadow: bytes, lo: int) -> int:
    """Where the outermost element begins that can be the wrapping of a separator: a paragraph right behind text.

    It is of block level, so that no user's paragraph is still open there.
    """
    floor = max(0, lo - WRAP_ROOM)
    start = lo
    for _ in range(WRAPPERS_ABOVE):
        start = max(shadow.rfind(b"<p", floor, start), shadow.rfind(b"<div", floor, start))
        if start < 0:
            break
        at = len(shadow[floor:start].rstrip()) + floor
        while at > floor and shadow[at - 1] == GREATER:
            opener = shadow.rfind(b"<", floor, at)
            if not shadow.startswith((b"</", b"<br"), opener):
                break
            at = len(shadow[floor:opener].rstrip()) + floor
        if at > floor and shadow[at - 1] in SURELY_SEEN and shadow[start + 2 : start + 3] in b" >i":
            return start
    return floor


def _regions(window: Window, teams: list[int], classes: list[int], marks: list[Mark]) -> list[Region]:
    """All candidates of a window."""
    teams_links: list[Link] = []
    for position in teams:
        if window.start <= position < window.end and (not teams_links or position >= teams_links[-1].hi):
            link = link_at(window, position)
            if link is not None and link.url.product != "skype":
                teams_links.append(link)
    own = _visible(window, marks)
    regions = teams_html.find(window, teams_links) if teams or classes else []
    if own:
        skype = skype_html.find(window, own, _skype_joins(window, own))
        for region in skype:
            if any(region.lo < other.hi and other.lo < region.hi for other in regions):
                region.doubt = "overlap: a Skype block and a Teams block claim the same text"
        regions += skype
    return sorted(regions, key=lambda region: region.lo)


def _skype_joins(window: Window, own: list[Mark]) -> list[Link]:
    """The Skype join links of a window, in order.

    A simple URL of a host whose name says nothing is known by its twin for the web app, or by Outlook's bookmark.
    """
    joins = _skype_links_at(window, skype_links(window.shadow, window.start, window.end))
    joins = joins or _skype_links_at(window, [mark.position for mark in own if mark.name == "web-app-link"])
    return joins or [
        link for mark in own if mark.name == "OutJoinLink" if (link := bookmarked_link(window, mark.position))
    ]


def _skype_links_at(window: Window, positions: list[int]) -> list[Link]:
    joins: dict[int, Link] = {}
    for position in positions:
        link = link_at(window, position)
        if link is not None and link.url.product == "skype":
            joins[link.lo] = link
    return list(joins.values())


def _visible(window: Window, marks: list[Mark]) -> list[Mark]:
    """The anchors of a window that stand in the document, not in a comment or a style sheet."""
    starts, ends, names = window.starts, window.ends, window.names
    found: list[Mark] = []
    for mark in marks:
        position = mark.position
        if window.start <= position < window.end:
            index = bisect_right(starts, position) - 1
            if index < 0 or names[index] != b"!" or ends[index] <= position:
                found.append(mark)
    return found


def _in_text(body: str, shadow: bytes, teams: list[int], marks: list[Mark]) -> tuple[list[MeetingBlock], list[str]]:
    """Recognise in plain text."""
    regions = plain.find_teams(body, shadow, teams)
    regions += plain.find_skype(body, shadow, marks)
    if not regions:
        unread = hidden.in_text(shadow)
        regions = [region for region in unread if not region.doubt] or plain.find_linkless_teams(shadow) or unread
    regions.sort(key=lambda found: found.lo)
    window = Window(body=body, shadow=shadow, start=0, end=0, names=[], starts=[], ends=[], mates=[], parents=[])
    blocks = [_describe(window, region, ((region.lo, region.hi),)) for region in regions]
    return blocks, [region.doubt for region in regions if region.doubt]


def _several(blocks: list[MeetingBlock]) -> str | None:
    """Say why several blocks cannot be told apart; ``None`` where all may go.

    A Skype and a Teams block side by side are one meeting that somebody converted by hand. Two different meetings of
    one kind, or a block below the header of a quoted mail, are not: the second is somebody else's invitation.
    """
    if len(blocks) == 1:
        return None
    by_kind: dict[BlockKind, set[str]] = {}
    for block in blocks:
        by_kind.setdefault(block.kind, set()).add((block.join_url or "").lower())
    for kind, urls in by_kind.items():
        if len(urls - {""}) > 1:
            return f"several-meetings: the body holds {kind} blocks of {len(urls - {''})} meetings"
    if len({block.quoted for block in blocks}) > 1 and len(by_kind) > 1:
        return "quoted-meeting: one of the blocks belongs to a quoted or forwarded invitation"
    return None


def _describe(window: Window, region: Region, spans: tuple[tuple[int, int], ...]) -> MeetingBlock:
    """Read out everything that a region tells."""
    raw = window.body[region.lo : region.hi]
    low = window.shadow[region.lo : region.hi]
    url = _best(region.urls)
    if region.kind is BlockKind.TEAMS:
        found = teams_coordinates(raw, low)
        language = linked_language(low) or tidy_tag(region.lang)
        generation = _teams_generation(low, region)
    else:
        host = url.canonical.split("/", 3)[2] if url is not None else ""
        found = skype_coordinates(raw, low, host)
        language = skype_language(low)
        generation = _skype_generation(low, host)
    ids = next((other for other in region.urls if other.organizer_id), url)
    return MeetingBlock(
        kind=region.kind,
        generation=generation,
        language=language,
        spans=spans,
        join_url=url.canonical if url is not None else None,
        conference_id=found.conference_id,
        numbers=found.numbers,
        vtc_key=found.vtc_key,
        organizer_id=ids.organizer_id if ids is not None else None,
        tenant_id=ids.tenant_id if ids is not None else None,
        anchors=tuple(sorted(region.anchors)),
        third_party_acp=found.third_party_acp,
        user_text=typed_text(window, region),
        vtc_conference_id=found.vtc_conference_id,
        place=place_of(window, spans) if window.names else None,
    )


def _best(urls: list[JoinUrl]) -> JoinUrl | None:
    """The URL that names the meeting: the classic one where a block has both."""
    return next((url for url in urls if not url.short), urls[0] if urls else None)


def _teams_generation(low: bytes, region: Region) -> str:
    """Which of Microsoft's templates this is, told by marks that no language changes."""
    if any(url.product == "consumer" for url in region.urls):
        return "consumer"
    if any(url.short for url in region.urls) or holds(low, b"join_link_compatibility"):
        return "4"
    if holds(low, b"meet_invite_block") or holds(low, b"jointeamsmeeting?omkt="):
        return "3b"
    if any(holds(low, mark) for mark in _MARKS_OF_3):
        return "3"
    if region.container is None and _MEETING_ID.search(low):
        return "3b" if b"overflow:hidden" in low.replace(b" ", b"") else "3"
    # Without its link the headline may name the product as well, but the first generation's element has no language.
    return "1" if (region.urls or region.lang is None) and _names_product_in_link(low) else "2"


def _names_product_in_link(low: bytes) -> bool:
    """Say whether the words of the join link name the product, as only the first generation's do.

    In HTML they are inside the link, in text before it on its line; without a link, the first line is what is left.
    """
    link = low.find(b"meetup-join")
    if link < 0:
        return PRODUCT in low[: low.find(b"\n") if b"\n" in low else len(low)]
    line = 0
    for stop in (b"\n", b"<br", b"<p", b"<div"):
        line = max(line, low.rfind(stop, line, link))
    end = low.find(b"</a", link)
    words = _TAG.sub(b"", low[low.find(b">", link) + 1 : end]) if end >= 0 else b""
    return PRODUCT in b" ".join(words.split()) or PRODUCT in low[line:link]


def _skype_generation(low: bytes, host: str) -> str:
    """Online by its host; Lync by its name or by the lack of Skype's; else Skype for Business Server."""
    if host == "meet.lync.com" or host.endswith(".meet.lync.com"):
        return "online"
    # The stem, because some languages decline the name.
    return "server" if b"skyp" in low or not host else "lync"
