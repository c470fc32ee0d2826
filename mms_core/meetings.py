"""Frozen values of meetings: as Graph tells them, and as the ledger keeps what became of them. No I/O.

Apart from :mod:`mms_core.model`, because whoever only answers a webhook needs none of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from mms_core.model import RunId, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection

_OURS_LIMIT: Final = 16
"""Bodies before the last one that are remembered as ours, by their hashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """How people join a meeting, as the invitation or Teams says it."""

    kind: str
    join_url: str | None = None
    conference_id: str | None = None
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyChange:
    """An extended property that is not as we left it; long values are cut."""

    name: str
    before: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What somebody changed in an invitation after we wrote it."""

    body: str = ""
    """Unified diff from the original to today's body, meeting blocks folded to one line."""
    is_cut: bool = False
    """There is more of it."""
    in_block: bool = False
    """The body was changed, and only inside the meeting block."""
    locations_before: tuple[str, ...] | None = None
    """Names of the places, with ``locations_now``, where they were changed."""
    locations_now: tuple[str, ...] | None = None
    properties: tuple[PropertyChange, ...] = ()

    @property
    def parts(self) -> str:
        """Name what was changed, without a word of it."""
        named = (
            ("body", self.body or self.in_block),
            ("locations", self.locations_now is not None),
            ("properties", self.properties),
        )
        return ", ".join(name for name, holds in named if holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """What an earlier migration by somebody else left in an invitation; ``code`` is in the catalogue."""

    code: str
    detail: str = ""
    """Counts and reasons, nothing of the text."""
    is_certain: bool = False
    """What was there before is known: a write takes the damage out."""
    is_repaired: bool = False
    """A write has taken it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One meeting in one run: what the user's page shows, and what undo needs (see ``Original``)."""

    key: str
    run_id: RunId
    event_id: str
    ical_uid: str
    subject: str
    start_at: datetime | None
    verdict: Verdict
    rule: str | None = None
    code: str | None = None
    detail: str = ""
    before: Coordinates | None = None
    after: Coordinates | None = None
    request_id: str | None = None
    attempts: int = 0
    is_final: bool = False
    """The run does not look at this meeting again."""
    mails: int = 0
    """Updates that the run has sent for this meeting."""
    people: int = 0
    """In the meeting, the organizer included; 0 where an older version wrote the row."""
    route: str = ""
    """How it was migrated, where that was not the usual way: ``flags``."""
    step: str = ""
    """What an intent was about to do: migrate, refresh or restore."""
    written_hash: str = ""
    """Of the body that was or is being written."""
    written_form: str = ""
    """Of the same body, whatever its markup is spelled like (:func:`mms_core.differences.form_hash`)."""
    updated_at: datetime
    duration_ms: int = 0
    not_kept: tuple[str, ...] = ()
    """What of the old meeting the new one does not have (R8): content, and options by Graph's names."""
    damage: tuple[Damaged, ...] = ()
    """As it was found before the run wrote anything."""
    difference: Difference | None = None
    """Why an undo was refused: what somebody changed since we wrote."""

    def is_forgotten(self, before: datetime, runs: Collection[RunId]) -> bool:
        """Say whether nobody asks for it any more: it is older than *before*, and not of one of *runs*."""
        return self.updated_at < before and self.run_id not in runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """An invitation as it was before we wrote it, kept for undo.

    ``written_hash`` is the hash of the body that we left behind, or were about to: a write that was announced may
    never have been carried out, so the bodies of the writes before it count as ours, too (``also_ours``). If the
    event's body is none of them, somebody has edited it since.
    """

    key: str
    run_id: RunId
    event_id: str
    body: str
    content_type: str
    locations_json: str
    properties: dict[str, str] = field(default_factory=dict)
    written_hash: str = ""
    written_block: str = ""
    """The meeting block that we left behind, to be shown beside the old one; empty where an older version wrote."""
    kept_at: datetime
    """When it was last offered: what it leads back from can be taken back for as long as it is kept."""
    undone_at: datetime | None = None
    also_ours: tuple[str, ...] = ()

    def is_ours(self, body: str) -> bool:
        """Say whether a body is, letter for letter, one that we left behind."""
        return body_hash(body) in (self.written_hash, *self.also_ours)

    def succeeding(self, kept: Original | None) -> Original:
        """Return what is to be kept when this original is offered while *kept* is there.

        An organizer who edited between two of our writes must not lose that edit to an undo: then the newer one.
        """
        if kept is None or kept.undone_at is not None:
            return self
        if self.body != kept.body and not kept.is_ours(self.body):
            return self
        ours = dict.fromkeys((*kept.also_ours, kept.written_hash))
        ours.pop(self.written_hash, None)
        return replace(
            kept,
            written_hash=self.written_hash,
            written_block=self.written_block,
            also_ours=tuple(ours)[-_OURS_LIMIT:],
            kept_at=self.kept_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """Somebody invited. ``address`` is in lower case."""

    address: str
    kind: str = "required"
    response: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """When a series happens, as far as its end is concerned: ``kind`` is endDate, noEnd or numbered."""

    kind: str
    start_date: date | None = None
    end_date: date | None = None
    count: int = 0
    """Occurrences of a ``numbered`` series."""
    zone: str | None = None
    pattern: str = "daily"
    """Graph's recurrencePatternType."""
    interval: int = 1
    days_a_week: int = 1
    """Week days of a weekly pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What only a read of the master itself tells: modified occurrences, and the dates of the cancelled ones."""

    exceptions: tuple[Event, ...] = ()
    cancelled: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The facts about one calendar item that planning needs, as Graph tells them."""

    event_id: str
    etag: str
    ical_uid: str
    series_uid: str
    """Same for a series and all its exceptions: the key of their one online meeting."""
    kind: str
    """Graph's eventType: singleInstance, seriesMaster, exception, occurrence."""
    subject: str
    start_at: datetime | None
    end_at: datetime | None
    is_organizer: bool
    is_cancelled: bool
    is_draft: bool
    body: str
    content_type: str
    """``html`` or ``text``."""
    attendees: tuple[Attendee, ...] = ()
    locations: tuple[dict[str, object], ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    """Extended properties by name."""
    organizer_address: str = ""
    """In lower case; empty where Graph does not tell."""
    is_online: bool = False
    join_url: str | None = None
    provider: str | None = None
    """Graph's onlineMeetingProvider: once it is set it cannot be changed."""
    recurrence: Recurrence | None = None
    series_master_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineMeeting:
    """A Teams meeting as ``/onlineMeetings`` tells it. ``join_information`` is the raw data URL."""

    meeting_id: str
    join_url: str
    thread_id: str | None
    join_information: str
    external_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """As :func:`mms_core.options.read` gives them."""
    subject: str = ""
    start_at: datetime | None = None
    end_at: datetime | None = None
    was_there: bool = False
    """``createOrGet`` has found it, and it is as it was made then."""


def meeting_key(event_id: str) -> str:
    """Key of a meeting's rows: event ids contain characters that table keys may not."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:40]


def body_hash(body: str) -> str:
    """Fingerprint of a body, lone surrogates included."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
