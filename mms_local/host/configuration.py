"""host.json with its defaults and the environment variables that override it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_local.host.timespans import parse_timespan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OVERRIDE_PREFIX: Final = "azurefunctionsjobhost__"
"""``AzureFunctionsJobHost__extensions__queues__batchSize`` is ``extensions.queues.batchSize``; names ignore case."""


class ConfigurationError(Exception):
    """host.json or a setting is not what the host accepts."""


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """Section ``extensions.queues``."""

    batch_size: int = 16
    """Messages fetched at once, 1 to 32."""
    new_batch_threshold: int = 8
    """A new batch is fetched when this many or fewer still run. Default: half of the batch size."""
    max_dequeue_count: int = 5
    """Tries before a message goes to the poison queue."""
    max_polling_interval: timedelta = timedelta(minutes=1)
    """Longest pause between two looks at an empty queue, at least 100 ms."""
    visibility_timeout: timedelta = timedelta(0)
    """How long a message rests after a failure. It is not the lease while a function runs."""
    base64: bool = True
    """``messageEncoding``: ``base64`` (default) or ``none``."""


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """Section ``extensions.http``."""

    route_prefix: str = "api"
    """First part of every path; empty for none."""
    max_outstanding_requests: int | None = None
    """More than this at once, running or waiting, get 429. ``None``: no limit."""
    max_concurrent_requests: int | None = None
    """How many run at once; the others wait. ``None``: no limit."""
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every answer."""


@dataclass(frozen=True, kw_only=True)
class HostConfiguration:
    """What host.json says, complete."""

    http: HttpOptions = field(default_factory=HttpOptions)
    queues: QueueOptions = field(default_factory=QueueOptions)
    function_timeout: timedelta | None = timedelta(minutes=30)
    """Longest run of one function, HTTP or not. ``None``: for ever. 30 minutes is the default outside Consumption."""
    log_levels: Mapping[str, str] = field(default_factory=dict)
    """``logging.logLevel``: category -> .NET level name."""


def load_host_configuration(app_directory: Path, environment: Mapping[str, str]) -> HostConfiguration:
    """Read ``host.json`` in *app_directory* and lay the overrides of *environment* over it.

    Errors: :class:`ConfigurationError` when the file is missing, is not JSON, or has a value out of range.
    """
    path = app_directory / "host.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(f"no host.json in {app_directory}") from None
    except ValueError as error:
        raise ConfigurationError(f"host.json is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise ConfigurationError('host.json must be an object with "version": "2.0"')
    return parse_host_configuration(apply_overrides(document, environment))


def apply_overrides(document: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of *document* with every ``AzureFunctionsJobHost__a__b`` of *environment* at ``a.b``."""
    merged: dict[str, Any] = json.loads(json.dumps(document))
    for name, value in environment.items():
        if not name.lower().startswith(OVERRIDE_PREFIX):
            continue
        *sections, last = name[len(OVERRIDE_PREFIX) :].replace(":", "__").split("__")
        node = merged
        for section in sections:
            child = node.setdefault(_spelling(node, section), {})
            if not isinstance(child, dict):
                raise ConfigurationError(f"{name} goes into {section}, which is not an object in host.json")
            node = child
        node[_spelling(node, last)] = value
    return merged


def parse_host_configuration(document: Mapping[str, Any]) -> HostConfiguration:
    """Turn a host.json document into values; everything absent has the real host's default.

    Errors: :class:`ConfigurationError` names the property and what it should be.
    """
    extensions = _section(document, "extensions")
    levels = _section(_section(document, "logging"), "logLevel")
    timeout = _get(document, "functionTimeout")
    return HostConfiguration(
        http=_http_options(_section(extensions, "http")),
        queues=_queue_options(_section(extensions, "queues")),
        function_timeout=HostConfiguration.function_timeout if timeout is None else _timeout(timeout),
        log_levels={str(name): str(level) for name, level in levels.items()},
    )


def _http_options(section: Mapping[str, Any]) -> HttpOptions:
    prefix = _get(section, "routePrefix")
    return HttpOptions(
        route_prefix="api" if prefix is None else str(prefix).strip("/"),
        max_outstanding_requests=_limit(section, "maxOutstandingRequests"),
        max_concurrent_requests=_limit(section, "maxConcurrentRequests"),
        custom_headers={str(name): str(value) for name, value in _section(section, "customHeaders").items()},
    )


def _queue_options(section: Mapping[str, Any]) -> QueueOptions:
    batch_size = _integer(section, "batchSize", 16, low=1, high=32)
    interval = _duration(section, "maxPollingInterval", timedelta(minutes=1))
    if interval < timedelta(milliseconds=100):
        raise ConfigurationError("maxPollingInterval must be at least 100 ms")
    visibility = _duration(section, "visibilityTimeout", timedelta(0))
    if not timedelta(0) <= visibility <= timedelta(days=7):
        raise ConfigurationError("visibilityTimeout must be from 0 to 7 days")
    encoding = str(_get(section, "messageEncoding") or "base64").lower()
    if encoding not in {"base64", "none"}:
        raise ConfigurationError("messageEncoding must be base64 or none")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=_integer(section, "newBatchThreshold", batch_size // 2, low=0, high=2**31 - 1),
        max_dequeue_count=_integer(section, "maxDequeueCount", 5, low=1, high=2**31 - 1),
        max_polling_interval=interval,
        visibility_timeout=visibility,
        base64=encoding == "base64",
    )


def _timeout(value: object) -> timedelta | None:
    span = _timespan("functionTimeout", value)
    return None if span < timedelta(0) else span


def _timespan(name: str, value: object) -> timedelta:
    try:
        return parse_timespan(str(value))
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _duration(section: Mapping[str, Any], name: str, default: timedelta) -> timedelta:
    value = _get(section, name)
    return default if value is None else _timespan(name, value)


def _integer(section: Mapping[str, Any], name: str, default: int, *, low: int, high: int) -> int:
    value = _get(section, name)
    try:
        number = default if value is None else int(value)
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise ConfigurationError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return number


def _limit(section: Mapping[str, Any], name: str) -> int | None:
    number = _integer(section, name, -1, low=-1, high=2**31 - 1)
    return None if number == -1 else number


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = _get(document, name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name} must be an object in host.json")
    return value


def _get(document: Mapping[str, Any], name: str) -> Any:
    return document.get(_spelling(document, name))


def _spelling(document: Mapping[str, Any], name: str) -> str:
    """The key of *document* that equals *name* but for case: .NET configuration ignores it."""
    return next((key for key in document if key.lower() == name.lower()), name)
