"""A tenant, storage in memory and the service over both; no test here needs a socket or the real time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "unit")]


@pytest.fixture(autouse=True)
def _no_sockets():
    """Nothing here talks to anybody (asyncio's own pair of Unix sockets is allowed)."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def world(monkeypatch):
    """The service, at a time of its own."""
    from functional_support import World

    world = World()
    monkeypatch.setattr("mms_core.service.running.applying.asyncio", world.waiting)
    return world
