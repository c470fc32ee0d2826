"""The Management Activity feed: each content once, each record once, and those that we cannot read counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mms_core.audits import audited, users_of_audit
from mms_core.errors import BadInput, NotFound
from mms_core.notifications import event_data
from mms_core.service.deciding import short
from mms_core.service.journal import Origin
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mms_core.service.deciding import Deciding
    from mms_core.service.parts import Parts
    from mms_core.service.tenant.changes import Changes
    from mms_core.service.tenant.tenantwide import TenantWide

_KNOWN_CONTENTS = 20_000


class Feed:
    """Reads contents and acts on their records."""

    def __init__(self, parts: Parts, deciding: Deciding, changes: Changes, tenant_wide: TenantWide) -> None:
        self._parts = parts
        self._deciding = deciding
        self._changes = changes
        self._tenant_wide = tenant_wide
        self._read: dict[str, None] = {}

    async def is_read(self, uri: str) -> bool:
        """Say whether a content has been worked through; remembered here as well, since lists overlap."""
        if uri in self._read:
            return True
        if await self._parts.documents.get("content", short(uri)) is None:
            return False
        self._note_read(uri)
        return True

    def _note_read(self, uri: str) -> None:
        self._read[uri] = None
        while len(self._read) > _KNOWN_CONTENTS:
            del self._read[next(iter(self._read))]

    async def read(self, uri: str, *, actor: str = "activity") -> bool:
        """Work through one content, once; returns whether it was new."""
        if await self.is_read(uri):
            return False
        try:
            records = await self._parts.graph().tenant.activity(uri)
        except NotFound:
            log("activity_content_is_gone")  # contents are kept 7 days
            return False
        unknown: Counter[str] = Counter()
        for record in records:
            unknown += Counter(await self._record(record, actor))
        if unknown:
            await self._count(unknown)
        await self._parts.documents.put("content", short(uri), {"at": self._parts.clock.now().isoformat()})
        self._note_read(uri)
        log("activity_read", count=len(records) - unknown.total(), total=len(records))
        return True

    async def _record(self, record: Mapping[str, Any], actor: str) -> list[str]:
        """Act on one record; returns the operations that it names and we do not know."""
        users = users_of_audit(record)
        if users is not None:
            for user in users:
                await self._changes.of_user(user, origin=Origin(actor=actor, proof="audit"))
            return []
        found = audited(record)
        if found is None:
            return [str(record.get("Operation") or "")[:100]]
        try:
            data = event_data(found.type, found.data)
        except BadInput:
            return [f"{str(record.get('Operation') or '')[:80]} (unreadable)"]
        request_id = f"a-{short(found.record_id or repr(sorted(record.items(), key=str)))}"
        decision = await self._deciding.happened(
            data, what=found.type, request_id=request_id, origin=Origin(actor=actor, proof="audit")
        )
        await self._tenant_wide.follow(data, decision, request_id=request_id, actor=actor)
        return []

    async def _count(self, unknown: Counter[str]) -> None:
        """Count what we could not read, so that a new kind of record is noticed."""
        stored = await self._parts.documents.get("unknownRecords", "all")
        counts: Counter[str] = Counter(stored.value.get("counts", {}) if stored else {})
        counts += unknown
        kept = dict(counts.most_common(200))
        await self._parts.documents.put(
            "unknownRecords", "all", {"counts": kept, "at": self._parts.clock.now().isoformat()}
        )
