"""The stack as a child process, for tests, benchmarks and campaigns: started, broken on purpose, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from mms_local.children import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY: Final = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.05
_LAST_LINES: Final = 30


class StackError(Exception):
    """The stack did not come up, or not back; the message ends with its last words."""


class Stack:
    """``python -m mms_local up``, supervised from outside.

    Use it as a context manager::

        with Stack(tmp_path, "--empty", "--in-memory", "--settle-seconds", "2") as stack:
            requests.get(stack.ready["api"] + "/health")
            stack.kill("host")

    Args:
        directory: For the ready file, the output and the logs of the parts; must exist.
        arguments: Those of ``up``, but for ``--ready-file`` and ``--data``.
        environment: On top of our own.
        patience_seconds: Longest wait for anything.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self._patience_seconds = patience_seconds
        self._data = directory / "data"
        self._ready_file = directory / "ready.json"
        self._output = directory / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ready(self) -> dict[str, Any]:
        """The ready file as it is now; process ids and tokens change when parts are started again."""
        ready: dict[str, Any] = json.loads(self._ready_file.read_text(encoding="utf-8"))
        return ready

    @property
    def pid(self) -> int:
        """Process id of the supervisor, 0 when it does not run."""
        return 0 if self._process is None else self._process.pid

    @property
    def logs(self) -> Path:
        """Directory with ``host.log``, ``storage.log`` and ``simulator.log``."""
        return self._data / "logs"

    @property
    def output(self) -> str:
        """What the supervisor itself said."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def start(self) -> dict[str, Any]:
        """Start the stack, wait until it is ready and return the ready file.

        Errors: :class:`StackError`.
        """
        self._ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "mms_local", "up", *self._arguments]
        command += ["--data", str(self._data.resolve()), "--ready-file", str(self._ready_file.resolve())]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # ctrl-c is for the caller, who stops us in order
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - two system calls, no locks
            )
        deadline = time.monotonic() + self._patience_seconds
        while not self._ready_file.exists():
            if self._process.poll() is not None:
                raise StackError(f"the stack ended with exit code {self._process.returncode}\n{self._last_words()}")
            if time.monotonic() > deadline:
                self.stop()
                raise StackError(f"the stack is not ready after {self._patience_seconds:g} s\n{self._last_words()}")
            time.sleep(_POLL_SECONDS)
        return self.ready

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to ``host``, ``storage`` or ``simulator``, wait until it was started again; gives the new pid.

        It is started, but may not answer yet.

        Errors: :class:`StackError` when it does not come back.
        """
        old: int = self.ready["pids"][part]
        os.kill(old, number)
        deadline = time.monotonic() + self._patience_seconds
        while (new := int(self.ready["pids"][part])) == old:
            if time.monotonic() > deadline:
                raise StackError(f"{part} was not started again\n{self._last_words()}")
            time.sleep(_POLL_SECONDS)
        return new

    def stop(self) -> int:
        """Stop everything in order and return the exit code; 0 when it did not run."""
        if self._process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=self._patience_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its parts die with it
            return self._process.wait()
        finally:
            self._process = None

    def _last_words(self) -> str:
        return "\n".join(self.output.splitlines()[-_LAST_LINES:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
