"""The HTTP API with storage in memory: codes, parameters, CSV, settings, requests; and Graph is never called."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from api_caller import READER, Api
from api_caller import check_problem as _problem
from api_caller import read_json as _json
from meeting_values import NOW, TENANT, USER
from token_issuer import token

from mms_core import wiring
from mms_core.api import ApiRequest, answers
from mms_core.api.http import BODY_LIMIT
from mms_core.errors import TemporaryError
from mms_core.meetings import LedgerEntry, Original, meeting_key
from mms_core.messages import (
    ActivityContent,
    JobStep,
    LookAfterSubscriptions,
    Resolve,
    TenantEvent,
    UsersChanged,
    Wake,
    encode,
)
from mms_core.messages import decode as decode_message
from mms_core.model import RunId, State, UserKey, Verdict

NAME = "adele@contoso.example"
GRAPH_CALL = {
    "value": [
        {"subscriptionId": "subscription-1", "clientState": "state", "tenantId": TENANT, "resourceData": {"id": USER}}
    ]
}


@pytest.fixture
def api(monkeypatch):
    """A fresh app."""
    return Api(monkeypatch)


# -- who may ----------------------------------------------------------------------------------------------------------

ADMIN = [
    ("migrations", "GET", "read"),
    ("migrations", "POST", "operate"),
    ("migration", "GET", "read"),
    ("meetings", "GET", "read"),
    ("blocks", "GET", "read"),
    ("cancel", "POST", "operate"),
    ("retry", "POST", "operate"),
    ("retries", "POST", "operate"),
    ("undo", "POST", "operate"),
    ("config", "GET", "read"),
    ("config", "PATCH", "operate"),
]


@pytest.mark.parametrize(("name", "method", "needs"), ADMIN)
async def test_every_admin_route_is_closed_without_the_right_token(api, name, method, needs):
    """401 without or with a bad token, 403 without the role; reading does not allow operating."""
    handler, route = getattr(api.admin, name), {"userId": USER}
    for headers in ({}, {"Authorization": "Bearer abc"}, {"Authorization": f"Bearer {token(exp=1)}"}):
        response = await api.call(handler, method, roles=None, headers=headers, route=route, body=b"{}")
        _problem(response, 401, "Unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert _json(response)["detail"] == ""
    _problem(await api.call(handler, method, roles=[], route=route, body=b"{}"), 403, "Forbidden")
    response = await api.call(handler, method, roles=READER, route=route, body=b"{}")
    assert (response.status == 403) is (needs == "operate")


async def test_health_is_open_and_tells_little(api):
    """Whether storage answers, and nothing else."""
    response = await api.call(api.health.health, roles=None)
    assert (response.status, _json(response)) == (200, {"status": "ok"})


async def test_storage_that_is_down_is_a_503_with_retry_after(api, monkeypatch):
    """Worth another try, for health and for everybody."""

    async def down(*_):
        raise TemporaryError("details of ours", code="StorageUnavailable")

    monkeypatch.setattr(api.parts.documents, "get", down)
    response = await api.call(api.health.health, roles=None)
    assert _problem(response, 503, "StorageUnavailable")["detail"] == ""
    assert response.headers["Retry-After"] == "5"
    monkeypatch.setattr(api.queue, "send", down)
    _problem(await api.call(api.webhooks.notifications, "POST", roles=None, body=GRAPH_CALL), 503, "StorageUnavailable")


async def test_a_bug_is_a_500_that_tells_nothing(api, monkeypatch):
    """A reference to look up, never the exception's text."""

    async def bug(*_):
        raise KeyError("adele@contoso.example")

    monkeypatch.setattr(api.parts.users, "counts", bug)
    response = await api.migrations(query={"summaryOnly": "true"})
    document = _problem(response, 500, "InternalError")
    assert len(document["requestId"]) == 36
    assert b"adele" not in response.body


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(api):
    """4 MiB are the most, on every route."""
    body = b" " * (BODY_LIMIT + 1)
    _problem(await api.migrations(method="POST", body=body), 413, "BodyTooLarge")
    _problem(await api.call(api.webhooks.notifications, "POST", roles=None, body=body), 413, "BodyTooLarge")


# -- POST migrations ----------------------------------------------------------------------------------------------------


async def test_a_request_for_one_user_is_accepted(api):
    """202, one row, a queued wake-up at the due time."""
    (row,) = await api.start(identity=USER.upper(), targetMeetingType="Teams")
    assert row == {
        "identity": USER.upper(),
        "userId": USER,
        "correlationId": row["correlationId"],
        "status": "accepted",
    }
    ((at, message),) = api.queue.messages
    assert (at, type(message), message.user) == (NOW + timedelta(minutes=90), Wake, USER)
    (shown,) = await api.rows()
    assert (shown["CorrelationId"], shown["State"], shown["MigrationType"]) == (
        row["correlationId"],
        "Pending",
        "AllToTeams",
    )
    assert shown["NextAttempt"] == "2026-03-02T09:30:00.0000000Z"
    assert shown["Reasons"] == ["T10 Manual"]
    run = (await api.parts.users.read(UserKey(USER))).value.current
    assert run.actors == ("object-id",)


async def test_a_second_request_merges(api):
    """It says so, with the same correlation id."""
    (first,) = await api.start(identity=USER)
    (second,) = await api.start(identity=USER)
    assert (second["status"], second["correlationId"]) == ("merged", first["correlationId"])


async def test_a_name_is_resolved_later(api):
    """No user id yet; a step in the queue asks Graph."""
    (row,) = await api.start(identity=NAME)
    assert "userId" not in row
    assert {type(message) for _, message in api.queue.messages} == {Wake, Resolve}


async def test_a_bad_identity_refuses_its_own_row_only(api):
    """One result an identity, in order."""
    bad = [
        "",
        "   ",
        "adele",
        "a@b@c",
        "a b@c",
        "@contoso.example",
        "adele@",
        "../x@y",
        "x@y/z",
        "a\u0000@b",
        "x" * 330 + "@y",
        "x" * 5000 + "@y",
        "5-5-5",
    ]
    rows = await api.start(identities=[USER, *bad, NAME])
    assert [row["status"] for row in rows] == ["accepted", *["refused"] * len(bad), "accepted"]
    assert {row["code"] for row in rows if row["status"] == "refused"} == {"InvalidIdentity"}
    assert [row["identity"] for row in rows][1:-1] == bad
    rows = await api.start(identities=[{"identity": "x" * 5000}, {"identity": NAME, "priority": 1}])
    assert [row["status"] for row in rows] == ["refused", "merged"]


@pytest.mark.parametrize(
    "identity",
    [
        NAME,
        f" {NAME} ",
        f"sip:{NAME}",
        "guest_fabrikam.example#EXT#@contoso.example",
        "team#7@contoso.example",
        "o'brien@contoso.example",
        "müller@bücher.example",
    ],
)
async def test_names_of_every_kind_are_accepted(api, identity):
    """User principal names, guests' too, and SIP addresses."""
    assert (await api.start(identity=identity))[0]["status"] == "accepted"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "InvalidBody", "identity"),
        ({"identity": USER, "identities": [USER]}, "InvalidBody", "identity"),
        ({"identity": 5}, "InvalidBody", "identity"),
        ({"identity": "x" * 401}, "InvalidBody", "identity"),
        ({"identities": USER}, "InvalidBody", "identities"),
        ({"identities": [{"identity": USER, "priority": 10}]}, "InvalidBody", "identities[0].priority"),
        ({"identities": [USER, None]}, "InvalidBody", "identities[1]"),
        ({"identity": USER, "sourceMeetingType": "Zoom"}, "InvalidParameter", "sourceMeetingType"),
        ({"identity": USER, "targetMeetingType": "All"}, "InvalidParameter", "targetMeetingType"),
        ({"identity": USER, "targetMeetingType": "SkypeForBusiness"}, "UnsupportedTarget", "targetMeetingType"),
        ({"identity": USER, "settleMinutes": -1}, "InvalidBody", "settleMinutes"),
        ({"identity": USER, "settleMinutes": 10_081}, "InvalidBody", "settleMinutes"),
        ({"identity": USER, "settleMinutes": "5"}, "InvalidBody", "settleMinutes"),
        ({"identity": USER, "notBefore": "tomorrow"}, "InvalidBody", "notBefore"),
    ],
)
async def test_a_body_that_does_not_fit_names_the_field(api, body, code, field):
    """400, and nothing is queued."""
    _problem(await api.migrations(method="POST", body=body), 400, code, field)
    assert api.queue.messages == []


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"5", b"null", b'{"identity":"x","surprise":1}'])
async def test_a_body_of_another_shape_is_refused(api, body):
    """Unknown properties too: a typo must not be ignored."""
    response = await api.migrations(method="POST", body=body)
    assert (response.status, _json(response)["code"]) == (400, "InvalidBody")


async def test_source_and_target_are_read_in_any_case(api):
    """As PowerShell would."""
    await api.start(identity=USER, sourceMeetingType="sfb", targetMeetingType="TEAMS")
    assert [row["MigrationType"] for row in await api.rows()] == ["SfbToTeams"]


async def test_the_settling_time_of_a_request_is_its_own(api):
    """Zero is at once; fractions are allowed."""
    await api.start(identity=USER, settleMinutes=0)
    await api.start(identity="11118888-9999-4aaa-bbbb-ccccddddeeee", settleMinutes=0.5)
    assert sorted(at - NOW for at, _ in api.queue.messages) == [timedelta(0), timedelta(seconds=30)]


@pytest.mark.parametrize("text", ["2026-03-05T08:00:00Z", "2026-03-05T09:00:00+01:00", "2026-03-05T08:00:00"])
async def test_not_before_is_an_instant(api, text):
    """Without an offset it is UTC."""
    await api.start(identity=USER, notBefore=text, settleMinutes=0)
    assert api.queue.messages[0][0] == NOW + timedelta(days=3)


async def test_switched_off_every_row_is_refused(api):
    """N7, with its code."""
    await api.call(api.admin.config, "PATCH", body={"MeetingMigrationEnabled": False})
    rows = await api.start(identities=[USER, NAME])
    assert {(row["status"], row["code"]) for row in rows} == {("refused", "MigrationDisabled")}
    assert api.queue.messages == []


# -- GET migrations -------------------------------------------------------------------------------------------------------


def _id(number):
    return f"{number:08d}-0000-4000-8000-000000000000"


async def _several(api, count=5):
    for number in range(count):
        api.clock.at = NOW + timedelta(minutes=number)
        await api.start(identity=_id(number))


async def test_pages_lead_through_all_runs(api):
    """Newest first, each once."""
    await _several(api)
    seen, continuation = [], None
    while True:
        query = {"top": "2", **({"continuationToken": continuation} if continuation else {})}
        document = _json(await api.migrations(query=query))
        seen += [row["UserId"] for row in document["value"]]
        continuation = document["continuationToken"]
        if continuation is None:
            break
    assert seen == [_id(number) for number in (4, 3, 2, 1, 0)]


async def test_lists_can_be_narrowed(api):
    """By state, kind, time and user; states in any case, the end exclusive."""
    await _several(api)
    await api.call(api.admin.cancel, "POST", route={"userId": _id(1)})
    assert [row["UserId"] for row in await api.rows(state="cancelled")] == [_id(1)]
    assert len(await api.rows(state="Pending")) == 4
    assert len(await api.rows(migrationType="ToSameType")) == 5
    assert await api.rows(migrationType="SfbToTeams") == []
    inside = await api.rows(startTime="2026-03-02T08:01:00Z", endTime="2026-03-02T08:03:00Z")
    assert [row["UserId"] for row in inside] == [_id(2), _id(1)]
    assert len(await api.rows(startTime="2026-03-02T09:03:00 01:00")) == 2
    assert [row["State"] for row in await api.rows(identity=_id(1))] == ["Cancelled"]
    assert await api.rows(identity=_id(1), state="Pending") == []
    assert await api.rows(identity=_id(99)) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"surprise": "1"}, "surprise"),
        ({"state": "Finished"}, "state"),
        ({"migrationType": "sfbtoteams"}, "migrationType"),
        ({"top": "0"}, "top"),
        ({"top": "1001"}, "top"),
        ({"top": "-5"}, "top"),
        ({"top": "ten"}, "top"),
        ({"top": "٣"}, "top"),
        ({"top": "9" * 5000}, "top"),
        ({"top": "1" + "0" * 6}, "top"),
        ({"startTime": "yesterday"}, "startTime"),
        ({"endTime": "0001-01-01T00:00:00+23:59"}, "endTime"),
        ({"endTime": "2026-13-01"}, "endTime"),
        ({"summaryOnly": "yes"}, "summaryOnly"),
        ({"summaryOnly": "true", "summaryBy": "mood"}, "summaryBy"),
        ({"orderBy": "due"}, "orderBy"),
        ({"orderBy": "due", "state": "Pending", "startTime": "2026-01-01"}, "orderBy"),
        ({"continuationToken": "nonsense"}, "continuationToken"),
        ({"identity": "nobody"}, "identity"),
    ],
)
async def test_a_bad_parameter_is_named(api, query, field):
    """400; an unknown one is not ignored."""
    response = await api.migrations(query=query)
    assert response.status == 400, response.body
    assert _json(response)["field"] == field


async def test_the_summary_counts_users_by_state(api):
    """As -SummaryOnly prints it."""
    await _several(api, 3)
    await api.call(api.admin.cancel, "POST", route={"userId": _id(1)})
    assert await api.rows(summaryOnly="true") == [
        {"State": "Pending", "UserCount": 2},
        {"State": "InProgress", "UserCount": 0},
        {"State": "Failed", "UserCount": 0},
        {"State": "Succeeded", "UserCount": 0},
        {"State": "Cancelled", "UserCount": 1},
    ]
    assert len(await api.rows(summaryOnly="false")) == 3


async def test_the_summary_counts_runs_by_day_and_failures_by_code(api):
    """Without one run being listed; nobody has failed yet, and nothing is done."""
    await _several(api, 3)
    await api.call(api.admin.cancel, "POST", route={"userId": _id(1)})
    day = api.clock.now().date().isoformat()
    assert await api.rows(summaryOnly="true", summaryBy="day") == [
        {"Date": day, "State": "Pending", "RunCount": 2},
        {"Date": day, "State": "Cancelled", "RunCount": 1},
    ]
    assert await api.rows(summaryOnly="true", summaryBy="code") == []
    assert await api.rows(summaryOnly="true", summaryBy="duration") == []
    response = await api.migrations(query={"summaryOnly": "true", "summaryBy": "day"}, headers={"Accept": "text/csv"})
    assert response.body.decode().splitlines() == ["Date,State,RunCount", f"{day},Pending,2", f"{day},Cancelled,1"]
    api.clock.advance(timedelta(days=15))
    assert await api.rows(summaryOnly="true", summaryBy="day") == []


async def test_a_group_of_failures_is_ordered_by_its_code(api):
    """The answer says how many users there are; the same key repeats it, and a code is needed."""
    await api.start(identities=[_id(1), _id(2)])
    for number in (1, 2):
        stored = await api.parts.users.read(_id(number))
        failed = replace(stored.value.current, state=State.FAILED, code="MailboxMissing")
        await api.parts.users.save(replace(stored.value, current=failed), stored)
    (row,) = await api.rows(summaryOnly="true", summaryBy="code")
    assert (row["Code"], row["UserCount"]) == ("MailboxMissing", 2)
    assert row["LastMessage"].startswith("W2 MailboxMissing: ")
    headers = {"Idempotency-Key": "once"}
    for _ in range(2):
        response = await api.call(api.admin.retries, "POST", body={"code": "MailboxMissing"}, headers=headers)
        assert (response.status, _json(response)) == (202, {"Code": "MailboxMissing", "UserCount": 2})
    assert len([each for _, each in api.queue.messages if isinstance(each, JobStep)]) == 1
    _problem(await api.call(api.admin.retries, "POST", body={}), 400, "InvalidBody", "code")


async def test_messages_that_failed_for_good_are_listed_until_they_are_put_back(api):
    """Each with what to do and its id, and nothing of what it says."""
    at = api.clock.now()
    for number, more in enumerate(({}, {"replayedAt": at.isoformat()}, {})):
        text = ("surely private", "", encode(LookAfterSubscriptions()))[number]
        kept = {"id": f"k{number}", "at": at.isoformat(), "text": text, **more}
        await api.parts.documents.put("poison", kept["id"], kept)
    rows = await api.rows(summaryOnly="true", summaryBy="message")
    assert [(row["MessageId"], row["Kind"], row["State"], row["Code"]) for row in rows] == [
        ("k0", "unknown", "Failed", "PoisonedMessage"),
        ("k2", "LookAfterSubscriptions", "Failed", "PoisonedMessage"),
    ]
    assert "(message k0) Remedy:" in rows[0]["LastMessage"]
    assert rows[0]["CreateDate"].startswith(at.date().isoformat())
    assert "private" not in str(rows)


async def test_messages_behind_a_thousand_that_were_put_back_are_listed_a_page_at_a_time(api):
    """One answer looks at so many, and its token leads to the others."""
    at = api.clock.now().isoformat()
    for number in range(1250):
        more = {"replayedAt": at} if number < 1050 else {}
        await api.parts.documents.put(
            "poison", f"k{number:04d}", {"id": f"k{number:04d}", "at": at, "text": "", **more}
        )
    query = {"summaryOnly": "true", "summaryBy": "message", "top": "150"}
    sizes, found, token = [], [], {}
    while not sizes or token:
        page = _json(await api.migrations(query=query | token))
        sizes.append(len(page["value"]))
        found += [row["MessageId"] for row in page["value"]]
        token = {"continuationToken": page["continuationToken"]} if page["continuationToken"] else {}
    assert (sizes, found) == ([0, 150, 50], [f"k{number:04d}" for number in range(1050, 1250)])


async def test_lists_come_as_csv_on_request(api):
    """The 13 fields first; the token for the next page is a header."""
    await _several(api, 3)
    response = await api.migrations(query={"top": "2"}, headers={"Accept": "text/csv"})
    assert response.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.body.decode(), newline="")))
    assert list(rows[0])[:3] == ["CorrelationId", "CreateDate", "FailedMeeting"]
    assert [row["UserId"] for row in rows] == [_id(2), _id(1)]
    more = await api.migrations(query={"continuationToken": response.headers["X-Continuation-Token"]})
    assert [row["UserId"] for row in _json(more)["value"]] == [_id(0)]
    summary = await api.migrations(query={"summaryOnly": "true"}, headers={"Accept": "text/csv"})
    assert summary.body.decode().splitlines()[:2] == ["State,UserCount", "Pending,3"]


# -- one user ---------------------------------------------------------------------------------------------------------------


async def test_one_user_is_shown_and_ordered_about(api):
    """Status, cancel, retry; a late click is a 409."""
    route = {"userId": USER}
    for handler, method in (
        (api.admin.migration, "GET"),
        (api.admin.meetings, "GET"),
        (api.admin.cancel, "POST"),
        (api.admin.retry, "POST"),
        (api.admin.undo, "POST"),
    ):
        _problem(await api.call(handler, method, route=route), 404, "NotFound")
    await api.start(identity=USER)
    assert _json(await api.call(api.admin.migration, route=route))["State"] == "Pending"
    assert _json(await api.call(api.admin.meetings, route=route)) == {"value": []}
    _problem(await api.call(api.admin.retry, "POST", route=route), 409, "InvalidState")
    response = await api.call(api.admin.cancel, "POST", route=route)
    assert (response.status, _json(response)["State"]) == (202, "Cancelled")
    _problem(await api.call(api.admin.cancel, "POST", route=route), 409, "InvalidState")
    response = await api.call(api.admin.retry, "POST", route=route)
    assert (response.status, _json(response)["State"]) == (202, "Pending")


async def test_a_route_with_a_bad_identity_is_a_400(api):
    """Before storage is asked."""
    _problem(await api.call(api.admin.migration, route={"userId": "no one"}), 400, "InvalidIdentity", "identity")


async def test_meetings_are_listed_by_start_without_intents(api):
    """An intent lasts for one write; as CSV too."""
    await api.start(identity=USER)
    for number, verdict in ((2, Verdict.MIGRATED), (1, Verdict.SKIPPED), (3, Verdict.WRITING)):
        entry = LedgerEntry(
            key=f"m{number}", run_id=RunId("r"), event_id=f"=event{number}", ical_uid="", subject="", verdict=verdict,
            start_at=NOW + timedelta(days=number), updated_at=NOW,
        )  # fmt: skip
        await api.parts.ledger.put(UserKey(USER), entry)
    rows = _json(await api.call(api.admin.meetings, route={"userId": USER}))["value"]
    assert [(row["eventId"], row["verdict"]) for row in rows] == [("=event1", "skipped"), ("=event2", "migrated")]
    response = await api.call(api.admin.meetings, route={"userId": USER}, headers={"accept": "text/csv"})
    assert [row["eventId"] for row in csv.DictReader(io.StringIO(response.body.decode(), newline=""))] == [
        "'=event1",
        "'=event2",
    ]


async def test_a_meeting_is_shown_with_its_blocks(api):
    """As they stood in the invitation; nothing where nothing is kept, 404 where nothing is noted."""
    await api.start(identity=USER)

    async def shown(event_id):
        return await api.call(api.admin.blocks, route={"userId": USER}, query={"eventId": event_id})

    _problem(await shown("event"), 404, "NotFound")
    _problem(await api.call(api.admin.blocks, route={"userId": USER}), 400, "InvalidParameter", "eventId")
    entry = LedgerEntry(
        key=meeting_key("event"), run_id=RunId("r"), event_id="event", ical_uid="", subject="", start_at=NOW,
        verdict=Verdict.MIGRATED, updated_at=NOW,
    )  # fmt: skip
    await api.parts.ledger.put(UserKey(USER), entry)
    row = _json(await shown("event"))
    assert [row[name] for name in ("verdict", "contentType", "oldBlock", "newBlock")] == ["migrated", None, None, None]
    original = Original(
        key=entry.key, run_id=RunId("r"), event_id="event", body="no block", content_type="HTML", locations_json="[]",
        written_block="<p>half an emoji: \ud83d</p>", kept_at=NOW,
    )  # fmt: skip
    await api.parts.ledger.put(UserKey(USER), entry, original)
    row = _json(await shown("event"))
    assert [row[name] for name in ("contentType", "oldBlock", "newBlock")] == [
        "html", None, "<p>half an emoji: \ufffd</p>",
    ]  # fmt: skip
    msgspec.convert(row, type=answers.MeetingBlocks)
    await api.parts.ledger.put(UserKey(USER), replace(entry, verdict=Verdict.WRITING))
    _problem(await shown("event"), 404, "NotFound")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "retry", "sourceMeetingType": "SfB"}, "sourceMeetingType"),
        ({"action": "undo", "targetMeetingType": "Teams"}, "targetMeetingType"),
        ({"action": "undo", "validateOnly": True}, "validateOnly"),
        ({"action": "undo", "meetings": {"subject": "x"}}, "meetings"),
        ({"action": "retry", "meetings": {"eventIds": ["x"]}}, "meetings"),
        ({"action": "destroy"}, "action"),
    ],
)
async def test_a_plan_of_an_order_takes_only_what_the_order_takes(api, body, field):
    """Refused, and never silently left out."""
    await api.start(identity=USER)
    response = await api.call(api.admin.previews, "POST", body={"identity": USER, **body})
    _problem(response, 400, "InvalidParameter", field)


async def test_a_plan_of_an_order_for_somebody_unknown_is_a_404_and_too_early_a_409(api):
    """As the order itself."""
    for action in ("retry", "undo"):
        body = {"identity": USER, "action": action}
        _problem(await api.call(api.admin.previews, "POST", body=body), 404, "NotFound")
    await api.start(identity=USER)
    response = await api.call(api.admin.previews, "POST", body={"identity": USER, "action": "retry"})
    _problem(response, 409, "InvalidState")
    response = await api.call(
        api.admin.previews, "POST", body={"identity": USER, "action": "undo", "meetings": {"eventIds": ["x"]}}
    )
    assert response.status == 202
    made = _json(response)["id"]
    shown = _json(await api.call(api.admin.preview, route={"id": made}, query={"summaryOnly": "true"}, roles=READER))
    assert (shown["state"], shown["action"], shown["mailTo"], shown["meetings"]) == ("pending", "undo", [], [])
    msgspec.convert(shown, type=answers.PreviewDocument)


@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}"])
async def test_undo_needs_no_body(api, body):
    """All meetings then; nothing kept is a 404."""
    await api.start(identity=USER)
    _problem(await api.call(api.admin.undo, "POST", route={"userId": USER}, body=body), 404, "NotFound")


@pytest.mark.parametrize(
    "body", [{"eventIds": []}, {"eventIds": "x"}, {"eventIds": [1]}, {"eventIds": ["x"] * 1001}, {"surprise": 1}, []]
)
async def test_an_undo_with_a_bad_body_is_refused(api, body):
    """It must not become an undo of everything."""
    response = await api.call(api.admin.undo, "POST", route={"userId": USER}, body=body)
    assert (response.status, _json(response)["code"]) == (400, "InvalidBody")


async def test_an_undo_whose_body_the_host_dropped_is_refused(api):
    """The host hands on no body without Content-Length: which meetings it named is not known."""
    await api.start(identity=USER)
    headers = {"Transfer-Encoding": "chunked"}
    response = await api.call(api.admin.undo, "POST", route={"userId": USER}, headers=headers)
    assert (response.status, _json(response)["code"]) == (400, "InvalidBody")
    assert "Content-Length" in _json(response)["detail"]


# -- config --------------------------------------------------------------------------------------------------------------------


async def test_settings_are_read_changed_and_fenced_by_their_etag(api):
    """If-Match with an old version is a 412, with the current one a new version."""
    first = await api.call(api.admin.config, roles=READER)
    assert _json(first)["SettleMinutes"] == 90
    second = await api.call(
        api.admin.config, "PATCH", body={"SettleMinutes": 5}, headers={"If-Match": first.headers["ETag"]}
    )
    assert (second.status, _json(second)["SettleMinutes"]) == (200, 5)
    assert second.headers["ETag"] != first.headers["ETag"]
    for stale in (first.headers["ETag"], '"zz"', "nonsense", f"W/{first.headers['ETag']}"):
        response = await api.call(api.admin.config, "PATCH", body={"SettleMinutes": 7}, headers={"If-Match": stale})
        _problem(response, 412, "PreconditionFailed")
    third = await api.call(
        api.admin.config, "PATCH", body={"SettleMinutes": 6}, headers={"If-Match": second.headers["ETag"]}
    )
    assert _json(third)["SettleMinutes"] == 6
    assert _json(await api.call(api.admin.config)) == _json(third)


@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}])
async def test_without_a_version_the_last_writer_wins(api, headers):
    """Each change is kept, with who made it."""
    for minutes in (1, 2):
        await api.call(api.admin.config, "PATCH", body={"SettleMinutes": minutes}, headers=headers)
    changes = await api.parts.documents.list("configChange")
    assert [(each["actor"], each["changes"]) for each in changes] == [
        ("object-id", {"SettleMinutes": n}) for n in (1, 2)
    ]


async def test_changes_at_the_same_moment_without_a_version_all_stand(api, monkeypatch):
    """Nobody who read no version is told that it has changed."""
    put = api.parts.documents.put

    async def slow(*args, **more):
        await asyncio.sleep(0)
        return await put(*args, **more)

    monkeypatch.setattr(api.parts.documents, "put", slow)
    names = [f"TriggerT{number}DelayMinutes" for number in range(1, 9)]
    answers = await asyncio.gather(
        *(api.call(api.admin.config, "PATCH", body={name: number}) for number, name in enumerate(names))
    )
    assert [answer.status for answer in answers] == [200] * 8
    settings = _json(await api.call(api.admin.config))
    assert [settings[name] for name in names] == list(range(8))


@pytest.mark.parametrize("version", ['"00"', "nonsense"])
async def test_a_bad_change_is_a_bad_change_whatever_its_version(api, version):
    """Bodies are looked at before If-Match."""
    response = await api.call(api.admin.config, "PATCH", body={"SettleMinutes": -1}, headers={"If-Match": version})
    _problem(response, 400, "InvalidBody", "SettleMinutes")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"Invented": 1}, "UnknownSetting", "Invented"),
        ({"SettleMinutes": "5"}, "InvalidBody", "SettleMinutes"),
        ({"SettleMinutes": 99999}, "InvalidBody", "SettleMinutes"),
        ([], "InvalidBody", None),
        (b"", "InvalidBody", None),
    ],
)
async def test_a_bad_change_changes_nothing(api, body, code, field):
    """And names the setting."""
    response = await api.call(api.admin.config, "PATCH", body=body)
    assert (response.status, _json(response)["code"]) == (400, code)
    if field is not None:
        assert _json(response)["field"] == field
    assert await api.parts.documents.list("configChange") == []


# -- webhooks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["notifications", "lifecycle"])
async def test_the_handshake_repeats_the_token_as_plain_text(api, name):
    """Decoded, never as HTML; it is a stranger's text."""
    text = "Validation: Testing <script>alert(1)</script> ü&+"
    response = await api.call(getattr(api.webhooks, name), "POST", roles=None, query={"validationToken": text})
    assert (response.status, response.body.decode()) == (200, text)
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert api.queue.messages == []


@pytest.mark.parametrize(("length", "status"), [(0, 400), (1, 200), (2048, 200), (2049, 400)])
async def test_the_handshake_repeats_no_more_than_a_token(api, length, status):
    """Nobody has us send whatever they like for as long as they like."""
    answer = await api.call(api.webhooks.notifications, "POST", roles=None, query={"validationToken": "x" * length})
    assert answer.status == status


async def test_notifications_are_answered_after_they_are_queued(api):
    """202, one message a batch."""
    await api.parts.documents.put("subscription", "users", {"id": "subscription-1"})
    response = await api.call(api.webhooks.notifications, "POST", roles=None, body=GRAPH_CALL)
    assert (response.status, response.body) == (202, b"")
    ((_, message),) = api.queue.messages
    assert (type(message), message.users) == (UsersChanged, (USER,))


async def test_a_stranger_gets_the_same_answer_and_causes_nothing(api):
    """202: whoever guesses learns nothing."""
    body = {"value": [{"clientState": "guess", "resourceData": {"id": USER}}]}
    response = await api.call(api.webhooks.notifications, "POST", roles=None, body=body)
    assert response.status == 202
    assert api.queue.messages == []
    _problem(await api.call(api.webhooks.notifications, "POST", roles=None, body=b"x"), 400, "InvalidBody")


async def test_a_lifecycle_event_has_the_subscriptions_looked_after(api):
    """Soon, not by the next timer, and what was missed is looked for; a stranger's does not."""
    body = {"value": [{"clientState": "state", "lifecycleEvent": "missed"}]}
    assert (await api.call(api.webhooks.lifecycle, "POST", roles=None, body=body)).status == 202
    assert [type(message) for _, message in api.queue.messages] == [JobStep, LookAfterSubscriptions]
    body["value"][0]["clientState"] = "guess"
    assert (await api.call(api.webhooks.lifecycle, "POST", roles=None, body=body)).status == 202
    assert len(api.queue.messages) == 2
    body["value"][0] |= {"clientState": "state", "lifecycleEvent": "reauthorizationRequired"}
    assert (await api.call(api.webhooks.lifecycle, "POST", roles=None, body=body)).status == 202
    assert [message for _, message in api.queue.messages[2:]] == [LookAfterSubscriptions(renews=True)]


def _cloud_event(number=1, **more):
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "script",
        "type": "mms.user.moved",
        "data": {"user": NAME, "direction": "toCloud"},
        **more,
    }


async def test_events_are_queued_with_who_sent_them(api):
    """A token with the operator's role."""
    headers = {"Content-Type": "application/cloudevents+json"}
    response = await api.call(api.webhooks.events, "POST", body=_cloud_event(), headers=headers)
    assert (response.status, _json(response)) == (202, {"value": [{"id": "1", "status": "accepted"}]})
    ((_, message),) = api.queue.messages
    assert (type(message), message.event_id, message.actor) == (TenantEvent, "script|1", "object-id")
    for roles, status in ((None, 401), (READER, 403)):
        assert (
            await api.call(api.webhooks.events, "POST", roles=roles, body=_cloud_event(), headers=headers)
        ).status == status


async def test_one_bad_event_in_a_batch_is_refused_alone(api):
    """Row by row, with code and field; a single bad one is a 400."""
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    grid = _cloud_event(3, type="Microsoft.Graph.UserUpdated", data={"resourceData": {"id": USER}})
    body = [_cloud_event(1), _cloud_event(2, type="mms.invented"), grid]
    response = await api.call(api.webhooks.events, "POST", body=body, headers=headers)
    assert response.status == 202
    assert _json(response)["value"] == [
        {"id": "1", "status": "accepted"},
        {"id": "2", "status": "refused", "code": "InvalidBody", "field": "type"},
        {"id": "3", "status": "accepted"},
    ]
    ((_, batch),) = api.queue.messages
    assert {type(decode_message(text)) for text in batch.texts} == {TenantEvent, UsersChanged}
    _problem(await api.call(api.webhooks.events, "POST", body=[body[1]], headers=headers), 400, "InvalidBody", "type")


async def test_abuse_protection_says_yes_to_whoever_asks(api):
    """CloudEvents webhook handshake: an open OPTIONS, the POST still needs its proof."""
    origin = "eventemitter.example.com"
    response = await api.call(api.webhooks.events, "OPTIONS", roles=None, headers={"WebHook-Request-Origin": origin})
    assert response.status == 200
    assert response.headers["WebHook-Allowed-Origin"] == origin
    assert "POST" in response.headers["Allow"]
    plain = await api.call(
        api.webhooks.events, "OPTIONS", roles=None, headers={"WebHook-Request-Origin": "a\r\nSet-Cookie: b"}
    )
    assert "WebHook-Allowed-Origin" not in plain.headers


async def test_the_activity_feed_is_validated_and_heard(api):
    """With its secret only; addresses of our feed only."""
    auth = {"Webhook-AuthID": "auth"}
    validation = await api.call(
        api.webhooks.activity,
        "POST",
        roles=None,
        headers={**auth, "Webhook-ValidationCode": "c"},
        body={"validationCode": "c"},
    )
    assert validation.status == 200
    content = [{"contentUri": f"https://manage.example/api/v1.0/{TENANT}/activity/feed/audit/1", "tenantId": TENANT}]
    assert (await api.call(api.webhooks.activity, "POST", roles=None, headers=auth, body=content)).status == 200
    ((_, message),) = api.queue.messages
    assert (type(message), message.uris) == (ActivityContent, (content[0]["contentUri"],))
    for headers in ({}, {"Webhook-AuthID": "guess"}):
        _problem(
            await api.call(api.webhooks.activity, "POST", roles=None, headers=headers, body=content),
            401,
            "Unauthorized",
        )


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/api/1",
        "https://manage.example.evil/api/1",
        "http://manage.example/api/1",
        "file:///etc/passwd",
    ],
)
async def test_a_content_address_of_another_host_is_refused(api, uri):
    """Our token must not go there."""
    response = await api.call(
        api.webhooks.activity, "POST", roles=None, headers={"Webhook-AuthID": "auth"}, body=[{"contentUri": uri}]
    )
    _problem(response, 400, "InvalidBody", "contentUri")
    assert api.queue.messages == []


def test_requests_have_their_headers_in_lower_case():
    """Whatever the host passes."""
    request = wiring.api_request(method="post", route={}, query={}, headers={"X-A": "1"}, body=b"")
    assert request == ApiRequest(method="POST", headers={"x-a": "1"})
    assert State.PENDING == "Pending"
