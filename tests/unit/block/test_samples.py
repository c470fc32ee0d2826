"""Real bodies, where the folder with them is there (conftest.py sees to it); the project holds no copy of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mms_core.block import decode_join_information, locate, remove, replace

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "blocks"
FILES = sorted(SAMPLES.glob("*"))
BODIES = [path for path in FILES if not path.name.endswith(("properties.txt", ".tsv"))]
LINKLESS = ("bodyPreview", "bluejeans")

_NAME = re.compile(r"(sfb|teams)_(?:gen(\w+?)-)?")


def read(path: Path) -> str:
    """A sample as a body: without the line that names its source, and decoded where it is a data URL."""
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read()
    if text.startswith("<!-- SAMPLE-META"):
        text = text[text.index("\n") + 1 :]
    return decode_join_information(text).html if "raw-urlencoded" in path.name else text


@pytest.mark.parametrize("path", BODIES, ids=[path.stem for path in BODIES])
def test_sample_is_recognised(path):
    """Kind and generation are those of the file's name; the block has a join URL and can be taken out and put back."""
    body = read(path)
    located = locate(body)
    product, generation = _NAME.match(path.name).groups()
    assert [block.kind.value for block in located.blocks] == [{"sfb": "skype", "teams": "teams"}[product]]
    block = located.blocks[0]
    if product == "teams":
        assert block.generation == generation
    if any(word in path.name for word in LINKLESS):
        assert block.join_url is None
        assert located.ambiguous.startswith("no-join-link:")
        return
    assert located.ambiguous is None
    assert block.join_url.startswith("https://")
    assert block.third_party_acp == ("acp-third-party" in path.name)
    if product == "teams":
        assert block.organizer_id
        assert block.tenant_id
    assert locate(remove(body)).blocks == ()
    new = decode_join_information(
        '<div class="me-email-text"><div>' + "_" * 80 + "</div>"
        '<a href="https://teams.microsoft.com/meet/31234567890123?p=a">x</a><div>' + "_" * 80 + "</div></div>"
    )
    once = replace(body, new)
    assert replace(once, new) == once


def test_sample_without_a_block_is_left_alone():
    """Properties of an iCalendar file name a meeting but hold no block."""
    body = read(SAMPLES / "teams_2021_ics_properties.txt")
    assert locate(body).blocks == ()
    assert remove(body) is body
