"""How many requests a process keeps under way at a service whose limit is the whole tenant's: learnt from refusals.

Teams takes 30 requests a second of an app in a tenant, whatever the number of processes, and none of them sees the
others. So each begins with a few and allows itself one more in every round that goes well; when one is refused for
haste, it takes some back. Processes that do so share a limit fairly and keep it nearly full, and what is over waits
here, in line, where it costs nobody anything (additive increase, multiplicative decrease: Chiu and Jain, 1989).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncIterator

FIRST: Final = 8
"""Requests at once that a process begins with."""
MOST: Final = 64
DECREASE: Final = 0.97
"""Little is taken back, because a refusal says that somebody was the thirty-first, not that there is a jam."""


class Turn:
    """A request's turn; whoever has it says how it went, or leaves it open: then nothing is learnt from it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_good = False
        self.is_refused = False


class Pace:
    """First come, first served; as many at once as the last answers allow."""

    def __init__(self) -> None:
        self._allowed = float(FIRST)
        self._under_way = 0
        self._line: deque[Future[None]] = deque()
        self._begun = 0
        self._lowered_at = 0
        """The newest request that had begun when the number was lowered last: older ones' refusals say nothing new."""

    @property
    def allowed(self) -> int:
        """Requests that may be under way at once."""
        return int(self._allowed)

    @contextlib.asynccontextmanager
    async def turn(self, *, is_repeated: bool = False) -> AsyncIterator[Turn]:
        """Wait for a turn, have it while the body runs, and learn from how it went.

        Args:
            is_repeated: It has been refused before, and so is the next in line.
        """
        await self._wait(is_first=is_repeated)
        self._begun += 1
        turn = Turn(self._begun)
        try:
            yield turn
        finally:
            self._learn(turn)
            self._leave()

    def _learn(self, turn: Turn) -> None:
        if turn.is_refused and turn.number > self._lowered_at:
            self._allowed = max(self._allowed * DECREASE, 1)
            self._lowered_at = self._begun
        # That all goes well says nothing about more than were tried.
        elif turn.is_good and self._under_way >= self.allowed:
            self._allowed = min(self._allowed + 1 / self._allowed, MOST)

    async def _wait(self, *, is_first: bool) -> None:
        if not self._line and self._under_way < self.allowed:
            self._under_way += 1
            return
        place = asyncio.get_running_loop().create_future()
        (self._line.appendleft if is_first else self._line.append)(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was its turn in the same moment
                self._leave()
            raise

    def _leave(self) -> None:
        self._under_way -= 1
        while self._line and self._under_way < self.allowed:
            place = self._line.popleft()
            if not place.cancelled():
                self._under_way += 1
                place.set_result(None)
