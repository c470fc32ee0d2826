"""A request and an answer without a server, and the table that finds who answers (also used by ``$batch``)."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from mms_simulator import ids, jsontext, payloads
from mms_simulator.errors import GraphError, bad_request, resource_not_found
from mms_simulator.odata.query import Options, options, parse_query
from mms_simulator.store import Store
from mms_simulator.views import Manner, manner_of

_KEY_SYNTAX = re.compile(r"^([\w.]+)\((?:(\w+)=)?'(.*)'\)$")


@dataclass(slots=True)
class Call:
    """One request to the tenant. *path* is raw, as sent; *arguments* come from the route."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    store: Store
    route: str = "unknown"
    """The pattern that matched; the traffic log and the counters name it."""
    arguments: dict[str, str] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    parsed_query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded."""
        if self.parsed_query is None:
            self.parsed_query = parse_query(self.raw_query) if self.raw_query else {}
        return self.parsed_query

    @property
    def options(self) -> Options:
        """The OData options."""
        return options(self.query, self.store.switches.maxTop)

    @property
    def prefer(self) -> str:
        """The Prefer header; several lines count as one."""
        lines = getattr(self.headers, "getall", None)
        return ", ".join(lines("Prefer", ())) if lines else self.headers.get("Prefer", "")

    @property
    def manner(self) -> Manner:
        """What the Prefer header asks for."""
        return manner_of(self.prefer)

    @property
    def url(self) -> str:
        """This request's address without its query, for nextLinks."""
        return self.store.base + self.path

    def read(self, shape: type[msgspec.Struct]) -> dict[str, Any]:
        """Read the body as a JSON object of a shape; 400 for anything else."""
        return payloads.checked(self.json(), shape)

    def entity(self, shape: type[msgspec.Struct]) -> dict[str, Any]:
        """Read the body of a write to an entity, which may not be empty."""
        if not self.body:
            raise bad_request("Empty Payload. JSON content expected.", "BadRequest")
        return self.read(shape)

    def json(self) -> dict[str, Any]:
        """Read the body as a JSON object; an empty body is an empty object. 400 for anything else."""
        if not self.body:
            return {}
        try:
            found = jsontext.decode(self.body)
        except ValueError as exc:
            raise bad_request("Unable to read JSON request payload.", "BadRequest") from exc
        if not isinstance(found, dict):
            raise bad_request("Empty Payload. JSON content expected.", "BadRequest")
        return found


@dataclass(slots=True)
class Reply:
    """One answer: *payload* is written as JSON; ``None`` is an empty body; *raw* goes out as it is."""

    status: int = 200
    payload: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false"


Handler = Callable[[Call], Reply | Awaitable[Reply]]


class _Step:
    __slots__ = ("handlers", "literals", "name", "parameter")

    def __init__(self) -> None:
        self.literals: dict[str, _Step] = {}
        self.parameter: _Step | None = None
        self.name = ""
        self.handlers: dict[str, tuple[Handler, str]] = {}


class Routes:
    """Paths by segment. Literals win over parameters and ignore case, as Graph does; ``users('x')`` is ``users/x``.

    A key that is not the id keeps its name: ``applications(appId='x')`` is ``applications/appId=x``.
    """

    def __init__(self, unknown: int = 404) -> None:
        self._root = _Step()
        self._unknown = unknown
        """The status for a path nobody answers; Graph's is 400."""

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Register a handler for a pattern such as ``users/{user}/events``."""
        step = self._root
        for segment in pattern.split("/"):
            if segment.startswith("{"):
                if step.parameter is None:
                    step.parameter = _Step()
                    step.parameter.name = segment.strip("{}")
                step = step.parameter
            else:
                step = step.literals.setdefault(segment.lower(), _Step())
        step.handlers[method] = (handler, pattern)

    def all(self) -> list[tuple[str, str]]:
        """Give every method and pattern that was registered."""
        found, open_ends = [], [self._root]
        while open_ends:
            step = open_ends.pop()
            found += [(method, pattern) for method, (_, pattern) in step.handlers.items()]
            open_ends += [*step.literals.values(), *([step.parameter] if step.parameter else [])]
        return sorted(found)

    def find(self, method: str, path: str) -> tuple[Handler, str, dict[str, str]]:
        """Give handler, pattern and arguments for a path (raw, without its prefix).

        Raises:
            GraphError: for a path nobody answers, 405 for another method.
        """
        segments: list[str] = []
        for raw in path.strip("/").split("/"):
            text = unquote(raw)
            keyed = _KEY_SYNTAX.match(text)
            if keyed:
                value = keyed[3].replace("''", "'")
                segments += [keyed[1], f"{keyed[2]}={value}" if keyed[2] else value]
            else:
                segments.append(text)
        if any(each.startswith(ids.PREFIX) and len(each) < ids.TEXT_LENGTH for each in segments):
            segments = _joined(segments)
        found = _walk(self._root, segments, 0)
        if found is None:
            if segments[0].lower() == "me":
                raise bad_request("/me request is only valid with delegated authentication flow.", "BadRequest")
            raise GraphError(self._unknown, "BadRequest", f"Resource not found for the segment '{segments[-1]}'.")
        if method not in found.handlers:
            allowed = ", ".join(found.handlers)
            raise GraphError(405, "BadRequest", f"The method {method} is not allowed here.", {"Allow": allowed})
        handler, pattern = found.handlers[method]
        return handler, pattern, _arguments(pattern, segments)


def _joined(segments: list[str]) -> list[str]:
    """Put ids together again whose slashes were sent unencoded; some clients do."""
    result: list[str] = []
    for segment in segments:
        if result and result[-1].startswith(ids.PREFIX) and len(result[-1]) < ids.TEXT_LENGTH:
            result[-1] += f"/{segment}"
        else:
            result.append(segment)
    return result


def _walk(step: _Step, segments: list[str], position: int) -> _Step | None:
    if position == len(segments):
        return step if step.handlers else None
    literal = step.literals.get(segments[position].lower())
    if literal is not None:
        found = _walk(literal, segments, position + 1)
        if found is not None:
            return found
    return _walk(step.parameter, segments, position + 1) if step.parameter is not None else None


def _arguments(pattern: str, segments: list[str]) -> dict[str, str]:
    return {
        name.strip("{}"): value
        for name, value in zip(pattern.split("/"), segments, strict=True)
        if name.startswith("{")
    }


def error_body(error: GraphError, at: str, request_id: str, client_request_id: str) -> dict[str, Any]:
    """Write Graph's error envelope (8.3)."""
    inner = {"date": at, "request-id": request_id, "client-request-id": client_request_id}
    details = {"details": error.details} if error.details else {}
    return {"error": {"code": error.code, "message": error.message, **details, "innerError": inner}}


def require(found: Any, what: str) -> Any:
    """Give what was found, or answer 404."""
    if found is None:
        raise resource_not_found(what, "ResourceNotFound")
    return found
