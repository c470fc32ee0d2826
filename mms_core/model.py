"""Frozen values of the domain. No behaviour beyond what a value can say about itself; no I/O.

Instants are aware UTC and end in ``_at``; durations are ``timedelta``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

UserKey = NewType("UserKey", str)
"""Key of a user's record: the Entra object id in lower case, or ``name-<hash>`` until Graph has told the id."""

RunId = NewType("RunId", str)
"""GUID of one run; the cmdlet calls it CorrelationId."""

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
class Turn:
    """The place of a row of a list among all that the tenant's rate lets in."""

    rank: int
    """Higher ones come first: twice the priority, and one more for the pilot."""
    claims: int
    """How many claims of higher ranks the due time has made room for (see ``service.admin.fanout``)."""


@dataclass(frozen=True, slots=True)
class Admission:
    """How much longer than settled somebody waits who is one of many, and with which turn."""

    wait: timedelta = timedelta(0)
    turn: Turn | None = None


AT_ONCE: Final = Admission()


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
    turn: Turn | None = None


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
    turn: Turn | None = None
    """Others may still be let in before it; ``None`` once it has begun, and for whatever takes no turn."""

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
    def runs(self) -> tuple[Run, ...]:
        """The runs that are in the record, the newest last."""
        return (self.current,) if self.following is None else (self.current, self.following)

    @property
    def newest(self) -> Run:
        """The run that a summary counts: the newest, but none that is over while an older one waits or works."""
        return self.current if self.runs[-1].state.is_final and not self.current.state.is_final else self.runs[-1]

    def remembering(self, request_id: str) -> tuple[str, ...]:
        """Return ``seen`` with one more id, oldest dropped."""
        return (*self.seen, request_id)[-SEEN_LIMIT:]


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


NAME_PREFIX: Final = "name-"


def name_key(identity: str) -> UserKey:
    """Key of the record that stands in for a user whose object id is not known yet."""
    return UserKey(NAME_PREFIX + hashlib.sha256(identity.strip().lower().encode()).hexdigest()[:32])
