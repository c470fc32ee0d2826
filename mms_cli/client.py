"""The service over HTTP: its answers, its pages, its problems."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError

from mms_cli.failures import CliError, Exit, UsageError
from mms_cli.profile import is_loopback
from mms_cli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mms_cli.signin import Tokens

PAGE: Final = 1000
_TRIES: Final = 4
_LONGEST_PAUSE_SECONDS: Final = 60.0
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_CONFLICT: Final = 409
_OK: Final = range(200, 300)
_LATER: Final = frozenset({429, 502, 503, 504})
"""Nothing has been done; the same request may be sent again."""
_TIMEOUT: Final = urllib3.Timeout(connect=15, read=120)
_NEVER_SENT: Final = (NewConnectionError, ConnectTimeoutError, ProxyError, SSLError)
"""The connection was never made, so it has carried nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the body's value. Raises ``ValueError``."""
        return json.loads(self.body)


class Transport(Protocol):
    """Sends one request and returns the answer; raises urllib3's ``HTTPError``."""

    def send(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send."""
        ...

    def close(self) -> None:
        """Let the connections go."""


class Connections:
    """Connections that are kept, by way of the system's proxy where there is one.

    A redirect is never followed: the token would go where nobody has looked. Certificates are checked against the
    system's own list.
    """

    def __init__(self, url: str) -> None:
        self._pool = _pool(url)

    def send(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send one request."""
        answer = self._pool.request(
            method, url, body=body, headers=headers, redirect=False, retries=False, timeout=_TIMEOUT
        )
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status, body=answer.data, headers=named)

    def close(self) -> None:
        """Let the connections go."""
        self._pool.clear()


def _pool(url: str) -> urllib3.PoolManager:
    parts = urlsplit(url)
    # A proxy cannot reach this machine.
    if not is_loopback(parts.hostname or ""):
        from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - costs time that a local call need not pay

        proxy = getproxies().get(parts.scheme)
        if proxy and not proxy_bypass(parts.hostname or ""):
            return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def path(*parts: str) -> str:
    """Join parts of a route; an identity may hold what an address must not.

    Raises:
        UsageError: A part is empty or dots, which would lead to another route.
    """
    for part in parts:
        if not part.strip("."):
            raise UsageError(f"{part!r} is neither a user nor a preview")
    return "/".join(quote(part, safe="") for part in parts)


class Client:
    """Asks the service.

    A request that got no answer is repeated where a repetition does no harm: reading always, posting because of its
    ``Idempotency-Key``, changing settings never.
    """

    def __init__(
        self,
        url: str,
        tokens: Tokens,
        *,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._tokens = tokens
        self._sleep = sleep
        self._transport = transport or Connections(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def get(self, route: str, query: Mapping[str, str] | None = None) -> Any:
        """Read. Raises ``CliError``."""
        return self._ask("GET", route, query=query).json()

    def get_with_etag(self, route: str) -> tuple[Any, str]:
        """Read something that can be changed, and its version. Raises ``CliError``."""
        answer = self._ask("GET", route)
        return answer.json(), answer.headers.get("etag", "")

    def post(self, route: str, body: Any = None, *, key: str | None = None) -> Any:
        """Order something, once: *key* makes a repetition recognisable. Raises ``CliError``."""
        return self._ask("POST", route, body=body, headers={"Idempotency-Key": key or str(uuid.uuid4())}).json()

    def patch(self, route: str, body: Any, *, etag: str) -> Any:
        """Change something that is still of the version *etag*. Raises ``CliError``."""
        return self._ask("PATCH", route, body=body, headers={"If-Match": etag} if etag else {}).json()

    def pages(self, route: str, query: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
        """Read a list, page after page. Raises ``CliError``."""
        more = {"top": str(PAGE), **query}
        while True:
            page = self.get(route, more)
            yield page["value"]
            token = page.get("continuationToken")
            if not token:
                return
            more = {**more, "continuationToken": token}

    def _ask(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        refused = False
        address = f"{self.url}/{route}" + (f"?{urlencode(query)}" if query else "")
        given = {"User-Agent": f"mms/{__version__}", "Accept": "application/json", **(headers or {})}
        if body is not None:
            given["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(1, _TRIES + 1):
            token = self._tokens.token(anew=refused)
            try:
                answer = self._transport.send(
                    method, address, body=data, headers={**given, "Authorization": f"Bearer {token}"}
                )
            except HTTPError as error:
                is_unsent = isinstance(error, _NEVER_SENT)
                if attempt < _TRIES and (is_unsent or method != "PATCH"):
                    self._sleep(2 ** (attempt - 1))
                    continue
                raise self._unreachable(error, is_unsent=is_unsent) from None
            if answer.status == _UNAUTHORIZED and not refused and attempt < _TRIES:
                refused = True
                continue
            if (answer.status in _LATER or _is_at_work(answer)) and attempt < _TRIES:
                self._sleep(_pause(answer, attempt))
                continue
            if answer.status in _OK:
                return _readable(answer)
            raise _problem(answer)
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: HTTPError, *, is_unsent: bool) -> CliError:
        what = "cannot be reached" if is_unsent else "did not answer"
        return CliError(
            f"{self.url} {what} ({type(error).__name__})",
            exit_code=Exit.UNREACHABLE,
            remedy="Check the address and the network, then run the same command again.",
            code="Unreachable",
        )


def _is_at_work(answer: Answer) -> bool:
    """Say whether the service still works on the first sending of this very request."""
    return answer.status == _CONFLICT and b'"IdempotencyKeyInUse"' in answer.body


def _pause(answer: Answer, attempt: int) -> float:
    wish = answer.headers.get("retry-after", "")
    seconds = float(wish) if wish.isascii() and wish.isdigit() else 2.0 ** (attempt - 1)
    return min(seconds, _LONGEST_PAUSE_SECONDS)


def _readable(answer: Answer) -> Answer:
    """Check that the answer is JSON: a captive portal answers 200 as well."""
    try:
        answer.json()
    except ValueError:
        raise _foreign(answer) from None
    return answer


def _foreign(answer: Answer) -> CliError:
    return CliError(
        f"the answer ({answer.status}, {answer.headers.get('content-type', 'no type')}) is not the service's",
        exit_code=Exit.UNREACHABLE,
        remedy="Check the address; a proxy or a sign-in page may stand in between.",
        code="NotTheService",
        status=answer.status,
    )


def _problem(answer: Answer) -> CliError:
    """Read an RFC 9457 problem."""
    try:
        problem = answer.json()
        code = problem["code"]
    except (ValueError, KeyError, TypeError):
        return _foreign(answer)
    detail = problem.get("detail") or ""
    particulars = ", ".join(each for each in (problem.get("field"), detail) if each)
    reference = f" Request id: {problem['requestId']}." if problem.get("requestId") else ""
    if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
        exit_code = Exit.NO_ACCESS
    elif answer.status >= 500 or answer.status in _LATER:  # noqa: PLR2004 - RFC 9110
        exit_code = Exit.UNREACHABLE
    else:
        exit_code = Exit.REFUSED
    return CliError(
        f"{problem.get('title') or 'no explanation'}{f' ({particulars})' if particulars else ''}{reference}",
        exit_code=exit_code,
        remedy=str(problem.get("remedy") or ""),
        code=str(code),
        status=answer.status,
    )
