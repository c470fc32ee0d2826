"""Keep processes running: start, watch, start again, stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mms_local.children import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

_SHORT_LIFE_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.5
"""Before a part that lived for a moment only is started again; one that had worked is started at once."""
_POLL_SECONDS: Final = 0.1
_LAST_LINES: Final = 25
_LAST_CHARACTERS: Final = 20_000


class PartError(Exception):
    """A part does not come up; the message has its last words."""


@dataclass(frozen=True, kw_only=True)
class PartPlan:
    """How to run one part."""

    name: str
    command: list[str]
    log: Path
    answers: Callable[[], Awaitable[bool]]
    """Tells whether the part does its work; asked again and again until it does."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    directory: Path | None = None
    """Working directory; ``None``: ours."""
    grace_seconds: float = 10.0
    """From SIGTERM to SIGKILL."""
    death_signal: signal.Signals = signal.SIGTERM
    """What it gets when the supervisor itself is killed."""


class Part:
    """One process that is started again when it dies.

    Args:
        plan: How to run it.
        on_restart: Called with this part right after it was started again.
    """

    def __init__(self, plan: PartPlan, *, on_restart: Callable[[Part], None]) -> None:
        self.plan = plan
        self.starts = 0
        self._on_restart = on_restart
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int:
        """Process id, 0 before the first start."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it and watch over it from now on. Does not wait until it answers.

        Errors: ``OSError`` when the command cannot be run.
        """
        await self._spawn()
        self._watch = asyncio.create_task(self._keep_alive(), name=f"watch {self.plan.name}")

    async def wait_until_it_answers(self, *, patience_seconds: float, starts: int = 3) -> None:
        """Return when it does its work.

        Args:
            patience_seconds: Longest wait.
            starts: It is given up when it had to be started more often than that meanwhile.

        Errors: :class:`PartError`.
        """
        deadline = time.monotonic() + patience_seconds
        while not await self.plan.answers():
            if self.starts > starts:
                raise PartError(f"{self.plan.name} keeps ending\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise PartError(f"{self.plan.name} does not answer after {patience_seconds:g} s\n{self.last_words()}")
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """End it by SIGTERM, after its grace by SIGKILL, and leave nothing of it behind."""
        self._stopping.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.plan.grace_seconds):
                    await self._process.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session: children go as well
            await self._process.wait()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})

    def kill(self) -> None:
        """Cut short what :meth:`stop` waits for."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """Return the end of its log; a traceback that stands there on one line is unfolded."""
        with contextlib.suppress(OSError):
            log = self.plan.log.read_text(encoding="utf-8", errors="replace")[-_LAST_CHARACTERS:]
            lines = log.replace("\\n", "\n").splitlines()
            return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
        return "  (no log)"

    async def _keep_alive(self) -> None:
        while not self._stopping.is_set() and self._process is not None:
            started = time.monotonic()
            await self._process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started < _SHORT_LIFE_SECONDS:
                await asyncio.sleep(_PAUSE_SECONDS)
            with contextlib.suppress(OSError):
                await self._spawn()
                self._on_restart(self)

    async def _spawn(self) -> None:
        self.starts += 1
        with self.plan.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.plan.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.plan.directory,
                env=dict(self.plan.environment),
                start_new_session=True,  # ctrl-c is for the supervisor, which stops the parts in order
                preexec_fn=die_with_parent(self.plan.death_signal),
            )


class Supervisor:
    """The parts of one stack, in the order of their start.

    Args:
        on_restart: Called with the part whenever one was started again.
    """

    def __init__(self, *, on_restart: Callable[[Part], None]) -> None:
        self._on_restart = on_restart
        self.parts: dict[str, Part] = {}

    async def start(self, *plans: PartPlan, patience_seconds: float) -> None:
        """Start parts together and wait until all of them answer.

        Errors: :class:`PartError`.
        """
        parts = [Part(plan, on_restart=self._on_restart) for plan in plans]
        for part in parts:
            self.parts[part.plan.name] = part
            try:
                await part.start()
            except OSError as error:
                raise PartError(f"{part.plan.name} cannot be started: {error}") from error
        for part in parts:
            await part.wait_until_it_answers(patience_seconds=patience_seconds)

    async def stop(self) -> None:
        """Stop all parts, the last started first, each before the next."""
        for part in reversed(self.parts.values()):
            await part.stop()

    def kill(self) -> None:
        """Kill all parts; for when :meth:`stop` takes too long for somebody."""
        for part in self.parts.values():
            part.kill()
