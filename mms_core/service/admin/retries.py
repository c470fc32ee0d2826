"""A whole group of failures: every user whose newest run has failed with one code is tried again, a page at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import BadInput, PreconditionLost, RecordUnreadable
from mms_core.model import State, UserKey, name_key
from mms_core.ports import RunQuery
from mms_core.service.admin.fanout import Fanout
from mms_core.service.admin.queries import retried
from mms_core.service.jobs import Done, each, start_anew
from mms_core.service.journal import Journal
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.remembered import note_unreadable
from mms_core.states import STANDS_FOR_MESSAGE

if TYPE_CHECKING:
    from mms_core.model import Admission, Run
    from mms_core.service.parts import Parts

RETRY: Final = "retry"
_WHAT: Final = "POST retries"
_PAGE: Final = 500


def _key(run: Run) -> UserKey:
    return UserKey(run.user_id.lower()) if run.user_id else name_key(run.identity)


def _is_same(run: Run, listed: Run) -> bool:
    """Say whether nothing has happened to a run since it was listed."""
    return (run.run_id, run.state, run.modified_at) == (listed.run_id, listed.state, listed.modified_at)


class Retries:
    """Takes such an order, and is the handler of the job that carries it out."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._journal = Journal(parts)

    async def order(self, code: str, *, actor: str) -> int:
        """Have the users of a group tried again, as fast as lists are admitted; returns how many there are now.

        Raises:
            BadInput: With *code*, where the group's runs only stand for messages.
        """
        if code in STANDS_FOR_MESSAGE:
            await self._journal.ordered("Retry", _WHAT, actor=actor, refused=code)
            raise BadInput(code=code, field="code")
        count = (await self._parts.users.failures()).get(code, 0)
        if count:
            # One job an operator: each run says by whose order it was tried again.
            arguments = {"code": code, "actor": actor}
            await start_anew(self._parts, f"{RETRY}-{code}-{actor}", arguments=arguments, kind=RETRY)
        await self._journal.ordered("Retry", _WHAT, actor=actor, more={"code": code, "users": count})
        return count

    async def page(self, run: str, arguments: dict[str, Any], cursor: dict[str, Any] | None) -> Done:
        """See :class:`~mms_core.service.jobs.Handler`. Who fails again meanwhile is not tried once more."""
        del run
        cursor = cursor or {"before": self._parts.clock.now().isoformat(), "after": None}
        before = datetime.fromisoformat(cursor["before"])
        page = await self._parts.users.page(RunQuery(state=State.FAILED, top=_PAGE, continuation=cursor["after"]))
        failed = [one for one in page.runs if one.code == arguments["code"] and one.modified_at <= before]
        waits = await Fanout(self._parts).admission(len(failed), settle=timedelta(0))
        pairs = list(zip(failed, waits, strict=True))
        count = await each(pairs, lambda pair: self._retry(*pair, arguments["actor"]))
        following = {**cursor, "after": page.continuation} if page.continuation else None
        return Done(cursor=following, counts={"users": count})

    async def _retry(self, failed: Run, admission: Admission, actor: str) -> int:
        """Start a run afresh if it is still its user's newest and as it was listed; returns whether it was."""
        now = self._parts.clock.now()
        for _ in range(CONFLICT_ATTEMPTS):
            try:
                stored = await self._parts.users.read(_key(failed))
            except RecordUnreadable as exc:
                await note_unreadable(self._parts, _key(failed), exc)
                return 0
            now_run = stored.value.newest if stored else None
            if stored is None or now_run is not stored.value.current or not _is_same(now_run, failed):
                return 0
            run = retried(now_run, now=now, due_at=now + admission.wait, actors=(actor,), turn=admission.turn)
            try:
                await self._parts.save_with_wake(replace(stored.value, current=run), stored, afresh=True)
            except PreconditionLost:
                continue
            await self._journal.ordered("Retry", _WHAT, actor=actor, user=failed.identity, run=run)
            return 1
        raise PreconditionLost("the user's record is written by others all the time")
