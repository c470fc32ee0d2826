"""The routes that anybody may read: the description of the API."""

from __future__ import annotations

from mms_core.api.http import SECURITY, ApiRequest, ApiResponse, answering


class PagesApi:
    """Handlers of what is the same for everybody."""

    @answering
    async def openapi(self, request: ApiRequest) -> ApiResponse:
        """``GET openapi.json``: open; built on the first call."""
        from mms_core.api.openapi import document  # noqa: PLC0415 - no other route needs it

        del request
        return ApiResponse(status=200, body=document(), headers=SECURITY)
