"""Function apps in Microsoft's own worker (Python >= 3.13 only: older ones are not collected, see conftest)."""

import json

import pytest
from local_support import APPS, REPOSITORY
from worker_harness import WorkerError, WorkerProcess


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The sample app in the worker, and the file it records in."""
    record = tmp_path_factory.mktemp("worker") / "record"
    with WorkerProcess(APPS / "sample", {"SAMPLE_RECORD": str(record)}) as worker:
        yield worker, record


def recorded(record):
    """Return what the app recorded."""
    return [json.loads(line) for line in record.read_text().splitlines()]


def test_the_harness_reaches_all_three_kinds_of_function(sample):
    """What the worker gives to functions is what our own host gives them."""
    worker, record = sample
    status, headers, body = worker.http(
        worker.find(route="echo/{name:int}/{*rest}"),
        method="POST",
        url="http://localhost/api/echo/7/a",
        headers={"x-one": "1"},
        route={"name": "7", "rest": "a"},
        query={"q": "ü"},
        body=b"body",
    )
    seen = json.loads(body)
    assert (status, headers["content-type"]) == (202, "application/json")
    assert (seen["method"], seen["route"], seen["params"], seen["body"]) == (
        "POST",
        {"name": "7", "rest": "a"},
        {"q": "ü"},
        "body",
    )
    assert seen["headers"] == {"x-one": "1"}
    worker.queue(worker.find(queueName="%SAMPLE_QUEUE%"), '{"n": 1}', dequeue_count=2)
    worker.timer(worker.find(schedule="%SAMPLE_SCHEDULE%"), past_due=True)
    facts = {fact["what"]: fact for fact in recorded(record)}
    assert (facts["started"]["count"], facts["finished"]["order"]) == (2, {"n": 1})
    assert facts["tick"]["past_due"] is True


def test_failures_are_failures(sample):
    """An exception of a function fails the invocation, and so does an answer that is none."""
    worker, _ = sample
    with pytest.raises(WorkerError, match="as ordered"):
        worker.queue(worker.find(queueName="%SAMPLE_QUEUE%"), '{"fail": true}')
    with pytest.raises(WorkerError, match="secret GET"):
        worker.http(worker.find(route="broken"))
    with pytest.raises(WorkerError, match="unable to encode"):
        worker.http(worker.find(route="nothing"))


def test_an_app_that_does_not_load_is_an_error(app_directory):
    """The worker says why."""
    with (
        pytest.raises(WorkerError, match="at import"),
        WorkerProcess(app_directory("raise RuntimeError('at import')"), {}),
    ):
        pass


SETTINGS = {
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "MMS_TENANT_ID": "5f0d2c6e-7a0b-4b0e-9c53-0d4c4a3f9b11",
    "MMS_API_AUDIENCE": "api://mms",
    "MMS_TOKEN_ISSUER": "http://127.0.0.1:9/issuer",
    "MMS_TOKEN_KEYS_URL": "http://127.0.0.1:9/keys",
    "MMS_GRAPH_URL": "http://127.0.0.1:9/v1.0",
    "MMS_ACTIVITY_URL": "http://127.0.0.1:9/activity",
    "MMS_PUBLIC_URL": "http://127.0.0.1:9",
    "MMS_CLIENT_STATE": "state",
    "MMS_ACTIVITY_AUTH_ID": "auth",
    "MMS_TRIGGER_QUEUE": "mms-triggers",
    "MMS_RUN_QUEUE": "mms-runs",
    "IDENTITY_ENDPOINT": "http://127.0.0.1:9/msi/token",
    "IDENTITY_HEADER": "local",
}
"""The tenant is out of reach: what is called here needs storage only."""


@pytest.fixture(scope="module")
def service(storage):
    """The project's own function_app.py in the worker, with real storage."""
    with WorkerProcess(REPOSITORY, {**SETTINGS, "AzureWebJobsStorage": storage.connection_string}) as worker:
        yield worker


def test_the_service_answers_http_in_the_real_worker(service):
    """Health with storage behind it, and the handshake of CloudEvents."""
    status, headers, body = service.http(service.find(route="health"), url="http://localhost/api/health")
    assert status == 200, body
    assert "json" in headers["content-type"]
    status, headers, _ = service.http(
        service.find(route="events"),
        method="OPTIONS",
        url="http://localhost/api/events",
        headers={"webhook-request-origin": "eventgrid.azure.net"},
    )
    assert status == 200
    assert headers["webhook-allowed-origin"]


def test_the_service_takes_a_message_in_the_real_worker(service):
    """A poisoned message is looked at and let go, whatever it is."""
    service.queue(service.find(queueName="%MMS_TRIGGER_QUEUE%-poison"), '{"not": "one of ours"}', dequeue_count=5)


def test_the_service_follows_its_timer_in_the_real_worker(service):
    """The recovery sweep finds nothing to recover."""
    service.timer(service.find(schedule="%MMS_RECOVERY_SCHEDULE%"))


def test_the_service_has_the_same_functions_in_the_real_worker_and_in_ours(service, host_of, storage, tmp_path):
    """What our host starts is what the worker indexes: neither finds an error that the other overlooks."""
    example = json.loads((REPOSITORY / "local.settings.example.json").read_text(encoding="utf-8"))["Values"]
    schedules = {name: "0 0 0 1 1 *" for name in example if name.endswith("_SCHEDULE")}
    host = host_of(REPOSITORY, **SETTINGS, **schedules, AzureWebJobsStorage=storage.connection_string).start()
    ready = json.loads((tmp_path / "ready.json").read_text())
    assert sorted(ready["functions"]) == sorted(service.functions)
    assert "in error" not in host.log
