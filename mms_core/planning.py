"""From the facts about a meeting to what is to be done with it. Pure: no clock, no network, no settings read.

One :class:`Planned` an event; events that are none of our business (attendee copies, drafts, past meetings, events
without a meeting block) give ``None`` and leave no trace in the result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mms_core import block
from mms_core.block import BlockKind
from mms_core.block.damage import Cure, DamageKind, find_damage, repair
from mms_core.futures import is_over
from mms_core.meetings import Coordinates, Damaged, Event
from mms_core.model import Source, Target

if TYPE_CHECKING:
    from datetime import datetime

    from mms_core.block import Genuineness, Located, MeetingBlock
    from mms_core.model import Selection

SKYPE_PROPERTIES: Final = (
    "OnlineMeetingConfLink",
    "OnlineMeetingExternalLink",
    "OnlineMeetingInternalLink",
    "OnlineMeetingConferenceId",
    "OnlineMeetingTollNumber",
    "ConferenceTelURI",
    "UCCapabilities",
    "UCInband",
    "UCMeetingSetting",
    "UCMeetingSettingSent",
    "UCOpenedConferenceID",
)
"""Named properties that Outlook's Skype add-in leaves behind; blanked by a migration, since Graph cannot delete."""


TEAMS_PROVIDER: Final = "teamsForBusiness"
SKYPE_PROVIDER: Final = "skypeForBusiness"
"""Graph's onlineMeetingProvider."""


class Step(StrEnum):
    """What is to be done with a meeting."""

    MIGRATE = "migrate"
    """Its Skype block is replaced by a Teams block."""
    MOVE = "move"
    """Its block of an on-premises Skype server is replaced by one of Skype for Business Online."""
    REPLACE = "replace"
    """Its Teams meeting is replaced by another one, which gets the old one's options."""
    REFRESH = "refresh"
    """Its Teams block is compared with what Teams says today, and replaced if it differs."""
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted, and what decides it."""

    source: Source
    target: Target
    organizer_id: str
    tenant_id: str
    is_licensed: bool
    replace_acp: bool
    maximum_attendees: int
    selections: tuple[Selection, ...] = ()
    secondary: bool = False
    """Look at all the user's own calendars."""
    providers: frozenset[str] | None = None
    """Online meetings that the calendar can make by itself; ``None`` while nobody has asked."""
    replaces: bool = False
    """Teams meetings are replaced, not refreshed."""
    leaves_server: bool = False
    """The user has left the on-premises Skype server (T2): its meetings cannot stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan for one event."""

    event: Event
    step: Step
    located: Located
    code: str | None = None
    rule: str | None = None
    detail: str = ""
    damage: tuple[Damaged, ...] = ()
    repaired: str | None = None
    """The body without what is certain to be damage, where there is any; ``located`` is of this one."""

    @property
    def body(self) -> str:
        """The text in which the block is replaced."""
        return self.event.body if self.repaired is None else self.repaired

    @property
    def own_block(self) -> MeetingBlock | None:
        """The block that the plan is about."""
        return self.located.blocks[0] if self.located.blocks else None


def headcount(event: Event) -> int:
    """People in the meeting, the organizer included."""
    addresses = {each.address for each in event.attendees}
    if event.organizer_address:
        return len(addresses | {event.organizer_address})
    return len(addresses) + 1


def plan(event: Event, wish: Wish, *, now: datetime, inherited: dict[str, str] | None = None) -> Planned | None:
    """Decide about one event.

    Args:
        event: The facts.
        wish: What is asked for.
        now: Aware UTC.
        inherited: Extended properties of the series, for an exception that shows none of its own.

    Returns:
        The plan, or ``None`` if the event is none of our business.
    """
    if not event.is_organizer or event.is_cancelled or event.is_draft or is_over(event, now=now):
        return None
    properties = event.properties or inherited or {}
    event = replace(event, properties=properties)
    found = block.locate(event.body)
    own = _judged(found, properties, wish)[1]
    damage = find_damage(event.body, found, going=own)
    repaired = repair(event.body, damage) if any(each.cure is Cure.REMOVAL for each in damage) else None
    planned = _planned(event, found if repaired is None else block.locate(repaired), wish)
    if planned is None and any(each.kind is DamageKind.EMPTY_SHELL for each in damage):
        # It was made as an online meeting, and only a shell is left: nothing to replace, nothing to be silent about.
        made_with = _products(properties)
        if made_with and _is_asked_for(made_with, wish.source):
            planned = Planned(event=event, step=Step.SKIP, located=found, code="EmptyShell")
    if planned is None or not damage:
        return planned
    shown = tuple(Damaged(code=_DAMAGE[each.kind], detail=each.detail, is_certain=each.is_certain) for each in damage)
    return replace(planned, damage=shown, repaired=repaired)


_DAMAGE: Final = {
    DamageKind.MOJIBAKE: "Mojibake",
    DamageKind.EMPTY_SHELL: "EmptyShell",
    DamageKind.TWO_JOIN_LINKS: "TwoJoinLinks",
}


def _planned(event: Event, found: Located, wish: Wish) -> Planned | None:
    """Decide about an event that is our business, by the blocks found in it."""
    properties = event.properties
    located = block.choose(found, properties, organizer_id=wish.organizer_id, tenant_id=wish.tenant_id)
    if located.ambiguous or not located.blocks:
        return _without_certainty(event, located, wish)
    judged, own = _judged(located, properties, wish)
    genuine = [each for each, judgement in judged if judgement.genuine]
    wanted = _wanted(genuine or list(located.blocks), wish)
    if wanted is None:
        return None
    located = replace(located, blocks=own or located.blocks)
    obstacle = _obstacle(event, genuine, wanted, wish) if genuine else ("PastedBlock", "W5", judged[0][1].reason)
    if obstacle is None:
        return allowed(Planned(event=event, step=wanted, located=located), wish)
    code, rule, detail = obstacle
    return Planned(event=event, step=Step.SKIP, located=located, code=code, rule=rule, detail=detail)


def _judged(
    located: Located, properties: dict[str, str], wish: Wish
) -> tuple[list[tuple[MeetingBlock, Genuineness]], tuple[MeetingBlock, ...]]:
    """Judge each block of a body (W5), and return with that the ones that a write replaces.

    The genuine ones first: they name the coordinates "before". Then those that are nobody's text: a shell without a
    link, and beside a Skype block that of the Teams meeting which somebody made for it by hand. What else is there was
    pasted, and stays.
    """
    judged = [
        (each, block.judge(each, properties, organizer_id=wish.organizer_id, tenant_id=wish.tenant_id))
        for each in located.blocks
    ]
    own = [each for each, judgement in judged if judgement.genuine]
    if any(each.kind is BlockKind.SKYPE for each in own):
        own += [each for each, it in judged if not it.genuine]
    elif own:
        own += [each for each, it in judged if each.join_url is None]
    return judged, tuple(own)


WRITES: Final = (Step.MIGRATE, Step.MOVE, Step.REPLACE, Step.REFRESH)
"""Steps that may send an update."""


def allowed(planned: Planned, wish: Wish) -> Planned:
    """Return a plan as far as the calendar can make meetings of Skype for Business Online (R6).

    Where it cannot, a Skype meeting stays as it is; that is a failure only where it cannot stay.
    """
    if planned.step is not Step.MOVE or wish.providers is None:
        return planned
    if SKYPE_PROVIDER in wish.providers and can_use_flags(planned):
        return planned
    if wish.leaves_server:
        return replace(planned, step=Step.FAIL, code="SkypeOnlineUnavailable", rule="T2")
    return replace(planned, step=Step.SKIP, code="SkypeStaysSkype", rule="R6")


def reported(planned: Planned) -> Planned:
    """Return a plan whose write, if it has one, is only reported (feature 31)."""
    if planned.step not in WRITES:
        return planned
    return replace(planned, step=Step.SKIP, code="ReportOnly", rule="X4", detail=f"would {planned.step}")


def _without_certainty(event: Event, located: Located, wish: Wish) -> Planned | None:
    """Decide about an event whose block is missing, or not certain."""
    properties = event.properties
    # Which product made it is certain even where its block is not: what was not asked for is left alone.
    if not _is_asked_for(_products(properties) or {each.kind for each in located.blocks}, wish.source):
        return None
    if located.ambiguous:
        # Without the add-in's properties the event is no online meeting, whatever has been pasted into it.
        is_online = any(properties.get(name) for name in ("OnlineMeetingConfLink", "SkypeTeamsMeetingUrl"))
        step, code, rule = (Step.FAIL, "AmbiguousBlock", None) if is_online else (Step.SKIP, "PastedBlock", "W5")
        return Planned(event=event, step=step, located=located, code=code, rule=rule, detail=located.ambiguous)
    if wish.target is Target.TEAMS and wish.source is not Source.TEAMS and _was_skype(properties):
        return Planned(event=event, step=Step.SKIP, located=located, code="BlockNotFound")
    return None


def _products(properties: dict[str, str]) -> set[BlockKind]:
    """Return whose add-ins have marked an event."""
    marks = ((BlockKind.SKYPE, _was_skype(properties)), (BlockKind.TEAMS, bool(properties.get("SkypeTeamsMeetingUrl"))))
    return {kind for kind, holds in marks if holds}


def _is_asked_for(kinds: set[BlockKind], source: Source) -> bool:
    wanted = {Source.SFB: BlockKind.SKYPE, Source.TEAMS: BlockKind.TEAMS}.get(source)
    return wanted is None or not kinds or wanted in kinds


def _was_skype(properties: dict[str, str]) -> bool:
    link = properties.get("OnlineMeetingConfLink", "")
    return bool(link) and "focus:id:teams:" not in link.lower()


def _obstacle(event: Event, genuine: list[MeetingBlock], wanted: Step, wish: Wish) -> tuple[str, str, str] | None:
    """Return code, rule and detail of what keeps a genuine meeting as it is."""
    people = headcount(event)
    if people > wish.maximum_attendees:
        return "TooManyAttendees", "W6", f"{people} people"
    if any(each.third_party_acp for each in genuine) and not (wish.replace_acp and wish.is_licensed):
        return "ThirdPartyAcp", "W4", ""
    if wanted is Step.SKIP:
        return "SkypeStaysSkype", "R6", ""
    return None


def _wanted(blocks: list[MeetingBlock], wish: Wish) -> Step | None:
    if not blocks:
        return None
    has_skype = any(each.kind is BlockKind.SKYPE for each in blocks)
    if has_skype:
        if wish.source is Source.TEAMS:
            return None
        if wish.target is Target.TEAMS:
            return Step.MIGRATE
        # One of Skype for Business Online is where it would go.
        return Step.SKIP if all(each.generation == "online" for each in blocks) else Step.MOVE
    if wish.source is Source.SFB:
        return None
    return Step.REPLACE if wish.replaces and wish.target is Target.TEAMS else Step.REFRESH


def coordinates(found: MeetingBlock | None) -> Coordinates | None:
    """Return how people join, for the report."""
    if found is None:
        return None
    return Coordinates(
        kind=str(found.kind), join_url=found.join_url, conference_id=found.conference_id, numbers=found.numbers
    )


def block_text(body: str, way: Coordinates | None) -> str:
    """Return the meeting block of a body as it stands there, empty if there is none.

    Where there are several, the one that leads *way*, else the first: what a plan is about.
    """
    blocks = block.locate(body).blocks
    chosen = next((each for each in blocks if coordinates(each) == way), blocks[0] if blocks else None)
    return "".join(body[start:end] for start, end in chosen.spans) if chosen else ""


def can_use_flags(planned: Planned) -> bool:
    """Say whether route A can work: only an event that was never online follows the flags (facts: 0.3).

    On any other the flags are ignored, and the invitation would be left without any link.
    """
    return not planned.event.is_online and planned.event.provider in (None, "", "unknown")


def teams_beside(planned: Planned) -> Planned | None:
    """Return the plan as of a Teams block that goes together with a Skype one: a meeting converted by hand."""
    beside = tuple(each for each in planned.located.blocks if each.kind is BlockKind.TEAMS and each.join_url)
    if planned.step is not Step.MIGRATE or not beside:
        return None
    return replace(planned, located=replace(planned.located, blocks=beside))


def external_id(*, tenant_id: str, user_id: str, series_uid: str) -> str:
    """Name the online meeting of a calendar item so that whoever repeats the request gets the same one."""
    return "mms-" + hashlib.sha256(f"{tenant_id}|{user_id}|{series_uid}".encode()).hexdigest()[:40]
