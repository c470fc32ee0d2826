"""Whom the service may touch: lists of users and groups, and the share of a pilot. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from mms_core.settings import TenantSettings

Audience = Literal["in", "excluded", "notInPilot"]


def is_in_pilot(user_id: str, percentage: int) -> bool:
    """Say whether a user belongs to the pilot: always the same ones, and a larger share holds the smaller one."""
    number = int.from_bytes(hashlib.sha256(user_id.lower().encode()).digest()[:4], "big")
    return number % 100 < percentage


def groups_of_interest(settings: TenantSettings) -> frozenset[str]:
    """Return the groups whose members have to be known; empty where no list names one."""
    return frozenset(settings.AllowedGroups) | frozenset(settings.DeniedGroups)


def is_listed_out(settings: TenantSettings, names: AbstractSet[str], groups: AbstractSet[str] | None) -> bool:
    """Say whether the lists leave a user out.

    Args:
        settings: The tenant's.
        names: All known names of the user, ids included, in lower case.
        groups: Those of :func:`groups_of_interest` that the user is a member of; ``None`` if nobody has asked yet:
            then only the lists of users count, and a user whom a list of groups might allow is let through.
    """
    if names & set(settings.DeniedUsers) or (groups or set()) & set(settings.DeniedGroups):
        return True
    if not settings.AllowedUsers and not settings.AllowedGroups:
        return False
    if names & set(settings.AllowedUsers):
        return False
    if groups is None and settings.AllowedGroups:
        return False
    return not (groups or set()) & set(settings.AllowedGroups)


@dataclass(frozen=True, slots=True)
class Membership:
    """What is known of a user: all names, ids included, in lower case, and of the groups asked about those it is in."""

    names: frozenset[str]
    asked: frozenset[str]
    groups: frozenset[str]

    def is_enough_for(self, settings: TenantSettings) -> bool:
        """Say whether every group that the lists name now has been asked about."""
        return groups_of_interest(settings) <= self.asked

    def is_listed_out(self, settings: TenantSettings) -> bool:
        """Say whether the lists as they are now leave the user out."""
        return is_listed_out(settings, self.names, self.groups)


def audience(
    settings: TenantSettings, *, user_id: str, names: AbstractSet[str], groups: AbstractSet[str] | None
) -> Audience:
    """Say whether a trigger for a user may act. Args as for :func:`is_listed_out`."""
    if is_listed_out(settings, names, groups):
        return "excluded"
    return "in" if is_in_pilot(user_id, settings.PilotPercentage) else "notInPilot"
