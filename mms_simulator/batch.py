"""``POST /$batch`` (fact sheet 8.2): up to twenty requests in one, each with its own answer and status."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

from mms_simulator import jsontext, payloads
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import GraphError, bad_request

MOST = 20
_OK = 400
Answer = Callable[[Call, str], Awaitable[Reply]]


class _Headers(dict[str, str]):
    """Headers of a part, found whatever their case."""

    def __init__(self, *parts: dict[str, str]) -> None:
        super().__init__({name.lower(): value for part in parts for name, value in part.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


def register(routes: Routes, answer: Answer) -> None:
    """Add the route of batches; *answer* runs one part through the same pipeline as any request."""

    async def post(call: Call) -> Reply:
        parts = _checked(call.read(payloads.Batch)["requests"])
        done: dict[str, asyncio.Task[dict[str, Any]]] = {}
        turns = asyncio.Semaphore(call.store.switches.batchConcurrency)

        async def run(part: dict[str, Any]) -> dict[str, Any]:
            for needed in part.get("dependsOn") or ():
                if (await done[needed])["status"] >= _OK:
                    return _failed_dependency(part["id"])
            async with turns:
                return await _run(call, part, answer)

        for part in parts:
            done[part["id"]] = asyncio.create_task(run(part))
        return Reply(200, {"responses": [await task for task in done.values()]})

    routes.add("POST", "$batch", post)


def _checked(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not parts:
        raise bad_request("Invalid batch payload format.", "BadRequest")
    if len(parts) > MOST:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {MOST}.", "BadRequest")
    known: set[str] = set()
    for part in parts:
        name, url = part.get("id"), part.get("url", "")
        if not name or name in known:
            raise bad_request("Batch request ids must be unique.", "BadRequest")
        if "://" in url or "$batch" in url:
            raise bad_request("Batch request urls must be relative, and not batches themselves.", "BadRequest")
        if not set(part.get("dependsOn") or ()) <= known:
            raise bad_request("dependsOn must name an earlier request of the batch.", "BadRequest")
        if "body" in part and "content-type" not in {header.lower() for header in part.get("headers") or ()}:
            raise bad_request(f"Write request id : {name} does not contain Content-Type header or body.", "BadRequest")
        known.add(name)
    return parts


async def _run(outer: Call, part: dict[str, Any], answer: Answer) -> dict[str, Any]:
    path, _, query = part["url"].lstrip("/").partition("?")
    body = part.get("body")
    content = jsontext.encode(body) if body is not None and not isinstance(body, str) else (body or "").encode()
    headers = _Headers({"Authorization": outer.headers.get("Authorization", "")}, part.get("headers") or {})
    call = Call(part["method"].upper(), f"/v1.0/{path}", query, headers, content, outer.store)
    reply = await answer(call, path)
    shown: dict[str, Any] = {
        "id": part["id"],
        "status": reply.status,
        "headers": {**reply.headers, "Content-Type": "application/json"},
    }
    if reply.raw is not None:
        shown["body"] = base64.b64encode(reply.raw).decode()
    elif reply.payload is not None:
        shown["body"] = reply.payload
    return shown


def _failed_dependency(name: str) -> dict[str, Any]:
    error = GraphError(424, "FailedDependency", "A request that this one depends on has failed.")
    body = {"error": {"code": error.code, "message": error.message}}
    return {"id": name, "status": error.status, "headers": {"Content-Type": "application/json"}, "body": body}
