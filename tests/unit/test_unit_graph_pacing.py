"""Processes that know nothing of each other share one limit of the tenant: full, fairly, and seldom refused."""

from __future__ import annotations

import asyncio
import contextlib
import random
from types import SimpleNamespace
from weakref import WeakValueDictionary

import pytest
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from bench.capacity_model.tenant import Window
from bench.capacity_model.virtual import VirtualLoop
from mms_core.adapters.graph.pacing import FIRST, MOST, Pace
from mms_core.adapters.graph.transport import MAILBOX_SLOTS, GraphTransport, is_of_teams
from mms_core.errors import TemporaryError

LIMIT = 30
LANES = 100
"""In each process."""


def _in_virtual_time(work):
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work(loop))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.close()


def _shared(processes, *, seconds=300, is_silent=lambda _number, _now: False):
    """Let processes ask as fast as they may; returns what each got each second, the refusals, and the longest wait."""
    got = [[0] * (seconds + 10) for _ in range(processes)]
    seen = SimpleNamespace(refused=0, longest=0.0)
    dice, window = random.Random(1), Window(LIMIT, 1)

    async def lane(number, pace, loop):
        while loop.time() < seconds - 1:
            if is_silent(number, loop.time()):
                await asyncio.sleep(1)
                continue
            asked_at, is_repeated = loop.time(), False
            while True:
                async with pace.turn(is_repeated=is_repeated) as turn:
                    await asyncio.sleep(dice.uniform(0.1, 0.2))
                    turn.is_refused = bool(window.take(loop.time()))
                    turn.is_good = not turn.is_refused
                    if turn.is_good:
                        await asyncio.sleep(dice.uniform(0.2, 0.5))
                        break
                seen.refused += 1
                is_repeated = True
                await asyncio.sleep(1)
                if loop.time() > seconds - 1:
                    return
            got[number][int(loop.time())] += 1
            seen.longest = max(seen.longest, loop.time() - asked_at)
            await asyncio.sleep(0.5)

    async def work(loop):
        paces = [Pace() for _ in range(processes)]
        await asyncio.gather(*(lane(number, pace, loop) for number, pace in enumerate(paces) for _ in range(LANES)))

    _in_virtual_time(work)
    return got, seen


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_the_tenants_limit_is_used_and_haste_is_seldom_refused(processes):
    """Without a pace hundreds of lanes ask each second for the thirty places: ten refusals for each answer."""
    got, seen = _shared(processes)
    answered = sum(map(sum, got))
    assert answered > 0.9 * LIMIT * 300
    assert seen.refused < 3 * answered


def test_no_process_takes_the_limit_for_itself_and_no_request_waits_for_ever():
    """The one that came first must not keep the others out."""
    got, seen = _shared(3)
    totals = [sum(each) for each in got]
    assert min(totals) > 0.5 * max(totals)
    assert seen.longest < 60


def test_what_a_process_that_died_leaves_is_taken_by_the_other():
    """Half of the limit must not lie idle until the dead one is back."""
    got, _ = _shared(2, is_silent=lambda number, now: number == 1 and now > 100)
    assert sum(got[0][150:299]) > 0.85 * LIMIT * 149


async def test_waiting_requests_have_their_turn_in_order_and_a_refused_one_is_next():
    """Else a run could be refused for a minute while others that came later get through."""
    pace, order, gate = Pace(), [], asyncio.Event()

    async def one(name, *, is_repeated=False):
        async with pace.turn(is_repeated=is_repeated):
            order.append(name)
            await gate.wait()

    tasks = [asyncio.create_task(one(str(number))) for number in range(FIRST)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(one("waits")), asyncio.create_task(one("waits longer"))]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(one("was refused", is_repeated=True)))
    await asyncio.sleep(0)
    assert len(order) == FIRST
    gate.set()
    await asyncio.gather(*tasks)
    assert order[FIRST:] == ["was refused", "waits", "waits longer"]


async def test_whoever_stops_waiting_or_fails_leaves_no_place_taken():
    """A place that is lost stays lost for the life of the process."""
    pace, gate = Pace(), asyncio.Event()

    async def one():
        async with pace.turn():
            await gate.wait()
            raise ValueError

    holders = [asyncio.create_task(one()) for _ in range(FIRST)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(one()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[1].cancel()  # it has just been given its turn
    holders[0].cancel()
    outcomes = await asyncio.gather(*holders, *waiting, return_exceptions=True)
    assert all(isinstance(each, ValueError | asyncio.CancelledError) for each in outcomes)
    inside = 0

    async def count():
        nonlocal inside
        async with pace.turn():
            inside += 1
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(count()) for _ in range(MOST + 1)]
    await asyncio.sleep(0)
    assert inside == pace.allowed
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_number_stays_between_one_and_the_most_whatever_is_answered():
    """Refusals for an hour must not stop it, nor a quiet tenant make it boundless."""
    pace = Pace()
    for _ in range(1000):
        async with pace.turn() as turn:
            turn.is_refused = True
    assert pace.allowed == 1
    await _go_well(pace, 20_000)
    assert pace.allowed == MOST


async def _go_well(pace, count):
    """More want to than may, and all are answered."""

    async def lane():
        for _ in range(count // (2 * MOST)):
            async with pace.turn() as turn:
                await asyncio.sleep(0)
                turn.is_good = True

    await asyncio.gather(*(lane() for _ in range(2 * MOST)))


@pytest.mark.parametrize("is_good", [True, False])
async def test_nothing_is_learnt_from_requests_one_at_a_time_or_without_an_answer(is_good):
    """A quiet tenant would be stormed once it is busy, and a service that hangs would be asked for ever more."""
    pace = Pace()
    for _ in range(1000 if is_good else 0):
        async with pace.turn() as turn:
            turn.is_good = True
    for _ in range(0 if is_good else 1000):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(FIRST):
                await stack.enter_async_context(pace.turn())
    assert pace.allowed == FIRST


async def test_a_mailbox_whose_places_are_taken_holds_no_turn_of_the_others():
    """Two slow mailboxes must not keep everybody else from Teams."""
    gate, sent = asyncio.Event(), []

    class Wire:
        async def send_primitive_async(self, info, *_):
            sent.append(info.path_parameters["user%2Did"])
            if "events" in info.url_template:
                await gate.wait()
            return SimpleNamespace(status_code=200, headers={}, content=b"{}")

    transport = GraphTransport.__new__(GraphTransport)
    transport._adapter, transport._slots, transport._teams = Wire(), WeakValueDictionary(), Pace()

    def ask(user, below):
        values = {"baseurl": "https://graph.example/v1.0", "user%2Did": user}
        template = "{+baseurl}/users/{user%2Did}/" + below
        return asyncio.create_task(transport.read(RequestInformation(Method.GET, template, values)))

    slow = [ask(user, "events") for user in ("one", "two") for _ in range(MAILBOX_SLOTS)]
    await asyncio.sleep(0)
    slow += [ask(user, "onlineMeetings") for user in ("one", "two") for _ in range(FIRST)]
    await asyncio.sleep(0)
    await asyncio.wait_for(ask("three", "onlineMeetings"), 30)
    assert "three" in sent
    gate.set()
    await asyncio.gather(*slow)


async def test_refusals_of_one_moment_count_once():
    """Thirty requests of the same second learn the same thing."""
    pace = Pace()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(FIRST):
            turn = await stack.enter_async_context(pace.turn())
            turn.is_refused = True
    assert pace.allowed == FIRST - 1


@pytest.mark.parametrize(
    ("template", "is_paced"),
    [
        ("{+baseurl}/users/{user%2Did}/onlineMeetings/createOrGet", True),
        ("{+baseurl}/users/{user%2Did}/onlineMeetings{?%24filter}", True),
        ("{+baseurl}/users/{user%2Did}/onlineMeetings/{onlineMeeting%2Did}", True),
        ("{+baseurl}/users/{user%2Did}/events/{event%2Did}", False),
        ("{+baseurl}/users/{user%2Did}", False),
    ],
)
async def test_only_calls_to_teams_are_paced_and_only_haste_slows_them(template, is_paced):
    """A calendar has limits of its own; a service that fails for another reason has not been asked too fast."""
    answers = iter([(503, {}), (429, {"Retry-After": "0"}), (200, {})])

    class Wire:
        async def send_primitive_async(self, *_):
            status, headers = next(answers)
            return SimpleNamespace(status_code=status, headers=headers, content=b"{}")

    transport = GraphTransport.__new__(GraphTransport)
    transport._adapter, transport._slots, transport._teams = Wire(), {}, Pace()
    info = RequestInformation(Method.PATCH, template, {"baseurl": "https://graph.example/v1.0", "user%2Did": "u"})
    allowed = []
    for _ in range(3):
        with contextlib.suppress(TemporaryError):
            await transport.write(info)
        allowed.append(transport._teams._allowed)
    assert is_of_teams(info) is is_paced
    before, refused, after = allowed
    assert (refused < before, after >= refused) == (is_paced, True)
