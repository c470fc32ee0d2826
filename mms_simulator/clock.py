"""The tenant's clock: real time plus what ``POST /_tenant/clock`` has added. Tokens live by real time."""

import time


class Clock:
    """Seconds since 1970 in the tenant."""

    def __init__(self) -> None:
        self.offset: float = 0

    def now(self) -> float:
        """Give the tenant's time."""
        return time.time() + self.offset
