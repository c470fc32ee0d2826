"""The rules of mms-rules sections 1, 2 and 5, stated a second time, without looking at the product's table.

Prose, rule by rule, as nested questions. A cell is ``(answer, rule, target)``.
"""

from __future__ import annotations

ALSO_ON_DIAL_IN = {
    "Audio Conferencing licence assigned": "T3",
    "Audio Conferencing licence removed": "T3",
    "provider changed to Microsoft": "T4",
    "audio conferencing enabled": "T5",
    "audio conferencing disabled": "T5",
    "conference ID changed": "T6",
    "moved to another bridge": "T7",
    "a number in the invitations was unassigned or replaced": "T8",
}
NEVER = {
    "SIP address changed": "N1",
    "Update-CsTenantMeetingUrl": "N2",
    "moved to on-premises": "W3",
    "another policy granted": "T9",
    "another licence changed": "T3",
    "provider changed to another": "W4",
}


def _trigger(what, *, move_target):
    """Which trigger an event is, and what its meetings become."""
    if what == "moved to the cloud with MoveToTeams":
        return "T1", "Teams"
    if what == "moved to the cloud without MoveToTeams":
        return "T2", move_target
    if what == "TeamsUpgradePolicy granted":
        return "T9", "Teams"
    if what == "Cloud Video Interop partner changed":
        return "T11", "Current"
    if what == "manual request":
        return "T10", None
    return ALSO_ON_DIAL_IN[what], "Current"


def _not_a_trigger_at_all(  # noqa: PLR0911 - a question each
    what, *, scope, mode, migrate, homed, licensed, public_meetings
):
    if what in NEVER:
        return NEVER[what]
    if what == "TeamsUpgradePolicy granted":
        if scope == "tenant":
            return "N3"
        if mode == "other":
            return "N4"
        if migrate == "no":
            return "N5"
        if homed == "onPremises":
            return "N6"
    if what == "provider changed to Microsoft" and licensed == "no":
        return "T4"  # "licence present"
    if what == "conference ID changed" and public_meetings == "no":
        return "T6"  # "user configured for public meetings"
    return None


def restated(  # noqa: PLR0911 - a question each
    what,
    *,
    scope="user",
    mode="teams",
    migrate="unknown",
    mailbox,
    homed,
    provider,
    licensed,
    public_meetings,
    audience,
    enabled,
    automatic,
    replace_acp,
    switched_on,
    move_target,
):
    """Return the cell of the rules."""
    rule = _not_a_trigger_at_all(
        what,
        scope=scope,
        mode=mode,
        migrate=migrate,
        homed=homed,
        licensed=licensed,
        public_meetings=public_meetings,
    )
    if rule is not None:
        return "ignore", rule, None
    trigger, target = _trigger(what, move_target=move_target)
    by_hand = trigger == "T10"
    if not enabled:  # everything
        return ("refuse" if by_hand else "ignore"), "N7", None
    if trigger in ("T3", "T4", "T5", "T6", "T7", "T8") and not automatic:
        return "ignore", "N8", None
    if not switched_on:
        if trigger == "T11":
            return "ignore", "T11", None
        return ("refuse" if by_hand else "ignore"), "X1", None
    # Not the whole user when asked by hand: then the run leaves the meetings with foreign numbers alone.
    if not by_hand and provider == "thirdParty" and not (replace_acp and licensed == "yes"):
        return "ignore", "W4", None
    if audience == "excluded":
        return ("refuse" if by_hand else "ignore"), "X2", None
    if audience == "notInPilot" and not by_hand:
        return "ignore", "X3", None
    if mailbox == "onPremises":
        return "refuse", "W2", None
    return "request", trigger, target
