"""What discovery found, for administrators: users who need a migration and have none. Never calls Graph."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mms_core.errors import RecordUnreadable
from mms_core.model import State, UserKey
from mms_core.service.jobs import start_job
from mms_core.service.sifting import sifted
from mms_core.service.tenant.tenantwide import DISCOVERY

if TYPE_CHECKING:
    from mms_core.model import Run
    from mms_core.service.parts import Parts

NEED = "need"
"""Kind of the documents with discovery's findings: one a user, each replaced by the search after it."""


async def strike(parts: Parts, user_id: str) -> None:
    """Take a user off the list: somebody who is gone, or of whom nothing is found any more."""
    await parts.documents.remove(NEED, user_id)


class Finds:
    """Lists what discovery found."""

    def __init__(self, parts: Parts, *, age: timedelta) -> None:
        self._parts = parts
        self._age = age

    async def page(self, *, top: int, continuation: str | None, search: bool = True) -> dict[str, Any]:
        """Return a page of users with reason and number of meetings, and requests that can be posted back as they are.

        A search that is older than the deployment's limit is started again in the background, unless *search* is
        false; what it replaces is shown until then, user by user. Of users who are served only so many are passed
        over for one question: a page with a token may be short, or empty.
        """
        rows, token = await sifted(
            self._parts.documents, NEED, self._shown, key="userId", top=top, after=continuation or ""
        )
        job = await self._parts.documents.get("job", DISCOVERY)
        state = job.value if job else {}
        is_started = search and await self._refresh(state)
        return {
            "value": rows,
            "requests": _requests(rows),
            "continuationToken": token,
            "discoveredAt": state.get("doneAt") or state.get("doneBefore"),
            "isRunning": is_started or (bool(state) and not state.get("doneAt")),
        }

    async def _shown(self, need: dict[str, Any]) -> dict[str, Any] | None:
        # An earlier version left a row without meetings for a user of whom nothing was found any more.
        is_shown = need.get("meetings") and not await self._is_served(need)
        return _row(need) if is_shown else None

    async def _is_served(self, need: dict[str, Any]) -> bool:
        """Say whether a run of the user waits, works, or has ended well since the search looked, or found nobody."""
        try:
            stored = await self._parts.users.read(UserKey(need["userId"]))
        except RecordUnreadable:
            return False  # whoever looks at the list should see this one, too
        if stored is None:
            return False
        run: Run = stored.value.newest
        if not run.state.is_final:
            return True
        settles = run.state is State.SUCCEEDED or run.code == "UserNotFound"
        return settles and run.modified_at >= datetime.fromisoformat(need["at"])

    async def _refresh(self, state: dict[str, Any]) -> bool:
        """Start the search where its findings are old; says whether it did."""
        done = state.get("doneAt")
        is_old = done is None or self._parts.clock.now() - datetime.fromisoformat(done) > self._age
        return is_old and await start_job(self._parts, DISCOVERY)


def _row(need: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "identity": need["userPrincipalName"] or need["userId"],
        "userId": need["userId"],
        "reason": need["reason"],
        "meetings": need["meetings"],
        "sourceMeetingType": need["source"],
        "targetMeetingType": need["target"],
        "notBefore": need.get("notBefore"),
        "discovered": need["at"],
    }
    return {name: value for name, value in shown.items() if value is not None}


def _requests(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Group rows into bodies for ``POST migrations``."""
    groups: dict[tuple[str, str, str | None], list[str]] = {}
    for row in rows:
        key = (row["sourceMeetingType"], row["targetMeetingType"], row.get("notBefore"))
        groups.setdefault(key, []).append(row["userId"])
    return [
        {
            "identities": users,
            "sourceMeetingType": source,
            "targetMeetingType": target,
            **({"notBefore": ready} if ready else {}),
        }
        for (source, target, ready), users in groups.items()
    ]
