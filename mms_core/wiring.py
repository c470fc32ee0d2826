"""The composition root: from the environment to a running service. The only reader of ``os.environ``.

Nothing is built at import. What a function needs is built on its first call; Graph only when a queued step needs it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from mms_core.settings import Deployment, from_environment
from mms_core.telemetry import Crashed, quieten, where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableClient

    from mms_core.adapters.keys import HttpKeys
    from mms_core.adapters.storage_clock import StorageClock
    from mms_core.adapters.tables import Tables
    from mms_core.api import AdminApi, ApiRequest, HealthApi, JournalApi, PagesApi, WebhookApi
    from mms_core.ports import Archive, Probes
    from mms_core.service import GraphPorts, Inbox, Intake, Noticing, Parts, Queries, Recovery, Retention, Runs, Triage


def api_request(
    *,
    method: str,
    route: Mapping[str, str],
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    url: str = "",
) -> ApiRequest:
    """Return the value that the API's handlers take.

    The host drops parameters without a value; they are taken from the URL, so that an ``identity=`` whose variable
    was empty is refused, and not read as everybody.
    """
    from mms_core.api import ApiRequest
    from mms_core.jsontext import without_surrogates

    # A host may stand for bytes that are no text by lone surrogates, which nothing here could encode again.
    lower = {name.lower(): without_surrogates(value) for name, value in headers.items()}
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True)) if parts.query else {}
    return ApiRequest(
        method=method.upper(),
        path=parts.path,
        route=dict(route),
        query={**{name: "" for name, value in given.items() if not value}, **query},
        headers=lower,
        body=body,
    )


async def done(work: Awaitable[object]) -> None:
    """Wait for what a queue or the clock has begun.

    Raises:
        Crashed: It failed in a way that nobody expected. The host makes poison of that, and logs it: so it says what
            and where, and not a word of the error's own text, which may be somebody's.
    """
    try:
        await work
    except Exception as exc:  # noqa: BLE001 - whatever it is, its text stays here
        raise Crashed(f"{type(exc).__name__} {getattr(exc, 'code', '')} at {where(exc)}") from None


class App:
    """Everything that the functions call; each part is built, and imported, when a function first needs it."""

    def __init__(self, settings: Deployment, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts

    @functools.cached_property
    def _keys(self) -> HttpKeys:
        from mms_core.adapters.keys import HttpKeys

        return HttpKeys(self._settings.token_keys_url, self._parts.clock)

    @functools.cached_property
    def _queries(self) -> Queries:
        from mms_core.service import Queries

        return Queries(self._parts)

    @functools.cached_property
    def _intake(self) -> Intake:
        from mms_core.service import Intake

        return Intake(self._parts)

    @functools.cached_property
    def _inbox(self) -> Inbox:
        from mms_core.service import Inbox

        return Inbox(self._parts)

    @functools.cached_property
    def admin(self) -> AdminApi:
        """What administrators call."""
        from mms_core.api import AdminApi
        from mms_core.service import Previews, Repeats, Retries

        parts = self._parts
        return AdminApi(
            self._intake,
            self._queries,
            Previews(parts),
            Repeats(parts),
            Retries(parts),
            keys=self._keys,
            deployment=self._settings,
        )

    @functools.cached_property
    def health(self) -> HealthApi:
        """Whether it works."""
        from mms_core.api import HealthApi
        from mms_core.service import Checkup

        checkup = Checkup(self._parts, _probes, deployment=self._settings)
        clock = self._parts.clock
        return HealthApi(self._queries, checkup, keys=self._keys, deployment=self._settings, clock=clock)

    @functools.cached_property
    def journal(self) -> JournalApi:
        """What was decided, and what discovery found."""
        from mms_core.api import JournalApi
        from mms_core.service import Finds, Journal

        finds = Finds(self._parts, age=self._settings.discovery_age)
        return JournalApi(Journal(self._parts), finds, self._queries, keys=self._keys, deployment=self._settings)

    @functools.cached_property
    def pages(self) -> PagesApi:
        """The web page and the description of the API."""
        from mms_core.api import PagesApi

        return PagesApi(self._settings)

    @functools.cached_property
    def webhooks(self) -> WebhookApi:
        """What the tenant calls."""
        from mms_core.api import WebhookApi

        return WebhookApi(self._inbox, keys=self._keys, deployment=self._settings, clock=self._parts.clock)

    @functools.cached_property
    def triage(self) -> Triage:
        """The messages of the trigger queue, and sweeps."""
        from mms_core.service import Triage

        return Triage(self._parts, self.recovery)

    @functools.cached_property
    def runs(self) -> Runs:
        """The messages of the run queue."""
        from mms_core.service import Runs

        return Runs(self._parts)

    @functools.cached_property
    def recovery(self) -> Recovery:
        """What makes sure that nothing is lost."""
        from mms_core.service import Recovery

        return Recovery(self._parts)

    @functools.cached_property
    def retention(self) -> Retention:
        """What is done at night."""
        from mms_core.service import Retention

        return Retention(self._parts, archive())

    @functools.cached_property
    def noticing(self) -> Noticing:
        """Letters."""
        from mms_core.service import Noticing

        return Noticing(self._parts)


@functools.cache
def deployment() -> Deployment:
    """Return the deployment's settings. Raises ``BadInput`` that names a missing one."""
    return from_environment(os.environ)


@functools.cache
def _credential() -> AsyncTokenCredential:
    """Return the app's identity or, where there is none, that of who signed in: ``maintenance`` on a desk."""
    from azure.identity.aio import (
        AzureCliCredential,
        AzureDeveloperCliCredential,
        ChainedTokenCredential,
        ManagedIdentityCredential,
    )

    if "IDENTITY_ENDPOINT" not in os.environ:  # the platform sets it wherever an app has an identity
        return ChainedTokenCredential(AzureCliCredential(), AzureDeveloperCliCredential())
    client_id = deployment().client_id
    return ManagedIdentityCredential(client_id=client_id) if client_id else ManagedIdentityCredential()


def _blocking_credential() -> Any:
    """Return the identity for the telemetry exporter, which works in a thread of its own."""
    from azure.identity import ManagedIdentityCredential

    client_id = deployment().client_id
    return ManagedIdentityCredential(client_id=client_id) if client_id else ManagedIdentityCredential()


@functools.cache
def _graph() -> GraphPorts:
    # 600 modules: never on the way to an HTTP answer.
    from mms_core.adapters.graph import (
        GraphCalendar,
        GraphDirectory,
        GraphMail,
        GraphMeetings,
        GraphTenant,
        GraphTransport,
    )
    from mms_core.service import GraphPorts

    settings = deployment()
    transport = GraphTransport(_credential(), base_url=settings.graph_url, scope=settings.graph_scope)
    return GraphPorts(
        directory=GraphDirectory(transport),
        calendar=GraphCalendar(transport),
        meetings=GraphMeetings(transport),
        tenant=GraphTenant(transport, _credential(), deployment=settings),
        mail=GraphMail(transport),
    )


@functools.cache
def _probes() -> Probes:
    from mms_core.adapters.probes import HttpProbes

    return HttpProbes(_credential(), deployment=deployment())


@functools.cache
def _clock() -> StorageClock:
    from mms_core.adapters.storage_clock import StorageClock

    return StorageClock()


def _tables(settings: Deployment) -> Any:
    from azure.core.pipeline.policies import AsyncRetryPolicy

    from mms_core.adapters.tables import QuickTableClient, Tables

    # Short: a webhook has three seconds, and everything here is tried again by somebody.
    quick: dict[str, Any] = {
        "retry_policy": AsyncRetryPolicy(retry_total=2, retry_backoff_factor=0.2, retry_backoff_max=1),
        "connection_timeout": 2,
        **_clock().hooks(),
    }

    def client(name: str) -> TableClient:
        if settings.storage_connection:
            return QuickTableClient.from_connection_string(settings.storage_connection, name, **quick)
        return QuickTableClient(settings.table_service_uri or "", name, credential=_credential(), **quick)

    return Tables(client, prefix=settings.table_prefix)


def _queue(settings: Deployment, name: str) -> Any:
    from azure.storage.queue import TextBase64EncodePolicy
    from azure.storage.queue.aio import QueueClient

    # The SDK's default waits 15 s before its first retry: too long for a webhook, whose sender repeats anyway.
    options: dict[str, Any] = {
        "message_encode_policy": TextBase64EncodePolicy(),
        "initial_backoff": 0,
        "increment_base": 1,
        "random_jitter_range": 0,
        "retry_total": 2,
        "connection_timeout": 2,
    }
    if settings.storage_connection:
        return QueueClient.from_connection_string(settings.storage_connection, name, **options)
    return QueueClient(settings.queue_service_uri or "", name, credential=_credential(), **options)


@functools.cache
def tables() -> Tables:
    """Return the clients of the tables."""
    made: Tables = _tables(deployment())
    return made


def recovery() -> Recovery:
    """Return what looks after lost and poisoned messages."""
    from mms_core.service import Recovery

    return Recovery(_parts())


async def close() -> None:
    """Close the connections to storage; for programs that end, which a function app does not."""
    await tables().close()
    queue: Any = _parts().queue
    await queue.close()


def archive() -> Archive:
    """Return where purged rows go."""
    from mms_core.adapters.tables import TableArchive

    return TableArchive(tables())


@functools.cache
def _parts() -> Parts:
    from mms_core.adapters.tables import TableDocuments, TableLedger, TableUserStore
    from mms_core.adapters.termination import Termination
    from mms_core.adapters.work_queue import StorageWorkQueue
    from mms_core.service import Options, Parts

    settings = deployment()
    termination = Termination()
    termination.listen()
    return Parts(
        users=TableUserStore(tables()),
        ledger=TableLedger(tables()),
        documents=TableDocuments(tables()),
        queue=StorageWorkQueue(
            triggers=_queue(settings, settings.trigger_queue), runs=_queue(settings, settings.run_queue)
        ),
        clock=_clock(),
        graph=_graph,
        options=Options(
            tenant_id=settings.tenant_id,
            settle=settings.settle,
            run_lease=settings.run_lease,
            sending_limits=settings.sending_limits,
            function_budget=settings.function_budget,
            first_retry=settings.first_retry,
            notice_sender=settings.notice_sender,
        ),
        stopping=termination,
    )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage in the body: what is imported stays, and looking through it takes a tenth of the start-up."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@functools.cache
def app() -> App:
    """Return the service, built on the first call.

    Raises:
        BadInput: An app setting is missing or malformed.
    """
    settings = deployment()
    quieten()
    with _uncollected():
        if settings.telemetry_connection:
            from mms_core.adapters import monitor

            monitor.start(settings.telemetry_connection, _blocking_credential, ratio=settings.trace_ratio)
        return App(settings, _parts())
