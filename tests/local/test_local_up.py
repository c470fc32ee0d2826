"""``python -m mms_local up``: one command, three parts, one ready file."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest
from local_support import APPS, REPOSITORY, eventually


class Up:
    """The command as a child process, with the sample app instead of the service."""

    def __init__(self, directory):
        self.ready_file = directory / "ready.json"
        self.output = directory / "output"
        self.record = directory / "record"
        self.data = directory / "data"
        self.process = None

    def start(self, *arguments):
        """Start it and wait for the ready file."""
        command = [sys.executable, "-m", "mms_local", "up", "--app", str(APPS / "sample"), "--no-subscriptions"]
        command += ["--data", str(self.data), "--ready-file", str(self.ready_file), "--set", "SAMPLE_QUEUE=work"]
        command += ["--set", "SAMPLE_SCHEDULE=0 0 0 1 1 *", "--set", f"SAMPLE_RECORD={self.record}", *arguments]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=output)
        eventually(lambda: self.ready_file.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output.read_text()
        return self.ready()

    def ready(self):
        """Read the ready file."""
        return json.loads(self.ready_file.read_text())

    def stop(self):
        """Stop it as an operator would; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture
def up(tmp_path):
    """The command, stopped at the end."""
    made = Up(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def get(url):
    """GET; gives the text, or nothing when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.read().decode()
    except OSError:
        return None


def is_alive(pid):
    """Tell whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_stack_starts_heals_and_stops(up):
    """The ready file has the contract's shape, each part killed comes back where it was, and nothing stays behind."""
    ready = up.start("--empty", "--in-memory", "--settle-seconds", "2")
    assert ready.keys() >= {"api", "graph", "tenant", "storage", "tokens", "pids"}
    assert ready["tokens"].keys() == {"operator", "reader", "graph"}
    assert ready["pids"].keys() == {"host", "storage", "simulator"}
    assert ready["api"].endswith("/api")
    assert ready["graph"].endswith("/v1.0")
    assert ready["tenant"].endswith("/_tenant")
    tenant_id = get(f"{ready['api']}/health")
    assert get(f"{ready['graph'].removesuffix('/v1.0')}/{tenant_id}/discovery/v2.0/keys")

    for part, probe in (("host", f"{ready['api']}/health"), ("simulator", f"{ready['tenant']}/switches")):
        old = up.ready()["pids"][part]
        os.kill(old, signal.SIGKILL)
        eventually(lambda part=part, old=old: up.ready()["pids"][part] != old)
        assert eventually(lambda probe=probe: get(probe))
        assert {**up.ready(), "pids": 0, "tokens": 0} == {**ready, "pids": 0, "tokens": 0}
    assert get(f"{ready['api']}/health") == tenant_id

    pids = up.ready()["pids"].values()
    assert up.stop() == 0
    assert not any(is_alive(pid) for pid in pids)
    assert not up.ready_file.exists()
    assert "host ended and was started again" in up.output.read_text()


def test_a_stack_that_does_not_come_up_says_why(up, tmp_path):
    """Exit code 1, the last words of the part that failed, and no process left."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "host.json").write_text("{}")
    with pytest.raises(AssertionError, match=r"host keeps ending\n.*host\.json must be an object"):
        up.start("--empty", "--in-memory", "--app", str(tmp_path / "app"))
    assert up.process.wait(timeout=60) == 1


def test_core_tools_are_used_when_asked_for(up, tmp_path, monkeypatch):
    """HOST=func starts ``func`` in the app's directory, with the same settings."""
    program = tmp_path / "func"
    program.write_text(f'#!/bin/sh\nexec \'{sys.executable}\' -m mms_local.host --app "$PWD" --port "$3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("HOST", "func")
    ready = up.start("--empty", "--in-memory")
    assert get(f"{ready['api']}/health")
    assert up.stop() == 0
