"""Gives the service its rights, says what is in force, and changes nothing the second time.

    python infra/rights/rights.py register [--azd]     registers the API, its roles and its sign-in
    python infra/rights/rights.py grant    [--azd]     gives the identity what docs/permissions.md lists
    python infra/rights/rights.py check    [--azd]     changes nothing; names what is missing, or too much

Run by an administrator: registering takes Application Administrator, granting Privileged Role Administrator. Signs in
with the Azure CLI or azd session of whoever runs it. ``--azd`` takes tenant, names and ids from the azd environment and
stores MMS_API_AUDIENCE there; else they are options. ``--json`` prints one object a line.

Ends with 0 if everything is as it should be, with 1 if something is missing (``check``) or was refused, with 2 on bad
arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from permissions import MANAGEMENT_APP_ID, PERMISSIONS, Permission

from mms_core.clouds import CLOUDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential
    from msgraph.generated.models.app_role_assignment import AppRoleAssignment
    from msgraph.generated.models.service_principal import ServicePrincipal
    from msgraph.graph_service_client import GraphServiceClient

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

_PATIENCE_SECONDS: Final = 60.0
_SPREADING_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits until every replica of the directory knows what one of them has just made."""


class RightsError(Exception):
    """Something only a person can settle; the text says what."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report."""

    what: str
    """``kept``, ``made``, ``missing``, ``surplus`` or ``todo``."""
    subject: str
    detail: str = ""


class FromEnvironment:
    """A token that somebody put into MMS_GRAPH_TOKEN: for pipelines, and for trying this against the simulator."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return it as it is."""
        from azure.core.credentials import AccessToken

        return AccessToken(os.environ["MMS_GRAPH_TOKEN"], int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


@contextlib.asynccontextmanager
async def client(graph_url: str) -> AsyncIterator[GraphServiceClient]:
    """Give the unmodified SDK's client, signed in as whoever runs this, and close its connections."""
    import httpx
    from azure.identity.aio import (
        AzureCliCredential,
        AzureDeveloperCliCredential,
        ChainedTokenCredential,
    )
    from msgraph.graph_request_adapter import GraphRequestAdapter
    from msgraph.graph_service_client import GraphServiceClient
    from msgraph_core import GraphClientFactory
    from msgraph_core.authentication import AzureIdentityAuthenticationProvider

    credential: AsyncTokenCredential = (
        FromEnvironment()
        if "MMS_GRAPH_TOKEN" in os.environ
        else ChainedTokenCredential(AzureCliCredential(), AzureDeveloperCliCredential())
    )
    root = graph_url.rsplit("/v1.0", 1)[0]
    host = root.split("//", 1)[1].split(":", 1)[0]
    provider = AzureIdentityAuthenticationProvider(credential, scopes=[f"{root}/.default"], allowed_hosts=[host])
    # Graph's own transport does not pass the closing on to the one beneath it.
    async with credential, httpx.AsyncHTTPTransport() as connections:
        http = httpx.AsyncClient(transport=connections, timeout=_PATIENCE_SECONDS)
        adapter = GraphRequestAdapter(provider, GraphClientFactory.create_with_default_middleware(client=http))
        adapter.base_url = graph_url
        yield GraphServiceClient(request_adapter=adapter)


class Directory:
    """The part of Graph that this needs."""

    def __init__(self, graph: GraphServiceClient) -> None:
        self._graph = graph

    async def service_principal(self, app_id: str) -> ServicePrincipal | None:
        """Return what stands in this tenant for the application *app_id*."""
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.service_principals.service_principals_request_builder import (
            ServicePrincipalsRequestBuilder,
        )

        query = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(
            filter=f"appId eq '{app_id}'"
        )
        answer = await self._graph.service_principals.get(RequestConfiguration(query_parameters=query))
        found = (answer.value if answer else None) or []
        return found[0] if found else None

    async def make_service_principal(self, app_id: str, *, assigned_only: bool = False) -> ServicePrincipal:
        """Make it."""
        from msgraph.generated.models.service_principal import ServicePrincipal

        body = ServicePrincipal(app_id=app_id, app_role_assignment_required=assigned_only)
        made = await self._graph.service_principals.post(body)
        if made is None:
            raise RightsError(f"Graph made no service principal for {app_id}")
        return made

    async def application(self, name: str) -> Any:
        """Return the one registration of this name.

        Raises:
            RightsError: There are several; a guess would give the wrong one its roles.
        """
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.applications.applications_request_builder import (
            ApplicationsRequestBuilder,
        )

        query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
            filter=f"displayName eq '{name.replace(chr(39), chr(39) * 2)}'"
        )
        answer = await self._graph.applications.get(RequestConfiguration(query_parameters=query))
        found = (answer.value if answer else None) or []
        if len(found) > 1:
            raise RightsError(f"{len(found)} applications are called {name!r}; rename or delete all but one")
        return found[0] if found else None

    async def make_application(self, body: Any) -> Any:
        """Make it."""
        return await self._graph.applications.post(body)

    async def change_application(self, object_id: str, body: Any) -> None:
        """Change what *body* names."""
        await self._graph.applications.by_application_id(object_id).patch(body)

    async def assignments(self, principal_id: str) -> list[AppRoleAssignment]:
        """Return every app role that the principal has been given."""
        builder = self._graph.service_principals.by_service_principal_id(principal_id).app_role_assignments
        answer = await builder.get()
        found: list[AppRoleAssignment] = []
        while answer is not None:
            found += answer.value or []
            answer = await builder.with_url(answer.odata_next_link).get() if answer.odata_next_link else None
        return found

    async def assign(self, principal_id: str, resource_id: str, role: uuid.UUID) -> None:
        """Give the principal one app role of a resource."""
        from msgraph.generated.models.app_role_assignment import AppRoleAssignment

        body = AppRoleAssignment(
            principal_id=uuid.UUID(principal_id), resource_id=uuid.UUID(resource_id), app_role_id=role
        )
        builder = self._graph.service_principals.by_service_principal_id(principal_id)
        await builder.app_role_assignments.post(body)


# -- the API's registration ----------------------------------------------------------------------------------------


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


async def _once_known(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask for something about what was made a moment ago, again while a replica of the directory does not know it."""
    from kiota_abstractions.api_error import APIError

    for seconds in _SPREADING_SECONDS:
        try:
            return await ask()
        except APIError as error:
            text = str(getattr(getattr(error, "error", None), "message", ""))
            is_unknown = error.response_status_code == HTTPStatus.NOT_FOUND or "valid application object" in text
            if not is_unknown:
                raise
        await asyncio.sleep(seconds)
    return await ask()


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
        await _once_known(lambda: directory.change_application(found.id, change))
        lines.append(Line("made", ", ".join(named), f"of {found.app_id}"))
    if not lines:
        lines.append(Line("kept", "application", str(found.app_id)))
    principal = await directory.service_principal(found.app_id)
    if principal is None:
        principal = await _once_known(lambda: directory.make_service_principal(found.app_id, assigned_only=True))
        lines.append(Line("made", "service principal", "only people and programs with a role get a token"))
    if event_grid:
        lines.append(await _let_event_grid_post(directory, str(principal.id)))
    return str(found.app_id), lines


async def _let_event_grid_post(directory: Directory, api_id: str) -> Line:
    grid = await directory.service_principal(_EVENT_GRID) or await directory.make_service_principal(_EVENT_GRID)
    role = uuid.uuid5(_NAMESPACE, "role/Mms.Operate")
    given = await _once_known(lambda: directory.assignments(str(grid.id)))
    has = {(str(each.resource_id), str(each.app_role_id)) for each in given}
    if (api_id, str(role)) in has:
        return Line("kept", "Event Grid", "may post events")
    await _once_known(lambda: directory.assign(str(grid.id), api_id, role))
    return Line("made", "Event Grid", "may post events")


# -- the identity's rights ------------------------------------------------------------------------------------------


def permissions_of(cloud: str) -> tuple[Permission, ...]:
    """Return what the service uses in a cloud: one of them has no activity feed."""
    return tuple(each for each in PERMISSIONS if each.api != MANAGEMENT_APP_ID or CLOUDS[cloud].activity)


async def compare(
    directory: Directory, *, principal_id: str, tenant_wide: bool, notices: bool, cloud: str
) -> list[tuple[Line, Any]]:
    """Compare what the identity has with what it should have.

    Returns:
        A line for each permission; with a missing one that can be given, what would give it: resource id and role id.
    """
    wanted = permissions_of(cloud)
    has = {(str(each.resource_id), str(each.app_role_id)) for each in await directory.assignments(principal_id)}
    report: list[tuple[Line, Any]] = []
    known: set[tuple[str, str]] = set()
    for api in dict.fromkeys(each.api for each in wanted):
        resource = await directory.service_principal(api)
        if resource is None:
            missing = [each for each in wanted if each.api == api]
            report += [
                (Line("missing", each.value, f"of {api}, which is not in this tenant"), None) for each in missing
            ]
            continue
        roles = {each.value: each.id for each in resource.app_roles or []}
        for each in (one for one in wanted if one.api == api):
            role = roles.get(each.value)
            if role is None:
                report.append((Line("missing", each.value, f"{resource.display_name} does not offer it here"), None))
                continue
            known.add((str(resource.id), str(role)))
            granted = (str(resource.id), str(role)) in has
            report.append(
                (_judge(each, granted=granted, tenant_wide=tenant_wide, notices=notices), (resource.id, role))
            )
    surplus = sorted(each for each in has - known)
    report += [
        (Line("surplus", role, f"of {resource}: the service does not use it"), None) for resource, role in surplus
    ]
    return report


def _judge(permission: Permission, *, granted: bool, tenant_wide: bool, notices: bool) -> Line:
    if permission.value == "Mail.Send" and not notices and not granted:
        return Line("kept", permission.value, "not needed without a sender of notices")
    if permission.scoped_by == "exchange" and not tenant_wide:
        if granted:
            return Line("surplus", permission.value, "a tenant-wide consent defeats the scope in Exchange: remove it")
        return Line("todo", permission.value, "given for a scope, in Exchange (see below)")
    return Line("kept" if granted else "missing", permission.value, permission.why)


async def grant(directory: Directory, *, principal_id: str, tenant_wide: bool, notices: bool, cloud: str) -> list[Line]:
    """Give what is missing. A second run finds nothing to do."""
    lines = []
    for api in dict.fromkeys(each.api for each in permissions_of(cloud)):
        if await directory.service_principal(api) is None:
            await directory.make_service_principal(api)
            lines.append(Line("made", "service principal", f"of {api}"))
    facts = await compare(directory, principal_id=principal_id, tenant_wide=tenant_wide, notices=notices, cloud=cloud)
    for line, way in facts:
        if way is None or line.what != "missing":
            lines.append(line)
            continue
        resource, role = way
        await directory.assign(principal_id, str(resource), role)
        lines.append(Line("made", line.subject, line.detail))
    return lines


def commands(*, app_id: str, object_id: str, notices: str | None, cloud: str) -> str:
    """Return the PowerShell that no Graph call can replace, with the right ids."""
    exchange = {"usgov": "O365USGovGCCHigh", "usdod": "O365USGovDoD", "china": "O365China"}.get(cloud)
    teams = {"usgov": "TeamsGCCH", "usdod": "TeamsDOD", "china": "TeamsChina"}.get(cloud)
    roles = [each for each in PERMISSIONS if each.exchange_role and each.optional is None]
    lines = [
        "# Exchange Online: calendars of one group's members only. It takes up to two hours to be in force.",
        "Connect-ExchangeOnline" + (f" -ExchangeEnvironmentName {exchange}" if exchange else ""),
        f"New-ServicePrincipal -AppId {app_id} -ObjectId {object_id} -DisplayName 'Meeting migration service'",
        "$group = (Get-Group 'GROUP OF THE ORGANIZERS').DistinguishedName",
        "New-ManagementScope 'Meeting migration' -RecipientRestrictionFilter \"MemberOfGroup -eq '$group'\"",
        *(
            f"New-ManagementRoleAssignment -App {object_id} -Role '{each.exchange_role}' "
            "-CustomResourceScope 'Meeting migration'"
            for each in roles
        ),
    ]
    if notices:
        lines += [
            (
                "New-ManagementScope 'Migration notices' "
                f"-RecipientRestrictionFilter \"PrimarySmtpAddress -eq '{notices.replace(chr(39), chr(39) * 2)}'\""
            ),
            (
                f"New-ManagementRoleAssignment -App {object_id} -Role 'Application Mail.Send' "
                "-CustomResourceScope 'Migration notices'"
            ),
        ]
    lines += [
        f"Test-ServicePrincipalAuthorization -Identity {object_id} -Resource SOMEBODY",
        "",
        "# Teams: online meetings on behalf of people. Takes up to 30 minutes.",
        "Connect-MicrosoftTeams" + (f" -TeamsEnvironmentName {teams}" if teams else ""),
        f"New-CsApplicationAccessPolicy -Identity MeetingMigration -AppIds '{app_id}'",
        "Grant-CsApplicationAccessPolicy -PolicyName MeetingMigration -Global   # or -Identity PERSON, one by one",
    ]
    return "\n".join(lines)


# -- the command line -------------------------------------------------------------------------------------------------


def _azd() -> dict[str, str]:
    answer = subprocess.run(["azd", "env", "get-values", "--output", "json"], check=True, capture_output=True)
    values: dict[str, str] = json.loads(answer.stdout)
    return values


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the arguments; ``--azd`` fills what is not given."""
    parser = argparse.ArgumentParser(
        prog="python infra/rights/rights.py", description="Give the meeting migration service its rights."
    )
    parser.add_argument("command", choices=("register", "grant", "check"))
    parser.add_argument(
        "--azd", action="store_true", help="take ids from the azd environment, keep MMS_API_AUDIENCE there"
    )
    parser.add_argument("--cloud", choices=sorted(CLOUDS), help="the tenant's cloud (default: public)")
    parser.add_argument("--graph-url", help="root of Graph, for a simulated tenant (default: the cloud's)")
    parser.add_argument("--name", help="name of the registration (default: Meeting migration service ENVIRONMENT)")
    parser.add_argument("--url", help="address of the deployed API, for the web page's sign-in")
    parser.add_argument("--principal-id", help="object id of the identity's service principal")
    parser.add_argument("--client-id", help="client id of the identity")
    parser.add_argument("--notice-sender", help="mailbox that notices come from")
    parser.add_argument(
        "--tenant-wide", action="store_true", help="calendars of the whole tenant, without an Exchange scope"
    )
    parser.add_argument("--event-grid", action="store_true", help="let Event Grid post events of a partner topic")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    values = _azd() if options.azd else {}
    options.cloud = options.cloud or values.get("MMS_CLOUD") or "public"
    options.graph_url = options.graph_url or f"{CLOUDS[options.cloud].graph}/v1.0"
    environment = values.get("AZURE_ENV_NAME", "")
    options.name = options.name or f"Meeting migration service {environment}".strip()
    options.url = options.url or values.get("MMS_URL")
    options.principal_id = options.principal_id or values.get("MMS_IDENTITY_PRINCIPAL_ID")
    options.client_id = options.client_id or values.get("MMS_IDENTITY_CLIENT_ID")
    options.notice_sender = options.notice_sender or values.get("MMS_NOTICE_SENDER")
    options.event_grid = options.event_grid or values.get("MMS_EVENT_GRID_PARTNER") == "true"
    if options.command != "register" and not (options.principal_id and options.client_id):
        parser.error(f"{options.command} needs --principal-id and --client-id, or --azd after azd provision")
    return options


async def run(options: argparse.Namespace) -> tuple[int, list[Line], str]:
    """Do it. Returns the exit code, the report, and what is left to do in PowerShell."""
    async with client(options.graph_url) as graph:
        return await _run(Directory(graph), options)


async def _run(directory: Directory, options: argparse.Namespace) -> tuple[int, list[Line], str]:
    if options.command == "register":
        dashboard = f"{options.url.rstrip('/')}/dashboard" if options.url else None
        app_id, lines = await register(directory, name=options.name, dashboard=dashboard, event_grid=options.event_grid)
        return 0, [*lines, Line("kept", "MMS_API_AUDIENCE", app_id)], ""
    facts = {
        "principal_id": options.principal_id,
        "tenant_wide": options.tenant_wide,
        "notices": bool(options.notice_sender),
        "cloud": options.cloud,
    }
    if options.command == "grant":
        lines = await grant(directory, **facts)
    else:
        lines = [line for line, _ in await compare(directory, **facts)]
    wrong = any(line.what == "missing" for line in lines) or (
        options.command == "check" and any(line.what == "surplus" for line in lines)
    )
    text = commands(
        app_id=options.client_id,
        object_id=options.principal_id,
        notices=options.notice_sender,
        cloud=options.cloud,
    )
    return int(wrong), lines, text


def main(argv: list[str]) -> int:
    """Run one command and print its report."""
    options = parse(argv)
    from kiota_abstractions.api_error import APIError

    try:
        code, lines, text = asyncio.run(run(options))
    except RightsError as error:
        print(error, file=sys.stderr)
        return 1
    except APIError as error:
        said = getattr(getattr(error, "error", None), "message", None) or error
        print(f"Graph refused ({error.response_status_code}): {said}", file=sys.stderr)
        print("Whoever runs this needs the directory roles that the head of this file names.", file=sys.stderr)
        return 1
    if options.command == "register" and options.azd:
        subprocess.run(["azd", "env", "set", lines[-1].subject, lines[-1].detail], check=True)
    for line in lines:
        if options.json:
            print(json.dumps({"what": line.what, "subject": line.subject, "detail": line.detail}))
        else:
            print(f"{line.what:8} {line.subject:34} {line.detail}")
    if text and not options.json:
        print(f"\n{text}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
