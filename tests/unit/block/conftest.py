"""Makes the helpers of these tests importable; tests are not a package. Real bodies are only where their folder is."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "blocks"

collect_ignore = [] if SAMPLES.is_dir() else ["test_samples.py"]
"""Without the folder there is nothing to test, rather than something to skip."""
