"""The page about the simulator says what the code does."""

import ast
import re
from pathlib import Path

import msgspec
from prove_switches import snake

from mms_simulator import control
from mms_simulator.__main__ import arguments
from mms_simulator.faults import Fault
from mms_simulator.switches import Switches

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulator.md").read_text()
_ELSEWHERE = {
    "exceptionBody": "1", "patternChangeDropsExceptions": "1", "emptyPages": "2", "enforcePermissions": "6",
    "latencyMs": "8", "eventsUrl": "7",
}  # fmt: skip
"""Switches that name an open question, no section, or one whose tests live with their like."""
TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))


def test_every_switch_is_documented_and_moved_by_a_test():
    """With its positions where it has names for them."""
    for field in msgspec.structs.fields(Switches):
        assert f"`{field.name}`" in PAGE, field.name
        assert re.search(rf"\b{field.name}\b", TESTS), field.name


def test_every_switch_has_a_test_of_its_own_in_the_file_of_its_section():
    """``test_switch_`` and the switch's name, in ``test_section_`` and the section that the switch names; it moves it.

    That each of them looks at both positions is what prove_switches.py proves.
    """
    source = (ROOT / "mms_simulator" / "switches.py").read_text()
    sections = dict(re.findall(r'^    (\w+): .+\n    """(?:Check-list )?(\d+)', source, re.MULTILINE))
    tests: dict[str, list[tuple[str, str]]] = {}
    for path in Path(__file__).parent.glob("test_section_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_switch_"):
                tests.setdefault(node.name, []).append((path.name, ast.unparse(node)))
    for field in msgspec.structs.fields(Switches):
        found = tests.get(f"test_switch_{snake(field.name)}", [])
        assert len(found) == 1, field.name
        ((name, text),) = found
        wanted = _ELSEWHERE.get(field.name, sections.get(field.name, ""))
        assert wanted in name.split("_"), f"{field.name} belongs to section {wanted}, its test is in {name}"
        assert re.search(rf"\b{field.name}\b", text), f"the test of {field.name} does not move it"


def test_every_action_option_and_fault_field_is_documented():
    """Names in the page are names in the code."""
    known = {name.lower() for name in re.findall(r"`(\w+)`", PAGE)}
    assert known >= control.ACTIONS.keys()
    assert known >= {field.name.lower() for field in msgspec.structs.fields(Fault)} - {"hits", "passed"}
    for name in vars(arguments([])):
        assert f"--{name.replace('_', '-')}" in PAGE or name == "in_memory"
