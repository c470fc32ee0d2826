"""Genuine or pasted, same or changed."""

from __future__ import annotations

import dataclasses

import pytest
from bodies import ORGANIZER, TENANT, element, join, safe, skype, teams

from mms_core.block import MeetingBlock, choose, judge, locate, remove, same_coordinates


def block(body: str) -> MeetingBlock:
    """The one block of a body."""
    (found,) = locate(body).blocks
    return found


TEAMS = block(element())
SKYPE = block(skype())
CONF = "conf:sip:anna@contoso.com;gruu;opaque=app:conf:focus:id:R1?conversation-id=X"
CASES = {
    "Teams": (TEAMS, {"SkypeTeamsMeetingUrl": join()}, "properties-agree"),
    "Teams, written otherwise": (
        TEAMS,
        {"SkypeTeamsMeetingUrl": join().replace("%3a", "%3A").replace("%40", "@")},
        "properties-agree",
    ),
    "Teams without properties": (TEAMS, {}, "no-properties"),
    "Teams with an empty property": (TEAMS, {"SkypeTeamsMeetingUrl": " "}, "no-properties"),
    "Teams, another meeting's block": (TEAMS, {"SkypeTeamsMeetingUrl": join("ZZ")}, "other-meeting"),
    "Teams, Skype's properties": (TEAMS, {"OnlineMeetingConfLink": CONF}, "no-properties"),
    "Skype by its external link": (
        SKYPE,
        {
            "OnlineMeetingConfLink": CONF.replace("R1", "ZZ"),
            "OnlineMeetingExternalLink": "https://meet.contoso.com/anna/R1",
        },
        "properties-agree",
    ),
    "Skype by its internal link": (
        SKYPE,
        {
            "OnlineMeetingConfLink": CONF.replace("R1", "ZZ"),
            "OnlineMeetingInternalLink": "https://meet.contoso.com/anna/R1?sl=1",
        },
        "properties-agree",
    ),
    "Skype by its conference": (SKYPE, {"OnlineMeetingConfLink": CONF}, "properties-agree"),
    "Skype, another meeting's block": (SKYPE, {"OnlineMeetingConfLink": CONF.replace("R1", "ZZ")}, "other-meeting"),
    "Skype, an unreadable conference": (SKYPE, {"OnlineMeetingConfLink": "conf:x"}, "other-meeting"),
    "Skype without properties": (
        SKYPE,
        {"OnlineMeetingExternalLink": "https://meet.contoso.com/anna/R1"},
        "no-properties",
    ),
    "Skype, Teams' conference link": (
        SKYPE,
        {"OnlineMeetingConfLink": "conf:sip:a@b;gruu;opaque=app:conf:focus:id:teams:2:0!19:x-thread.v2!1!2"},
        "no-properties",
    ),
    "no join URL": (dataclasses.replace(TEAMS, join_url=None), {"SkypeTeamsMeetingUrl": join()}, "no-join-url"),
}


@pytest.mark.parametrize(("found", "properties", "reason"), CASES.values(), ids=CASES)
def test_genuineness(found, properties, reason):
    """Properties and block must speak of one meeting."""
    verdict = judge(found, properties, organizer_id=ORGANIZER.upper(), tenant_id=TENANT)
    assert (verdict.genuine, verdict.reason) == (reason == "properties-agree", reason)


def test_block_of_another_organizer_or_tenant_is_pasted():
    """The URL's context names them; a tenant that is not known is not compared."""
    properties = {"SkypeTeamsMeetingUrl": join()}
    assert judge(TEAMS, properties, organizer_id="x", tenant_id=TENANT).reason == "other-organizer"
    assert judge(TEAMS, properties, organizer_id=ORGANIZER, tenant_id="x").reason == "other-tenant"
    assert judge(TEAMS, properties, organizer_id=ORGANIZER, tenant_id=None).genuine


DIALIN = '<div><a href="tel:+49 30 123,,515#" style="font-size:14px">x</a></div><div><a href="tel:+1 555 0100,,515#" style="font-size:14px">x</a></div>'
SWAPPED = '<div><a href="TEL:+15550100,,515#" style="font-size:14px">x</a></div><div><a href="tel:%2B4930123,,515" style="font-size:14px">x</a></div>'


def test_coordinates_written_otherwise_are_the_same():
    """Nobody gets a mail because a number has blanks or the order of numbers changed."""
    first = block(element(inside=DIALIN))
    second = block(element(inside=SWAPPED).replace(join(), safe(join())))
    assert first.numbers == ("+4930123", "+15550100")
    assert same_coordinates(first, second)
    assert same_coordinates(second, first)


@pytest.mark.parametrize(
    "change",
    [{"join_url": None}, {"conference_id": "1"}, {"numbers": ()}, {"vtc_key": "a@b.c"}, {"vtc_conference_id": "1"}],
    ids=str,
)
def test_every_coordinate_counts(change):
    """One that differs is a reason to refresh."""
    first = block(element(inside=DIALIN))
    assert not same_coordinates(first, dataclasses.replace(first, **change))


def test_properties_settle_which_meeting_is_the_own_one():
    """The forwarded invitation below stays, the meeting's own block goes."""
    body = teams("QQ") + "<blockquote>" + teams("ZZ") + "</blockquote>"
    located = locate(body)
    who = {"organizer_id": ORGANIZER, "tenant_id": TENANT}
    chosen = choose(located, {"SkypeTeamsMeetingUrl": join("QQ")}, **who)
    assert chosen.ambiguous is None
    assert remove(body, located=chosen) == "<blockquote>" + teams("ZZ") + "</blockquote>"
    assert choose(located, {}, **who) is located
    assert choose(chosen, {}, **who) is chosen
    unclear = locate('<div class="me-email-text">' + f'<a href="{join()}">x</a>')
    assert choose(unclear, {"SkypeTeamsMeetingUrl": join()}, **who) is unclear
