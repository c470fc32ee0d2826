"""What a caller may write into an event (fact sheet 1.2, 1.3): each writable property, checked and stored."""

import re
from collections.abc import Callable
from typing import Any

from mms_simulator import recurrence
from mms_simulator.errors import bad_request
from mms_simulator.model import Item, plain_text
from mms_simulator.payloads import truth
from mms_simulator.zones import parse_local

MAX_ATTENDEES = 500
READ_ONLY = frozenset({
    "id", "changeKey", "createdDateTime", "lastModifiedDateTime", "bodyPreview", "hasAttachments", "iCalUId", "uid",
    "isOrganizer", "isCancelled", "isDraft", "onlineMeeting", "onlineMeetingUrl", "responseStatus", "seriesMasterId",
    "type", "webLink", "originalStart", "occurrenceId", "cancelledOccurrences", "originalStartTimeZone",
    "originalEndTimeZone", "organizer", "transactionId",
})  # fmt: skip
"""1.3: read-only on update, by default ignored."""
PRIVATE = frozenset({
    "categories", "reminder_on", "reminder_minutes", "show_as", "properties", "multi_properties", "response_requested",
    "sensitivity", "hide_attendees", "new_times",
})  # fmt: skip
"""1.5: fields that concern the organiser alone; a change of nothing else mails nobody."""

_NO_TIME = "0001-01-01T00:00:00Z"
_DAY = 86_400
_GUID_PROPERTY = re.compile(
    r"^(\w+(?: ?Array)?) (\{[0-9a-fA-F-]{36}\}) (Name|Id) (.+)$|^(\w+(?: ?Array)?) (0x[0-9a-fA-F]{1,4})$", re.IGNORECASE
)
_WRAP_HEAD = '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>'
_ENUMS = {
    "importance": {"low", "normal", "high"},
    "sensitivity": {"normal", "personal", "private", "confidential"},
    "showAs": {"free", "tentative", "busy", "oof", "workingElsewhere", "unknown"},
}
_ATTENDEE_TYPES = {"required", "optional", "resource"}


def apply(item: Item, payload: dict[str, Any]) -> None:
    """Write all known properties of *payload* into *item*, except the online flags, which the blob rule decides (1.4).

    Raises:
        GraphError: 400 for a value that cannot be; *item* must then be thrown away.
    """
    for name in sorted(payload, key=_RANK.__getitem__):
        writer = _WRITERS.get(name)
        if writer:
            try:
                writer(item, payload[name])
            except (AttributeError, TypeError) as exc:
                raise bad_request(f"The value of '{name}' has the wrong shape.", "RequestBodyRead") from exc
    if "location" in payload and "locations" not in payload:
        # 1.2: location alone removes and replaces all locations.
        item.locations = [_location(payload["location"])] if payload["location"] else []
    if "start" in payload or "end" in payload or "isAllDay" in payload:
        _check_times(item)


def canonical_property(identity: object) -> str:
    """Write a property id in the one form we store: GUID in lower case, name as given (2.5).

    Raises:
        GraphError: 400 ErrorInvalidProperty when there is no id or it is malformed.
    """
    match = _GUID_PROPERTY.match(identity) if isinstance(identity, str) else None
    if not match:
        raise bad_request(f"The property id '{identity}' is invalid.", "ErrorInvalidProperty")
    if match[6]:
        return f"{match[5].capitalize()} 0x{int(match[6], 16):x}"
    return f"{match[1][0].upper()}{match[1][1:]} {match[2].lower()} {match[3].capitalize()} {match[4]}"


def wrapped(html: str) -> str:
    """Give HTML as stored: whole documents character for character, fragments inside a document."""
    return html if "<html" in html[:4096].lower() else f"{_WRAP_HEAD}{html}</body></html>"


def attendee_addresses(item: Item) -> list[str]:
    """Give the addresses of all attendees but the organiser."""
    organizer = plain_text(item.organizer_address)
    found = (plain_text(attendee["emailAddress"]["address"]) for attendee in item.attendees)
    return [address for address in dict.fromkeys(found) if address and address != organizer]


def _check_times(item: Item) -> None:
    if item.end < item.start:
        raise bad_request("The end must not be before the start.", "ErrorPropertyValidationFailure")
    if item.all_day and (item.start % _DAY or item.end % _DAY or item.start_zone != item.end_zone):
        raise bad_request(
            "An all-day event starts and ends at midnight in one time zone.", "ErrorPropertyValidationFailure"
        )
    if item.all_day and item.end < item.start + _DAY:
        raise bad_request(
            "The duration of an event marked as All day must be at least 24 hours.", "ErrorPropertyValidationFailure"
        )


def _text(field: str) -> Callable[[Item, Any], None]:
    def write(item: Item, value: Any) -> None:
        setattr(item, field, "" if value is None else str(value))

    return write


def _flag(field: str) -> Callable[[Item, Any], None]:
    def write(item: Item, value: Any) -> None:
        setattr(item, field, bool(truth(value)))

    return write


def _enum(field: str, name: str) -> Callable[[Item, Any], None]:
    def write(item: Item, value: Any) -> None:
        if value not in _ENUMS[name]:
            raise bad_request(f"Requested value '{value}' was not found for '{name}'.", "RequestBodyRead")
        setattr(item, field, value)

    return write


def _body(item: Item, value: Any) -> None:
    value = value or {}
    kind = str(value.get("contentType") or "text").lower()
    if kind not in {"text", "html"} or not isinstance(value.get("content") or "", str):
        raise bad_request("The body is not valid.", "RequestBodyRead")
    text = value.get("content") or ""
    item.body_type = kind
    item.body = wrapped(text) if kind == "html" else text
    item.own_body = True


def _time(field: str) -> Callable[[Item, Any], None]:
    def write(item: Item, value: Any) -> None:
        if not isinstance(value, dict) or not value.get("dateTime"):
            raise bad_request(f"The property '{field}' is required.", "ErrorPropertyValidationFailure")
        name = value.get("timeZone") or "UTC"
        local = str(value["dateTime"])
        midnight_utc = item.all_day and local[10:19] in {"", "T00:00:00", "T00:00"}
        setattr(item, field, parse_local(local, "UTC" if midnight_utc else name))
        setattr(item, f"{field}_zone", name)

    return write


def _all_day(item: Item, value: Any) -> None:
    _flag("all_day")(item, value)


def _recurrence(item: Item, value: Any) -> None:
    if value is None:
        item.recurrence = None
        return
    full = recurrence.validated(value)
    full["range"]["recurrenceTimeZone"] = full["range"]["recurrenceTimeZone"] or item.start_zone
    item.recurrence = full


def _attendees(item: Item, value: Any) -> None:
    if len(value or ()) > MAX_ATTENDEES:
        raise bad_request(
            f"An event cannot have more than {MAX_ATTENDEES} attendees.", "ErrorExceededMaxRecipientLimit"
        )
    known = {plain_text(old["emailAddress"]["address"]): old for old in item.attendees}
    item.attendees = [_attendee(entry, known) for entry in value or ()]


def _attendee(entry: Any, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    mail = (entry.get("emailAddress") if isinstance(entry, dict) else None) or {}
    address = mail.get("address")
    kind = (entry.get("type") if isinstance(entry, dict) else None) or "required"
    if not address or kind not in _ATTENDEE_TYPES:
        raise bad_request("At least one recipient isn't valid.", "ErrorInvalidRecipients")
    old = known.get(plain_text(address))
    status = old["status"] if old else {"response": "none", "time": _NO_TIME}
    return {"type": kind, "status": status, "emailAddress": {"name": mail.get("name") or address, "address": address}}


def _locations(item: Item, value: Any) -> None:
    item.locations = [_location(entry) for entry in value or ()]


def _location(value: Any) -> dict[str, Any]:
    name = value.get("displayName") or ""
    shown = {
        "displayName": name,
        "locationType": value.get("locationType") or "default",
        "uniqueId": value.get("uniqueId") or name,
        "uniqueIdType": value.get("uniqueIdType") or "private",
    }
    return shown | {
        key: value[key] for key in ("locationUri", "locationEmailAddress", "address", "coordinates") if value.get(key)
    }


def _strings(field: str) -> Callable[[Item, Any], None]:
    def write(item: Item, value: Any) -> None:
        setattr(item, field, [str(entry) for entry in value or ()])

    return write


def _minutes(item: Item, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_request("Cannot convert the reminder to Edm.Int32.", "RequestBodyRead")
    item.reminder_minutes = value


def _properties(item: Item, value: Any) -> None:
    written = {canonical_property((row or {}).get("id")): row.get("value") for row in value or ()}
    merged = {**item.properties, **written}
    # Nobody documents how to delete one; an empty or null value leaves an empty string or nothing (2.5).
    item.properties = {key: str(text) for key, text in merged.items() if text is not None}


def _multi_properties(item: Item, value: Any) -> None:
    written = {canonical_property((row or {}).get("id")): row.get("value") or [] for row in value or ()}
    item.multi_properties = {**item.multi_properties, **written}


_WRITERS: dict[str, Callable[[Item, Any], None]] = {
    "isAllDay": _all_day,
    "subject": _text("subject"),
    "body": _body,
    "start": _time("start"),
    "end": _time("end"),
    "recurrence": _recurrence,
    "attendees": _attendees,
    "locations": _locations,
    "categories": _strings("categories"),
    "importance": _enum("importance", "importance"),
    "sensitivity": _enum("sensitivity", "sensitivity"),
    "showAs": _enum("show_as", "showAs"),
    "isReminderOn": _flag("reminder_on"),
    "reminderMinutesBeforeStart": _minutes,
    "responseRequested": _flag("response_requested"),
    "hideAttendees": _flag("hide_attendees"),
    "allowNewTimeProposals": _flag("new_times"),
    "singleValueExtendedProperties": _properties,
    "multiValueExtendedProperties": _multi_properties,
}


class _Rank(dict[str, int]):
    """Order of writing: what others depend on comes first, isAllDay before the times, these before recurrence."""

    def __missing__(self, name: str) -> int:
        return len(_WRITERS)


_RANK = _Rank((name, rank) for rank, name in enumerate(_WRITERS))


def changed_fields(old: Item, new: Item) -> set[str]:
    """Name the fields whose values differ, bookkeeping left out."""
    return {name for name in _COMPARED if getattr(old, name) != getattr(new, name)}


_BOOKKEEPING = {"version", "modified", "own_body", "was_online", "online_since"}
_COMPARED = tuple(name for name in Item.__struct_fields__ if name not in _BOOKKEEPING)
