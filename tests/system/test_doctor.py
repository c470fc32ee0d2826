"""The doctor over HTTP and on the command line: each right is taken from the running app's identity and named by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from system_stack import IDENTITY, NOTICE_SENDER, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GRAPH = "00000003-0000-0000-c000-000000000000"
OFFICE = "c5393580-f805-4401-95e8-94b7a6ef2fc2"
RIGHTS = {
    "User.Read.All": GRAPH,
    "TeamsUserConfiguration.Read.All": GRAPH,
    "Calendars.ReadWrite": GRAPH,
    "MailboxSettings.Read": GRAPH,
    "OnlineMeetings.ReadWrite.All": GRAPH,
    "GroupMember.Read.All": GRAPH,
    "Mail.Send": GRAPH,
    "ActivityFeed.Read": OFFICE,
}
"""Application permissions of the service, and of which API: docs/permissions.md says what each is for."""
LOST = [(each,) for each in RIGHTS if each != "GroupMember.Read.All"]
# Whoever may read all users may also ask for their groups: it is missed only where both are gone.
LOST += [("User.Read.All", "GroupMember.Read.All"), tuple(RIGHTS)]


class Tenant:
    """The tenant's administrator, who gives rights and takes them."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.principal = stack.tenant("POST", "identities", {"displayName": "mms", "appId": IDENTITY})["id"]
        roles = ["Application.Read.All", "AppRoleAssignment.ReadWrite.All", "User.ReadWrite.All"]
        wanted = {"aud": "https://graph.microsoft.com", "roles": roles}
        token = stack.tenant("POST", "tokens", wanted)["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self._roles = {}
        for app_id in set(RIGHTS.values()):
            (api,) = self._graph("GET", f"servicePrincipals?$filter=appId eq '{app_id}'")["value"]
            self._roles |= {role["value"]: (api["id"], role["id"]) for role in api["appRoles"]}

    def _graph(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.stack.http.request(
            method, f"{self.stack.ready['graph']}/{path}", json=body, headers=self._headers
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def give(self, *rights: str) -> None:
        """Let the app's identity have exactly these, and start the app anew: a token lives longer than a right."""
        path = f"servicePrincipals/{self.principal}/appRoleAssignments"
        for held in self._graph("GET", path)["value"]:
            self._graph("DELETE", f"{path}/{held['id']}")
        for right in rights:
            api, role = self._roles[right]
            self._graph("POST", path, {"principalId": self.principal, "resourceId": api, "appRoleId": role})
        host = self.stack.ready["pids"]["host"]
        os.kill(host, signal.SIGKILL)
        self.stack.until(lambda: self.stack.refresh()["pids"]["host"] != host)
        self.stack.until(self._answers)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return self.stack.http.get(f"{self.stack.ready['api']}/health").is_success
        return False


@pytest.fixture(scope="module")
def tenant(stack_with_identity: Stack) -> Iterator[Tenant]:
    """A tenant that insists on rights."""
    stack_with_identity.user(userPrincipalName=NOTICE_SENDER)
    groups = ["0f3f6c1e-8f5a-4f8e-9a51-7d6f0a2b9c3d"]
    assert stack_with_identity.api("PATCH", "config", {"DeniedGroups": groups}).status_code == 200
    tenant = Tenant(stack_with_identity)
    stack_with_identity.tenant("PATCH", "switches", {"enforcePermissions": True})
    yield tenant
    stack_with_identity.tenant("PATCH", "switches", {"enforcePermissions": False})


def _doctor(stack: Stack, directory: Path, *words: str) -> tuple[int, str]:
    environment = {**os.environ, "MMS_CONFIG_DIR": str(directory)}
    for command in (("login", "--ready-file", str(stack.path)), ("doctor", *words)):
        done = subprocess.run(
            [sys.executable, "-m", "mms_cli", *command],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
            env=environment,
        )  # fmt: skip
    return done.returncode, done.stdout


def _rights(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["check"].removeprefix("right "): each for each in findings if each["check"].startswith("right ")}


@pytest.mark.parametrize("lost", LOST, ids="+".join)
def test_each_right_that_is_gone_is_found_and_named(tenant: Tenant, tmp_path: Path, lost: tuple[str, ...]) -> None:
    """Those and no others, each with what to do, the same over HTTP and on the command line."""
    stack, user = tenant.stack, tenant.stack.user()
    tenant.give(*(RIGHTS.keys() - set(lost)))
    report = stack.api("GET", f"health?deep=true&user={user.id}").json()
    found = _rights(report["findings"])
    assert found.keys() == RIGHTS.keys()
    assert {name for name, each in found.items() if each["status"] != "ok"} == set(lost)
    for name in lost:
        assert (found[name]["status"], found[name]["code"], found[name]["detail"]) == ("error", "RightMissing", name)
        assert "rights.py grant" in found[name]["remedy"]
    code, text = _doctor(stack, tmp_path, user.id, "-o", "json")
    shown = _rights(json.loads(text))
    assert code == 1
    assert {(name, each["code"]) for name, each in shown.items() if each["status"] == "error"} == {
        (name, "RightMissing") for name in lost
    }
    assert all("rights.py grant" in shown[name]["remedy"] for name in lost)


def test_with_all_rights_none_is_missed(tenant: Tenant, tmp_path: Path) -> None:
    """And only operators are told."""
    stack, user = tenant.stack, tenant.stack.user()
    tenant.give(*RIGHTS)
    found = _rights(stack.api("GET", f"health?deep=true&user={user.id}").json()["findings"])
    assert {name: each["status"] for name, each in found.items()} == dict.fromkeys(RIGHTS, "ok")
    assert stack.api("GET", f"health?deep=true&user={user.id}", token="reader").status_code == 403
    _, text = _doctor(stack, tmp_path, user.id)
    assert "RightMissing" not in text
    assert stack.tenant("GET", "outbox")["value"] == []
