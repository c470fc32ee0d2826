"""``GET health``: plain for everybody, deep for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mms_core import __version__
from mms_core.api.asked import GetHealth, read_query
from mms_core.api.http import ApiRequest, ApiResponse, answering, json_response
from mms_core.api.webhooks import authenticate
from mms_core.auth import Keys, Role
from mms_core.service.admin.intake import user_key

if TYPE_CHECKING:
    from mms_core.diagnosis import Finding
    from mms_core.ports import Clock
    from mms_core.service import Checkup, Queries
    from mms_core.settings import Deployment

_WORST: Final = ("error", "warning", "ok")


class HealthApi:
    """Handler of ``health``."""

    def __init__(self, queries: Queries, checkup: Checkup, *, keys: Keys, deployment: Deployment, clock: Clock) -> None:
        self._queries = queries
        self._checkup = checkup
        self._keys = keys
        self._deployment = deployment
        self._clock = clock

    @answering
    async def health(self, request: ApiRequest) -> ApiResponse:
        """``GET health``: open, and says only that the app and its storage answer; ``deep=true`` says it all."""
        given = read_query(request.query, GetHealth)
        if not given.deep:
            await self._queries.health()
            return json_response({"status": "ok"})
        await authenticate(request, self._keys, self._deployment, Role.OPERATE)
        if given.user:
            user_key(given.user)  # what is no name must not become part of an address of Graph
        found = await self._checkup.examine(given.user or None)
        statuses = {each.status for each in found}
        return json_response(
            {
                "status": next(each for each in _WORST if each in statuses),
                "version": __version__,
                "checkedAt": self._clock.now().isoformat(),
                "findings": [_row(each) for each in found],
            }
        )


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "status": finding.status,
        "code": finding.code,
        "detail": finding.detail,
        "message": finding.message,
        "remedy": finding.remedy,
    }
