"""App registrations, service principals and consent: what an administrator sets up before an app may do anything.

Objects are kept as Graph shows them. Microsoft Graph and the Office 365 Management APIs are there from the start, with
the ids that their permissions have in every tenant. Objects that were just made may stay unseen for a while
(``directoryDelaySeconds``), as in a directory of many replicas: who looks first and makes then, makes twice.
"""

import re
import uuid
from collections.abc import Iterable
from typing import Any

from mms_simulator import jsontext, payloads
from mms_simulator.errors import GraphError, bad_request, resource_not_found
from mms_simulator.model import Registration
from mms_simulator.permissions import GRAPH_APP, GRAPH_ROLES, MANAGEMENT_APP, MANAGEMENT_ROLES, app_roles
from mms_simulator.store import Store
from mms_simulator.zones import graph_instant

APPLICATION, PRINCIPAL, ASSIGNMENT, GRANT = "application", "servicePrincipal", "appRoleAssignment", "oauth2Grant"
DEFAULT_ACCESS = str(uuid.UUID(int=0))
"""The role of a resource that declares none."""
_BUILT_IN = {
    GRAPH_APP: ("Microsoft Graph", GRAPH_ROLES, ["https://graph.microsoft.com"]),
    MANAGEMENT_APP: ("Office 365 Management APIs", MANAGEMENT_ROLES, ["https://manage.office.com"]),
    "4962773b-9cdb-44cf-a8bf-237846a00ab7": ("Microsoft.EventGrid", {}, []),
}
_MICROSOFT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
_WRITABLE = frozenset({
    "displayName", "description", "notes", "signInAudience", "identifierUris", "appRoles", "requiredResourceAccess",
    "api", "web", "spa", "publicClient", "tags", "groupMembershipClaims", "isFallbackPublicClient", "optionalClaims",
    "info", "serviceManagementReference",
})  # fmt: skip
_PRINCIPAL_WRITABLE = frozenset({
    "accountEnabled", "appRoleAssignmentRequired", "notes", "tags", "homepage", "loginUrl", "alternativeNames",
    "notificationEmailAddresses", "description",
})  # fmt: skip
_MEMBER_TYPES = {"User", "Application"}
_ROLE_VALUE = re.compile(r"^[\w!#$%&'()*+,\-./:;<=>?@\[\]^`{|}~]{1,120}$")
_BAD = "Request_BadRequest"


def application(store: Store, identity: str) -> Registration:
    """Find an application by object id, or by ``appId=…`` and ``uniqueName=…`` of key syntax; 404 otherwise."""
    return _find(store, APPLICATION, identity)


def principal(store: Store, identity: str) -> Registration:
    """Find a service principal by object id, or by ``appId=…``; 404 otherwise."""
    return _find(store, PRINCIPAL, identity)


def listed(store: Store, kind: str) -> list[dict[str, Any]]:
    """Give all objects of a kind that can be seen already, Microsoft's own principals first."""
    rows = [row for row in store.registrations.values() if row.kind == kind and _is_seen(store, row)]
    own = list(_built_in(store)) if kind == PRINCIPAL else []
    return [view(store, row) for row in [*own, *rows]]


def view(store: Store, row: Registration) -> dict[str, Any]:
    """Write an object; a principal repeats what its application says today."""
    if row.kind != PRINCIPAL or row.content["servicePrincipalType"] != "Application":
        return row.content
    backing = _by(store, APPLICATION, "appId", row.content["appId"])
    if backing is None:
        return row.content
    app = backing.content
    return {
        **row.content,
        "displayName": app["displayName"],
        "appDisplayName": app["displayName"],
        "appRoles": app["appRoles"],
        "oauth2PermissionScopes": (app["api"] or {}).get("oauth2PermissionScopes") or [],
        "servicePrincipalNames": [*app["identifierUris"], app["appId"]],
        "signInAudience": app["signInAudience"],
    }


def create_application(store: Store, given: dict[str, Any], unique_name: str | None = None) -> Registration:
    """Register an application. Two may have the same displayName: the directory does not mind."""
    if not given.get("displayName"):
        raise bad_request("A value is required for property 'displayName' of resource 'Application'.", _BAD)
    made: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "appId": str(uuid.uuid4()),
        "createdDateTime": graph_instant(int(store.clock.now())),
        "deletedDateTime": None,
        "uniqueName": unique_name,
        "publisherDomain": min(domains(store)),
        "signInAudience": "AzureADMyOrg",
        "identifierUris": [],
        "appRoles": [],
        "requiredResourceAccess": [],
        "api": {"acceptMappedClaims": None, "knownClientApplications": [], "requestedAccessTokenVersion": None,
                "oauth2PermissionScopes": [], "preAuthorizedApplications": []},
        "tags": [],
        "keyCredentials": [],
        "passwordCredentials": [],
    }  # fmt: skip
    made |= _application_values(store, made, given)
    return _kept(store, APPLICATION, made)


def update_application(store: Store, found: Registration, given: dict[str, Any]) -> None:
    """Change an application; an enabled role or scope has to be disabled before it may go or change."""
    content = {**found.content, **_application_values(store, found.content, given)}
    for path in (("appRoles",), ("api", "oauth2PermissionScopes")):
        _check_entitlements(_inner(found.content, path), _inner(content, path))
    store.save(Registration(id=found.id, kind=APPLICATION, created=found.created, content=content))


def delete_application(store: Store, found: Registration) -> None:
    """Delete an application with its service principal in this tenant."""
    backed = _by(store, PRINCIPAL, "appId", found.content["appId"])
    if backed:
        delete_principal(store, backed)
    store.drop(found)


def create_principal(store: Store, app_id: str) -> Registration:
    """Make the service principal of an application of this tenant.

    Raises:
        GraphError: 400 where there is no such application (yet), 409 where it has a principal already.
    """
    backing = _by(store, APPLICATION, "appId", app_id)
    if backing is None or not _is_seen(store, backing):
        text = f"The appId '{app_id}' of the service principal does not reference a valid application object."
        details = [{"code": "NoBackingApplicationObject", "message": text, "target": "appId"}]
        raise GraphError(400, _BAD, text, details=details)
    if _by(store, PRINCIPAL, "appId", app_id):
        text = (
            "The service principal cannot be created, updated, or restored because the service principal name "
            f"{app_id} is already in use."
        )
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", text)
    return _kept(store, PRINCIPAL, _principal(store, app_id, backing.content["displayName"], "Application"))


def create_identity(store: Store, given: dict[str, Any]) -> Registration:
    """Make a managed identity, as Azure does with a resource: a service principal without an application."""
    app_id = str(given.get("appId") or uuid.uuid4()).lower()
    if _by(store, PRINCIPAL, "appId", app_id):
        raise bad_request(f"The appId '{app_id}' is taken.", _BAD)
    made = _principal(store, app_id, given.get("displayName") or "identity", "ManagedIdentity")
    return _kept(store, PRINCIPAL, made)


def update_principal(store: Store, found: Registration, given: dict[str, Any]) -> None:
    """Change what is a principal's own."""
    content = {**found.content, **{name: value for name, value in given.items() if name in _PRINCIPAL_WRITABLE}}
    store.save(Registration(id=found.id, kind=PRINCIPAL, created=found.created, content=content))


def delete_principal(store: Store, found: Registration) -> None:
    """Delete a principal and all that was assigned to it or by it."""
    for row in list(store.registrations.values()):
        ends = {row.content.get(name) for name in ("principalId", "clientId", "resourceId")}
        if row.kind in {ASSIGNMENT, GRANT} and found.id in ends:
            store.drop(row)
    store.drop(found)


def assignments(store: Store, name: str, identity: str) -> list[dict[str, Any]]:
    """Give the assignments of a principal (*name* ``principalId``) or for a resource (``resourceId``)."""
    return [row for row in listed(store, ASSIGNMENT) if row[name] == identity]


def assign(store: Store, given: dict[str, Any]) -> Registration:
    """Give a principal a role of a resource, which is what an administrator's consent to an application permission is.

    Raises:
        GraphError: 400 for what is incomplete, for a role that the resource does not have or not for such a principal,
            and for what is assigned already; 404 for objects that are not there.
    """
    values = {}
    for name in ("principalId", "resourceId", "appRoleId"):
        try:
            values[name] = str(uuid.UUID(str(given.get(name))))
        except ValueError as exc:
            raise bad_request(f"Invalid GUID for the property '{name}'.", _BAD) from exc
    resource = view(store, principal(store, values["resourceId"]))
    kind, display = _principal_kind(store, values["principalId"])
    roles = {role["id"]: role for role in resource["appRoles"] if role["isEnabled"]}
    allowed = "Application" if kind == "ServicePrincipal" else "User"
    role = roles.get(values["appRoleId"])
    if role is None and (roles or values["appRoleId"] != DEFAULT_ACCESS):
        raise bad_request("Permission being assigned was not found on application", _BAD)
    if role is not None and allowed not in role["allowedMemberTypes"]:
        raise bad_request("Permission being assigned is not allowed for the type of the principal", _BAD)
    same = [
        row
        for row in store.registrations.values()
        if row.kind == ASSIGNMENT and all(row.content[name] == value for name, value in values.items())
    ]
    if same:
        raise bad_request("Permission being assigned already exists on the object", _BAD)
    made = {
        "id": str(uuid.uuid4()),
        "deletedDateTime": None,
        "createdDateTime": graph_instant(store.clock.now()),
        "principalDisplayName": display,
        "principalType": kind,
        "resourceDisplayName": resource["displayName"],
        **values,
    }
    return _kept(store, ASSIGNMENT, made)


def unassign(store: Store, name: str, identity: str, assignment: str) -> None:
    """Take an assignment back; 404 when the object in the path has none of that id."""
    row = store.registrations.get(assignment.lower())
    if row is None or row.kind != ASSIGNMENT or row.content[name] != identity:
        raise resource_not_found(assignment)
    store.drop(row)


def grant(store: Store, given: dict[str, Any]) -> Registration:
    """Consent to delegated permissions (``oauth2PermissionGrant``)."""
    for name in ("clientId", "resourceId"):
        principal(store, str(given.get(name)))
    if given.get("consentType") not in {"AllPrincipals", "Principal"}:
        raise bad_request("Invalid value for property 'consentType'.", _BAD)
    if (given["consentType"] == "Principal") != bool(given.get("principalId")):
        raise bad_request("principalId goes with the consentType Principal, and with it alone.", _BAD)
    same = ("clientId", "resourceId", "consentType", "principalId")
    if any(all(row.get(name) == given.get(name) for name in same) for row in listed(store, GRANT)):
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
    made = {"id": uuid.uuid4().hex, **{name: given.get(name) for name in same}, "scope": given.get("scope") or ""}
    return _kept(store, GRANT, made)


def identity_of(store: Store, app_id: str) -> Registration | None:
    """Find the principal that signs in with an appId."""
    return _by(store, PRINCIPAL, "appId", app_id.lower())


def roles_of(store: Store, who: Registration, audience: str) -> list[str]:
    """Give the values of the roles that a principal was assigned for an audience: an appId, or another name of it."""
    wanted = audience.rstrip("/").lower()
    for resource in listed(store, PRINCIPAL):
        if wanted in {name.rstrip("/").lower() for name in resource["servicePrincipalNames"]}:
            values = {role["id"]: role["value"] for role in resource["appRoles"]}
            held = (row for row in assignments(store, "principalId", who.id) if row["resourceId"] == resource["id"])
            return [values[row["appRoleId"]] for row in held if values.get(row["appRoleId"])]
    return []


def domains(store: Store) -> set[str]:
    """Give the tenant's verified domains: those of its users, and the one every tenant begins with."""
    return {user.upn.partition("@")[2].lower() for user in store.users.values()} | {initial_domain(store)}


def initial_domain(store: Store) -> str:
    """Give the domain that the tenant was made with."""
    return f"t{store.tenant_id[:8]}.onmicrosoft.com"


def organization(store: Store) -> dict[str, Any]:
    """Write the tenant itself."""
    first = initial_domain(store)
    return {
        "id": store.tenant_id,
        "deletedDateTime": None,
        "businessPhones": [],
        "city": None,
        "country": None,
        "countryLetterCode": "US",
        "createdDateTime": "2020-01-01T00:00:00Z",
        "defaultUsageLocation": None,
        "displayName": "Contoso",
        "marketingNotificationEmails": [],
        "onPremisesSyncEnabled": True if any(user.homed == "onPremises" for user in store.users.values()) else None,
        "onPremisesLastSyncDateTime": None,
        "postalCode": None,
        "preferredLanguage": "en",
        "securityComplianceNotificationMails": [],
        "securityComplianceNotificationPhones": [],
        "state": None,
        "street": None,
        "technicalNotificationMails": [],
        "tenantType": "AAD",
        "assignedPlans": [],
        "provisionedPlans": [],
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": each == first,
                "isInitial": each == first,
                "name": each,
                "type": "Managed",
            }
            for each in sorted(domains(store))
        ],
    }


def _find(store: Store, kind: str, identity: str) -> Registration:
    name, keyed, value = identity.partition("=")
    found = _by(store, kind, name, value.lower() if name == "appId" else value) if keyed else None
    if not keyed:
        row = store.registrations.get(identity.lower()) or _own(store, identity.lower())
        found = row if row and row.kind == kind else None
    if found is None or not _is_seen(store, found):
        raise resource_not_found(value if keyed else identity)
    return found


def _own(store: Store, identity: str) -> Registration | None:
    return next((row for row in _built_in(store) if row.id == identity), None)


def _by(store: Store, kind: str, name: str, value: str) -> Registration | None:
    rows: Iterable[Registration] = store.registrations.values()
    own = _built_in(store) if kind == PRINCIPAL else ()
    return next((row for row in [*own, *rows] if row.kind == kind and row.content.get(name) == value), None)


def _built_in(store: Store) -> Iterable[Registration]:
    for app_id, (name, roles, names) in _BUILT_IN.items():
        content = _principal(store, app_id, name, "Application")
        content["id"] = str(uuid.uuid5(uuid.UUID(store.tenant_id), app_id))
        content["appOwnerOrganizationId"] = _MICROSOFT
        content["appRoles"] = app_roles(roles)
        content["servicePrincipalNames"] = [app_id, *names]
        content["signInAudience"] = "AzureADMultipleOrgs"
        yield Registration(id=content["id"], kind=PRINCIPAL, created=0, content=content)


def _principal(store: Store, app_id: str, name: str, kind: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "deletedDateTime": None,
        "accountEnabled": True,
        "alternativeNames": [],
        "appDisplayName": name,
        "appId": app_id,
        "appOwnerOrganizationId": store.tenant_id,
        "appRoleAssignmentRequired": False,
        "appRoles": [],
        "displayName": name,
        "oauth2PermissionScopes": [],
        "servicePrincipalNames": [app_id],
        "servicePrincipalType": kind,
        "signInAudience": "AzureADMyOrg" if kind == "Application" else None,
        "tags": [],
    }


def _kept(store: Store, kind: str, content: dict[str, Any]) -> Registration:
    made = Registration(id=content["id"], kind=kind, created=store.clock.now(), content=content)
    store.save(made)
    return made


def _is_seen(store: Store, row: Registration) -> bool:
    return not row.created or store.clock.now() >= row.created + store.switches.directoryDelaySeconds


def _principal_kind(store: Store, identity: str) -> tuple[str, str]:
    user = store.users.get(identity)
    if user:
        return "User", user.name
    if identity in (store.settings.get("groups") or {}):
        return "Group", store.settings["groups"][identity]["displayName"]
    return "ServicePrincipal", principal(store, identity).content["displayName"]


def _application_values(store: Store, known: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    payloads.checked(payloads.plain(given), payloads.Application)
    values = {name: value for name, value in given.items() if name in _WRITABLE}
    if "displayName" in values and not values["displayName"]:
        raise bad_request("Invalid value specified for property 'displayName' of resource 'Application'.", _BAD)
    if "appRoles" in values:
        values["appRoles"] = [_role(role) for role in values["appRoles"] or ()]
        _check_unique(values["appRoles"])
    if "identifierUris" in values:
        values["identifierUris"] = list(values["identifierUris"] or ())
        for uri in values["identifierUris"]:
            _check_uri(store, known, uri)
    if "api" in values:
        values["api"] = {**known["api"], **(values["api"] or {})}
    for row in values.get("requiredResourceAccess") or ():
        if not row.get("resourceAppId") or any(
            each.get("type") not in {"Role", "Scope"} for each in row.get("resourceAccess") or ()
        ):
            raise bad_request("Invalid value specified for property 'requiredResourceAccess'.", _BAD)
    return values


def _role(given: dict[str, Any]) -> dict[str, Any]:
    kinds = set(given.get("allowedMemberTypes") or ())
    value = given.get("value")
    try:
        identity = str(uuid.UUID(str(given.get("id"))))
    except ValueError as exc:
        raise bad_request("Invalid value specified for property 'id' of resource 'AppRole'.", _BAD) from exc
    if not kinds or not kinds <= _MEMBER_TYPES:
        raise bad_request("Invalid value specified for property 'allowedMemberTypes' of resource 'AppRole'.", _BAD)
    if not given.get("displayName") or not given.get("description"):
        raise bad_request("A role needs a displayName and a description.", _BAD)
    if value is not None and not _ROLE_VALUE.match(value):
        raise bad_request("Invalid value specified for property 'value' of resource 'AppRole'.", _BAD)
    return {
        "allowedMemberTypes": given["allowedMemberTypes"],
        "description": given["description"],
        "displayName": given["displayName"],
        "id": identity,
        "isEnabled": given.get("isEnabled", True) is not False,
        "origin": "Application",
        "value": value,
    }


def _check_unique(roles: list[dict[str, Any]]) -> None:
    for name in ("id", "value"):
        values = [role[name] for role in roles if role[name] is not None]
        if len(values) != len(set(values)):
            raise bad_request(f"Request contains a property with duplicate values: '{name}' of appRoles.", _BAD)


def _check_entitlements(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Refuse to take away or change what is enabled; only ``isEnabled`` itself may change then."""
    following = {row.get("id"): row for row in new}
    for row in old:
        now = following.get(row.get("id"))
        same = now is not None and jsontext.encode({**now, "isEnabled": True}) == jsontext.encode(row)
        if row.get("isEnabled") and not same:
            text = "Permission (scope or role) cannot be deleted or updated unless disabled first."
            raise bad_request(text, "CannotDeleteOrUpdateEnabledEntitlement")


def _inner(content: dict[str, Any], path: tuple[str, ...]) -> list[dict[str, Any]]:
    value: Any = content
    for name in path:
        value = (value or {}).get(name)
    return value or []


def _check_uri(store: Store, known: dict[str, Any], uri: str) -> None:
    """Refuse a name that another application has, or that is neither the app's own nor in a verified domain."""
    taken = any(
        row.kind == APPLICATION and row.id != known["id"] and uri in row.content["identifierUris"]
        for row in store.registrations.values()
    )
    if taken:
        text = "Another object with the same value for property identifierUris already exists."
        raise bad_request(text, _BAD)
    scheme, _, rest = uri.partition("://")
    first, _, path = rest.partition("/")
    if scheme == "api" and (known["appId"] in {first, path} or (first == store.tenant_id and path)):
        return
    host = first.lower().partition(":")[0]
    if scheme in {"api", "https"} and any(host == each or host.endswith(f".{each}") for each in domains(store)):
        return
    text = f"Values of identifierUris property must use a verified domain of the organization or its subdomain: '{uri}'"
    raise bad_request(text, "HostNameNotOnVerifiedDomain")
