"""Who may do what: every admin route against every kind of wrong token."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest
from system_stack import Stack

SOMEBODY = "00000000-0000-0000-0000-00000000beef"
READER, OPERATOR = "reader", "operator"
CLOSED = {
    "GET migrations": READER,
    "POST migrations": OPERATOR,
    "GET migrations/{userId}": READER,
    "GET migrations/{userId}/meetings": READER,
    "GET migrations/{userId}/blocks": READER,
    "POST migrations/{userId}/cancel": OPERATOR,
    "POST migrations/{userId}/retry": OPERATOR,
    "POST migrations/{userId}/undo": OPERATOR,
    "POST events": OPERATOR,
    "POST retries": OPERATOR,
    "POST previews": OPERATOR,
    "GET previews/{id}": READER,
    "POST previews/{id}/apply": OPERATOR,
    "GET decisions": READER,
    "GET discovery": READER,
    "GET config": READER,
    "PATCH config": OPERATOR,
}
"""Routes that need a token, and the least role."""
OPEN = {
    "POST graph/notifications",  # clientState
    "POST graph/lifecycle",  # clientState
    "OPTIONS events",  # the handshake: the POST still needs its proof
    "POST activity",  # auth id
    "GET health",  # says ok or not
    "GET dashboard",  # the shell holds nothing of the tenant
    "GET openapi.json",  # the same for everybody
}
"""Routes that the design leaves open; what protects each is tested below."""
FORGED = {
    "X-MS-CLIENT-PRINCIPAL": base64.b64encode(
        json.dumps(
            {"auth_typ": "aad", "claims": [{"typ": "roles", "val": "Mms.Operate"}], "role_typ": "roles"}
        ).encode()
    ).decode(),
    "X-MS-CLIENT-PRINCIPAL-ID": SOMEBODY,
    "X-MS-CLIENT-PRINCIPAL-NAME": "admin@contoso.example",
    "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
    "X-MS-TOKEN-AAD-ACCESS-TOKEN": "x",
}
"""What App Service authentication puts into a request, and what anybody can put there where it is not in front."""
WRONG_TOKENS = {
    "expired": {"roles": ["Mms.Operate"], "expiresIn": -60},
    "wrong audience": {"roles": ["Mms.Operate"], "aud": "api://somebody-else"},
    "graph audience": {"roles": ["Mms.Operate"], "aud": "https://graph.microsoft.com"},
    "wrong issuer": {"roles": ["Mms.Operate"], "iss": "https://login.example/v2.0"},
    "wrong tenant": {"roles": ["Mms.Operate"], "tid": "11111111-1111-1111-1111-111111111111"},
    "alg none": {"roles": ["Mms.Operate"], "alg": "none"},
    "hmac with the public key": {"roles": ["Mms.Operate"], "alg": "HS256"},
    "unknown key": {"roles": ["Mms.Operate"], "kid": "nobody-knows-me"},
}


def _parts(route: str) -> tuple[str, str]:
    method, _, path = route.partition(" ")
    return method, re.sub(r"\{\w+\}", SOMEBODY, path)


def test_every_route_of_the_app_stands_in_one_of_the_tables(stack: Stack) -> None:
    """The host tells which functions listen; a new one has to be put into a table, and so is tested."""
    host = stack.ready["api"].removesuffix("/api")
    found = set()
    for function in stack.http.get(f"{host}/admin/functions").json():
        for binding in function["config"]["bindings"]:
            if binding["type"] == "httpTrigger":
                found |= {f"{str(method).upper()} {binding['route']}" for method in binding["methods"]}
    assert found == set(CLOSED) | OPEN
    described = stack.http.get(f"{stack.ready['api']}/openapi.json").json()["paths"]
    assert {f"{method.upper()} {path[1:]}" for path, item in described.items() for method in item} == found


@pytest.mark.parametrize(("route", "role"), CLOSED.items(), ids=CLOSED)
def test_closed_route_is_closed_to_everybody_without_the_right_token(stack: Stack, route: str, role: str) -> None:
    """No token or a bad one is 401, a good one without the role is 403, and the answer is a problem with a code.

    Headers of App Service authentication do not help, neither alone nor with a token that lacks the role.
    """
    method, path = _parts(route)
    assert stack.api(method, path, {}, token=None, **FORGED).status_code == 401
    assert stack.api(method, path, {}, token=None).status_code == 401
    assert stack.api(method, path, {}, token="garbage").status_code == 401
    for name, wish in WRONG_TOKENS.items():
        token = stack.tenant("POST", "tokens", wish)["token"]
        answer = stack.api(method, path, {}, token=token)
        assert answer.status_code == 401, name
        assert answer.json()["code"] == "Unauthorized", name
        assert answer.headers["content-type"] == "application/problem+json", name
        assert stack.api(method, path, {}, token=token, **FORGED).status_code == 401, name
    nobody = stack.tenant("POST", "tokens", {"roles": []})["token"]
    assert stack.api(method, path, {}, token=nobody).status_code == 403
    assert stack.api(method, path, {}, token=nobody, **FORGED).status_code == 403
    if role == OPERATOR:
        answer = stack.api(method, path, {}, token="reader")
        assert (answer.status_code, answer.json()["code"]) == (403, "Forbidden")
    # The right token gets past the door, whatever it finds behind it.
    assert stack.api(method, path, {}, token=role).status_code not in (401, 403)


def test_strangers_call_of_graph_is_answered_and_causes_nothing(stack: Stack) -> None:
    """Graph proves itself by clientState; whoever guesses gets the same answer and leaves no trace."""
    forged = {"value": [{"clientState": "guess", "resource": f"Users/{SOMEBODY}", "resourceData": {"id": SOMEBODY}}]}
    for route in ("graph/notifications", "graph/lifecycle"):
        assert stack.api("POST", route, forged, token=None, **FORGED).status_code == 202
        assert stack.api("POST", route, forged, token="operator").status_code == 202
        answer = stack.http.post(f"{stack.ready['api']}/{route}?validationToken=a%20b%3Cscript%3E")
        assert (answer.status_code, answer.text) == (200, "a b<script>")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
    rows = stack.api("GET", f"decisions?identity={SOMEBODY}", token="reader").json()["value"]
    assert [row for row in rows if row["proof"] == "notification"] == []


def test_activity_feed_proves_itself_by_its_auth_id(stack: Stack) -> None:
    """A token does not help, and a wrong auth id neither."""
    for token in (None, "operator"):
        for more in ({}, {"Webhook-AuthID": "guess"}, {"Webhook-AuthID": ""}, FORGED):
            assert stack.api("POST", "activity", [], token=token, **more).status_code == 401


def test_events_need_a_token_or_a_signature(stack: Stack) -> None:
    """A signature with a key that nobody gave out is none."""
    signed = {"webhook-id": "m1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,Z3Vlc3M="}
    assert stack.api("POST", "events", {}, token=None, **signed).status_code == 401
    assert stack.api("OPTIONS", "events", token=None, **{"WebHook-Request-Origin": "x.example"}).status_code == 200


def test_what_everybody_may_read_says_nothing_of_the_tenant(stack: Stack) -> None:
    """Health is one word, and the description is the same whoever asks."""
    assert stack.api("GET", "health", token=None).json() == {"status": "ok"}
    described = [stack.api("GET", "openapi.json", token=token).content for token in (None, "operator", "garbage")]
    assert described[0] == described[1] == described[2]
    assert b"contoso" not in described[0]
    pages = [stack.api("GET", "dashboard", token=token).content for token in (None, "operator", "garbage")]
    assert pages[0] == pages[1] == pages[2]
    assert stack.ready["tokens"]["operator"].encode() not in pages[0]
