"""A small honest tenant behind the Graph ports, storage that can crash its worker, and a queue that delivers.

Honest means: an event's ETag changes with every write and a stale one is refused; every write of an event is a mail;
``createOrGet`` gives the same meeting for the same external id; a blanked property is not shown any more.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

from meeting_values import (
    AUDIO_CONFERENCING,
    NOW,
    TENANT,
    USER,
    online_meeting,
    skype_block,
    skype_event,
    teams_block,
    teams_url,
)

from mms_core.adapters.memory import MemoryDocuments, MemoryLedger, MemoryQueue, MemoryUserStore, SettableClock
from mms_core.errors import NotFound, PermanentError, PreconditionLost
from mms_core.meetings import Series
from mms_core.messages import TenantEvent, Wake, encode
from mms_core.model import Source, State, Target, TeamsFacts, UserFacts, UserKey
from mms_core.planning import SKYPE_PROPERTIES
from mms_core.ports import Calendar, Directory, Mail, Meetings, Subscribed, Tenant, Written
from mms_core.service import GraphPorts, Inbox, Intake, Options, Parts, Queries, Recovery, Runs, Triage
from mms_core.service.admin.intake import Wanted

KEY = UserKey(USER)
NAME = "adele@contoso.example"
HOST_LEASE = timedelta(minutes=10)
"""The Functions host's lease of a message: after a crash it comes back this much later."""
VISIBLE_PROPERTIES = frozenset({*SKYPE_PROPERTIES, "SkypeTeamsMeetingUrl", "SkypeTeamsProperties", "MmsRun"})
"""What reading an event expands; anything else is in the mailbox, but not in the answer."""


class Crash(BaseException):
    """The worker is gone. No code of the product may catch this, as it could not catch a SIGKILL."""


class Steps:
    """Counts the writes to the outside world, and ends the worker at a chosen one."""

    def __init__(self):
        self.names = []
        self.crashes = {}
        self.is_dead = False

    async def write(self, name, carry_out):
        """Carry a write out, or crash before or after it. A dead worker's other tasks write nothing either."""
        if self.is_dead:
            raise Crash(name)
        self.names.append(name)
        when = self.crashes.pop(len(self.names), None)
        if when == "before":
            self.is_dead = True
            raise Crash(name)
        await asyncio.sleep(0)  # other tasks of the worker get their turn, as on a real wire
        result = await carry_out
        await asyncio.sleep(0)
        if when == "after":
            self.is_dead = True
            raise Crash(name)
        return result


def _steps(kind, *methods):
    """Make a class whose *methods* are steps."""

    def wrap(name):
        async def method(self, *args, **kwargs):
            call = getattr(kind, name)(self, *args, **kwargs)
            steps = getattr(self, "steps", None)
            if steps is None:
                return await call
            return await _guarded(steps, f"{kind.__name__}.{name}", call)

        return method

    return type(kind.__name__, (kind,), {name: wrap(name) for name in methods})


async def _guarded(steps, name, coroutine):
    try:
        return await steps.write(name, coroutine)
    finally:
        coroutine.close()


@dataclass
class Update:
    """One update that attendees saw."""

    event_id: str
    recipients: tuple[str, ...]


@dataclass
class FakeTenant(Directory, Calendar, Meetings, Tenant, Mail):
    """Users, one calendar, Teams meetings, subscriptions."""

    clock: SettableClock
    steps: Steps
    users: dict = field(default_factory=dict)
    events: dict = field(default_factory=dict)
    occurrences: dict = field(default_factory=dict)
    meetings: dict = field(default_factory=dict)
    mails: list = field(default_factory=list)
    letters: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    dial_in: dict = field(default_factory=dict)
    hooks: dict = field(default_factory=dict)
    records: dict = field(default_factory=dict)
    subscription: str = "subscription-1"
    cancelled: tuple = ()
    makes_teams: bool = True
    default_options: dict = field(
        default_factory=lambda: {"allowMeetingChat": "enabled", "recordAutomatically": False, "lobbyBypassSettings": {}}
    )
    other_providers: frozenset = frozenset()
    kind: str = "user"
    groups: frozenset = frozenset()
    teams: TeamsFacts | None = None

    def __post_init__(self):
        self.slots = asyncio.Semaphore(4)
        self._etags = itertools.count(2)
        self.add_user(USER, NAME, plans={AUDIO_CONFERENCING})

    # -- the test's side ----------------------------------------------------------------------------------------

    def add_user(self, user_id, name, *, plans=frozenset(), assigned_at=None, created_at=None):
        """Make a user."""
        assigned = dict.fromkeys(plans, assigned_at) if assigned_at else {}
        self.users[user_id] = UserFacts(
            user_id=user_id,
            user_principal_name=name,
            plans=frozenset(plans),
            plan_assigned_at=assigned,
            created_at=created_at,
        )

    def add(self, *events):
        """Put events into the calendar."""
        for event in events:
            self.events[event.event_id] = event
        return events

    def edit(self, event_id, **changes):
        """Let the organizer change an event."""
        self.events[event_id] = replace(self.events[event_id], etag=f'W/"{next(self._etags)}"', **changes)

    def on(self, call, *actions):
        """Do something at the next calls of a method, one action a call: an exception is raised, a function is called."""
        assert call == "updated" or callable(getattr(self, call, None)), "nobody makes such a call"
        self.hooks.setdefault(call, []).extend(actions)

    def mails_of(self, event_id):
        """Count the updates of one meeting."""
        return sum(mail.event_id == event_id for mail in self.mails)

    async def _at(self, call):
        self.calls.append(call)
        await asyncio.sleep(0)
        if self.hooks.get(call):
            action = self.hooks[call].pop(0)
            if isinstance(action, BaseException):
                raise action
            if action is not None:
                result = action()
                if hasattr(result, "__await__"):
                    await result

    def _shown(self, event):
        visible = {name: value for name, value in event.properties.items() if name in VISIBLE_PROPERTIES}
        return replace(event, properties=visible)

    # -- Directory ----------------------------------------------------------------------------------------------

    async def user(self, identity):
        """Find a user."""
        await self._at("user")
        name = identity.lower().removeprefix("sip:")
        for facts in self.users.values():
            if name in (facts.user_id, facts.user_principal_name.lower()):
                return facts
        raise PermanentError(code="UserNotFound")

    async def mailbox_kind(self, user_id):
        """Say whose mailbox it is."""
        await self._at("mailbox_kind")
        assert user_id in self.users
        return self.kind

    async def configuration(self, user_id):
        """Say what Teams knows."""
        await self._at("configuration")
        assert user_id in self.users
        return self.teams

    async def member_of(self, user_id, groups):
        """Say which groups a user is in."""
        await self._at("member_of")
        assert user_id in self.users
        return frozenset(groups) & self.groups

    # -- Calendar -----------------------------------------------------------------------------------------------

    async def candidates(self, user_id, *, now, secondary=False, gone=None):
        """List."""
        await self._at("candidates")
        assert user_id in self.users
        assert secondary in (True, False)
        assert not gone
        for event in list(self.events.values()):
            if event.kind == "seriesMaster" or (event.kind == "singleInstance" and event.end_at >= now):
                yield self._shown(event)

    async def series(self, user_id, master_id):
        """Read a series."""
        await self._at("series")
        assert user_id in self.users
        # Graph does not expand properties inside an expansion: an exception's own are seen by reading it alone.
        exceptions = [
            replace(event, properties={})
            for event in self.events.values()
            if event.kind == "exception" and event.series_master_id == master_id
        ]
        return Series(exceptions=tuple(exceptions), cancelled=self.cancelled)

    async def providers(self, user_id):
        """Say what the calendar can make by itself."""
        await self._at("providers")
        assert user_id in self.users
        return frozenset({"teamsForBusiness"} if self.makes_teams else ()) | self.other_providers

    async def has_occurrence(self, user_id, master_id, *, start, end):
        """Look into a window."""
        await self._at("has_occurrence")
        assert user_id in self.users
        return any(start <= at < end for at in self.occurrences.get(master_id, ()))

    async def event(self, user_id, event_id):
        """Read one."""
        await self._at("event")
        assert user_id in self.users
        event = self.events.get(event_id)
        return self._shown(event) if event else None

    async def update(self, user_id, event_id, change, *, etag, confirm=None):
        """Write one, as soon as a place at the mailbox is free."""
        async with self.slots:
            if confirm is not None:
                await confirm()
            await self._at("update")
            assert user_id in self.users
            written = await _guarded(self.steps, "update", self._update(event_id, change, etag))
            # An answer that is lost after the write was carried out.
            await self._at("updated")
        return written

    async def _update(self, event_id, change, etag):
        event = self.events.get(event_id)
        if event is None:
            raise NotFound
        if event.etag != etag:
            raise PreconditionLost
        properties = {name: value for name, value in (event.properties | change.properties).items() if value}
        self.edit(
            event_id,
            body=change.body,
            content_type=change.content_type,
            properties=properties,
            locations=event.locations if change.locations is None else change.locations,
        )
        link = re.search(r'https://teams\.microsoft\.com/l/meetup-join/[^"\s]+', change.body)
        if event.join_url and link:
            self.edit(event_id, join_url=link[0].replace("&amp;", "&"))  # it follows the body
        if (
            change.makes_online == "skypeForBusiness"
            and not event.is_online
            and "skypeForBusiness" in self.other_providers
        ):
            url = f"https://meet.lync.com/contoso/adele/ON{len(self.mails):02d}"
            body = change.body.replace("</body>", f"{skype_block(url)}</body>")
            properties |= {"OnlineMeetingConfLink": "conf:sip:adele;focus:id:ON", "OnlineMeetingExternalLink": url}
            self.edit(event_id, body=body, is_online=True, provider="skypeForBusiness", properties=properties)
        elif change.makes_online == "teamsForBusiness" and not event.is_online:
            url = teams_url(f"flags{len(self.mails)}")
            body = change.body.replace("</body>", f"{teams_block(url)}</body>")
            properties |= {"SkypeTeamsMeetingUrl": url}
            self.edit(event_id, body=body, is_online=True, join_url=url, properties=properties)
        for each in list(self.events.values()):
            if each.series_master_id == event_id:
                self.edit(each.event_id)  # writing a master moves its exceptions' ETags
        self.mails.append(Update(event_id, tuple(attendee.address for attendee in event.attendees)))
        # The answer to a PATCH expands no properties.
        return Written(event=replace(self.events[event_id], properties={}), request_id=f"request-{len(self.mails)}")

    # -- Meetings -----------------------------------------------------------------------------------------------

    async def create_or_get(self, user_id, *, external_id, subject, start, end, language):
        """Make or find."""
        await self._at("create_or_get")
        assert user_id in self.users
        assert subject is not None
        assert (start is None) is (end is None)
        assert language is None or language.startswith("en")

        async def made():
            new = replace(online_meeting(f"m{len(self.meetings)}", **self.dial_in), external_id=external_id)
            return self.meetings.setdefault(external_id, replace(new, options=dict(self.default_options)))

        return await _guarded(self.steps, "create_or_get", made())

    async def find(self, user_id, join_url, *, language):
        """Find by URL."""
        await self._at("find")
        assert user_id in self.users
        assert language is None or language.startswith("en")
        return next((each for each in self.meetings.values() if each.join_url == join_url), None)

    async def set_options(self, user_id, meeting_id, options):
        """Set those that this tenant has; one that it has not refuses them all."""
        await self._at("set_options")
        assert user_id in self.users
        if set(options) - set(self.default_options):
            raise PermanentError
        key, meeting = next((key, each) for key, each in self.meetings.items() if each.meeting_id == meeting_id)
        self.meetings[key] = replace(meeting, options={**meeting.options, **options})
        return self.meetings[key].options

    async def end(self, user_id, meeting_id):
        """End one."""
        await self._at("end")
        assert user_id in self.users
        self.meetings = {key: each for key, each in self.meetings.items() if each.meeting_id != meeting_id}

    # -- Tenant -------------------------------------------------------------------------------------------------

    async def ensure_subscriptions(self, *, now, noted, renews=False):
        """Look after them."""
        await self._at("ensure_subscriptions")
        assert now == self.clock.now()
        assert set(noted.values()) <= {"print"}
        done = "renewed" if renews else "kept"
        return [Subscribed(kind="users", subscription_id=self.subscription, done=done, secret="print")]

    async def send(self, sender, recipients, *, subject, html):
        """Send a letter."""
        await self._at("send")
        self.letters.append(SimpleNamespace(sender=sender, to=tuple(recipients), subject=subject, html=html))

    async def activity(self, uri):
        """Fetch records."""
        await self._at("activity")
        if uri not in self.records:
            raise NotFound
        return self.records[uri]


class World:
    """Everything, and the clock of everything."""

    def __init__(self):
        self.clock = SettableClock(NOW)
        self.steps = Steps()
        self.users = _steps(MemoryUserStore, "save", "delete")()
        self.ledger = _steps(MemoryLedger, "put", "settle", "put_original")()
        self.documents = _steps(MemoryDocuments, "put")()
        self.queue = _steps(MemoryQueue, "send")(self.clock)
        for storage in (self.users, self.ledger, self.documents, self.queue):
            storage.steps = self.steps
        self.tenant = FakeTenant(self.clock, self.steps)
        self.slept = []
        self.waiting = SimpleNamespace(sleep=self._sleep)
        self._ids = itertools.count(1)
        self.options = Options(tenant_id=TENANT)
        self.graph_is_made = 0
        self.start_services()

    async def _sleep(self, seconds):
        self.slept.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))

    def _graph(self):
        self.graph_is_made += 1
        return GraphPorts(
            directory=self.tenant, calendar=self.tenant, meetings=self.tenant, tenant=self.tenant, mail=self.tenant
        )

    def start_services(self, **options):
        """Start, or start again after a change of options: nothing is kept between messages but what is stored."""
        self.options = replace(self.options, **options)
        self.parts = Parts(
            users=self.users,
            ledger=self.ledger,
            documents=self.documents,
            queue=self.queue,
            clock=self.clock,
            graph=self._graph,
            options=self.options,
            new_id=lambda: f"00000000-0000-4000-8000-{next(self._ids):012d}",
            jitter=lambda: 0.0,
        )
        self.inbox = Inbox(self.parts)
        self.intake = Intake(self.parts)
        self.recovery = Recovery(self.parts)
        self.runs = Runs(self.parts)
        self.triage = Triage(self.parts, self.recovery)
        self.queries = Queries(self.parts)

    # -- what people do -------------------------------------------------------------------------------------------

    async def ask(self, identity=USER, *, source=Source.ALL, target=Target.TEAMS, **more):
        """Request a migration; gives the one result."""
        wanted = Wanted(identities=(identity,), source=source, target=target, **more)
        return (await self.intake.start(wanted))[0]

    async def configure(self, **changes):
        """Change the tenant's settings."""
        await self.queries.configure(changes, etag=None, actor="admin")

    def skype_meetings(self, count, **more):
        """Seed Skype meetings, one a day."""
        return self.tenant.add(
            *(skype_event(number, start=NOW + timedelta(days=number), **more) for number in range(1, count + 1))
        )

    # -- the queue ----------------------------------------------------------------------------------------------------

    async def dispatch(self, message):
        """Hand one message to the function of its queue."""
        handle = self.runs.message if isinstance(message, Wake) else self.triage.message
        await handle(encode(message))

    async def deliver(self):
        """Deliver what is visible now, once; gives how many. A crashed worker's message comes back after its lease."""
        messages = self.queue.visible()
        for message in messages:
            try:
                await self.dispatch(message)
            except Crash:
                self.steps.is_dead = False  # another process starts
                self.queue.messages.append((self.clock.now() + HOST_LEASE, message))
        return len(messages)

    async def until_quiet(self, *, within=timedelta(days=3)):
        """Deliver everything, moving the clock to each message's due time, until nothing is under way."""
        end = self.clock.now() + within
        while self.queue.messages:
            due = min(at for at, _ in self.queue.messages)
            assert due <= end, "messages go on for ever"
            self.clock.at = max(self.clock.at, due)
            await self.deliver()

    async def recover(self):
        """Let the sweep look, every five minutes for a day, until no run waits or works and nothing is under way."""
        for _ in range(24 * 12):
            await self.until_quiet()
            try:
                await self.recovery.sweep()
            except Crash:
                self.steps.is_dead = False  # the timer fires again
            if not self.queue.messages and not [run async for run in self.users.active()]:
                return
            self.clock.advance(timedelta(minutes=5))
        raise AssertionError("the sweep does not come to rest")

    # -- what is true -------------------------------------------------------------------------------------------------

    async def record(self, key=KEY):
        """The user's record."""
        stored = await self.users.read(key)
        return stored.value if stored else None

    async def run(self, key=KEY):
        """The user's current run."""
        return (await self.record(key)).current

    async def state(self, key=KEY):
        """The state of the user's current run."""
        return (await self.run(key)).state

    async def verdicts(self, key=KEY):
        """What the ledger says, by event id."""
        return {entry.event_id: str(entry.verdict) for entry in await self.ledger.entries(key)}

    async def entry(self, event, key=KEY):
        """One meeting's row."""
        return next(entry for entry in await self.ledger.entries(key) if entry.event_id == event.event_id)

    async def assert_migrated_once(self, events):
        """Every meeting leads to Teams, its text is whole, and its attendees got one mail."""
        for event in events:
            now = self.tenant.events[event.event_id]
            assert "teams.microsoft.com/l/meetup-join" in now.body
            assert "OutJoinLink" not in now.body
            assert "Grüße, 你好 👋&nbsp;— the agenda:" in now.body
            assert "שלום &amp; see you there." in now.body
            assert self.tenant.mails_of(event.event_id) == 1
            assert (await self.entry(event)).verdict == "migrated"
        assert await self.state() is State.SUCCEEDED


GRANTED = TenantEvent(
    event_id="contoso|1",
    type="mms.policy.granted",
    data={"user": NAME, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"},
    actor="script",
)


async def granted(crashes, *, count=4):
    """Grant a policy, let workers crash at the given writes, and wait for peace; gives the world and its meetings."""
    world = World()
    events = world.skype_meetings(count)
    await world.queue.send(GRANTED)
    world.steps.names.clear()
    world.steps.crashes = dict(crashes)
    await world.recover()
    return world, events
