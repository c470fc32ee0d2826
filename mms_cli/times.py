"""Instants as people and scripts write them, and as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_US: Final = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})"
    r"(?:[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?)?",
    re.ASCII,
)
_FRACTION: Final = re.compile(r"(\.\d{6})\d+")
"""The cmdlet prints seven decimals; datetime takes six."""
_NOON: Final = 12


def parse(text: str) -> datetime:
    """Read an instant: ISO 8601, or month/day/year as in ``10/1/2018 5:30 PM``.

    One without an offset is meant in this machine's time zone, as PowerShell does.

    Returns:
        Aware UTC.

    Raises:
        ValueError: It is neither; the message says what is wrong.
    """
    stripped = text.strip()
    found = _US.fullmatch(stripped)
    try:
        at = _american(found) if found else datetime.fromisoformat(_FRACTION.sub(r"\1", stripped))
        return at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        hint = "; this form is month/day/year" if found else ""
        raise ValueError(f"{text!r} is no instant such as 2018-10-01, 2018-10-01T17:30Z or 10/1/2018{hint}") from None


def _american(found: re.Match[str]) -> datetime:
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= _NOON:
            raise ValueError
        hour = hour % _NOON + (_NOON if found["half"] in "Pp" else 0)
    return datetime(  # noqa: DTZ001 - local on purpose, see parse
        int(found["year"]),
        int(found["month"]),
        int(found["day"]),
        hour,
        int(found["minute"] or 0),
        int(found["second"] or 0),
    )


def now() -> str:
    """Return this instant, as the service would write it."""
    return wire(datetime.now(UTC))


def wire(at: datetime) -> str:
    """Return an instant as the service reads it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def local(text: object) -> str:
    """Return the service's instant in this machine's zone, with its offset; anything else as it is."""
    if not isinstance(text, str) or not text:
        return ""
    try:
        at = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        shown = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone()
        return shown.isoformat(sep=" ", timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return text
