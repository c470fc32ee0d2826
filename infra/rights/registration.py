"""The API's own registration: its roles, its sign-in, and who may post events. What others added to it stays."""

from __future__ import annotations

import uuid
from typing import Any, Final

from directory import Directory, once_known
from report import Line

ROLES: Final = {
    "Mms.Read": "Read status, meetings, previews, settings and decisions",
    "Mms.Operate": "Start, cancel, retry and undo migrations, change settings, post events; includes reading",
}
_NAMESPACE: Final = uuid.UUID("6f9cf0a0-6c3a-5f0e-9d5b-1f4a54c1f7aa")
"""Ids of our own roles and scope follow from their names, so that two registrations agree."""
_AZURE_CLI: Final = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""The Azure CLI's client id: allowed to ask for tokens of the API, so that azd and az sessions work with `mms`."""
_EVENT_GRID: Final = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
"""Azure Event Grid, in every tenant: it posts a partner topic's events with a token of its own."""


def wanted_application(name: str, dashboard: str | None) -> Any:
    """Return the registration as it should be; the identifier URI comes with its id."""
    from msgraph.generated.models.api_application import ApiApplication
    from msgraph.generated.models.app_role import AppRole
    from msgraph.generated.models.application import Application
    from msgraph.generated.models.permission_scope import PermissionScope
    from msgraph.generated.models.pre_authorized_application import PreAuthorizedApplication
    from msgraph.generated.models.public_client_application import PublicClientApplication
    from msgraph.generated.models.spa_application import SpaApplication

    scope = uuid.uuid5(_NAMESPACE, "scope/access")
    return Application(
        display_name=name,
        sign_in_audience="AzureADMyOrg",
        is_fallback_public_client=True,
        app_roles=[
            AppRole(
                id=uuid.uuid5(_NAMESPACE, f"role/{value}"),
                value=value,
                display_name=value,
                description=text,
                allowed_member_types=["User", "Application"],
                is_enabled=True,
            )
            for value, text in ROLES.items()
        ],
        api=ApiApplication(
            requested_access_token_version=2,
            oauth2_permission_scopes=[
                PermissionScope(
                    id=scope,
                    value="access",
                    type="User",
                    is_enabled=True,
                    admin_consent_display_name="Use the meeting migration service",
                    admin_consent_description="Use the service with the roles that the signed-in person has",
                    user_consent_display_name="Use the meeting migration service",
                    user_consent_description="Use the service with the roles that you have",
                )
            ],
            pre_authorized_applications=[
                PreAuthorizedApplication(app_id=_AZURE_CLI, delegated_permission_ids=[str(scope)])
            ],
        ),
        public_client=PublicClientApplication(redirect_uris=["http://localhost"]),
        spa=SpaApplication(redirect_uris=[dashboard] if dashboard else []),
    )


def _role_facts(application: Any) -> dict[str, tuple[Any, ...]]:
    return {
        each.value: (each.id, each.is_enabled, frozenset(each.allowed_member_types or ()))
        for each in application.app_roles or []
    }


def _with_our_scope(found: Any, wanted: Any) -> Any:
    """Return the API's part of a registration with our scope in it and usable, or ``None`` if it is."""
    from msgraph.generated.models.api_application import ApiApplication

    (scope,), (client,) = wanted.oauth2_permission_scopes, wanted.pre_authorized_applications
    scopes = list((found.oauth2_permission_scopes if found else None) or ())
    clients = list((found.pre_authorized_applications if found else None) or ())
    kept = next((each for each in scopes if each.id == scope.id), None)
    let_in = {each for one in clients if one.app_id == client.app_id for each in one.delegated_permission_ids or ()}
    version = found.requested_access_token_version if found else None
    usable = kept is not None and kept.is_enabled and str(scope.id) in let_in
    if usable and version == wanted.requested_access_token_version:
        return None
    if kept is not None:
        kept.is_enabled = True
        scope = kept
    client.delegated_permission_ids = sorted(let_in | {str(scope.id)})
    return ApiApplication(
        requested_access_token_version=wanted.requested_access_token_version,
        oauth2_permission_scopes=[scope, *(each for each in scopes if each.id != scope.id)],
        pre_authorized_applications=[client, *(each for each in clients if each.app_id != client.app_id)],
    )


def _repair(found: Any, wanted: Any) -> tuple[Any, list[str]]:
    """Return the change that brings a registration up to date, and what of it changes. What others added stays."""
    from msgraph.generated.models.application import Application
    from msgraph.generated.models.public_client_application import PublicClientApplication
    from msgraph.generated.models.spa_application import SpaApplication

    change, named, ours = Application(), [], _role_facts(wanted)
    if ours != {value: facts for value, facts in _role_facts(found).items() if value in ours}:
        theirs = [each for each in found.app_roles or [] if each.value not in ours]
        change.app_roles = [*wanted.app_roles, *theirs]
        named.append("roles")
    change.api = _with_our_scope(found.api, wanted.api)
    if change.api is not None:
        named.append("sign-in")
    for name, kind in (("spa", SpaApplication), ("public_client", PublicClientApplication)):
        there = set(getattr(getattr(found, name), "redirect_uris", None) or ())
        all_of_them = there | set(getattr(wanted, name).redirect_uris)
        if all_of_them != there:
            setattr(change, name, kind(redirect_uris=sorted(all_of_them)))
            named.append("addresses")
    uri = f"api://{found.app_id}"
    if uri not in (found.identifier_uris or ()):
        change.identifier_uris = [*(found.identifier_uris or ()), uri]
        named.append("identifier URI")
    return change, named


async def register(
    directory: Directory, *, name: str, dashboard: str | None, event_grid: bool = False
) -> tuple[str, list[Line]]:
    """Register the API, or bring its registration up to date.

    Args:
        directory: Of the tenant.
        name: Of the registration.
        dashboard: Address that the web page's sign-in comes back to.
        event_grid: Event Grid may post events.

    Returns:
        The client id, and what was done.
    """
    wanted, lines = wanted_application(name, dashboard), []
    found = await directory.application(name)
    if found is None:
        first = wanted_application(name, dashboard)
        first.api.pre_authorized_applications = []  # they name the scope, which is not there yet
        found = await directory.make_application(first)
        lines.append(Line("made", "application", str(found.app_id)))
    change, named = _repair(found, wanted)
    if named:
        await once_known(lambda: directory.change_application(found.id, change))
        lines.append(Line("made", ", ".join(named), f"of {found.app_id}"))
    if not lines:
        lines.append(Line("kept", "application", str(found.app_id)))
    principal = await directory.service_principal(found.app_id)
    if principal is None:
        principal = await once_known(lambda: directory.make_service_principal(found.app_id, assigned_only=True))
        lines.append(Line("made", "service principal", "only people and programs with a role get a token"))
    if event_grid:
        lines.append(await _let_event_grid_post(directory, str(principal.id)))
    return str(found.app_id), lines


async def _let_event_grid_post(directory: Directory, api_id: str) -> Line:
    grid = await directory.service_principal(_EVENT_GRID) or await directory.make_service_principal(_EVENT_GRID)
    role = uuid.uuid5(_NAMESPACE, "role/Mms.Operate")
    given = await once_known(lambda: directory.assignments(str(grid.id)))
    has = {(str(each.resource_id), str(each.app_role_id)) for each in given}
    if (api_id, str(role)) in has:
        return Line("kept", "Event Grid", "may post events")
    await once_known(lambda: directory.assign(str(grid.id), api_id, role))
    return Line("made", "Event Grid", "may post events")
