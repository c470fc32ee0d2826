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
