"""Query options: ``$select``, ``$expand`` with its own options, ``$top``, ``$skip``, ``$orderby``; paging."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_plus

from mms_simulator.errors import bad_request

DEFAULT_PAGE = 10
"""Items on a page of a calendar when nothing is asked for (fact sheet 2.1)."""


@dataclass(slots=True)
class Options:
    """What one request asks for. ``None`` in *select* means the default properties."""

    select: frozenset[str] | None = None
    expand: dict[str, "Options"] = field(default_factory=dict)
    filter: str | None = None
    orderby: str | None = None
    top: int | None = None
    skip: int = 0
    count: bool = False


_KNOWN = frozenset({
    "select", "expand", "filter", "orderby", "top", "skip", "count", "format", "skiptoken", "deltatoken",
})  # fmt: skip
"""Options that Graph knows here; ``$search`` it knows elsewhere."""


def parse_query(raw: str) -> dict[str, str]:
    """Decode a query string; 400 for an OData option that stands in it twice."""
    result: dict[str, str] = {}
    for pair in raw.split("&"):
        if pair:
            text, _, value = pair.partition("=")
            name = unquote_plus(text)
            if name in result and name.startswith("$"):
                raise bad_request(
                    f"Query option '{name}' was specified more than once, but it must be specified at most once.",
                    "BadRequest",
                )
            result[name] = unquote_plus(value)
    return result


def options(query: dict[str, str], max_top: int) -> Options:
    """Read the options of a request; 400 for values that cannot be."""
    get = _option_reader(query)
    return Options(
        select=_names(get("select")),
        expand=expansion(get("expand") or ""),
        filter=get("filter") or None,
        orderby=get("orderby"),
        top=_number(get("top"), "$top", 1, max_top),
        skip=_number(get("skip"), "$skip", 0, None) or 0,
        count=_truth(get("count")),
    )


@lru_cache(maxsize=1024)
def expansion(text: str) -> dict[str, Options]:
    """Read ``$expand``: names, each with options in parentheses."""
    result: dict[str, Options] = {}
    for part in split_outside(text, ","):
        name, bracket, rest = part.partition("(")
        inner = parse_inner(rest.rstrip()[:-1]) if bracket else {}
        result[name.strip()] = Options(
            select=_names(inner.get("$select")),
            expand=expansion(inner.get("$expand", "")),
            filter=inner.get("$filter"),
            top=_number(inner.get("$top"), "$top", 1, None),
        )
    return result


def parse_inner(text: str) -> dict[str, str]:
    """Read the options inside the parentheses of an expansion; they are divided by semicolons."""
    pairs = (part.partition("=") for part in split_outside(text, ";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def split_outside(text: str, separator: str) -> list[str]:
    """Split at *separator* where it stands outside parentheses and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


def page_of(
    rows: Sequence[Any], wanted: Options, size: int, *, trailing: bool = False
) -> tuple[Sequence[Any], int | None]:
    """Cut one page out of *rows*; also where the next one begins, ``None`` after the last."""
    end = wanted.skip + size
    more = end < len(rows) or (trailing and end == len(rows) and wanted.skip < len(rows))
    return rows[wanted.skip : end], end if more else None


def next_link(url: str, query: dict[str, str], **changes: object) -> str:
    """Write a nextLink: the request's own options with some changed, fully encoded, on our own host."""
    merged = {**query, **{f"${name}": str(value) for name, value in changes.items()}}
    return f"{url}?" + "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in merged.items())


def sort_rows(rows: list[Any], orderby: str | None, read: Callable[[Any, str], Any]) -> list[Any]:
    """Sort by ``$orderby``: several keys, each with asc or desc; null comes first."""
    for key in reversed(split_outside(orderby or "", ",")):
        name, _, direction = key.strip().partition(" ")
        turned = direction.strip().lower()
        if turned not in {"", "asc", "desc"}:
            raise bad_request(f"Syntax error at position {len(name) + 1} in '{key.strip()}'.", "BadRequest")
        rows = sorted(rows, key=lambda row: _sortable(read(row, name)), reverse=turned == "desc")
    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value.lower() if isinstance(value, str) else value if value is not None else 0)


def _option_reader(query: dict[str, str]) -> Callable[[str], str | None]:
    lowered = {name.lower().removeprefix("$"): value for name, value in query.items() if name.startswith("$")}
    if not lowered.keys() <= _KNOWN:
        unknown = min(lowered.keys() - _KNOWN)
        raise bad_request(f"The query parameter '${unknown}' is not supported.", "ErrorInvalidUrlQuery")
    return lowered.get


def _truth(text: str | None) -> bool:
    if (text or "false").lower() not in {"true", "false"}:
        raise bad_request(f"Invalid value '{text}' for $count query option found.", "ErrorInvalidParameter")
    return (text or "").lower() == "true"


def _names(text: str | None) -> frozenset[str] | None:
    return frozenset(name.strip() for name in text.split(",") if name.strip()) if text else None


def _number(text: str | None, name: str, least: int, most: int | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or int(text) < least:
        raise bad_request(f"Invalid value '{text}' for {name} query option found.", "ErrorInvalidParameter")
    return min(int(text), most) if most else int(text)
