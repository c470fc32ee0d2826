"""Anchors: the strings that a block carries in every language, and where they stand in a body."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

TEAMS_HOST: Final = b"teams."
TEAMS_HOSTS: Final = (b"microsoft", b"live.com", b"cloud.microsoft")
"""What follows in a host of Teams'; searching once for what is common is quicker than three times."""
NEIGHBOURS: Final = 10_000
"""Characters within which classes of Teams' are of one block: a dozen for each."""
HOST_ROOM: Final = 80
"""Characters from the start of a host to the part of its path that says what the URL is for."""
TEAMS_CLASS: Final = b"me-email-"
PRODUCT: Final = b"microsoft teams"
"""The product's name, which no language translates."""
SKYPE_HOSTS: Final = (b"meet", b"join", b"sfb", b"s4b", b"lync", b"skype", b"conf")
"""How hosts of simple URLs begin, where their path does not say ``/meet/``."""
SKYPE_PATHS: Final = (b"/meet/", b"safelinks", b"urldefense")
"""What stands in the other URLs that may join a meeting, or may be wrapped around one that does."""
SKYPE_MARKS: Final[dict[str, bytes]] = {
    "OutJoinLink": b"outjoinlink",
    "OutSharedNoteBorder": b"outsharednoteborder",
    "OutSharedNoteLink": b"outsharednotelink",
    "OC-marker": b"[!oc([",
    "rlidLync": b"rlidlync",
    "rlidOC": b"rlidoc10",
    "help-link": b"linkid=389737",
    "web-app-link": b"?sl=1",
    "lync-online-host": b"meet.lync.com/",
    "dial-in-page": b"dialin",
}
"""Name as reported to what is searched, best first."""

NO_PROOF: Final = frozenset({"lync-online-host", "between-dots"})
"""What only says where to look."""

MAX_ANCHORS: Final = 1_000
"""More anchors than this in one body is no invitation: it is reported, not worked on."""

MIN_RULE: Final = 60
"""Shortest run of underscores or dots that can be a block's separator: Teams writes 80, Skype 137."""

TEAMS_RULE: Final = 80
SKYPE_RULE: Final = 137
SLACK: Final = 4
"""Characters more or less that a separator may have: people hit a key in it."""

MAX_LOOKS: Final = 30
"""Lines of dots between which a join link without other marks is looked for."""

MAX_RARE: Final = 30
"""A letter that stands more often than this in a body is not rare in it."""

_UNDERSCORES: Final = b"_" * MIN_RULE
_DOTS: Final = b"." * MIN_RULE
_UNDERSCORE_RUN = re.compile(rb"_++")
_DOT_RUN = re.compile(rb"\.++")


@dataclass(slots=True)
class Mark:
    """One anchor at one place."""

    position: int
    name: str


_POSITION: Final = attrgetter("position")


def holds(shadow: bytes, needle: bytes) -> bool:
    """Say whether a string stands somewhere: as ``in`` does, in half the time (see :func:`find_all`)."""
    return shadow.rfind(needle) >= 0


def find_all(shadow: bytes, needle: bytes, lo: int = 0, hi: int | None = None) -> list[int]:
    """Every place of a string, at most :data:`MAX_ANCHORS` and one of them.

    From the end, because CPython searches bytes backwards in half the time that it takes forwards.
    """
    position = shadow.rfind(needle, lo, hi)
    if position < 0:
        return []
    found: list[int] = []
    while position >= 0 and len(found) <= MAX_ANCHORS:
        found.append(position)
        position = shadow.rfind(needle, lo, position)
    found.reverse()
    return found


def find_rare(shadow: bytes, needle: bytes, letter: bytes) -> list[int]:
    """As :func:`find_all`, by a letter of the string that is rare in mail: one byte is found in a tenth of the time.

    Args:
        shadow: Where to search.
        needle: For what.
        letter: One of its bytes. Where it is not rare in this body, the whole string is searched for.
    """
    lead = needle.index(letter)
    found: list[int] = []
    position = len(shadow)
    for _ in range(MAX_RARE):
        position = shadow.rfind(letter, 0, position)
        if position < 0:
            found.reverse()
            return found
        if position >= lead and shadow.startswith(needle, position - lead):
            found.append(position - lead)
    return find_all(shadow, needle)


def teams_links(shadow: bytes) -> list[int]:
    """Where a URL of Teams' that may join a meeting stands, in order."""
    found = []
    for position in find_all(shadow, TEAMS_HOST):
        if shadow.startswith(TEAMS_HOSTS, position + len(TEAMS_HOST)):
            path = shadow[position : position + HOST_ROOM]
            if b"meetup-" in path or b"/meet/" in path or b"%2fmeet%2f" in path or b"launcher" in path:
                found.append(position)
    return found


def teams_classes(shadow: bytes) -> list[int]:
    """Where classes of Teams' stand, in order; of those close together only the first and the last."""
    found: list[int] = []
    if not holds(shadow, TEAMS_CLASS):
        return found
    position = shadow.find(TEAMS_CLASS)
    while position >= 0 and len(found) <= MAX_ANCHORS:
        found.append(position)
        last = shadow.rfind(TEAMS_CLASS, position + 1, position + NEIGHBOURS)
        if last >= 0:
            found.append(last)
        position = shadow.find(TEAMS_CLASS, max(last, position) + 1)
    return found


def skype_marks(shadow: bytes) -> list[Mark]:
    """Where something of Skype's or Lync's stands, in order.

    The name of the product, a bookmark, the language marker or Lync 2010's help link is in every block. They are looked
    for first, by as little of them as is telling: a body of lines of dots makes a search for an ``n`` or a dot slow.
    What marks have in common is looked for once.
    """
    bookmarks, markers = find_rare(shadow, b"outjoinlink", b"j"), find_rare(shadow, b"[!oc([", b"[")
    lync, older = find_all(shadow, b"lync"), find_all(shadow, SKYPE_MARKS["rlidOC"])
    if not bookmarks and not markers and not lync and not older and not find_rare(shadow, b"skyp", b"k"):
        return []
    marks = [Mark(position, "OutJoinLink") for position in bookmarks]
    marks += [Mark(position, "OC-marker") for position in markers]
    _add_marks(marks, shadow, lync, 4, "rlidLync")
    _add_marks(marks, shadow, lync, 5, "lync-online-host")
    shared = find_all(shadow, b"outsharednote")
    _add_marks(marks, shadow, shared, 0, "OutSharedNoteBorder")
    _add_marks(marks, shadow, shared, 0, "OutSharedNoteLink")
    marks += [Mark(position, "rlidOC") for position in older]
    marks += [Mark(position, "help-link") for position in find_all(shadow, SKYPE_MARKS["help-link"])]
    marks += [Mark(position, "web-app-link") for position in find_rare(shadow, SKYPE_MARKS["web-app-link"], b"?")]
    marks.sort(key=_POSITION)
    return marks


def older_marks(shadow: bytes) -> list[Mark]:
    """Where a block of Lync 2010 may be that lost its marker and its link to help.

    Its separators are left, or the page of dial-in numbers of the organisation.
    """
    marks: list[Mark] = []
    before = rule_after(shadow, 0, len(shadow), dots=True)
    for _ in range(MAX_LOOKS):
        after = rule_after(shadow, before.hi, len(shadow), dots=True) if before is not None else None
        if before is None or after is None:
            break
        link = shadow.find(b"://", before.hi, after.lo)
        if before.is_skype and after.is_skype and link >= 0:
            marks.append(Mark(link + len(b"://"), "between-dots"))
        before = after
    for hit in find_all(shadow, SKYPE_MARKS["dial-in-page"]):
        scheme = shadow.rfind(b"://", max(0, hit - HOST_ROOM), hit)
        host = scheme + len(b"://")
        is_host = host == hit and not shadow.startswith(b"dialin.teams.", hit)
        is_path = shadow[hit - 1 : hit] == b"/" and shadow.startswith(SKYPE_HOSTS, host)
        if scheme >= 0 and (is_host or is_path):
            marks.append(Mark(hit, "dial-in-page"))
    marks.sort(key=_POSITION)
    return marks


def _add_marks(marks: list[Mark], shadow: bytes, hits: list[int], lead: int, name: str) -> None:
    """Note the marks of a name, given where a part of it stands, so many characters from its start."""
    if not hits:
        return
    needle = SKYPE_MARKS[name]
    if len(hits) > MAX_ANCHORS:
        # Not all of them are known.
        marks += [Mark(position, name) for position in find_all(shadow, needle)]
        return
    for hit in hits:
        if hit >= lead and shadow.startswith(needle, hit - lead):
            marks.append(Mark(hit - lead, name))


def skype_links(shadow: bytes, lo: int, hi: int) -> list[int]:
    """Where a URL stands that may join a Skype or Lync meeting, or may be wrapped around one that does."""
    found = []
    signs = [sign for sign in SKYPE_PATHS if shadow.rfind(sign, lo, hi) >= 0]
    for position in find_all(shadow, b"://", lo, hi):
        host = position + 3
        if shadow.startswith(SKYPE_HOSTS, host):
            found.append(host)
        elif signs:
            path = shadow[host : host + HOST_ROOM]
            if any(sign in path for sign in signs):
                found.append(host)
    return found


@dataclass(slots=True)
class Rule:
    """A separator: a run of underscores or dots."""

    lo: int
    hi: int

    @property
    def length(self) -> int:
        """Characters of the run."""
        return self.hi - self.lo

    @property
    def is_teams(self) -> bool:
        """Say whether Teams can have written it; a user's own line of underscores has any other length."""
        return abs(self.length - TEAMS_RULE) <= SLACK

    @property
    def is_skype(self) -> bool:
        """Say whether Outlook's add-in can have written it."""
        return abs(self.length - SKYPE_RULE) <= SLACK


def rule_before(shadow: bytes, position: int, floor: int, *, dots: bool) -> Rule | None:
    """The nearest separator that ends at or before a position and does not begin before *floor*."""
    needle = _DOTS if dots else _UNDERSCORES
    at = shadow.rfind(needle, max(0, floor), position)
    if at < 0:
        return None
    hi = at + MIN_RULE
    lo = at
    char = needle[:1]
    stripped = shadow[max(0, floor) : hi].rstrip(char)
    lo = max(0, floor) + len(stripped)
    return Rule(lo, hi)


def has_rule(shadow: bytes, lo: int, hi: int) -> bool:
    """Say whether a line of dots stands in a range."""
    return shadow.find(_DOTS, lo, hi) >= 0


def rule_after(shadow: bytes, position: int, ceiling: int, *, dots: bool) -> Rule | None:
    """The nearest separator that begins at or after a position and does not end behind *ceiling*."""
    at = shadow.find(_DOTS if dots else _UNDERSCORES, position, ceiling)
    if at < 0:
        return None
    run = (_DOT_RUN if dots else _UNDERSCORE_RUN).match(shadow, at)
    return Rule(at, run.end()) if run is not None else None
