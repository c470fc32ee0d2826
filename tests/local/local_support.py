"""What the tests of the local stack share: waiting, and the host as a child process."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from mms_local.ports import bypass_proxies

bypass_proxies()

APPS = Path(__file__).parent / "apps"
REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


def eventually(condition, *, within=PATIENCE_SECONDS):
    """Return the first true value of *condition*; fail when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class HostProcess:
    """``python -m mms_local.host`` as a child, and what its app recorded."""

    def __init__(self, app, directory, settings):
        self._app = app
        self._directory = directory
        self._settings = {"SAMPLE_RECORD": str(directory / "record"), **settings}
        self.ready_file = directory / "ready.json"
        self.log_file = directory / "host.log"
        self.process = None

    def start(self, *arguments):
        """Start it and wait for its ready file."""
        self.ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "mms_local.host", "--app", str(self._app), "--port", "0"]
        command += ["--ready-file", str(self.ready_file), *arguments]
        for name, value in self._settings.items():
            command += ["--set", f"{name}={value}"]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        eventually(lambda: self.ready_file.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    @property
    def url(self):
        """Where it serves."""
        return json.loads(self.ready_file.read_text())["url"]

    @property
    def log(self):
        """What it logged."""
        return self.log_file.read_text()

    def records(self, what=None):
        """Return what the app recorded, all or of one kind."""
        path = self._directory / "record"
        lines = path.read_text().splitlines() if path.exists() else []
        return [fact for fact in map(json.loads, lines) if what in {None, fact["what"]}]

    def get(self, path, **headers):
        """GET *path*; gives status and body."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def signal(self, number):
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self):
        """Wait for its end; gives the exit code."""
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def stop(self):
        """Kill it, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
