"""What an event about the whole tenant leads to: a search for the users whom it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mms_core.notifications import NumberUnassigned
from mms_core.service.jobs import start_job
from mms_core.triggers import Answer

if TYPE_CHECKING:
    from mms_core.notifications import AnyData
    from mms_core.service.parts import Parts
    from mms_core.triggers import Decision

DISCOVERY = "discovery"
NUMBER_SEARCH = "numberSearch"


class TenantWide:
    """Starts the searches."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def follow(self, data: AnyData, decision: Decision, *, request_id: str, actor: str | None) -> None:
        """Start the search that an event asks for; a repeated event starts none that is done or under way."""
        if decision.rule == "N3":
            await start_job(self._parts, DISCOVERY)
        elif isinstance(data, NumberUnassigned) and decision.answer is Answer.REQUEST:
            job = f"{NUMBER_SEARCH}-{request_id}"
            if await self._parts.documents.get("job", job) is None:
                arguments = {"number": data.number, "requestId": request_id, "actor": actor}
                await start_job(self._parts, job, arguments=arguments, kind=NUMBER_SEARCH)
