"""One tenant for all proofs; each case uses users of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / each) for each in ("proof", "stateful", "functional", "unit")]


@pytest.fixture(scope="session")
def lab():
    """The service and its tenant."""
    from proof_lab import Lab

    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        yield lab
        lab.close()
