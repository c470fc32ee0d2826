"""Seeds calendars through Graph alone, and remembers of each meeting what was outside its block.

The invitations are the fixtures in ``tests/fixtures/blocks``: their marks say which characters belong to the block.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from proof_tenant import PUBLIC_STRINGS

FIXTURES = Path(__file__).parents[1] / "fixtures" / "blocks"
LANGUAGES = {each["tag"]: each for each in json.loads((FIXTURES / "languages.json").read_text("utf-8"))}
ZONES = {
    "UTC": "UTC",
    "W. Europe Standard Time": "Europe/Berlin",
    "Pacific Standard Time": "America/Los_Angeles",
    "India Standard Time": "Asia/Kolkata",
    "AUS Eastern Standard Time": "Australia/Sydney",
}
"""Windows names, and what they stand for; a name of the IANA database stands for itself."""
SKYPE_TEMPLATES = {
    "skype-server.html": "https://meet.contoso.com/anna.berg/K7RTQ2XN",
    "skype-online.html": "https://meet.lync.com/contoso/anna.berg/K7RTQ2XN",
    "skype-no-separators.html": "https://meet.contoso.com/anna.berg/K7RTQ2XN",
    "skype-glued.html": "https://meet.contoso.com/anna.berg/K7RTQ2XN",
    "skype-unquoted.html": "https://meet.contoso.com/anna.berg/K7RTQ2XN",
    "lync-server.html": "https://lync.contoso.com/meet/anna.berg/K7RTQ2XN",
    "lync.html": "https://meet.lync.com/contoso/anna.berg/K7RTQ2XN",
    "skype.txt": "https://meet.contoso.com/anna.berg/K7RTQ2XN",
    "skype-acp.txt": "https://meet.lync.com/contoso/anna.berg/K7RTQ2XN",
}
TEAMS_TEMPLATES = (
    "teams-1.html", "teams-1-vtc.html", "teams-2.html", "teams-2-straddling.html", "teams-3.html", "teams-3-copied.html",
    "teams-3-surplus.html", "teams-3.txt", "teams-3b.html", "teams-3b-word.html", "teams-4.html", "teams-4-only.html",
    "teams-4.txt",
)  # fmt: skip
_THREAD, _TENANT, _ORGANIZER, _SHORT = (
    "TW9kZWxsYmF1ZXI1", "0b1c2d3e-1111-4222-8333-444455556666", "77778888-9999-4aaa-bbbb-ccccddddeeee", "31234567890123",
)  # fmt: skip
"""Of the meeting in the fixtures."""
_CODES = itertools.count(1)


@dataclass
class Seed:
    """What is known of one seeded item from seeding it."""

    blocks: tuple[str, ...] = ()
    """The characters of its block or blocks, as Graph shows them."""
    url: str = ""
    """Where its own block leads."""


@dataclass
class Mailbox:
    """A seeded user."""

    user: dict
    seeds: dict[str, Seed] = field(default_factory=dict)
    """By event id."""


def _filled(template, tag):
    with (FIXTURES / "templates" / template).open(encoding="utf-8", newline="") as file:
        text = file.read()
    for name, value in LANGUAGES[tag].items():
        text = text.replace("{{" + name + "}}", value)
    return text


def linked_to(meeting, organizer_id, tenant_id):
    """What to replace in a Teams fixture so that it invites to a meeting of this tenant."""
    thread = meeting["chatInfo"]["threadId"].partition("_")[2].partition("@")[0]
    return {_THREAD: thread, _ORGANIZER: organizer_id, _TENANT: tenant_id, _SHORT: f"3{next(_CODES):013d}"}


def invitation(template, *, tag="en-US", note="", code=None, replaced=None, host=""):
    """Fill a template; gives the body, its blocks, and the join URL, which nobody else has."""
    code = code or f"K{next(_CODES):07d}"
    text = _filled(template, tag).replace("K7RTQ2XN", code)
    for old, new in (replaced or {}).items():
        text = text.replace(old, new)
    url = f"{host}{code}" if host else SKYPE_TEMPLATES.get(template, "").replace("K7RTQ2XN", code)
    body = text.replace("{[", "").replace("]}", "")
    blocks = [piece.partition("]}")[0] for piece in text.split("{[")[1:]]
    if note:
        # More of the organizer's own words, before the block and behind it.
        first, last = text.index("{["), text.rindex("]}") + 2
        before, between, behind = text[:first], text[first:last], text[last:]
        middle = between.replace("{[", "").replace("]}", "")
        body = f"{_noted(before, note)}{middle}{_noted(behind, note)}"
    return body, tuple(blocks), url


def _noted(text, note):
    """Put a note where text may stand: in front of a last or behind a first element that has some."""
    for tag in ("<p", "<P"):
        if tag in text:
            position = text.index(tag)
            return f"{text[:position]}{note}{text[position:]}"
    return text


def shown(text, kind):
    """Text as Graph shows it: HTML, whatever was written (fact sheet 1.2)."""
    if kind == "html":
        return text
    return escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")


def skype_properties(url):
    """What the add-in leaves on an event."""
    code = url.rpartition("/")[2]
    conference = f"conf:sip:anna.berg@contoso.example;gruu;opaque=app:conf:focus:id:{code}?conversation-id=x1"
    values = {"OnlineMeetingConfLink": conference, "OnlineMeetingExternalLink": url, "UCMeetingSetting": "<a/>"}
    return [{"id": PUBLIC_STRINGS + name, "value": value} for name, value in values.items()]


def at(instant, zone="UTC"):
    """An instant as Graph takes it, in a zone by its Windows or IANA name."""
    local = instant.astimezone(ZoneInfo(ZONES.get(zone, zone)))
    return {"dateTime": f"{local:%Y-%m-%dT%H:%M:%S}", "timeZone": zone}


def people(addresses):
    """Attendees."""
    return [{"type": "required", "emailAddress": {"address": each, "name": each}} for each in addresses]


def post(tenant, mailbox, payload, seed):
    """Create an event, in a calendar by its id or in the default one, and remember what it is."""
    calendar = payload.pop("calendar", None)
    place = f"calendars/{quote(calendar, safe='')}/events" if calendar else "events"
    made = tenant.graph("POST", f"users/{mailbox.user['id']}/{place}", payload)
    kind = payload["body"]["contentType"]
    seed.blocks = tuple(shown(each, kind) for each in seed.blocks)
    mailbox.seeds[made["id"]] = seed
    return made


def skype(
    tenant,
    mailbox,
    start: datetime,
    *,
    template="skype-server.html",
    tag="en-US",
    zone="UTC",
    attendees=("zoe@fabrikam.example",),
    length=timedelta(hours=1),
    note="",
    genuine=True,
    **more,
):
    """A Skype meeting, or (not genuine) an appointment with its block pasted in."""
    body, blocks, url = invitation(template, tag=tag, note=note)
    payload = {
        "subject": f"Review {template}",
        "start": at(start, zone),
        "end": at(start + length, zone),
        "body": {"contentType": "text" if template.endswith(".txt") else "html", "content": body},
        "locations": [{"displayName": "Skype Meeting"}, {"displayName": "Room 4"}],
        "attendees": people(attendees),
        **({"singleValueExtendedProperties": skype_properties(url)} if genuine else {}),
        **more,
    }
    return post(tenant, mailbox, payload, Seed(blocks=blocks, url=url))


def weekly(start: datetime, zone="UTC", **scope):
    """A weekly recurrence from a start on; *scope* is the range's other fields."""
    local = start.astimezone(ZoneInfo(ZONES.get(zone, zone)))
    return {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [local.strftime("%A").lower()]},
        "range": {"type": "noEnd", "startDate": f"{local:%Y-%m-%d}", "recurrenceTimeZone": zone, **scope},
    }


def instances(tenant, mailbox, master_id, start: datetime, end: datetime, *, top=1000, select=""):
    """The calendar's own arithmetic."""
    window = f"startDateTime={start:%Y-%m-%dT%H:%M:%S}&endDateTime={end:%Y-%m-%dT%H:%M:%S}&$top={top}"
    window += f"&$select={select}" if select else ""
    return tenant.graph("GET", f"{tenant.item(mailbox.user, master_id)}/instances?{window}")["value"]


def exception(tenant, mailbox, master_id, occurrence, *, words="", **changes):
    """Make an occurrence an exception; *words* go into its own text, above the block."""
    if words:
        content = tenant.graph("GET", tenant.item(mailbox.user, occurrence["id"]))["body"]["content"]
        position = content.index(mailbox.seeds[master_id].blocks[0])
        position = content.rfind("<p", 0, position) if "<p" in content[:position] else position
        content = f"{content[:position]}{words}{content[position:]}"
        changes["body"] = {"contentType": "html", "content": content}
    made = tenant.graph("PATCH", tenant.item(mailbox.user, occurrence["id"]), changes)
    mailbox.seeds[made["id"]] = mailbox.seeds[master_id]
    return made


def flagged(tenant, mailbox, start: datetime, *, attendees=("zoe@fabrikam.example",), zone="UTC", **more):
    """A Teams meeting as Graph makes it by flags."""
    payload = {
        "subject": "Teams",
        "start": at(start, zone),
        "end": at(start + timedelta(hours=1), zone),
        "body": {"contentType": "html", "content": "<html><body><p>Hello&nbsp;all</p></body></html>"},
        "attendees": people(attendees),
        "isOnlineMeeting": True,
        "onlineMeetingProvider": "teamsForBusiness",
        **more,
    }
    return post(tenant, mailbox, payload, Seed())


def of_every_kind(tenant, now: datetime, *, singles=19, refreshes=True):
    """The mailbox of the campaign of faults: *singles* and six more items to be written, of every kind.

    Single meetings (with *refreshes*, one of them a Teams meeting whose number has changed), a running series with two
    exceptions and a cancelled occurrence, a counted one with an exception, a series that has ended but for one
    occurrence, which was moved into the future.
    """
    mailbox = Mailbox(tenant.user(
        plans=["3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"],
        audioConferencing={"provider": "microsoft", "tollNumber": "+46 8 555 01 00"},
    ))  # fmt: skip
    now = now.replace(minute=0, second=0, microsecond=0)
    templates = [each for each in SKYPE_TEMPLATES if each != "skype-acp.txt"]
    for number in range(singles - refreshes):
        skype(
            tenant,
            mailbox,
            now + timedelta(days=1 + number, hours=number % 5),
            template=templates[number % len(templates)],
            zone=list(ZONES)[number % len(ZONES)],
            tag=list(LANGUAGES)[number % len(LANGUAGES)],
        )
    if refreshes:
        flagged(tenant, mailbox, now + timedelta(days=30))
    _series_of_every_kind(tenant, mailbox, now)
    tenant.control("POST", "actions/setAudioConferencing", {
        "user": mailbox.user["userPrincipalName"], "tollNumber": "+46 8 555 02 00",
    })  # fmt: skip
    tenant.control("DELETE", "outbox")
    return mailbox


def _series_of_every_kind(tenant, mailbox, now):
    began = now - timedelta(days=70)
    running = skype(tenant, mailbox, began, recurrence=weekly(began))
    ahead = instances(tenant, mailbox, running["id"], now + timedelta(days=2), now + timedelta(days=40))
    exception(tenant, mailbox, running["id"], ahead[0], words="<p>Bring the plan</p>")
    exception(tenant, mailbox, running["id"], ahead[1], subject="Moved", words="<p>Upstairs</p>")
    tenant.graph("DELETE", tenant.item(mailbox.user, ahead[2]["id"]))
    began = now - timedelta(days=21)
    counted = skype(
        tenant, mailbox, began, zone="Pacific Standard Time",
        recurrence=weekly(began, "Pacific Standard Time", type="numbered", numberOfOccurrences=12),
    )  # fmt: skip
    ahead = instances(tenant, mailbox, counted["id"], now + timedelta(days=2), now + timedelta(days=40))
    exception(tenant, mailbox, counted["id"], ahead[0], words="<p>With guests</p>")
    began = now - timedelta(days=28)
    last = now - timedelta(days=14)
    ended = skype(tenant, mailbox, began, recurrence=weekly(began, type="endDate", endDate=f"{last:%Y-%m-%d}"))
    behind = instances(tenant, mailbox, ended["id"], began - timedelta(days=1), now)
    moved = now + timedelta(days=5)
    exception(
        tenant, mailbox, ended["id"], behind[-1], words="<p>One more</p>",
        start=at(moved), end=at(moved + timedelta(hours=1)),
    )  # fmt: skip
