"""Queue triggers against real storage."""

import asyncio
import base64
import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from azure.core.exceptions import ResourceNotFoundError

from mms_local.host.appsettings import QueueConnection
from mms_local.host.configuration import QueueOptions
from mms_local.host.invocation import Invoker
from mms_local.host.queues import MessageLease, QueueListener, Watchers, poison_queue_name, service_client

OPTIONS = QueueOptions(max_polling_interval=timedelta(milliseconds=100))


class Bench:
    """Listeners on queues of their own, and a client that looks at these from outside."""

    def __init__(self, service, invoker, queue_name):
        self.service = service
        self.queue = service.get_queue_client(queue_name)
        self.poison = service.get_queue_client(poison_queue_name(queue_name))
        self._invoker = invoker
        self._name = queue_name
        self._listeners = []
        self._watchers = Watchers()

    async def listen(self, call, *, options=OPTIONS, name=None, **more):
        """Start a listener that calls *call*."""
        trigger = {"type": "queueTrigger", "name": "message", "queueName": name or self._name}
        function = SimpleNamespace(
            name="work", call=call, is_async=True, wants_context=False, parameter="message", trigger=trigger
        )
        listener = QueueListener(
            function, self.service, options=options, invoker=self._invoker, watchers=self._watchers, **more
        )
        listener.start()
        self._listeners.append(listener)
        return listener

    async def send(self, *orders, **more):
        """Put JSON messages on the queue, encoded as the host expects."""
        for order in orders:
            await self.queue.send_message(base64.b64encode(json.dumps(order).encode()).decode(), **more)

    async def left(self, queue=None):
        """Return how many messages are there, visible or not."""
        return (await (queue or self.queue).get_queue_properties()).approximate_message_count

    async def stop(self):
        """Stop all listeners."""
        for listener in self._listeners:
            await listener.stop()


@pytest.fixture
async def bench(storage, queue_name, tmp_path):
    """A bench with its queue made."""
    invoker = Invoker(tmp_path, timeout=None)
    async with service_client(QueueConnection(connection_string=storage.connection_string)) as service:
        made = Bench(service, invoker, queue_name)
        await made.queue.create_queue()
        yield made
        await made.stop()
    invoker.close()


async def until(condition):
    """Wait until the asynchronous *condition* holds."""
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_message_is_delivered_with_its_facts_and_deleted(bench):
    """Id, count and times are those of storage; success deletes."""
    got = asyncio.get_running_loop().create_future()

    async def call(message):
        got.set_result(message)

    await bench.listen(call)
    await bench.send({"a": "ü"})
    message = await asyncio.wait_for(got, 60)
    assert message.get_json() == {"a": "ü"}
    assert message.dequeue_count == 1
    assert message.id
    assert message.pop_receipt
    assert message.expiration_time - message.insertion_time == timedelta(days=7)
    lease = message.time_next_visible - message.insertion_time
    assert timedelta(minutes=10) <= lease < timedelta(minutes=11)

    async def gone():
        return await bench.left() == 0

    await until(gone)


async def test_a_delayed_message_is_not_delivered_early(bench):
    """The delay is what the service's 90 minutes rest on."""
    got = asyncio.get_running_loop().create_future()

    async def call(message):
        got.set_result(time.time())

    await bench.listen(call)
    sent = time.time()
    await bench.send({}, visibility_timeout=2)
    assert await asyncio.wait_for(got, 60) - sent >= 1.9  # storage counts in whole seconds of its own clock


async def test_a_missing_queue_is_made(bench):
    """In Azure the deployment makes it."""
    await bench.queue.delete_queue()

    async def call(message):
        pass

    await bench.listen(call)

    async def exists():
        try:
            await bench.queue.get_queue_properties()
        except ResourceNotFoundError:
            return False
        return True

    await until(exists)


async def test_after_the_last_failure_a_message_goes_to_the_poison_queue(bench):
    """Counts go up one by one; the copy comes first, the deletion after; the poison queue's listener gets it."""
    counts, buried = [], asyncio.get_running_loop().create_future()

    async def fail(message):
        counts.append(message.dequeue_count)
        raise RuntimeError("as ordered")

    async def bury(message):
        buried.set_result(message.get_json())

    options = QueueOptions(max_polling_interval=timedelta(milliseconds=100), max_dequeue_count=5)
    await bench.listen(fail, options=options)
    await bench.listen(bury, name=bench.poison.queue_name)
    await bench.send({"n": 1})
    assert await asyncio.wait_for(buried, 60) == {"n": 1}
    assert counts == [1, 2, 3, 4, 5]
    assert await bench.left() == 0


async def test_a_message_that_was_tried_too_often_is_not_tried_again(bench):
    """A host that died after the last try left it: it goes to the poison queue without a run."""
    await bench.send({})
    for _ in range(2):
        taken = await bench.queue.receive_message(visibility_timeout=1)
        await bench.queue.update_message(taken.id, taken.pop_receipt, visibility_timeout=0)
    calls = []

    async def call(message):
        calls.append(message)

    await bench.listen(
        call, options=QueueOptions(max_polling_interval=timedelta(milliseconds=100), max_dequeue_count=2)
    )

    async def moved():
        try:
            return await bench.left(bench.poison) == 1
        except ResourceNotFoundError:
            return False

    await until(moved)
    assert not calls


async def test_a_message_that_is_not_base64_goes_to_the_poison_queue(bench):
    """As it came, without a run."""
    await bench.queue.send_message("nø base64!")
    await bench.listen(lambda message: None)

    async def moved():
        try:
            peeked = await bench.poison.peek_messages()
        except ResourceNotFoundError:
            return False
        return [message.content for message in peeked] == ["nø base64!"]

    await until(moved)


async def test_plain_text_when_host_json_says_so(bench):
    """With messageEncoding none."""
    got = asyncio.get_running_loop().create_future()

    async def call(message):
        got.set_result(message.get_body())

    await bench.listen(call, options=QueueOptions(base64=False))
    await bench.queue.send_message("plain ü")
    assert await asyncio.wait_for(got, 60) == "plain ü".encode()


async def test_after_a_failure_a_message_rests_for_the_visibility_timeout(bench):
    """It does not come back hot."""
    times, second = [], asyncio.Event()

    async def call(message):
        times.append(time.time())
        if len(times) == 2:
            second.set()
        else:
            raise RuntimeError("as ordered")

    rest = timedelta(seconds=2)
    await bench.listen(
        call, options=QueueOptions(max_polling_interval=timedelta(milliseconds=100), visibility_timeout=rest)
    )
    await bench.send({})
    await asyncio.wait_for(second.wait(), 60)
    assert times[1] - times[0] >= 1.0  # whole seconds of the server's clock, rounded down


async def test_the_lease_is_renewed_while_the_function_runs(bench):
    """A function longer than the lease is not delivered twice, and its message is deleted with the newest receipt."""
    counts = []
    done = asyncio.Event()

    async def call(message):
        counts.append(message.dequeue_count)
        await asyncio.sleep(3)
        done.set()

    await bench.listen(call, lease=timedelta(seconds=2), shortest_renewal=timedelta(milliseconds=200))
    await bench.send({})
    await asyncio.wait_for(done.wait(), 60)

    async def gone():
        return await bench.left() == 0

    await until(gone)
    assert counts == [1]


async def test_a_renewal_under_way_at_the_end_is_waited_for():
    """Its answer holds the receipt for the deletion: without it the message would come again."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def update(message_id, pop_receipt, **_):
        asked.set()
        await go_on.wait()
        return SimpleNamespace(pop_receipt=f"{pop_receipt}+")

    deleted = []

    async def delete(message_id, pop_receipt):
        deleted.append((message_id, pop_receipt))

    queue = SimpleNamespace(update_message=update, delete_message=delete)
    message = SimpleNamespace(id="1", pop_receipt="r")
    lease = MessageLease(queue, message, lease=timedelta(milliseconds=20), shortest=timedelta(milliseconds=10))

    async def run():
        async with lease.held():
            await asked.wait()
        await lease.delete()

    running = asyncio.create_task(run())
    await asyncio.wait_for(asked.wait(), 60)
    await asyncio.sleep(0)
    assert not running.done()
    go_on.set()
    await asyncio.wait_for(running, 60)
    assert deleted == [("1", "r+")]


async def test_a_message_that_somebody_else_took_is_left_to_them(bench):
    """If the lease is lost the function goes on, and its end deletes nothing."""
    ended = asyncio.Event()

    async def call(message):
        await bench.queue.update_message(message.id, message.pop_receipt, visibility_timeout=0)
        while await bench.queue.receive_message(visibility_timeout=60) is None:
            await asyncio.sleep(0.02)
        ended.set()

    listener = await bench.listen(call, options=QueueOptions(batch_size=1, new_batch_threshold=0))
    await bench.send({})
    await asyncio.wait_for(ended.wait(), 60)
    await listener.stop()
    assert await bench.left() == 1


async def test_no_more_than_batch_plus_threshold_run_at_once(bench):
    """Batches of 4, a new one as soon as 2 or fewer run: never more than 6."""
    running = most = 0
    gate = asyncio.Semaphore(0)

    async def call(message):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.acquire()
        running -= 1

    def release(count):
        for _ in range(count):
            gate.release()

    async def four_run():
        return running == 4

    async def six_run():
        return running == 6

    async def gone():
        return await bench.left() == 0

    options = QueueOptions(batch_size=4, new_batch_threshold=2, max_polling_interval=timedelta(milliseconds=100))
    await bench.send(*[{}] * 16)
    await bench.listen(call, options=options)
    await until(four_run)
    release(2)
    await until(six_run)
    release(14)
    await until(gone)
    assert most == 6


async def test_stopping_waits_for_what_runs_and_takes_nothing_more(bench):
    """A drained listener has no message left in its hands."""
    started, finished = [], []
    gate, one = asyncio.Event(), asyncio.Event()

    async def call(message):
        started.append(message.id)
        one.set()
        await gate.wait()
        finished.append(message.id)

    listener = await bench.listen(call, options=QueueOptions(batch_size=1, new_batch_threshold=0))
    await bench.send({}, {}, {})
    await asyncio.wait_for(one.wait(), 60)
    stopping = asyncio.create_task(listener.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    gate.set()
    await asyncio.wait_for(stopping, 60)
    assert started == finished
    assert len(finished) == 1
    assert await bench.left() == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("work", "work-poison"), ("work-poison", None), ("q" * 56, f"{'q' * 56}-poison"), ("q" * 57, None)],
)
def test_poison_queue_names(name, expected):
    """A poison queue has none, and a name may not be longer than 63."""
    assert poison_queue_name(name) == expected
