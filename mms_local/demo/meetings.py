"""The meetings that the demo puts into the tenant: values, and how Graph wants them written."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any

from mms_local.demo.bodies import Body
from mms_local.demo.cast import Person
from mms_local.demo.skype import SkypeMeeting

ROOMS = ("Room Oak", "Room Birch", "Studio 4")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Fate(Enum):
    """What must have become of a meeting when the demo is over."""

    MIGRATED = "Skype meeting became a Teams meeting"
    REFRESHED = "Teams meeting got its dial-in coordinates renewed"
    CURRENT = "Teams meeting had nothing to renew"
    SKIPPED = "left alone by a rule"
    UNTOUCHED = "nobody asked"

    @property
    def is_changed(self) -> bool:
        """Whether the block must be another one now."""
        return self in {Fate.MIGRATED, Fate.REFRESHED}


class Occurrence(Enum):
    """What the organiser did to single occurrences of a series."""

    MOVED = "starts an hour later"
    REWRITTEN = "has a subject and a text of its own"
    CANCELLED = "is cancelled"


@dataclass(frozen=True, slots=True)
class Weekly:
    """How a series goes on: one occurrence every *interval* weeks."""

    starts_on: date
    interval: int
    occurrences: int | None = None
    """How often; None for a series without an end, unless *ends_on* says otherwise."""
    ends_on: date | None = None

    def as_recurrence(self, zone: str) -> dict[str, Any]:
        """As Graph's patternedRecurrence."""
        span: dict[str, Any] = {"startDate": self.starts_on.isoformat(), "recurrenceTimeZone": zone}
        if self.occurrences is not None:
            span |= {"type": "numbered", "numberOfOccurrences": self.occurrences}
        elif self.ends_on is not None:
            span |= {"type": "endDate", "endDate": self.ends_on.isoformat()}
        else:
            span |= {"type": "noEnd"}
        pattern = {
            "type": "weekly",
            "interval": self.interval,
            "daysOfWeek": [_WEEKDAYS[self.starts_on.weekday()]],
            "firstDayOfWeek": "monday",
        }
        return {"pattern": pattern, "range": span}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedMeeting:
    """One meeting, and what must come of it."""

    key: str
    organizer: Person
    subject: str
    start: datetime
    """Wall-clock time in the organiser's zone."""
    length: timedelta
    body: Body
    attendees: tuple[str, ...]
    fate: Fate
    rule: str = ""
    """The rule that lets it be left alone, for example W5."""
    skype: SkypeMeeting | None = None
    """Set for a meeting made with the Skype add-in; a pasted block has none."""
    is_teams: bool = False
    postscript: str = ""
    """What the organiser wrote under the block that the tenant had appended to a Teams meeting."""
    copies_block_of: str = ""
    """Key of the Teams meeting whose block was pasted into this one."""
    room: str = ""
    weekly: Weekly | None = None
    edits: tuple[Occurrence, ...] = ()
    """Done to the next occurrences, one each, beginning with the second."""
    extras: tuple[tuple[str, Any], ...] = ()
    """Properties that must survive: importance, categories and the like."""

    def as_event(self) -> dict[str, Any]:
        """The body of ``POST /users/{id}/events``; a Teams meeting is turned online by a PATCH afterwards."""
        zone = self.organizer.language.zone
        places = [self.room] if self.room else []
        if self.skype is not None:
            places.append(self.organizer.language.location)
        event: dict[str, Any] = {
            "subject": self.subject,
            "start": _moment(self.start, zone),
            "end": _moment(self.start + self.length, zone),
            "body": {"contentType": "html", "content": self.body.text},
            "attendees": [_attendee(address) for address in self.attendees],
            "locations": [{"displayName": place} for place in places],
            **dict(self.extras),
        }
        if self.room:
            room = f"{self.room.lower().replace(' ', '-')}@contoso.com"
            event["attendees"].append({"emailAddress": {"address": room, "name": self.room}, "type": "resource"})
        if self.weekly is not None:
            event["recurrence"] = self.weekly.as_recurrence(zone)
        if self.skype is not None:
            event["singleValueExtendedProperties"] = self.skype.extended_properties()
        return event


def _moment(at: datetime, zone: str) -> dict[str, str]:
    return {"dateTime": at.isoformat(timespec="seconds"), "timeZone": zone}


def _attendee(address: str) -> dict[str, Any]:
    name = address.partition("@")[0].replace(".", " ").title()
    return {"emailAddress": {"address": address, "name": name}, "type": "required"}
