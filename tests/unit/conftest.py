"""Unit tests are pure: no socket opens, helpers are importable, Hypothesis is quick and the same for everybody."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings
from pytest_socket import disable_socket, enable_socket

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("unit", max_examples=60, deadline=None, derandomize=True, database=None)


@pytest.fixture(autouse=True)
def _no_sockets():
    """Nothing here talks to anybody (asyncio's own pair of Unix sockets is allowed)."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
