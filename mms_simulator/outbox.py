"""Who gets mail for what (fact sheet 1.5), recorded instead of sent."""

from datetime import date

from mms_simulator import content
from mms_simulator.errors import GraphError
from mms_simulator.ids import occurrence_uid
from mms_simulator.model import Item, Mail, User
from mms_simulator.store import Store

_MINUTE = 60
_DAY = 86_400


def send(store: Store, item: Item, reason: str, recipients: list[str] | None = None) -> None:
    """Record a mail about *item* to its attendees, or to the *recipients* given; to nobody is no mail."""
    to = content.attendee_addresses(item) if recipients is None else recipients
    if not to:
        return
    record(store, item.organizer_address, reason, to, event_id=item.id, uid=uid_of(item))


def record(
    store: Store,
    organizer: str,
    reason: str,
    recipients: list[str],
    *,
    event_id: str | None = None,
    uid: str | None = None,
) -> None:
    """Write a row of the outbox."""
    store.save(
        Mail(
            id=store.next_number("mails"),
            at=store.clock.now(),
            organizer=organizer,
            eventId=event_id,
            iCalUId=uid,
            recipients=recipients,
            reason=reason,
        )
    )


def uid_of(item: Item) -> str:
    """Give an item's iCalUId: that of an exception carries its day."""
    if not item.master:
        return item.uid
    year, month, day = item_date(item.day)
    return occurrence_uid(item.uid, year, month, day)


def item_date(day: int) -> tuple[int, int, int]:
    """Give year, month and day of a proleptic ordinal."""
    found = date.fromordinal(day)
    return found.year, found.month, found.day


def check_sending_limits(store: Store, user: User, recipients: int) -> None:
    """Refuse a write that would mail over the mailbox's sending limits (1.5, 8.3); only with throttling on."""
    limits = store.switches
    if not limits.throttle or not recipients:
        return
    now = store.clock.now()
    minute = day = 0
    for mail in reversed(store.outbox.values()):
        if mail.at < now - _DAY:
            break
        if mail.organizer.lower() == user.mail.lower():
            minute += mail.at > now - _MINUTE
            day += len(mail.recipients)
    if minute >= limits.messagesPerMinute or day + recipients > limits.recipientsPerDay:
        raise GraphError(400, "ErrorExceededMessageLimit", "The message could not be sent: the limit was exceeded.")
