"""Microsoft's clouds: where Graph, sign-in and the activity feed are, by the name that ``MMS_CLOUD`` gives.

Sources: Graph "National cloud deployments"; Entra "National clouds"; Office 365 Management Activity API reference
(roots of Enterprise, GCC, GCC High and DoD). 21Vianet's feed is in no documentation, only in public code
(``https://manage.office365.cn``), so it is off there unless ``MMS_ACTIVITY_URL`` and ``MMS_ACTIVITY_SCOPE`` name it;
the sweeps find what it would have told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Roots, without a closing slash."""

    graph: str
    login: str
    activity: str
    """Root of the Office 365 Management Activity API. Empty: this cloud has none."""


CLOUDS: Final = {
    "public": Cloud(
        graph="https://graph.microsoft.com",
        login="https://login.microsoftonline.com",
        activity="https://manage.office.com",
    ),
    "gcc": Cloud(
        graph="https://graph.microsoft.com",
        login="https://login.microsoftonline.com",
        activity="https://manage-gcc.office.com",
    ),
    "usgov": Cloud(
        graph="https://graph.microsoft.us",
        login="https://login.microsoftonline.us",
        activity="https://manage.office365.us",
    ),
    "usdod": Cloud(
        graph="https://dod-graph.microsoft.us",
        login="https://login.microsoftonline.us",
        activity="https://manage.protection.apps.mil",
    ),
    "china": Cloud(
        graph="https://microsoftgraph.chinacloudapi.cn",
        login="https://login.partner.microsoftonline.cn",
        activity="",
    ),
}
