"""An app with one of everything, for the tests of the local host. It writes what happened to a file."""

import asyncio
import json
import os
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()


def record(what: str, **facts: object) -> None:
    """Append one fact to the file the test reads."""
    with Path(os.environ["SAMPLE_RECORD"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "at": time.time(), **facts}) + "\n")


@app.route(route="echo/{name:int}/{*rest}", methods=["POST", "GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Answer with what the function was given."""
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
        "function": context.function_name,
        "invocation": context.invocation_id,
        "trace": context.trace_context.trace_parent,
    }
    return func.HttpResponse(
        json.dumps(seen),
        status_code=202,
        mimetype="application/json",
        headers={"X-One": "1", "Set-Cookie": "a=b; Path=/"},
    )


@app.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Tell the tenant that the stack gave us."""
    return func.HttpResponse(os.environ.get("MMS_TENANT_ID", "ok"))


@app.route(route="sync", methods=["GET"])
def sync(req: func.HttpRequest) -> str:
    """Block a thread, not the loop."""
    time.sleep(float(req.params.get("seconds", "0")))
    return "grüezi"


@app.route(route="slow", methods=["GET"])
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    """Take as long as asked."""
    record("slow started")
    await asyncio.sleep(float(req.params["seconds"]))
    record("slow finished")
    return func.HttpResponse("done")


@app.route(route="broken")
async def broken(req: func.HttpRequest) -> func.HttpResponse:
    """Fail with something that must not reach the caller."""
    raise RuntimeError(f"secret {req.method}")


@app.route(route="nothing")
async def nothing(req: func.HttpRequest) -> func.HttpResponse:
    """Return no answer, against its annotation."""
    record("nothing", method=req.method)
    return None  # type: ignore[return-value]


@app.queue_trigger(arg_name="message", queue_name="%SAMPLE_QUEUE%", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage) -> None:
    """Do what the message says: {"fail": true} raises, {"seconds": n} takes time."""
    order = message.get_json()
    record(
        "started",
        id=message.id,
        count=message.dequeue_count,
        order=order,
        visible=message.time_next_visible.timestamp(),
    )
    await asyncio.sleep(order.get("seconds", 0))
    if order.get("fail"):
        raise RuntimeError("as ordered")
    record("finished", id=message.id, order=order)


@app.queue_trigger(arg_name="message", queue_name="%SAMPLE_QUEUE%-poison", connection="AzureWebJobsStorage")
def buried(message: func.QueueMessage) -> None:
    """See what the host gave up."""
    record("poison", body=message.get_body().decode("latin-1"))


@app.timer_trigger(arg_name="timer", schedule="%SAMPLE_SCHEDULE%", run_on_startup=True)
async def tick(timer: func.TimerRequest) -> None:
    """Tell that it was called."""
    record("tick", past_due=timer.past_due)


@app.queue_trigger(arg_name="message", queue_name="never", connection="NotThere")
async def unconnected(message: func.QueueMessage) -> None:
    """Cannot start: its connection is missing."""
    record("never", id=message.id)
