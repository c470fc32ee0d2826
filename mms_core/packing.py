"""How an original is kept: compressed, as large as one table entity takes."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Final

from mms_core import jsontext
from mms_core.errors import PermanentError
from mms_core.model import Original

LIMIT: Final = 840_000
"""Bytes: an entity holds 1 MiB, and the rest is left to its other properties. A mail of 4 MiB packs into half of it."""


def pack(original: Original) -> bytes:
    """Compress an original; the written block, which is only shown, is left out where both do not fit.

    Raises:
        PermanentError: Code ``OriginalTooLarge``.
    """
    data = zlib.compress(jsontext.dumps(original), 6)
    if len(data) > LIMIT and original.written_block:
        return pack(replace(original, written_block=""))
    if len(data) > LIMIT:
        raise PermanentError(f"{len(data)} bytes compressed", code="OriginalTooLarge")
    return data


def unpack(data: bytes) -> Original:
    """Return what was packed."""
    return jsontext.loads(zlib.decompress(data), Original)
