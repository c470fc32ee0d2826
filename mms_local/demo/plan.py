"""Contoso's calendars: the same 600 meetings on every run, with dates relative to the day of the run."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from enum import Enum, auto
from itertools import count, cycle
from typing import Any

from mms_local.demo.bodies import Body, Curiosity, write_body
from mms_local.demo.cast import TOLL_NUMBER, Person, Story, contoso
from mms_local.demo.meetings import ROOMS, Fate, Occurrence, SeedMeeting, Weekly
from mms_local.demo.skype import Audio, Hand, SkypeMeeting, render_block

SEED = 20260802
TOWN_HALL_ATTENDEES = 299
"""With the organiser 300, more than the 250 of rule W6."""
LARGEST_ATTENDEES = 249
"""With the organiser exactly the 250 that are still migrated."""

_ALPHABET = "23456789BCDFGHJKLMNPQRSTVWXYZ"
_OUTSIDERS = ("dialogue@fabrikam.com", "j.ortiz@northwindtraders.com", "wen@adatum.com", "office@litware.com")


class Sort(Enum):
    """The sorts of meetings that real calendars hold."""

    SKYPE = auto()
    SKYPE_BLOCK_ONLY = auto()
    SKYPE_ALONE = auto()
    SKYPE_LARGEST = auto()
    SKYPE_TOWN_HALL = auto()
    SKYPE_RUNNING_SERIES = auto()
    SKYPE_FUTURE_SERIES = auto()
    SKYPE_PAST = auto()
    SKYPE_ENDED_SERIES = auto()
    SKYPE_PASTED = auto()
    TEAMS = auto()
    TEAMS_SERIES = auto()
    TEAMS_PAST = auto()
    TEAMS_PASTED = auto()
    PLAIN = auto()

    @property
    def is_skype(self) -> bool:
        """Whether a Skype block stands in the body."""
        return self.name.startswith("SKYPE")

    @property
    def is_series(self) -> bool:
        """Whether it recurs."""
        return self.name.endswith("SERIES")

    @property
    def is_over(self) -> bool:
        """Whether it ended before the demo begins (rule W7)."""
        return self in {Sort.SKYPE_PAST, Sort.SKYPE_ENDED_SERIES, Sort.TEAMS_PAST}

    @property
    def is_pasted(self) -> bool:
        """Whether its block was copied from another meeting (rule W5)."""
        return self in {Sort.SKYPE_PASTED, Sort.TEAMS_PASTED}


_RARE_EXTRAS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"importance": "high"},
    {"categories": ["Red category", "Kundenprojekt Süd"]},
    {"sensitivity": "private", "showAs": "tentative"},
)
_TEAMS = {Sort.TEAMS, Sort.TEAMS_SERIES, Sort.TEAMS_PAST}
_WITHOUT_ROOM = {Sort.SKYPE_ALONE, Sort.SKYPE_LARGEST, Sort.SKYPE_TOWN_HALL}
"""A room is an attendee too, and these sorts are about how many there are."""

_SKYPE_ONLY = {Sort.SKYPE: 10, Sort.SKYPE_RUNNING_SERIES: 1, Sort.PLAIN: 3}
_CALENDARS: dict[Story, dict[Sort, int]] = {
    Story.MOVED: {
        Sort.SKYPE: 8,
        Sort.SKYPE_RUNNING_SERIES: 1,
        Sort.SKYPE_FUTURE_SERIES: 1,
        Sort.SKYPE_PAST: 2,
        Sort.SKYPE_PASTED: 1,
        Sort.PLAIN: 2,
    },
    Story.MOVED_LICENSED_GRANTED: {
        Sort.SKYPE: 9,
        Sort.SKYPE_RUNNING_SERIES: 1,
        Sort.SKYPE_BLOCK_ONLY: 1,
        Sort.TEAMS: 2,
        Sort.SKYPE_PAST: 2,
        Sort.PLAIN: 2,
    },
    Story.GRANTED: {
        Sort.SKYPE: 8,
        Sort.SKYPE_RUNNING_SERIES: 1,
        Sort.SKYPE_BLOCK_ONLY: 1,
        Sort.TEAMS: 2,
        Sort.SKYPE_PAST: 1,
        Sort.SKYPE_ENDED_SERIES: 1,
        Sort.PLAIN: 2,
    },
    Story.LICENSED: {Sort.TEAMS: 9, Sort.TEAMS_SERIES: 1, Sort.TEAMS_PAST: 2, Sort.SKYPE_PASTED: 1, Sort.PLAIN: 3},
    Story.UNLICENSED: {Sort.TEAMS: 8, Sort.TEAMS_SERIES: 1, Sort.TEAMS_PAST: 1, Sort.PLAIN: 2},
    Story.LICENSED_OTHER_PROVIDER: {Sort.SKYPE: 10, Sort.SKYPE_RUNNING_SERIES: 1, Sort.PLAIN: 2},
    Story.REBRIDGED: {Sort.TEAMS: 9, Sort.TEAMS_SERIES: 1, Sort.TEAMS_PAST: 1, Sort.PLAIN: 2},
    Story.ASKED: {
        Sort.SKYPE: 9,
        Sort.SKYPE_RUNNING_SERIES: 1,
        Sort.SKYPE_ALONE: 1,
        Sort.SKYPE_PAST: 2,
        Sort.TEAMS: 1,
        Sort.PLAIN: 2,
    },
    Story.ASKED_MAILBOX_ON_PREMISES: {},
    Story.GRANTED_OTHER_MODE: _SKYPE_ONLY,
    Story.GRANTED_WITHOUT_MIGRATION: _SKYPE_ONLY,
    Story.GRANTED_ON_PREMISES: _SKYPE_ONLY | {Sort.SKYPE_PAST: 4},
    Story.PROFILE_EDITED: _SKYPE_ONLY,
}
_SPECIALS: dict[str, dict[Sort, int]] = {
    "grace.whitfield@contoso.com": {Sort.SKYPE_LARGEST: 1},
    "sofia.marino@contoso.com": {Sort.SKYPE_TOWN_HALL: 1},
    "tomas.reyes@contoso.com": {Sort.TEAMS_PASTED: 1},
    "isabel.duarte@contoso.com": {Sort.TEAMS_PASTED: 1},
    "caleb.stone@contoso.com": {Sort.TEAMS_PASTED: 1},
}


def plan_tenant(today: date) -> tuple[tuple[Person, ...], tuple[SeedMeeting, ...]]:
    """Contoso's people and all they organise, as of *today* (UTC)."""
    people = contoso()
    writer = _Writer(people, today)
    meetings = [meeting for person in people for meeting in writer.calendar_of(person)]
    genuine = next(meeting for meeting in meetings if meeting.is_teams and meeting.weekly is None)
    copied = [
        replace(meeting, copies_block_of=genuine.key) if meeting.rule == "W5" and meeting.body.block == "" else meeting
        for meeting in meetings
    ]
    return people, tuple(copied)


class _Writer:
    """Writes calendars from one stream of pseudo-random numbers."""

    def __init__(self, people: tuple[Person, ...], today: date) -> None:
        self._rng = random.Random(SEED)  # noqa: S311 -- the same tenant on every run, not a secret
        self._people = people
        self._today = today
        self._curiosities = cycle(Curiosity)
        self._numbers = count(1)
        self._spans = cycle(("endDate", "numbered", "noEnd"))

    def calendar_of(self, person: Person) -> Iterator[SeedMeeting]:
        """Everything *person* organises."""
        sorts = _CALENDARS[person.story] | _SPECIALS.get(person.address, {})
        for sort, how_many in sorts.items():
            for _ in range(how_many):
                yield self._meeting(person, sort)

    def _meeting(self, person: Person, sort: Sort) -> SeedMeeting:
        number = next(self._numbers)
        start = self._start(sort)
        skype = self._skype(person)
        fate, rule = _fate(sort, person.story)
        return SeedMeeting(
            key=f"meeting-{number:03}",
            organizer=person,
            subject=self._subject(person, sort),
            start=start,
            length=timedelta(minutes=self._rng.choice((25, 30, 45, 60, 90))),
            body=self._body(person, sort, skype, number),
            attendees=self._attendees(person, sort),
            fate=fate,
            rule=rule,
            skype=skype if sort.is_skype and not sort.is_pasted else None,
            is_teams=sort in _TEAMS,
            postscript=f"<p>PS: {person.language.closing}</p>" if sort in _TEAMS and number % 2 else "",
            room=self._rng.choice((*ROOMS, "", "")) if sort not in _WITHOUT_ROOM else "",
            weekly=self._weekly(sort, start.date()) if sort.is_series else None,
            edits=tuple(Occurrence) if sort in {Sort.SKYPE_RUNNING_SERIES, Sort.TEAMS_SERIES} else (),
            extras=self._extras(),
        )

    def _subject(self, person: Person, sort: Sort) -> str:
        if sort is Sort.SKYPE_TOWN_HALL:
            return "Town hall: the year ahead"
        if sort is Sort.SKYPE_LARGEST:
            return "All hands, region West"
        return self._rng.choice(person.language.subjects)

    def _start(self, sort: Sort) -> datetime:
        # Two days away from now at least: then no time zone can put a future meeting into the past, nor the reverse.
        if sort.is_over:
            days = -91 if sort is Sort.SKYPE_ENDED_SERIES else -self._rng.randint(3, 75)
        elif sort in {Sort.SKYPE_RUNNING_SERIES, Sort.TEAMS_SERIES}:
            days = -self._rng.randint(28, 48)
        else:
            days = self._rng.randint(4, 120)
        day = self._today + timedelta(days=days)
        weekend = max(0, day.weekday() - 4)
        day -= timedelta(days=weekend)
        return datetime.combine(day, time(self._rng.randint(8, 17), self._rng.choice((0, 15, 30))))

    def _weekly(self, sort: Sort, starts_on: date) -> Weekly:
        if sort is Sort.SKYPE_ENDED_SERIES:
            return Weekly(starts_on, 1, occurrences=8)
        interval = self._rng.choice((1, 1, 2))
        span = next(self._spans)
        if span == "numbered":
            return Weekly(starts_on, interval, occurrences=26)
        return Weekly(starts_on, interval, ends_on=starts_on + timedelta(weeks=30) if span == "endDate" else None)

    def _skype(self, person: Person) -> SkypeMeeting:
        if person.story is Story.LICENSED_OTHER_PROVIDER:
            audio = Audio.THIRD_PARTY
        else:
            audio = self._rng.choice((Audio.NONE, Audio.MICROSOFT))
        return SkypeMeeting(
            organizer=person.address,
            meeting_id="".join(self._rng.choices(_ALPHABET, k=8)),
            is_online=not person.story.is_homed_on_premises,
            audio=audio,
            toll_number=TOLL_NUMBER,
            conference_id=str(self._rng.randint(10_000, 9_999_999)),
        )

    def _body(self, person: Person, sort: Sort, skype: SkypeMeeting, number: int) -> Body:
        hand = Hand.WORD if number % 3 == 0 else Hand.EXCHANGE
        newline = "\r\n" if number % 2 == 0 else "\n"
        note = "P2: -1, 4711" if number % 9 == 0 else ""
        block = render_block(skype, person.language, hand=hand, note=note, newline=newline) if sort.is_skype else ""
        return write_body(
            person.language,
            block=block,
            curiosity=next(self._curiosities),
            newline=newline,
            text_below=number % 5 in {0, 3},
            only_block=sort is Sort.SKYPE_BLOCK_ONLY,
            rng=self._rng,
        )

    def _attendees(self, person: Person, sort: Sort) -> tuple[str, ...]:
        if sort is Sort.SKYPE_ALONE:
            return ()
        if sort is Sort.SKYPE_TOWN_HALL:
            return tuple(f"guest{n:03}@fabrikam.com" for n in range(1, TOWN_HALL_ATTENDEES + 1))
        if sort is Sort.SKYPE_LARGEST:
            return tuple(f"store{n:03}@northwindtraders.com" for n in range(1, LARGEST_ATTENDEES + 1))
        colleagues = self._rng.sample([p.address for p in self._people if p is not person], self._rng.randint(2, 5))
        outsiders = self._rng.sample(_OUTSIDERS, self._rng.choice((0, 0, 1, 2)))
        return (*colleagues, *outsiders)

    def _extras(self) -> tuple[tuple[str, Any], ...]:
        extras: dict[str, Any] = {"reminderMinutesBeforeStart": self._rng.choice((5, 15, 30))}
        extras |= self._rng.choice(_RARE_EXTRAS)
        return tuple(extras.items())


def _fate(sort: Sort, story: Story) -> tuple[Fate, str]:
    """What the rules say about a meeting of this *sort* in this *story*."""
    if not story.leads_to_a_run or sort is Sort.PLAIN:
        return Fate.UNTOUCHED, ""
    if rule := _rule_to_leave(sort, story):
        return Fate.SKIPPED, rule
    if sort.is_skype:
        return Fate.MIGRATED, ""
    return (Fate.CURRENT if story in {Story.GRANTED, Story.ASKED} else Fate.REFRESHED), ""


def _rule_to_leave(sort: Sort, story: Story) -> str:
    if sort.is_over:
        return "W7"
    if sort.is_pasted:
        return "W5"
    if sort is Sort.SKYPE_TOWN_HALL:
        return "W6"
    return "W4" if story is Story.LICENSED_OTHER_PROVIDER else ""
