"""Whether a block is the meeting's own (rule W5), and whether two blocks lead to the same place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mms_core.block.model import BlockKind, Genuineness, Located
from mms_core.block.urls import canonical_join_url, parse_join_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mms_core.block.model import MeetingBlock

_FOCUS = re.compile(r"focus:id:([^?;!]+)", re.IGNORECASE)


def judge(
    block: MeetingBlock, properties: Mapping[str, str], *, organizer_id: str, tenant_id: str | None
) -> Genuineness:
    """Decide whether the organiser made this meeting with the online-meeting button, or pasted a block.

    Args:
        block: As located in the organiser's copy of the body.
        properties: The event's extended properties, by name.
        organizer_id: Object id of the organiser (of the principal, where a delegate organised it).
        tenant_id: Their tenant; ``None`` if it is not known, then it is not compared.

    Returns:
        ``genuine`` with reason ``properties-agree``, or not with ``no-join-url``, ``no-properties``,
        ``other-meeting``, ``other-organizer`` or ``other-tenant``.
    """
    if block.join_url is None:
        return Genuineness(genuine=False, reason="no-join-url")
    if block.kind is BlockKind.TEAMS:
        return _judge_teams(block, properties, organizer_id=organizer_id, tenant_id=tenant_id)
    return _judge_skype(block, properties)


def choose(located: Located, properties: Mapping[str, str], *, organizer_id: str, tenant_id: str | None) -> Located:
    """Settle by the event's properties which of several meetings' blocks is its own.

    Args:
        located: As :func:`mms_core.block.locate` gave it.
        properties: See :func:`judge`, also for the other arguments.
        organizer_id: See :func:`judge`.
        tenant_id: See :func:`judge`.

    Returns:
        Only the genuine blocks, no longer ambiguous, where that was the question and there is an answer; *located*
        itself in every other case.
    """
    if located.ambiguous is None or located.ambiguous.split(":")[0] not in {"several-meetings", "quoted-meeting"}:
        return located
    own = tuple(
        block
        for block in located.blocks
        if judge(block, properties, organizer_id=organizer_id, tenant_id=tenant_id).genuine
    )
    return Located(blocks=own) if own else located


def same_coordinates(a: MeetingBlock, b: MeetingBlock) -> bool:
    """Say whether two blocks tell people the same: join URL, conference id, numbers in any order, room-system key."""
    return (
        _comparable(a) == _comparable(b)
        and a.conference_id == b.conference_id
        and set(map(_dialled, a.numbers)) == set(map(_dialled, b.numbers))
        and (a.vtc_key or "").lower() == (b.vtc_key or "").lower()
        and a.vtc_conference_id == b.vtc_conference_id
    )


def _judge_teams(
    block: MeetingBlock, properties: Mapping[str, str], *, organizer_id: str, tenant_id: str | None
) -> Genuineness:
    stored = properties.get("SkypeTeamsMeetingUrl", "").strip()
    if not stored:
        return Genuineness(genuine=False, reason="no-properties")
    if block.join_url is None or canonical_join_url(stored).lower() != block.join_url.lower():
        return Genuineness(genuine=False, reason="other-meeting")
    if block.organizer_id is not None and block.organizer_id.lower() != organizer_id.lower():
        return Genuineness(genuine=False, reason="other-organizer")
    if tenant_id is not None and block.tenant_id is not None and block.tenant_id.lower() != tenant_id.lower():
        return Genuineness(genuine=False, reason="other-tenant")
    return Genuineness(genuine=True, reason="properties-agree")


def _judge_skype(block: MeetingBlock, properties: Mapping[str, str]) -> Genuineness:
    conference = properties.get("OnlineMeetingConfLink", "").strip()
    # Teams writes a conference link as well: its presence alone says nothing (docs/blocks.md, "Genuine or pasted").
    if not conference or "focus:id:teams:" in conference.lower():
        return Genuineness(genuine=False, reason="no-properties")
    own = (block.join_url or "").lower()
    for name in ("OnlineMeetingExternalLink", "OnlineMeetingInternalLink"):
        link = properties.get(name, "").strip()
        if link and canonical_join_url(link).lower() == own:
            return Genuineness(genuine=True, reason="properties-agree")
    focus = _FOCUS.search(conference)
    joined = parse_join_url(block.join_url or "")
    if focus is not None and joined is not None and (joined.meeting_id or "").lower() == focus[1].lower():
        return Genuineness(genuine=True, reason="properties-agree")
    return Genuineness(genuine=False, reason="other-meeting")


def _comparable(block: MeetingBlock) -> str:
    return canonical_join_url(block.join_url).lower() if block.join_url else ""


def _dialled(number: str) -> str:
    return number.lstrip("+")
