"""The use cases. They speak to the ports only; nothing here knows of HTTP, queues' triggers or SDKs.

Each is imported when it is first asked for: answering a webhook needs none of those that work on calendars.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mms_core.service.checkup import Checkup
    from mms_core.service.finds import Finds
    from mms_core.service.inbox import Inbox
    from mms_core.service.intake import Intake
    from mms_core.service.journal import Journal
    from mms_core.service.noticing import Noticing
    from mms_core.service.parts import GraphPorts, Options, Parts
    from mms_core.service.previews import Previews
    from mms_core.service.queries import Queries
    from mms_core.service.recovery import Recovery
    from mms_core.service.repeats import Repeats
    from mms_core.service.retention import Retention
    from mms_core.service.runs import Runs
    from mms_core.service.triage import Triage

_HOME: Final = {
    "Checkup": "checkup",
    "Finds": "finds",
    "GraphPorts": "parts",
    "Inbox": "inbox",
    "Intake": "intake",
    "Journal": "journal",
    "Noticing": "noticing",
    "Options": "parts",
    "Parts": "parts",
    "Previews": "previews",
    "Queries": "queries",
    "Recovery": "recovery",
    "Repeats": "repeats",
    "Retention": "retention",
    "Runs": "runs",
    "Triage": "triage",
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
    "Runs",
    "Triage",
]
