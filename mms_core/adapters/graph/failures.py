"""What Graph's errors mean to us (docs: "Microsoft Graph error responses"; throttling guidance; RFC 9110, 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from mms_core.errors import MmsError, NotFound, OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFUSED: Final = {
    "MailboxNotEnabledForRESTAPI": "MailboxOnPremises",
    "MailboxNotSupportedForRESTAPI": "MailboxOnPremises",
    "MailboxNotHostedInExchangeOnline": "MailboxOnPremises",
    "ErrorNonExistentMailbox": "MailboxMissing",
    "AF10001": "RightMissing",  # ActivityFeed.Read
}
_MAYBE_DONE: Final = frozenset({500, 502, 504})
"""For a write, these do not tell whether it was carried out."""
_TEMPORARY: Final = {401: "SignInFailed", 408: "ServiceUnavailable", 429: "Throttled"}
_FULL: Final = frozenset({"ErrorExceededMessageLimit", "ErrorQuotaExceeded"})
# The activity feed's reference documents codes, and no status for any of them.
_FEED_STATES: Final[dict[str, type[MmsError]]] = {
    "AF20022": NotFound,  # no subscription
    "AF20023": NotFound,  # a disabled one
    "AF20031": NotFound,  # a page that is forgotten
    "AF20050": NotFound,  # a content that is not there
    "AF20051": NotFound,  # or has expired
    "AF20024": PreconditionLost,  # started already, exactly so
}
_FEED_THROTTLED: Final = "AF429"


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Envelope(msgspec.Struct):
    error: _Error | None = None


def retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """Read ``Retry-After`` in all its forms: seconds, decimal seconds, HTTP date; ``None`` if missing or nonsense."""
    text = headers.get("Retry-After", "").strip()
    try:
        return max(timedelta(0), timedelta(seconds=float(text)))
    except (ValueError, OverflowError):
        pass  # not a number: perhaps a date
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(timedelta(0), (at if at.tzinfo else at.replace(tzinfo=UTC)) - now)


def failure(
    status: int, headers: Mapping[str, str], content: bytes, *, is_write: bool, now: datetime
) -> MmsError | None:
    """Translate an answer; ``None`` means it is a success.

    Args:
        status: HTTP status.
        headers: Of the answer.
        content: Body of the answer; its text is not kept, only Graph's error code.
        is_write: Whether a lost outcome would matter.
        now: To turn a date in ``Retry-After`` into a duration.
    """
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if status < HTTPStatus.BAD_REQUEST:
        # Nothing that we call leads elsewhere, and our token must not go there: somebody stands between us and Graph.
        return TemporaryError(f"HTTP {status}")
    try:
        error = msgspec.json.decode(content, type=_Envelope).error or _Error()
    except (msgspec.MsgspecError, RecursionError):
        error = _Error()  # a proxy's page, or nothing: the status has to do
    detail = f"HTTP {status} {error.code}".strip()
    wait = retry_after(headers, now=now)
    return _by_code(error, status, detail, wait) or _by_status(status, detail, is_write=is_write, wait=wait)


def _by_code(error: _Error, status: int, detail: str, wait: timedelta | None) -> MmsError | None:
    if error.code in _REFUSED:
        return PermanentError(detail, code=_REFUSED[error.code])
    if error.code in _FULL:
        return TemporaryError(detail, code="ServiceUnavailable")
    if error.code == _FEED_THROTTLED:
        return TemporaryError(detail, code="Throttled", retry_after=wait)
    if error.code in _FEED_STATES:
        return _FEED_STATES[error.code](detail)
    if status == HTTPStatus.FORBIDDEN and "application access policy" in error.message.lower():
        return PermanentError(detail, code="AppAccessPolicyMissing")
    return None


def _by_status(status: int, detail: str, *, is_write: bool, wait: timedelta | None) -> MmsError:
    if is_write and status in _MAYBE_DONE:
        return OutcomeUnknown(detail, retry_after=wait)
    if status in _TEMPORARY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TemporaryError(detail, code=_TEMPORARY.get(status, "ServiceUnavailable"), retry_after=wait)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return NotFound(detail)
    if status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
        return PreconditionLost(detail)
    return PermanentError(detail, code="MailboxAccessDenied" if status == HTTPStatus.FORBIDDEN else "MeetingRejected")
