"""Does recorded traffic conform to Graph's types? ``python -m mms_simulator.conformance CONTRACT TRAFFIC``.

CONTRACT is a JSON file of types and enumerations taken from Graph's metadata: ``{"types": {name: {"base", "props",
"nav"}}, "enums": {name: [member]}}``. TRAFFIC is what ``GET /_tenant/traffic`` gives (or ``-``). Every body of a
request and of an answer is checked, refusals and the parts of a batch too: property names, types of values, members of
enumerations; and the names in ``$select`` and ``$expand``. The exceptions are ``@odata.*``, ``uid`` and
``occurrenceId`` (which live payloads carry). A body for which there is no type is counted and named by its route, so
that nothing passes by not being looked at; a log in which nothing could be checked does not pass.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from mms_simulator import jsontext

LISTED = frozenset({"uid", "occurrenceId"})
_POSITION = re.compile(r"\[\d+\]")
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$")
_LOCAL = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$")
_GUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_TIME = re.compile(r"^\d\d:\d\d(:\d\d(\.\d+)?)?$")
_ENTITIES: tuple[tuple[str, str], ...] = (
    (r"users/[^/]+(/calendar|/calendars/[^/]+)?/events(/[^/]+(/instances)?)?", "event"),
    (r"users/[^/]+(/calendar|/calendars/[^/]+)?/calendarView(/(microsoft\.graph\.)?delta)?", "event"),
    (r"users/[^/]+(/calendar|/calendars/[^/]+)?/events/[^/]+/attachments", "attachment"),
    (r"users/[^/]+/(calendar|calendars(/[^/]+)?)", "calendar"),
    (r"users/[^/]+/onlineMeetings(/[^/]+)?", "onlineMeeting"),
    (r"users/[^/]+/mailboxSettings", "mailboxSettings"),
    (r"users/[^/]+/licenseDetails", "licenseDetails"),
    (r"users(/[^/]+|/(microsoft\.graph\.)?delta)?", "user"),
    (r"subscriptions(/[^/]+)?", "subscription"),
    (r"admin/teams/userConfigurations(/[^/]+)?", "teamsAdministration.teamsUserConfiguration"),
    (r"auditLogs/directoryAudits(/[^/]+)?", "directoryAudit"),
    (r"(servicePrincipals|users)/[^/]+/appRole(Assignments|AssignedTo)(/[^/]+)?", "appRoleAssignment"),
    (r"(servicePrincipals/[^/]+/)?oauth2PermissionGrants(/[^/]+)?", "oAuth2PermissionGrant"),
    (r"applications(/[^/]+)?", "application"),
    (r"servicePrincipals(/[^/]+)?", "servicePrincipal"),
    (r"organization(/[^/]+)?", "organization"),
    (r"groups(/[^/]+)?", "group"),
    (r"(users|groups)/[^/]+/(memberOf|transitiveMemberOf|members|transitiveMembers)", "directoryObject"),
)
"""Paths and the types they speak of, sent and answered; they match patterns such as ``users/{user}`` as well."""
_ACTIONS: tuple[tuple[str, str, str | None], ...] = (
    (r"users/[^/]+/events/[^/]+/(accept|decline|tentativelyAccept)", "mms.answer", None),
    (r"users/[^/]+/events/[^/]+/cancel", "mms.cancel", None),
    (r"users/[^/]+/sendMail", "mms.sendMail", None),
    (r"users/[^/]+/assignLicense", "mms.assignLicense", "user"),
    (r"users/[^/]+/checkMemberGroups", "mms.checkMemberGroups", "mms.strings"),
    (r"users/[^/]+/(checkMemberObjects|getMemberObjects|getMemberGroups)", "mms.memberObjects", "mms.strings"),
)
"""Actions: the type of what is sent, and of the answer if there is one."""
_SUPPLEMENT: dict[str, dict[str, Any]] = {
    "entity": {"props": {"id": "Edm.String"}},
    "directoryObject": {"base": "microsoft.graph.entity", "props": {"deletedDateTime": "Edm.DateTimeOffset"}},
    "mms.answer": {
        "props": {"comment": "Edm.String", "sendResponse": "Edm.Boolean", "proposedNewTime": "graph.timeSlot"}
    },
    "mms.cancel": {"props": {"comment": "Edm.String", "Comment": "Edm.String"}},
    "mms.sendMail": {"props": {"message": "graph.message", "saveToSentItems": "Edm.Boolean"}},
    "mms.assignLicense": {
        "props": {"addLicenses": "Collection(graph.assignedLicense)", "removeLicenses": "Collection(Edm.Guid)"}
    },
    "mms.checkMemberGroups": {"props": {"groupIds": "Collection(Edm.String)"}},
    "mms.memberObjects": {"props": {"ids": "Collection(Edm.String)", "securityEnabledOnly": "Edm.Boolean"}},
    "mms.strings": {"props": {"value": "Collection(Edm.String)"}},
    "fileAttachment": {
        "base": "microsoft.graph.attachment",
        "props": {"contentBytes": "Edm.Binary", "contentId": "Edm.String", "contentLocation": "Edm.String"},
    },
    "application": {
        "base": "microsoft.graph.directoryObject",
        "props": {
            "api": "graph.apiApplication",
            "appId": "Edm.String",
            "appRoles": "Collection(graph.appRole)",
            "createdDateTime": "Edm.DateTimeOffset",
            "description": "Edm.String",
            "displayName": "Edm.String",
            "identifierUris": "Collection(Edm.String)",
            "keyCredentials": "Collection(graph.keyCredential)",
            "notes": "Edm.String",
            "passwordCredentials": "Collection(graph.passwordCredential)",
            "publisherDomain": "Edm.String",
            "requiredResourceAccess": "Collection(graph.requiredResourceAccess)",
            "signInAudience": "Edm.String",
            "tags": "Collection(Edm.String)",
            "uniqueName": "Edm.String",
        },
    },
    "apiApplication": {
        "props": {
            "acceptMappedClaims": "Edm.Boolean",
            "knownClientApplications": "Collection(Edm.Guid)",
            "oauth2PermissionScopes": "Collection(graph.permissionScope)",
            "preAuthorizedApplications": "Collection(graph.preAuthorizedApplication)",
            "requestedAccessTokenVersion": "Edm.Int32",
        }
    },
    "appRole": {
        "props": {
            "allowedMemberTypes": "Collection(Edm.String)",
            "description": "Edm.String",
            "displayName": "Edm.String",
            "id": "Edm.Guid",
            "isEnabled": "Edm.Boolean",
            "origin": "Edm.String",
            "value": "Edm.String",
        }
    },
    "requiredResourceAccess": {
        "props": {"resourceAccess": "Collection(graph.resourceAccess)", "resourceAppId": "Edm.String"}
    },
    "resourceAccess": {"props": {"id": "Edm.Guid", "type": "Edm.String"}},
    "servicePrincipal": {
        "base": "microsoft.graph.directoryObject",
        "props": {
            "accountEnabled": "Edm.Boolean",
            "alternativeNames": "Collection(Edm.String)",
            "appDisplayName": "Edm.String",
            "appId": "Edm.String",
            "appOwnerOrganizationId": "Edm.Guid",
            "appRoleAssignmentRequired": "Edm.Boolean",
            "appRoles": "Collection(graph.appRole)",
            "description": "Edm.String",
            "displayName": "Edm.String",
            "notes": "Edm.String",
            "oauth2PermissionScopes": "Collection(graph.permissionScope)",
            "servicePrincipalNames": "Collection(Edm.String)",
            "servicePrincipalType": "Edm.String",
            "signInAudience": "Edm.String",
            "tags": "Collection(Edm.String)",
        },
    },
    "appRoleAssignment": {
        "base": "microsoft.graph.directoryObject",
        "props": {
            "appRoleId": "Edm.Guid",
            "createdDateTime": "Edm.DateTimeOffset",
            "principalDisplayName": "Edm.String",
            "principalId": "Edm.Guid",
            "principalType": "Edm.String",
            "resourceDisplayName": "Edm.String",
            "resourceId": "Edm.Guid",
        },
    },
    "oAuth2PermissionGrant": {
        "base": "microsoft.graph.entity",
        "props": dict.fromkeys(("clientId", "consentType", "principalId", "resourceId", "scope"), "Edm.String"),
    },
    "organization": {
        "base": "microsoft.graph.directoryObject",
        "props": {
            **dict.fromkeys(
                (
                    "city",
                    "country",
                    "countryLetterCode",
                    "defaultUsageLocation",
                    "displayName",
                    "postalCode",
                    "preferredLanguage",
                    "state",
                    "street",
                    "tenantType",
                ),
                "Edm.String",
            ),
            **dict.fromkeys(
                (
                    "businessPhones",
                    "marketingNotificationEmails",
                    "securityComplianceNotificationMails",
                    "securityComplianceNotificationPhones",
                    "technicalNotificationMails",
                ),
                "Collection(Edm.String)",
            ),
            "assignedPlans": "Collection(graph.assignedPlan)",
            "createdDateTime": "Edm.DateTimeOffset",
            "onPremisesLastSyncDateTime": "Edm.DateTimeOffset",
            "onPremisesSyncEnabled": "Edm.Boolean",
            "provisionedPlans": "Collection(graph.provisionedPlan)",
            "verifiedDomains": "Collection(graph.verifiedDomain)",
        },
    },
    "verifiedDomain": {
        "props": {
            "capabilities": "Edm.String",
            "isDefault": "Edm.Boolean",
            "isInitial": "Edm.Boolean",
            "name": "Edm.String",
            "type": "Edm.String",
        }
    },
    "group": {
        "base": "microsoft.graph.directoryObject",
        "props": {
            "createdDateTime": "Edm.DateTimeOffset",
            "description": "Edm.String",
            "displayName": "Edm.String",
            "groupTypes": "Collection(Edm.String)",
            "mailEnabled": "Edm.Boolean",
            "mailNickname": "Edm.String",
            "securityEnabled": "Edm.Boolean",
        },
    },
    "mms.refusal": {"props": {"error": "graph.mms.error"}},
    "mms.error": {
        "props": {
            "code": "Edm.String",
            "message": "Edm.String",
            "target": "Edm.String",
            "details": "Collection(graph.mms.error)",
            "innerError": "graph.mms.innerError",
        }
    },
    "mms.innerError": {
        "props": {"date": "Edm.DateTime", "request-id": "Edm.String", "client-request-id": "Edm.String"}
    },
    "teamsAdministration.policyAssignment": {
        "props": {
            "assignmentType": "graph.teamsAdministration.assignmentType",
            "displayName": "Edm.String",
            "groupId": "Edm.String",
            "policyId": "Edm.String",
        }
    },
    "teamsAdministration.assignedTelephoneNumber": {
        "props": {"telephoneNumber": "Edm.String", "assignmentCategory": "Edm.String"}
    },
}
"""Parameters of actions, the error envelope, and types that a contract may lack; the contract's own win."""
_SUPPLEMENT_ENUMS: dict[str, list[str]] = {
    "teamsAdministration.accountType": [
        "user", "resourceAccount", "guest", "sfbOnPremUser", "unknown", "unknownFutureValue", "ineligibleUser",
    ],
    "teamsAdministration.assignmentType": ["direct", "group", "unknownFutureValue"],
}  # fmt: skip
_ERROR = 400


class Contract:
    """Graph's types, and the check of one value against one of them."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._types: dict[str, dict[str, Any]] = {**_full_names(_SUPPLEMENT), **content["types"]}
        self._enums: dict[str, list[str]] = {**_full_names(_SUPPLEMENT_ENUMS), **content["enums"]}
        self._members: dict[str, dict[str, str]] = {}
        self.checked = 0
        """Bodies that were held against a type."""
        self.unchecked: Counter[str] = Counter()
        """Bodies, or parts of them, for which there is no type, by where they travelled."""

    def check(self, value: Any, name: str, where: str) -> Iterator[str]:
        """Yield what is wrong with an object of type *name*."""
        declared = value.get("@odata.type") if isinstance(value, dict) else None
        if isinstance(declared, str):  # a derived type says so itself
            name = declared.removeprefix("#microsoft.graph.")
        members = self.members(name)
        if not members:
            place = _POSITION.sub("[]", where)
            self.unchecked[f"{place}: {f'no type {name}' if name else 'no type for this path'}"] += 1
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
            allowed = self._enums.get(f"microsoft.graph.{name}")
            if allowed is None:
                yield from self.check(value, name, where)
            elif value not in allowed:
                yield f"{where}: {value!r} is no member of {name}"

    def members(self, name: str) -> dict[str, str]:
        """Give all properties of a type with their types, inherited ones too; none for a type nobody knows."""
        known = self._members.get(name)
        if known is None:
            found = self._types.get(f"microsoft.graph.{name}", {})
            base = str(found.get("base") or "").removeprefix("microsoft.graph.")
            inherited = self.members(base) if base else {}
            known = {**inherited, **found.get("props", {}), **found.get("nav", {})}
            self._members[name] = known
        return known


def problems(contract: Contract, line: dict[str, Any]) -> Iterator[str]:
    """Yield what does not conform in one exchange of the traffic log."""
    method, route, status = line["method"], line["route"], int(line["status"])
    path = str(line.get("path") or route).removeprefix("/v1.0/").removeprefix("/beta/")
    sent, answer = line.get("requestBody"), line.get("responseBody")
    where = f"{method} {route}"
    if route == "$batch":
        yield from _batch(contract, sent, answer, status)
        return
    asked, told = types_of(path if route == "unknown" else route)
    if sent is not None:
        contract.checked += 1
        yield from contract.check(sent, asked or "", f"{where} sent")
    yield from _names(contract, str(line.get("query") or ""), asked, where)
    if answer is None:
        return
    contract.checked += 1
    if status >= _ERROR:
        yield from contract.check(answer, "mms.refusal", f"{where} {status}")
    elif route.endswith("$count"):
        if not str(answer).isdigit():
            yield f"{where} answer: {answer!r} is no count"
    elif isinstance(answer, dict) and isinstance(answer.get("value"), list) and told != "mms.strings":
        yield from (
            f"{where}: {key} beside value" for key in answer if key != "value" and not key.startswith("@odata.")
        )
        for position, row in enumerate(answer["value"]):
            yield from contract.check(row, told or "", f"{where} value[{position}]")
    elif isinstance(answer, dict) and isinstance(answer.get("value"), dict):  # some pages of Graph wrap one object
        yield from contract.check(answer["value"], told or "", f"{where} value")
    else:
        yield from contract.check(answer, told or "", f"{where} answer")


def types_of(path: str) -> tuple[str | None, str | None]:
    """Give the types that a path takes and answers with, ``None`` where there is none."""
    plain = path.strip("/")
    for pattern, sent, answered in _ACTIONS:
        if re.fullmatch(pattern, plain):
            return sent, answered
    if re.fullmatch(r"users/[^/]+/onlineMeetings/(microsoft\.graph\.)?createOrGet", plain):
        return "onlineMeeting", "onlineMeeting"
    for pattern, name in _ENTITIES:
        if re.fullmatch(pattern, plain.removesuffix("/$count"), re.IGNORECASE):
            return name, name
    return None, None


def _batch(contract: Contract, sent: Any, answer: Any, status: int) -> Iterator[str]:
    """Yield what does not conform in the parts of a batch, each judged as if it had travelled alone (8.2)."""
    if status >= _ERROR:
        contract.checked += 1
        yield from contract.check(answer, "mms.refusal", f"POST $batch {status}")
        return
    answers = {each["id"]: each for each in answer["responses"]}
    if answers.keys() != {each["id"] for each in sent["requests"]}:
        yield "POST $batch: the answers' ids are not those of the requests"
        return
    for part in sent["requests"]:
        path, _, query = str(part["url"]).strip("/").partition("?")
        got = answers[part["id"]]
        yield from problems(
            contract,
            {
                "method": part["method"],
                "route": _generic(path),
                "query": unquote(query),
                "status": got["status"],
                "requestBody": part.get("body"),
                "responseBody": got.get("body"),
            },
        )


def _generic(path: str) -> str:
    """Write a path as the patterns of the log do, so that problems of a kind are counted together."""
    steps = unquote(path).split("/") if "%" not in path else [unquote(step) for step in path.split("/")]
    collections = {"users", "events", "calendars", "onlineMeetings", "subscriptions", "userConfigurations"}
    return "/".join(
        "{id}" if position and steps[position - 1] in collections and step not in {"$count", "delta", "createOrGet"}
        else step
        for position, step in enumerate(steps)
    )  # fmt: skip


def _names(contract: Contract, query: str, name: str | None, where: str) -> Iterator[str]:
    """Yield what ``$select`` and ``$expand`` ask for although the type does not have it."""
    members = contract.members(name or "")
    for option in ("$select", "$expand"):
        found = re.search(rf"(?:^|&){re.escape(option)}=((?:[^&(]|\([^)]*\)+)*)", query)
        wanted = re.sub(r"\([^)]*\)+", "", found[1]).split(",") if found and members else []
        for each in wanted:
            if each.strip() not in members and each.strip() not in LISTED:
                yield f"{where} {option}: {each.strip()} is no property of {name}"


def _full_names(short: dict[str, Any]) -> dict[str, Any]:
    return {f"microsoft.graph.{name}": value for name, value in short.items()}


def main(contract_path: str, traffic_path: str) -> int:
    """Check a file; prints every kind of problem once, with its count. Returns the exit status."""
    contract = Contract(msgspec.json.decode(Path(contract_path).read_bytes()))
    raw = sys.stdin.buffer.read() if traffic_path == "-" else Path(traffic_path).read_bytes()
    found: Counter[str] = Counter()
    exchanges = 0
    for text in raw.splitlines():
        exchanges += 1
        found.update(_POSITION.sub("[]", each) for each in problems(contract, jsontext.decode(text)))
    for each, times in found.most_common():
        sys.stdout.write(f"{times:6} x {each}\n")
    for each, times in contract.unchecked.most_common():
        sys.stdout.write(f"{times:6} x not checked: {each}\n")
    unchecked = sum(contract.unchecked.values())
    sys.stdout.write(
        f"{exchanges} exchanges, {contract.checked} bodies, {unchecked} without a known type, "
        f"{sum(found.values())} problems\n"
    )
    return 1 if found or contract.checked <= unchecked else 0


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
        "Edm.DateTime": _LOCAL,
        "Edm.Guid": _GUID,
        "Edm.Date": _DATE,
        "Edm.TimeOfDay": _TIME,
    }.get(kind)
    return isinstance(value, str) and (pattern is None or bool(pattern.match(value)))


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - itself and two files
        sys.exit("usage: python -m mms_simulator.conformance CONTRACT TRAFFIC")
    sys.exit(main(sys.argv[1], sys.argv[2]))
