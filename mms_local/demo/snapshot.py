"""What a calendar item is, read from Graph's answer; and the text around its block."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_FACTS = (
    "subject",
    "start",
    "end",
    "isAllDay",
    "isCancelled",
    "attendees",
    "recurrence",
    "cancelledOccurrences",
    "importance",
    "sensitivity",
    "showAs",
    "categories",
    "isReminderOn",
    "reminderMinutesBeforeStart",
    "responseRequested",
    "hideAttendees",
    "allowNewTimeProposals",
    "hasAttachments",
    "originalStart",
    "type",
)
"""What a migration must leave as it was, whatever else it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One calendar item at one moment."""

    event_id: str
    body: str
    join_url: str
    """Of the Teams or Skype meeting that the tenant believes this to be; empty if none."""
    places: tuple[str, ...]
    recipients: frozenset[str]
    """Whom an update would be mailed to."""
    facts: Mapping[str, str]
    """Property name to canonical JSON."""
    exceptions: tuple["Item", ...] = ()
    """Occurrences with content of their own, by original start."""


def read_item(event: Mapping[str, Any]) -> Item:
    """Read *event* as Graph gives it, with its exceptions where they were asked for."""
    exceptions = [read_item(exception) for exception in event.get("exceptionOccurrences") or ()]
    organizer = event.get("organizer", {}).get("emailAddress", {}).get("address", "").lower()
    addresses = {attendee["emailAddress"]["address"].lower() for attendee in event.get("attendees") or ()}
    return Item(
        event_id=event["id"],
        body=(event.get("body") or {}).get("content", ""),
        join_url=(event.get("onlineMeeting") or {}).get("joinUrl") or event.get("onlineMeetingUrl") or "",
        places=tuple(place.get("displayName", "") for place in event.get("locations") or ()),
        recipients=frozenset(addresses - {organizer}),
        facts={name: _canonical(event.get(name)) for name in _FACTS},
        exceptions=tuple(sorted(exceptions, key=lambda item: item.facts["originalStart"])),
    )


def _canonical(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(sorted(json.dumps(entry, sort_keys=True) for entry in value))
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Outside:
    """A body without its block, and where the block may stand in it.

    The same text can be cut out of a body at several places when it begins as the text after it begins
    (``<p>..</p><p>``), hence a range.
    """

    text: str
    earliest: int
    latest: int

    @classmethod
    def around(cls, block: str, body: str) -> "Outside":
        """The text around the only *block* in *body*.

        Raises:
            ValueError: It is not there, or there more than once.
        """
        if not block or body.count(block) != 1:
            raise ValueError(f"the block stands {body.count(block) if block else 0} times in the body, not once")
        before, _, after = body.partition(block)
        return cls.of_insertion(before + after, body)

    @classmethod
    def of_insertion(cls, text: str, body: str) -> "Outside":
        """Compare a *body* with the *text* that it was before a block was put into it.

        Raises:
            ValueError: More happened to it than one insertion.
        """
        latest = common_prefix(text, body)
        earliest = len(text) - common_suffix(text, body)
        if earliest > latest:
            raise ValueError("the body is not the text with one insertion")
        return cls(text, earliest, latest)

    def block_in(self, body: str) -> str:
        """What stands in *body* in the place of the block, if the rest is as it was."""
        at = max(self.earliest, len(self.text) - common_suffix(self.text, body))
        return body[at : at + len(body) - len(self.text)]

    def damage(self, body: str) -> int:
        """How many characters of the text around the block are not in *body* where they were."""
        prefix = common_prefix(self.text, body)
        suffix = common_suffix(self.text, body)
        lost = len(self.text) - min(prefix + suffix, len(body))
        if lost > 0:
            above, below = self.text[: self.earliest], self.text[self.earliest :]
            apart = difference(above, body[: len(above)]) + difference(below, body[max(0, len(body) - len(below)) :])
            return min(lost, apart) or lost
        first, last = len(self.text) - suffix, prefix
        is_in_place = first <= self.latest and last >= self.earliest
        return 0 if is_in_place else min(abs(first - self.latest), abs(self.earliest - last))


def difference(before: str, after: str) -> int:
    """How many characters lie between the first and the last difference; 0 for equal texts."""
    if before == after:
        return 0
    longer, shorter = sorted((before, after), key=len, reverse=True)
    prefix = common_prefix(longer, shorter)
    suffix = min(common_suffix(longer, shorter), len(shorter) - prefix)
    return len(longer) - prefix - suffix


def common_prefix(left: str, right: str) -> int:
    """How many characters both begin with."""
    return _agreement(min(len(left), len(right)), lambda n: left[:n] == right[:n])


def common_suffix(left: str, right: str) -> int:
    """How many characters both end with."""
    return _agreement(min(len(left), len(right)), lambda n: n == 0 or left[-n:] == right[-n:])


def _agreement(longest: int, agree: Callable[[int], bool]) -> int:
    """The greatest length for which *agree* holds, by bisection: it holds up to there and not beyond."""
    low, high = 0, longest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if agree(middle) else (low, middle - 1)
    return low
