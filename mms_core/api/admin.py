"""The routes of administrators: a bearer token with a role, deny by default."""

from __future__ import annotations

import functools
import logging
from dataclasses import asdict
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import UnsetType

from mms_core.api.asked import (
    AskPreview,
    GetBlocks,
    GetPreview,
    ListMigrations,
    RetryGroup,
    Row,
    StartMigrations,
    Undo,
    aware,
    instant,
    read_body,
    read_query,
)
from mms_core.api.http import ApiRequest, ApiResponse, answering, json_response, list_response, text_response, wants_csv
from mms_core.api.idempotency import KEY_HEADER, checked_key, identity_of
from mms_core.api.lists import table_response
from mms_core.api.webhooks import authenticate
from mms_core.auth import Keys, Principal, Role
from mms_core.errors import BadInput, MmsError, PreconditionLost, TemporaryError
from mms_core.model import State
from mms_core.notifications import decode
from mms_core.ports import RunQuery
from mms_core.service.admin.intake import MANUAL, MOST_IDENTITIES, ROUTE, Result, Wanted, user_key
from mms_core.service.admin.queries import named
from mms_core.service.admin.repeats import Kept
from mms_core.service.running.previews import Asked
from mms_core.status import (
    FIELDS,
    MESSAGE_FIELDS,
    OWN_FIELDS,
    as_csv,
    code_rows,
    day_rows,
    duration_rows,
    meeting_row,
    message_rows,
    run_row,
    summary_rows,
)
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mms_core.model import Run
    from mms_core.service import Intake, Previews, Queries, Repeats, Retries
    from mms_core.settings import Deployment


def _query(given: ListMigrations) -> RunQuery:
    by_due = given.order_by == "due"
    narrowed = (given.identity, given.start_time, given.end_time, given.migration_type, given.reason)
    if by_due and (given.state is not State.PENDING or any(narrowed)):
        raise BadInput("only with state=Pending and nothing else", code="InvalidParameter", field="orderBy")
    return RunQuery(
        by_due=by_due,
        state=given.state or None,
        start_at=instant(given.start_time, name="startTime"),
        end_at=instant(given.end_time, name="endTime"),
        migration_type=given.migration_type or None,
        reason=given.reason or None,
        top=given.top,
        continuation=given.continuation_token or None,
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
        self,
        intake: Intake,
        queries: Queries,
        previews: Previews,
        repeats: Repeats,
        retries: Retries,
        *,
        keys: Keys,
        deployment: Deployment,
    ) -> None:
        self._repeats = repeats
        self._retries = retries
        self._intake = intake
        self._queries = queries
        self._previews = previews
        self._keys = keys
        self._deployment = deployment

    async def _caller(self, request: ApiRequest, role: Role) -> Principal:
        return await authenticate(request, self._keys, self._deployment, role)

    async def _once(
        self, request: ApiRequest, principal: Principal, work: Callable[[str], Awaitable[ApiResponse]]
    ) -> ApiResponse:
        """Do the work of a POST, or repeat the answer that its ``Idempotency-Key`` got before.

        The work is told by which id the request is known when it comes again unanswered; empty without a key.
        """
        key = request.headers.get(KEY_HEADER)
        if key is None:
            return await work("")
        begun = await self._repeats.begin(caller=principal.name, key=checked_key(key), request=identity_of(request))
        if isinstance(begun, Kept):
            return ApiResponse(status=begun.status, body=begun.body, headers=begun.headers)
        try:
            response = await work(begun.request_id)
        except MmsError:
            await self._repeats.release(begun)
            raise
        kept = Kept(status=response.status, headers=dict(response.headers), body=response.body)
        try:
            await self._repeats.keep(begun, kept)
        except (TemporaryError, PreconditionLost) as exc:
            log("answer_not_kept", level=logging.WARNING, code=exc.code)  # the work is done all the same
        return response

    @answering
    async def migrations(self, request: ApiRequest) -> ApiResponse:
        """``GET, POST migrations``."""
        if request.method == "POST":
            return await self._start(request)
        await self._caller(request, Role.READ)
        given = read_query(request.query, ListMigrations)
        query = _query(given)
        if given.summary_only:
            return await self._summary(request, given)
        if given.identity:
            found = [run for run in await self._queries.runs_of(given.identity) if _matches(run, query)]
            return table_response(request, [run_row(run) for run in found[: query.top]], (*FIELDS, *OWN_FIELDS))
        page = await self._queries.page(query)
        rows = [run_row(run) for run in page.runs]
        return table_response(request, rows, (*FIELDS, *OWN_FIELDS), continuation=page.continuation)

    async def _summary(self, request: ApiRequest, given: ListMigrations) -> ApiResponse:
        """Count, from counters: what it costs does not depend on how many users there are. Messages are listed."""
        queries, by = self._queries, given.summary_by
        if by == "code":
            return table_response(request, code_rows(await queries.failures()), ("Code", "UserCount", "LastMessage"))
        if by == "day":
            return table_response(request, day_rows(await queries.runs_a_day()), ("Date", "State", "RunCount"))
        if by == "duration":
            rows = duration_rows(await queries.minutes_a_day())
            return table_response(request, rows, ("Date", "Minutes", "RunCount"))
        if by == "message":
            kept, token = await queries.messages(top=given.top, after=given.continuation_token or "")
            return table_response(request, message_rows(kept), MESSAGE_FIELDS, continuation=token)
        return table_response(request, summary_rows(await queries.counts()), ("State", "UserCount"))

    async def _start(self, request: ApiRequest) -> ApiResponse:
        principal = await self._caller(request, Role.OPERATE)
        return await self._once(request, principal, functools.partial(self._start_all, request, principal))

    async def _start_all(self, request: ApiRequest, principal: Principal, request_id: str) -> ApiResponse:
        async with self._queries.reading(MANUAL, ROUTE, actor=principal.name):
            body, identities = _whom(request)
        rows = [(row, 0) if isinstance(row, str) else (row.identity, row.priority) for row in identities]
        results = await self._intake.start(
            Wanted(
                identities=tuple(identity for identity, _ in rows),
                priorities={place: priority for place, (_, priority) in enumerate(rows) if priority},
                source=body.source_meeting_type,
                target=body.target_meeting_type,
                settle=None if body.settle_minutes is None else timedelta(minutes=body.settle_minutes),
                not_before_at=aware(body.not_before),
                actor=principal.name,
                selection=body.meetings.selection() if body.meetings else None,
                request_id=request_id,
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
        if wants_csv(request):
            names = tuple(rows[0]) if rows else ("eventId",)
            return text_response(as_csv(rows, names), content_type="text/csv")
        return json_response({"value": rows})

    @answering
    async def blocks(self, request: ApiRequest) -> ApiResponse:
        """``GET migrations/{userId}/blocks?eventId=``: one meeting, with its blocks before and after."""
        await self._caller(request, Role.READ)
        # In the query, for Graph's ids may hold a slash, and hosts differ in what they make of one in a path.
        given = read_query(request.query, GetBlocks)
        entry, blocks = await self._queries.meeting(request.route["userId"], given.event_id)
        shown = {"contentType": blocks.content_type, "oldBlock": blocks.old, "newBlock": blocks.new}
        return json_response({**meeting_row(entry), **shown})

    async def _order(self, request: ApiRequest, order: Callable[[str, Principal], Awaitable[Run]]) -> ApiResponse:
        principal = await self._caller(request, Role.OPERATE)

        async def work(_: str) -> ApiResponse:
            run = await order(request.route["userId"], principal)
            return json_response(run_row(run), status=HTTPStatus.ACCEPTED)

        return await self._once(request, principal, work)

    @answering
    async def cancel(self, request: ApiRequest) -> ApiResponse:
        """``POST migrations/{userId}/cancel``."""
        return await self._order(request, lambda identity, caller: self._queries.cancel(identity, actor=caller.name))

    @answering
    async def retry(self, request: ApiRequest) -> ApiResponse:
        """``POST migrations/{userId}/retry``."""
        return await self._order(request, lambda identity, caller: self._queries.retry(identity, actor=caller.name))

    @answering
    async def retries(self, request: ApiRequest) -> ApiResponse:
        """``POST retries``: every user whose newest run has failed with a code, however many there are."""
        principal = await self._caller(request, Role.OPERATE)

        async def work(_: str) -> ApiResponse:
            async with self._queries.reading("Retry", "POST retries", actor=principal.name):
                code = read_body(request.body, RetryGroup).code
            count = await self._retries.order(code, actor=principal.name)
            return json_response({"Code": code, "UserCount": count}, status=HTTPStatus.ACCEPTED)

        return await self._once(request, principal, work)

    @answering
    async def undo(self, request: ApiRequest) -> ApiResponse:
        """``POST migrations/{userId}/undo``: all meetings, or those of ``eventIds``."""

        async def order(identity: str, principal: Principal) -> Run:
            async with self._queries.reading("Undo", "POST migrations/undo", actor=principal.name):
                is_empty = not request.body.strip()
                if is_empty and "transfer-encoding" in request.headers:
                    # The host hands on no chunked body (azure-functions-host issue 4926): it may have named meetings.
                    raise BadInput("a body without Content-Length does not arrive")
                body = Undo() if is_empty else read_body(request.body, Undo)
            return await self._queries.undo(identity, body.event_ids or (), actor=principal.name)

        return await self._order(request, order)

    @answering
    async def previews(self, request: ApiRequest) -> ApiResponse:
        """``POST previews``: ask for a dry run, or (``validateOnly``) for a look at the user alone; writes nothing."""
        principal = await self._caller(request, Role.OPERATE)
        return await self._once(request, principal, lambda _: self._ask(request, principal))

    async def _ask(self, request: ApiRequest, principal: Principal) -> ApiResponse:
        async with self._queries.reading("Preview", "POST previews", actor=principal.name):
            body = read_body(request.body, AskPreview)
            key, event_ids = user_key(body.identity), body.event_ids()
        is_migration = body.action == "migrate"
        preview_id = await self._previews.ask(
            Asked(
                key=key,
                identity=body.identity.strip(),
                source=body.source_meeting_type,
                target=body.target_meeting_type,
                selections=(body.meetings.selection(),) if body.meetings and is_migration else (),
                action=body.action,
                event_ids=event_ids,
                actor=principal.name,
                validate_only=body.validate_only,
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
        given = read_query(request.query, GetPreview)
        return json_response(await self._previews.read(request.route["id"], summary_only=given.summary_only))

    @answering
    async def apply(self, request: ApiRequest) -> ApiResponse:
        """``POST previews/{id}/apply``: exactly that plan; refuses what has changed since."""
        principal = await self._caller(request, Role.OPERATE)

        async def work(_: str) -> ApiResponse:
            run = await self._previews.apply(request.route["id"], actor=principal.name)
            return json_response(run_row(run), status=HTTPStatus.ACCEPTED)

        return await self._once(request, principal, work)

    @answering
    async def config(self, request: ApiRequest) -> ApiResponse:
        """``GET, PATCH config``."""
        if request.method == "PATCH":
            principal = await self._caller(request, Role.OPERATE)
            async with self._queries.refusals("PATCH config", actor=principal.name) as known:
                changes: dict[str, Any] = decode(request.body, dict[str, Any])
                known["more"] = named(changes)
                wanted = request.headers.get("if-match")
                etag = None if wanted is None or wanted == "*" else _unquoted(wanted)
                configuration = await self._queries.configure(changes, etag=etag, actor=principal.name)
        else:
            await self._caller(request, Role.READ)
            configuration = await self._queries.configuration()
        return json_response(asdict(configuration.settings), headers={"ETag": _quoted(configuration.etag)})


def _whom(request: ApiRequest) -> tuple[StartMigrations, list[str | Row]]:
    """Read whose meetings to migrate. Raises ``BadInput``."""
    body = read_body(request.body, StartMigrations)
    if isinstance(body.identity, UnsetType) is isinstance(body.identities, UnsetType):
        raise BadInput("either identity or identities", field="identity")
    identities = body.identities or ([] if isinstance(body.identity, UnsetType) else [body.identity])
    if len(identities) > MOST_IDENTITIES:
        raise BadInput(f"{MOST_IDENTITIES} at most", code="TooManyIdentities", field="identities")
    return body, identities


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
        return header  # no version of ours
