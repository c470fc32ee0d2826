"""What operators ask and order is written down, and can be paged through in either form."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from api_caller import OPERATOR, READER, Api, read_json
from meeting_values import NOW, USER
from token_issuer import token

from mms_core.errors import TemporaryError
from mms_core.meetings import LedgerEntry, Original
from mms_core.model import RunId, State, UserKey, Verdict

OTHER = USER.replace("8", "9")


@pytest.fixture
def api(monkeypatch):
    """A fresh app."""
    return Api(monkeypatch)


async def _decisions(api, **query):
    answer = await api.call(api.journal.decisions, roles=READER, query=query)
    assert answer.status == 200, answer.body
    return read_json(answer)["value"]


async def test_decisions_as_csv_lead_to_their_next_page(api):
    """The rows have no room for the token: a header carries it, and the last page has none."""
    for identity in (USER, OTHER):
        await api.start(identity=identity)
        api.clock.advance(timedelta(seconds=1))
    found, query = [], {"top": "1"}
    for is_last in (False, True):
        page = await api.call(api.journal.decisions, roles=READER, query=query, headers={"Accept": "text/csv"})
        found += [row["userId"] for row in csv.DictReader(io.StringIO(page.body.decode(), newline=""))]
        query = {"top": "1", "continuationToken": page.headers["X-Continuation-Token"]}
        if is_last:
            page = await api.call(api.journal.decisions, roles=READER, query=query, headers={"Accept": "text/csv"})
            assert "X-Continuation-Token" not in page.headers
    assert found == [OTHER, USER]


async def _order(api, name, status=202, **more):
    answer = await api.call(getattr(api.admin, name), "POST", route={"userId": USER}, **more)
    assert answer.status == status, answer.body
    return read_json(answer)


async def test_who_ordered_what_stands_in_the_run_and_in_the_decisions(api):
    """Each caller by its object id; the newest order first; all of them belong to the run."""
    await api.start(identity=USER)
    for name, caller in (("cancel", "ann"), ("retry", "bob"), ("cancel", "ann")):
        api.clock.advance(timedelta(seconds=1))
        row = await _order(api, name, headers={"Authorization": f"Bearer {token(roles=OPERATOR, oid=caller)}"})
    assert row["Actors"] == ["object-id", "ann", "bob"]
    (listed,) = await api.rows(identity=USER)
    assert listed["Actors"] == row["Actors"]
    rows = await _decisions(api, correlationId=row["CorrelationId"])
    assert [(each["what"], each["rule"], each["actor"], each["outcome"]) for each in rows] == [
        ("POST migrations/cancel", "Cancel", "ann", "accepted"),
        ("POST migrations/retry", "Retry", "bob", "accepted"),
        ("POST migrations/cancel", "Cancel", "ann", "accepted"),
        ("POST migrations", "T10", "object-id", "accepted"),
    ]
    assert {each["proof"] for each in rows} == {"token"}
    assert {each["userId"] for each in rows} == {USER}


async def test_a_run_at_work_that_is_told_to_stop_says_by_whom(api):
    """It ends later, by the worker; the order is known at once."""
    await api.start(identity=USER)
    stored = await api.parts.users.read(UserKey(USER))
    working = replace(stored.value.current, state=State.IN_PROGRESS, lease_owner="w", lease_until_at=NOW)
    await api.parts.users.save(replace(stored.value, current=working), stored)
    row = await _order(api, "cancel", headers={"Authorization": f"Bearer {token(roles=OPERATOR, oid='ann')}"})
    assert (row["State"], row["Actors"]) == ("InProgress", ["object-id", "ann"])
    assert (await _decisions(api, rule="Cancel"))[0]["actor"] == "ann"


async def test_a_late_order_is_recorded_with_the_reason_why_it_was_refused(api):
    """And changes nothing."""
    await api.start(identity=USER)
    await _order(api, "retry", 409)
    (row,) = await _decisions(api, answer="refuse")
    assert (row["what"], row["outcome"], row["userId"]) == ("POST migrations/retry", "InvalidState", USER)
    assert (await api.rows(identity=USER))[0]["Actors"] == ["object-id"]


async def test_an_undo_is_recorded_with_its_run(api):
    """An order whose run is its own."""
    await api.start(identity=USER)
    await _order(api, "cancel")
    original = Original(
        key="m1", run_id=RunId("r"), event_id="e1", body="b", content_type="html", locations_json="[]", kept_at=NOW
    )
    entry = LedgerEntry(
        key="m1", run_id=RunId("r"), event_id="e1", ical_uid="", subject="", verdict=Verdict.MIGRATED, start_at=NOW,
        updated_at=NOW,
    )  # fmt: skip
    await api.parts.ledger.put(UserKey(USER), entry, original)
    row = await _order(api, "undo")
    (found,) = await _decisions(api, rule="Undo")
    assert (found["correlationId"], found["actor"], row["Actors"]) == (
        row["CorrelationId"],
        "object-id",
        ["object-id"],
    )


async def test_a_change_of_settings_is_shown_with_who_and_when(api):
    """What was set to what; of long texts and lists only how long they are."""
    changes = {"PilotPercentage": 10, "DeniedUsers": ["zoe@contoso.example"], "NoticeAfterSubject": "x" * 100}
    await api.call(api.admin.config, "PATCH", body=changes)
    assert (await api.call(api.admin.config, "PATCH", body={"PilotPercentage": 101})).status == 400
    rows = await _decisions(api, rule="Config", answer="request")
    assert [(each["what"], each["actor"], each["at"], each["user"]) for each in rows] == [
        ("PATCH config", "object-id", NOW.isoformat(), None)
    ]
    assert rows[0]["changes"] == {
        "PilotPercentage": 10,
        "DeniedUsers": "1 entry",
        "NoticeAfterSubject": "100 characters",
    }


async def test_previews_are_recorded_when_they_are_asked_for_and_applied(api):
    """Who let the service look into whose mailbox, and who had the plan carried out."""
    asked = await api.call(api.admin.previews, "POST", body={"identity": USER})
    preview_id = read_json(asked)["id"]
    stored = await api.parts.documents.get("preview", preview_id)
    ready = {**stored.value, "state": "ready", "userPrincipalName": "adele@contoso.example"}
    await api.parts.documents.put("preview", preview_id, ready)
    applied = await api.call(api.admin.apply, "POST", route={"id": preview_id})
    again = await api.call(api.admin.apply, "POST", route={"id": preview_id})
    assert (applied.status, again.status) == (202, 409)
    rows = {each["what"]: each for each in await _decisions(api, identity=USER, answer="request")}
    assert set(rows) == {"POST previews", "POST previews/apply"}
    assert rows["POST previews/apply"]["correlationId"] == read_json(applied)["CorrelationId"]
    assert {each["actor"] for each in rows.values()} == {"object-id"}


async def test_an_order_that_was_carried_out_is_answered_though_its_record_was_lost(api, monkeypatch):
    """The run says by whom; a 503 would let the caller repeat what has been done."""
    await api.start(identity=USER)
    put = api.parts.documents.put

    async def broken(kind, key, value, *, etag=None):
        if kind == "decision":
            raise TemporaryError(code="StorageUnavailable")
        return await put(kind, key, value, etag=etag)

    monkeypatch.setattr(api.parts.documents, "put", broken)
    assert (await _order(api, "cancel"))["State"] == "Cancelled"


@pytest.mark.parametrize(
    ("end", "found"),
    [("0001-01-01", 0), ("0001-01-01T00:00:00+14:00", None), ("1969-12-31", 0), ("9999-12-31", 1), ("now", 0)],
)
async def test_any_end_of_time_that_can_be_written_is_an_answer(api, end, found):
    """Nothing before the first decision, everything before the last day; the end itself is out. Never a 500."""
    now = api.clock.now()
    await api.start(identity=USER)
    query = {"endTime": now.isoformat() if end == "now" else end}
    answer = await api.call(api.journal.decisions, roles=READER, query=query)
    if found is None:
        assert (answer.status, read_json(answer)["field"]) == (400, "endTime")
    else:
        assert (answer.status, len(read_json(answer)["value"])) == (200, found)


async def test_settings_that_were_refused_are_recorded_with_who_when_and_what(api):
    """By name only: a value that was refused may be anything, and of any length."""
    wrong = [
        ({"PilotPercentage": 101, "DeniedUsers": ["zoe@contoso.example"]}, {}, 400),
        ({"Pilot" + "x" * 500: 1}, {}, 400),
        ({"PilotPercentage": 10}, {"If-Match": '"abcd"'}, 412),
        ({"PilotPercentage": 10}, {"If-Match": "not one of ours"}, 412),
        (["PilotPercentage"], {}, 400),
    ]
    codes = []
    for body, headers, status in wrong:
        answer = await api.call(api.admin.config, "PATCH", body=body, headers=headers)
        assert answer.status == status, answer.body
        codes.append(read_json(answer)["code"])
        api.clock.advance(timedelta(seconds=1))
    rows = list(reversed(await _decisions(api, rule="Config", answer="refuse")))
    assert [each["outcome"] for each in rows] == codes
    assert [each["settings"] for each in rows] == [
        ["PilotPercentage", "DeniedUsers"],
        ["Pilot" + "x" * 75],
        ["PilotPercentage"],
        ["PilotPercentage"],
        [],
    ]
    assert {(each["actor"], each["what"]) for each in rows} == {("object-id", "PATCH config")}
    assert [each["at"] for each in rows] == [(NOW + timedelta(seconds=number)).isoformat() for number in range(5)]
    assert "zoe" not in json.dumps(rows)


async def test_a_plan_that_is_not_applied_is_recorded_with_its_user(api):
    """Too old, applied already, or nobody's: who asked, when, for which."""
    asked = await api.call(api.admin.previews, "POST", body={"identity": USER})
    preview_id = read_json(asked)["id"]
    for name in (preview_id, "nobody's"):
        await api.call(api.admin.apply, "POST", route={"id": name})
        api.clock.advance(timedelta(seconds=1))
    unknown, early = await _decisions(api, rule="Apply")
    assert (early["outcome"], early["previewId"], early["userId"], early["actor"]) == (
        "InvalidState",
        preview_id,
        USER,
        "object-id",
    )
    assert (unknown["outcome"], unknown["previewId"], unknown["user"]) == ("NotFound", "nobody's", None)
    assert {each["answer"] for each in (unknown, early)} == {"refuse"}
    assert early in await _decisions(api, identity=USER)


@pytest.mark.parametrize("name", ["cancel", "retry", "undo"])
async def test_an_order_for_somebody_nobody_knows_is_recorded(api, name):
    """404, and who asked."""
    await _order(api, name, 404)
    (row,) = await _decisions(api, answer="refuse")
    assert (row["what"], row["outcome"], row["userId"]) == (f"POST migrations/{name}", "NotFound", USER)


async def test_a_preview_that_is_refused_is_recorded(api):
    """Of a retry for somebody who has no run."""
    answer = await api.call(api.admin.previews, "POST", body={"identity": USER, "action": "retry"})
    assert answer.status == 404, answer.body
    (row,) = await _decisions(api, answer="refuse")
    assert (row["what"], row["rule"], row["outcome"], row["user"]) == ("POST previews", "Preview", "NotFound", USER)


WRONG = [
    (b"not JSON", "InvalidBody"),
    (b'{"identity": 5}', "InvalidBody"),
    (b'{"secret": "zoe@contoso.example"}', "InvalidBody"),
    (b"[]", "InvalidBody"),
    (b"", "InvalidBody"),
]
ROUTES = {
    "migrations": ("POST migrations", "T10"),
    "previews": ("POST previews", "Preview"),
    "undo": ("POST migrations/undo", "Undo"),
    "retries": ("POST retries", "Retry"),
}


async def _post(api, name, body, *, oid="object-id"):
    headers = {"Authorization": f"Bearer {token(roles=OPERATOR, oid=oid)}"}
    return await api.call(getattr(api.admin, name), "POST", body=body, route={"userId": USER}, headers=headers)


@pytest.mark.parametrize("name", ROUTES)
async def test_a_body_that_makes_no_sense_is_recorded_with_who_when_and_where(api, name):
    """Not JSON, wrong types, unknown fields; nothing of what it said."""
    # An undo without a body, or with a list's default fields, asks for everything.
    wrong = [each for each in WRONG if name != "undo" or each[0] != b""]
    for body, code in wrong:
        answer = await _post(api, name, body)
        assert (answer.status, read_json(answer)["code"]) == (400, code)
    (row,) = await _decisions(api, answer="refuse")
    what, rule = ROUTES[name]
    assert (row["what"], row["rule"], row["outcome"], row["times"]) == (what, rule, code, len(wrong))
    assert (row["actor"], row["proof"], row["at"], row["user"]) == ("object-id", "token", NOW.isoformat(), None)
    assert "zoe" not in json.dumps(row)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("migrations", {}, "InvalidBody"),
        ("migrations", {"identity": USER, "identities": [USER]}, "InvalidBody"),
        ("migrations", {"identities": [USER] * 50_001}, "TooManyIdentities"),
        ("migrations", {"identity": USER, "targetMeetingType": "Skype"}, "InvalidParameter"),
        ("migrations", {"identity": USER, "targetMeetingType": "SfB"}, "UnsupportedTarget"),
        ("previews", {"identity": "nobody"}, "InvalidIdentity"),
        ("previews", {"identity": USER, "action": "undo", "validateOnly": True}, "InvalidParameter"),
        ("undo", {"eventIds": []}, "InvalidBody"),
    ],
)
async def test_what_is_refused_for_what_it_says_is_recorded_with_its_code(api, name, body, code):
    """Readable, and nothing that could be done."""
    answer = await _post(api, name, json.dumps(body).encode())
    assert read_json(answer)["code"] == code
    (row,) = await _decisions(api, answer="refuse")
    assert (row["what"], row["outcome"]) == (ROUTES[name][0], code)


async def test_a_flood_of_senseless_bodies_is_one_row_a_minute_caller_route_and_code(api):
    """The table grows with time, not with what somebody sends."""
    for minute in range(3):
        for oid in ("ann", "bob"):
            for name in ROUTES:
                for _ in range(20):
                    await _post(api, name, b"not JSON", oid=oid)
                    api.clock.advance(timedelta(milliseconds=100))
        api.clock.at = NOW + timedelta(minutes=minute + 1)
    rows = await _decisions(api, answer="refuse", top="1000")
    assert len(rows) == 3 * 2 * len(ROUTES)
    assert {each["times"] for each in rows} == {20}
    assert [each["at"][:16] for each in rows] == sorted((each["at"][:16] for each in rows), reverse=True)


async def test_rows_of_a_list_that_name_nobody_are_recorded_together(api):
    """Beside those that could be asked for."""
    for identities in (["nobody", USER, "no/body"], [f"nobody {number}" for number in range(200)]):
        answer = await _post(api, "migrations", json.dumps({"identities": identities}).encode())
        assert answer.status == 202
    (row,) = await _decisions(api, answer="refuse")
    assert (row["what"], row["outcome"], row["times"]) == ("POST migrations", "InvalidIdentity", 202)


@pytest.mark.parametrize(("start", "end", "is_there"), [(0, 31, True), (30, 31, True), (31, 60, False), (0, 30, False)])
async def test_a_row_that_counts_is_found_by_the_time_of_the_last(api, start, end, is_there):
    """Though its place in the list is its minute's; the rows of others around it do not hide it."""
    for second in (0, 20, 30):
        api.clock.at = NOW + timedelta(seconds=second)
        await _post(api, "migrations", b"not JSON")
        await api.start(identity=OTHER)
    query = {
        "startTime": (NOW + timedelta(seconds=start)).isoformat(),
        "endTime": (NOW + timedelta(seconds=end)).isoformat(),
    }
    assert [each["times"] for each in await _decisions(api, answer="refuse", **query)] == ([3] if is_there else [])


async def test_whoever_is_nobody_leaves_no_row(api):
    """Only operators' refusals are decisions; strangers are turned away before."""
    for name in ROUTES:
        answer = await api.call(
            getattr(api.admin, name), "POST", roles=READER, body=b"not JSON", route={"userId": USER}
        )
        assert answer.status == 403
    assert await _decisions(api) == []
