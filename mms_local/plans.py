"""The three parts of the stack: how each is started, with which settings, and when it does its work."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from mms_local.storage import StoragePorts, storage_answers, storage_command
from mms_local.supervision import PartError, PartPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mms_local.workplace import Workplace

REPOSITORY: Final = Path(__file__).resolve().parent.parent
AUDIENCE: Final = "api://mms"
HOST_GRACE_SECONDS: Final = 12.0
"""Longest drain of the Functions host when the stack is stopped. A worker may be killed any time anyway."""
_QUICK: Final = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """What the simulated tenant says of itself in its ready file."""

    base: str
    graph: str
    control: str
    tenant_id: str
    tokens: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Tenant | None:
        """Read the ready file, ``None`` while it is not there."""
        try:
            ready = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cls(
            base=ready["base"],
            graph=ready["graph"],
            control=ready["tenant"],
            tenant_id=ready["tenantId"],
            tokens=ready["tokens"],
        )


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What one can choose about a stack."""

    tenant_file: Path | None = None
    """Seeds the tenant; ``None`` leaves it empty."""
    settle_seconds: float = 5.0
    """How long a request waits for company before its run (90 minutes in Azure)."""
    port: int = 0
    """The app's; 0 takes a free one."""
    graph_port: int = 0
    """The tenant's; 0 takes a free one."""
    latency_ms: int = 0
    """Added to every answer of the tenant."""
    throttle: bool = False
    """Whether the tenant throttles and the app keeps to the sending limits."""
    settings: Mapping[str, str] | None = None
    """App settings that win over ours."""
    app: Path = REPOSITORY
    """Directory of ``function_app.py``."""
    core_tools: bool = False
    """Whether ``func`` runs the app instead of our own host."""


def app_settings(
    options: StackOptions, tenant: Tenant, workplace: Workplace, *, storage: str, port: int
) -> dict[str, str]:
    """Return the settings of the app on this machine; nothing here is a secret anywhere else.

    Args:
        options: The user's; ``options.settings`` has the last word.
        tenant: The running tenant.
        workplace: Has the identifiers that webhooks repeat.
        storage: Connection string.
        port: Where the app listens.
    """
    secrets = workplace.secrets
    return {
        "AzureWebJobsStorage": storage,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "MMS_TENANT_ID": tenant.tenant_id,
        "MMS_API_AUDIENCE": AUDIENCE,
        "MMS_LOGIN_URL": tenant.base,
        "MMS_TOKEN_ISSUER": f"{tenant.base}/{tenant.tenant_id}/v2.0",
        "MMS_TOKEN_KEYS_URL": f"{tenant.base}/{tenant.tenant_id}/discovery/v2.0/keys",
        "MMS_GRAPH_URL": tenant.graph,
        "MMS_GRAPH_SCOPE": "https://graph.microsoft.com/.default",
        "MMS_ACTIVITY_URL": activity_url(tenant),
        "MMS_ACTIVITY_SCOPE": "https://manage.office.com/.default",
        "MMS_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MMS_CLIENT_STATE": secrets["clientState"],
        "MMS_ACTIVITY_AUTH_ID": secrets["activityAuthId"],
        "MMS_SETTLE_SECONDS": f"{options.settle_seconds:g}",
        "MMS_RUN_LEASE_SECONDS": "15",
        "MMS_RECOVERY_SCHEDULE": "*/5 * * * * *",
        "MMS_HOUSEKEEPING_SCHEDULE": "0 10 3 * * *",
        "MMS_SUBSCRIPTION_SCHEDULE": "*/10 * * * * *",
        "MMS_SWEEP_SCHEDULE": "*/15 * * * * *",
        "MMS_DELTA_SCHEDULE": "*/5 * * * * *",
        "MMS_DISCOVERY_SCHEDULE": "0 30 2 * * *",
        "MMS_DIGEST_SCHEDULE": "0 0 6 * * *",
        "MMS_DISCOVERY_MAX_AGE_SECONDS": "10",
        "MMS_WEBHOOK_KEYS": "",
        "MMS_DASHBOARD_CLIENT_ID": "",
        "MMS_NOTICE_SENDER": "",
        "MMS_SENDING_LIMITS": "on" if options.throttle else "off",
        "MMS_TRIGGER_QUEUE": "mms-triggers",
        "MMS_RUN_QUEUE": "mms-runs",
        "IDENTITY_ENDPOINT": f"{tenant.base}/msi/token",
        "IDENTITY_HEADER": "local",
        "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:02",
        **(options.settings or {}),
    }


def activity_url(tenant: Tenant) -> str:
    """Return the root of the tenant's activity feed."""
    return f"{tenant.base}/api/v1.0/{tenant.tenant_id}/activity/feed"


def storage_plan(workplace: Workplace, ports: StoragePorts) -> PartPlan:
    """Azurite, with its data on disk or in memory."""

    async def answers() -> bool:
        return await asyncio.to_thread(storage_answers, ports)

    return PartPlan(
        name="storage",
        command=storage_command(ports, workplace.storage),
        log=workplace.log("storage"),
        answers=answers,
    )


def simulator_plan(
    workplace: Workplace, options: StackOptions, *, port: int, events_url: str, session: aiohttp.ClientSession
) -> PartPlan:
    """The simulated tenant."""
    ready = tenant_file(workplace)
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "mms_simulator", "--port", str(port), "--ready-file", str(ready)]
    command += ["--in-memory"] if workplace.tenant is None else ["--data", str(workplace.tenant)]
    if options.tenant_file is not None:
        command += ["--tenant", str(options.tenant_file.resolve())]
    command += [
        "--tenant-id",
        workplace.secrets["tenantId"],
        "--latency-ms",
        str(options.latency_ms),
        "--throttle",
        "on" if options.throttle else "off",
    ]
    command += ["--events-url", events_url]

    async def answers() -> bool:
        tenant = Tenant.read(ready)
        return tenant is not None and await _status(session, f"{tenant.control}/switches") == 200  # noqa: PLR2004 - HTTP

    return PartPlan(
        name="simulator", command=command, log=workplace.log("simulator"), answers=answers, directory=REPOSITORY
    )


def tenant_file(workplace: Workplace) -> Path:
    """Return where the simulated tenant writes its ready file."""
    return workplace.root / "tenant-ready.json"


def host_plan(
    workplace: Workplace,
    options: StackOptions,
    settings: Mapping[str, str],
    *,
    port: int,
    session: aiohttp.ClientSession,
) -> PartPlan:
    """The Functions host: ours, or Core Tools when asked for.

    Errors: :class:`PartError` when Core Tools are asked for and not installed.
    """

    async def answers() -> bool:
        return await _status(session, f"http://127.0.0.1:{port}/api/health") == 200  # noqa: PLR2004 - HTTP

    command = [sys.executable, "-m", "mms_local.host", "--app", str(options.app.resolve()), "--port", str(port)]
    command += ["--grace", f"{HOST_GRACE_SECONDS - 2:g}"]
    if workplace.host is not None:
        command += ["--state", str(workplace.host)]
    extra: dict[str, str] = {}
    if options.core_tools:
        func = shutil.which("func")
        if func is None:
            raise PartError("HOST=func, but Azure Functions Core Tools ('func') are not on the PATH")
        command = [func, "start", "--port", str(port)]
        extra["languageWorkers__python__defaultExecutablePath"] = sys.executable
    return PartPlan(
        name="host",
        command=command,
        log=workplace.log("host"),
        answers=answers,
        environment={**os.environ, **extra, **settings},
        directory=options.app.resolve() if options.core_tools else REPOSITORY,
        grace_seconds=HOST_GRACE_SECONDS,
        death_signal=signal.SIGKILL,  # its storage dies at the same moment, there is nothing to drain into
    )


async def is_subscribed(tenant: Tenant, app: str, session: aiohttp.ClientSession) -> bool:
    """Tell whether the tenant calls *app* back: about users through Graph, and through the activity feed."""
    try:
        listed = await _get(session, f"{tenant.graph}/subscriptions", str(tenant.tokens["graph"]))
        calls = [item for item in listed["value"] if "users" in str(item.get("resource"))]
        if not any(str(item.get("notificationUrl")).startswith(app) for item in calls):
            return False
        wanted = {"aud": "https://manage.office.com"}
        async with session.post(f"{tenant.control}/tokens", json=wanted, timeout=_QUICK) as response:
            response.raise_for_status()
            token = str((await response.json())["token"])
        feeds = await _get(session, f"{activity_url(tenant)}/subscriptions/list", token)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
    return any(str((feed.get("webhook") or {}).get("address")).startswith(app) for feed in feeds)


async def run_timers_with(setting: str, url: str, session: aiohttp.ClientSession) -> None:
    """Start, once, the app's timer functions whose schedule is the app setting *setting*: saves waiting for them."""
    try:
        for function in await _get(session, f"{url}/admin/functions", ""):
            bindings = function.get("config", {}).get("bindings", [])
            if any(binding.get("schedule") == f"%{setting}%" for binding in bindings):
                async with session.post(f"{url}/admin/functions/{function['name']}", json={}, timeout=_QUICK):
                    pass
    except (aiohttp.ClientError, TimeoutError, OSError):
        return  # the schedule will do it


async def _get(session: aiohttp.ClientSession, url: str, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.get(url, headers=headers, timeout=_QUICK) as response:
        response.raise_for_status()
        return await response.json()


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    try:
        async with session.get(url, timeout=_QUICK) as response:
            return response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0
