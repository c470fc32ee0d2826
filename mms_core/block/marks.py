"""Anchors: the strings that a block carries in every language, and where they stand in a body."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TEAMS_LINKS: Final = (b"teams.microsoft", b"teams.live.com", b"teams.cloud.microsoft")
TEAMS_CLASS: Final = b"me-email-"
TEAMS_ID: Final = b"meet_invite_block"
SKYPE_MARKS: Final[dict[str, bytes]] = {
    "OutJoinLink": b"outjoinlink",
    "OutSharedNoteBorder": b"outsharednoteborder",
    "OutSharedNoteLink": b"outsharednotelink",
    "OC-marker": b"[!oc([",
    "rlidLync": b"rlidlync",
    "help-link": b"linkid=389737",
    "web-app-link": b"?sl=1",
    "lync-online-host": b"meet.lync.com/",
}
"""Name as reported to what is searched, best first."""

MAX_ANCHORS: Final = 5_000
"""More anchors than this in one body is no invitation: it is reported, not worked on."""

MIN_RULE: Final = 60
"""Shortest run of underscores or dots that can be a block's separator: Teams writes 80, Skype 137."""

TEAMS_RULE: Final = 80
SKYPE_RULE: Final = 137
SLACK: Final = 4
"""Characters more or less that a separator may have: people hit a key in it."""

_UNDERSCORES: Final = b"_" * MIN_RULE
_DOTS: Final = b"." * MIN_RULE
_NOT_UNDERSCORE = re.compile(rb"[^_]")
_NOT_DOT = re.compile(rb"[^.]")


@dataclass(frozen=True, slots=True)
class Mark:
    """One anchor at one place."""

    position: int
    name: str


def find_all(shadow: bytes, needle: bytes, limit: int) -> list[int]:
    """Every place of a string, at most *limit* of them."""
    found: list[int] = []
    position = shadow.find(needle)
    while position >= 0 and len(found) < limit:
        found.append(position)
        position = shadow.find(needle, position + len(needle))
    return found


@dataclass(frozen=True, slots=True)
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


def rule_after(shadow: bytes, position: int, ceiling: int, *, dots: bool) -> Rule | None:
    """The nearest separator that begins at or after a position and does not end behind *ceiling*."""
    at = shadow.find(_DOTS if dots else _UNDERSCORES, position, ceiling)
    if at < 0:
        return None
    end = (_NOT_DOT if dots else _NOT_UNDERSCORE).search(shadow, at)
    return Rule(at, end.start() if end is not None else len(shadow))
