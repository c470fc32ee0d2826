"""JSON that survives lone surrogates.

Outlook and .NET cut strings between the halves of an emoji, so a body or subject may hold a lone surrogate. UTF-8
cannot carry one and msgspec refuses it; JSON's ASCII escapes can. msgspec does the common case, the standard library
the rare one.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def dumps(value: Any) -> bytes:
    """Encode *value* (anything that msgspec knows) as JSON."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


def dumps_shown(value: Any) -> bytes:
    """Encode *value* for a reader, as :func:`dumps`; a lone surrogate, which many cannot read, becomes U+FFFD."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), separators=(",", ":"), ensure_ascii=False)
        return without_surrogates(text).encode()


def loads(content: bytes | str, kind: type[T]) -> T:
    """Decode JSON into *kind*.

    Raises:
        msgspec.MsgspecError: It is not JSON, or not of that shape, or nested deeper than the stack.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError:
        raise
    except RecursionError as exc:
        raise msgspec.DecodeError("nested too deeply") from exc
    except msgspec.DecodeError as exc:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise exc from None
        return msgspec.convert(value, type=kind)


def without_surrogates(text: str) -> str:
    """Replace lone surrogates by U+FFFD, for text that is only shown; pairs become the character they mean."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
