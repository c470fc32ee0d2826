"""Users, licences, mailbox settings, Teams configurations and audits over HTTP (fact sheet 6)."""

from collections.abc import Callable
from typing import Any

from mms_simulator import directory, notify, payloads, plans, views
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import GraphError, bad_request, resource_not_found
from mms_simulator.odata import filters
from mms_simulator.odata.query import next_link, page_of, sort_rows
from mms_simulator.store import Store
from mms_simulator.zones import parse_instant

DEFAULT = ("businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
            "preferredLanguage", "surname", "userPrincipalName", "id")  # fmt: skip
_PROFILE = frozenset({
    "displayName", "givenName", "surname", "jobTitle", "department", "officeLocation", "mobilePhone", "usageLocation",
    "preferredLanguage", "accountEnabled", "city", "country", "companyName", "businessPhones", "employeeId",
})  # fmt: skip
PROPERTIES = frozenset({
    "id", "deletedDateTime", "aboutMe", "accountEnabled", "ageGroup", "assignedLicenses", "assignedPlans",
    "authorizationInfo", "birthday", "businessPhones", "city", "companyName", "consentProvidedForMinor", "country",
    "createdDateTime", "creationType", "customSecurityAttributes", "department", "displayName", "employeeHireDate",
    "employeeId", "employeeLeaveDateTime", "employeeOrgData", "employeeType", "externalUserState",
    "externalUserStateChangeDateTime", "faxNumber", "givenName", "hireDate", "identities", "imAddresses", "interests",
    "isManagementRestricted", "isResourceAccount", "jobTitle", "lastPasswordChangeDateTime",
    "legalAgeGroupClassification", "licenseAssignmentStates", "mail", "mailNickname", "mailboxSettings", "mobilePhone",
    "mySite", "officeLocation", "onPremisesDistinguishedName", "onPremisesDomainName",
    "onPremisesExtensionAttributes", "onPremisesImmutableId", "onPremisesLastSyncDateTime",
    "onPremisesProvisioningErrors", "onPremisesSamAccountName", "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled", "onPremisesUserPrincipalName", "otherMails", "passwordPolicies", "passwordProfile",
    "pastProjects", "postalCode", "preferredDataLocation", "preferredLanguage", "preferredName", "provisionedPlans",
    "proxyAddresses", "responsibilities", "schools", "securityIdentifier", "serviceProvisioningErrors",
    "showInAddressList", "signInActivity", "signInSessionsValidFromDateTime", "skills", "state", "streetAddress",
    "surname", "usageLocation", "userPrincipalName", "userType",
})  # fmt: skip
"""What a user may be asked for; most of it we do not know of anybody."""
_PAGE = 100
_MAX_PAGE = 999


def reader(row: dict[str, Any]) -> Callable[[str], Any]:
    """Give the function that reads a path such as ``targetResources/id`` from JSON values."""

    def read(path: str) -> Any:
        value: Any = row
        for step in path.split("/"):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return read


def project(row: dict[str, Any], names: frozenset[str] | tuple[str, ...] | None) -> dict[str, Any]:
    """Cut a row down to the selected names; the id stays."""
    return row if names is None else {name: row[name] for name in row if name in names or name == "id"}


def collection(
    call: Call,
    rows: list[dict[str, Any]],
    default: tuple[str, ...] | None,
    context: str,
    *,
    size: int | None = None,
    most: int | None = None,
) -> Reply:
    """Answer with a page of plain rows, filtered and sorted.

    Args:
        call: The request.
        rows: All there are.
        default: What is shown of each unless something is selected.
        context: Named in the answer.
        size: Of the page, where it is not ``$top``.
        most: Rows in all pages together.
    """
    wanted = call.options
    if wanted.filter:
        node = filters.parse(wanted.filter)
        rows = [row for row in rows if filters.matches(node, reader(row))]
    total = len(rows)
    rows = sort_rows(rows, wanted.orderby, lambda row, name: reader(row)(name))[:most]
    wanted.skip = _skipped(call)
    page, following = page_of(rows, wanted, min(size or wanted.top or _PAGE, _MAX_PAGE))
    payload: dict[str, Any] = {"@odata.context": f"{call.store.base}/v1.0/$metadata#{context}"}
    if wanted.count:
        payload["@odata.count"] = total
    if following is not None:
        payload["@odata.nextLink"] = next_link(call.url, call.query, skiptoken=following)
    payload["value"] = [project(row, wanted.select or default) for row in page]
    return Reply(200, payload)


def _skipped(call: Call) -> int:
    """Give how many rows the pages before had; a page token that is not ours is one that has expired."""
    token = call.query.get("$skiptoken")
    if token is None:
        return call.options.skip
    if not token.isdigit():
        text = "The specified page token value has expired and can no longer be included in your request."
        raise bad_request(text, "Directory_ExpiredPageToken")
    return int(token)


def list_users(call: Call) -> Reply:
    """``GET /users``: a page of 100, at most 999."""
    if (call.options.top or 0) > _MAX_PAGE:
        raise bad_request("Invalid page size specified: must be between 1 and 999 inclusive.", "Request_BadRequest")
    store, wanted = call.store, call.options
    if wanted.skip:
        raise bad_request("'$skip' is not supported by the service.", "Request_UnsupportedQuery")
    check_names(store, wanted.select or frozenset())
    if not wanted.filter and not wanted.orderby:
        return _quick_list(call)
    if wanted.filter:
        _check_filter(call, filters.parse(wanted.filter))
    rows = [_without_settings(directory.graph_user(user)) for user in store.users.values()]
    return collection(call, rows, DEFAULT, "users")


def check_names(store: Store, names: frozenset[str]) -> None:
    """Refuse names that no user has."""
    for name in names - PROPERTIES:
        if not any(name in user.extra for user in store.users.values()):
            raise bad_request(f"Could not find a property named '{name}' on type 'microsoft.graph.user'.", "BadRequest")


def _check_filter(call: Call, node: filters.Node) -> None:
    """Refuse what the directory cannot filter by: contains at all, some without ConsistencyLevel: eventual."""
    for leaf in filters.leaves(node):
        if isinstance(leaf, filters.Not):
            _check_filter(call, leaf.condition)
        else:
            check_names(call.store, frozenset({leaf.path.partition("/")[0]}))
        function = leaf.function if isinstance(leaf, filters.Call) else ""
        negated = isinstance(leaf, filters.Not) or (isinstance(leaf, filters.Compare) and leaf.operator == "ne")
        if function == "contains" or ((negated or function == "endswith") and not _is_advanced(call)):
            raise bad_request("Unsupported Query.", "Request_UnsupportedQuery")


def _is_advanced(call: Call) -> bool:
    return call.headers.get("ConsistencyLevel", "").lower() == "eventual"


def _quick_list(call: Call) -> Reply:
    """Cut the page first and show only its users: ten thousand users are not written out for each page."""
    store, wanted = call.store, call.options
    wanted.skip = _skipped(call)
    users = list(store.users.values())
    page, following = page_of(users, wanted, min(wanted.top or _PAGE, _MAX_PAGE))
    payload: dict[str, Any] = {"@odata.context": f"{store.base}/v1.0/$metadata#users"}
    if wanted.count:
        payload["@odata.count"] = len(users)
    if following is not None:
        payload["@odata.nextLink"] = next_link(call.url, call.query, skiptoken=following)
    names = wanted.select or DEFAULT
    payload["value"] = [project(_without_settings(directory.graph_user(user)), names) for user in page]
    return Reply(200, payload)


def count_users(call: Call) -> Reply:
    """``GET /users/$count``: an advanced query."""
    if not _is_advanced(call):
        raise bad_request("$count is not currently supported.", "Request_BadRequest")
    return Reply(200, raw=str(len(call.store.users)).encode(), content_type="text/plain")


def get_user(call: Call) -> Reply:
    """``GET /users/{id, userPrincipalName or sip:address}``."""
    user, wanted = call.store.user(call.arguments["user"]), call.options.select
    check_names(call.store, wanted or frozenset())
    row = project(directory.graph_user(user), wanted or DEFAULT)
    return Reply(200, {"@odata.context": f"{call.store.base}/v1.0/$metadata#users/$entity", **row})


def get_mailbox_settings(call: Call) -> Reply:
    """``GET /users/{id}/mailboxSettings``."""
    return Reply(200, directory.mailbox_settings(call.store.mailbox_user(call.arguments["user"])))


def list_license_details(call: Call) -> Reply:
    """``GET /users/{id}/licenseDetails``."""
    return Reply(200, {"value": directory.license_details(call.store.user(call.arguments["user"]))})


def list_configurations(call: Call) -> Reply:
    """``GET /admin/teams/userConfigurations``: what $top means is a switch (6.4)."""
    rows = [directory.teams_configuration(call.store, user) for user in call.store.users.values()]
    context, top = "admin/teams/userConfigurations", call.options.top
    if call.store.switches.configurationsTop == "total":
        return collection(call, rows, None, context, size=_PAGE, most=top)
    reply = collection(call, rows, None, context, size=top or views.preferred_size(call.prefer))
    reply.headers |= views.applied(call.prefer)
    return reply


def get_configuration(call: Call) -> Reply:
    """``GET /admin/teams/userConfigurations/{id}``: the object id only; wrapped in value by switch (6.4)."""
    user = call.store.users.get(call.arguments["user"].lower())
    if user is None:
        raise resource_not_found(call.arguments["user"])
    row = project(directory.teams_configuration(call.store, user), call.options.select)
    return Reply(200, {"value": row} if call.store.switches.userConfigurationWrapped else row)


def list_audits(call: Call) -> Reply:
    """``GET /auditLogs/directoryAudits``, newest first; late by switch (6.3)."""
    until = call.store.clock.now() - call.store.switches.auditDelaySeconds
    rows = [audit.record for audit in reversed(call.store.audits) if audit.at <= until]
    if call.options.filter:
        rows = _audits_matching(call, rows)
        call.query.pop("$filter", None)
    return collection(call, rows, None, "auditLogs/directoryAudits")


def get_audit(call: Call) -> Reply:
    """``GET /auditLogs/directoryAudits/{id}``."""
    for audit in call.store.audits:
        if audit.record["id"] == call.arguments["audit"]:
            return Reply(200, audit.record)
    raise GraphError(404, "ResourceNotFound", "The audit record does not exist.")


def assign_license(call: Call) -> Reply:
    """``POST /users/{id}/assignLicense``: by SKU, with the plans of it that stay disabled (6.1)."""
    user, given = call.store.user(call.arguments["user"]), call.read(payloads.AssignLicense)
    licenses = {row["skuId"]: row for row in user.licenses}
    for sku in given.get("removeLicenses") or ():
        if licenses.pop(sku.lower(), None) is None:
            raise bad_request("User does not have a corresponding license.", "Request_BadRequest")
    for row in given.get("addLicenses") or ():
        sku, off = row["skuId"].lower(), [plan.lower() for plan in row.get("disabledPlans") or ()]
        licenses[sku] = {"skuId": sku, "disabledPlans": off}
    held = {
        plan for row in licenses.values() for plan in plans.plans_of(row["skuId"]) if plan not in row["disabledPlans"]
    }
    had = {row["servicePlanId"] for row in user.plans if row["capabilityStatus"] in plans.LICENSED}
    brought = {plan for sku in {*licenses, *(row["skuId"] for row in user.licenses)} for plan in plans.plans_of(sku)}
    changed = directory.assign_license(
        call.store, user, sorted(held - had), sorted((had - held) & brought), list(licenses.values())
    )
    return Reply(200, project(directory.graph_user(changed), DEFAULT))


def patch_user(call: Call) -> Reply:
    """``PATCH /users/{id}``: profile properties are kept as they come; names and licences are not changed here."""
    user, given = call.store.user(call.arguments["user"]), payloads.plain(call.json())
    for unknown in given.keys() - PROPERTIES - user.extra.keys():
        if not unknown.startswith("@"):
            text = f"Property '{unknown}' does not exist as a declared property or extension property."
            raise bad_request(text, "Request_BadRequest")
    kept = {name: value for name, value in given.items() if name in _PROFILE}
    name = kept.pop("displayName", None) or user.name
    rows = [{"Name": key, "OldValue": "", "NewValue": str(value)} for key, value in kept.items()]
    extra = {**user.extra, **kept}
    changed = directory.touch(call.store, user, tracked=True, name=str(name), extra=extra)
    notify.user_changed(call.store, changed)
    notify.audit_user(call.store, changed, "Update user.", rows)
    return Reply(204)


def delete_user(call: Call) -> Reply:
    """``DELETE /users/{id}``: softly; subscriptions hear of a change, too (6.3)."""
    directory.delete(call.store, call.store.user(call.arguments["user"]))
    return Reply(204)


def register(routes: Routes) -> None:
    """Add the routes of users and of what hangs on them."""
    routes.add("GET", "users", list_users)
    routes.add("GET", "users/$count", count_users)
    routes.add("GET", "users/{user}", get_user)
    routes.add("PATCH", "users/{user}", patch_user)
    routes.add("DELETE", "users/{user}", delete_user)
    routes.add("POST", "users/{user}/assignLicense", assign_license)
    routes.add("GET", "users/{user}/mailboxSettings", get_mailbox_settings)
    routes.add("GET", "users/{user}/licenseDetails", list_license_details)
    routes.add("GET", "admin/teams/userConfigurations", list_configurations)
    routes.add("GET", "admin/teams/userConfigurations/{user}", get_configuration)
    routes.add("GET", "auditLogs/directoryAudits", list_audits)
    routes.add("GET", "auditLogs/directoryAudits/{audit}", get_audit)


_AUDITED = frozenset({
    "id", "activityDateTime", "activityDisplayName", "category", "correlationId", "initiatedBy", "loggedByService",
    "operationType", "result", "resultReason", "targetResources",
})  # fmt: skip
"""What audits can be filtered by."""


def _audits_matching(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    node = filters.parse(call.options.filter or "")
    for leaf in filters.leaves(node):
        if isinstance(leaf, filters.Not) or leaf.path.partition("/")[0] not in _AUDITED:
            raise bad_request("Invalid filter clause.", "BadRequest")

    def read(row: dict[str, Any]) -> Callable[[str], Any]:
        plain = reader(row)
        return lambda path: parse_instant(plain(path)) if path == "activityDateTime" else plain(path)

    return [row for row in rows if filters.matches(_with_instants(node), read(row))]


def _with_instants(node: filters.Node) -> filters.Node:
    match node:
        case filters.Both():
            return filters.Both(_with_instants(node.left), _with_instants(node.right))
        case filters.Either():
            return filters.Either(_with_instants(node.left), _with_instants(node.right))
        case filters.Compare(path="activityDateTime", value=filters.Moment(text=text)):
            return filters.Compare(node.path, node.operator, parse_instant(text))
    return node


def _without_settings(row: dict[str, Any]) -> dict[str, Any]:
    """Leave out what Graph shows of one user only."""
    row.pop("mailboxSettings", None)
    return row
