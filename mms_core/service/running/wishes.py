"""What a run and its dry run have in common: the wish, and the look for an existing Teams meeting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mms_core.errors import PermanentError
from mms_core.planning import Planned, Wish
from mms_core.service.remembered import snapshot_of
from mms_core.triggers import DIAL_IN_PLANS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mms_core.meetings import OnlineMeeting
    from mms_core.model import Selection, Source, Target, UserFacts
    from mms_core.ports import Meetings
    from mms_core.service.parts import Parts
    from mms_core.settings import TenantSettings


async def wish_of(
    parts: Parts,
    facts: UserFacts,
    settings: TenantSettings,
    *,
    source: Source,
    target: Target,
    selections: tuple[Selection, ...] = (),
    reasons: Iterable[str] = (),
) -> Wish:
    """Put together what planning needs; *reasons* are the run's, each begins with its rule."""
    _, snapshot = await snapshot_of(parts, facts.user_id)
    # W4: another provider's numbers stay until the setting says otherwise, or the user is set up with Microsoft (T4).
    is_ours = snapshot.provider == "microsoft"
    return Wish(
        source=source,
        target=target,
        organizer_id=facts.user_id,
        tenant_id=parts.options.tenant_id,
        is_licensed=bool(facts.plans & DIAL_IN_PLANS),
        replace_acp=settings.AutomaticallyReplaceAcpProvider or is_ours,
        maximum_attendees=settings.MaximumAttendees,
        selections=selections,
        secondary=settings.IncludeSecondaryCalendars,
        replaces=settings.TeamsToTeams == "replace",
        leaves_server=any(reason.startswith("T2 ") for reason in reasons),
    )


async def find_meeting(meetings: Meetings, user_id: str, planned: Planned) -> OnlineMeeting:
    """Find the Teams meeting that an invitation leads to.

    Raises:
        PermanentError: Code ``TeamsMeetingNotFound``.
    """
    event, own = planned.event, planned.own_block
    # Teams compares join URLs as it wrote them, so every form that the event has is asked for.
    candidates = (event.join_url, event.properties.get("SkypeTeamsMeetingUrl"), own.join_url if own else None)
    for url in dict.fromkeys(each for each in candidates if each):
        found = await meetings.find(user_id, url, language=own.language if own else None)
        if found is not None:
            return found
    raise PermanentError(code="TeamsMeetingNotFound")
