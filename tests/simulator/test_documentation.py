"""The page about the simulator says what the code does."""

import re
from pathlib import Path

import msgspec

from mms_simulator import control
from mms_simulator.__main__ import arguments
from mms_simulator.faults import Fault
from mms_simulator.switches import Switches

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulator.md").read_text()
TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))


def test_every_switch_is_documented_and_moved_by_a_test():
    """With its positions where it has names for them."""
    for field in msgspec.structs.fields(Switches):
        assert f"`{field.name}`" in PAGE, field.name
        assert re.search(rf"\b{field.name}\b", TESTS), field.name


def test_every_action_option_and_fault_field_is_documented():
    """Names in the page are names in the code."""
    known = {name.lower() for name in re.findall(r"`(\w+)`", PAGE)}
    assert known >= control.ACTIONS.keys()
    assert known >= {field.name.lower() for field in msgspec.structs.fields(Fault)} - {"hits", "passed"}
    for name in vars(arguments([])):
        assert f"--{name.replace('_', '-')}" in PAGE or name == "in_memory"
