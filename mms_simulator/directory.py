"""Users, licences and Teams policies: making and changing them as an administrator would (fact sheet 6)."""

import uuid
from typing import Any

import msgspec

from mms_simulator import meetings, notify, payloads, plans
from mms_simulator.errors import bad_request, resource_not_found
from mms_simulator.ids import new_item_id
from mms_simulator.model import AudioConferencing, Calendar, User
from mms_simulator.store import Store
from mms_simulator.zones import graph_instant

_KNOWN = frozenset({
    "id", "userPrincipalName", "displayName", "mail", "sip", "mailbox", "mailboxKind", "homed", "mode", "plans",
    "audioConferencing", "cvi", "language", "timeZone", "allowedOnlineMeetingProviders", "calendars", "directMode",
    "createdDateTime", "groups",
})  # fmt: skip
CREATED = "*"
"""Stands in a user's ``changed`` for all properties at once."""
_UNTRACKED = frozenset({"licenseAssignmentStates", "mailboxSettings"})
"""6.3: users/delta shows them, but does not notice when they change."""
_INSTANCES = {"TeamsOnly": "UpgradeToTeams"}
_UPGRADE = "TeamsUpgradePolicy"
_MODES = {"Islands", "SfBOnly", "SfBWithTeamsCollab", "SfBWithTeamsCollabAndMeetings", "TeamsOnly"}


def create(store: Store, given: dict[str, Any]) -> User:
    """Make a user from the control surface's description; 400 when there is no userPrincipalName, or it is taken."""
    upn = payloads.checked(payloads.plain(given), payloads.User)["userPrincipalName"]
    if not upn:
        raise bad_request("userPrincipalName is required.", "Request_BadRequest")
    user_id = str(given.get("id") or uuid.uuid4()).lower()
    if store.find_user(upn) or user_id in store.users:
        raise bad_request("Another object with the same value for property userPrincipalName already exists.",
                          "Request_BadRequest")  # fmt: skip
    now = store.clock.now()
    at = graph_instant(int(now))
    name = given.get("displayName") or upn.partition("@")[0]
    mail = given.get("mail") or upn
    extra_plans = [str(plan) for plan in given.get("plans") or ()]
    mailbox = given.get("mailbox") or "exchangeOnline"
    base = [plans.TEAMS] if mailbox != "exchangeOnline" else [plans.EXCHANGE, plans.TEAMS]
    audio = {key: value for key, value in (given.get("audioConferencing") or {}).items() if value is not None}
    sequence = store.next_number("userSequence")
    user = User(
        id=user_id,
        upn=upn,
        name=name,
        mail=mail,
        sip="sip:" + str(given.get("sip") or upn).removeprefix("sip:"),
        created=now,
        mailbox=mailbox,
        mailbox_kind=given.get("mailboxKind") or "user",
        homed=given.get("homed") or "online",
        mode=given.get("mode") or store.settings.get("tenantMode") or "Islands",
        direct_mode=given.get("directMode"),
        plans=[plans.assigned_plan(plan, at) for plan in [*base, *extra_plans]],
        licenses=[
            {"skuId": sku, "disabledPlans": []}
            for sku in dict.fromkeys([plans.BASE_SKU, *(plans.sku_of(plan) for plan in extra_plans)])
        ],
        audio=_audio(audio),
        cvi=given.get("cvi"),
        language=given.get("language") or "en-US",
        time_zone=given.get("timeZone") or "UTC",
        providers=list(given.get("allowedOnlineMeetingProviders") or ["teamsForBusiness"]),
        calendars=[
            Calendar(id=new_item_id(user_id), name="Calendar", owner_name=name, owner_address=mail, is_default=True),
            *(_calendar(user_id, name, mail, each) for each in given.get("calendars") or ()),
        ],
        groups=group_ids(given.get("groups") or []),
        extra={key: value for key, value in given.items() if key not in _KNOWN},
        modified=now,
        sequence=sequence,
        changed={CREATED: sequence},
    )
    store.save(user)
    notify.user_changed(store, user)
    return user


def assign_license(
    store: Store, user: User, added: list[str], removed: list[str], licenses: list[dict[str, Any]] | None = None
) -> User:
    """Assign and take away plans; what is taken stays in assignedPlans as Deleted (6.1).

    *licenses* are the user's SKUs afterwards; without them each plan stands for the SKU that is sold for it.
    """
    at = graph_instant(int(store.clock.now()))
    gone = {plan.lower() for plan in removed}
    new = {plan.lower() for plan in added}
    kept = [
        {**plan, "capabilityStatus": "Deleted", "assignedDateTime": at}
        if plan["servicePlanId"] in gone and plan["capabilityStatus"] != "Deleted"
        else plan
        for plan in user.plans
        if plan["servicePlanId"] not in new
    ]
    if licenses is None:
        lost = {plans.sku_of(plan) for plan in gone}
        licenses = [row for row in user.licenses if row["skuId"] not in lost]
        held = {row["skuId"] for row in licenses}
        wanted = dict.fromkeys(plans.sku_of(plan) for plan in added)
        licenses += [{"skuId": sku, "disabledPlans": []} for sku in wanted if sku not in held]
    tracked = not store.switches.deltaMissesLicences
    changed = touch(
        store,
        user,
        tracked=tracked,
        plans=[*kept, *(plans.assigned_plan(plan, at) for plan in added)],
        licenses=licenses,
    )
    notify.user_changed(store, changed)
    values = {
        "Name": "AssignedLicense",
        "OldValue": str([row["skuId"] for row in user.licenses]),
        "NewValue": str([row["skuId"] for row in licenses]),
    }
    notify.audit_user(store, changed, "Change user license.", [values])
    notify.audit_user(store, changed, "Update user.", [{**values, "Name": "AssignedPlan"}])
    return changed


def grant_policy(store: Store, user: User | None, policy: str, mode: str, migrate: bool | None) -> None:  # noqa: FBT001
    """Grant a policy to a user, or to the tenant: then everybody without a direct assignment inherits it (N3)."""
    if policy == _UPGRADE and mode not in _MODES:
        raise bad_request(f"'{mode}' is no mode of TeamsUpgradePolicy.", "Request_BadRequest")
    if policy == _UPGRADE:
        if user:
            touch(store, user, direct_mode=mode)
        else:
            store.setting("tenantMode", mode)
            for each in list(store.users.values()):
                touch(store, each, mode=mode)
    elif user and policy == "TeamsVideoInteropServicePolicy":
        touch(store, user, cvi=mode)
    notify.audit_policy(store, user, policy, mode, migrate)


def set_audio(store: Store, user: User, changes: dict[str, Any]) -> tuple[User, list[tuple[str, Any, Any]]]:
    """Change dial-in settings; also what changed, as (kind, from, to). Another bridge brings its own number."""
    old = user.audio
    values = {key: value for key, value in changes.items() if value is not None}
    if "bridge" in values and values["bridge"] != old.bridge and "tollNumber" not in values:
        values["tollNumber"] = meetings.bridge_number(values["bridge"])
    try:
        new = msgspec.convert({**msgspec.structs.asdict(old), **values}, AudioConferencing)
    except msgspec.ValidationError as exc:
        raise bad_request(str(exc), "Request_BadRequest") from exc
    told: list[tuple[str, Any, Any]] = []
    if new.provider != old.provider:
        told.append(("provider", old.provider, new.provider))
    if new.enabled != old.enabled:
        told.append(("enabled" if new.enabled else "disabled", old.enabled, new.enabled))
    if new.bridge != old.bridge:
        told.append(("bridge", old.bridge, new.bridge))
    elif new.tollNumber != old.tollNumber:
        told.append(("bridge", old.tollNumber, new.tollNumber))
    if new.conferenceId != old.conferenceId:
        told.append(("conferenceId", old.conferenceId, new.conferenceId))
    return touch(store, user, audio=new), told


def touch(store: Store, user: User, *, tracked: bool = False, **changes: Any) -> User:
    """Replace fields of a user and count the change; *tracked* ones show in users/delta."""
    changed = msgspec.structs.replace(user, **changes, version=user.version + 1, modified=store.clock.now())
    if tracked:
        changed.sequence = store.next_number("userSequence")
        before, after = graph_user(user), graph_user(changed)
        names = {name for name, value in after.items() if value != before.get(name)} - _UNTRACKED
        changed.changed = {**user.changed, **dict.fromkeys(names, changed.sequence)}
    store.save(changed)
    return changed


def delete(store: Store, user: User) -> None:
    """Delete a user softly: Graph no longer finds it, delta and subscriptions tell (6.3)."""
    notify.user_changed(store, user)
    notify.user_changed(store, user, "deleted")
    store.drop(user)
    deleted = list(store.settings.get("deletedUsers") or [])
    store.setting("deletedUsers", [*deleted, [user.id, store.next_number("userSequence")]])


def mode_of(user: User) -> str:
    """Give the coexistence mode in effect."""
    return user.direct_mode or user.mode


def graph_user(user: User) -> dict[str, Any]:
    """Write everything Graph knows of a user; the caller selects."""
    given, _, family = user.name.partition(" ")
    on_premises = user.homed == "onPremises" or user.mailbox == "onPremises"
    alias = user.upn.partition("@")[0]
    shown: dict[str, Any] = {
        "id": user.id,
        "businessPhones": [],
        "displayName": user.name,
        "givenName": given or None,
        "jobTitle": None,
        "mail": user.mail,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": user.language,
        "surname": family or None,
        "userPrincipalName": user.upn,
        "accountEnabled": True,
        "userType": "Member",
        "createdDateTime": graph_instant(int(user.created)),
        "mailNickname": alias,
        "usageLocation": "US",
        "proxyAddresses": [f"SMTP:{user.mail}", f"SIP:{user.sip.removeprefix('sip:')}"],
        "imAddresses": [user.sip.removeprefix("sip:")],
        "assignedPlans": user.plans,
        "assignedLicenses": user.licenses,
        "provisionedPlans": [
            {"capabilityStatus": row["capabilityStatus"], "provisioningStatus": "Success", "service": row["service"]}
            for row in user.plans
        ],
        "licenseAssignmentStates": [
            {
                "skuId": row["skuId"],
                "assignedByGroup": None,
                "disabledPlans": row["disabledPlans"],
                "state": "Active",
                "error": "None",
                "lastUpdatedDateTime": graph_instant(int(user.modified)),
            }
            for row in user.licenses
        ],
        "onPremisesSyncEnabled": True if on_premises else None,
        "onPremisesSamAccountName": alias if on_premises else None,
        "onPremisesUserPrincipalName": user.upn if on_premises else None,
        "onPremisesImmutableId": user.id.replace("-", "")[:22] + "==" if on_premises else None,
        "onPremisesLastSyncDateTime": graph_instant(int(user.created)) if on_premises else None,
        "onPremisesDomainName": user.upn.partition("@")[2] if on_premises else None,
        "isResourceAccount": user.mailbox_kind in {"room", "equipment"} or None,
        "mailboxSettings": mailbox_settings(user),
        **user.extra,
    }
    return shown


def mailbox_settings(user: User) -> dict[str, Any]:
    """Write mailboxSettings, language and time zone first of all."""
    locale = user.language
    return {
        "archiveFolder": None,
        "timeZone": user.time_zone,
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
        "dateFormat": "yyyy-MM-dd",
        "timeFormat": "HH:mm",
        "userPurpose": user.mailbox_kind,
        "language": {"locale": locale, "displayName": locale},
    }


def license_details(user: User) -> list[dict[str, Any]]:
    """Write licenseDetails: the plans of each SKU with their state (6.1)."""
    names = dict(plans.SKU_OF_PLAN.values())
    rows = []
    for license_row in user.licenses:
        sku = license_row["skuId"]
        states = {plan["servicePlanId"]: plan["capabilityStatus"] for plan in user.plans}
        rows.append(
            {
                "id": f"{user.id}_{sku}",
                "skuId": sku,
                "skuPartNumber": names.get(sku, "SPE_E3"),
                "servicePlans": [
                    {
                        "servicePlanId": plan,
                        "servicePlanName": plans.NAMES.get(plan, ("UNKNOWN", ""))[0],
                        "provisioningStatus": "Disabled"
                        if plan in license_row["disabledPlans"] or states.get(plan) not in plans.LICENSED
                        else "Success",
                        "appliesTo": "User",
                    }
                    for plan in plans.plans_of(sku)
                ],
            }
        )
    return rows


def teams_configuration(store: Store, user: User) -> dict[str, Any]:
    """Write a Teams user configuration; that TeamsUpgradePolicy is among the policies is our guess (6.4)."""
    account = "sfbOnPremUser" if user.homed == "onPremises" else "user"
    if user.extra.get("userType") == "Guest":
        account = "guest"
    elif user.mailbox_kind in {"room", "equipment"}:
        account = "resourceAccount"
    policies = []
    if user.direct_mode or store.switches.inheritedPolicies == "group":
        policies.append(_assignment(store, _UPGRADE, mode_of(user), direct=user.direct_mode is not None))
    if user.cvi:
        policies.append(_assignment(store, "TeamsVideoInteropServicePolicy", user.cvi, direct=True))
    return {
        "id": user.id,
        "userPrincipalName": user.upn,
        "tenantId": store.tenant_id,
        "accountType": account,
        "featureTypes": ["Teams"],
        "isEnterpriseVoiceEnabled": False,
        "telephoneNumbers": [],
        "effectivePolicyAssignments": policies,
        "createdDateTime": graph_instant(int(user.created)),
        "modifiedDateTime": graph_instant(int(user.modified)),
    }


def group_ids(given: list[str]) -> list[str]:
    """Read object ids of groups, each once; 400 for what is no GUID."""
    try:
        return list(dict.fromkeys(str(uuid.UUID(each)) for each in given))
    except ValueError as exc:
        raise bad_request("Invalid object identifier: a group is named by its GUID.", "Request_BadRequest") from exc


def find_number(store: Store, number: str) -> list[User]:
    """Give the users whose invitations carry a toll number."""
    wanted = _digits(number)
    return [
        user
        for user in store.users.values()
        if _digits(user.audio.tollNumber or meetings.bridge_number(user.audio.bridge)) == wanted
    ]


def require_user(store: Store, identity: object) -> User:
    """Find a user that a control call names."""
    found = store.find_user(identity) if isinstance(identity, str) else None
    if found is None:
        raise resource_not_found(str(identity))
    return found


def _assignment(store: Store, policy: str, name: str, *, direct: bool) -> dict[str, Any]:
    shown = _INSTANCES.get(name, name) if store.switches.upgradePolicyNames == "instance" else name
    return {
        "policyType": policy,
        "policyAssignment": {
            "displayName": shown,
            "assignmentType": "direct" if direct else "group",
            "policyId": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{policy}.{name}")),
            "groupId": None if direct else str(uuid.uuid5(uuid.NAMESPACE_DNS, "everybody")),
        },
    }


def _audio(values: dict[str, Any]) -> AudioConferencing:
    try:
        return msgspec.convert(values, AudioConferencing)
    except msgspec.ValidationError as exc:
        raise bad_request(str(exc), "Request_BadRequest") from exc


def _calendar(user_id: str, name: str, mail: str, given: dict[str, Any]) -> Calendar:
    owner = given.get("owner") or {}
    return Calendar(
        id=new_item_id(user_id),
        name=given.get("name") or "Calendar",
        owner_name=owner.get("name") or name,
        owner_address=owner.get("address") or mail,
        can_edit=given.get("canEdit", True) is not False,
    )


def _digits(number: str) -> str:
    return "".join(char for char in number if char.isdigit())
