"""Signing in of people: a code for a proof of the key, to the application's own address, once."""

import secrets
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from mms_simulator.codes import challenge_of

HERE = "http://127.0.0.1:7071/api/dashboard"
VERIFIER = secrets.token_urlsafe(32)


class Flow:
    """One sign-in; every part can be given another value."""

    def __init__(self, tenant):
        self.tenant = tenant
        self.base = f"{tenant.base}/{tenant.front.store.tenant_id}/oauth2/v2.0"

    async def authorize(self, **more):
        """Ask for a code; gives the answer."""
        query = {
            "client_id": "dashboard", "response_type": "code", "redirect_uri": HERE, "scope": "api://mms/.default",
            "state": "s1", "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256", **more,
        }  # fmt: skip
        given = {name: value for name, value in query.items() if value is not None}
        return await self.tenant.client.get(f"{self.base}/authorize", params=given)

    async def code(self, **more):
        """Get a code."""
        return returned(await self.authorize(**more))["code"]

    async def redeem(self, code, *, origin="http://127.0.0.1:7071", **more):
        """Exchange a code; gives the answer."""
        form = {
            "client_id": "dashboard", "grant_type": "authorization_code", "code": code, "redirect_uri": HERE,
            "code_verifier": VERIFIER, **more,
        }  # fmt: skip
        headers = {"Origin": origin} if origin else {}
        return await self.tenant.client.post(f"{self.base}/token", data=form, headers=headers)


def returned(answer):
    """What the application's address was told."""
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


@pytest.fixture
def flow(tenant):
    """A sign-in that works."""
    return Flow(tenant)


async def test_a_code_becomes_a_token_of_a_person_with_the_state_and_the_nonce_that_were_sent(flow):
    """For the audience of the scope; the page may read the answer."""
    answer = await flow.authorize(scope="openid api://mms/.default", nonce="n1")
    assert answer.headers["Location"].startswith(f"{HERE}?")
    assert returned(answer)["state"] == "s1"
    tokens = await flow.redeem(returned(answer)["code"])
    assert tokens.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:7071"
    key = flow.tenant.front.sign_in.public_pem
    claims = jwt.decode(tokens.json()["access_token"], key, algorithms=["RS256"], audience="api://mms")
    assert (claims["idtyp"], claims["roles"]) == ("user", ["Mms.Read", "Mms.Operate"])
    own = jwt.decode(tokens.json()["id_token"], key, algorithms=["RS256"], audience="dashboard")
    assert (own["nonce"], own["oid"]) == ("n1", claims["oid"])


async def test_somebody_of_the_directory_can_be_named(flow):
    """By login_hint; a stranger is refused at the application's address."""
    user = await flow.tenant.control(
        "POST", "users", {"userPrincipalName": "ada@contoso.example", "displayName": "Ada"}
    )
    tokens = await flow.redeem(await flow.code(login_hint="Ada@contoso.example"))
    claims = jwt.decode(tokens.json()["access_token"], options={"verify_signature": False})
    assert (claims["oid"], claims["preferred_username"]) == (user["id"], "ada@contoso.example")
    assert returned(await flow.authorize(login_hint="nobody@contoso.example"))["error"] == "access_denied"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"code_verifier": secrets.token_urlsafe(32)}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": challenge_of(VERIFIER)}, "invalid_grant"),
        ({"redirect_uri": f"{HERE}/"}, "invalid_grant"),
        ({"client_id": "another"}, "invalid_grant"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"origin": "https://evil.example"}, "invalid_request"),
        ({"origin": None}, "invalid_request"),
    ],
)
async def test_a_wrong_proof_gets_no_token(flow, more, error):
    """Another verifier, address, client, code or origin."""
    code = await flow.code()
    answer = await flow.redeem(**{"code": code, **more})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert "access_token" not in answer.json()


async def test_a_code_is_good_once_and_not_for_long(flow, monkeypatch):
    """Also where the first try was wrong: a stolen code cannot be guessed at."""
    code = await flow.code()
    assert (await flow.redeem(code, code_verifier="x" * 43)).status_code == 400
    assert (await flow.redeem(code)).json()["error"] == "invalid_grant"
    code = await flow.code()
    assert (await flow.redeem(code)).status_code == 200
    assert (await flow.redeem(code)).json()["error"] == "invalid_grant"
    monkeypatch.setattr("mms_simulator.codes.LIFE_SECONDS", -1)
    assert (await flow.redeem(await flow.code())).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": None}, "invalid_request"),
    ],
)
async def test_without_a_proof_of_the_key_there_is_no_code(flow, more, error):
    """The error comes back to the application, with its state."""
    told = returned(await flow.authorize(**more))
    assert (told["error"], told["state"]) == (error, "s1")
    assert "code" not in told


@pytest.mark.parametrize(
    "redirect",
    ["https://evil.example/api/dashboard", "http://127.0.0.1:7071/api/dashboard/more", "javascript:alert(1)", None],
)
async def test_nothing_is_sent_to_an_address_that_is_not_the_applications(flow, redirect):
    """A page says so instead."""
    answer = await flow.authorize(redirect_uri=redirect)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert "AADSTS50011" in answer.text


async def test_a_registered_application_is_held_to_its_redirect_uris(flow):
    """Letter for letter; loopback is no exception then."""
    made = await flow.tenant.graph(
        "POST", "applications", {"displayName": "page", "spa": {"redirectUris": ["https://mms.example/api/dashboard"]}}
    )
    client = made["appId"]
    assert (await flow.authorize(client_id=client)).status_code == 400
    answer = await flow.authorize(client_id=client, redirect_uri="https://mms.example/api/dashboard")
    assert returned(answer)["state"] == "s1"
