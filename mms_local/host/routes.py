"""Route templates as ASP.NET Core reads them: ``users/{id:guid}/items/{name?}/{*rest}``."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PARAMETER: Final = re.compile(r"\{((?:[^{}]|\{\{|\}\})+)\}")
_INSIDE: Final = re.compile(r"(?P<star>\*{0,2})(?P<name>[^:=?*]+)(?P<rest>.*)", re.DOTALL)
_CONSTRAINT: Final = re.compile(r":(?P<name>[A-Za-z]+)(?:\((?P<arguments>[^()]*(?:\([^()]*\)[^()]*)*)\))?")
_INT32: Final = 2**31
_INT64: Final = 2**63


class RouteError(ValueError):
    """A template that the host would refuse at start."""


@dataclass(frozen=True)
class _Parameter:
    name: str
    pattern: re.Pattern[str] | None
    """For a segment like ``{name}.json``; ``None`` when the parameter is the whole segment."""
    constraints: tuple[Callable[[str], bool], ...]
    is_optional: bool
    is_catch_all: bool
    default: str | None

    def accepts(self, value: str) -> bool:
        return all(check(value) for check in self.constraints)


@dataclass(frozen=True)
class RouteTemplate:
    """A parsed template; :meth:`match` compares a path with it, ignoring case."""

    text: str
    _segments: tuple[str | _Parameter, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters when *path* fits, else ``None``.

        Args:
            path: As it came over the wire, still percent-encoded. ``%2F`` stays encoded in the values, as in
                ASP.NET Core; everything else is decoded.
        """
        given = [part for part in path.strip("/").split("/") if part] if path.strip("/") else []
        values: dict[str, str] = {}
        for index, segment in enumerate(self._segments):
            if isinstance(segment, _Parameter) and segment.is_catch_all:
                rest = "/".join(decode(part) for part in given[index:])
                if rest and not segment.accepts(rest):
                    return None
                values[segment.name] = rest
                return values
            if index >= len(given):
                if not isinstance(segment, _Parameter) or not (segment.is_optional or segment.default is not None):
                    return None
                if segment.default is not None:
                    values[segment.name] = segment.default
                continue
            if not _match_segment(segment, decode(given[index]), values):
                return None
        return values if len(given) <= len(self._segments) else None


def decode(segment: str) -> str:
    """Percent-decode one path segment; an encoded slash stays encoded."""
    return "%2F".join(unquote(piece) for piece in re.split("%2[fF]", segment))


def parse_template(text: str) -> RouteTemplate:
    """Parse a route template without prefix.

    Errors: :class:`RouteError` when braces do not match, a constraint is unknown, a catch-all is not last, or a
    name occurs twice.
    """
    parts = text.strip("/").split("/") if text.strip("/") else []
    segments = tuple(_parse_segment(part, text) for part in parts)
    names = [segment.name.lower() for segment in segments if isinstance(segment, _Parameter)]
    if len(names) != len(set(names)):
        raise RouteError(f"a parameter occurs twice in route '{text}'")
    if any(isinstance(segment, _Parameter) and segment.is_catch_all for segment in segments[:-1]):
        raise RouteError(f"a catch-all parameter must be last in route '{text}'")
    return RouteTemplate(text, segments)


def _match_segment(segment: str | _Parameter, value: str, into: dict[str, str]) -> bool:
    if isinstance(segment, str):
        return segment.lower() == value.lower()
    if segment.pattern is not None:
        match = segment.pattern.fullmatch(value)
        if match is None:
            return False
        value = match[1]
    if not segment.accepts(value):
        return False
    into[segment.name] = value
    return True


def _parse_segment(part: str, template: str) -> str | _Parameter:
    if "{" not in part and "}" not in part:
        return part
    match = _PARAMETER.search(part)
    inside = None if match is None else _INSIDE.fullmatch(match[1].removesuffix("?"))
    if match is None or inside is None:
        raise RouteError(f"braces do not match in route '{template}'")
    before, after = part[: match.start()], part[match.end() :]
    if any(brace in before + after for brace in "{}"):
        raise RouteError(f"this host knows one parameter a segment only, route '{template}' has more")
    rest, _, default = inside["rest"].partition("=")
    is_whole = not before and not after
    if inside["star"] and not is_whole:
        raise RouteError(f"a catch-all parameter must be a whole segment in route '{template}'")
    return _Parameter(
        name=inside["name"],
        pattern=None if is_whole else re.compile(re.escape(before) + "(.+)" + re.escape(after), re.IGNORECASE),
        constraints=tuple(_constraints(rest, template)),
        is_optional=match[1].endswith("?"),
        is_catch_all=bool(inside["star"]),
        default=default or None,
    )


def _constraints(text: str, template: str) -> Iterable[Callable[[str], bool]]:
    position = 0
    while position < len(text):
        match = _CONSTRAINT.match(text, position)
        make = _MAKERS.get(match["name"].lower()) if match else None
        if match is None or make is None:
            raise RouteError(f"unknown constraint '{text[position:]}' in route '{template}'")
        try:
            yield make(match["arguments"] or "")
        except (ValueError, re.error) as error:
            raise RouteError(f"constraint '{match[0]}' in route '{template}': {error}") from error
        position = match.end()


def _whole_number(low: int, high: int) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(r"[+-]?\d+", value) is not None and low <= int(value) <= high


def _is_decimal(value: str) -> bool:
    try:
        return Decimal(value).is_finite()
    except InvalidOperation:
        return False


def _is_guid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


def _length(arguments: str) -> Callable[[str], bool]:
    low, _, high = arguments.partition(",")
    shortest, longest = int(low), int(high or low)
    return lambda value: shortest <= len(value) <= longest


def _range(arguments: str) -> Callable[[str], bool]:
    low, _, high = arguments.partition(",")
    return _whole_number(int(low), int(high))


def _regex(arguments: str) -> Callable[[str], bool]:
    pattern = re.compile(arguments.replace("{{", "{").replace("}}", "}").replace("\\\\", "\\"), re.IGNORECASE)
    return lambda value: pattern.search(value) is not None


def _min_length(arguments: str) -> Callable[[str], bool]:
    shortest = int(arguments)
    return lambda value: len(value) >= shortest


def _max_length(arguments: str) -> Callable[[str], bool]:
    longest = int(arguments)
    return lambda value: len(value) <= longest


_MAKERS: Final[dict[str, Callable[[str], Callable[[str], bool]]]] = {
    "int": lambda _: _whole_number(-_INT32, _INT32 - 1),
    "long": lambda _: _whole_number(-_INT64, _INT64 - 1),
    "bool": lambda _: lambda value: value.lower() in {"true", "false"},
    "decimal": lambda _: _is_decimal,
    "double": lambda _: _is_decimal,
    "float": lambda _: _is_decimal,
    "guid": lambda _: _is_guid,
    "alpha": lambda _: lambda value: re.fullmatch("[A-Za-z]*", value) is not None,
    "required": lambda _: bool,
    "length": _length,
    "minlength": _min_length,
    "maxlength": _max_length,
    "min": lambda arguments: _whole_number(int(arguments), _INT64 - 1),
    "max": lambda arguments: _whole_number(-_INT64, int(arguments)),
    "range": _range,
    "regex": _regex,
}
