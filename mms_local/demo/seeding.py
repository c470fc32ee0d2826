"""Puts Contoso into the tenant, and photographs it before anything happens and after everything has."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from mms_local.demo.bodies import Body
from mms_local.demo.cast import TOLL_NUMBER, Person
from mms_local.demo.meetings import Occurrence, SeedMeeting
from mms_local.demo.snapshot import Item, Outside, read_item
from mms_local.demo.tenant import Client
from mms_local.demo.verdict import Copy, Watched

T = TypeVar("T")
R = TypeVar("R")

_AT_A_TIME = 8
"""Mailboxes filled at the same time; each of them one request after the other, as Exchange likes it."""
_OCCURRENCES_AHEAD = timedelta(weeks=12)


@dataclass(slots=True)
class Seeded:
    """What the demo knows of the tenant that it made."""

    people: tuple[Person, ...]
    meetings: tuple[SeedMeeting, ...]
    user_ids: dict[str, str] = field(default_factory=dict)
    """Address to object id."""
    event_ids: dict[str, str] = field(default_factory=dict)
    """Meeting key to event id."""
    blocks: dict[str, str] = field(default_factory=dict)
    """Meeting key to the block in the stored body, as we or the tenant wrote it."""

    def meetings_of(self, person: Person) -> list[SeedMeeting]:
        """Everything *person* organises, Teams meetings first: others may hold a copy of their block."""
        own = [meeting for meeting in self.meetings if meeting.organizer is person]
        return sorted(own, key=lambda meeting: (not meeting.is_teams, meeting.key))


@dataclass(frozen=True, slots=True)
class Photograph:
    """The tenant at one moment."""

    items: Mapping[str, Item]
    """What people organise, by event id."""
    copies: Mapping[str, Copy]
    """Attendees' copies of meetings that must not change, by event id."""


async def seed(client: Client, seeded: Seeded, *, advance: Callable[[], object]) -> None:
    """Create what users are missing, and all meetings; *advance* is called after each meeting."""
    known = await client.users()
    missing = [person for person in seeded.people if person.address not in known]
    created = await _each(missing, lambda person: client.create_user(person.as_tenant_user()))
    known |= {person.address: user["id"] for person, user in zip(missing, created, strict=True)}
    seeded.user_ids = {person.address: known[person.address] for person in seeded.people}
    pasted = [meeting for meeting in seeded.meetings if meeting.copies_block_of]
    first = [meeting for meeting in seeded.meetings if not meeting.copies_block_of]

    async def fill(person: Person, meetings: Iterable[SeedMeeting]) -> None:
        for meeting in meetings:
            if meeting.organizer is person:
                await _create(client, seeded, meeting)
                advance()

    await _each(seeded.people, lambda person: fill(person, first))
    await _each(seeded.people, lambda person: fill(person, pasted))
    await client.empty_outbox()


async def photograph(client: Client, seeded: Seeded) -> Photograph:
    """Read every calendar, and every series with its exceptions."""
    series = {seeded.event_ids[meeting.key]: meeting for meeting in seeded.meetings if meeting.weekly is not None}
    may_change = {seeded.event_ids[meeting.key] for meeting in seeded.meetings if meeting.fate.is_changed}
    mailboxes = [person for person in seeded.people if seeded.meetings_of(person)]
    calendars = await _each(mailboxes, lambda person: client.calendar(person.address))
    events = [(person, event) for person, calendar in zip(mailboxes, calendars, strict=True) for event in calendar]
    own = {event["id"]: event for _, event in events if event["isOrganizer"]}
    changing = {own[event_id]["iCalUId"] for event_id in may_change if event_id in own}
    items = {event_id: read_item(event) for event_id, event in own.items() if event_id not in series}
    copies = {
        event["id"]: Copy(f"{event['subject']} (in the calendar of {person.name})", _fingerprint(event))
        for person, event in events
        if not event["isOrganizer"] and event["iCalUId"] not in changing
    }
    read = await _each(
        [entry for entry in series.items() if entry[0] in own],
        lambda entry: client.series(entry[1].organizer.address, entry[0]),
    )
    return Photograph(items | {item.event_id: item for item in read}, copies)


def watch(seeded: Seeded, before: Photograph) -> list[Watched]:
    """Join what was planned with what the tenant made of it."""
    watched = []
    for meeting in seeded.meetings:
        person = meeting.organizer
        with_dial_in = person.story.ends_with_audio_conferencing
        own = (_digits(person.toll_number), person.conference_id)
        old = () if person.toll_number == TOLL_NUMBER else (_digits(TOLL_NUMBER),)
        watched.append(
            Watched(
                name=f"{meeting.subject} ({person.name})",
                fate=meeting.fate,
                before=before.items[seeded.event_ids[meeting.key]],
                block=seeded.blocks.get(meeting.key, ""),
                dial_in=own if with_dial_in else (),
                forbidden=old if with_dial_in else own,
                skype_place=person.language.location if meeting.skype else "",
                changed_occurrences=sum(edit is not Occurrence.CANCELLED for edit in meeting.edits),
                cancelled_occurrences=meeting.edits.count(Occurrence.CANCELLED),
            )
        )
    return watched


async def _create(client: Client, seeded: Seeded, meeting: SeedMeeting) -> None:
    user = meeting.organizer.address
    event = meeting.as_event()
    if meeting.copies_block_of:
        body = Body(meeting.body.above, seeded.blocks[meeting.copies_block_of], meeting.body.below)
        event["body"]["content"] = body.text
        seeded.blocks[meeting.key] = body.block
    created = await client.create_event(user, event)
    event_id = seeded.event_ids[meeting.key] = created["id"]
    if meeting.body.block:
        seeded.blocks[meeting.key] = meeting.body.block
    if meeting.is_teams:
        seeded.blocks[meeting.key] = await _turn_online(client, meeting, created)
    if meeting.edits:
        await _edit_occurrences(client, user, event_id, meeting)


async def _turn_online(client: Client, meeting: SeedMeeting, created: Mapping[str, Any]) -> str:
    """Let the tenant make the Teams meeting and append its block, and give the block."""
    user, event_id = meeting.organizer.address, created["id"]
    online = {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
    text = (await client.change_event(user, event_id, online))["body"]["content"]
    block = Outside.of_insertion(created["body"]["content"], text).block_in(text)
    if meeting.postscript:
        text = text.replace(block, block + meeting.postscript)
        await client.change_event(user, event_id, {"body": {"contentType": "html", "content": text}})
    return block


async def _edit_occurrences(client: Client, user: str, series: str, meeting: SeedMeeting) -> None:
    today = date.today()  # noqa: DTZ011 -- a window around now, days wide
    ahead = (today + timedelta(days=2), today + _OCCURRENCES_AHEAD)
    upcoming = await client.occurrences(user, series, ahead[0].isoformat(), ahead[1].isoformat())
    for edit, occurrence in zip(meeting.edits, upcoming[1:], strict=False):
        if edit is Occurrence.CANCELLED:
            await client.cancel_occurrence(user, occurrence["id"])
        elif edit is Occurrence.MOVED:
            await client.change_event(user, occurrence["id"], _an_hour_later(occurrence))
        else:
            text = occurrence["body"]["content"]
            own = f'<p class="MsoNormal"><b>{meeting.organizer.language.points[0]}</b></p>'
            changes = {
                "subject": f"{meeting.subject} +",
                "body": {"contentType": "html", "content": text.replace("<p ", f"{own}<p ", 1)},
            }
            await client.change_event(user, occurrence["id"], changes)


def _an_hour_later(occurrence: Mapping[str, Any]) -> dict[str, Any]:
    def later(moment: Mapping[str, str]) -> dict[str, str]:
        at = datetime.fromisoformat(moment["dateTime"][:19]) + timedelta(hours=1)
        return {"dateTime": at.isoformat(), "timeZone": moment["timeZone"]}

    return {"start": later(occurrence["start"]), "end": later(occurrence["end"])}


def _fingerprint(event: Mapping[str, Any]) -> str:
    item = read_item(event)
    content = json.dumps([dict(item.facts), item.body, item.places, item.join_url])
    return hashlib.sha256(content.encode()).hexdigest()


def _digits(number: str) -> str:
    return "".join(character for character in number if character.isdigit())


async def _each(things: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """Do *work* for every thing, some at a time, and give the results in order."""
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def guarded(thing: T) -> R:
        async with gate:
            return await work(thing)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(guarded(thing)) for thing in things]
    return [task.result() for task in tasks]
