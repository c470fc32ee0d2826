"""Run functions: async ones on the loop, sync ones in a thread pool, with a context, a time limit and a log."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import azure.functions as func

from mms_local.host.logs import CURRENT, LOGGER, Invocation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from mms_local.host.indexing import IndexedFunction

_THREAD_LOCAL: Final = threading.local()


class InvocationContext(func.Context):
    """What a parameter named ``context`` gets."""

    def __init__(self, *, function_name: str, directory: str, invocation_id: str, trace_parent: str) -> None:
        self._function_name = function_name
        self._directory = directory
        self._invocation_id = invocation_id
        self._trace_parent = trace_parent or f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00"

    @property
    def invocation_id(self) -> str:
        """A GUID for this run."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """Set ``invocation_id`` on it in own threads, so that their logs are attributed."""
        return _THREAD_LOCAL

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self._function_name

    @property
    def function_directory(self) -> str:
        """Where ``function_app.py`` is."""
        return self._directory

    @property
    def trace_context(self) -> Any:
        """W3C trace context of the trigger."""
        return SimpleNamespace(trace_parent=self._trace_parent, trace_state="", attributes={})

    @property
    def retry_context(self) -> Any:
        """Always the first try: this host has no retry policies."""
        return SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)


class FunctionTimeoutError(Exception):
    """A function ran longer than ``functionTimeout``."""


class Invoker:
    """Runs functions and knows which are running.

    Args:
        directory: The app's directory.
        timeout: Longest run; ``None`` for no limit. A sync function that exceeds it cannot be stopped, it only
            counts as failed. (The real host then kills the worker process.)
        threads: Size of the pool for sync functions; ``None`` is Python's default, as in the worker.
    """

    def __init__(self, directory: Path, *, timeout: timedelta | None, threads: int | None = None) -> None:
        self._directory = str(directory)
        self._timeout_seconds = None if timeout is None else timeout.total_seconds()
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="function")
        self._running: dict[str, str] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> Mapping[str, str]:
        """Invocation id -> function name of everything that runs now."""
        return self._running

    async def invoke(self, function: IndexedFunction, value: object, *, reason: str, trace_parent: str = "") -> Any:
        """Call *function* with *value* for its trigger parameter and return what it returns.

        Errors: whatever the function raises, already logged; :class:`FunctionTimeoutError`.
        """
        invocation_id = str(uuid.uuid4())
        token = CURRENT.set(Invocation(function.name, invocation_id))
        self._running[invocation_id] = function.name
        self._idle.clear()
        started = time.monotonic()
        LOGGER.info("Executing (Reason='%s')", reason)
        try:
            result = await self._call(function, value, invocation_id, trace_parent)
        except asyncio.CancelledError:
            LOGGER.error("Executed (Cancelled, Duration=%dms)", (time.monotonic() - started) * 1000)
            raise
        except Exception:
            LOGGER.exception("Executed (Failed, Duration=%dms)", (time.monotonic() - started) * 1000)
            raise
        else:
            LOGGER.info("Executed (Succeeded, Duration=%dms)", (time.monotonic() - started) * 1000)
            return result
        finally:
            del self._running[invocation_id]
            if not self._running:
                self._idle.set()
            CURRENT.reset(token)

    async def wait_idle(self) -> None:
        """Return when nothing runs."""
        await self._idle.wait()

    def close(self) -> None:
        """Give the threads back; one that still runs a function is left to itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, function: IndexedFunction, value: object, invocation_id: str, trace_parent: str) -> Any:
        arguments: dict[str, object] = {function.parameter: value}
        if function.wants_context:
            arguments["context"] = InvocationContext(
                function_name=function.name,
                directory=self._directory,
                invocation_id=invocation_id,
                trace_parent=trace_parent,
            )
        limit = asyncio.timeout(self._timeout_seconds)
        try:
            async with limit:
                if function.is_async:
                    return await function.call(**arguments)
                inside = contextvars.copy_context()
                return await asyncio.get_running_loop().run_in_executor(
                    self._pool, lambda: inside.run(function.call, **arguments)
                )
        except TimeoutError as error:
            if limit.expired():
                raise FunctionTimeoutError(f"ran longer than functionTimeout {self._timeout_seconds} s") from error
            raise
