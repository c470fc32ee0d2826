"""Texts that administrators may write: ``$name`` is replaced, everything else stays as it is. Pure.

A template knows its names; another one is refused when the template is written, not when it is used. What is put in
is escaped for HTML, but for those few values that are HTML of our own making.
"""

from __future__ import annotations

import html
from string import Template
from typing import TYPE_CHECKING, Final

from mms_core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SUBJECT: Final = 200
LONGEST_BODY: Final = 20_000
LONGEST_FILLED_SUBJECT: Final = 255
"""Characters: Exchange's limit for a subject."""

TEXTS: Final[dict[str, frozenset[str]]] = {
    "Before": frozenset({"user", "count", "due"}),
    "After": frozenset({"user", "result", "changed", "failed"}),
    "Digest": frozenset({"since", "until", "users", "causes"}),
}
"""Names that stand for a text, for each kind of notice."""

BLOCKS: Final[dict[str, frozenset[str]]] = {
    "Before": frozenset({"meetings", "notKept"}),
    "After": frozenset({"meetings", "failures", "notKept"}),
    "Digest": frozenset({"failures"}),
}
"""Names that stand for a piece of HTML: in bodies only."""


class Markup(str):
    """HTML of our own making, in which every foreign text is escaped already."""

    __slots__ = ()


def check(name: str, text: str, *, kind: str, is_body: bool) -> None:
    """Check a template that somebody has written; the empty one stands for ours.

    Raises:
        BadInput: It is too long, or uses a name that does not exist; ``field`` is *name*.
    """
    longest = LONGEST_BODY if is_body else LONGEST_SUBJECT
    if len(text) > longest:
        raise BadInput(f"{name} takes {longest} characters at most", field=name)
    template = Template(text)
    if not template.is_valid():
        raise BadInput(f"{name}: write $$ for a dollar sign", field=name)
    known = TEXTS[kind] | BLOCKS[kind] if is_body else TEXTS[kind]
    unknown = sorted(set(template.get_identifiers()) - known)
    if unknown:
        raise BadInput(f"{name}: there is no ${unknown[0]}, only {', '.join(sorted(known))}", field=name)


def fill_subject(template: str, values: Mapping[str, str]) -> str:
    """Fill a subject: plain text on one line."""
    filled = Template(template).safe_substitute({name: str(value) for name, value in values.items()})
    return " ".join(filled.split())[:LONGEST_FILLED_SUBJECT]


def fill_body(template: str, values: Mapping[str, str]) -> str:
    """Fill a body, which is HTML."""
    safe = {name: value if isinstance(value, Markup) else html.escape(value) for name, value in values.items()}
    return Template(template).safe_substitute(safe)


def listed(rows: list[str]) -> Markup:
    """Return texts as a list in HTML."""
    return Markup("<ul>" + "".join(f"<li>{html.escape(row)}</li>" for row in rows) + "</ul>" if rows else "")
