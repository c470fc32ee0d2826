"""What settings contradict, which rights are used, and who may have the deployment examined."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

from mms_core.api import answers
from mms_core.diagnosis import RIGHTS, deployment_findings, settings_findings, skew_finding, wanted_rights
from mms_core.errors import CATALOGUE, TemporaryError
from mms_core.settings import TenantSettings, from_environment

ROOT = Path(__file__).parents[2]
GOOD = {
    "MMS_TENANT_ID": "t",
    "MMS_API_AUDIENCE": "a",
    "AzureWebJobsStorage__queueServiceUri": "https://x.queue.core.windows.net",
    "AzureWebJobsStorage__tableServiceUri": "https://x.table.core.windows.net",
    "MMS_PUBLIC_URL": "https://mms.contoso.example",
    "MMS_CLIENT_STATE": "s",
    "MMS_ACTIVITY_AUTH_ID": "i",
    "MMS_NOTICE_SENDER": "mms@contoso.example",
}


def _faults(findings):
    return [(each.code, each.detail) for each in findings if each.status != "ok"]


def test_deployment_as_it_should_be_has_nothing_to_be_said_about():
    """One good finding each, so that one sees that it was looked at."""
    deployment = from_environment(GOOD)
    for findings in (deployment_findings(deployment), settings_findings(deployment, TenantSettings())):
        assert [each.status for each in findings] == ["ok"]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("MMS_PUBLIC_URL", "", "SettingMissing"),
        ("MMS_PUBLIC_URL", "http://mms.contoso.example", "SettingsContradict"),
        ("MMS_CLIENT_STATE", "", "SettingMissing"),
        ("MMS_CLIENT_STATE", "x" * 129, "SettingsContradict"),
        ("MMS_ACTIVITY_AUTH_ID", "", "SettingMissing"),
        ("AzureWebJobsStorage__tableServiceUri", "", "SettingMissing"),
        ("MMS_SETTLE_SECONDS", "5", "SettingForOneMachine"),
        ("MMS_SENDING_LIMITS", "off", "SettingForOneMachine"),
    ],
)
def test_each_unfit_app_setting_is_named(name, value, code):
    """And its value never shown: some are secrets."""
    ((found, detail),) = _faults(deployment_findings(from_environment({**GOOD, name: value})))
    assert found == code
    assert name in detail
    assert not value or value not in detail


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"MeetingMigrationEnabled": False}, "MeetingMigrationEnabled"),
        ({"SettleMinutes": 400}, "MaximumWaitMinutes"),
        ({"TriggerT11DelayMinutes": 5}, "TriggerT11"),
        ({"AllowedUsers": ["a@b.example"], "DeniedUsers": ["a@b.example"]}, "DeniedUsers"),
        ({"AllowedGroups": ["g"], "DeniedGroups": ["g"]}, "DeniedGroups"),
        ({"PilotPercentage": 0}, "PilotPercentage"),
    ],
)
def test_each_contradiction_of_settings_is_named(changes, word):
    """Without naming people."""
    ((_, detail),) = _faults(settings_findings(from_environment(GOOD), TenantSettings().changed(changes)))
    assert word in detail
    assert "a@b.example" not in detail


def test_mails_that_nobody_sends_are_a_contradiction():
    """The tenant's setting says yes, the deployment has no sender."""
    deployment = from_environment({**GOOD, "MMS_NOTICE_SENDER": ""})
    ((_, detail),) = _faults(settings_findings(deployment, TenantSettings()))
    assert "MMS_NOTICE_SENDER" in detail


def test_a_minute_is_the_most_that_clocks_may_differ():
    """In either direction."""
    for seconds, status in ((0, "ok"), (60, "ok"), (-60, "ok"), (61, "error"), (-61, "error")):
        assert skew_finding(timedelta(seconds=seconds)).status == status
    assert skew_finding(None).code == "NotProven"


def test_only_rights_that_are_used_are_asked_for():
    """Groups and mail where the settings need them, the feed where the cloud has one."""
    lean = from_environment({**GOOD, "MMS_NOTICE_SENDER": "", "MMS_CLOUD": "china"})
    missing = {each.value for each in RIGHTS} - {each.value for each in wanted_rights(lean, TenantSettings())}
    assert missing == {"GroupMember.Read.All", "Mail.Send", "ActivityFeed.Read"}
    groups = TenantSettings().changed({"DeniedGroups": ["g"]})
    assert wanted_rights(from_environment(GOOD), groups) == RIGHTS


def test_the_rights_that_are_proven_are_those_that_are_granted():
    """By the script of infra/rights, from its own table."""
    granted = runpy.run_path(str(ROOT / "infra" / "rights" / "permissions.py"))["PERMISSIONS"]
    assert {each.value for each in RIGHTS} == {each.value for each in granted}
    scoped = {each.value for each in granted if each.scoped_by == "exchange"}
    assert {each.value for each in RIGHTS if each.is_scopable} == scoped


def test_examining_needs_no_graph_sdk():
    """600 modules are too much for an HTTP answer."""
    program = "import mms_core.adapters.probes, mms_core.service.upkeep.checkup, sys; print('msgraph' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# -- the route ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(monkeypatch):
    """The API with storage in memory."""
    from api_caller import Api

    return Api(monkeypatch)


async def test_only_operators_have_the_deployment_examined(api):
    """What is missing is worth knowing to an attacker too."""
    deep = {"deep": "true"}
    for roles, status in ((None, 401), (["Mms.Read"], 403), ([], 403)):
        response = await api.call(api.health.health, roles=roles, query=deep)
        assert response.status == status
        assert b"findings" not in response.body


class _NoIdentity:
    async def roles(self, _):
        raise TemporaryError("CredentialUnavailableError", code="SignInFailed")

    async def ask(self, *_):
        raise TemporaryError("CredentialUnavailableError", code="SignInFailed")


async def test_findings_are_what_the_description_says(api, monkeypatch):
    """Each that is not good has a code of the catalogue and its remedy."""
    monkeypatch.setattr(api.health._checkup, "_probes", _NoIdentity)
    response = await api.call(api.health.health, query={"deep": "true"})
    report = json.loads(response.body)
    assert (response.status, report["status"]) == (200, "error")
    msgspec.convert(report, type=answers.Health)
    assert set(report) == set(get_type_hints(answers.Health))
    assert [each["status"] for each in report["findings"] if each["check"] == "storage"] == ["ok"]
    for each in report["findings"]:
        assert (each["code"] is None) is (each["status"] == "ok")
        if each["code"]:
            assert (each["message"], each["remedy"]) == (CATALOGUE[each["code"]].cause, CATALOGUE[each["code"]].remedy)


@pytest.mark.parametrize("query", [{"deep": "1"}, {"depth": "true"}, {"deep": "true", "user": "../../groups"}])
async def test_wrong_question_is_refused(api, query):
    """A name that is none must not become part of an address of Graph."""
    response = await api.call(api.health.health, query=query)
    assert response.status == 400


@pytest.mark.parametrize(
    ("replayed", "found"),
    [({}, ("warning", "MessagesKept", "1 unknown")), ({"replayedAt": "now"}, ("ok", None, "none was left over"))],
)
async def test_a_message_that_nobody_has_put_back_is_a_finding(api, monkeypatch, replayed, found):
    """Of a poisoned list, of a newer version's message: it waits for somebody."""
    await api.parts.documents.put("poison", "1", {"id": "1", "at": "now", "text": "not ours", **replayed})
    assert await _messages(api, monkeypatch) == found


async def test_a_message_is_found_behind_a_thousand_that_were_put_back(api, monkeypatch):
    """Of very many, some are enough to know it."""
    kept = {"at": "now", "text": "not ours"}
    for number in range(3100):
        more = {"replayedAt": "now"} if number < 1100 else {}
        await api.parts.documents.put("poison", f"{number:04d}", {"id": f"{number:04d}", **kept, **more})
    assert await _messages(api, monkeypatch) == ("warning", "MessagesKept", "900 unknown, and maybe more")


async def _messages(api, monkeypatch):
    monkeypatch.setattr(api.health._checkup, "_probes", _NoIdentity)
    report = json.loads((await api.call(api.health.health, query={"deep": "true"})).body)
    (row,) = [each for each in report["findings"] if each["check"] == "messages"]
    return row["status"], row["code"], row["detail"]
