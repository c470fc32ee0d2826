"""Any history of triggers, deliveries, crashes, clocks and orders ends with each meeting written once.

The service runs over the real table adapters on tables in memory, with a virtual clock for the queue and another for
the workers. ``make soak`` runs 2,000 histories of up to 100 commands; ``MMS_HISTORIES`` and ``MMS_COMMANDS`` say how
many and how long.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

from functional_support import HOST_LEASE, Crash, FakeTenant, Steps, _steps
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from meeting_values import NOW, TENANT, skype_event
from table_fake import FakeTable

import mms_core.service.running.applying as applying_module
from mms_core.adapters.memory import MemoryQueue, SettableClock
from mms_core.adapters.tables import TableDocuments, TableLedger, Tables, TableUserStore
from mms_core.adapters.tables.counters import Counters
from mms_core.adapters.tables.rows import decoded, run_keys, runs_in, unpacked
from mms_core.errors import BadInput, NotFound, OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError
from mms_core.messages import StartMany, TenantEvent, UnknownMessage, Wake, encode
from mms_core.model import Request, Source, State, Target, UserKey
from mms_core.ports import Clock
from mms_core.service import GraphPorts, Intake, Options, Parts, Queries, Recovery, Runs, Triage
from mms_core.service.admin.intake import Wanted
from mms_core.settings import TenantSettings
from mms_core.states import STANDS_FOR_MESSAGE, TRANSITIONS

HISTORIES = int(os.environ.get("MMS_HISTORIES", "25"))
COMMANDS = int(os.environ.get("MMS_COMMANDS", "40"))
USERS = tuple(f"{number}1118888-9999-4aaa-bbbb-ccccddddeeee" for number in range(3))
MEETINGS = 3
MINUTE = timedelta(minutes=1)
LEGAL = {(before, after) for before, cells in TRANSITIONS.items() for after in cells.values()}
users = st.sampled_from(USERS)


def name_of(user):
    """The user principal name of an object id."""
    return f"user{user[0]}@contoso.example"


class WorkerClock(Clock):
    """The workers' clock: it may go wrong by some minutes."""

    def __init__(self, true):
        self._true = true
        self.skew = timedelta(0)

    def now(self):
        """The true time, and what it is wrong by."""
        return self._true.now() + self.skew


class Router:
    """Several users' tenants behind the ports, each with a calendar of its own."""

    def __init__(self, tenants):
        self._tenants = tenants

    def __getattr__(self, name):
        return lambda user, *more, **named: getattr(self._tenants[user], name)(user, *more, **named)

    async def user(self, identity):
        """By id or name."""
        for user, tenant in self._tenants.items():
            if identity.lower() in (user, name_of(user)):
                return await tenant.user(identity)
        raise PermanentError(code="UserNotFound")


class CheckedUsers(TableUserStore):
    """Sees every change of state, and a run that begins before it is due."""

    def __init__(self, tables, seen, clock, violations):
        super().__init__(tables)
        self._seen = seen
        self._clock = clock
        self._violations = violations

    async def save(self, record, previous, *, publish=True):
        """See the base; notes transitions."""
        before = runs_in(previous.value if previous else None)
        stored = await super().save(record, previous, publish=publish)
        for run_id, run in runs_in(record).items():
            if run_id in before:
                self._seen.append((before[run_id].state, run.state))
                begins = (before[run_id].state, run.state) == (State.PENDING, State.IN_PROGRESS)
                if begins and self._clock.now() < before[run_id].due_at:
                    self._violations.append("begun before it was due")
        return stored


class Histories(RuleBasedStateMachine):
    """The service, its world, and what must be true of them."""

    def __init__(self):
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.loop = asyncio.Runner()
        self.true = SettableClock(NOW)
        self.clock = WorkerClock(self.true)
        self.steps = Steps()
        self.tables_by_name = {}
        self.transitions = []
        self.accepted = {}
        self.violations = []
        self.old_messages = []
        self.failures = Counter()
        self.sequence = 0
        self.depth = 0

    # -- the world ----------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self):
        """Three users with three meetings each."""
        tables = Tables(self._table, prefix="")
        self.tenants = {}
        for number, user in enumerate(USERS):
            tenant = FakeTenant(self.clock, self.steps)
            tenant.users.clear()
            tenant.add_user(user, name_of(user))
            for meeting in range(MEETINGS):
                index = number * 10 + meeting
                tenant.add(skype_event(index, start=NOW + timedelta(days=400 + index), attendees=()))
            self._watch_writes(tenant, user)
            self.tenants[user] = tenant
        router = Router(self.tenants)
        self.users = CheckedUsers(tables, self.transitions, self.clock, self.violations)
        self.queue = _steps(MemoryQueue, "send")(self.true)
        self.queue.steps = self.steps
        self.parts = Parts(
            users=self.users,
            ledger=TableLedger(tables),
            documents=TableDocuments(tables),
            queue=self.queue,
            clock=self.clock,
            graph=lambda: GraphPorts(directory=router, calendar=router, meetings=router, tenant=router, mail=router),
            options=Options(tenant_id=TENANT, run_lease=timedelta(seconds=60)),
            new_id=self._new_id,
            jitter=lambda: 0.5,
        )
        self.intake, self.queries, self.recovery = Intake(self.parts), Queries(self.parts), Recovery(self.parts)
        self.runs, self.triage = Runs(self.parts), Triage(self.parts, self.recovery)
        self.waiting = applying_module.asyncio
        applying_module.asyncio = SimpleNamespace(sleep=self._sleep)

    def _table(self, name):
        return self.tables_by_name.setdefault(name, FakeTable(name, self.steps.write))

    def _new_id(self):
        self.sequence += 1
        return f"00000000-0000-4000-8000-{self.sequence:012d}"

    async def _sleep(self, seconds):
        self.true.advance(timedelta(seconds=seconds))

    def _watch_writes(self, tenant, user):
        update = tenant._update

        async def watched(event_id, change, etag):
            record = self._record(user)
            config = await self.parts.settings()
            run = record.current if record else None
            if run is None or run.state is not State.IN_PROGRESS:
                self.violations.append(f"written while {run and run.state}")
            elif run.cancel_requested and not self.depth:
                self.violations.append("written after a cancel")
            if not config.MeetingMigrationEnabled:
                self.violations.append("written while off")
            window = config.window()
            if window is not None and not window.is_open(self.clock.now()):
                self.violations.append("written outside the window")
            return await update(event_id, change, etag)

        tenant._update = watched

    def _record(self, user):
        rows = self.tables_by_name.get("Users")
        found = [row for key, row in rows.rows.items() if key[1] == f"u|{user}"] if rows else []
        return unpacked(found[0]) if found else None

    def _do(self, work):
        """Let a worker do something; it may die."""
        self.steps.is_dead = False
        try:
            return self.loop.run(work)
        except Crash:
            return None
        finally:
            self.steps.is_dead = False

    # -- deliveries --------------------------------------------------------------------------------------------------------

    async def _handle(self, message):
        await (self.runs if isinstance(message, Wake) else self.triage).message(encode(message))

    async def _deliver(self, message):
        """As the host does: a crash shows it again after ten minutes, five failures poison it."""
        self.old_messages.append(message)
        try:
            await self._handle(message)
        except Crash:
            self.queue.messages.append((self.true.now() + HOST_LEASE, message))
            raise
        except (UnknownMessage, TemporaryError, PreconditionLost, ZeroDivisionError):
            self.failures[encode(message)] += 1
            if self.failures[encode(message)] >= 5:
                await self.recovery.poisoned(encode(message))
            else:
                self.queue.messages.append((self.true.now() + timedelta(seconds=10), message))

    def _take(self, index):
        """Take one of the messages that can be seen, whichever the queue likes."""
        visible = [pair for pair in self.queue.messages if pair[0] <= self.true.now()]
        if not visible:
            return None
        pair = visible[index % len(visible)]
        self.queue.messages.remove(pair)
        return pair[1]

    # -- commands -----------------------------------------------------------------------------------------------------------

    @rule(
        user=users, by_name=st.booleans(), becomes=st.sampled_from(list(Target)), settle=st.sampled_from([None, 0, 200])
    )
    def trigger(self, user, by_name, becomes, settle):
        """An administrator asks, by name or id."""
        wanted = Wanted(
            identities=(name_of(user) if by_name else user,),
            source=Source.ALL,
            target=becomes,
            settle=None if settle is None else settle * MINUTE,
        )
        results = self._do(self.intake.start(wanted))
        for result in results or ():
            if result.status != "refused" and not by_name:
                self.accepted[result.correlation_id] = user

    @rule(user=users, event=st.integers(0, 3))
    def event(self, user, event):
        """The tenant tells something, maybe for the second time."""
        request = Request(request_id=f"e-{user}-{event}", reason="T1 MovedToCloud", target=Target.TEAMS)
        accepted = self._do(self.parts.accept(UserKey(user), user, request))
        if accepted is not None:
            self.accepted[accepted.run.run_id] = user

    @rule(minutes=st.sampled_from([1, 5, 30, 95, 400]), many=st.integers(1, 6), index=st.integers(0, 9))
    def tick(self, minutes, many, index):
        """Time goes by, and some messages are delivered, in any order."""
        self.true.advance(minutes * MINUTE)
        for _ in range(many):
            message = self._take(index)
            if message is not None:
                self._do(self._deliver(message))

    @rule(index=st.integers(0, 99))
    def duplicate(self, index):
        """A message that was handled long ago comes again."""
        if self.old_messages:
            self._do(self._deliver(self.old_messages[index % len(self.old_messages)]))

    @rule(index=st.integers(0, 9), minutes=st.integers(1, 300))
    def delay(self, index, minutes):
        """The queue takes its time."""
        if self.queue.messages:
            at, message = self.queue.messages.pop(index % len(self.queue.messages))
            self.queue.messages.append((at + minutes * MINUTE, message))

    @rule(index=st.integers(0, 9))
    def lose(self, index):
        """A message is lost."""
        if self.queue.messages:
            self.queue.messages.pop(index % len(self.queue.messages))

    @rule(write=st.integers(1, 25), when=st.sampled_from(["before", "after"]), index=st.integers(0, 9))
    def crash(self, write, when, index):
        """A worker is killed before or after one of its next writes."""
        self.steps.crashes = {len(self.steps.names) + write: when}
        self.tick(95, 2, index)
        self.steps.crashes = {}

    @rule(user=users, index=st.integers(0, 9))
    def lose_lease(self, user, index):
        """A worker hangs for minutes; another one takes over meanwhile; the first goes on as if nothing were."""

        async def hang():
            self.depth += 1
            self.true.advance(3 * MINUTE)
            await self.recovery.sweep()
            message = self._take(0)
            if message is not None:
                await self._deliver(message)
            self.depth -= 1

        self.tenants[user].on("create_or_get", hang)
        self.tick(95, 3, index)
        self.tenants[user].hooks.clear()
        self.depth = 0

    @rule(
        user=users,
        call=st.sampled_from(["user", "candidates", "create_or_get", "update", "updated"]),
        error=st.sampled_from(
            [
                TemporaryError(code="ServiceUnavailable"),
                TemporaryError(code="Throttled", retry_after=timedelta(hours=3)),
                OutcomeUnknown(),
                ZeroDivisionError(),
            ]
        ),
        index=st.integers(0, 9),
    )
    def fail(self, user, call, error, index):
        """Graph fails, or its answer is lost after the write, or there is a bug."""
        if call == "updated":
            error = OutcomeUnknown()
        elif isinstance(error, OutcomeUnknown):
            error = TemporaryError(code="ServiceUnavailable")
        self.tenants[user].on(call, error)
        self.tick(95, 3, index)
        self.tenants[user].hooks.clear()

    @rule(minutes=st.integers(-20, 20))
    def jump(self, minutes):
        """The workers' clock goes wrong, or right again."""
        self.clock.skew = minutes * MINUTE

    @rule(first=st.integers(0, 2), is_poisoned=st.booleans())
    def start_list(self, first, is_poisoned):
        """A message of a long list comes, or is given up by the host."""
        rows = tuple((place, user, user) for place, user in enumerate(USERS[first:]))
        message = StartMany(
            batch=self._new_id(),
            rows=rows,
            reason="T10 Manual",
            source="All",
            target="Teams",
            first_at=self.true.now().isoformat(),
        )
        self._do(self.recovery.poisoned(encode(message)) if is_poisoned else self._deliver(message))

    @rule(user=users, by_name=st.booleans())
    def tell_in_vain(self, user, by_name):
        """What the tenant told is given up by the host; nothing of the user may be lost for that."""
        data = {"user": name_of(user) if by_name else user, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
        told = TenantEvent(event_id=self._new_id(), type="mms.policy.granted", data=data, actor="script")
        before = self._record(user)
        self._do(self.recovery.poisoned(encode(told)))
        if before and any(run.code not in STANDS_FOR_MESSAGE for run in before.runs):
            assert self._record(user) == before

    @rule(index=st.integers(0, 99))
    def replay(self, index):
        """An administrator puts a poisoned message back, perhaps for the second time."""

        async def replayed():
            kept = [each async for each in self.recovery.kept()]
            if kept:
                await self.recovery.replay(kept[index % len(kept)]["id"], by="ada@console")

        self._do(replayed())

    @rule(user=users)
    def cancel(self, user):
        """An administrator cancels."""
        self._ordered(lambda: self.queries.cancel(user))

    @rule(user=users)
    def retry(self, user):
        """An administrator starts afresh what is over."""
        self._ordered(lambda: self.queries.retry(user))

    def _ordered(self, order):
        async def ordered():
            with suppress(BadInput, NotFound):
                await order()

        self._do(ordered())

    @rule(on=st.booleans())
    def switch(self, on):
        """Everything off, or on again."""
        self._do(self.queries.configure({"MeetingMigrationEnabled": on}, etag=None, actor=None))

    @rule(
        hours=st.sampled_from(["", "08:00-12:00", "22:00-06:00"]),
        settle=st.sampled_from([0, 90, 300]),
        maximum=st.sampled_from([0, 360]),
    )
    def configure(self, hours, settle, maximum):
        """Other settings."""
        changes = {"MaintenanceHours": hours, "SettleMinutes": settle, "MaximumWaitMinutes": maximum}
        self._do(self.queries.configure(changes, etag=None, actor=None))

    @rule()
    def sweep(self):
        """The timer looks after what is stuck."""
        self._do(self.recovery.sweep())

    # -- what is always true ----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_written_that_must_not_be(self):
        """Not while off, cancelled, outside the window or without a run at work."""
        assert self.violations == []

    @invariant()
    def no_meeting_is_updated_twice(self):
        """Whatever happens, attendees get one mail."""
        for tenant in getattr(self, "tenants", {}).values():
            sent = Counter(mail.event_id for mail in tenant.mails)
            assert not sent or max(sent.values()) == 1, sent

    @invariant()
    def every_transition_is_legal(self):
        """Those of the table, or none."""
        assert all(before is after or (before, after) in LEGAL for before, after in self.transitions)
        self.transitions.clear()

    @invariant()
    def no_accepted_request_is_lost(self):
        """Its run is in its user's history, however it ended."""
        rows = self.tables_by_name.get("Users")
        if rows is None:
            return
        known = {key[1].split("|")[3] for key in rows.rows if key[1].startswith("r|")}
        assert set(self.accepted) <= known

    @invariant()
    def counters_and_lists_say_what_the_records_say(self):
        """Each written in one transaction with the record."""
        table = self.tables_by_name.get("Users")
        if table is None:
            return
        said, found, listed, counted = Counter(), Counter(), set(), Counters()
        for (_, row_key), row in table.rows.items():
            if row_key == "c|users":
                said.update({state: int(row.get(str(state), 0)) for state in State})
                counted.add(Counters.read(row))
            elif row_key.startswith("u|"):
                record = unpacked(row)
                found[record.newest.state] += 1
                if record.newest.state is State.FAILED:
                    counted.failures[record.newest.code or ""] -= 1
                assert row["State"] == record.newest.state
                for run in runs_in(record).values():
                    keys = set(run_keys(record.key, run))
                    assert keys <= {key[1] for key in table.rows}
            elif row_key.startswith("t|"):
                run = decoded(row)
                listed |= set(run_keys(row_key.rpartition("|")[2], run))
                counted.count_run(run, -1)
        assert not any(counted.failures.values())
        assert not any(counted.runs.values())
        assert not any(counted.took.values())
        assert {state: said[state] for state in State} == {state: found[state] for state in State}
        others = {key[1] for key in table.rows if key[1][:2] not in ("u|", "c|")}
        assert others == listed

    # -- the end --------------------------------------------------------------------------------------------------------------

    def teardown(self):
        """The storms are over: everything comes to rest, and every meeting that was asked for is a Teams meeting."""
        if not hasattr(self, "parts"):
            return
        try:
            self._settle()
        finally:
            applying_module.asyncio = self.waiting
            self.loop.close()
            logging.disable(logging.NOTSET)

    def _settle(self):
        self.steps.crashes = {}
        self.clock.skew = timedelta(0)
        calm = TenantSettings()
        changes = {"MeetingMigrationEnabled": True, "MaintenanceHours": "", "SettleMinutes": calm.SettleMinutes}
        self._do(self.queries.configure(changes, etag=None, actor=None))
        for _ in range(200):
            self.true.advance(30 * MINUTE)
            while (message := self._take(0)) is not None:
                self._do(self._deliver(message))
            self._do(self.recovery.sweep())
            if not self.queue.messages and not self._waiting():
                break
        self.nothing_is_written_that_must_not_be()
        self.no_meeting_is_updated_twice()
        self.every_transition_is_legal()
        self.no_accepted_request_is_lost()
        self.counters_and_lists_say_what_the_records_say()
        assert self._waiting() == []
        for user in USERS:
            record = self._record(user)
            if record is not None and record.current.state is State.SUCCEEDED and record.current.target is Target.TEAMS:
                assert {mail.event_id for mail in self.tenants[user].mails} == set(self.tenants[user].events)

    def _waiting(self):
        rows = self.tables_by_name["Users"].rows if "Users" in self.tables_by_name else {}
        return [key[1] for key in rows if key[1].startswith(("s|Pending", "s|InProgress"))]


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=COMMANDS,
    deadline=None,
    derandomize="MMS_HISTORIES" not in os.environ,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
