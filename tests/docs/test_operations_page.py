"""Whoever is woken finds the run-book that the alert names, and codes that exist."""

import re
from pathlib import Path

from mms_core.errors import CATALOGUE
from mms_core.settings import TenantSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_alert_has_its_run_book():
    """Under the name that stands in the alert's description."""
    alerts = re.findall(r"^    name: '([a-z-]+)'$", (ROOT / "infra/modules/alerts.bicep").read_text(), re.MULTILINE)
    assert len(alerts) >= 5
    assert [name for name in alerts if f"\n### {name}\n" not in PAGE] == []


def test_codes_and_settings_that_are_named_exist():
    """A run-book that leads to a code of yesterday helps nobody."""
    names = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", PAGE))
    known = {*CATALOGUE, *TenantSettings.__dataclass_fields__}
    shown = {"MmsUsers", "MmsLedger", "MmsState", "MmsArchive", "InProgress", "LastMessage"}
    assert names - known - shown == set()
    assert len(names & set(CATALOGUE)) > 15


def test_every_code_of_the_catalogue_has_one_run_book():
    """Whoever is woken by a code finds what to do, in one place."""
    part = PAGE.partition("\n### By code\n")[2].partition("\n## ")[0]
    books = part.split("\n\n**")[1:]
    heads = [re.match(r"[^*]+\*\*((?:\s`\w+`,?)+)\.\s+\S", book) for book in books]
    assert [book for book, head in zip(books, heads, strict=True) if not head] == []
    assert sorted(code for head in heads for code in re.findall(r"`(\w+)`", head[1])) == sorted(CATALOGUE)


def test_every_place_that_the_page_leads_to_exists():
    """A dead link at three in the morning."""
    anchors = {
        re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        page, _, anchor = target.partition("#")
        assert not page or page.startswith("https://") or (ROOT / "docs" / page).exists(), target
        assert page or anchor in anchors, target
