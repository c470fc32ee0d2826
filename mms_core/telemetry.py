"""Structured logging without personal data.

One helper, so that one place decides what may be logged: an action, ids and counts. Addresses, subjects, bodies,
join links and phone numbers have no parameter here.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import PurePath
from typing import Final

_LOGGER: Final = logging.getLogger("mms")

ALLOWED_FIELDS: Final = frozenset(
    {
        "user_id",
        "correlation_id",
        "run_id",
        "meeting_key",
        "message_id",
        "subscription_id",
        "request_id",
        "queue",
        "code",
        "rule",
        "state",
        "trigger",
        "count",
        "total",
        "attempt",
        "status",
        "delay_seconds",
        "duration_ms",
        "version",
        "error_type",
        "route",
        "where",
    }
)
"""The names a log record may carry: object ids, counts, codes. A new one is added here, in review."""


_DEEPEST_FRAMES: Final = 6

LIBRARIES: Final = (
    "aiohttp",
    "anyio",
    "azure",
    "charset_normalizer",
    "hpack",
    "httpcore",
    "httpx",
    "msal",
    "msal_extensions",
    "msrest",
    "oauthlib",
    "opentelemetry",
    "requests",
    "requests_oauthlib",
    "urllib3",
    "werkzeug",
)
"""The loggers of what is deployed beside the app."""


def quieten() -> None:
    """Let the libraries log what is wrong, and not what they do: a line for every request, with its whole address.

    The worker sends everything from ``INFO`` on to Application Insights, and a user's name stands in an address.
    """
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


class Crashed(Exception):
    """An unexpected error, for the Functions host, which has to see it and logs what it sees."""


def where(exc: BaseException) -> str:
    """Return where an exception came from, innermost place first: files and lines, and not a word of its text."""
    frames = traceback.extract_tb(exc.__traceback__)[-_DEEPEST_FRAMES:]
    return " < ".join(f"{PurePath(each.filename).name}:{each.lineno}" for each in reversed(frames))


def log(action: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Write one record: *action* in the past tense ("run_started"), *fields* from :data:`ALLOWED_FIELDS`.

    Errors: ``ValueError`` for a field that is not allowed, because a silent drop would hide the mistake.
    """
    unknown = fields.keys() - ALLOWED_FIELDS
    if unknown:
        raise ValueError(f"log fields not allowed: {sorted(unknown)}")
    text = " ".join([action, *(f"{name}={value}" for name, value in fields.items() if value is not None)])
    if not text.isprintable():  # a line end in a value would begin a second line, of somebody else's words
        text = "".join(each if each.isprintable() else "?" for each in text)
    _LOGGER.log(level, text, extra={"mms_action": action, "mms_fields": fields})
