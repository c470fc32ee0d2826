"""How an original is kept: compressed, as large as one table entity takes."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Final

from mms_core import jsontext
from mms_core.errors import PermanentError
from mms_core.meetings import Original

LIMIT: Final = 840_000
"""Bytes: an entity holds 1 MiB, and the rest is left to its other properties. A mail of 4 MiB packs into half of it."""

LONGEST: Final = 32 * 1024 * 1024
"""Bytes before they are compressed: many times what a mail may have, and little beside a worker's memory."""


def pack(original: Original) -> bytes:
    """Compress an original; the written block, which is only shown, is left out where both do not fit.

    Raises:
        PermanentError: Code ``OriginalTooLarge``.
    """
    text = jsontext.dumps(original)
    data = zlib.compress(text, 6)
    is_too_large = len(data) > LIMIT or len(text) > LONGEST
    if is_too_large and original.written_block:
        return pack(replace(original, written_block=""))
    if is_too_large:
        raise PermanentError(f"{len(data)} bytes compressed", code="OriginalTooLarge")
    return data


def unpack(data: bytes) -> Original:
    """Return what was packed.

    Raises:
        ValueError: It is larger than anything that was packed here: the row was written by somebody else.
    """
    opened = zlib.decompressobj()
    text = opened.decompress(data, LONGEST)
    if not opened.eof:
        raise ValueError("an original is larger than any that is kept, or cut")
    return jsontext.loads(text, Original)
