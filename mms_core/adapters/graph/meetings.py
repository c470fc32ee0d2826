"""Teams meetings (docs: onlineMeeting createOrGet, get; cloud communications application access policy)."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.headers_collection import HeadersCollection
from kiota_abstractions.method import Method
from msgraph.generated.users.item.online_meetings.online_meetings_request_builder import OnlineMeetingsRequestBuilder

from mms_core.adapters.graph.wire import WireMeeting, WireMeetings
from mms_core.errors import NotFound, PermanentError, TemporaryError
from mms_core.meetings import OnlineMeeting
from mms_core.options import read as read_options
from mms_core.ports import Meetings

if TYPE_CHECKING:
    from mms_core.adapters.graph.transport import GraphTransport


def _instant(text: str | None) -> datetime | None:
    """Read a DateTimeOffset: mostly UTC with seven decimals."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise TemporaryError("a time of an online meeting could not be read") from exc
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _headers(language: str | None) -> HeadersCollection:
    headers = HeadersCollection()
    if language:
        headers.add("Accept-Language", language)
    return headers


def _by_teams(error: PermanentError) -> PermanentError:
    """Name a refusal after Teams, where it would be taken for Exchange's."""
    return PermanentError(error.detail, code="OnlineMeetingsDenied") if error.code == "MailboxAccessDenied" else error


def _meeting(found: dict[str, Any]) -> OnlineMeeting:
    try:
        wire = msgspec.convert(found, WireMeeting)
    except msgspec.ValidationError as exc:
        raise TemporaryError("an online meeting could not be decoded") from exc
    if not wire.join_web_url or wire.join_information is None or not wire.join_information.content:
        # Seen right after creation: the join URL comes a few seconds later.
        raise TemporaryError("the online meeting has no join information yet")
    return OnlineMeeting(
        meeting_id=wire.id,
        join_url=wire.join_web_url,
        thread_id=wire.chat_info.thread_id if wire.chat_info else None,
        join_information=wire.join_information.content,
        external_id=wire.external_id,
        subject=wire.subject or "",
        start_at=_instant(wire.start_date_time),
        end_at=_instant(wire.end_date_time),
        options=read_options(found),
    )


class GraphMeetings(Meetings):
    """Online meetings over Graph."""

    def __init__(self, transport: GraphTransport) -> None:
        self._transport = transport

    async def create_or_get(
        self,
        user_id: str,
        *,
        external_id: str,
        subject: str,
        start: datetime | None,
        end: datetime | None,
        language: str | None,
    ) -> OnlineMeeting:
        """See :class:`~mms_core.ports.Meetings`. It may be repeated: the external id makes it idempotent."""
        body: dict[str, Any] = {"externalId": external_id, "subject": subject}
        if start is not None and end is not None:
            body |= {"startDateTime": start, "endDateTime": end}
        builder = self._transport.client.users.by_user_id(user_id).online_meetings.create_or_get
        info = self._transport.request(builder, Method.POST, body)
        info.headers.add_all(_headers(language))
        try:
            answer = await self._transport.read(info)
        except NotFound as exc:  # the directory knows the user, Teams does not
            raise PermanentError(exc.detail, code="TeamsLicenceMissing") from exc
        except PermanentError as exc:
            raise _by_teams(exc) from exc
        made = answer.decoded(dict)
        if not made.get("joinInformation") and isinstance(made.get("id"), str):
            # Only reading a meeting is documented to give it, and in a language of choice.
            made = await self._read(user_id, made["id"], language)
        return replace(_meeting(made), was_there=answer.status == HTTPStatus.OK)

    async def _read(self, user_id: str, meeting_id: str, language: str | None) -> dict[str, Any]:
        builder = self._transport.client.users.by_user_id(user_id).online_meetings.by_online_meeting_id(meeting_id)
        info = builder.to_get_request_information(RequestConfiguration(headers=_headers(language)))
        try:
            return (await self._transport.read(info)).decoded(dict)
        except NotFound as exc:  # it was there a moment ago
            raise TemporaryError(exc.detail) from exc

    async def find(self, user_id: str, join_url: str, *, language: str | None) -> OnlineMeeting | None:
        """See :class:`~mms_core.ports.Meetings`."""
        quoted = join_url.replace("'", "''")
        configuration = RequestConfiguration(
            query_parameters=OnlineMeetingsRequestBuilder.OnlineMeetingsRequestBuilderGetQueryParameters(
                filter=f"JoinWebUrl eq '{quoted}'"
            ),
            headers=_headers(language),
        )
        builder = self._transport.client.users.by_user_id(user_id).online_meetings
        try:
            answer = await self._transport.read(builder.to_get_request_information(configuration))
        except NotFound:
            return None
        except PermanentError as exc:
            raise _by_teams(exc) from exc
        meetings = answer.decoded(WireMeetings).value
        return _meeting(meetings[0]) if meetings else None

    async def set_options(self, user_id: str, meeting_id: str, options: dict[str, Any]) -> dict[str, Any]:
        """See :class:`~mms_core.ports.Meetings`."""
        builder = self._transport.client.users.by_user_id(user_id).online_meetings.by_online_meeting_id(meeting_id)
        info = self._transport.request(builder, Method.PATCH, options)
        # The same values again change nothing: it may be repeated like a read.
        try:
            answer = await self._transport.read(info)
        except NotFound as exc:
            raise PermanentError(exc.detail, code="TeamsMeetingNotFound") from exc
        return read_options(answer.decoded(dict))

    async def end(self, user_id: str, meeting_id: str) -> None:
        """See :class:`~mms_core.ports.Meetings`."""
        builder = self._transport.client.users.by_user_id(user_id).online_meetings.by_online_meeting_id(meeting_id)
        with contextlib.suppress(NotFound):
            await self._transport.read(self._transport.request(builder, Method.DELETE))
