"""Section 1 of the fact sheet: events, the blob rule, mail, concurrency, headers. Each switch in both positions."""

import asyncio
import json
from urllib.parse import unquote_plus

import pytest
from simulator_support import AUDIO, PUBLIC, WEEKLY, at, attendee, enc, meeting

from mms_simulator import calendar, directory
from mms_simulator.store import Store

FLAGS = {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
WITHOUT = {"contentType": "html", "content": "<html><body>plain</body></html>"}


@pytest.fixture
async def tenant(tenant):
    """Ada organises, Bob is in the tenant too."""
    await tenant.user("bob")
    await tenant.user("ada", plans=[AUDIO])
    return tenant


async def block(tenant, key="k", **headers):
    """A Teams meeting of Ada's and its block, decoded."""
    ada = await tenant.graph("GET", "users/ada@contoso.example")
    path = f"users/{ada['id']}/onlineMeetings/createOrGet"
    found = await tenant.graph("POST", path, {"externalId": key}, headers=headers)
    return found, unquote_plus(found["joinInformation"]["content"].partition(",")[2])


def body_with(text):
    """Write an HTML document."""
    return {"contentType": "html", "content": f"<html><body>{text}</body></html>"}


class TestInsertion:
    """1.4: where the service's own block goes."""

    async def test_the_block_stands_before_the_end_of_the_body_in_every_alphabet(self, tenant):
        """A Turkish capital dotted I has two characters in lower case."""
        text = "<html><body><p>İstanbul İzmir</p></BODY></html>"
        event = await tenant.event(body={"contentType": "html", "content": text})
        written = await tenant.patch(event, FLAGS)
        content = written["body"]["content"]
        assert content.startswith("<html><body><p>İstanbul İzmir</p><div")
        assert content.endswith("</div>\r\n</BODY></html>")


class TestBody:
    """1.2 and 1.7: what is stored and what is returned."""

    async def test_whole_documents_come_back_character_for_character(self, tenant):
        """CRLF, entities, NBSP, unquoted attributes, emoji: nothing is touched."""
        text = "<HTML lang=de><body bgcolor=white>\r\n<p>a&nbsp;b \u00a0 &#43; \U0001f600 שלום <BR></p>\n\n</body></html>\r\n"
        event = await tenant.event(body={"contentType": "html", "content": text})
        assert event["body"]["content"] == text
        assert (await tenant.get(event))["body"]["content"] == text

    async def test_half_an_emoji_survives(self, tenant, tmp_path):
        """Outlook cuts strings anywhere; JSON's escapes carry what UTF-8 cannot, on disk too."""
        text = "<html><body>cut \ud83d here, whole \U0001f600</body></html>"
        content = json.dumps({**meeting(subject="half \ude00"), "body": {"contentType": "html", "content": text}})
        path = f"{tenant.base}/v1.0/users/ada@contoso.example/events"
        answer = await tenant.client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 201
        found = json.loads((await tenant.client.get(path)).content)["value"][0]
        assert (found["subject"], found["body"]["content"]) == ("half \ude00", text)
        kept = Store(tmp_path)
        user = directory.create(kept, {"userPrincipalName": "ada@contoso.example"})
        calendar.create(kept, user, calendar.default_calendar(user), json.loads(content))
        kept.journal.close()
        again = Store(tmp_path)
        again.journal.close()
        assert [item.body for item in again.mailbox(user.id).items.values()] == [text]

    async def test_fragments_are_wrapped_once(self, tenant):
        """Only when written; the wrapped text is stable afterwards."""
        event = await tenant.event(body={"contentType": "html", "content": "<p>x</p>"})
        text = event["body"]["content"]
        assert text.startswith('<html><head>\r\n<meta http-equiv="Content-Type"')
        assert text.endswith("</head><body><p>x</p></body></html>")
        assert (await tenant.patch(event, {"body": event["body"]}))["body"]["content"] == text

    async def test_text_is_returned_as_html_unless_preferred(self, tenant):
        """``Prefer: outlook.body-content-type``."""
        event = await tenant.event(body={"contentType": "text", "content": "a < b\nc"})
        assert event["body"]["contentType"] == "html"
        assert "a &lt; b<br>\r\nc" in event["body"]["content"]
        shown = await tenant.get(event, headers={"Prefer": 'outlook.body-content-type="text"'})
        assert shown["body"] == {"contentType": "text", "content": "a < b\nc"}

    async def test_switch_unsafe_html(self, tenant):
        """1.7: scripts are stripped from what is returned, not from what is stored; styles by switch."""
        text = "<html><head><style>p{}</style></head><body onload='x()'><script>y()</script>z</body></html>"
        event = await tenant.event(body={"contentType": "html", "content": text})
        assert event["body"]["content"] == "<html><head><style>p{}</style></head><body>z</body></html>"
        shown = await tenant.get(event, headers={"Prefer": "outlook.allow-unsafe-html"})
        assert shown["body"]["content"] == text
        await tenant.switch(unsafeHtml="stripStyles")
        assert (await tenant.get(event))["body"]["content"] == "<html><head></head><body>z</body></html>"
        await tenant.switch(unsafeHtml="keep")
        assert (await tenant.get(event))["body"]["content"] == text

    async def test_preview_is_the_first_255_characters_of_text(self, tenant):
        """``bodyPreview``."""
        event = await tenant.event(body=body_with("<p>Hello&nbsp;you</p>" + "x" * 300))
        assert event["bodyPreview"].startswith("Hello\u00a0you\r\nxxx")
        assert len(event["bodyPreview"]) == 255


class TestWrites:
    """1.2 and 1.3: what may be written."""

    async def test_location_alone_replaces_all_locations(self, tenant):
        """And locations keep rooms."""
        places = [{"displayName": "Room 1", "locationType": "conferenceRoom"}, {"displayName": "Skype Meeting"}]
        event = await tenant.event(locations=places)
        assert event["location"]["displayName"] == "Room 1; Skype Meeting"
        event = await tenant.patch(event, {"location": {"displayName": "Elsewhere"}})
        assert [place["displayName"] for place in event["locations"]] == ["Elsewhere"]
        event = await tenant.patch(event, {"locations": places[:1]})
        assert event["location"]["displayName"] == "Room 1"

    async def test_switch_read_only_properties(self, tenant):
        """1.3: ignored, or refused."""
        event = await tenant.event()
        changed = await tenant.patch(event, {"iCalUId": "x", "isCancelled": True, "categories": ["a"]})
        assert (changed["iCalUId"], changed["isCancelled"]) == (event["iCalUId"], False)
        await tenant.switch(readOnlyProperties="refuse")
        for wrong in ({"iCalUId": "x"}, {"organizer": attendee("eve@fabrikam.example")}):
            answer = await tenant.raw("PATCH", f"users/ada@contoso.example/events/{enc(event['id'])}", wrong)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ErrorInvalidProperty")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"start": None},
            {"end": at("2027-01-05T08:00:00")},
            {"start": at("nonsense")},
            {"start": at("2027-01-05T10:00:00", "Mars Standard Time")},
            {"isAllDay": True},
            {"attendees": [attendee(f"a{number}@x.example") for number in range(501)]},
            {"attendees": [{"type": "required"}]},
            {"importance": "huge"},
            {"body": {"contentType": "rtf", "content": ""}},
            {"singleValueExtendedProperties": [{"value": "x"}]},
            {"recurrence": {**WEEKLY, "pattern": {**WEEKLY["pattern"], "interval": 0}}},
            {"recurrence": {"pattern": {"type": "weekly"}, "range": {"type": "noEnd", "startDate": "2027-01-05"}}},
        ],
    )
    async def test_impossible_values_are_refused_and_nothing_is_written(self, tenant, wrong):
        """400, and the calendar stays empty."""
        answer = await tenant.raw("POST", "users/ada@contoso.example/events", meeting(**wrong))
        assert answer.status_code == 400
        assert (await tenant.graph("GET", "users/ada@contoso.example/events"))["value"] == []

    async def test_all_day_events_are_midnight_in_any_zone(self, tenant):
        """A day is a day."""
        zone = "Tokyo Standard Time"
        event = await tenant.event(
            isAllDay=True, start=at("2027-01-05T00:00:00", zone), end=at("2027-01-06T00:00:00", zone)
        )
        shown = await tenant.get(event, headers={"Prefer": f'outlook.timezone="{zone}"'})
        assert shown["start"] == {"dateTime": "2027-01-05T00:00:00.0000000", "timeZone": zone}

    async def test_all_day_events_last_a_day(self, tenant):
        """1.2: midnight to the same midnight is refused."""
        given = meeting(isAllDay=True, start=at("2027-01-05T00:00:00"), end=at("2027-01-05T00:00:00"))
        assert (await tenant.raw("POST", "users/ada@contoso.example/events", given)).status_code == 400

    @pytest.mark.parametrize(
        ("content", "kind"),
        [(b"", "application/json"), (b'{"subject": "B"}', "text/plain"), (b"{", "application/json")],
    )
    async def test_a_write_is_a_json_object(self, tenant, content, kind):
        """Nothing, something that does not say that it is JSON, something that is none."""
        event = await tenant.event()
        path = f"{tenant.base}/v1.0/users/ada@contoso.example/events/{enc(event['id'])}"
        answer = await tenant.client.patch(path, content=content, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
        assert (await tenant.get(event))["changeKey"] == event["changeKey"]

    async def test_transaction_id_makes_creation_idempotent(self, tenant):
        """The same id gives the same event and no second invitation."""
        first, second = await tenant.event(transactionId="t"), await tenant.event(transactionId="t")
        assert first["id"] == second["id"]
        assert len(await tenant.outbox()) == 1

    async def test_hidden_attendees_see_only_themselves(self, tenant):
        """``hideAttendees``, on the attendee's copy."""
        await tenant.event(hideAttendees=True)
        copy = (await tenant.graph("GET", "users/bob@contoso.example/events"))["value"][0]
        assert [row["emailAddress"]["address"] for row in copy["attendees"]] == ["bob@contoso.example"]


class TestBlobRule:
    """1.4: the body carries the meeting."""

    async def test_flags_append_the_services_own_block(self, tenant):
        """With a meeting, named properties and dial-in; the user's text is untouched."""
        event = await tenant.event(body=body_with("<p>Mine</p>"))
        online = await tenant.patch(event, FLAGS)
        text = online["body"]["content"]
        assert text.startswith("<html><body><p>Mine</p>")
        assert text.endswith("</body></html>")
        assert text.count("me-email-text") > 1
        assert online["isOnlineMeeting"] is True
        assert online["onlineMeeting"]["joinUrl"] in text.replace("&amp;", "&")
        assert online["onlineMeetingUrl"] is None
        expand = f"singleValueExtendedProperties($filter=id eq '{PUBLIC}SkypeTeamsMeetingUrl')"
        shown = await tenant.get(event, params={"$expand": expand})
        assert shown["singleValueExtendedProperties"][0]["value"] == online["onlineMeeting"]["joinUrl"]

    async def test_a_known_link_in_the_body_makes_the_event_online(self, tenant):
        """Whatever the escapes and entities around it."""
        found, html = await block(tenant)
        event = await tenant.event()
        online = await tenant.patch(event, {"body": body_with(html)})
        assert (online["isOnlineMeeting"], online["onlineMeetingProvider"]) == (True, "teamsForBusiness")
        assert online["onlineMeeting"]["joinUrl"] == found["joinWebUrl"]
        safe_link = "https://eur01.safelinks.protection.outlook.com/?url=" + enc(found["joinWebUrl"]) + "&amp;data=05"
        other = await tenant.event(body=body_with(f'<a href="{safe_link}">join</a>'))
        assert other["onlineMeeting"]["joinUrl"] == found["joinWebUrl"]

    async def test_a_link_of_another_tenant_is_only_text(self, tenant):
        """Unknown to this tenant: offline."""
        url = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Zm9yZWlnbg%40thread.v2/0?context=%7b%7d"
        event = await tenant.event(body=body_with(f'<a href="{url}">join</a>'))
        assert (event["isOnlineMeeting"], event["onlineMeeting"]) == (False, None)

    async def test_a_body_without_the_block_ends_the_meeting(self, tenant):
        """IsOnlineMeeting false, onlineMeeting null, provider stays."""
        event = await tenant.event(**FLAGS)
        gone = await tenant.patch(event, {"body": WITHOUT})
        assert (gone["isOnlineMeeting"], gone["onlineMeeting"]) == (False, None)
        assert gone["onlineMeetingProvider"] == "teamsForBusiness"

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [("drop", [False, False, False]), ("reappend", [True, True, True]), ("alternate", [False, True, False])],
    )
    async def test_switch_blob_mode(self, tenant, mode, expected):
        """1.4: a body without the block together with isOnlineMeeting true, three times in a row."""
        await tenant.switch(blobMode=mode)
        event = await tenant.event(**FLAGS)
        seen = [(await tenant.patch(event, {"body": WITHOUT, **FLAGS}))["isOnlineMeeting"] for _ in range(3)]
        assert seen == expected

    async def test_switch_provider_change(self, tenant):
        """1.2: once set, another provider and isOnlineMeeting false are ignored, or refused."""
        event = await tenant.event(**FLAGS)
        body = {"onlineMeetingProvider": "skypeForBusiness"}
        assert (await tenant.patch(event, body))["onlineMeetingProvider"] == "teamsForBusiness"
        assert (await tenant.patch(event, {"isOnlineMeeting": False}))["isOnlineMeeting"] is True
        await tenant.switch(providerChange="refuse")
        path = f"users/ada@contoso.example/events/{enc(event['id'])}"
        assert (await tenant.raw("PATCH", path, body)).status_code == 400
        assert (await tenant.raw("PATCH", path, {"isOnlineMeeting": False})).status_code == 400

    async def test_a_provider_the_calendar_does_not_allow_is_no_error(self, tenant):
        """1.2: the event silently becomes a Skype meeting, or stays offline."""
        await tenant.user("ann", allowedOnlineMeetingProviders=["skypeForBusiness"])
        event = await tenant.event("ann", **FLAGS)
        assert event["onlineMeetingProvider"] == "skypeForBusiness"
        assert event["onlineMeeting"]["joinUrl"].startswith("https://meet.lync.com/")
        assert "OutJoinLink" in event["body"]["content"]
        await tenant.user("eva", allowedOnlineMeetingProviders=["teamsForBusiness"])
        skype = {"isOnlineMeeting": True, "onlineMeetingProvider": "skypeForBusiness"}
        assert (await tenant.event("eva", **skype))["isOnlineMeeting"] is False

    async def test_switch_join_url_delay_seconds(self, tenant):
        """1.4: the join URL is there at once, or empty for some seconds."""
        event = await tenant.event(**FLAGS)
        assert event["onlineMeeting"]["joinUrl"].startswith("https://teams")
        await tenant.switch(joinUrlDelaySeconds=60)
        event = await tenant.event(**FLAGS)
        assert event["onlineMeeting"]["joinUrl"] == ""
        await tenant.control("POST", "clock", {"advanceSeconds": 61})
        assert (await tenant.get(event))["onlineMeeting"]["joinUrl"].startswith("https://teams")


class TestMail:
    """1.5: who gets mail."""

    @pytest.fixture
    async def event(self, tenant):
        """An event whose invitations are out."""
        event = await tenant.event(**FLAGS)
        await tenant.quiet()
        return event

    @pytest.mark.parametrize(
        "body",
        [
            {"subject": "New"},
            {"body": WITHOUT},
            {"location": {"displayName": "New"}},
            {"start": at("2027-01-05T10:30:00", "W. Europe Standard Time")},
        ],
    )
    async def test_what_attendees_see_is_mailed_to_all(self, tenant, event, body):
        """One row, all attendees, the organiser not."""
        await tenant.patch(event, body)
        (mail,) = await tenant.outbox()
        assert mail["reason"] == "update"
        assert mail["recipients"] == ["bob@contoso.example", "eve@fabrikam.example"]
        assert (mail["eventId"], mail["organizer"]) == (event["id"], "ada@contoso.example")
        assert mail.keys() == {"at", "organizer", "eventId", "iCalUId", "recipients", "reason"}

    @pytest.mark.parametrize(
        "body",
        [
            {"reminderMinutesBeforeStart": 5, "isReminderOn": True},
            {"categories": ["Red"]},
            {"showAs": "free"},
            {"singleValueExtendedProperties": [{"id": f"{PUBLIC}X", "value": "y"}]},
        ],
    )
    async def test_what_only_the_organiser_sees_is_not_mailed(self, tenant, event, body):
        """Private properties."""
        await tenant.patch(event, body)
        assert await tenant.outbox() == []

    async def test_switch_mail_for_importance(self, tenant, event):
        """1.5, with a question mark there."""
        await tenant.patch(event, {"importance": "high"})
        assert await tenant.outbox() == []
        await tenant.switch(mailForImportance=True)
        await tenant.patch(event, {"importance": "low"})
        assert len(await tenant.outbox()) == 1

    async def test_switch_mail_on_unchanged(self, tenant, event):
        """1.5: a PATCH that repeats what is there."""
        await tenant.patch(event, {"subject": event["subject"], "body": event["body"]})
        assert await tenant.outbox() == []
        await tenant.switch(mailOnUnchanged=True)
        await tenant.patch(event, {"subject": event["subject"]})
        assert len(await tenant.outbox()) == 1

    async def test_only_those_added_or_removed_hear_of_new_attendees(self, tenant, event):
        """The others are left alone; a distribution list is another matter."""
        await tenant.patch(event, {"attendees": [attendee("bob@contoso.example"), attendee("new@fabrikam.example")]})
        mails = [(mail["reason"], mail["recipients"]) for mail in await tenant.outbox()]
        assert mails == [("invitation", ["new@fabrikam.example"]), ("cancellation", ["eve@fabrikam.example"])]

    async def test_switch_messages_per_minute(self, tenant, event):
        """1.5: over the mailbox's limit nothing is written; a minute later it is."""
        path = f"users/ada@contoso.example/events/{enc(event['id'])}"
        await tenant.switch(throttle=True)
        await tenant.patch(event, {"subject": "First"})
        await tenant.patch(event, {"subject": "Second"})
        await tenant.switch(messagesPerMinute=1)
        answer = await tenant.raw("PATCH", path, {"subject": "Third"})
        assert answer.json()["error"]["code"] == "ErrorExceededMessageLimit"
        assert (await tenant.get(event))["subject"] == "Second"
        await tenant.control("POST", "clock", {"advanceSeconds": 61})
        await tenant.patch(event, {"subject": "Third"})

    async def test_switch_recipients_per_day(self, tenant, event):
        """1.5: as many recipients as it may have in a day."""
        await tenant.switch(throttle=True)
        await tenant.patch(event, {"subject": "First"})
        await tenant.patch(event, {"subject": "Second"})
        await tenant.switch(recipientsPerDay=3)
        path = f"users/ada@contoso.example/events/{enc(event['id'])}"
        assert (await tenant.raw("PATCH", path, {"subject": "Third"})).status_code == 400
        await tenant.control("POST", "clock", {"days": 1.1})
        await tenant.patch(event, {"subject": "Third"})

    async def test_switch_distribution_lists(self, tenant, event):
        """1.5: taking a list off mails everybody."""
        await tenant.patch(event, {"attendees": [attendee("bob@contoso.example")]})
        assert [mail["reason"] for mail in await tenant.outbox()] == ["cancellation"]
        await tenant.patch(event, {"attendees": event["attendees"]})
        await tenant.quiet()
        await tenant.switch(distributionLists=["eve@fabrikam.example"])
        await tenant.patch(event, {"attendees": [attendee("bob@contoso.example")]})
        reasons = [(mail["reason"], mail["recipients"]) for mail in await tenant.outbox()]
        assert ("update", ["bob@contoso.example"]) in reasons

    async def test_responses_survive_an_update(self, tenant, event):
        """An attendee's answer stays through PATCHes of body and attendees."""
        copy = (await tenant.graph("GET", "users/bob@contoso.example/events"))["value"][0]
        path = f"users/bob@contoso.example/events/{enc(copy['id'])}/accept"
        await tenant.graph("POST", path, {"sendResponse": True}, expect=202)
        await tenant.patch(event, {"body": WITHOUT, "attendees": event["attendees"]})
        answers = [row["status"]["response"] for row in (await tenant.get(event))["attendees"]]
        assert answers == ["accepted", "none"]
        assert (await tenant.graph("GET", "users/bob@contoso.example/events"))["value"][0]["responseStatus"][
            "response"
        ] == "accepted"

    async def test_switch_master_mails_exceptions(self, tenant):
        """1.5: one mail for the master and one for each exception, each naming its own item."""
        master, exception = await series_with_exception(tenant)
        await tenant.quiet()
        await tenant.patch(master, {"subject": "All"})
        first, second = await tenant.outbox()
        assert (first["eventId"], second["eventId"]) == (master["id"], exception["id"])
        assert (first["iCalUId"], second["iCalUId"]) == (master["iCalUId"], exception["iCalUId"])
        assert first["iCalUId"] != second["iCalUId"]
        await tenant.switch(masterMailsExceptions=False)
        await tenant.quiet()
        await tenant.patch(master, {"subject": "Again"})
        assert len(await tenant.outbox()) == 1

    async def test_switch_patch_sends_draft(self, tenant):
        """1.5: nothing is sent for a draft; a PATCH may send it."""
        event = await tenant.event()
        await tenant.control("POST", "actions/markDraft", {"user": "ada@contoso.example", "eventId": event["id"]})
        await tenant.quiet()
        changed = await tenant.patch(event, {"subject": "Draft"})
        assert (changed["isDraft"], await tenant.outbox()) == (True, [])
        await tenant.switch(patchSendsDraft=True)
        changed = await tenant.patch(event, {"subject": "Sent"})
        assert changed["isDraft"] is False
        assert [mail["reason"] for mail in await tenant.outbox()] == ["invitation"]

    async def test_deleting_and_cancelling_mail_a_cancellation(self, tenant, event):
        """The organiser's copy is gone, the attendee's stays and says so."""
        await tenant.graph("POST", f"users/ada@contoso.example/events/{enc(event['id'])}/cancel", {}, expect=202)
        assert [mail["reason"] for mail in await tenant.outbox()] == ["cancellation"]
        assert (await tenant.graph("GET", "users/ada@contoso.example/events"))["value"] == []
        copy = (await tenant.graph("GET", "users/bob@contoso.example/events"))["value"][0]
        assert (copy["isCancelled"], copy["isOrganizer"]) == (True, False)

    async def test_messages_are_in_the_outbox_too(self, tenant):
        """``sendMail``."""
        message = {"message": {"subject": "x", "toRecipients": [{"emailAddress": {"address": "Bob@contoso.example"}}]}}
        await tenant.graph("POST", "users/ada@contoso.example/sendMail", message, expect=202)
        (mail,) = await tenant.outbox()
        assert (mail["reason"], mail["recipients"], mail["eventId"]) == ("message", ["bob@contoso.example"], None)


async def series_with_exception(tenant, **given):
    """A weekly series, and its second occurrence with another subject."""
    master = await tenant.event(recurrence=WEEKLY, **given)
    path = f"users/ada@contoso.example/events/{enc(master['id'])}/instances"
    rows = await tenant.graph(
        "GET", path, params={"startDateTime": "2027-01-01T00:00:00Z", "endDateTime": "2027-03-01T00:00:00Z"}
    )
    return master, await tenant.patch(rows["value"][1], {"subject": "Special"})


class TestSeries:
    """Masters, occurrences, exceptions."""

    async def test_an_exception_keeps_its_own_body(self, tenant):
        """0.9: the old text stays in it when the master changes."""
        master, exception = await series_with_exception(tenant)
        await tenant.patch(master, {"body": WITHOUT})
        assert (await tenant.get(exception))["body"] == master["body"]

    async def test_switch_exception_body(self, tenant):
        """11e: or it follows the master until its own body is edited."""
        master, exception = await series_with_exception(tenant)
        await tenant.patch(master, {"body": WITHOUT})
        assert (await tenant.get(exception))["body"] == exception["body"]
        await tenant.switch(exceptionBody="inherit")
        master, exception = await series_with_exception(tenant)
        await tenant.patch(master, {"body": WITHOUT})
        assert (await tenant.get(exception))["body"]["content"] == WITHOUT["content"]
        own = await tenant.patch(exception, {"body": body_with("mine")})
        await tenant.patch(master, {"body": body_with("all")})
        assert (await tenant.get(exception))["body"] == own["body"]

    async def test_switch_pattern_change_drops_exceptions(self, tenant):
        """A new time for the series puts modified occurrences back, or leaves them."""
        master, _ = await series_with_exception(tenant)
        expand = {"$expand": "exceptionOccurrences"}
        later = {"start": at("2027-01-05T12:00:00"), "end": at("2027-01-05T13:00:00")}
        await tenant.switch(patternChangeDropsExceptions=False)
        await tenant.patch(master, later)
        assert len((await tenant.get(master, params=expand))["exceptionOccurrences"]) == 1
        await tenant.switch(patternChangeDropsExceptions=True)
        await tenant.patch(master, {"start": at("2027-01-05T12:30:00")})
        assert (await tenant.get(master, params=expand))["exceptionOccurrences"] == []

    async def test_cancelled_occurrences_are_occurrence_ids(self, tenant):
        """1.1: only on demand, only for masters, OID.{master}.{date}."""
        master, exception = await series_with_exception(tenant)
        await tenant.graph("DELETE", f"users/ada@contoso.example/events/{enc(exception['id'])}", expect=204)
        assert "cancelledOccurrences" not in await tenant.get(master)
        shown = await tenant.get(master, params={"$select": "cancelledOccurrences"})
        assert shown["cancelledOccurrences"] == [f"OID.{master['id']}.2027-01-12"]
        wanted = {"$select": "subject,cancelledOccurrences,exceptionOccurrences", "$expand": "exceptionOccurrences"}
        for row in (await tenant.graph("GET", "users/ada@contoso.example/events", params=wanted))["value"]:
            assert row.keys() == {"@odata.etag", "id", "subject"}
        single = await tenant.event()
        assert (await tenant.get(single, params=wanted)).keys() == {"@odata.context", "@odata.etag", "id", "subject"}
        assert (await tenant.raw("GET", f"users/ada@contoso.example/events/{enc(exception['id'])}")).status_code == 404

    async def test_an_occurrence_may_not_cross_its_neighbour(self, tenant):
        """1.5: 400 ErrorOccurrenceCrossingBoundary."""
        _, exception = await series_with_exception(tenant)
        body = {"start": at("2027-01-19T10:30:00"), "end": at("2027-01-19T11:30:00")}
        answer = await tenant.raw("PATCH", f"users/ada@contoso.example/events/{enc(exception['id'])}", body)
        assert answer.json()["error"]["code"] == "ErrorOccurrenceCrossingBoundary"

    async def test_copies_of_a_series_have_the_same_exceptions(self, tenant):
        """The attendee sees the modified occurrence, under an id of their own."""
        _, exception = await series_with_exception(tenant)
        path = "users/bob@contoso.example/calendarView?startDateTime=2027-01-01&endDateTime=2027-01-20"
        rows = (await tenant.graph("GET", path))["value"]
        assert [row["subject"] for row in rows] == ["Review", "Special", "Review"]
        assert rows[1]["id"] != exception["id"]
        assert (rows[1]["iCalUId"], rows[1]["uid"]) == (exception["iCalUId"], exception["uid"])
        assert (await tenant.get(rows[1], user="bob"))["subject"] == "Special"

    async def test_who_is_invited_to_one_occurrence_gets_mail_and_a_copy_of_it_alone(self, tenant):
        """Updates of the occurrence and of the series reach them; a cancellation leaves a cancelled copy."""
        master, exception = await series_with_exception(tenant)
        await tenant.user("carol")
        await tenant.quiet()
        guests = [attendee("bob@contoso.example"), attendee("carol@contoso.example")]
        exception = await tenant.patch(exception, {"attendees": guests})
        assert ["carol@contoso.example"] in [row["recipients"] for row in await tenant.outbox()]
        copy = (await tenant.graph("GET", "users/carol@contoso.example/events"))["value"][0]
        assert (copy["subject"], copy["start"]) == ("Special", exception["start"])
        assert (copy["iCalUId"], copy["seriesMasterId"], copy["isOrganizer"]) == (exception["iCalUId"], None, False)
        assert len((await tenant.graph("GET", "users/bob@contoso.example/events"))["value"]) == 1
        answer = f"users/carol@contoso.example/events/{enc(copy['id'])}/accept"
        await tenant.graph("POST", answer, {"sendResponse": True}, expect=202)
        status = {row["emailAddress"]["address"]: row["status"] for row in (await tenant.get(exception))["attendees"]}
        assert status["carol@contoso.example"]["response"] == "accepted"

        await tenant.quiet()
        await tenant.patch(master, {"subject": "All"})
        mailed = {(row["eventId"], tuple(row["recipients"])) for row in await tenant.outbox()}
        assert (exception["id"], ("bob@contoso.example", "carol@contoso.example")) in mailed
        assert len(mailed) == 2
        await tenant.graph("DELETE", f"users/ada@contoso.example/events/{enc(exception['id'])}")
        left = (await tenant.graph("GET", "users/carol@contoso.example/events"))["value"]
        assert [(row["id"], row["isCancelled"]) for row in left] == [(copy["id"], True)]
        assert left[0]["iCalUId"] == copy["iCalUId"]

    async def test_who_joins_the_series_later_has_one_copy(self, tenant):
        """The copy of the one occurrence gives way to the copy of the series."""
        master, exception = await series_with_exception(tenant)
        await tenant.user("carol")
        carol = attendee("carol@contoso.example")
        await tenant.patch(exception, {"attendees": [*exception["attendees"], carol]})
        await tenant.patch(master, {"attendees": [*master["attendees"], carol]})
        rows = (await tenant.graph("GET", "users/carol@contoso.example/events"))["value"]
        assert [row["type"] for row in rows] == ["seriesMaster"]
        window = "users/carol@contoso.example/calendarView?startDateTime=2027-01-01&endDateTime=2027-01-20"
        shown = (await tenant.graph("GET", window))["value"]
        assert [row["subject"] for row in shown] == ["Review", "Special", "Review"]

    async def test_who_is_taken_off_one_occurrence_sees_it_cancelled(self, tenant):
        """The rest of the series stays."""
        _, exception = await series_with_exception(tenant)
        await tenant.patch(exception, {"attendees": [attendee("eve@fabrikam.example")]})
        window = "users/bob@contoso.example/calendarView?startDateTime=2027-01-01&endDateTime=2027-01-20"
        shown = (await tenant.graph("GET", window))["value"]
        assert [row["isCancelled"] for row in shown] == [False, True, False]

    async def test_switch_orphan_instances(self, tenant):
        """The lone copy is a single event, or an exception, which lists of events leave out."""
        _, exception = await series_with_exception(tenant)
        await tenant.user("carol")
        guests = [*exception["attendees"], attendee("carol@contoso.example")]
        await tenant.patch(exception, {"attendees": guests})
        window = "users/carol@contoso.example/calendarView?startDateTime=2027-01-01&endDateTime=2027-01-20"
        for position, listed in (("singleInstance", 1), ("exception", 0)):
            await tenant.switch(orphanInstances=position)
            assert [row["type"] for row in (await tenant.graph("GET", window))["value"]] == [position]
            assert len((await tenant.graph("GET", "users/carol@contoso.example/events"))["value"]) == listed


class TestConcurrency:
    """1.6: change keys."""

    async def test_switch_if_match(self, tenant):
        """A stale value gives 412, or 409, or nothing."""
        event = await tenant.event()
        headers = {"If-Match": event["@odata.etag"]}
        fresh = await tenant.patch(event, {"categories": ["a"]}, headers=headers)
        assert fresh["@odata.etag"] != event["@odata.etag"]
        path = f"users/ada@contoso.example/events/{enc(event['id'])}"
        for position, status in (("412", 412), ("409", 409), ("ignore", 200)):
            await tenant.switch(ifMatch=position)
            answer = await tenant.raw("PATCH", path, {"categories": ["b"]}, headers=headers)
            assert answer.status_code == status
            if status != 200:
                assert answer.json()["error"]["code"] == "ErrorIrresolvableConflict"

    async def test_switch_etag_housekeeping(self, tenant):
        """0.8: the change key moves by itself two minutes after creation; only with the switch."""
        event = await tenant.event()
        await tenant.control("POST", "clock", {"advanceSeconds": 130})
        assert (await tenant.get(event))["changeKey"] == event["changeKey"]
        await tenant.switch(etagHousekeeping=True)
        moved = await tenant.get(event)
        assert moved["changeKey"] != event["changeKey"]
        assert moved["lastModifiedDateTime"] > event["lastModifiedDateTime"]
        later = {"$filter": f"lastModifiedDateTime gt {event['lastModifiedDateTime']}"}
        assert len((await tenant.graph("GET", "users/ada@contoso.example/events", params=later))["value"]) == 1
        assert (await tenant.get(event))["@odata.etag"] == f'W/"{moved["changeKey"]}"'
        await tenant.patch(event, {"categories": ["a"]}, headers={"If-Match": moved["@odata.etag"]})

    async def test_switch_housekeeping_seconds(self, tenant):
        """1.6: two minutes after creation, or sooner."""
        await tenant.switch(etagHousekeeping=True)
        fresh = await tenant.event()
        await tenant.control("POST", "clock", {"advanceSeconds": 60})
        assert (await tenant.get(fresh))["changeKey"] == fresh["changeKey"]
        await tenant.switch(housekeepingSeconds=50)
        assert (await tenant.get(fresh))["changeKey"] != fresh["changeKey"]

    async def test_concurrent_patches_with_if_match_let_one_through(self, tenant):
        """The change key is a fence."""
        event = await tenant.event()
        path = f"users/ada@contoso.example/events/{enc(event['id'])}"
        headers = {"If-Match": event["@odata.etag"]}
        answers = await asyncio.gather(
            *(tenant.raw("PATCH", path, {"subject": f"{number}"}, headers=headers) for number in range(4))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


class TestHeadersAndIds:
    """1.7 and check-list 8."""

    async def test_time_zone_preference(self, tenant):
        """Windows and IANA names; echoed."""
        event = await tenant.event()
        for zone in ("W. Europe Standard Time", "Europe/Berlin"):
            answer = await tenant.raw(
                "GET",
                f"users/ada@contoso.example/events/{enc(event['id'])}",
                headers={"Prefer": f'outlook.timezone="{zone}", outlook.body-content-type="html"'},
            )
            assert answer.json()["start"] == {"dateTime": "2027-01-05T10:00:00.0000000", "timeZone": zone}
            assert "outlook.timezone" in answer.headers["Preference-Applied"]

    async def test_immutable_ids_are_another_name_for_the_same_item(self, tenant):
        """``Prefer: IdType="ImmutableId"``; both names work, and ids are case-sensitive."""
        event = await tenant.event()
        shown = await tenant.get(event, headers={"Prefer": 'IdType="ImmutableId"'})
        assert shown["id"] != event["id"]
        assert (await tenant.get(shown))["id"] == event["id"]
        answer = await tenant.raw(
            "GET", f"users/ada@contoso.example/events/{enc(event['id'][:40] + event['id'][40:].swapcase())}"
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ErrorItemNotFound")

    async def test_what_is_no_id_is_malformed(self, tenant):
        """Of an event and of a calendar."""
        for path in ("events/nope", "calendars/nope/events"):
            answer = await tenant.raw("GET", f"users/ada@contoso.example/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ErrorInvalidIdMalformed")

    async def test_preferences_in_several_lines_count_and_only_those_heeded_are_told(self, tenant):
        """1.7: ``Preference-Applied`` names no preference that Graph does not know."""
        event = await tenant.event(body={"contentType": "html", "content": "<p>a</p><script>b</script>"})
        lines = [
            ("Prefer", 'outlook.timezone="Europe/Berlin", return=minimal'),
            ("Prefer", "outlook.allow-unsafe-html"),
        ]
        path = f"{tenant.base}/v1.0/users/ada@contoso.example/events/{enc(event['id'])}"
        answer = await tenant.client.get(path, headers=lines)
        assert answer.json()["start"]["dateTime"] == "2027-01-05T10:00:00.0000000"
        assert "<script>" in answer.json()["body"]["content"]
        assert answer.headers["Preference-Applied"] == 'outlook.timezone="Europe/Berlin", outlook.allow-unsafe-html'
        assert "Preference-Applied" not in (await tenant.client.get(path, headers={"Prefer": "return=minimal"})).headers

    async def test_ids_hold_slashes_pluses_and_equals_signs(self, tenant):
        """Sooner or later; encoded or, but for the slash, as they are."""
        made = [await tenant.event() for _ in range(12)]
        letters = "".join(event["id"] for event in made)
        assert "/" in letters
        assert "+" in letters
        assert made[0]["id"].endswith("=")
        for event in made:
            assert (await tenant.get(event))["id"] == event["id"]

    async def test_every_answer_names_its_request(self, tenant):
        """request-id and client-request-id, in errors too."""
        answer = await tenant.raw("GET", "users/nobody", headers={"client-request-id": "mine"})
        assert answer.headers["client-request-id"] == "mine"
        inner = answer.json()["error"]["innerError"]
        assert (inner["request-id"], inner["client-request-id"]) == (answer.headers["request-id"], "mine")
