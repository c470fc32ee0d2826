"""The real service in this process against the simulated tenant in its own, over HTTP, at a time of its own.

What is real: the service, the adapters to Graph (msgraph-sdk underneath), the adapters to Table Storage on tables in
memory, the tenant. What is not: the queue's server (messages become visible by a virtual clock) and waiting (it moves
that clock, and the tenant's with it). A worker can be killed at any write to storage or to a calendar.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
import typing
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from azure.core.credentials import AccessToken
from functional_support import Crash, Steps
from proof_tenant import Tenant
from table_fake import FakeTable

import mms_core.adapters.graph.transport as transport_module
import mms_core.service.running.applying as applying_module
from mms_core.adapters.graph import GraphCalendar, GraphDirectory, GraphMeetings, GraphTransport
from mms_core.adapters.memory import MemoryQueue
from mms_core.adapters.tables import TableDocuments, TableLedger, Tables, TableUserStore
from mms_core.errors import MmsError
from mms_core.messages import Wake, encode
from mms_core.model import Source, State, Target, UserKey
from mms_core.ports import Clock
from mms_core.service import GraphPorts, Intake, Options, Parts, Queries, Recovery, Runs, Triage
from mms_core.service.admin.intake import Wanted

LEASE = timedelta(seconds=30)
HOST_LEASE = timedelta(minutes=10)
"""The Functions host's lease of a message: after a crash it comes back this much later."""
SWEEP = timedelta(seconds=20)
PATIENCE = timedelta(hours=30)
"""Virtual time in which every run must come to its end."""


class _Credential:
    """Gives the token that the tenant has issued; asking for it is tested elsewhere."""

    def __init__(self, token):
        self._token = token

    async def get_token(self, *_, **__):
        """Give it."""
        return AccessToken(self._token, int(time.time()) + 80_000)

    async def close(self):
        """Nothing to do."""


class LabClock(Clock):
    """The real time, and what was waited for without waiting."""

    def __init__(self):
        self.offset = timedelta(0)

    def now(self):
        """Aware UTC."""
        return datetime.now(UTC) + self.offset


class MortalQueue(MemoryQueue):
    """A queue to which a dead worker sends nothing."""

    def __init__(self, clock, step):
        super().__init__(clock)
        self._step = step

    async def send(self, message, *, delay=None):
        """See the base."""
        coroutine = super().send(message, delay=delay)
        try:
            await self._step("send", coroutine)
        finally:
            coroutine.close()


class Mortal:
    """A port whose calls of some methods are writes at which the worker can be killed."""

    def __init__(self, port, step, *methods):
        self._port = port
        self._step = step
        self._methods = methods

    def __getattr__(self, name):
        call = getattr(self._port, name)
        if name not in self._methods:
            return call

        async def written(*args, confirm=None, **kwargs):
            if confirm is not None:
                await confirm()  # what is killed on its way was confirmed, and arrives whoever has the lease by then
            coroutine = call(*args, **kwargs)
            try:
                return await self._step(name, coroutine)
            finally:
                if inspect.getcoroutinestate(coroutine) is not inspect.CORO_CREATED:
                    coroutine.close()

        return written


class Lab:
    """The tenant, and one service after another over it."""

    def __init__(self, directory):
        self.tenant = Tenant.started(directory)
        self.loop = asyncio.Runner()
        ready = self.tenant.ready
        self.transport = self.loop.run(self._transport(ready))
        self.clock = LabClock()
        self._waiting = SimpleNamespace(sleep=self._sleep, timeout=asyncio.timeout)

    async def _transport(self, ready):
        return GraphTransport(_Credential(ready["tokens"]["graph"]), base_url=ready["graph"], scope="none/.default")

    def close(self):
        """Stop everything."""
        self.loop.run(self._close())
        self.loop.close()
        self.tenant.close()

    async def _close(self):
        await self.transport.close()
        # The SDK's transport does not hand on that it is closed to the one that has the connections.
        await self.transport._http._transport.transport.aclose()
        await asyncio.sleep(0.05)

    def work(self, coroutine):
        """Run something of the product's to its end; where it waits, time passes at once."""
        real = (transport_module.asyncio, applying_module.asyncio)
        transport_module.asyncio = applying_module.asyncio = self._waiting
        try:
            return self.loop.run(coroutine)
        finally:
            transport_module.asyncio, applying_module.asyncio = real

    async def _sleep(self, seconds):
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)

    def set_time(self, now):
        """Let it be *now*, here and in the tenant."""
        self.clock.offset = now - datetime.now(UTC)
        self.tenant.control("POST", "clock", {"now": now.isoformat().replace("+00:00", "Z")})

    def advance(self, duration):
        """Let time pass, in the tenant as well."""
        self.clock.offset += duration
        self.tenant.control("POST", "clock", {"seconds": duration.total_seconds()})

    def service(self, **options):
        """A new service with empty storage."""
        return Service(self, options)


class MortalSteps(Steps):
    """Steps that end the worker at one of them. A dead worker's other tasks write nothing either."""

    KINDS: typing.ClassVar = {"update": "PATCH", "create_or_get": "createOrGet"}

    def __init__(self, kind="", number=0, how=""):
        super().__init__()
        self._kind = kind
        self._left = number
        self._how = how
        self._late = None

    async def write(self, name, carry_out):
        """See the base."""
        if self.is_dead:
            carry_out.close()
            raise Crash(name)
        self.names.append(name)
        kind = self.KINDS.get(name, "storage")
        if kind == "PATCH" and self._late is not None:
            await self.arrive()
        if kind != self._kind:
            return await carry_out
        self._left -= 1
        if self._left:
            return await carry_out
        self.is_dead = True
        if self._how.endswith("after the write"):
            await carry_out
        elif self._how.endswith("on its way"):
            self._late = carry_out
        else:
            carry_out.close()
        raise Crash(name)

    async def arrive(self):
        """Send what was under way; whatever the answer is, nobody hears it."""
        late, self._late = self._late, None
        if late is not None:
            with suppress(MmsError):
                await late


class Service:
    """The product, its storage, and its queue."""

    def __init__(self, lab, options):
        self.lab = lab
        self.steps = MortalSteps()
        self._tables = {}
        self._ids = itertools.count(1)
        tables = Tables(lambda name: self._tables.setdefault(name, FakeTable(name, self._step)), prefix="")
        self.queue = MortalQueue(lab.clock, self._step)
        ports = GraphPorts(
            directory=GraphDirectory(lab.transport),
            calendar=Mortal(GraphCalendar(lab.transport), self._step, "update"),
            meetings=Mortal(GraphMeetings(lab.transport), self._step, "create_or_get"),
            tenant=None,
            mail=None,
        )
        self.parts = Parts(
            users=TableUserStore(tables),
            ledger=TableLedger(tables),
            documents=TableDocuments(tables),
            queue=self.queue,
            clock=lab.clock,
            graph=lambda: ports,
            options=Options(tenant_id=lab.tenant.ready["tenantId"], run_lease=LEASE, settle=timedelta(0), **options),
            new_id=lambda: f"00000000-0000-4000-8000-{next(self._ids):012d}",
            jitter=lambda: 0.5,
        )
        self.kills = 0
        self._start()

    async def _step(self, name, carry_out):
        return await self.steps.write(name, carry_out)

    def _start(self):
        """A new process: nothing is kept between messages but what is stored."""
        self.steps.is_dead = False
        self.intake, self.queries, self.recovery = Intake(self.parts), Queries(self.parts), Recovery(self.parts)
        self.runs, self.triage = Runs(self.parts), Triage(self.parts, self.recovery)

    def kill_at(self, kind, number, how):
        """Let the worker die at the *number*-th write of a kind: ``PATCH``, ``createOrGet``, ``storage``.

        Args:
            kind: Which writes are counted.
            number: From 1.
            how: Ends with ``before the write``, ``after the write`` or ``on its way``: then it arrives when the
                successor sends its first one, or at :meth:`arrive`.
        """
        self.steps = MortalSteps(kind, number, how)

    def arrive(self):
        """Let a write that was under way arrive at last."""
        self.lab.work(self.steps.arrive())

    def migrate(self, user, *, source=Source.ALL, target=Target.TEAMS, **more):
        """Ask for a migration and let time pass until it is over; gives the run."""
        wanted = Wanted(identities=(user["id"],), source=source, target=target, **more)
        return self.lab.work(self._migrate(UserKey(user["id"]), wanted))

    async def _migrate(self, key, wanted):
        try:
            (given,) = await self.intake.start(wanted)
        except Crash:  # whoever asked got no answer, and asks again
            self._buried()
            (given,) = await self.intake.start(wanted)
        assert given.code is None, given
        return await self._over(key)

    def undo(self, user):
        """Ask for the undo of everything and let time pass until it is over; gives the run."""
        return self.lab.work(self._undo(UserKey(user["id"])))

    async def _undo(self, key):
        await self.queries.undo(str(key), (), actor=None)
        return await self._over(key)

    def configure(self, **changes):
        """Change settings of the tenant."""
        self.lab.work(self.queries.configure(changes, etag=None, actor=None))

    async def _over(self, key):
        deadline, swept_at = self.lab.clock.now() + PATIENCE, self.lab.clock.now()
        while True:
            await self._deliver()
            stored = await self.parts.users.read(key)
            if stored is not None and stored.value.current.state.is_final:
                return stored.value.current
            now = self.lab.clock.now()
            assert now < deadline, f"not over: {stored.value.current if stored else None}"
            if now - swept_at >= SWEEP:
                swept_at = now
                try:
                    await self.recovery.sweep()
                except Crash:
                    self._buried()
                continue
            due = min((at for at, _ in self.queue.messages), default=now + SWEEP)
            # Straight to the next message, unless there may be something to sweep up first.
            is_at_work = stored is not None and stored.value.current.state is State.IN_PROGRESS
            step = min(due - now, SWEEP) if is_at_work else due - now
            self.lab.advance(max(step, timedelta(milliseconds=1)))

    def _buried(self):
        """Count a dead worker, and start the next one."""
        self.kills += 1
        self._start()

    async def _deliver(self):
        for message in self.queue.visible():
            handle = self.runs.message if isinstance(message, Wake) else self.triage.message
            try:
                await handle(encode(message))
            except Crash:
                self._buried()
                self.queue.messages.append((self.lab.clock.now() + HOST_LEASE, message))

    def entries(self, user):
        """What the ledger says."""
        return self.lab.loop.run(self.parts.ledger.entries(UserKey(user["id"])))
