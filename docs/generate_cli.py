"""Writes docs/cli.md from the command line's own declarations: ``python docs/generate_cli.py``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mms_cli.arguments import COMMANDS, ENVIRONMENT, parser
from mms_cli.failures import EXPLANATIONS

TARGET = Path(__file__).with_name("cli.md")

HEAD = """# The command line

`mms` talks to the deployed app over HTTPS. [cmdlets.md](cmdlets.md) shows each of the original's cmdlets beside the new
line. On a terminal, output is aligned, coloured and in your time zone; in a file or a pipe it is plain, and instants
are ISO 8601 in UTC. Whatever comes from the tenant is written so that a terminal cannot obey it.

This page is generated from `mms_cli/arguments.py` by `python docs/generate_cli.py`; a test keeps it so.
"""


def _cell(text: str) -> str:
    return text.replace("%%", "%").replace("|", "\\|")


def _options(own: argparse.ArgumentParser) -> list[str]:
    rows = []
    for action in own._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        if not action.option_strings:
            shown = f"`{name}`" + (" ..." if action.nargs in ("*", "+") else "")
        else:
            value = "" if action.nargs == 0 else f" [{name}]" if action.nargs == "?" else f" {name}"
            shown = ", ".join(f"`{each}{value}`" for each in action.option_strings)
        rows.append(f"| {shown} | {_cell(action.help or '')} |")
    return rows


def _section(title: str, own: argparse.ArgumentParser, cmdlet: str) -> list[str]:
    lines = [f"## {title}", "", own.description or ""]
    if cmdlet:
        lines[-1] += f" Stands for `{cmdlet}`."
    return [*lines, "", "| option | what |", "| --- | --- |", *_options(own), ""]


def page() -> str:
    """Return the page."""
    top = parser()
    (commands,) = (each for each in top._actions if isinstance(each, argparse._SubParsersAction))
    lines = [HEAD, "| command | what |", "| --- | --- |"]
    lines += [f"| [`mms {each.name}`](#mms-{each.name}) | {each.summary} |" for each in COMMANDS]
    lines += ["", "## Exit codes", "", "| code | meaning |", "| --- | --- |"]
    lines += [f"| {code.value} | {text} |" for code, text in EXPLANATIONS.items()]
    lines += ["", "## Environment", "", "| variable | what |", "| --- | --- |"]
    lines += [f"| `{name}` | {text} |" for name, text in ENVIRONMENT]
    lines.append("")
    for command in COMMANDS:
        own = commands.choices[command.name]
        below = [each for each in own._actions if isinstance(each, argparse._SubParsersAction)]
        if not below:
            lines += _section(f"mms {command.name}", own, command.cmdlet)
            continue
        stands = f" Stands for `{command.cmdlet}`." if command.cmdlet else ""
        lines += [f"## mms {command.name}", "", f"{command.summary}{stands}", ""]
        for name, each in below[0].choices.items():
            lines += [
                f"#{line}" if line.startswith("## ") else line
                for line in _section(f"mms {command.name} {name}", each, "")
            ]
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
