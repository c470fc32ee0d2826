"""Routes that show what was decided, and who needs a migration: a bearer token with the reading role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mms_core.api.http import ApiRequest, ApiResponse, answering, json_response, text_response
from mms_core.api.parameters import instant, top, wants_csv
from mms_core.api.webhooks import authenticate
from mms_core.auth import Keys, Role
from mms_core.errors import BadInput
from mms_core.service.journal import DecisionQuery
from mms_core.status import as_csv

if TYPE_CHECKING:
    from mms_core.service import Finds, Journal, Queries
    from mms_core.settings import Deployment

_DECISION_PARAMETERS: Final = frozenset(
    {
        "identity",
        "rule",
        "reason",
        "answer",
        "correlationId",
        "startTime",
        "endTime",
        "top",
        "continuationToken",
    }
)
_ANSWERS: Final = ("request", "ignore", "refuse")
_COLUMNS: Final = (
    "at", "what", "answer", "rule", "reason", "outcome", "user", "userId", "correlationId", "actor", "proof",
    "requestId",
)  # fmt: skip


def _check(request: ApiRequest, names: frozenset[str]) -> None:
    unknown = set(request.query) - names
    if unknown:
        raise BadInput("unknown parameter", code="InvalidParameter", field=min(unknown))


class JournalApi:
    """Handlers of ``decisions`` and ``discovery``."""

    def __init__(self, journal: Journal, finds: Finds, queries: Queries, *, keys: Keys, deployment: Deployment) -> None:
        self._journal = journal
        self._finds = finds
        self._queries = queries
        self._keys = keys
        self._deployment = deployment

    @answering
    async def decisions(self, request: ApiRequest) -> ApiResponse:
        """``GET decisions``: who or what asked, when, with which proof, and what became of it; newest first."""
        await authenticate(request, self._keys, self._deployment, Role.READ)
        _check(request, _DECISION_PARAMETERS)
        given = request.query
        if given.get("answer") not in (None, *_ANSWERS):
            raise BadInput(f"one of {', '.join(_ANSWERS)}", code="InvalidParameter", field="answer")
        query = DecisionQuery(
            names=await self._queries.names_of(given["identity"]) if "identity" in given else None,
            rule=given.get("rule"),
            reason=given.get("reason"),
            answer=given.get("answer"),
            correlation_id=given.get("correlationId"),
            start_at=instant(given.get("startTime"), name="startTime"),
            end_at=instant(given.get("endTime"), name="endTime"),
            top=top(given.get("top")),
            continuation=given.get("continuationToken"),
        )
        rows, token = await self._journal.page(query)
        if wants_csv(request):
            return text_response(as_csv(rows, _COLUMNS), content_type="text/csv")
        return json_response({"value": rows, "continuationToken": token})

    @answering
    async def discovery(self, request: ApiRequest) -> ApiResponse:
        """``GET discovery``: users who need a migration and have none, ready to be posted back."""
        await authenticate(request, self._keys, self._deployment, Role.READ)
        _check(request, frozenset({"top", "continuationToken"}))
        found: dict[str, Any] = await self._finds.page(
            top=top(request.query.get("top")), continuation=request.query.get("continuationToken")
        )
        return json_response(found)
