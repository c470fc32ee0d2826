"""From a plan to the one write of a meeting, and from the answer to whether it is what was planned. Pure."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mms_core import block, options
from mms_core.block import BlockKind
from mms_core.labels import is_skype_label, teams_label
from mms_core.planning import SKYPE_PROPERTIES, Step, coordinates

if TYPE_CHECKING:
    from mms_core.block import Fragment, Located
    from mms_core.meetings import Coordinates, Event, OnlineMeeting
    from mms_core.planning import Planned


class Route(StrEnum):
    """How a Skype meeting becomes a Teams meeting."""

    REPLACE = "replace"
    """Route B: our own meeting, its block in the old one's place. Needs the application access policy."""
    SKYPE = "skype"
    """The old block goes, and Exchange is asked by flags to make a meeting of Skype for Business Online."""
    FLAGS = "flags"
    """Route A: the old block goes, and Exchange is asked by flags to make the meeting and to append its block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Everything the one PATCH of a meeting carries, and what is expected afterwards."""

    body: str
    after: Coordinates | None
    """``None`` where Exchange chooses them (route A)."""
    locations: tuple[dict[str, object], ...] | None
    properties: dict[str, str]
    route: Route = Route.REPLACE
    step: Step = Step.MIGRATE
    """What it amounts to."""
    not_kept: tuple[str, ...] = ()
    replaced: OnlineMeeting | None = None
    """The Teams meeting to which nothing leads any more afterwards."""


def is_current(planned: Planned, fragment: Fragment) -> bool:
    """Say whether the invitation tells people already what *fragment* would: then nothing is written (R5)."""
    own = planned.own_block
    new = block.locate(fragment.html)
    return (
        planned.step in (Step.REFRESH, Step.REPLACE)
        and own is not None
        and len(planned.located.blocks) == 1
        and len(new.blocks) == 1
        and block.same_coordinates(own, new.blocks[0])
    )


def rewrite(planned: Planned, meeting: OnlineMeeting, fragment: Fragment, *, run_id: str) -> Rewrite:
    """Compute the write: the block replaced in place, all else untouched.

    Raises:
        AmbiguousBlock: The body holds more than one candidate (the plan says so before).
    """
    event = planned.event
    body = block.replace(planned.body, fragment, located=_in_order(planned.located))
    new = block.locate(fragment.html)
    properties = {name: "" for name in SKYPE_PROPERTIES if event.properties.get(name)}
    properties |= {"SkypeTeamsMeetingUrl": meeting.join_url, "MmsRun": run_id}
    if meeting.thread_id:
        thread = {"cid": meeting.thread_id, "private": True, "type": 0, "mid": 0, "rid": 0, "uid": None}
        properties["SkypeTeamsProperties"] = json.dumps(thread, separators=(",", ":"))
    own = planned.own_block
    return Rewrite(
        body=body,
        after=coordinates(new.blocks[0] if new.blocks else None),
        locations=relabelled(event.locations, own.language if own else None) if planned.step is Step.MIGRATE else None,
        properties=properties,
        step=planned.step,
        not_kept=options.CONTENT if planned.step is Step.MIGRATE else (),
    )


def _in_order(located: Located) -> Located:
    return replace(located, blocks=tuple(sorted(located.blocks, key=lambda each: each.spans)))


def rewrite_by_flags(planned: Planned, *, run_id: str) -> Rewrite:
    """Compute a write by flags: the old block removed, the rest left to Exchange.

    Raises:
        AmbiguousBlock: The body holds more than one candidate (the plan says so before).
    """
    event, own = planned.event, planned.own_block
    is_skype = planned.step is Step.MOVE  # then the label in the location is right as it is
    return Rewrite(
        body=block.remove(planned.body, located=_in_order(planned.located)),
        after=None,
        locations=None if is_skype else relabelled(event.locations, own.language if own else None),
        properties={name: "" for name in SKYPE_PROPERTIES if event.properties.get(name)} | {"MmsRun": run_id},
        route=Route.SKYPE if is_skype else Route.FLAGS,
        step=planned.step,
        not_kept=options.CONTENT,
    )


def relabelled(locations: tuple[dict[str, object], ...], language: str | None) -> tuple[dict[str, object], ...] | None:
    """Return the whole array with the old meeting's label exchanged, or ``None`` where it is not there."""
    if not any(is_skype_label(str(each.get("displayName", ""))) for each in locations):
        return None
    label = teams_label(language)

    def exchanged(location: dict[str, object]) -> dict[str, object]:
        if not is_skype_label(str(location.get("displayName", ""))):
            return location
        changed: dict[str, object] = {**location, "displayName": label}
        if changed.get("uniqueIdType") == "private" or "uniqueId" in changed:
            changed["uniqueId"] = label
        return changed

    return tuple(exchanged(each) for each in locations)


_HIDDEN: Final = {b"<!--": b"-->", b"<style": b"</style", b"<script": b"</script"}


def _text(markup: str) -> str:
    """Return what is left of HTML without tags, comments, styles and scripts; in linear time, whatever it is given."""
    # By bytes, because str.lower() moves positions: a Turkish capital dotted I has two characters in lower case.
    pieces, position, lower = [], 0, markup.encode("latin-1", "replace").lower()
    while (start := markup.find("<", position)) >= 0:
        pieces.append(markup[position:start])
        closing = next((end for begin, end in _HIDDEN.items() if lower.startswith(begin, start)), b">")
        end = lower.find(closing, start + 1)
        if end < 0:
            return " ".join(pieces)
        position = end + len(closing) if closing in (b">", b"-->") else end
    return " ".join([*pieces, markup[position:]])


def _outside(body: str, *, is_html: bool) -> list[str]:
    located = block.locate(body)
    pieces, position = [], 0
    for start, end in sorted(span for each in located.blocks for span in each.spans):
        pieces.append(body[position:start])
        position = end
    rest = "\n".join([*pieces, body[position:]])
    # Exchange may write tags, entities and white space in its own way; what people read must be the same.
    return html.unescape(_text(rest)).split() if is_html else rest.split()


def _links(body: str) -> list[str | None]:
    """Return the Teams meetings that a body leads to; more than one where another one's block was pasted."""
    return [each.join_url for each in block.locate(body).blocks if each.kind is BlockKind.TEAMS]


def made_by_flags(event: Event, route: Route | str) -> Coordinates | None:
    """Return how people join by the block that Exchange appended, ``None`` if it has not."""
    for each in block.locate(event.body).blocks:
        if each.kind is BlockKind.TEAMS if route == Route.FLAGS else each.generation == "online":
            return coordinates(each)
    return None


def mismatch(sent: Rewrite, planned: Planned, answer: Event) -> str | None:
    """Compare Graph's answer to a write with what was sent; ``None`` if all is as planned.

    Returns:
        The name of the first thing that differs, for a loud failure.
    """
    before = planned.event
    links, sent_links = _links(answer.body), _links(sent.body)
    if sent.route is Route.SKYPE:
        has_link = made_by_flags(answer, sent.route) is not None and links == sent_links
    elif sent.route is Route.FLAGS:
        has_link = len(links) == len(sent_links) + 1
    else:
        has_link = links == sent_links and sent.after is not None and sent.after.join_url in links
    checks: tuple[tuple[str, Any, Any], ...] = (
        ("joinUrl", has_link, True),
        (
            "textOutsideTheBlock",
            _outside(answer.body, is_html=answer.content_type == "html"),
            _outside(sent.body, is_html=before.content_type == "html"),
        ),
        ("attendees", {each.address for each in answer.attendees}, {each.address for each in before.attendees}),
        ("times", (answer.start_at, answer.end_at), (before.start_at, before.end_at)),
        ("recurrence", answer.recurrence, before.recurrence),
        ("subject", answer.subject, before.subject),
    )
    return next((name for name, is_now, should in checks if is_now != should), None)
