"""Audit records of the activity feed, in the shapes that dumps show."""

from __future__ import annotations

import pytest

from mms_core.audits import audited, users_of_audit
from mms_core.notifications import event_data

USER = "a@b.example"
GUID = "11111111-2222-3333-4444-555555555555"


def _record(cmdlet, *, where="ItemName", **parameters):
    rows = [{"Name": name, "Value": value} for name, value in parameters.items()]
    record = {"Id": "r1", "Operation": "TeamsAdminAction", "ObjectId": USER, "Parameters": rows}
    if where == "ItemName":
        return {**record, "ItemName": cmdlet}
    return {**record, "ExtendedProperties": [{"Name": "Cmdlet", "Value": cmdlet}]}


@pytest.mark.parametrize(
    ("record", "kind", "data"),
    [
        (_record("Grant-CsTeamsUpgradePolicy", PolicyName="TeamsOnly", MigrateMeetingsToTeams="False"), "mms.policy.granted",
         {"user": USER, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly", "migrateMeetingsToTeams": False}),
        (_record("grant-csteamsupgradepolicy", where="Extended", PolicyName="TeamsOnly", Global="True"), "mms.policy.granted",
         {"tenant": True, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}),
        (_record("Grant-CsTeamsVideoInteropServicePolicy", PolicyName="Pexip"), "videoInteropChanged", {"user": USER, "policy": "Pexip"}),
        (_record("Move-CsUser", Target="sipfed.online.lync.com", MoveToTeams="$true"), "mms.user.moved",
         {"user": USER, "direction": "toCloud", "moveToTeams": True}),
        (_record("Move-CsUser", Target="pool.contoso.example"), "mms.user.moved",
         {"user": USER, "direction": "toOnPremises", "moveToTeams": False}),
        (_record("Enable-CsOnlineDialInConferencingUser"), "mms.audioconferencing.changed", {"user": USER, "change": "enabled"}),
        (_record("Disable-CsOnlineDialInConferencingUser"), "mms.audioconferencing.changed", {"user": USER, "change": "disabled"}),
        (_record("Set-CsOnlineDialInConferencingUser", BridgeName="Tokyo"), "mms.audioconferencing.changed", {"user": USER, "change": "bridge"}),
        (_record("Set-CsOnlineDialInConferencingUser", ResetConferenceId="True"), "mms.audioconferencing.changed",
         {"user": USER, "change": "conferenceId"}),
        (_record("Unregister-CsOnlineDialInConferencingServiceNumber", Identity="14255550100"), "mms.bridge.numberunassigned",
         {"number": "14255550100", "replacement": None}),
        (_record("Set-CsOnlineDialInConferencingUserDefaultNumber", FromNumber="14255550100", ToNumber="14255550101"),
         "mms.bridge.numberunassigned", {"number": "14255550100", "replacement": "14255550101"}),
        (_record("Update-CsTenantMeetingUrl"), "mms.tenant.meetingurlchanged", {}),
    ],
    ids=lambda value: str(value.get("ItemName") or "") if isinstance(value, dict) else None,
)  # fmt: skip
def test_teams_admin_action_is_translated(record, kind, data):
    """Into the event that an administrator's script would have posted."""
    found = audited(record)
    assert (found.type, found.data) == (kind, data)
    assert event_data(found.type, found.data) is not None


def test_new_default_number_of_a_bridge_concerns_those_with_the_old_one():
    """Only the record's old value says whose invitations carry it."""
    record = _record("Set-CsOnlineDialInConferencingBridge", Identity="Default")
    change = {"Name": "DefaultServiceNumber", "OldValue": "14255550100", "NewValue": "14255550101"}
    found = audited({**record, "ModifiedProperties": [change]})
    assert found.data == {"number": "14255550100", "replacement": "14255550101"}
    assert audited(record) is None


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"Operation": "UserLoggedIn"},
        {"Operation": "TeamsAdminAction", "ItemName": "New-CsTeamsMeetingPolicy"},
        {"Operation": "TeamsAdminAction", "ItemName": "Grant-CsTeamsUpgradePolicy", "ObjectId": USER},
        {"Operation": "TeamsAdminAction", "ItemName": "Move-CsUser", "Parameters": "none"},
        {"Operation": None, "ModifiedProperties": None},
        _record("Set-CsOnlineDialInConferencingUser", AllowPSTNOnlyMeetings="True"),
        _record("Unregister-CsOnlineDialInConferencingServiceNumber"),
    ],
)
def test_whatever_else_there_is_says_nothing(record):
    """Parsed leniently; the caller counts it."""
    assert audited(record) is None
    assert users_of_audit(record) is None


def test_licence_records_name_their_user():
    """By object id where the record has it, else by name; a profile edit names nobody."""
    target = [{"ID": USER, "Type": 5}, {"ID": GUID.upper(), "Type": 2}]
    changed = {"Operation": "Change user license.", "ObjectId": USER, "Target": target}
    assert users_of_audit(changed) == (GUID,)
    assert users_of_audit({"Operation": "Change user license.", "ObjectId": USER}) == (USER,)
    plan = [{"Name": "AssignedPlan", "NewValue": "[]"}]
    assert users_of_audit({"Operation": "Update user.", "ObjectId": USER, "ModifiedProperties": plan}) == (USER,)
    title = [{"Name": "JobTitle", "NewValue": "x"}]
    assert users_of_audit({"Operation": "Update user.", "ObjectId": USER, "ModifiedProperties": title}) == ()
