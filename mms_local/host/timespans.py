""".NET TimeSpan literals, as host.json and timer triggers write durations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_TIMESPAN: Final = re.compile(
    r"""
    (?P<sign>-)?
    (?:(?P<days>\d{1,8})(?:\.(?=\d+:)|$))?
    (?:(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2})(?:\.(?P<ticks>\d{1,7}))?)?)?
    """,
    re.VERBOSE,
)
_LAST_HOUR: Final = 23
_LAST_MINUTE: Final = 59


def parse_timespan(text: str) -> timedelta:
    """Read ``[-][d.]hh:mm[:ss[.fffffff]]``, or a bare number, which means *days* as in .NET.

    Errors: ``ValueError`` for anything else, also for 24 hours or 60 minutes, which .NET refuses.
    """
    match = _TIMESPAN.fullmatch(text.strip())
    if match is None or (match["days"] is None and match["hours"] is None):
        raise ValueError(f"not a TimeSpan: {text!r}")
    part = {name: int(value or 0) for name, value in match.groupdict().items() if name not in {"sign", "ticks"}}
    if part["hours"] > _LAST_HOUR or part["minutes"] > _LAST_MINUTE or part["seconds"] > _LAST_MINUTE:
        raise ValueError(f"out of range in TimeSpan: {text!r}")
    value = timedelta(
        days=part["days"],
        hours=part["hours"],
        minutes=part["minutes"],
        seconds=part["seconds"],
        microseconds=int((match["ticks"] or "").ljust(7, "0")[:6] or 0),
    )
    return -value if match["sign"] else value
