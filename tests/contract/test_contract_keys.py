"""The issuer's keys over real HTTP: cached, asked for again when needed, and not too often."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from mms_core.adapters.keys import CACHE, SOONEST_RELOAD, HttpKeys
from mms_core.adapters.memory import SettableClock
from mms_core.errors import TemporaryError

PUBLIC = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()


def _jwk(key_id, **more):
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PUBLIC)), "kid": key_id, "use": "sig", **more}


class Issuer:
    """A server with a key list that a test may change or break."""

    def __init__(self):
        self.document = {"keys": [_jwk("k1")]}
        self.status = 200
        self.requests = 0
        self.clock = SettableClock(datetime(2026, 3, 2, tzinfo=UTC))

    async def answer(self, _):
        """Serve the document."""
        self.requests += 1
        return web.Response(status=self.status, text=json.dumps(self.document), content_type="application/json")


@pytest.fixture
async def issuer():
    """A running issuer, and keys that ask it."""
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/keys", issuer.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    issuer.keys = HttpKeys(f"http://127.0.0.1:{port}/keys", issuer.clock)
    yield issuer
    await runner.cleanup()


async def test_keys_are_loaded_once_and_kept(issuer):
    """A day long."""
    for _ in range(3):
        assert (await issuer.keys.key("k1")).public_numbers() == PUBLIC.public_numbers()
    assert issuer.requests == 1
    issuer.clock.advance(CACHE + timedelta(seconds=1))
    assert await issuer.keys.key("k1") is not None
    assert issuer.requests == 2


async def test_an_unknown_key_is_looked_for_but_not_too_often(issuer):
    """It may be a new key or a forgery."""
    assert await issuer.keys.key("new") is None
    issuer.document["keys"].append(_jwk("new"))
    assert await issuer.keys.key("new") is None
    assert issuer.requests == 1
    issuer.clock.advance(SOONEST_RELOAD + timedelta(seconds=1))
    assert await issuer.keys.key("new") is not None
    assert issuer.requests == 2


async def test_only_signing_keys_of_the_right_kind_are_taken(issuer):
    """Encryption keys, other types and nameless ones are left out."""
    issuer.document = {
        "keys": [_jwk("enc", use="enc"), {"kty": "oct", "kid": "secret", "k": "AAAA"}, _jwk(None), _jwk("k1")]
    }
    assert [await issuer.keys.key(name) is not None for name in ("enc", "secret", "k1")] == [False, False, True]


async def test_an_issuer_that_is_down_is_worth_another_try(issuer):
    """With keys at hand, the old ones serve."""
    issuer.status = 503
    with pytest.raises(TemporaryError) as caught:
        await issuer.keys.key("k1")
    assert caught.value.code == "SignInFailed"
    issuer.status = 200
    assert await issuer.keys.key("k1") is not None
    issuer.status = 503
    issuer.clock.advance(CACHE * 2)
    assert await issuer.keys.key("k1") is not None


async def test_an_issuer_that_is_down_is_not_asked_for_every_forgery(issuer):
    """Each question may take seconds, and callers with good tokens stand in line behind it."""
    assert await issuer.keys.key("k1") is not None
    issuer.status = 503
    issuer.clock.advance(SOONEST_RELOAD + timedelta(seconds=1))
    for _ in range(5):
        assert await issuer.keys.key("forged") is None
    assert issuer.requests == 2
    issuer.status = 200
    issuer.document["keys"].append(_jwk("new"))
    issuer.clock.advance(SOONEST_RELOAD + timedelta(seconds=1))
    assert await issuer.keys.key("new") is not None
