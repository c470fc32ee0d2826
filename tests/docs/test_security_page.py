"""SECURITY.md promises nothing that no test shows."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
BOUNDARIES = (
    "Webhooks", "Events", "Activity feed", "API", "Web page", "Command line", "Queues and tables", "Graph",
    "Invitations", "Telemetry", "Rights", "Supply chain",
)  # fmt: skip


@cache
def _tests_of(name):
    """Names of the tests in the file *name*, wherever below tests/ it stands."""
    (path,) = (ROOT / "tests").rglob(name)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def rows():
    """Section, letters, threat, counter-measure and evidence of each row."""
    section = ""
    for line in PAGE.splitlines():
        if line.startswith("### "):
            section = line.removeprefix("### ")
        cells = [each.strip() for each in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 4 and re.fullmatch(r"[STRIDE, ]+", cells[0]) and cells[0]:
            yield section, *cells


def test_every_boundary_has_its_threats():
    """And every kind of threat is thought of somewhere."""
    sections = {section for section, *_ in rows()}
    assert [name for name in BOUNDARIES if not any(each.startswith(name) for each in sections)] == []
    assert {letter for _, letters, *_ in rows() for letter in letters.split(", ")} == set("STRIDE")
    written = [line for line in PAGE.splitlines() if re.match(r"\| [STRIDE](,| )", line)]
    assert len(list(rows())) == len(written) > 40


@pytest.mark.parametrize(("section", "letters", "threat", "measure", "evidence"), list(rows()))
def test_every_threat_names_tests_that_exist_or_says_what_remains(section, letters, threat, measure, evidence):
    """A test that was renamed, or never written, shows nothing."""
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", evidence)
    left = re.sub(r"`test_\w+\.py::test_\w+`", "", evidence).strip(", ")
    assert left == ("" if named else "none")
    assert named or "**Remains:**" in measure
    for name, test in named:
        assert test in _tests_of(name), (name, test)
