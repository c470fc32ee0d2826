"""What the libraries log of their work stays here: the worker would send it to Application Insights."""

from __future__ import annotations

import logging
import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

from mms_core import wiring
from mms_core.settings import from_environment
from mms_core.telemetry import LIBRARIES

ROOT = Path(__file__).resolve().parents[2]


def _that_log():
    """Packages of requirements.txt in which a logger is made; one that this system does not need is not there."""
    found = set()
    for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE):
        try:
            modules = [each for each in files(name) or () if each.suffix == ".py"]
        except PackageNotFoundError:
            continue
        found |= {
            each.parts[0]
            for each in modules
            if "getLogger(" in each.locate().read_text(encoding="utf-8", errors="replace")
        }
    return found


def test_every_library_that_logs_is_in_the_list():
    """One that comes with an upgrade would tell addresses from its first day."""
    assert _that_log() - set(LIBRARIES) == set()
    assert len(_that_log()) > 10


@pytest.mark.parametrize("name", ["httpx", "azure.core.pipeline.policies.http_logging_policy", "hpack.hpack"])
def test_the_app_lets_no_library_log_what_it_does(name, monkeypatch):
    """Before the first call: with the level that the worker gives to everything."""
    given = {"MMS_TENANT_ID": "t", "MMS_API_AUDIENCE": "a"}
    monkeypatch.setattr(wiring, "deployment", lambda: from_environment(given))
    monkeypatch.setattr(wiring, "_parts", object)
    for each in LIBRARIES:
        monkeypatch.setattr(logging.getLogger(each), "level", logging.NOTSET)
        logging.getLogger(each).setLevel(logging.INFO)
    assert logging.getLogger(name).isEnabledFor(logging.INFO)
    wiring.app.__wrapped__()
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    assert logging.getLogger(name).isEnabledFor(logging.WARNING)
