"""Pages of rows, as JSON or as CSV."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mms_core.api.http import json_response, text_response, wants_csv
from mms_core.status import as_csv

if TYPE_CHECKING:
    from mms_core.api.http import ApiRequest, ApiResponse


def table_response(
    request: ApiRequest, rows: list[dict[str, Any]], names: tuple[str, ...], *, continuation: str | None = None
) -> ApiResponse:
    """Return a page as the caller wants it; CSV has no room for the token of the next one, so it is a header."""
    if not wants_csv(request):
        return json_response({"value": rows, "continuationToken": continuation})
    response = text_response(as_csv(rows, names), content_type="text/csv")
    more = {"X-Continuation-Token": continuation} if continuation else {}
    return replace(response, headers={**response.headers, **more})
