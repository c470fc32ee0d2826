"""Writes docs/errors.md from the catalogue in mms_core/errors.py: ``python docs/generate_errors.py``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mms_core.errors import CATALOGUE

TARGET = Path(__file__).with_name("errors.md")

HEAD = """# Errors

Every way in which a request, a user's migration or a single meeting can fail has a stable code. `LastMessage` carries
the rule (where one applies), the code, the cause and the remedy; HTTP errors carry the code and the remedy in their
problem document; a meeting's row carries the code.

This page is generated from `mms_core/errors.py` by `python docs/generate_errors.py`; a test keeps it so.

| code | rule | cause | remedy |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page."""
    rows = [
        f"| `{code}` | {entry.rule or ''} | {entry.cause} | {entry.remedy} |"
        for code, entry in sorted(CATALOGUE.items(), key=lambda each: each[0].lower())
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
