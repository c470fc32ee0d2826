"""docs/states.md says what the tables of transitions say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mms_core.model import Verdict
from mms_core.states import MEETING_TRANSITIONS, IllegalTransition, check_noted

DOCS = Path(__file__).parents[2] / "docs"
LAST_WORDS = {Verdict.MIGRATED, Verdict.REFRESHED, Verdict.CURRENT, Verdict.SKIPPED}


def test_the_document_is_generated_from_the_tables():
    """After a change of a table: ``make states``."""
    generator = runpy.run_path(str(DOCS / "generate_states.py"))
    assert (DOCS / "states.md").read_text(encoding="utf-8") == generator["document"]()


def test_every_verdict_has_a_row():
    """A verdict without one would raise KeyError instead of IllegalTransition."""
    assert set(MEETING_TRANSITIONS) == {None, *Verdict}


@pytest.mark.parametrize("before", [None, *Verdict])
def test_a_last_word_is_not_taken_back(before):
    """Whatever a run said last about a meeting, it does not say something else."""
    for after in Verdict:
        is_legal = after in MEETING_TRANSITIONS[before]
        if before in LAST_WORDS:
            assert not is_legal
        if is_legal:
            check_noted(before, after)
        else:
            with pytest.raises(IllegalTransition):
                check_noted(before, after)


def test_a_write_that_was_not_announced_is_not_a_success():
    """The intent comes first: without it nobody would know after a crash what was sent."""
    for success in (Verdict.MIGRATED, Verdict.REFRESHED):
        with pytest.raises(IllegalTransition):
            check_noted(None, success)
