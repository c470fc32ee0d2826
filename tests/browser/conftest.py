"""Only ``make browser`` runs these tests: they need a browser, which a fresh machine has not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "block"))

if os.environ.get("MMS_BROWSER") != "1":
    collect_ignore_glob = ["test_*.py"]
