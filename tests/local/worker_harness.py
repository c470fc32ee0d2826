"""Run a function app in Microsoft's own Python worker, without a Functions host.

On Python >= 3.13 the worker is a package, ``azure-functions-runtime``. It is made to be driven over gRPC by the host;
here its entry points are called directly, with plain objects where it wants protobuf messages. These are internals of
the worker: the package is pinned, and only this module knows them.

The worker keeps its state in module globals and can load one app, once. So it lives in a process of its own: this file
run as a program. It reads one request a line on stdin and writes one answer a line on stdout, both JSON.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import types
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path


class WorkerError(Exception):
    """The worker does not load the app, or a function failed; the message is the worker's."""


class WorkerProcess:
    """The worker with one app, as a child process.

    Args:
        app_directory: Where ``function_app.py`` is.
        environment: App settings, on top of our own environment.
    """

    def __init__(self, app_directory, environment):
        self._command = [sys.executable, __file__, str(app_directory)]
        self._environment = {**os.environ, **environment}
        self._process = None
        self.functions = {}
        """Name -> its bindings, as the worker reports them."""

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            self.functions = self._receive()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()

    def find(self, **facts):
        """Return the name of the only function with a binding that has all these properties."""
        names = [
            name
            for name, bindings in self.functions.items()
            if any(facts.items() <= {**binding, "dataType": None, "methods": None}.items() for binding in bindings)
        ]
        assert len(names) == 1, f"{facts}: {names}"
        return names[0]

    def http(self, name, *, method="GET", url="http://localhost/", headers=None, body=b"", route=None, query=None):
        """Call an HTTP function; gives status, headers (lower case) and body."""
        answer = self._ask(
            kind="http",
            name=name,
            method=method,
            url=url,
            headers=headers or {},
            body=base64.b64encode(body).decode(),
            route=route or {},
            query=query or {},
        )
        return answer["status"], answer["headers"], base64.b64decode(answer["body"])

    def queue(self, name, body, *, dequeue_count=1):
        """Call a queue function. Errors: :class:`WorkerError` with what the function raised."""
        self._ask(kind="queue", name=name, body=body, dequeueCount=dequeue_count)

    def timer(self, name, *, past_due=False):
        """Call a timer function. Errors: as :meth:`queue`."""
        self._ask(kind="timer", name=name, pastDue=past_due)

    def _ask(self, **request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._receive()

    def _receive(self):
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"the worker's process ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["value"]


# From here on: inside the child process.


class _Message:
    """Takes the place of any protobuf message: keeps what it is given."""

    Success, Failure, Cancelled = 1, 0, 2

    def __init__(self, **fields):
        self.__dict__.update(fields)


class _BindingInfo(_Message):
    DataType = types.SimpleNamespace(undefined=0, string=1, binary=2, stream=3)
    Direction = types.SimpleNamespace(**{"in": 0, "out": 1, "inout": 2})
    out, inout = 1, 2


setattr(_BindingInfo, "in", 0)


class _Protocol(types.ModuleType):
    """Takes the place of the generated protobuf module: any class that is asked for exists."""

    BindingInfo = _BindingInfo

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (_Message,), {})
        setattr(self, name, made)
        return made


class _Worker:
    """The worker package, loaded with one app."""

    def __init__(self):
        self._by_name = {}

    async def load(self, app_directory):
        """Do what the host makes the worker do at start; gives the bindings of every function."""
        import azure_functions_runtime as runtime

        sys.path.insert(0, app_directory)
        start = types.SimpleNamespace(capabilities={}, function_app_directory=app_directory)
        request = types.SimpleNamespace(
            request=types.SimpleNamespace(worker_init_request=start),
            properties={"host": "127.0.0.1", "protos": _Protocol("protos")},
        )
        answer = await runtime.worker_init_request(request)
        if answer.result.status != _Message.Success:
            raise WorkerError(str(answer.result.exception.message))
        metadata = await runtime.functions_metadata_request(request)
        runtime.start_threadpool_executor()
        self._by_name = {item.name: item for item in metadata.function_metadata_results or ()}
        return {name: [json.loads(text) for text in item.raw_bindings] for name, item in self._by_name.items()}

    async def invoke(self, request):
        """Call one function as the request says."""
        from azure_functions_runtime.native_invocation import invocation_request_native

        item = self._by_name[request["name"]]
        trigger = next(b for b in map(json.loads, item.raw_bindings) if b["type"].endswith("Trigger"))
        datum, metadata = {"http": _http, "queue": _queue, "timer": _timer}[request["kind"]](request)
        done, returned, _, error, trace = await invocation_request_native(
            str(uuid.uuid4()), item.function_id, [(trigger["name"], datum)], metadata
        )
        if not done:
            raise WorkerError(f"{error}\n{trace}")
        if request["kind"] != "http":
            return None
        parts = returned.value
        return {
            "status": int(parts["status_code"].value),
            "headers": {name.lower(): value.value for name, value in parts["headers"].items()},
            "body": base64.b64encode(parts["body"].value).decode(),
        }


def _datum(value, kind):
    from azure_functions_runtime.bindings.datumdef import Datum

    return Datum(value, kind)


def _strings(pairs):
    return {name: _datum(value, "string") for name, value in pairs.items()}


def _http(request):
    value = {
        "method": _datum(request["method"], "string"),
        "url": _datum(request["url"], "string"),
        "headers": _strings(request["headers"]),
        "query": _strings(request["query"]),
        "params": _strings(request["route"]),
        "body": _datum(base64.b64decode(request["body"]), "bytes"),
    }
    return _datum(value, "http"), {}


def _queue(request):
    now = datetime.now(UTC)
    times = {
        "InsertionTime": now,
        "ExpirationTime": now + timedelta(days=7),
        "NextVisibleTime": now + timedelta(minutes=10),
    }
    metadata = {
        **_strings({"Id": str(uuid.uuid4()), "DequeueCount": str(request["dequeueCount"]), "PopReceipt": "receipt"}),
        **{name: _datum(json.dumps(value.isoformat()), "json") for name, value in times.items()},
    }
    return _datum(request["body"], "string"), metadata


def _timer(request):
    status = {"IsPastDue": request["pastDue"], "Schedule": {"AdjustForDST": True}, "ScheduleStatus": None}
    return _datum(json.dumps(status), "json"), {}


async def _serve(app_directory, answers):
    def answer(**content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    worker = _Worker()
    try:
        answer(value=await worker.load(app_directory))
    except Exception as error:  # noqa: BLE001 - the parent process is told
        answer(error=f"{type(error).__name__}: {error}")
        return
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer(value=await worker.invoke(json.loads(line)))
        except Exception as error:  # noqa: BLE001 - the parent process is told
            answer(error=str(error))


if __name__ == "__main__":
    # What the app or the worker prints must not get between the answers.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(_serve(str(Path(sys.argv[1]).resolve()), channel))
    os._exit(0)
