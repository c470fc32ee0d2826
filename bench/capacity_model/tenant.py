"""A model of a tenant: its limits, its calendars, and who was mailed. It knows nothing of the product's rules.

It refuses what is over a limit of Graph (429 and Retry-After), loses answers by chance, and keeps account: how many
updates each meeting got, how many requests a mailbox saw at once, how many recipients were written to in 24 hours.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from bench.capacity_model.virtual import EPOCH
from mms_core.meetings import Attendee, Event, OnlineMeeting
from mms_core.model import UserFacts
from mms_core.ports import Written

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable

    from bench.capacity_model.virtual import VirtualLoop
    from mms_core.ports import EventChange

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
TENANT_ID = "0b1c2d3e-1111-4222-8333-444455556666"
DIAL_IN = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
TEMPLATES = 16
"""Different invitations. So few that what the product's pure block functions say of them can be remembered."""
_LOST_READ_SECONDS = 100.0
"""After so long the SDK's transport gives up a read."""


def external_limit(licences: int) -> int:
    """Return the recipients outside that a tenant may write to in 24 hours (Exchange Online limits)."""
    return round(500 * licences**0.7 + 9500)


def directory_units(users: int) -> int:
    """Return the resource units of the directory in 10 seconds, by the size of the tenant (Graph throttling limits)."""
    return 3500 if users < 50 else 5000 if users <= 500 else 8000


@dataclass
class Limits:
    """Published limits (docs/operations.md says where); all may be changed by ``--limit name=value``."""

    mailboxConcurrency: int = 4
    mailboxRequests: int = 10_000
    """In 10 minutes, of one app to one mailbox."""
    graphRequests: int = 130_000
    """In 10 seconds, of one app."""
    teamsRequests: int = 30
    """In a second, of one app in one tenant."""
    directoryUnits: int = 0
    """In 10 seconds; 0 is by the tenant's size."""
    meetingsAMonth: int = 2000
    """Online meetings that one user may have made."""
    messagesAMinute: int = 30
    recipientsADay: int = 10_000
    """Of one mailbox."""
    externalADay: int = 0
    """Recipients outside, of the tenant, in any 24 hours; 0 is by the number of licences."""
    storageOperations: int = 20_000
    """In a second, of a storage account. Counted, not refused."""


class Window:
    """A limit over a sliding window."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._spent: deque[tuple[float, int]] = deque()
        self.sum = 0
        self.peak = 0

    def _slide(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - self.seconds:
            self.sum -= self._spent.popleft()[1]

    def take(self, now: float, amount: int = 1) -> float:
        """Spend; returns 0, or the seconds until there is room, and then nothing was spent."""
        self._slide(now)
        if self.sum + amount > self.limit:
            return max(self._spent[0][0] + self.seconds - now, 1e-3) if self._spent else self.seconds
        self.note(now, amount)
        return 0.0

    def note(self, now: float, amount: int) -> None:
        """Spend, however much was spent before."""
        self._slide(now)
        self._spent.append((now, amount))
        self.sum += amount
        self.peak = max(self.peak, self.sum)


@dataclass(slots=True)
class Mailbox:
    """One user's calendar and what was done to it."""

    updates: bytearray
    bodies: list[str | None]
    etags: bytearray
    meetings: bytearray
    """Which of its meetings have a Teams meeting."""
    in_flight: int = 0
    in_flight_peak: int = 0
    requests: Window | None = None
    sent: list[tuple[float, int]] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """An HTTP answer as the product's transport takes it; ``content`` is a value where nothing went wrong."""

    status_code: int
    content: Any
    headers: dict[str, str]


@dataclass
class Hour:
    """What happened in one virtual hour."""

    updates: int = 0
    external: int = 0
    teams: int = 0
    graph: int = 0
    refused: int = 0
    storage: int = 0


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Chances of misfortune, each of a request."""

    lost_answer: float = 0.0005
    """Carried out, and the answer never comes."""
    gateway: float = 0.0005
    """504, half of them after it was carried out."""
    unavailable: float = 0.001
    """503 before anything was done."""


def skype_body(number: int) -> str:
    """Write an invitation with a Skype for Business block."""
    url = f"https://meet.contoso.example/organizer/T{number:07d}"
    dots = f"<p class=MsoNormal><span style='font-size:8.0pt;color:#404040'>{'.' * 137}</span></p>\r\n"
    text = "<p class=MsoNormal>Agenda item with some words in it&nbsp;</p>\r\n" * (1 + number)
    return (
        f"<html><head></head><body lang=EN-US>{text}{dots}<p class=MsoNormal><a name=OutJoinLink>x</a>"
        f'<a href="{url}">Join Skype Meeting</a><a name=OutSharedNoteBorder>&nbsp;</a></p>\r\n'
        f'<p><a href="{url}?sl=1">Try Skype Web App</a></p>\r\n'
        f"<p><span style='color:white'>[!OC([1033])!]</span></p>\r\n{dots}{text}</body></html>"
    )


def teams_meeting(number: int) -> OnlineMeeting:
    """Make the Teams meeting that belongs to an invitation."""
    thread = f"19:meeting_capacity{number}@thread.v2"
    # The newest kind of link names nobody, so that users can share what is remembered of it.
    url = f"https://teams.microsoft.com/meet/3{number:011d}?p=Capacity"
    line = "_" * 80
    block = (
        f'<div class="me-email-text" lang="en-US"><div>{line}</div><div>'
        f'<span class="me-email-text" style="font-size:24px">Microsoft Teams meeting</span> '
        f'<a href="https://aka.ms/JoinTeamsMeeting?omkt=en-US" id="meet_invite_block.action.help">Need help?</a></div>'
        f'<div><a href="{url}" id="meet_invite_block.action.join_link">Join the meeting now</a></div>'
        f"<div>{line}</div></div>"
    )
    return OnlineMeeting(
        meeting_id=f"id-{number}", join_url=url, thread_id=thread, join_information=f"data:text/html,{block}"
    )


class _Expected(NamedTuple):
    """An answer that somebody waits for, and who reads it."""

    future: asyncio.Future[Answer]
    compute: Callable[[], float]


class Tenant:
    """The tenant."""

    def __init__(
        self,
        loop: VirtualLoop,
        dice: random.Random,
        *,
        users: int,
        meetings: int,
        attendees: int,
        external: float,
        limits: Limits,
        faults: Faults,
        latency: float = 0.5,
    ) -> None:
        self._loop, self._dice, self._latency = loop, dice, latency
        self.users, self.meetings = users, meetings
        self._attendees, self._external = attendees, external
        self.limits, self._faults = limits, faults
        self.graph = Window(limits.graphRequests, 10)
        self.teams = Window(limits.teamsRequests, 1)
        self.directory = Window(limits.directoryUnits, 10)
        self.outside = Window(limits.externalADay, DAY)
        self.mailboxes: dict[str, Mailbox] = {}
        self.statuses: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()
        self.lost_answers = 0
        self.hours: defaultdict[int, Hour] = defaultdict(Hour)
        self._bodies = {body: body for body in map(skype_body, range(TEMPLATES))}
        self._templates = list(self._bodies)
        self._meetings = [teams_meeting(number) for number in range(TEMPLATES)]
        self._people: dict[int, tuple[Attendee, ...]] = {}

    # -- what is in it --------------------------------------------------------------------------------------------

    @staticmethod
    def user_id(number: int) -> str:
        """Return the object id of a user."""
        return f"{number:08x}-0000-4000-8000-{number:012x}"

    def outside_of(self, user: str, index: int) -> int:
        """Return how many people outside a meeting has: the share, spread evenly."""
        at = int(user[:8], 16) * self.meetings + index
        share = self._attendees * self._external
        return math.floor((at + 1) * share + 1e-9) - math.floor(at * share + 1e-9)

    def _invited(self, outside: int) -> tuple[Attendee, ...]:
        if outside not in self._people:
            inside = max(self._attendees - outside, 0)
            self._people[outside] = tuple(
                Attendee(address=f"guest{number}@{'fabrikam' if number < outside else 'contoso'}.example")
                for number in range(inside + outside)
            )
        return self._people[outside]

    def mailbox(self, user: str) -> Mailbox:
        """Return a user's mailbox."""
        found = self.mailboxes.get(user)
        if found is None:
            count = self.meetings
            found = Mailbox(
                updates=bytearray(count), bodies=[None] * count, etags=bytearray(count), meetings=bytearray(count)
            )
            self.mailboxes[user] = found
        return found

    def _event(self, user: str, index: int, *, is_expanded: bool = True) -> Event:
        """Make a meeting as it is now; the answer to a write expands no properties."""
        box, template = self.mailbox(user), index % TEMPLATES
        body, start = box.bodies[index], EPOCH + timedelta(days=200 + index)
        is_teams = body is not None
        link = self._meetings[template].join_url
        url = f"https://meet.contoso.example/organizer/T{template:07d}"
        properties = (
            {"SkypeTeamsMeetingUrl": link, "MmsRun": "known"}
            if is_teams
            else {
                "OnlineMeetingConfLink": f"conf:sip:o@contoso.example;gruu;focus:id:T{template:07d}?x=1",
                "OnlineMeetingExternalLink": url,
            }
        )
        return Event(
            event_id=f"{user}/{index}",
            etag=f'W/"{box.etags[index]}"',
            ical_uid=f"uid-{user}-{index}",
            series_uid=f"uid-{user}-{index}",
            kind="singleInstance",
            subject=f"Project review {index}",
            start_at=start,
            end_at=start + timedelta(hours=1),
            is_organizer=True,
            is_cancelled=False,
            is_draft=False,
            body=body if body is not None else self._templates[template],
            content_type="html",
            attendees=self._invited(self.outside_of(user, index)),
            locations=({"displayName": "Microsoft Teams Meeting" if is_teams else "Skype Meeting"},),
            properties=properties if is_expanded else {},
            organizer_address="organizer@contoso.example",
            is_online=is_teams,
            join_url=link if is_teams else None,
        )

    def count_storage(self) -> None:
        """Count an operation on the app's tables."""
        self.hours[int(self._loop.time() // HOUR)].storage += 1

    # -- how it answers -------------------------------------------------------------------------------------------

    async def exchange(
        self, operation: str, user: str, arguments: dict[str, Any], compute: Callable[[], float]
    ) -> Answer:
        """Answer one request. It goes on its way even if whoever sent it is gone meanwhile.

        Args:
            operation: What is asked.
            user: Whom it is about.
            arguments: Of the operation.
            compute: Says, when the answer has arrived, in how many seconds its reader has read it.

        Raises:
            httpx.ReadError, httpx.ReadTimeout: The answer was lost.
        """
        answer = _Expected(self._loop.create_future(), compute)
        self._loop.call_later(self._way() / 4, self._arrive, operation, user, arguments, answer)
        return await answer.future

    def _way(self) -> float:
        return self._latency * (0.5 + self._dice.random())

    def _arrive(self, operation: str, user: str, arguments: dict[str, Any], answer: _Expected) -> None:
        now, hour = self._loop.time(), self.hours[int(self._loop.time() // HOUR)]
        box = self.mailbox(user) if operation in ("candidates", "event", "update") else None
        wait, reason = self._over(operation, user, box, now)
        if reason:
            self.refusals[reason] += 1
            hour.refused += 1
            self._answer(answer, self._refused(wait), self._way() / 4)
            return
        hour.graph += 1
        chance = self._dice.random()
        if chance < self._faults.unavailable:
            self._answer(answer, _failed(503, "ServiceUnavailable"), self._way())
            return
        if box is not None:
            box.in_flight += 1
            box.in_flight_peak = max(box.in_flight_peak, box.in_flight)
            if box.in_flight > self.limits.mailboxConcurrency:
                raise AssertionError("the tenant let more in than it may")
        is_bad = chance < self._faults.unavailable + self._faults.gateway
        self._loop.call_later(self._way() * 3 / 4, self._carry_out, operation, user, arguments, answer, box, is_bad)

    def _over(self, operation: str, user: str, box: Mailbox | None, now: float) -> tuple[float, str]:
        """Return the seconds to wait and which limit says so; an empty one if none does."""
        if box is not None:
            if box.in_flight >= self.limits.mailboxConcurrency:
                return 1.0, "mailboxConcurrency"
            box.requests = box.requests or Window(self.limits.mailboxRequests, 600)
            if wait := box.requests.take(now):
                return wait, "mailboxRequests"
        elif operation == "user":
            if wait := self.directory.take(now):
                return wait, "directoryUnits"
        elif wait := self.teams.take(now):
            return wait, "teamsRequests"
        elif operation == "create_or_get" and sum(self.mailbox(user).meetings) >= self.limits.meetingsAMonth:
            return DAY, "meetingsAMonth"
        wait = self.graph.take(now)
        return wait, "graphRequests" if wait else ""

    def _refused(self, wait: float) -> Answer:
        """Say how long to wait: whole seconds, decimal seconds, or nothing at all, as Graph does."""
        self.statuses[429] += 1
        shape = self._dice.random()
        headers = {} if shape < 0.1 else {"Retry-After": f"{wait:.3f}" if shape < 0.3 else str(math.ceil(wait))}
        return _failed(429, "ApplicationThrottled", headers)

    def _answer(self, answer: _Expected, said: Answer | Exception, after: float) -> None:
        self._loop.call_later(after, self._deliver, answer, said)

    def _deliver(self, answer: _Expected, said: Answer | Exception) -> None:
        if answer.future.done():
            return  # whoever asked is gone
        if isinstance(said, Exception):
            answer.future.set_exception(said)
        else:
            self._loop.call_later(answer.compute(), _read, answer.future, said)

    def _carry_out(  # noqa: PLR0917 - a timer passes by position
        self,
        operation: str,
        user: str,
        arguments: dict[str, Any],
        answer: _Expected,
        box: Mailbox | None,
        is_bad: bool,  # noqa: FBT001 - a timer passes by position
    ) -> None:
        if box is not None:
            box.in_flight -= 1
        if is_bad and self._dice.random() < 0.5:
            self._answer(answer, _failed(504, "GatewayTimeout"), 0)
            return
        said = getattr(self, f"_do_{operation}")(user, **arguments)
        self.statuses[said.status_code] += 1
        if is_bad:
            self._answer(answer, _failed(504, "GatewayTimeout"), 0)
        elif self._dice.random() < self._faults.lost_answer:
            self.lost_answers += 1
            if self._dice.random() < 0.5:
                self._answer(answer, httpx.ReadError("connection reset"), 0)
            else:
                self._answer(answer, httpx.ReadTimeout("no answer"), _LOST_READ_SECONDS)
        else:
            self._deliver(answer, said)

    def _do_user(self, user: str) -> Answer:
        return _ok(
            UserFacts(user_id=user, user_principal_name=f"u{user[:8]}@contoso.example", plans=frozenset({DIAL_IN}))
        )

    def _do_candidates(self, user: str) -> Answer:
        return _ok([self._event(user, index) for index in range(self.meetings)])

    def _do_event(self, user: str, index: int) -> Answer:
        return _ok(self._event(user, index))

    def _do_create_or_get(self, user: str, external_id: str, subject: str) -> Answer:
        self.hours[int(self._loop.time() // HOUR)].teams += 1
        index = int(subject.rpartition(" ")[2])
        self.mailbox(user).meetings[index] = 1
        return _ok(replace(self._meetings[index % TEMPLATES], external_id=external_id))

    def _do_find(self, user: str, join_url: str) -> Answer:
        del user
        self.hours[int(self._loop.time() // HOUR)].teams += 1
        return _ok(next((each for each in self._meetings if each.join_url == join_url), None))

    def _do_update(self, user: str, index: int, change: EventChange, etag: str) -> Answer:
        box, now = self.mailbox(user), self._loop.time()
        if etag != f'W/"{box.etags[index]}"':
            return _failed(412, "ErrorIrresolvableConflict")
        if self._meetings[index % TEMPLATES].join_url not in change.body:
            self.violations["invitation without its link"] += 1
        box.etags[index] += 1
        box.updates[index] += 1
        box.bodies[index] = self._bodies.setdefault(change.body, change.body)
        self._mail(box, now, self._attendees, self.outside_of(user, index))
        return _ok(Written(event=self._event(user, index, is_expanded=False), request_id="request"))

    def _mail(self, box: Mailbox, now: float, recipients: int, outside: int) -> None:
        """Count an update's mails against the sending limits; what is over one is not delivered in Exchange."""
        hour = self.hours[int(now // HOUR)]
        hour.updates += 1
        hour.external += outside
        box.sent.append((now, recipients))
        if sum(at > now - MINUTE for at, _ in box.sent) > self.limits.messagesAMinute:
            self.violations["over the mailbox's messages of a minute"] += 1
        if sum(count for at, count in box.sent if at > now - DAY) > self.limits.recipientsADay:
            self.violations["over the mailbox's recipients of a day"] += 1
        if outside:
            self.outside.note(now, outside)
            if self.outside.sum > self.outside.limit:
                self.violations["over the tenant's recipients outside of a day"] += 1


def _read(answer: asyncio.Future[Answer], said: Answer) -> None:
    if not answer.done():
        answer.set_result(said)


def _ok(value: Any) -> Answer:
    return Answer(200, value, {"request-id": "request"})


def _failed(status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps({"error": {"code": code, "message": code}}).encode(), headers or {})
