"""``python -m mms_local up``: one command, three parts, one ready file."""

import os
import signal
import sys
import time
import urllib.request

import pytest
from local_support import APPS, REPOSITORY, eventually

from mms_local.stack import Stack, StackError

SAMPLE = ["--empty", "--in-memory", "--no-subscriptions", "--app", str(APPS / "sample")]
SAMPLE += ["--set", "SAMPLE_QUEUE=work", "--set", "SAMPLE_SCHEDULE=0 0 0 1 1 *"]


@pytest.fixture
def sample_environment(tmp_path):
    """Where the sample app records."""
    return {"SAMPLE_RECORD": str(tmp_path / "record")}


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


def test_the_stack_starts_heals_and_stops(tmp_path, sample_environment):
    """The ready file has the contract's shape, each part killed comes back where it was, and nothing stays behind."""
    with Stack(tmp_path, *SAMPLE, environment=sample_environment) as stack:
        ready = stack.ready
        assert ready.keys() >= {"api", "graph", "tenant", "storage", "tokens", "pids"}
        assert ready["tokens"].keys() == {"operator", "reader", "graph"}
        assert ready["pids"].keys() == {"host", "storage", "simulator"}
        assert ready["api"].endswith("/api")
        assert ready["graph"].endswith("/v1.0")
        assert ready["tenant"].endswith("/_tenant")
        tenant_id = get(f"{ready['api']}/health")
        assert get(f"{ready['graph'].removesuffix('/v1.0')}/{tenant_id}/discovery/v2.0/keys")

        for part, probe in (("host", f"{ready['api']}/health"), ("simulator", f"{ready['tenant']}/switches")):
            killed = time.monotonic()
            stack.kill(part)
            assert time.monotonic() - killed < 2
            assert eventually(lambda probe=probe: get(probe))
            assert {**stack.ready, "pids": 0, "tokens": 0} == {**ready, "pids": 0, "tokens": 0}
        assert get(f"{ready['api']}/health") == tenant_id

        pids = [stack.pid, *stack.ready["pids"].values()]
        assert stack.stop() == 0
        assert not any(is_alive(pid) for pid in pids)
        assert not (tmp_path / "ready.json").exists()
        assert "host ended and was started again" in stack.output


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells children of their parent's death")
def test_a_killed_stack_leaves_nothing_behind(tmp_path, sample_environment):
    """Its parts die with it."""
    with Stack(tmp_path, *SAMPLE, environment=sample_environment) as stack:
        pids = stack.ready["pids"].values()
        os.kill(stack.pid, signal.SIGKILL)
        eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_a_stack_that_does_not_come_up_says_why(tmp_path):
    """The last words of the part that failed, and exit code 1."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "host.json").write_text("{}")
    stack = Stack(tmp_path, "--empty", "--in-memory", "--app", str(tmp_path / "app"))
    with pytest.raises(StackError, match=r"(?s)exit code 1.*host keeps ending.*host\.json must be an object"):
        stack.start()


def test_core_tools_are_used_when_asked_for(tmp_path, sample_environment):
    """HOST=func starts ``func`` in the app's directory, with the same settings."""
    program = tmp_path / "func"
    program.write_text(f'#!/bin/sh\nexec \'{sys.executable}\' -m mms_local.host --app "$PWD" --port "$3"\n')
    program.chmod(0o755)
    environment = {
        "HOST": "func",
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        **sample_environment,
    }
    with Stack(tmp_path, *SAMPLE, environment=environment) as stack:
        assert get(f"{stack.ready['api']}/health")
