"""What leaves the tenant: Graph notifications, our own CloudEvents, audit records and the activity feed.

Nothing is sent here. A call becomes a ``Delivery`` in the same transaction as its cause, and the courier takes it from
there, so a process that is killed still delivers after its restart.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from mms_simulator import ids
from mms_simulator.model import Audit, Content, Delivery, Subscription, User
from mms_simulator.store import Store
from mms_simulator.zones import graph_instant

_encode = msgspec.json.Encoder().encode
CONTENT_LIFE_SECONDS = 7 * 86_400
APPLICATION = "8d4f6c1e-2b75-4a0e-9a53-6f1c7be0d9a4"
"""The app id in tokens, subscriptions and audit records when a caller names none."""


def user_changed(store: Store, user: User, change: str = "updated") -> None:
    """Tell the subscriptions of users that one has changed; only the id, never what (6.3)."""
    data = {
        "@odata.type": "#Microsoft.Graph.User",
        "@odata.id": f"Users/{user.id}",
        "id": user.id,
        "organizationId": store.tenant_id,
        "eventTime": graph_instant(store.clock.now()),
        "sequenceNumber": store.next_number("sequence"),
    }
    for subscription in list(store.subscriptions.values()):
        if _covers_user(store, subscription, user) and change in subscription.changeType.split(","):
            graph_notification(store, subscription, change, f"Users/{user.id}", data)


def event_changed(store: Store, mailbox: str, event_id: str, etag: str, change: str) -> None:
    """Tell the subscriptions of a mailbox's events."""
    for subscription in list(store.subscriptions.values()):
        if change not in subscription.changeType.split(",") or mailbox_of(store, subscription.resource) != mailbox:
            continue
        shown = ids.immutable(event_id) if subscription.immutableIds else event_id
        resource = f"Users/{mailbox}/Events/{shown}"
        data = {
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": resource,
            "@odata.etag": f'W/"{etag}"',
            "id": shown,
        }
        graph_notification(store, subscription, change, resource, data)


def mailbox_of(store: Store, resource: str) -> str | None:
    """Give the mailbox whose events a subscription watches; ``None`` for one that watches users."""
    parts = resource.strip("/").lower().split("/")
    owner = store.find_user(parts[1]) if parts[0] == "users" and parts[-1] == "events" else None
    return owner.id if owner else None


def graph_notification(
    store: Store, subscription: Subscription, change: str, resource: str, data: dict[str, Any]
) -> None:
    """Queue one change notification (7)."""
    if subscription.expires < store.clock.now():
        return
    if subscription.notificationUrl.startswith("EventGrid:"):
        _event_grid(store, subscription, change, resource, data)
        return
    body: dict[str, Any] = {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": graph_instant(subscription.expires),
        "changeType": change,
        "resource": resource,
        "clientState": subscription.clientState,
        "tenantId": store.tenant_id,
        "resourceData": data,
    }
    deliver(store, "graph", subscription.notificationUrl, body, subscription=subscription.id)


def _event_grid(store: Store, subscription: Subscription, change: str, resource: str, data: dict[str, Any]) -> None:
    """Queue a notification as Event Grid's partner topic hands it on (6.7); the events URL stands for the topic."""
    if not store.switches.eventsUrl:
        return
    kind = data["@odata.type"].rpartition(".")[2]
    body = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/tenants/{store.tenant_id}/applications/{subscription.applicationId or APPLICATION}",
        "type": f"Microsoft.Graph.{kind}{change.capitalize()}",
        "subject": resource,
        "time": graph_instant(store.clock.now()),
        "datacontenttype": "application/json",
        "data": {
            "changeType": change,
            "clientState": subscription.clientState,
            "resource": resource,
            "resourceData": data,
            "subscriptionExpirationDateTime": graph_instant(subscription.expires),
            "subscriptionId": subscription.id,
            "tenantId": store.tenant_id,
        },
    }
    deliver(store, "event", store.switches.eventsUrl, body, subscription=subscription.id)


def lifecycle(store: Store, subscription: Subscription, what: str) -> None:
    """Queue a lifecycle notification; without a lifecycle URL nobody is told (7)."""
    if not subscription.lifecycleNotificationUrl:
        return
    body = {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": graph_instant(subscription.expires),
        "tenantId": store.tenant_id,
        "clientState": subscription.clientState,
        "lifecycleEvent": what,
        "resource": subscription.resource,
    }
    deliver(store, "graph", subscription.lifecycleNotificationUrl, body, subscription=subscription.id)


def cloud_event(store: Store, event_type: str, data: dict[str, Any], subject: str | None = None) -> None:
    """Queue a CloudEvent of the project's own, as an admin's script would post it."""
    url = store.switches.eventsUrl
    if not url:
        return
    body = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/tenants/{store.tenant_id}/admin",
        "type": event_type,
        "time": graph_instant(store.clock.now()),
        "datacontenttype": "application/json",
        "data": data,
    }
    if subject:
        body["subject"] = subject
    deliver(store, "event", url, body)


def audit_user(store: Store, user: User, activity: str, changes: list[dict[str, str]]) -> None:
    """Write what an administrator did to a user, in the directory audit and in the feed (6.3).

    The feed's record has the shape of RecordType 8: ``Operation`` (the activity, full stop included), ``ObjectId`` (the
    user principal name), ``Workload`` AzureActiveDirectory, ``ModifiedProperties`` with Name, NewValue, OldValue, and
    ``Target`` with the object id as an entry of Type 2.
    """
    if store.switches.auditMissing:
        return
    now = store.clock.now()
    record_id = str(uuid.uuid4())
    store.save(
        Audit(
            id=record_id,
            at=now,
            record={
                "id": f"Directory_{record_id}",
                "category": "UserManagement",
                "correlationId": str(uuid.uuid4()),
                "result": "success",
                "resultReason": "",
                "activityDisplayName": activity,
                "activityDateTime": graph_instant(now),
                "loggedByService": "Core Directory",
                "operationType": "Update",
                "initiatedBy": {"app": None, "user": {"id": str(uuid.UUID(int=1)), "displayName": None,
                                                      "userPrincipalName": "admin@" + user.upn.partition("@")[2],
                                                      "ipAddress": None}},
                "targetResources": [{
                    "id": user.id,
                    "displayName": None,
                    "type": "User",
                    "userPrincipalName": user.upn,
                    "groupType": None,
                    "modifiedProperties": [
                        {"displayName": row["Name"], "oldValue": row["OldValue"], "newValue": row["NewValue"]}
                        for row in changes
                    ],
                }],
                "additionalDetails": [],
            },
        )
    )  # fmt: skip
    feed_record(
        store,
        "Audit.AzureActiveDirectory",
        {
            "RecordType": 8,
            "Operation": activity,
            "Workload": "AzureActiveDirectory",
            "ObjectId": user.upn,
            "AzureActiveDirectoryEventType": 1,
            "ModifiedProperties": changes,
            "Target": [{"ID": user.upn, "Type": 5}, {"ID": user.id, "Type": 2}, {"ID": "User", "Type": 2}],
        },
    )


def audit_policy(store: Store, user: User | None, policy: str, mode: str, migrate: bool | None) -> None:  # noqa: FBT001
    """Write a policy grant to the feed (6.5): content type Audit.General.

    The record's exact shape, beyond the fields common to all: ``RecordType`` "MicrosoftTeamsAdmin", ``Workload``
    "MicrosoftTeams", ``Operation`` "TeamsAdminAction", ``ItemName`` and the ExtendedProperties entry ``Cmdlet``
    "Grant-CsTeamsUpgradePolicy" (Grant-Cs + policy), ``ObjectId`` the target's user principal name or the tenant's id,
    ``TargetScope`` "User" or "Tenant", ``TargetUserId`` the object id (absent for the tenant), ``ModifiedProperties``
    [{Name: "TeamsUpgradePolicy", NewValue: mode, OldValue: ""}], ``Parameters`` [{Name, Value}] with Identity or
    Global, PolicyName, and MigrateMeetingsToTeams ("True" or "False") when it was given.
    """
    cmdlet = f"Grant-Cs{policy}"
    parameters = [{"Name": "PolicyName", "Value": mode}]
    parameters.append({"Name": "Identity", "Value": user.upn} if user else {"Name": "Global", "Value": "True"})
    if migrate is not None:
        parameters.append({"Name": "MigrateMeetingsToTeams", "Value": str(bool(migrate))})
    named = user.upn if user else store.tenant_id
    _teams_record(store, cmdlet, target=named, user=user, parameters=parameters, changes=[(policy, "", mode)])


def audit_cmdlet(
    store: Store,
    cmdlet: str,
    parameters: dict[str, Any],
    *,
    user: User | None = None,
    target: str = "",
    changes: Sequence[tuple[str, Any, Any]] = (),
) -> None:
    """Write another Teams cmdlet to the feed, in the shape of a policy grant (6.5): about a *user*, or a *target*."""
    identity = [{"Name": "Identity", "Value": user.upn}] if user else []
    rows = [{"Name": name, "Value": "" if value is None else str(value)} for name, value in parameters.items()]
    named = user.upn if user else target
    _teams_record(store, cmdlet, target=named, user=user, parameters=identity + rows, changes=changes)


def _teams_record(
    store: Store,
    cmdlet: str,
    *,
    target: str,
    user: User | None,
    parameters: list[dict[str, str]],
    changes: Sequence[tuple[str, Any, Any]],
) -> None:
    record: dict[str, Any] = {
        "RecordType": "MicrosoftTeamsAdmin",
        "Operation": "TeamsAdminAction",
        "Workload": "MicrosoftTeams",
        "ItemName": cmdlet,
        "ObjectId": target,
        "TargetScope": "User" if user else "Tenant",
        "ModifiedProperties": [
            {"Name": name, "NewValue": "" if new is None else str(new), "OldValue": "" if old is None else str(old)}
            for name, old, new in changes
        ],
        "ExtendedProperties": [{"Name": "Cmdlet", "Value": cmdlet}],
        "Parameters": parameters,
    }
    if user:
        record["TargetUserId"] = user.id
    feed_record(store, "Audit.General", record)


def feed_record(store: Store, content_type: str, record: dict[str, Any]) -> None:
    """Put a record into the feed as a blob of its own, and tell the subscriber of its content type (6.6)."""
    now = store.clock.now()
    common = {
        "Id": str(uuid.uuid4()),
        "CreationTime": graph_instant(now).removesuffix("Z").partition(".")[0],
        "OrganizationId": store.tenant_id,
        "UserId": "admin",
        "UserKey": "admin",
        "UserType": 2,
        "ResultStatus": "Success",
    }
    blob = Content(id=uuid.uuid4().hex, contentType=content_type, created=now, records=[common | record])
    store.save(blob)
    subscription = store.feed.get(content_type.lower())
    if subscription and subscription.enabled and subscription.address:
        deliver(store, "activity", subscription.address, content_entry(store, blob), subscription=content_type)


def content_entry(store: Store, blob: Content) -> dict[str, Any]:
    """Write how the feed lists and announces a blob (6.6)."""
    return {
        "tenantId": store.tenant_id,
        "clientId": APPLICATION,
        "contentType": blob.contentType,
        "contentId": blob.id,
        "contentUri": f"{store.base}/api/v1.0/{store.tenant_id}/activity/feed/audit/{blob.id}",
        "contentCreated": graph_instant(blob.created),
        "contentExpiration": graph_instant(blob.created + CONTENT_LIFE_SECONDS),
    }


def deliver(store: Store, kind: str, url: str, body: dict[str, Any], subscription: str = "") -> None:
    """Queue a webhook call, twice or never as the switches say (7)."""
    switches = store.switches
    if switches.loseNotifications and kind != "event":
        return
    now = store.clock.now()
    for _ in range(2 if switches.duplicateNotifications and kind != "event" else 1):
        store.save(
            Delivery(
                id=f"{store.next_number('deliveries'):012d}",
                kind=kind,
                url=url,
                payload=msgspec.Raw(_encode(body)),
                due=now,
                first=now,
                subscription=subscription,
            )
        )


def _covers_user(store: Store, subscription: Subscription, user: User) -> bool:
    parts = subscription.resource.strip("/").lower().split("/")
    if parts == ["users"]:
        return True
    named = store.find_user(parts[1]) if len(parts) == 2 and parts[0] == "users" else None  # noqa: PLR2004
    return named is not None and named.id == user.id
