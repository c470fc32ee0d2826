"""Bearer tokens: verified by us, refused alike for every reason."""

from __future__ import annotations

import base64
import json
import time

import pytest
from token_issuer import AUDIENCE, ISSUER, TENANT, FakeKeys, private_key, public_pem, token

from mms_core.auth import LONGEST_TOKEN, Principal, Role, bearer, require, verify
from mms_core.errors import AccessDenied


async def _verify(text, *, audience=AUDIENCE, keys=None):
    return await verify(text, keys or FakeKeys(), issuer=ISSUER, audience=audience, tenant_id=TENANT)


async def test_a_valid_token_tells_who_calls_and_with_which_roles():
    """Names are object or app ids."""
    assert await _verify(token()) == Principal(name="object-id", roles=frozenset({"Mms.Operate"}))
    app = token(oid=..., azp="app-id", roles=["Mms.Read", "Other"])
    assert await _verify(app) == Principal(name="app-id", roles=frozenset({"Mms.Read", "Other"}))


async def test_any_of_our_audiences_is_accepted():
    """An app has its id and its URI; Entra writes a list now and then."""
    assert await _verify(token(aud="the-app-id"), audience=f"{AUDIENCE} the-app-id")
    assert await _verify(token(aud=[AUDIENCE, "other"]))


async def test_the_tenant_is_compared_in_any_case():
    """GUIDs are."""
    assert await _verify(token(tid=TENANT.upper()))


def _unsigned(**header):
    claims = json.loads(base64.urlsafe_b64decode(token().split(".")[1] + "=="))
    parts = [{"alg": "none", "kid": "k1", "typ": "JWT", **header}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


def _signed_with_the_public_key():
    """What an attacker can make: HMAC with the PEM that everybody may read."""
    import hashlib
    import hmac

    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "k1", "typ": "JWT"}).encode()).rstrip(b"=")
    body = token().split(".")[1].encode()
    signature = hmac.new(public_pem(), head + b"." + body, hashlib.sha256).digest()
    return b".".join([head, body, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


BAD = {
    "expired": lambda: token(exp=int(time.time()) - 5),
    "without an expiry": lambda: token(exp=...),
    "not valid yet": lambda: token(nbf=int(time.time()) + 600),
    "wrong issuer": lambda: token(iss="https://evil.example/v2.0"),
    "without an issuer": lambda: token(iss=...),
    "wrong audience": lambda: token(aud="https://graph.microsoft.com"),
    "without an audience": lambda: token(aud=...),
    "wrong tenant": lambda: token(tid="99999999-1111-4222-8333-444455556666"),
    "without a tenant": lambda: token(tid=...),
    "another key": lambda: token(key=private_key("other")),
    "unknown key id": lambda: token(headers={"kid": "k2"}),
    "key id that is no text": lambda: _unsigned(alg="RS256", kid=5),
    "algorithm none": _unsigned,
    "algorithm None": lambda: _unsigned(alg="None"),
    "algorithm of another kind": lambda: token(algorithm="PS256"),
    "signed with the public key": _signed_with_the_public_key,
    "secret of its own": lambda: token(key="s" * 64, algorithm="HS256"),
    "tampered": lambda: token()[:-6] + "AAAAAA",
    "not a token": lambda: "abc",
    "empty parts": lambda: "..",
    "not ASCII": lambda: "ü.ü.ü",
}


@pytest.mark.parametrize("reason", BAD)
async def test_a_bad_token_is_refused(reason):
    """With one code whatever the reason: a stranger learns nothing."""
    with pytest.raises(AccessDenied) as caught:
        await _verify(BAD[reason]())
    assert caught.value.code == "Unauthorized"


async def test_a_forged_algorithm_never_reaches_the_key_list():
    """A flood of forgeries must not become a flood of requests."""
    keys = FakeKeys()
    for text in (_unsigned(), token(key="s" * 64, algorithm="HS256")):
        with pytest.raises(AccessDenied):
            await _verify(text, keys=keys)
    assert keys.asked == []


@pytest.mark.parametrize(
    "roles", [..., None, [], "Mms.Operate", {"Mms.Operate": 1}, [1, None], ["Mms.Reader"], ["mms.read"]]
)
async def test_without_a_role_a_caller_may_do_nothing(roles):
    """Valid, but not entitled: another code. A role in another shape is no role."""
    principal = await _verify(token(roles=roles))
    for role in Role:
        with pytest.raises(AccessDenied) as caught:
            require(principal, role)
        assert caught.value.code == "Forbidden"


def test_operating_includes_reading_and_not_the_other_way_round():
    """Two roles."""
    require(Principal(name="a", roles=frozenset({"Mms.Operate"})), Role.READ)
    require(Principal(name="a", roles=frozenset({"Mms.Operate"})), Role.OPERATE)
    require(Principal(name="a", roles=frozenset({"Mms.Read"})), Role.READ)
    with pytest.raises(AccessDenied):
        require(Principal(name="a", roles=frozenset({"Mms.Read"})), Role.OPERATE)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER  abc "])
def test_the_scheme_is_read_in_any_case(header):
    """RFC 9110."""
    assert bearer({"authorization": header}) == "abc"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc", f"Bearer {'x' * (LONGEST_TOKEN + 1)}"]
)
def test_a_request_without_a_bearer_token_is_refused(header):
    """As is one that is too long to be one."""
    with pytest.raises(AccessDenied):
        bearer({} if header is None else {"authorization": header})
