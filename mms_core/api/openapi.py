"""The description of the API (OpenAPI 3.1), made from the types that validate what comes in and hold what goes out.

Source: OpenAPI Specification 3.1.1; JSON Schema 2020-12.
"""

from __future__ import annotations

import functools
from http import HTTPStatus
from typing import Any, Final

import msgspec

from mms_core import __version__
from mms_core.api import answers
from mms_core.api.idempotency import LONGEST_KEY
from mms_core.api.operations import OPERATIONS, PROBLEMS, SCHEMAS, Answer, Operation
from mms_core.auth import Role
from mms_core.errors import CATALOGUE
from mms_core.notifications import EVENT_TYPES, GRAPH_USER_TYPES, CloudEvent
from mms_core.notifications import Content as ActivityContent
from mms_core.settings import settings_schema

_PATH_PARAMETERS: Final = {
    "userId": "Object id, user principal name or SIP address.",
    "id": "From the answer to ``POST previews``.",
}


def _components() -> tuple[dict[str, Any], dict[Any, Any]]:
    """Return the named schemas, and a reference for each type."""
    kinds: list[Any] = [answers.Problem, CloudEvent, ActivityContent, *EVENT_TYPES.values()]
    for each in OPERATIONS:
        for shape in (*each.body.values(), *(shape for good in each.good for shape in good.content.values())):
            several = shape if isinstance(shape, tuple) else (shape,)
            kinds += [kind for kind in several if isinstance(kind, type)]
    kinds = list(dict.fromkeys(kinds))
    references, schemas = msgspec.json.schema_components(kinds, ref_template=SCHEMAS + "{name}")
    schemas["Settings"] = settings_schema()
    schemas["Problem"]["properties"]["code"]["enum"] = sorted(CATALOGUE)
    schemas["StartMigrations"]["oneOf"] = [{"required": ["identity"]}, {"required": ["identities"]}]
    schemas["CloudEventOfOurs"] = {"anyOf": [_event(schemas["CloudEvent"], name) for name in _event_types()]}
    return schemas, dict(zip(kinds, references, strict=True))


def _event_types() -> tuple[str, ...]:
    return (*EVENT_TYPES, *GRAPH_USER_TYPES)


def _event(base: dict[str, Any], name: str) -> dict[str, Any]:
    """Return CloudEvent with the data of one type."""
    shape = EVENT_TYPES.get(name)
    data: dict[str, Any] = {"$ref": f"{SCHEMAS}{shape.__name__}"} if shape else {"type": "object"}
    # The subject of an event of Graph's names the user as well.
    is_free = shape is None or not any(each.required for each in msgspec.structs.fields(shape))
    if is_free:
        data = {"anyOf": [data, {"type": "null"}]}
    event = {**base, "title": name, "properties": {**base["properties"], "type": {"const": name}, "data": data}}
    return event if is_free else {**event, "anyOf": [{"required": ["data"]}, {"required": ["data_base64"]}]}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": what,
            "schema": {"type": "string", "minLength": 1},
        }
        for name, what in _PATH_PARAMETERS.items()
        if f"{{{name}}}" in operation.path
    ]
    if isinstance(operation.query, dict):
        found.append(operation.query)
    elif operation.query is not None:
        (_,), schemas = msgspec.json.schema_components([operation.query], ref_template=SCHEMAS + "{name}")
        query = schemas[operation.query.__name__]
        for name, schema in query["properties"].items():
            about: dict[str, Any] = {"description": schema.pop("description")} if "description" in schema else {}
            about |= {"required": True} if name in query.get("required", ()) else {}
            found.append({"name": name, "in": "query", **about, "schema": schema})
    for name, more in operation.headers.items():
        about = {"description": more["description"]} if "description" in more else {}
        examples = {"example": more["examples"][0]} if "examples" in more else {}
        found.append({"name": name, "in": "header", **about, **examples, "schema": {"type": "string"}})
    if operation.idempotent:
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    return found


def _content(content: dict[str, Any], references: dict[Any, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for media, shape in content.items():
        if shape is None:
            shown[media] = {"schema": {"type": "string"}}
        elif isinstance(shape, str):
            shown[media] = {"schema": {"$ref": SCHEMAS + shape}}
        elif isinstance(shape, dict):
            shown[media] = {"schema": shape}
        elif isinstance(shape, tuple):
            shown[media] = {"schema": {"anyOf": [references[each] for each in shape]}}
        else:
            shown[media] = {"schema": references[shape]}
    return shown


def _good(answer: Answer, references: dict[Any, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.what}
    if answer.content:
        shown["content"] = _content(answer.content, references)
    if answer.headers:
        shown["headers"] = {
            name: {"description": what, "schema": {"type": "string"}} for name, what in answer.headers.items()
        }
    if answer.links:
        shown["links"] = answer.links
    return shown


def _operation(operation: Operation, references: dict[Any, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    parameters = _parameters(operation)
    if parameters:
        shown["parameters"] = parameters
    if operation.body:
        shown["requestBody"] = {"required": operation.needs_body, "content": _content(operation.body, references)}
    shown["responses"] = {str(int(good.status)): _good(good, references) for good in operation.good} | {
        str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(set(operation.bad))
    }
    schemes: list[dict[str, list[str]]] = [{"bearer": []}] if operation.role else []
    shown["security"] = schemes + [{name: []} for name in operation.proof]
    if operation.role:
        shown["description"] = f"Needs the app role {operation.role}."
    return shown


def _problem(status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}.",
        "content": {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}},
    }
    headers = {401: ("WWW-Authenticate", "``Bearer``"), 503: ("Retry-After", "Seconds.")}
    if status in headers:
        name, what = headers[status]
        shown["headers"] = {name: {"description": what, "schema": {"type": "string"}}}
    return shown


def build() -> dict[str, Any]:
    """Return the description."""
    schemas, references = _components()
    paths: dict[str, Any] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method] = _operation(each, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Meeting Migration Service",
            "version": __version__,
            "description": "Replaces the online-meeting block in the invitations of a Microsoft 365 tenant.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {f"Problem{status}": _problem(status, codes) for status, codes in PROBLEMS.items()},
            "parameters": {
                "IdempotencyKey": {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "description": "The same key repeats the first answer for 24 hours instead of doing it again.",
                    "schema": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": LONGEST_KEY,
                        "pattern": "^[\\x21-\\x7e]+$",
                    },
                }
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": f"Entra ID, with app role {' or '.join(Role)}.",
                },
                "webhookSignature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": "Standard Webhooks, together with webhook-id and webhook-timestamp.",
                },
                "activityAuthId": {"type": "apiKey", "in": "header", "name": "Webhook-AuthID"},
            },
        },
    }


@functools.cache
def document() -> bytes:
    """Return the description as JSON, built once."""
    return msgspec.json.encode(build())
