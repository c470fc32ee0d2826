"""How far does it carry? A whole tenant is migrated in virtual time, by the product's own code, under published limits.

Run: ``python -m bench.capacity [--users N] [--meetings N] ...``; it ends with 1 if an update was lost or doubled, a
limit was broken, or the throughput is below 90 % of what the binding limit allows.

Real: the service (intake, lists and their admission, debounce, leases, passes, plans, block rewriting, sending limits,
retrying, recovery), its transport's retries and time-outs, the adapter of its queues, its in-memory storage. A model:
time, the tenant (:mod:`bench.capacity_model.tenant`), the Functions host, the ways in between with their latencies,
lost answers, repeated messages and dying instances. What the pure block functions say of an invitation is remembered,
because invitations repeat here.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import functools
import gc
import json
import logging
import math
import random
import resource
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from opentelemetry import trace

from bench.capacity_model.host import Fleet, World
from bench.capacity_model.storage import Book, Papers, Users
from bench.capacity_model.tenant import (
    DAY,
    HOUR,
    MINUTE,
    TENANT_ID,
    Faults,
    Hour,
    Limits,
    Tenant,
    Window,
    directory_units,
    external_limit,
)
from bench.capacity_model.virtual import VirtualClock, VirtualLoop
from mms_core import block, planning, rewriting
from mms_core.adapters.graph import transport
from mms_core.errors import TemporaryError
from mms_core.model import Source, State, Target
from mms_core.service import Options, parts
from mms_core.service.admin.intake import MOST_IDENTITIES, Wanted
from mms_core.service.running import applying, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.capacity_model.host import Instance
    from bench.capacity_model.tenant import Mailbox

FLOOR = 0.9
"""Part of the binding limit's throughput that has to be reached."""
FLOOR_FROM_SECONDS = 3600.0
"""Where the binding limit allows all to be done within less, one retry's wait is most of it: no pace is demanded."""
ADMISSION_SHARE = 0.95
"""Part of the Teams limit that lists are admitted at: a queue in front of a limit needs some air."""
RECOVERY_SECONDS = 20
SETTLE_SECONDS = 90 * 60.0
"""Before that nothing is due (Q1)."""
LONGEST_DAYS = 60
NO_FAULTS = Faults(lost_answer=0, gateway=0, unavailable=0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is simulated."""

    users: int = 100_000
    meetings: int = 10
    attendees: int = 5
    external: float = 0.2
    """Share of the attendees who are outside the tenant."""
    instances: int = 2
    seed: int = 1
    limits: Limits = field(default_factory=Limits)
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the product; by default admission and recipients as docs/operations.md advises."""
    faults: Faults = field(default_factory=Faults)
    storage_failure: float = 0.0001
    duplicates: float = 0.001
    again: float = 0.01
    """Share of the users who are asked for once more while the migration goes on."""
    life_hours: float = 2.0
    """Mean life of an instance; 0 lets none die."""
    cpu_ms: float = 5.0
    """Processor time of an instance for each answer of Graph."""
    floor_from_seconds: float = FLOOR_FROM_SECONDS


@dataclass(kw_only=True)
class Result:
    """What came of it."""

    case: Case
    lost: int
    doubled: int
    violations: dict[str, int]
    unfinished: int
    states: dict[str, int]
    poisoned: int
    bound_seconds: float
    binding: str
    bounds: dict[str, float]
    elapsed_seconds: float
    virtual_seconds: float
    facts: dict[str, Any]
    hours: dict[int, Hour]
    wrong_account: int

    @property
    def efficiency(self) -> float:
        """Throughput as a part of what the binding limit allows."""
        return self.bound_seconds / self.elapsed_seconds if self.elapsed_seconds else 0.0

    @property
    def problems(self) -> list[str]:
        """Everything that must not be."""
        found = [f"{count} times {what}" for what, count in self.violations.items()]
        counted = {
            "meetings lost": self.lost,
            "meetings doubled": self.doubled,
            "users not succeeded": sum(self.states.values()) - self.states.get(State.SUCCEEDED, 0),
            "runs unfinished": self.unfinished,
            "messages poisoned": self.poisoned,
            "updates more or fewer in the product's own account": self.wrong_account,
        }
        found += [f"{count} {what}" for what, count in counted.items() if count]
        if self.efficiency < FLOOR and self.bound_seconds >= self.case.floor_from_seconds:
            found.append(f"{self.efficiency:.1%} of what the binding limit allows, less than {FLOOR:.0%}")
        return found


def bounds(case: Case) -> dict[str, float]:
    """Return the seconds that each limit alone makes the migration take: arithmetic, nothing is simulated."""
    limits, updates = case.limits, case.users * case.meetings
    teams = updates / limits.teamsRequests
    outside, a_day = math.floor(updates * case.attendees * case.external + 1e-9), limits.externalADay
    # Any 24 hours hold a day's worth: all but the last of them are waited for, the last is sent as fast as Teams lets.
    full_days = max(math.ceil(outside / a_day) - 1, 0)
    last = (outside - full_days * a_day) / max(outside, 1) * teams
    mailbox_days = max(math.ceil(case.meetings * case.attendees / limits.recipientsADay) - 1, 0)
    return {
        "teamsRequests": teams,
        "externalADay": full_days * DAY + last if full_days else 0.0,
        "graphRequests": (case.users * 2 + updates * 2) / limits.graphRequests * 10,
        "directoryUnits": case.users / limits.directoryUnits * 10,
        "messagesAMinute": max(case.meetings - limits.messagesAMinute, 0) / limits.messagesAMinute * 60,
        "mailboxRequests": (case.meetings * 2 + 2) // limits.mailboxRequests * 600.0,
        "recipientsADay": mailbox_days * DAY,
    }


def advised(case: Case) -> dict[str, int]:
    """Return the settings that docs/operations.md advises for such a tenant."""
    admission = max(int(ADMISSION_SHARE * case.limits.teamsRequests * 60 / case.meetings), 1)
    return {
        "AdmissionUsersPerMinute": min(admission, 10_000),
        "RecipientsPerDay": case.limits.externalADay,
        "MailboxRecipientsPerDay": case.limits.recipientsADay,
    }


PURE = (
    (block, "locate"),
    (block, "decode_join_information"),
    (block, "replace"),
    (rewriting, "_outside"),
    (rewriting, "_text"),
    (planning, "find_damage"),
    (applying, "form_hash"),
)
"""What says the same of the same invitation, and is slow."""


TRACED = (applying, parts, runs, transport)
"""What makes a trace, to which nobody listens here."""


def _untraced(_name: str, **_: Any) -> nullcontext[trace.Span]:
    return nullcontext(trace.INVALID_SPAN)


@contextmanager
def _remembered() -> Iterator[None]:
    """Let the pure functions of invitations remember their answers, and log and traces be silent."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:
        for module in TRACED:
            stack.enter_context(mock.patch.object(module, "span", _untraced))
        for module, name in PURE:
            stack.enter_context(mock.patch.object(module, name, functools.lru_cache(4096)(getattr(module, name))))
        try:
            yield
        finally:
            logging.disable(level)


async def _until_done(instance_of: Fleet, work: Any) -> Any:
    """Do what an administrator does who got no answer: ask again."""
    while True:
        try:
            return await work(instance_of.first)
        except TemporaryError:
            await asyncio.sleep(5)


async def _request(fleet: Fleet, identities: tuple[str, ...]) -> None:
    """Ask for users, as the command line does: the same request until it is answered."""
    key = fleet.first.parts.new_id()
    wanted = Wanted(identities=identities, source=Source.ALL, target=Target.TEAMS, request_id=key)

    async def ask(instance: Instance) -> Any:
        return await instance.intake.start(wanted)

    await _until_done(fleet, ask)


def _asked_again(case: Case) -> list[tuple[float, int]]:
    """Choose users who are asked for once more, and when: at any time of the migration."""
    dice = random.Random(case.seed + 1)  # noqa: S311 - no secret
    span = SETTLE_SECONDS + max(bounds(case).values())
    return sorted((dice.uniform(0, span), dice.randrange(case.users)) for _ in range(int(case.users * case.again)))


async def _ask_again(fleet: Fleet, moments: list[tuple[float, int]]) -> None:
    for at, number in moments:
        await asyncio.sleep(max(at - asyncio.get_running_loop().time(), 0))
        await _request(fleet, (Tenant.user_id(number),))


async def _migrate(case: Case, world: World) -> Fleet:
    fleet = Fleet(world, count=case.instances, life_seconds=case.life_hours * HOUR, recovery_seconds=RECOVERY_SECONDS)
    settings = case.settings

    async def configure(instance: Instance) -> Any:
        return await instance.queries.configure(settings, etag=None, actor="admin")

    await _until_done(fleet, configure)
    for start in range(0, case.users, MOST_IDENTITIES):
        numbers = range(start, min(start + MOST_IDENTITIES, case.users))
        await _request(fleet, tuple(map(Tenant.user_id, numbers)))
    again = asyncio.create_task(_ask_again(fleet, _asked_again(case)))
    while world.loop.time() < LONGEST_DAYS * DAY:
        await asyncio.sleep(60)
        if again.done() and not world.users.unfinished and not len(world.triggers) and not len(world.runs):
            break
    again.cancel()
    return fleet


def simulate(case: Case, *, progress: bool = False) -> Result:
    """Simulate a case from the first request until nothing is under way."""
    loop = VirtualLoop()
    try:
        with _remembered():
            return loop.run_until_complete(_simulate(resolved(case), loop, progress=progress))
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.close()


def host_settings() -> dict[str, Any]:
    """Read what the deployed host.json says about queues; durations in seconds."""
    document = json.loads((Path(__file__).parents[1] / "host.json").read_text())
    queues = dict(document["extensions"]["queues"])
    for name in ("maxPollingInterval", "visibilityTimeout"):
        hours, minutes, seconds = queues[name].split(":")
        queues[name] = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return queues


def resolved(case: Case) -> Case:
    """Return the case with the limits that follow from the number of users, and the settings that are advised."""
    limits = dataclasses.replace(
        case.limits,
        externalADay=case.limits.externalADay or external_limit(case.users),
        directoryUnits=case.limits.directoryUnits or directory_units(case.users),
    )
    case = dataclasses.replace(case, limits=limits)
    return dataclasses.replace(case, settings={**advised(case), **case.settings})


async def _simulate(case: Case, loop: VirtualLoop, *, progress: bool) -> Result:
    dice = random.Random(case.seed)  # noqa: S311 - no secret
    tenant = Tenant(
        loop,
        dice,
        users=case.users,
        meetings=case.meetings,
        attendees=case.attendees,
        external=case.external,
        limits=case.limits,
        faults=case.faults,
    )
    book = Book()
    world = World(
        loop,
        VirtualClock(loop),
        tenant,
        users=Users(book.close),
        book=book,
        papers=Papers(),
        options=Options(tenant_id=TENANT_ID, sending_limits=True, run_lease=timedelta(seconds=30)),
        host=host_settings(),
        dice=dice,
    )
    world.storage_failure, world.duplicates = case.storage_failure, case.duplicates
    world.cpu_seconds = case.cpu_ms / 1000
    limits = bounds(case)
    binding = max(limits, key=lambda name: limits[name])
    watch = asyncio.create_task(_watch(world)) if progress else None
    fleet = await _migrate(case, world)
    fleet.stop()
    if watch is not None:
        watch.cancel()
    return _judge(case, world, limits, binding)


async def _watch(world: World) -> None:
    began = time.perf_counter()
    while True:
        await asyncio.sleep(HOUR)
        hour = world.tenant.hours[int(world.loop.time() // HOUR) - 1]
        print(
            f"  hour {world.loop.time() / HOUR:5.1f}: {hour.updates:7} updates, {hour.refused:6} refused, "
            f"{world.users.unfinished:7} runs open, {time.perf_counter() - began:6.0f} s of real time",
            file=sys.stderr,
            flush=True,
        )


def _judge(case: Case, world: World, limits: dict[str, float], binding: str) -> Result:
    tenant, users = world.tenant, world.users
    boxes = [tenant.mailbox(Tenant.user_id(number)) for number in range(case.users)]
    updates = sum(sum(box.updates) for box in boxes)
    states = users.states()
    peaks = {
        "mailboxConcurrency": max(box.in_flight_peak for box in boxes),
        "mailboxRequests": max(box.requests.peak if box.requests else 0 for box in boxes),
        "messagesAMinute": max(_most_in(((at, 1) for at, _ in box.sent), MINUTE) for box in boxes),
        "recipientsADay": max(_most_in(box.sent, DAY) for box in boxes),
        "graphRequests": tenant.graph.peak,
        "teamsRequests": tenant.teams.peak,
        "directoryUnits": tenant.directory.peak,
        "externalADay": tenant.outside.peak,
        "storageOperations": math.ceil(max(hour.storage for hour in tenant.hours.values()) / HOUR),
    }
    return Result(
        case=case,
        lost=sum(box.updates.count(0) for box in boxes),
        doubled=sum(len(box.updates) - box.updates.count(0) - box.updates.count(1) for box in boxes),
        violations=dict(tenant.violations),
        unfinished=users.unfinished,
        states={str(state): count for state, count in states.items()},
        poisoned=len(world.triggers.poison) + len(world.runs.poison),
        wrong_account=abs(updates - world.book.mails),
        bound_seconds=limits[binding],
        binding=binding,
        bounds=limits,
        elapsed_seconds=max(_last_update(case, boxes) - SETTLE_SECONDS, 0.0),
        virtual_seconds=world.loop.time(),
        hours=dict(tenant.hours),
        facts={
            "updates": updates,
            "statuses": dict(sorted(tenant.statuses.items())),
            "refused": dict(tenant.refusals),
            "lost answers": tenant.lost_answers,
            "instances killed": world.kills,
            "messages delivered": world.delivered,
            "deliveries that failed": world.failures,
            "runs in progress at once": users.in_progress_peak,
            "verdicts": {str(verdict): count for verdict, count in world.book.verdicts.items()},
            "peaks": peaks,
        },
    )


def _last_update(case: Case, boxes: list[Mailbox]) -> float:
    """Return when the last update was sent; who was asked for once more waits longer by rule (Q2), and sets no pace."""
    again = {number for _, number in _asked_again(case)}
    return max((box.sent[-1][0] for number, box in enumerate(boxes) if box.sent and number not in again), default=0.0)


def _most_in(sent: Iterable[tuple[float, int]], seconds: float) -> int:
    """Return the largest sum of what was sent, by instant, within a span."""
    window = Window(0, seconds)
    for at, count in sent:
        window.note(at, count)
    return window.peak


def phases(result: Result) -> list[str]:
    """Say for each part of the time how much of which limit was used; the fullest one binds."""
    limits, lines = result.case.limits, []
    hours = sorted(result.hours)
    last = max(hours, default=0)
    width = max(1, math.ceil((last + 1) / 12))
    spent = Counter({hour: each.external for hour, each in result.hours.items()})
    for start in range(0, last + 1, width):
        part = [result.hours.get(hour, Hour()) for hour in range(start, start + width)]
        span = min(width * HOUR, max(result.virtual_seconds - start * HOUR, 1.0))
        day = sum(spent[hour] for hour in range(start + width - 24, start + width))
        use = {
            "teamsRequests": sum(each.teams for each in part) / span / limits.teamsRequests,
            "externalADay": day / limits.externalADay,
            "graphRequests": sum(each.graph for each in part) / span / limits.graphRequests * 10,
            "storageOperations": sum(each.storage for each in part) / span / limits.storageOperations,
        }
        name = max(use, key=lambda each: use[each])
        what = f"{name} at {use[name]:.0%}" if use[name] > 0.01 else "nothing (requests settle)"
        lines.append(
            f"  hours {start:4} to {start + width:4}: {sum(each.updates for each in part):8} updates, "
            f"{sum(each.refused for each in part):7} refused; {what}"
        )
    return lines


def report(result: Result, *, real_seconds: float) -> None:
    """Print what came of it."""
    case, facts = result.case, result.facts
    print(f"{case.users} users x {case.meetings} meetings x {case.attendees} attendees, {case.external:.0%} outside")
    print(f"seed {case.seed}, {case.instances} instances, settings {case.settings}")
    print("what each limit alone would make it take:")
    for name, seconds in sorted(result.bounds.items(), key=lambda pair: -pair[1]):
        print(f"  {name:18} {seconds / HOUR:10.2f} h{'   <- binds' if name == result.binding else ''}")
    print("which limit was fullest when:")
    print("\n".join(phases(result)))
    print("highest use of each limit:")
    for name, peak in facts["peaks"].items():
        allowed = getattr(case.limits, name)
        print(f"  {name:18} {peak:10}{f' of {allowed}' if allowed else ''}")
    for name in (
        "updates",
        "verdicts",
        "statuses",
        "refused",
        "lost answers",
        "instances killed",
        "messages delivered",
        "deliveries that failed",
        "runs in progress at once",
    ):
        print(f"{name}: {facts[name]}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"virtual time {result.virtual_seconds / HOUR:.2f} h, of that {result.elapsed_seconds / HOUR:.2f} h from the "
        f"first due run to the last update; real time {real_seconds:.0f} s, {memory:.0f} MiB"
    )
    print(
        f"lost {result.lost}, doubled {result.doubled}; {facts['updates'] / max(result.elapsed_seconds, 1):.2f} "
        f"updates a second, {result.efficiency:.1%} of what {result.binding} allows"
    )


def _numbers(pairs: list[str]) -> dict[str, int]:
    return {name: int(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def main() -> int:
    """Run as the command line says; the exit status is 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=Case.users)
    parser.add_argument("--meetings", type=int, default=Case.meetings, help="of each user")
    parser.add_argument("--attendees", type=int, default=Case.attendees, help="of each meeting")
    parser.add_argument("--external", type=float, default=Case.external, help="share of them outside the tenant")
    parser.add_argument("--instances", type=int, default=Case.instances)
    parser.add_argument("--seed", type=int, default=Case.seed)
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE", help="another limit")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="a setting of the product")
    parser.add_argument("--no-faults", action="store_true", help="nothing is lost, repeated or killed")
    parser.add_argument("--quiet", action="store_true", help="no line for each virtual hour")
    asked = parser.parse_args()
    limits = dataclasses.replace(Limits(), **_numbers(asked.limit))
    case = Case(
        users=asked.users,
        meetings=asked.meetings,
        attendees=asked.attendees,
        external=asked.external,
        instances=asked.instances,
        seed=asked.seed,
        limits=limits,
        settings=_numbers(asked.setting),
    )
    if asked.no_faults:
        case = dataclasses.replace(case, faults=NO_FAULTS, storage_failure=0, duplicates=0, life_hours=0)
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    began = time.perf_counter()
    result = simulate(case, progress=not asked.quiet)
    report(result, real_seconds=time.perf_counter() - began)
    for problem in result.problems:
        print(f"NOT AS IT MUST BE: {problem}")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
