"""The tenant's tables in memory with their indexes, kept in step with the journal."""

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mms_simulator import jsontext, model
from mms_simulator.clock import Clock
from mms_simulator.errors import mailbox_not_enabled, resource_not_found
from mms_simulator.ids import split_id
from mms_simulator.journal import Journal
from mms_simulator.switches import Switches

_KINDS: dict[str, type[msgspec.Struct]] = {
    "user": model.User,
    "item": model.Item,
    "copy": model.Copy,
    "meeting": model.OnlineMeeting,
    "subscription": model.Subscription,
    "feed": model.FeedSubscription,
    "mail": model.Mail,
    "content": model.Content,
    "audit": model.Audit,
    "delivery": model.Delivery,
    "registration": model.Registration,
    "setting": model.Setting,
}
_log = logging.getLogger(__name__)
_NAMES = {kind: name for name, kind in _KINDS.items()}
_LOG_LENGTH = 100_000
DEFAULT_TENANT = "5f1b9a2c-70d4-4c8e-9b36-2e8d1a4f6c07"
"""The tenant's id when none is given."""


class Mailbox:
    """Index of one mailbox: its items in order of creation, its exceptions by series, its attendee copies."""

    __slots__ = ("copies", "exceptions", "items")

    def __init__(self) -> None:
        self.items: dict[str, model.Item] = {}
        self.exceptions: dict[str, dict[int, model.Item]] = {}
        self.copies: dict[str, model.Copy] = {}


class Store:
    """All records. ``save`` and ``drop`` change table, index and journal together; ``commit`` ends a transaction."""

    def __init__(self, directory: Path | None = None, tenant_id: str = DEFAULT_TENANT) -> None:
        self.clock = Clock()
        self.tenant_id = tenant_id
        self.base = "http://127.0.0.1"
        """Scheme, host and port of this server, known once it listens."""
        self.switches = Switches()
        self.journal = Journal(directory)
        self.users: dict[str, model.User] = {}
        self.user_names: dict[str, str] = {}
        self.mailboxes: dict[str, Mailbox] = {}
        self.sources: dict[str, dict[str, str]] = {}
        """For each organiser's item the copies of it: mailbox to copy id."""
        self.meetings: dict[str, model.OnlineMeeting] = {}
        self.meeting_threads: dict[str, str] = {}
        self.meeting_codes: dict[str, str] = {}
        self.meeting_external: dict[tuple[str, str], str] = {}
        self.subscriptions: dict[str, model.Subscription] = {}
        self.feed: dict[str, model.FeedSubscription] = {}
        self.outbox: dict[int, model.Mail] = {}
        self.contents: dict[str, model.Content] = {}
        self.audits: deque[model.Audit] = deque(maxlen=_LOG_LENGTH)
        self.deliveries: dict[str, model.Delivery] = {}
        self.registrations: dict[str, model.Registration] = {}
        self.settings: dict[str, Any] = {}
        for name, rows in self.journal.load().items():
            kind = _KINDS[name]
            for key, row in rows.items():
                try:
                    self._index(jsontext.decode_as(row, kind))
                except ValueError:
                    _log.exception("a record cannot be read and is left out", extra={"kind": name, "key": key})
        if "switches" in self.settings:
            self.switches = msgspec.convert(self.settings["switches"], Switches)
        self.clock.offset = float(self.settings.get("clock", 0))
        self.journal.rewrite(self._records())

    def save(self, record: msgspec.Struct) -> None:
        """Insert or replace a record."""
        self._index(record)
        if self.journal.enabled:
            self.journal.put(_NAMES[type(record)], key_of(record), jsontext.encode(record))

    def drop(self, record: msgspec.Struct) -> None:
        """Remove a record."""
        self._unindex(record)
        if self.journal.enabled:
            self.journal.put(_NAMES[type(record)], key_of(record), b"")

    def commit(self) -> None:
        """Make everything since the last commit durable."""
        self.journal.commit()
        if self.journal.wants_compaction:
            self.journal.rewrite(self._records())

    def setting(self, name: str, value: object) -> None:
        """Keep a value of the tenant itself."""
        self.save(model.Setting(id=name, value=value))

    def find_user(self, identity: str) -> model.User | None:
        """Find a user by object id, user principal name, mail address or SIP address (with or without ``sip:``)."""
        key = identity.lower()
        user_id = key if key in self.users else self.user_names.get(key.removeprefix("sip:"))
        return self.users.get(user_id) if user_id else None

    def user(self, identity: str) -> model.User:
        """Find a user or answer 404."""
        found = self.find_user(identity)
        if found is None:
            raise resource_not_found(identity)
        return found

    def mailbox_user(self, identity: str) -> model.User:
        """Find a user whose mailbox is in Exchange Online, or answer 404 as Graph does (8.3)."""
        user = self.user(identity)
        if user.mailbox != "exchangeOnline":
            raise mailbox_not_enabled()
        return user

    def mailbox(self, user_id: str) -> Mailbox:
        """Give the index of a mailbox, an empty one when nothing is in it yet."""
        found = self.mailboxes.get(user_id)
        if found is None:
            found = self.mailboxes[user_id] = Mailbox()
        return found

    def source_of(self, copy: model.Copy) -> model.Item:
        """Give the organiser's item behind a copy; an exception for who was invited to one occurrence only."""
        box = self.mailboxes[copy.source_mailbox]
        found = box.items.get(copy.source)
        if found is not None:
            return found
        master, day = split_id(copy.source)
        return box.exceptions[master][day]

    def copies_of(self, item: model.Item) -> Iterator[model.Copy]:
        """Give all attendees' copies of an item."""
        for mailbox, copy_id in list(self.sources.get(item.id, {}).items()):
            yield self.mailboxes[mailbox].copies[copy_id]

    def next_number(self, name: str) -> int:
        """Count up a named counter of the tenant."""
        value = int(self.settings.get(name, 0)) + 1
        self.setting(name, value)
        return value

    def _records(self) -> Iterator[tuple[str, str, bytes]]:
        tables: tuple[Any, ...] = (
            self.users.values(),
            (item for box in self.mailboxes.values() for item in box.items.values()),
            (item for box in self.mailboxes.values() for series in box.exceptions.values() for item in series.values()),
            (copy for box in self.mailboxes.values() for copy in box.copies.values()),
            self.meetings.values(),
            self.subscriptions.values(),
            self.feed.values(),
            self.outbox.values(),
            self.contents.values(),
            self.audits,
            self.deliveries.values(),
            self.registrations.values(),
            (model.Setting(id=name, value=value) for name, value in self.settings.items()),
        )
        for table in tables:
            for record in table:
                yield _NAMES[type(record)], key_of(record), jsontext.encode(record)

    def _index(self, record: Any) -> None:  # noqa: C901, PLR0912 - one line a kind
        match record:
            case model.User():
                old = self.users.get(record.id)
                if old is not None:
                    self._forget_names(old)
                self.users[record.id] = record
                for name in _names(record):
                    self.user_names[name] = record.id
            case model.Item():
                box = self.mailbox(record.mailbox)
                if record.master:
                    box.exceptions.setdefault(record.master, {})[record.day] = record
                else:
                    box.items[record.id] = record
            case model.Copy():
                self.mailbox(record.mailbox).copies[record.id] = record
                self.sources.setdefault(record.source, {})[record.mailbox] = record.id
            case model.OnlineMeeting():
                self.meetings[record.id] = record
                self.meeting_threads[record.thread.lower()] = record.id
                self.meeting_codes[record.code] = record.id
                self.meeting_codes[record.short_code] = record.id
                if record.external_id:
                    self.meeting_external[record.organizer, record.external_id] = record.id
            case model.Subscription():
                self.subscriptions[record.id] = record
            case model.FeedSubscription():
                self.feed[record.contentType.lower()] = record
            case model.Mail():
                self.outbox[record.id] = record
            case model.Content():
                self.contents[record.id] = record
            case model.Audit():
                self.audits.append(record)
            case model.Delivery():
                self.deliveries[record.id] = record
            case model.Registration():
                self.registrations[record.id] = record
            case model.Setting():
                self.settings[record.id] = record.value

    def _unindex(self, record: Any) -> None:  # noqa: C901 - one line a kind
        match record:
            case model.User():
                self._forget_names(record)
                self.users.pop(record.id, None)
            case model.Item():
                box = self.mailbox(record.mailbox)
                if record.master:
                    box.exceptions.get(record.master, {}).pop(record.day, None)
                else:
                    box.items.pop(record.id, None)
            case model.Copy():
                self.mailbox(record.mailbox).copies.pop(record.id, None)
                self.sources.get(record.source, {}).pop(record.mailbox, None)
            case model.OnlineMeeting():
                self._forget_meeting(record)
            case model.Subscription():
                self.subscriptions.pop(record.id, None)
            case model.FeedSubscription():
                self.feed.pop(record.contentType.lower(), None)
            case model.Mail():
                self.outbox.pop(record.id, None)
            case model.Delivery():
                self.deliveries.pop(record.id, None)
            case model.Registration():
                self.registrations.pop(record.id, None)
            case model.Setting():
                self.settings.pop(record.id, None)

    def _forget_names(self, user: model.User) -> None:
        for name in _names(user):
            if self.user_names.get(name) == user.id:
                del self.user_names[name]

    def _forget_meeting(self, meeting: model.OnlineMeeting) -> None:
        self.meetings.pop(meeting.id, None)
        self.meeting_threads.pop(meeting.thread.lower(), None)
        self.meeting_codes.pop(meeting.code, None)
        self.meeting_codes.pop(meeting.short_code, None)
        if meeting.external_id:
            self.meeting_external.pop((meeting.organizer, meeting.external_id), None)


def find_item(box: Mailbox, event_id: str) -> tuple[model.Item | model.Copy | None, int]:
    """Find the item or copy an event id means, and the day when it means one occurrence."""
    item_id, day = split_id(event_id)
    return box.items.get(item_id) or box.copies.get(item_id), day


def key_of(record: Any) -> str:
    """Give the key under which the journal keeps a record."""
    return str(record.contentType if isinstance(record, model.FeedSubscription) else record.id)


def _names(user: model.User) -> tuple[str, ...]:
    return tuple({user.upn.lower(), user.mail.lower(), user.sip.lower().removeprefix("sip:")} - {""})
