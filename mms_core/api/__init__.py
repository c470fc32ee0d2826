"""The HTTP API without a web framework: requests and responses are plain values, so every host can serve them.

Its parts are imported when they are first asked for, so that a webhook's answer does not wait for the pages.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mms_core.api.admin import AdminApi
    from mms_core.api.health import HealthApi
    from mms_core.api.http import ApiRequest, ApiResponse
    from mms_core.api.journal import JournalApi
    from mms_core.api.pages import PagesApi
    from mms_core.api.webhooks import WebhookApi

_HOME: Final = {
    "AdminApi": "admin",
    "ApiRequest": "http",
    "ApiResponse": "http",
    "HealthApi": "health",
    "JournalApi": "journal",
    "PagesApi": "pages",
    "WebhookApi": "webhooks",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a part (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(name)
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = ["AdminApi", "ApiRequest", "ApiResponse", "HealthApi", "JournalApi", "PagesApi", "WebhookApi"]
