"""Parameters of a query, as several routes take them. Each raises ``BadInput`` with the parameter's name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mms_core.errors import BadInput

if TYPE_CHECKING:
    from mms_core.api.http import ApiRequest

MOST_ROWS: Final = 1000


def instant(text: str | None, *, name: str) -> datetime | None:
    """Read an ISO 8601 instant; one without an offset is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip().replace(" ", "+"))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput("an ISO 8601 instant", code="InvalidParameter", field=name) from None


def top(text: str | None) -> int:
    """Read the size of a page, 1 to 1,000, by default 100."""
    if text is None:
        return 100
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MOST_ROWS:
        raise BadInput(f"1 to {MOST_ROWS}", code="InvalidParameter", field="top")
    return int(text)


def wants_csv(request: ApiRequest) -> bool:
    """Say whether a caller asks for CSV."""
    return "text/csv" in request.headers.get("accept", "").lower()
