"""Functions instances that run the product's own service: they take messages as host.json says, and they die."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from bench.capacity_model.storage import Killed, Letter, Queue, Way
from mms_core.adapters.graph.pacing import Pace
from mms_core.adapters.graph.transport import GraphTransport
from mms_core.adapters.work_queue import StorageWorkQueue
from mms_core.errors import TemporaryError
from mms_core.service import GraphPorts, Intake, Parts, Queries, Recovery, Runs, Triage

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from bench.capacity_model.storage import Book, Papers, Users
    from bench.capacity_model.tenant import Answer, Tenant
    from bench.capacity_model.virtual import VirtualClock, VirtualLoop
    from mms_core.meetings import Event, OnlineMeeting
    from mms_core.model import UserFacts
    from mms_core.ports import Confirm, EventChange, Written
    from mms_core.service import Options

MESSAGE_LEASE_SECONDS = 600
"""The host's lease of a message, renewed at half time: after a crash the message comes back within this."""
REPLACED_AFTER_SECONDS = 30
"""Cold start of a new instance in a dead one's place."""


_BELOW = {"user": "", "create_or_get": "/onlineMeetings/createOrGet", "find": "/onlineMeetings"}
"""Where the transport tells one service from another by the address."""


class Call(RequestInformation):
    """A request as the product's transport sends it; only the model reads what it is about."""

    def __init__(self, operation: str, user: str, **arguments: Any) -> None:
        super().__init__(Method.PATCH if operation == "update" else Method.GET)
        below = _BELOW.get(operation, f"/{operation}")
        self.url_template, self.path_parameters = f"{{+baseurl}}/users/{{user%2Did}}{below}", {"user%2Did": user}
        self.operation, self.user, self.arguments = operation, user, arguments


class _Wire:
    """What the SDK's request adapter is to the product's transport."""

    def __init__(self, instance: Instance, tenant: Tenant) -> None:
        self._instance, self._tenant = instance, tenant

    async def send_primitive_async(self, call: Call, kind: str, errors: dict[str, Any]) -> Answer:
        """Send one request."""
        del kind, errors
        if self._instance.way.is_dead:
            raise Killed
        answer = await self._tenant.exchange(call.operation, call.user, call.arguments, self._instance.compute)
        if self._instance.way.is_dead:
            raise Killed
        return answer


class Transport(GraphTransport):
    """The product's transport, its retries and time-outs, over the model instead of HTTP."""

    def __init__(self, wire: _Wire) -> None:
        self._adapter = cast("Any", wire)
        self._slots = WeakValueDictionary()
        self._teams = Pace()


class Graph:
    """The ports behind which Graph is, as far as a migration needs them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _read(self, operation: str, user: str, **arguments: Any) -> Any:
        return (await self._transport.read(Call(operation, user, **arguments))).content

    async def user(self, identity: str) -> UserFacts:
        """See :class:`~mms_core.ports.Directory`."""
        return cast("UserFacts", await self._read("user", identity))

    async def candidates(self, user_id: str, **_: Any) -> AsyncIterator[Event]:
        """See :class:`~mms_core.ports.Calendar`."""
        for event in await self._read("candidates", user_id):
            yield event

    async def event(self, user_id: str, event_id: str) -> Event | None:
        """See :class:`~mms_core.ports.Calendar`."""
        return cast("Event", await self._read("event", user_id, index=_index(event_id)))

    async def update(
        self, user_id: str, event_id: str, change: EventChange, *, etag: str, confirm: Confirm | None = None
    ) -> Written:
        """See :class:`~mms_core.ports.Calendar`."""
        call = Call("update", user_id, index=_index(event_id), change=change, etag=etag)
        return cast("Written", (await self._transport.write(call, confirm)).content)

    async def create_or_get(self, user_id: str, *, external_id: str, subject: str, **_: Any) -> OnlineMeeting:
        """See :class:`~mms_core.ports.Meetings`."""
        made = await self._read("create_or_get", user_id, external_id=external_id, subject=subject)
        return cast("OnlineMeeting", made)

    async def find(self, user_id: str, join_url: str, **_: Any) -> OnlineMeeting | None:
        """See :class:`~mms_core.ports.Meetings`."""
        return cast("OnlineMeeting | None", await self._read("find", user_id, join_url=join_url))


def _index(event_id: str) -> int:
    return int(event_id.rpartition("/")[2])


class World:
    """Storage, queues and the tenant: what is left when all instances are dead."""

    def __init__(
        self,
        loop: VirtualLoop,
        clock: VirtualClock,
        tenant: Tenant,
        *,
        users: Users,
        book: Book,
        papers: Papers,
        options: Options,
        host: dict[str, Any],
        dice: random.Random,
    ) -> None:
        self.loop, self.clock, self.tenant = loop, clock, tenant
        self.users, self.book, self.papers = users, book, papers
        self.options, self.host, self.dice = options, host, dice
        self.triggers, self.runs = Queue(loop), Queue(loop)
        self.ids = itertools.count(1)
        self.storage_latency = 0.008
        self.storage_failure = 0.0
        self.duplicates = 0.0
        """Chance that a message is delivered once more after it has been handled."""
        self.cpu_seconds = 0.0
        """Of one instance's processor for each answer of Graph."""
        self.kills = 0
        self.delivered = 0
        self.failures: dict[str, int] = {}

    def new_id(self) -> str:
        """Return an id like a GUID."""
        return f"00000000-0000-4000-8000-{next(self.ids):012x}"


class Instance:
    """One instance of the function app."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.way = Way(
            world.loop, world.dice, world.tenant, latency=world.storage_latency, failure=world.storage_failure
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._leased: dict[int, tuple[Queue, Letter]] = {}
        self._busy_until = 0.0
        graph = Graph(Transport(_Wire(self, world.tenant)))
        ports = GraphPorts(directory=graph, calendar=graph, meetings=graph, tenant=graph, mail=graph)  # type: ignore[arg-type]
        way = self.way
        ledger = way.to(world.book, "entries")
        ledger.claim = self._claiming
        self.parts = Parts(
            users=way.to(world.users, "read", "save"),
            ledger=ledger,
            documents=way.to(world.papers, "get", "put"),
            queue=way.to(StorageWorkQueue(triggers=cast("Any", world.triggers), runs=cast("Any", world.runs)), "send"),
            clock=world.clock,
            graph=lambda: ports,
            options=world.options,
            new_id=world.new_id,
            jitter=world.dice.random,
        )
        self.recovery = Recovery(self.parts)
        self.intake, self.queries = Intake(self.parts), Queries(self.parts)
        self._runs, self._triage = Runs(self.parts), Triage(self.parts, self.recovery)

    async def _claiming(self, key: Any, generation: int) -> Any:
        claimed = await self.way.to(self._world.book, "claim").claim(key, generation)
        return self.way.to(claimed, "entries", "put", "settle", "originals")

    def compute(self) -> float:
        """Take the processor for an answer of Graph, one after the other; returns the seconds until it is read."""
        now = self._world.loop.time()
        self._busy_until = max(self._busy_until, now) + self._world.cpu_seconds
        return self._busy_until - now

    def start(self) -> None:
        """Begin to take messages."""
        self.spawn(self._listen(self._world.runs, self._runs.message))
        self.spawn(self._listen(self._world.triggers, self._triage.message))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something in this process; it dies with it."""
        task = asyncio.create_task(self._mortal(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @staticmethod
    async def _mortal(work: Coroutine[Any, Any, None]) -> None:
        with suppress(Killed, asyncio.CancelledError):
            await work

    def kill(self) -> None:
        """Let the process die, as by SIGKILL: what it has in hand stays where it is."""
        self.way.is_dead = True
        self._world.kills += 1
        for task in list(self._tasks):
            task.cancel()
        for queue, letter in self._leased.values():
            queue.leased -= 1
            letter.visible_at = self._world.loop.time() + self._world.dice.uniform(0.5, 1) * MESSAGE_LEASE_SECONDS
            queue.put(letter)
        self._leased.clear()

    async def _listen(self, queue: Queue, handle: Callable[[str], Awaitable[None]]) -> None:
        """Poll a queue as the host does: batches while few are in hand, slower and slower while it is empty."""
        host, hand, pause = self._world.host, set[int](), 0.1
        while True:
            found = queue.receive(host["batchSize"]) if len(hand) <= host["newBatchThreshold"] else []
            for letter in found:
                hand.add(letter.number)
                self._leased[id(letter)] = (queue, letter)
                self.spawn(self._handled(queue, letter, handle, hand))
            if found:
                pause = 0.1
                await self._world.loop.pause(0.02)
                continue
            if len(hand) <= host["newBatchThreshold"]:
                await queue.visible()
            # It is somewhere between two polls when a message appears.
            pause = min(pause * 2, host["maxPollingInterval"])
            await self._world.loop.pause(pause * self._world.dice.random())

    async def _handled(
        self, queue: Queue, letter: Letter, handle: Callable[[str], Awaitable[None]], hand: set[int]
    ) -> None:
        world = self._world
        world.delivered += 1
        try:
            await handle(letter.text)
        except Exception as exc:  # noqa: BLE001 - as the host does: whatever it is, the message comes again
            world.failures[type(exc).__name__] = world.failures.get(type(exc).__name__, 0) + 1
            if letter.dequeues >= world.host["maxDequeueCount"]:
                queue.poison.append(letter.text)
                self.spawn(self.recovery.poisoned(letter.text))
            else:
                self._again(queue, letter, world.host["visibilityTimeout"])
        else:
            if world.dice.random() < world.duplicates:
                self._again(queue, letter, world.dice.uniform(0, MESSAGE_LEASE_SECONDS))
        if self._leased.pop(id(letter), None) is not None:
            queue.leased -= 1
        hand.discard(letter.number)

    def _again(self, queue: Queue, letter: Letter, after: float) -> None:
        queue.put(Letter(self._world.loop.time() + after, letter.number, letter.text, letter.dequeues))


class Fleet:
    """The instances, their timers, and their deaths."""

    def __init__(self, world: World, *, count: int, life_seconds: float, recovery_seconds: float) -> None:
        self._world = world
        self._life, self._recovery = life_seconds, recovery_seconds
        self.instances = deque(Instance(world) for _ in range(count))
        self._tasks = [asyncio.create_task(self._sweeping())]
        for instance in self.instances:
            self._born(instance)

    @property
    def first(self) -> Instance:
        """One that is alive."""
        return self.instances[0]

    def _born(self, instance: Instance) -> None:
        instance.start()
        if self._life:
            self._tasks.append(asyncio.create_task(self._dying(instance)))

    async def _dying(self, instance: Instance) -> None:
        await asyncio.sleep(self._world.dice.expovariate(1 / self._life))
        if len(self.instances) > 1:
            self.instances.remove(instance)
        instance.kill()
        await asyncio.sleep(REPLACED_AFTER_SECONDS)
        new = Instance(self._world)
        self.instances.append(new)
        if instance in self.instances:
            self.instances.remove(instance)
        self._born(new)

    async def _sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._recovery)
            await self.first.spawn(self._swept(self.first))

    @staticmethod
    async def _swept(instance: Instance) -> None:
        with suppress(TemporaryError):  # the timer fires again
            await instance.recovery.sweep()

    def stop(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        for instance in self.instances:
            instance.kill()
            self._world.kills -= 1
