"""Does recorded traffic conform to Graph's types? ``python -m mms_simulator.conformance CONTRACT TRAFFIC``.

CONTRACT is a JSON file of types and enumerations taken from Graph's metadata: ``{"types": {name: {"base", "props",
"nav"}}, "enums": {name: [member]}}``. TRAFFIC is what ``GET /_tenant/traffic`` gives (or ``-``). Every body of a
request and of a successful answer is checked: property names, types of values, members of enumerations. The exceptions
are ``@odata.*``, ``uid`` and ``occurrenceId`` (which live payloads carry), and types that the contract does not have.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

LISTED = frozenset({"uid", "occurrenceId"})
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$")
_GUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_TIME = re.compile(r"^\d\d:\d\d(:\d\d(\.\d+)?)?$")
_EVENT, _USER, _MEETING = "event", "user", "onlineMeeting"
_RESOURCES: tuple[tuple[str, str], ...] = (
    (r"/events(/\{event\})?(/instances)?$|/calendarView(/delta)?$", _EVENT),
    (r"/attachments$", "attachment"),
    (r"/calendars?(/\{calendar\})?$", "calendar"),
    (r"/onlineMeetings(/\{meeting\}|/createOrGet)?$", _MEETING),
    (r"/mailboxSettings$", "mailboxSettings"),
    (r"/licenseDetails$", "licenseDetails"),
    (r"^users(/\{user\}|/delta)?$", _USER),
    (r"^subscriptions(/\{subscription\})?$", "subscription"),
    (r"^admin/teams/userConfigurations(/\{user\})?$", "teamsAdministration.teamsUserConfiguration"),
    (r"^auditLogs/directoryAudits(/\{audit\})?$", "directoryAudit"),
)
_ERROR = 400


class Contract:
    """Graph's types, and the check of one value against one of them."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._types: dict[str, dict[str, Any]] = content["types"]
        self._enums: dict[str, list[str]] = content["enums"]
        self._members: dict[str, dict[str, str]] = {}
        self.unknown: Counter[str] = Counter()

    def check(self, value: Any, name: str, where: str) -> Iterator[str]:
        """Yield what is wrong with an object of type *name*."""
        declared = value.get("@odata.type") if isinstance(value, dict) else None
        if isinstance(declared, str):  # a derived type says so itself
            name = declared.removeprefix("#microsoft.graph.")
        members = self._all_members(name)
        if not members:
            self.unknown[name] += 1
            return
        if not isinstance(value, dict):
            yield f"{where}: not an object of type {name}"
            return
        for key, inner in value.items():
            if "@odata." in key or key in LISTED or key == "@removed":
                continue
            if key not in members:
                yield f"{where}.{key}: no property of {name}"
            elif inner is not None:
                yield from self._value(inner, members[key], f"{where}.{key}")

    def _value(self, value: Any, kind: str, where: str) -> Iterator[str]:
        collection = re.match(r"^Collection\((.+)\)$", kind)
        if collection:
            if not isinstance(value, list):
                yield f"{where}: not a collection"
                return
            for position, entry in enumerate(value):
                yield from self._value(entry, collection[1], f"{where}[{position}]")
        elif kind.startswith("Edm."):
            if not _is_primitive(value, kind):
                yield f"{where}: {value!r} is no {kind}"
        else:
            name = kind.removeprefix("graph.")
            members = self._enums.get(f"microsoft.graph.{name}")
            if members is None:
                yield from self.check(value, name, where)
            elif value not in members:
                yield f"{where}: {value!r} is no member of {name}"

    def _all_members(self, name: str) -> dict[str, str]:
        known = self._members.get(name)
        if known is None:
            found = self._types.get(f"microsoft.graph.{name}", {})
            base = str(found.get("base") or "").removeprefix("microsoft.graph.")
            inherited = self._all_members(base) if base else {}
            known = {**inherited, **found.get("props", {}), **found.get("nav", {})}
            self._members[name] = known
        return known


def problems(contract: Contract, line: dict[str, Any]) -> Iterator[str]:
    """Yield what does not conform in one exchange of the traffic log."""
    name = resource(line["route"])
    if name is None:
        return
    where = f"{line['method']} {line['route']}"
    sent, answer = line.get("requestBody"), line.get("responseBody")
    if isinstance(sent, dict) and line["method"] in {"POST", "PATCH"}:
        yield from contract.check(sent, name, f"{where} sent")
    if line["status"] >= _ERROR or not isinstance(answer, dict):
        return
    if isinstance(answer.get("value"), list):
        yield from (
            f"{where}: {key} beside value" for key in answer if key != "value" and not key.startswith("@odata.")
        )
        for position, row in enumerate(answer["value"]):
            yield from contract.check(row, name, f"{where} value[{position}]")
    else:
        yield from contract.check(answer, name, f"{where} answer")


def resource(route: str) -> str | None:
    """Give the type that a route speaks of; ``None`` for routes without one, such as actions."""
    for pattern, name in _RESOURCES:
        if re.search(pattern, route):
            return name
    return None


def main(contract_path: str, traffic_path: str) -> int:
    """Check a file; prints every kind of problem once, with its count. Returns the exit status."""
    contract = Contract(msgspec.json.decode(Path(contract_path).read_bytes()))
    raw = sys.stdin.buffer.read() if traffic_path == "-" else Path(traffic_path).read_bytes()
    found: Counter[str] = Counter()
    exchanges = 0
    for text in raw.splitlines():
        exchanges += 1
        found.update(re.sub(r"\[\d+\]", "[]", each) for each in problems(contract, msgspec.json.decode(text)))
    for each, times in found.most_common():
        sys.stdout.write(f"{times:6} x {each}\n")
    skipped = f"; not in the contract: {', '.join(sorted(contract.unknown))}" if contract.unknown else ""
    sys.stdout.write(f"{exchanges} exchanges, {sum(found.values())} problems{skipped}\n")
    return 1 if found or not exchanges else 0


def _is_primitive(value: Any, kind: str) -> bool:
    match kind:
        case "Edm.Boolean":
            return isinstance(value, bool)
        case "Edm.Int32" | "Edm.Int64" | "Edm.Int16":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Edm.Double" | "Edm.Single":
            return isinstance(value, int | float) and not isinstance(value, bool)
    pattern = {
        "Edm.DateTimeOffset": _INSTANT,
        "Edm.Guid": _GUID,
        "Edm.Date": _DATE,
        "Edm.TimeOfDay": _TIME,
    }.get(kind)
    return isinstance(value, str) and (pattern is None or bool(pattern.match(value)))


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - itself and two files
        sys.exit("usage: python -m mms_simulator.conformance CONTRACT TRAFFIC")
    sys.exit(main(sys.argv[1], sys.argv[2]))
