"""Audit records of the activity feed: what they say becomes our own events, and the many others nothing."""

from __future__ import annotations

import pytest

from mms_core.audits import audited
from mms_core.notifications import event_data

TENANT = "0b1c2d3e-1111-4222-8333-444455556666"
USER = "77778888-9999-4AAA-bbbb-ccccddddeeee"


def _grant(**more):
    """A grant as the simulated tenant (and a real feed) writes it."""
    record = {
        "RecordType": "MicrosoftTeamsAdmin",
        "Operation": "TeamsAdminAction",
        "Workload": "MicrosoftTeams",
        "ItemName": "Grant-CsTeamsUpgradePolicy",
        "ObjectId": "adele@contoso.example",
        "TargetScope": "User",
        "TargetUserId": USER,
        "ModifiedProperties": [{"Name": "TeamsUpgradePolicy", "NewValue": "TeamsOnly", "OldValue": ""}],
        "ExtendedProperties": [{"Name": "Cmdlet", "Value": "Grant-CsTeamsUpgradePolicy"}],
        "Parameters": [
            {"Name": "PolicyName", "Value": "TeamsOnly"},
            {"Name": "Identity", "Value": "adele@contoso.example"},
        ],
        "Id": "record-1",
        "CreationTime": "2026-03-02T08:00:00",
    }
    return {name: value for name, value in {**record, **more}.items() if value is not ...}


TENANT_WIDE = [{"Name": "PolicyName", "Value": "TeamsOnly"}, {"Name": "Global", "Value": "True"}]


def test_a_grant_to_a_user_becomes_our_own_event():
    """With the record's id, so that each counts once."""
    found = audited(_grant())
    assert (found.record_id, found.type) == ("record-1", "mms.policy.granted")
    assert found.data == {"policy": "TeamsUpgradePolicy", "mode": "TeamsOnly", "user": "adele@contoso.example"}
    event_data(found.type, found.data)


def test_a_tenant_wide_grant_is_told_apart():
    """N3 depends on it."""
    found = audited(_grant(Parameters=TENANT_WIDE, TargetScope="Tenant", ObjectId=TENANT))
    assert found.data == {"policy": "TeamsUpgradePolicy", "mode": "TeamsOnly", "tenant": True}


@pytest.mark.parametrize(("text", "value"), [("True", True), ("$true", True), ("False", False), ("$false", False)])
def test_what_the_grant_said_about_meetings_is_kept(text, value):
    """N5 depends on it; left out means nothing was said."""
    parameters = [*_grant()["Parameters"], {"Name": "MigrateMeetingsToTeams", "Value": text}]
    assert audited(_grant(Parameters=parameters)).data["migrateMeetingsToTeams"] is value
    assert "migrateMeetingsToTeams" not in audited(_grant()).data


@pytest.mark.parametrize(
    "more",
    [
        {"ItemName": ...},
        {"ItemName": "GRANT-CSTEAMSUPGRADEPOLICY", "ExtendedProperties": ...},
        {"Parameters": [{"Name": "policyname", "Value": "TeamsOnly"}]},
        {"ModifiedProperties": None},
        {"ExtendedProperties": ["text", None, {}, {"Name": "Cmdlet", "Value": "Grant-CsTeamsUpgradePolicy"}]},
    ],
)
def test_dumps_that_differ_in_shape_say_the_same(more):
    """Names in any case, lists missing, the user in ObjectId."""
    assert audited(_grant(**more)).data["user"] == "adele@contoso.example"
    assert audited(_grant(**more)).data["mode"] == "TeamsOnly"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"Operation": None},
        {"Operation": ["TeamsAdminAction"]},
        {"Operation": "UserLoggedIn"},
        {"Operation": "TeamsAdminAction"},
        _grant(ItemName="New-CsTeamsAppSetupPolicy", ExtendedProperties=...),
        _grant(Parameters=..., ModifiedProperties=...),
        _grant(Parameters=[{"Name": "PolicyName", "Value": "TeamsOnly"}], ObjectId=...),
        _grant(Parameters="[]", ModifiedProperties={"Name": "x"}, ExtendedProperties="text"),
    ],
)
def test_the_many_records_that_are_not_about_us_are_none(record):
    """Whatever their shape."""
    assert audited(record) is None
