"""Graph's JSON, as far as we read it: typed, and a hundred times faster than the SDK's models.

Names are Graph's own in snake case. Unknown properties are ignored; a missing one has a default, because Graph
leaves out what was not selected.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from mms_core.errors import TemporaryError
from mms_core.jsontext import without_surrogates
from mms_core.meetings import Attendee, Event, Recurrence

PUBLIC_STRINGS: Final = "00020329-0000-0000-c000-000000000046"
"""MAPI property set PS_PUBLIC_STRINGS, which holds the online-meeting names."""

OWN_SET: Final = "6f0b8c52-6b1e-4a8a-9e54-4d1f3c1f7a10"
"""Property set of our own marker."""

PROPERTY_NAMES: Final = (
    "OnlineMeetingConfLink",
    "OnlineMeetingExternalLink",
    "OnlineMeetingInternalLink",
    "OnlineMeetingConferenceId",
    "OnlineMeetingTollNumber",
    "ConferenceTelURI",
    "UCCapabilities",
    "UCInband",
    "UCMeetingSetting",
    "UCMeetingSettingSent",
    "UCOpenedConferenceID",
    "SkypeTeamsMeetingUrl",
    "SkypeTeamsProperties",
    "SchedulingServiceUpdateUrl",
    "SchedulingServiceMeetingOptionsUrl",
    "MmsRun",
)


def property_id(name: str) -> str:
    """Return the id under which Graph knows a named property."""
    guid = OWN_SET if name.startswith("Mms") else PUBLIC_STRINGS
    return f"String {{{guid}}} Name {name}"


EXPAND_PROPERTIES: Final = "singleValueExtendedProperties($filter={})".format(
    " or ".join(f"id eq '{property_id(name)}'" for name in PROPERTY_NAMES)
)

SELECT: Final = (
    "id",
    "iCalUId",
    "subject",
    "type",
    "start",
    "end",
    "isOrganizer",
    "organizer",
    "isCancelled",
    "isDraft",
    "body",
    "attendees",
    "locations",
    "isOnlineMeeting",
    "onlineMeeting",
    "onlineMeetingProvider",
    "recurrence",
    "seriesMasterId",
)


class _Struct(msgspec.Struct, rename="camel", kw_only=True):
    """Base: Graph's names are camel case."""


class WireTime(_Struct):
    """dateTimeTimeZone: up to seven decimals and no offset."""

    date_time: str | None = None
    time_zone: str | None = None

    def instant(self) -> datetime | None:
        """Return aware UTC; ``None`` for an empty value.

        Raises:
            TemporaryError: The zone is not one that we asked for (we ask for UTC).
        """
        if not self.date_time:
            return None
        try:
            zone = ZoneInfo(self.time_zone) if self.time_zone and self.time_zone != "UTC" else UTC
            return datetime.fromisoformat(self.date_time.rstrip("Z")[:26]).replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, ZoneInfoNotFoundError) as exc:
            raise TemporaryError("a time of Graph could not be read") from exc


class WireBody(_Struct):
    """itemBody."""

    content_type: str | None = None
    content: str | None = None


class WireAddress(_Struct):
    """emailAddress."""

    name: str | None = None
    address: str | None = None


class WireResponse(_Struct):
    """responseStatus."""

    response: str | None = None


class WireAttendee(_Struct):
    """attendee."""

    type: str | None = None
    email_address: WireAddress | None = None
    status: WireResponse | None = None


class WireOnline(_Struct):
    """onlineMeetingInfo."""

    join_url: str | None = None


class WireRange(_Struct):
    """recurrenceRange."""

    type: str = "noEnd"
    start_date: str | None = None
    end_date: str | None = None
    number_of_occurrences: int | None = None
    recurrence_time_zone: str | None = None


class WirePattern(_Struct):
    """recurrencePattern."""

    type: str = "daily"
    interval: int = 1
    days_of_week: list[str] | None = None


class WireRecurrence(_Struct):
    """patternedRecurrence."""

    pattern: WirePattern = msgspec.field(default_factory=WirePattern)
    range: WireRange = msgspec.field(default_factory=WireRange)


class WireProperty(_Struct):
    """singleValueLegacyExtendedProperty."""

    id: str
    value: str | None = None

    @property
    def name(self) -> str:
        """Return the name; the GUID before it comes back in lower case."""
        return self.id.partition(" Name ")[2]


class WireEvent(_Struct):
    """The part of an event that we read."""

    id: str
    etag: str = msgspec.field(default="", name="@odata.etag")
    i_cal_u_id: str | None = msgspec.field(default=None, name="iCalUId")
    subject: str | None = None
    type: str | None = None
    start: WireTime | None = None
    end: WireTime | None = None
    is_organizer: bool | None = None
    organizer: WireAttendee | None = None
    is_cancelled: bool | None = None
    is_draft: bool | None = None
    body: WireBody | None = None
    attendees: list[WireAttendee] | None = None
    locations: list[dict[str, object]] | None = None
    is_online_meeting: bool | None = None
    online_meeting: WireOnline | None = None
    online_meeting_provider: str | None = None
    recurrence: WireRecurrence | None = None
    series_master_id: str | None = None
    single_value_extended_properties: list[WireProperty] | None = None
    exception_occurrences: list[WireEvent] | None = None
    more_exceptions: str | None = msgspec.field(default=None, name="exceptionOccurrences@odata.nextLink")
    cancelled_occurrences: list[str] | None = None

    def facts(self) -> Event:
        """Return the domain's value."""
        body = self.body or WireBody()
        return Event(
            event_id=self.id,
            etag=self.etag,
            ical_uid=self.i_cal_u_id or "",
            series_uid=self.i_cal_u_id or "",
            kind=self.type or "singleInstance",
            subject=without_surrogates(self.subject or ""),
            start_at=self.start.instant() if self.start else None,
            end_at=self.end.instant() if self.end else None,
            is_organizer=bool(self.is_organizer),
            organizer_address=_attendee(self.organizer).address if self.organizer else "",
            is_cancelled=bool(self.is_cancelled),
            is_draft=bool(self.is_draft),
            body=body.content or "",
            content_type=(body.content_type or "html").lower(),
            attendees=tuple(_attendee(each) for each in self.attendees or ()),
            locations=tuple(self.locations or ()),
            properties={each.name: each.value for each in self.single_value_extended_properties or () if each.value},
            is_online=bool(self.is_online_meeting),
            join_url=self.online_meeting.join_url if self.online_meeting else None,
            provider=self.online_meeting_provider,
            recurrence=_recurrence(self.recurrence),
            series_master_id=self.series_master_id,
        )


def _attendee(wire: WireAttendee) -> Attendee:
    address = wire.email_address.address if wire.email_address else None
    return Attendee(
        address=(address or "").lower(),
        kind=wire.type or "required",
        response=(wire.status.response if wire.status else None) or "none",
    )


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _recurrence(wire: WireRecurrence | None) -> Recurrence | None:
    if wire is None:
        return None
    return Recurrence(
        kind=wire.range.type,
        start_date=_date(wire.range.start_date),
        # Graph fills in 0001-01-01 where there is no end.
        end_date=_date(wire.range.end_date) if wire.range.type == "endDate" else None,
        count=wire.range.number_of_occurrences or 0,
        zone=wire.range.recurrence_time_zone,
        pattern=wire.pattern.type,
        interval=max(1, wire.pattern.interval),
        days_a_week=max(1, len(wire.pattern.days_of_week or ())),
    )


def cancelled_dates(master: WireEvent) -> tuple[date, ...]:
    """Return the dates of a master's cancelled occurrences: their ids end in it (``OID.<master>.<date>``)."""
    dates = []
    for each in master.cancelled_occurrences or ():
        try:
            dates.append(date.fromisoformat(each.rpartition(".")[2]))
        except ValueError:
            dates.append(date.max)  # a form we do not know: let the calendar itself be asked
    return tuple(dates)


class WireEvents(_Struct):
    """A page of events."""

    value: list[WireEvent]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")


class WireCalendar(_Struct):
    """The part of a calendar that we read."""

    id: str = ""
    can_edit: bool | None = None
    is_default_calendar: bool | None = None
    owner: WireAddress | None = None
    allowed_online_meeting_providers: list[str] | None = None


class WireCalendars(_Struct):
    """A page of calendars."""

    value: list[WireCalendar]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")


class WireMailboxSettings(_Struct):
    """The part of mailboxSettings that we read."""

    user_purpose: str | None = None


class WirePlan(_Struct):
    """assignedPlan."""

    service_plan_id: str | None = None
    capability_status: str | None = None
    assigned_date_time: datetime | None = None


class WireUser(_Struct):
    """The part of a user that we read."""

    id: str
    user_principal_name: str | None = None
    assigned_plans: list[WirePlan] | None = None
    preferred_language: str | None = None
    mail: str | None = None
    created_date_time: datetime | None = None
    removed: dict[str, Any] | None = msgspec.field(default=None, name="@removed")
    """In a delta query: that the user is deleted, for now or for good."""


class WireUsers(_Struct):
    """A page of users."""

    value: list[WireUser]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")


class WireRound(WireUsers):
    """A page of a delta query of users."""

    delta_link: str | None = msgspec.field(default=None, name="@odata.deltaLink")


class WireAssignment(_Struct):
    """policyAssignment."""

    display_name: str | None = None
    assignment_type: str | None = None


class WirePolicy(_Struct):
    """effectivePolicyAssignment."""

    policy_type: str | None = None
    policy_assignment: WireAssignment | None = None


class WireConfiguration(_Struct):
    """The part of a teamsUserConfiguration that we read."""

    id: str = ""
    account_type: str | None = None
    effective_policy_assignments: list[WirePolicy] | None = None


class WireConfigurations(_Struct):
    """A page of Teams configurations, or one that the documentation's example wraps in ``value``."""

    value: list[WireConfiguration] | WireConfiguration
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")


class WireGroups(_Struct):
    """Answer of checkMemberGroups."""

    value: list[str]


class WireContent(_Struct):
    """joinInformation."""

    content: str | None = None


class WireChat(_Struct):
    """chatInfo."""

    thread_id: str | None = None


class WireMeeting(_Struct):
    """The part of an onlineMeeting that we read."""

    id: str
    join_web_url: str | None = None
    join_information: WireContent | None = None
    chat_info: WireChat | None = None
    external_id: str | None = None
    subject: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None


class WireMeetings(_Struct):
    """A page of online meetings, undecoded: an open type, of which options are read by their names."""

    value: list[dict[str, Any]]


class WireSubscription(_Struct):
    """subscription."""

    id: str
    resource: str | None = None
    notification_url: str | None = None
    lifecycle_notification_url: str | None = None
    client_state: str | None = None
    expiration_date_time: datetime | None = None


class WireSubscriptions(_Struct):
    """A page of subscriptions."""

    value: list[WireSubscription]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")
