"""Finding events (fact sheet 2): lists, views in time, instances, and what ``$filter`` may say about them."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from mms_simulator import calendar, online, series
from mms_simulator.content import canonical_property
from mms_simulator.errors import GraphError, bad_request, unsupported_filter
from mms_simulator.model import Copy, Item, User
from mms_simulator.odata import filters
from mms_simulator.store import Store
from mms_simulator.switches import Switches
from mms_simulator.views import PROPERTIES, Manner, Shown
from mms_simulator.zones import parse_instant

Test = Callable[[Shown], bool]
_DAY = 86_400
_TIMES: dict[str, Callable[[Shown], float]] = {
    "start/dateTime": lambda row: row.start,
    "end/dateTime": lambda row: row.end,
    "lastModifiedDateTime": lambda row: calendar.modified(row.store, row.item),
}
_STAMP = re.compile(r"T.*(?:Z|[+-]\d\d:?\d\d)$")
_FLAGS: dict[str, Callable[[Shown], bool]] = {
    "isOrganizer": lambda row: row.copy is None and calendar.is_organizer(row.user, row.item),
    "isCancelled": lambda row: row.cancelled,
}
_SPELLED = {name.lower(): name for name in (*_TIMES, *_FLAGS, "type", "subject", "isOnlineMeeting")}
"""Names of properties count whatever their case."""
_KINDS = {"singleInstance", "occurrence", "exception", "seriesMaster"}
_SORTABLE: dict[str, Callable[[Shown], Any]] = {
    **_TIMES,
    "start": lambda row: row.start,
    "end": lambda row: row.end,
    "createdDateTime": lambda row: row.item.created,
    "subject": lambda row: row.item.subject.lower(),
}


def all_rows(store: Store, user: User, calendar_id: str | None) -> Iterator[Shown]:
    """Yield singles and masters of a calendar, or of all with ``None``: what ``/events`` lists (2.1)."""
    box = store.mailbox(user.id)
    for item in box.items.values():
        if not item.gone and calendar_id in {None, item.calendar}:
            yield Shown(store, user, item, item.start, item.end)
    for copy in box.copies.values():
        if calendar_id in {None, copy.calendar}:
            item = store.source_of(copy)
            yield Shown(store, user, item, item.start, item.end, 0, copy)


def window(store: Store, user: User, calendar_id: str | None, start: int, end: int) -> list[Shown]:
    """Give singles, occurrences and exceptions that overlap a window, in order of time: a calendarView (2.1)."""
    limit = store.switches.calendarViewMaxDays
    if limit and end - start > limit * _DAY:
        raise bad_request("The requested calendar view range is too big.", "ErrorCalendarViewRangeTooBig")
    if end < start:
        raise bad_request("The end must not be before the start.", "ErrorInvalidParameter")
    rows: list[Shown] = []
    for row in all_rows(store, user, calendar_id):
        if row.item.recurrence:
            rows += instances(row, start, end)
        elif series.overlaps(row.start, row.end, start, end):
            rows.append(row)
    return sorted(rows, key=lambda row: row.start)


def instances(master: Shown, start: int, end: int) -> list[Shown]:
    """Give the occurrences and exceptions of one series in a window."""
    store, item = master.store, master.item
    exceptions = store.mailbox(item.mailbox).exceptions.get(item.id, {})
    length = item.end - item.start
    rows = []
    for day in series.days_between(item, start, end):
        if day not in exceptions:
            begins = series.start_of(item, day)
            rows.append(Shown(store, master.user, item, begins, begins + length, day, master.copy))
    for day, each in exceptions.items():
        if series.overlaps(each.start, each.end, start, end):
            rows.append(Shown(store, master.user, each, each.start, each.end, day, master.copy))
    return sorted(rows, key=lambda row: row.start)


def condition(text: str, switches: Switches) -> Test:
    """Compile a ``$filter``; refuses what section 2.2 says Graph refuses."""
    return _compiled(text, switches.filterMode, switches.filterOnlineMeeting, switches.organizerFilterStatus)


def sort_key(name: str) -> Callable[[Shown], Any]:
    """Give the value by which ``$orderby`` sorts; 400 for what cannot be sorted by."""
    key = _SORTABLE.get(name)
    if key is None:
        raise bad_request(f"The property '{name}' does not support sorting.", "ErrorInvalidParameter")
    return key


@lru_cache(maxsize=1024)
def _compiled(text: str, mode: str, online_meeting: str, organizer_status: int) -> Test:
    return _Compiler(mode, online_meeting, organizer_status).test(filters.parse(text))


class _Compiler:
    """Turns a tree into one function, after checking every leaf against the table of section 2.2."""

    def __init__(self, mode: str, online_meeting: str, organizer_status: int) -> None:
        self.lenient = mode == "lenient"
        self.online_meeting = online_meeting == "allow"
        self.organizer_status = organizer_status

    def test(self, node: filters.Node) -> Test:
        match node:
            case filters.Both():
                left, right = self.test(node.left), self.test(node.right)
                return lambda row: left(row) and right(row)
            case filters.Either():
                first, second = self.test(node.left), self.test(node.right)
                return lambda row: first(row) or second(row)
            case filters.Compare():
                return self.compare(node)
            case filters.Call(function="contains" | "startswith" as function, path="subject", value=value):
                return lambda row: filters.call(function, row.item.subject, value)
            case filters.AnyOf():
                return self.any_of(node)
            case filters.Call():
                raise self.refusal(node.path)
            case filters.In():
                raise self.refusal(node.path)
            case filters.Not():
                if self.lenient:
                    inner = self.test(node.condition)
                    return lambda row: not inner(row)
                raise unsupported_filter("The operator 'not' is not supported for filtering.")

    def compare(self, node: filters.Compare) -> Test:
        path, operator, value = _SPELLED.get(node.path.lower(), node.path), node.operator, node.value
        if node.cast:
            raise self.refusal(path)
        if path in _TIMES:
            return self.moment(path, operator, value)
        if path in _FLAGS and isinstance(value, bool) and operator in {"eq", "ne"}:
            flag, wanted = _FLAGS[path], value is (operator == "eq")
            return lambda row: flag(row) is wanted
        if path == "type" and operator in {"eq", "ne"}:
            if value not in _KINDS:
                raise unsupported_filter(f"'{value}' is no member of the enumeration eventType.")
            return lambda row: (row.kind == value) is (operator == "eq")
        if path == "subject" and isinstance(value, str):
            lowered = value.lower()
            return lambda row: filters.ordered(row.item.subject.lower(), operator, lowered)
        if path == "isOnlineMeeting" and self.online_meeting and isinstance(value, bool):
            return lambda row: (online.is_online(row.item, row.store.switches) is value) is (operator == "eq")
        if self.lenient and path in PROPERTIES:
            read = PROPERTIES[path]
            return lambda row: filters.matches(node, lambda _: read(row, Manner()))
        raise self.refusal(path)

    def moment(self, path: str, operator: str, value: Any) -> Test:
        # dateTime of start and end is text in Graph's schema; only the stamps are instants (2.2).
        stamp = path == "lastModifiedDateTime"
        text = value.text if isinstance(value, filters.Moment) else value
        if not isinstance(text, str) or isinstance(value, filters.Moment) is not stamp:
            types = ("DateTimeOffset", "String") if stamp else ("String", "DateTimeOffset")
            raise bad_request(
                "Invalid filter clause: A binary operator with incompatible types was detected. "
                f"Found operand types 'Edm.{types[0]}' and 'Edm.{types[1]}'.",
                "BadRequest",
            )
        if stamp and not _STAMP.search(text):
            raise bad_request(
                f"Invalid filter clause: The DateTimeOffset text '{text}' should be in format "
                "'yyyy-mm-ddThh:mm:ss('.'s+)?(zzzzzz)?' and each field value is within valid range.",
                "BadRequest",
            )
        read, instant = _TIMES[path], parse_instant(text)
        return lambda row: filters.ordered(read(row), operator, instant)

    def any_of(self, node: filters.AnyOf) -> Test:
        if node.path != "singleValueExtendedProperties" or node.condition is None:
            raise self.refusal(node.path)
        for leaf in filters.leaves(node.condition):
            known = isinstance(leaf, filters.Compare | filters.Call) and leaf.path in {
                f"{node.variable}/id",
                f"{node.variable}/value",
            }
            if not known:
                raise self.refusal(node.path)
        identity, value = f"{node.variable}/id", f"{node.variable}/value"
        if not any(
            isinstance(leaf, filters.Compare) and leaf.path == identity and leaf.operator == "eq"
            for leaf in filters.leaves(node.condition)
        ):
            raise self.refusal(node.path)
        condition = _canonical(node.condition, identity)

        def has(row: Shown) -> bool:
            def matched(name: str, text: str) -> bool:
                values: dict[str, Any] = {identity: name, value: text}
                return _property_matches(condition, values.get)

            return any(matched(name, text) for name, text in row.item.properties.items())

        return has

    def refusal(self, path: str) -> GraphError:
        root = path.split("/", maxsplit=1)[0]
        match root:
            case "organizer":
                return unsupported_filter("The entity expression is not supported.", self.organizer_status)
            case "isOnlineMeeting":
                return unsupported_filter("This filter query is not supported.")
            case "attendees":
                return unsupported_filter("The any operator on 'attendees' is not supported.")
        return unsupported_filter(f"The property '{path}' does not support filtering.")


def _canonical(node: filters.Node, identity: str) -> filters.Node:
    match node:
        case filters.Both():
            return filters.Both(_canonical(node.left, identity), _canonical(node.right, identity))
        case filters.Either():
            return filters.Either(_canonical(node.left, identity), _canonical(node.right, identity))
        case filters.Compare(path=path) if path == identity:
            return filters.Compare(path, node.operator, canonical_property(node.value))
    return node


def _property_matches(node: filters.Node, read: Callable[[str], Any]) -> bool:
    """Decide a condition on one named property; names count case, and cast() compares numbers (2.5)."""
    match node:
        case filters.Both():
            result = _property_matches(node.left, read) and _property_matches(node.right, read)
        case filters.Either():
            result = _property_matches(node.left, read) or _property_matches(node.right, read)
        case filters.Compare(cast=str()):
            try:
                result = filters.ordered(float(read(node.path)), node.operator, float(node.value))
            except (TypeError, ValueError):
                result = False
        case filters.Compare(value=None):
            result = node.operator == "ne"
        case filters.Compare():
            result = filters.ordered(read(node.path), node.operator, str(node.value))
        case filters.Call():
            result = filters.call(node.function, read(node.path), node.value)
        case _:
            result = False
    return result


def master_of(store: Store, target: calendar.Target) -> Shown:
    """Give the series behind a target, or the switch's refusal for anything else (2.1)."""
    item: Item = target.item
    copy: Copy | None = target.copy
    if target.day or not item.recurrence:
        raise GraphError(
            store.switches.instancesOfSingle, "ErrorInvalidRequest", "The event is not a recurring master item."
        )
    return Shown(store, target.user, item, item.start, item.end, 0, copy)
