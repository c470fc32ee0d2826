"""App registrations, service principals, assignments and consent over HTTP."""

from typing import Any

from mms_simulator import payloads, registrations
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import bad_request, resource_not_found
from mms_simulator.http_users import collection, project
from mms_simulator.model import Registration
from mms_simulator.registrations import APPLICATION, GRANT, PRINCIPAL


def register(routes: Routes) -> None:
    """Add the routes."""
    for path, kind in (("applications", APPLICATION), ("servicePrincipals", PRINCIPAL)):
        routes.add("GET", path, _lister(kind, path))
    routes.add("POST", "applications", _post_application)
    routes.add("GET", "applications/{application}", _get_application)
    routes.add("PATCH", "applications/{application}", _patch_application)
    routes.add("DELETE", "applications/{application}", _delete_application)
    routes.add("POST", "servicePrincipals", _post_principal)
    routes.add("GET", "servicePrincipals/{principal}", _get_principal)
    routes.add("PATCH", "servicePrincipals/{principal}", _patch_principal)
    routes.add("DELETE", "servicePrincipals/{principal}", _delete_principal)
    for prefix, tail, name in (
        ("servicePrincipals/{principal}", "appRoleAssignments", "principalId"),
        ("servicePrincipals/{principal}", "appRoleAssignedTo", "resourceId"),
        ("users/{user}", "appRoleAssignments", "principalId"),
    ):
        routes.add("GET", f"{prefix}/{tail}", _assignment_lister(name))
        routes.add("POST", f"{prefix}/{tail}", _assigner(name))
        routes.add("DELETE", f"{prefix}/{tail}/{{assignment}}", _unassigner(name))
    routes.add("GET", "servicePrincipals/{principal}/oauth2PermissionGrants", _grants_of)
    routes.add("GET", "oauth2PermissionGrants", _lister(GRANT, "oauth2PermissionGrants"))
    routes.add("POST", "oauth2PermissionGrants", _post_grant)
    routes.add("DELETE", "oauth2PermissionGrants/{grant}", _delete_grant)
    routes.add("GET", "organization", _organizations)
    routes.add("GET", "organization/{organization}", _organization)


def _lister(kind: str, context: str) -> Any:
    def list_all(call: Call) -> Reply:
        return collection(call, registrations.listed(call.store, kind), None, context)

    return list_all


def _shown(call: Call, row: Registration, status: int = 200, context: str = "") -> Reply:
    content = project(registrations.view(call.store, row), call.options.select)
    return Reply(status, {"@odata.context": f"{call.store.base}/v1.0/$metadata#{context}/$entity", **content})


def _post_application(call: Call) -> Reply:
    """``POST /applications``: 201; the same name twice makes two."""
    return _shown(call, registrations.create_application(call.store, call.json()), 201, "applications")


def _get_application(call: Call) -> Reply:
    return _shown(call, registrations.application(call.store, call.arguments["application"]), 200, "applications")


def _patch_application(call: Call) -> Reply:
    """``PATCH /applications/{id}``: 204. By uniqueName with ``Prefer: create-if-missing`` it makes a missing one."""
    store, identity = call.store, call.arguments["application"]
    name, _, value = identity.partition("=")
    missing_is_fine = "create-if-missing" in call.prefer.lower()
    if name == "uniqueName" and missing_is_fine and not _knows_unique_name(call, value):
        return _shown(call, registrations.create_application(store, call.json(), value), 201, "applications")
    registrations.update_application(store, registrations.application(store, identity), call.json())
    return Reply(204)


def _knows_unique_name(call: Call, value: str) -> bool:
    rows = call.store.registrations.values()
    return any(row.kind == APPLICATION and row.content["uniqueName"] == value for row in rows)


def _delete_application(call: Call) -> Reply:
    registrations.delete_application(call.store, registrations.application(call.store, call.arguments["application"]))
    return Reply(204)


def _post_principal(call: Call) -> Reply:
    """``POST /servicePrincipals``: by appId."""
    app_id = call.read(payloads.Principal).get("appId")
    if not app_id:
        raise bad_request("A value is required for property 'appId' of resource 'ServicePrincipal'.",
                          "Request_BadRequest")  # fmt: skip
    made = registrations.create_principal(call.store, app_id.lower())
    registrations.update_principal(call.store, made, call.json())
    return _shown(call, call.store.registrations[made.id], 201, "servicePrincipals")


def _principal(call: Call) -> Registration:
    return registrations.principal(call.store, call.arguments["principal"])


def _get_principal(call: Call) -> Reply:
    return _shown(call, _principal(call), 200, "servicePrincipals")


def _patch_principal(call: Call) -> Reply:
    """``PATCH /servicePrincipals/{id}``: 204; by appId with ``Prefer: create-if-missing`` it makes a missing one."""
    name, _, value = call.arguments["principal"].partition("=")
    missing_is_fine = "create-if-missing" in call.prefer.lower()
    if name == "appId" and missing_is_fine and registrations.identity_of(call.store, value) is None:
        return _shown(call, registrations.create_principal(call.store, value.lower()), 201, "servicePrincipals")
    registrations.update_principal(call.store, _principal(call), call.read(payloads.Principal))
    return Reply(204)


def _delete_principal(call: Call) -> Reply:
    registrations.delete_principal(call.store, _principal(call))
    return Reply(204)


def _holder(call: Call) -> str:
    user = call.arguments.get("user")
    return call.store.user(user).id if user else _principal(call).id


def _assignment_lister(name: str) -> Any:
    def list_assignments(call: Call) -> Reply:
        return collection(call, registrations.assignments(call.store, name, _holder(call)), None, "appRoleAssignments")

    return list_assignments


def _assigner(name: str) -> Any:
    def assign(call: Call) -> Reply:
        given, holder = call.read(payloads.Assignment), _holder(call)
        if str(given.get(name) or "").lower() != holder:
            raise bad_request(f"The {name} is not that of the object in the path.", "Request_BadRequest")
        return _shown(call, registrations.assign(call.store, given), 201, "appRoleAssignments")

    return assign


def _unassigner(name: str) -> Any:
    def unassign(call: Call) -> Reply:
        registrations.unassign(call.store, name, _holder(call), call.arguments["assignment"])
        return Reply(204)

    return unassign


def _grants_of(call: Call) -> Reply:
    own = _principal(call).id
    rows = [row for row in registrations.listed(call.store, GRANT) if row["clientId"] == own]
    return collection(call, rows, None, "oauth2PermissionGrants")


def _post_grant(call: Call) -> Reply:
    return _shown(call, registrations.grant(call.store, call.read(payloads.Consent)), 201, "oauth2PermissionGrants")


def _delete_grant(call: Call) -> Reply:
    row = call.store.registrations.get(call.arguments["grant"])
    if row is None or row.kind != GRANT:
        raise resource_not_found(call.arguments["grant"])
    call.store.drop(row)
    return Reply(204)


def _organizations(call: Call) -> Reply:
    return collection(call, [registrations.organization(call.store)], None, "organization")


def _organization(call: Call) -> Reply:
    if call.arguments["organization"].lower() != call.store.tenant_id:
        raise resource_not_found(call.arguments["organization"])
    return Reply(200, project(registrations.organization(call.store), call.options.select))
