"""These tests open no socket; those of the command as a process are in tests/system, beside the stack they share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

from mms_cli.terminal import Screen

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """Nothing of this machine's sign-ins, colours or sockets."""
    monkeypatch.setenv("MMS_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("MMS_URL", "MMS_TOKEN", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def screen_of():
    """Return a function that makes a screen; its streams are in ``out`` and ``err``."""
    from cli_streams import Stream

    def made(*, is_terminal=False, answer="", colours=True):
        screen = Screen(
            Stream(is_terminal=is_terminal),
            err := Stream(is_terminal=is_terminal),
            Stream(answer, is_terminal=is_terminal),
            colours=colours,
        )
        screen.err = err
        return screen

    return made
