"""What the API answers, as types; the description of the API is made from them, and tests hold the answers to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from mms_core.model import Source, State, Target  # noqa: TC001 - msgspec resolves them

At = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Day = Annotated[str, Meta(description="Of UTC, ISO 8601.", extra_json_schema={"format": "date"})]
Count = Annotated[int, Meta(ge=0)]


class Problem(TypedDict):
    """An error (RFC 9457): its stable code, what it means, and what to do."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: Annotated[str, Meta(description="Stable; the error catalogue explains each.")]
    remedy: str
    field: NotRequired[str]
    requestId: NotRequired[str]


class FindingRow(TypedDict):
    """The result of one check of the deployment."""

    check: str
    status: Literal["ok", "warning", "error"]
    code: str | None
    detail: str
    message: str
    remedy: str


class Health(TypedDict):
    """The app and its storage answer; with ``deep=true``, what was examined, the worst first in ``status``."""

    status: Literal["ok", "warning", "error"]
    version: NotRequired[str]
    checkedAt: NotRequired[At]
    findings: NotRequired[list[FindingRow]]


class MigrationRow(TypedDict):
    """A run: the 13 fields of ``Get-CsMeetingMigrationStatus``, and more."""

    CorrelationId: str
    CreateDate: At
    FailedMeeting: Count
    InvitesUpdate: Count
    LastMessage: str
    MigrationType: Literal["SfbToSfb", "SfbToTeams", "TeamsToTeams", "AllToTeams", "ToSameType", "Unknown"]
    ModifiedDate: At
    RetryCount: Count
    State: State
    SucceededMeeting: Count
    TotalMeeting: Count
    UserId: str | None
    UserPrincipalName: str | None
    Reasons: list[str]
    NextAttempt: At | None
    SkippedMeeting: Count
    Code: str | None
    Rule: str | None
    Actors: Annotated[list[str], Meta(description="Who or what asked: object or app ids, keys, feeds, sweeps.")]


class SummaryRow(TypedDict):
    """Users whose newest run is in a state."""

    State: State
    UserCount: int


class CodeRow(TypedDict):
    """Users whose newest run has failed, by its code."""

    Code: str | None
    UserCount: int
    LastMessage: Annotated[str, Meta(description="What the code means, and what to do.")]


class GroupRetried(TypedDict):
    """How many users there are to be tried again, because their newest run has failed with a code."""

    Code: str
    UserCount: Count


class DayRow(TypedDict):
    """Runs that were made on a day and are in a state now."""

    Date: Day
    State: State
    RunCount: int


class DurationRow(TypedDict):
    """Migrations that were asked for on a day, succeeded, and took so long."""

    Date: Day
    Minutes: Count
    RunCount: int


class MessageRow(TypedDict):
    """A queue message that failed for good; under its id it can be put back."""

    MessageId: str
    CreateDate: At
    Kind: str
    State: Literal["Failed"]
    Code: str
    LastMessage: str


class Migrations(TypedDict):
    """A page of runs, newest first."""

    value: list[MigrationRow]
    continuationToken: str | None


class Summary(TypedDict):
    """With ``summaryOnly``: a row a state."""

    value: list[SummaryRow]
    continuationToken: None


class Causes(TypedDict):
    """With ``summaryOnly`` and ``summaryBy=code``: a row a code, the most frequent first."""

    value: list[CodeRow]
    continuationToken: None


class Days(TypedDict):
    """With ``summaryOnly`` and ``summaryBy=day``: a row a day and state, oldest first."""

    value: list[DayRow]
    continuationToken: None


class Durations(TypedDict):
    """With ``summaryOnly`` and ``summaryBy=duration``: a row a day and number of minutes, oldest first."""

    value: list[DurationRow]
    continuationToken: None


class Messages(TypedDict):
    """With ``summaryOnly`` and ``summaryBy=message``: a row a message, oldest first; with a token perhaps none yet."""

    value: list[MessageRow]
    continuationToken: str | None


class StartedRow(TypedDict):
    """What became of one identity."""

    identity: str
    userId: NotRequired[str]
    correlationId: NotRequired[str]
    status: Literal["accepted", "merged", "refused"]
    code: NotRequired[str]


class Started(TypedDict):
    """One row an identity, in the order of the request."""

    value: list[StartedRow]


class Place(TypedDict):
    """How people join: from the invitation before, or after."""

    kind: str
    joinUrl: str | None
    conferenceId: str | None
    numbers: list[str]


class Places(TypedDict):
    """The meeting's places, then and now."""

    before: list[str]
    now: list[str]


class PropertyChange(TypedDict):
    """A property whose value is another one now."""

    name: str
    before: str | None
    now: str | None


class Edited(TypedDict):
    """What somebody edited after the migration, where that keeps an undo from going through."""

    body: str
    isCut: bool
    inBlock: bool
    locations: Places | None
    properties: list[PropertyChange]


class DamageRow(TypedDict):
    """What an earlier migration left in an invitation; repaired only where the original is certain."""

    code: Literal["Mojibake", "EmptyShell", "TwoJoinLinks"]
    cause: str
    remedy: str
    detail: str
    isCertain: bool
    isRepaired: bool


class MeetingRow(TypedDict):
    """What became of a meeting."""

    eventId: str
    iCalUId: str
    subject: str
    start: At | None
    verdict: Literal["migrated", "refreshed", "current", "skipped", "failed"]
    rule: str | None
    code: str | None
    message: str
    before: Place | None
    after: Place | None
    requestId: str | None
    attempts: Count
    correlationId: str
    modified: At
    durationMs: Count
    updates: Count
    people: Count
    notKept: list[str]
    damage: list[DamageRow]
    difference: Edited | None


class Meetings(TypedDict):
    """The newest entry of every meeting, nearest start first."""

    value: list[MeetingRow]


class MeetingBlocks(MeetingRow):
    """A meeting, with its blocks as they stood in the invitation: markup where ``contentType`` is ``html``."""

    contentType: Literal["html", "text"] | None
    oldBlock: str | None
    newBlock: str | None


class PreviewAsked(TypedDict):
    """A dry run is on its way."""

    id: str
    state: Literal["pending"]


class Recipient(TypedDict):
    """Somebody who would get mail, and what speaks for it."""

    address: str
    why: list[str]


class PlannedMeeting(TypedDict):
    """What a run would do to a meeting."""

    eventId: str
    iCalUId: str
    subject: str
    start: str | None
    verdict: Literal["migrate", "refresh", "restore", "current", "skip", "fail"]
    rule: str | None
    code: str | None
    before: Place | None
    after: Place | None
    contentType: Literal["html", "text"]
    oldBlock: str | None
    newBlock: str | None
    people: Count
    recipients: list[Recipient]
    startsWithin15Minutes: bool
    updates: Count
    graphCalls: Count
    notKept: list[str]
    damage: list[DamageRow]
    userTextInBlock: Any


class Finding(TypedDict):
    """What one check of a user came to."""

    check: str
    result: Literal["pass", "warning", "fail"]
    code: str | None
    rule: str | None
    cause: str | None
    remedy: str | None
    detail: str


class PreviewDocument(TypedDict):
    """A dry run: the plan of each meeting."""

    id: str
    state: Literal["pending", "ready", "failed", "applied"]
    action: Literal["migrate", "retry", "undo"]
    identity: str
    userId: str | None
    sourceMeetingType: Source
    targetMeetingType: Target
    createdAt: At
    code: str | None
    message: str | None
    correlationId: str | None
    validateOnly: bool
    isValid: bool | None
    findings: list[Finding]
    reportOnly: bool
    updates: Count
    recipients: Count
    mailTo: list[str]
    writes: Count
    meetings: list[PlannedMeeting]


class DecisionRow(TypedDict):
    """Who or what asked for what, and what was decided by which rule."""

    id: str
    at: At
    what: str
    rule: str
    reason: str
    answer: str
    outcome: str
    user: str | None
    userId: str | None
    correlationId: str | None
    requestId: str
    actor: str | None
    proof: str


class Decisions(TypedDict):
    """A page of decisions, newest first."""

    value: list[DecisionRow]
    continuationToken: str | None


class NeedRow(TypedDict):
    """A user who needs a migration and has none."""

    identity: str
    userId: str
    reason: str
    meetings: Count
    sourceMeetingType: Source
    targetMeetingType: Target
    notBefore: NotRequired[str]
    discovered: At


class StartAgain(TypedDict):
    """A body for ``POST migrations``."""

    identities: list[str]
    sourceMeetingType: Source
    targetMeetingType: Target
    notBefore: NotRequired[str]


class Discovery(TypedDict):
    """What the last search found; an old one is repeated in the background. With a token perhaps no row yet."""

    value: list[NeedRow]
    requests: list[StartAgain]
    continuationToken: str | None
    discoveredAt: At | None
    isRunning: bool


class EventRow(TypedDict):
    """What became of one event."""

    id: str
    status: Literal["accepted", "duplicate", "refused"]
    code: NotRequired[str]
    field: NotRequired[str | None]


class EventResults(TypedDict):
    """One row an event, in the order of the request."""

    value: list[EventRow]
