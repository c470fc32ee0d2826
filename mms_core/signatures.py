"""Signed webhooks of scripts: the Standard Webhooks scheme, version 1 (HMAC-SHA256).

Source: standardwebhooks.com, "Standard Webhooks specification". Thirty lines of the standard library; the package
of that name would bring an HTTP client into the path that has to answer first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mms_core.errors import AccessDenied, BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLERANCE: Final = timedelta(minutes=5)
"""Replay window: an older or a younger signature is not accepted."""
_PREFIX: Final = "whsec_"
_SHORTEST_KEY: Final = 16
_MOST_SIGNATURES: Final = 10


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A shared secret, with the name under which its holder is recorded."""

    name: str
    secret: bytes


def read_keys(text: str) -> tuple[SigningKey, ...]:
    """Read the app setting ``MMS_WEBHOOK_KEYS``: ``[name=]whsec_<base64>``, several separated by blanks.

    Several keys are valid at once: a new one is added, the scripts change over, the old one is removed.

    Raises:
        BadInput: An entry is not of this form; the message never shows it.
    """
    keys = []
    for number, entry in enumerate(text.split(), 1):
        name, _, secret = entry.rpartition("=whsec_") if "=whsec_" in entry else ("", "", entry.removeprefix(_PREFIX))
        try:
            decoded = base64.b64decode(secret, validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        if len(decoded) < _SHORTEST_KEY:
            raise BadInput(
                f"key {number} is not [name=]whsec_<base64>", code="InvalidParameter", field="MMS_WEBHOOK_KEYS"
            )
        keys.append(SigningKey(name or f"key{number}", decoded))
    return tuple(keys)


def sign(key: SigningKey, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return a signature as the header ``webhook-signature`` has it."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key.secret, content, hashlib.sha256).digest()).decode()


def is_signed(headers: Mapping[str, str]) -> bool:
    """Say whether a request claims to be signed. Header names are in lower case."""
    return "webhook-signature" in headers


def verify_signature(
    headers: Mapping[str, str], body: bytes, keys: tuple[SigningKey, ...], *, now: datetime
) -> SigningKey:
    """Return the key that signed a request.

    Raises:
        AccessDenied: Code ``Unauthorized``, for every reason alike: a stranger learns nothing.
    """
    message_id, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not moment.isascii() or not moment.isdigit() or len(moment) > len("99999999999"):
        raise AccessDenied("webhook headers")
    if abs(now - datetime.fromtimestamp(int(moment), UTC)) > TOLERANCE:
        raise AccessDenied("webhook timestamp")
    given = headers.get("webhook-signature", "").split()[:_MOST_SIGNATURES]
    found = None
    for key in keys:
        expected = sign(key, message_id=message_id, timestamp=int(moment), body=body)
        for each in given:
            if hmac.compare_digest(each.encode(), expected.encode()):
                found = found or key
    if found is None:
        raise AccessDenied("webhook signature")
    return found
