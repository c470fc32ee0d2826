"""onlineMeetings over HTTP (fact sheet 5)."""

from http import HTTPStatus
from typing import Any

from mms_simulator import meetings, payloads, plans
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import GraphError, bad_request
from mms_simulator.limits import retry_after
from mms_simulator.model import OnlineMeeting, User
from mms_simulator.notify import APPLICATION
from mms_simulator.odata import filters
from mms_simulator.zones import exchange_instant

_HOUR = 3600
_MONTH = 30 * 86_400


def organizer(call: Call) -> User:
    """Find the user by object id only, and only with the application access policy (5.1, 5.3)."""
    store, identity = call.store, call.arguments["user"]
    user = store.users.get(identity.lower())
    if user is None:
        if store.find_user(identity):
            raise GraphError(404, "UnknownError", "The user must be given by its object id.")
        raise GraphError(404, "UnknownError", "User not found.")
    denied = store.switches.applicationAccessPolicy == "denied" or user.id in store.switches.policyDeniedUsers
    if denied:
        app = call.token.get("appid") or APPLICATION
        raise GraphError(
            403,
            "Forbidden",
            f"No application access policy found for this app {app} on the user {user.id}.",
        )
    if not plans.has_teams(user.plans):
        status = store.switches.teamsLicenceMissing
        code = "Forbidden" if status == 403 else "UnknownError"  # noqa: PLR2004
        raise GraphError(status, code, "The user has no licence for Teams.")
    return user


def find(call: Call) -> OnlineMeeting:
    """Find the meeting in the path among the organiser's."""
    user = organizer(call)
    meeting = call.store.meetings.get(call.arguments["meeting"])
    if meeting is None or meeting.organizer != user.id:
        raise GraphError(404, "NotFound", "Meeting not found.")
    return meeting


def show(call: Call, meeting: OnlineMeeting, status: int = 200) -> Reply:
    """Answer with one meeting."""
    row = meetings.view(call.store, meeting, call.headers.get("Accept-Language"))
    wanted = call.options.select
    if wanted is not None:
        row = {name: value for name, value in row.items() if name in wanted or name == "id"}
    return Reply(
        status, {"@odata.context": f"{call.store.base}/v1.0/$metadata#users('id')/onlineMeetings/$entity", **row}
    )


def post_meeting(call: Call) -> Reply:
    """``POST …/onlineMeetings``."""
    user, payload = organizer(call), call.entity(payloads.Meeting)
    return show(call, _create(call, user, payload, None), 201)


def create_or_get(call: Call) -> Reply:
    """``POST …/onlineMeetings/createOrGet``: 201 the first time, then 200 with the same meeting (5.1)."""
    user, payload = organizer(call), call.read(payloads.Meeting)
    external = payload.get("externalId")
    if not external:
        raise bad_request("externalId is required.", "BadRequest")
    known = call.store.meeting_external.get((user.id, external))
    if known:
        return show(call, call.store.meetings[known])
    return show(call, _create(call, user, payload, external), 201)


def list_meetings(call: Call) -> Reply:
    """``GET …/onlineMeetings?$filter=``: by JoinWebUrl or by joinMeetingId; nothing else can be listed."""
    user = organizer(call)
    node = _named(call)
    match node.path.lower():
        case "joinweburl":
            found = meetings.find_by_url(call.store, user, node.value)
        case "joinmeetingidsettings/joinmeetingid":
            code = node.value.replace(" ", "")
            found = call.store.meetings.get(call.store.meeting_codes.get(code, ""))
            if found and found.code != code:  # the digits of the short link are another number
                found = None
        case _:
            raise bad_request(f"The filter on '{node.path}' is not supported.", "BadRequest")
    return _listed(call, [found] if found and found.organizer == user.id else [])


def list_conferences(call: Call) -> Reply:
    """``GET /communications/onlineMeetings?$filter=VideoTeleconferenceId eq``: of anybody in the tenant (5.1)."""
    node, store = _named(call), call.store
    if node.path.lower() != "videoteleconferenceid":
        raise bad_request(f"The filter on '{node.path}' is not supported.", "BadRequest")
    found = []
    for meeting in store.meetings.values():
        user = store.users.get(meeting.organizer)
        video = meetings.video(user, meeting) if user else None
        if video and video.video_id == node.value:
            found.append(meeting)
    return _listed(call, found)


def get_meeting(call: Call) -> Reply:
    """``GET …/onlineMeetings/{id}``, joinInformation in the language of Accept-Language."""
    return show(call, find(call))


def patch_meeting(call: Call) -> Reply:
    """``PATCH …/onlineMeetings/{id}``: both times or neither; organizer and joinMeetingIdSettings are fixed (5.1)."""
    meeting, payload = find(call), call.entity(payloads.Meeting)
    if ("startDateTime" in payload) != ("endDateTime" in payload):
        raise bad_request("startDateTime and endDateTime must be given together.", "BadRequest")
    if "joinMeetingIdSettings" in payload:
        raise bad_request("joinMeetingIdSettings cannot be changed.", "BadRequest")
    changes: dict[str, Any] = {"settings": {**meeting.settings, **_settings(payload)}}
    if "subject" in payload:
        changes["subject"] = payload["subject"]
    if payload.get("startDateTime") and payload.get("endDateTime"):
        changes |= {"start": float(exchange_instant(payload["startDateTime"])),
                    "end": float(exchange_instant(payload["endDateTime"]))}  # fmt: skip
        _check_order(changes["start"], changes["end"])
    if (payload.get("participants") or {}).get("attendees") is not None:
        changes["participants"] = _participants(payload)
    return show(call, meetings.update(call.store, meeting, **changes))


def delete_meeting(call: Call) -> Reply:
    """``DELETE …/onlineMeetings/{id}``."""
    call.store.drop(find(call))
    return Reply(204)


def register(routes: Routes) -> None:
    """Add the routes of online meetings."""
    base = "users/{user}/onlineMeetings"
    routes.add("GET", base, list_meetings)
    routes.add("POST", base, post_meeting)
    routes.add("POST", f"{base}/createOrGet", create_or_get)
    routes.add("POST", f"{base}/microsoft.graph.createOrGet", create_or_get)
    routes.add("GET", f"{base}/{{meeting}}", get_meeting)
    routes.add("PATCH", f"{base}/{{meeting}}", patch_meeting)
    routes.add("DELETE", f"{base}/{{meeting}}", delete_meeting)
    routes.add("GET", "communications/onlineMeetings", list_conferences)


def _create(call: Call, user: User, payload: dict[str, Any], external: str | None) -> OnlineMeeting:
    start = exchange_instant(payload["startDateTime"]) if payload.get("startDateTime") else call.store.clock.now()
    end = exchange_instant(payload["endDateTime"]) if payload.get("endDateTime") else start + _HOUR
    _check_order(start, end)
    _check_month(call, user)
    made = meetings.create(
        call.store, user, subject=payload.get("subject"), start=float(start), end=float(end), external_id=external
    )
    open_to_all = (payload.get("joinMeetingIdSettings") or {}).get("isPasscodeRequired") is False
    return meetings.update(
        call.store,
        made,
        settings=_settings(payload),
        participants=_participants(payload),
        passcode="" if open_to_all else made.passcode,
    )


def _check_order(start: float, end: float) -> None:
    if end < start:
        raise bad_request("The end time is before the start time.", "BadRequest")


def _check_month(call: Call, user: User) -> None:
    """Refuse a meeting over the monthly limit of its organiser (8.1); only with throttling on."""
    switches, now = call.store.switches, call.store.clock.now()
    if not switches.throttle:
        return
    made = sum(each.organizer == user.id and each.created > now - _MONTH for each in call.store.meetings.values())
    if made >= switches.meetingsPerMonth:
        text = "Application is over its MeetingInformation limit."
        raise GraphError(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", text, retry_after(call.store))


def _participants(payload: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"upn": row.get("upn"), "role": row.get("role") or "attendee", "identity": row.get("identity")}
        for row in (payload.get("participants") or {}).get("attendees") or ()
    ]


def _named(call: Call) -> filters.Compare:
    """Read the one condition by which meetings can be looked up."""
    node = filters.parse(call.options.filter) if call.options.filter else None
    if not isinstance(node, filters.Compare) or node.operator != "eq" or not isinstance(node.value, str):
        raise bad_request("A filter on JoinWebUrl, joinMeetingId or videoTeleconferenceId is required.", "BadRequest")
    return node


def _listed(call: Call, rows: list[OnlineMeeting]) -> Reply:
    language = call.headers.get("Accept-Language")
    return Reply(200, {"value": [meetings.view(call.store, each, language) for each in rows]})


def _settings(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name in meetings.WRITABLE and value is not None}
