"""Queue messages: versioned JSON, small, and hints only. The truth is the row that they point at.

A message that this version does not understand raises :class:`UnknownMessage`; the host then moves it to the poison
queue, where it is kept and shown.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mms_core.model import Selection, Turn  # noqa: TC001 - msgspec resolves it when it decodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION: Final = 1
SIZE_LIMIT: Final = 48 * 1024
"""Bytes before base64: 64 KiB is the queue's limit after it."""
_ROOM: Final = SIZE_LIMIT - 512
"""Bytes of a message that a list may take; the rest is for what stands around it."""
CONTENTS_A_MESSAGE: Final = 50


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of all messages; ``v`` is the schema version, ``attempt`` counts how often it was put back."""

    v: int = VERSION
    attempt: int = 0


class Wake(Message, frozen=True, kw_only=True, tag="wake"):
    """Look at this user's run; ``wake_id`` must be the row's, otherwise the message is a leftover."""

    user: str
    wake_id: str
    due: str = ""
    """When it is due, ISO 8601: tells the sweep how far the queue has come. Empty in older messages."""


class Resolve(Message, frozen=True, kw_only=True, tag="resolve"):
    """Find out who the name of this provisional record is, and merge."""

    user: str


class StartMany(Message, frozen=True, kw_only=True, tag="startMany"):
    """Some rows of a large list: place in the list, key and identity of each, and what all have in common."""

    batch: str
    rows: tuple[tuple[int, str, str], ...] = ()
    reason: str
    source: str
    target: str
    settle_seconds: float = 0.0
    not_before: str | None = None
    actor: str | None = None
    selection: Selection | None = None
    first_at: str = ""
    """When the list's first row is due, ISO 8601."""
    per_minute: int = 0
    """Rows of the list that become due in a minute, in the order of the list; 0 for all at once."""
    first: int = 0
    """Place of the row that is due at ``first_at``: the first of its rank."""
    turn: Turn | None = None
    """Of these rows; all have the same rank."""


class UsersChanged(Message, frozen=True, kw_only=True, tag="usersChanged"):
    """Graph says that these users were updated; it does not say what."""

    users: tuple[str, ...]
    received: str
    proof: str = "notification"
    """What told us: ``notification``, ``eventGrid``, ``audit``."""


class TenantEvent(Message, frozen=True, kw_only=True, tag="event"):
    """One CloudEvent of ours, already checked; ``event_id`` is unique for its source."""

    event_id: str
    type: str
    data: dict[str, Any]
    actor: str | None = None
    proof: str = ""
    """What the sender proved itself with: ``token``, ``signature``."""


class ActivityContent(Message, frozen=True, kw_only=True, tag="activity"):
    """Audit records are ready to be fetched; ``uris`` have been checked against the allowed host."""

    uris: tuple[str, ...]


class Batch(Message, frozen=True, kw_only=True, tag="batch"):
    """One call told more than one thing: the messages that came of it, or the batch whose rows hold them."""

    batch: str = ""
    """Empty where this message itself holds all of them."""
    texts: tuple[str, ...] = ()


class LookAfterSubscriptions(Message, frozen=True, kw_only=True, tag="subscriptions"):
    """Graph sent a lifecycle notification: do not wait for the timer."""

    renews: bool = False
    """It was ``reauthorizationRequired``: nothing more is told until the subscription has been renewed."""


class Preview(Message, frozen=True, kw_only=True, tag="preview"):
    """A preview was asked for; its document says what."""

    preview_id: str


class Notice(Message, frozen=True, kw_only=True, tag="notice"):
    """Tell the organizer about a run: ``notice`` is ``before`` or ``after``."""

    user: str
    run: str
    notice: str
    place_at: str = ""
    """When it is its turn to be sent, ISO 8601, once that is known."""


class JobStep(Message, frozen=True, kw_only=True, tag="job"):
    """Do the next page of a long job; its document says which. Another ``run`` than the document's is a leftover."""

    job: str
    run: str


AnyMessage = (
    Wake
    | Resolve
    | StartMany
    | UsersChanged
    | TenantEvent
    | ActivityContent
    | Batch
    | LookAfterSubscriptions
    | Preview
    | JobStep
    | Notice
)

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[AnyMessage]] = msgspec.json.Decoder(AnyMessage)


class UnknownMessage(Exception):
    """The message is not one of ours, or of a newer version; it goes to the poison queue with this reason."""


def encode(message: AnyMessage) -> str:
    """Return the message as text.

    Raises:
        ValueError: It would not fit into a queue message.
    """
    encoded = _ENCODER.encode(message)
    if len(encoded) > SIZE_LIMIT:
        raise ValueError(f"message of {len(encoded)} bytes, {SIZE_LIMIT} fit")
    return encoded.decode()


def together(messages: Iterable[AnyMessage]) -> Batch | None:
    """Put messages into one, ``None`` where they do not fit."""
    batch = Batch(texts=tuple(map(encode, messages)))
    return batch if len(_ENCODER.encode(batch)) <= SIZE_LIMIT else None


def decode(text: str | bytes) -> AnyMessage:
    """Read a message of this or an older version.

    Raises:
        UnknownMessage: Anything else.
    """
    try:
        message = _DECODER.decode(text)
    except msgspec.MsgspecError as exc:
        raise UnknownMessage(f"not understood: {exc}") from exc
    if message.v > VERSION:
        raise UnknownMessage(f"version {message.v} is newer than {VERSION}")
    return message


def kind_of(text: str) -> str:
    """Return the name of a message's type, ``unknown`` where this version does not understand it."""
    try:
        return type(decode(text)).__name__
    except UnknownMessage:
        return "unknown"


def due_of(message: AnyMessage) -> datetime | None:
    """Return when a wake-up is due, ``None`` if it does not say or is no wake-up."""
    if not isinstance(message, Wake) or not message.due:
        return None
    try:
        return datetime.fromisoformat(message.due).astimezone(UTC)
    except ValueError:
        return None


def _fitting(texts: Iterable[str], *, most: int) -> Iterator[tuple[str, ...]]:
    """Split texts into parts that fit into a message each, of *most* texts at most, in order."""
    part: list[str] = []
    size = 0
    for text in texts:
        needed = len(_ENCODER.encode(text)) + 1  # with its quotes and escapes, and a comma
        if part and (len(part) == most or size + needed > _ROOM):
            yield tuple(part)
            part, size = [], 0
        part.append(text)
        size += needed
    if part:
        yield tuple(part)


def users_changed(users: Iterable[str], *, received: str, proof: str = "notification") -> list[UsersChanged]:
    """Put user ids into as few messages as they fit in, each id once, in order: a thousand GUIDs into one."""
    return [
        UsersChanged(users=part, received=received, proof=proof)
        for part in _fitting(dict.fromkeys(users), most=SIZE_LIMIT)
    ]


def activity_content(uris: Iterable[str]) -> list[ActivityContent]:
    """Put addresses into messages that take a worker a while each, not hours."""
    return [ActivityContent(uris=part) for part in _fitting(uris, most=CONTENTS_A_MESSAGE)]
