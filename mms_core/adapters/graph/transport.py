"""One way to Graph: msgraph-sdk's request adapter and middleware, its retries off, its answers undecoded.

The SDK repeats POST and PATCH on 503 and 504 by itself. A PATCH of an event that was carried out before a 504
would then mail every attendee twice, so retries are ours: reads are repeated here, writes only by whoever can tell
whether they have happened.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Semaphore
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

import httpx
import msgspec
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from kiota_abstractions.method import Method
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from kiota_http.middleware.options import RedirectHandlerOption, ResponseHandlerOption, RetryHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from mms_core import jsontext
from mms_core.adapters.graph.failures import failure
from mms_core.adapters.graph.pacing import Pace
from mms_core.errors import OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError
from mms_core.metrics import GRAPH_REQUESTS, GRAPH_THROTTLED, measure
from mms_core.tracing import correlation, span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.core.credentials_async import AsyncTokenCredential
    from kiota_abstractions.base_request_builder import BaseRequestBuilder

    from mms_core.ports import Confirm

T = TypeVar("T")

MAILBOX_SLOTS: Final = 4
"""Requests at once for one mailbox: Exchange's own limit for an app (throttling guidance)."""
READ_ATTEMPTS: Final = 3
PATIENCE: Final = timedelta(seconds=10)
"""A longer ``Retry-After`` is not slept out here: it becomes a delayed message."""
THROTTLED_PATIENCE: Final = timedelta(minutes=1)
"""So long a request that was refused for haste is repeated here, waits added up.

The limit on Teams calls is the whole tenant's: where many users are due, some request is always the thirty-first of a
second. If a few refusals ended the run, it would be back in minutes, then in hours, and a migration that is limited by
Teams would not use the half of what Teams allows (``python -m bench.capacity``).
"""
WRITE_TIMEOUT: Final = timedelta(seconds=15)
"""A write must be over, or given up, before the lease that was looked at before it can run out."""


_OF_A_USER: Final = "{+baseurl}/users/{user%2Did}/"
_OF_TEAMS: Final = f"{_OF_A_USER}onlineMeetings"
_USER: Final = "user%2Did"


def mailbox_of(info: RequestInformation) -> str | None:
    """Return whose mailbox or Teams meetings a request is about, ``None`` for one that is about the directory."""
    if info.url_template and info.url_template.startswith(_OF_A_USER):
        return str(info.path_parameters[_USER]).lower()
    if not info.path_parameters:  # a following page, by its link
        _, found, rest = urlsplit(info.url).path.partition("/users/")
        user, is_below, _ = rest.partition("/")
        return unquote(user).lower() if found and is_below else None
    return None


def is_of_teams(info: RequestInformation) -> bool:
    """Say whether a request counts against the tenant's limit of Teams calls."""
    return bool(info.url_template) and str(info.url_template).startswith(_OF_TEAMS)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, undecoded."""

    content: bytes
    request_id: str | None
    status: int

    def decoded(self, kind: type[T]) -> T:
        """Decode the content.

        Raises:
            TemporaryError: It is not what Graph documents; the next answer may be.
        """
        try:
            return jsontext.loads(self.content, kind)
        except msgspec.MsgspecError as exc:
            raise TemporaryError("an answer of Graph could not be decoded") from exc


class GraphTransport:
    """Sends requests that msgraph-sdk's builders address."""

    def __init__(self, credential: AsyncTokenCredential, *, base_url: str, scope: str) -> None:
        host = urlsplit(base_url).hostname or ""
        provider = AzureIdentityAuthenticationProvider(credential, scopes=[scope], allowed_hosts=[host])
        no_retries = RetryHandlerOption(max_retries=0, should_retry=False)
        no_redirects = RedirectHandlerOption(max_redirect=0, should_redirect=False)
        self._http = GraphClientFactory.create_with_default_middleware(
            options={RetryHandlerOption.get_key(): no_retries, RedirectHandlerOption.get_key(): no_redirects}
        )
        self._adapter = GraphRequestAdapter(provider, client=self._http)
        self._adapter.base_url = base_url
        self._origin = urlsplit(base_url)[:2]
        self._slots: WeakValueDictionary[str, Semaphore] = WeakValueDictionary()
        self._teams = Pace()
        self.client = GraphServiceClient(request_adapter=self._adapter)
        """The SDK's builders, for addresses."""

    def request(self, builder: BaseRequestBuilder, method: Method, body: Any = None) -> RequestInformation:
        """Address a write: the SDK's URL, our JSON."""
        info = RequestInformation(method, builder.url_template, dict(builder.path_parameters))
        info.headers.try_add("Accept", "application/json")
        if body is not None:
            info.set_stream_content(jsontext.dumps(body), "application/json")
        return info

    def page(self, link: str) -> RequestInformation:
        """Address a following page.

        Raises:
            PermanentError: The link leads to another host; our token must not go there.
        """
        if urlsplit(link)[:2] != self._origin:
            raise PermanentError("a page link leads to another host", code="MeetingRejected")
        info = RequestInformation(Method.GET)
        info.url = link
        return info

    @contextlib.asynccontextmanager
    async def _place(self, info: RequestInformation, *, is_repeated: bool = False) -> AsyncIterator[None]:
        """Wait until a request may be sent, as far as this process can tell, and tell how it went."""
        if not is_of_teams(info):
            async with self._slot(info):
                yield
            return
        # A turn is everybody's: it is not held while others are at the mailbox.
        async with self._slot(info), self._teams.turn(is_repeated=is_repeated) as turn:
            try:
                yield
            except TemporaryError as exc:
                turn.is_refused = exc.code == "Throttled"
                raise
            turn.is_good = True

    @contextlib.asynccontextmanager
    async def _slot(self, info: RequestInformation) -> AsyncIterator[None]:
        """Wait for one of the places at a request's mailbox: whoever asks in this process, there are only so many."""
        mailbox = mailbox_of(info)
        if mailbox is None:
            yield
            return
        slots = self._slots.get(mailbox)
        if slots is None:
            slots = self._slots[mailbox] = Semaphore(MAILBOX_SLOTS)
        async with slots:
            yield

    async def _once(self, info: RequestInformation, *, is_write: bool) -> Answer:
        info.add_request_options([ResponseHandlerOption(NativeResponseHandler())])
        method = str(info.http_method.value if info.http_method else "")
        correlation_id = correlation()
        if correlation_id:
            info.headers.try_add("client-request-id", correlation_id)
        with span("graph", http__request__method=method) as step:
            try:
                response: Any = await self._sent(info, is_write=is_write)
            except BaseException:
                measure(GRAPH_REQUESTS, method=method, status="0")
                raise
            status = str(response.status_code)
            step.set_attribute("http.response.status_code", status)
            measure(GRAPH_REQUESTS, method=method, status=status)
            if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                measure(GRAPH_THROTTLED, method=method)
            problem = failure(
                response.status_code, response.headers, response.content, is_write=is_write, now=datetime.now(UTC)
            )
            if problem is not None:
                raise problem
        return Answer(response.content, response.headers.get("request-id"), response.status_code)

    async def _sent(self, info: RequestInformation, *, is_write: bool) -> Any:
        try:
            return await self._adapter.send_primitive_async(info, "bytes", {})
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise TemporaryError(type(exc).__name__) from exc
        except httpx.HTTPError as exc:
            kind = OutcomeUnknown if is_write else TemporaryError
            raise kind(type(exc).__name__) from exc
        except (ClientAuthenticationError, CredentialUnavailableError) as exc:
            raise TemporaryError(type(exc).__name__, code="SignInFailed") from exc

    async def write(self, info: RequestInformation, confirm: Confirm | None = None) -> Answer:
        """Send once, whatever happens.

        Args:
            info: What to send.
            confirm: A last look before it is sent, after every wait; what it raises is raised.

        Raises:
            MmsError: As :func:`~mms_core.adapters.graph.failures.failure` says.
        """
        async with self._place(info):
            if confirm is not None:
                await confirm()
            try:
                async with asyncio.timeout(WRITE_TIMEOUT.total_seconds()):
                    return await self._once(info, is_write=True)
            except TimeoutError as exc:
                raise OutcomeUnknown("no answer in time") from exc

    async def read(self, info: RequestInformation) -> Answer:
        """Send, and repeat a few times what can be repeated at once.

        Also for writes that may be repeated safely (``createOrGet``).

        Raises:
            MmsError: The last failure.
        """
        attempts, waited = Counter[bool](), timedelta(0)
        while True:
            try:
                return await self._repeatable(info, is_repeated=attempts[True] > 0)
            except TemporaryError as exc:
                is_throttled = exc.code == "Throttled"
                attempts[is_throttled] += 1
                pause = min(timedelta(seconds=0.5 * 2 ** attempts[is_throttled]), PATIENCE)
                wait = pause if exc.retry_after is None else exc.retry_after
                waited += wait if is_throttled else timedelta(0)
                is_over = waited > THROTTLED_PATIENCE if is_throttled else attempts[False] == READ_ATTEMPTS
                if is_over or wait > PATIENCE:
                    raise
            await asyncio.sleep(wait.total_seconds())

    async def _repeatable(self, info: RequestInformation, *, is_repeated: bool) -> Answer:
        try:
            async with self._place(info, is_repeated=is_repeated):
                return await self._once(info, is_write=False)
        except PreconditionLost as exc:
            # Nothing here names a version, so none of ours can be lost: two of Graph's own requests met.
            raise TemporaryError(exc.detail) from exc

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
