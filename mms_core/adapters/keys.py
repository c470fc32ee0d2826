"""The issuer's public keys over HTTP, cached (OpenID Connect discovery 1.0, ``jwks_uri``)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from mms_core.auth import ALGORITHMS, Keys
from mms_core.errors import TemporaryError

if TYPE_CHECKING:
    from datetime import datetime

    from mms_core.ports import Clock

CACHE: Final = timedelta(hours=24)
SOONEST_RELOAD: Final = timedelta(seconds=30)
"""An unknown key id may be a new key or a forgery; a flood of forgeries must not become a flood of requests."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)


class HttpKeys(Keys):
    """Keys from a JWKS document."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._loaded_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> Any:
        """See :class:`~mms_core.auth.Keys`.

        Raises:
            TemporaryError: The issuer did not answer and no key is cached.
        """
        async with self._lock:
            if self._is_wanted(key_id, self._clock.now()):
                self._asked_at = self._clock.now()
                await self._load()
        return self._keys.get(key_id)

    def _is_wanted(self, key_id: str, now: datetime) -> bool:
        if self._loaded_at is None or self._asked_at is None:
            return True
        # An issuer that is down counts as asked: everybody waits in line for each answer that does not come.
        is_old = key_id not in self._keys or now - self._loaded_at > CACHE
        return is_old and now - self._asked_at > SOONEST_RELOAD

    async def _load(self) -> None:
        import jwt  # noqa: PLC0415 - costs 60 ms of start-up, and webhooks do without

        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(self._url) as answer:
                answer.raise_for_status()
                document = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            if self._keys:
                return  # the old keys are better than none
            raise TemporaryError(type(exc).__name__, code="SignInFailed") from exc
        usable = {}
        for each in document.get("keys", ()):
            if each.get("kty") == "RSA" and each.get("use", "sig") == "sig" and each.get("kid"):
                usable[each["kid"]] = jwt.PyJWK(each, algorithm=ALGORITHMS[0]).key
        self._keys = usable
        self._loaded_at = self._clock.now()
