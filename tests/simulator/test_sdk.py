"""The unmodified msgraph-sdk against the tenant: builders, models, nothing left over (issue: done when, 1)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.models.attendee import Attendee
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.event import Event
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.online_meeting_provider_type import OnlineMeetingProviderType
from msgraph.generated.models.subscription import Subscription
from msgraph.generated.users.item.calendar_view.calendar_view_request_builder import CalendarViewRequestBuilder
from msgraph.generated.users.item.events.events_request_builder import EventsRequestBuilder
from msgraph.generated.users.item.events.item.event_item_request_builder import EventItemRequestBuilder
from msgraph.generated.users.item.events.item.instances.instances_request_builder import InstancesRequestBuilder
from msgraph.generated.users.item.online_meetings.create_or_get.create_or_get_post_request_body import (
    CreateOrGetPostRequestBody,
)
from msgraph.generated.users.item.online_meetings.online_meetings_request_builder import OnlineMeetingsRequestBuilder
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from sdk_leftovers import clean, leftovers
from simulator_support import AUDIO, PUBLIC, WEEKLY


def utc(text: str) -> DateTimeTimeZone:
    """Write a time in UTC."""
    return DateTimeTimeZone(date_time=text, time_zone="UTC")


def new_event(subject: str, **fields: Any) -> Event:
    """Write an event with one attendee."""
    return Event(
        subject=subject,
        body=ItemBody(content_type=BodyType.Html, content="<p>Hello</p>"),
        start=utc("2027-01-05T10:00:00"),
        end=utc("2027-01-05T11:00:00"),
        attendees=[Attendee(email_address=EmailAddress(address="bob@contoso.example", name="Bob"))],
        **fields,
    )


@pytest.fixture
async def ada(tenant):
    """Ada has dial-in; Bob is there to be invited."""
    await tenant.user("bob")
    return await tenant.user("ada", plans=[AUDIO], audioConferencing={"tollNumber": "+1 425-555-0101"})


def test_leftovers_are_found_where_they_are():
    """The judge itself: unknown names at the top and deep inside are reported."""
    event = Event(additional_data={"uid": "x", "surprise": 1}, body=ItemBody(additional_data={"hidden": 1}))
    assert sorted(leftovers([event])) == ["Event.surprise", "ItemBody.hidden"]


async def test_users_list_get_and_select(sdk, ada):
    """Users deserialise with licences, plans and mailbox settings."""
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        select=["id", "userPrincipalName", "assignedPlans", "assignedLicenses", "onPremisesSyncEnabled"], top=1
    )
    first = clean(await sdk.users.get(RequestConfiguration(query_parameters=query)))
    assert len(first.value) == 1
    second = clean(await sdk.users.with_url(first.odata_next_link).get())
    assert {first.value[0].user_principal_name, second.value[0].user_principal_name} == {
        "ada@contoso.example",
        "bob@contoso.example",
    }
    chosen = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(
        select=["id", "assignedPlans", "licenseAssignmentStates", "mailboxSettings", "provisionedPlans"]
    )
    user = clean(await sdk.users.by_user_id("ada@contoso.example").get(RequestConfiguration(query_parameters=chosen)))
    assert AUDIO in {str(plan.service_plan_id) for plan in user.assigned_plans}
    assert user.mailbox_settings.language.locale == "en-US"
    clean(await sdk.users.by_user_id(ada["id"]).license_details.get())
    clean(await sdk.users.by_user_id(ada["id"]).mailbox_settings.get())


async def test_teams_user_configurations(sdk, ada):
    """6.4: the upgrade policy is among the effective assignments."""
    clean(await sdk.admin.teams.user_configurations.get())
    one = clean(await sdk.admin.teams.user_configurations.by_teams_user_configuration_id(ada["id"]).get())
    assert one.effective_policy_assignments[0].policy_type == "TeamsUpgradePolicy"
    assert one.effective_policy_assignments[0].policy_assignment.assignment_type.value == "group"


async def test_events_through_their_whole_life(sdk, ada):
    """Create, list with filter and expansion, read, change, view, expand a series, cancel."""
    mine = sdk.users.by_user_id(ada["id"])
    made = clean(await mine.events.post(new_event("One")))
    series = new_event("Series")
    series.additional_data["recurrence"] = WEEKLY
    master = clean(await mine.events.post(series))
    query = EventsRequestBuilder.EventsRequestBuilderGetQueryParameters(
        filter="type eq 'seriesMaster' or end/dateTime ge '2026-06-01T00:00:00Z'",
        expand=[f"singleValueExtendedProperties($filter=id eq '{PUBLIC}SkypeTeamsMeetingUrl')"],
        orderby=["subject"],
        top=1,
        count=True,
    )
    page = clean(await mine.events.get(RequestConfiguration(query_parameters=query)))
    assert [event.subject for event in page.value] == ["One"]
    page = clean(await mine.events.with_url(page.odata_next_link).get())
    assert [event.subject for event in page.value] == ["Series"]
    assert page.odata_next_link is None

    changed = Event()
    changed.is_online_meeting = True
    changed.online_meeting_provider = OnlineMeetingProviderType.TeamsForBusiness
    online = clean(await mine.events.by_event_id(made.id).patch(changed))
    assert online.online_meeting.join_url.startswith("https://teams.microsoft.com/l/meetup-join/")
    assert online.online_meeting.toll_number == "+1 425-555-0101"

    view = CalendarViewRequestBuilder.CalendarViewRequestBuilderGetQueryParameters(
        start_date_time="2027-01-01T00:00:00Z", end_date_time="2027-02-01T00:00:00Z", top=50
    )
    shown = clean(await mine.calendar_view.get(RequestConfiguration(query_parameters=view)))
    assert [event.type.value for event in shown.value].count("occurrence") == 4
    span = InstancesRequestBuilder.InstancesRequestBuilderGetQueryParameters(
        start_date_time="2027-01-01T00:00:00Z", end_date_time="2027-02-01T00:00:00Z"
    )
    rows = clean(await mine.events.by_event_id(master.id).instances.get(RequestConfiguration(query_parameters=span)))
    moved = Event()
    moved.subject = "Moved"
    exception = clean(await mine.events.by_event_id(rows.value[1].id).patch(moved))
    assert exception.type.value == "exception"
    await mine.events.by_event_id(rows.value[2].id).delete()
    wanted = EventItemRequestBuilder.EventItemRequestBuilderGetQueryParameters(
        select=["subject", "cancelledOccurrences"], expand=["exceptionOccurrences"]
    )
    again = clean(await mine.events.by_event_id(master.id).get(RequestConfiguration(query_parameters=wanted)))
    assert [each.subject for each in again.exception_occurrences] == ["Moved"]
    assert again.cancelled_occurrences == [f"OID.{master.id}.2027-01-19"]
    clean(await mine.calendars.get())
    clean(await mine.calendar.get())


async def test_get_then_patch_of_the_same_object(sdk, tenant, ada):
    """9: a model that was read and is sent back whole carries read-only properties; they are ignored (1.3)."""
    mine = sdk.users.by_user_id(ada["id"])
    made = await mine.events.post(new_event("One"))
    await tenant.quiet()
    again = await mine.events.by_event_id(made.id).patch(await mine.events.by_event_id(made.id).get())
    assert again.body.content == made.body.content
    assert await tenant.outbox() == []


async def test_online_meetings(sdk, ada):
    """5.1: createOrGet is idempotent; the classic URL finds the meeting; joinInformation is a data URL."""
    mine = sdk.users.by_user_id(ada["id"]).online_meetings
    body = CreateOrGetPostRequestBody(external_id="key-1", subject="Review")
    first = clean(await mine.create_or_get.post(body))
    second = clean(await mine.create_or_get.post(body))
    assert first.id == second.id
    assert first.join_information.content.startswith("data:text/html,%3cdiv+class")
    assert first.audio_conferencing.toll_number == "+1 425-555-0101"
    query = OnlineMeetingsRequestBuilder.OnlineMeetingsRequestBuilderGetQueryParameters(
        filter=f"JoinWebUrl eq '{first.join_web_url}'"
    )
    found = clean(await mine.get(RequestConfiguration(query_parameters=query)))
    assert [each.id for each in found.value] == [first.id]
    first.subject = "Changed"
    await mine.by_online_meeting_id(first.id).delete()


async def test_subscriptions(sdk, receiver):
    """7: create with handshake, read, list, delete."""
    wanted = Subscription(
        change_type="updated",
        resource="users",
        notification_url=receiver.url,
        client_state="secret",
        expiration_date_time=datetime.now(UTC) + timedelta(days=2),
    )
    made = clean(await sdk.subscriptions.post(wanted))
    assert made.resource == "users"
    clean(await sdk.subscriptions.get())
    clean(await sdk.subscriptions.by_subscription_id(made.id).get())
    await sdk.subscriptions.by_subscription_id(made.id).delete()


async def test_directory_audits(sdk, tenant, ada):
    """6.3: the licence change is in the directory audit."""
    await tenant.control("POST", "actions/removeLicense", {"user": ada["id"], "plans": [AUDIO]})
    found = clean(await sdk.audit_logs.directory_audits.get())
    assert {row.activity_display_name for row in found.value} == {"Change user license.", "Update user."}


async def test_errors_arrive_as_odata_errors(sdk, tenant):
    """8.3: status, code, message and ids arrive where the SDK looks for them."""
    await tenant.user("old", mailbox="onPremises")
    with pytest.raises(ODataError) as caught:
        await sdk.users.by_user_id("old@contoso.example").events.get()
    error = caught.value
    assert (error.response_status_code, error.error.code) == (404, "MailboxNotEnabledForRESTAPI")
    assert error.error.inner_error.request_id == error.response_headers["request-id"]
    assert json.dumps(error.error.message)
