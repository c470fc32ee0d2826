"""How Graph shows events (fact sheet 1.1 to 1.7, 3.3): a table of properties; ``$select`` pays for what it takes."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from mms_simulator import calendar, ids, meetings, online, outbox, series
from mms_simulator.content import canonical_property
from mms_simulator.errors import GraphError, bad_request
from mms_simulator.model import Calendar, Copy, Item, User, plain_text
from mms_simulator.odata import filters
from mms_simulator.odata.query import Options
from mms_simulator.store import Store
from mms_simulator.zones import graph_instant, graph_local

ON_DEMAND = frozenset({"cancelledOccurrences", "exceptionOccurrences", "attachments", "calendar", "instances",
                       "singleValueExtendedProperties", "multiValueExtendedProperties", "extensions"})  # fmt: skip
_BY_ID = frozenset({"cancelledOccurrences", "exceptionOccurrences"})
_PREFERENCE = re.compile(
    r"((?:outlook\.timezone|outlook\.body-content-type|IdType|odata\.maxpagesize)\s*=\s*(?:\"[^\"]*\"|[^,;\s]+)"
    r"|outlook\.allow-unsafe-html)",
    re.IGNORECASE,
)
_NO_TIME = "0001-01-01T00:00:00Z"
_PREVIEW = 255
_UNSAFE = re.compile(
    r"<(script|iframe|object|embed|form)\b.*?(?:</\1\s*>|$)|\s+on[a-z]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)",
    re.IGNORECASE | re.DOTALL,
)
_STYLES = re.compile(r"<style\b.*?(?:</style\s*>|$)", re.IGNORECASE | re.DOTALL)
_INVISIBLE = re.compile(r"<(head|script|style|title)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/h\d|/li)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


@dataclass(slots=True)
class Manner:
    """How a caller wants events shown, by its Prefer header (1.7)."""

    zone: str = "UTC"
    text: bool = False
    unsafe: bool = False
    immutable: bool = False


@dataclass(slots=True)
class Shown:
    """One row of an answer: an item as it is, an occurrence of it, or somebody's copy of either."""

    store: Store
    user: User
    item: Item
    start: int
    end: int
    day: int = 0
    copy: Copy | None = None

    @property
    def kind(self) -> str:
        """Graph's type."""
        if self.day:
            return "exception" if self.item.master else "occurrence"
        if self.item.master:
            return self.store.switches.orphanInstances
        return "seriesMaster" if self.item.recurrence else "singleInstance"

    @property
    def id(self) -> str:
        """The id in this mailbox."""
        base = self.copy.id if self.copy else self.item.id
        if not self.day:
            return base
        return self.item.id if self.item.master and not self.copy else ids.occurrence_id(base, self.day)

    @property
    def cancelled(self) -> bool:
        """Whether the organiser has cancelled it, or taken this attendee off, be it off one occurrence."""
        if self.item.cancelled or bool(self.copy and self.copy.cancelled):
            return True
        if not (self.copy and self.day and self.item.master):
            return False
        me = plain_text(self.user.mail)
        return all(plain_text(row["emailAddress"]["address"]) != me for row in self.item.attendees)

    def own(self, field: str) -> Any:
        """Give a field that an attendee may set in a copy of their own."""
        if self.copy and field in self.copy.own:
            return self.copy.own[field]
        return getattr(self.item, field)


def shown(store: Store, target: calendar.Target) -> Shown:
    """Show what an id was resolved to."""
    item = target.item
    start, end = item.start, item.end
    if target.computed:
        start = series.start_of(item, target.day)
        end = start + item.end - item.start
    return Shown(store, target.user, item, start, end, target.day, target.copy)


def render(row: Shown, wanted: Options, manner: Manner) -> dict[str, Any]:
    """Write a row as JSON values, with what ``$select`` and ``$expand`` ask for."""
    identity = ids.immutable(row.id) if manner.immutable else row.id
    result: dict[str, Any] = {
        "@odata.etag": f'W/"{calendar.etag(row.store, row.item, row.copy)}"',
        "id": identity,
    }
    if wanted.select is None:
        for name, read in _DEFAULT:
            result[name] = read(row, manner)
    else:
        for name in wanted.select:
            reader = PROPERTIES.get(name)
            if reader and name not in wanted.expand:
                result[name] = reader(row, manner)
    if row.day or row.item.recurrence is None:
        result.pop("cancelledOccurrences", None)
    if row.kind != "seriesMaster":
        result.pop("exceptionOccurrences", None)
    if not row.day:
        result.pop("originalStart", None)
        result.pop("occurrenceId", None)
    _expand(result, row, wanted, manner)
    return result


def manner_of(prefer: str) -> Manner:
    """Read a Prefer header; several values stand in one, divided by commas (9)."""
    return _manner(prefer) if prefer else _PLAIN


def preferred_size(prefer: str) -> int | None:
    """Read the page size of ``Prefer: odata.maxpagesize`` (1.7)."""
    _, found, size = prefer.lower().partition("odata.maxpagesize=")
    digits = size.split(",")[0].strip().strip('"')
    return int(digits) or None if found and digits.isdigit() else None


def applied(prefer: str) -> dict[str, str]:
    """Give the header that says which of the preferences were heeded (1.7)."""
    found = _PREFERENCE.findall(prefer) if prefer else None
    return {"Preference-Applied": ", ".join(found)} if found else {}


def check_names(wanted: Options) -> None:
    """Refuse names in ``$select`` and ``$expand`` that an event does not have."""
    for name in wanted.select or ():
        if name not in PROPERTIES and name not in ON_DEMAND and name != "id":
            raise _no_property(name)
    for name, inner in wanted.expand.items():
        if name not in ON_DEMAND - {"cancelledOccurrences"}:
            raise _no_property(name)
        if name == "exceptionOccurrences":
            check_names(inner)


def in_list(wanted: Options) -> Options:
    """Leave out what Graph shows only of one master that is asked for by its id (1.2)."""
    if wanted.select and wanted.select & _BY_ID:
        wanted.select -= _BY_ID
    if "exceptionOccurrences" in wanted.expand:
        wanted.expand = {name: inner for name, inner in wanted.expand.items() if name != "exceptionOccurrences"}
    return wanted


def _no_property(name: str) -> GraphError:
    text = f"Could not find a property named '{name}' on type 'Microsoft.OutlookServices.Event'."
    return bad_request(text, "RequestBroker--ParseUri")


_PLAIN = Manner()


@lru_cache(maxsize=256)
def _manner(prefer: str) -> Manner:
    manner = Manner()
    for name, value in re.findall(r'([\w.-]+)\s*=\s*"?([^",;]*)"?', prefer):
        match name.lower():
            case "outlook.timezone":
                manner.zone = value
            case "outlook.body-content-type":
                manner.text = value.lower() == "text"
            case "idtype":
                manner.immutable = value.lower() == "immutableid"
    manner.unsafe = "outlook.allow-unsafe-html" in prefer.lower()
    return manner


def body_of(row: Shown, manner: Manner) -> dict[str, str]:
    """Write the body: HTML unless text is preferred; unsafe parts taken out by switch (1.7)."""
    item = row.item
    if manner.text:
        return {"contentType": "text", "content": item.body if item.body_type == "text" else as_text(item.body)}
    if item.body_type == "text":
        return {"contentType": "html", "content": online.text_as_html(item.body)}
    return {"contentType": "html", "content": item.body if manner.unsafe else safe(item.body, row.store)}


def safe(body: str, store: Store) -> str:
    """Take out what Graph does not return without being asked (1.7)."""
    mode = store.switches.unsafeHtml
    return body if mode == "keep" else _stripped(body, mode)


@lru_cache(maxsize=1024)
def _stripped(body: str, mode: str) -> str:
    body = _UNSAFE.sub("", body)
    return _STYLES.sub("", body) if mode == "stripStyles" else body


def as_text(body: str) -> str:
    """Turn HTML into text; the anchors of a block are lost on the way (1.7)."""
    visible = _BREAK.sub("\r\n", _INVISIBLE.sub("", body).replace("\r", " ").replace("\n", " "))
    return html.unescape(_TAG.sub("", visible)).strip()


def properties_of(item: Item, condition: str | None) -> list[dict[str, str]]:
    """Give the named properties that an expansion's filter asks for, GUIDs in lower case (2.5)."""
    return [{"id": name, "value": item.properties[name]} for name in _named(condition) if name in item.properties]


@lru_cache(maxsize=256)
def _named(condition: str | None) -> tuple[str, ...]:
    """Give the property ids that the filter of an expansion names; nobody can ask for all (2.5)."""
    if not condition:
        return ()
    leaves = filters.leaves(filters.parse(condition))
    return tuple(
        dict.fromkeys(
            canonical_property(leaf.value) for leaf in leaves if isinstance(leaf, filters.Compare) and leaf.path == "id"
        )
    )


def _expand(result: dict[str, Any], row: Shown, wanted: Options, manner: Manner) -> None:
    for name, inner in wanted.expand.items():
        match name:
            case "singleValueExtendedProperties":
                found = properties_of(row.item, inner.filter)
                if found:
                    result[name] = found
            case "exceptionOccurrences" if row.kind == "seriesMaster":
                result[name] = [render(each, inner, manner) for each in exceptions_of(row)]
            case "calendar":
                home = row.copy.calendar if row.copy else row.item.calendar
                result[name] = calendar_view(row.user, calendar.calendar_of(row.user, home))
            case "attachments":
                result[name] = row.item.attachments
            case "multiValueExtendedProperties":
                values = row.item.multi_properties
                result[name] = [{"id": each, "value": values[each]} for each in _named(inner.filter) if each in values]
            case "extensions":
                result[name] = []


def exceptions_of(row: Shown) -> list[Shown]:
    """Give the modified occurrences of a series in this mailbox."""
    found = row.store.mailbox(row.item.mailbox).exceptions.get(row.item.id, {})
    return [
        Shown(row.store, row.user, item, item.start, item.end, day, row.copy) for day, item in sorted(found.items())
    ]


def calendar_view(user: User, home: Calendar) -> dict[str, Any]:
    """Write a calendar (2.3)."""
    return {
        "id": home.id,
        "name": home.name,
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": home.is_default,
        "changeKey": ids.change_key(home.id, 1),
        "canShare": home.can_edit,
        "canViewPrivateItems": True,
        "canEdit": home.can_edit,
        "allowedOnlineMeetingProviders": user.providers,
        "defaultOnlineMeetingProvider": user.providers[0] if user.providers else "unknown",
        "isTallyingResponses": home.is_default,
        "isRemovable": not home.is_default,
        "owner": {"name": home.owner_name, "address": home.owner_address},
    }


def _response(row: Shown) -> dict[str, str]:
    if row.copy:
        time = graph_instant(row.copy.responded) if row.copy.responded else _NO_TIME
        return {"response": row.copy.response, "time": time}
    mine = calendar.is_organizer(row.user, row.item)
    return {"response": "organizer" if mine else "none", "time": _NO_TIME}


def _location(row: Shown) -> dict[str, Any]:
    places = row.item.locations
    if not places:
        return {"displayName": "", "locationType": "default", "uniqueIdType": "unknown"}
    if len(places) == 1:
        return places[0]
    name = "; ".join(place["displayName"] for place in places)
    return {"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "unknown"}


def _online_meeting(row: Shown) -> dict[str, Any] | None:
    item, store = row.item, row.store
    if item.meeting and item.meeting in store.meetings:
        meeting = store.meetings[item.meeting]
        late = store.clock.now() < item.online_since + store.switches.joinUrlDelaySeconds
        found: dict[str, Any] = {"joinUrl": "" if late else meetings.classic_url(store, meeting)}
        organizer = store.users.get(meeting.organizer)  # gone when the organiser has left the tenant
        dial = meetings.dial_in(organizer, meeting) if organizer else None
        if dial and not late:
            found |= {"conferenceId": dial.conference_id, "tollNumber": dial.number}
        return found
    link = online.skype_link(item)
    shows = link and (item.provider == online.SKYPE or store.switches.skypeRepresentation == "provider")
    return {"joinUrl": link} if shows else None


def _meeting_url(row: Shown) -> str | None:
    if row.item.meeting or row.store.switches.skypeRepresentation == "provider":
        return None
    return online.skype_link(row.item)


def _recurrence(row: Shown, _: Manner) -> Any:
    return row.item.recurrence if row.kind == "seriesMaster" else None


def _organizer(row: Shown, _: Manner) -> dict[str, Any]:
    return {"emailAddress": {"name": row.item.organizer_name, "address": row.item.organizer_address}}


def _attendees(row: Shown, _: Manner) -> list[dict[str, Any]]:
    hidden = row.item.hide_attendees and row.copy is not None
    if not hidden:
        return row.item.attendees
    me = plain_text(row.user.mail)
    return [entry for entry in row.item.attendees if plain_text(entry["emailAddress"]["address"]) == me]


def _time(row: Shown, manner: Manner, seconds: int) -> dict[str, str]:
    if row.item.all_day and manner.zone != "UTC":
        return {**graph_local(seconds, "UTC"), "timeZone": manner.zone}
    return graph_local(seconds, manner.zone)


def _series_id(row: Shown, manner: Manner) -> str | None:
    if not row.day:
        return None
    master = row.copy.id if row.copy else row.item.master or row.item.id
    return ids.immutable(master) if manner.immutable else master


def _occurrence(row: Shown, manner: Manner) -> str | None:
    return f"OID.{_series_id(row, manner)}.{date.fromordinal(row.day)}" if row.day else None


def _original_start(row: Shown, _: Manner) -> str | None:
    if not row.day:
        return None
    master = row.store.mailbox(row.item.mailbox).items.get(row.item.master or row.item.id)
    return graph_instant(series.start_of(master, row.day) if master else row.start)


def _uid(row: Shown, _: Manner) -> str:
    day = row.day or row.item.day
    return ids.occurrence_uid(row.item.uid, *outbox.item_date(day)) if day else row.item.uid


def _cancelled_days(row: Shown, manner: Manner) -> list[str]:
    base = row.copy.id if row.copy else row.item.id
    base = ids.immutable(base) if manner.immutable else base
    return [f"OID.{base}.{date.fromordinal(day)}" for day in row.item.cancelled_days]


PROPERTIES: dict[str, Callable[[Shown, Manner], Any]] = {
    "createdDateTime": lambda row, _: graph_instant(row.copy.created if row.copy else row.item.created),
    "lastModifiedDateTime": lambda row, _: graph_instant(calendar.modified(row.store, row.item)),
    "changeKey": lambda row, _: calendar.etag(row.store, row.item, row.copy),
    "categories": lambda row, _: row.own("categories") if not row.copy else row.copy.own.get("categories", []),
    "transactionId": lambda row, _: None if row.copy or row.day else row.item.transaction_id,
    "originalStartTimeZone": lambda row, _: row.item.start_zone,
    "originalEndTimeZone": lambda row, _: row.item.end_zone,
    "iCalUId": _uid,
    "uid": lambda row, _: row.item.uid,
    "reminderMinutesBeforeStart": lambda row, _: row.own("reminder_minutes"),
    "isReminderOn": lambda row, _: row.own("reminder_on"),
    "hasAttachments": lambda row, _: bool(row.item.attachments),
    "subject": lambda row, _: row.item.subject,
    "bodyPreview": lambda row, _: _preview(row.item),
    "importance": lambda row, _: row.item.importance,
    "sensitivity": lambda row, _: row.own("sensitivity"),
    "isAllDay": lambda row, _: row.item.all_day,
    "isCancelled": lambda row, _: row.cancelled,
    "isOrganizer": lambda row, _: row.copy is None and calendar.is_organizer(row.user, row.item),
    "responseRequested": lambda row, _: row.item.response_requested,
    "seriesMasterId": _series_id,
    "showAs": lambda row, _: row.own("show_as"),
    "type": lambda row, _: row.kind,
    "webLink": lambda row, _: f"https://outlook.office365.com/owa/?itemid={row.id}&exvsurl=1&path=/calendar/item",
    "onlineMeetingUrl": lambda row, _: _meeting_url(row),
    "isOnlineMeeting": lambda row, _: online.is_online(row.item, row.store.switches),
    "onlineMeetingProvider": lambda row, _: online.provider_of(row.item, row.store.switches),
    "allowNewTimeProposals": lambda row, _: row.item.new_times,
    "occurrenceId": _occurrence,
    "isDraft": lambda row, _: row.item.draft and row.copy is None,
    "hideAttendees": lambda row, _: row.item.hide_attendees,
    "responseStatus": lambda row, _: _response(row),
    "body": body_of,
    "start": lambda row, manner: _time(row, manner, row.start),
    "end": lambda row, manner: _time(row, manner, row.end),
    "originalStart": _original_start,
    "location": lambda row, _: _location(row),
    "locations": lambda row, _: row.item.locations,
    "recurrence": _recurrence,
    "attendees": _attendees,
    "organizer": _organizer,
    "onlineMeeting": lambda row, _: _online_meeting(row),
    "cancelledOccurrences": _cancelled_days,
    "exceptionOccurrences": lambda row, manner: [render(each, Options(), manner) for each in exceptions_of(row)],
}
"""Every property of an event that Graph shows, the undocumented uid and occurrenceId included (1.1)."""

_DEFAULT = [(name, read) for name, read in PROPERTIES.items() if name not in ON_DEMAND]


def _preview(item: Item) -> str:
    return _cached_preview(item.body, item.body_type)


@lru_cache(maxsize=512)
def _cached_preview(body: str, body_type: str) -> str:
    return (body if body_type == "text" else as_text(body))[:_PREVIEW]
