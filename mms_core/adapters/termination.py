"""SIGTERM: a worker that hears it finishes the meetings in hand, hands its runs over, and lets the process end.

Nothing depends on it. Azure kills workers without a word as well, and a run that nobody handed over is taken over when
its lease ends; this only saves the time until then.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Termination:
    """Remembers that SIGTERM came, and passes the signal on to whoever listened before."""

    def __init__(self) -> None:
        self.has_come = False
        self._before: Callable[[int, FrameType | None], Any] | int | None = None

    def listen(self) -> None:
        """Begin to listen. Where the host runs functions outside the main thread, that is not possible, and no loss.

        A process that nobody taught to end by itself ends as before: the default action is left alone.
        """
        before = signal.getsignal(signal.SIGTERM)
        if not callable(before):
            return
        self._before = before
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True
        if callable(self._before):
            self._before(number, frame)

    def __call__(self) -> bool:
        """Say whether SIGTERM has come."""
        return self.has_come
