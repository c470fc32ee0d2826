"""Section 6 of the fact sheet: users, licences, policies, delta, audits, the activity feed."""

import asyncio
from typing import ClassVar

import httpx
import pytest
from simulator_support import AUDIO

TEAMS_POLICIES = "admin/teams/userConfigurations"


@pytest.fixture
async def ada(tenant):
    """Ada, without anything beyond a mailbox and Teams."""
    return await tenant.user("ada")


@pytest.fixture
async def feed(tenant):
    """The activity feed with a token of its own audience."""
    token = (await tenant.control("POST", "tokens", {"aud": "https://manage.office.com"}))["token"]
    tid = tenant.front.store.tenant_id
    base = f"{tenant.base}/api/v1.0/{tid}/activity/feed/"
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def state(user, plan=AUDIO):
    """Give the capability state of a plan."""
    return [row["capabilityStatus"] for row in user["assignedPlans"] if row["servicePlanId"] == plan]


async def test_licences_leave_deleted_entries(tenant, ada):
    """6.1: assignedPlans keeps what was taken away, licenseDetails shows what there is; both only with $select."""
    assert "assignedPlans" not in await tenant.graph("GET", f"users/{ada['id']}")
    assert state(ada) == []
    act = {"user": "ada@contoso.example", "plans": [AUDIO]}
    assert state(await tenant.control("POST", "actions/assignLicense", act)) == ["Enabled"]
    details = (await tenant.graph("GET", f"users/{ada['id']}/licenseDetails"))["value"]
    assert [row["skuPartNumber"] for row in details] == ["SPE_E3", "MCOMEETADV"]
    assert state(await tenant.control("POST", "actions/removeLicense", act)) == ["Deleted"]
    assert len((await tenant.graph("GET", f"users/{ada['id']}/licenseDetails"))["value"]) == 1
    assert state(await tenant.control("POST", "actions/assignLicense", act)) == ["Enabled"]


async def test_a_disabled_plan_is_not_licensed(tenant, ada):
    """6.1: the licence says so, assignedPlans and licenseDetails too, and there is no dial-in."""
    path, sku = f"users/{ada['id']}", "0c266dff-15dd-4b49-8397-2bb16070ed52"
    for disabled, dial_in in (([], True), ([AUDIO], False), ([], True)):
        body = {"addLicenses": [{"skuId": sku, "disabledPlans": disabled}], "removeLicenses": []}
        await tenant.graph("POST", f"{path}/assignLicense", body)
        shown = await tenant.graph("GET", f"{path}?$select=assignedLicenses,assignedPlans,licenseAssignmentStates")
        assert {"skuId": sku, "disabledPlans": disabled} in shown["assignedLicenses"]
        assert ("Enabled" in state(shown)) is dial_in
        details = (await tenant.graph("GET", f"{path}/licenseDetails"))["value"]
        (plan,) = next(row["servicePlans"] for row in details if row["skuId"] == sku)
        assert plan["provisioningStatus"] == ("Success" if dial_in else "Disabled")
        meeting = await tenant.graph("POST", f"{path}/onlineMeetings", {})
        assert ("audioConferencing" in meeting) is dial_in


@pytest.mark.parametrize(
    ("sku", "plan"),
    [
        ("0c266dff-15dd-4b49-8397-2bb16070ed52", AUDIO),
        ("c2cda955-3359-44e5-989f-852ca0cfa02f", AUDIO),
        ("2d3091c7-0712-488b-b3d8-6b97bde6a1f5", AUDIO),
        ("df9561a4-4969-4e6a-8e73-c601b68ec077", "bb038288-76ab-49d6-afc1-eaa6c222c65a"),
        ("1c27243e-fb4d-42b1-ae8c-fe25c9616588", "9974d6cf-cd24-4ba2-921c-e2aa687da846"),
        ("05e9a617-0261-4cee-bb44-138d3ef5d965", "57ff2da0-773e-42df-b2af-ffb7a2317929"),
    ],
)
async def test_a_licence_brings_its_plans_and_takes_them_along(tenant, ada, sku, plan):
    """6.2; a licence that is not there cannot be taken."""
    path = f"users/{ada['id']}"
    for body, expected in (
        ({"addLicenses": [{"skuId": sku}], "removeLicenses": []}, ["Enabled"]),
        ({"addLicenses": [], "removeLicenses": [sku]}, ["Deleted"]),
    ):
        await tenant.graph("POST", f"{path}/assignLicense", body)
        assert state(await tenant.graph("GET", f"{path}?$select=assignedPlans"), plan) == expected
    body = {"addLicenses": [], "removeLicenses": [sku]}
    assert (await tenant.raw("POST", f"{path}/assignLicense", body)).status_code == 400


async def test_users_answer_to_id_name_and_sip_address(tenant, ada):
    """And to the new SIP address after a change, no longer to the old one."""
    for name in (ada["id"], "ada@contoso.example", "ADA@contoso.example", "sip:ada@contoso.example"):
        assert (await tenant.graph("GET", f"users/{name}"))["id"] == ada["id"]
    await tenant.control("POST", "actions/changeSipAddress", {"user": ada["id"], "sip": "sip:ada@new.example"})
    assert (await tenant.graph("GET", "users/sip:ada@new.example"))["id"] == ada["id"]
    answer = await tenant.raw("GET", "users/nobody@contoso.example")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "Request_ResourceNotFound")


async def test_users_are_listed_in_pages_and_filtered(tenant, ada):
    """6.3: ``$top`` up to 999, ``$filter`` on plain properties and plans."""
    await tenant.control(
        "POST", "users", [{"userPrincipalName": f"u{number:03d}@contoso.example"} for number in range(119)]
    )
    page = await tenant.graph("GET", "users?$count=true")
    assert (len(page["value"]), page["@odata.count"]) == (100, 120)
    rest = await tenant.graph("GET", page["@odata.nextLink"].removeprefix(f"{tenant.base}/v1.0/"))
    assert len(rest["value"]) == 20
    assert (await tenant.raw("GET", "users?$top=1000")).status_code == 400
    await tenant.control("POST", "actions/assignLicense", {"user": ada["id"], "plans": [AUDIO]})
    condition = f"assignedPlans/any(p:p/servicePlanId eq {AUDIO} and p/capabilityStatus eq 'Enabled')"
    for text in (condition, "userPrincipalName eq 'ada@contoso.example'", f"id in ('{ada['id']}')"):
        rows = (await tenant.graph("GET", "users", params={"$filter": text, "$select": "id"}))["value"]
        assert rows == [{"id": ada["id"]}]
    text = "startswith(userPrincipalName,'u11') and accountEnabled eq true"
    rows = (await tenant.graph("GET", "users", params={"$filter": text, "$orderby": "displayName desc"}))["value"]
    assert rows[0]["displayName"] == "u118"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?$select=nonsense", "BadRequest"),
        ("/ada@contoso.example?$select=nonsense", "BadRequest"),
        ("/delta?$select=nonsense", "BadRequest"),
        ("?$filter=nonsense eq 'a'", "BadRequest"),
        ("?$filter=contains(displayName,'a')", "Request_UnsupportedQuery"),
        ("?$filter=displayName ne 'a'", "Request_UnsupportedQuery"),
        ("?$filter=not (displayName eq 'a')", "Request_UnsupportedQuery"),
        ("?$skip=1", "Request_UnsupportedQuery"),
        ("/$count", "Request_BadRequest"),
    ],
)
async def test_what_users_cannot_be_asked(tenant, ada, query, code):
    """Names that are none, and queries that the directory does not know or only with ConsistencyLevel: eventual."""
    answer = await tenant.raw("GET", f"users{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_properties_that_do_not_exist_are_neither_written_nor_looked_for(tenant, ada):
    """Of users, and of audits."""
    answer = await tenant.raw("PATCH", f"users/{ada['id']}", {"nonsense": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Request_BadRequest")
    assert (await tenant.raw("GET", "auditLogs/directoryAudits?$filter=nonsense eq 'x'")).status_code == 400


async def test_advanced_queries_say_so(tenant, ada):
    """``ConsistencyLevel: eventual``."""
    advanced = {"ConsistencyLevel": "eventual"}
    assert (await tenant.raw("GET", "users/$count", headers=advanced)).text == "1"
    rows = await tenant.graph("GET", "users?$filter=displayName ne 'x'&$count=true", headers=advanced)
    assert [row["id"] for row in rows["value"]] == [ada["id"]]


async def test_users_change_through_graph_as_well(tenant, ada):
    """AssignLicense by SKU, PATCH of the profile, DELETE."""
    path = f"users/{ada['id']}"
    sku = "0c266dff-15dd-4b49-8397-2bb16070ed52"
    await tenant.graph("POST", f"{path}/assignLicense", {"addLicenses": [{"skuId": sku}], "removeLicenses": []})
    assert state(await tenant.graph("GET", f"{path}?$select=assignedPlans")) == ["Enabled"]
    await tenant.graph("POST", f"{path}/assignLicense", {"addLicenses": [], "removeLicenses": [sku]})
    assert state(await tenant.graph("GET", f"{path}?$select=assignedPlans")) == ["Deleted"]
    await tenant.graph("PATCH", path, {"jobTitle": "Countess", "displayName": "Ada L"}, expect=204)
    shown = await tenant.graph("GET", path)
    assert (shown["jobTitle"], shown["displayName"]) == ("Countess", "Ada L")
    await tenant.graph("DELETE", path, expect=204)
    assert (await tenant.raw("GET", path)).status_code == 404
    assert (await tenant.raw("POST", f"{path}/assignLicense", {"addLicenses": [1]})).status_code in {400, 404}


async def test_kinds_of_mailboxes(tenant):
    """Guests, rooms, shared mailboxes, people still on-premises."""
    await tenant.user("room", mailboxKind="room")
    guest = await tenant.user("guest_fabrikam.example#EXT#", userType="Guest")
    old = await tenant.user("old", homed="onPremises", mailbox="onPremises")
    settings = await tenant.graph("GET", "users/room@contoso.example/mailboxSettings")
    assert settings["userPurpose"] == "room"
    assert (await tenant.graph("GET", f"{TEAMS_POLICIES}/{guest['id']}"))["accountType"] == "guest"
    assert (await tenant.graph("GET", f"{TEAMS_POLICIES}/{old['id']}"))["accountType"] == "sfbOnPremUser"
    assert (await tenant.graph("GET", f"users/{old['id']}?$select=onPremisesSyncEnabled"))["onPremisesSyncEnabled"]


class TestGroups:
    """6: memberships, for lists of groups."""

    SALES, EMEA, OTHER = (f"{number:08d}-0000-4000-8000-000000000000" for number in (1, 2, 3))

    @pytest.fixture
    async def ada(self, tenant):
        """Ada is in Sales, and Sales is in EMEA."""
        await tenant.control("POST", "groups", {"id": self.SALES, "displayName": "Sales", "memberOf": [self.EMEA]})
        return await tenant.user("ada", groups=[self.SALES])

    async def test_nested_memberships_are_found(self, tenant, ada):
        """By checkMemberGroups, checkMemberObjects, getMemberGroups and transitiveMemberOf."""
        base = f"users/{ada['id']}"
        asked = [self.EMEA.upper(), self.OTHER, self.SALES]
        for action, name in (("checkMemberGroups", "groupIds"), ("checkMemberObjects", "ids")):
            found = (await tenant.graph("POST", f"{base}/{action}", {name: asked}))["value"]
            assert found == [self.EMEA, self.SALES]
        every = await tenant.graph("POST", f"{base}/getMemberGroups", {"securityEnabledOnly": False})
        assert every["value"] == [self.SALES, self.EMEA]
        direct = (await tenant.graph("GET", f"{base}/memberOf"))["value"]
        assert [(row["@odata.type"], row["displayName"]) for row in direct] == [("#microsoft.graph.group", "Sales")]
        nested = (await tenant.graph("GET", f"{base}/transitiveMemberOf?$select=id"))["value"]
        assert [row["id"] for row in nested] == [self.SALES, self.EMEA]

    async def test_groups_are_listed_with_their_members(self, tenant, ada):
        """Those that nobody described as well."""
        rows = (await tenant.graph("GET", "groups"))["value"]
        assert [row["displayName"] for row in rows] == ["Sales", self.EMEA]
        members = (await tenant.graph("GET", f"groups/{self.EMEA}/transitiveMembers"))["value"]
        assert [row["id"] for row in members] == [ada["id"]]
        assert (await tenant.graph("GET", f"groups/{self.EMEA}/members"))["value"] == []
        assert (await tenant.raw("GET", f"groups/{self.OTHER}")).status_code == 404

    async def test_memberships_change(self, tenant, ada):
        """The action replaces them."""
        await tenant.control("POST", "actions/setGroups", {"user": ada["id"], "groups": [self.OTHER]})
        every = await tenant.graph("POST", f"users/{ada['id']}/getMemberObjects", {"securityEnabledOnly": True})
        assert every["value"] == [self.OTHER]

    @pytest.mark.parametrize("wrong", [{}, {"groupIds": ["sales"]}, {"groupIds": [SALES] * 21}, {"groupIds": "x"}])
    async def test_what_cannot_be_checked_is_refused(self, tenant, ada, wrong):
        """No ids, no GUIDs, more than twenty."""
        assert (await tenant.raw("POST", f"users/{ada['id']}/checkMemberGroups", wrong)).status_code == 400


class TestDelta:
    """6.3: users/delta."""

    async def follow(self, tenant, link):
        """Read a round to its end: the ids, and where to go on."""
        found = []
        while True:
            page = await tenant.graph("GET", link.removeprefix(f"{tenant.base}/v1.0/"))
            found += page["value"]
            if "@odata.deltaLink" in page:
                return found, page["@odata.deltaLink"]
            link = page["@odata.nextLink"]

    async def test_changes_since_a_token(self, tenant, ada):
        """First everybody, then who has changed, then who is gone."""
        await tenant.control(
            "POST", "users", [{"userPrincipalName": f"u{number}@contoso.example"} for number in range(120)]
        )
        rows, link = await self.follow(tenant, "users/delta?$select=id,displayName,jobTitle")
        assert len(rows) == 121
        assert (await self.follow(tenant, link))[0] == []
        await tenant.control("POST", "actions/editProfile", {"user": ada["id"]})
        rows, link = await self.follow(tenant, link)
        assert [row["id"] for row in rows] == [ada["id"]]
        await tenant.control("DELETE", f"users/{ada['id']}")
        rows, link = await self.follow(tenant, link)
        assert rows == [{"id": ada["id"], "@removed": {"reason": "changed"}}]

    async def test_latest_gives_only_the_place_to_go_on_from(self, tenant, ada):
        """``$deltatoken=latest``."""
        rows, link = await self.follow(tenant, "users/delta?$deltatoken=latest")
        assert rows == []
        await tenant.control("POST", "actions/editProfile", {"user": ada["id"]})
        assert len((await self.follow(tenant, link))[0]) == 1

    async def test_switch_delta_misses_licences(self, tenant, ada):
        """6.3: licence changes may not be tracked."""
        act = {"user": ada["id"], "plans": [AUDIO]}
        _, link = await self.follow(tenant, "users/delta")
        await tenant.control("POST", "actions/assignLicense", act)
        rows, link = await self.follow(tenant, link)
        assert len(rows) == 1
        await tenant.switch(deltaMissesLicences=True)
        await tenant.control("POST", "actions/removeLicense", act)
        assert (await self.follow(tenant, link))[0] == []

    async def test_switch_delta_replays(self, tenant, ada):
        """6.3: what was said comes again."""
        _, link = await self.follow(tenant, "users/delta?$deltatoken=latest")
        await tenant.control("POST", "actions/editProfile", {"user": ada["id"]})
        rows, link = await self.follow(tenant, link)
        assert len(rows) == 1
        assert (await self.follow(tenant, link))[0] == []
        await tenant.switch(deltaReplays=True)
        assert len((await self.follow(tenant, link))[0]) == 1

    async def test_switch_delta_gone(self, tenant):
        """6.3: 410 with Location; also by itself after seven days."""
        _, link = await self.follow(tenant, "users/delta")
        path = link.removeprefix(f"{tenant.base}/v1.0/")
        await tenant.switch(deltaGone=True)
        answer = await tenant.raw("GET", path)
        assert answer.status_code == 410
        assert answer.headers["Location"].startswith(f"{tenant.base}/v1.0/users/delta")
        await tenant.switch(deltaGone=False)
        await tenant.graph("GET", path)
        await tenant.control("POST", "clock", {"advanceSeconds": 8 * 86_400})
        assert (await tenant.raw("GET", path)).status_code == 410

    async def test_only_ids_may_be_filtered(self, tenant, ada):
        """Up to fifty of them."""
        await tenant.user("bob")
        rows, _ = await self.follow(tenant, f"users/delta?$filter=id eq '{ada['id']}'")
        assert [row["id"] for row in rows] == [ada["id"]]
        for wrong in ("displayName eq 'x'", f"id ne '{ada['id']}'", f"id eq '{ada['id']}' and id eq '{ada['id']}'"):
            assert (await tenant.raw("GET", f"users/delta?$filter={wrong}")).status_code == 400

    async def test_only_changes_of_what_was_selected_are_told(self, tenant, ada):
        """6.3; what lies outside the directory's own store is shown, but its changes are not."""
        _, plans = await self.follow(tenant, "users/delta?$select=assignedPlans")
        _, states = await self.follow(tenant, "users/delta?$select=licenseAssignmentStates")
        await tenant.control("POST", "actions/editProfile", {"user": ada["id"]})
        assert (await self.follow(tenant, plans))[0] == []
        await tenant.control("POST", "actions/assignLicense", {"user": ada["id"], "plans": [AUDIO]})
        assert [row.keys() for row in (await self.follow(tenant, plans))[0]] == [{"id", "assignedPlans"}]
        assert (await self.follow(tenant, states))[0] == []
        bob = await tenant.user("bob")
        for link in (plans, states):
            assert bob["id"] in {row["id"] for row in (await self.follow(tenant, link))[0]}

    async def test_minimal_answers_hold_what_has_changed(self, tenant, ada):
        """6.3: ``Prefer: return=minimal``."""
        _, link = await self.follow(tenant, "users/delta?$select=displayName,jobTitle")
        await tenant.control("POST", "actions/editProfile", {"user": ada["id"]})
        for prefer, names in (
            ({}, {"id", "displayName", "jobTitle"}),
            ({"Prefer": "return=minimal"}, {"id", "jobTitle"}),
        ):
            answer = await tenant.client.get(link, headers=prefer)
            assert [row.keys() for row in answer.json()["value"]] == [names]
            assert answer.headers.get("Preference-Applied") == prefer.get("Prefer")


class TestPolicies:
    """6.4: Teams user configurations."""

    async def shown(self, tenant, user):
        """Give the upgrade policy of a user as (name, kind)."""
        rows = (await tenant.graph("GET", f"{TEAMS_POLICIES}/{user['id']}"))["effectivePolicyAssignments"]
        return [(row["policyAssignment"]["displayName"], row["policyAssignment"]["assignmentType"]) for row in rows]

    async def test_only_a_grant_to_the_user_is_direct(self, tenant, ada):
        """Tenant-wide grants are inherited by all who have no own."""
        bob = await tenant.user("bob", mode="SfBOnly")
        assert await self.shown(tenant, bob) == [("SfBOnly", "group")]
        await tenant.control("POST", "actions/grantPolicy", {"user": ada["id"], "mode": "TeamsOnly"})
        await tenant.control("POST", "actions/grantPolicy", {"tenant": True, "mode": "Islands"})
        assert await self.shown(tenant, ada) == [("TeamsOnly", "direct")]
        assert await self.shown(tenant, bob) == [("Islands", "group")]
        late = await tenant.user("late")
        assert await self.shown(tenant, late) == [("Islands", "group")]

    async def test_switch_inherited_policies(self, tenant, ada):
        """6.4: what is not assigned directly is listed as of a group, or not at all."""
        assert await self.shown(tenant, ada) == [("Islands", "group")]
        await tenant.switch(inheritedPolicies="omit")
        assert await self.shown(tenant, ada) == []
        await tenant.control("POST", "actions/grantPolicy", {"user": ada["id"], "mode": "TeamsOnly"})
        assert await self.shown(tenant, ada) == [("TeamsOnly", "direct")]

    async def test_switch_upgrade_policy_names(self, tenant, ada):
        """6.4: by mode, or by policy instance."""
        await tenant.control("POST", "actions/grantPolicy", {"user": ada["id"], "mode": "TeamsOnly"})
        for position, name in (("mode", "TeamsOnly"), ("instance", "UpgradeToTeams")):
            await tenant.switch(upgradePolicyNames=position)
            assert await self.shown(tenant, ada) == [(name, "direct")]

    async def test_switch_user_configuration_wrapped(self, tenant, ada):
        """6.4: one configuration, or one inside value."""
        path = f"{TEAMS_POLICIES}/{ada['id']}?$select=accountType"
        assert await tenant.graph("GET", path) == {"id": ada["id"], "accountType": "user"}
        await tenant.switch(userConfigurationWrapped=True)
        assert (await tenant.graph("GET", path))["value"]["accountType"] == "user"

    async def test_switch_configurations_top(self, tenant):
        """6.4: $top is the size of a page, or all that is wanted; a preferred size is heeded, or is not."""
        for name in ("bob", "cem", "dan"):
            await tenant.user(name)
        everybody = (await tenant.graph("GET", TEAMS_POLICIES))["value"]
        assert len(everybody) >= 3
        prefer = {"Prefer": "odata.maxpagesize=2"}
        for asked in ({"url": f"{TEAMS_POLICIES}?$top=2"}, {"url": TEAMS_POLICIES, "headers": prefer}):
            page = await tenant.graph("GET", asked["url"], headers=asked.get("headers"))
            assert len(page["value"]) == 2
            assert "@odata.nextLink" in page
        assert (await tenant.raw("GET", TEAMS_POLICIES, headers=prefer)).headers["Preference-Applied"]
        await tenant.switch(configurationsTop="total")
        page = await tenant.graph("GET", f"{TEAMS_POLICIES}?$top=2")
        assert page["value"] == everybody[:2]
        assert "@odata.nextLink" not in page
        page = await tenant.graph("GET", f"{TEAMS_POLICIES}?$top=1&$filter=id eq '{everybody[2]['id']}'")
        assert page["value"] == [everybody[2]]
        answer = await tenant.raw("GET", TEAMS_POLICIES, headers=prefer)
        assert answer.json()["value"] == everybody
        assert "Preference-Applied" not in answer.headers

    async def test_a_move_changes_mode_and_account(self, tenant):
        """T1, T2: to the cloud with and without MoveToTeams, and back."""
        old = await tenant.user("old", homed="onPremises")
        await tenant.control(
            "POST", "actions/moveUser", {"user": old["id"], "direction": "toCloud", "moveToTeams": True}
        )
        assert await self.shown(tenant, old) == [("TeamsOnly", "direct")]
        await tenant.control("POST", "actions/moveUser", {"user": old["id"], "direction": "toOnPremises"})
        row = await tenant.graph("GET", f"{TEAMS_POLICIES}/{old['id']}")
        assert row["accountType"] == "sfbOnPremUser"


class TestAudits:
    """6.3 and 6.5."""

    ACT: ClassVar = {"user": "ada@contoso.example", "plans": [AUDIO]}
    PATH = "auditLogs/directoryAudits"

    async def test_a_licence_change_leaves_two_records(self, tenant, ada):
        """Both found by a filter as well."""
        await tenant.control("POST", "actions/assignLicense", self.ACT)
        rows = (await tenant.graph("GET", self.PATH))["value"]
        assert {row["activityDisplayName"] for row in rows} == {"Change user license.", "Update user."}
        assert rows[0]["targetResources"][0]["id"] == ada["id"]
        text = "activityDateTime ge 2020-01-01T00:00:00Z and activityDisplayName eq 'Change user license.'"
        assert len((await tenant.graph("GET", self.PATH, params={"$filter": text}))["value"]) == 1

    @pytest.mark.usefixtures("ada")
    async def test_switch_audit_delay_seconds(self, tenant):
        """Records are there at once, or late."""
        await tenant.control("POST", "actions/assignLicense", self.ACT)
        assert len((await tenant.graph("GET", self.PATH))["value"]) == 2
        await tenant.switch(auditDelaySeconds=3600)
        assert (await tenant.graph("GET", self.PATH))["value"] == []
        await tenant.control("POST", "clock", {"advanceSeconds": 3601})
        assert len((await tenant.graph("GET", self.PATH))["value"]) == 2

    async def test_switch_audit_missing(self, tenant, ada):
        """6.3: or never; the directory still tells the truth."""
        await tenant.control("POST", "actions/assignLicense", self.ACT)
        assert len((await tenant.graph("GET", self.PATH))["value"]) == 2
        await tenant.switch(auditMissing=True)
        await tenant.control("POST", "actions/removeLicense", self.ACT)
        assert len((await tenant.graph("GET", self.PATH))["value"]) == 2
        assert state(await tenant.graph("GET", f"users/{ada['id']}?$select=assignedPlans")) == ["Deleted"]


class TestFeed:
    """6.6: the Management Activity API."""

    async def start(self, feed, url, content_type="Audit.General"):
        """Start a content type with a webhook."""
        body = {"webhook": {"address": url, "authId": "mine", "expiration": ""}}
        return await feed.post(f"subscriptions/start?contentType={content_type}&PublisherIdentifier=x", json=body)

    async def test_the_webhook_is_validated_first(self, feed, receiver):
        """By headers and body; without a 200 there is no subscription."""
        receiver.echo = False
        assert (await self.start(feed, receiver.url)).status_code == 400
        assert (await feed.get("subscriptions/list")).json() == []
        receiver.echo = True
        assert (await self.start(feed, receiver.url)).json()["status"] == "enabled"
        headers, body = receiver.calls[-1]
        assert headers["Webhook-ValidationCode"] == body["validationCode"]
        assert headers["Webhook-AuthID"] == "mine"
        assert (await feed.get("subscriptions/list")).json()[0]["webhook"]["authId"] == "mine"

    async def test_what_is_exactly_so_already_is_not_started_again(self, feed, receiver):
        """Another webhook is."""
        await self.start(feed, receiver.url)
        calls = len(receiver.calls)
        again = await self.start(feed, receiver.url)
        assert (again.status_code, again.json()["error"]["code"]) == (400, "AF20024")
        assert len(receiver.calls) == calls
        assert (await self.start(feed, f"{receiver.url}?other")).status_code == 200

    async def test_a_grant_is_announced_within_a_second(self, tenant, ada, feed, receiver):
        """Scope, mode and MigrateMeetingsToTeams are in the record; tenant-wide too."""
        await self.start(feed, receiver.url)
        receiver.calls.clear()
        grant = {"mode": "TeamsOnly", "policy": "TeamsUpgradePolicy"}
        await tenant.control(
            "POST", "actions/grantPolicy", {"user": ada["id"], **grant, "migrateMeetingsToTeams": False}
        )
        ((entry,),) = await receiver.wait(1, seconds=1)
        assert entry["contentType"] == "Audit.General"
        (record,) = (await feed.get(entry["contentUri"])).json()
        assert record["Operation"] == "TeamsAdminAction"
        assert (record["ItemName"], record["TargetScope"]) == ("Grant-CsTeamsUpgradePolicy", "User")
        assert (record["TargetUserId"], record["ObjectId"]) == (ada["id"], "ada@contoso.example")
        assert {"Name": "MigrateMeetingsToTeams", "Value": "False"} in record["Parameters"]
        assert record["ModifiedProperties"][0]["NewValue"] == "TeamsOnly"
        await tenant.control("POST", "actions/grantPolicy", {"tenant": True, **grant})
        ((entry,),) = (await receiver.wait(2))[1:]
        (record,) = (await feed.get(entry["contentUri"])).json()
        assert (record["TargetScope"], record["ObjectId"]) == ("Tenant", tenant.front.store.tenant_id)

    async def test_what_the_webhook_missed_is_in_the_listing(self, tenant, ada, feed, receiver):
        """Lost notifications: the listing still tells the truth."""
        await self.start(feed, receiver.url, "Audit.AzureActiveDirectory")
        receiver.calls.clear()
        await tenant.switch(loseNotifications=True)
        await tenant.control("POST", "actions/editProfile", {"user": ada["id"]})
        await asyncio.sleep(0.2)
        assert receiver.calls == []
        (entry,) = (await feed.get("subscriptions/content?contentType=Audit.AzureActiveDirectory")).json()
        (record,) = (await feed.get(entry["contentUri"])).json()
        assert (record["RecordType"], record["Operation"]) == (8, "Update user.")
        span = "&startTime=2020-01-01T00:00:00&endTime=2020-01-01T12:00:00"
        assert (await feed.get(f"subscriptions/content?contentType=Audit.General{span}")).status_code == 400

    async def test_switch_teams_audit(self, tenant, ada, feed):
        """6.5: only grants leave a record, or what the other actions stand for as well."""
        await feed.post("subscriptions/start?contentType=Audit.General")
        acts = [
            ("setCvi", {"policy": "PexipServiceProviderEnabled"}),
            ("setAudioConferencing", {"conferenceId": "123"}),
            ("setAudioConferencing", {"enabled": False}),
            ("setAudioConferencing", {"bridge": "Second"}),
            ("setAudioConferencing", {"provider": "thirdParty"}),
            ("setAudioConferencing", {"enabled": True}),
            ("setAudioConferencing", {"provider": "microsoft"}),
            ("moveUser", {"direction": "toCloud", "moveToTeams": True}),
            ("unassignNumber", {"number": "+1 206-555-0100", "replacement": "+1 206-555-0111"}),
        ]

        async def written():
            for name, details in acts:
                await tenant.control("POST", f"actions/{name}", {"user": "ada@contoso.example", **details})
            listed = (await feed.get("subscriptions/content?contentType=Audit.General")).json()
            return [(await feed.get(row["contentUri"])).json()[0] for row in listed]

        assert await written() == []
        await tenant.switch(teamsAudit="all")
        for name, details in acts[:2]:
            undone = (
                {"policy": None} if name == "setCvi" else {"conferenceId": "", "enabled": True, "bridge": "Default"}
            )
            await tenant.control("POST", f"actions/{name}", {"user": ada["id"], **details, **undone})
        records = [
            {row["Name"]: row["Value"] for row in record["Parameters"]} | {"cmdlet": record["ItemName"]}
            for record in (await written())[-9:]
        ]
        assert [row["cmdlet"] for row in records] == [
            "Grant-CsTeamsVideoInteropServicePolicy",
            "Set-CsOnlineDialInConferencingUser",
            "Disable-CsOnlineDialInConferencingUser",
            "Set-CsOnlineDialInConferencingUser",
            "Set-CsUserAcp",
            "Enable-CsOnlineDialInConferencingUser",
            "Enable-CsOnlineDialInConferencingUser",
            "Move-CsUser",
            "Unregister-CsOnlineDialInConferencingServiceNumber",
        ]
        assert records[0]["PolicyName"] == "PexipServiceProviderEnabled"
        assert all(row["Identity"] == "ada@contoso.example" for row in records[:8])
        assert (records[7]["Target"], records[7]["MoveToTeams"]) == ("sipfed.online.lync.com", "True")
        assert records[8]["Identity"] == "+1 206-555-0100"

    async def test_listings_have_pages(self, tenant, ada, feed, receiver):
        """NextPageUri, in a header."""
        await self.start(feed, receiver.url, "Audit.AzureActiveDirectory")
        for _ in range(201):
            await tenant.control("POST", "actions/editProfile", {"user": ada["id"]})
        first = await feed.get("subscriptions/content?contentType=Audit.AzureActiveDirectory")
        rest = await feed.get(first.headers["NextPageUri"])
        assert (len(first.json()), len(rest.json())) == (200, 1)

    async def test_stopping_and_strangers(self, tenant, feed, receiver):
        """Nothing is announced any more; Graph's tokens do not open the feed."""
        await self.start(feed, receiver.url)
        assert (await feed.post("subscriptions/stop?contentType=Audit.General")).status_code == 204
        assert (await feed.get("subscriptions/content?contentType=Audit.General")).status_code == 400
        headers = {"Authorization": f"Bearer {tenant.token}"}
        assert (await feed.get("subscriptions/list", headers=headers)).status_code == 401
