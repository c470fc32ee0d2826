"""What callers send: bodies and queries as types, which validate and from which the API's description is made."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mms_core.errors import BadInput
from mms_core.model import Selection, Source, State, Target
from mms_core.notifications import decode
from mms_core.service.admin.intake import LONGEST_SETTLE, MOST_IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=msgspec.Struct)

MOST_SELECTED: Final = 100
"""Meetings that a request may name: they have to fit into the user's row, whatever merges into it."""
MOST_UNDONE: Final = 500
"""Meetings that an undo may name; they have to fit into the user's row. Without names it restores all."""
LONGEST_IDENTITY: Final = 400
HIGHEST_PRIORITY: Final = 9
MOST_ROWS: Final = 1000
LONGEST_TEXT: Final = 255
LONGEST_TOKEN: Final = 1024
_SKYPE_TARGETS: Final = ("sfb", "skypeforbusiness")
_ENUM: Final = re.compile(r"Invalid enum value '(.*?)'", re.DOTALL)
_NAMED: Final = re.compile(r"(?:unknown|missing required) field `(.*?)`", re.DOTALL)

InList = Annotated[
    str,
    Meta(
        description="User principal name, object id or SIP address.",
        # Redundant as a restriction; it tells generators what is likely to be somebody.
        extra_json_schema={"anyOf": [{"format": "uuid"}, {"pattern": "^[^@]+@[^@]+$"}, {"type": "string"}]},
    ),
]
"""Of any length: what is nobody refuses its own row, and no other."""
Identity = Annotated[InList, Meta(max_length=LONGEST_IDENTITY)]
Words = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
Top = Annotated[int, Meta(ge=1, le=MOST_ROWS, description="Rows of a page.")]
Somebody = Annotated[Identity, Meta(min_length=1)]
Token = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_TOKEN,
        pattern="^[!-~]+$",
        description="From the answer before; the next page.",
    ),
]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[!-~]+$")]
Instant = Annotated[
    str,
    Meta(
        description="ISO 8601; a date is its midnight, and what names no offset is UTC.",
        extra_json_schema={"anyOf": [{"format": "date-time"}, {"format": "date"}]},
        examples=["2026-01-31T08:00:00Z"],
    ),
]
When = Annotated[datetime, Meta(description="What names no offset is UTC.", extra_json_schema={"format": "date-time"})]
RunKind = Literal["SfbToSfb", "SfbToTeams", "TeamsToTeams", "AllToTeams", "ToSameType", "Unknown"]


class Narrowing(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which meetings a request is narrowed to; every part that is given has to hold."""

    event_ids: Annotated[list[str], Meta(max_length=MOST_SELECTED)] = []
    start: When | None = None
    end: When | None = None
    subject: Words | None = None
    url_host: Words | None = None
    attendee_domain: Words | None = None
    externals: Literal["include", "exclude", "only"] = "include"

    def selection(self) -> Selection:
        """Return the domain's value."""
        return Selection(
            event_ids=tuple(self.event_ids),
            start_at=aware(self.start),
            end_at=aware(self.end),
            subject=self.subject,
            url_host=self.url_host,
            attendee_domain=self.attendee_domain,
            externals=self.externals,
        )


class Row(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """One of ``identities``, with what is its own."""

    identity: InList
    priority: Annotated[int, Meta(ge=0, le=HIGHEST_PRIORITY, description="Rows of a higher one are due first.")] = 0


Rows = Annotated[list[InList | Row], Meta(extra_json_schema={"maxItems": MOST_IDENTITIES})]


class StartMigrations(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Whose meetings to migrate, and how: either ``identity`` or ``identities``."""

    identity: Identity | UnsetType = UNSET
    identities: Rows | UnsetType = UNSET
    source_meeting_type: Source = Source.ALL
    target_meeting_type: Target = Target.CURRENT
    settle_minutes: Annotated[float, Meta(ge=0, le=LONGEST_SETTLE.total_seconds() / 60)] | None = None
    not_before: When | None = None
    meetings: Narrowing | None = None


class AskPreview(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Whose migration to plan, and how."""

    identity: Identity
    source_meeting_type: Source = Source.ALL
    target_meeting_type: Target = Target.CURRENT
    meetings: Narrowing | None = None
    action: Annotated[
        Literal["migrate", "retry", "undo"],
        Meta(
            description="What to plan: a migration, or what ``retry`` or ``undo`` of this user would do. These two take"
            " no meeting types and no validation; a retry no meetings, an undo at most ``eventIds``."
        ),
    ] = "migrate"
    validate_only: Annotated[bool, Meta(description="Check the user only; no meeting is looked at.")] = False

    def event_ids(self) -> tuple[str, ...]:
        """Return the meetings of an undo.

        Raises:
            BadInput: Something was given that the action does not take.
        """
        if self.action == "migrate":
            return ()
        meetings = self.meetings or Narrowing()
        for name, is_given in (
            ("sourceMeetingType", self.source_meeting_type is not Source.ALL),
            ("targetMeetingType", self.target_meeting_type is not Target.CURRENT),
            ("validateOnly", self.validate_only),
            ("meetings", meetings != Narrowing(event_ids=meetings.event_ids if self.action == "undo" else [])),
        ):
            if is_given:
                raise BadInput(f"not with {self.action}", code="InvalidParameter", field=name)
        return tuple(meetings.event_ids)


class GetBlocks(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Query of ``GET migrations/{userId}/blocks``."""

    event_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_TOKEN, description="Graph's id of the event.")]


class GetPreview(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Query of ``GET previews/{id}``."""

    summary_only: Annotated[bool, Meta(description="Who gets mail and how much, without the meetings.")] = False


class Undo(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which meetings to restore; without ``eventIds`` all of the user's."""

    event_ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_UNDONE)] | None = None


class RetryGroup(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Whose migrations to start afresh: all users whose newest run has failed with a code."""

    code: Annotated[Id, Meta(description="As ``summaryBy=code`` lists it.")]


class GetHealth(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Query of ``GET health``."""

    deep: Annotated[bool, Meta(description="Examine the deployment; takes the role of operators.")] = False
    user: Annotated[Identity, Meta(description="Whose mailbox proves the rights.")] | UnsetType = UNSET


class ListMigrations(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Query of ``GET migrations``."""

    summary_only: Annotated[bool, Meta(description="Counts, no runs; nothing else narrows them.")] = False
    summary_by: Annotated[
        Literal["state", "code", "day", "duration", "message"],
        Meta(
            description="What a summary counts: users by the state of their newest run; those whose newest run has"
            " failed, by its code; the runs of the last two weeks by the day (UTC) they were made, and their state;"
            " those of them that succeeded, by that day and the minutes to their end, rounded; or, a row each, the"
            " queue messages that failed for good and that nobody has put back."
        ),
    ] = "state"
    identity: Somebody | UnsetType = UNSET
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    state: State | UnsetType = UNSET
    migration_type: RunKind | UnsetType = UNSET
    reason: Annotated[Id, Meta(description="Rule of a trigger, ``T1`` to ``T11``, or ``Undo``.")] | UnsetType = UNSET
    order_by: Annotated[
        Literal["created", "due"],
        Meta(description="Newest first, or (with ``state=Pending`` and nothing else) those first that are due first."),
    ] = "created"
    top: Top = 100
    continuation_token: Token | UnsetType = UNSET


class ListDecisions(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Query of ``GET decisions``."""

    identity: Somebody | UnsetType = UNSET
    rule: Id | UnsetType = UNSET
    reason: Words | UnsetType = UNSET
    answer: Literal["request", "ignore", "refuse"] | UnsetType = UNSET
    correlation_id: Id | UnsetType = UNSET
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    top: Top = 100
    continuation_token: Token | UnsetType = UNSET


class ListDiscovery(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Query of ``GET discovery``."""

    top: Top = 100
    continuation_token: Token | UnsetType = UNSET
    search: Annotated[bool, Meta(description="Whether findings that are old make the search start again.")] = True


def read_body(content: bytes, kind: type[T]) -> T:
    """Decode a body.

    Raises:
        BadInput: It does not fit; code ``InvalidParameter`` for a word that is none of those allowed,
            ``UnsupportedTarget`` for Skype as a target.
    """
    try:
        made: T = decode(content, kind)
    except BadInput as exc:
        word = _ENUM.match(exc.detail)
        if word is None:
            raise
        is_skype = exc.field == "targetMeetingType" and word[1].lower() in _SKYPE_TARGETS
        code = "UnsupportedTarget" if is_skype else "InvalidParameter"
        raise BadInput(exc.detail, code=code, field=exc.field) from exc
    return made


def read_query(given: Mapping[str, str], kind: type[T]) -> T:
    """Convert a query.

    Raises:
        BadInput: Code ``InvalidParameter``; the field is the parameter.
    """
    values: dict[str, Any] = dict(given)
    for each in msgspec.structs.fields(kind):
        text = values.get(each.encode_name)
        if isinstance(each.default, bool) and text is not None:
            # msgspec would take 0 and 1 as well, which nobody else calls boolean.
            values[each.encode_name] = {"true": True, "false": False}.get(text.lower(), "")
    try:
        return msgspec.convert(values, type=kind, strict=False)
    except msgspec.ValidationError as exc:
        head, _, path = str(exc).partition(" - at `$.")
        named = _NAMED.search(head)
        field = named[1] if named else path.strip("`")
        raise BadInput(head.partition(" `")[0] if named else head, code="InvalidParameter", field=field) from exc


def instant(text: str | UnsetType, *, name: str) -> datetime | None:
    """Read an ISO 8601 instant; one without an offset is UTC.

    Raises:
        BadInput: Code ``InvalidParameter`` with the parameter's name.
    """
    if isinstance(text, UnsetType):
        return None
    try:
        # The plus of an offset becomes a blank where a caller forgot to escape it.
        return aware(datetime.fromisoformat(text.strip().replace(" ", "+")))
    except (ValueError, OverflowError):
        raise BadInput("an ISO 8601 instant", code="InvalidParameter", field=name) from None


def aware(at: datetime | None) -> datetime | None:
    """Return an instant as aware UTC; one without an offset is UTC already."""
    return None if at is None else (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))
