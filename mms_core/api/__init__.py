"""The HTTP API without a web framework: requests and responses are plain values, so every host can serve them."""

from mms_core.api.admin import AdminApi
from mms_core.api.health import HealthApi
from mms_core.api.http import ApiRequest, ApiResponse
from mms_core.api.journal import JournalApi
from mms_core.api.pages import PagesApi
from mms_core.api.webhooks import WebhookApi

__all__ = ["AdminApi", "ApiRequest", "ApiResponse", "HealthApi", "JournalApi", "PagesApi", "WebhookApi"]
