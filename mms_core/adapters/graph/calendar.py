"""The calendar of one user (docs: list events, list instances, update event, extended properties)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.headers_collection import HeadersCollection
from kiota_abstractions.method import Method
from msgraph.generated.users.item.events.events_request_builder import EventsRequestBuilder
from msgraph.generated.users.item.events.item.event_item_request_builder import EventItemRequestBuilder
from msgraph.generated.users.item.events.item.instances.instances_request_builder import InstancesRequestBuilder

from mms_core.adapters.graph.wire import (
    EXPAND_PROPERTIES,
    SELECT,
    WireCalendar,
    WireCalendars,
    WireEvent,
    WireEvents,
    cancelled_dates,
    property_id,
)
from mms_core.errors import NotFound, OutcomeUnknown, PermanentError, TemporaryError
from mms_core.meetings import Series
from mms_core.ports import Calendar, EventChange, Written

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from datetime import datetime

    from kiota_abstractions.request_information import RequestInformation

    from mms_core.adapters.graph.transport import GraphTransport
    from mms_core.meetings import Event
    from mms_core.ports import Confirm

PAGE_SIZE: Final = 250
_FIRST_FEW: Final = 10
"""Instances to look at for one that is not an exception."""
# UTC, so that instants need no zone table; unsafe HTML, because what is stripped on reading would be deleted by
# writing it back.
_PREFER: Final = 'outlook.timezone="UTC", outlook.allow-unsafe-html'


def _headers() -> HeadersCollection:
    headers = HeadersCollection()
    headers.add("Prefer", _PREFER)
    return headers


def _utc(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.0000000")


def _candidates_query(now: datetime) -> Any:
    return RequestConfiguration(
        query_parameters=EventsRequestBuilder.EventsRequestBuilderGetQueryParameters(
            filter=f"type eq 'seriesMaster' or end/dateTime ge '{_utc(now)}'",
            select=list(SELECT),
            expand=[EXPAND_PROPERTIES],
            top=PAGE_SIZE,
        ),
        headers=_headers(),
    )


class GraphCalendar(Calendar):
    """Calendar over Graph."""

    def __init__(self, transport: GraphTransport) -> None:
        self._transport = transport

    async def candidates(
        self, user_id: str, *, now: datetime, secondary: bool = False, gone: list[str] | None = None
    ) -> AsyncIterator[Event]:
        """See :class:`~mms_core.ports.Calendar`. One query finds all: a running series may have begun years ago."""
        seen: set[str] = set()
        user = self._transport.client.users.by_user_id(user_id)
        lists: dict[str, Any] = {"": user.events}
        if secondary:
            lists |= {each: user.calendars.by_calendar_id(each).events for each in await self._secondary(user_id)}
        for calendar_id, builder in lists.items():
            listed = self._listed(builder.to_get_request_information(_candidates_query(now)))
            while True:
                try:
                    event = await anext(listed, None)
                except NotFound as exc:
                    if not calendar_id:  # the user was there a moment ago
                        raise PermanentError(exc.detail, code="MailboxMissing") from exc
                    if gone is not None:
                        gone.append(calendar_id)
                    break
                if event is None:
                    break
                if event.event_id not in seen:  # a calendar that changes while it is paged may show an event twice
                    seen.add(event.event_id)
                    yield event

    async def _listed(self, first: RequestInformation) -> AsyncGenerator[Event]:
        info: RequestInformation | None = first
        while info is not None:
            page = (await self._transport.read(info)).decoded(WireEvents)
            for wire in page.value:
                yield wire.facts()
            # An empty page may still have a next link: only a missing link is the end.
            info = None
            if page.next_link:
                info = self._page(page.next_link)

    def _page(self, link: str) -> RequestInformation:
        info = self._transport.page(link)
        info.headers.add("Prefer", _PREFER)
        return info

    async def _secondary(self, user_id: str) -> list[str]:
        """Return the ids of the user's own further calendars: not shared ones, not subscribed ones."""
        info: RequestInformation | None = self._transport.client.users.by_user_id(
            user_id
        ).calendars.to_get_request_information()
        calendars: list[WireCalendar] = []
        while info is not None:
            try:
                page = (await self._transport.read(info)).decoded(WireCalendars)
            except NotFound as exc:
                raise PermanentError(exc.detail, code="MailboxMissing") from exc
            calendars += page.value
            info = self._transport.page(page.next_link) if page.next_link else None
        owners = {each.owner.address for each in calendars if each.is_default_calendar and each.owner}
        return [
            each.id
            for each in calendars
            if each.can_edit and not each.is_default_calendar and each.owner and each.owner.address in owners
        ]

    def _item(self, user_id: str, event_id: str) -> EventItemRequestBuilder:
        return self._transport.client.users.by_user_id(user_id).events.by_event_id(event_id)

    async def _get(self, user_id: str, event_id: str, *, select: list[str], expand: list[str]) -> WireEvent:
        configuration = RequestConfiguration(
            query_parameters=EventItemRequestBuilder.EventItemRequestBuilderGetQueryParameters(
                select=select, expand=expand
            ),
            headers=_headers(),
        )
        info = self._item(user_id, event_id).to_get_request_information(configuration)
        return (await self._transport.read(info)).decoded(WireEvent)

    async def series(self, user_id: str, master_id: str) -> Series:
        """See :class:`~mms_core.ports.Calendar`."""
        try:
            master = await self._get(
                user_id,
                master_id,
                # Graph's own example names the exceptions in both.
                select=["id", "iCalUId", "cancelledOccurrences", "exceptionOccurrences"],
                expand=["exceptionOccurrences"],
            )
            exceptions = list(master.exception_occurrences or ())
            link = master.more_exceptions
            while link:
                page = (await self._transport.read(self._page(link))).decoded(WireEvents)
                exceptions += page.value
                link = page.next_link
        except NotFound:
            return Series()
        return Series(
            exceptions=tuple(
                replace(each.facts(), series_uid=master.i_cal_u_id or "", series_master_id=master_id)
                for each in exceptions
            ),
            cancelled=cancelled_dates(master),
        )

    async def providers(self, user_id: str) -> frozenset[str]:
        """See :class:`~mms_core.ports.Calendar`."""
        info = self._transport.client.users.by_user_id(user_id).calendar.to_get_request_information()
        try:
            calendar = (await self._transport.read(info)).decoded(WireCalendar)
        except NotFound as exc:
            raise PermanentError(exc.detail, code="MailboxMissing") from exc
        return frozenset(calendar.allowed_online_meeting_providers or ())

    async def has_occurrence(self, user_id: str, master_id: str, *, start: datetime, end: datetime) -> bool:
        """See :class:`~mms_core.ports.Calendar`."""
        configuration = RequestConfiguration(
            query_parameters=InstancesRequestBuilder.InstancesRequestBuilderGetQueryParameters(
                start_date_time=_utc(start), end_date_time=_utc(end), select=["id", "type"], top=_FIRST_FEW
            ),
            headers=_headers(),
        )
        info: RequestInformation | None = self._item(user_id, master_id).instances.to_get_request_information(
            configuration
        )
        while info is not None:
            try:
                page = (await self._transport.read(info)).decoded(WireEvents)
            except NotFound:
                return False
            if any(each.type == "occurrence" for each in page.value):
                return True
            info = self._transport.page(page.next_link) if page.next_link else None
        return False

    async def event(self, user_id: str, event_id: str) -> Event | None:
        """See :class:`~mms_core.ports.Calendar`."""
        try:
            return (await self._get(user_id, event_id, select=list(SELECT), expand=[EXPAND_PROPERTIES])).facts()
        except NotFound:
            return None

    async def update(
        self, user_id: str, event_id: str, change: EventChange, *, etag: str, confirm: Confirm | None = None
    ) -> Written:
        """See :class:`~mms_core.ports.Calendar`."""
        body: dict[str, Any] = {"body": {"contentType": change.content_type, "content": change.body}}
        if change.locations is not None:
            # Always the whole array: Graph replaces all locations when the single one is written.
            body["locations"] = list(change.locations)
        if change.makes_online:
            body |= {"isOnlineMeeting": True, "onlineMeetingProvider": change.makes_online}
        if change.properties:
            body["singleValueExtendedProperties"] = [
                {"id": property_id(name), "value": value} for name, value in change.properties.items()
            ]
        info = self._transport.request(self._item(user_id, event_id), Method.PATCH, body)
        info.headers.add("If-Match", etag)
        info.headers.add("Prefer", _PREFER)
        answer = await self._transport.write(info, confirm)
        try:
            event = answer.decoded(WireEvent).facts()
        except TemporaryError as exc:
            raise OutcomeUnknown(exc.detail) from exc  # it was accepted, and nobody can read what came of it
        return Written(event=event, request_id=answer.request_id)
