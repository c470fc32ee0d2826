"""The ledger as one lease holder sees it: nobody whose lease is lost writes, and nobody notes what cannot follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mms_core.errors import PreconditionLost
from mms_core.ports import Ledger
from mms_core.service.running.lease import LeaseLost
from mms_core.states import check_noted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection
    from datetime import datetime

    from mms_core.meetings import LedgerEntry, Original
    from mms_core.model import RunId, UserKey, Verdict
    from mms_core.service.running.lease import Lease


class FencedLedger(Ledger):
    """A ledger that was claimed with a lease's generation.

    Args:
        ledger: As :meth:`~mms_core.ports.Ledger.claim` gave it.
        lease: Whose run the entries belong to.
    """

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self._ledger = ledger
        self._lease = lease
        self._noted: dict[str, Verdict] = {}

    async def _fenced(self, write: Awaitable[None]) -> None:
        try:
            await write
        except PreconditionLost:
            raise LeaseLost from None

    def _check(self, entry: LedgerEntry) -> None:
        check_noted(self._noted.get(entry.key), entry.verdict)

    async def claim(self, key: UserKey, generation: int) -> Ledger:
        """See :class:`~mms_core.ports.Ledger`."""
        return await self._ledger.claim(key, generation)

    async def entries(self, key: UserKey) -> list[LedgerEntry]:
        """See :class:`~mms_core.ports.Ledger`; remembers what this run has noted before."""
        entries = await self._ledger.entries(key)
        run = self._lease.run
        self._noted |= {
            entry.key: entry.verdict
            for entry in entries
            if entry.run_id == run.run_id and entry.updated_at >= run.fresh_at
        }
        return entries

    async def put(self, key: UserKey, entry: LedgerEntry, original: Original | None = None) -> None:
        """See :class:`~mms_core.ports.Ledger`.

        Raises:
            LeaseLost: Somebody else has claimed the rows; nothing was written.
            IllegalTransition: The run cannot say this after what it has said; nothing was written.
        """
        self._check(entry)
        await self._fenced(self._ledger.put(key, entry, original))
        self._noted[entry.key] = entry.verdict

    async def settle(self, key: UserKey, entry: LedgerEntry, *, written_block: str = "") -> None:
        """See :class:`~mms_core.ports.Ledger`; raises as :meth:`put`."""
        self._check(entry)
        await self._fenced(self._ledger.settle(key, entry, written_block=written_block))
        self._noted[entry.key] = entry.verdict

    async def entry(self, key: UserKey, meeting: str) -> LedgerEntry | None:
        """See :class:`~mms_core.ports.Ledger`."""
        return await self._ledger.entry(key, meeting)

    async def original(self, key: UserKey, meeting: str) -> Original | None:
        """See :class:`~mms_core.ports.Ledger`."""
        return await self._ledger.original(key, meeting)

    async def originals(self, key: UserKey) -> list[Original]:
        """See :class:`~mms_core.ports.Ledger`."""
        return await self._ledger.originals(key)

    async def put_original(self, key: UserKey, original: Original) -> None:
        """See :class:`~mms_core.ports.Ledger`; raises ``LeaseLost`` as :meth:`put`."""
        await self._fenced(self._ledger.put_original(key, original))

    async def expire(self, key: UserKey, *, before: datetime, runs: Collection[RunId]) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        await self._ledger.expire(key, before=before, runs=runs)

    async def forget(self, key: UserKey) -> None:
        """See :class:`~mms_core.ports.Ledger`."""
        await self._ledger.forget(key)
