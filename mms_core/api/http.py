"""Requests and responses as values, and errors as RFC 9457 problems with stable codes."""

from __future__ import annotations

import functools
import logging
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from mms_core import jsontext
from mms_core.errors import (
    CATALOGUE,
    AccessDenied,
    BadInput,
    MmsError,
    NotFound,
    PreconditionLost,
    TemporaryError,
)
from mms_core.telemetry import log, where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

T = TypeVar("T")

BODY_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a request body: 50,000 identities of 150 characters; 1,000 notifications are under 1 MiB."""
_STATUS_OF_CODE: Final = {
    "BodyTooLarge": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "TooManyIdentities": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "InvalidState": HTTPStatus.CONFLICT,
    "RunUnderWay": HTTPStatus.CONFLICT,
    "TenantMessageFailed": HTTPStatus.CONFLICT,
    "MessageReplayed": HTTPStatus.CONFLICT,
    "IdempotencyKeyInUse": HTTPStatus.CONFLICT,
    "IdempotencyKeyReused": HTTPStatus.CONFLICT,
    "Forbidden": HTTPStatus.FORBIDDEN,
    "MethodNotAllowed": HTTPStatus.METHOD_NOT_ALLOWED,
}
SECURITY: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A request. Header names are in lower case; ``route`` holds the route's parameters, decoded."""

    method: str
    path: str = ""
    """Of the URL, as it was asked for."""
    route: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """A response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(value: Any, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return *value* as JSON."""
    return ApiResponse(status=status, body=jsontext.dumps_shown(value), headers={**SECURITY, **(headers or {})})


def list_response(rows: Iterable[Any], *, status: int = HTTPStatus.OK) -> ApiResponse:
    """Return rows as ``{"value": [...]}``, encoded one by one: a list may be long."""
    body = b",".join(map(jsontext.dumps_shown, rows))
    return ApiResponse(status=status, body=b'{"value":[' + body + b"]}", headers=SECURITY)


def text_response(text: str, *, content_type: str, status: int = HTTPStatus.OK) -> ApiResponse:
    """Return text; the type carries its charset."""
    return ApiResponse(
        status=status,
        body=jsontext.without_surrogates(text).encode(),
        content_type=f"{content_type}; charset=utf-8",
        headers=SECURITY,
    )


def wants_csv(request: ApiRequest) -> bool:
    """Say whether a caller asks for CSV."""
    return "text/csv" in request.headers.get("accept", "").lower()


def problem(code: str, *, status: int, detail: str = "", **more: Any) -> ApiResponse:
    """Return an error as a problem: the code, what it means, and what to do."""
    entry = CATALOGUE[code]
    document = {
        "type": f"urn:mms:error:{code}",
        "title": entry.cause,
        "status": int(status),
        "detail": detail,
        "code": code,
        "remedy": entry.remedy,
        **{name: value for name, value in more.items() if value is not None and name != "headers"},
    }
    return ApiResponse(
        status=status,
        body=msgspec.json.encode(document),
        content_type="application/problem+json",
        headers={**SECURITY, **(more.get("headers") or {})},
    )


def _status(exc: MmsError) -> int:
    if exc.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[exc.code]
    for kind, status in (
        (BadInput, HTTPStatus.BAD_REQUEST),
        (AccessDenied, HTTPStatus.UNAUTHORIZED),
        (NotFound, HTTPStatus.NOT_FOUND),
        (PreconditionLost, HTTPStatus.PRECONDITION_FAILED),
        (TemporaryError, HTTPStatus.SERVICE_UNAVAILABLE),
    ):
        if isinstance(exc, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _failed(exc: MmsError) -> ApiResponse:
    status = _status(exc)
    # Why a token was refused is ours to know; what is wrong with an input is the caller's.
    detail = exc.detail if isinstance(exc, BadInput) else ""
    headers = None
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": "Bearer"}
    elif isinstance(exc, TemporaryError):
        headers = {"Retry-After": "5"}
    return problem(
        exc.code,
        status=status,
        detail=detail,
        field=exc.field if isinstance(exc, BadInput) else None,
        headers=headers,
    )


def _check_size(request: ApiRequest) -> None:
    if len(request.body) > BODY_LIMIT:
        raise BadInput(code="BodyTooLarge")


def answering(
    handler: Callable[[T, ApiRequest], Awaitable[ApiResponse]],
) -> Callable[[T, ApiRequest], Awaitable[ApiResponse]]:
    """Make a handler that always answers: expected failures with their code, the unexpected with a 500 and a loud log.

    The exception's text never leaves: it may carry personal data.
    """

    @functools.wraps(handler)
    async def answered(self: T, request: ApiRequest) -> ApiResponse:
        try:
            _check_size(request)
            return await handler(self, request)
        except MmsError as exc:
            if _status(exc) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                log("request_failed", level=logging.WARNING, route=handler.__name__, code=exc.code)
            return _failed(exc)
        except Exception as exc:  # noqa: BLE001 - the caller gets a reference, the log the place
            reference = str(uuid.uuid4())
            log(
                "request_crashed",
                level=logging.ERROR,
                route=handler.__name__,
                request_id=reference,
                error_type=type(exc).__name__,
                where=where(exc),  # its text and its values stay here: they may be somebody's
            )
            return problem("InternalError", status=HTTPStatus.INTERNAL_SERVER_ERROR, requestId=reference)

    return answered
