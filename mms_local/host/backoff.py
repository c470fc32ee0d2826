"""How long a listener rests before it looks at an empty queue again."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

MINIMUM: Final = timedelta(milliseconds=100)
_SPREAD: Final = 0.2


class PollingBackoff:
    """Random exponential back-off: 100 ms after work, then doubling (give or take 20 %) up to the maximum.

    Source: the polling algorithm of the Functions queue trigger, "random exponential back-off".
    """

    def __init__(
        self, maximum: timedelta, *, minimum: timedelta = MINIMUM, chance: random.Random | None = None
    ) -> None:
        self._minimum = min(minimum, maximum)
        self._maximum = maximum
        self._chance = chance or random.Random()  # noqa: S311 - jitter is no secret
        self._current = timedelta(0)
        self._exponent = 0

    def next_delay(self, *, found_message: bool) -> timedelta:
        """Return the next pause.

        Args:
            found_message: Whether any message was seen since the last pause; that starts over at the minimum.
        """
        if found_message:
            self._current, self._exponent = self._minimum, 1
        elif self._current != self._maximum:
            delay = self._minimum
            if self._exponent:
                factor = self._chance.uniform(1 - _SPREAD, 1 + _SPREAD)
                delay += self._minimum * (factor * 2 ** (self._exponent - 1))
            self._current = min(delay, self._maximum)
            self._exponent += 1
        return self._current
