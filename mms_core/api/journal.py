"""Routes that show what was decided, and who needs a migration: a bearer token with the reading role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mms_core.api.asked import ListDecisions, ListDiscovery, instant, read_query
from mms_core.api.http import ApiRequest, ApiResponse, answering, json_response
from mms_core.api.lists import table_response
from mms_core.api.webhooks import authenticate
from mms_core.auth import Keys, Role
from mms_core.service.journal import DecisionQuery

if TYPE_CHECKING:
    from mms_core.service import Finds, Journal, Queries
    from mms_core.settings import Deployment

_COLUMNS: Final = (
    "at", "what", "answer", "rule", "reason", "outcome", "user", "userId", "correlationId", "actor", "proof",
    "requestId",
)  # fmt: skip


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
        given = read_query(request.query, ListDecisions)
        query = DecisionQuery(
            names=await self._queries.names_of(given.identity) if given.identity else None,
            rule=given.rule or None,
            reason=given.reason or None,
            answer=given.answer or None,
            correlation_id=given.correlation_id or None,
            start_at=instant(given.start_time, name="startTime"),
            end_at=instant(given.end_time, name="endTime"),
            top=given.top,
            continuation=given.continuation_token or None,
        )
        rows, token = await self._journal.page(query)
        return table_response(request, rows, _COLUMNS, continuation=token)

    @answering
    async def discovery(self, request: ApiRequest) -> ApiResponse:
        """``GET discovery``: users who need a migration and have none, ready to be posted back."""
        await authenticate(request, self._keys, self._deployment, Role.READ)
        given = read_query(request.query, ListDiscovery)
        found: dict[str, Any] = await self._finds.page(
            top=given.top, continuation=given.continuation_token or None, search=given.search
        )
        return json_response(found)
