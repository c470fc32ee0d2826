"""What the workflow runs, and what it may do."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_every_action_is_pinned_to_a_commit_and_nothing_may_write():
    """A tag can be moved to other code; a token that may write can be stolen by it."""
    assert FLOWS
    for path in FLOWS:
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"uses: (\S+)", text)
        assert used
        assert [each for each in used if not re.search(r"@[0-9a-f]{40}$", each)] == [], path.name
        assert text.count("persist-credentials: false") == len([each for each in used if "actions/checkout@" in each])
        assert re.search(r"^permissions: \{\}$", text, re.MULTILINE), path.name
        assert "write" not in re.findall(
            r"^\s+(?:contents|actions|id-token|packages|pull-requests): (\w+)", text, re.MULTILINE
        )
        assert "pull_request_target" not in text


def test_every_python_of_the_readme_is_tested_and_so_is_what_only_azure_has():
    """The matrix, Azure's compiler of Bicep, Microsoft's host, and the list of known weaknesses."""
    assert json.loads(re.search(r"python: (\[.*\])", CI)[1]) == ["3.11", "3.12", "3.13"]
    for step in (
        "make check",
        "make test",
        "make demo",
        "az bicep build",
        "az bicep lint",
        "! grep -E ' : (Warning|Error) '",
        "azure-functions-core-tools@4",
        "infra/try_func.py",
        "make audit",
    ):
        assert step in CI, step
