"""Section 2 of the fact sheet: lists, filters, views, paging, delta, extended properties, access."""

import pytest
from simulator_support import PUBLIC, WEEKLY, at, enc

LIST = "users/ada@contoso.example/events"
ENDED = {
    "pattern": {"type": "daily", "interval": 1},
    "range": {"type": "numbered", "startDate": "2026-01-05", "numberOfOccurrences": 3},
}


@pytest.fixture
async def tenant(tenant):
    """Ada has a past meeting, a future one, and a series that began in the past and runs on."""
    await tenant.user("bob")
    await tenant.user("ada")
    await tenant.event(subject="Past", start=at("2020-01-06T10:00:00"), end=at("2020-01-06T11:00:00"))
    await tenant.event(subject="Future", start=at("2030-01-07T10:00:00"), end=at("2030-01-07T11:00:00"))
    running = {**WEEKLY, "range": {"type": "noEnd", "startDate": "2020-01-07"}}
    await tenant.event(
        subject="Running", start=at("2020-01-07T10:00:00"), end=at("2020-01-07T11:00:00"), recurrence=running
    )
    await tenant.event(
        "bob", subject="Bob's", start=at("2030-02-07T10:00:00"), end=at("2030-02-07T11:00:00"),
        attendees=[{"emailAddress": {"address": "ada@contoso.example"}}],
    )  # fmt: skip
    return tenant


async def found(tenant, condition, path=LIST, **options):
    """Give the subjects a filter finds."""
    rows = await tenant.graph("GET", path, params={"$filter": condition, "$top": "50", **options})
    return {row["subject"] for row in rows["value"]}


class TestFilter:
    """2.2: what works, and what is refused."""

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("start/dateTime ge '2026-01-01T00:00:00Z'", {"Future", "Bob's"}),
            ("end/dateTime lt '2026-01-01'", {"Past", "Running"}),
            ("start/dateTime ge '2026-01-01T00:00:00Z' and isOrganizer eq true", {"Future"}),
            ("type eq 'seriesMaster'", {"Running"}),
            ("type eq 'singleInstance' or type eq 'seriesMaster'", {"Past", "Future", "Running", "Bob's"}),
            ("type eq 'seriesMaster' or (end/dateTime ge '2026-01-01T00:00:00Z' and start/dateTime lt '2031-01-01')",
             {"Running", "Future", "Bob's"}),
            ("(isOrganizer eq true and (type eq 'seriesMaster' or end/dateTime ge '2026-01-01T00:00:00.0000000Z'))",
             {"Running", "Future"}),
            ("type eq 'seriesMaster' and isCancelled eq false", {"Running"}),
            ("type eq 'singleInstance' and contains(subject,'bob''s')", {"Bob's"}),
            ("lastModifiedDateTime gt 2020-01-01T00:00:00Z and contains(subject,'ast')", {"Past"}),
            ("Start/DateTime ge '2026-01-01' and Type eq 'singleInstance'", {"Future", "Bob's"}),
            ("start/dateTime ge '2030-01-07T12:00:00+02:00' and isOrganizer ne false", {"Future"}),
        ],
    )  # fmt: skip
    async def test_conditions_of_the_table_work(self, tenant, condition, expected):
        """Joined by and, or, parentheses."""
        assert await found(tenant, condition) == expected

    @pytest.mark.parametrize(
        ("condition", "status"),
        [
            ("organizer/emailAddress/address eq 'ada@contoso.example'", 501),
            ("recurrence/range/endDate ge 2026-01-01", 400),
            ("attendees/any(a: a/emailAddress/address eq 'x')", 400),
            ("isOnlineMeeting eq true", 400),
            ("onlineMeeting/joinUrl ne null", 400),
            ("not (isCancelled eq true)", 400),
            ("importance eq 'high'", 400),
            ("type eq 'sometimes'", 400),
            ("type eq", 400),
            ("start/dateTime ge '2026-13-45'", 400),
            ("(type eq 'seriesMaster'", 400),
            ("start/dateTime ge 2026-01-01T00:00:00Z", 400),
            ("lastModifiedDateTime gt '2026-01-01T00:00:00Z'", 400),
            ("lastModifiedDateTime gt 2026-01-01", 400),
            ("lastModifiedDateTime gt 2026-01-01T00:00:00", 400),
            ("endswith(subject,'x')", 400),
            ("singleValueExtendedProperties/any(ep: ep/value eq '1')", 400),
        ],
    )
    async def test_the_rest_is_refused(self, tenant, condition, status):
        """With Graph's envelope."""
        answer = await tenant.raw("GET", LIST, params={"$filter": condition})
        assert answer.status_code == status
        assert answer.json()["error"]["message"]

    async def test_switch_organizer_filter_status(self, tenant):
        """2.2: 501 or 400."""
        for position in (501, 400):
            await tenant.switch(organizerFilterStatus=position)
            answer = await tenant.raw("GET", LIST, params={"$filter": "organizer/emailAddress/address eq 'x'"})
            assert answer.status_code == position

    async def test_switch_filter_online_meeting(self, tenant):
        """2.2: reports vary."""
        await tenant.event(subject="Online", isOnlineMeeting=True)
        assert (await tenant.raw("GET", LIST, params={"$filter": "isOnlineMeeting eq true"})).status_code == 400
        await tenant.switch(filterOnlineMeeting="allow")
        assert await found(tenant, "isOnlineMeeting eq true") == {"Online"}

    async def test_switch_filter_mode(self, tenant):
        """2.2: lenient also compares other plain properties."""
        await tenant.event(subject="Urgent", importance="high")
        assert (await tenant.raw("GET", LIST, params={"$filter": "importance eq 'high'"})).status_code == 400
        await tenant.switch(filterMode="lenient")
        assert await found(tenant, "importance eq 'high'") == {"Urgent"}
        assert "Past" in await found(tenant, "not (importance eq 'high')")

    async def test_named_properties_can_be_filtered_by(self, tenant):
        """2.5: GUID without case, name with it; eq, contains, cast."""
        lower = PUBLIC.replace("C000", "c000")
        await tenant.event(subject="Marked", singleValueExtendedProperties=[{"id": f"{PUBLIC}Num", "value": "12"}])
        any_of = "singleValueExtendedProperties/any(ep: ep/id eq '{}' and {})"
        assert await found(tenant, any_of.format(f"{lower}Num", "ep/value eq '12'")) == {"Marked"}
        assert await found(tenant, any_of.format(f"{PUBLIC}num", "ep/value eq '12'")) == set()
        assert await found(tenant, any_of.format(f"{PUBLIC}Num", "contains(ep/value,'1')")) == {"Marked"}
        assert await found(tenant, any_of.format(f"{PUBLIC}Num", "cast(ep/value, Edm.Int32) gt 9")) == {"Marked"}
        assert await found(tenant, any_of.format(f"{PUBLIC}Num", "ep/value ne null")) == {"Marked"}


class TestLists:
    """2.1: endpoints and pages."""

    async def test_lists_hold_singles_and_masters_views_hold_what_happens(self, tenant):
        """No occurrence in /events, no master in calendarView; what runs at its start is in the view."""
        types = {row["type"] for row in (await tenant.graph("GET", LIST))["value"]}
        assert types == {"singleInstance", "seriesMaster"}
        path = "users/ada@contoso.example/calendarView?startDateTime=2030-01-07T10:30:00Z&endDateTime=2030-01-31"
        rows = (await tenant.graph("GET", path))["value"]
        assert [row["subject"] for row in rows] == ["Future", "Running", "Running", "Running", "Running"]
        assert rows[1]["type"] == "occurrence"

    async def test_pages_hold_ten_unless_asked(self, tenant):
        """NextLinks on our own host, the query kept, every event once."""
        for number in range(21):
            await tenant.event(subject=f"{number:02d}")
        link, seen, pages = LIST + "?$select=subject&$orderby=subject desc&$count=true", [], []
        while link:
            page = await tenant.graph("GET", link)
            assert page["@odata.count"] == 25
            pages.append(len(page["value"]))
            seen += [row["subject"] for row in page["value"]]
            link = (page.get("@odata.nextLink") or "").removeprefix(f"{tenant.base}/v1.0/")
        assert pages == [10, 10, 5]
        assert seen == sorted(seen, key=str.lower, reverse=True)
        assert len((await tenant.graph("GET", LIST, headers={"Prefer": "odata.maxpagesize=3"}))["value"]) == 3

    async def test_switch_max_top(self, tenant):
        """2.1: the largest page."""
        assert len((await tenant.graph("GET", LIST + "?$top=5000"))["value"]) == 4
        await tenant.switch(maxTop=2)
        assert len((await tenant.graph("GET", LIST + "?$top=5000"))["value"]) == 2

    async def test_switch_empty_pages(self, tenant):
        """9: an empty page with a nextLink; going on finds everything."""
        for position, expected in ((False, 0), (True, 2)):
            await tenant.switch(emptyPages=position)
            link, seen, empty = LIST + "?$top=2", [], 0
            while link:
                page = await tenant.graph("GET", link)
                seen += [row["subject"] for row in page["value"]]
                empty += not page["value"]
                link = (page.get("@odata.nextLink") or "").removeprefix(f"{tenant.base}/v1.0/")
            assert (sorted(seen), empty) == (["Bob's", "Future", "Past", "Running"], expected)

    async def test_switch_trailing_next_link(self, tenant):
        """2.1: a nextLink even after a last, full page."""
        assert "@odata.nextLink" not in await tenant.graph("GET", LIST + "?$top=4")
        await tenant.switch(trailingNextLink=True)
        page = await tenant.graph("GET", LIST + "?$top=4")
        last = await tenant.graph("GET", page["@odata.nextLink"].removeprefix(f"{tenant.base}/v1.0/"))
        assert last["value"] == []
        assert "@odata.nextLink" not in last

    async def test_switch_events_scope(self, tenant):
        """2.1: /events covers the default calendar, or all; a read-only calendar takes no events."""
        other = await tenant.graph("POST", "users/ada@contoso.example/calendars", {"name": "Side"}, expect=201)
        path = f"users/ada@contoso.example/calendars/{enc(other['id'])}/events"
        await tenant.graph(
            "POST", path, {"subject": "Aside", "start": at("2030-01-01T00:00:00"), "end": at("2030-01-02T00:00:00")}
        )
        assert await found(tenant, "contains(subject,'Aside')") == set()
        assert await found(tenant, "contains(subject,'Aside')", path=path) == {"Aside"}
        await tenant.switch(eventsScope="allCalendars")
        assert await found(tenant, "contains(subject,'Aside')") == {"Aside"}

    async def test_calendars_show_owner_and_rights(self, tenant):
        """2.3: shared and subscribed calendars appear too."""
        shared = {"name": "Eve", "canEdit": False, "owner": {"name": "Eve", "address": "eve@fabrikam.example"}}
        await tenant.user("cal", calendars=[shared])
        rows = (await tenant.graph("GET", "users/cal@contoso.example/calendars"))["value"]
        shown = [(row["name"], row["canEdit"], row["owner"]["address"]) for row in rows]
        assert shown == [("Calendar", True, "cal@contoso.example"), ("Eve", False, "eve@fabrikam.example")]
        path = f"users/cal@contoso.example/calendars/{enc(rows[1]['id'])}/events"
        body = {"subject": "x", "start": at("2030-01-01T00:00:00"), "end": at("2030-01-02T00:00:00")}
        assert (await tenant.raw("POST", path, body)).status_code == 403

    async def test_an_event_is_found_below_its_own_calendar_only(self, tenant):
        """And below no calendar."""
        dan = await tenant.user("dan", calendars=[{"name": "Team"}])
        own, team = (await tenant.graph("GET", f"users/{dan['id']}/calendars"))["value"]
        event = await tenant.event("dan")
        found = []
        for place in ("", "calendar/", f"calendars/{enc(own['id'])}/", f"calendars/{enc(team['id'])}/"):
            answer = await tenant.raw("GET", f"users/{dan['id']}/{place}events/{enc(event['id'])}")
            found.append(answer.status_code)
        assert found == [200, 200, 200, 404]

    async def test_a_filled_calendar_can_be_made_one_that_is_only_read(self, tenant):
        """As a subscribed one is: what is in it is listed still and stays as it is, and nothing more gets in."""
        await tenant.user("sub", calendars=[{"name": "Fixtures"}])
        rows = (await tenant.graph("GET", "users/sub@contoso.example/calendars"))["value"]
        path = f"users/sub@contoso.example/calendars/{enc(rows[1]['id'])}/events"
        body = {"subject": "Match", "start": at("2030-01-01T00:00:00"), "end": at("2030-01-02T00:00:00")}
        await tenant.graph("POST", path, body, expect=201)
        given = {"user": "sub@contoso.example", "calendar": rows[1]["id"]}
        await tenant.control("POST", "actions/protectCalendar", given)
        rows = (await tenant.graph("GET", "users/sub@contoso.example/calendars"))["value"]
        assert [row["canEdit"] for row in rows] == [True, False]
        (match,) = (await tenant.graph("GET", path))["value"]
        assert match["subject"] == "Match"
        item = f"{path}/{enc(match['id'])}"
        for method, place, given in (("POST", path, body), ("PATCH", item, {"subject": "B"}), ("DELETE", item, None)):
            answer = await tenant.raw(method, place, given)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")
        assert (await tenant.graph("GET", item))["subject"] == "Match"

    async def test_switch_calendar_view_max_days(self, tenant):
        """2.1: a view that is too long, where there is a limit."""
        path = "users/ada@contoso.example/calendarView?startDateTime=2026-01-01&endDateTime=2029-01-01"
        await tenant.graph("GET", path)
        await tenant.switch(calendarViewMaxDays=730)
        assert (await tenant.raw("GET", path)).json()["error"]["code"] == "ErrorCalendarViewRangeTooBig"

    async def test_switch_calendar_view_select(self, tenant):
        """2.1: the instants of writing cannot be selected in a view: left out, or refused; without $select they come."""
        path = "users/ada@contoso.example/calendarView?startDateTime=2030-01-07&endDateTime=2030-01-08"
        chosen = f"{path}&$select=subject,createdDateTime,lastModifiedDateTime"
        assert (await tenant.graph("GET", path))["value"][0]["createdDateTime"]
        row = (await tenant.graph("GET", chosen))["value"][0]
        assert row["subject"]
        assert not {"createdDateTime", "lastModifiedDateTime"} & row.keys()
        listed = await tenant.graph("GET", f"{LIST}?$select=createdDateTime")
        assert all(row["createdDateTime"] for row in listed["value"])
        await tenant.switch(calendarViewSelect="refuse")
        assert (await tenant.raw("GET", chosen)).status_code == 400

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("$select=uniqueBody", "RequestBroker--ParseUri"),
            ("$expand=nonsense", "RequestBroker--ParseUri"),
            ("$expand=exceptionOccurrences($select=nonsense)", "RequestBroker--ParseUri"),
            ("$nonsense=1", "ErrorInvalidUrlQuery"),
            ('$search="x"', "ErrorInvalidUrlQuery"),
            ("$count=maybe", "ErrorInvalidParameter"),
            ("$top=1&$top=2", "BadRequest"),
            ("$orderby=subject sideways", "BadRequest"),
        ],
    )
    async def test_options_that_do_not_exist_are_refused(self, tenant, query, code):
        """Names of properties, of options, and their values."""
        answer = await tenant.raw("GET", f"{LIST}?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)

    async def test_paths_that_do_not_exist_are_bad_requests(self, tenant):
        """An application has no /me either."""
        answer = await tenant.raw("GET", "users/ada@contoso.example/nonsense")
        error = answer.json()["error"]
        expected = (400, "BadRequest", "Resource not found for the segment 'nonsense'.")
        assert (answer.status_code, error["code"], error["message"]) == expected
        answer = await tenant.raw("GET", "me/events")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
        assert "delegated" in answer.json()["error"]["message"]

    async def test_views_need_a_window(self, tenant):
        """400 without one."""
        assert (await tenant.raw("GET", "users/ada@contoso.example/calendarView")).status_code == 400

    async def test_switch_instances_of_single(self, tenant):
        """2.1: /instances of an event that is no series; a numbered series that is over has none to come."""
        event = await tenant.event()
        path = "users/ada@contoso.example/events/{}/instances?startDateTime=2026-02-01&endDateTime=2036-01-01"
        assert (await tenant.raw("GET", path.format(enc(event["id"])))).status_code == 400
        await tenant.switch(instancesOfSingle=404)
        assert (await tenant.raw("GET", path.format(enc(event["id"])))).status_code == 404
        over = await tenant.event(recurrence=ENDED, start=at("2026-01-05T10:00:00"), end=at("2026-01-05T11:00:00"))
        assert (await tenant.graph("GET", path.format(enc(over["id"]))))["value"] == []


class TestProperties:
    """2.5: extended properties."""

    async def test_only_named_ones_are_expanded_with_the_guid_in_lower_case(self, tenant):
        """In lists, in one event, in exceptions inside a series; there is no way to ask for all."""
        wanted = f"singleValueExtendedProperties($filter=id eq '{PUBLIC}A' or id eq '{PUBLIC}Missing')"
        values = [{"id": f"{PUBLIC}A", "value": "1"}, {"id": f"{PUBLIC}B", "value": "2"}]
        event = await tenant.event(subject="P", singleValueExtendedProperties=values)
        assert "singleValueExtendedProperties" not in event
        rows = (await tenant.graph("GET", LIST, params={"$expand": wanted, "$filter": "subject eq 'P'"}))["value"]
        expected = [{"id": "String {00020329-0000-0000-c000-000000000046} Name A", "value": "1"}]
        assert rows[0]["singleValueExtendedProperties"] == expected
        await tenant.patch(event, {"singleValueExtendedProperties": [{"id": f"{PUBLIC}A", "value": None}]})
        assert "singleValueExtendedProperties" not in await tenant.get(event, params={"$expand": wanted})

    async def test_exceptions_expand_with_options_of_their_own(self, tenant):
        """``$expand=exceptionOccurrences($select=…;$expand=…)``."""
        series = await tenant.event(
            recurrence=WEEKLY, singleValueExtendedProperties=[{"id": f"{PUBLIC}A", "value": "1"}]
        )
        path = f"users/ada@contoso.example/events/{enc(series['id'])}/instances?startDateTime=2027-01-01&endDateTime=2027-02-01"
        second = (await tenant.graph("GET", path))["value"][1]
        await tenant.patch(second, {"subject": "Other"})
        inner = f"singleValueExtendedProperties($filter=id eq '{PUBLIC}A')"
        expand = {"$expand": f"exceptionOccurrences($select=subject,body;$expand={inner})"}
        (exception,) = (await tenant.get(series, params=expand))["exceptionOccurrences"]
        assert exception["singleValueExtendedProperties"][0]["value"] == "1"
        assert exception.keys() == {"@odata.etag", "id", "subject", "body", "singleValueExtendedProperties"}


class TestDelta:
    """2.4: calendarView/delta."""

    async def test_changes_and_deletions_since_the_token(self, tenant):
        """The window is fixed by the token; deletions come as @removed."""
        path = "users/ada@contoso.example/calendarView/delta?startDateTime=2030-01-01&endDateTime=2030-01-10"
        page = await tenant.graph("GET", path)
        assert {row["subject"] for row in page["value"]} == {"Future", "Running"}
        future = next(row for row in page["value"] if row["subject"] == "Future")
        token = page["@odata.deltaLink"].removeprefix(f"{tenant.base}/v1.0/")
        page = await tenant.graph("GET", token)
        assert page["value"] == []
        await tenant.patch(future, {"subject": "Changed"})
        page = await tenant.graph("GET", page["@odata.deltaLink"].removeprefix(f"{tenant.base}/v1.0/"))
        assert [row["subject"] for row in page["value"]] == ["Changed"]
        await tenant.graph("DELETE", f"{LIST}/{enc(future['id'])}")
        page = await tenant.graph("GET", page["@odata.deltaLink"].removeprefix(f"{tenant.base}/v1.0/"))
        assert page["value"] == [{"id": future["id"], "@removed": {"reason": "deleted"}}]
        for option in ("$select=subject", "$Filter=type eq 'occurrence'"):
            assert (await tenant.raw("GET", f"{path}&{option}")).status_code == 400

    async def test_deletions_are_named_by_the_kind_of_id_that_was_asked_for(self, tenant):
        """1.7: immutable ids in ``@removed`` as well."""
        immutable = {"Prefer": 'IdType="ImmutableId"'}
        path = "users/ada@contoso.example/calendarView/delta?startDateTime=2030-01-01&endDateTime=2030-01-10"
        answer = await tenant.raw("GET", path, headers={"Prefer": f"odata.maxpagesize=50, {immutable['Prefer']}"})
        assert answer.headers["Preference-Applied"] == f"odata.maxpagesize=50, {immutable['Prefer']}"
        page = answer.json()
        (future,) = (row["id"] for row in page["value"] if row["subject"] == "Future")
        await tenant.graph("DELETE", f"{LIST}/{enc(future)}")
        link = page["@odata.deltaLink"].removeprefix(f"{tenant.base}/v1.0/")
        page = await tenant.graph("GET", link, headers=immutable)
        assert page["value"] == [{"id": future, "@removed": {"reason": "deleted"}}]


class TestAccess:
    """2.6 and 8.3: who cannot be reached."""

    async def test_mailboxes_that_are_not_in_exchange_online(self, tenant):
        """404 with the documented code."""
        await tenant.user("old", mailbox="onPremises")
        answer = await tenant.raw("GET", "users/old@contoso.example/events")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "MailboxNotEnabledForRESTAPI")

    async def test_switch_denied_mailboxes(self, tenant):
        """2.6: 403 where the application is scoped."""
        await tenant.graph("GET", LIST)
        await tenant.switch(deniedMailboxes=["ada@contoso.example"])
        answer = await tenant.raw("GET", LIST)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")

    async def test_switch_new_mailbox_seconds(self, tenant):
        """2.6: a new mailbox is not there for a while."""
        await tenant.graph("GET", LIST)
        await tenant.switch(newMailboxSeconds=900)
        assert (await tenant.raw("GET", LIST)).json()["error"]["code"] == "ErrorNonExistentMailbox"
        await tenant.control("POST", "clock", {"advanceSeconds": 901})
        await tenant.graph("GET", LIST)

    async def test_tokens_are_asked_for(self, tenant):
        """8.3: none, an old one (with a claims challenge), another audience, unsigned, wrongly signed."""
        wrong = [
            {"aud": "api://mms"},
            {"alg": "none"},
            {"alg": "HS256"},
            {"iss": "https://sts.example/"},
            {"expiresIn": -5},
        ]
        for given in wrong:
            token = (await tenant.control("POST", "tokens", {"aud": "https://graph.microsoft.com", **given}))["token"]
            answer = await tenant.raw("GET", LIST, headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
        assert "claims=" in answer.headers["WWW-Authenticate"]
        assert (await tenant.raw("GET", LIST, headers={"Authorization": ""})).status_code == 401
        good = (await tenant.control("POST", "tokens", {"aud": "https://graph.microsoft.com"}))["token"]
        assert (await tenant.raw("GET", LIST, headers={"Authorization": f"Bearer {good}"})).status_code == 200
