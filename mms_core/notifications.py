"""What a tenant posts to us, from bytes to values: Graph notifications, CloudEvents, activity feed. Pure.

Sources: Graph "Change notifications through webhooks"; CloudEvents 1.0 HTTP protocol binding; Office 365 Management
Activity API reference. Malformed input is refused with the field's name, never read as "nothing happened".
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from mms_core import jsontext
from mms_core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTIFICATION_LIMIT: Final = 1000
"""Graph puts at most this many notifications into a call; more is not Graph."""
EVENT_LIMIT: Final = 1000
"""CloudEvents of a call: each is looked up and noted before the answer, which a sender does not wait for long."""
DEEPEST: Final = 32
"""Levels of an event. Who reads it from the queue has less of the stack left than who took it in."""

LONGEST_IDENTITY: Final = 320
Identity = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_IDENTITY)]
LONGEST_URI: Final = 2048
LARGEST_EVENT: Final = 40 * 1024
"""Bytes of an event's id, source and data as JSON: with what stands around them they fit into a queue message."""


class ResourceData(msgspec.Struct, kw_only=True):
    """What changed."""

    id: str | None = None


class Notification(msgspec.Struct, kw_only=True, rename="camel"):
    """One notification of Graph."""

    subscription_id: str | None = None
    client_state: str | None = None
    change_type: str | None = None
    resource: str | None = None
    tenant_id: str | None = None
    resource_data: ResourceData | None = None
    lifecycle_event: str | None = None


CloudEvents = Annotated[list[Any], msgspec.Meta(max_length=EVENT_LIMIT)]


class Notifications(msgspec.Struct):
    """A call of Graph."""

    value: Annotated[list[Notification], msgspec.Meta(max_length=NOTIFICATION_LIMIT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """What a call of Graph told: users that changed, lifecycle events, and how many entries were not ours."""

    users: tuple[str, ...] = ()
    lifecycle: tuple[str, ...] = ()
    rejected: int = 0
    subscriptions: tuple[str, ...] = ()
    """Ids that the entries of ours name, each once; empty for one that names none."""


def decode(content: bytes, kind: Any) -> Any:
    """Decode JSON into *kind*.

    Raises:
        BadInput: It is not JSON, or not of this shape; ``field`` is the path that msgspec names.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as exc:
        raise BadInput(str(exc), field=_field(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadInput("not JSON") from exc
    except RecursionError as exc:
        raise BadInput("nested too deeply") from exc


def _is_deep(value: Any) -> bool:
    """Say whether lists and objects are nested more than :data:`DEEPEST` times. Needs no stack itself."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        if not inner:
            return False
        level = inner
    return True


_MISSING: Final = re.compile(r"missing required field `([^`]+)`")


def _field(exc: msgspec.ValidationError, *, prefix: str = "") -> str | None:
    """Name the place that msgspec complains about: its path, and the field that is missing there."""
    head, _, path = str(exc).partition(" - at `$")
    missing = _MISSING.search(head)
    parts = (prefix, path.strip("`."), missing[1] if missing else "")
    return ".".join(part for part in parts if part).replace(".[", "[") or None


def same_secret(given: str | None, expected: str) -> bool:
    """Compare in constant time; an unset secret equals nothing."""
    return bool(expected) and hmac.compare_digest((given or "").encode(), expected.encode())


def _is_own(given: Any, tenant_id: str) -> bool:
    """Say whether a tenant id is ours, or left out."""
    return given in (None, "") or (isinstance(given, str) and given.lower() == tenant_id.lower())


def parse_notifications(content: bytes, *, client_state: str, tenant_id: str) -> Notified:
    """Read a call of Graph's change notifications.

    Entries with another clientState or tenant are counted and dropped: Graph still gets its 202, and a stranger
    learns nothing.

    Raises:
        BadInput: The body is not a notification collection.
    """
    users: list[str] = []
    lifecycle: list[str] = []
    rejected = 0
    subscriptions: dict[str, None] = {}
    for entry in decode(content, Notifications).value:
        ours = same_secret(entry.client_state, client_state) and _is_own(entry.tenant_id, tenant_id)
        if not ours:
            rejected += 1
        elif entry.lifecycle_event:
            lifecycle.append(entry.lifecycle_event)
        else:
            named = entry.resource_data.id if entry.resource_data else None
            user = named or (entry.resource or "").rpartition("/")[2]
            if user and len(user) <= LONGEST_IDENTITY:
                users.append(user.lower())
                subscriptions[entry.subscription_id or ""] = None
            else:
                rejected += 1
    return Notified(
        users=tuple(users), lifecycle=tuple(lifecycle), rejected=rejected, subscriptions=tuple(subscriptions)
    )


# -- CloudEvents ----------------------------------------------------------------------------------------------------


class UserMoved(msgspec.Struct, kw_only=True, rename="camel"):
    """``mms.user.moved``."""

    user: Identity
    direction: Literal["toCloud", "toOnPremises"]
    move_to_teams: bool = False


class LicenseChanged(msgspec.Struct, kw_only=True, rename="camel"):
    """``mms.license.changed``."""

    user: Identity
    added: list[str] = []
    removed: list[str] = []


class AudioConferencingChanged(msgspec.Struct, kw_only=True, rename="camel"):
    """``mms.audioconferencing.changed``."""

    user: Identity
    change: Literal["enabled", "disabled", "conferenceId", "bridge", "provider"]
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    public_meetings: bool | None = None
    """T6's condition, where the sender knows it: Graph does not tell."""


class NumberUnassigned(msgspec.Struct, kw_only=True, rename="camel"):
    """``mms.bridge.numberunassigned``."""

    number: Identity
    replacement: str | None = None


class PolicyGranted(msgspec.Struct, kw_only=True, rename="camel"):
    """``mms.policy.granted``: to a user, or to the tenant."""

    user: Identity | None = None
    tenant: bool = False
    policy: str
    mode: str
    migrate_meetings_to_teams: bool | None = None

    def __post_init__(self) -> None:
        if (self.user is None) is not self.tenant:
            raise ValueError("either user or tenant")


class VideoInteropChanged(msgspec.Struct, kw_only=True, rename="camel"):
    """The Cloud Video Interop policy of a user: seen by audit or comparison, there is no event of ours for it."""

    user: Identity
    policy: str | None = None


class Anything(msgspec.Struct, kw_only=True):
    """Events that are recorded as ignored, whatever they carry; with the user, where they name one."""

    user: Identity | None = None


EVENT_TYPES: Final[dict[str, Any]] = {
    "mms.user.moved": UserMoved,
    "mms.license.changed": LicenseChanged,
    "mms.audioconferencing.changed": AudioConferencingChanged,
    "mms.bridge.numberunassigned": NumberUnassigned,
    "mms.policy.granted": PolicyGranted,
    "mms.user.sipaddresschanged": Anything,
    "mms.tenant.meetingurlchanged": Anything,
}
"""The types of design section 5 and the shape of their data."""

VIDEO_INTEROP_TYPE: Final = "videoInteropChanged"
"""Only audit records and comparisons tell it; nobody may post it."""

GRAPH_USER_TYPES: Final = ("Microsoft.Graph.UserUpdated", "Microsoft.Graph.UserDeleted", "Microsoft.Graph.UserCreated")

AnyData = (
    UserMoved
    | LicenseChanged
    | AudioConferencingChanged
    | NumberUnassigned
    | PolicyGranted
    | VideoInteropChanged
    | Anything
)


_JSON: Final = "application/json"


class CloudEvent(msgspec.Struct, kw_only=True):
    """One CloudEvent 1.0 in JSON."""

    specversion: Literal["1.0"]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    subject: str | None = None
    datacontenttype: str | None = None
    data: Any = None
    data_base64: Annotated[bytes | None, msgspec.Meta(description="In place of data: its JSON in Base64.")] = None

    def content(self) -> Any:
        """Return the data, whichever of its two members carries them (JSON event format 1.0, section 3.1).

        Raises:
            BadInput: Both members are there, or there is no JSON in ``data_base64``.
        """
        if self.data_base64 is None:
            return self.data
        if self.data is not None:
            raise BadInput("either data or data_base64", field="data_base64")
        media = (self.datacontenttype or _JSON).partition(";")[0].strip().lower()
        if not media.endswith(("/json", "+json")):
            raise BadInput(f"not {_JSON}", field="datacontenttype")
        try:
            content = decode(self.data_base64, Any)
        except BadInput as exc:
            raise BadInput(exc.detail, field="data_base64") from exc
        if _is_deep([content]):  # data count as an inner level of their event
            raise BadInput(f"nested more than {DEEPEST} deep", field="data_base64")
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedEvent:
    """One event of a call: either it is understood (``problem`` is ``None``) or it says why not."""

    event_id: str
    type: str
    data: dict[str, Any]
    graph_user: str | None = None
    problem: BadInput | None = None

    @property
    def unique_id(self) -> str:
        """The id that is the same for every delivery of this event."""
        return self.event_id


def event_data(kind: str, data: Any) -> AnyData:
    """Check and type the data of one of our own events.

    Raises:
        BadInput: Unknown type, or the data do not fit; ``field`` names the place.
    """
    shape = VideoInteropChanged if kind == VIDEO_INTEROP_TYPE else EVENT_TYPES.get(kind)
    if shape is None:
        raise BadInput("unknown event type", field="type")
    try:
        typed: AnyData = msgspec.convert(data if data is not None else {}, type=shape)
    except msgspec.ValidationError as exc:
        raise BadInput(str(exc), field=_field(exc, prefix="data")) from exc
    return typed


def parse_events(content: bytes, headers: Mapping[str, str], *, tenant_id: str) -> list[ParsedEvent]:
    """Read a call with CloudEvents in structured, batched or binary mode.

    Args:
        content: The body.
        headers: Names in any case.
        tenant_id: Events of Graph for another tenant are refused.

    Returns:
        One result an event, in order; a bad event in a batch does not spoil the others.

    Raises:
        BadInput: The call as a whole is not CloudEvents.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    media = lower.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/cloudevents-batch+json":
        return [_parse_one(each, tenant_id=tenant_id) for each in decode(content, CloudEvents)]
    if media == "application/cloudevents+json":
        return [_parse_one(decode(content, Any), tenant_id=tenant_id)]
    if "ce-specversion" in lower:
        event = {name[3:]: value for name, value in lower.items() if name.startswith("ce-")}
        data = decode(content, Any) if content else None
        return [_parse_one({**event, "data": data}, tenant_id=tenant_id)]
    raise BadInput("Content-Type must be application/cloudevents+json or -batch+json", field="Content-Type")


def _parse_one(raw: Any, *, tenant_id: str) -> ParsedEvent:
    if _is_deep(raw):
        problem = BadInput(f"nested more than {DEEPEST} deep", field="data")
        return ParsedEvent(event_id="", type="", data={}, problem=problem)
    try:
        event = msgspec.convert(raw, type=CloudEvent)
    except msgspec.ValidationError as exc:
        name = str(raw.get("id", "")) if isinstance(raw, dict) else ""
        return ParsedEvent(event_id=name, type="", data={}, problem=BadInput(str(exc), field=_field(exc)))
    # CloudEvents: source and id together are unique.
    unique = f"{event.source}|{event.id}"
    try:
        content = event.content()
        if event.type in GRAPH_USER_TYPES:
            return _graph_event(unique, event, content, tenant_id)
        _own_event(event, content)
    except BadInput as exc:
        return ParsedEvent(event_id=unique, type=event.type, data={}, problem=exc)
    return ParsedEvent(event_id=unique, type=event.type, data=content if isinstance(content, dict) else {})


def _own_event(event: CloudEvent, content: Any) -> None:
    if event.type not in EVENT_TYPES:  # also those that only we ourselves may derive
        raise BadInput("unknown event type", field="type")
    event_data(event.type, content)
    if len(jsontext.dumps([event.source, event.id, content])) > LARGEST_EVENT:
        raise BadInput(f"an event of more than {LARGEST_EVENT} bytes", field="data")


def _graph_event(unique: str, event: CloudEvent, data: Any, tenant_id: str) -> ParsedEvent:
    if not isinstance(data, dict | None):
        raise BadInput("an object, or nothing", field="data")
    data = data or {}
    resource = data.get("resourceData")
    user = resource.get("id") if isinstance(resource, dict) else None
    user = user or (event.subject or "").rpartition("/")[2]
    if not isinstance(user, str) or not 0 < len(user) <= LONGEST_IDENTITY:
        raise BadInput("the user's id is missing", field="data.resourceData.id")
    if not _is_own(data.get("tenantId"), tenant_id):
        raise BadInput("the event is of another tenant", field="data.tenantId")
    return ParsedEvent(event_id=unique, type=event.type, data={}, graph_user=user.lower())


# -- Management Activity ----------------------------------------------------------------------------------------------


class Content(msgspec.Struct, kw_only=True, rename="camel"):
    """Audit records that are ready to be fetched."""

    content_uri: Annotated[str, msgspec.Meta(max_length=LONGEST_URI)]
    tenant_id: str | None = None


def parse_activity(content: bytes, *, tenant_id: str) -> tuple[str, ...]:
    """Read the content addresses of an activity-feed notification, each once.

    Raises:
        BadInput: The body is not a list of contents.
    """
    items: list[Content] = decode(content, list[Content])
    return tuple(dict.fromkeys(item.content_uri for item in items if _is_own(item.tenant_id, tenant_id)))
