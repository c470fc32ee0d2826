"""The stack as a child process: started, waited for, and stopped whatever happens."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mms_local.children import die_with_parent
from mms_local.demo.tenant import Stack

_READY_WITHIN_SECONDS = 90
_STOPS_WITHIN_SECONDS = 30
_LAST_LINES = 15


class StackError(Exception):
    """The stack did not come up."""


@contextmanager
def running_stack(*, settle_seconds: float) -> Iterator[Stack]:
    """Run the whole stack on empty data, all of it in memory, while the block runs.

    Args:
        settle_seconds: How long requests wait for company before their run.

    Raises:
        StackError: It ended or took too long before it was ready; the message ends with its last words.
    """
    with tempfile.TemporaryDirectory(prefix="mms-demo-") as directory:
        log, ready = Path(directory) / "up.log", Path(directory) / "ready.json"
        command = [sys.executable, "-m", "mms_local", "up", "--empty", "--in-memory", "--ready-file", str(ready)]
        command += ["--settle-seconds", f"{settle_seconds:g}"]
        with log.open("wb") as output:
            # A session of its own: ctrl-c reaches the demo alone, which then stops the stack in order.
            child = subprocess.Popen(  # noqa: S603 -- our own module, by our own interpreter
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 -- no threads yet
            )
        try:
            _wait_until_ready(child, ready, log)
            yield Stack.from_file(ready)
        finally:
            _stop(child)


def _wait_until_ready(child: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
    while not ready.exists():
        if child.poll() is not None:
            raise StackError(f"the stack ended with code {child.returncode}\n{_last_words(log)}")
        if time.monotonic() > give_up_at:
            raise StackError(f"the stack was not ready after {_READY_WITHIN_SECONDS} s\n{_last_words(log)}")
        time.sleep(0.1)


def _stop(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(_STOPS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LAST_LINES:])
