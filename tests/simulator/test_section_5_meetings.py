"""Section 5 of the fact sheet: online meetings."""

import asyncio

import pytest
from simulator_support import AUDIO, at, enc


@pytest.fixture
async def ada(tenant):
    """Ada with dial-in."""
    return await tenant.user("ada", plans=[AUDIO], audioConferencing={"tollNumber": "+1 425-555-0101"})


@pytest.fixture
def base(ada):
    """The path of Ada's meetings."""
    return f"users/{ada['id']}/onlineMeetings"


async def test_create_or_get_is_idempotent_even_at_once(tenant, base):
    """5.1: 201 once, then 200; the answer never differs."""
    answers = await asyncio.gather(*(tenant.raw("POST", f"{base}/createOrGet", {"externalId": "k"}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await tenant.raw("POST", f"{base}/createOrGet", {})).status_code == 400
    assert (await tenant.graph("GET", "users/ada@contoso.example/events"))["value"] == []
    assert await tenant.outbox() == []


@pytest.mark.usefixtures("ada")
async def test_only_the_object_id_is_understood(tenant):
    """5.1: no user principal name."""
    assert (await tenant.raw("POST", "users/ada@contoso.example/onlineMeetings", {})).status_code == 404


async def test_switch_application_access_policy(tenant, ada, base):
    """5.3: granted, or 403 for everybody."""
    await tenant.graph("POST", base, {}, expect=201)
    await tenant.switch(applicationAccessPolicy="denied")
    answer = await tenant.raw("POST", base, {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")
    assert answer.json()["error"]["message"].startswith("No application access policy found for this app")
    assert ada["id"] in answer.json()["error"]["message"]


async def test_switch_policy_denied_users(tenant, ada, base):
    """5.3: the policy may be there for the others only."""
    await tenant.graph("POST", base, {}, expect=201)
    await tenant.switch(policyDeniedUsers=[ada["id"]])
    assert (await tenant.raw("POST", base, {})).status_code == 403
    bob = await tenant.user("bob")
    await tenant.graph("POST", f"users/{bob['id']}/onlineMeetings", {}, expect=201)


async def test_meetings_are_found_by_classic_url_and_by_meeting_id(tenant, base):
    """5.1: escapes and their case do not matter, the short URL does not match; event-made ones are found too."""
    event = await tenant.event(isOnlineMeeting=True, onlineMeetingProvider="teamsForBusiness")
    url = event["onlineMeeting"]["joinUrl"]
    for form in (url, url.replace("%3a", "%3A"), url.replace("%40", "@")):
        rows = (await tenant.graph("GET", base, params={"$filter": f"JoinWebUrl eq '{form}'"}))["value"]
        assert [row["joinWebUrl"] for row in rows] == [url]
    encoded = (await tenant.graph("GET", f"{base}?$filter=JoinWebUrl%20eq%20'{enc(url)}'"))["value"]
    assert len(encoded) == 1
    (meeting,) = encoded
    assert (meeting["subject"], meeting["startDateTime"]) == ("Review", "2027-01-05T09:00:00Z")
    wanted = f"joinMeetingIdSettings/joinMeetingId eq '{meeting['joinMeetingIdSettings']['joinMeetingId']}'"
    assert len((await tenant.graph("GET", base, params={"$filter": wanted}))["value"]) == 1
    short = "JoinWebUrl eq 'https://teams.microsoft.com/meet/41234567890123?p=x'"
    assert (await tenant.graph("GET", base, params={"$filter": short}))["value"] == []
    for other in (url.partition("?")[0], f"{url}x", f"Join {url}", url.replace("%22Oid", "%22oid")):
        rows = await tenant.graph("GET", base, params={"$filter": f"JoinWebUrl eq '{other}'"})
        assert rows["value"] == []
    (known,) = tenant.front.store.meetings.values()
    wanted = f"joinMeetingIdSettings/joinMeetingId eq '{known.short_code}'"
    assert (await tenant.graph("GET", base, params={"$filter": wanted}))["value"] == []
    assert (await tenant.raw("GET", base)).status_code == 400
    eve = await tenant.user("eve")
    other = await tenant.graph("GET", f"users/{eve['id']}/onlineMeetings", params={"$filter": f"JoinWebUrl eq '{url}'"})
    assert other["value"] == []


async def test_times_change_together_and_some_things_never(tenant, base):
    """5.1: PATCH and DELETE."""
    made = await tenant.graph("POST", base, {"subject": "A", "startDateTime": "2027-01-05T09:00:00Z"}, expect=201)
    assert made["endDateTime"] == "2027-01-05T10:00:00Z"
    path = f"{base}/{enc(made['id'])}"
    assert (await tenant.raw("PATCH", path, {"startDateTime": "2027-01-05T08:00:00Z"})).status_code == 400
    assert (await tenant.raw("PATCH", path, {"joinMeetingIdSettings": {}})).status_code == 400
    backwards = {"startDateTime": "2027-01-05T08:00:00Z", "endDateTime": "2027-01-05T07:00:00Z"}
    assert (await tenant.raw("PATCH", path, backwards)).status_code == 400
    people = {"organizer": {"upn": "eve@fabrikam.example"}, "attendees": [{"upn": "bob@contoso.example"}]}
    invited = (await tenant.graph("PATCH", path, {"participants": people}))["participants"]
    assert invited["organizer"]["upn"] == "ada@contoso.example"
    assert [row["upn"] for row in invited["attendees"]] == ["bob@contoso.example"]
    changed = await tenant.graph("PATCH", path, {"subject": "B", "lobbyBypassSettings": {"scope": "everyone"}})
    assert (changed["subject"], changed["lobbyBypassSettings"]["scope"]) == ("B", "everyone")
    await tenant.graph("DELETE", path, expect=204)
    assert (await tenant.raw("GET", path)).status_code == 404


async def test_a_meeting_without_a_passcode_tells_none(tenant, base):
    """5.1: neither in its settings nor in its invitation."""
    for needed in (True, False):
        for generation in ("3", "4"):
            await tenant.switch(teamsGeneration=generation)
            made = await tenant.graph("POST", base, {"joinMeetingIdSettings": {"isPasscodeRequired": needed}})
            settings = made["joinMeetingIdSettings"]
            assert (settings["isPasscodeRequired"], settings["passcode"] is not None) == (needed, needed)
            assert ("Passcode" in made["joinInformation"]["content"]) is needed


async def test_conferences_are_found_in_the_whole_tenant(tenant, ada, base):
    """5.1: by videoTeleconferenceId, below /communications, and by nothing else there."""
    await tenant.control("POST", "actions/setCvi", {"user": ada["id"], "policy": "Pexip"})
    made = await tenant.graph("POST", base, {"subject": "Video"})
    for number, found in ((made["videoTeleconferenceId"], [made["id"]]), ("1", [])):
        wanted = {"$filter": f"VideoTeleconferenceId eq '{number}'"}
        rows = (await tenant.graph("GET", "communications/onlineMeetings", params=wanted))["value"]
        assert [row["id"] for row in rows] == found
    for wanted in ("", f"?$filter=JoinWebUrl eq '{enc(made['joinWebUrl'])}'"):
        assert (await tenant.raw("GET", f"communications/onlineMeetings{wanted}")).status_code == 400


async def test_switch_teams_licence_missing(tenant, ada, base):
    """5.3: who has no licence for Teams has no online meetings."""
    await tenant.graph("POST", base, {}, expect=201)
    act = {"user": ada["id"], "plans": ["57ff2da0-773e-42df-b2af-ffb7a2317929"]}
    await tenant.control("POST", "actions/removeLicense", act)
    for status in (404, 403):
        await tenant.switch(teamsLicenceMissing=status)
        assert (await tenant.raw("POST", base, {})).status_code == status


async def test_the_meeting_follows_its_event(tenant, base):
    """5.2: subject and time are kept in step."""
    event = await tenant.event(isOnlineMeeting=True)
    await tenant.patch(event, {"subject": "New", "start": at("2027-01-05T08:00:00")})
    wanted = {"$filter": f"JoinWebUrl eq '{event['onlineMeeting']['joinUrl']}'"}
    (meeting,) = (await tenant.graph("GET", base, params=wanted))["value"]
    assert (meeting["subject"], meeting["startDateTime"]) == ("New", "2027-01-05T08:00:00Z")


async def test_dial_in_only_with_plan_and_microsofts_provider(tenant, ada, base):
    """5.1: absent without; new numbers show at once, in coordinates and block."""
    made = await tenant.graph("POST", f"{base}/createOrGet", {"externalId": "k"}, expect=201)
    path = f"{base}/{enc(made['id'])}"
    assert made["audioConferencing"]["tollNumber"] == "+1 425-555-0101"
    act = {"user": ada["id"]}
    await tenant.control("POST", "actions/setAudioConferencing", {**act, "tollNumber": "+44 20 7946 0100"})
    changed = await tenant.graph("GET", path)
    assert changed["audioConferencing"]["tollNumber"] == "+44 20 7946 0100"
    assert "%2b44+20+7946+0100" in changed["joinInformation"]["content"]
    await tenant.control("POST", "actions/setAudioConferencing", {**act, "conferenceId": "111222333"})
    assert (await tenant.graph("GET", path))["audioConferencing"]["conferenceId"] == "111222333"
    await tenant.control("POST", "actions/setAudioConferencing", {**act, "bridge": "Europe"})
    assert (await tenant.graph("GET", path))["audioConferencing"]["tollNumber"] not in {"+44 20 7946 0100", ""}
    for change, back in (
        ({"provider": "thirdParty"}, {"provider": "microsoft"}),
        ({"enabled": False}, {"enabled": True}),
    ):
        await tenant.control("POST", "actions/setAudioConferencing", {**act, **change})
        assert "audioConferencing" not in await tenant.graph("GET", path)
        await tenant.control("POST", "actions/setAudioConferencing", {**act, **back})
    await tenant.control("POST", "actions/removeLicense", {**act, "plans": [AUDIO]})
    without = await tenant.graph("GET", path)
    assert "audioConferencing" not in without
    assert "tel%3a" not in without["joinInformation"]["content"]


async def test_an_unassigned_number_disappears(tenant, base):
    """T8: everybody who had it gets the replacement."""
    answer = await tenant.control(
        "POST", "actions/unassignNumber", {"number": "+14255550101", "replacement": "+1 425-555-0177"}
    )
    assert answer["value"] == ["ada@contoso.example"]
    made = await tenant.graph("POST", base, {}, expect=201)
    assert made["audioConferencing"]["tollNumber"] == "+1 425-555-0177"


async def test_the_video_partner_is_in_the_block(tenant, ada, base):
    """T11: set by the administrator, shown at once."""
    await tenant.control("POST", "actions/setCvi", {"user": ada["id"], "policy": "BlueJeans"})
    made = await tenant.graph("POST", base, {}, expect=201)
    assert "teams%40bluejeans.example" in made["joinInformation"]["content"]
    assert made["videoTeleconferenceId"]
