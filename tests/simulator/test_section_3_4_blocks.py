"""Sections 3 and 4 of the fact sheet: what meetings look like in a mailbox, and the blocks of each generation."""

from html.parser import HTMLParser
from urllib.parse import unquote, unquote_plus

import pytest
from simulator_support import AUDIO, PUBLIC

CONF = f"{PUBLIC}OnlineMeetingConfLink"
EXTERNAL = f"{PUBLIC}OnlineMeetingExternalLink"
LINK = "https://meet.contoso.example/ada/6N2YGD5G"
LANGUAGES = {
    "en": "Join", "de": "Teilnehmen", "fr": "Participer", "es": "Unirse", "ja": "参加", "nl": "Deelnemen", "sv": "Delta",
    "pt": "Ingressar", "zh": "加入", "ko": "참가",
}  # fmt: skip


@pytest.fixture
async def tenant(tenant):
    """Ada with dial-in and a video partner."""
    await tenant.user("ada", plans=[AUDIO], cvi="Pexip", audioConferencing={"conferenceId": "123456789"})
    return tenant


async def joined(tenant, **headers):
    """The block of a meeting as joinInformation brings it, decoded, and the raw content."""
    ada = await tenant.graph("GET", "users/ada@contoso.example")
    path = f"users/{ada['id']}/onlineMeetings/createOrGet"
    content = (await tenant.graph("POST", path, {"externalId": "k"}, headers=headers))["joinInformation"]["content"]
    return unquote_plus(content.partition(",")[2]), content


def depth(text):
    """Count how many div elements a fragment opens more than it closes."""
    counts = []

    class Counter(HTMLParser):
        def handle_starttag(self, tag, _):
            if tag == "div":
                counts.append(1)

        def handle_endtag(self, tag):
            if tag == "div":
                counts.append(-1)

    Counter().feed(text)
    return sum(counts)


async def test_switch_skype_representation(tenant):
    """3.3: a Skype event shows its URL only, or is online with its provider; Teams flags then depend on it."""
    properties = [
        {"id": CONF, "value": "conf:sip:ada@contoso.example;gruu;opaque=app:conf:focus:id:6N2YGD5G"},
        {"id": EXTERNAL, "value": LINK},
    ]
    event = await tenant.event(singleValueExtendedProperties=properties)
    assert (event["onlineMeetingUrl"], event["isOnlineMeeting"], event["onlineMeetingProvider"]) == (
        LINK,
        False,
        "unknown",
    )
    assert event["onlineMeeting"] is None
    await tenant.switch(skypeRepresentation="provider")
    shown = await tenant.get(event)
    assert (shown["isOnlineMeeting"], shown["onlineMeetingProvider"]) == (True, "skypeForBusiness")
    assert shown["onlineMeeting"] == {"joinUrl": LINK}
    assert shown["onlineMeetingUrl"] is None
    flags = {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
    assert (await tenant.patch(event, flags))["onlineMeeting"] == {"joinUrl": LINK}
    await tenant.switch(skypeRepresentation="url")
    assert (await tenant.patch(event, flags))["onlineMeeting"]["joinUrl"].startswith("https://teams")


async def test_switch_provider_follows_blob(tenant):
    """3.3: a Teams block in a Skype event: the meeting is Teams; the provider stays, or follows."""
    await tenant.switch(skypeRepresentation="provider")
    properties = [{"id": CONF, "value": "conf:sip:a;gruu;opaque=app:conf:focus:id:X"}, {"id": EXTERNAL, "value": LINK}]
    text, _ = await joined(tenant)
    body = {"contentType": "html", "content": f"<html><body>{text}</body></html>"}
    for follows, provider in ((False, "skypeForBusiness"), (True, "teamsForBusiness")):
        await tenant.switch(providerFollowsBlob=follows)
        event = await tenant.event(singleValueExtendedProperties=properties)
        shown = await tenant.patch(event, {"body": body})
        assert shown["onlineMeeting"]["joinUrl"].startswith("https://teams.microsoft.com/l/meetup-join/")
        assert shown["onlineMeetingProvider"] == provider


LINKS = {"OnlineMeetingConfLink", "OnlineMeetingExternalLink"}
OF_TEAMS = {
    "OnlineMeetingConferenceId", "OnlineMeetingTollNumber", "ConferenceTelURI", "SkypeTeamsMeetingUrl",
    "SkypeTeamsProperties", "SchedulingServiceUpdateUrl", "SchedulingServiceMeetingOptionsUrl",
}  # fmt: skip
OF_SKYPE = {
    "OnlineMeetingInternalLink", "UCCapabilities", "UCInband", "UCMeetingSetting", "UCMeetingSettingSent",
    "UCOpenedConferenceID",
}  # fmt: skip


@pytest.mark.parametrize(("provider", "own"), [("teamsForBusiness", OF_TEAMS), ("skypeForBusiness", OF_SKYPE)])
async def test_named_properties_of_a_meeting_that_graph_made(tenant, provider, own):
    """3.1: which of them each kind has, Teams with dial-in."""
    await tenant.user("rex", plans=[AUDIO], allowedOnlineMeetingProviders=["teamsForBusiness", "skypeForBusiness"])
    event = await tenant.event("rex", isOnlineMeeting=True, onlineMeetingProvider=provider)
    wanted = " or ".join(f"id eq '{PUBLIC}{name}'" for name in sorted(LINKS | OF_TEAMS | OF_SKYPE))
    shown = await tenant.get(event, "rex", params={"$expand": f"singleValueExtendedProperties($filter={wanted})"})
    names = {row["id"].rpartition(" ")[2] for row in shown["singleValueExtendedProperties"] if row["value"]}
    assert names == LINKS | own


async def test_teams_conf_link_does_not_mean_skype(tenant):
    """0.6: ``focus:id:teams:`` is on Teams meetings."""
    await tenant.switch(skypeRepresentation="provider")
    properties = [{"id": CONF, "value": "conf:sip:a;gruu;opaque=app:conf:focus:id:teams:2:0!19:x"}]
    event = await tenant.event(singleValueExtendedProperties=properties)
    assert event["isOnlineMeeting"] is False


async def test_switch_teams_generation(tenant):
    """4.2: each generation has its marks; only the fragments of the third close one div too many."""
    for generation in ("1", "2", "3", "3b", "4"):
        await tenant.switch(teamsGeneration=generation)
        text, _ = await joined(tenant)
        assert depth(text) == (-1 if generation == "3" else 0)
        assert text.count("_" * 80) == 2
        assert "me-email-text" in text
        assert "/l/meetup-join/19%3ameeting_" in text
        assert ("meet_invite_block.action.join_link" in text) == (generation in {"3b", "4"})
        assert ("join_link_compatibility" in text) == (generation == "4")
        assert ('data-tid="meeting-code"' in text) == (generation == "3")
        assert text.startswith('<div class="me-email-text"') == (generation in {"3b", "4"})
        assert "123 456 789#" in text
        assert "teams@pexip.example" in text
        event = await tenant.event(isOnlineMeeting=True)
        assert depth(event["body"]["content"]) == 0


@pytest.mark.parametrize("language", list(LANGUAGES))
async def test_the_language_is_that_of_accept_language(tenant, language):
    """4.3: at least ten; English for others."""
    text, _ = await joined(tenant, **{"Accept-Language": f"{language}-XX, en;q=0.5"})
    assert f">{LANGUAGES[language]}: <" in text


async def test_other_languages_fall_back_to_english(tenant):
    """Nobody speaks everything."""
    text, _ = await joined(tenant, **{"Accept-Language": "is-IS"})
    assert 'lang="en-US"' in text


async def test_switch_join_information_encoding(tenant):
    """4.3: today's form, and the older one; a plus in a telephone link is ``%2b``."""
    text, content = await joined(tenant)
    assert content.startswith("data:text/html,%3cdiv+class%3d%22me-email-text%22")
    assert "tel%3a%2b1" in content
    assert "tel:+1" in text
    await tenant.switch(joinInformationEncoding="upper")
    _, content = await joined(tenant)
    assert content.startswith("data%3Atext%2Fhtml%2C%3Cdiv+class")
    assert unquote(content).startswith("data:text/html,<div")
