"""One meeting's URL in one way, however it was written or wrapped."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from urllib.parse import quote

import pytest
from bodies import ORGANIZER, TENANT, join, safe

from mms_core.block import canonical_join_url
from mms_core.block.urls import MAX_URL, parse_join_url


def proofpoint(url: str) -> str:
    """A URL as the older of two gateways writes it: a dash for the percent sign, an underscore for the slash."""
    return "".join(
        char if char.isalnum() or char == "." else "_" if char == "/" else f"-{ord(char):02X}" for char in url
    )


def stars(url: str) -> str:
    """A URL as the newer one writes it: stars, and behind them what they stand for."""
    taken = url.replace("%7b%22", "**A", 1).replace("%", "*")
    code = urlsafe_b64encode(b"%" * url.partition("%7b%22")[0].count("%") + b"%7b%22" + b"%" * 40)
    return f"https://urldefense.com/v3/__{taken.replace('**A', '**E', 1)}__;{code.decode().rstrip('=')}!!abc-d!e$"


CLASSIC = join()
SAME = {
    "as Graph writes it": CLASSIC,
    "upper-case escapes": CLASSIC.replace("%3a", "%3A").replace("%7b", "%7B").replace("%2c", "%2C"),
    "a raw at sign and colon": CLASSIC.replace("%40", "@").replace("19%3a", "19:"),
    "raw braces": CLASSIC.replace("%7b", "{").replace("%7d", "}").replace("%22", '"').replace("%3a%22", ':"'),
    "HTML escapes": CLASSIC + "&amp;anon=true",
    "upper-case host and identifiers": CLASSIC.replace("teams.microsoft", "Teams.Microsoft").replace(
        TENANT, TENANT.upper()
    ),
    "white space around": f" {CLASSIC}\n",
    "a Safe Link": safe(CLASSIC),
    "a Safe Link of the other form": safe(CLASSIC).replace("/?url", "/ap/t-59584e83/?url"),
    "a Safe Link in a Safe Link": safe(safe(CLASSIC).replace("&amp;", "&").replace("&", "%26")),
    "another gateway": f"https://urldefense.com/v3/__{CLASSIC}__;JSU!!abc$",
    "another gateway that writes stars": stars(CLASSIC),
    "a gateway that we do not know, in its path": f"https://gateway.example/1aB-c/{quote(CLASSIC, safe='')}",
    "a gateway that we do not know, in its query": f"https://gateway.example/v1/url?k=1&u={quote(CLASSIC, safe='')}&e=2",
    "a Safe Link in a gateway that we do not know": "https://gateway.example/u?a="
    + quote(safe(CLASSIC).replace("&amp;", "&"), safe=""),
    "a link out of Google's calendar": f"https://www.google.com/url?q={quote(CLASSIC, safe=':/')}&sa=D&source=calendar",
    "a session under surveillance": CLASSIC.replace("teams.microsoft.com", "teams.microsoft.com.mcas.ms"),
    "as a browser shows it": CLASSIC.replace(".com/l/", ".com/v2/?meetingjoin=true#/l/"),
    "as a browser showed it": CLASSIC.replace(".com/l/", ".com/_#/l/"),
    "an older gateway": f"https://urldefense.proofpoint.com/v2/url?u={proofpoint(CLASSIC)}&d=x",
    "the launcher page": "https://teams.microsoft.com/dl/launcher/launcher.html?url="
    + quote("/_#" + CLASSIC.split(".com", 1)[1], safe="")
    + "&type=meetup-join",
    "names in lower case": CLASSIC.replace("Tid", "tid").replace("Oid", "oid"),
    "escaped twice": CLASSIC.replace("%", "%25"),
}


@pytest.mark.parametrize("url", SAME.values(), ids=SAME)
def test_every_way_to_write_a_teams_url_is_one(url):
    """The canonical form is the one that Graph writes."""
    assert canonical_join_url(url) == CLASSIC
    assert canonical_join_url(canonical_join_url(url)) == CLASSIC


OTHERS = {
    "https://teams.microsoft.com/meet/312345678901?p=aB&utm=1": "https://teams.microsoft.com/meet/312345678901?p=aB",
    "HTTPS://Teams.Live.com/meet/9312345678901/": "https://teams.live.com/meet/9312345678901",
    "https://gov.teams.microsoft.us/l/meetup-join/19%3ax%40thread.v2/0": "https://gov.teams.microsoft.us/l/meetup-join/19%3ax%40thread.v2/0",
    "https://teams.microsoft.com/l/meetup-join/19%3ax%40thread.tacv2/1611?context=%7b%7d": "https://teams.microsoft.com/l/meetup-join/19%3ax%40thread.tacv2/1611",
    "https://teams.microsoft.com/l/meetup-join/19%3ax%40thread.v2/0?context=broken": "https://teams.microsoft.com/l/meetup-join/19%3ax%40thread.v2/0",
    "https://teams.microsoft.com/l/meetup-join/19%3ax%40thread.v2/0?context=%5b1%5d": "https://teams.microsoft.com/l/meetup-join/19%3ax%40thread.v2/0",
    "https://meet.Contoso.com/Anna/K7?sl=1": "https://meet.contoso.com/Anna/K7",
    "https://meet.lync.com/contoso/anna/K7/": "https://meet.lync.com/contoso/anna/K7",
    "https://meet.lync.com/onmicrosoft/contoso/anna/K7": "https://meet.lync.com/onmicrosoft/contoso/anna/K7",
    "https://web.contoso.com/meet/anna/K7": "https://web.contoso.com/meet/anna/K7",
    "HTTPS://Example.com/A?b=C": "https://example.com/A?b=C",
    "no URL": "no URL",
    "": "",
}


@pytest.mark.parametrize(("url", "canonical"), OTHERS.items())
def test_other_urls(url, canonical):
    """Short, consumer, government, channel and Skype URLs keep what names the meeting; others stay."""
    assert canonical_join_url(url) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "https://teams.microsoft.com/l/team/19%3ax",
        "https://teams.microsoft.com/meetingOptions/?organizerId=1",
        "https://dialin.teams.microsoft.com/meet/123456789",
        "https://teams.live.com/l/meetup-join/19%3ax/0",
        "https://notteams.microsoft.com/meet/123456789",
        "https://teams.microsoft.com.evil.example/meet/123456789",
        "https://meet.google.com/abc-defg-hij",
        "ftp://meet.contoso.com/anna/K7",
        "https://[::1/meet/anna/K7",
        "https://x.safelinks.protection.outlook.com/?data=1",
        f"https://example.com/?q=see+{quote(CLASSIC, safe='')}",
        "https://teams.microsoft.com/v2/#/l/team/19%3ax",
        "https://urldefense.com/v3/__https://example.com/*3a__;!!abc$",
        "https://urldefense.com/v3/__https://example.com/*3a__;A!!abc$",
        "https://teams.microsoft.com/" + "#/l/" * 1_500,
        "https://a.example/" + "=https%3a%2f%2f" * 500,
        "mailto:anna@contoso.com",
        "https://teams.microsoft.com/meet/" + "1" * MAX_URL,
    ],
)
def test_what_joins_nothing_is_no_join_url(url):
    """Other pages of the same products, look-alikes and oddities are not taken for join URLs."""
    assert parse_join_url(url) is None


def test_context_names_organizer_and_tenant():
    """They come from the URL, in lower case."""
    found = parse_join_url(CLASSIC)
    assert (found.organizer_id, found.tenant_id, found.meeting_id) == (ORGANIZER, TENANT, "19:meeting_QQ@thread.v2")


def test_extra_context_is_kept():
    """A live event says so in its context, and its URL needs that."""
    url = CLASSIC.replace("%7d", "%2c%22IsBroadcastMeeting%22%3atrue%7d")
    assert canonical_join_url(url) == url
