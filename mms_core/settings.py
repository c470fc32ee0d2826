"""Settings: where the app runs (:class:`Deployment`) and what the tenant wants (:class:`TenantSettings`).

The first come from the environment and are read once, by ``wiring``. The second are one flat object that
``PATCH /api/config`` changes; their names are the cmdlets' own where the cmdlets have them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core import templates
from mms_core.clouds import CLOUDS
from mms_core.errors import BadInput
from mms_core.windows import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mms_core.windows import Window

AUDIO_CONFERENCING_PLAN: Final = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
"""Service plan MCOMEETADV, also inside E5 (Microsoft's licensing reference)."""

PAY_PER_MINUTE_PLAN: Final = "bb038288-76ab-49d6-afc1-eaa6c222c65a"
"""Service plan of MCOMEETACPEA."""

TEAMS_PLAN: Final = "57ff2da0-773e-42df-b2af-ffb7a2317929"
"""Service plan TEAMS1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where this app runs and whom it talks to. Read from the environment by ``from_environment``."""

    storage_connection: str | None
    """Connection string (Azurite); ``None`` means managed identity at the two service URIs."""
    queue_service_uri: str | None
    table_service_uri: str | None
    trigger_queue: str
    run_queue: str
    table_prefix: str
    """Tables are ``<prefix>Users``, ``<prefix>Ledger`` and ``<prefix>State``."""
    tenant_id: str
    api_audience: str
    token_issuer: str
    token_keys_url: str
    sign_in_url: str
    """Entra's OAuth 2.0 endpoints of the tenant, up to and without ``/authorize``."""
    dashboard_client_id: str
    """App registration (single-page application) that the web page signs in with. Empty: a token is pasted."""
    graph_url: str
    graph_scope: str
    activity_url: str
    """Root of the activity feed of this tenant. Empty: this cloud has none, and sweeps find what it would tell."""
    activity_scope: str
    public_url: str
    """Where the tenant reaches this app, without ``/api``. Empty: no subscriptions are made."""
    client_state: str
    """Secret that Graph repeats in every notification, at most 128 characters."""
    activity_auth_id: str
    """Secret that the activity feed repeats in every call."""
    webhook_keys: str
    """Secrets of scripts that sign their posts: ``[name=]whsec_<base64>``, several separated by blanks."""
    notice_sender: str
    """Mailbox from which notices are sent. Empty: none are sent, whatever the tenant's setting says."""
    discovery_age: timedelta
    """An answer of ``GET discovery`` that is older than this makes the search start again."""
    settle: timedelta | None
    """Overrides the tenant's settling time; for one machine only. ``None``: the tenant's setting."""
    run_lease: timedelta
    """How long a silent worker keeps a user. With the pause between two sweeps: how soon a dead one is noticed."""
    sending_limits: bool
    """Keep to Exchange's sending limits: pace a mailbox, count recipients, admit large lists slowly."""
    function_budget: timedelta
    """A run that has worked this long checkpoints and goes on in a new message."""
    first_retry: timedelta
    """Wait before the first of the nine retries; they double from there (24 hours with the default)."""
    telemetry_connection: str | None
    """Connection string of Application Insights; ``None`` sends nothing anywhere."""
    trace_ratio: float
    """Part of the traces without a failure that is kept, 0 to 1. Failures are always kept."""
    client_id: str | None
    """Client id of a user-assigned identity; ``None`` is the system-assigned one."""


def _seconds(values: Mapping[str, str], name: str, default: float) -> timedelta:
    text = values.get(name) or str(default)
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise BadInput(f"{name} must be a number of seconds", code="InvalidParameter", field=name) from None


def _ratio(values: Mapping[str, str], name: str) -> float:
    try:
        ratio = float(values.get(name) or 1)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise BadInput(f"{name} must be a number from 0 to 1", code="InvalidParameter", field=name)
    return ratio


def _secret(values: Mapping[str, str], name: str) -> str:
    """Return a secret, or nothing where Azure could not read it: the setting then is the reference, which is no secret.

    Source: learn.microsoft.com/azure/app-service/app-service-key-vault-references, troubleshooting.
    """
    text = values.get(name, "")
    return "" if text.startswith("@Microsoft.KeyVault(") else text


def from_environment(values: Mapping[str, str]) -> Deployment:
    """Read the deployment's settings.

    Args:
        values: Usually ``os.environ``.

    Raises:
        BadInput: A value is missing or malformed; ``field`` names it.
    """

    def required(name: str) -> str:
        if not values.get(name):
            raise BadInput(f"the app setting {name} is missing", code="InvalidParameter", field=name)
        return values[name]

    tenant_id = required("MMS_TENANT_ID").lower()  # as Entra and Graph write it
    storage = values.get("AzureWebJobsStorage") or None
    cloud = CLOUDS.get(values.get("MMS_CLOUD") or "public")
    if cloud is None:
        raise BadInput(f"MMS_CLOUD is one of {', '.join(CLOUDS)}", code="InvalidParameter", field="MMS_CLOUD")
    login = (values.get("MMS_LOGIN_URL") or cloud.login).rstrip("/")
    feed = f"{cloud.activity}/api/v1.0/{tenant_id}/activity/feed" if cloud.activity else ""
    lease = _seconds(values, "MMS_RUN_LEASE_SECONDS", 30)
    budget = _seconds(values, "MMS_FUNCTION_BUDGET_SECONDS", 1500)
    first_retry = _seconds(values, "MMS_FIRST_RETRY_SECONDS", 169)
    discovery_age = _seconds(values, "MMS_DISCOVERY_MAX_AGE_SECONDS", 3600)
    if (
        lease is None or budget is None or first_retry is None or discovery_age is None
    ):  # pragma: no cover - a default is given, so mypy is the only reader
        raise AssertionError
    return Deployment(
        storage_connection=storage,
        queue_service_uri=values.get("AzureWebJobsStorage__queueServiceUri"),
        table_service_uri=values.get("AzureWebJobsStorage__tableServiceUri"),
        trigger_queue=values.get("MMS_TRIGGER_QUEUE") or "mms-triggers",
        run_queue=values.get("MMS_RUN_QUEUE") or "mms-runs",
        table_prefix=values.get("MMS_TABLE_PREFIX") or "Mms",
        tenant_id=tenant_id,
        api_audience=required("MMS_API_AUDIENCE"),
        token_issuer=values.get("MMS_TOKEN_ISSUER") or f"{login}/{tenant_id}/v2.0",
        token_keys_url=values.get("MMS_TOKEN_KEYS_URL") or f"{login}/{tenant_id}/discovery/v2.0/keys",
        sign_in_url=f"{login}/{tenant_id}/oauth2/v2.0",
        dashboard_client_id=values.get("MMS_DASHBOARD_CLIENT_ID", ""),
        graph_url=(values.get("MMS_GRAPH_URL") or f"{cloud.graph}/v1.0").rstrip("/"),
        graph_scope=values.get("MMS_GRAPH_SCOPE") or f"{cloud.graph}/.default",
        activity_url=(values.get("MMS_ACTIVITY_URL") or feed).rstrip("/"),
        activity_scope=values.get("MMS_ACTIVITY_SCOPE") or f"{cloud.activity}/.default",
        public_url=values.get("MMS_PUBLIC_URL", "").rstrip("/"),
        client_state=_secret(values, "MMS_CLIENT_STATE"),
        activity_auth_id=_secret(values, "MMS_ACTIVITY_AUTH_ID"),
        webhook_keys=_secret(values, "MMS_WEBHOOK_KEYS"),
        notice_sender=values.get("MMS_NOTICE_SENDER", ""),
        discovery_age=discovery_age,
        settle=_seconds(values, "MMS_SETTLE_SECONDS", 0) if values.get("MMS_SETTLE_SECONDS") else None,
        run_lease=lease,
        sending_limits=values.get("MMS_SENDING_LIMITS", "").lower() != "off",
        function_budget=budget,
        first_retry=first_retry,
        telemetry_connection=values.get("APPLICATIONINSIGHTS_CONNECTION_STRING") or None,
        trace_ratio=_ratio(values, "MMS_TRACE_RATIO"),
        client_id=values.get("MMS_IDENTITY_CLIENT_ID") or None,
    )


LEAST_CLAIM_DAYS: Final = 14
"""Twice the longest time after which anything may come again: 7 days, in the activity feed's list and in a queue."""

LONGEST_LIST: Final = 1000
"""Entries of a list of users or groups: settings are one row of 64 KiB a property."""


RANGES: Final[dict[str, tuple[int, int]]] = {
    "SettleMinutes": (0, 7 * 24 * 60),
    "MaximumWaitMinutes": (0, 7 * 24 * 60),
    "MaximumAttendees": (1, 500),
    "AdmissionUsersPerMinute": (0, 10_000),
    "RecipientsPerDay": (0, 10_000_000),
    "MailboxRecipientsPerDay": (0, 1_000_000),
    "EndReplacedMeetingsAfterDays": (0, 3650),
    "RetentionDays": (1, 3650),
    "ClaimRetentionDays": (LEAST_CLAIM_DAYS, 3650),
    "PilotPercentage": (0, 100),
    **{f"TriggerT{number}DelayMinutes": (0, 7 * 24 * 60) for number in range(1, 12)},
}
"""Lowest and highest value of the settings that are numbers."""

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "MoveWithoutMoveToTeams": ("Teams", "Current"),
    "SharedMailboxPolicy": ("migrate", "report"),
    "RoomMailboxPolicy": ("migrate", "report"),
    "TeamsToTeams": ("refresh", "replace"),
}
"""Words that a setting takes."""


_SCHEMA_TYPES: Final[dict[type, str | list[str]]] = {
    bool: "boolean",
    int: "integer",
    str: "string",
    tuple: "array",
    type(None): ["integer", "null"],
}


def _of_type(name: str, value: Any, default: Any) -> Any:
    """Return a setting's value as it is kept. Raises ``BadInput`` for a wrong type."""
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise BadInput(f"{name} must be a list of strings", field=name)
        if len(value) > LONGEST_LIST:
            raise BadInput(f"{name} takes {LONGEST_LIST} entries at most", field=name)
        return tuple(each.strip().lower() for each in value if each.strip())
    if default is None:
        if value is not None and type(value) is not int:
            raise BadInput(f"{name} must be of type int, or null", field=name)
        return value
    if type(value) is not type(default):
        raise BadInput(f"{name} must be of type {type(default).__name__}", field=name)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """What the tenant wants. Field names are the names on the wire (mms-rules section 5, and ours)."""

    MeetingMigrationEnabled: bool = True
    """Everything off when false (N7); checked when a request is made and again before every write."""
    AutomaticallyMigrateUserMeetings: bool = True
    """False switches the audio-conferencing triggers T3 to T8 off (N8)."""
    AutomaticallyReplaceAcpProvider: bool = False
    """True lets meetings with a third-party provider's dial-in be migrated (W4)."""
    AutomaticallySendEmailsToUsers: bool = True
    """Notices to organizers before and after a run. Sent only where the deployment names a sender."""
    SettleMinutes: int = 90
    """Wait after the first trigger, in minutes (Q1). 0 to 10,080."""
    MaximumWaitMinutes: int = 360
    """A stream of triggers delays a run at most this long after the first one, in minutes (Q2)."""
    MaximumAttendees: int = 250
    """Meetings with more people, the organizer included, are skipped (W6). 1 to 500, Graph's own limit."""
    IncludeSecondaryCalendars: bool = False
    """Also look at the user's own further calendars, not only the default one (feature 32)."""
    SharedMailboxPolicy: str = "migrate"
    """What is done with meetings that a shared mailbox organizes: ``migrate``, or ``report`` to plan and write nothing.
    """
    RoomMailboxPolicy: str = "migrate"
    """The same for rooms and equipment."""
    TeamsToTeams: str = "refresh"
    """What target Teams does with a Teams meeting: ``refresh`` its block, or ``replace`` it by a new Teams meeting."""
    EndReplacedMeetingsAfterDays: int | None = None
    """Days after which a Teams meeting that was replaced by another is ended, 0 to 3,650; ``None`` keeps it."""
    MoveWithoutMoveToTeams: str = "Teams"
    """Target of a move without ``-MoveToTeams`` (T2): ``Teams`` as today, or ``Current`` as until 2019."""
    MaintenanceDays: str = ""
    """Days on which calendars may be written: ``Mon-Fri``, ``Sat,Sun``. Empty means every day."""
    MaintenanceHours: str = ""
    """Hours at which they may: ``22:00-06:00``, several separated by commas. Empty means the whole day."""
    MaintenanceTimeZone: str = "UTC"
    """Zone of these days and hours, a name of the IANA database."""
    AdmissionUsersPerMinute: int = 60
    """Users of one large list whose runs become due in the same minute; 0 admits all at once. 0 to 10,000."""
    RecipientsPerDay: int = 10_000
    """Recipients outside the organizer's domain that get updates in 24 hours, tenant-wide; 0 means no limit.
    Exchange's own limit is 500 x licences^0.7 + 9,500."""
    MailboxRecipientsPerDay: int = 10_000
    """Recipients, inside and outside, that one organizer's updates get in 24 hours; 0 means no limit. 10,000 is
    Exchange's own limit of a mailbox."""
    RetentionDays: int = 150
    """Runs that ended longer ago are exported and purged, as are decisions. 1 to 3,650."""
    ClaimRetentionDays: int = 30
    """Ids of events, contents of the activity feed and notices are remembered this long, so that each counts once.
    14 to 3,650: nobody repeats anything, and no message is hidden in a queue, for longer than 7 days."""

    TriggerT1: bool = True
    """Switch of one kind of trigger: a move with ``-MoveToTeams``. Rule X1 where it is false."""
    TriggerT2: bool = True
    TriggerT3: bool = True
    TriggerT4: bool = True
    TriggerT5: bool = True
    TriggerT6: bool = True
    TriggerT7: bool = True
    TriggerT8: bool = True
    TriggerT9: bool = True
    TriggerT10: bool = True
    TriggerT11: bool = False
    """Cloud Video Interop partners are refreshed by hand only, as Microsoft's service does; true does it by itself."""
    TriggerT1DelayMinutes: int | None = None
    """Wait of one kind of trigger, in minutes, 0 to 10,080; ``None`` is ``SettleMinutes``."""
    TriggerT2DelayMinutes: int | None = None
    TriggerT3DelayMinutes: int | None = None
    TriggerT4DelayMinutes: int | None = None
    TriggerT5DelayMinutes: int | None = None
    TriggerT6DelayMinutes: int | None = None
    TriggerT7DelayMinutes: int | None = None
    TriggerT8DelayMinutes: int | None = None
    TriggerT9DelayMinutes: int | None = None
    TriggerT10DelayMinutes: int | None = None
    TriggerT11DelayMinutes: int | None = None
    """``None`` here waits for the policy cache of Teams, 6 hours."""
    AllowedUsers: tuple[str, ...] = ()
    """User principal names or object ids. Empty allows all; with this or ``AllowedGroups``, only those (X2)."""
    AllowedGroups: tuple[str, ...] = ()
    """Object ids of groups, nested members included."""
    DeniedUsers: tuple[str, ...] = ()
    """Never touched, whatever else holds (X2)."""
    DeniedGroups: tuple[str, ...] = ()
    FailureDigestRecipients: tuple[str, ...] = ()
    """Mail addresses that get a digest of failures by cause. Empty: nobody does."""
    NoticeBeforeSubject: str = ""
    """Subject of the notice before a run; empty is ours. ``$user``, ``$count``, ``$due``."""
    NoticeBeforeBody: str = ""
    """Its body, HTML; also ``$meetings`` (a list) and ``$notKept`` (rule R8). Empty is ours."""
    NoticeAfterSubject: str = ""
    """Subject of the notice after a run; empty is ours. ``$user``, ``$result``, ``$changed``, ``$failed``."""
    NoticeAfterBody: str = ""
    """Its body, HTML; also ``$meetings`` and ``$failures`` (lists) and ``$notKept``. Empty is ours."""
    NoticeDigestSubject: str = ""
    """Subject of the digest; empty is ours. ``$since``, ``$until``, ``$users``, ``$causes``."""
    NoticeDigestBody: str = ""
    """Its body, HTML; also ``$failures`` (a list). Empty is ours."""
    PilotPercentage: int = 100
    """Share of users, 0 to 100, for whom triggers act by themselves (X3); always the same users. Not for T10."""

    def is_trigger_on(self, rule: str) -> bool:
        """Say whether the switch of a trigger (``T1`` to ``T11``) is on."""
        return bool(getattr(self, f"Trigger{rule}"))

    def trigger_delay_minutes(self, rule: str) -> int | None:
        """Return the wait of a trigger (``T1`` to ``T11``) in minutes, ``None`` for the settling time."""
        minutes: int | None = getattr(self, f"Trigger{rule}DelayMinutes")
        return minutes

    def changed(self, changes: Mapping[str, Any]) -> TenantSettings:
        """Return a copy with *changes* applied.

        Raises:
            BadInput: A name is unknown, or a value has the wrong type or is out of range.
        """
        defaults = {each.name: each.default for each in fields(self)}
        given: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in defaults:
                raise BadInput(name, code="UnknownSetting", field=name)
            given[name] = _of_type(name, value, defaults[name])
        settings = replace(self, **given)
        settings.check()
        return settings

    def window(self) -> Window | None:
        """Return when calendars may be written, ``None`` for always. Raises ``BadInput``."""
        return parse(self.MaintenanceDays, self.MaintenanceHours, self.MaintenanceTimeZone)

    def check(self) -> None:
        """Raise ``BadInput`` for a value out of range."""
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise BadInput(f"{name} must be between {low} and {high}", field=name)
        for name, words in CHOICES.items():
            if getattr(self, name) not in words:
                raise BadInput(f"{name} must be {' or '.join(words)}", field=name)
        self.window()
        for kind in templates.TEXTS:
            for part in ("Subject", "Body"):
                name = f"Notice{kind}{part}"
                templates.check(name, getattr(self, name), kind=kind, is_body=part == "Body")


def settings_schema() -> dict[str, Any]:
    """Describe the settings as a JSON schema: what :meth:`TenantSettings.changed` takes, with the defaults."""
    properties: dict[str, Any] = {}
    for each in fields(TenantSettings):
        default: Any = list(each.default) if isinstance(each.default, tuple) else each.default
        kind: dict[str, Any] = {"type": _SCHEMA_TYPES[type(each.default)]}
        if isinstance(each.default, tuple):
            kind |= {"items": {"type": "string"}, "maxItems": LONGEST_LIST}
        if each.name in RANGES:
            kind["minimum"], kind["maximum"] = RANGES[each.name]
        if each.name in CHOICES:
            kind["enum"] = list(CHOICES[each.name])
        properties[each.name] = {**kind, "default": default}
    return {"title": "Settings", "type": "object", "properties": properties, "additionalProperties": False}
