"""Microsoft Graph through msgraph-sdk: authentication, middleware and URLs are the SDK's, answers are decoded by us.

Import it only where Graph is really called: the SDK costs half a second and 600 modules.
"""

from mms_core.adapters.graph.calendar import GraphCalendar
from mms_core.adapters.graph.directory import GraphDirectory
from mms_core.adapters.graph.mail import GraphMail
from mms_core.adapters.graph.meetings import GraphMeetings
from mms_core.adapters.graph.tenant import GraphTenant
from mms_core.adapters.graph.transport import GraphTransport

__all__ = ["GraphCalendar", "GraphDirectory", "GraphMail", "GraphMeetings", "GraphTenant", "GraphTransport"]
