"""Graph's JSON as far as we read it: unknown members, missing properties, odd forms."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import msgspec
import pytest

from mms_core.adapters.graph.wire import (
    EXPAND_PROPERTIES,
    PROPERTY_NAMES,
    SELECT,
    WireEvent,
    WireEvents,
    WireMeeting,
    WireSubscriptions,
    WireTime,
    WireUser,
    cancelled_dates,
    property_id,
)
from mms_core.errors import TemporaryError
from mms_core.jsontext import dumps, loads, without_surrogates
from mms_core.meetings import Recurrence
from mms_core.planning import SKYPE_PROPERTIES


def _event(**more):
    return msgspec.json.decode(json.dumps({"id": "AAMk/=", **more}), type=WireEvent)


def _time(text, zone="UTC"):
    return WireTime(date_time=text, time_zone=zone).instant()


def test_an_event_with_nothing_but_its_id_can_be_read():
    """Graph leaves out what was not selected, and sends null for what is empty."""
    for wire in (
        _event(),
        _event(
            **dict.fromkeys(
                (
                    "subject",
                    "type",
                    "start",
                    "body",
                    "attendees",
                    "locations",
                    "isOrganizer",
                    "recurrence",
                    "onlineMeeting",
                    "organizer",
                    "singleValueExtendedProperties",
                    "iCalUId",
                )
            )
        ),
        _event(
            body=dict.fromkeys(("content", "contentType")),
            start=dict.fromkeys(("dateTime", "timeZone")),
        ),
    ):
        facts = wire.facts()
        assert (facts.event_id, facts.etag, facts.kind, facts.subject, facts.body) == (
            "AAMk/=",
            "",
            "singleInstance",
            "",
            "",
        )
        assert (facts.start_at, facts.end_at, facts.is_organizer, facts.attendees, facts.properties) == (
            None,
            None,
            False,
            (),
            {},
        )
        assert (facts.recurrence, facts.join_url, facts.organizer_address) == (None, None, "")


def test_a_whole_event_becomes_facts():
    """As Graph documents it."""
    facts = _event(
        **{
            "@odata.etag": 'W/"abc"',
            "iCalUId": "uid",
            "subject": "Review",
            "type": "seriesMaster",
            "start": {"dateTime": "2026-03-09T08:00:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": "2026-03-09T09:00:00.0000000", "timeZone": "UTC"},
            "isOrganizer": True,
            "organizer": {"emailAddress": {"name": "Adele", "address": "Adele@Contoso.example"}},
            "isCancelled": False,
            "body": {"contentType": "HTML", "content": "<p>\r\n</p>"},
            "attendees": [
                {
                    "type": "resource",
                    "emailAddress": {"address": "Room@Contoso.example"},
                    "status": {"response": "accepted", "time": "x"},
                },
                {"emailAddress": {"name": "no address"}},
                {},
            ],
            "locations": [{"displayName": "Skype Meeting", "unknown": {"kept": 1}}],
            "isOnlineMeeting": True,
            "onlineMeeting": {"joinUrl": "https://teams.example"},
            "onlineMeetingProvider": "teamsForBusiness",
            "newProperty": {"of": "next year"},
        }
    ).facts()
    assert (facts.etag, facts.ical_uid, facts.series_uid, facts.kind) == ('W/"abc"', "uid", "uid", "seriesMaster")
    assert facts.start_at == datetime(2026, 3, 9, 8, 0, tzinfo=UTC)
    assert (facts.organizer_address, facts.content_type, facts.body) == ("adele@contoso.example", "html", "<p>\r\n</p>")
    assert [(each.address, each.kind, each.response) for each in facts.attendees] == [
        ("room@contoso.example", "resource", "accepted"),
        ("", "required", "none"),
        ("", "required", "none"),
    ]
    assert facts.locations == ({"displayName": "Skype Meeting", "unknown": {"kept": 1}},)
    assert (facts.is_online, facts.join_url, facts.provider) == (True, "https://teams.example", "teamsForBusiness")


@pytest.mark.parametrize("field", ["type", "onlineMeetingProvider"])
def test_enum_members_of_tomorrow_are_read_as_text(field):
    """UnknownFutureValue must not stop a mailbox."""
    assert (
        _event(**{field: "unknownFutureValue", "body": {"contentType": "markdown", "content": "x"}})
        .facts()
        .content_type
        == "markdown"
    )


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("2026-03-09T08:00:00.1234567", 123456),
        ("2026-03-09T08:00:00.0000000", 0),
        ("2026-03-09T08:00:00.123", 123000),
        ("2026-03-09T08:00:00", 0),
        ("2026-03-09T08:00:00Z", 0),
        ("2026-03-09T08:00:00.1234567Z", 123456),
    ],
)
def test_times_have_up_to_seven_decimals(text, micro):
    """And no offset."""
    assert _time(text) == datetime(2026, 3, 9, 8, 0, 0, micro, tzinfo=UTC)


def test_times_in_a_named_zone_become_utc():
    """We ask for UTC, but original zones come in some answers."""
    assert _time("2026-07-01T10:00:00", "Europe/Berlin") == datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
    assert _time("") is None


@pytest.mark.parametrize(
    ("text", "zone"),
    [("nonsense", "UTC"), ("2026-03-09T08:00:00", "tzone://Microsoft/Custom"), ("2026-02-30T08:00:00", "UTC")],
)
def test_a_time_that_cannot_be_read_is_worth_another_try(text, zone):
    """Never guessed: a wrong instant could mean a mail."""
    with pytest.raises(TemporaryError):
        _time(text, zone)


def test_properties_are_known_by_name_whatever_the_case_of_their_guid():
    """Graph sends the GUID back in lower case; empty values count as absent."""
    wire = _event(
        singleValueExtendedProperties=[
            {"id": "String {00020329-0000-0000-c000-000000000046} Name OnlineMeetingConfLink", "value": "conf:sip:a"},
            {"id": "String {00020329-0000-0000-C000-000000000046} Name UCCapabilities", "value": ""},
            {"id": "String {00020329-0000-0000-c000-000000000046} Name UCInband"},
            {"id": "String {00020329-0000-0000-c000-000000000046} Name Skype Name With Blanks", "value": "x"},
        ]
    )
    assert wire.facts().properties == {"OnlineMeetingConfLink": "conf:sip:a", "Skype Name With Blanks": "x"}


def test_every_property_that_a_migration_blanks_is_asked_for():
    """What is not read could not be put back by undo."""
    assert set(SKYPE_PROPERTIES) <= set(PROPERTY_NAMES)
    assert {"SkypeTeamsMeetingUrl", "SkypeTeamsProperties", "MmsRun"} <= set(PROPERTY_NAMES)
    assert all(property_id(name) in EXPAND_PROPERTIES for name in PROPERTY_NAMES)
    assert property_id("MmsRun") != property_id("Run").replace("Run", "MmsRun")
    assert {"body", "attendees", "locations", "isOrganizer", "recurrence"} <= set(SELECT)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"range": {"type": "noEnd", "startDate": "2026-01-01", "endDate": "0001-01-01"}},
            Recurrence(kind="noEnd", start_date=date(2026, 1, 1)),
        ),
        (
            {
                "pattern": {"type": "weekly", "interval": 2, "daysOfWeek": ["monday", "friday"]},
                "range": {
                    "type": "endDate",
                    "startDate": "2026-01-01",
                    "endDate": "2026-06-30",
                    "recurrenceTimeZone": "W. Europe Standard Time",
                },
            },
            Recurrence(
                kind="endDate",
                start_date=date(2026, 1, 1),
                end_date=date(2026, 6, 30),
                zone="W. Europe Standard Time",
                pattern="weekly",
                interval=2,
                days_a_week=2,
            ),
        ),
        (
            {
                "pattern": {"type": "daily", "interval": 1},
                "range": {
                    "type": "numbered",
                    "startDate": "2026-01-01",
                    "endDate": "0001-01-01",
                    "numberOfOccurrences": 10,
                },
            },
            Recurrence(kind="numbered", start_date=date(2026, 1, 1), count=10),
        ),
        ({}, Recurrence(kind="noEnd")),
        (
            {"pattern": {"type": "unknownFutureValue", "interval": 0}, "range": {"type": "noEnd"}},
            Recurrence(kind="noEnd", pattern="unknownFutureValue"),
        ),
    ],
)
def test_recurrences_are_read_as_far_as_their_end_is_concerned(given, expected):
    """0001-01-01 is Graph's way to say that there is none."""
    assert _event(recurrence=given).facts().recurrence == expected


def test_cancelled_occurrences_are_dates():
    """A form that we do not know sends us to the calendar itself."""
    wire = _event(cancelledOccurrences=["OID.AAMk.2026-03-09", "something else"])
    assert cancelled_dates(wire) == (date(2026, 3, 9), date.max)
    assert cancelled_dates(_event()) == ()


def test_pages_users_meetings_and_subscriptions_tolerate_what_is_missing():
    """As answers differ by licence and version."""
    page = msgspec.json.decode(b'{"value":[],"@odata.nextLink":"https://graph.example/next"}', type=WireEvents)
    assert page.next_link == "https://graph.example/next"
    assert msgspec.json.decode(b'{"value":[]}', type=WireSubscriptions).next_link is None
    user = msgspec.json.decode(
        b'{"id":"U","assignedPlans":[{"servicePlanId":null,"capabilityStatus":"LockedOut"},{"assignedDateTime":"2026-03-02T08:00:00Z"}]}',
        type=WireUser,
    )
    assert len(user.assigned_plans) == 2
    meeting = msgspec.json.decode(b'{"id":"M","joinInformation":null,"chatInfo":{"threadId":"19:x"}}', type=WireMeeting)
    assert (meeting.join_web_url, meeting.chat_info.thread_id) == (None, "19:x")


# -- half an emoji -------------------------------------------------------------------------------------------------------


def test_json_with_half_an_emoji_can_be_read_and_written():
    """Exchange cuts strings between surrogates; UTF-8 cannot carry the halves, JSON's escapes can."""
    content = b'{"id":"1","subject":"cut \\ud83d","body":{"contentType":"html","content":"<p>\\udc4b</p>"}}'
    facts = loads(content, WireEvent).facts()
    assert facts.body == "<p>\udc4b</p>"
    assert json.loads(dumps({"content": facts.body})) == {"content": "<p>\udc4b</p>"}
    assert facts.subject.encode()  # shown in lists: no halves there


def test_plain_json_is_unchanged():
    """The rare case costs the common one nothing."""
    assert dumps({"a": "👋", "b": [1, None]}) == '{"a":"👋","b":[1,null]}'.encode()
    assert loads(b'{"id":"1","subject":"\\ud83d\\udc4b"}', WireEvent).subject == "👋"
    assert without_surrogates("a\ud83db\ud83d\udc4b") == "a\ufffdb👋"


@pytest.mark.parametrize(
    "content", [b"", b"not json", b'{"id":', b'{"id":5}', b'{"id":"1","subject":"\\ud83d"', b"[" * 100_000]
)
def test_what_is_not_json_stays_an_error(content):
    """Of the one kind that callers expect."""
    with pytest.raises(msgspec.MsgspecError):
        loads(content, WireEvent)
