"""Histories of commands: a few in ``make test``, thousands in ``make soak``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "stateful"), str(TESTS / "functional"), str(TESTS / "unit")]


@pytest.fixture(autouse=True)
def _no_sockets():
    """Nothing here talks to anybody (asyncio's own pair of Unix sockets is allowed)."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
