"""Look at one invitation body from a shell: what is the block, why, and what would replacing it give.

``python -m mms_core.block inspect FILE [--json]`` and ``python -m mms_core.block replace FILE --with FILE``. A file is
HTML, plain text or a ``joinInformation`` content, told by its content; ``-`` is standard input. Exit status: 0 done,
1 ambiguous (then nothing is changed), 2 a file could not be read or the command was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mms_core.block.fragment import fragment_of, is_join_information, join_information_html
from mms_core.block.locate import is_html, locate
from mms_core.block.model import AmbiguousBlock, Fragment
from mms_core.block.rewrite import replace
from mms_core.block.tokens import shadow_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mms_core.block.model import Located, MeetingBlock


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    options = _parser().parse_args(arguments)
    try:
        body = _read(options.file)
        new = _fragment(_read(options.new)) if options.command == "replace" else None
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 2
    if new is None:
        located = locate(body)
        _write(_as_json(located) if options.json else _as_text(located, body))
        return 1 if located.ambiguous is not None else 0
    try:
        _write(replace(body, new, keep_user_text=options.keep_user_text))
    except AmbiguousBlock as error:
        _write(body)
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mms_core.block", description="Find and replace the meeting block of an invitation body."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    inspect = commands.add_parser("inspect", help="print what was found and why")
    inspect.add_argument("file", metavar="FILE", help="HTML, plain text or joinInformation; - for standard input")
    inspect.add_argument("--json", action="store_true", help="for programs; offsets count characters")
    rewrite = commands.add_parser("replace", help="write the body with the new block to standard output")
    rewrite.add_argument("file", metavar="FILE", help="the body; - for standard input")
    rewrite.add_argument("--with", dest="new", metavar="FILE", required=True, help="the new block")
    rewrite.add_argument(
        "--keep-user-text", action="store_true", help="put text typed inside the old block below the new one"
    )
    return parser


def _read(name: str) -> str:
    """Read a body; bytes that are not UTF-8 survive the round trip."""
    raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    text = raw.decode("utf-8", "surrogateescape")
    return join_information_html(text) if is_join_information(text) else text


def _write(text: str) -> None:
    """Write byte for byte: no newline is translated."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _fragment(text: str) -> Fragment:
    """Make a block of a file: of its one block where the file is a whole body."""
    if not is_html(text):
        lines = text.strip("\r\n").splitlines()
        markup = "<div>" + "<br>\n".join(escape(line, quote=False) for line in lines) + "</div>"
        return Fragment(html=markup, text="\n".join(lines), language=None, join_url=None)
    shadow = shadow_of(text)
    if b"<body" in shadow or b"<html" in shadow:
        located = locate(text)
        if len(located.blocks) == 1:
            spans = located.blocks[0].spans
            text = "".join(text[lo:hi] for lo, hi in spans)
    return fragment_of(text)


def _as_json(located: Located) -> str:
    """The form that programs read; its names are a contract (docs/blocks.md)."""
    return (
        json.dumps({"blocks": [_block(block) for block in located.blocks], "ambiguous": located.ambiguous}, indent=2)
        + "\n"
    )


def _block(block: MeetingBlock) -> dict[str, object]:
    return {
        "kind": block.kind.value,
        "generation": block.generation,
        "language": block.language,
        "joinUrl": block.join_url,
        "conferenceId": block.conference_id,
        "numbers": list(block.numbers),
        "spans": [list(span) for span in block.spans],
        "anchors": list(block.anchors),
    }


def _as_text(located: Located, body: str) -> str:
    """The form that people read."""
    lines: list[str] = []
    for number, block in enumerate(located.blocks, 1):
        lines.append(f"block {number}: {block.kind.value}, generation {block.generation}")
        rows = {
            "language": block.language,
            "joinUrl": block.join_url,
            "conferenceId": block.conference_id,
            "numbers": ", ".join(block.numbers),
            "dial-in of": "another provider" if block.third_party_acp else None,
            "vtcKey": block.vtc_key,
            "vtcId": block.vtc_conference_id,
            "organizerId": block.organizer_id,
            "tenantId": block.tenant_id,
            "userText": block.user_text,
            "stands in": "a quoted or forwarded mail" if block.quoted else None,
        }
        lines += [f"  {name:<14}{value}" for name, value in rows.items() if value]
        lines.append(f"  {'anchors':<14}{', '.join(block.anchors)}")
        for lo, hi in block.spans:
            lines.append(f"  {'characters':<14}{lo} to {hi} of {len(body)}")
    if not located.blocks:
        lines.append("no block")
    if located.ambiguous is not None:
        lines.append(f"ambiguous, nothing would be changed: {located.ambiguous}")
    return "\n".join(lines).encode("utf-8", "replace").decode() + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
