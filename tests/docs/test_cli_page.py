"""docs/cli.md is what the command line says of itself, and docs/cmdlets.md speaks of options that exist."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from mms_cli.arguments import COMMANDS, parser

DOCS = Path(__file__).parents[2] / "docs"


def test_cli_page_is_generated_from_the_declarations():
    """Run ``python docs/generate_cli.py`` after a change of the options."""
    generator = runpy.run_path(str(DOCS / "generate_cli.py"))
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == generator["page"]()


def test_every_command_says_what_it_does_and_so_does_every_option():
    """Nobody meets an option without words."""
    import argparse

    (commands,) = (each for each in parser()._actions if isinstance(each, argparse._SubParsersAction))
    assert set(commands.choices) == {each.name for each in COMMANDS}
    for name, own in commands.choices.items():
        assert own.description, name
        assert [action.dest for action in own._actions if not action.help and action.dest != "action"] == [], name


def _lines():
    for page in ("docs/cmdlets.md", "docs/operations.md", "README.md"):
        text = (DOCS.parent / page).read_text(encoding="utf-8")
        blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
        lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
        # Within a sentence a command may go on in the next line.
        lines += [" ".join(each.split()) for each in re.findall(r"`(mms\s[^`]+)`", text)]
        for line in lines:
            if line.startswith("mms "):
                yield page, line.removeprefix("mms ")


def test_the_documents_have_examples():
    """The test below would pass without any."""
    assert len(list(_lines())) > 30


@pytest.mark.parametrize(("page", "line"), list(_lines()))
def test_every_line_in_the_documents_is_understood(page, line):
    """An example that the parser refuses is worse than none."""
    words = shlex.split(line, comments=True)
    for stop in ("|", ">"):
        words = words[: words.index(stop)] if stop in words else words
    if len(words) == 1:  # names the command, and is no example of it
        assert words[0] in {each.name for each in COMMANDS}
        return
    parser().parse_args(words)
