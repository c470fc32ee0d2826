"""What the rights script says: lines of its report, and what it cannot settle by itself."""

from __future__ import annotations

from dataclasses import dataclass


class RightsError(Exception):
    """Something only a person can settle; the text says what."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report."""

    what: str
    """``kept``, ``made``, ``missing``, ``surplus`` or ``todo``."""
    subject: str
    detail: str = ""
