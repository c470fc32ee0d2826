"""The use cases. They speak to the ports only; nothing here knows of HTTP, queues' triggers or SDKs.

Each is imported when it is first asked for: answering a webhook needs none of those that work on calendars.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mms_core.service.admin.intake import Intake
    from mms_core.service.admin.queries import Queries
    from mms_core.service.admin.repeats import Repeats
    from mms_core.service.admin.retries import Retries
    from mms_core.service.journal import Journal
    from mms_core.service.parts import GraphPorts, Options, Parts
    from mms_core.service.running.previews import Previews
    from mms_core.service.running.runs import Runs
    from mms_core.service.tenant.finds import Finds
    from mms_core.service.tenant.inbox import Inbox
    from mms_core.service.tenant.triage import Triage
    from mms_core.service.upkeep.checkup import Checkup
    from mms_core.service.upkeep.noticing import Noticing
    from mms_core.service.upkeep.recovery import Recovery
    from mms_core.service.upkeep.retention import Retention

_HOME: Final = {
    "Checkup": "upkeep.checkup",
    "Finds": "tenant.finds",
    "GraphPorts": "parts",
    "Inbox": "tenant.inbox",
    "Intake": "admin.intake",
    "Journal": "journal",
    "Noticing": "upkeep.noticing",
    "Options": "parts",
    "Parts": "parts",
    "Previews": "running.previews",
    "Queries": "admin.queries",
    "Recovery": "upkeep.recovery",
    "Repeats": "admin.repeats",
    "Retention": "upkeep.retention",
    "Retries": "admin.retries",
    "Runs": "running.runs",
    "Triage": "tenant.triage",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a use case (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(name)
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = [
    "Checkup",
    "Finds",
    "GraphPorts",
    "Inbox",
    "Intake",
    "Journal",
    "Noticing",
    "Options",
    "Parts",
    "Previews",
    "Queries",
    "Recovery",
    "Repeats",
    "Retention",
    "Retries",
    "Runs",
    "Triage",
]
