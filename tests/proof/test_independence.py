"""The judge shares nothing with what it judges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_judge_and_what_it_reads_with_import_nothing_of_the_product():
    """Not directly, and not by way of anything else: asked of an interpreter of its own."""
    asked = "import sys, proof_oracle; print(*sorted(m for m in sys.modules if m.startswith(('mms', 'proof'))))"
    told = subprocess.run(
        [sys.executable, "-c", asked], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["proof_mailbox", "proof_oracle", "proof_tenant"]
