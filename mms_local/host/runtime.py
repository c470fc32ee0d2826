"""Put a function app to work: index, listen, drain."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
from typing import TYPE_CHECKING, Final

from aiohttp import web

from mms_local.host.appsettings import queue_connection
from mms_local.host.http import BODY_LIMIT_BYTES, HttpFrontEnd
from mms_local.host.indexing import (
    HTTP_TRIGGER,
    QUEUE_TRIGGER,
    TIMER_TRIGGER,
    IndexedFunction,
    IndexingError,
    index_app,
)
from mms_local.host.invocation import Invoker
from mms_local.host.logs import LOGGER
from mms_local.host.queues import QueueListener, Watchers, service_client
from mms_local.host.timers import ScheduleMonitor, TimerListener

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from azure.storage.queue.aio import QueueServiceClient

    from mms_local.host.appsettings import QueueConnection
    from mms_local.host.configuration import HostConfiguration

_FIELD_LIMIT: Final = 32_768
"""Bytes of one header, as the real host's web server allows for all."""


class LocalHost:
    """One function app, running.

    Args:
        app_directory: Where ``function_app.py`` and ``host.json`` are.
        configuration: host.json, read.
        environment: App settings; the app itself reads ``os.environ``.
        state_directory: Where timers' schedules are remembered; ``None`` forgets them at exit.
    """

    def __init__(
        self,
        app_directory: Path,
        configuration: HostConfiguration,
        *,
        environment: Mapping[str, str],
        state_directory: Path | None = None,
    ) -> None:
        self._configuration = configuration
        self._environment = environment
        self._directory = app_directory
        threads = environment.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
        self._invoker = Invoker(
            app_directory,
            timeout=configuration.function_timeout,
            threads=int(threads) if threads.isdecimal() and int(threads) else None,
        )
        self._monitor = ScheduleMonitor(state_directory)
        self._services: dict[QueueConnection, QueueServiceClient] = {}
        self._listeners: list[QueueListener | TimerListener] = []
        self._background: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self.functions: list[IndexedFunction] = []
        self.port = 0
        """Where it listens, once started."""

    async def start(self, address: str, port: int) -> None:
        """Index the app, then serve HTTP, then queues and timers.

        Errors: ``OSError`` when the port is taken. An app that does not load is logged, and nothing runs, as in Azure.
        """
        LOGGER.info("Starting, azure-functions %s", importlib.metadata.version("azure-functions"))
        try:
            self.functions = index_app(self._directory, self._environment)
        except IndexingError:
            LOGGER.exception("The app does not load. 0 functions loaded")
        else:
            self._log_functions()
        await self._serve(address, port)
        watchers = Watchers()
        for function in self.functions:
            if function.is_running and function.trigger_type == QUEUE_TRIGGER:
                self._listeners.append(self._queue_listener(function, watchers))
            elif function.is_running and function.trigger_type == TIMER_TRIGGER:
                self._listeners.append(TimerListener(function, self._invoker, monitor=self._monitor))
        for listener in self._listeners:
            listener.start()
        LOGGER.info("Host started on port %d", self.port)

    async def drain(self, grace: timedelta) -> bool:
        """Take no more work, wait for what runs, and close.

        Args:
            grace: Longest wait.

        Returns:
            Whether everything finished in time.
        """
        LOGGER.info("Draining; running: %d", len(self._invoker.running))
        stopping = [asyncio.create_task(listener.stop()) for listener in self._listeners]
        if self._site is not None:
            await self._site.stop()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._invoker.wait_idle()
                if stopping:
                    await asyncio.wait(stopping)
        except TimeoutError:
            for name in sorted(set(self._invoker.running.values())):
                LOGGER.error("Function '%s' still runs after %d s of grace", name, grace.total_seconds())
            return False
        if self._runner is not None:
            await self._runner.cleanup()
        for service in self._services.values():
            await service.close()
        self._invoker.close()
        LOGGER.info("Drained")
        return True

    async def _serve(self, address: str, port: int) -> None:
        front = HttpFrontEnd(self.functions, self._invoker, options=self._configuration.http, run_timer=self._run_timer)
        limit = self._environment.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
        application = web.Application(client_max_size=int(limit) if limit.isdecimal() else BODY_LIMIT_BYTES)
        application.router.add_route("*", r"/{rest:[\s\S]*}", front.handle)  # an escaped newline too
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,
            max_line_size=_FIELD_LIMIT,
            max_field_size=_FIELD_LIMIT,
            shutdown_timeout=1.0,
        )
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, address, port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        os.environ["WEBSITE_HOSTNAME"] = f"{address}:{self.port}"

    def _run_timer(self, name: str) -> bool:
        for listener in self._listeners:
            if isinstance(listener, TimerListener) and listener.name == name:
                task = asyncio.create_task(listener.run_once())
                self._background.add(task)
                task.add_done_callback(self._background.discard)
                return True
        return False

    def _queue_listener(self, function: IndexedFunction, watchers: Watchers) -> QueueListener:
        connection = queue_connection(str(function.trigger.get("connection") or ""), self._environment)
        if connection not in self._services:
            self._services[connection] = service_client(connection)
        return QueueListener(
            function,
            self._services[connection],
            options=self._configuration.queues,
            invoker=self._invoker,
            watchers=watchers,
        )

    def _log_functions(self) -> None:
        prefix = self._configuration.http.route_prefix
        for function in self.functions:
            if function.errors:
                LOGGER.error("The '%s' function is in error: %s", function.name, "; ".join(function.errors))
            elif function.is_disabled:
                LOGGER.warning("The '%s' function is disabled", function.name)
            elif function.trigger_type == HTTP_TRIGGER and function.route is not None:
                methods = ",".join(sorted(function.methods)) if function.methods is not None else "all"
                level = str(function.trigger.get("authLevel") or "FUNCTION").lower()
                note = "" if level == "anonymous" else f" (level '{level}': keys are not checked locally)"
                LOGGER.info("%s: [%s] /%s/%s%s", function.name, methods, prefix, function.route.text, note)
            else:
                LOGGER.info("%s: %s", function.name, function.trigger_type)
        LOGGER.info("%d functions loaded", sum(function.is_running for function in self.functions))
