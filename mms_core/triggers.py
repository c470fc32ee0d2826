"""What starts a migration and what must not (mms-rules sections 1 and 2): pure decisions, each with its rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mms_core.model import Source, Target, UserFacts
from mms_core.notifications import (
    AnyData,
    Anything,
    AudioConferencingChanged,
    LicenseChanged,
    NumberUnassigned,
    PolicyGranted,
    UserMoved,
)
from mms_core.settings import AUDIO_CONFERENCING_PLAN, PAY_PER_MINUTE_PLAN, TenantSettings

if TYPE_CHECKING:
    from datetime import datetime

TEAMS_MODES: Final = ("teamsonly", "sfbwithteamscollabandmeetings")
"""Modes of TeamsUpgradePolicy that migrate (T9), in lower case."""

ON_PREMISES_ACCOUNT: Final = "sfbOnPremUser"

DIAL_IN_PLANS: Final = frozenset({AUDIO_CONFERENCING_PLAN, PAY_PER_MINUTE_PLAN})


class Answer(StrEnum):
    """What is done about something that happened."""

    REQUEST = "request"
    IGNORE = "ignore"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, the rule that gave it, and for a request what is asked for."""

    answer: Answer
    rule: str
    reason: str
    source: Source = Source.ALL
    target: Target = Target.CURRENT


def _request(rule: str, reason: str, target: Target = Target.CURRENT, source: Source = Source.ALL) -> Decision:
    return Decision(answer=Answer.REQUEST, rule=rule, reason=f"{rule} {reason}", source=source, target=target)


def _ignore(rule: str, reason: str) -> Decision:
    return Decision(answer=Answer.IGNORE, rule=rule, reason=f"{rule} {reason}")


def _audio(decision: Decision, settings: TenantSettings) -> Decision:
    if not settings.AutomaticallyMigrateUserMeetings:
        return _ignore("N8", "AutomaticallyMigrateUserMeetings is false")
    return decision


def decide(happened: AnyData, settings: TenantSettings, *, kind: str = "", account_type: str | None = None) -> Decision:
    """Decide about one event.

    Args:
        happened: The event's data.
        settings: The tenant's.
        kind: The event's type, to tell apart those without data of their own.
        account_type: Teams' account type of the user, where that matters and is known.
    """
    decision = _decide(happened, settings, kind)
    if decision.rule == "T9" and decision.answer is Answer.REQUEST and account_type == ON_PREMISES_ACCOUNT:
        # The grant takes effect with the move, and the move is a trigger of its own.
        return _ignore("N6", "granted to a user who is still on-premises")
    if decision.answer is Answer.REQUEST and not settings.MeetingMigrationEnabled:
        return _ignore("N7", "MeetingMigrationEnabled is false")
    return decision


def _decide(happened: AnyData, settings: TenantSettings, kind: str) -> Decision:
    match happened:
        case UserMoved():
            return _moved(happened, settings)
        case LicenseChanged():
            return _license(happened, settings)
        case AudioConferencingChanged():
            return _audio_conferencing(happened, settings)
        case PolicyGranted():
            return _policy(happened)
        case NumberUnassigned():
            return Decision(answer=Answer.REFUSE, rule="T8", reason="T8 is not acted on by this version")
        case Anything():
            rule = "N2" if kind == "mms.tenant.meetingurlchanged" else "N1"
            return _ignore(rule, "is not a trigger")


def _moved(happened: UserMoved, settings: TenantSettings) -> Decision:
    if happened.direction == "toOnPremises":
        return _ignore("W3", "moved to on-premises")
    if happened.move_to_teams:
        return _request("T1", "MovedToCloud", Target.TEAMS)
    return _request("T2", "MovedToCloud", Target(settings.MoveWithoutMoveToTeams))


def _license(happened: LicenseChanged, settings: TenantSettings) -> Decision:
    if DIAL_IN_PLANS & {plan.lower() for plan in happened.added}:
        return _audio(_request("T3", "LicenseAssigned"), settings)
    if DIAL_IN_PLANS & {plan.lower() for plan in happened.removed}:
        return _audio(_request("T3", "LicenseRemoved"), settings)
    return _ignore("T3", "no audio conferencing plan changed")


def _audio_conferencing(happened: AudioConferencingChanged, settings: TenantSettings) -> Decision:
    if happened.change == "provider":
        if (happened.to or "").lower() != "microsoft":
            return _ignore("W4", "now on a third-party provider")
        return _audio(_request("T4", "ProviderChanged"), settings)
    rule, reason = {
        "enabled": ("T5", "AudioConferencingEnabled"),
        "disabled": ("T5", "AudioConferencingDisabled"),
        "conferenceId": ("T6", "ConferenceIdChanged"),
        "bridge": ("T7", "BridgeChanged"),
    }[happened.change]
    return _audio(_request(rule, reason), settings)


def _policy(happened: PolicyGranted) -> Decision:
    if happened.policy.lower() != "teamsupgradepolicy":
        return _ignore("T9", "another policy")
    if happened.tenant:
        return _ignore("N3", "granted tenant-wide")
    if happened.mode.lower() not in TEAMS_MODES:
        return _ignore("N4", "a mode that keeps meetings as they are")
    if happened.migrate_meetings_to_teams is False:
        return _ignore("N5", "MigrateMeetingsToTeams is false")
    return _request("T9", "PolicyGranted", Target.TEAMS)


def license_change(
    facts: UserFacts, snapshot: frozenset[str] | None, *, subscribed_at: datetime | None
) -> LicenseChanged:
    """Derive what happened to the dial-in plans of a user, from the directory and what we knew before.

    Args:
        facts: As the directory tells now.
        snapshot: Dial-in plans that were in force when we last looked; ``None`` if we never did.
        subscribed_at: Since when the tenant tells us. A user without a snapshot gained a plan whose assignment is
            later than that.
    """
    now = facts.plans & DIAL_IN_PLANS
    if snapshot is None:
        gained = {
            plan
            for plan in now
            if subscribed_at is not None and (at := facts.plan_assigned_at.get(plan)) is not None and at > subscribed_at
        }
        return LicenseChanged(user=facts.user_id, added=sorted(gained))
    return LicenseChanged(user=facts.user_id, added=sorted(now - snapshot), removed=sorted(snapshot - now))
