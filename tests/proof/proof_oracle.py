"""What must have happened to a mailbox, read from the tenant alone: its state before and after, and its outbox.

Nothing of the product is imported here, and nothing of it is asked: not its ledger, not its status, not its word.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import quote

from proof_mailbox import instances
from proof_tenant import PUBLIC_STRINGS

_NAMES = (
    "OnlineMeetingConfLink", "OnlineMeetingExternalLink", "OnlineMeetingInternalLink", "OnlineMeetingConferenceId",
    "OnlineMeetingTollNumber", "ConferenceTelURI", "UCCapabilities", "UCInband", "UCMeetingSetting",
    "UCMeetingSettingSent", "UCOpenedConferenceID", "SkypeTeamsMeetingUrl", "SkypeTeamsProperties",
    "SchedulingServiceUpdateUrl", "SchedulingServiceMeetingOptionsUrl", "SomethingOfTheirOwn",
)  # fmt: skip
_MARKER = "String {6f0b8c52-6b1e-4a8a-9e54-4d1f3c1f7a10} Name MmsRun"
"""What the service leaves on what it has written; after an undo it is gone as well."""
_EXPAND = "singleValueExtendedProperties($filter={})".format(
    " or ".join(f"id eq '{name}'" for name in (*(PUBLIC_STRINGS + each for each in _NAMES), _MARKER))
)
_HOUSEKEEPING = {"@odata.etag", "changeKey", "lastModifiedDateTime", "singleValueExtendedProperties"}
_WRITTEN = _HOUSEKEEPING | {
    "body", "bodyPreview", "location", "locations", "isOnlineMeeting", "onlineMeeting", "onlineMeetingProvider",
    "onlineMeetingUrl",
}  # fmt: skip
_TEAMS_LINK = re.compile(r"https://teams\.microsoft\.com/(?:l/meetup-join/(19[^\s\"'<>/]+)|meet/(\d+))", re.IGNORECASE)
_SKYPE_LABELS = ("Skype Meeting", "Skype-Besprechung", "Réunion Skype", "Skype 会議")
_DIAL = re.compile(r"tel:\s*([+\d\s()%.-]+)(?:,,(\d+))?")
_NEAR, _FAR = timedelta(days=366), timedelta(days=12 * 366)
MOST_PEOPLE = 250
"""W6: the organizer included."""


@dataclass
class State:
    """A mailbox at one instant."""

    events: dict
    futures: dict
    """For each series: has it an occurrence from now on that is no exception; those have bodies of their own."""
    places: dict
    """For each item the calendar that it is in."""
    meetings: dict
    """What Teams says today of the meetings that properties name, by their links; empty where it does not tell."""


def look(tenant, mailbox, now: datetime) -> State:
    """Read everything that Graph shows."""
    owner = mailbox.user["id"]
    rows, places = [], {}
    for calendar in tenant.graph("GET", f"users/{owner}/calendars?$top=100")["value"]:
        path = f"users/{owner}/calendars/{quote(calendar['id'], safe='')}/events?$top=1000&$expand={_EXPAND}"
        while path:
            page = tenant.graph("GET", path)
            rows += page["value"]
            places |= {each["id"]: calendar for each in page["value"]}
            path = page.get("@odata.nextLink", "").removeprefix(f"{tenant.ready['graph']}/")
    futures = {}
    for master in [each for each in rows if each["type"] == "seriesMaster"]:
        item = tenant.item(mailbox.user, master["id"])
        whole = tenant.graph(
            "GET", f"{item}?$select=id,exceptionOccurrences,cancelledOccurrences&$expand=exceptionOccurrences"
        )
        master["cancelledOccurrences"] = whole.get("cancelledOccurrences")
        for each in whole.get("exceptionOccurrences") or ():
            own = tenant.item(mailbox.user, each["id"])
            rows.append(tenant.graph("GET", f"{own}?$expand={_EXPAND}"))
            places[each["id"]] = places[master["id"]]
        futures[master["id"]] = _future(tenant, mailbox, master, now)
    meetings = {}
    if tenant.control("GET", "switches")["applicationAccessPolicy"] == "granted":
        for url in {_properties(each).get("SkypeTeamsMeetingUrl", "") for each in rows} - {""}:
            name = quote(f"JoinWebUrl eq '{url}'", safe="")
            found = tenant.graph("GET", f"users/{owner}/onlineMeetings?$filter={name}")["value"]
            meetings[url] = found[0] if found else None
    return State({each["id"]: each for each in rows}, futures, places, meetings)


def _future(tenant, mailbox, master, now):
    """Say whether a series has an occurrence from *now* on that is no exception."""
    return any(
        each["type"] == "occurrence"
        for start, end in ((now, now + _NEAR), (now + _NEAR, now + _FAR))
        for each in instances(tenant, mailbox, master["id"], start, end, select="id,type")
    )


def _properties(event):
    rows = event.get("singleValueExtendedProperties") or ()
    return {row["id"].rpartition(" Name ")[2]: row["value"] for row in rows if row["value"]}


def _instant(value):
    return datetime.fromisoformat(value["dateTime"][:26]).replace(tzinfo=UTC)


def _links(event):
    """The Teams meetings that an invitation leads to; one may be named by two forms of link."""
    found = _TEAMS_LINK.findall(unescape(event["body"]["content"]))
    return {thread.lower() for thread, _ in found if thread}, {code for _, code in found if code}


def _coordinates(content):
    """How an invitation says that one can dial in: numbers, conference ids, whether a room system can."""
    text = unescape(content)
    found = _DIAL.findall(text)
    numbers = {re.sub(r"\D", "", number) for number, _ in found}
    return numbers, {conference for _, conference in found if conference}, "rooms.example.net" in text


def _says_today(meeting):
    """What the invitation to a meeting has to say today."""
    dial_in = meeting.get("audioConferencing") or {}
    numbers = {re.sub(r"\D", "", dial_in["tollNumber"])} if dial_in else set()
    return numbers, {dial_in["conferenceId"]} if dial_in else set(), False


def _leads_to(event, url):
    """Say whether the meeting that a property names is one that the invitation leads to."""
    return bool(_links({"body": {"content": url}})[0] & _links(event)[0])


def _skype_url(event, inherited):
    """The join link of a genuine Skype meeting: the add-in's properties say it, and the body as well (W5)."""
    properties = _properties(event) or inherited
    conference, url = properties.get("OnlineMeetingConfLink", ""), properties.get("OnlineMeetingExternalLink", "")
    if not conference or "focus:id:teams:" in conference or not url:
        return None
    return url if url.lower() in unescape(event["body"]["content"]).lower() else None


def _balance(markup):
    """How many elements markup leaves open, by their names."""
    names = ("div", "p", "span", "a", "table", "td")
    return {name: len(re.findall(rf"<{name}\b", markup, re.IGNORECASE)) - len(
        re.findall(rf"</{name}\b", markup, re.IGNORECASE)) for name in names}  # fmt: skip


@dataclass
class Oracle:
    """Judges one migration to Teams.

    Args:
        mailbox: Of whom, with what is known from seeding it.
        before: As it was.
        now: When it ran.
        mails_exceptions: Graph's own rule (1.5): writing a master mails once for each exception.
        by_flags: Route A: the block is not in the old one's place, but where Exchange puts it.
        source: Which meetings are asked for.
        secondary: Whether the user's own further calendars count.
        replaces_providers: Whether a third party's dial-in is replaced; that needs a licence as well.
    """

    mailbox: object
    before: State
    now: datetime
    mails_exceptions: bool = True
    by_flags: bool = False
    source: str = "All"
    secondary: bool = False
    replaces_providers: bool = False
    reports: bool = False
    """The policy for this kind of mailbox is to write nothing."""

    def duty(self, event):
        """Say what has to happen to an event: ``migrate``, ``refresh`` or ``keep``."""
        if self.reports:
            return "keep"
        owner = self.mailbox.user["userPrincipalName"].lower()
        is_ours = event["isOrganizer"] and not event["isDraft"] and not event["isCancelled"]
        is_ours = is_ours and self._is_looked_at(self.before.places[event["id"]])
        master = self.before.events.get(event.get("seriesMasterId") or "")
        if event["type"] == "seriesMaster":
            is_ours = is_ours and self.before.futures[event["id"]]
        elif _instant(event["end"]) < self.now:
            is_ours = False
        return self._wanted(event, _properties(master) if master else {}, owner) if is_ours else "keep"

    def _is_looked_at(self, calendar):
        is_own = calendar["canEdit"] and calendar["owner"]["address"] == self.mailbox.user["userPrincipalName"]
        return calendar["isDefaultCalendar"] or (self.secondary and is_own)

    def _wanted(self, event, inherited, owner):
        addresses = {each["emailAddress"]["address"].lower() for each in event["attendees"]} | {owner}
        if len(addresses) > MOST_PEOPLE:
            return "keep"
        content = event["body"]["content"]
        if _skype_url(event, inherited) is not None:
            is_foreign = "phoneconf.example" in content and not self.replaces_providers
            # Flags do nothing for an event that is shown as an online one already.
            is_stuck = self.by_flags and event["isOnlineMeeting"]
            return "keep" if is_foreign or is_stuck or self.source == "Teams" else "migrate"
        own = (_properties(event) or inherited).get("SkypeTeamsMeetingUrl")
        meeting = self.before.meetings.get(own) if own and _leads_to(event, own) else None
        if meeting is None or self.source == "SfB" or self.by_flags:
            return "keep"
        return "keep" if _coordinates(content) == _says_today(meeting) else "refresh"

    def duties(self):
        """All events, and what has to happen to each."""
        return {event_id: self.duty(event) for event_id, event in self.before.events.items()}

    def problems(self, after: State, outbox, *, loose=()):
        """Compare; gives one line for each thing that is wrong. *loose* are ids whose duty is not judged."""
        found = []
        duties = self.duties()
        if after.events.keys() != self.before.events.keys():
            found.append(f"events came or went: {after.events.keys() ^ self.before.events.keys()}")
        written = set()
        for event_id, duty in duties.items():
            event = after.events.get(event_id)
            if event is None or event_id in loose:
                continue
            is_written = event["body"] != self.before.events[event_id]["body"]
            if is_written:
                written.add(event_id)
            if is_written != (duty != "keep"):
                found.append(f"{self._named(event_id)}: {duty}, but it was {'' if is_written else 'not '}written")
            problem = self._written(event_id, event, after) if is_written else self._kept(event_id, event)
            found += [f"{self._named(event_id)}: {each}" for each in problem]
        return found + self._mails(written, outbox, loose)

    def _named(self, event_id):
        event = self.before.events[event_id]
        return f"{event['type']} {event['subject']!r} ({event_id[-12:]})"

    def _kept(self, event_id, event, *, before=None):
        before = before or self.before.events[event_id]
        # The ETag of an exception moves with its master's.
        ignored = _HOUSEKEEPING - {"singleValueExtendedProperties"} if event.get("seriesMasterId") else set()
        return [
            f"not to be touched, but {name} has changed"
            for name in before.keys() | event.keys()
            if name not in ignored and before.get(name) != event.get(name)
        ]

    def _written(self, event_id, event, after):
        before = self.before.events[event_id]
        found = [
            f"{name} has changed: {before.get(name)} -> {event.get(name)}"
            for name in before.keys() | event.keys()
            if name not in _WRITTEN and before.get(name) != event.get(name)
        ]
        found += self._text(event_id, before["body"]["content"], event["body"]["content"])
        threads, codes = _links(event)
        if len(threads) > 1 or len(codes) > 1 or not threads | codes:
            found.append(f"it leads to {len(threads)} and {len(codes)} Teams meetings")
        own = _properties(event).get("SkypeTeamsMeetingUrl", "")
        if after.meetings and (not _leads_to(event, own) or after.meetings.get(own) is None):
            found.append("its properties name another meeting than its invitation")
        elif after.meetings and _coordinates(event["body"]["content"]) != _says_today(after.meetings[own]):
            found.append("the invitation does not say how one dials in today")
        url = self.mailbox.seeds[event_id].url
        if url and url.lower() in unescape(event["body"]["content"]).lower():
            found.append("the old link is still there")
        before_names = [each["displayName"] for each in before["locations"]]
        names = [each["displayName"] for each in event["locations"]]
        kept = [each for each in before_names if each not in _SKYPE_LABELS and "Teams" not in each]
        if _skype_url(before, {}) is None and names != before_names:
            found.append(f"locations of a Teams meeting: {before_names} -> {names}")
        elif [each for each in names if "Teams" not in each] != kept or len(names) != len(before_names):
            found.append(f"locations: {before_names} -> {names}")
        code = url.rpartition("/")[2].lower()
        left = {name for name, value in _properties(event).items() if url and code in value.lower()}
        if left:
            found.append(f"old properties are still there: {sorted(left)}")
        return found

    def _text(self, event_id, before, after):
        """What stood outside the block stands there still, character for character, in its order."""
        blocks = self.mailbox.seeds[event_id].blocks
        if not blocks:  # a block of Graph's own: all that went or came is between what stayed
            own = "<p>Hello&nbsp;all</p>"
            return [] if own not in before or own in after else ["the text has changed"]
        outside, rest = [], before
        for block in blocks:
            text, found, rest = rest.partition(block)
            if not found:
                return ["the test does not know its own block"]
            outside.append(text)
        outside.append(rest)
        if self.by_flags:
            return self._inserted("".join(outside), after)
        if _balance("".join(outside)) != _balance(after):
            return ["the new block opens or closes elements of the old text"]
        middle = after[len(outside[0]) : len(after) - len(outside[-1])]
        if not (after.startswith(outside[0]) and after.endswith(outside[-1])):
            return ["text outside the block has changed"]
        return [f"text between the block's parts is gone: {text!r}" for text in outside[1:-1] if text not in middle]

    @staticmethod
    def _inserted(expected, after):
        """The old text with one thing inserted, whatever it is."""
        front = 0
        while front < min(len(expected), len(after)) and expected[front] == after[front]:
            front += 1
        return [] if after.endswith(expected[front:]) and len(after) > len(expected) else ["text has changed"]

    def not_undone(self, migrated: State, after: State, outbox, *, refused=()):
        """Compare with what an undo of everything has to lead to.

        Args:
            migrated: The mailbox right before the undo, edits of others included.
            after: Right after it.
            outbox: What the undo mailed.
            refused: Ids of what somebody edited since: they stay as they were.

        Returns:
            One line for each thing that is wrong.
        """
        found = []
        if after.events.keys() != migrated.events.keys():
            found.append("events came or went")
        written = {
            event_id
            for event_id, event in migrated.events.items()
            if event["body"] != self.before.events[event_id]["body"] and event_id not in refused
        }
        for event_id in migrated.events.keys() & after.events.keys():
            event, last = after.events[event_id], migrated.events[event_id]
            if event_id not in written:
                wrong = self._kept(event_id, event, before=last)
            else:
                wrong = self._restored(self.before.events[event_id], last, event)
            found += [f"{self._named(event_id)}: after the undo {each}" for each in wrong]
        return found + self._mails(written, outbox, ())

    @staticmethod
    def _restored(before, last, event):
        """Body, places and properties as they were before, letter for letter; all else as it was last."""
        found = [f"{name} is not restored" for name in ("body", "location", "locations") if event[name] != before[name]]
        now, then = _properties(event), _properties(before)
        found += [
            f"property {name} is not restored" for name in now.keys() | then.keys() if now.get(name) != then.get(name)
        ]
        found += [
            f"{name} has changed"
            for name in last.keys() | event.keys()
            if name not in _WRITTEN and last.get(name) != event.get(name)
        ]
        return found

    def _mails(self, written, outbox, loose):
        """Exactly one update of each meeting that was written, to all its attendees; nothing else."""
        found = []
        expected = Counter(written)
        if self.mails_exceptions:
            for event_id, event in self.before.events.items():
                expected[event_id] += event.get("seriesMasterId") in written
        sent = Counter(mail["eventId"] for mail in outbox)
        for event_id, event in self.before.events.items():
            owner = self.mailbox.user["userPrincipalName"].lower()
            people = {each["emailAddress"]["address"].lower() for each in event["attendees"]} - {owner}
            wanted = expected[event_id] if people else 0
            if event_id not in loose and sent[event_id] != wanted:
                found.append(f"{self._named(event_id)}: {sent[event_id]} mails instead of {wanted}")
            for mail in outbox:
                if mail["eventId"] == event_id:
                    if mail["reason"] != "update":
                        found.append(f"{self._named(event_id)}: a mail of kind {mail['reason']}")
                    if set(mail["recipients"]) != people:
                        found.append(f"{self._named(event_id)}: mailed to {mail['recipients']}")
        found += [f"a mail about {each}" for each in sent.keys() - self.before.events.keys()]
        return found
