"""What is deployed and how it starts: functions, imports, settings, codes, packages."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from mms_core.errors import CATALOGUE
from mms_core.service.running.lease import REDELIVERY
from mms_core.settings import from_environment

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "mms_core").rglob("*.py"))
PATH_ONLY = {"PATH": "/usr/bin:/bin"}
ALLOWED_IMPORTS = {
    "__future__",
    "typing",
    "collections.abc",
    "azure.functions",
    "mms_core",
    "mms_core.wiring",
    "mms_core.notifications",
    "mms_core.messages",
    "mms_core.errors",
    "mms_core.telemetry",
}

HTTP = {
    "openapi": ("openapi.json", ["GET"]),
    "dashboard": ("dashboard", ["GET"]),
    "graph_notifications": ("graph/notifications", ["POST"]),
    "graph_lifecycle": ("graph/lifecycle", ["POST"]),
    "events": ("events", ["OPTIONS", "POST"]),
    "activity": ("activity", ["POST"]),
    "health": ("health", ["GET"]),
    "migrations": ("migrations", ["GET", "POST"]),
    "migration": ("migrations/{userId}", ["GET"]),
    "meetings": ("migrations/{userId}/meetings", ["GET"]),
    "blocks": ("migrations/{userId}/blocks", ["GET"]),
    "cancel": ("migrations/{userId}/cancel", ["POST"]),
    "retry": ("migrations/{userId}/retry", ["POST"]),
    "retries": ("retries", ["POST"]),
    "undo": ("migrations/{userId}/undo", ["POST"]),
    "previews": ("previews", ["POST"]),
    "preview": ("previews/{id}", ["GET"]),
    "apply": ("previews/{id}/apply", ["POST"]),
    "config": ("config", ["GET", "PATCH"]),
    "decisions": ("decisions", ["GET"]),
    "discovery": ("discovery", ["GET"]),
}
QUEUES = {
    "on_trigger": "%MMS_TRIGGER_QUEUE%",
    "on_run": "%MMS_RUN_QUEUE%",
    "on_trigger_poison": "%MMS_TRIGGER_QUEUE%-poison",
    "on_run_poison": "%MMS_RUN_QUEUE%-poison",
}
TIMERS = {
    "housekeep": ("%MMS_HOUSEKEEPING_SCHEDULE%", False),
    "reconcile": ("%MMS_SWEEP_SCHEDULE%", False),
    "catch_up": ("%MMS_DELTA_SCHEDULE%", False),
    "digest": ("%MMS_DIGEST_SCHEDULE%", False),
    "discover": ("%MMS_DISCOVERY_SCHEDULE%", False),
    "recover": ("%MMS_RECOVERY_SCHEDULE%", False),
    "subscribe": ("%MMS_SUBSCRIPTION_SCHEDULE%", True),
}


def _python(code):
    """Run code in a fresh interpreter that has nothing in its environment but PATH; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=PATH_ONLY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def functions():
    """The functions as the host indexes them, from a process with an empty environment."""
    indexed = _python(
        "import json, function_app\n"
        "found = function_app.app.get_functions()\n"
        "print(json.dumps([[f.get_function_name(), [b.get_dict_repr() for b in f.get_bindings()]] for f in found], default=str))"
    )
    assert len({name for name, _ in indexed}) == len(indexed)
    return {name: {binding["type"]: binding for binding in bindings} for name, bindings in indexed}


def test_importing_the_app_needs_no_setting_and_defines_these_functions(functions):
    """An exception at import would make all of them vanish."""
    assert set(functions) == {*HTTP, *QUEUES, *TIMERS}


def test_routes_and_methods_are_those_of_the_design(functions):
    """Anonymous for the host: every handler checks its own proof."""
    found = {name: functions[name]["httpTrigger"] for name in HTTP}
    assert {
        name: (each["route"], sorted(str(method) for method in each["methods"])) for name, each in found.items()
    } == HTTP
    assert {str(each["authLevel"]) for each in found.values()} == {"ANONYMOUS"}


def test_queues_are_named_by_settings(functions):
    """One connection, and a poison queue for each."""
    found = {name: functions[name]["queueTrigger"] for name in QUEUES}
    assert {name: each["queueName"] for name, each in found.items()} == QUEUES
    assert {each["connection"] for each in found.values()} == {"AzureWebJobsStorage"}


def test_schedules_are_settings(functions):
    """Subscriptions are looked after at start-up as well."""
    found = {name: functions[name]["timerTrigger"] for name in TIMERS}
    assert {name: (each["schedule"], bool(each.get("runOnStartup"))) for name, each in found.items()} == TIMERS


def _imported(path):
    """Every module that a file imports, however deep in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "mms_core" else {module}
    return names


def test_the_function_app_imports_the_library_and_the_composition_root_only():
    """It translates; whatever it could decide with is out of its reach."""
    assert _imported(ROOT / "function_app.py") <= ALLOWED_IMPORTS


def test_the_function_app_has_no_branches():
    """Decode, one call, encode: a decision belongs to the service."""
    tree = ast.parse((ROOT / "function_app.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list]
    for function in functions:
        assert not [node for node in ast.walk(function) if isinstance(node, ast.If | ast.For | ast.While | ast.Try)]


def test_answering_a_notification_never_imports_graph():
    """600 modules and half a second are not for a webhook that has three seconds."""
    loaded = _python(
        "import asyncio, json, os, sys\n"
        "os.environ.update(MMS_TENANT_ID='t', MMS_API_AUDIENCE='a', MMS_CLIENT_STATE='s',"
        " AzureWebJobsStorage='UseDevelopmentStorage=true')\n"
        "import function_app\n"
        "from mms_core import wiring\n"
        "request = wiring.api_request(method='POST', route={}, query={'validationToken': 'hello'}, headers={}, body=b'')\n"
        "answer = asyncio.run(wiring.app().webhooks.notifications(request))\n"
        "assert (answer.status, answer.body) == (200, b'hello'), answer\n"
        "heavy = ('msgraph', 'kiota_abstractions', 'kiota_http', 'httpx', 'jwt', 'azure.identity')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    assert loaded == []


def test_importing_the_app_imports_none_of_the_sdks():
    """Indexing is all that happens before the first call."""
    loaded = _python(
        "import json, sys, function_app\n"
        "heavy = ('msgraph', 'azure.data.tables', 'azure.storage.queue', 'azure.identity', 'aiohttp', 'msgspec', 'jwt')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    assert set(loaded) <= {"msgspec"}


# -- settings ---------------------------------------------------------------------------------------------------------

HOSTS_OWN = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
MANAGED_IDENTITY = {"AzureWebJobsStorage__queueServiceUri", "AzureWebJobsStorage__tableServiceUri"}


class _Recorder(dict):
    """Remembers which names are read."""

    def __init__(self):
        super().__init__({"MMS_TENANT_ID": "t", "MMS_API_AUDIENCE": "a"})
        self.read = set()

    def get(self, name, default=None):
        self.read.add(name)
        return super().get(name, default)

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)


def test_the_example_names_exactly_the_settings_that_are_read():
    """By the app, by the expressions of its triggers, and by the host itself."""
    recorder = _Recorder()
    from_environment(recorder)
    expressions = set(re.findall(r"%(MMS_\w+)%", (ROOT / "function_app.py").read_text()))
    example = set(json.loads((ROOT / "local.settings.example.json").read_text())["Values"])
    host = {name for name in example if name.startswith("AzureFunctionsJobHost__")} | HOSTS_OWN
    assert example == (recorder.read - MANAGED_IDENTITY) | expressions | host


def test_the_example_is_readable_by_the_app_once_the_secrets_are_filled_in():
    """Its own values are valid, empty ones mean the default."""
    values = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
    deployment = from_environment(values)
    assert (deployment.trigger_queue, deployment.run_queue, deployment.table_prefix) == (
        "mms-triggers",
        "mms-runs",
        "Mms",
    )
    assert not deployment.client_state
    assert not deployment.activity_auth_id


def test_only_the_composition_root_reads_the_environment():
    """Everything else is told."""
    for path in CORE:
        read = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute | ast.Name)]
        names = {node.attr if isinstance(node, ast.Attribute) else node.id for node in read}
        assert path.name == "wiring.py" or not names & {"environ", "environb", "getenv"}, path


# -- codes --------------------------------------------------------------------------------------------------------------


def _codes():
    """Every literal that the code uses as an error code, with its place."""
    for path in CORE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                yield node.value.value, path.name, node.value.lineno
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") in ("explain", "problem", "Stopped")
                and node.args
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield first.value, path.name, first.lineno
            is_default = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "default_code"
            if is_default and isinstance(node.value, ast.Constant):
                yield node.value.value, path.name, node.lineno


def test_every_code_that_is_raised_stands_in_the_catalogue():
    """Otherwise raising it would raise something else."""
    found = [(code, *place) for code, *place in _codes() if code is not None]
    assert len(found) > 30
    assert [each for each in found if each[0] not in CATALOGUE] == []


# -- the package ------------------------------------------------------------------------------------------------------------


def test_only_the_app_is_deployed():
    """Not the simulator, the tests, the command line or anybody's local settings."""
    lines = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line for line in lines if line.startswith("!")} == {
        "!function_app.py",
        "!host.json",
        "!requirements.txt",
        "!mms_core/",
        "!mms_core/**",
    }


def _pins():
    text = (ROOT / "requirements.txt").read_text()
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))


def test_what_is_deployed_is_pinned_with_hashes_and_satisfies_the_project():
    """requirements.txt is compiled from pyproject.toml; this notices that somebody forgot to."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {name.lower(): version for name, version in _pins().items()}
    for text in project["dependencies"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[requirement.name.lower()]), text
    text = (ROOT / "requirements.txt").read_text()
    entries = re.findall(r"^\S.*(?:\n\s.*)*", text, re.MULTILINE)
    assert [each for each in entries if not re.match(r"[\w.-]+==\S+ [^@]*--hash=sha256:[0-9a-f]{64}", each)] == []
    assert len(entries) >= len(pins)


def test_the_host_is_told_what_the_queues_rely_on():
    """base64, five tries, no hot retry, the /api prefix, and a time limit above the app's own budget."""
    host = json.loads((ROOT / "host.json").read_text())
    queues = host["extensions"]["queues"]
    assert (queues["messageEncoding"], queues["maxDequeueCount"]) == ("base64", 5)
    assert queues["visibilityTimeout"] > "00:00:05"  # the default is a hot retry
    # The sweep leaves a run alone while its message comes again; and five deliveries are over within a minute.
    assert timedelta(seconds=int(queues["visibilityTimeout"][-2:])) == REDELIVERY <= timedelta(minutes=1) / 5
    assert host["extensions"]["http"]["routePrefix"] == "api"
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    budget = from_environment({"MMS_TENANT_ID": "t", "MMS_API_AUDIENCE": "a"}).function_budget.total_seconds()
    assert hours * 3600 + minutes * 60 + seconds >= budget + 120


def test_the_core_speaks_of_no_other_part_of_the_repository():
    """What is deployed alone must work alone."""
    for path in CORE:
        assert not {
            name for name in _imported(path) if name.partition(".")[0] in ("mms_local", "mms_simulator", "mms_cli")
        }


def test_every_code_of_the_catalogue_is_used():
    """A code that nothing raises is a promise to nobody."""
    text = "".join(path.read_text() for path in CORE if path.name != "errors.py")
    text += "".join(re.findall(r'default_code = "\w+"', (ROOT / "mms_core" / "errors.py").read_text()))
    assert [code for code in CATALOGUE if f'"{code}"' not in text] == []


def test_test_modules_can_be_collected_together():
    """Tests are no package: two modules of one name, or a conftest imported by name, depend on who is first."""
    modules = sorted((ROOT / "tests").rglob("*.py"))
    names = [path.name for path in modules if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))
    assert [path.name for path in modules if path != Path(__file__) and "conftest" in _imported(path)] == []
