"""Who may do what: every admin route against every kind of wrong token."""

from __future__ import annotations

import pytest
from system_stack import Stack

SOMEBODY = "00000000-0000-0000-0000-00000000beef"
ADMIN_ROUTES = [
    ("GET", "migrations", "reader"),
    ("GET", "migrations?summaryOnly=true", "reader"),
    ("POST", "migrations", "operator"),
    ("GET", f"migrations/{SOMEBODY}", "reader"),
    ("GET", f"migrations/{SOMEBODY}/meetings", "reader"),
    ("POST", f"migrations/{SOMEBODY}/cancel", "operator"),
    ("POST", f"migrations/{SOMEBODY}/retry", "operator"),
    ("POST", f"migrations/{SOMEBODY}/undo", "operator"),
    ("POST", "events", "operator"),
    ("POST", "previews", "operator"),
    ("GET", f"previews/{SOMEBODY}", "reader"),
    ("POST", f"previews/{SOMEBODY}/apply", "operator"),
    ("GET", "decisions", "reader"),
    ("GET", "discovery", "reader"),
    ("GET", "config", "reader"),
    ("PATCH", "config", "operator"),
]
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
IDS = [f"{method} {path.partition('?')[0].replace(SOMEBODY, 'id')}" for method, path, _ in ADMIN_ROUTES]


@pytest.mark.parametrize(("method", "path", "role"), ADMIN_ROUTES, ids=IDS)
def test_admin_route_is_closed_to_everybody_without_the_right_token(
    stack: Stack, method: str, path: str, role: str
) -> None:
    """No token or a bad one is 401, a good one without the role is 403, and the answer is a problem with a code."""
    assert stack.api(method, path, {}, token=None).status_code == 401
    assert stack.api(method, path, {}, token="garbage").status_code == 401
    for name, wish in WRONG_TOKENS.items():
        token = stack.tenant("POST", "tokens", wish)["token"]
        answer = stack.api(method, path, {}, token=token)
        assert answer.status_code == 401, name
        assert answer.json()["code"] == "Unauthorized", name
        assert answer.headers["content-type"] == "application/problem+json", name
    nobody = stack.tenant("POST", "tokens", {"roles": []})["token"]
    assert stack.api(method, path, {}, token=nobody).status_code == 403
    if role == "operator":
        answer = stack.api(method, path, {}, token="reader")
        assert (answer.status_code, answer.json()["code"]) == (403, "Forbidden")
    # The right token gets past the door, whatever it finds behind it.
    assert stack.api(method, path, {}, token=role).status_code not in (401, 403)


def test_forged_principal_header_does_not_open_anything(stack: Stack) -> None:
    """Headers of App Service authentication are believed by nobody here."""
    headers = {"X-MS-CLIENT-PRINCIPAL": "eyJyb2xlcyI6WyJNbXMuT3BlcmF0ZSJdfQ==", "X-MS-CLIENT-PRINCIPAL-ID": "1"}
    assert stack.api("GET", "migrations", token=None, **headers).status_code == 401


def test_open_routes_have_their_own_proof(stack: Stack) -> None:
    """Graph proves itself by clientState, the activity feed by its auth id."""
    forged = {"value": [{"clientState": "guess", "resource": f"Users/{SOMEBODY}", "resourceData": {"id": SOMEBODY}}]}
    assert stack.api("POST", "graph/notifications", forged, token=None).status_code == 202
    assert stack.api("POST", "activity", [], token=None).status_code == 401
    assert stack.api("GET", "health", token=None).status_code == 200
    answer = stack.http.post(f"{stack.ready['api']}/graph/notifications?validationToken=a%20b%3Cscript%3E")
    assert (answer.status_code, answer.text) == (200, "a b<script>")
    assert answer.headers["content-type"].startswith("text/plain")
