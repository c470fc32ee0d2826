"""Find the online-meeting blocks of a body."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mms_core.block import plain, skype_html, teams_html
from mms_core.block.coordinates import skype_coordinates, teams_coordinates
from mms_core.block.language import linked_language, skype_language, tidy_tag
from mms_core.block.links import Link, link_at
from mms_core.block.marks import MAX_ANCHORS, SKYPE_MARKS, TEAMS_CLASS, TEAMS_ID, TEAMS_LINKS, Mark, find_all
from mms_core.block.model import NOTHING, BlockKind, Located, MeetingBlock
from mms_core.block.region import Region, place_of, spans_of
from mms_core.block.tokens import cut, shadow_of, token_start
from mms_core.block.typed import quote_start, typed_text

if TYPE_CHECKING:
    from mms_core.block.tokens import Window
    from mms_core.block.urls import JoinUrl

MARGIN_BEFORE: Final = 6_000
"""Characters before the first anchor that are looked at: a separator in Word's HTML and its wrapping."""

MARGIN_AFTER: Final = 12_000
"""Characters after the last anchor that are looked at first."""

GAP: Final = 60_000
"""Anchors farther apart than this are looked at separately."""

_HTML = re.compile(
    rb"<(?:!doctype|!--|/?(?:html|head|body|div|p|br|span|a|table|tbody|tr|td|font|meta|b|i|u|strong|em|ul|ol|li|h[1-6]|"
    rb"style|pre|blockquote|hr|img|center|o:p)(?=[\s/>]))"
)
_MEETING_ID = re.compile(rb"(?<![0-9])[0-9]{3}[ \xa0][0-9]{3}[ \xa0][0-9]{3}[ \xa0][0-9]{3}(?![0-9])")
"""Twelve digits in groups of three: room systems have ten, conference ids nine."""


def is_html(shadow: bytes) -> bool:
    """Say whether a body is HTML: it has a tag that HTML knows (``<https://…>`` and ``<me@x.org>`` are none)."""
    return _HTML.search(shadow) is not None


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
    teams = _teams_positions(shadow)
    marks = _skype_marks(shadow)
    if not teams and not marks and not _may_be_linkless(shadow):
        return NOTHING
    if len(teams) + len(marks) > MAX_ANCHORS:
        return Located(blocks=(), ambiguous="too-many-anchors: more meeting links than any invitation has")
    if is_html(shadow):
        blocks, doubts = _in_html(body, shadow, teams, marks)
    else:
        blocks, doubts = _in_text(body, shadow, teams, marks)
    if not blocks and not doubts:
        return NOTHING
    return Located(blocks=tuple(blocks), ambiguous=doubts[0] if doubts else _several(blocks))


def _teams_positions(shadow: bytes) -> list[int]:
    """Where something of Teams stands."""
    positions: list[int] = []
    for needle in (*TEAMS_LINKS, TEAMS_CLASS, TEAMS_ID):
        positions += find_all(shadow, needle, MAX_ANCHORS + 1)
    positions.sort()
    return positions


def _skype_marks(shadow: bytes) -> list[Mark]:
    """Where something of Skype or Lync stands."""
    marks = [
        Mark(position, name)
        for name, needle in SKYPE_MARKS.items()
        for position in find_all(shadow, needle, MAX_ANCHORS + 1)
    ]
    marks.sort(key=lambda mark: mark.position)
    return marks


def _may_be_linkless(shadow: bytes) -> bool:
    """Say whether a plain text may hold a Teams block that lost its links."""
    return b"microsoft teams" in shadow and not is_html(shadow)


def _in_html(body: str, shadow: bytes, teams: list[int], marks: list[Mark]) -> tuple[list[MeetingBlock], list[str]]:
    """Recognise in HTML, a window of neighbouring anchors at a time."""
    blocks: list[MeetingBlock] = []
    doubts: list[str] = []
    positions = sorted([*teams, *(mark.position for mark in marks)])
    known = 0
    index = 0
    while index < len(positions):
        first = last = positions[index]
        while index < len(positions) and positions[index] - last <= GAP:
            last = positions[index]
            index += 1
        start = token_start(shadow, known, max(known, first - MARGIN_BEFORE))
        known = token_start(shadow, start, first)
        window = cut(body, shadow, start, min(len(body), last + MARGIN_AFTER))
        regions = _regions(window, teams, marks)
        quote_at = quote_start(shadow) if regions else 0
        for region in sorted(regions, key=lambda found: found.lo):
            blocks.append(_describe(window, region, quote_at))
            if region.doubt:
                doubts.append(region.doubt)
        known = max(known, window.ends[-1] if window.ends else start)
        while index < len(positions) and positions[index] < known:
            index += 1
    return blocks, doubts


def _regions(window: Window, teams: list[int], marks: list[Mark]) -> list[Region]:
    """All candidates of a window."""
    teams_links: list[Link] = []
    skype_links: dict[int, Link] = {}
    for position in teams:
        if window.start <= position < window.end and (not teams_links or position >= teams_links[-1].hi):
            link = link_at(window, position)
            if link is not None and link.url.product != "skype":
                teams_links.append(link)
    own = [mark for mark in marks if window.start <= mark.position < window.end and _is_visible(window, mark)]
    if own:
        for position in find_all(window.shadow[window.start : window.end], b"://", MAX_ANCHORS):
            link = link_at(window, window.start + position + 3)
            if link is not None and link.url.product == "skype":
                skype_links[link.lo] = link
    regions = teams_html.find(window, teams_links)
    if own:
        skype = skype_html.find(window, own, list(skype_links.values()))
        regions += [region for region in skype if not any(region.lo < o.hi and o.lo < region.hi for o in regions)]
    return regions


def _is_visible(window: Window, mark: Mark) -> bool:
    """Say whether an anchor stands in the document and not in a comment or a style sheet."""
    index = window.previous_token(mark.position) + 1
    if index < len(window.starts) and window.starts[index] <= mark.position:
        return window.names[index] != b"!"
    return True


def _in_text(body: str, shadow: bytes, teams: list[int], marks: list[Mark]) -> tuple[list[MeetingBlock], list[str]]:
    """Recognise in plain text."""
    regions = plain.find_teams(body, shadow, teams)
    regions += plain.find_skype(body, shadow, marks)
    if not regions:
        regions = plain.find_linkless_teams(shadow)
    regions.sort(key=lambda found: found.lo)
    window = cut("", b"", 0, 0)
    window.body, window.shadow = body, shadow
    blocks = [_describe(window, region, quote_start(shadow)) for region in regions]
    return blocks, [region.doubt for region in regions if region.doubt]


def _several(blocks: list[MeetingBlock]) -> str | None:
    """Say why several blocks cannot be told apart; ``None`` where all may go.

    A Skype and a Teams block side by side are one meeting that somebody converted by hand. Two different meetings of
    one kind, or a block below the header of a quoted mail, are not: the second is somebody else's invitation.
    """
    by_kind: dict[BlockKind, set[str]] = {}
    for block in blocks:
        by_kind.setdefault(block.kind, set()).add((block.join_url or "").lower())
    for kind, urls in by_kind.items():
        if len(urls - {""}) > 1:
            return f"several-meetings: the body holds {kind} blocks of {len(urls - {''})} meetings"
    if len({block.quoted for block in blocks}) > 1 and len(by_kind) > 1:
        return "quoted-meeting: one of the blocks belongs to a quoted or forwarded invitation"
    for first, second in pairwise(blocks):
        if first.spans[-1][1] > second.spans[0][0]:
            return "overlap: two blocks claim the same text"
    return None


def _describe(window: Window, region: Region, quote_at: int) -> MeetingBlock:
    """Read out everything that a region tells."""
    raw = window.body[region.lo : region.hi]
    low = window.shadow[region.lo : region.hi]
    url = _best(region.urls)
    spans = spans_of(window, region.lo, region.hi)
    if region.kind is BlockKind.TEAMS:
        found = teams_coordinates(raw)
        language = linked_language(low) or tidy_tag(region.lang)
        generation = _teams_generation(low, region.urls)
    else:
        host = urlsplit(url.canonical).hostname or "" if url is not None else ""
        found = skype_coordinates(raw, host)
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
        quoted=region.lo > quote_at,
    )


def _best(urls: list[JoinUrl]) -> JoinUrl | None:
    """The URL that names the meeting: the classic one where a block has both."""
    return next((url for url in urls if not url.short), urls[0] if urls else None)


def _teams_generation(low: bytes, urls: list[JoinUrl]) -> str:
    """Which of Microsoft's templates this is, told by marks that no language changes."""
    if any(url.product == "consumer" for url in urls):
        return "consumer"
    if any(url.short for url in urls) or b"join_link_compatibility" in low:
        return "4"
    if b"meet_invite_block" in low or b"jointeamsmeeting?omkt=" in low:
        return "3b"
    if b"meeting-code" in low or b"microsoft-teams/download-app" in low or b"microsoft-teams/join-a-meeting" in low:
        return "3"
    if _MEETING_ID.search(low):
        return "3b" if b"overflow:hidden" in low.replace(b" ", b"") else "3"
    headline = low.find(b"microsoft teams")
    link = low.find(b"meetup-join")
    if 0 <= headline < link or b"font-size:24px" in low.replace(b" ", b""):
        return "2" if not _names_product_in_link(low) else "1"
    return "1" if _names_product_in_link(low) else "2"


def _names_product_in_link(low: bytes) -> bool:
    """Say whether the text of the join link names the product, as only the first generation's does."""
    end = low.find(b"</a", low.find(b"meetup-join"))
    text = low[low.rfind(b">", 0, end) : end] if end >= 0 else low[: low.find(b"\n") if b"\n" in low else len(low)]
    return b"microsoft teams" in b" ".join(text.split()) and text.strip() != b"teams meeting"


def _skype_generation(low: bytes, host: str) -> str:
    """Online by its host; Lync by its name or by the lack of Skype's; else Skype for Business Server."""
    if host == "meet.lync.com" or host.endswith(".meet.lync.com"):
        return "online"
    # The stem, because some languages decline the name.
    return "server" if b"skyp" in low or not host else "lync"
