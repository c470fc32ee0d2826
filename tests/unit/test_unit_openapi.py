"""The description of the API: it names every route, and what it says of bodies, queries and answers is what happens."""

from __future__ import annotations

import json
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
from app_functions import indexed
from meeting_values import NOW, USER

from mms_core.api import ApiRequest, PagesApi, answers, asked
from mms_core.api.http import _STATUS_OF_CODE
from mms_core.api.openapi import build, document
from mms_core.api.operations import PROBLEMS
from mms_core.errors import CATALOGUE, BadInput
from mms_core.meetings import Coordinates, LedgerEntry
from mms_core.model import Run, RunId, State, Verdict
from mms_core.settings import CHOICES, RANGES, TenantSettings
from mms_core.status import meeting_row, run_row, summary_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def described():
    """The description, as callers read it."""
    return json.loads(document())


def _operations(described):
    return {
        (method, path): operation for path, item in described["paths"].items() for method, operation in item.items()
    }


def test_every_http_function_is_described_and_nothing_else(described):
    """Route by route, method by method."""
    routes = set()
    for each in indexed():
        for binding in each.get_bindings():
            shown = binding.get_dict_repr()
            if shown["type"] == "httpTrigger":
                routes |= {(str(method).lower(), f"/{shown['route']}") for method in shown["methods"]}
    assert set(_operations(described)) == routes


def test_every_reference_leads_somewhere(described):
    """Schemas, answers, parameters, and the operations that links name."""

    def references(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    found = set(references(described))
    assert len(found) > 30
    for each in found:
        place = described
        for step in each.removeprefix("#/").split("/"):
            place = place[step]
    operations = _operations(described).values()
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    links = [
        link["operationId"]
        for operation in operations
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 20
    assert set(links) <= set(names)


def test_every_problem_status_names_its_codes(described):
    """A code has one status, and every code that has a status of its own is described under it."""
    codes = [code for several in PROBLEMS.values() for code in several]
    assert len(set(codes)) == len(codes)
    assert set(codes) <= set(CATALOGUE)
    for code, status in _STATUS_OF_CODE.items():
        assert code == "MethodNotAllowed" or code in PROBLEMS[int(status)]
    assert described["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == sorted(CATALOGUE)


def test_only_the_open_routes_take_no_proof(described):
    """Those of the design; each of the webhooks among them has a proof of its own in its body or header."""
    free = {path for (_, path), operation in _operations(described).items() if not operation["security"]}
    assert free == {"/graph/notifications", "/graph/lifecycle", "/events", "/health", "/openapi.json", "/dashboard"}
    assert described["paths"]["/events"]["post"]["security"] == [{"bearer": []}, {"webhookSignature": []}]
    assert described["paths"]["/activity"]["post"]["security"] == [{"activityAuthId": []}]


def test_every_order_takes_an_idempotency_key(described):
    """All POSTs of administrators."""
    key = {"$ref": "#/components/parameters/IdempotencyKey"}
    for (method, path), operation in _operations(described).items():
        is_order = method == "post" and operation["security"] == [{"bearer": []}]
        assert (key in operation.get("parameters", [])) is is_order, path
        assert not is_order or "409" in operation["responses"], path


def test_settings_are_described_as_they_are_checked(described):
    """Names, defaults and ranges: what stands there is accepted, one beyond is not."""
    schema = described["components"]["schemas"]["Settings"]
    properties = schema["properties"]
    assert schema["additionalProperties"] is False
    assert TenantSettings().changed({name: each["default"] for name, each in properties.items()}) == TenantSettings()
    assert {name for name, each in properties.items() if "minimum" in each} == set(RANGES)
    for name, (low, high) in RANGES.items():
        assert (properties[name]["minimum"], properties[name]["maximum"]) == (low, high)
        TenantSettings().changed({name: low})
        TenantSettings().changed({name: high})
        for beyond in (low - 1, high + 1):
            with pytest.raises(BadInput):
                TenantSettings().changed({name: beyond})
    for name, words in CHOICES.items():
        assert properties[name]["enum"] == list(words)
        with pytest.raises(BadInput):
            TenantSettings().changed({name: "Zoom"})


def _fits(value, shape):
    """Check a value against a type of answers.py: nothing missing, nothing of another type, nothing surplus."""
    msgspec.convert(value, type=shape)
    assert set(value) <= set(get_type_hints(shape))


def test_rows_are_what_the_description_says():
    """Runs and meetings, empty ones and full ones."""
    run = Run(run_id=RunId("r"), identity="x@y", created_at=NOW, modified_at=NOW, fresh_at=NOW, due_at=NOW)
    _fits(run_row(run), answers.MigrationRow)
    for row in summary_rows({State.FAILED: 1, State.SKIPPED: 2}):
        _fits(row, answers.SummaryRow)
    place = Coordinates(kind="skype", join_url="https://x", numbers=("+1",))
    for verdict in (Verdict.MIGRATED, Verdict.RESTORED, Verdict.FAILED):
        for before, start_at in ((None, None), (place, NOW)):
            entry = LedgerEntry(
                key="k", run_id=RunId("r"), event_id="e", ical_uid="u", subject="s", start_at=start_at,
                verdict=verdict, before=before, updated_at=NOW,
            )  # fmt: skip
            _fits(meeting_row(entry), answers.MeetingRow)
    problem = {"type": "t", "title": "t", "status": 400, "detail": "", "code": "NotFound", "remedy": "r"}
    _fits(problem, answers.Problem)


async def test_the_description_is_served_to_anybody_from_one_building():
    """The same bytes each time."""
    pages = PagesApi(None)
    first, second = await pages.openapi(ApiRequest(method="GET")), await pages.openapi(ApiRequest(method="GET"))
    assert (first.status, first.content_type) == (HTTPStatus.OK, "application/json")
    assert first.body is second.body
    assert json.loads(first.body) == json.loads(json.dumps(build()))


def test_describing_imports_nothing_heavy():
    """No cloud library, no Graph, no cryptography."""
    code = (
        "import sys; from mms_core.api.openapi import document; document();"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'azure', 'msgraph', 'aiohttp', 'jwt', 'cryptography', 'httpx'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"top": "0"}, "top"),
        ({"top": "1001"}, "top"),
        ({"top": "many"}, "top"),
        ({"summaryOnly": "1"}, "summaryOnly"),
        ({"state": "null"}, "state"),
        ({"state": "Zoom"}, "state"),
        ({"migrationType": "sfbtosfb"}, "migrationType"),
        ({"identity": "x" * 401}, "identity"),
        ({"Top": "5"}, "Top"),
        ({"continuationToken": "x" * 1025}, "continuationToken"),
    ],
)
def test_a_query_that_does_not_fit_names_its_parameter(given, field):
    """With the code for parameters."""
    with pytest.raises(BadInput) as caught:
        asked.read_query(given, asked.ListMigrations)
    assert (caught.value.code, caught.value.field) == ("InvalidParameter", field)


def test_a_query_is_read_as_its_types_say():
    """Words in any case, numbers from text, and what is not given is not given."""
    found = asked.read_query({"summaryOnly": "TRUE", "state": "inprogress", "top": "7"}, asked.ListMigrations)
    assert (found.summary_only, found.state, found.top) == (True, State.IN_PROGRESS, 7)
    assert not found.identity
    assert asked.read_query({"identity": USER}, asked.ListMigrations).identity == USER


def test_events_whose_subject_says_enough_need_no_data(described):
    """Graph's name the user there; of ours those with nothing required. All others need one of the two members."""
    events = described["components"]["schemas"]["CloudEventOfOurs"]["anyOf"]
    free = {each["title"] for each in events if "anyOf" not in each}
    assert {"Microsoft.Graph.UserUpdated", "Microsoft.Graph.UserCreated", "Microsoft.Graph.UserDeleted"} <= free
    assert all("data" not in each["required"] for each in events)
    assert "mms.policy.granted" not in free
