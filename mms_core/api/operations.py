"""What the API offers: one row a method of a route, with what it takes, what it answers, and who may ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from mms_core.api import answers, asked
from mms_core.api.webhooks import LONGEST_VALIDATION
from mms_core.auth import Role
from mms_core.notifications import EVENT_LIMIT, Notifications

_JSON: Final = "application/json"
SCHEMAS: Final = "#/components/schemas/"
"""Where the description keeps what has a name."""
PROBLEMS: Final[dict[int, tuple[str, ...]]] = {
    400: ("InvalidBody", "InvalidParameter", "InvalidIdentity", "UnsupportedTarget", "UnknownSetting"),
    401: ("Unauthorized",),
    403: ("Forbidden",),
    404: ("NotFound",),
    409: (
        *("InvalidState", "RunUnderWay", "TenantMessageFailed", "MessageReplayed"),
        *("IdempotencyKeyInUse", "IdempotencyKeyReused"),
    ),
    412: ("PreconditionFailed",),
    413: ("BodyTooLarge", "TooManyIdentities"),
    500: ("InternalError",),
    503: ("StorageUnavailable", "ServiceUnavailable", "SignInFailed"),
}
"""Which codes come with which status."""
_ALWAYS: Final = (500, 503)
_READING: Final = (400, 401, 403, *_ALWAYS)
_ORDER: Final = (400, 401, 403, 404, 409, 412, 413, *_ALWAYS)
_NO_STORE: Final = {"Cache-Control": "always ``no-store``"}
_WHERE_TO_GO: Final = {"X-Continuation-Token": "With CSV: the token for the next page, where there is one."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer: its media types with their shapes (``None``: text), and its headers with what they say."""

    status: int = HTTPStatus.OK
    what: str = "Done."
    content: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one route."""

    method: str
    path: str
    name: str
    summary: str
    role: Role | None = None
    """``None``: open, or ``proof`` names what it takes instead."""
    proof: tuple[str, ...] = ()
    """Security schemes besides the bearer token of ``role``."""
    query: Any = None
    headers: dict[str, dict[str, Any]] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    needs_body: bool = True
    good: tuple[Answer, ...]
    bad: tuple[int, ...] = _ALWAYS
    idempotent: bool = False
    """Takes an ``Idempotency-Key``."""


def _link(operation: str, what: str, body: str | None = None, **parameters: str) -> dict[str, Any]:
    link: dict[str, Any] = {"operationId": operation, "description": what}
    if parameters:
        link["parameters"] = parameters
    return link | ({"requestBody": body} if body else {})


_FIRST: Final = "$response.body#/value/0"
_OF_USER: Final = {
    "run": ("getMigration", "The user's newest run."),
    "meetings": ("listMeetings", "What became of the user's meetings."),
    "cancel": ("cancelMigration", "Cancel it."),
    "retry": ("retryMigration", "Start it afresh when it is over."),
    "undo": ("undoMigration", "Restore the originals when it is over."),
}


def _user_links(user_id: str, *names: str) -> dict[str, Any]:
    return {name: _link(*_OF_USER[name], userId=user_id) for name in names or _OF_USER}


def _order(name: str, verb: str, summary: str, **more: Any) -> Operation:
    return Operation(
        method="post",
        path=f"/migrations/{{userId}}/{verb}",
        name=name,
        summary=summary,
        role=Role.OPERATE,
        good=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                what="The run as it is now.",
                content={_JSON: answers.MigrationRow},
                links=_user_links("$request.path.userId", "run", "meetings"),
            ),
        ),
        bad=_ORDER,
        idempotent=True,
        **more,
    )


_VALIDATION: Final = {
    "name": "validationToken",
    "in": "query",
    "description": "The handshake: comes back as plain text.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_VALIDATION},
}


def _graph(path: str, name: str, summary: str) -> Operation:
    return Operation(
        method="post",
        path=path,
        name=name,
        summary=summary,
        query=_VALIDATION,
        body={_JSON: Notifications},
        needs_body=False,
        good=(
            Answer(what="The handshake's token.", content={"text/plain": None}),
            Answer(
                status=HTTPStatus.ACCEPTED,
                what="Written down, or not ours (another clientState): a stranger learns nothing.",
            ),
        ),
        bad=(400, 413, *_ALWAYS),
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    _graph("/graph/notifications", "receiveNotifications", "Graph change notifications, and their handshake."),
    _graph("/graph/lifecycle", "receiveLifecycle", "Graph lifecycle notifications, and their handshake."),
    Operation(
        method="post",
        path="/events",
        name="receiveEvents",
        summary="CloudEvents 1.0: one, a batch, or in binary mode.",
        role=Role.OPERATE,
        proof=("webhookSignature",),
        headers={
            "ce-specversion": {"description": "Binary mode only, as are the other ce- headers.", "examples": ["1.0"]},
            "ce-id": {},
            "ce-source": {},
            "ce-type": {},
        },
        body={
            "application/cloudevents+json": "CloudEventOfOurs",
            "application/cloudevents-batch+json": {
                "type": "array",
                "maxItems": EVENT_LIMIT,
                "description": "Events; one that is not understood refuses its own row only.",
                "items": {"anyOf": [{"$ref": f"{SCHEMAS}CloudEventOfOurs"}, {}]},
            },
            _JSON: {"description": "Binary mode: the event's data; the rest stands in the headers ce-*."},
        },
        good=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                what="Written down; one row an event.",
                content={_JSON: answers.EventResults},
            ),
        ),
        bad=(400, 401, 403, 413, *_ALWAYS),
    ),
    Operation(
        method="options",
        path="/events",
        name="allowEvents",
        summary="The handshake of CloudEvents' webhooks; the POST still needs its proof.",
        headers={"WebHook-Request-Origin": {"description": "Who asks."}},
        good=(
            Answer(
                what="Allowed to try.",
                headers={
                    "Allow": "The methods.",
                    "WebHook-Allowed-Origin": "The origin that asked.",
                    "WebHook-Allowed-Rate": "``*``",
                },
            ),
        ),
        bad=(413, *_ALWAYS),
    ),
    Operation(
        method="post",
        path="/activity",
        name="receiveActivity",
        summary="Notifications of the Office 365 Management Activity feed, and their validation.",
        proof=("activityAuthId",),
        body={
            _JSON: {
                "anyOf": [
                    {"type": "array", "items": {"$ref": f"{SCHEMAS}Content"}},
                    {"type": "object", "required": ["validationCode"], "description": "The feed's validation."},
                ]
            }
        },
        good=(Answer(what="Written down."),),
        bad=(400, 401, 413, *_ALWAYS),
    ),
    Operation(
        method="get",
        path="/migrations",
        name="listMigrations",
        summary="Status: one row a run, newest first.",
        role=Role.READ,
        query=asked.ListMigrations,
        good=(
            Answer(
                what="A page.",
                content={
                    _JSON: (
                        answers.Migrations,
                        answers.Summary,
                        answers.Causes,
                        answers.Days,
                        answers.Durations,
                        answers.Messages,
                    ),
                    "text/csv": None,
                },
                headers=_WHERE_TO_GO,
                links={
                    "next": _link(
                        "listMigrations", "The next page.", continuationToken="$response.body#/continuationToken"
                    ),
                    **_user_links(f"{_FIRST}/UserId", "run", "meetings"),
                },
            ),
        ),
        bad=_READING,
    ),
    Operation(
        method="post",
        path="/migrations",
        name="startMigrations",
        summary="Ask that users' meetings be migrated.",
        role=Role.OPERATE,
        body={_JSON: asked.StartMigrations},
        good=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                what="One row an identity.",
                content={_JSON: answers.Started},
                links=_user_links(f"{_FIRST}/userId"),
            ),
        ),
        bad=(400, 401, 403, 409, 412, 413, *_ALWAYS),
        idempotent=True,
    ),
    Operation(
        method="get",
        path="/migrations/{userId}",
        name="getMigration",
        summary="A user's newest run.",
        role=Role.READ,
        good=(Answer(what="The run.", content={_JSON: answers.MigrationRow}),),
        bad=(*_READING, 404),
    ),
    Operation(
        method="get",
        path="/migrations/{userId}/meetings",
        name="listMeetings",
        summary="What became of each meeting of a user.",
        role=Role.READ,
        good=(
            Answer(
                what="All of them.",
                content={_JSON: answers.Meetings, "text/csv": None},
                links={
                    "blocks": _link(
                        "getBlocks",
                        "One of them, with its blocks.",
                        userId="$request.path.userId",
                        eventId=f"{_FIRST}/eventId",
                    )
                },
            ),
        ),
        bad=(*_READING, 404),
    ),
    Operation(
        method="get",
        path="/migrations/{userId}/blocks",
        name="getBlocks",
        summary="One meeting, with the block before and after as they stood in the invitation.",
        role=Role.READ,
        query=asked.GetBlocks,
        good=(Answer(what="The meeting.", content={_JSON: answers.MeetingBlocks}),),
        bad=(*_READING, 404),
    ),
    _order("cancelMigration", "cancel", "Cancel what waits, or stop what runs after the meeting in hand."),
    _order("retryMigration", "retry", "Start a run that failed, was skipped or was cancelled afresh, at once."),
    _order(
        "undoMigration",
        "undo",
        "Restore the original invitations, at once.",
        body={_JSON: asked.Undo},
        needs_body=False,
    ),
    Operation(
        method="post",
        path="/retries",
        name="retryGroup",
        summary="Start every user afresh whose newest run has failed with a code, as fast as lists are admitted.",
        role=Role.OPERATE,
        body={_JSON: asked.RetryGroup},
        good=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                what="Written down; it is done in the background.",
                content={_JSON: answers.GroupRetried},
            ),
        ),
        bad=(400, 401, 403, 409, 412, 413, *_ALWAYS),
        idempotent=True,
    ),
    Operation(
        method="post",
        path="/previews",
        name="askPreview",
        summary="Ask for a dry run: it reads the tenant and writes nothing.",
        role=Role.OPERATE,
        body={_JSON: asked.AskPreview},
        good=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                what="It is on its way.",
                content={_JSON: answers.PreviewAsked},
                headers={"Location": "Where it will be."},
                links={
                    "read": _link("getPreview", "The plan, when it is ready.", id="$response.body#/id"),
                    "apply": _link("applyPreview", "Carry the plan out, when it is ready.", id="$response.body#/id"),
                },
            ),
        ),
        bad=_ORDER,
        idempotent=True,
    ),
    Operation(
        method="get",
        path="/previews/{id}",
        name="getPreview",
        summary="A dry run: the plan of each meeting, with the old and the new block and who would get mail.",
        role=Role.READ,
        query=asked.GetPreview,
        good=(Answer(what="The plan.", content={_JSON: answers.PreviewDocument}),),
        bad=(*_READING, 404),
    ),
    Operation(
        method="post",
        path="/previews/{id}/apply",
        name="applyPreview",
        summary="Carry a dry run out as it stands; what has changed since is refused.",
        role=Role.OPERATE,
        good=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                what="The run.",
                content={_JSON: answers.MigrationRow},
                links=_user_links("$response.body#/UserId", "run", "meetings"),
            ),
        ),
        bad=_ORDER,
        idempotent=True,
    ),
    Operation(
        method="get",
        path="/config",
        name="getConfig",
        summary="The tenant's settings.",
        role=Role.READ,
        good=(
            Answer(
                what="All of them.",
                content={_JSON: "Settings"},
                headers={"ETag": "Their version."},
                links={
                    "change": _link(
                        "changeConfig", "Change this version.", **{"header.If-Match": "$response.header.ETag"}
                    )
                },
            ),
        ),
        bad=_READING,
    ),
    Operation(
        method="patch",
        path="/config",
        name="changeConfig",
        summary="Change settings; effective at once, for queued work too.",
        role=Role.OPERATE,
        headers={"If-Match": {"description": "The version to be changed, from the ETag; without it, whichever it is."}},
        body={_JSON: "Settings"},
        good=(Answer(what="All of them.", content={_JSON: "Settings"}, headers={"ETag": "Their new version."}),),
        bad=(400, 401, 403, 412, 413, *_ALWAYS),
    ),
    Operation(
        method="get",
        path="/decisions",
        name="listDecisions",
        summary="Who or what asked for what, and what was decided by which rule; newest first.",
        role=Role.READ,
        query=asked.ListDecisions,
        good=(
            Answer(
                what="A page.",
                content={_JSON: answers.Decisions, "text/csv": None},
                headers=_WHERE_TO_GO,
                links={
                    "next": _link(
                        "listDecisions", "The next page.", continuationToken="$response.body#/continuationToken"
                    )
                },
            ),
        ),
        bad=_READING,
    ),
    Operation(
        method="get",
        path="/discovery",
        name="listDiscovery",
        summary="Users who need a migration and have none.",
        role=Role.READ,
        query=asked.ListDiscovery,
        good=(
            Answer(
                what="A page.",
                content={_JSON: answers.Discovery},
                links={
                    "next": _link(
                        "listDiscovery", "The next page.", continuationToken="$response.body#/continuationToken"
                    ),
                    "start": _link("startMigrations", "Start the first group.", "$response.body#/requests/0"),
                },
            ),
        ),
        bad=_READING,
    ),
    Operation(
        method="get",
        path="/health",
        name="getHealth",
        summary="Whether the app and its storage answer; deep=true, for operators, examines the whole deployment.",
        query=asked.GetHealth,
        good=(Answer(content={_JSON: answers.Health}),),
        bad=_READING,
    ),
    Operation(
        method="get",
        path="/dashboard",
        name="getDashboard",
        summary="The web page; it asks this API, with the caller's token.",
        good=(Answer(what="The page.", content={"text/html": None}, headers={"Content-Security-Policy": "Strict."}),),
        bad=_ALWAYS,
    ),
    Operation(
        method="get",
        path="/openapi.json",
        name="getDescription",
        summary="This description.",
        good=(Answer(what="OpenAPI 3.1.", content={_JSON: {"type": "object"}}),),
        bad=_ALWAYS,
    ),
)
