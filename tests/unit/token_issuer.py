"""An issuer of tokens for tests: its keys, and tokens as asked for, wrong ones included."""

from __future__ import annotations

import functools
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TENANT = "0b1c2d3e-1111-4222-8333-444455556666"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
AUDIENCE = "api://mms"


@functools.cache
def private_key(name="own"):
    """Make a key pair once for each name."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem():
    """The public key as anybody can download it."""
    return (
        private_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


class FakeKeys:
    """The issuer's key list."""

    def __init__(self):
        self.asked = []

    async def key(self, key_id):
        """Return the key, or nothing."""
        self.asked.append(key_id)
        return private_key().public_key() if key_id == "k1" else None


def token(*, key=None, algorithm="RS256", headers=None, **claims):
    """A token; ``...`` leaves a claim out."""
    now = int(time.time())
    values = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "tid": TENANT,
        "exp": now + 3600,
        "nbf": now - 60,
        "oid": "object-id",
        "roles": ["Mms.Operate"],
    }
    values = {name: value for name, value in {**values, **claims}.items() if value is not ...}
    return jwt.encode(values, key or private_key(), algorithm=algorithm, headers={"kid": "k1", **(headers or {})})
