"""Occurrences of a series in time: computed ones, and the exceptions laid over them (check-list 1)."""

import copy
from collections.abc import Iterator
from datetime import UTC, date, datetime, time

from mms_simulator import ids, recurrence
from mms_simulator.errors import GraphError
from mms_simulator.model import Item
from mms_simulator.store import Mailbox
from mms_simulator.zones import from_epoch, to_epoch, zone


def start_of(master: Item, day: int) -> int:
    """Give the start of the occurrence on *day*: the series' local time of day in its zone, DST included."""
    if master.all_day:
        return to_epoch(datetime.combine(date.fromordinal(day), time(), UTC))
    name = _zone_name(master)
    local = from_epoch(master.start, name)
    return to_epoch(datetime.combine(date.fromordinal(day), local.timetz()).replace(tzinfo=zone(name)))


def day_of(master: Item) -> int:
    """Give the day of the first occurrence, in the series' zone."""
    name = "UTC" if master.all_day else _zone_name(master)
    return from_epoch(master.start, name).toordinal()


def exists(master: Item, day: int) -> bool:
    """Tell whether the pattern puts an occurrence on *day* and nobody has cancelled it."""
    return (
        master.recurrence is not None
        and day not in master.cancelled_days
        and 0 < day < date.max.toordinal()
        and recurrence.occurs_on(master.recurrence, date.fromordinal(day))
    )


def days_between(master: Item, start: int, end: int) -> Iterator[int]:
    """Yield the days whose regular occurrence overlaps [start, end), cancelled ones left out."""
    if master.recurrence is None:
        return
    length = master.end - master.start
    from_day = from_epoch(max(start - length, 0)).toordinal() - 1
    for found in recurrence.days(master.recurrence, date.fromordinal(max(from_day, 1))):
        day = found.toordinal()
        begins = start_of(master, day)
        if begins >= end:
            return
        if overlaps(begins, begins + length, start, end) and day not in master.cancelled_days:
            yield day


def overlaps(begins: int, ends: int, start: int, end: int) -> bool:
    """Tell whether an item overlaps a window; one that runs at its beginning does (2.1)."""
    return begins < end and (ends > start or begins == ends == start)


def new_exception(master: Item, day: int, now: float) -> Item:
    """Make an occurrence an item of its own, with all that the series says now."""
    made = copy.copy(master)
    begins = start_of(master, day)
    made.id, made.master, made.day = ids.occurrence_id(master.id, day), master.id, day
    made.start, made.end = begins, begins + master.end - master.start
    made.recurrence, made.cancelled_days, made.transaction_id = None, [], None
    made.version, made.created, made.modified, made.own_body = master.version, now, now, False
    return made


def check_order(box: Mailbox, master: Item, moved: Item) -> None:
    """Refuse to move an occurrence over a neighbour (1.5); 400 ErrorOccurrenceCrossingBoundary."""
    exceptions = box.exceptions.get(master.id, {})

    def begins(day: int) -> int:
        return exceptions[day].start if day in exceptions else start_of(master, day)

    before = [day for day in _near(master, moved.day) if day < moved.day]
    after = [day for day in _near(master, moved.day) if day > moved.day]
    crossing = (before and moved.start <= begins(before[-1])) or (after and moved.start >= begins(after[0]))
    if crossing:
        raise GraphError(
            400,
            "ErrorOccurrenceCrossingBoundary",
            "Modified occurrence is crossing or overlapping adjacent occurrence.",
        )


def _near(master: Item, day: int) -> list[int]:
    """Give the days around *day*, at least one on either side where there is one."""
    if master.recurrence is None:
        return []
    span = 366 * max(1, master.recurrence["pattern"]["interval"]) + 1
    found: list[int] = []
    for each in recurrence.days(master.recurrence, date.fromordinal(max(1, day - span))):
        ordinal = each.toordinal()
        if ordinal in master.cancelled_days:
            continue
        found.append(ordinal)
        if ordinal > day:
            break
    return found


def _zone_name(master: Item) -> str:
    return (master.recurrence or {}).get("range", {}).get("recurrenceTimeZone") or master.start_zone
