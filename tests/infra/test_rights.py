"""The rights script against the simulated tenant: the second run changes nothing, and each missing right is named."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mms_core.auth import Role

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "rights"))

import consents
import permissions
import registration
import rights

ROOT = Path(__file__).resolve().parents[2]
NAME = "Meeting migration service test"
CHANGING = ("POST", "PATCH", "PUT", "DELETE")


class Tenant:
    """The simulated tenant, and the script run against it as a process."""

    def __init__(self, ready):
        self.graph_url, self.control = ready["graph"], ready["tenant"]
        self.token = ready["tokens"]["graph"]
        self.http = httpx.Client(timeout=30, headers={"Authorization": f"Bearer {self.token}"})

    def graph(self, method, path, body=None):
        """Call Graph as an administrator."""
        answer = self.http.request(method, f"{self.graph_url}/{path}", json=body)
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def run(self, command, *more):
        """The script's exit code, its lines, and what it said to people. In this process: the SDK's import is slow."""
        arguments = [command, "--graph-url", self.graph_url, "--name", NAME, "--json", *more]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = rights.main(arguments)
        return code, [json.loads(each) for each in out.getvalue().splitlines()], err.getvalue()

    def writes(self):
        """How many requests changed something."""
        log = self.http.get(f"{self.control}/traffic").text.splitlines()
        return sum(json.loads(each)["method"] in CHANGING for each in log)

    def identity(self, name):
        """A service principal like a managed identity's, and its two ids."""
        application = self.graph("POST", "applications", {"displayName": name})
        principal = self.graph("POST", "servicePrincipals", {"appId": application["appId"]})
        return ("--principal-id", principal["id"], "--client-id", application["appId"]), principal["id"]


@pytest.fixture(scope="module")
def tenant(tmp_path_factory):
    """One tenant for all tests; each uses an identity of its own."""
    ready = tmp_path_factory.mktemp("tenant") / "ready.json"
    command = [sys.executable, "-m", "mms_simulator", "--port", "0", "--in-memory", "--ready-file", str(ready)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        made = Tenant(json.loads(ready.read_text()))
        with made.http, pytest.MonkeyPatch.context() as patch:
            patch.setenv("MMS_GRAPH_TOKEN", made.token)
            yield made
    finally:
        process.terminate()
        process.wait(20)


def found(lines, what):
    """The subjects of the lines that say *what*."""
    return {each["subject"] for each in lines if each["what"] == what}


def test_the_api_is_registered_once(tenant):
    """With its two roles, tokens of version 2, and the page's address; a second run writes nothing."""
    code, lines, _ = tenant.run("register", "--url", "https://mms.example/api")
    assert code == 0
    assert found(lines, "made") == {"application", "sign-in, identifier URI", "service principal"}
    (application,) = tenant.graph("GET", f"applications?$filter=displayName eq '{NAME}'")["value"]
    assert {each["value"] for each in application["appRoles"]} == {"Mms.Read", "Mms.Operate"}
    assert application["api"]["requestedAccessTokenVersion"] == 2
    assert application["spa"]["redirectUris"] == ["https://mms.example/api/dashboard"]
    assert application["identifierUris"] == [f"api://{application['appId']}"]
    (principal,) = tenant.graph("GET", f"servicePrincipals?$filter=appId eq '{application['appId']}'")["value"]
    assert principal["appRoleAssignmentRequired"] is True
    before = tenant.writes()
    code, lines, _ = tenant.run("register", "--url", "https://mms.example/api")
    assert (code, found(lines, "made")) == (0, set())
    assert tenant.writes() == before


def test_what_somebody_changed_in_the_registration_is_put_right_and_their_additions_stay(tenant):
    """A role that was switched off comes back; a role and an address of their own are kept."""
    tenant.run("register", "--url", "https://mms.example/api")
    (application,) = tenant.graph("GET", f"applications?$filter=displayName eq '{NAME}'")["value"]
    theirs = {
        "id": "11111111-2222-4333-8444-555555555555", "value": "Their.Role", "displayName": "Theirs",
        "description": "Theirs", "allowedMemberTypes": ["User"], "isEnabled": True,
    }  # fmt: skip
    roles = [{**each, "isEnabled": each["value"] != "Mms.Read"} for each in application["appRoles"]]
    tenant.graph(
        "PATCH",
        f"applications/{application['id']}",
        {"appRoles": [*roles, theirs], "spa": {"redirectUris": ["https://other.example/"]}},
    )
    assert tenant.run("register", "--url", "https://mms.example/api")[0] == 0
    (now,) = tenant.graph("GET", f"applications?$filter=displayName eq '{NAME}'")["value"]
    assert {each["value"]: each["isEnabled"] for each in now["appRoles"]} == {
        "Mms.Read": True,
        "Mms.Operate": True,
        "Their.Role": True,
    }
    assert set(now["spa"]["redirectUris"]) == {"https://other.example/", "https://mms.example/api/dashboard"}


def test_the_scope_is_put_right_and_what_others_ask_for_or_may_do_stays(tenant):
    """The directory would refuse to take an enabled scope away; whoever signs in with the Azure CLI needs ours."""
    name = ("--name", "Scopes")
    tenant.run("register", *name)
    (application,) = tenant.graph("GET", "applications?$filter=displayName eq 'Scopes'")["value"]
    (ours,), (cli,) = application["api"]["oauth2PermissionScopes"], application["api"]["preAuthorizedApplications"]
    assert cli["delegatedPermissionIds"] == [ours["id"]]
    theirs = {**ours, "id": "21111111-2222-4333-8444-555555555555", "value": "theirs"}
    page = {"appId": "31111111-2222-4333-8444-555555555555", "delegatedPermissionIds": [theirs["id"]]}
    tenant.graph("PATCH", f"applications/{application['id']}", {
        "api": {
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": [{**ours, "isEnabled": False}, theirs],
            "preAuthorizedApplications": [page],
        },
        "publicClient": {"redirectUris": ["https://their.example/"]},
    })  # fmt: skip
    assert tenant.run("register", *name)[0] == 0
    (now,) = tenant.graph("GET", "applications?$filter=displayName eq 'Scopes'")["value"]
    assert {each["value"]: each["isEnabled"] for each in now["api"]["oauth2PermissionScopes"]} == {
        "access": True,
        "theirs": True,
    }
    assert sorted(now["api"]["preAuthorizedApplications"], key=str) == sorted([cli, page], key=str)
    assert set(now["publicClient"]["redirectUris"]) == {"https://their.example/", "http://localhost"}
    before = tenant.writes()
    assert found(tenant.run("register", *name)[1], "made") == set()
    assert tenant.writes() == before


def test_a_directory_that_learns_late_of_what_was_made_gets_it_made_once(tenant):
    """Replicas know a new registration only after a while: a change of it is not found, a principal of it refused."""
    name = ("--name", "Late", "--event-grid")
    tenant.http.patch(f"{tenant.control}/switches", json={"directoryDelaySeconds": 1}).raise_for_status()
    try:
        code, lines, said = tenant.run("register", *name)
    finally:
        tenant.http.patch(f"{tenant.control}/switches", json={"directoryDelaySeconds": 0}).raise_for_status()
    assert code == 0, said
    assert "service principal" in found(lines, "made")
    (application,) = tenant.graph("GET", "applications?$filter=displayName eq 'Late'")["value"]
    assert application["identifierUris"] == [f"api://{application['appId']}"]


def test_event_grid_gets_the_role_that_posting_takes_once_and_only_when_asked(tenant):
    """Its token for the webhook names the roles that it was given; without one it gets no token at all."""
    name = ("--name", "Grid")
    tenant.run("register", *name)
    (application,) = tenant.graph("GET", "applications?$filter=displayName eq 'Grid'")["value"]
    (principal,) = tenant.graph("GET", f"servicePrincipals?$filter=appId eq '{application['appId']}'")["value"]
    assigned = f"servicePrincipals/{principal['id']}/appRoleAssignedTo"
    assert tenant.graph("GET", assigned)["value"] == []
    assert found(tenant.run("register", *name, "--event-grid")[1], "made") == {"Event Grid"}
    ((given, role),) = ((each["principalId"], each["appRoleId"]) for each in tenant.graph("GET", assigned)["value"])
    assert tenant.graph("GET", f"servicePrincipals/{given}")["appId"] == "4962773b-9cdb-44cf-a8bf-237846a00ab7"
    assert {each["id"]: each["value"] for each in application["appRoles"]}[role] == "Mms.Operate"
    before = tenant.writes()
    assert found(tenant.run("register", *name, "--event-grid")[1], "made") == set()
    assert tenant.writes() == before


def test_two_registrations_of_one_name_are_not_guessed_between(tenant):
    """Giving the wrong one the roles would let the wrong people in."""
    for _ in range(2):
        tenant.graph("POST", "applications", {"displayName": "Twice"})
    code, _, said = tenant.run("register", "--name", "Twice")
    assert code == 1
    assert "2 applications" in said


def test_rights_are_granted_once_and_then_all_in_force(tenant):
    """The whole table, tenant-wide; the second run writes nothing, and the check is content."""
    ids, principal = tenant.identity("identity one")
    code, lines, _ = tenant.run("grant", *ids, "--tenant-wide", "--notice-sender", "it@contoso.example")
    assert code == 0
    assert found(lines, "made") == {each.value for each in permissions.PERMISSIONS}
    assigned = tenant.graph("GET", f"servicePrincipals/{principal}/appRoleAssignments")["value"]
    assert len(assigned) == len(permissions.PERMISSIONS)
    before = tenant.writes()
    code, lines, _ = tenant.run("grant", *ids, "--tenant-wide", "--notice-sender", "it@contoso.example")
    assert (code, found(lines, "made")) == (0, set())
    assert tenant.writes() == before
    assert tenant.run("check", *ids, "--tenant-wide", "--notice-sender", "it@contoso.example")[0] == 0


def test_what_a_cloud_does_not_offer_is_named_and_the_rest_is_given(tenant, monkeypatch):
    """A right that is nowhere to be had must not keep the others from being granted."""
    absent = replace(permissions.PERMISSIONS[0], value="Nowhere.Read.All")
    monkeypatch.setattr(consents, "PERMISSIONS", (absent, *permissions.PERMISSIONS))
    ids, _ = tenant.identity("identity elsewhere")
    code, lines, _ = tenant.run("grant", *ids, "--tenant-wide", "--notice-sender", "it@contoso.example")
    assert (code, found(lines, "missing")) == (1, {"Nowhere.Read.All"})
    assert found(lines, "made") == {each.value for each in permissions.PERMISSIONS}


def test_a_cloud_without_an_activity_feed_gets_no_right_to_read_one(tenant):
    """21Vianet has none: neither its right nor its API is asked for, and the check is content."""
    ids, _ = tenant.identity("identity of 21Vianet")
    everything = ("--tenant-wide", "--notice-sender", "it@contoso.example", "--cloud", "china")
    code, lines, _ = tenant.run("grant", *ids, *everything)
    rest = {each.value for each in permissions.PERMISSIONS if each.api == permissions.GRAPH_APP_ID}
    assert (code, found(lines, "made")) == (0, rest)
    assert tenant.run("check", *ids, *everything)[0] == 0


@pytest.mark.parametrize("lost", [each.value for each in permissions.PERMISSIONS])
def test_each_missing_right_is_found_and_named_and_the_check_changes_nothing(tenant, lost):
    """One right less than all of them."""
    ids, principal = tenant.identity(f"identity without {lost}")
    everything = ("--tenant-wide", "--notice-sender", "it@contoso.example")
    for api in dict.fromkeys(each.api for each in permissions.PERMISSIONS):
        (resource,) = tenant.graph("GET", f"servicePrincipals?$filter=appId eq '{api}'")["value"]
        ids_of = {each["value"]: each["id"] for each in resource["appRoles"]}
        for each in permissions.PERMISSIONS:
            if each.api == api and each.value != lost:
                body = {"principalId": principal, "resourceId": resource["id"], "appRoleId": ids_of[each.value]}
                tenant.graph("POST", f"servicePrincipals/{principal}/appRoleAssignments", body)
    before = tenant.writes()
    code, lines, _ = tenant.run("check", *ids, *everything)
    assert (code, found(lines, "missing")) == (1, {lost})
    assert tenant.writes() == before


def test_with_a_scope_in_exchange_no_tenant_wide_consent_is_given_and_one_that_is_there_is_named(tenant):
    """Rights add up: the consent would defeat the scope."""
    ids, _ = tenant.identity("identity scoped")
    code, lines, _ = tenant.run("grant", *ids)
    assert code == 0
    scoped = {each.value for each in permissions.PERMISSIONS if each.scoped_by == "exchange" and not each.optional}
    assert found(lines, "todo") == scoped
    assert not found(lines, "made") & scoped
    assert tenant.run("check", *ids)[0] == 0
    tenant.run("grant", *ids, "--tenant-wide")
    code, lines, _ = tenant.run("check", *ids)
    assert (code, found(lines, "surplus")) == (1, scoped)


def test_the_commands_for_exchange_and_teams_carry_the_right_ids(tenant):
    """And limit both to what is meant: no right to read mail, and notices from one mailbox only."""
    text = consents.commands(app_id="APP", object_id="OBJECT", notices="it@contoso.example", cloud="usgov")
    assert "New-ServicePrincipal -AppId APP -ObjectId OBJECT" in text
    assert "-Role 'Application Calendars.ReadWrite' -CustomResourceScope 'Meeting migration'" in text
    assert "-Role 'Application Mail.Send' -CustomResourceScope 'Migration notices'" in text
    assert "New-CsApplicationAccessPolicy -Identity MeetingMigration -AppIds 'APP'" in text
    assert "-ExchangeEnvironmentName O365USGovGCCHigh" in text
    assert "Mail.Read" not in text
    text = consents.commands(app_id="APP", object_id="OBJECT", notices="o'brien@contoso.example", cloud="public")
    assert "PrimarySmtpAddress -eq 'o''brien@contoso.example'" in text


def test_a_refusal_is_told_in_one_line_and_nothing_is_a_stack_trace(tenant):
    """Whoever runs this without the directory role."""
    environment = {**os.environ, "MMS_GRAPH_TOKEN": "not-a-token"}
    command = [sys.executable, "infra/rights/rights.py", "register", "--graph-url", tenant.graph_url]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Graph refused (401)" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_roles_that_are_registered_are_those_that_the_api_asks_for():
    """A role that the API does not know lets nobody in."""
    assert set(registration.ROLES) == {str(each) for each in Role}


def test_the_page_of_permissions_is_the_table():
    """docs/permissions.md says what the script grants."""
    assert (ROOT / "docs/permissions.md").read_text(encoding="utf-8") == permissions.page()
