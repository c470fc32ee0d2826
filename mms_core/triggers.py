"""What starts a migration and what must not (mms-rules sections 1, 2 and 5): one literal table and a pure function.

A :class:`Case` is everything that counts: what happened, facts about the user, and the switches. The rows of
:data:`TABLE` are read from above, and the first whose conditions all hold decides. docs/triggers.md is generated from
the table. Ids T, N and W are those of mms-rules; X are ours, for what Microsoft's service does not have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from mms_core.audience import is_in_pilot
from mms_core.model import Source, Target
from mms_core.notifications import (
    AnyData,
    Anything,
    AudioConferencingChanged,
    LicenseChanged,
    NumberUnassigned,
    PolicyGranted,
    UserMoved,
    VideoInteropChanged,
)
from mms_core.settings import AUDIO_CONFERENCING_PLAN, PAY_PER_MINUTE_PLAN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from mms_core.model import UserFacts
    from mms_core.settings import TenantSettings

TEAMS_MODES: Final = ("teamsonly", "upgradetoteams", "sfbwithteamscollabandmeetings")
"""Modes of TeamsUpgradePolicy that migrate (T9), in lower case; the second is the name of the first's instance."""

ON_PREMISES_ACCOUNT: Final = "sfbOnPremUser"

DIAL_IN_PLANS: Final = frozenset({AUDIO_CONFERENCING_PLAN, PAY_PER_MINUTE_PLAN})

POLICY_CACHE: Final = timedelta(hours=6)
"""Teams shows a new Cloud Video Interop partner in meetings only after this long (T11)."""


class Answer(StrEnum):
    """What is done about something that happened."""

    REQUEST = "request"
    IGNORE = "ignore"
    REFUSE = "refuse"


class What(StrEnum):
    """What happened, as far as the rules tell one thing from another."""

    MOVED_TO_TEAMS = "moved to the cloud with MoveToTeams"
    MOVED_TO_CLOUD = "moved to the cloud without MoveToTeams"
    MOVED_TO_ON_PREMISES = "moved to on-premises"
    PLAN_ASSIGNED = "Audio Conferencing licence assigned"
    PLAN_REMOVED = "Audio Conferencing licence removed"
    OTHER_PLANS = "another licence changed"
    PROVIDER_TO_MICROSOFT = "provider changed to Microsoft"
    PROVIDER_TO_OTHER = "provider changed to another"
    AUDIO_ENABLED = "audio conferencing enabled"
    AUDIO_DISABLED = "audio conferencing disabled"
    CONFERENCE_ID = "conference ID changed"
    BRIDGE = "moved to another bridge"
    NUMBER = "a number in the invitations was unassigned or replaced"
    GRANT = "TeamsUpgradePolicy granted"
    OTHER_POLICY = "another policy granted"
    MANUAL = "manual request"
    VIDEO_INTEROP = "Cloud Video Interop partner changed"
    SIP_ADDRESS = "SIP address changed"
    MEETING_URL = "Update-CsTenantMeetingUrl"


Known = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about the user. ``unknown`` never stands in the way: the run finds out."""

    mailbox: Literal["online", "onPremises", "unknown"] = "unknown"
    homed: Literal["online", "onPremises", "unknown"] = "unknown"
    provider: Literal["microsoft", "thirdParty", "unknown"] = "unknown"
    """Of audio conferencing. Graph does not tell; remembered from events."""
    licensed: Known = "unknown"
    """An Audio Conferencing plan is in force."""
    public_meetings: Known = "unknown"
    """The user's meetings keep one conference ID for all (T6)."""
    audience: Literal["in", "excluded", "notInPilot"] = "in"
    """By the lists of users and groups and the pilot percentage of the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that a decision depends on; field names are the table's conditions."""

    what: What
    scope: Literal["user", "tenant"] = "user"
    mode: Literal["teams", "other"] = "teams"
    """Of a grant: one of :data:`TEAMS_MODES`, or another."""
    migrate: Known = "unknown"
    """The grant's ``-MigrateMeetingsToTeams``."""
    facts: Facts = field(default_factory=Facts)
    enabled: bool = True
    automatic: bool = True
    replace_acp: bool = False
    switched_on: bool = True
    """The switch of the trigger's own kind."""

    def value(self, name: str) -> str:
        """Return a condition's value as the table writes it."""
        found = getattr(self.facts if name in _OF_FACTS else self, name)
        return {True: "yes", False: "no"}.get(found, str(found)) if isinstance(found, bool) else str(found)


_OF_FACTS: Final = frozenset(Facts.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rule: it decides if the event is one of ``whats`` and every condition of ``given`` has one of its values."""

    rule: str
    whats: tuple[What, ...]
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answer: Answer
    reason: str
    code: str | None = None
    """Of the error catalogue, with the remedy; refusals only."""
    target: Target | None = None
    """``None`` in a request means that the event or a setting says it."""

    def holds(self, case: Case) -> bool:
        """Say whether the row decides this case."""
        return case.what in self.whats and all(case.value(name) in values for name, values in self.given.items())


AUDIO: Final = (
    What.PLAN_ASSIGNED,
    What.PLAN_REMOVED,
    What.PROVIDER_TO_MICROSOFT,
    What.AUDIO_ENABLED,
    What.AUDIO_DISABLED,
    What.CONFERENCE_ID,
    What.BRIDGE,
    What.NUMBER,
)
"""T3 to T8."""
_MOVES: Final = (What.MOVED_TO_TEAMS, What.MOVED_TO_CLOUD)
_AUTOMATIC: Final = (*_MOVES, *AUDIO, What.GRANT, What.VIDEO_INTEROP)
_ALL: Final = (*_AUTOMATIC, What.MANUAL)

_ON_PREMISES: Final = ("onPremises",)
_NO: Final = ("no",)


def _ignored(rule: str, whats: tuple[What, ...], reason: str, **given: tuple[str, ...]) -> Row:
    return Row(rule=rule, whats=whats, given=given, answer=Answer.IGNORE, reason=reason)


def _refused(rule: str, whats: tuple[What, ...], reason: str, code: str, **given: tuple[str, ...]) -> Row:
    return Row(rule=rule, whats=whats, given=given, answer=Answer.REFUSE, reason=reason, code=code)


def _asked(rule: str, what: What, reason: str, target: Target | None = Target.CURRENT) -> Row:
    return Row(rule=rule, whats=(what,), answer=Answer.REQUEST, reason=reason, target=target)


TABLE: Final[tuple[Row, ...]] = (
    # -- no triggers, whatever the settings say ------------------------------------------------------------------
    _ignored("N1", (What.SIP_ADDRESS,), "a changed SIP address is not a trigger"),
    _ignored("N2", (What.MEETING_URL,), "a changed meeting URL is not a trigger"),
    _ignored("N3", (What.GRANT,), "granted tenant-wide", scope=("tenant",)),
    _ignored("N4", (What.GRANT,), "a mode that keeps meetings as they are", mode=("other",)),
    _ignored("N5", (What.GRANT,), "MigrateMeetingsToTeams is false", migrate=_NO),
    _ignored("N6", (What.GRANT,), "granted to a user who is still on-premises", homed=_ON_PREMISES),
    _ignored("W3", (What.MOVED_TO_ON_PREMISES,), "moved to on-premises"),
    _ignored("T9", (What.OTHER_POLICY,), "another policy"),
    _ignored("T3", (What.OTHER_PLANS,), "no Audio Conferencing plan changed"),
    _ignored("T4", (What.PROVIDER_TO_MICROSOFT,), "no Audio Conferencing licence", licensed=_NO),
    _ignored("T6", (What.CONFERENCE_ID,), "the user is not set up for public meetings", public_meetings=_NO),
    _ignored("W4", (What.PROVIDER_TO_OTHER,), "now on a third-party provider"),
    # -- off means off -------------------------------------------------------------------------------------------
    _ignored("N7", _AUTOMATIC, "MeetingMigrationEnabled is false", enabled=_NO),
    _refused("N7", (What.MANUAL,), "MeetingMigrationEnabled is false", "MigrationDisabled", enabled=_NO),
    _ignored("N8", AUDIO, "AutomaticallyMigrateUserMeetings is false", automatic=_NO),
    _ignored("T11", (What.VIDEO_INTEROP,), "only by hand", switched_on=_NO),
    _ignored("X1", _AUTOMATIC, "this kind of trigger is switched off", switched_on=_NO),
    _refused("X1", (What.MANUAL,), "manual requests are switched off", "TriggerSwitchedOff", switched_on=_NO),
    # -- users whom it must not touch ----------------------------------------------------------------------------
    _ignored(
        "W4",
        _AUTOMATIC,
        "on a third-party provider, and AutomaticallyReplaceAcpProvider is false",
        provider=("thirdParty",),
        replace_acp=_NO,
    ),
    _ignored(
        "W4",
        _AUTOMATIC,
        "on a third-party provider, without an Audio Conferencing licence",
        provider=("thirdParty",),
        licensed=("no", "unknown"),
    ),
    _ignored("X2", _AUTOMATIC, "the lists of users and groups leave the user out", audience=("excluded",)),
    _refused("X2", (What.MANUAL,), "the lists leave the user out", "UserExcluded", audience=("excluded",)),
    _ignored("X3", _AUTOMATIC, "not in the pilot", audience=("notInPilot",)),
    _refused("W2", _ALL, "the mailbox is on-premises", "MailboxOnPremises", mailbox=_ON_PREMISES),
    # -- triggers ------------------------------------------------------------------------------------------------
    _asked("T1", What.MOVED_TO_TEAMS, "MovedToCloud", Target.TEAMS),
    _asked("T2", What.MOVED_TO_CLOUD, "MovedToCloud", None),
    _asked("T3", What.PLAN_ASSIGNED, "LicenseAssigned"),
    _asked("T3", What.PLAN_REMOVED, "LicenseRemoved"),
    _asked("T4", What.PROVIDER_TO_MICROSOFT, "ProviderChanged"),
    _asked("T5", What.AUDIO_ENABLED, "AudioConferencingEnabled"),
    _asked("T5", What.AUDIO_DISABLED, "AudioConferencingDisabled"),
    _asked("T6", What.CONFERENCE_ID, "ConferenceIdChanged"),
    _asked("T7", What.BRIDGE, "BridgeChanged"),
    _asked("T8", What.NUMBER, "NumberUnassigned"),
    _asked("T9", What.GRANT, "PolicyGranted", Target.TEAMS),
    _asked("T10", What.MANUAL, "Manual", None),
    _asked("T11", What.VIDEO_INTEROP, "VideoInteropChanged"),
)
"""All rules, in the order in which they are tried."""

TRIGGER_OF: Final = {what: row.rule for row in TABLE if row.answer is Answer.REQUEST for what in row.whats}
"""The rule whose switch and delay (``Trigger<rule>``, ``Trigger<rule>DelayMinutes``) apply to an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, the rule that gave it, and for a request what is asked for."""

    answer: Answer
    rule: str
    reason: str
    source: Source = Source.ALL
    target: Target = Target.CURRENT
    delay: timedelta | None = None
    """Wait before the run; ``None`` is the tenant's settling time."""
    wait_at_least: timedelta = timedelta(0)
    """Not before this long from now, whatever the settling time (T11)."""
    code: str | None = None


def row_for(case: Case) -> Row:
    """Return the row that decides a case.

    Raises:
        ValueError: No row does: the table has a hole.
    """
    for row in TABLE:
        if row.holds(case):
            return row
    raise ValueError(f"no rule for {case}")


_AUTOMATIC_RULES: Final = frozenset(TRIGGER_OF[what] for what in _AUTOMATIC)
_AUDIO_RULES: Final = frozenset(TRIGGER_OF[what] for what in AUDIO)


def stop_code(settings: TenantSettings, reasons: Collection[str], user_id: str | None = None) -> str | None:
    """Say whether what was asked for is unwanted by now: for work that waits, and again before every write.

    Args:
        settings: The tenant's, as they are now.
        reasons: Of the run, each beginning with its rule. One that is still wanted keeps it going.
        user_id: Whose run it is, where that is known: the pilot may be without this user by now.

    Returns:
        The code of the error catalogue, or ``None`` to go on.
    """
    if not settings.MeetingMigrationEnabled:
        return "MigrationDisabled"
    rules = [reason.partition(" ")[0] for reason in reasons]
    wanted = [rule for rule in rules if not _is_off(settings, rule)]
    if rules and not wanted:
        return "TriggerSwitchedOff"
    is_out = user_id is not None and not is_in_pilot(user_id, settings.PilotPercentage)
    return "NotInPilot" if is_out and wanted and _AUTOMATIC_RULES.issuperset(wanted) else None


def _is_off(settings: TenantSettings, rule: str) -> bool:
    if rule not in TRIGGER_OF.values():
        return False  # Undo
    is_audio_off = rule in _AUDIO_RULES and not settings.AutomaticallyMigrateUserMeetings
    return is_audio_off or not settings.is_trigger_on(rule)


def decide(happened: AnyData, settings: TenantSettings, *, facts: Facts | None = None, kind: str = "") -> Decision:
    """Decide about one event.

    Args:
        happened: The event's data.
        settings: The tenant's.
        facts: About the user, as far as they are known.
        kind: The event's type, to tell apart those without data of their own.
    """
    return answer(case_of(happened, settings, facts=facts or Facts(), kind=kind), settings)


def answer(case: Case, settings: TenantSettings) -> Decision:
    """Decide one case; the settings say target and delay."""
    row = row_for(case)
    reason = f"{row.rule} {row.reason}"
    if row.answer is not Answer.REQUEST:
        return Decision(answer=row.answer, rule=row.rule, reason=reason, code=row.code)
    target = row.target or Target.CURRENT
    if case.what is What.MOVED_TO_CLOUD:
        target = Target(settings.MoveWithoutMoveToTeams)
    minutes = settings.trigger_delay_minutes(row.rule)
    return Decision(
        answer=row.answer,
        rule=row.rule,
        reason=reason,
        target=target,
        delay=None if minutes is None else timedelta(minutes=minutes),
        # A delay that the tenant chose for T11 replaces the policy cache's.
        wait_at_least=POLICY_CACHE if row.rule == "T11" and minutes is None else timedelta(0),
    )


def case_of(happened: AnyData, settings: TenantSettings, *, facts: Facts, kind: str = "") -> Case:
    """Put an event, the user's facts and the tenant's switches into one case."""
    what = _what(happened, kind)
    rule = TRIGGER_OF.get(what)
    grant = happened if isinstance(happened, PolicyGranted) else None
    return Case(
        what=what,
        scope="tenant" if grant and grant.tenant else "user",
        mode="other" if grant and grant.mode.lower() not in TEAMS_MODES else "teams",
        migrate=_known(grant.migrate_meetings_to_teams) if grant else "unknown",
        facts=_with_event(facts, happened),
        enabled=settings.MeetingMigrationEnabled,
        automatic=settings.AutomaticallyMigrateUserMeetings,
        replace_acp=settings.AutomaticallyReplaceAcpProvider,
        switched_on=rule is None or settings.is_trigger_on(rule),
    )


def _known(value: bool | None) -> Known:  # noqa: FBT001 - a tri-state of the wire
    return "unknown" if value is None else "yes" if value else "no"


def _with_event(facts: Facts, happened: AnyData) -> Facts:
    """Let the event itself overrule what was remembered about the user."""
    if isinstance(happened, AudioConferencingChanged):
        is_to_microsoft = happened.change == "provider" and (happened.to or "").lower() == "microsoft"
        return Facts(
            mailbox=facts.mailbox,
            homed=facts.homed,
            provider="microsoft" if is_to_microsoft else facts.provider,
            licensed=facts.licensed,
            public_meetings=facts.public_meetings
            if happened.public_meetings is None
            else _known(happened.public_meetings),
            audience=facts.audience,
        )
    return facts


def _what(happened: AnyData, kind: str) -> What:  # noqa: C901, PLR0911 - a case each
    match happened:
        case UserMoved(direction="toOnPremises"):
            return What.MOVED_TO_ON_PREMISES
        case UserMoved():
            return What.MOVED_TO_TEAMS if happened.move_to_teams else What.MOVED_TO_CLOUD
        case LicenseChanged():
            if DIAL_IN_PLANS & {plan.lower() for plan in happened.added}:
                return What.PLAN_ASSIGNED
            return What.PLAN_REMOVED if DIAL_IN_PLANS & {p.lower() for p in happened.removed} else What.OTHER_PLANS
        case AudioConferencingChanged(change="provider"):
            is_ours = (happened.to or "").lower() == "microsoft"
            return What.PROVIDER_TO_MICROSOFT if is_ours else What.PROVIDER_TO_OTHER
        case AudioConferencingChanged():
            return {
                "enabled": What.AUDIO_ENABLED,
                "disabled": What.AUDIO_DISABLED,
                "conferenceId": What.CONFERENCE_ID,
                "bridge": What.BRIDGE,
            }[happened.change]
        case PolicyGranted():
            return What.GRANT if happened.policy.lower() == "teamsupgradepolicy" else What.OTHER_POLICY
        case NumberUnassigned():
            return What.NUMBER
        case VideoInteropChanged():
            return What.VIDEO_INTEROP
        case Anything():
            return What.MEETING_URL if kind == "mms.tenant.meetingurlchanged" else What.SIP_ADDRESS


def license_change(
    facts: UserFacts, snapshot: frozenset[str] | None, *, subscribed_at: datetime | None
) -> LicenseChanged:
    """Derive what happened to the dial-in plans of a user, from the directory and what we knew before.

    Args:
        facts: As the directory tells now.
        snapshot: Dial-in plans that were in force when we last looked; ``None`` if we never did.
        subscribed_at: Since when the tenant tells us. A user without a snapshot gained a plan whose assignment is
            later than that, and lost one whose end is.
    """
    now = facts.plans & DIAL_IN_PLANS
    if snapshot is None:

        def is_news(plan: str, times: dict[str, datetime]) -> bool:
            return subscribed_at is not None and (at := times.get(plan)) is not None and at > subscribed_at

        gained = {plan for plan in now if is_news(plan, facts.plan_assigned_at)}
        lost = {plan for plan in DIAL_IN_PLANS - now if is_news(plan, facts.plan_ended_at)}
        return LicenseChanged(user=facts.user_id, added=sorted(gained), removed=sorted(lost))
    return LicenseChanged(user=facts.user_id, added=sorted(now - snapshot), removed=sorted(snapshot - now))
