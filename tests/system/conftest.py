"""System tests speak HTTP to the running stack and import nothing of the product."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from system_stack import IDENTITY, NOTICE_SENDER, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK_POLLING = "AzureFunctionsJobHost__extensions__queues__maxPollingInterval=00:00:00.200"
_SETTINGS = (
    "--set", "MMS_RUN_LEASE_SECONDS=6", "--set", QUICK_POLLING, "--set", f"MMS_NOTICE_SENDER={NOTICE_SENDER}",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def _start(directory: Path, *options: str) -> tuple[subprocess.Popen[bytes], Path]:
    ready = directory / "ready.json"
    command = [
        sys.executable, "-m", "mms_local", "up", "--empty", "--settle-seconds", "2",
        "--data", str(directory / "data"), "--ready-file", str(ready), *options,
    ]  # fmt: skip
    with (directory / "up.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 90
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((directory / "up.log").read_text()[-4000:])
        time.sleep(0.1)
    return process, ready


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


@contextmanager
def _running(*options: str) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory() as directory:
        process, ready = _start(Path(directory), *_SETTINGS, *options)
        stack = Stack(json.loads(ready.read_text()), ready)
        try:
            # Letters to organizers would be mails that most tests do not ask for.
            off = stack.api("PATCH", "config", {"AutomaticallySendEmailsToUsers": False})
            assert off.status_code == 200, off.text
            yield stack
        finally:
            stack.http.close()
            _stop(process)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Run the whole stack, once for all tests: each test uses users of its own."""
    with _running() as stack:
        yield stack


@pytest.fixture(scope="module")
def stack_with_identity() -> Iterator[Stack]:
    """Run a stack of its own, whose app signs in as an identity that the tenant can give rights to."""
    with _running("--set", f"MMS_IDENTITY_CLIENT_ID={IDENTITY}") as stack:
        yield stack


@pytest.fixture
def config(stack: Stack) -> Iterator[Any]:
    """Change settings for one test."""
    before = stack.api("GET", "config", token="reader").json()
    changed: dict[str, Any] = {}

    def change(**settings: Any) -> None:
        changed.update(settings)
        assert stack.api("PATCH", "config", settings).status_code == 200

    yield change
    assert stack.api("PATCH", "config", {name: before[name] for name in changed}).status_code == 200
