"""Frozen values of the domain. No behaviour beyond what a value can say about itself; no I/O.

Instants are aware UTC and end in ``_at``; durations are ``timedelta``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NewType

UserKey = NewType("UserKey", str)
"""Key of a user's record: the Entra object id in lower case, or ``name-<hash>`` until Graph has told the id."""

RunId = NewType("RunId", str)
"""GUID of one run; the cmdlet calls it CorrelationId."""

_OURS_LIMIT: Final = 16
"""Bodies before the last one that are remembered as ours, by their hashes."""

SEEN_LIMIT: Final = 64
"""Request ids a user's record remembers, to recognise a redelivered trigger."""


class Word(StrEnum):
    """Words of the cmdlets: read in any case, as PowerShell would."""

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        text = value.lower() if isinstance(value, str) else value
        return next((member for member in cls if member.lower() == text), None)


class State(Word):
    """State of a run. The first four are the cmdlet's; the other two are ours."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Nothing happens to the run any more unless somebody asks."""
        return self not in (State.PENDING, State.IN_PROGRESS)


class Source(Word):
    """Which of the user's meetings are meant (``-SourceMeetingType``)."""

    SFB = "SfB"
    TEAMS = "Teams"
    ALL = "All"


class Target(Word):
    """What they become (``-TargetMeetingType``)."""

    CURRENT = "Current"
    TEAMS = "Teams"


class Verdict(StrEnum):
    """What became of a meeting in a run. ``WRITING`` is the intent, recorded before the write."""

    WRITING = "writing"
    MIGRATED = "migrated"
    REFRESHED = "refreshed"
    CURRENT = "current"
    SKIPPED = "skipped"
    FAILED = "failed"
    RESTORED = "restored"


def migration_type(source: Source, target: Target) -> str:
    """Name the kind of migration as ``Get-CsMeetingMigrationStatus`` does (mms-rules section 4)."""
    if target is Target.CURRENT:
        return "SfbToSfb" if source is Source.SFB else "ToSameType"
    return {Source.SFB: "SfbToTeams", Source.TEAMS: "TeamsToTeams", Source.ALL: "AllToTeams"}[source]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which meetings a request is narrowed to; every part that is set has to hold."""

    event_ids: tuple[str, ...] = ()
    """Ids of meetings or series masters."""
    start_at: datetime | None = None
    """Single meetings that start at or after this instant."""
    end_at: datetime | None = None
    """Single meetings that start before this instant."""
    subject: str | None = None
    """Part of the subject, in any case."""
    url_host: str | None = None
    """Host of the old join URL, or the domain it is in."""
    attendee_domain: str | None = None
    """Domain of somebody invited."""
    externals: str = "include"
    """Meetings with people of other domains: ``include``, ``exclude`` or ``only``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One wish that a user's meetings be migrated, whoever uttered it.

    ``request_id`` is the same for every delivery of the same wish. ``settle`` of ``None`` means the tenant's
    setting.
    """

    request_id: str
    reason: str
    source: Source = Source.ALL
    target: Target = Target.CURRENT
    settle: timedelta | None = None
    not_before_at: datetime | None = None
    actor: str | None = None
    selection: Selection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One migration of one user: what the cmdlet calls a row of status, and what a worker needs to go on with it."""

    run_id: RunId
    identity: str
    """The name the request used, or the object id."""
    user_id: str | None = None
    user_principal_name: str | None = None
    state: State = State.PENDING
    source: Source = Source.ALL
    target: Target = Target.CURRENT
    reasons: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    created_at: datetime
    modified_at: datetime
    fresh_at: datetime
    """What this run found out before this instant does not count any more: a trigger has joined it since."""
    due_at: datetime
    """Not before this instant; for a retry, when it is tried again."""
    started_at: datetime | None = None
    """When the first attempt began: the 24 hours of retrying count from here."""
    last_message: str = ""
    code: str | None = None
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    invites: int = 0
    retries: int = 0
    generation: int = 0
    """Counts the leases taken; a worker whose number is not the row's has lost it."""
    lease_owner: str | None = None
    lease_until_at: datetime | None = None
    cancel_requested: bool = False
    selections: tuple[Selection, ...] = ()
    """What the run is narrowed to: meetings that any of them selects; empty means all."""
    preview_id: str = ""
    """The run carries out this preview, and refuses what has changed since."""
    undo: bool = False
    """The run restores originals instead of migrating."""
    undo_events: tuple[str, ...] = ()
    """Keys of the meetings an undo is narrowed to; empty means all."""

    @property
    def migration_type(self) -> str:
        """The kind as the cmdlet names it."""
        return "Unknown" if self.undo else migration_type(self.source, self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """Everything that is true of a user's migrations now; fenced by the row's ETag.

    ``following`` collects triggers that arrive while ``current`` is being worked on. ``wake_id`` names the one
    queue message that may start work; others are leftovers.
    """

    key: UserKey
    current: Run
    following: Run | None = None
    wake_id: str = ""
    wake_at: datetime | None = None
    seen: tuple[str, ...] = ()
    generation: int = 0
    """Leases taken over all runs: what fences the ledger's rows, which outlive a run."""

    @property
    def newest(self) -> Run:
        """The run that a summary counts."""
        return self.following or self.current

    def remembering(self, request_id: str) -> tuple[str, ...]:
        """Return ``seen`` with one more id, oldest dropped."""
        return (*self.seen, request_id)[-SEEN_LIMIT:]


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
class UserFacts:
    """What the directory says about a user; ``plans`` holds the service plan ids that are in force."""

    user_id: str
    user_principal_name: str
    plans: frozenset[str]
    plan_assigned_at: dict[str, datetime] = field(default_factory=dict)
    plan_ended_at: dict[str, datetime] = field(default_factory=dict)
    """When plans that are in force no more were last changed."""
    language: str | None = None
    mail: str | None = None
    """Primary SMTP address, where the directory tells it."""
    created_at: datetime | None = None
    """When the directory's object was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamsFacts:
    """What Teams says about a user. ``None`` where it says nothing."""

    user_id: str
    account_type: str | None = None
    mode: str | None = None
    """TeamsUpgradePolicy granted to the user directly."""
    inherited_mode: str | None = None
    """The one that a group or the tenant gives."""
    video_interop: str | None = None
    """Cloud Video Interop policy granted to the user."""


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


NAME_PREFIX: Final = "name-"


def name_key(identity: str) -> UserKey:
    """Key of the record that stands in for a user whose object id is not known yet."""
    return UserKey(NAME_PREFIX + hashlib.sha256(identity.strip().lower().encode()).hexdigest()[:32])


def meeting_key(event_id: str) -> str:
    """Key of a meeting's rows: event ids contain characters that table keys may not."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:40]


def body_hash(body: str) -> str:
    """Fingerprint of a body, lone surrogates included."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
