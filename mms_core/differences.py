"""What somebody changed in an invitation after we wrote it: why an undo is refused, for whoever has to decide. Pure.

The written body is not kept, only its hash, so today's body is compared with the original. The meeting block, which
differs because of us, is folded to one line on both sides: what is left is what other people did.
"""

from __future__ import annotations

import difflib
import hashlib
import html
import re
from typing import TYPE_CHECKING, Any, Final

from mms_core import block, jsontext
from mms_core.jsontext import without_surrogates
from mms_core.meetings import Difference, PropertyChange
from mms_core.planning import SKYPE_PROPERTIES, coordinates
from mms_core.rewriting import relabelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mms_core.meetings import Coordinates, Event, Original

WRITTEN_BY_US: Final = (
    "SkypeTeamsMeetingUrl",
    "SkypeTeamsProperties",
    "MmsRun",
    # Exchange's, where flags asked it to make the meeting.
    "SchedulingServiceUpdateUrl",
    "SchedulingServiceMeetingOptionsUrl",
)
LONGEST: Final = 4000
"""Characters of a body's difference that are kept: it stands in the meeting's row, whose limit is 32,000."""
LONGEST_VALUE: Final = 200
_MOST_LINES: Final = 400
"""Lines compared once the equal ones at both ends are put aside: comparing takes the square of them."""
_BREAK: Final = re.compile(r"\r\n|\n|\r|(?=<(?:p|div|br|tr|li|table|ul|ol|hr|h[1-6])\b)", re.IGNORECASE)
_FOLDED: Final = "[meeting block]"


def _lines(body: str) -> list[str]:
    """Return a body in lines that people can read; markup without line breaks is split before each paragraph."""
    pieces, position = [], 0
    for start, end in sorted(span for each in block.locate(body).blocks for span in each.spans):
        pieces += [body[position:start], _FOLDED]
        position = end
    text = "\n".join([*pieces, body[position:]])
    lines = [line for line in _BREAK.split(text) if line.strip()]
    # Several spans of one block are one block.
    return [line for number, line in enumerate(lines) if line != _FOLDED or lines[number - 1 : number] != [_FOLDED]]


def body_difference(before: str, now: str) -> tuple[str, bool]:
    """Compare two bodies outside their meeting blocks.

    Returns:
        A unified diff, empty where they agree, and whether it was cut.
    """
    old, new = _lines(before), _lines(now)
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    context = max(0, first - 1)
    old, new = old[context : len(old) - last], new[context : len(new) - last]
    is_cut = max(len(old), len(new)) > _MOST_LINES
    diff = difflib.unified_diff(
        old[:_MOST_LINES], new[:_MOST_LINES], fromfile="original", tofile="now", lineterm="", n=1
    )
    text = without_surrogates("\n".join(diff))
    return text[:LONGEST], is_cut or len(text) > LONGEST


def _names(locations: Any) -> tuple[str, ...]:
    return tuple(str(each.get("displayName") or "") for each in locations if each.get("displayName"))


def _locations(original: Original, event: Event) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the places' names before and now, where they are neither the original's nor what we made of them."""
    kept = tuple(jsontext.loads(original.locations_json, list[dict[str, Any]]))
    now, before = _names(event.locations), _names(kept)
    languages = {each.language for each in block.locate(original.body).blocks} | {None}
    ours = {_names(relabelled(kept, language) or kept) for language in languages}
    return None if now in ours | {before} else (before, now)


def _properties(original: Original, event: Event, written: Sequence[Coordinates]) -> tuple[PropertyChange, ...]:
    changes, links = [], {block.canonical_join_url(each.join_url) for each in written if each.join_url}
    for name in sorted(original.properties.keys() | event.properties.keys()):
        before, now = original.properties.get(name, ""), event.properties.get(name, "")
        if name == "SkypeTeamsMeetingUrl" and now and links:
            is_ours = block.canonical_join_url(now) in links
        else:
            is_ours = name in WRITTEN_BY_US or (name in SKYPE_PROPERTIES and not now)
        if before != now and not is_ours:
            changes.append(PropertyChange(name=name, before=before[:LONGEST_VALUE], now=now[:LONGEST_VALUE]))
    return tuple(changes)


_PIECE: Final = re.compile(r"<!--.*?(?:-->|\Z)|<[^<>]*>", re.DOTALL)
"""In linear time, whatever it is given."""
_FRAME: Final = ("html", "/html", "head", "/head", "body", "/body", "meta")
"""Tags around an invitation, which Exchange puts there and takes away as it likes."""
_ATTRIBUTE_NAME: Final = re.compile(r"[\w:-]+(?==)")


def _spelled(tag: str) -> str:
    """Return a tag in one spelling: no case of names, no quotes, no white space."""
    name, *attributes = tag[1:-1].rstrip("/").split()
    if name.lower() in _FRAME or name.startswith("!"):
        return ""
    bare = "".join(attributes).replace('"', "").replace("'", "")
    return f"<{name.lower()} {_ATTRIBUTE_NAME.sub(lambda found: found[0].lower(), html.unescape(bare))}>"


def form_hash(body: str, *, content_type: str = "html", without: Coordinates | None = None) -> str:
    """Return the fingerprint of a body as far as it does not matter how its markup is spelled.

    Exchange may write quotes, case, entities and white space in its own way. Words, links, tags and their attributes
    stay as they were: if any of them is another one, so is the fingerprint, and somebody has edited.

    Args:
        body: HTML or text.
        content_type: ``html`` or ``text``.
        without: The block that leads here is left out: Exchange has appended it.
    """
    pieces, position = [], 0
    for each in block.locate(body).blocks if without is not None else ():
        if coordinates(each) == without:
            for start, end in each.spans:
                pieces.append(body[position:start])
                position = end
    text = "".join([*pieces, body[position:]])
    if content_type == "html":
        tags = [_spelled(tag) if tag.strip("</> ") else tag for tag in _PIECE.findall(text)]
        words = [html.unescape(each) for each in _PIECE.split(text)]
        text = "".join(part for pair in zip(words, [*tags, ""], strict=True) for part in pair)
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()


def difference(
    original: Original, event: Event, *, is_body_ours: bool, written: Sequence[Coordinates] = ()
) -> Difference:
    """Say what other people changed since we wrote an event.

    Args:
        original: As it was before our first write.
        event: As it is now.
        is_body_ours: Whether the body is, letter for letter, the one that we left behind.
        written: Ways to join that the ledger knows: one of them is how people joined after our write.
    """
    body, is_cut = ("", False) if is_body_ours else body_difference(original.body, event.body)
    places = _locations(original, event)
    return Difference(
        body=body,
        is_cut=is_cut,
        in_block=not is_body_ours and not body,
        locations_before=places[0] if places else None,
        locations_now=places[1] if places else None,
        properties=_properties(original, event, written),
    )
