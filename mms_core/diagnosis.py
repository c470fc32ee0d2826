"""What an administrator is told about the deployment: which right each call needs, and what settings contradict.

Pure. The checks that ask somebody are in ``service.upkeep.checkup``; every finding that is not good carries a code of
the catalogue, and with it a remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from mms_core.errors import CATALOGUE

if TYPE_CHECKING:
    from datetime import timedelta

    from mms_core.settings import Deployment, TenantSettings

Api = Literal["graph", "activity"]
LONGEST_CLIENT_STATE: Final = 128
SKEW_SECONDS: Final = 60
"""Tokens are refused from five minutes on; signatures of scripts likewise. One minute is no coincidence."""
NOBODYS: Final = "AAMkADAwMDAwMDAwAAAAAA=="
"""An event and a meeting that nobody has: a write to it does nothing, and is refused earlier without the right."""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    check: str
    status: Literal["ok", "warning", "error"] = "ok"
    code: str | None = None
    """Of the catalogue; ``None`` where all is well."""
    detail: str = ""
    """Names the right, setting or table that is meant; never a person."""

    @property
    def message(self) -> str:
        """What the code means."""
        return CATALOGUE[self.code].cause if self.code else ""

    @property
    def remedy(self) -> str:
        """What to do."""
        return CATALOGUE[self.code].remedy if self.code else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """An application permission, and a harmless call that is refused without it.

    ``{user}`` in the path is somebody with a mailbox, ``{sender}`` the mailbox that notices come from.
    """

    value: str
    api: Api = "graph"
    method: str = "GET"
    path: str
    body: bytes | None = None
    is_scopable: bool = False
    """A role of Exchange gives it for some mailboxes (RBAC for Applications); held by the token it reaches all."""


RIGHTS: Final = (
    Right(value="User.Read.All", path="/users?$top=1&$select=id"),
    Right(value="TeamsUserConfiguration.Read.All", path="/admin/teams/userConfigurations?$top=1"),
    Right(
        value="Calendars.ReadWrite",
        method="PATCH",
        path=f"/users/{{user}}/events/{NOBODYS}",
        body=b"{}",
        is_scopable=True,
    ),
    Right(value="MailboxSettings.Read", path="/users/{user}/mailboxSettings", is_scopable=True),
    Right(
        value="OnlineMeetings.ReadWrite.All",
        method="PATCH",
        path=f"/users/{{user}}/onlineMeetings/{NOBODYS}",
        body=b"{}",
    ),
    Right(
        value="GroupMember.Read.All",
        method="POST",
        path="/users/{user}/checkMemberGroups",
        body=b'{"groupIds":["00000000-0000-0000-0000-000000000000"]}',
    ),
    # A mail without recipients is refused as invalid; without the right it is refused before anybody looks at it.
    Right(
        value="Mail.Send",
        method="POST",
        path="/users/{sender}/sendMail",
        body=b'{"message":{"toRecipients":[]}}',
        is_scopable=True,
    ),
    Right(value="ActivityFeed.Read", api="activity", path="/subscriptions/list"),
)


def wanted_rights(deployment: Deployment, settings: TenantSettings) -> tuple[Right, ...]:
    """Return the rights that this deployment uses."""
    unused = {
        "GroupMember.Read.All": not (settings.AllowedGroups or settings.DeniedGroups),
        "Mail.Send": not deployment.notice_sender,
        "ActivityFeed.Read": not deployment.activity_url,
    }
    return tuple(each for each in RIGHTS if not unused.get(each.value, False))


def _is_off(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme != "https" and (parts.hostname or "") not in _LOOPBACK


def deployment_findings(deployment: Deployment) -> list[Finding]:
    """Say what is missing or unfit for a tenant among the app settings."""
    found = []

    def add(status: Literal["warning", "error"], code: str, detail: str) -> None:
        found.append(Finding(check="appSettings", status=status, code=code, detail=detail))

    if not deployment.public_url:
        add("error", "SettingMissing", "MMS_PUBLIC_URL: the tenant cannot tell what happens")
    elif _is_off(deployment.public_url):
        add("error", "SettingsContradict", "MMS_PUBLIC_URL is not https: Graph calls nothing else")
    if not deployment.client_state:
        add("error", "SettingMissing", "MMS_CLIENT_STATE")
    elif len(deployment.client_state) > LONGEST_CLIENT_STATE:
        add("error", "SettingsContradict", f"MMS_CLIENT_STATE is longer than {LONGEST_CLIENT_STATE} characters")
    if deployment.activity_url and not deployment.activity_auth_id:
        add("error", "SettingMissing", "MMS_ACTIVITY_AUTH_ID")
    if not deployment.storage_connection and not (deployment.queue_service_uri and deployment.table_service_uri):
        add("error", "SettingMissing", "AzureWebJobsStorage__queueServiceUri, AzureWebJobsStorage__tableServiceUri")
    if deployment.settle is not None:
        add("warning", "SettingForOneMachine", "MMS_SETTLE_SECONDS")
    if not deployment.sending_limits:
        add("warning", "SettingForOneMachine", "MMS_SENDING_LIMITS")
    return found or [Finding(check="appSettings")]


def settings_findings(deployment: Deployment, settings: TenantSettings) -> list[Finding]:
    """Say which of the tenant's settings contradict one another, or keep everything from running."""
    found = []

    def add(code: str, detail: str) -> None:
        found.append(Finding(check="settings", status="warning", code=code, detail=detail))

    if not settings.MeetingMigrationEnabled:
        add("MigrationDisabled", "MeetingMigrationEnabled")
    if settings.MaximumWaitMinutes < settings.SettleMinutes:
        add("SettingsContradict", "MaximumWaitMinutes is less than SettleMinutes")
    for number in range(1, 12):
        delay = settings.trigger_delay_minutes(f"T{number}")
        if delay is not None and not settings.is_trigger_on(f"T{number}"):
            add("SettingsContradict", f"TriggerT{number}DelayMinutes is set and TriggerT{number} is off")
    for kind in ("Users", "Groups"):
        both = set(getattr(settings, f"Allowed{kind}")) & set(getattr(settings, f"Denied{kind}"))
        if both:
            add("SettingsContradict", f"{len(both)} in Allowed{kind} and in Denied{kind}; denied wins")
    if settings.AutomaticallySendEmailsToUsers and not deployment.notice_sender:
        add(
            "SettingsContradict", "AutomaticallySendEmailsToUsers is true and MMS_NOTICE_SENDER is empty: none are sent"
        )
    if settings.PilotPercentage == 0:
        add("SettingsContradict", "PilotPercentage is 0: no trigger acts by itself")
    return found or [Finding(check="settings")]


def skew_finding(skew: timedelta | None) -> Finding:
    """Judge the difference between our clock and Microsoft's."""
    if skew is None:
        return Finding(check="clock", status="warning", code="NotProven", detail="no answer named its time")
    seconds = skew.total_seconds()
    if abs(seconds) > SKEW_SECONDS:
        return Finding(check="clock", status="error", code="ClockSkew", detail=f"{seconds:+.0f} s")
    return Finding(check="clock", detail=f"{seconds:+.0f} s")
