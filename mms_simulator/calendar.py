"""Writing to calendars: create, change, cancel, delete, answer (fact sheet 1.2 to 1.6)."""

import copy as copying
from dataclasses import dataclass
from typing import Any

import msgspec

from mms_simulator import content, ids, notify, online, outbox, recurrence, series
from mms_simulator.errors import GraphError, bad_request, change_key_conflict, item_not_found, malformed_id
from mms_simulator.model import Calendar, Copy, Item, User, plain_text
from mms_simulator.store import Store, find_item
from mms_simulator.zones import graph_instant

_PRIVATE_COPY = {
    "categories": "categories", "showAs": "show_as", "isReminderOn": "reminder_on", "sensitivity": "sensitivity",
    "reminderMinutesBeforeStart": "reminder_minutes",
}  # fmt: skip


@dataclass(slots=True)
class Target:
    """What an event id means in a mailbox: an item (an exception too), a plain occurrence, or an attendee's copy."""

    user: User
    item: Item
    """The item itself; for a plain occurrence and for a copy the one it is computed from."""
    day: int = 0
    """Of the occurrence; 0 for singles and masters."""
    copy: Copy | None = None

    @property
    def computed(self) -> bool:
        """Whether this is an occurrence that nobody has written yet."""
        return bool(self.day) and not self.item.master

    @property
    def home(self) -> str:
        """The id of the calendar that it is in."""
        return self.copy.calendar if self.copy else self.item.calendar


def resolve(store: Store, user: User, event_id: str) -> Target:
    """Find what *event_id* means, or answer 404 ErrorItemNotFound."""
    box = store.mailbox(user.id)
    found, day = find_item(box, event_id)
    if found is None or (isinstance(found, Item) and found.gone):
        raise malformed_id() if ids.is_malformed(event_id) else item_not_found()
    copy = found if isinstance(found, Copy) else None
    item = store.source_of(found) if isinstance(found, Copy) else found
    if day:
        exception = store.mailbox(item.mailbox).exceptions.get(item.id, {}).get(day)
        if exception is None and not series.exists(item, day):
            raise item_not_found()
        item = exception or item
    return Target(user, item, day, copy)


def create(store: Store, user: User, calendar: Calendar, payload: dict[str, Any]) -> Target:
    """Write a new event: invite, give internal attendees their copies, make the meeting the flags ask for."""
    box = store.mailbox(user.id)
    transaction = payload.get("transactionId")
    if transaction:
        for known in box.items.values():
            if known.transaction_id == transaction and not known.gone:
                return Target(user, known)
    for name in ("start", "end"):
        if not payload.get(name):
            raise bad_request(f"The property '{name}' is required.", "ErrorPropertyValidationFailure")
    _check_editable(calendar)
    now = store.clock.now()
    item_id = ids.new_item_id(user.id)
    organizer = ((payload.get("organizer") or {}).get("emailAddress") or {}).get("address") or user.mail
    own = store.find_user(organizer)
    item = Item(
        id=item_id,
        mailbox=user.id,
        calendar=calendar.id,
        uid=ids.series_uid(item_id),
        created=now,
        modified=now,
        start=0,
        end=0,
        transaction_id=transaction,
        organizer_address=user.mail if own is not None and own.id == user.id else organizer,
        organizer_name=own.name if own else organizer,
    )
    content.apply(item, payload)
    item.own_body = False
    if item.recurrence:
        _align(item)
    if is_organizer(user, item):
        outbox.check_sending_limits(store, user, len(content.attendee_addresses(item)))
        online.settle(store, user, None, item, payload)
    store.save(item)
    if is_organizer(user, item):
        _sync_copies(store, item)
        outbox.send(store, item, "invitation")
    notify.event_changed(store, user.id, item.id, etag(store, item), "created")
    return Target(user, item)


def change(store: Store, target: Target, payload: dict[str, Any], if_match: str | None) -> Target:
    """Write to an event; an occurrence becomes an exception, and the outbox gets who is to know (1.5)."""
    _check_editable(calendar_of(target.user, target.home))
    check_etag(store, target, if_match)
    _check_read_only(store, payload)
    if target.copy:
        _change_copy(store, target.copy, payload)
        return target
    now = store.clock.now()
    box = store.mailbox(target.user.id)
    old = series.new_exception(target.item, target.day, now) if target.computed else target.item
    new = copying.copy(old)
    content.apply(new, payload)
    if is_organizer(target.user, old):
        online.settle(store, target.user, old, new, payload)
    if new.master:
        series.check_order(box, box.items[new.master], new)
    elif new.recurrence and ("recurrence" in payload or "start" in payload):
        _align(new)
    changed = content.changed_fields(old, new)
    visible = _visible(store, changed, payload)
    mailing = bool(visible) and is_organizer(target.user, new)
    if mailing:
        outbox.check_sending_limits(store, target.user, len(content.attendee_addresses(new)))
    new.version, new.modified = old.version + 1, now
    if new.draft and mailing and store.switches.patchSendsDraft:
        new.draft = False
        old = msgspec.structs.replace(old, attendees=[])
        visible |= {"attendees"}
    store.save(new)
    dropped = _reset_exceptions(store, old, new, changed)
    online.follow(store, new, changed)
    _spread_to_exceptions(store, old, new, changed)
    if mailing:
        _sync_copies(store, new)
        if not new.draft:
            _mail_update(store, old, new, visible, exceptions=not dropped)
        _notify_copies(store, new)
    notify.event_changed(store, target.user.id, new.id, etag(store, new), "updated")
    return Target(target.user, new, target.day)


def remove(store: Store, target: Target, if_match: str | None = None) -> None:
    """Delete or cancel: attendees of the organiser's item are told, their copies stay as cancelled (1.2)."""
    _check_editable(calendar_of(target.user, target.home))
    check_etag(store, target, if_match)
    if target.copy:
        if not target.day:
            store.drop(target.copy)
        return
    user, item = target.user, target.item
    mails = is_organizer(user, item) and not item.draft
    if target.day:
        _cancel_occurrence(store, target, mails=mails)
        return
    if mails:
        outbox.send(store, item, "cancellation")
    for exception in list(store.mailbox(user.id).exceptions.get(item.id, {}).values()):
        _drop_exception(store, exception)
    copies = list(store.copies_of(item))
    if copies:
        gone = msgspec.structs.replace(item, gone=True, cancelled=True, version=item.version + 1)
        store.save(gone)
        for copy in copies:
            notify.event_changed(store, copy.mailbox, copy.id, "", "updated")
    else:
        store.drop(item)
    notify.event_changed(store, user.id, item.id, "", "deleted")


def respond(store: Store, target: Target, response: str, *, send: bool) -> None:
    """Let an attendee accept or decline; the answer shows on the organiser's side."""
    if target.copy is None:
        raise bad_request("You can't respond to this meeting: you are its organizer.", "ErrorInvalidRequest")
    now = store.clock.now()
    answered = msgspec.structs.replace(target.copy, response=response, responded=now, version=target.copy.version + 1)
    store.save(answered)
    source = copying.copy(store.source_of(answered))
    me = plain_text(target.user.mail)
    status = {"response": response, "time": graph_instant(now)}
    source.attendees = [
        {**row, "status": status} if plain_text(row["emailAddress"]["address"]) == me else row
        for row in source.attendees
    ]
    source.version, source.modified = source.version + 1, now
    store.save(source)
    if send:
        outbox.record(
            store, target.user.mail, "message", [source.organizer_address], event_id=answered.id, uid=source.uid
        )


def attach(store: Store, target: Target, given: dict[str, Any]) -> dict[str, Any]:
    """Put an attachment on an event; gives it as Graph shows it, without the content."""
    item = copying.copy(target.item)
    row = {
        "@odata.type": given.get("@odata.type") or "#microsoft.graph.fileAttachment",
        "id": ids.new_item_id(item.mailbox),
        "lastModifiedDateTime": graph_instant(int(store.clock.now())),
        "name": given["name"],
        "contentType": given.get("contentType") or "application/octet-stream",
        "size": int(given.get("size") or len(given.get("contentBytes") or "") * 3 // 4),
        "isInline": given.get("isInline") is True,
    }
    item.attachments = [*item.attachments, row]
    item.version, item.modified = item.version + 1, store.clock.now()
    store.save(item)
    return row


def is_organizer(user: User, item: Item) -> bool:
    """Tell whether the mailbox's owner organises the item, a delegate's work included (1.2)."""
    return plain_text(item.organizer_address) == plain_text(user.mail)


def etag(store: Store, item: Item, copy: Copy | None = None) -> str:
    """Give the change key as it is now; with housekeeping it moves by itself some time after creation (1.6)."""
    version = item.version + (copy.version if copy else 0)
    if store.switches.etagHousekeeping and store.clock.now() >= _housekept(store, item):
        version += 1_000_000
    return ids.change_key(copy.id if copy else item.id, version)


def modified(store: Store, item: Item) -> float:
    """Give the instant of the last change, the one that housekeeping made included (1.6)."""
    if store.switches.etagHousekeeping and store.clock.now() >= _housekept(store, item):
        return max(item.modified, _housekept(store, item))
    return item.modified


def _housekept(store: Store, item: Item) -> float:
    return item.created + store.switches.housekeepingSeconds


def check_etag(store: Store, target: Target, if_match: str | None) -> None:
    """Refuse a write whose If-Match is out of date, with the status the switch says (1.6)."""
    if not if_match or if_match == "*" or store.switches.ifMatch == "ignore":
        return
    wanted = if_match.strip().removeprefix("W/").strip('"')
    if wanted != etag(store, target.item, target.copy):
        raise change_key_conflict(int(store.switches.ifMatch))


def _align(item: Item) -> None:
    """Move a series' first occurrence to the first day of its pattern, as Outlook does."""
    if item.recurrence is None:
        return
    first = next(recurrence.days(item.recurrence), None)
    if first is None:
        raise bad_request("The recurrence pattern has no occurrences.", "ErrorInvalidRecurrence")
    length = item.end - item.start
    item.start = series.start_of(item, first.toordinal())
    item.end = item.start + length


def _check_editable(home: Calendar) -> None:
    """Refuse a write to a calendar that its user may only read (2.3)."""
    if not home.can_edit:
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def _check_read_only(store: Store, payload: dict[str, Any]) -> None:
    refused = content.READ_ONLY & payload.keys()
    if refused and store.switches.readOnlyProperties == "refuse":
        raise bad_request(f"The property '{min(refused)}' is read-only.", "ErrorInvalidProperty")


def _change_copy(store: Store, copy: Copy, payload: dict[str, Any]) -> None:
    """Keep what an attendee may set in a copy; the rest belongs to the organiser."""
    own = {field: payload[name] for name, field in _PRIVATE_COPY.items() if name in payload}
    store.save(msgspec.structs.replace(copy, own={**copy.own, **own}, version=copy.version + 1))


def _visible(store: Store, changed: set[str], payload: dict[str, Any]) -> set[str]:
    """Give the changes that attendees can see (1.5)."""
    switches = store.switches
    private = content.PRIVATE if switches.mailForImportance else content.PRIVATE | {"importance"}
    visible = changed - private - {"transaction_id", "reminder_on"}
    if switches.mailOnUnchanged:
        visible |= payload.keys() & {"subject", "body", "location", "locations", "start", "end"}
    return visible


def _mail_update(store: Store, old: Item, new: Item, visible: set[str], *, exceptions: bool) -> None:
    before, after = content.attendee_addresses(old), content.attendee_addresses(new)
    added = [address for address in after if address not in before]
    removed = [address for address in before if address not in after]
    lists = {plain_text(name) for name in store.switches.distributionLists}
    if visible == {"attendees"} and (added or removed) and not lists & set(removed):
        outbox.send(store, new, "invitation", added)
        outbox.send(store, new, "cancellation", removed)
        return
    outbox.send(store, new, "update", [address for address in after if address in before])
    outbox.send(store, new, "invitation", added)
    outbox.send(store, new, "cancellation", removed)
    if new.recurrence and exceptions and store.switches.masterMailsExceptions:
        for exception in store.mailbox(new.mailbox).exceptions.get(new.id, {}).values():
            outbox.send(store, exception, "update")


def _reset_exceptions(store: Store, old: Item, new: Item, changed: set[str]) -> bool:
    """Put modified and cancelled occurrences back when the series' own time or pattern changes."""
    moved = old.recurrence is not None and changed & {"recurrence", "start", "end", "all_day"}
    if not moved or not store.switches.patternChangeDropsExceptions:
        return False
    for exception in list(store.mailbox(new.mailbox).exceptions.get(new.id, {}).values()):
        _drop_exception(store, exception)
    new.cancelled_days = []
    store.save(new)
    return True


def _spread_to_exceptions(store: Store, old: Item, new: Item, changed: set[str]) -> None:
    """Carry to the exceptions what they share with their series: attendees, and by switch the body (11e)."""
    body = "body" in changed and store.switches.exceptionBody == "inherit"
    if not new.recurrence or not (body or "attendees" in changed):
        return
    before, after = set(content.attendee_addresses(old)), set(content.attendee_addresses(new))
    for exception in list(store.mailbox(new.mailbox).exceptions.get(new.id, {}).values()):
        edited = copying.copy(exception)
        if body and not exception.own_body:
            edited.body, edited.body_type = new.body, new.body_type
            edited.online, edited.meeting, edited.provider = new.online, new.meeting, new.provider
        if "attendees" in changed:
            had = set(content.attendee_addresses(exception))
            kept = [
                row for row in exception.attendees if plain_text(row["emailAddress"]["address"]) not in before - after
            ]
            joined = [
                row for row in new.attendees if plain_text(row["emailAddress"]["address"]) in after - before - had
            ]
            edited.attendees = kept + joined
        edited.version += 1
        store.save(edited)
        _sync_copies(store, edited)


def _drop_exception(store: Store, exception: Item) -> None:
    """Forget an exception; who was invited to it alone keeps a cancelled copy, as of any meeting (1.2)."""
    copies = list(store.copies_of(exception))
    store.drop(exception)
    if not copies:
        return
    gone = msgspec.structs.replace(
        exception,
        id=ids.new_item_id(exception.mailbox),
        uid=outbox.uid_of(exception),
        master=None,
        day=0,
        gone=True,
        cancelled=True,
        version=exception.version + 1,
    )
    store.save(gone)
    for each in copies:
        store.drop(each)
        store.save(msgspec.structs.replace(each, source=gone.id))
        notify.event_changed(store, each.mailbox, each.id, etag(store, gone, each), "updated")


def _cancel_occurrence(store: Store, target: Target, *, mails: bool) -> None:
    box = store.mailbox(target.user.id)
    master = box.items[ids.split_id(target.item.id)[0]]
    exception = box.exceptions.get(master.id, {}).get(target.day)
    shown = exception or series.new_exception(master, target.day, store.clock.now())
    if mails:
        outbox.send(store, shown, "cancellation")
    if exception:
        _drop_exception(store, exception)
    changed = copying.copy(master)
    changed.cancelled_days = sorted({*master.cancelled_days, target.day})
    changed.version, changed.modified = master.version + 1, store.clock.now()
    store.save(changed)
    _notify_copies(store, changed)
    notify.event_changed(store, target.user.id, shown.id, "", "deleted")


def _sync_copies(store: Store, item: Item) -> None:
    """Give each internal attendee a copy in their own mailbox; those who were taken off keep a cancelled one (1.2).

    An exception has copies for those alone who are not invited to its series.
    """
    wanted = {
        user.id: user
        for user in map(store.find_user, content.attendee_addresses(item))
        if user is not None and user.mailbox == "exchangeOnline" and user.id != item.mailbox
    }
    if item.master:
        series_copies = store.copies_of(store.mailbox(item.mailbox).items[item.master])
        invited = {copy.mailbox for copy in series_copies if not copy.cancelled}
        wanted = {user_id: user for user_id, user in wanted.items() if user_id not in invited}
    elif item.recurrence:
        for exception in store.mailbox(item.mailbox).exceptions.get(item.id, {}).values():
            for copy in store.copies_of(exception):
                if copy.mailbox in wanted:  # the copy of the whole series shows this occurrence from now on
                    store.drop(copy)
                    notify.event_changed(store, copy.mailbox, copy.id, "", "deleted")
    known = {copy.mailbox: copy for copy in store.copies_of(item)}
    now = store.clock.now()
    for user_id, user in wanted.items():
        if user_id not in known:
            calendar = default_calendar(user)
            copy = Copy(
                id=ids.new_item_id(user_id),
                mailbox=user_id,
                calendar=calendar.id,
                source_mailbox=item.mailbox,
                source=item.id,
                created=now,
            )
            store.save(copy)
            notify.event_changed(store, user_id, copy.id, etag(store, item, copy), "created")
    for user_id, copy in known.items():
        if copy.cancelled != (user_id not in wanted):
            store.save(msgspec.structs.replace(copy, cancelled=user_id not in wanted, version=copy.version + 1))


def _notify_copies(store: Store, item: Item) -> None:
    if not store.subscriptions:
        return
    sources = [store.mailbox(item.mailbox).items[item.master], item] if item.master else [item]
    for source in sources:
        for copy in store.copies_of(source):
            notify.event_changed(store, copy.mailbox, copy.id, etag(store, source, copy), "updated")


def default_calendar(user: User) -> Calendar:
    """Give the calendar that every mailbox has."""
    return next(calendar for calendar in user.calendars if calendar.is_default)


def calendar_of(user: User, calendar_id: str) -> Calendar:
    """Find a calendar by id, or answer 404."""
    for calendar in user.calendars:
        if calendar.id == calendar_id:
            return calendar
    raise malformed_id() if ids.is_malformed(calendar_id) else item_not_found()
