"""Azure Table Storage: users' records, the ledger, and small documents, one module each."""

from mms_core.adapters.tables.archive import TableArchive
from mms_core.adapters.tables.clients import Tables
from mms_core.adapters.tables.documents import TableDocuments
from mms_core.adapters.tables.ledger import TableLedger
from mms_core.adapters.tables.transactions import QuickTableClient
from mms_core.adapters.tables.users import TableUserStore

__all__ = ["QuickTableClient", "TableArchive", "TableDocuments", "TableLedger", "TableUserStore", "Tables"]
