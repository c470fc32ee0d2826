"""Pages of documents of which not every one is shown: one question looks at so many, and its token leads on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mms_core.ports import Documents

_MOST_READ: Final = 1000
_SIDE_BY_SIDE: Final = 100


async def sifted(
    documents: Documents,
    kind: str,
    show: Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]],
    *,
    key: str,
    top: int,
    after: str,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of rows in the order of their keys, and the token for more: it may be short, even empty, with one.

    Args:
        documents: Where they are.
        kind: Theirs.
        show: Returns a document's row, or ``None`` where it has none; asked about many at a time.
        key: Name of the field that holds a document's key.
        top: The most rows of a page.
        after: The token of the page before, or nothing.
    """
    rows: list[dict[str, Any]] = []
    for _ in range(_MOST_READ // _SIDE_BY_SIDE):
        found = await documents.list(kind, top=_SIDE_BY_SIDE, after=after)
        for document, row in zip(found, await asyncio.gather(*map(show, found)), strict=True):
            after = document[key]
            rows += [] if row is None else [row]
            if len(rows) == top:
                return rows, after
        if len(found) < _SIDE_BY_SIDE:
            return rows, None
    return rows, after
