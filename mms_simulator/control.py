"""The control surface ``/_tenant``: what an administrator does to the tenant, and what a test wants to see.

It needs no token. Everything a client would do goes through Graph itself.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from mms_simulator import calendar, directory, groups, jsontext, notify, payloads, registrations
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import GraphError, bad_request
from mms_simulator.faults import Faults
from mms_simulator.limits import Limits
from mms_simulator.model import AudioConferencing, User
from mms_simulator.store import Store
from mms_simulator.switches import Switches
from mms_simulator.traffic import Traffic
from mms_simulator.zones import graph_instant, parse_instant

JSON = "application/json"
Action = Callable[[Store, dict[str, Any]], dict[str, Any]]


def register(routes: Routes, faults: Faults, limits: Limits, traffic: Traffic) -> None:
    """Add the routes of the control surface."""

    def post_fault(call: Call) -> Reply:
        return _ok(msgspec.to_builtins(faults.add(call.json())), 201)

    def list_faults(_: Call) -> Reply:
        return _ok({"value": msgspec.to_builtins(faults.active), "held": faults.held})

    def clear_faults(_: Call) -> Reply:
        faults.clear()
        return Reply(204)

    def read_traffic(_: Call) -> Reply:
        return Reply(200, raw=traffic.read(), content_type="application/x-ndjson")

    def clear_traffic(_: Call) -> Reply:
        traffic.clear()
        return Reply(204)

    def read_stats(_: Call) -> Reply:
        return _ok(limits.stats())

    def clear_stats(_: Call) -> Reply:
        limits.reset()
        return Reply(204)

    routes.add("GET", "_tenant", _overview)
    routes.add("GET", "_tenant/users", _users)
    routes.add("POST", "_tenant/users", _post_users)
    routes.add("DELETE", "_tenant/users/{user}", _delete_user)
    routes.add("POST", "_tenant/groups", _post_group)
    routes.add("POST", "_tenant/identities", _post_identity)
    routes.add("POST", "_tenant/actions/{action}", _act)
    routes.add("GET", "_tenant/outbox", _outbox)
    routes.add("DELETE", "_tenant/outbox", _clear_outbox)
    routes.add("POST", "_tenant/faults", post_fault)
    routes.add("GET", "_tenant/faults", list_faults)
    routes.add("DELETE", "_tenant/faults", clear_faults)
    routes.add("GET", "_tenant/traffic", read_traffic)
    routes.add("DELETE", "_tenant/traffic", clear_traffic)
    routes.add("GET", "_tenant/stats", read_stats)
    routes.add("DELETE", "_tenant/stats", clear_stats)
    routes.add("GET", "_tenant/switches", _switches)
    routes.add("PATCH", "_tenant/switches", _patch_switches)
    routes.add("GET", "_tenant/clock", _clock)
    routes.add("POST", "_tenant/clock", _move_clock)


def _ok(payload: Any, status: int = 200) -> Reply:
    return Reply(status, payload, content_type=JSON)


def _overview(call: Call) -> Reply:
    store = call.store
    return _ok({
        "tenantId": store.tenant_id,
        "graph": f"{store.base}/v1.0",
        "users": len(store.users),
        "events": sum(len(box.items) for box in store.mailboxes.values()),
        "meetings": len(store.meetings),
        "subscriptions": len(store.subscriptions),
        "outbox": len(store.outbox),
        "pendingDeliveries": len(store.deliveries),
    })  # fmt: skip


def _users(call: Call) -> Reply:
    return _ok({"value": [directory.graph_user(user) for user in call.store.users.values()]})


def _post_users(call: Call) -> Reply:
    """Make one user, or many from an array or ``{"value": [...]}``."""
    try:
        given = jsontext.decode(call.body)
    except ValueError as exc:
        raise bad_request("Unable to read JSON request payload.", "BadRequest") from exc
    store = call.store
    if isinstance(given, dict) and "value" not in given:
        return _ok(directory.graph_user(directory.create(store, given)), 201)
    rows = given["value"] if isinstance(given, dict) else given
    if not isinstance(rows, list):
        raise bad_request("A user, an array of users, or value is expected.", "BadRequest")
    return _ok({"value": [directory.graph_user(directory.create(store, row)) for row in rows]}, 201)


def _post_group(call: Call) -> Reply:
    """Describe a group: its name, and the groups that it is in itself."""
    return _ok(groups.describe(call.store, payloads.plain(call.read(payloads.Group))), 201)


def _post_identity(call: Call) -> Reply:
    """Make a managed identity; gives its service principal."""
    given = payloads.plain(call.read(payloads.Identity))
    return _ok(registrations.create_identity(call.store, given).content, 201)


def _delete_user(call: Call) -> Reply:
    """Delete a user softly, as Graph's own DELETE does."""
    directory.delete(call.store, call.store.user(call.arguments["user"]))
    return Reply(204)


def _outbox(call: Call) -> Reply:
    return _ok({
        "value": [
            {
                "at": graph_instant(mail.at),
                "organizer": mail.organizer,
                "eventId": mail.eventId,
                "iCalUId": mail.iCalUId,
                "recipients": mail.recipients,
                "reason": mail.reason,
            }
            for mail in call.store.outbox.values()
        ]
    })  # fmt: skip


def _clear_outbox(call: Call) -> Reply:
    for mail in list(call.store.outbox.values()):
        call.store.drop(mail)
    return Reply(204)


def _switches(call: Call) -> Reply:
    return _ok(msgspec.to_builtins(call.store.switches))


def _patch_switches(call: Call) -> Reply:
    """Move switches; unknown ones and impossible positions are refused, and then none has moved."""
    store = call.store
    merged = {**msgspec.to_builtins(store.switches), **call.json()}
    try:
        store.switches = msgspec.convert(merged, Switches)
    except msgspec.ValidationError as exc:
        raise bad_request(f"The switches are not valid: {exc}") from exc
    store.setting("switches", msgspec.to_builtins(store.switches))
    return _switches(call)


def _clock(call: Call) -> Reply:
    clock = call.store.clock
    return _ok({"now": graph_instant(clock.now()), "offsetSeconds": clock.offset})


def _move_clock(call: Call) -> Reply:
    """Move the tenant's clock: ``advanceSeconds`` (or seconds, minutes, hours, days), ``offsetSeconds``, or ``now``."""
    store, given = call.store, call.read(payloads.Clock)
    if given.get("now"):
        store.clock.offset += parse_instant(str(given["now"])) - store.clock.now()
    elif given.get("offsetSeconds") is not None:
        store.clock.offset = float(given["offsetSeconds"])
    else:
        store.clock.offset += sum(float(given.get(unit) or 0) * seconds for unit, seconds in _UNITS.items())
    store.clock.offset = max(-_CENTURY, min(_CENTURY, store.clock.offset))
    store.setting("clock", store.clock.offset)
    return _clock(call)


_CENTURY = 36_525 * 86_400
_CLOUD_HOME = "sipfed.online.lync.com"
"""The target of Move-CsUser that means Microsoft's cloud."""
_UNITS = {"advanceSeconds": 1, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


def _act(call: Call) -> Reply:
    """``POST /_tenant/actions/{name}``."""
    action = ACTIONS.get(call.arguments["action"].lower())
    if action is None:
        raise GraphError(404, "NotFound", f"There is no action '{call.arguments['action']}'.")
    return _ok(action(call.store, payloads.plain(call.read(payloads.Action))))


def _user(store: Store, given: dict[str, Any]) -> User:
    return directory.require_user(store, given.get("user"))


def _shown(user: User) -> dict[str, Any]:
    return directory.graph_user(user)


def _assign(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    return _shown(directory.assign_license(store, _user(store, given), list(given.get("plans") or ()), []))


def _remove(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    return _shown(directory.assign_license(store, _user(store, given), [], list(given.get("plans") or ())))


def _grant(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    tenant = given.get("tenant") is True
    user = None if tenant else _user(store, given)
    policy, mode = given.get("policy") or "TeamsUpgradePolicy", given.get("mode")
    if not mode:
        raise bad_request("mode is required.")
    directory.grant_policy(store, user, policy, mode, given.get("migrateMeetingsToTeams"))
    return {"policy": policy, "mode": mode, "scope": "tenant" if tenant else "user"}


def _move(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Move a user's Teams or Skype home; with MoveToTeams the user becomes TeamsOnly (T1)."""
    user, direction = _user(store, given), given.get("direction")
    if direction not in {"toCloud", "toOnPremises"}:
        raise bad_request("direction must be toCloud or toOnPremises.")
    to_teams = given.get("moveToTeams", True) is not False
    if direction == "toCloud":
        changes: dict[str, Any] = {"homed": "online"}
        if to_teams:
            changes["direct_mode"] = "TeamsOnly"
    else:
        changes = {"homed": "onPremises", "direct_mode": None, "mode": "Islands"}
    moved = directory.touch(store, user, tracked=True, **changes)
    notify.user_changed(store, moved)
    data = {"user": moved.upn, "direction": direction, "moveToTeams": to_teams}
    notify.cloud_event(store, "mms.user.moved", data, moved.id)
    if store.switches.teamsAudit == "all":
        home = _CLOUD_HOME if direction == "toCloud" else f"pool.{moved.upn.partition('@')[2]}"
        parameters = {"Target": home} | ({"MoveToTeams": to_teams} if direction == "toCloud" else {})
        notify.audit_cmdlet(store, "Move-CsUser", parameters, user=moved)
    return _shown(moved)


def _audio(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    user = _user(store, given)
    names = ("provider", "enabled", "bridge", "tollNumber", "conferenceId", "publicMeetings")
    changed, told = directory.set_audio(store, user, {name: given.get(name) for name in names})
    for kind, before, after in told:
        data: dict[str, Any] = {"user": changed.upn, "change": kind}
        if kind not in {"enabled", "disabled"}:
            data |= {"from": before, "to": after}
        if kind == "conferenceId":
            data["publicMeetings"] = changed.audio.publicMeetings
        notify.cloud_event(store, "mms.audioconferencing.changed", data, changed.id)
        if store.switches.teamsAudit == "all":
            cmdlet, parameters = _dial_in_cmdlet(kind, after, changed.audio)
            notify.audit_cmdlet(store, cmdlet, parameters, user=changed, changes=[(kind, before, after)])
    return {**_shown(changed), "audioConferencing": msgspec.to_builtins(changed.audio)}


def _dial_in_cmdlet(kind: str, after: Any, audio: AudioConferencing) -> tuple[str, dict[str, Any]]:
    """Name the cmdlet that changes one thing about a user's dial-in, and its parameters."""
    match kind:
        case "provider" if after == "microsoft":
            return "Enable-CsOnlineDialInConferencingUser", {"ReplaceProvider": True}
        case "provider":
            return "Set-CsUserAcp", {"Name": after}
        case "enabled":
            return "Enable-CsOnlineDialInConferencingUser", {}
        case "disabled":
            return "Disable-CsOnlineDialInConferencingUser", {}
        case "conferenceId":
            return "Set-CsOnlineDialInConferencingUser", {"ResetConferenceId": True}
    return "Set-CsOnlineDialInConferencingUser", {"BridgeName": audio.bridge, "ServiceNumber": audio.tollNumber}


def _unassign(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Take a number off its bridge: whoever had it gets the replacement, or the bridge's default (T8)."""
    number, replacement = given.get("number"), given.get("replacement")
    if not number:
        raise bad_request("number is required.")
    touched = []
    for user in directory.find_number(store, number):
        audio = msgspec.structs.replace(user.audio, tollNumber=replacement or "+1 206-555-0199")
        directory.touch(store, user, audio=audio)
        touched.append(user.upn)
    data = {"number": number} | ({"replacement": replacement} if replacement else {})
    notify.cloud_event(store, "mms.bridge.numberunassigned", data)
    if store.switches.teamsAudit == "all":
        cmdlet = "Unregister-CsOnlineDialInConferencingServiceNumber"
        changes = [("DefaultServiceNumber", number, replacement)] if replacement else []
        notify.audit_cmdlet(store, cmdlet, {"Identity": number}, target=number, changes=changes)
    return {"value": touched}


def _edit_profile(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Change something that concerns nobody: the subscription fires all the same (6.3)."""
    user = _user(store, given)
    title = f"Title {user.version + 1}"
    row = {"Name": "JobTitle", "OldValue": str(user.extra.get("jobTitle") or ""), "NewValue": title}
    changed = directory.touch(store, user, tracked=True, extra={**user.extra, "jobTitle": title})
    notify.user_changed(store, changed)
    notify.audit_user(store, changed, "Update user.", [row])
    return _shown(changed)


def _change_sip(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    user = _user(store, given)
    sip = str(given.get("sip") or "").removeprefix("sip:")
    if not sip:
        raise bad_request("sip is required.")
    changed = directory.touch(store, user, sip=f"sip:{sip}")
    data = {"user": changed.upn, "from": user.sip, "to": changed.sip}
    notify.cloud_event(store, "mms.user.sipaddresschanged", data, changed.id)
    return _shown(changed)


def _change_meeting_url(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    store.setting("meetingUrl", given.get("url"))
    notify.cloud_event(store, "mms.tenant.meetingurlchanged", {"url": given.get("url")})
    return {"url": given.get("url")}


def _set_cvi(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Give a user a Cloud Video Interop partner (T11); meetings show it at once."""
    user = _user(store, given)
    changed = directory.touch(store, user, cvi=given.get("policy"))
    if store.switches.teamsAudit == "all":
        notify.audit_cmdlet(
            store,
            "Grant-CsTeamsVideoInteropServicePolicy",
            {"PolicyName": changed.cvi or ""},
            user=changed,
            changes=[("TeamsVideoInteropServicePolicy", user.cvi, changed.cvi)],
        )
    return {**_shown(changed), "cvi": changed.cvi}


def _set_groups(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Say anew which groups a user is in; the directory does not tell subscribers of users."""
    changed = directory.touch(store, _user(store, given), groups=directory.group_ids(given.get("groups") or []))
    return {**_shown(changed), "groups": changed.groups}


def _mark_draft(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Make an event a draft, as Outlook leaves one whose update was not sent (1.2)."""
    box = store.mailbox(_user(store, given).id)
    item = box.items.get(str(given.get("eventId")))
    if item is None:
        raise bad_request("eventId names no event of the user's own.")
    store.save(msgspec.structs.replace(item, draft=given.get("isDraft", True) is not False))
    return {"eventId": item.id}


def _protect_calendar(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Make a calendar that was filled one that its user may only read, as a subscribed one is (2.3)."""
    user = _user(store, given)
    chosen = calendar.calendar_of(user, str(given.get("calendar")))
    changed = msgspec.structs.replace(chosen, can_edit=given.get("canEdit") is True)
    calendars = [changed if each.id == chosen.id else each for each in user.calendars]
    store.save(msgspec.structs.replace(user, calendars=calendars))
    return {"calendar": chosen.id, "canEdit": changed.can_edit}


def _attach(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Put an attachment on an event."""
    box = store.mailbox(_user(store, given).id)
    item = box.items.get(str(given.get("eventId")))
    if item is None:
        raise bad_request("eventId names no event of the user's own.")
    return calendar.attach(store, calendar.Target(_user(store, given), item), {"name": "notes.txt", **given})


def _lifecycle(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Send a lifecycle notification now: reauthorizationRequired, or to Outlook's subscriptions the other two (7)."""
    what = given.get("event") or "reauthorizationRequired"
    rows = [
        each
        for each in store.subscriptions.values()
        if what == "reauthorizationRequired" or notify.mailbox_of(store, each.resource)
    ]
    for subscription in rows:
        notify.lifecycle(store, subscription, what)
        if what == "subscriptionRemoved":
            store.drop(subscription)
    return {"sent": len(rows)}


ACTIONS: dict[str, Action] = {
    "assignlicense": _assign,
    "removelicense": _remove,
    "grantpolicy": _grant,
    "moveuser": _move,
    "setaudioconferencing": _audio,
    "unassignnumber": _unassign,
    "editprofile": _edit_profile,
    "changesipaddress": _change_sip,
    "changemeetingurl": _change_meeting_url,
    "setcvi": _set_cvi,
    "setgroups": _set_groups,
    "markdraft": _mark_draft,
    "protectcalendar": _protect_calendar,
    "attach": _attach,
    "lifecycle": _lifecycle,
}
"""What can be done to the tenant, by lower-case name."""
