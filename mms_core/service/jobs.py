"""Long jobs over the whole tenant: a page at a time, each in a queue message of its own.

A job's document holds its cursor, fenced by the ETag. So a job goes on where it was after a crash, leaves room for
other messages between two pages, and a throttled page is simply put back into the queue with a delay.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from mms_core.errors import NotFound, PreconditionLost
from mms_core.messages import JobStep
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from mms_core.service.parts import Parts

T = TypeVar("T")

SWEEP: Final = "sweep"
"""The reconciliation's job."""
SILENCE: Final = timedelta(minutes=15)
"""A job whose cursor has not moved for so long has lost its message: it gets another."""
LINK: Final = "link"
"""Where a cursor keeps the address of a list's next page."""
_NEW_BEGINNINGS: Final = 3
"""So often a job reads a list anew of which Graph has forgotten the next page; then the next job has to do."""
_SIDE_BY_SIDE: Final = 4
"""Users of a page at once: storage answers them in parallel, and Graph is asked only about few of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one page came to: where to go on (``None`` at the end), and how many of what were found."""

    cursor: dict[str, Any] | None
    counts: dict[str, int]


class Handler(Protocol):
    """One kind of job."""

    async def page(self, run: str, arguments: dict[str, Any], cursor: dict[str, Any] | None) -> Done:
        """Do one page; safe to repeat."""
        ...


class Jobs:
    """Starts jobs, takes their steps, and revives those that fell silent."""

    def __init__(self, parts: Parts, handlers: Mapping[str, Handler]) -> None:
        self._parts = parts
        self._handlers = handlers

    async def start(self, job: str, *, arguments: dict[str, Any] | None = None, kind: str | None = None) -> bool:
        """Start a job unless it is at work; one that fell silent goes on where it was.

        Args:
            job: Its name; one of this name is at work at a time.
            arguments: For the handler.
            kind: Which handler; by default that of the job's own name.

        Returns:
            Whether a message was sent.
        """
        return await start_job(self._parts, job, arguments=arguments, kind=kind)

    async def step(self, message: JobStep) -> None:
        """Do one page and send the message for the next."""
        stored = await self._parts.documents.get("job", message.job)
        if stored is None or stored.value["run"] != message.run:
            return  # a leftover
        if stored.value.get("doneAt"):
            await self._again(stored.value)  # a leftover, or its worker died right after the end
            return
        state = stored.value
        cursor, begun = state.get("cursor"), state.get("begunAgain", 0)
        try:
            done = await self._handlers[state["kind"]].page(message.run, state["arguments"], cursor)
        except NotFound as exc:
            if not cursor or LINK not in cursor:
                raise
            log("page_lost", state=state["kind"], code=exc.code, count=begun, level=logging.WARNING)
            rest = {name: value for name, value in cursor.items() if name != LINK}
            done, begun = Done(cursor=rest if begun < _NEW_BEGINNINGS else None, counts={}), begun + 1
        counts = dict(state.get("counts") or {})
        for name, count in done.counts.items():
            counts[name] = counts.get(name, 0) + count
        now = self._parts.clock.now().isoformat()
        after = {**state, "cursor": done.cursor, "counts": counts, "begunAgain": begun, "beatAt": now}
        if done.cursor is None:
            after["doneAt"] = now
        try:
            await self._parts.documents.put("job", message.job, after, etag=stored.etag)
        except PreconditionLost:
            return  # another delivery of this message was faster
        if done.cursor is None:
            log("job_done", state=state["kind"], count=sum(counts.values()))
            await self._again(state)
        else:
            await self._parts.queue.send(JobStep(job=message.job, run=message.run))

    async def _again(self, state: dict[str, Any]) -> None:
        """Start a job that is over again where somebody has wanted that while it was at work."""
        wanted = await self._parts.documents.get("jobWanted", state["job"])
        if wanted is not None and wanted.value["id"] != state.get("wanted"):
            await start_job(self._parts, state["job"], arguments=state["arguments"], kind=state["kind"])

    async def revive(self) -> None:
        """Send another message for every job that fell silent."""
        for state in await self._parts.documents.list("job"):
            if not state.get("doneAt"):
                await start_job(self._parts, state["job"], arguments=state["arguments"], kind=state["kind"])


async def each(items: Iterable[T], act: Callable[[T], Awaitable[int]]) -> int:
    """Act on items, a few side by side; returns the sum.

    Raises:
        MmsError: The first failure, after those side by side have ended: the page is done again.
    """
    gate = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(item: T) -> int:
        async with gate:
            return await act(item)

    results = await asyncio.gather(*map(one, items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return sum(result for result in results if isinstance(result, int))


async def start_anew(
    parts: Parts, job: str, *, arguments: dict[str, Any] | None = None, kind: str | None = None
) -> None:
    """Have a job look at all there is from now on: at once, or, if it is at work, again as soon as that is done.

    A job that is at work keeps the arguments it has.
    """
    # First the wish and then the look: a job that ends in between sees the wish.
    await parts.documents.put("jobWanted", job, {"id": parts.new_id(), "at": parts.clock.now().isoformat()})
    await start_job(parts, job, arguments=arguments, kind=kind)


async def start_job(
    parts: Parts, job: str, *, arguments: dict[str, Any] | None = None, kind: str | None = None
) -> bool:
    """See :meth:`Jobs.start`; for those who only start one."""
    stored = await parts.documents.get("job", job)
    now = parts.clock.now()
    state = stored.value if stored else None
    if state is not None and not state.get("doneAt"):
        if now - datetime.fromisoformat(state["beatAt"]) < SILENCE:
            return False
        fresh = {**state, "beatAt": now.isoformat()}
    else:
        wanted = await parts.documents.get("jobWanted", job)
        fresh = {
            "job": job,
            "wanted": wanted.value["id"] if wanted else None,
            "kind": kind or job,
            "run": parts.new_id(),
            "arguments": arguments or {},
            "cursor": None,
            "startedAt": now.isoformat(),
            "doneBefore": state["doneAt"] if state else None,
            "beatAt": now.isoformat(),
        }
    try:
        await parts.documents.put("job", job, fresh, etag=stored.etag if stored else "")
    except PreconditionLost:
        return False  # somebody else starts it right now
    await parts.queue.send(JobStep(job=job, run=fresh["run"]))
    return True
