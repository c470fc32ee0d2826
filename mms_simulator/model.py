"""What a tenant holds. Field names are ours; views write Graph's names.

Instants are seconds since 1970 (float for the clock's own stamps, whole seconds for start and end).
"""

from typing import Any

import msgspec


class AudioConferencing(msgspec.Struct, kw_only=True):
    """A user's dial-in settings, as Get-CsOnlineDialInConferencingUser would show them."""

    provider: str = "microsoft"
    enabled: bool = True
    bridge: str = "Default"
    tollNumber: str = ""
    conferenceId: str = ""
    publicMeetings: bool = True


class Calendar(msgspec.Struct, kw_only=True):
    """One calendar of a mailbox."""

    id: str
    name: str
    owner_name: str
    owner_address: str
    can_edit: bool = True
    is_default: bool = False


class User(msgspec.Struct, kw_only=True):
    """A user with mailbox, licences, policies and dial-in settings."""

    id: str
    upn: str
    name: str
    mail: str
    sip: str
    created: float
    mailbox: str = "exchangeOnline"
    mailbox_kind: str = "user"
    homed: str = "online"
    mode: str = "Islands"
    direct_mode: str | None = None
    plans: list[dict[str, Any]] = []
    licenses: list[dict[str, Any]] = []
    audio: AudioConferencing = msgspec.field(default_factory=AudioConferencing)
    cvi: str | None = None
    language: str = "en-US"
    time_zone: str = "UTC"
    providers: list[str] = msgspec.field(default_factory=lambda: ["teamsForBusiness"])
    calendars: list[Calendar] = []
    groups: list[str] = []
    """Object ids of the groups that the user is in directly."""
    extra: dict[str, Any] = {}
    changed: dict[str, int] = {}
    """For each property of the Graph user the *sequence* of its last change that users/delta notices."""
    version: int = 1
    sequence: int = 0
    """Position among all changes of users that a delta query tells (6.3)."""
    modified: float = 0


class Item(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A calendar item that was written: single, series master, or exception (then *master* and *day* are set)."""

    id: str
    mailbox: str
    calendar: str
    uid: str
    created: float
    modified: float
    start: int
    end: int
    start_zone: str = "UTC"
    end_zone: str = "UTC"
    version: int = 1
    master: str | None = None
    day: int = 0
    subject: str = ""
    body: str = ""
    body_type: str = "html"
    own_body: bool = False
    all_day: bool = False
    recurrence: dict[str, Any] | None = None
    cancelled_days: list[int] = []
    attendees: list[dict[str, Any]] = []
    organizer_name: str = ""
    organizer_address: str = ""
    locations: list[dict[str, Any]] = []
    categories: list[str] = []
    importance: str = "normal"
    sensitivity: str = "normal"
    show_as: str = "busy"
    reminder_on: bool = True
    reminder_minutes: int = 15
    response_requested: bool = True
    hide_attendees: bool = False
    new_times: bool = True
    transaction_id: str | None = None
    online: bool = False
    was_online: bool = False
    online_since: float = 0
    provider: str = "unknown"
    meeting: str | None = None
    skype_url: str | None = None
    properties: dict[str, str] = {}
    multi_properties: dict[str, list[str]] = {}
    attachments: list[dict[str, Any]] = []
    cancelled: bool = False
    draft: bool = False
    gone: bool = False


class Copy(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An attendee's copy: its own id and answer; everything else is the organiser's item, so the two stay in step."""

    id: str
    mailbox: str
    calendar: str
    source_mailbox: str
    source: str
    created: float
    version: int = 1
    response: str = "notResponded"
    responded: float = 0
    cancelled: bool = False
    own: dict[str, Any] = {}


class OnlineMeeting(msgspec.Struct, kw_only=True):
    """A Teams meeting."""

    id: str
    organizer: str
    thread: str
    created: float
    start: float
    end: float
    subject: str | None = None
    external_id: str | None = None
    code: str = ""
    passcode: str = ""
    short_code: str = ""
    conference_id: str = ""
    settings: dict[str, Any] = {}
    participants: list[dict[str, Any]] = []


class Subscription(msgspec.Struct, kw_only=True):
    """A Graph change-notification subscription."""

    id: str
    resource: str
    changeType: str
    notificationUrl: str
    expires: float
    lifecycleNotificationUrl: str | None = None
    clientState: str | None = None
    applicationId: str = ""
    immutableIds: bool = False
    reauthorize_sent: bool = False


class FeedSubscription(msgspec.Struct, kw_only=True):
    """A content type of the Management Activity feed that was started (6.6)."""

    contentType: str
    enabled: bool = True
    address: str | None = None
    authId: str | None = None
    expiration: str | None = None


class Mail(msgspec.Struct, kw_only=True):
    """A row of the outbox."""

    id: int
    at: float
    organizer: str
    eventId: str | None
    iCalUId: str | None
    recipients: list[str]
    reason: str


class Content(msgspec.Struct, kw_only=True):
    """A blob of the Management Activity feed with its records."""

    id: str
    contentType: str
    created: float
    records: list[dict[str, Any]]


class Audit(msgspec.Struct, kw_only=True):
    """A directory audit record in Graph's shape."""

    id: str
    at: float
    record: dict[str, Any]


class Delivery(msgspec.Struct, kw_only=True):
    """A webhook call that has not been answered yet."""

    id: str
    kind: str
    url: str
    payload: msgspec.Raw
    due: float
    first: float
    subscription: str = ""
    attempts: int = 0


class Registration(msgspec.Struct, kw_only=True):
    """An application, a service principal, an assignment of a role or a consent, as Graph shows it."""

    id: str
    kind: str
    created: float
    content: dict[str, Any]


class Setting(msgspec.Struct, kw_only=True):
    """A value of the tenant itself: switches, keys, clock, counters."""

    id: str
    value: Any


def plain_text(address: Any) -> str:
    """Give an e-mail address as plain text, lower-case."""
    return str(address or "").strip().lower()
