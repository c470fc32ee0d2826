"""Timer triggers: one run at a time, on schedule, early after a missed one when the schedule is remembered."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from azure.functions.timer import TimerRequest

from mms_local.host.logs import LOGGER
from mms_local.host.schedules import is_monitored, parse_schedule

if TYPE_CHECKING:
    from pathlib import Path

    from mms_local.host.indexing import IndexedFunction
    from mms_local.host.invocation import Invoker

_LONGEST_SLEEP: Final = timedelta(hours=1)
"""The wall clock may be set while we sleep."""


class ScheduleMonitor:
    """Remembers each timer's last and next occurrence in a directory, as the real host does in a blob.

    Args:
        directory: Created when first needed; ``None`` remembers nothing.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def load(self, name: str) -> dict[str, str] | None:
        """Return what :meth:`save` kept, or ``None``."""
        if self._directory is None:
            return None
        try:
            loaded: dict[str, str] = json.loads((self._directory / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return loaded

    def save(self, name: str, status: dict[str, str]) -> None:
        """Keep *status* for the next start."""
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / f"{name}.json").write_text(json.dumps(status), encoding="utf-8")


class TimerListener:
    """Fires one timer function."""

    def __init__(self, function: IndexedFunction, invoker: Invoker, *, monitor: ScheduleMonitor) -> None:
        self._function = function
        self._invoker = invoker
        self._schedule = parse_schedule(str(function.trigger["schedule"]))
        wants_monitor = function.trigger.get("useMonitor") is not False
        remembers = wants_monitor and is_monitored(self._schedule, now=datetime.now(UTC))
        self._monitor = monitor if remembers else ScheduleMonitor(None)
        self._status: dict[str, str] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return self._function.name

    def start(self) -> None:
        """Begin to follow the schedule."""
        self._task = asyncio.create_task(self._follow(), name=f"timer {self._function.name}")

    async def stop(self) -> None:
        """Start no more runs; return when the current one is over."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _follow(self) -> None:
        now = datetime.now(UTC)
        self._status = self._monitor.load(self._function.name)
        if self._status is not None and datetime.fromisoformat(self._status["Next"]) < now:
            LOGGER.info("Timer '%s' is past due, running it now", self._function.name)
            await self.run_once(past_due=True)
        elif self._function.trigger.get("runOnStartup"):
            await self.run_once()
        upcoming = self._schedule.next_after(datetime.now(UTC))
        while not await self._sleep_until(upcoming):
            fired = max(datetime.now(UTC), upcoming)
            await self.run_once()
            upcoming = self._schedule.next_after(fired)

    async def run_once(self, *, past_due: bool = False) -> None:
        """Run the function now, after the run that is going on. A failure is logged and forgotten."""
        async with self._one_at_a_time:
            request = TimerRequest(
                past_due=past_due, schedule_status=dict(self._status or {}), schedule={"AdjustForDST": True}
            )
            moment = datetime.now(UTC)
            reason = "Timer fired, past due" if past_due else "Timer fired"
            try:
                await self._invoker.invoke(self._function, request, reason=reason)
            except Exception as error:  # noqa: BLE001 - the function's own error, logged by the invoker
                LOGGER.debug("Timer '%s' failed: %s", self._function.name, type(error).__name__)
            status: dict[str, Any] = {"Last": moment, "Next": self._schedule.next_after(moment), "LastUpdated": moment}
            self._status = {name: value.isoformat() for name, value in status.items()}
            self._monitor.save(self._function.name, self._status)

    async def _sleep_until(self, moment: datetime) -> bool:
        """Return ``False`` when *moment* has come, ``True`` when the listener is to stop."""
        while not self._stopping.is_set():
            left = moment - datetime.now(UTC)
            if left <= timedelta(0):
                return False
            try:
                async with asyncio.timeout(min(left, _LONGEST_SLEEP).total_seconds()):
                    await self._stopping.wait()
            except TimeoutError:
                continue
        return True
