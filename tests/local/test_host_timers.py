"""Timer triggers."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from mms_local.host.invocation import Invoker
from mms_local.host.timers import ScheduleMonitor, TimerListener


@pytest.fixture
def invoker(tmp_path):
    """Runs the functions."""
    made = Invoker(tmp_path, timeout=None)
    yield made
    made.close()


def timer(call, schedule, **trigger):
    """What indexing would have made of a timer function."""
    declared = {"type": "timerTrigger", "name": "timer", "schedule": schedule, **trigger}
    return SimpleNamespace(
        name="tick", call=call, is_async=True, wants_context=False, parameter="timer", trigger=declared
    )


async def test_runs_never_overlap(invoker):
    """A run that is due while the last one is going on comes after it."""
    running = most = count = 0
    enough = asyncio.Event()

    async def call(timer):
        nonlocal running, most, count
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        count += 1
        if count == 4:
            enough.set()

    listener = TimerListener(timer(call, "00:00:00.02"), invoker, monitor=ScheduleMonitor(None))
    listener.start()
    asked = asyncio.create_task(listener.run_once())
    await asyncio.wait_for(enough.wait(), 30)
    await listener.stop()
    await asked
    assert most == 1
    assert running == 0


async def test_a_failure_does_not_stop_the_schedule(invoker):
    """The next occurrence comes all the same."""
    calls = 0
    second = asyncio.Event()

    async def call(timer):
        nonlocal calls
        calls += 1
        if calls == 2:
            second.set()
        raise RuntimeError("as ordered")

    listener = TimerListener(timer(call, "00:00:00.02"), invoker, monitor=ScheduleMonitor(None))
    listener.start()
    await asyncio.wait_for(second.wait(), 30)
    await listener.stop()


@pytest.mark.parametrize(("run_on_startup", "expected"), [(True, 1), (False, 0)])
async def test_runs_on_startup_only_when_told_so(invoker, run_on_startup, expected):
    """With runOnStartup it runs at every start of the host."""
    seen = []

    async def call(timer):
        seen.append(timer.past_due)

    declared = timer(call, "0 0 0 1 1 *", runOnStartup=run_on_startup)
    listener = TimerListener(declared, invoker, monitor=ScheduleMonitor(None))
    listener.start()
    await asyncio.sleep(0.05)
    await listener.stop()
    assert seen == [False] * expected


async def test_a_missed_occurrence_is_made_good_at_once(invoker, tmp_path):
    """After a restart the run is past due, and what is remembered moves on."""
    seen = []

    async def call(timer):
        seen.append((timer.past_due, timer.schedule_status["Next"], timer.schedule["AdjustForDST"]))

    missed = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    (tmp_path / "tick.json").write_text(json.dumps({"Last": missed, "Next": missed, "LastUpdated": missed}))
    listener = TimerListener(timer(call, "0 0 * * * *"), invoker, monitor=ScheduleMonitor(tmp_path))
    listener.start()
    await asyncio.sleep(0.05)
    await listener.stop()
    assert seen == [(True, missed, True)]
    kept = json.loads((tmp_path / "tick.json").read_text())
    assert datetime.fromisoformat(kept["Next"]) > datetime.now(UTC)


async def test_schedules_faster_than_a_minute_are_not_remembered(invoker, tmp_path):
    """The real host does not, either."""

    async def call(timer):
        pass

    listener = TimerListener(timer(call, "*/5 * * * * *"), invoker, monitor=ScheduleMonitor(tmp_path))
    await listener.run_once()
    assert not list(tmp_path.iterdir())
