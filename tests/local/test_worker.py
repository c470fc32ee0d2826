"""Function apps in Microsoft's own worker (Python >= 3.13 only: older ones are not collected, see conftest)."""

import json

import pytest
from local_support import APPS
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
