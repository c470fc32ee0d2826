"""The routes of administrators: a bearer token with a role, deny by default."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from mms_core.api.http import ApiRequest, ApiResponse, answering, json_response, list_response, text_response
from mms_core.api.parameters import instant as _instant
from mms_core.api.parameters import top as _top
from mms_core.api.parameters import wants_csv as _wants_csv
from mms_core.api.webhooks import authenticate
from mms_core.auth import Keys, Principal, Role
from mms_core.errors import BadInput, PreconditionLost
from mms_core.model import Selection, Source, State, Target, migration_type
from mms_core.notifications import decode
from mms_core.ports import RunQuery
from mms_core.service.intake import LONGEST_SETTLE, MOST_IDENTITIES, Result, Wanted, user_key
from mms_core.service.previews import Asked
from mms_core.status import FIELDS, OWN_FIELDS, as_csv, meeting_row, run_row, summary_rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mms_core.model import Run
    from mms_core.service import Intake, Previews, Queries
    from mms_core.settings import Deployment

MOST_SELECTED: Final = 100
"""Meetings that a request may name: they have to fit into the user's row, whatever merges into it."""
_SKYPE_TARGETS: Final = ("sfb", "skypeforbusiness")
MOST_UNDONE: Final = 500
"""Meetings that an undo may name; they have to fit into the user's row. Without names it restores all."""
_PARAMETERS: Final = frozenset(
    {
        "summaryOnly",
        "identity",
        "startTime",
        "endTime",
        "state",
        "migrationType",
        "reason",
        "top",
        "continuationToken",
    }
)
_TYPES: Final = frozenset({migration_type(source, target) for source in Source for target in Target} | {"Unknown"})


class _Start(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Body of ``POST migrations``."""

    identity: Annotated[str, msgspec.Meta(max_length=400)] | None = None
    identities: list[Annotated[str, msgspec.Meta(max_length=400)]] | None = None
    source_meeting_type: str = "All"
    target_meeting_type: str = "Current"
    settle_minutes: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_SETTLE.total_seconds() / 60)] | None = None
    not_before: datetime | None = None
    meetings: _Meetings | None = None


class _Meetings(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """``meetings`` of a body: which ones a request is narrowed to."""

    event_ids: Annotated[list[str], msgspec.Meta(max_length=MOST_SELECTED)] = []
    start: datetime | None = None
    end: datetime | None = None
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    url_host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    attendee_domain: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    externals: Literal["include", "exclude", "only"] = "include"

    def selection(self) -> Selection:
        """Return the domain's value."""
        return Selection(
            event_ids=tuple(self.event_ids),
            start_at=_aware(self.start),
            end_at=_aware(self.end),
            subject=self.subject,
            url_host=self.url_host,
            attendee_domain=self.attendee_domain,
            externals=self.externals,
        )


class _Preview(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Body of ``POST previews``."""

    identity: Annotated[str, msgspec.Meta(max_length=400)]
    source_meeting_type: str = "All"
    target_meeting_type: str = "Current"
    meetings: _Meetings | None = None


class _Undo(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Body of ``POST migrations/{userId}/undo``."""

    event_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_UNDONE)] | None = None


def _member(kind: Any, text: str, *, name: str) -> Any:
    """Find an enum member in any case, as PowerShell would."""
    for member in kind:
        if str(member).lower() == text.lower():
            return member
    raise BadInput(f"one of {', '.join(kind)}", code="InvalidParameter", field=name)


def _flag(text: str | None, *, name: str) -> bool:
    if text is None or text.lower() == "false":
        return False
    if text.lower() == "true":
        return True
    raise BadInput("true or false", code="InvalidParameter", field=name)


def _query(request: ApiRequest) -> RunQuery:
    given = request.query
    unknown = set(given) - _PARAMETERS
    if unknown:
        raise BadInput("unknown parameter", code="InvalidParameter", field=min(unknown))
    kind = given.get("migrationType")
    if kind is not None and kind not in _TYPES:
        raise BadInput(f"one of {', '.join(sorted(_TYPES))}", code="InvalidParameter", field="migrationType")
    return RunQuery(
        state=_member(State, given["state"], name="state") if "state" in given else None,
        start_at=_instant(given.get("startTime"), name="startTime"),
        end_at=_instant(given.get("endTime"), name="endTime"),
        migration_type=kind,
        reason=given.get("reason"),
        top=_top(given.get("top")),
        continuation=given.get("continuationToken"),
    )


def _matches(run: Run, query: RunQuery) -> bool:
    return (
        (query.state is None or run.state is query.state)
        and (query.start_at is None or run.created_at >= query.start_at)
        and (query.end_at is None or run.created_at < query.end_at)
        and (query.migration_type is None or run.migration_type == query.migration_type)
        and (query.reason is None or query.reason in {each.partition(" ")[0] for each in run.reasons})
    )


class AdminApi:
    """Handlers of the admin routes."""

    def __init__(
        self, intake: Intake, queries: Queries, previews: Previews, *, keys: Keys, deployment: Deployment
    ) -> None:
        self._intake = intake
        self._queries = queries
        self._previews = previews
        self._keys = keys
        self._deployment = deployment

    async def _caller(self, request: ApiRequest, role: Role) -> Principal:
        return await authenticate(request, self._keys, self._deployment, role)

    @answering
    async def health(self, request: ApiRequest) -> ApiResponse:
        """``GET health``: open; says only that the app and its storage answer."""
        del request
        await self._queries.health()
        return json_response({"status": "ok"})

    @answering
    async def migrations(self, request: ApiRequest) -> ApiResponse:
        """``GET, POST migrations``."""
        if request.method == "POST":
            return await self._start(request)
        await self._caller(request, Role.READ)
        query = _query(request)
        if _flag(request.query.get("summaryOnly"), name="summaryOnly"):
            rows = summary_rows(await self._queries.counts())
            return self._table(request, rows, ("State", "UserCount"))
        identity = request.query.get("identity")
        if identity is not None:
            found = [run for run in await self._queries.runs_of(identity) if _matches(run, query)]
            return self._table(request, [run_row(run) for run in found[: query.top]], (*FIELDS, *OWN_FIELDS))
        page = await self._queries.page(query)
        rows = [run_row(run) for run in page.runs]
        return self._table(request, rows, (*FIELDS, *OWN_FIELDS), continuation=page.continuation)

    @staticmethod
    def _table(
        request: ApiRequest, rows: list[dict[str, Any]], names: tuple[str, ...], *, continuation: str | None = None
    ) -> ApiResponse:
        if _wants_csv(request):
            response = text_response(as_csv(rows, names), content_type="text/csv")
            more = {"X-Continuation-Token": continuation} if continuation else {}
            return ApiResponse(
                status=response.status,
                body=response.body,
                content_type=response.content_type,
                headers={**response.headers, **more},
            )
        return json_response({"value": rows, "continuationToken": continuation})

    async def _start(self, request: ApiRequest) -> ApiResponse:
        principal = await self._caller(request, Role.OPERATE)
        body: _Start = decode(request.body, _Start)
        if (body.identity is None) is (body.identities is None):
            raise BadInput("either identity or identities", field="identity")
        identities = body.identities if body.identities is not None else [body.identity or ""]
        if len(identities) > MOST_IDENTITIES:
            raise BadInput(f"{MOST_IDENTITIES} at most", code="TooManyIdentities", field="identities")
        if body.target_meeting_type.lower() in _SKYPE_TARGETS:
            raise BadInput(code="UnsupportedTarget", field="targetMeetingType")
        results = await self._intake.start(
            Wanted(
                identities=tuple(identities),
                source=_member(Source, body.source_meeting_type, name="sourceMeetingType"),
                target=_member(Target, body.target_meeting_type, name="targetMeetingType"),
                settle=None if body.settle_minutes is None else timedelta(minutes=body.settle_minutes),
                not_before_at=_aware(body.not_before),
                actor=principal.name,
                selection=body.meetings.selection() if body.meetings else None,
            )
        )
        return list_response(map(_result_row, results), status=HTTPStatus.ACCEPTED)

    @answering
    async def migration(self, request: ApiRequest) -> ApiResponse:
        """``GET migrations/{userId}``: the user's newest run."""
        await self._caller(request, Role.READ)
        return json_response(run_row(await self._queries.user(request.route["userId"])))

    @answering
    async def meetings(self, request: ApiRequest) -> ApiResponse:
        """``GET migrations/{userId}/meetings``."""
        await self._caller(request, Role.READ)
        rows = [meeting_row(entry) for entry in await self._queries.meetings(request.route["userId"])]
        if _wants_csv(request):
            names = tuple(rows[0]) if rows else ("eventId",)
            return text_response(as_csv(rows, names), content_type="text/csv")
        return json_response({"value": rows})

    async def _order(self, request: ApiRequest, order: Callable[[str, Principal], Awaitable[Run]]) -> ApiResponse:
        principal = await self._caller(request, Role.OPERATE)
        run = await order(request.route["userId"], principal)
        return json_response(run_row(run), status=HTTPStatus.ACCEPTED)

    @answering
    async def cancel(self, request: ApiRequest) -> ApiResponse:
        """``POST migrations/{userId}/cancel``."""
        return await self._order(request, lambda identity, _: self._queries.cancel(identity))

    @answering
    async def retry(self, request: ApiRequest) -> ApiResponse:
        """``POST migrations/{userId}/retry``."""
        return await self._order(request, lambda identity, _: self._queries.retry(identity))

    @answering
    async def undo(self, request: ApiRequest) -> ApiResponse:
        """``POST migrations/{userId}/undo``: all meetings, or those of ``eventIds``."""
        principal = await self._caller(request, Role.OPERATE)
        body: _Undo = decode(request.body, _Undo) if request.body.strip() else _Undo()
        run = await self._queries.undo(request.route["userId"], body.event_ids or (), actor=principal.name)
        return json_response(run_row(run), status=HTTPStatus.ACCEPTED)

    @answering
    async def previews(self, request: ApiRequest) -> ApiResponse:
        """``POST previews``: ask for a dry run; it reads the tenant and writes nothing."""
        principal = await self._caller(request, Role.OPERATE)
        body: _Preview = decode(request.body, _Preview)
        if body.target_meeting_type.lower() in _SKYPE_TARGETS:
            raise BadInput(code="UnsupportedTarget", field="targetMeetingType")
        preview_id = await self._previews.ask(
            Asked(
                key=user_key(body.identity),
                identity=body.identity.strip(),
                source=_member(Source, body.source_meeting_type, name="sourceMeetingType"),
                target=_member(Target, body.target_meeting_type, name="targetMeetingType"),
                selections=(body.meetings.selection(),) if body.meetings else (),
                actor=principal.name,
            )
        )
        return json_response(
            {"id": preview_id, "state": "pending"},
            status=HTTPStatus.ACCEPTED,
            headers={"Location": f"/api/previews/{preview_id}"},
        )

    @answering
    async def preview(self, request: ApiRequest) -> ApiResponse:
        """``GET previews/{id}``."""
        await self._caller(request, Role.READ)
        return json_response(await self._previews.read(request.route["id"]))

    @answering
    async def apply(self, request: ApiRequest) -> ApiResponse:
        """``POST previews/{id}/apply``: exactly that plan; refuses what has changed since."""
        principal = await self._caller(request, Role.OPERATE)
        run = await self._previews.apply(request.route["id"], actor=principal.name)
        return json_response(run_row(run), status=HTTPStatus.ACCEPTED)

    @answering
    async def config(self, request: ApiRequest) -> ApiResponse:
        """``GET, PATCH config``."""
        if request.method == "PATCH":
            principal = await self._caller(request, Role.OPERATE)
            changes: dict[str, Any] = decode(request.body, dict[str, Any])
            wanted = request.headers.get("if-match")
            etag = None if wanted in (None, "*") else _unquoted(wanted or "")
            configuration = await self._queries.configure(changes, etag=etag, actor=principal.name)
        else:
            await self._caller(request, Role.READ)
            configuration = await self._queries.configuration()
        return json_response(asdict(configuration.settings), headers={"ETag": _quoted(configuration.etag)})


def _aware(at: datetime | None) -> datetime | None:
    return None if at is None else (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))


def _result_row(result: Result) -> dict[str, Any]:
    row = {
        "identity": result.identity,
        "userId": result.user_id,
        "correlationId": result.correlation_id,
        "status": result.status,
        "code": result.code,
    }
    return {name: value for name, value in row.items() if value is not None}


def _quoted(etag: str) -> str:
    return '"' + etag.encode().hex() + '"'


def _unquoted(header: str) -> str:
    try:
        return bytes.fromhex(header.strip().removeprefix("W/").strip('"')).decode()
    except ValueError:
        raise PreconditionLost from None
