"""What Microsoft's own models have no place for in an answer."""

from collections.abc import Iterator
from typing import Any

from kiota_abstractions.serialization import Parsable

LISTED = {"uid", "occurrenceId"}
"""Properties that live payloads carry although no model has them."""


def leftovers(value: Any) -> Iterator[str]:
    """Name what the SDK's models had no place for, anywhere in an answer, the listed exceptions aside."""
    if isinstance(value, list | tuple):
        for entry in value:
            yield from leftovers(entry)
    elif isinstance(value, Parsable):
        for name in getattr(value, "additional_data", None) or {}:
            if "@odata." not in name and name not in LISTED:
                yield f"{type(value).__name__}.{name}"
        fields = {**vars(value), **dict(value.backing_store.enumerate_() if hasattr(value, "backing_store") else [])}
        for name, inner in fields.items():
            if name not in {"additional_data", "backing_store"}:
                yield from leftovers(inner)


def clean(value: Any) -> Any:
    """Pass an answer on, if nothing of it was left over."""
    left = list(leftovers(value))
    assert not left, left
    return value
