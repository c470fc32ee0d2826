"""Every rule of the table has a system test that shows it from the tenant's action to the result."""

from __future__ import annotations

import ast
from pathlib import Path

from mms_core.triggers import TABLE

SYSTEM = Path(__file__).parents[1] / "system"
RULES = {f"T{number}" for number in range(1, 12)} | {f"N{number}" for number in range(1, 9)} | {"W2", "W3", "W4"}


def _tests():
    for path in sorted(SYSTEM.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node


def _shown(function):
    """The rules that a test is marked with."""
    return {
        argument.value
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.shows"
        for argument in decorator.args
    }


def _words(function):
    """The words of all texts in a test's code; what its docstring promises does not count."""
    texts = [
        node.value
        for statement in function.body[1:]
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return {word for text in texts for word in text.split()}


def test_every_rule_of_the_table_is_shown_over_http():
    """Those of mms-rules, and those of our own."""
    shown = set().union(*map(_shown, _tests()))
    assert shown == RULES | {row.rule for row in TABLE}


def test_a_test_that_is_said_to_show_a_rule_asks_for_it():
    """A mark on a test that does not even name the rule is a claim without a check."""
    claims = {function.name: _shown(function) for function in _tests() if _shown(function)}
    assert len(claims) >= 8
    for function in _tests():
        assert _shown(function) <= _words(function), function.name
        assert ast.get_docstring(function), function.name
