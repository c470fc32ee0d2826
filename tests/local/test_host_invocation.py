"""Running functions, and what is logged of it."""

import asyncio
import logging
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

from mms_local.host.invocation import FunctionTimeoutError, Invoker
from mms_local.host.logs import CURRENT, CategoryFilter, Invocation, LineFormatter


def function(call, *, is_async=True, wants_context=False):
    """What indexing would have made of *call*."""
    return SimpleNamespace(name="work", call=call, is_async=is_async, wants_context=wants_context, parameter="value")


@pytest.fixture
def invoker(tmp_path):
    """An invoker with a limit that no test reaches by accident."""
    made = Invoker(tmp_path, timeout=timedelta(minutes=1))
    yield made
    made.close()


async def test_async_functions_run_on_the_loop_and_know_their_context(invoker, tmp_path):
    """The context has the names and ids that the platform promises."""

    async def call(value, context):
        return value, threading.current_thread(), context, CURRENT.get()

    value, thread, context, current = await invoker.invoke(
        function(call, wants_context=True), 7, reason="test", trace_parent="00-a-b-01"
    )
    assert value == 7
    assert thread is threading.current_thread()
    assert (context.function_name, context.function_directory) == ("work", str(tmp_path))
    assert context.trace_context.trace_parent == "00-a-b-01"
    assert context.retry_context.retry_count == 0
    assert current == Invocation("work", context.invocation_id)


async def test_sync_functions_run_in_a_thread_and_keep_the_log_context(invoker):
    """A blocking function does not stop the loop; its records are attributed all the same."""

    def call(value):
        return threading.current_thread(), CURRENT.get().function_name

    thread, name = await invoker.invoke(function(call, is_async=False), None, reason="test")
    assert thread is not threading.current_thread()
    assert name == "work"


async def test_a_function_that_runs_too_long_is_cancelled(tmp_path):
    """The host's functionTimeout ends it, and its own TimeoutError is not mistaken for that."""
    invoker = Invoker(tmp_path, timeout=timedelta(milliseconds=50))

    async def endless(value):
        await asyncio.sleep(3600)

    async def own(value):
        raise TimeoutError("mine")

    with pytest.raises(FunctionTimeoutError):
        await invoker.invoke(function(endless), None, reason="test")
    with pytest.raises(TimeoutError, match="mine"):
        await invoker.invoke(function(own), None, reason="test")
    assert not invoker.running
    invoker.close()


async def test_idle_means_nothing_runs(invoker):
    """Draining waits for the last of them."""
    gate = asyncio.Event()

    async def call(value):
        await gate.wait()

    tasks = [asyncio.create_task(invoker.invoke(function(call), None, reason="test")) for _ in range(3)]
    await asyncio.sleep(0)
    assert len(invoker.running) == 3
    idle = asyncio.create_task(invoker.wait_idle())
    await asyncio.sleep(0)
    assert not idle.done()
    gate.set()
    await idle
    await asyncio.gather(*tasks)


def record(message, *arguments, name="mms", level=logging.INFO):
    """Make a log record."""
    return logging.LogRecord(name, level, "file", 1, message, arguments, None)


def test_a_record_is_one_line():
    """Line breaks are escaped, so that one record stays one line for every reader."""
    token = CURRENT.set(Invocation("work", "id-1"))
    try:
        line = LineFormatter().format(record("first\nsecond %s", "third\r\n"))
    finally:
        CURRENT.reset(token)
    assert line.endswith("Z INFO work id-1 first\\nsecond third\\r\\n")
    assert "\n" not in line


def test_the_longest_category_decides_the_level():
    """As in host.json's logging.logLevel."""
    levels = CategoryFilter(
        {"default": "Warning", "Function": "Information", "Function.work.User": "Debug", "Host": "None"}
    )
    assert levels.threshold("Function.other") == logging.INFO
    assert levels.threshold("Function.work.User") == logging.DEBUG
    assert levels.threshold("Something") == logging.WARNING
    assert not levels.filter(record("host", level=logging.CRITICAL))
    token = CURRENT.set(Invocation("work", "id-1"))
    try:
        assert levels.filter(record("by the app", level=logging.DEBUG))
        assert not levels.filter(record("by the host", name="mms_local.host", level=logging.DEBUG))
    finally:
        CURRENT.reset(token)
