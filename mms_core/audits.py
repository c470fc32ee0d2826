"""What audit records of the activity feed say, as events of our own. Pure.

Source: Office 365 Management Activity API schema (base, Entra ID and Teams); the shapes of their properties are
those of exported records, which differ between workloads and over time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mms_core.notifications import VIDEO_INTEROP_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """An audit record that speaks of something we act on, as one of our own events."""

    record_id: str
    type: str
    data: dict[str, Any]


_TRUE: Final = ("true", "1", "yes", "$true")
_LICENCE_OPERATIONS: Final = ("change user license.", "change user license", "update user.", "update user")
_LICENCE_PROPERTIES: Final = ("assignedlicense", "assignedplan", "licenseassignment")
_TEAMS_OPERATIONS: Final = ("teamsadminaction", "teamstenantsettingchanged")
_GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def _rows(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = record.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def users_of_audit(record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the users whose licences an audit record speaks of; ``None`` if it is of another kind.

    "Update user." comes with every profile edit as well: without a word on licences it names nobody.
    """
    operation = str(record.get("Operation") or "").lower()
    if operation not in _LICENCE_OPERATIONS:
        return None
    names = [str(row.get("Name") or "").lower().replace(".", "") for row in _rows(record, "ModifiedProperties")]
    if operation.startswith("update") and not any(name.startswith(_LICENCE_PROPERTIES) for name in names):
        return ()
    targets = [str(row.get("ID") or "") for row in _rows(record, "Target")]
    ids = [target.lower() for target in targets if _GUID.fullmatch(target)]
    named = ids[:1] or [str(record.get("ObjectId") or "")]
    return tuple(each for each in named if each)


def _pairs(record: Mapping[str, Any]) -> dict[str, str]:
    """Collect every name and value of an audit record, whichever of its shapes it has, names in lower case."""
    found: dict[str, str] = {}
    for name in ("ModifiedProperties", "ExtendedProperties", "Parameters"):
        for pair in _rows(record, name):
            if pair.get("Name"):
                value = pair.get("NewValue", pair.get("Value"))
                found[str(pair["Name"]).lower()] = str(value if value is not None else "")
                if pair.get("OldValue"):
                    found[f"{pair['Name']}:old".lower()] = str(pair["OldValue"])
    return found


def audited(record: Mapping[str, Any]) -> Audited | None:
    """Translate an audit record of Teams administration; ``None`` for the many that are not about us.

    Teams writes the cmdlet's name into ``ItemName`` in some dumps and into ``ExtendedProperties`` in others, so both
    are read, and every name in any case.
    """
    if str(record.get("Operation") or "").lower() not in _TEAMS_OPERATIONS:
        return None
    values = _pairs(record)
    cmdlet = str(record.get("ItemName") or values.get("cmdlet") or values.get("cmdletname") or "").lower()
    translate = _CMDLETS.get(cmdlet)
    if translate is None:
        return None
    user = values.get("identity") or values.get("user") or str(record.get("ObjectId") or "")
    found = translate(values, user)
    return None if found is None else Audited(record_id=str(record.get("Id") or ""), type=found[0], data=found[1])


_Told = tuple[str, dict[str, Any]] | None


def _is_tenant(values: Mapping[str, str]) -> bool:
    return values.get("scope", "").lower() in ("global", "tenant") or values.get("global", "").lower() in _TRUE


def _upgrade(values: Mapping[str, str], user: str) -> _Told:
    is_tenant = _is_tenant(values)
    mode = values.get("mode") or values.get("policyname") or values.get("teamsupgradepolicy") or ""
    if not mode or not (is_tenant or user):
        return None
    data: dict[str, Any] = {"policy": "TeamsUpgradePolicy", "mode": mode}
    data |= {"tenant": True} if is_tenant else {"user": user}
    migrate = values.get("migratemeetingstoteams")
    if migrate:
        data["migrateMeetingsToTeams"] = migrate.lower() in _TRUE
    return "mms.policy.granted", data


def _interop(values: Mapping[str, str], user: str) -> _Told:
    if _is_tenant(values) or not user:
        return None
    return VIDEO_INTEROP_TYPE, {"user": user, "policy": values.get("policyname") or None}


def _moved(values: Mapping[str, str], user: str) -> _Told:
    target = values.get("target", "").lower()
    if not target or not user:
        return None
    is_cloud = target == "sipfed.online.lync.com" or "online" in target
    to_teams = values.get("movetoteams", "").lower() in _TRUE
    direction = "toCloud" if is_cloud else "toOnPremises"
    return "mms.user.moved", {"user": user, "direction": direction, "moveToTeams": to_teams}


def _conferencing(change: str) -> Callable[[Mapping[str, str], str], _Told]:
    def translate(values: Mapping[str, str], user: str) -> _Told:
        del values
        return ("mms.audioconferencing.changed", {"user": user, "change": change}) if user else None

    return translate


def _dial_in(values: Mapping[str, str], user: str) -> _Told:
    names = ("bridgeid", "bridgename", "servicenumber", "tollfreeservicenumber")
    change = "bridge" if any(values.get(name) for name in names) else ""
    if values.get("resetconferenceid", "").lower() in _TRUE or values.get("conferenceid"):
        change = change or "conferenceId"
    if not change or not user:
        return None
    return "mms.audioconferencing.changed", {"user": user, "change": change}


def _unassigned(values: Mapping[str, str], user: str) -> _Told:
    number = values.get("fromnumber") or values.get("defaultservicenumber:old") or values.get("identity") or user
    if not any(each.isdigit() for each in number):
        return None
    replacement = values.get("tonumber") or values.get("defaultservicenumber")
    return "mms.bridge.numberunassigned", {"number": number, "replacement": replacement}


def _bridge(values: Mapping[str, str], user: str) -> _Told:
    # Only a new default number concerns invitations, and only the old one says whose.
    return _unassigned(values, user) if values.get("defaultservicenumber:old") else None


_CMDLETS: Final[dict[str, Callable[[Mapping[str, str], str], _Told]]] = {
    "grant-csteamsupgradepolicy": _upgrade,
    "grant-csteamsvideointeropservicepolicy": _interop,
    "move-csuser": _moved,
    "enable-csonlinedialinconferencinguser": _conferencing("enabled"),
    "disable-csonlinedialinconferencinguser": _conferencing("disabled"),
    "set-csonlinedialinconferencinguser": _dial_in,
    "set-csonlinedialinconferencinguserdefaultnumber": _unassigned,
    "unregister-csonlinedialinconferencingservicenumber": _unassigned,
    "set-csonlinedialinconferencingbridge": _bridge,
    "update-cstenantmeetingurl": lambda values, user: ("mms.tenant.meetingurlchanged", {}),  # noqa: ARG005 - it concerns everybody
}
"""Teams cmdlets whose audit records speak of something in the table of triggers."""
