"""The script that holds recorded traffic against Graph's types."""

import json

import pytest
from simulator_support import FLAT_CONTRACT, meeting

from mms_simulator.conformance import main


def line(*, route="users/{user}/events", method="POST", status=201, sent=None, answer=None, query=""):
    """Write one line of a traffic log."""
    return {
        "route": route, "method": method, "status": status, "query": query, "requestBody": sent, "responseBody": answer
    }  # fmt: skip


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
    assert (status, text) == (0, "2 exchanges, 2 bodies, 0 without a known type, 0 problems\n")


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


def test_nothing_is_no_proof(tmp_path, capsys):
    """An empty log does not pass, nor one in which nothing could be checked."""
    assert run(tmp_path, capsys)[0] == 1
    assert run(tmp_path, capsys, line(route="unheard/of", answer={"id": "1"}))[0] == 1


def test_what_no_type_is_known_for_is_counted_by_its_route(tmp_path, capsys):
    """Whole bodies, and parts that name a type of their own."""
    odd = {"@odata.type": "#microsoft.graph.oddity", "id": "1"}
    status, text = run(tmp_path, capsys, line(route="unheard/of", sent={"a": 1}), line(answer=odd), line(answer={}))
    assert status == 0
    assert "     1 x not checked: POST unheard/of sent: no type for this path\n" in text
    assert "     1 x not checked: POST users/{user}/events answer: no type oddity\n" in text
    assert text.endswith("3 exchanges, 3 bodies, 2 without a known type, 0 problems\n")


def test_refusals_have_an_envelope_of_their_own(tmp_path, capsys):
    """8.3: code, message, and innerError with its three."""
    inner = {"date": "2027-01-01T00:00:00", "request-id": "a", "client-request-id": "b"}
    good = {"error": {"code": "x", "message": "y", "innerError": inner}}
    assert run(tmp_path, capsys, line(status=400, answer=good))[0] == 0
    status, text = run(tmp_path, capsys, line(status=400, answer={"error": {"kode": "x", "innerError": {"date": 1}}}))
    assert status == 1
    assert "POST users/{user}/events 400.error.kode: no property of mms.error" in text
    assert "POST users/{user}/events 400.error.innerError.date: 1 is no Edm.DateTime" in text


def test_parameters_of_actions_are_held_against_their_names(tmp_path, capsys):
    """Accept takes a comment and sendResponse, and nothing else."""
    accept = "users/{user}/events/{event}/accept"
    assert run(tmp_path, capsys, line(route=accept, status=202, sent={"comment": "x", "sendResponse": True}))[0] == 0
    status, text = run(tmp_path, capsys, line(route=accept, status=202, sent={"sendResponse": "yes", "coment": "x"}))
    assert status == 1
    assert "sent.sendResponse: 'yes' is no Edm.Boolean" in text
    assert "sent.coment: no property of mms.answer" in text


def test_names_in_select_and_expand_are_held_against_the_type(tmp_path, capsys):
    """Options in parentheses belong to what is expanded, and are left alone."""
    good = "$select=subject,uid&$expand=start($select=foo,bar;$filter=(a eq 1))&$top=5"
    assert run(tmp_path, capsys, line(method="GET", status=200, answer={"value": []}, query=good))[0] == 0
    status, text = run(tmp_path, capsys, line(method="GET", status=200, answer={"value": []}, query="$select=subjct"))
    assert status == 1
    assert "$select: subjct is no property of event" in text


def test_halves_of_characters_are_read(tmp_path, capsys):
    """Graph's texts may hold half an emoji; such bodies are JSON all the same (1.2)."""
    status, text = run(tmp_path, capsys, line(sent={"subject": "half \ude00"}))
    assert (status, text) == (0, "1 exchanges, 1 bodies, 0 without a known type, 0 problems\n")


def test_parts_of_a_batch_are_judged_one_by_one(tmp_path, capsys):
    """As if each had travelled alone; every answer belongs to a request (8.2)."""
    sent = {"requests": [{"id": "1", "method": "PATCH", "url": "/users/a%40b/events/AA%2FBB", "body": {"subjct": "x"}}]}
    answer = {"responses": [{"id": "1", "status": 200, "body": {"id": "1", "subject": 2}}]}
    status, text = run(tmp_path, capsys, line(route="$batch", status=200, sent=sent, answer=answer))
    assert status == 1
    assert "PATCH users/{id}/events/{id} sent.subjct: no property of event" in text
    assert "PATCH users/{id}/events/{id} answer.subject: 2 is no Edm.String" in text
    other = {"responses": [{"id": "2", "status": 200, "body": {}}]}
    assert run(tmp_path, capsys, line(route="$batch", status=200, sent=sent, answer=other))[0] == 1


async def test_the_simulator_conforms(tenant, tmp_path, capsys):
    """A little of everything, judged by a small contract written for the test."""
    await tenant.user("ada")
    await tenant.event()
    await tenant.graph("GET", "users/ada@contoso.example/events?$select=subject,start,categories,importance")
    (tmp_path / "contract.json").write_text(json.dumps(FLAT_CONTRACT))
    (tmp_path / "traffic.jsonl").write_bytes(tenant.front.traffic.read().splitlines(keepends=True)[-1])
    assert main(str(tmp_path / "contract.json"), str(tmp_path / "traffic.jsonl")) == 0, capsys.readouterr().out


async def test_bodies_with_halves_of_characters_are_logged_as_json(tenant):
    """What travelled is an object, and the log shows one: else nobody could check it."""
    await tenant.user("ada")
    content = json.dumps(meeting(subject="half \ude00"))
    address = f"{tenant.base}/v1.0/users/ada@contoso.example/events"
    answer = await tenant.client.post(address, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201
    line = json.loads(tenant.front.traffic.read())
    assert line["requestBody"]["subject"] == line["responseBody"]["subject"] == "half \ude00"
