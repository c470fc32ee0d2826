"""Lists of users and groups, and the pilot."""

from __future__ import annotations

import itertools

import pytest

from mms_core.audience import audience, groups_of_interest, is_in_pilot, is_listed_out
from mms_core.settings import TenantSettings

ME = {"u-1", "a@b.example"}


@pytest.mark.parametrize(
    ("settings", "groups", "expected"),
    [
        ({}, set(), "in"),
        ({"DeniedUsers": ("a@b.example",)}, set(), "excluded"),
        ({"DeniedGroups": ("g",)}, {"g"}, "excluded"),
        ({"DeniedGroups": ("g",)}, set(), "in"),
        ({"AllowedUsers": ("u-1",)}, set(), "in"),
        ({"AllowedUsers": ("u-2",)}, set(), "excluded"),
        ({"AllowedGroups": ("g",)}, {"g"}, "in"),
        ({"AllowedGroups": ("g",)}, set(), "excluded"),
        ({"AllowedUsers": ("u-2",), "AllowedGroups": ("g",)}, {"g"}, "in"),
        ({"AllowedUsers": ("u-1",), "DeniedUsers": ("u-1",)}, set(), "excluded"),
        ({"PilotPercentage": 0}, set(), "notInPilot"),
    ],
)
def test_lists_and_pilot(settings, groups, expected):
    """A denial wins; an empty allowance allows all."""
    assert audience(TenantSettings(**settings), user_id="u-1", names=ME, groups=groups) == expected


def test_a_list_of_groups_decides_only_when_somebody_has_asked():
    """HTTP functions do not call Graph; the queued step does."""
    settings = TenantSettings(AllowedGroups=("g",))
    assert groups_of_interest(settings) == {"g"}
    assert not is_listed_out(settings, ME, None)
    assert is_listed_out(settings, ME, set())


def test_a_larger_pilot_holds_the_smaller_one():
    """And its share is about what the setting says."""
    users = [f"user-{number}" for number in range(2000)]
    shares = [{user for user in users if is_in_pilot(user, percentage)} for percentage in (0, 10, 50, 100)]
    assert all(small <= large for small, large in itertools.pairwise(shares))
    assert [len(share) for share in (shares[0], shares[3])] == [0, 2000]
    assert 150 < len(shares[1]) < 250
