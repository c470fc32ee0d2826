"""The pages that are generated are as the code says."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_errors_page_is_generated_from_the_catalogue():
    """Run ``python docs/generate_errors.py`` after a change of the catalogue."""
    generator = runpy.run_path(str(DOCS / "generate_errors.py"))
    assert (DOCS / "errors.md").read_text(encoding="utf-8") == generator["page"]()
