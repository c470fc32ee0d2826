"""The real functions, called as the host calls them: azure.functions requests and messages in, responses out."""

from __future__ import annotations

import json
import traceback
from types import SimpleNamespace

import azure.functions as func
import pytest
from app_functions import indexed
from functional_support import KEY
from meeting_values import NOW, TENANT, USER
from token_issuer import AUDIENCE, ISSUER, FakeKeys, token

import function_app
from mms_core import wiring
from mms_core.messages import encode
from mms_core.model import State
from mms_core.settings import from_environment


@pytest.fixture
def app(world, monkeypatch):
    """The app as it is always composed, over the world's parts."""
    deployment = from_environment(
        {
            "MMS_TENANT_ID": TENANT,
            "MMS_API_AUDIENCE": AUDIENCE,
            "MMS_TOKEN_ISSUER": ISSUER,
            "MMS_CLIENT_STATE": "state",
        }
    )
    monkeypatch.setattr(wiring, "deployment", lambda: deployment)
    monkeypatch.setattr(wiring, "_parts", lambda: world.parts)
    monkeypatch.setattr("mms_core.adapters.keys.HttpKeys", lambda *_: FakeKeys())
    composed = wiring.app.__wrapped__()
    monkeypatch.setattr(wiring, "app", lambda: composed)
    return world


def _request(method, path, *, body=None, params=None, route=None, roles=("Mms.Operate",)):
    headers = {"Authorization": f"Bearer {token(roles=list(roles))}"} if roles else {}
    return func.HttpRequest(
        method,
        f"http://localhost/api/{path}",
        headers=headers,
        params=params or {},
        route_params=route or {},
        body=json.dumps(body).encode() if body is not None else b"",
    )


async def _queue(world):
    """Deliver what is visible through the functions of the queues."""
    for message in world.queue.visible():
        function = function_app.on_run if type(message).__name__ == "Wake" else function_app.on_trigger
        await function(func.QueueMessage(body=encode(message).encode()))


async def test_a_migration_through_the_functions_alone(app):
    """POST, queue, queue, GET: what an administrator sees."""
    events = app.skype_meetings(2)
    body = {"identity": "adele@contoso.example", "targetMeetingType": "Teams", "settleMinutes": 0}
    response = await function_app.migrations(_request("POST", "migrations", body=body))
    assert (response.status_code, response.headers["Content-Type"]) == (202, "application/json")
    assert json.loads(response.get_body())["value"][0]["status"] == "accepted"
    await _queue(app)
    await _queue(app)
    await app.until_quiet()
    await app.assert_migrated_once(events)
    response = await function_app.migrations(
        _request("GET", "migrations", params={"identity": USER}, roles=("Mms.Read",))
    )
    (row,) = json.loads(response.get_body())["value"]
    assert (row["State"], row["SucceededMeeting"]) == ("Succeeded", 2)
    response = await function_app.meetings(_request("GET", f"migrations/{USER}/meetings", route={"userId": USER}))
    assert {each["verdict"] for each in json.loads(response.get_body())["value"]} == {"migrated"}


async def test_the_handshake_through_the_function(app):
    """Plain text, 200."""
    request = _request("POST", "graph/notifications", params={"validationToken": "a b&c"}, roles=())
    response = await function_app.graph_notifications(request)
    assert (response.status_code, response.get_body(), response.headers["Content-Type"]) == (
        200,
        b"a b&c",
        "text/plain; charset=utf-8",
    )
    assert app.queue.messages == []


async def test_a_notification_through_the_function_has_an_empty_answer(app):
    """202 without a body and without its type."""
    await app.recovery.subscriptions()
    body = {"value": [{"subscriptionId": "subscription-1", "clientState": "state", "resourceData": {"id": USER}}]}
    response = await function_app.graph_notifications(_request("POST", "graph/notifications", body=body, roles=()))
    assert (response.status_code, response.get_body()) == (202, b"")
    assert len(app.queue.messages) == 1


async def test_a_refusal_through_the_function_is_a_problem(app):
    """The type of the answer says so."""
    assert app.clock.now() == NOW
    response = await function_app.config(_request("GET", "config", roles=()))
    assert (response.status_code, response.headers["Content-Type"]) == (401, "application/problem+json")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_poison_and_timers_through_the_functions(app):
    """The last resorts work without anybody calling the service's own classes."""
    app.skype_meetings(1)
    await app.ask()
    wake = app.queue.messages.pop()[1]
    await function_app.on_run_poison(func.QueueMessage(body=encode(wake).encode()))
    assert await app.state(KEY) is State.FAILED
    await function_app.on_trigger_poison(func.QueueMessage(body=b"\xff not text"))
    assert len(await app.documents.list("poison")) == 2
    await function_app.recover(None)
    await function_app.subscribe(None)
    assert app.tenant.calls == ["ensure_subscriptions"]


WORDS = "MARKQXZJ@contoso.example: Board meeting"


class _Broken:
    """A part of the service with a bug in every method, whose text quotes somebody."""

    def __getattr__(self, name):
        async def bug(*_):
            raise KeyError(WORDS)

        return bug


BEHIND = [each for each in indexed() if not each.is_http_function()]


@pytest.mark.parametrize("function", BEHIND, ids=lambda each: each.get_function_name())
async def test_a_crash_reaches_the_host_without_a_word_of_its_text(function, monkeypatch):
    """The host has to see it, or nothing is poisoned; and it logs what it sees: type and place, whoever it was about."""
    parts = SimpleNamespace(**dict.fromkeys(("triage", "runs", "recovery", "retention", "noticing"), _Broken()))
    monkeypatch.setattr(wiring, "app", lambda: parts)
    with pytest.raises(Exception, match=r"KeyError .*test_functional_functions\.py:\d+") as caught:
        await function.get_user_function()(func.QueueMessage(body=b"{}"))
    assert "MARKQXZJ" not in "".join(traceback.format_exception(caught.value))


def test_every_queue_and_every_timer_is_among_them():
    """The list above is not empty by mistake."""
    assert len(BEHIND) == 11
