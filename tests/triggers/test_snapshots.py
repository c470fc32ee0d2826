"""What a comparison finds, and that each change is found once, whichever way it comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mms_core.model import TeamsFacts, UserFacts
from mms_core.notifications import (
    AudioConferencingChanged,
    LicenseChanged,
    NumberUnassigned,
    PolicyGranted,
    UserMoved,
    VideoInteropChanged,
)
from mms_core.snapshots import SAME_CHANGE, Snapshot, observe, tell

AUDIO = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
ON_PREMISES, ONLINE = "sfbOnPremUser", "user"


def _user(*plans, **times):
    return UserFacts(user_id="u", user_principal_name="a@b.example", plans=frozenset(plans), **times)


def _teams(account=ONLINE, mode=None, **more):
    return TeamsFacts(user_id="u", account_type=account, mode=mode, **more)


def _seen(*, user=None, teams=None):
    return observe(Snapshot(), user=user, teams=teams, now=NOW)[1]


def _again(snapshot):
    """Store it and read it back, as between two messages."""
    return Snapshot.read(snapshot.document())


def test_first_look_is_a_baseline():
    """Nothing has happened that we know of."""
    events, after = observe(Snapshot(), user=_user(AUDIO), teams=_teams(mode="TeamsOnly"), now=NOW)
    assert events == []
    assert observe(_again(after), user=_user(AUDIO), teams=_teams(mode="UpgradeToTeams"), now=NOW) == ([], after)


@pytest.mark.parametrize(("hours", "is_news"), [(1, True), (-1, False)])
def test_first_look_judges_plans_by_the_date_of_our_subscription(hours, is_news):
    """Assigned later, or ended later, counts."""
    at = {AUDIO: NOW + timedelta(hours=hours)}
    gained, _ = observe(Snapshot(), user=_user(AUDIO, plan_assigned_at=at), subscribed_at=NOW, now=NOW)
    lost, _ = observe(Snapshot(), user=_user(plan_ended_at=at), subscribed_at=NOW, now=NOW)
    assert gained == ([LicenseChanged(user="u", added=[AUDIO])] if is_news else [])
    assert lost == ([LicenseChanged(user="u", removed=[AUDIO])] if is_news else [])


def test_changed_plan_is_found_once():
    """Gained and lost; another licence is nothing."""
    events, after = observe(_seen(user=_user()), user=_user(AUDIO), now=NOW)
    assert events == [LicenseChanged(user="u", added=[AUDIO])]
    assert observe(_again(after), user=_user(AUDIO, "other"), now=NOW)[0] == []
    assert observe(after, user=_user(), now=NOW)[0] == [LicenseChanged(user="u", removed=[AUDIO])]


@pytest.mark.parametrize(("mode", "to_teams"), [("TeamsOnly", True), ("UpgradeToTeams", True), (None, False)])
def test_move_is_seen_by_the_account_type(mode, to_teams):
    """With the mode that came with it; the mode alone is not a grant then."""
    events, after = observe(_seen(teams=_teams(ON_PREMISES)), teams=_teams(mode=mode), now=NOW)
    assert events == [UserMoved(user="u", direction="toCloud", move_to_teams=to_teams)]
    assert observe(_again(after), teams=_teams(mode=mode), now=NOW)[0] == []
    back, _ = observe(after, teams=_teams(ON_PREMISES), now=NOW)
    assert back == [UserMoved(user="u", direction="toOnPremises")]


def test_grant_without_a_record_counts_when_it_is_seen_twice():
    """The record says whether meetings are to be migrated (N5), and may be on its way."""
    before = _seen(teams=_teams())
    once, after = observe(before, teams=_teams(mode="TeamsOnly"), now=NOW)
    twice, last = observe(_again(after), teams=_teams(mode="TeamsOnly"), now=NOW)
    assert once == []
    assert twice == [PolicyGranted(user="u", policy="TeamsUpgradePolicy", mode="teamsonly")]
    assert observe(_again(last), teams=_teams(mode="TeamsOnly"), now=NOW)[0] == []
    assert observe(after, teams=_teams(), now=NOW)[0] == []


def test_record_before_the_second_look_makes_the_look_silent():
    """Also where the record says that no meetings are to be migrated."""
    _, suspected = observe(_seen(teams=_teams()), teams=_teams(mode="TeamsOnly"), now=NOW)
    grant = PolicyGranted(user="u", policy="TeamsUpgradePolicy", mode="TeamsOnly", migrate_meetings_to_teams=False)
    is_known, told = tell(suspected, grant, now=NOW)
    assert not is_known
    assert observe(_again(told), teams=_teams(mode="TeamsOnly"), now=NOW)[0] == []


def test_directory_that_lags_behind_an_event_causes_nothing():
    """Told, not seen yet, then seen: no second trigger and none back."""
    moved = UserMoved(user="u", direction="toCloud", move_to_teams=True)
    is_known, told = tell(_seen(teams=_teams(ON_PREMISES)), moved, now=NOW)
    assert not is_known
    lagging, same = observe(_again(told), teams=_teams(ON_PREMISES), now=NOW)
    assert lagging == []
    arrived, after = observe(_again(same), teams=_teams(ONLINE, "TeamsOnly"), now=NOW)
    assert (arrived, after.told) == ([], {})
    assert observe(after, teams=_teams(ON_PREMISES), now=NOW)[0] != []


@pytest.mark.parametrize("looks", [["TeamsOnly", "TeamsOnly"], [None, "TeamsOnly", "UpgradeToTeams"]])
def test_mode_that_a_told_move_grants_is_no_grant_of_its_own(looks):
    """Moving to Teams grants TeamsOnly: found by two sweeps, it would make a second run after the first has ended."""
    moved = UserMoved(user="u", direction="toCloud", move_to_teams=True)
    _, suspecting = observe(_seen(teams=_teams(ON_PREMISES)), teams=_teams(ON_PREMISES, "TeamsOnly"), now=NOW)
    for before in (_seen(teams=_teams(ON_PREMISES)), suspecting):
        _, snapshot = tell(_again(before), moved, now=NOW)
        for mode in looks:
            events, snapshot = observe(_again(snapshot), teams=_teams(ONLINE, mode), now=NOW)
            assert events == []


def test_grant_after_a_told_move_that_left_the_mode_alone_is_found():
    """Not every move is one to Teams."""
    _, snapshot = tell(_seen(teams=_teams(ON_PREMISES)), UserMoved(user="u", direction="toCloud"), now=NOW)
    for expected in ([], [PolicyGranted(user="u", policy="TeamsUpgradePolicy", mode="teamsonly")]):
        events, snapshot = observe(_again(snapshot), teams=_teams(ONLINE, "TeamsOnly"), now=NOW)
        assert events == expected


@pytest.mark.parametrize(("late", "is_known"), [(timedelta(minutes=5), True), (SAME_CHANGE * 2, False)])
def test_event_after_the_comparison_is_the_same_change(late, is_known):
    """Within two hours, and once: then it is another one."""
    _, found = observe(_seen(teams=_teams(ON_PREMISES)), teams=_teams(), now=NOW)
    moved = UserMoved(user="u", direction="toCloud")
    known, after = tell(_again(found), moved, now=NOW + late)
    assert known is is_known
    assert tell(after, moved, now=NOW + late)[0] is False


def test_licence_event_and_its_notification_are_one_change():
    """Whichever plan was told is expected."""
    _, told = tell(_seen(user=_user()), LicenseChanged(user="u", added=[AUDIO.upper()]), now=NOW)
    assert observe(_again(told), user=_user(AUDIO), now=NOW)[0] == []
    _, undone = tell(told, LicenseChanged(user="u", removed=[AUDIO]), now=NOW)
    assert undone.told == {}
    assert tell(Snapshot(), LicenseChanged(user="u", added=[AUDIO]), now=NOW) == (False, Snapshot())


def test_provider_and_public_meetings_are_remembered_from_events():
    """Graph does not tell them."""
    to_other = AudioConferencingChanged(user="u", change="provider", to="InterCall")
    reset = AudioConferencingChanged(user="u", change="conferenceId", public_meetings=False)
    _, first = tell(Snapshot(), to_other, now=NOW)
    _, second = tell(_again(first), reset, now=NOW)
    assert (second.provider, second.public_meetings) == ("thirdParty", False)
    _, third = tell(second, AudioConferencingChanged(user="u", change="provider", to="Microsoft"), now=NOW)
    assert third.provider == "microsoft"


def test_interop_partner_is_found_with_its_time():
    """For the six hours of the policy cache."""
    events, after = observe(_seen(teams=_teams()), teams=_teams(video_interop="Pexip"), now=NOW)
    assert events == [VideoInteropChanged(user="u", policy="Pexip")]
    assert after.interop_at == NOW.isoformat()
    _, told = tell(_seen(teams=_teams()), VideoInteropChanged(user="u", policy="Pexip"), now=NOW)
    assert told.interop_at == NOW.isoformat()
    assert observe(told, teams=_teams(video_interop="Pexip"), now=NOW)[0] == []


def test_events_about_the_tenant_leave_a_snapshot_alone():
    """They have no user."""
    assert tell(Snapshot(), NumberUnassigned(number="+1"), now=NOW) == (False, Snapshot())


def test_snapshot_of_the_first_version_is_understood():
    """Plans only."""
    assert Snapshot.read({"dialInPlans": [AUDIO], "at": "x"}) == Snapshot(seen={"plans": [AUDIO]})
