"""One line a record on stderr: time, level, function, invocation, message. Payloads are never logged by the host."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGGER: Final = logging.getLogger("mms_local.host")
_LEVELS: Final = {
    "trace": 5,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
_CHATTY: Final = ("azure", "aiohttp.access", "asyncio", "urllib3", "httpx", "httpcore", "msal")


@dataclass(frozen=True)
class Invocation:
    """Which run of which function a log record belongs to."""

    function_name: str
    invocation_id: str


CURRENT: ContextVar[Invocation | None] = ContextVar("mms_local_invocation", default=None)


class LineFormatter(logging.Formatter):
    """Everything on one line: line breaks are written as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        current = CURRENT.get()
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        where = f"{current.function_name} {current.invocation_id}" if current else "- -"
        return f"{when} {record.levelname} {where} {text}".replace("\r", "\\r").replace("\n", "\\n")


class CategoryFilter(logging.Filter):
    """host.json's ``logging.logLevel``: the longest category that is a prefix decides."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        super().__init__()
        self._levels = {name.lower(): _LEVELS.get(level.lower(), logging.INFO) for name, level in levels.items()}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether *record* is logged."""
        current = CURRENT.get()
        if current is None:
            category = "Host"
        elif record.name == LOGGER.name:
            category = f"Function.{current.function_name}"
        else:
            category = f"Function.{current.function_name}.User"
        return record.levelno >= self.threshold(category)

    def threshold(self, category: str) -> int:
        """Return the lowest level number that *category* logs."""
        parts = category.lower().split(".")
        while parts:
            level = self._levels.get(".".join(parts))
            if level is not None:
                return level
            parts.pop()
        return self._levels.get("default", logging.INFO)


def set_up_logging(levels: Mapping[str, str]) -> None:
    """Send every record of this process to stderr, filtered by *levels* (host.json's ``logging.logLevel``)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    handler.addFilter(CategoryFilter(levels))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(
        logging.DEBUG if any(_LEVELS.get(x.lower(), 20) < logging.INFO for x in levels.values()) else logging.INFO
    )
    for name in _CHATTY:  # each logs every request; nobody reads their own lines between those
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
