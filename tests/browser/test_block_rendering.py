"""What people see: the text around a block is the same before and after, in a real browser.

All bodies are shown in frames of one page, which reads their visible text and leaves it in its own document; chromium
is run once for that. With ``MMS_SCREENSHOTS=1`` the pictures of docs/blocks.md are taken again.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from invitations import english, invitation, language_of

from mms_core.block import decode_join_information, replace

PICTURES = Path(__file__).parents[2] / "docs" / "blocks"
OPEN, CLOSE = "\u27e6", "\u27e7"
"""Brackets that no body has: they show in the text where the block is."""

CASES = [
    ("teams-1.html", "en-US"),
    ("teams-1-vtc.html", "ja-JP"),
    ("teams-2.html", "fr-FR"),
    ("teams-2-straddling.html", "pl-PL"),
    ("teams-3.html", "de-DE"),
    ("teams-3-surplus.html", "tr-TR"),
    ("teams-3-copied.html", "ar-SA"),
    ("teams-3b-word.html", "el-GR"),
    ("teams-4.html", "zh-CN"),
    ("teams-consumer.html", "he-IL"),
    ("skype-server.html", "sv-SE"),
    ("skype-glued.html", "hi-IN"),
]
PAGE = """<!doctype html><meta charset="utf-8"><body><script>
const bodies = %s, texts = [];
for (const body of bodies) {
  const frame = document.createElement("iframe");
  frame.width = 800; frame.srcdoc = body;
  frame.onload = () => {
    texts[bodies.indexOf(body)] = frame.contentDocument.body.innerText;
    if (texts.filter(text => text !== undefined).length === bodies.length) {
      const result = document.createElement("pre");
      result.id = "texts"; result.textContent = JSON.stringify(texts);
      document.body.replaceChildren(result);
    }
  };
  document.body.append(frame);
}
</script>"""
NEW = decode_join_information(english("teams-3b.html").split("<br>\r\n", 1)[1].rsplit("\r\n<div>", 1)[0])


def chromium(*arguments: str) -> str:
    """Run the browser without a window; gives its standard output."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "no chromium on this machine: apt-get install chromium"
    done = subprocess.run(
        [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *arguments],
        capture_output=True,
        check=True,
        timeout=100,
        text=True,
    )
    return done.stdout


def pair(template: str, tag: str) -> tuple[str, str]:
    """A body before and after, brackets around the block in both."""
    case = invitation(template, language_of(tag))
    lo, hi = case.spans[0][0], case.spans[-1][1]
    changed = replace(case.body, NEW)
    start, end = changed.index(NEW.html), len(changed) - (len(case.body) - hi)
    assert start >= lo
    return (
        case.body[:lo] + OPEN + case.body[lo:hi] + CLOSE + case.body[hi:],
        changed[:lo] + OPEN + changed[lo:end] + CLOSE + changed[end:],
    )


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> list[str]:
    """Visible text of every body, before and after by turns."""
    bodies = [body for template, tag in CASES for body in pair(template, tag)]
    page = tmp_path_factory.mktemp("browser") / "page.html"
    page.write_text(PAGE % json.dumps(bodies).replace("</", "<\\/"), "utf-8")
    document = chromium("--virtual-time-budget=20000", "--dump-dom", page.as_uri())
    found = re.search(r'<pre id="texts">(.*?)</pre>', document, re.DOTALL)
    assert found, document[:500]
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{template}-{tag}" for template, tag in CASES])
def test_people_see_the_same_text_around_the_block(texts, number):
    """Before and behind the brackets, to the character."""
    before, after = texts[2 * number], texts[2 * number + 1]
    assert before.count(OPEN) == before.count(CLOSE) == after.count(OPEN) == after.count(CLOSE) == 1
    assert re.split(f"{OPEN}.*{CLOSE}", before, flags=re.DOTALL) == re.split(f"{OPEN}.*{CLOSE}", after, flags=re.DOTALL)
    assert "515 253 545#" in after


def test_new_block_is_seen(texts):
    """Not only in the source: its headline and its conference id can be read."""
    assert all("Open this link to take part" in after for after in texts[1::2])


SHOTS = {
    "lync": "lync-server.html",
    "skype": "skype-server.html",
    "teams-1": "teams-1-vtc.html",
    "teams-2": "teams-2.html",
    "teams-3": "teams-3.html",
    "teams-3b": "teams-3b.html",
    "teams-4": "teams-4.html",
    "teams-consumer": "teams-consumer.html",
    "teams-word": "teams-3b-word.html",
}


@pytest.mark.parametrize("name", [*SHOTS, "skype-after"])
def test_pictures_of_the_documentation_can_be_taken(tmp_path, name):
    """One of each generation, and one of a Skype invitation after its block was replaced.

    With MMS_SCREENSHOTS=1 they go into docs/.
    """
    body = replace(english(SHOTS["skype"]), NEW) if name == "skype-after" else english(SHOTS[name])
    # The logo of the fixtures' footer leads nowhere.
    body = body.replace('<img src="https://img.contoso.com/logo.png">', "").replace(
        '<img src="https://img.contoso.com/logo.png" width="100">', ""
    )
    page = tmp_path / "body.html"
    page.write_text(body, "utf-8")
    where = PICTURES if os.environ.get("MMS_SCREENSHOTS") == "1" else tmp_path
    picture = where / f"{name}.png"
    chromium(f"--screenshot={picture}", "--window-size=640,430", page.as_uri())
    assert picture.read_bytes().startswith(b"\x89PNG")
