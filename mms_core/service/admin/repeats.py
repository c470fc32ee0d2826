"""Answers that are kept for a day, so that a repeated request repeats the answer and not the work.

Source: "The Idempotency-Key HTTP Header Field" (IETF draft). Only what went well is kept: a request that was refused
changed nothing, and may be tried again under the same key. A key that came with another request is a 409 like one
that is in use (the draft has 422): the code tells them apart, and to a client they are one thing, a key to give up.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import BadInput, PreconditionLost

if TYPE_CHECKING:
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts

KIND: Final = "answer"
PARTS: Final = "answer-part"
LIFE: Final = timedelta(hours=24)
PATIENCE: Final = timedelta(minutes=5)
"""A request that has been at work for longer has died; its work is safe to begin again."""
_PART: Final = 300_000
"""Characters of a part: a row takes 1 MiB, a character two bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A key that is in use by this request."""

    key: str
    etag: str
    document: dict[str, Any]

    @property
    def request_id(self) -> str:
        """By which the same request is known that comes again under its key: not another day's, nor another body's."""
        return f"{self.key}-{self.document['digest']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer of before."""

    status: int
    headers: dict[str, str]
    body: bytes


class Repeats:
    """Remembers answers by the caller's key."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def begin(self, *, caller: str, key: str, request: bytes) -> Claim | Kept:
        """Claim a key, or return the answer that it got before.

        Args:
            caller: Whose key it is: another caller's key of the same text is another key.
            key: As the caller sent it.
            request: All that makes the request what it is.

        Raises:
            BadInput: Code ``IdempotencyKeyReused``: it came with another request; ``IdempotencyKeyInUse``: that
                request is still at work.
        """
        now = self._parts.clock.now()
        name = hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest()[:40]
        digest = hashlib.sha256(request).hexdigest()
        for at in (now, now - LIFE):
            row = f"{at:%Y%m%d}-{name}"
            stored = await self._parts.documents.get(KIND, row)
            if stored is not None and now - datetime.fromisoformat(stored.value["at"]) < LIFE:
                return await self._known(row, stored, digest, now)
        row = f"{now:%Y%m%d}-{name}"
        return await self._claim(row, {"digest": digest, "at": now.isoformat()}, etag="")

    async def _claim(self, row: str, document: dict[str, Any], *, etag: str) -> Claim:
        try:
            new = await self._parts.documents.put(KIND, row, document, etag=etag)
        except PreconditionLost:
            raise BadInput(code="IdempotencyKeyInUse", field="Idempotency-Key") from None
        return Claim(key=row, etag=new, document=document)

    async def _known(self, row: str, stored: Stored[dict[str, Any]], digest: str, now: datetime) -> Claim | Kept:
        document = stored.value
        if document["digest"] != digest:
            raise BadInput(code="IdempotencyKeyReused", field="Idempotency-Key")
        if "status" not in document:
            if now - datetime.fromisoformat(document["at"]) < PATIENCE:
                raise BadInput(code="IdempotencyKeyInUse", field="Idempotency-Key")
            return await self._claim(row, {**document, "at": now.isoformat()}, etag=stored.etag)
        text = ""
        for number in range(document["parts"]):
            part = await self._parts.documents.get(PARTS, f"{row}-{number:04d}")
            text += part.value["text"] if part else ""
        return Kept(
            status=document["status"], headers=document["headers"], body=zlib.decompress(base64.b64decode(text))
        )

    async def keep(self, claim: Claim, kept: Kept) -> None:
        """Keep an answer under a claimed key."""
        text = base64.b64encode(zlib.compress(kept.body)).decode()
        chunks = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        for number, chunk in enumerate(chunks):
            await self._parts.documents.put(PARTS, f"{claim.key}-{number:04d}", {"text": chunk})
        done = {**claim.document, "status": kept.status, "headers": kept.headers, "parts": len(chunks)}
        await self._parts.documents.put(KIND, claim.key, done, etag=claim.etag)

    async def release(self, claim: Claim) -> None:
        """Give a claimed key back: nothing came of the request."""
        await self._parts.documents.remove(KIND, claim.key)
