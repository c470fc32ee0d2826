"""The script that holds recorded traffic against Graph's types."""

import json

import pytest
from simulator_support import FLAT_CONTRACT

from mms_simulator.conformance import main


def line(route="users/{user}/events", method="POST", status=201, sent=None, answer=None):
    """Write one line of a traffic log."""
    return {"route": route, "method": method, "status": status, "requestBody": sent, "responseBody": answer}


def run(tmp_path, capsys, *lines):
    """Run the script over lines; gives its status and what it printed."""
    contract, traffic = tmp_path / "contract.json", tmp_path / "traffic.jsonl"
    contract.write_text(json.dumps(FLAT_CONTRACT))
    traffic.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return main(str(contract), str(traffic)), capsys.readouterr().out


def test_what_conforms_passes(tmp_path, capsys):
    """Derived properties, nulls, collections, enumerations, the listed exceptions."""
    event = {"id": "1", "@odata.etag": "x", "uid": "u", "occurrenceId": None, "subject": None, "importance": "low",
             "categories": ["a"], "start": {"dateTime": "2027-01-01T00:00:00", "timeZone": "UTC"}}  # fmt: skip
    status, text = run(tmp_path, capsys, line(sent=event), line(method="GET", status=200, answer={"value": [event]}))
    assert (status, text) == (0, "2 exchanges, 0 problems\n")


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"subjct": "x"}, "answer.subjct: no property of event"),
        ({"subject": 1}, "answer.subject: 1 is no Edm.String"),
        ({"importance": "huge"}, "answer.importance: 'huge' is no member of importance"),
        ({"categories": "a"}, "answer.categories: not a collection"),
        ({"createdDateTime": "yesterday"}, "answer.createdDateTime: 'yesterday' is no Edm.DateTimeOffset"),
        ({"start": {"zone": "UTC"}}, "answer.start.zone: no property of dateTimeTimeZone"),
        ({"start": "now"}, "answer.start: not an object of type dateTimeTimeZone"),
    ],
)
def test_what_does_not_conform_is_named(tmp_path, capsys, event, problem):
    """Once for each kind, with its count; the status says so."""
    status, text = run(tmp_path, capsys, line(answer=event), line(answer=event))
    assert status == 1
    assert f"2 x POST users/{{user}}/events {problem}" in text


def test_errors_and_actions_are_not_judged_and_nothing_is_no_proof(tmp_path, capsys):
    """An empty log does not pass."""
    assert run(tmp_path, capsys)[0] == 1
    wrong = {"error": {"code": "x"}}
    assert run(tmp_path, capsys, line(status=400, answer=wrong), line(route="$batch", sent={"requests": []}))[0] == 0


async def test_the_simulator_conforms(tenant, tmp_path, capsys):
    """A little of everything, judged by a small contract written for the test."""
    await tenant.user("ada")
    await tenant.event()
    await tenant.graph("GET", "users/ada@contoso.example/events?$select=subject,start,categories,importance")
    (tmp_path / "contract.json").write_text(json.dumps(FLAT_CONTRACT))
    (tmp_path / "traffic.jsonl").write_bytes(tenant.front.traffic.read().splitlines(keepends=True)[-1])
    assert main(str(tmp_path / "contract.json"), str(tmp_path / "traffic.jsonl")) == 0, capsys.readouterr().out
