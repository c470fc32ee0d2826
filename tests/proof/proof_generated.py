"""Mailboxes of any mix: what Hypothesis draws, and how it gets into a calendar. Nothing here knows the product.

What is drawn is plain data with offsets instead of instants, so the same example is the same mailbox at any time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from proof_mailbox import (
    LANGUAGES,
    SKYPE_TEMPLATES,
    TEAMS_TEMPLATES,
    ZONES,
    Mailbox,
    Seed,
    at,
    exception,
    instances,
    invitation,
    linked_to,
    people,
    post,
    skype_properties,
)
from proof_tenant import PUBLIC_STRINGS, Refused

INSTANTS = (
    "2026-06-15T08:10", "2026-03-28T22:10", "2026-10-24T21:10", "2026-03-07T18:10", "2026-11-01T05:10",
    "2026-12-31T11:10", "2028-02-28T23:10",
)  # fmt: skip
"""What time it is in the tenant: an ordinary day, the nights when clocks change, the ends of a year and of February."""
EVERY_ZONE = (
    *ZONES, "Newfoundland Standard Time", "Tokyo Standard Time", "Europe/London", "America/New_York", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Chatham", "America/Sao_Paulo", "Pacific/Kiritimati",
)  # fmt: skip
AUDIO_CONFERENCING = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
DIAL_INS = (
    None,
    {"tollNumber": "+46 8 555 01 00", "conferenceId": ""},
    {"tollNumber": "+46 8 555 02 00", "conferenceId": ""},
    {"tollNumber": "+49 30 123456", "conferenceId": "515253545"},
)
"""None, two of the bridge's numbers, and what the fixtures of Teams invitations say."""
FOREIGN_BLOCK = "skype-unquoted.html"
"""An invitation without numbers, pasted below somebody's own."""
SKYPE = tuple(SKYPE_TEMPLATES)
TEAMS_PAGES = tuple(each for each in TEAMS_TEMPLATES if each.endswith(".html"))
LOST = "Gr\u00ef\u00bf\u00bd\u00ef\u00bf\u00bde"
"""What an earlier migration left of a word: what it was nobody knows, so it stays."""
_DOTS = f"<p class=MsoNormal><span>{'.' * 137}</span></p>"
SHELL = f"{_DOTS}\r\n<p class=MsoNormal>&nbsp;</p>\r\n{_DOTS}"
"""What an earlier migration left of a block: nothing to read in it, so it goes with the meeting's own block."""
HOSTS = tuple(each for each in SKYPE if each in ("skype-server.html", "skype-online.html", "lync.html"))
CROWDS = {"249 others": 249, "250 others": 250, "251 others": 251}
"""W6: with the organizer, 250 people are just allowed."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
INDEXES = ("first", "second", "third", "fourth", "last")
OWN = "SomethingOfTheirOwn"

made = st.one_of(
    *[
        st.fixed_dictionaries({"made": st.just(kind), "template": st.sampled_from(templates)})
        for kind, templates in (
            ("skype", SKYPE), ("skype", SKYPE), ("skype", SKYPE), ("skype", SKYPE), ("skype", SKYPE), ("skype", SKYPE),
            ("pasted skype", SKYPE), ("borrowed skype", SKYPE), ("own and pasted", HOSTS),
            ("skype and teams", ("skype-and-teams.html",)),
            ("teams", TEAMS_TEMPLATES), ("teams", TEAMS_TEMPLATES), ("teams", TEAMS_TEMPLATES), ("teams", TEAMS_TEMPLATES),
            ("pasted teams", TEAMS_TEMPLATES), ("another's teams", TEAMS_TEMPLATES),
            ("teams and pasted skype", TEAMS_PAGES),
            ("consumer", ("teams-consumer.html",)),
            ("flagged", ("1", "2", "3", "3b", "4")), ("flagged", ("1", "2", "3", "3b", "4")),
            ("plain", ("",)),
        )
    ]
)  # fmt: skip
"""Who made it an online meeting and how; for those made by flags, in which generation of Teams."""
single = st.fixed_dictionaries({
    "when": st.just("single"),
    "hours": st.one_of(st.integers(0, 9000), st.integers(0, 60), st.integers(-30, 400), st.integers(-400, 9000)),
    "minutes": st.sampled_from([30, 60, 60, 90, 1500]),
    "all_day": st.sampled_from([False] * 7 + [True]),
})  # fmt: skip
patterns = st.one_of(
    st.fixed_dictionaries({"type": st.just("daily"), "interval": st.integers(1, 10)}),
    st.fixed_dictionaries({
        "type": st.just("weekly"),
        "interval": st.integers(1, 4),
        "daysOfWeek": st.lists(st.sampled_from(DAYS), min_size=1, max_size=5, unique=True),
        "firstDayOfWeek": st.sampled_from(DAYS),
    }),
    st.fixed_dictionaries({
        "type": st.just("absoluteMonthly"), "interval": st.integers(1, 6), "dayOfMonth": st.integers(1, 31)
    }),
    st.fixed_dictionaries({
        "type": st.just("relativeMonthly"),
        "interval": st.integers(1, 3),
        "daysOfWeek": st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True),
        "index": st.sampled_from(INDEXES),
    }),
    st.fixed_dictionaries({
        "type": st.just("absoluteYearly"),
        "interval": st.integers(1, 2),
        "month": st.integers(1, 12),
        "dayOfMonth": st.integers(1, 28),
    }),
    st.fixed_dictionaries({
        "type": st.just("relativeYearly"),
        "interval": st.just(1),
        "month": st.integers(1, 12),
        "daysOfWeek": st.lists(st.sampled_from(DAYS), min_size=1, max_size=2, unique=True),
        "index": st.sampled_from(INDEXES),
    }),
)  # fmt: skip
ranges = st.one_of(
    st.just({"type": "noEnd"}),
    st.fixed_dictionaries({"type": st.just("numbered"), "numberOfOccurrences": st.integers(1, 60)}),
    st.fixed_dictionaries({"type": st.just("endDate"), "days": st.one_of(st.integers(0, 60), st.integers(0, 900))}),
)
CHANGES = (
    "words",
    "attendees",
    "moved",
    "subject",
    "places",
    "cancelled",
    "bare",
    "past words",
    "last into the future",
)
series = st.fixed_dictionaries({
    "when": st.just("series"),
    "pattern": patterns,
    "range": ranges,
    "began": st.one_of(st.integers(-60, 20), st.integers(-900, 60)),
    "minutes": st.sampled_from([30, 60, 90]),
    "changes": st.lists(st.sampled_from(CHANGES), max_size=4),
})  # fmt: skip
surroundings = st.fixed_dictionaries({
    "tag": st.sampled_from(tuple(LANGUAGES)),
    "zone": st.sampled_from(EVERY_ZONE),
    "who": st.sampled_from(["zoe", "zoe", "zoe", "nobody", "internal", "mixed", "self", "twins", *CROWDS]),
    "label": st.sampled_from(["Skype Meeting", "Skype-Besprechung", "Réunion Skype", "Skype 会議", "", "Skype corner"]),
    "room": st.booleans(),
    "calendar": st.sampled_from([""] * 9 + ["Projects", "Projects", "Shared", "Subscribed"]),
    "damage": st.sampled_from([""] * 8 + ["lost characters", "empty shell"]),
    "fate": st.sampled_from(["own"] * 15 + ["draft", "copy", "cancelled copy"]),
})  # fmt: skip
items = st.tuples(made, st.one_of(single, single, series), surroundings).map(
    lambda parts: parts[0] | parts[1] | parts[2]
)
mailboxes = st.fixed_dictionaries({
    "instant": st.sampled_from(INSTANTS),
    "items": st.lists(items, min_size=1, max_size=6),
    "dial_in": st.sampled_from(DIAL_INS),
    "dial_in_later": st.sampled_from(DIAL_INS),
    "representation": st.sampled_from(["url", "provider"]),
    "route": st.sampled_from("BBBBBA"),
    "generation": st.sampled_from(["4", "4", "1", "2", "3", "3b"]),
    "source": st.sampled_from(["All"] * 6 + ["SfB", "Teams"]),
    "secondary": st.booleans(),
    "replaces_providers": st.booleans(),
    "mailbox": st.sampled_from(["user"] * 9 + ["shared", "room", "equipment"]),
    "shared_policy": st.sampled_from(["migrate", "report"]),
    "room_policy": st.sampled_from(["migrate", "report"]),
    "edits": st.lists(st.sampled_from(["", "text", "place", "subject"]), max_size=4),
})  # fmt: skip


@dataclass
class World:
    """A tenant with the mailbox in it, and who else is there."""

    tenant: object
    now: datetime
    mailbox: Mailbox
    other: Mailbox
    calendars: dict[str, str] = field(default_factory=dict)
    kinds: Counter = field(default_factory=Counter)
    """What has been seeded, for the report."""


def instant_of(drawn):
    """What time it is."""
    return datetime.fromisoformat(drawn["instant"]).replace(tzinfo=UTC)


def seeded(tenant, drawn):
    """Make the users, fill the calendars, and change what changes before the run; mails are forgotten."""
    other = Mailbox(tenant.user())
    name = other.user["userPrincipalName"]
    calendars = [
        {"name": "Projects"}, {"name": "Shared", "owner": {"name": "Bo", "address": name}}, {"name": "Subscribed"}
    ]  # fmt: skip
    licensed = {
        "plans": [AUDIO_CONFERENCING],
        "audioConferencing": {"provider": "microsoft", **(drawn["dial_in"] or {})},
    }
    kind = {"mailboxKind": drawn["mailbox"]} if drawn["mailbox"] != "user" else {}
    mailbox = Mailbox(tenant.user(calendars=calendars, **kind, **(licensed if drawn["dial_in"] else {})))
    world = World(tenant, instant_of(drawn), mailbox, other)
    for each in tenant.graph("GET", f"users/{mailbox.user['id']}/calendars")["value"]:
        world.calendars[each["name"]] = each["id"]
    tenant.control("PATCH", "switches", {"skypeRepresentation": drawn["representation"]})
    for item in drawn["items"]:
        _seed(world, item)
    who = mailbox.user["userPrincipalName"]
    tenant.control("POST", "actions/protectCalendar", {"user": who, "calendar": world.calendars["Subscribed"]})
    later = drawn["dial_in_later"]
    if later != drawn["dial_in"]:
        change = "assignLicense" if later else "removeLicense"
        tenant.control("POST", f"actions/{change}", {"user": who, "plans": [AUDIO_CONFERENCING]})
        if later:
            tenant.control("POST", "actions/setAudioConferencing", {"user": who, **later})
    tenant.control("DELETE", "outbox")
    return world


def _seed(world, item):
    """Put one item, single or series, where it belongs."""
    tenant, fate = world.tenant, item["fate"]
    mailbox = world.other if "copy" in fate else world.mailbox
    try:
        event = _posted(world, mailbox, item)
    except Refused as refusal:
        if "ErrorInvalidRecurrence" not in str(refusal):
            raise
        return  # an end before the first day of its pattern
    if fate == "draft":
        who = mailbox.user["userPrincipalName"]
        tenant.control("POST", "actions/markDraft", {"user": who, "eventId": event["id"]})
    for number, change in enumerate(item.get("changes", ())):
        _change(_Series(world, mailbox, event, item), change, number)
    if fate == "cancelled copy":
        tenant.graph("POST", f"{tenant.item(mailbox.user, event['id'])}/cancel", {})
    world.kinds[item["made"]] += 1
    world.kinds[item["damage"] or "sound"] += 1
    world.kinds[item["pattern"]["type"] if item["when"] == "series" else "single"] += 1
    world.kinds[fate if fate != "own" else item["calendar"] or "own"] += 1


def _posted(world, mailbox, item):
    """Create the event."""
    payload, seed = _payload(world, mailbox, item)
    if mailbox is world.other:
        payload["attendees"] = people([world.mailbox.user["userPrincipalName"]])
    elif item["calendar"]:
        payload["calendar"] = world.calendars[item["calendar"]]
        if item["calendar"] == "Shared":
            payload["organizer"] = {"emailAddress": {"address": world.other.user["userPrincipalName"]}}
    payload |= _series_times(world, item) if item["when"] == "series" else _single_times(world, item)
    if item["made"] == "flagged":
        world.tenant.control("PATCH", "switches", {"teamsGeneration": item["template"]})
    event = post(world.tenant, mailbox, payload, seed)
    if item["made"] == "flagged":
        _learn_block(seed, payload, event)
    return event


def _payload(world, mailbox, item):
    """Give everything about an event but when it is, and what is known of its block."""
    body, seed, properties = _invited(world, mailbox, item)
    body = _damaged(body, seed, item)
    kind = "text" if item["template"].endswith(".txt") else "html"
    names = [item["label"]] * bool(item["label"]) + ["Room 4"] * item["room"]
    if item["made"] in ("teams", "another's teams", "pasted teams", "teams and pasted skype", "flagged"):
        names = ["Microsoft Teams Meeting" if each == item["label"] else each for each in names]
    payload = {
        "subject": f"{item['made']} {item['template']}",
        "body": {"contentType": kind, "content": body},
        "locations": [{"displayName": each} for each in names],
        "attendees": people(_who(world, mailbox, item["who"])),
        "singleValueExtendedProperties": [*properties, {"id": PUBLIC_STRINGS + OWN, "value": "kept"}],
    }
    if item["made"] == "flagged":
        payload |= {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
    return payload, seed


def _invited(world, mailbox, item):
    """Give body, seed and properties."""
    template, tag = item["template"], item["tag"]
    match item["made"]:
        case "flagged" | "plain":
            return "<html><body><p>Hello&nbsp;all</p></body></html>", Seed(), []
        case "skype" | "pasted skype" | "borrowed skype" | "own and pasted":
            return _skype(item["made"], template, tag)
        case "skype and teams":
            body, blocks, url = invitation(template, tag=tag, host="https://meet.contoso.com/anna.berg/")
            return body, Seed(blocks=blocks, url=url), skype_properties(url)
        case "teams" | "another's teams" | "teams and pasted skype":
            is_own = item["made"] != "another's teams"
            owner = mailbox if is_own else world.other if mailbox is world.mailbox else world.mailbox
            meeting = world.tenant.graph("POST", f"users/{owner.user['id']}/onlineMeetings", {"subject": "Talk"})
            replaced = linked_to(meeting, owner.user["id"], world.tenant.ready["tenantId"])
            body, blocks, _ = invitation(template, tag=tag, replaced=replaced)
            if item["made"] == "teams and pasted skype":
                body = _with_foreign(body, tag)
            return body, Seed(blocks=blocks) if is_own else Seed(), _teams_properties(meeting) if is_own else []
    body, _, _ = invitation(template, tag=tag)  # pasted, or made in Teams for private use
    return body, Seed(), []


def _damaged(body, seed, item):
    """Leave in a body what migrations by others leave; what is to go with its block is noted as a part of that."""
    start = body.lower().find("<body")
    start = body.find(">", start) + 1
    if not item["damage"] or not start or item["template"].endswith(".txt"):
        return body
    if item["damage"] == "lost characters":
        return f"{body[:start]}<p>{LOST}</p>{body[start:]}"
    if seed.blocks and item["made"] in ("skype", "teams"):
        seed.blocks = (SHELL, *seed.blocks)
        return f"{body[:start]}<p>Before</p>{SHELL}<p>Between</p>{body[start:]}"
    return body


def _skype(how, template, tag):
    body, blocks, url = invitation(template, tag=tag)
    if how == "own and pasted":
        body = _with_foreign(body, tag)
    properties = skype_properties(url)
    if how == "borrowed skype":
        _, _, elsewhere = invitation(template, tag=tag)
        properties = skype_properties(elsewhere)
    seed = Seed() if how in ("pasted skype", "borrowed skype") else Seed(blocks=blocks, url=url)
    return body, seed, [] if how == "pasted skype" else properties


def _with_foreign(body, tag):
    """Paste somebody else's Skype block below what is there."""
    _, (foreign, *_), _ = invitation(FOREIGN_BLOCK, tag=tag)
    end = body.lower().rindex("</body>")
    return f"{body[:end]}<p>They have one, too:</p>{foreign}<p>Regards</p>{body[end:]}"


def _teams_properties(meeting):
    url = meeting["joinWebUrl"]
    thread = meeting["chatInfo"]["threadId"]
    values = {
        "SkypeTeamsMeetingUrl": url,
        "OnlineMeetingExternalLink": url,
        "OnlineMeetingConfLink": f"conf:sip:a@contoso.example;gruu;opaque=app:conf:focus:id:teams:2:0!{thread}",
        "SkypeTeamsProperties": f'{{"cid":"{thread}","private":true,"type":0,"mid":0,"rid":0,"uid":null}}',
    }
    return [{"id": PUBLIC_STRINGS + name, "value": value} for name, value in values.items()]


def _learn_block(seed, payload, event):
    """What the service put into the body of an event made by flags, is its block."""
    before, _, behind = payload["body"]["content"].partition("</body>")
    content = event["body"]["content"]
    if content.startswith(before) and content.endswith(f"</body>{behind}"):
        seed.blocks = (content[len(before) : len(content) - len(f"</body>{behind}")].removesuffix("\r\n"),)


def _who(world, mailbox, name):
    colleague = world.other if mailbox is world.mailbox else world.mailbox
    internal = colleague.user["userPrincipalName"]
    if name in CROWDS:
        return [f"p{number}@fabrikam.example" for number in range(CROWDS[name])]
    return {
        "nobody": [],
        "zoe": ["zoe@fabrikam.example"],
        "internal": [internal],
        "mixed": [internal, "zoe@fabrikam.example", "ann@northwind.example"],
        "self": [mailbox.user["userPrincipalName"], "zoe@fabrikam.example"],
        "twins": ["zoe@fabrikam.example", "Zoe@Fabrikam.example"],
    }[name]


def _single_times(world, item):
    """Half an hour off, so that nothing begins or ends while the run works."""
    start = world.now.replace(minute=40) + timedelta(hours=item["hours"])
    if item["all_day"]:
        day = start.date()
        zone = item["zone"]
        return {
            "isAllDay": True,
            "start": {"dateTime": f"{day}T00:00:00", "timeZone": zone},
            "end": {"dateTime": f"{day + timedelta(days=1)}T00:00:00", "timeZone": zone},
        }
    return _span(start, timedelta(minutes=item["minutes"]), item["zone"])


def _span(start, length, zone):
    """Give start and end; in UTC where the zone's clocks show one of them twice."""
    known = ZoneInfo(ZONES.get(zone, WINDOWS.get(zone, zone)))
    twice = any(each.astimezone(known).fold for each in (start, start + length))
    zone = "UTC" if twice or zone in WINDOWS else zone
    return {"start": at(start, zone), "end": at(start + length, zone)}


WINDOWS = {"Newfoundland Standard Time": "America/St_Johns", "Tokyo Standard Time": "Asia/Tokyo"}


def _series_times(world, item):
    zone = item["zone"]
    start = world.now.replace(minute=40) + timedelta(days=item["began"], hours=3)
    times = _span(start, timedelta(minutes=item["minutes"]), zone)
    zone = times["start"]["timeZone"]
    day = datetime.fromisoformat(times["start"]["dateTime"]).date()
    scope = dict(item["range"])
    if "days" in scope:
        scope["endDate"] = f"{day + timedelta(days=scope.pop('days'))}"
    return {
        **times,
        "recurrence": {
            "pattern": item["pattern"],
            "range": {"startDate": f"{day}", "recurrenceTimeZone": zone, **scope},
        },
    }


@dataclass
class _Series:
    """A series that was seeded."""

    world: World
    mailbox: Mailbox
    master: dict
    item: dict

    def instances(self, start, end, *, top=1000):
        """Its occurrences, exceptions too."""
        return instances(
            self.world.tenant, self.mailbox, self.master["id"], start, end, top=top, select="id,type,start,end"
        )

    def exception(self, occurrence, **changes):
        """Make an occurrence an exception."""
        return exception(self.world.tenant, self.mailbox, self.master["id"], occurrence, **changes)

    @property
    def words(self):
        """Words of an occurrence's own, where it is known where they can stand."""
        return "<p>Bring the plan</p>" if self.mailbox.seeds[self.master["id"]].blocks else ""


def _change(series, change, number):
    """Change one occurrence, if the series has it."""
    now = series.world.now
    if change == "last into the future":
        _move_last(series)
        return
    if change == "past words":
        found = series.instances(now - timedelta(days=40), now)
    else:
        found = series.instances(now, now + timedelta(days=800), top=12)
    regular = [each for each in found if each["type"] == "occurrence"]
    if not regular:
        return
    chosen = regular[min(number, len(regular) - 1)]
    if change == "cancelled":
        series.world.tenant.graph("DELETE", series.world.tenant.item(series.mailbox.user, chosen["id"]))
        return
    made = series.exception(chosen, **_changed(series, change, chosen))
    if change == "bare":
        series.mailbox.seeds[made["id"]] = Seed()


def _changed(series, change, occurrence):
    """What is different about an exception."""
    match change:
        case "attendees":
            guests = _who(series.world, series.mailbox, series.item["who"])[:5]
            return {"attendees": people([*guests[1:], "late@fabrikam.example"])}
        case "moved":
            later = timedelta(minutes=15)
            return {name: at(_instant(occurrence[name]) + later) for name in ("start", "end")}
        case "subject":
            return {"subject": "Special"}
        case "places":
            return {"locations": [{"displayName": "Room 9"}]}
        case "bare":
            return {"body": {"contentType": "html", "content": "<p>Off</p>"}}
    return {"words": series.words}


def _move_last(series):
    """Let the regular range of a series be over, but for its last occurrence, which was moved into the future."""
    now = series.world.now
    if series.master["recurrence"]["range"]["type"] == "noEnd" or series.instances(now, now + _AGES, top=1):
        return
    behind = series.instances(now - timedelta(days=1200), now)
    if behind and behind[-1]["type"] == "occurrence":
        start = now.replace(minute=40) + timedelta(days=5)
        times = {"start": at(start), "end": at(start + timedelta(hours=1))}
        series.exception(behind[-1], words=series.words, **times)


_AGES = timedelta(days=4000)


def _instant(value):
    return datetime.fromisoformat(value["dateTime"][:26]).replace(tzinfo=UTC)


def edited(world, written, edits):
    """Let somebody edit what was migrated; gives the ids of what an undo must leave alone then."""
    tenant, refused = world.tenant, set()
    order = [each for each in world.mailbox.seeds if each in written]
    for event_id, edit in zip(order, edits, strict=False):
        item = tenant.item(world.mailbox.user, event_id)
        now = tenant.graph("GET", item)
        if edit == "subject":
            tenant.graph("PATCH", item, {"subject": "By hand"})
        elif edit == "place":
            tenant.graph("PATCH", item, {"locations": [*now["locations"], {"displayName": "Room 77"}]})
            refused.add(event_id)
        elif edit == "text":
            content = now["body"]["content"]
            end = content.lower().rindex("</body>")
            content = f"{content[:end]}<p>By hand</p>{content[end:]}"
            tenant.graph("PATCH", item, {"body": {"contentType": "html", "content": content}})
            refused.add(event_id)
    tenant.control("DELETE", "outbox")
    return refused
