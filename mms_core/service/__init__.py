"""The use cases. They speak to the ports only; nothing here knows of HTTP, queues' triggers or SDKs."""

from mms_core.service.checkup import Checkup
from mms_core.service.finds import Finds
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

__all__ = [
    "Checkup",
    "Finds",
    "GraphPorts",
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
