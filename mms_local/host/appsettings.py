"""App settings: local.settings.json, ``%NAME%`` expressions and named storage connections."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mms_local.host.configuration import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EXPRESSION: Final = re.compile(r"%([^%]*)%")
DEVELOPMENT_STORAGE: Final = "UseDevelopmentStorage=true"


class MissingSettingError(ConfigurationError):
    """A binding names a setting that is not there."""


def load_local_settings(path: Path) -> dict[str, str]:
    """Read ``Values`` of a file in the shape of local.settings.json.

    Errors: :class:`ConfigurationError` when it is not such a file, or a value is not a string (Core Tools refuses
    that, too).
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read settings: {error}") from error
    values = document.get("Values", {}) if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise ConfigurationError(f'{path} must be an object with an object "Values"')
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise ConfigurationError(f"settings must be strings: {', '.join(wrong)}")
    return dict(values)


def resolve(text: str, environment: Mapping[str, str]) -> str:
    """Replace every ``%NAME%`` in *text* by the setting of that name.

    Errors: :class:`MissingSettingError` names the one that is not set.
    """

    def value(match: re.Match[str]) -> str:
        found = environment.get(match[1])
        if found is None:
            raise MissingSettingError(f"'%{match[1]}%' does not resolve to a value: the setting is missing")
        return found

    return _EXPRESSION.sub(value, text)


@dataclass(frozen=True)
class QueueConnection:
    """Where a queue lives, and how the host proves itself there."""

    connection_string: str | None = None
    """With a key or a SAS; ``None`` when a managed identity is used."""
    queue_service_url: str | None = None
    """Endpoint for the identity style."""


def queue_connection(name: str, environment: Mapping[str, str]) -> QueueConnection:
    """Look up connection *name* as the real host does.

    ``NAME`` or ``AzureWebJobsNAME`` holds a connection string; else ``NAME__queueServiceUri`` or
    ``NAME__accountName`` means a managed identity. An empty *name* is ``AzureWebJobsStorage``.

    Errors: :class:`MissingSettingError` when none of them is set.
    """
    name = name or "AzureWebJobsStorage"
    for candidate in (name, f"AzureWebJobs{name}"):
        text = environment.get(candidate)
        if text:
            return QueueConnection(connection_string=text)
        url = environment.get(f"{candidate}__queueServiceUri")
        if url:
            return QueueConnection(queue_service_url=url)
        account = environment.get(f"{candidate}__accountName")
        if account:
            return QueueConnection(queue_service_url=f"https://{account}.queue.core.windows.net")
    raise MissingSettingError(f"storage connection '{name}' does not exist: the setting is missing or empty")
