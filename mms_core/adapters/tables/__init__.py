"""Azure Table Storage: users' records, the ledger, and small documents, one module each.

Each is imported when it is first needed: a webhook reads no ledger and purges nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mms_core.adapters.tables.archive import TableArchive
    from mms_core.adapters.tables.clients import Tables
    from mms_core.adapters.tables.documents import TableDocuments
    from mms_core.adapters.tables.ledger import TableLedger
    from mms_core.adapters.tables.transactions import QuickTableClient
    from mms_core.adapters.tables.users import TableUserStore

_HOME = {
    "QuickTableClient": "transactions",
    "TableArchive": "archive",
    "TableDocuments": "documents",
    "TableLedger": "ledger",
    "TableUserStore": "users",
    "Tables": "clients",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a store (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(name)
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = ["QuickTableClient", "TableArchive", "TableDocuments", "TableLedger", "TableUserStore", "Tables"]
