"""Calendars and events over HTTP (fact sheet 1, 2)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from mms_simulator import calendar, listing, outbox, payloads, views
from mms_simulator.calendar import Target
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import GraphError, access_denied, bad_request, item_not_found
from mms_simulator.ids import new_item_id
from mms_simulator.model import Calendar, User, plain_text
from mms_simulator.odata.query import DEFAULT_PAGE, Options, next_link, page_of, sort_rows
from mms_simulator.views import Shown
from mms_simulator.zones import parse_instant

_STAMPS = frozenset({"createdDateTime", "lastModifiedDateTime"})
_ANSWERS = {"accept": "accepted", "decline": "declined", "tentativelyaccept": "tentativelyAccepted"}


def owner(call: Call) -> User:
    """Find the mailbox in the path, as far as the application may see it (2.6)."""
    store = call.store
    user = store.mailbox_user(call.arguments["user"])
    denied = store.switches.deniedMailboxes
    if denied and {user.id, plain_text(user.upn)} & {plain_text(name) for name in denied}:
        raise access_denied()
    if store.switches.newMailboxSeconds and store.clock.now() < user.created + store.switches.newMailboxSeconds:
        raise GraphError(404, "ErrorNonExistentMailbox", "The specified mailbox does not exist yet.")
    return user


def home(call: Call, user: User) -> Calendar:
    """Find the calendar in the path; without one the default calendar."""
    wanted = call.arguments.get("calendar")
    return calendar.calendar_of(user, wanted) if wanted else calendar.default_calendar(user)


def target(call: Call) -> Target:
    """Find the event in the path; a calendar in front of it must be the event's own."""
    user = owner(call)
    found = calendar.resolve(call.store, user, call.arguments["event"])
    if not call.route.startswith("users/{user}/events") and found.home != home(call, user).id:
        raise item_not_found()
    return found


def one(call: Call, found: Target, status: int = 200) -> Reply:
    """Answer with one event."""
    wanted = call.options
    views.check_names(wanted)
    payload = views.render(views.shown(call.store, found), wanted, call.manner)
    payload = {"@odata.context": f"{call.store.base}/v1.0/$metadata#users('id')/events/$entity", **payload}
    headers = {"Location": f"{call.url}/{payload['id']}"} if status == 201 else {}  # noqa: PLR2004
    return Reply(status, payload, {**headers, **_applied(call)})


def many(call: Call, rows: Sequence[Shown], wanted: Options | None = None) -> Reply:
    """Answer with one page of rows (2.1): ten unless asked, nextLink with ``$skip``, the empty-page mode."""
    wanted, switches = wanted or call.options, call.store.switches
    views.check_names(wanted)
    wanted = views.in_list(wanted)
    total = len(rows)
    if wanted.orderby:
        rows = sort_rows(list(rows), wanted.orderby, lambda row, name: listing.sort_key(name)(row))
    size = wanted.top or preferred_size(call) or DEFAULT_PAGE
    page, following = page_of(rows, wanted, size, trailing=switches.trailingNextLink)
    payload: dict[str, Any] = {"@odata.context": f"{call.store.base}/v1.0/$metadata#users('id')/events"}
    if wanted.count:
        payload["@odata.count"] = total
    if switches.emptyPages and page and "$skiptoken" not in call.query:
        payload["value"] = []
        payload["@odata.nextLink"] = next_link(call.url, call.query, skip=wanted.skip, skiptoken="e")
        return Reply(200, payload, _applied(call))
    manner = call.manner
    payload["value"] = [views.render(row, wanted, manner) for row in page]
    if following is not None:
        query = {name: value for name, value in call.query.items() if name != "$skiptoken"}
        payload["@odata.nextLink"] = next_link(call.url, query, top=size, skip=following)
    return Reply(200, payload, _applied(call))


def list_events(call: Call) -> Reply:
    """``GET …/events``: singles and masters only."""
    return many(call, _selected(call))


def count_events(call: Call) -> Reply:
    """``GET …/events/$count``."""
    return Reply(200, raw=str(len(_selected(call))).encode(), content_type="text/plain")


def calendar_view(call: Call) -> Reply:
    """``GET …/calendarView``: what happens between two instants."""
    user = owner(call)
    start, end = span(call)
    place = home(call, user).id
    rows = _filtered(call, listing.window(call.store, user, place, start, end))
    return many(call, rows, _without_stamps(call))


def list_instances(call: Call) -> Reply:
    """``GET …/events/{id}/instances``: occurrences and exceptions of one series."""
    master = listing.master_of(call.store, target(call))
    return many(call, _filtered(call, listing.instances(master, *span(call))))


def get_event(call: Call) -> Reply:
    """``GET …/events/{id}``."""
    return one(call, target(call))


def post_event(call: Call) -> Reply:
    """``POST …/events``."""
    user = owner(call)
    return one(call, calendar.create(call.store, user, home(call, user), call.entity(payloads.Event)), 201)


def patch_event(call: Call) -> Reply:
    """``PATCH …/events/{id}``; an occurrence's id makes an exception."""
    given = call.entity(payloads.Event)
    return one(call, calendar.change(call.store, target(call), given, call.headers.get("If-Match")))


def delete_event(call: Call) -> Reply:
    """``DELETE …/events/{id}``; attendees get a cancellation."""
    calendar.remove(call.store, target(call), call.headers.get("If-Match"))
    return Reply(204)


def cancel_event(call: Call) -> Reply:
    """``POST …/events/{id}/cancel``: for organisers only."""
    found = target(call)
    if found.copy or not calendar.is_organizer(found.user, found.item):
        raise bad_request("You need to be an organizer to cancel a meeting.")
    calendar.remove(call.store, found)
    return Reply(202)


def respond(call: Call) -> Reply:
    """``POST …/events/{id}/accept``, ``decline`` and ``tentativelyAccept``."""
    action = call.path.rstrip("/").rpartition("/")[2].lower().removeprefix("microsoft.graph.")
    payload = call.json()
    send = payload.get("sendResponse", payload.get("SendResponse", True)) is not False
    calendar.respond(call.store, target(call), _ANSWERS[action], send=send)
    return Reply(202)


def list_attachments(call: Call) -> Reply:
    """``GET …/events/{id}/attachments``."""
    return Reply(200, {"value": target(call).item.attachments})


def post_attachment(call: Call) -> Reply:
    """``POST …/events/{id}/attachments``."""
    found, given = target(call), call.read(payloads.Attachment)
    if not given.get("name"):
        raise bad_request("The name of the attachment is required.", "ErrorPropertyValidationFailure")
    return Reply(201, calendar.attach(call.store, found, given))


def get_calendar(call: Call) -> Reply:
    """``GET …/calendar`` and ``…/calendars/{id}``."""
    user = owner(call)
    return Reply(200, views.calendar_view(user, home(call, user)))


def list_calendars(call: Call) -> Reply:
    """``GET …/calendars``: shared and subscribed ones appear as well (2.3)."""
    user = owner(call)
    wanted = call.options
    rows = [views.calendar_view(user, each) for each in user.calendars]
    page, following = page_of(rows, wanted, wanted.top or DEFAULT_PAGE)
    if wanted.select is not None:
        page = [{name: row[name] for name in row if name in wanted.select or name == "id"} for row in page]
    payload: dict[str, Any] = {"value": page}
    if following is not None:
        payload["@odata.nextLink"] = next_link(call.url, call.query, skip=following)
    return Reply(200, payload)


def post_calendar(call: Call) -> Reply:
    """``POST …/calendars``."""
    user = owner(call)
    name = call.read(payloads.CalendarGiven).get("name")
    if not name:
        raise bad_request("The name of the calendar is required.", "ErrorPropertyValidationFailure")
    made = Calendar(id=new_item_id(user.id), name=name, owner_name=user.name, owner_address=user.mail)
    call.store.save(msgspec.structs.replace(user, calendars=[*user.calendars, made]))
    return Reply(201, views.calendar_view(user, made))


def send_mail(call: Call) -> Reply:
    """``POST …/sendMail``: a row of the outbox with reason message."""
    user = owner(call)
    given = call.read(payloads.Mail)
    message = given.get("message") or given.get("Message") or {}
    rows = [
        *(message.get("toRecipients") or []),
        *(message.get("ccRecipients") or []),
        *(message.get("bccRecipients") or []),
    ]
    to = [plain_text((row.get("emailAddress") or {}).get("address")) for row in rows]
    if not all(to) or not to:
        raise bad_request("At least one recipient isn't valid.", "ErrorInvalidRecipients")
    outbox.check_sending_limits(call.store, user, len(to))
    outbox.record(call.store, user.mail, "message", to)
    return Reply(202)


def register(routes: Routes) -> None:
    """Add the routes of calendars and events."""
    for prefix in ("users/{user}", "users/{user}/calendar", "users/{user}/calendars/{calendar}"):
        routes.add("GET", f"{prefix}/events", list_events)
        routes.add("POST", f"{prefix}/events", post_event)
        routes.add("GET", f"{prefix}/events/$count", count_events)
        routes.add("GET", f"{prefix}/calendarView", calendar_view)
        event = f"{prefix}/events/{{event}}"
        routes.add("GET", event, get_event)
        routes.add("PATCH", event, patch_event)
        routes.add("DELETE", event, delete_event)
        routes.add("GET", f"{event}/instances", list_instances)
        routes.add("GET", f"{event}/attachments", list_attachments)
        routes.add("POST", f"{event}/attachments", post_attachment)
        routes.add("POST", f"{event}/cancel", cancel_event)
        for action in _ANSWERS:
            routes.add("POST", f"{event}/{action}", respond)
    routes.add("GET", "users/{user}/calendar", get_calendar)
    routes.add("GET", "users/{user}/calendars", list_calendars)
    routes.add("POST", "users/{user}/calendars", post_calendar)
    routes.add("GET", "users/{user}/calendars/{calendar}", get_calendar)
    routes.add("POST", "users/{user}/sendMail", send_mail)


def _selected(call: Call) -> list[Shown]:
    user = owner(call)
    bare = "calendar" not in call.arguments and not call.path.rstrip("/").lower().endswith("/calendar/events")
    everywhere = bare and call.store.switches.eventsScope == "allCalendars"
    rows = list(listing.all_rows(call.store, user, None if everywhere else home(call, user).id))
    if call.store.switches.orphanInstances == "exception":
        rows = [row for row in rows if row.kind != "exception"]
    return _filtered(call, rows)


def _filtered(call: Call, rows: list[Shown]) -> list[Shown]:
    wanted: Options = call.options
    if not wanted.filter:
        return rows
    test = listing.condition(wanted.filter, call.store.switches)
    return [row for row in rows if test(row)]


def _without_stamps(call: Call) -> Options:
    """Give the options of a calendarView, where the two instants of writing cannot be selected (2.1)."""
    wanted = call.options
    stamps = _STAMPS & (wanted.select or frozenset())
    if stamps and call.store.switches.calendarViewSelect == "refuse":
        raise bad_request(f"The property '{min(stamps)}' cannot be selected here.", "ErrorInvalidProperty")
    if stamps:
        wanted.select = (wanted.select or frozenset()) - stamps
    return wanted


def span(call: Call) -> tuple[int, int]:
    """Give the window of a request; 400 when it has none."""
    lowered = {name.lower(): value for name, value in call.query.items()}
    try:
        return parse_instant(lowered["startdatetime"]), parse_instant(lowered["enddatetime"])
    except KeyError as exc:
        raise bad_request(
            "This request requires a time window: the query parameters StartDateTime and EndDateTime.",
            "ErrorInvalidParameter",
        ) from exc


def preferred_size(call: Call) -> int | None:
    """Give the page size of ``Prefer: odata.maxpagesize`` (1.7)."""
    size = views.preferred_size(call.prefer)
    return min(size, call.store.switches.maxTop) if size else None


def _applied(call: Call) -> dict[str, str]:
    return views.applied(call.prefer)
