"""Harmless questions to Graph and to the activity feed: raw, so that an HTTP answer needs no Graph SDK."""

from __future__ import annotations

import base64
import binascii
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from yarl import URL

from mms_core.errors import TemporaryError
from mms_core.ports import Probed, Probes

if TYPE_CHECKING:
    from datetime import datetime

    from azure.core.credentials_async import AsyncTokenCredential

    from mms_core.diagnosis import Api, Right
    from mms_core.settings import Deployment

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)


class HttpProbes(Probes):
    """Asks with the identity's own tokens."""

    def __init__(self, credential: AsyncTokenCredential, *, deployment: Deployment) -> None:
        self._credential = credential
        self._roots = {"graph": deployment.graph_url, "activity": deployment.activity_url}
        self._scopes = {"graph": deployment.graph_scope, "activity": deployment.activity_scope}

    async def _token(self, api: Api) -> str:
        try:
            return (await self._credential.get_token(self._scopes[api])).token
        except (ClientAuthenticationError, CredentialUnavailableError) as exc:
            raise TemporaryError(type(exc).__name__, code="SignInFailed") from exc

    async def roles(self, api: Api) -> frozenset[str]:
        """See :class:`~mms_core.ports.Probes`. Our own token, so nobody has to verify it."""
        claims = _claims(await self._token(api))
        return frozenset(each for each in claims.get("roles", ()) if isinstance(each, str))

    async def ask(self, right: Right, path: str) -> Probed:
        """See :class:`~mms_core.ports.Probes`."""
        headers = {"Authorization": f"Bearer {await self._token(right.api)}", "Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.request(
                    right.method,
                    URL(self._roots[right.api] + path, encoded=True),
                    headers=headers,
                    data=right.body,
                    allow_redirects=False,
                ) as answer,
            ):
                return _probed(answer.status, answer.headers.get("Date", ""), await answer.read())
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise TemporaryError(type(exc).__name__) from exc


def _claims(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, binascii.Error, msgspec.MsgspecError, RecursionError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _probed(status: int, date: str, content: bytes) -> Probed:
    try:
        document = msgspec.json.decode(content or b"null")
    except (msgspec.MsgspecError, RecursionError):
        document = None
    error = document.get("error") if isinstance(document, dict) else None
    error = error if isinstance(error, dict) else {}
    return Probed(
        status=status,
        code=str(error.get("code") or ""),
        lacks_policy="application access policy" in str(error.get("message") or "").lower(),
        document=document,
        at=_instant(date),
    )


def _instant(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
