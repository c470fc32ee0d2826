"""Fixtures of the local stack's tests: real storage, and the sample app in a real host process."""

import json
import os
import sys

import pytest
from local_support import APPS, HostProcess

from mms_local.storage import Azurite

# Microsoft's worker package does not exist for older Pythons, so there is nothing to run and nothing to skip.
collect_ignore = ["test_worker.py", "worker_harness.py"] if sys.version_info < (3, 13) else []


@pytest.fixture(scope="session")
def storage():
    """Real storage in memory, shared by the session: use a queue of your own."""
    with Azurite() as azurite:
        yield azurite


@pytest.fixture
def host(tmp_path, storage, queue_name):
    """The sample app, not yet started."""
    process = HostProcess(
        APPS / "sample",
        tmp_path,
        {
            "AzureWebJobsStorage": storage.connection_string,
            "SAMPLE_QUEUE": queue_name,
            "SAMPLE_SCHEDULE": "0 0 0 1 1 *",
        },
    )
    yield process
    process.stop()


@pytest.fixture
def host_of(tmp_path):
    """Make a host for the app in a directory; stopped at the end."""
    made = []

    def make(app, **settings):
        made.append(HostProcess(app, tmp_path, settings))
        return made[-1]

    yield make
    for process in made:
        process.stop()


@pytest.fixture
def queue_name():
    """A queue nobody else uses."""
    return f"q-{os.urandom(6).hex()}"


@pytest.fixture
def app_directory(tmp_path):
    """Write ``host.json`` and a ``function_app.py`` of the given text into a new directory."""

    def write(source, host_json=None):
        directory = tmp_path / "app"
        directory.mkdir()
        (directory / "host.json").write_text(json.dumps(host_json or {"version": "2.0"}))
        (directory / "function_app.py").write_text(source)
        return directory

    return write
