"""What earlier migrations have broken in a body: lost characters, shells without a meeting, two meetings at once.

It is told apart by what can be done about it. What is lost is never guessed: a character that became U+FFFD, or the
meeting that an empty shell once led to, is only reported. See docs/blocks.md, "Damage done by others".
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mms_core.block.locate import END_ROOM, WRAP_ROOM, is_html, locate
from mms_core.block.marks import PRODUCT, Rule, find_all, holds, rule_after, skype_links, teams_links
from mms_core.block.region import spans_of
from mms_core.block.teams_html import ELEMENT_CLASS
from mms_core.block.tokens import SEEN, Window, cut, is_blank, shadow_of, token_start
from mms_core.block.urls import MICROSOFT_HOSTS, unwrap

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mms_core.block.model import BlockKind, Located, MeetingBlock

MAX_SPANS: Final = 1_000
"""Places of one kind of damage that are told."""

MAX_SHELLS: Final = 50
"""Shells of a body that are looked for: each costs a look at its neighbourhood."""

SHELL: Final = 12_000
"""Characters of HTML from one separator of a shell to the other: the empty paragraphs that Word leaves."""

HEADLINE: Final = 300
"""Visible characters of a shell in which the name of the product stands."""

Span = tuple[int, int]


class DamageKind(StrEnum):
    """What is broken."""

    MOJIBAKE = "mojibake"
    """Characters that were lost: U+FFFD in UTF-8, read as Latin-1."""
    EMPTY_SHELL = "empty-shell"
    """What stood around a block, without any link that joins a meeting."""
    TWO_JOIN_LINKS = "two-join-links"
    """Blocks of different meetings in one body."""


class Cure(StrEnum):
    """What can be done about it without a guess."""

    NONE = "none"
    """Nothing: what was there is not known, or which of two it is."""
    REPLACEMENT = "replacement"
    """It goes with the old block when a new one is put in its place."""
    REMOVAL = "removal"
    """It can be taken out: see :func:`repair`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One kind of damage, with all its places that have the same cure."""

    kind: DamageKind
    spans: tuple[Span, ...]
    """Half-open ranges of characters in the body, ascending; at most 1,000."""
    cure: Cure
    detail: str
    """Counts and reasons, nothing of the body: it may be logged."""

    @property
    def is_certain(self) -> bool:
        """Whether it can be put right without a guess."""
        return self.cure is not Cure.NONE


_LETTERS: Final = (("\u00ef", "&iuml;", 0xEF), ("\u00bf", "&iquest;", 0xBF), ("\u00bd", "&frac12;", 0xBD))
_ONCE: Final = "".join(f"(?:{char}|{entity}|&#{code};|&#x{code:x};)" for char, entity, code in _LETTERS)
_LOST = re.compile(f"(?:{_ONCE}|\u00c3\u00af\u00c2\u00bf\u00c2\u00bd)", re.IGNORECASE)
"""The three characters as they are or as entities, and what becomes of them when the same happens once more."""
_LOST_SIGNS: Final = ("\u00bf", "&iquest;", "&#191;", "&#xbf;", "&#xBF;")
_HREF = re.compile(r"""\bhref\s*+=\s*+["']?(https?:[^\s"'<>]{1,2000})""", re.IGNORECASE)
_UNSEEN: Final = "_. \t\r\n\u00a0\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""What is left of a shell's text: its separators and what nobody sees."""


def find_damage(body: str, located: Located, *, going: Collection[MeetingBlock] | None = None) -> tuple[Damage, ...]:
    """Say what earlier migrations have broken in a body.

    Args:
        body: HTML or plain text.
        located: What :func:`mms_core.block.locate` said of this very body (not :func:`mms_core.block.choose`, which
            leaves blocks out).
        going: Those of its blocks that go when a new one is put in; all, if not given.

    Returns:
        Nothing for a sound body; otherwise at most one value for each kind and cure, in the order of the kinds.
    Errors:
        None: any string has an answer. Time grows linearly with the body.
    """
    going = located.blocks if going is None else going
    spans = sorted(span for block in located.blocks for span in block.spans)
    return (*_mojibake(body, located, going), *_shells(body, located, spans), *_two_links(located, going))


def repair(body: str, damages: Iterable[Damage]) -> str:
    """Take out what can be taken out for certain; every other character stays.

    Args:
        body: The body that the damages were found in.
        damages: Those of another cure than :attr:`Cure.REMOVAL` are left alone.

    Returns:
        The new body, in which blocks must be located anew; *body* itself where there is nothing to take out.
    """
    removed = [span for damage in damages if damage.cure is Cure.REMOVAL for span in damage.spans]
    return _without(body, removed) if removed else body


def _without(body: str, removed: list[Span]) -> str:
    """The body without some ranges."""
    pieces: list[str] = []
    position = 0
    for lo, hi in sorted(removed):
        pieces.append(body[position:lo])
        position = hi
    pieces.append(body[position:])
    return "".join(pieces)


def _mojibake(body: str, located: Located, going: Collection[MeetingBlock]) -> Iterator[Damage]:
    """Lost characters: those in a block go with it, the others stay for good."""
    if not any(sign in body for sign in _LOST_SIGNS):
        return
    found: list[Span] = []
    for match in _LOST.finditer(body):
        found.append(match.span())
        if len(found) == MAX_SPANS:
            break
    blocks = sorted(span for block in going for span in block.spans)
    kept = any(_LOST.search(block.user_text) for block in going if block.user_text)
    goes = located.ambiguous is None and not kept
    inside = [span for span in found if goes and _is_covered(blocks, span)]
    outside = [span for span in found if not goes or not _is_covered(blocks, span)]
    for spans, cure, where in ((inside, Cure.REPLACEMENT, "inside the block"), (outside, Cure.NONE, "of the text")):
        if spans:
            detail = f"{len(spans)} characters {where} were lost in an earlier change"
            yield Damage(kind=DamageKind.MOJIBAKE, spans=tuple(spans), cure=cure, detail=detail)


def _shells(body: str, located: Located, blocks: list[Span]) -> Iterator[Damage]:
    """Separators, elements and bookmarks without a meeting, located as a block or not."""
    has_meeting = located.ambiguous is None and any(block.join_url for block in located.blocks)
    by_cure: dict[Cure, list[Span]] = {}
    for block in located.blocks:
        if block.join_url is None and not _hides_a_link(body, block):
            cure = Cure.REPLACEMENT if has_meeting else Cure.NONE
            by_cure.setdefault(cure, []).extend(block.spans)
    taken = list(blocks)
    for spans, is_empty in _unlocated(body, blocks):
        if any(_touches(taken, lo, hi) for lo, hi in spans):
            continue
        taken = sorted([*taken, *spans])
        cure = Cure.REMOVAL if has_meeting and is_empty else Cure.NONE
        by_cure.setdefault(cure, []).extend(spans)
    if Cure.REMOVAL in by_cure and not _stay_the_same(body, located, by_cure[Cure.REMOVAL]):
        by_cure.setdefault(Cure.NONE, []).extend(by_cure.pop(Cure.REMOVAL))
    reasons = {
        Cure.NONE: "a shell of a block is left, and what it led to is not known",
        Cure.REPLACEMENT: "a shell of a block goes with the block",
        Cure.REMOVAL: "an empty shell stands beside the block",
    }
    for cure, reason in reasons.items():
        if cure in by_cure:
            spans = tuple(sorted(by_cure[cure])[:MAX_SPANS])
            yield Damage(kind=DamageKind.EMPTY_SHELL, spans=spans, cure=cure, detail=reason)


def _stay_the_same(body: str, located: Located, removed: list[Span]) -> bool:
    """Say whether the blocks that join meetings would be found as they are now."""
    after = locate(_without(body, removed))
    return after.ambiguous is None and _joined(after) == _joined(located)


def _joined(located: Located) -> list[tuple[BlockKind, str]]:
    return [(block.kind, block.join_url) for block in located.blocks if block.join_url]


def _two_links(located: Located, going: Collection[MeetingBlock]) -> Iterator[Damage]:
    """Different meetings in one body: a Skype and a Teams block are one that was converted by hand."""
    joining = [block for block in located.blocks if block.join_url]
    meetings = {(block.kind, (block.join_url or "").lower()) for block in joining}
    if len(meetings) > 1:
        kinds = Counter(kind.value for kind, _ in meetings)
        yield Damage(
            kind=DamageKind.TWO_JOIN_LINKS,
            spans=tuple(sorted(span for block in joining for span in block.spans)[:MAX_SPANS]),
            cure=Cure.REPLACEMENT
            if located.ambiguous is None and all(each in going for each in joining)
            else Cure.NONE,
            detail="blocks of different meetings: " + ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds)),
        )


def _hides_a_link(body: str, block: MeetingBlock) -> bool:
    """Say whether a block has a link of somebody unknown: a mail gateway may have put the join link behind it."""
    for lo, hi in block.spans:
        for match in _HREF.finditer(body, lo, hi):
            try:
                host = urlsplit(unwrap(match[1])).hostname or ""
            except ValueError:
                return True
            if not host.endswith(MICROSOFT_HOSTS) and not host.startswith("dialin."):
                return True
    return False


def _unlocated(body: str, blocks: list[Span]) -> Iterator[tuple[tuple[Span, ...], bool]]:
    """Shells that are no block, with whether a reader sees nothing in them but separators; one after the other."""
    shadow = shadow_of(body)
    html = is_html(body)
    taken = list(blocks)
    if html:
        for window, lo, hi in _elements(body, shadow, taken):
            is_empty = _is_bare(window, lo, hi)
            if is_empty or PRODUCT in window.shadow[lo:hi]:
                taken.append((lo, hi))
                taken.sort()
                yield spans_of(window, lo, hi), is_empty
    for dots in (False, True):
        rules = [rule for rule in _rules(shadow, dots=dots) if not _touches(taken, rule.lo, rule.hi)]
        used = -1
        shells = known = 0
        for before, after in pairwise(rules):
            if before.lo < used or after.lo - before.hi > SHELL or shells == MAX_SHELLS:
                continue
            window = _window(body, shadow, known, before.lo, after.hi, html=html)
            known = window.start
            if not window.in_text(before.lo) or not window.in_text(after.lo):
                continue
            is_empty = window.is_blank_between(before.hi, after.lo)
            if not is_empty and not _names_product(window, before.hi, after.lo):
                continue
            lo, hi = window.wrap(before.lo, before.hi)[0], window.wrap(after.lo, after.hi)[1]
            used = hi
            shells += 1
            yield spans_of(window, lo, hi), is_empty


def _elements(body: str, shadow: bytes, taken: list[Span]) -> Iterator[tuple[Window, int, int]]:
    """Teams' own elements that belong to no block and hold no join link, outermost ones."""
    done = known = 0
    for position in find_all(shadow, ELEMENT_CLASS)[:MAX_SHELLS]:
        if position < done or _touches(taken, position, position + 1):
            continue
        window = _window(body, shadow, known, position, position + SHELL, html=True)
        known = window.start
        index = window.previous_token(position) + 1
        if index >= len(window.starts) or window.starts[index] > position:
            continue
        classes = window.attributes(index).get("class", "").lower().replace("x_", "").split()
        mate = window.mates[index]
        if ELEMENT_CLASS.decode() not in classes or mate < 0:
            continue
        lo, hi = window.starts[index], window.ends[mate]
        if not teams_links(shadow[lo:hi]) and not skype_links(shadow, lo, hi):
            done = hi
            yield window, lo, hi


def _window(body: str, shadow: bytes, known: int, lo: int, hi: int, *, html: bool) -> Window:
    """The tokens around a range behind a known place; none in plain text, where ``<https://…>`` is no tag."""
    if not html:
        return Window(
            body=body, shadow=shadow, start=0, end=len(body), names=[], starts=[], ends=[], mates=[], parents=[]
        )
    return cut(body, shadow, token_start(shadow, known, max(known, lo - WRAP_ROOM)), min(len(shadow), hi + END_ROOM))


def _rules(shadow: bytes, *, dots: bool) -> list[Rule]:
    """All separators of a product's length, in order."""
    found: list[Rule] = []
    rule = rule_after(shadow, 0, len(shadow), dots=dots)
    while rule is not None and len(found) < MAX_SPANS:
        if rule.is_skype if dots else rule.is_teams:
            found.append(rule)
        rule = rule_after(shadow, rule.hi, len(shadow), dots=dots)
    return found


def _names_product(window: Window, lo: int, hi: int) -> bool:
    """Say whether what stands between two separators begins as a block does, and joins no meeting."""
    text = window.text(lo, hi)[:HEADLINE].lower()
    part = window.shadow[lo:hi]
    return ("microsoft teams" in text or "skype" in text) and not holds(part, b"://")


def _is_bare(window: Window, lo: int, hi: int) -> bool:
    """Say whether a range shows nothing but separators."""
    tokens = range(window.next_token(lo), window.next_token(hi))
    if any(window.names[index] in SEEN for index in tokens):
        return False
    return is_blank(window.text(lo, hi).strip(_UNSEEN))


def _is_covered(spans: list[Span], span: Span) -> bool:
    """Say whether a range lies within one of some ascending ranges."""
    index = bisect_right(spans, span[0], key=lambda each: each[0]) - 1
    return index >= 0 and span[1] <= spans[index][1]


def _touches(spans: list[Span], lo: int, hi: int) -> bool:
    """Say whether a range has something in common with one of some ascending ranges."""
    index = bisect_right(spans, hi - 1, key=lambda each: each[0]) - 1
    return index >= 0 and lo < spans[index][1]
