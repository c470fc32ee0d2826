"""Two searches through the calendars of the tenant: who carries a number (T8), and who needs a migration (N3).

Both look at exactly what a run would look at, and ask as it does: one listing a calendar, one read a series.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mms_core import block
from mms_core.errors import PermanentError, RecordUnreadable
from mms_core.model import Source, Target, UserKey
from mms_core.notifications import NumberUnassigned
from mms_core.planning import Step
from mms_core.service.admin.fanout import Fanout
from mms_core.service.deciding import audience_of
from mms_core.service.jobs import Done, each
from mms_core.service.journal import Origin
from mms_core.service.remembered import note_unreadable, snapshot_of
from mms_core.service.running.finding import Finder
from mms_core.service.running.wishes import wish_of
from mms_core.service.tenant.finds import NEED, strike
from mms_core.service.visits import MailboxBusy, visiting
from mms_core.telemetry import log
from mms_core.triggers import ON_PREMISES_ACCOUNT, POLICY_CACHE, TEAMS_MODES

if TYPE_CHECKING:
    from mms_core.meetings import Event
    from mms_core.model import Admission, TeamsFacts, UserFacts
    from mms_core.service.deciding import Deciding
    from mms_core.service.parts import Parts


def digits(number: str) -> str:
    """Return a telephone number as it is dialled: without blanks, signs, and a conference ID behind commas."""
    return "".join(each for each in number.partition(",")[0] if each.isdigit())


def carries(event: Event, number: str) -> bool:
    """Say whether an invitation tells people to dial a number (given as :func:`digits`)."""
    return any(digits(each) == number for found in block.locate(event.body).blocks for each in found.numbers)


async def _finder(parts: Parts, user: UserFacts, *, target: Target) -> Finder:
    """Return what finds a user's meetings, as for a run of all of them."""
    wish = await wish_of(parts, user, await parts.settings(), source=Source.ALL, target=target)
    originals = functools.partial(parts.ledger.originals, UserKey(user.user_id))
    return Finder(parts.graph().calendar, wish, now=parts.clock.now(), originals=originals)


class NumberSearch:
    """Finds the users whose future invitations carry a number, and lets the rules decide about each (T8)."""

    def __init__(self, parts: Parts, deciding: Deciding) -> None:
        self._parts = parts
        self._deciding = deciding

    async def page(self, run: str, arguments: dict[str, Any], cursor: dict[str, Any] | None) -> Done:
        """See :class:`~mms_core.service.jobs.Handler`."""
        del run
        page = await self._parts.graph().directory.users((cursor or {}).get("link"))
        number = digits(arguments["number"])
        found: list[UserFacts] = []

        async def look(user: UserFacts) -> int:
            if await self._may_carry(user, number):
                found.append(user)
            return 0

        await each(page.items, look)
        # An event about the tenant may concern thousands: they are admitted as the rows of a list are.
        waits = await Fanout(self._parts).admission(len(found))
        await each(list(zip(found, waits, strict=True)), lambda pair: self._decide(*pair, arguments))
        following = {"link": page.next_link} if page.next_link else None
        return Done(cursor=following, counts={"users": len(page.items), "found": len(found)})

    async def _decide(self, user: UserFacts, admission: Admission, arguments: dict[str, Any]) -> int:
        await self._deciding.happened(
            NumberOfUser(user=user.user_id, number=arguments["number"]),
            what="mms.bridge.numberunassigned",
            request_id=f"{arguments['requestId']}-{user.user_id}",
            origin=Origin(actor=arguments.get("actor"), proof="invitations"),
            user=user,
            admission=admission,
        )
        return 1

    async def _may_carry(self, user: UserFacts, number: str) -> bool:
        try:
            async with visiting(self._parts, user.user_id, patience=timedelta(0)):
                return await self._carries(user, number)
        except MailboxBusy:
            return True  # the run that this asks for finds out; where it finds nothing, nobody gets mail
        except RecordUnreadable as exc:
            await note_unreadable(self._parts, user.user_id, exc)
            return True
        except PermanentError:
            return False  # no mailbox of ours

    async def _carries(self, user: UserFacts, number: str) -> bool:
        """Ask the ledger first; whatever it says, the calendar has the last word."""
        finder = await _finder(self._parts, user, target=Target.CURRENT)

        async def shows(event: Event) -> bool:
            return any(carries(each.event, number) for each in await finder.planned(event))

        for entry in await self._parts.ledger.entries(UserKey(user.user_id)):
            noted = entry.after.numbers if entry.after is not None else ()
            if any(digits(each) == number for each in noted):
                event = await self._parts.graph().calendar.event(user.user_id, entry.event_id)
                if event is not None and await shows(event):
                    return True
        series: list[Event] = []
        async for event in finder.listed():
            if event.kind == "seriesMaster":
                series.append(event)
            elif await shows(event):
                return True
        # One that shows the number itself very likely settles it; an exception has a body of its own.
        series.sort(key=lambda master: not carries(master, number))
        for master in series:
            if await shows(master):
                return True
        return False


class NumberOfUser(NumberUnassigned, kw_only=True):
    """A number that is gone, as it concerns one user."""

    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    reason: str
    meetings: int
    source: Source
    target: Target
    not_before_at: datetime | None = None


class Discovery:
    """Finds the users who need a migration and have none, after a tenant-wide grant above all."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def page(self, run: str, arguments: dict[str, Any], cursor: dict[str, Any] | None) -> Done:
        """See :class:`~mms_core.service.jobs.Handler`."""
        del arguments
        page = await self._parts.graph().directory.configurations((cursor or {}).get("link"))
        found = await each(page.items, lambda teams: self._user(teams, run))
        if page.next_link:
            following = {"link": page.next_link}
        else:
            following = None
            await self._strike_others(run)
        return Done(cursor=following, counts={"users": len(page.items), "found": found})

    async def _strike_others(self, run: str) -> None:
        """Take off the list whom this search did not meet: they are gone."""
        after = ""
        while page := await self._parts.documents.list(NEED, after=after):
            for need in page:
                after = need["userId"]
                if need["run"] != run:
                    await strike(self._parts, after)

    async def _user(self, teams: TeamsFacts, run: str) -> int:
        old = await self._parts.documents.get(NEED, teams.user_id)
        try:
            need, name = await self._need(teams)
        except (MailboxBusy, RecordUnreadable) as exc:
            if isinstance(exc, RecordUnreadable):
                await note_unreadable(self._parts, teams.user_id, exc)
            log("user_not_searched", user_id=teams.user_id, code=exc.code)
            if old is not None:  # what was found before stands until the next search
                await self._parts.documents.put(NEED, teams.user_id, {**old.value, "run": run})
            return 0
        if need is None:
            if old is not None:
                await strike(self._parts, teams.user_id)
            return 0
        value = {
            "userId": teams.user_id,
            "userPrincipalName": name,
            "reason": need.reason,
            "meetings": need.meetings,
            "source": str(need.source),
            "target": str(need.target),
            "notBefore": need.not_before_at.isoformat() if need.not_before_at else None,
            "run": run,
            "at": self._parts.clock.now().isoformat(),
        }
        await self._parts.documents.put(NEED, teams.user_id, value)
        return 1

    async def _need(self, teams: TeamsFacts) -> tuple[_Need | None, str]:  # noqa: PLR0911 - a reason each
        if teams.account_type in (ON_PREMISES_ACCOUNT, "guest"):
            return None, ""
        is_teams = (teams.mode or teams.inherited_mode or "").lower() in TEAMS_MODES
        try:
            interop_at = (await snapshot_of(self._parts, teams.user_id))[1].interop_at
            if not is_teams and interop_at is None:
                return None, ""
            user = await self._parts.graph().directory.user(teams.user_id)
            if await audience_of(self._parts, await self._parts.settings(), user) == "excluded":
                return None, ""
            async with visiting(self._parts, user.user_id, patience=timedelta(0)):
                skype, all_teams = await self._count(user)
        except RecordUnreadable:
            raise
        except PermanentError:
            return None, ""  # no user or mailbox of ours
        name = user.user_principal_name
        if is_teams and skype:
            granted = "PolicyGranted" if teams.mode else "PolicyGrantedTenantWide"
            reason = f"{'T9' if teams.mode else 'N3'} {granted}"
            return _Need(reason=reason, meetings=skype, source=Source.ALL, target=Target.TEAMS), name
        if interop_at is not None and all_teams and not await self._has_run_since(user.user_id, interop_at):
            ready = datetime.fromisoformat(interop_at) + POLICY_CACHE
            need = _Need(
                reason="T11 VideoInteropChanged",
                meetings=all_teams,
                source=Source.TEAMS,
                target=Target.CURRENT,
                not_before_at=ready,
            )
            return need, name
        return None, ""

    async def _has_run_since(self, user_id: str, instant: str) -> bool:
        stored = await self._parts.users.read(UserKey(user_id))
        started = stored.value.newest.started_at if stored else None
        return started is not None and started >= datetime.fromisoformat(instant) + POLICY_CACHE

    async def _count(self, user: UserFacts) -> tuple[int, int]:
        """Count the future meetings that a migration would look at: Skype's, and Teams'."""
        finder = await _finder(self._parts, user, target=Target.TEAMS)
        steps = Counter(planned.step for group in await finder.find() for planned in group)
        return steps[Step.MIGRATE], steps[Step.REFRESH]
