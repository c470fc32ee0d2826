"""How long it takes to replace the block of an invitation, next to what a parser takes.

Run by ``make bench``. Every figure is the best of several runs, in milliseconds. What is compared: finding the block
and writing the new body by us; the same edit with BeautifulSoup (html.parser): parse, find the block, put the new one
in its place, serialise; and no edit at all with lxml, only parse and serialise to a ``str`` as ours is one, which
changes mail far outside the block (docs/blocks.md). Join URLs differ from run to run, so that no cache of ours is warm.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import lxml.html
from bs4 import BeautifulSoup

from mms_core.block import decode_join_information, locate, replace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "block"))

from invitations import english

if TYPE_CHECKING:
    from collections.abc import Callable

KIB = 1024
SIZES = (10, 68, 533)
GROWTH = (8, 64, 512, 4096)
TEMPLATES = {
    "Teams 4": "teams-4.html",
    "Teams 3b": "teams-3b.html",
    "Teams 2": "teams-2.html",
    "Skype": "skype-server.html",
}
PARAGRAPH = (
    '<p class="MsoNormal"><b><span lang="EN-US" style="font-size:11.0pt;font-family:&quot;Calibri&quot;,sans-serif;'
    'color:#1F497D">Point {}</span></b><span lang="EN-US" style="color:#1F497D"> of the agenda&nbsp;<o:p></o:p></span>'
    "</p>\r\n"
)
"""A paragraph as Word writes one with a bold word in it."""


def best(function: Callable[[], object], budget: float = 0.6) -> float:
    """Milliseconds of the quickest of as many runs as fit into some seconds, three at least."""
    quickest = float("inf")
    end = time.perf_counter() + budget
    runs = 0
    while runs < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        quickest = min(quickest, time.perf_counter() - start)
        runs += 1
    return quickest * 1000


def body_of(template: str, size: int) -> str:
    """An invitation of about so many bytes: paragraphs as Word writes them, then the block."""
    text = english(template)
    at = text.index(">", text.index("<body")) + 1
    filler: list[str] = []
    room = size - len(text)
    while room > 0:
        filler.append(PARAGRAPH.format(len(filler)))
        room -= len(filler[-1])
    return text[:at] + "".join(filler) + text[at:]


def ours(bodies: list[str]) -> Callable[[], object]:
    """Our edit, each time of another meeting."""
    turn = iter(range(10**9))
    return lambda: replace(bodies[next(turn) % len(bodies)], NEW)


def by_beautifulsoup(body: str) -> str:
    """The same edit for somebody who parses: the block's element, or what stands between its lines of dots."""
    soup = BeautifulSoup(body, "html.parser")
    element = soup.find("div", class_="me-email-text")
    if element is None:
        link = soup.find("a", attrs={"name": "OutJoinLink"})
        element = link.find_parent("p")
        for sibling in [*element.find_previous_siblings("p", limit=1), *element.find_next_siblings("p", limit=12)]:
            sibling.decompose()
    element.replace_with(BeautifulSoup(NEW.html, "html.parser"))
    return str(soup)


def by_lxml(body: str) -> str:
    """Parse and serialise, nothing more."""
    return lxml.html.tostring(lxml.html.document_fromstring(body), encoding="unicode")


NEW = decode_join_information(english("teams-3b.html").split("<br>\r\n", 1)[1].rsplit("\r\n<div>", 1)[0])


def comparison() -> None:
    """Print the comparison with parsers."""
    print(f"{'block':<10}{'KiB':>5}{'ours':>9}{'soup':>10}{'lxml':>9}{'soup/ours':>11}{'lxml/ours':>11}")
    for name, template in TEMPLATES.items():
        for size in SIZES:
            body = body_of(template, size * KIB)
            bodies = [
                body.replace("TW9kZWxsYmF1ZXI1", f"TW9kZWxs{turn:08}").replace("K7RTQ2XN", f"K7R{turn:05}")
                for turn in range(400 if size < KIB / 2 else 40)
            ]
            mine = best(ours(bodies))
            soup = best(lambda body=body: by_beautifulsoup(body))
            parser = best(lambda body=body: by_lxml(body))
            print(
                f"{name:<10}{size:>5}{mine:>9.3f}{soup:>10.2f}{parser:>9.3f}{soup / mine:>11.0f}{parser / mine:>11.2f}"
            )


def hostile() -> None:
    """Print bodies of 512 KiB that are made to be slow, next to an ordinary one of that size."""
    size = 512 * KIB
    block = english("teams-3b.html")
    usual = body_of("teams-3b.html", size)
    ordinary = best(lambda: replace(usual, NEW))
    print(f"\n{'512 KiB of':<34}{'ms':>9}{'times an ordinary body':>26}")
    print(f"{'an ordinary body':<34}{ordinary:>9.2f}{1:>26.2f}")
    bodies = {
        "nested <div>": "<div>" * (size // 11) + "</div>" * (size // 11),
        "nested <div> around a block": "<div>" * (size // 11) + block + "</div>" * (size // 11),
        "underscores": "_" * size,
        "dots": "." * size,
        "lines of 80 underscores, a block": ("_" * 80 + "<br>\r\n") * (size // 86) + block,
        "lines of 137 dots, a block": "<html>"
        + ("." * 137 + "<br>\r\n") * (size // 143)
        + english("skype-server.html"),
    }
    for name, body in bodies.items():
        located = locate(body)
        taken = (
            best(lambda body=body: replace(body, NEW))
            if located.ambiguous is None
            else best(lambda body=body: locate(body))
        )
        print(f"{name:<34}{taken:>9.2f}{taken / ordinary:>26.2f}")


def growth() -> None:
    """Print how time grows with size."""
    print(f"\n{'KiB':>6}{'ms':>10}{'microseconds a KiB':>22}")
    for size in GROWTH:
        body = body_of("teams-3b.html", size * KIB)
        taken = best(lambda body=body: replace(body, NEW))
        print(f"{size:>6}{taken:>10.3f}{taken * 1000 / size:>22.2f}")


if __name__ == "__main__":
    comparison()
    hostile()
    growth()
