"""The decision table, written down a second time: every rule with its decision."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from mms_core.model import Source, Target, UserFacts
from mms_core.notifications import event_data
from mms_core.settings import TenantSettings
from mms_core.triggers import Answer, decide, license_change

AUDIO = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
PER_MINUTE = "bb038288-76ab-49d6-afc1-eaa6c222c65a"
OTHER = "57ff2da0-773e-42df-b2af-ffb7a2317929"
U = {"user": "adele@contoso.example"}
GRANT = {**U, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
MOVED, LICENSED = "mms.user.moved", "mms.license.changed"
AUDIO_CHANGED, GRANTED = "mms.audioconferencing.changed", "mms.policy.granted"

# rule, event type, data, settings that differ from the default, answer, target
TABLE = [
    ("T1", MOVED, {**U, "direction": "toCloud", "moveToTeams": True}, {}, "request", "Teams"),
    ("T1", MOVED, {**U, "direction": "toCloud", "moveToTeams": True}, {"MoveWithoutMoveToTeams": "Current"}, "request", "Teams"),
    ("T2", MOVED, {**U, "direction": "toCloud"}, {}, "request", "Teams"),
    ("T2", MOVED, {**U, "direction": "toCloud", "moveToTeams": False}, {"MoveWithoutMoveToTeams": "Current"}, "request", "Current"),
    ("W3", MOVED, {**U, "direction": "toOnPremises"}, {}, "ignore", None),
    ("W3", MOVED, {**U, "direction": "toOnPremises", "moveToTeams": True}, {}, "ignore", None),
    ("T3", LICENSED, {**U, "added": [AUDIO]}, {}, "request", "Current"),
    ("T3", LICENSED, {**U, "added": [AUDIO.upper()]}, {}, "request", "Current"),
    ("T3", LICENSED, {**U, "added": [PER_MINUTE, OTHER]}, {}, "request", "Current"),
    ("T3", LICENSED, {**U, "removed": [AUDIO]}, {}, "request", "Current"),
    ("T3", LICENSED, {**U, "added": [OTHER], "removed": [OTHER]}, {}, "ignore", None),
    ("T3", LICENSED, {**U}, {}, "ignore", None),
    ("T4", AUDIO_CHANGED, {**U, "change": "provider", "from": "InterCall", "to": "Microsoft"}, {}, "request", "Current"),
    ("W4", AUDIO_CHANGED, {**U, "change": "provider", "from": "Microsoft", "to": "InterCall"}, {}, "ignore", None),
    ("W4", AUDIO_CHANGED, {**U, "change": "provider"}, {}, "ignore", None),
    ("T5", AUDIO_CHANGED, {**U, "change": "enabled"}, {}, "request", "Current"),
    ("T5", AUDIO_CHANGED, {**U, "change": "disabled"}, {}, "request", "Current"),
    ("T6", AUDIO_CHANGED, {**U, "change": "conferenceId", "from": "1", "to": "2"}, {}, "request", "Current"),
    ("T7", AUDIO_CHANGED, {**U, "change": "bridge"}, {}, "request", "Current"),
    ("T9", GRANTED, GRANT, {}, "request", "Teams"),
    ("T9", GRANTED, {**GRANT, "mode": "SfBWithTeamsCollabAndMeetings"}, {}, "request", "Teams"),
    ("T9", GRANTED, {**GRANT, "mode": "teamsonly", "policy": "teamsupgradepolicy"}, {}, "request", "Teams"),
    ("T9", GRANTED, {**GRANT, "migrateMeetingsToTeams": True}, {}, "request", "Teams"),
    ("T9", GRANTED, {**GRANT, "policy": "TeamsMeetingPolicy"}, {}, "ignore", None),
    ("N1", "mms.user.sipaddresschanged", {"sip": "new@contoso.example"}, {}, "ignore", None),
    ("N2", "mms.tenant.meetingurlchanged", {"url": "https://meet.contoso.example"}, {}, "ignore", None),
    ("N3", GRANTED, {"tenant": True, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}, {}, "ignore", None),
    ("N4", GRANTED, {**GRANT, "mode": "SfBOnly"}, {}, "ignore", None),
    ("N4", GRANTED, {**GRANT, "mode": "Islands"}, {}, "ignore", None),
    ("N4", GRANTED, {**GRANT, "mode": "SfBWithTeamsCollab"}, {}, "ignore", None),
    ("N5", GRANTED, {**GRANT, "migrateMeetingsToTeams": False}, {}, "ignore", None),
    # N7: everything off
    ("N7", MOVED, {**U, "direction": "toCloud", "moveToTeams": True}, {"MeetingMigrationEnabled": False}, "ignore", None),
    ("N7", LICENSED, {**U, "added": [AUDIO]}, {"MeetingMigrationEnabled": False}, "ignore", None),
    ("N7", AUDIO_CHANGED, {**U, "change": "bridge"}, {"MeetingMigrationEnabled": False}, "ignore", None),
    ("N7", GRANTED, GRANT, {"MeetingMigrationEnabled": False}, "ignore", None),
    # N8: the audio-conferencing triggers off, moves and grants on
    ("N8", LICENSED, {**U, "added": [AUDIO]}, {"AutomaticallyMigrateUserMeetings": False}, "ignore", None),
    ("N8", LICENSED, {**U, "removed": [AUDIO]}, {"AutomaticallyMigrateUserMeetings": False}, "ignore", None),
    ("N8", AUDIO_CHANGED, {**U, "change": "provider", "to": "Microsoft"}, {"AutomaticallyMigrateUserMeetings": False}, "ignore", None),
    ("N8", AUDIO_CHANGED, {**U, "change": "enabled"}, {"AutomaticallyMigrateUserMeetings": False}, "ignore", None),
    ("N8", AUDIO_CHANGED, {**U, "change": "conferenceId"}, {"AutomaticallyMigrateUserMeetings": False}, "ignore", None),
    ("N8", AUDIO_CHANGED, {**U, "change": "bridge"}, {"AutomaticallyMigrateUserMeetings": False}, "ignore", None),
    ("T1", MOVED, {**U, "direction": "toCloud", "moveToTeams": True}, {"AutomaticallyMigrateUserMeetings": False}, "request", "Teams"),
    ("T9", GRANTED, GRANT, {"AutomaticallyMigrateUserMeetings": False}, "request", "Teams"),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[f"{number}-{row[0]}-{row[4]}" for number, row in enumerate(TABLE)])
def test_each_rule_decides_as_written(row):
    """Rule, answer and, for a request, what is asked for."""
    rule, kind, data, changes, answer, target = row
    decision = decide(event_data(kind, data), TenantSettings().changed(changes), kind=kind)
    assert (decision.rule, str(decision.answer)) == (rule, answer)
    if answer == "request":
        assert (decision.target, decision.source) == (Target(target), Source.ALL)
    assert decision.reason.startswith(f"{rule} ")


def test_off_means_off_for_every_event():
    """No setting and no data let anything through while MeetingMigrationEnabled is false."""
    off = TenantSettings(MeetingMigrationEnabled=False)
    for _, kind, data, *_ in TABLE:
        assert decide(event_data(kind, data), off, kind=kind).answer is not Answer.REQUEST


def test_settings_never_turn_an_ignored_event_into_a_request():
    """Whatever the combination of switches."""
    plain = TenantSettings()
    switches = [
        TenantSettings(
            AutomaticallyMigrateUserMeetings=auto, AutomaticallyReplaceAcpProvider=acp, MoveWithoutMoveToTeams=move
        )
        for auto, acp, move in itertools.product((True, False), (True, False), ("Teams", "Current"))
    ]
    for _, kind, data, *_ in TABLE:
        event = event_data(kind, data)
        if decide(event, plain, kind=kind).answer is not Answer.REQUEST:
            assert all(decide(event, each, kind=kind).answer is not Answer.REQUEST for each in switches)


# -- what a changed user means --------------------------------------------------------------------------------------------

SINCE = datetime(2026, 3, 1, tzinfo=UTC)


def _facts(plans, *, assigned=None):
    return UserFacts(
        user_id="u",
        user_principal_name="n",
        plans=frozenset(plans),
        plan_assigned_at=dict.fromkeys(plans, assigned) if assigned else {},
    )


@pytest.mark.parametrize(
    ("before", "now", "added", "removed"),
    [
        ((), (AUDIO,), [AUDIO], []),
        ((AUDIO,), (), [], [AUDIO]),
        ((AUDIO,), (AUDIO, OTHER), [], []),
        ((AUDIO,), (PER_MINUTE,), [PER_MINUTE], [AUDIO]),
        ((), (OTHER,), [], []),
    ],
)
def test_a_licence_change_is_the_difference_to_what_we_knew(before, now, added, removed):
    """Only plans that decide dial-in count."""
    changed = license_change(_facts(now), frozenset(before), subscribed_at=SINCE)
    assert (changed.user, changed.added, changed.removed) == ("u", added, removed)


@pytest.mark.parametrize(
    ("assigned", "subscribed", "is_gained"),
    [
        (SINCE + timedelta(seconds=1), SINCE, True),
        (SINCE, SINCE, False),
        (SINCE - timedelta(days=1), SINCE, False),
        (SINCE + timedelta(days=1), None, False),
        (None, SINCE, False),
    ],
)
def test_a_user_we_never_saw_gained_only_what_came_after_we_subscribed(assigned, subscribed, is_gained):
    """And never lost anything."""
    changed = license_change(_facts((AUDIO,), assigned=assigned), None, subscribed_at=subscribed)
    assert (changed.added, changed.removed) == ([AUDIO] if is_gained else [], [])
