"""Application permissions: their public ids, and which of them a route needs (fact sheet 2.6, 5.1, 6.3, 6.4).

The ids are those of Microsoft's own service principals, the same in every tenant. Which permission a route needs is
what the reference page of each call lists, the least and the higher ones.
"""

import re
from typing import Any

from mms_simulator.errors import GraphError

GRAPH_APP = "00000003-0000-0000-c000-000000000000"
MANAGEMENT_APP = "c5393580-f805-4401-95e8-94b7a6ef2fc2"
GRAPH_ROLES: dict[str, str] = {
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
    "AuditLog.Read.All": "b0afded3-3588-46d8-8b3d-9842eff778da",
    "Calendars.Read": "798ee544-9d2d-430c-a058-570e29e34338",
    "Calendars.ReadBasic.All": "8ba4a692-bc31-4128-9094-475872af8a53",
    "Calendars.ReadWrite": "ef54d2bf-783f-4e0f-bca1-3210c0444d99",
    "DelegatedPermissionGrant.Read.All": "81b4724a-58aa-41c1-8a55-84ef97466587",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    "LicenseAssignment.ReadWrite.All": "5facf0c1-8979-4e95-abcf-ff3d079771c0",
    "Mail.Send": "b633e1c5-b582-4048-a93e-9f11b44c7e96",
    "MailboxSettings.Read": "40f97065-369a-49f4-947c-6a255697ae91",
    "MailboxSettings.ReadWrite": "6931bccd-447a-43d1-b442-00a195474933",
    "OnlineMeetings.Read.All": "c1684f21-1984-47fa-9d61-2dc8c296bb70",
    "OnlineMeetings.ReadWrite.All": "b8bb2037-6e08-44ac-a4ea-4674e010e2a4",
    "Organization.Read.All": "498476ce-e0fe-48b0-b801-37ba7e2685c6",
    "TeamsUserConfiguration.Read.All": "a91eadaf-2c3c-4362-908b-fb172d208fc6",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
}
"""Application permissions of Microsoft Graph."""
MANAGEMENT_ROLES: dict[str, str] = {
    "ActivityFeed.Read": "594c1fb6-4f81-4475-ae41-0c394909246c",
    "ActivityFeed.ReadDlp": "4807a72c-ad38-4250-94c9-4eabfe26cd55",
    "ServiceHealth.Read": "e2cea78f-e743-4d8f-a16a-75b629a038ae",
}
"""Application permissions of the Office 365 Management APIs."""

_DIRECTORY_READ = ("Directory.Read.All", "Directory.ReadWrite.All")
_USERS = ("User.Read.All", "User.ReadWrite.All", *_DIRECTORY_READ)
_USERS_WRITE = ("User.ReadWrite.All", "Directory.ReadWrite.All")
_GROUPS = ("GroupMember.Read.All", "Group.Read.All", *_DIRECTORY_READ)
_CALENDARS = ("Calendars.Read", "Calendars.ReadWrite")
_APPLICATIONS = ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All")
_MEETINGS = "OnlineMeetings.ReadWrite.All"
_EXCHANGE, _DIRECTORY, _TEAMS = "exchange", "directory", "teams"
_NEEDED: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("GET", r"users/\{user\}(/calendar|/calendars/\{calendar\})?/(events|calendarView).*", _EXCHANGE,
     ("Calendars.ReadBasic.All", *_CALENDARS)),
    ("GET", r"users/\{user\}/calendars?(/\{calendar\})?", _EXCHANGE, ("Calendars.ReadBasic.All", *_CALENDARS)),
    (".*", r"users/\{user\}/(calendar|events).*", _EXCHANGE, ("Calendars.ReadWrite",)),
    ("POST", r"users/\{user\}/sendMail", _EXCHANGE, ("Mail.Send",)),
    ("GET", r"users/\{user\}/mailboxSettings", _EXCHANGE, ("MailboxSettings.Read", "MailboxSettings.ReadWrite")),
    ("GET", r"users/\{user\}/onlineMeetings.*", _TEAMS, ("OnlineMeetings.Read.All", _MEETINGS)),
    (".*", r"users/\{user\}/onlineMeetings.*", _TEAMS, (_MEETINGS,)),
    ("GET", r"communications/onlineMeetings", _TEAMS, ("OnlineMeetings.Read.All", _MEETINGS)),
    (".*", r"admin/teams/.*", _TEAMS, ("TeamsUserConfiguration.Read.All",)),
    ("GET", r"auditLogs/.*", _DIRECTORY, ("AuditLog.Read.All",)),
    ("POST", r"users/\{user\}/(check|get)Member(Groups|Objects)", _DIRECTORY, (*_USERS, *_GROUPS)),
    ("GET", r"users/\{user\}/(transitiveM|m)emberOf", _DIRECTORY, (*_USERS, *_GROUPS)),
    ("POST", r"users/\{user\}/assignLicense", _DIRECTORY, ("LicenseAssignment.ReadWrite.All", *_USERS_WRITE)),
    ("POST|DELETE", r".*/appRole(Assignments|AssignedTo).*", _DIRECTORY, ("AppRoleAssignment.ReadWrite.All",)),
    ("GET", r"users.*", _DIRECTORY, _USERS),
    (".*", r"users.*", _DIRECTORY, _USERS_WRITE),
    ("GET", r"groups.*", _DIRECTORY, _GROUPS),
    ("GET", r"(applications|servicePrincipals).*", _DIRECTORY,
     ("Application.Read.All", *_APPLICATIONS, *_DIRECTORY_READ)),
    (".*", r"(applications|servicePrincipals).*", _DIRECTORY, _APPLICATIONS),
    ("GET", r"oauth2PermissionGrants.*", _DIRECTORY, ("DelegatedPermissionGrant.Read.All", *_DIRECTORY_READ)),
    (".*", r"oauth2PermissionGrants.*", _DIRECTORY, ("Directory.ReadWrite.All",)),
    ("GET", r"organization.*", _DIRECTORY, ("Organization.Read.All", *_DIRECTORY_READ)),
)  # fmt: skip
"""Method and route, whose refusal it is, and the permissions of which one is enough; the first match counts."""


def app_roles(roles: dict[str, str]) -> list[dict[str, Any]]:
    """Write permissions as the appRoles of the service principal that offers them."""
    return [
        {
            "allowedMemberTypes": ["Application"],
            "description": f"Allows the app the permission {value} without a signed-in user.",
            "displayName": value,
            "id": identity,
            "isEnabled": True,
            "origin": "Application",
            "value": value,
        }
        for value, identity in roles.items()
    ]


def require(method: str, route: str, held: list[str], body: dict[str, Any] | None = None) -> None:
    """Refuse a call whose token has none of the permissions that its route needs.

    Raises:
        GraphError: 403, with the code of the part of Graph that answers.
    """
    if route.startswith("subscriptions"):
        _require_subscription(held, body)
        return
    for methods, pattern, part, wanted in _NEEDED:
        if re.fullmatch(methods, method) and re.fullmatch(pattern, route):
            if not set(wanted) & set(held):
                raise _refusal(part, wanted)
            return


def require_feed(held: list[str]) -> None:
    """Refuse a call to the Management Activity API whose token lacks its permission (6.6): 403 AF10001."""
    if "ActivityFeed.Read" not in held:
        text = f"The permission set ({', '.join(held)}) did not include the expected permission ActivityFeed.Read."
        raise GraphError(403, "AF10001", text)


def _require_subscription(held: list[str], body: dict[str, Any] | None) -> None:
    """A new subscription needs what reading its resource needs; looking at one's own needs nothing."""
    resource = str((body or {}).get("resource") or "").strip("/").lower()
    wanted: tuple[str, ...] = ()
    if resource.endswith("/events"):
        wanted = _CALENDARS
    elif resource.startswith("users"):
        wanted = ("User.Read.All", "User.ReadWrite.All")
    if wanted and not set(wanted) & set(held):
        text = "Operation: Create; Exception: [Status Code: Forbidden; Reason: Forbidden]"
        raise GraphError(403, "ExtensionError", text)


def _refusal(part: str, wanted: tuple[str, ...]) -> GraphError:
    match part:
        case "exchange":
            return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        case "teams":
            text = f"Missing role permissions on the request. API requires one of '{', '.join(wanted)}'."
            return GraphError(403, "Authorization_RequestDenied", text)
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
