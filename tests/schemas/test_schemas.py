"""What the stack answers is what its description says: schemathesis in short; ``make schemas`` is the long profile."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from campaign import cases_of, run, started


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A stack whose activity feed's auth id is known."""
    process, ready = started(tmp_path_factory.mktemp("stack"))
    yield ready
    process.terminate()
    process.wait(60)


# Generous because machines differ. Coverage's two thousand cases are left to the long run.
@pytest.mark.timeout(300)
def test_no_answer_is_undocumented_and_no_wrong_request_accepted(ready):
    """A few examples of each operation and some walks along the links, with every check that the host leaves to us."""
    phases = ("--phases", "examples,fuzzing,stateful", "--max-examples", "4", "--seed", "8")
    code, output = run(ready["api"], ready["tokens"]["operator"], *phases)
    assert code == 0, output[-8000:]
    assert cases_of(output) > 80
