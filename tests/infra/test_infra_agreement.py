"""What infra/ says and what the code does: the same queues, tables, settings, roles, schedules, Python."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pycep
import pytest

from mms_core.clouds import CLOUDS

ROOT = Path(__file__).resolve().parents[2]
BICEP = sorted((ROOT / "infra").rglob("*.bicep"))
_BLOB_OWNER, _QUEUES, _TABLES = (
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
)


@cache
def parsed(name):
    """The Bicep file *name* under infra/, as an independent parser reads it."""
    return pycep.BicepParser().parse(text=(ROOT / "infra" / name).read_text(encoding="utf-8"))


def variable(name, of):
    """Value of variable *of*."""
    return parsed(name)["variables"][of]["value"]


def app_settings():
    """Names and values of the app's settings."""
    return {key.strip("'"): value for key, value in variable("modules/app.bicep", "settings").items()}


def strings_of(path):
    """Every string literal in a Python file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def code():
    """The deployed Python files."""
    return [ROOT / "function_app.py", *sorted((ROOT / "mms_core").rglob("*.py"))]


def example():
    """The example of local settings."""
    return json.loads((ROOT / "local.settings.example.json").read_text(encoding="utf-8"))["Values"]


def test_every_module_is_used_and_every_module_used_is_there():
    """No dead Bicep, no missing file."""
    used = {module["detail"]["path"] for module in parsed("main.bicep")["modules"].values()}
    assert used == {str(path.relative_to(ROOT / "infra")) for path in BICEP if path.parent.name == "modules"}


@pytest.mark.parametrize("name", sorted(each for each in parsed("main.bicep")["modules"]))
def test_a_module_gets_exactly_the_parameters_it_takes(name):
    """A missing parameter fails an hour into somebody's deployment."""
    module = parsed("main.bicep")["modules"][name]
    config = module["config"].get("config", module["config"])
    taken = parsed(module["detail"]["path"])["parameters"]
    required = {each for each, about in taken.items() if about.get("default") is None}
    given = set(config["params"])
    assert required <= given <= set(taken)


def test_an_output_that_is_used_exists():
    """``module.outputs.name`` in main.bicep is an output of that module's file."""
    text = (ROOT / "infra/main.bicep").read_text(encoding="utf-8")
    modules = parsed("main.bicep")["modules"]
    for module, output in re.findall(r"\b(\w+)\.outputs\.(\w+)", text):
        assert output in parsed(modules[module]["detail"]["path"])["outputs"], (module, output)


@pytest.mark.parametrize("path", BICEP, ids=lambda path: path.name)
def test_loops_and_conditions_are_known_when_a_deployment_starts(path):
    """The compiler refuses one that depends on a property which Azure tells only later (BCP177, BCP178)."""
    text = path.read_text(encoding="utf-8")
    variables = dict(re.findall(r"^var (\w+) = (.*?)\n(?=[a-zA-Z@/]|\Z)", text, re.MULTILINE | re.DOTALL))
    later = re.findall(r"^(?:resource|module) (\w+) ", text, re.MULTILINE)
    for expression in re.findall(r"\[for [^:]*? in (.*?): ", text) + re.findall(
        r"^.* = if (\(.*\)) \{$", text, re.MULTILINE
    ):
        seen, left = "", [expression]
        while left:
            part = left.pop()
            seen += part
            left += [variables.pop(name) for name in re.findall(r"\w+", part) if name in variables]
        for name in later:
            assert not re.search(rf"\b{name}(\[\w+\])?\.(properties|outputs)\b", seen), (expression, name)


def test_the_queues_are_those_that_functions_listen_on():
    """Each with the poison queue that the host fills and a function empties."""
    listened = set(re.findall(r'queue_name="([^"]+)"', (ROOT / "function_app.py").read_text(encoding="utf-8")))
    settings = app_settings()
    names = {re.sub(r"%(\w+)%", lambda found: settings[found[1]], each) for each in listened}
    assert names == set(variable("modules/storage.bicep", "queueNames"))


def test_the_tables_are_those_that_the_adapters_open():
    """Prefix and names."""
    opened = set()
    for path in (ROOT / "mms_core/adapters/tables").glob("*.py"):
        opened |= set(re.findall(r'\.table\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    assert opened
    prefix = app_settings()["MMS_TABLE_PREFIX"]
    assert {prefix + each for each in opened} == set(variable("modules/storage.bicep", "tableNames"))


def test_the_app_gets_every_setting_that_the_code_reads_and_no_other():
    """A setting that is only for one machine has a default that is right in Azure."""
    only_here = {
        "MMS_GRAPH_URL", "MMS_GRAPH_SCOPE", "MMS_ACTIVITY_URL", "MMS_ACTIVITY_SCOPE", "MMS_LOGIN_URL",
        "MMS_TOKEN_ISSUER", "MMS_TOKEN_KEYS_URL", "MMS_SETTLE_SECONDS",
    }  # fmt: skip
    read = set()
    for path in code():
        for text in strings_of(path):
            read |= set(re.findall(r"(?<![A-Z_])MMS_[A-Z_]+[A-Z]\b", text))
    given = {name for name in app_settings() if name.startswith("MMS_")}
    assert read - only_here == given
    assert {name for name in example() if name.startswith("MMS_")} == read


def test_the_schedules_in_azure_are_those_of_the_example():
    """One truth about when timers run."""
    settings = app_settings()
    assert {name: settings[name] for name in settings if name.endswith("_SCHEDULE")} == {
        name: value for name, value in example().items() if name.endswith("_SCHEDULE")
    }


def test_storage_is_reached_by_the_identity_alone():
    """No connection string, no key; the settings are those of an identity-based connection that the code reads."""
    settings = app_settings()
    assert "AzureWebJobsStorage" not in settings
    for name in ("credential", "clientId", "blobServiceUri", "queueServiceUri", "tableServiceUri"):
        assert f"AzureWebJobsStorage__{name}" in settings
    account = parsed("modules/storage.bicep")["resources"]["account"]["config"]["properties"]
    assert account["allowSharedKeyAccess"] is False
    assert account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    text = "".join(path.read_text(encoding="utf-8") for path in BICEP)
    assert "listKeys" not in text
    assert "AccountKey" not in text


def test_the_identity_has_the_three_roles_of_storage_and_no_broader_one():
    """Owner of blobs is what the host needs for its leases; queues and tables need their contributors."""
    roles = {
        value for value in (about["value"] for about in parsed("modules/storage.bicep")["variables"].values())
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f-]{36}", value)
    }  # fmt: skip
    assert roles == {_BLOB_OWNER, _QUEUES, _TABLES}


def test_secrets_are_key_vault_references():
    """What is worth stealing stands in no setting."""
    settings = app_settings()
    for name in ("MMS_CLIENT_STATE", "MMS_ACTIVITY_AUTH_ID", "MMS_WEBHOOK_KEYS"):
        assert "@Microsoft.KeyVault(SecretUri=" in json.dumps(settings[name])
    for path in BICEP:
        for name, about in (parsed(str(path.relative_to(ROOT / "infra"))).get("parameters") or {}).items():
            if name in {"clientState", "activityAuthId", "webhookKeys"}:
                assert {"type": "secure"} in about["decorators"], (path.name, name)


def test_the_python_of_the_plan_is_one_that_the_requirements_were_compiled_for():
    """The version in Azure is among those that CI tests."""
    runtime = parsed("modules/app.bicep")["resources"]["app"]["config"]["properties"]["functionAppConfig"]["runtime"]
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    matrix = json.loads(re.search(r"python: (\[.*\])", workflow)[1])
    assert runtime["name"] == "python"
    assert runtime["version"] in matrix
    least = re.search(r'requires-python = ">=(3\.\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    assert least == matrix[0]


def test_the_plan_is_given_no_setting_that_it_refuses():
    """Flex Consumption ends a deployment that names one of these (error 51021), whatever its value."""
    site = parsed("modules/app.bicep")["resources"]["app"]["config"]["properties"]["siteConfig"]
    refused = {
        "alwaysOn", "ftpsState", "functionAppScaleLimit", "functionsRuntimeScaleMonitoringEnabled", "linuxFxVersion",
        "netFrameworkVersion", "preWarmedInstanceCount", "use32BitWorkerProcess", "windowsFxVersion",
    }  # fmt: skip
    assert not refused & site.keys()


def test_an_instance_answers_several_webhooks_at_once():
    """Left out, it is one for Python: the others of a burst wait for a cold start, and Graph waits three seconds.

    Source: learn.microsoft.com/azure/azure-functions/functions-concurrency, HTTP trigger concurrency.
    """
    site = parsed("modules/app.bicep")["resources"]["app"]["config"]["properties"]
    scale = site["functionAppConfig"]["scaleAndConcurrency"]
    assert int(scale["triggers"]["http"]["perInstanceConcurrency"]) > 1


def test_the_clouds_are_those_that_the_code_knows():
    """A cloud that Bicep allows and the code does not would end at the first call."""
    (allowed,) = [
        each["argument"] for each in parsed("main.bicep")["parameters"]["cloud"]["decorators"]
        if each["type"] == "allowed"
    ]  # fmt: skip
    assert set(allowed) == set(CLOUDS)


def test_every_environment_gives_only_parameters_that_exist():
    """A misspelt parameter is refused by Azure only at the deployment; who and where the environment is, azd asks."""
    taken = parsed("main.bicep")["parameters"]
    assert _azd_parameters().keys() <= taken.keys()
    for path in sorted((ROOT / "infra/environments").glob("*.json")):
        given = json.loads(path.read_text(encoding="utf-8"))["parameters"]
        assert given.keys() <= _azd_parameters().keys() - {"environmentName", "location"}, path.name


def test_a_run_is_over_before_the_host_ends_it():
    """The function's own limit in host.json is longer than the budget after which a run checkpoints."""
    hours, minutes, seconds = map(int, json.loads((ROOT / "host.json").read_text())["functionTimeout"].split(":"))
    budget = float(app_settings()["MMS_FUNCTION_BUDGET_SECONDS"])
    assert budget + 60 < hours * 3600 + minutes * 60 + seconds


# -- what azd does ------------------------------------------------------------------------------------------------------


def _azd_parameters():
    text = (ROOT / "infra/main.parameters.json").read_text(encoding="utf-8")
    return {name: each["value"] for name, each in json.loads(text)["parameters"].items()}


def test_azd_gives_every_parameter_that_has_no_default():
    """``azd up`` would ask for it; and what it gives exists."""
    taken = parsed("main.bicep")["parameters"]
    required = {each for each, about in taken.items() if about.get("default") is None}
    assert required <= set(_azd_parameters()) <= set(taken)


def _prepared(directory, **environment):
    """Run the hook before provisioning; gives its exit code and what it told azd to keep."""
    azd = directory / "azd"
    azd.write_text(f'#!/bin/sh\necho "$@" >> {directory}/told\n', encoding="utf-8")
    azd.chmod(0o755)
    told = directory / "told"
    told.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "infra/hooks/prepare.py"],
        cwd=ROOT,
        env={"PATH": f"{directory}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    return done.returncode, dict(line.removeprefix("env set ").split(" ", 1) for line in lines)


def test_what_is_made_once_is_made_once_and_reaches_the_deployment(tmp_path):
    """Secrets, and the month in which the budget begins: Azure takes no past one for a new budget."""
    code, made = _prepared(tmp_path, MMS_API_AUDIENCE="api", MMS_MONTHLY_BUDGET="100")
    assert code == 0
    assert made.keys() <= {re.findall(r"\w+", value)[0] for value in _azd_parameters().values()}
    assert len(made["MMS_CLIENT_STATE"]) == 64
    assert made["MMS_CLIENT_STATE"] != made["MMS_ACTIVITY_AUTH_ID"]
    now = datetime.now(UTC)
    assert made["MMS_BUDGET_START"] in {f"{at:%Y-%m}-01" for at in (now, now - timedelta(minutes=5))}
    assert _prepared(tmp_path, MMS_API_AUDIENCE="api", MMS_MONTHLY_BUDGET="100", **made) == (0, {})


def test_the_month_of_a_budget_is_not_taken_before_there_is_one(tmp_path):
    """A budget that is wanted a year after the first deployment would begin in the past, and be refused."""
    for without in ({}, {"MMS_MONTHLY_BUDGET": "0"}):
        assert "MMS_BUDGET_START" not in _prepared(tmp_path, MMS_API_AUDIENCE="api", **without)[1]


def test_the_file_of_an_environment_reaches_its_deployment_and_no_other(tmp_path):
    """Azd reads main.parameters.json alone: what the file says goes by the azd environment, and again when it changes."""
    secrets = {"MMS_API_AUDIENCE": "api", "MMS_CLIENT_STATE": "a", "MMS_ACTIVITY_AUTH_ID": "b"}
    code, told = _prepared(tmp_path, AZURE_ENV_NAME="production", **secrets)
    assert code == 0
    given = json.loads((ROOT / "infra/environments/production.parameters.json").read_text(encoding="utf-8"))
    variables = {name: re.findall(r"\w+", value)[0] for name, value in _azd_parameters().items()}
    assert told == {variables[name]: json.dumps(each["value"]) for name, each in given["parameters"].items()}
    assert told["MMS_PRIVATE_NETWORKING"] == "true"
    assert _prepared(tmp_path, AZURE_ENV_NAME="production", **secrets, **told) == (0, {})
    stale = {**told, "MMS_PRIVATE_NETWORKING": "false"}
    changed = _prepared(tmp_path, AZURE_ENV_NAME="production", **secrets, **stale)
    assert changed == (0, {"MMS_PRIVATE_NETWORKING": "true"})
    assert _prepared(tmp_path, AZURE_ENV_NAME="somebody-s", **secrets) == (0, {})


def test_azd_is_one_that_packs_what_funcignore_lets_through():
    """Before 1.23.13 it read the exceptions of .funcignore as exclusions, and packed nothing."""
    text = (ROOT / "azure.yaml").read_text(encoding="utf-8")
    least = re.search(r'^requiredVersions:\n  azd: ">= ([\d.]+)"$', text, re.MULTILINE)[1]
    assert tuple(map(int, least.split("."))) >= (1, 23, 13)
    assert "remoteBuild: true" in text


def test_nothing_is_made_before_the_api_is_registered(tmp_path):
    """The hook ends the command and says what an administrator has to run."""
    assert _prepared(tmp_path) == (1, {})


def test_a_new_workspace_takes_the_alerts():
    """It has no table yet, and would refuse a query that names one."""
    alerts = parsed("modules/alerts.bicep")["resources"]["alerts"]["config"]
    assert "skipQueryValidation" in json.dumps(alerts)
