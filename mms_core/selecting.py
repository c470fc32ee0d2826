"""Which meetings a request is narrowed to (features 10, 26 and 58). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mms_core.meetings import Event
    from mms_core.model import Selection


def domain(address: str) -> str:
    """Return the part behind the last ``@``, in lower case."""
    return address.rpartition("@")[2].lower()


def has_externals(event: Event) -> bool:
    """Say whether somebody is invited from another domain than the organizer's."""
    own = domain(event.organizer_address)
    return bool(own) and any(domain(each.address) != own for each in event.attendees if each.address)


def selects(selections: Sequence[Selection], event: Event, *, join_url: str | None) -> bool:
    """Say whether a meeting is asked for: by any of the selections, or there is none.

    Args:
        selections: Of all requests that became one run.
        event: The meeting; an exception is also asked for by its master's id.
        join_url: Of its own block.
    """
    return not selections or any(_selects(each, event, join_url) for each in selections)


def _selects(wanted: Selection, event: Event, join_url: str | None) -> bool:
    ids = {event.event_id, event.series_master_id}
    host = (urlsplit(join_url).hostname or "") if join_url else ""
    checks = (
        not wanted.event_ids or bool(ids & set(wanted.event_ids)),
        # A series has no single start: it is asked for by what it is, not by when it began.
        wanted.start_at is None
        or event.recurrence is not None
        or (event.start_at is not None and event.start_at >= wanted.start_at),
        wanted.end_at is None
        or event.recurrence is not None
        or (event.start_at is not None and event.start_at < wanted.end_at),
        wanted.subject is None or wanted.subject.casefold() in event.subject.casefold(),
        wanted.url_host is None or host == wanted.url_host.lower() or host.endswith("." + wanted.url_host.lower()),
        wanted.attendee_domain is None
        or any(domain(each.address) == wanted.attendee_domain.lower() for each in event.attendees),
        wanted.externals == "include" or has_externals(event) is (wanted.externals == "only"),
    )
    return all(checks)
