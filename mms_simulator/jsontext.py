"""JSON that may hold lone surrogates.

Outlook cuts strings between the halves of an emoji, so Graph's texts may hold half of one. UTF-8 cannot, but JSON's
escapes can: such values travel and are stored escaped, by the slower standard library; all others by msgspec.
"""

import json
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def decode(text: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: It is none (msgspec's DecodeError is one).
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        if b"\\u" not in text:
            raise
    return json.loads(text)


def decode_as(text: bytes, kind: Any) -> Any:
    """Read JSON into a msgspec type."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        if b"\\u" not in text:
            raise
    return msgspec.convert(json.loads(text), kind)


def check(text: bytes) -> None:
    """Find out whether *text* is JSON, at little cost; ValueError when it is none."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        decode(text)


def encode(value: Any) -> bytes:
    """Write JSON, escaped where UTF-8 has no form for it."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()
