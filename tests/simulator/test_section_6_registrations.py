"""Sections 2.6 and 6 of the fact sheet: what an app may do, and the registrations and consent it comes from."""

import re
import uuid

import httpx
import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.models.api_application import ApiApplication
from msgraph.generated.models.app_role import AppRole
from msgraph.generated.models.app_role_assignment import AppRoleAssignment
from msgraph.generated.models.application import Application
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.required_resource_access import RequiredResourceAccess
from msgraph.generated.models.resource_access import ResourceAccess
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.generated.service_principals.service_principals_request_builder import ServicePrincipalsRequestBuilder
from sdk_leftovers import clean
from simulator_support import meeting

from mms_simulator import permissions
from mms_simulator.front import Front
from mms_simulator.store import Store

GRAPH = "00000003-0000-0000-c000-000000000000"
CALENDARS = uuid.UUID("ef54d2bf-783f-4e0f-bca1-3210c0444d99")
USERS = uuid.UUID("df021288-bdef-4463-88db-98f22de89214")
OPERATE = {
    "id": "11111111-2222-4333-8444-555555555555", "allowedMemberTypes": ["User", "Application"], "value": "Mms.Operate",
    "displayName": "Operate", "description": "Start and stop migrations",
}  # fmt: skip


def named(text):
    """Ask for principals by a filter."""
    query = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(filter=text)
    return RequestConfiguration(query_parameters=query)


async def graph_principal(sdk):
    """Find Microsoft Graph's own service principal, as every script does."""
    return clean(await sdk.service_principals.get(named(f"appId eq '{GRAPH}'"))).value[0]


async def identity(tenant, name="mms"):
    """Make a managed identity, as Azure does."""
    return await tenant.control("POST", "identities", {"displayName": name})


async def token_of(tenant, app_id, resource="https://graph.microsoft.com"):
    """Sign in as a managed identity."""
    address = f"{tenant.base}/msi/token?resource={resource}&client_id={app_id}"
    answer = await tenant.client.get(address, headers={"X-IDENTITY-HEADER": "x"})
    return answer.json()["access_token"]


async def test_well_known_principals_offer_their_permissions(sdk, tenant):
    """Microsoft Graph and the Management APIs, with the ids that hold everywhere."""
    graph = await graph_principal(sdk)
    roles = {role.value: role.id for role in graph.app_roles}
    assert (roles["Calendars.ReadWrite"], roles["User.Read.All"]) == (CALENDARS, USERS)
    assert "https://graph.microsoft.com" in graph.service_principal_names
    again = clean(await sdk.service_principals_with_app_id(GRAPH).get())
    assert again.id == graph.id
    by_name = "servicePrincipalNames/any(n:n eq 'https://manage.office.com')"
    feed = clean(await sdk.service_principals.get(named(by_name))).value[0]
    assert {role.value for role in feed.app_roles} >= {"ActivityFeed.Read"}
    assert clean(await sdk.organization.get()).value[0].id == tenant.front.store.tenant_id


async def test_an_application_through_its_whole_life(sdk):
    """Register, describe, find, give it a principal, delete; the principal repeats what the application says."""
    made = clean(
        await sdk.applications.post(
            Application(
                display_name="MMS",
                required_resource_access=[
                    RequiredResourceAccess(
                        resource_app_id=GRAPH, resource_access=[ResourceAccess(id=CALENDARS, type="Role")]
                    )
                ],
            )
        )
    )
    role = AppRole(
        id=uuid.UUID(OPERATE["id"]),
        allowed_member_types=["User"],
        value="Mms.Operate",
        display_name="Operate",
        description="Start and stop",
        is_enabled=True,
    )
    await sdk.applications.by_application_id(made.id).patch(
        Application(
            identifier_uris=[f"api://{made.app_id}"],
            app_roles=[role],
            api=ApiApplication(requested_access_token_version=2),
        )
    )
    found = clean(await sdk.applications_with_app_id(made.app_id).get())
    assert (found.identifier_uris, found.api.requested_access_token_version) == ([f"api://{made.app_id}"], 2)
    query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(filter="displayName eq 'MMS'")
    rows = clean(await sdk.applications.get(RequestConfiguration(query_parameters=query))).value
    assert [row.id for row in rows] == [made.id]
    principal = clean(await sdk.service_principals.post(ServicePrincipal(app_id=made.app_id)))
    assert [each.value for each in principal.app_roles] == ["Mms.Operate"]
    assert set(principal.service_principal_names) == {f"api://{made.app_id}", made.app_id}
    with pytest.raises(ODataError) as caught:
        await sdk.service_principals.post(ServicePrincipal(app_id=made.app_id))
    assert caught.value.response_status_code == 409
    await sdk.applications.by_application_id(made.id).delete()
    assert clean(await sdk.service_principals.get(named(f"appId eq '{made.app_id}'"))).value == []


async def test_the_same_name_twice_makes_two_applications_but_a_unique_name_one(tenant):
    """Creation is not idempotent; the upsert by uniqueName is: 201, then 204, and 404 without the preference."""
    for _ in range(2):
        await tenant.graph("POST", "applications", {"displayName": "MMS"}, expect=201)
    assert len((await tenant.graph("GET", "applications?$filter=displayName eq 'MMS'"))["value"]) == 2
    path, create = "applications(uniqueName='mms')", {"Prefer": "create-if-missing"}
    assert (await tenant.raw("PATCH", path, {"displayName": "One"})).status_code == 404
    made = await tenant.graph("PATCH", path, {"displayName": "One"}, headers=create, expect=201)
    await tenant.graph("PATCH", path, {"displayName": "Other"}, headers=create, expect=204)
    assert (await tenant.graph("GET", path))["displayName"] == "Other"
    principal = f"servicePrincipals(appId='{made['appId']}')"
    await tenant.graph("PATCH", principal, {}, headers=create, expect=201)
    await tenant.graph("PATCH", principal, {}, headers=create, expect=204)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({}, "Request_BadRequest"),
        ({"displayName": "x", "identifierUris": ["api://mms"]}, "HostNameNotOnVerifiedDomain"),
        ({"displayName": "x", "identifierUris": ["https://fabrikam.example/mms"]}, "HostNameNotOnVerifiedDomain"),
        ({"displayName": "x", "appRoles": [{**OPERATE, "id": "1"}]}, "Request_BadRequest"),
        ({"displayName": "x", "appRoles": [{**OPERATE, "allowedMemberTypes": []}]}, "Request_BadRequest"),
        ({"displayName": "x", "appRoles": [{**OPERATE, "value": "two words"}]}, "Request_BadRequest"),
        ({"displayName": "x", "appRoles": [{**OPERATE, "description": None}]}, "Request_BadRequest"),
        ({"displayName": "x", "appRoles": [OPERATE, {**OPERATE, "id": GRAPH}]}, "Request_BadRequest"),
        ({"displayName": "x", "requiredResourceAccess": [{"resourceAccess": []}]}, "Request_BadRequest"),
        ({"displayName": 1}, "RequestBodyRead"),
    ],
)
async def test_registrations_that_cannot_be_are_refused(tenant, wrong, code):
    """No name, names in foreign domains, roles without what a role needs."""
    answer = await tenant.raw("POST", "applications", wrong)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_enabled_roles_are_disabled_before_they_go(tenant):
    """Else 400; and two applications cannot have the same identifier."""
    await tenant.user("ada")
    uri = "https://contoso.example/mms"
    given = {"displayName": "MMS", "appRoles": [OPERATE], "identifierUris": [uri]}
    app = await tenant.graph("POST", "applications", given, expect=201)
    path = f"applications/{app['id']}"
    for roles in ([], [{**OPERATE, "value": "Other"}]):
        answer = await tenant.raw("PATCH", path, {"appRoles": roles})
        assert answer.json()["error"]["code"] == "CannotDeleteOrUpdateEnabledEntitlement"
    await tenant.graph("PATCH", path, {"appRoles": app["appRoles"], "displayName": "Renamed"}, expect=204)
    await tenant.graph("PATCH", path, {"appRoles": [{**OPERATE, "isEnabled": False}]}, expect=204)
    await tenant.graph("PATCH", path, {"appRoles": []}, expect=204)
    other = await tenant.raw("POST", "applications", {"displayName": "x", "identifierUris": [uri]})
    assert other.status_code == 400


async def test_consent_is_given_once_and_taken_back(sdk, tenant):
    """Assignments of Graph's roles to a managed identity, seen from both ends; doubles are refused."""
    mms, graph = await identity(tenant), await graph_principal(sdk)
    wanted = AppRoleAssignment(
        principal_id=uuid.UUID(mms["id"]), resource_id=uuid.UUID(graph.id), app_role_id=CALENDARS
    )
    mine = sdk.service_principals.by_service_principal_id(mms["id"]).app_role_assignments
    made = clean(await mine.post(wanted))
    assert (made.principal_type, made.resource_display_name) == ("ServicePrincipal", "Microsoft Graph")
    with pytest.raises(ODataError) as caught:
        await mine.post(wanted)
    assert caught.value.response_status_code == 400
    assert caught.value.error.message.startswith("Permission being assigned already exists")
    theirs = sdk.service_principals.by_service_principal_id(graph.id).app_role_assigned_to
    assert [row.id for row in clean(await theirs.get()).value] == [made.id]
    wanted.app_role_id = USERS
    clean(await theirs.post(wanted))
    assert len(clean(await mine.get()).value) == 2
    await mine.by_app_role_assignment_id(made.id).delete()
    assert [row.app_role_id for row in clean(await mine.get()).value] == [USERS]


async def test_assignments_that_cannot_be_are_refused(tenant):
    """Unknown objects 404; unknown roles, roles for users only, the wrong object in the path 400."""
    ada, mms = await tenant.user("ada"), await identity(tenant)
    graph = (await tenant.graph("GET", f"servicePrincipals(appId='{GRAPH}')?$select=id"))["id"]
    path = f"servicePrincipals/{mms['id']}/appRoleAssignments"
    good = {"principalId": mms["id"], "resourceId": graph, "appRoleId": str(CALENDARS)}
    for change, status in (
        ({"resourceId": str(uuid.uuid4())}, 404),
        ({"appRoleId": str(uuid.uuid4())}, 400),
        ({"appRoleId": "Calendars.ReadWrite"}, 400),
        ({"principalId": ada["id"]}, 400),
    ):
        assert (await tenant.raw("POST", path, {**good, **change})).status_code == status
    mine = {**good, "principalId": ada["id"]}
    answer = await tenant.raw("POST", f"users/{ada['id']}/appRoleAssignments", mine)
    assert answer.status_code == 400, "a role for applications is not for users"


async def test_users_are_given_the_roles_of_our_own_application(tenant):
    """By users/{id}/appRoleAssignments."""
    ada = await tenant.user("ada")
    app = await tenant.graph("POST", "applications", {"displayName": "MMS", "appRoles": [OPERATE]}, expect=201)
    principal = await tenant.graph("POST", "servicePrincipals", {"appId": app["appId"]}, expect=201)
    path = f"users/{ada['id']}/appRoleAssignments"
    body = {"principalId": ada["id"], "resourceId": principal["id"], "appRoleId": OPERATE["id"]}
    made = await tenant.graph("POST", path, body, expect=201)
    assert (made["principalType"], made["principalDisplayName"]) == ("User", "ada")
    assert [row["id"] for row in (await tenant.graph("GET", path))["value"]] == [made["id"]]
    await tenant.graph("DELETE", f"{path}/{made['id']}", expect=204)


async def test_delegated_consent_is_listed(sdk, tenant):
    """oauth2PermissionGrants: one for each client and resource."""
    mms, graph = await identity(tenant), await graph_principal(sdk)
    body = {"clientId": mms["id"], "resourceId": graph.id, "consentType": "AllPrincipals", "scope": "User.Read"}
    made = await tenant.graph("POST", "oauth2PermissionGrants", body, expect=201)
    assert (await tenant.raw("POST", "oauth2PermissionGrants", body)).status_code == 409
    assert [row.scope for row in clean(await sdk.oauth2_permission_grants.get()).value] == ["User.Read"]
    own = await tenant.graph("GET", f"servicePrincipals/{mms['id']}/oauth2PermissionGrants")
    assert [row["id"] for row in own["value"]] == [made["id"]]
    await tenant.graph("DELETE", f"oauth2PermissionGrants/{made['id']}", expect=204)


async def test_switch_directory_delay_seconds(tenant):
    """What was just made is not seen yet: who looks first makes a double, and a principal has to wait."""

    async def make():
        if not (await tenant.graph("GET", "applications?$filter=displayName eq 'MMS'"))["value"]:
            return await tenant.graph("POST", "applications", {"displayName": "MMS"}, expect=201)
        return None

    assert await make()
    assert await make() is None
    await tenant.switch(directoryDelaySeconds=30)
    made = await make()
    answer = await tenant.raw("POST", "servicePrincipals", {"appId": made["appId"]})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["code"] == "NoBackingApplicationObject"
    assert (await tenant.raw("GET", f"applications/{made['id']}")).status_code == 404
    await tenant.control("POST", "clock", {"seconds": 31})
    assert len((await tenant.graph("GET", "applications?$filter=displayName eq 'MMS'"))["value"]) == 2
    await tenant.graph("POST", "servicePrincipals", {"appId": made["appId"]}, expect=201)


async def test_tokens_carry_the_roles_that_were_assigned(tenant):
    """For a principal that is there; an identity that nobody registered has the plain set."""
    mms = await identity(tenant)
    graph = (await tenant.graph("GET", f"servicePrincipals(appId='{GRAPH}')?$select=id"))["id"]

    async def roles():
        return tenant.front.sign_in.claims(
            f"Bearer {await token_of(tenant, mms['appId'])}", frozenset({"https://graph.microsoft.com"})
        )

    assert (await roles())["roles"] == []
    body = {"principalId": mms["id"], "resourceId": graph, "appRoleId": str(CALENDARS)}
    await tenant.graph("POST", f"servicePrincipals/{mms['id']}/appRoleAssignments", body)
    claims = await roles()
    assert (claims["roles"], claims["oid"], claims["appid"]) == (["Calendars.ReadWrite"], mms["id"], mms["appId"])
    wanted = await tenant.control("POST", "tokens", {"aud": "https://graph.microsoft.com", "appid": mms["appId"]})
    found = tenant.front.sign_in.claims(f"Bearer {wanted['token']}", frozenset({"https://graph.microsoft.com"}))
    assert found["roles"] == ["Calendars.ReadWrite"]


async def test_switch_enforce_permissions(tenant):
    """Without the role 403, with it the answer; off, nobody asks."""
    ada, mms = await tenant.user("ada"), await identity(tenant)
    graph = (await tenant.graph("GET", f"servicePrincipals(appId='{GRAPH}')"))["id"]

    async def events():
        headers = {"Authorization": f"Bearer {await token_of(tenant, mms['appId'])}"}
        async with httpx.AsyncClient(base_url=f"{tenant.base}/v1.0/", headers=headers) as client:
            return [
                (answer.status_code, answer.json().get("error", {}).get("code"))
                for answer in (
                    await client.get(f"users/{ada['id']}/events"),
                    await client.get("users"),
                    await client.post(f"users/{ada['id']}/events", json=meeting()),
                )
            ]

    assert await events() == [(200, None), (200, None), (201, None)]
    await tenant.switch(enforcePermissions=True)
    mail, people = (403, "ErrorAccessDenied"), (403, "Authorization_RequestDenied")
    assert await events() == [mail, people, mail]
    await tenant.switch(enforcePermissions=False)
    for role in ("798ee544-9d2d-430c-a058-570e29e34338", str(USERS)):  # Calendars.Read
        body = {"principalId": mms["id"], "resourceId": graph, "appRoleId": role}
        await tenant.graph("POST", f"servicePrincipals/{mms['id']}/appRoleAssignments", body)
    await tenant.switch(enforcePermissions=True)
    assert await events() == [(200, None), (200, None), mail]


async def test_subscriptions_and_the_feed_ask_for_their_permissions(tenant, receiver):
    """A subscription needs what its resource needs; the feed a permission of its own audience."""
    await tenant.switch(enforcePermissions=True)
    body = {"changeType": "updated", "resource": "users", "notificationUrl": receiver.url,
            "expirationDateTime": "2099-01-01T00:00:00Z"}  # fmt: skip
    answer = await tenant.raw("POST", "subscriptions", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ExtensionError")
    address = f"{tenant.base}/api/v1.0/{tenant.front.store.tenant_id}/activity/feed/subscriptions/list"
    for roles, status in (([], 403), (["ActivityFeed.Read"], 200)):
        given = await tenant.control("POST", "tokens", {"aud": "https://manage.office.com", "roles": roles})
        answer = await tenant.client.get(address, headers={"Authorization": f"Bearer {given['token']}"})
        assert answer.status_code == status


def test_every_route_asks_for_a_permission():
    """None is forgotten in the table, whatever the method; what nobody holds is refused everywhere."""
    front = Front(Store(), None)
    free = {"$batch"}
    open_routes = [
        f"{method} {pattern}"
        for method, pattern in front.graph.all()
        if not _refused(method, pattern) and pattern not in free and not pattern.startswith("subscriptions")
    ]
    assert open_routes == []
    named_in_table = {name for *_, names in permissions._NEEDED for name in names}
    assert named_in_table <= permissions.GRAPH_ROLES.keys()
    assert all(re.fullmatch(r"[0-9a-f-]{36}", each) for each in permissions.GRAPH_ROLES.values())


def _refused(method, pattern):
    try:
        permissions.require(method, pattern, [])
    except Exception:  # noqa: BLE001 - whatever it says
        return True
    return False
