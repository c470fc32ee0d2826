"""Time that passes as fast as the processor allows: an event loop whose clock jumps to the next thing that happens."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

EPOCH = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


class NothingLeft(Exception):
    """Everybody waits, and nothing is going to happen any more."""


class _Turn:
    """A call that waits for its turn: as much of asyncio's handle as is needed by who holds one."""

    __slots__ = ("args", "call", "context", "is_cancelled")

    def __init__(self, call: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> None:
        self.call, self.args = call, args
        self.context = copy_context() if context is None else context  # an empty one is false
        self.is_cancelled = False

    def cancel(self) -> None:
        """Let it not be called."""
        self.is_cancelled = True


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: ``asyncio.sleep`` and ``asyncio.timeout`` take no real time.

    It waits for no socket, and orders its timers without calling Python: half of a simulation's time went there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._timers: list[tuple[float, int, _Turn]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        """Return the virtual seconds since the simulation began."""
        return self._seconds

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        """See :class:`asyncio.AbstractEventLoop`."""
        turn = _Turn(callback, args, context)
        self._ready.append(turn)
        return turn

    call_soon_threadsafe = call_soon  # there is one thread

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        """See :class:`asyncio.AbstractEventLoop`."""
        turn = _Turn(callback, args, context)
        heapq.heappush(self._timers, (when, next(self._numbers), turn))
        return turn

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        """See :class:`asyncio.AbstractEventLoop`."""
        return self.call_at(self._seconds + delay, callback, *args, context=context)

    def pause(self, seconds: float) -> asyncio.Future[None]:
        """Return what is done after so many virtual seconds: ``asyncio.sleep`` with fewer calls of Python."""
        done: asyncio.Future[None] = self.create_future()
        self.call_at(self._seconds + seconds, _finish, done)
        return done

    def _run_once(self) -> None:
        """Take the turns that are due; where there is none, move the clock to the next one."""
        ready, timers = self._ready, self._timers
        if not ready:
            while timers and timers[0][2].is_cancelled:
                heapq.heappop(timers)
            if not timers:
                raise NothingLeft
            self._seconds = max(self._seconds, timers[0][0])
        while timers and timers[0][0] <= self._seconds:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            turn = ready.popleft()
            if not turn.is_cancelled:
                try:
                    turn.context.run(turn.call, *turn.args)
                except Exception as exc:  # noqa: BLE001 - as every event loop does
                    self.call_exception_handler({"message": "a callback failed", "exception": exc})


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():  # whoever waited may be gone
        done.set_result(None)


class VirtualClock:
    """The same time as aware UTC."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Return the virtual instant."""
        return EPOCH + timedelta(seconds=self._loop.time())
