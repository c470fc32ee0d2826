"""What the block package says: frozen values, and the one error it raises."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mms_core.errors import PermanentError


class BlockKind(StrEnum):
    """Which product wrote the block."""

    SKYPE = "skype"
    TEAMS = "teams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a new block goes, and what keeps the user's paragraph whole around it.

    HTML closes a ``<p>`` at any start tag of block level. Where the old block was inline, inside a user's paragraph,
    the new one would push the rest of the paragraph out of it; so the paragraph is closed before and opened after.
    """

    at: int
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingBlock:
    """One online-meeting block, as it stands in one body."""

    kind: BlockKind
    generation: str
    """Skype: ``lync``, ``server``, ``online``. Teams: ``1``, ``2``, ``3``, ``3b``, ``4``, ``consumer``."""
    language: str | None
    """BCP-47 as far as the block tells it (``sv-SE`` or ``sv``), ``None`` where it does not."""
    spans: tuple[tuple[int, int], ...]
    """Half-open ranges of characters in the original string, ascending; several where a user's tag lies between."""
    join_url: str | None
    """Canonical (:func:`mms_core.block.canonical_join_url`); the classic form where the block has a short one too."""
    conference_id: str | None
    """Digits only."""
    numbers: tuple[str, ...]
    """Dial-in numbers in the order of the block: digits, with ``+`` where it is written."""
    vtc_key: str | None
    """The address a room system dials (``tenantkey@provider``)."""
    organizer_id: str | None
    tenant_id: str | None
    anchors: tuple[str, ...]
    """Names of the marks that agreed, in alphabetical order: the more, the surer."""
    third_party_acp: bool
    """Dial-in is by an audio conferencing provider other than Microsoft or the organisation itself."""
    user_text: str | None
    """Text that somebody typed inside the block, as far as it can be told from the template's."""
    vtc_conference_id: str | None = None
    """Digits that follow the VTC key at its keypad."""
    quoted: bool = False
    """Stands below the header of a quoted or forwarded mail; only looked for where a body holds several blocks."""
    place: Place | None = None
    """Where a new block goes; ``None``: where the first span begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """What :func:`mms_core.block.locate` found."""

    blocks: tuple[MeetingBlock, ...]
    ambiguous: str | None = None
    """A reason code, a colon and words; then nothing may be changed. ``None``: all blocks are certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A new block, ready to be put into a body."""

    html: str
    """Balanced HTML without white space at either end."""
    text: str
    """The same for plain-text bodies, lines ended by LF, no newline at either end."""
    language: str | None
    join_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Genuineness:
    """Whether the organiser made this meeting with the online-meeting button (rule W5)."""

    genuine: bool
    reason: str
    """A stable code: see :func:`mms_core.block.judge`."""


class AmbiguousBlock(PermanentError):
    """The body holds more than one thing that could be the meeting block; ``detail`` says what. Nothing was changed."""

    default_code = "AmbiguousBlock"


NOTHING: Final = Located(blocks=())
"""A body without a block."""
