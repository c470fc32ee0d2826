"""The language of ``$filter``: text to a tree of small values (fact sheet 2.2). Callers judge what a tree may say."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mms_simulator.errors import GraphError, bad_request

_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<string>'(?:[^']|'')*')"
    r"|(?P<moment>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)(?![\w-])"
    r"|(?P<guid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_@][\w.$@]*(?:/[A-Za-z_$][\w.$]*)*)"
    r"|(?P<mark>[(),:])"
    r")"
)
_OPERATORS = {"eq", "ne", "gt", "ge", "lt", "le"}
_FUNCTIONS = {"contains", "startswith", "endswith"}
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Moment:
    """An unquoted date or date-time."""

    text: str


@dataclass(frozen=True, slots=True)
class Compare:
    """``path op value``; *cast* is the type when the path was wrapped in cast()."""

    path: str
    operator: str
    value: Any
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """``function(path, value)`` as a condition."""

    function: str
    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class AnyOf:
    """``path/any(variable: condition)``; without a condition: the collection is not empty."""

    path: str
    variable: str
    condition: "Node | None"


@dataclass(frozen=True, slots=True)
class In:
    """``path in (value, ...)``."""

    path: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """``left and right``."""

    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Either:
    """``left or right``."""

    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Not:
    """``not condition``."""

    condition: "Node"


Node = Compare | Call | AnyOf | In | Both | Either | Not


def leaves(node: Node) -> list[Compare | Call | AnyOf | In | Not]:
    """Give the conditions of a tree of and/or."""
    if isinstance(node, Both | Either):
        return leaves(node.left) + leaves(node.right)
    return [node]


def alternatives(node: Node) -> list[Node]:
    """Give the conditions that a tree joins by or alone."""
    if isinstance(node, Either):
        return alternatives(node.left) + alternatives(node.right)
    return [node]


@lru_cache(maxsize=2048)
def parse(text: str) -> Node:
    """Read a filter; 400 when it is no filter at all."""
    parser = _Parser(text)
    node = parser.either()
    if parser.kind:
        raise _syntax(text, parser.position)
    return node


def matches(node: Node, read: Callable[[str], Any]) -> bool:
    """Decide a tree over plain JSON values; *read* gives the value at a path. Comparison with null never raises."""
    match node:
        case Both():
            result = matches(node.left, read) and matches(node.right, read)
        case Either():
            result = matches(node.left, read) or matches(node.right, read)
        case Not():
            result = not matches(node.condition, read)
        case In():
            result = any(_compare(read(node.path), "eq", value) for value in node.values)
        case Compare():
            result = _compare(read(node.path), node.operator, node.value)
        case Call():
            result = call(node.function, read(node.path), node.value)
        case AnyOf(condition=None):
            result = bool(read(node.path))
        case AnyOf(condition=condition):
            rows = read(node.path) or []
            result = any(condition and matches(condition, _element_reader(row, node.variable)) for row in rows)
    return result


def call(function: str, text: Any, value: Any) -> bool:
    """Decide contains, startswith or endswith; Graph compares without case."""
    left, right = str(text or "").lower(), str(value).lower()
    if function == "contains":
        return right in left
    return left.startswith(right) if function == "startswith" else left.endswith(right)


def ordered(left: Any, operator: str, right: Any) -> bool:
    """Decide a comparison of two values of the same type."""
    match operator:
        case "eq":
            return bool(left == right)
        case "ne":
            return bool(left != right)
        case "gt":
            return bool(left > right)
        case "ge":
            return bool(left >= right)
        case "lt":
            return bool(left < right)
        case _:
            return bool(left <= right)


def _compare(left: Any, operator: str, right: Any) -> bool:
    if isinstance(right, Moment):
        right = right.text
    if isinstance(left, str) and isinstance(right, str):
        left, right = left.lower(), right.lower()
    if operator not in {"eq", "ne"} and (left is None or right is None or type(left) is not type(right)):
        return False
    return ordered(left, operator, right)


def _element_reader(row: Any, variable: str) -> Callable[[str], Any]:
    def read(path: str) -> Any:
        if path == variable:
            return row
        value = row
        for step in path.removeprefix(f"{variable}/").split("/"):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return read


def _syntax(text: str, position: int) -> GraphError:
    return bad_request(f"Syntax error at position {position} in '{text}'.", "BadRequest")


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.kind: str | None = None
        self.word = ""
        self.advance()

    def advance(self) -> None:
        if not self.text[self.position :].strip():
            self.kind, self.word, self.position = None, "", len(self.text)
            return
        match = _TOKEN.match(self.text, self.position)
        if not match:
            raise _syntax(self.text, self.position)
        self.kind, self.word, self.position = match.lastgroup, match[match.lastgroup or 0], match.end()

    def take(self, mark: str) -> None:
        if self.word != mark:
            raise _syntax(self.text, self.position)
        self.advance()

    def either(self) -> Node:
        node = self.both()
        while self.kind == "name" and self.word.lower() == "or":
            self.advance()
            node = Either(node, self.both())
        return node

    def both(self) -> Node:
        node = self.negated()
        while self.kind == "name" and self.word.lower() == "and":
            self.advance()
            node = Both(node, self.negated())
        return node

    def negated(self) -> Node:
        if self.kind == "name" and self.word.lower() == "not":
            self.advance()
            return Not(self.negated())
        if self.word == "(":
            self.advance()
            node = self.either()
            self.take(")")
            return node
        return self.condition()

    def condition(self) -> Node:
        name = self.name()
        if name.lower() in _FUNCTIONS and self.word == "(":
            return self.function(name.lower())
        if name.endswith("/any") and self.word == "(":
            return self.any_of(name.removesuffix("/any"))
        cast = None
        if name == "cast" and self.word == "(":
            self.advance()
            name = self.name()
            self.take(",")
            cast = self.name()
            self.take(")")
        operator = self.word.lower()
        if operator == "in":
            return self.members(name)
        if operator not in _OPERATORS:
            raise _syntax(self.text, self.position)
        self.advance()
        return Compare(name, operator, self.literal(), cast)

    def function(self, function: str) -> Node:
        self.take("(")
        path = self.name()
        self.take(",")
        value = self.literal()
        self.take(")")
        if self.kind == "name" and self.word.lower() == "eq":  # contains(a,'b') eq true
            self.advance()
            wanted = self.literal()
            return Call(function, path, value) if wanted else Not(Call(function, path, value))
        return Call(function, path, value)

    def any_of(self, path: str) -> Node:
        self.take("(")
        if self.word == ")":
            self.advance()
            return AnyOf(path, "", None)
        variable = self.name()
        self.take(":")
        condition = self.either()
        self.take(")")
        return AnyOf(path, variable, condition)

    def members(self, path: str) -> Node:
        self.advance()
        self.take("(")
        values = [self.literal()]
        while self.word == ",":
            self.advance()
            values.append(self.literal())
        self.take(")")
        return In(path, tuple(values))

    def name(self) -> str:
        if self.kind != "name":
            raise _syntax(self.text, self.position)
        token = self.word
        self.advance()
        return token

    def literal(self) -> Any:
        kind, token = self.kind, self.word
        if kind == "name" and token.lower() in _WORDS:
            value: Any = _WORDS[token.lower()]
        elif kind == "string":
            value = token[1:-1].replace("''", "'")
        elif kind == "moment":
            value = Moment(token)
        elif kind == "guid":
            value = token
        elif kind == "number":
            value = float(token) if "." in token else int(token)
        else:
            raise _syntax(self.text, self.position)
        self.advance()
        return value
