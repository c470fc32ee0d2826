"""Coverage-guided fuzzing of the block package (atheris). Run by ``make fuzz``.

Beside crashes and time-outs it looks for broken promises: what is outside the spans stays, a body without a block is
given back as it is, an ambiguous one raises our error and nothing else. (That replacing twice is replacing once cannot
hold for a block that was cut to pieces; the properties in the unit tests prove it for whole ones.) The corpus is in
``fuzz/corpus/block``; ``python fuzz/block.py --seed`` writes the invitations of the unit tests into it.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests" / "unit" / "block")]

SEED_LANGUAGES = ("en-US", "ja-JP", "ar-SA")


def seed() -> None:
    """Write the corpus that fuzzing starts from."""
    from bodies import DOTS, NEW, element, restyled, skype, skype_text, teams_text  # noqa: PLC0415 - not needed to fuzz
    from invitations import TEMPLATES, invitation, language_of  # noqa: PLC0415

    corpus = HERE / "corpus" / "block"
    for template in TEMPLATES:
        for tag in SEED_LANGUAGES[: 1 if template.endswith(".html") else 3]:
            body = invitation(template, language_of(tag)).body
            (corpus / f"{template}-{tag}").write_bytes(body.encode())
    small = {
        "element": element(),
        "restyled": restyled(),
        "skype": skype(),
        "skype.txt": skype_text(),
        "teams.txt": teams_text(),
        "new": NEW.html,
        "hidden": restyled().replace("https://", "https://protect.example/s/").replace("teams.", ""),
        "older": (
            f"<p>{DOTS}</p><a href=https://join.contoso.com/meet/anna/R1>x</a> 5550100 <a href=https://dialin.contoso.com>"
            f"y</a> ID: 640823217<p>{DOTS}</p>"
        ),
        "cells": "<table><tr><td>"
        + skype(dots="").replace("</p>\n", "</p></td></tr>\n<tr><td>")
        + "</td></tr></table>",
    }
    for name, body in small.items():
        (corpus / f"small-{name}").write_bytes(body.encode())
    (corpus / "small-data-url").write_bytes(
        b"data:text/html,%3cdiv+class%3d%22me-email-text%22%3ea%2Bb%3c%2fdiv%3e%3c%2fdiv%3e"
    )


def main() -> None:
    """Fuzz until told to stop."""
    import atheris  # noqa: PLC0415 - a development tool that is not everywhere

    with atheris.instrument_imports(include=["mms_core.block"]):
        from mms_core.block import AmbiguousBlock, append, decode_join_information, locate, remove, replace  # noqa: PLC0415
    from bodies import NEW  # noqa: PLC0415

    def check(data: bytes) -> None:
        # Surrogates stand for what is not UTF-8, so that lone ones are tried as well.
        body = data.decode("utf-8", "surrogateescape")
        located = locate(body)
        append(body, NEW)
        decode_join_information(body)
        if located.ambiguous is not None:
            try:
                replace(body, NEW, located=located)
            except AmbiguousBlock:
                return
            raise AssertionError("an ambiguous body was changed")
        spans = [span for block in located.blocks for span in block.spans]
        kept = "".join(
            body[end:start]
            for end, start in zip([0, *(hi for _, hi in spans)], [*(lo for lo, _ in spans), len(body)], strict=True)
        )
        if remove(body, located=located) != kept:
            raise AssertionError("something outside the spans changed")
        changed = replace(body, NEW, located=located)
        if not located.blocks and changed is not body:
            raise AssertionError("a body without a block was copied")
        locate(changed)

    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:] == ["--seed"]:
        seed()
    else:
        main()
