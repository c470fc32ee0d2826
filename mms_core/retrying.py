"""When to try again, and when to give up (Q4: up to 9 times within 24 hours). Pure decisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAXIMUM_RETRIES: Final = 9
RETRY_SPAN: Final = timedelta(hours=24)
FIRST_DELAY: Final = timedelta(seconds=169)
"""Doubling from here, nine waits add up to 24 hours: 169 s x (2**9 - 1) = 86,359 s."""
JITTER: Final = 0.1
"""Up to this part is taken off a wait, so that users who failed together do not come back together."""


def is_mailbox_awaited(*, made_at: Iterable[datetime], has_moved: bool, started_at: datetime) -> bool:
    """Say whether a mailbox that Exchange does not know may still come.

    Exchange needs up to 15 minutes after a licence was assigned or a move has ended, and longer on a bad day.

    Args:
        made_at: When the user and the plans in force came to be, as far as the directory tells.
        has_moved: A move to the cloud has asked for the run.
        started_at: When the first attempt began, so that the answer is the same for every retry.
    """
    return has_moved or any(at >= started_at - RETRY_SPAN for at in made_at)


def next_attempt_at(
    *,
    retries: int,
    started_at: datetime,
    now: datetime,
    jitter: float,
    retry_after: timedelta | None = None,
    first_delay: timedelta = FIRST_DELAY,
) -> datetime | None:
    """Decide when a run is tried again.

    Args:
        retries: Retries already made, from 0.
        started_at: When the first attempt began; the 24 hours count from here.
        now: Aware UTC.
        jitter: From 0 (whole wait) up to 1 (a tenth less).
        retry_after: The other side's wish; it wins where it is longer than ours.
        first_delay: Wait before the first retry.

    Returns:
        The instant of the next attempt, or ``None`` to give up: the ninth retry is spent, or the next one would
        come after 24 hours. A ``retry_after`` that leads past the 24 hours gives up as well.

    Raises:
        ValueError: *now* is naive, or *jitter* is not from 0 to 1.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    if not 0 <= jitter <= 1:
        raise ValueError("jitter must be from 0 to 1")
    if retries >= MAXIMUM_RETRIES:
        return None
    delay = first_delay * 2**retries * (1 - JITTER * jitter)
    if retry_after is not None and retry_after > delay:
        delay = retry_after
    at = now + delay
    # An hour of grace: the attempts themselves take time, and the ninth retry must not fall to that.
    return at if at <= started_at + RETRY_SPAN + timedelta(hours=1) else None
