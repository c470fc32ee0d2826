"""Invitations written for these tests: templates in the shape of real ones, filled in 28 languages.

``{[`` and ``]}`` in a template mark what belongs to the block, so that every fixture says which spans are right;
``{{name}}`` is a string of the language.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures" / "blocks"
LANGUAGES = json.loads((FIXTURES / "languages.json").read_text("utf-8"))
EXPECTED = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
TEMPLATES = sorted(EXPECTED)


@dataclass(frozen=True)
class Invitation:
    """One body and where its blocks are."""

    body: str
    spans: list[tuple[int, int]]
    language: str


def invitation(template: str, language: dict[str, str]) -> Invitation:
    """Fill a template in a language."""
    with (FIXTURES / "templates" / template).open(encoding="utf-8", newline="") as file:
        text = file.read()
    for name, value in language.items():
        text = text.replace("{{" + name + "}}", value)
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    position = 0
    for piece in text.split("{["):
        inside, closed, outside = piece.partition("]}")
        if closed:
            spans.append((position, position + len(inside)))
            pieces += [inside, outside]
        else:
            pieces.append(piece)
        position = sum(map(len, pieces))
    return Invitation("".join(pieces), spans, language["tag"])


def language_of(tag: str) -> dict[str, str]:
    """The strings of one language."""
    return next(language for language in LANGUAGES if language["tag"] == tag)


def english(template: str) -> str:
    """A template in English."""
    return invitation(template, language_of("en-US")).body
