"""What administrators ask for: judged by the rules, written down durably, answered at once, worked on later."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mms_core.audience import is_in_pilot, is_listed_out
from mms_core.debounce import Outcome
from mms_core.errors import BadInput
from mms_core.messages import Resolve, StartMany
from mms_core.model import NAME_PREFIX, Request, Selection, Source, Target, UserKey, name_key
from mms_core.service.admin.fanout import EVERYBODY, Fanout, batch_id, rank_of, run_id
from mms_core.service.journal import Journal, Origin
from mms_core.triggers import Case, Facts, What, answer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mms_core.service.parts import Parts
    from mms_core.settings import TenantSettings
    from mms_core.triggers import Decision

MANUAL: Final = "T10 Manual"
ROUTE: Final = "POST migrations"
MOST_IDENTITIES: Final = 50_000
MOST_AT_ONCE: Final = 100
"""A longer list is written down as messages and answered before its rows are."""
LONGEST_SETTLE: Final = timedelta(days=7)
_GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_NAME: Final = re.compile(r"(?:sip:)?[^\s@/\\?]+@[^\s@/\\?#]+", re.IGNORECASE)
_LONGEST_NAME: Final = 320


def user_key(identity: str) -> UserKey:
    """Return the key of the record for an identity: its own id in lower case, or one that stands for its name.

    Raises:
        BadInput: It is neither an object id, a user principal name nor a SIP address.
    """
    text = identity.strip()
    if _GUID.fullmatch(text):
        return UserKey(text.lower())
    if len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) and text.isprintable():
        return name_key(text)
    raise BadInput(code="InvalidIdentity", field="identity")


def _is_pilot(key: UserKey, percentage: int) -> bool:
    """Say whether a user is in the pilot, as far as that is known: of a name Graph has to say first whose it is."""
    return is_in_pilot(key, percentage) and (percentage == EVERYBODY or not key.startswith(NAME_PREFIX))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A manual request (T10), checked."""

    identities: tuple[str, ...]
    priorities: Mapping[int, int] = field(default_factory=dict)
    """By place in ``identities``; whoever is not named has 0, the lowest."""
    source: Source
    target: Target
    settle: timedelta | None = None
    not_before_at: datetime | None = None
    actor: str | None = None
    selection: Selection | None = None
    request_id: str = ""
    """By which a request is known that is sent once more because no answer came; empty for one that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one identity."""

    identity: str
    status: str
    user_id: str | None = None
    correlation_id: str | None = None
    code: str | None = None


class Intake:
    """Receives; never calls Graph."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def start(self, wanted: Wanted) -> list[Result]:
        """Accept a manual request for some users; one result an identity, in order.

        A bad identity refuses its own row only.
        """
        settings = await self._parts.settings()
        if len(wanted.identities) > MOST_AT_ONCE and settings.MeetingMigrationEnabled:
            return await self._start_many(wanted, settings)
        results = []
        for identity in wanted.identities:
            judged = await self._judged(identity, wanted, settings)
            if isinstance(judged, Result):
                results.append(judged)
                continue
            key, decision = judged
            results.append(await self._start_one(key, identity.strip(), wanted, decision))
        await self._note_nobody(results, wanted)
        return results

    async def _note_nobody(self, results: list[Result], wanted: Wanted) -> None:
        """Keep that rows were refused which name nobody."""
        if nobody := sum(each.code == "InvalidIdentity" for each in results):
            await Journal(self._parts).unread(MANUAL, ROUTE, actor=wanted.actor, code="InvalidIdentity", times=nobody)

    async def _judged(
        self, identity: str, wanted: Wanted, settings: TenantSettings
    ) -> tuple[UserKey, Decision] | Result:
        """Say who is meant and what was decided, or why the row is refused; a refusal by rule is recorded."""
        try:
            key = user_key(identity)
        except BadInput as exc:
            return Result(identity=identity, status="refused", code=exc.code)
        decision = await self._decide(key, identity, settings)
        if decision.code is None:
            return key, decision
        await self._note(decision, key, identity, wanted, outcome=decision.code)
        return Result(identity=identity, status="refused", code=decision.code)

    async def _decide(self, key: UserKey, identity: str, settings: TenantSettings) -> Decision:
        """Apply the rules for manual requests, as far as they need no question to Graph (a queued step asks it)."""
        has_lists = bool(settings.AllowedUsers or settings.DeniedUsers)
        known = await self._known(key) if has_lists and key.startswith(NAME_PREFIX) else key
        names = {identity.strip().lower().removeprefix("sip:"), known or ""}
        is_out = is_listed_out(settings, names, None) and (known is not None or not settings.AllowedUsers)
        case = Case(
            what=What.MANUAL,
            facts=Facts(audience="excluded" if is_out else "in"),
            enabled=settings.MeetingMigrationEnabled,
            switched_on=settings.is_trigger_on("T10"),
        )
        return answer(case, settings)

    async def _note(
        self,
        decision: Decision,
        key: UserKey,
        identity: str,
        wanted: Wanted,
        *,
        outcome: str,
        request_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        await Journal(self._parts).note(
            decision,
            what=ROUTE,
            user=identity.strip(),
            user_id=await self._known(key) if key.startswith(NAME_PREFIX) else key,
            request_id=request_id or self._parts.new_id(),
            origin=Origin(actor=wanted.actor, proof="token"),
            outcome=outcome,
            correlation_id=run_id,
            more={"sourceMeetingType": str(wanted.source), "targetMeetingType": str(wanted.target)},
        )

    async def _start_many(self, wanted: Wanted, settings: TenantSettings) -> list[Result]:
        """Accept a large list; its rows become requests at the tenant's rate.

        Rows of a higher priority come first, of one priority those of the pilot, else the order of the list counts. A
        row that stands in the list before is merged into the first; one whose user's run waits already joins that, and
        its answer names it.
        """
        results = list[Result]()
        identities: dict[UserKey, str] = {}
        priorities: dict[UserKey, int] = {}
        delay: timedelta | None = None
        for place, identity in enumerate(wanted.identities):
            judged = await self._judged(identity, wanted, settings)
            if isinstance(judged, Result):
                results.append(judged)
                continue
            key, decision = judged
            delay = decision.delay
            is_new = key not in identities
            identities.setdefault(key, identity.strip())
            priorities[key] = max(priorities.get(key, 0), wanted.priorities.get(place, 0))
            results.append(
                Result(
                    identity=identity,
                    user_id=None if key.startswith(NAME_PREFIX) else key,
                    status="accepted" if is_new else "merged",
                )
            )
        share = settings.PilotPercentage
        await self._note_nobody(results, wanted)
        ranks = {key: rank_of(priorities[key], is_pilot=_is_pilot(key, share)) for key in identities}
        places = {key: place for place, key in enumerate(sorted(ranks, key=lambda key: -ranks[key]))}
        rows: dict[int, list[tuple[int, str, str]]] = {}
        for key, place in places.items():
            rows.setdefault(ranks[key], []).append((place, key, identities[key]))
        batch = batch_id(wanted.request_id, rows) if wanted.request_id else self._parts.new_id()
        waiting = await self._waiting(places)
        results = [self._with_run(each, batch, places, waiting) for each in results]
        settle = wanted.settle if wanted.settle is not None else delay
        if settle is None:
            settle = self._parts.settling_time(settings)
        await Fanout(self._parts).spread(
            rows,
            StartMany(
                batch=batch,
                reason=MANUAL,
                source=str(wanted.source),
                target=str(wanted.target),
                settle_seconds=settle.total_seconds(),
                not_before=wanted.not_before_at.isoformat() if wanted.not_before_at else None,
                actor=wanted.actor,
                selection=wanted.selection,
            ),
        )
        return results

    async def _waiting(self, wanted: Collection[UserKey]) -> dict[UserKey, str]:
        """Return the runs that rows of a list will join, by id and by name: reads the runs that wait, no other."""
        found: dict[UserKey, str] = {}
        async for run in self._parts.users.waiting():
            if run.undo:
                continue  # nothing joins it
            # A run in line behind another one is the newer of the two, and the one that is joined.
            names = {name_key(name) for name in (run.identity, run.user_principal_name) if name}
            for key in names | ({UserKey(run.user_id)} if run.user_id else set()):
                if key in wanted:
                    found.setdefault(key, run.run_id)
        return found

    @staticmethod
    def _with_run(result: Result, batch: str, places: Mapping[UserKey, int], waiting: Mapping[UserKey, str]) -> Result:
        """Name the run that a row joins, or the one that it will make."""
        if result.code is not None:
            return result
        key = user_key(result.identity)
        own = run_id(batch, places[key])
        joined = waiting.get(key, own)
        # The run may be there already, from a request that broke off before it was answered.
        return replace(result, correlation_id=joined, status=result.status if joined == own else "merged")

    async def _start_one(self, key: UserKey, identity: str, wanted: Wanted, decision: Decision) -> Result:
        request = Request(
            request_id=self._parts.new_id(),
            reason=MANUAL,
            source=wanted.source,
            target=wanted.target,
            settle=wanted.settle if wanted.settle is not None else decision.delay,
            not_before_at=wanted.not_before_at,
            actor=wanted.actor,
            selection=wanted.selection,
        )
        accepted = await self._parts.accept(key, identity, request)
        is_name = key.startswith(NAME_PREFIX)
        if is_name:
            # Who this is, Graph has to say; the record of the name waits as Pending until then.
            await self._parts.queue.send(Resolve(user=key))
        await self._note(
            decision,
            key,
            identity,
            wanted,
            outcome=str(accepted.outcome),
            request_id=request.request_id,
            run_id=accepted.run.run_id,
        )
        known = await self._known(key) if is_name else None
        return Result(
            identity=identity,
            user_id=key if not is_name else known,
            correlation_id=accepted.run.run_id,
            status="merged" if accepted.outcome is Outcome.MERGED or await self._waits(known) else "accepted",
        )

    async def _known(self, key: UserKey) -> str | None:
        stored = await self._parts.documents.get("name", key)
        return str(stored.value["userId"]) if stored else None

    async def _waits(self, user_id: str | None) -> bool:
        """Say whether the user that a name meant last time has a request that waits: this one will join it."""
        if user_id is None:
            return False
        stored = await self._parts.users.read(UserKey(user_id))
        return stored is not None and not stored.value.newest.state.is_final
