"""The header ``Idempotency-Key`` of POSTs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mms_core.errors import BadInput

if TYPE_CHECKING:
    from mms_core.api.http import ApiRequest

KEY_HEADER: Final = "idempotency-key"
LONGEST_KEY: Final = 255
_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


def checked_key(text: str) -> str:
    """Return a key.

    Raises:
        BadInput: Code ``InvalidParameter``.
    """
    if not _KEY.fullmatch(text):
        raise BadInput(f"1 to {LONGEST_KEY} visible ASCII characters", code="InvalidParameter", field="Idempotency-Key")
    return text


def identity_of(request: ApiRequest) -> bytes:
    """Return all that makes a request what it is: its method, its path, its body."""
    return (
        "\n".join([request.method, request.path, *map(str, sorted(request.route.items())), ""]).encode() + request.body
    )
