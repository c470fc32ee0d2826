"""Which plans of a user are in force: by service plan and its state, whichever SKU it comes in."""

from __future__ import annotations

import msgspec
import pytest
from meeting_values import AUDIO_CONFERENCING, NOW

from mms_core.adapters.graph.directory import _facts
from mms_core.adapters.graph.wire import WireUser
from mms_core.triggers import license_change


def _user(*states, plan=AUDIO_CONFERENCING):
    plans = [{"servicePlanId": plan, "capabilityStatus": state, "assignedDateTime": NOW} for state in states]
    # A SKU says nothing: its plan may be switched off in it.
    document = {"id": "U", "assignedPlans": plans, "assignedLicenses": [{"skuId": AUDIO_CONFERENCING}]}
    return _facts(msgspec.json.decode(msgspec.json.encode(document), type=WireUser))


@pytest.mark.parametrize(
    ("states", "is_in_force"),
    [
        (["Enabled"], True),
        (["Warning"], True),
        (["Suspended"], False),
        (["LockedOut"], False),
        (["Deleted"], False),
        (["OfTomorrow"], False),
        ([None], False),
        ([], False),
        (["Deleted", "Enabled"], True),
        (["Enabled", "Deleted"], True),
        (["Deleted", "Suspended"], False),
    ],
    ids=str,
)
def test_a_plan_is_gained_and_lost_by_its_state(states, is_in_force):
    """In its grace period it is still there; of two licences with the same plan one is enough."""
    user = _user(*states)
    assert (AUDIO_CONFERENCING in user.plans) is is_in_force
    assert (AUDIO_CONFERENCING in user.plan_assigned_at) is is_in_force
    assert (AUDIO_CONFERENCING in user.plan_ended_at) is (bool(states) and not is_in_force)
    before = frozenset() if is_in_force else frozenset({AUDIO_CONFERENCING})
    change = license_change(user, before, subscribed_at=None)
    assert bool(change.added) is is_in_force
    assert bool(change.removed) is not is_in_force


def test_another_plan_is_another_plan():
    """In whatever state."""
    user = _user("Enabled", plan="57ff2da0-773e-42df-b2af-ffb7a2317929")
    assert AUDIO_CONFERENCING not in user.plans
