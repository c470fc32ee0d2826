"""The host as the process that it is: signals, leases of the dead, and what happens to an app that does not load."""

import base64
import json
import signal
import urllib.request

import pytest
from azure.storage.queue import QueueClient
from local_support import eventually


@pytest.fixture
def queue(storage, queue_name):
    """A client of the sample app's queue."""
    with QueueClient.from_connection_string(storage.connection_string, queue_name) as client:
        client.create_queue()
        yield client


def send(queue, **order):
    """Send one order to the sample app."""
    queue.send_message(base64.b64encode(json.dumps(order).encode()).decode())


def test_serves_queues_and_timers_and_http(host, queue):
    """The sample app has one of everything; one function is in error, the rest works."""
    host.start()
    send(queue, n=1)
    send(queue, fail=True)
    status, body = host.get("/api/echo/7/a/b", traceparent="00-a-b-01")
    seen = json.loads(body)
    assert (status, seen["route"], seen["function"]) == (202, {"name": "7", "rest": "a/b"}, "echo")
    assert (seen["trace"], len(seen["invocation"])) == ("00-a-b-01", 36)
    assert host.get("/api/sync")[1].decode() == "grüezi"
    eventually(lambda: host.records("finished"))
    assert eventually(lambda: host.records("poison"))[0]["body"] == '{"fail": true}'
    assert [fact["count"] for fact in host.records("started") if fact["order"].get("fail")] == [1, 2, 3]
    assert [fact["past_due"] for fact in host.records("tick")] == [False]
    status = json.loads(host.get("/admin/host/status")[1])
    assert "NotThere" in status["errors"]["unconnected"][0]
    assert "The 'unconnected' function is in error" in host.log


def test_payloads_are_not_logged(host, queue):
    """The log tells which function ran and for how long, not with what."""
    host.start()
    send(queue, private="do not log me")
    host.get("/api/echo/7?q=nor-me")
    eventually(lambda: host.records("finished"))
    host.signal(signal.SIGTERM)
    host.wait()
    assert "work" in host.log
    assert "do not log me" not in host.log
    assert "nor-me" not in host.log


def test_sigterm_drains_queues_and_requests(host, queue):
    """What runs is finished and answered; what waits stays on the queue; exit code 0."""
    host.start()
    send(queue, seconds=1.5)
    eventually(lambda: host.records("started"))
    with urllib.request.urlopen(f"{host.url}/api/sync", timeout=60):
        pass
    host.signal(signal.SIGTERM)
    assert host.wait() == 0
    assert host.records("finished")
    assert queue.get_queue_properties().approximate_message_count == 0
    assert "Drained" in host.log


def test_a_drain_ends_when_its_grace_is_over(host, queue):
    """A worker may be killed any time: what does not finish is left to its lease."""
    host.start("--grace", "0.2")
    send(queue, seconds=600)
    eventually(lambda: host.records("started"))
    host.signal(signal.SIGTERM)
    assert host.wait() == 0
    assert not host.records("finished")
    assert "still runs after" in host.log
    assert queue.get_queue_properties().approximate_message_count == 1


def test_sigkill_leaves_the_message_leased_and_nothing_running(host, queue):
    """One process is all there is: killed, it serves nothing, and its message waits for the lease to end."""
    host.start()
    url = host.url
    send(queue, seconds=600)
    eventually(lambda: host.records("started"))
    host.signal(signal.SIGKILL)
    assert host.wait() == -signal.SIGKILL
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/", timeout=10)
    assert queue.get_queue_properties().approximate_message_count == 1
    assert queue.receive_message() is None


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('at import')",
        "import azure.functions as func\napp = func.FunctionApp()\nx = func.FunctionApp()\n",
    ],
)
def test_an_app_that_does_not_load_runs_nothing(host_of, app_directory, source):
    """The host lives and says so, as in Azure: 0 functions, 404 for everything."""
    host = host_of(app_directory(source)).start()
    assert "0 functions loaded" in host.log
    assert json.loads(host.ready_file.read_text())["functions"] == []
    assert host.get("/api/anything")[0] == 404
    assert json.loads(host.get("/admin/host/status")[1])["functions"] == []


def test_a_broken_host_json_ends_it(host_of, app_directory):
    """With a message, not a traceback."""
    host = host_of(app_directory("", {"version": "2.0", "extensions": {"queues": {"batchSize": 99}}}))
    with pytest.raises(AssertionError, match="batchSize must be a whole number from 1 to 32"):
        host.start()
    assert host.wait() == 1


def test_settings_come_from_the_file_and_from_the_command_line(host_of, app_directory):
    """``--set`` wins over local.settings.json, which the app sees as environment."""
    app = app_directory(
        "import os\nimport azure.functions as func\napp = func.FunctionApp()\n"
        "@app.route(route='x', auth_level=func.AuthLevel.ANONYMOUS)\n"
        "def x(req: func.HttpRequest) -> str:\n"
        "    return os.environ['ONE'] + os.environ['TWO'] + os.environ['FUNCTIONS_WORKER_RUNTIME']\n"
    )
    (app / "local.settings.json").write_text('{"Values": {"ONE": "file", "TWO": "file"}}')
    host = host_of(app, TWO="line").start()
    assert host.get("/api/x") == (200, b"filelinepython")
