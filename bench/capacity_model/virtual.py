"""Time that passes as fast as the processor allows: an event loop whose clock jumps to the next thing that happens."""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


class NothingLeft(Exception):
    """Everybody waits, and nothing is going to happen any more."""


class _Jumps(selectors.SelectSelector):
    """Instead of waiting for sockets, moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingLeft
        if timeout > 0:
            self.seconds += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: ``asyncio.sleep`` and ``asyncio.timeout`` take no real time."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Return the virtual seconds since the simulation began."""
        return self._jumps.seconds


class VirtualClock:
    """The same time as aware UTC."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Return the virtual instant."""
        return EPOCH + timedelta(seconds=self._loop.time())
