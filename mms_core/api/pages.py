"""The routes that anybody may read: the description of the API, and the shell of the web page.

The shell holds no data of the tenant: its script asks the API, with the caller's token.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from mms_core.api.http import SECURITY, ApiRequest, ApiResponse, answering

if TYPE_CHECKING:
    from mms_core.settings import Deployment

_ASSETS: Final = Path(__file__).parent / "dashboard"


def _source(text: str) -> str:
    """Return the CSP source that allows exactly this text, inline."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _script() -> str:
    """Put the parts of the script together in the order of their numbers."""
    parts = sorted((_ASSETS / "script").glob("*.js"), key=lambda path: int(path.name.partition("-")[0]))
    return "\n".join(part.read_text("utf-8") for part in parts)


class PagesApi:
    """Handlers of what is the same for everybody."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    @answering
    async def openapi(self, request: ApiRequest) -> ApiResponse:
        """``GET openapi.json``: open; built on the first call."""
        from mms_core.api.openapi import document  # noqa: PLC0415 - no other route needs it

        del request
        return ApiResponse(status=HTTPStatus.OK, body=document(), headers=SECURITY)

    @answering
    async def dashboard(self, request: ApiRequest) -> ApiResponse:
        """``GET dashboard``: open; put together on the first call."""
        del request
        return self._page

    @functools.cached_property
    def _page(self) -> ApiResponse:
        style, script = (_ASSETS / "page.css").read_text("utf-8"), _script()
        page = (_ASSETS / "page.html").read_text("utf-8")
        sign_in, origin = self._sign_in()
        for name, text in (("sign_in", html.escape(sign_in)), ("style", style), ("script", script)):
            page = page.replace(f"{{{{{name}}}}}", text)
        policy = {
            "default-src": "'none'",
            "script-src": _source(script),
            "style-src": _source(style),
            "connect-src": f"'self' {origin}".strip(),
            "img-src": "data:",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        return ApiResponse(
            status=HTTPStatus.OK,
            body=page.encode(),
            content_type="text/html; charset=utf-8",
            headers={
                **SECURITY,
                "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
                "Referrer-Policy": "no-referrer",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            },
        )

    def _sign_in(self) -> tuple[str, str]:
        """Return what the script needs for signing in with Entra, and the origin it talks to; empty: nothing."""
        settings = self._deployment
        if not settings.dashboard_client_id:
            return "null", ""
        parts = urlsplit(settings.sign_in_url)
        # Never the URI that an id stands for: who signs in as the API's own registration must name it by its id.
        resource = settings.api_audience.split()[0]
        about = {
            "clientId": settings.dashboard_client_id,
            "authority": settings.sign_in_url,
            "scope": f"{resource}/.default",
        }
        return msgspec.json.encode(about).decode(), f"{parts.scheme}://{parts.netloc}"
