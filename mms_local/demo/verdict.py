"""Was the migration right? Judged from the tenant alone: calendars before, calendars after, and the outbox.

Nothing here knows the service. It does not find blocks in bodies either: the demo wrote them, so it knows them.
Everything is a pure function of three recordings, which is how its tests show that it can say no.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from mms_local.demo.meetings import Fate
from mms_local.demo.snapshot import Item, Outside, difference

_JOIN_URL = "https://teams.microsoft.com/"


class Check(Enum):
    """What a finding is about; the value is how the verdict's table names it."""

    MIGRATED = "Skype meetings migrated to Teams"
    REFRESHED = "dial-in coordinates renewed"
    UPDATES = "updates sent to attendees"
    DUPLICATES = "duplicate updates"
    CHARACTERS = "characters changed outside the blocks"
    FACTS = "times, attendees, recurrence, cancellations"
    UNTOUCHED = "past, pasted, plain and others' meetings"
    COPIES = "attendees' copies of these"
    RUNS = "one run a user, none for what is ignored"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    check: Check
    meeting: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A meeting as it was before anything happened, and what must come of it."""

    name: str
    """For people: subject and organiser."""
    fate: Fate
    before: Item
    block: str = ""
    """The old block; the same text stands in the exceptions that have one."""
    dial_in: tuple[str, ...] = ()
    """Digits of the number and the conference id that the new block must show, or empty if it must show none."""
    forbidden: tuple[str, ...] = ()
    """Digits that the new block must not show: a number given up, or dial-in without the licence."""
    skype_place: str = ""
    """The location that the Skype add-in had written."""
    changed_occurrences: int = 0
    """How many single occurrences the organiser had changed."""
    cancelled_occurrences: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message in the tenant's outbox."""

    event_id: str
    reason: str
    recipients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Copy:
    """An attendee's copy of a meeting."""

    name: str
    """For people: subject and owner of the calendar."""
    fingerprint: str
    """The same as long as nothing in it has changed."""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """The counts, and everything that is wrong."""

    migrated: int = 0
    to_migrate: int = 0
    refreshed: int = 0
    to_refresh: int = 0
    updates: int = 0
    expected_updates: int = 0
    series_updates: int = 0
    """Of the expected ones, those that Graph sends for changed occurrences of a series."""
    duplicates: int = 0
    characters: int = 0
    """Characters outside the blocks, of all meetings."""
    characters_changed: int = 0
    meetings: int = 0
    untouched: int = 0
    to_leave: int = 0
    cancelled_occurrences: int = 0
    changed_occurrences: int = 0
    copies: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def of(self, check: Check) -> list[Finding]:
        """The findings of one check."""
        return [finding for finding in self.findings if finding.check is check]


def judge(
    watched: Iterable[Watched],
    after: Mapping[str, Item],
    outbox: Iterable[Mail],
    *,
    copies: tuple[Mapping[str, Copy], Mapping[str, Copy]] = ({}, {}),
) -> Verdict:
    """Compare the tenant with what it was.

    Args:
        watched: Every seeded meeting as it was.
        after: The same meetings now, by event id; one that is gone is missing.
        outbox: Everything mailed since.
        copies: Attendees' copies of meetings that must not change, before and after, by event id.
    """
    verdict = Verdict()
    sent = _updates_by_event(outbox, verdict)
    for meeting in watched:
        verdict.meetings += 1
        now = after.get(meeting.before.event_id)
        if now is None:
            verdict.findings.append(Finding(Check.FACTS, meeting.name, "is not in the calendar any more"))
        elif meeting.fate.is_changed:
            _judge_changed(meeting, now, verdict)
        else:
            _judge_unchanged(meeting, now, verdict)
        _judge_mail(meeting, sent, verdict)
    _judge_strays(sent, verdict)
    _judge_copies(*copies, verdict)
    return verdict


def _judge_changed(meeting: Watched, now: Item, verdict: Verdict) -> None:
    check = Check.MIGRATED if meeting.fate is Fate.MIGRATED else Check.REFRESHED
    problems = _facts_that_differ(meeting.before, now)
    verdict.findings += [Finding(Check.FACTS, meeting.name, problem) for problem in problems]
    verdict.changed_occurrences += meeting.changed_occurrences
    verdict.cancelled_occurrences += meeting.cancelled_occurrences
    unfinished = _unfinished(meeting, meeting.before, now, verdict)
    later = {item.event_id: item for item in now.exceptions}
    for exception in meeting.before.exceptions:
        if exception.event_id in later:
            changed = later[exception.event_id]
            unfinished += [f"an occurrence of its own: {p}" for p in _unfinished(meeting, exception, changed, verdict)]
    if meeting.fate is Fate.MIGRATED:
        verdict.to_migrate += 1
        verdict.migrated += not unfinished
        unfinished += _wrong_places(meeting, now)
    else:
        verdict.to_refresh += 1
        verdict.refreshed += not unfinished
    verdict.findings += [Finding(check, meeting.name, problem) for problem in unfinished]


def _unfinished(meeting: Watched, before: Item, now: Item, verdict: Verdict) -> list[str]:
    """What is missing in one item, master or exception; counts its damage on the way."""
    if meeting.block not in before.body:
        # An occurrence whose organiser had removed the block from it.
        _count_characters(meeting, difference(before.body, now.body), len(before.body), verdict)
        return []
    outside = Outside.around(meeting.block, before.body)
    if meeting.block in now.body:
        _count_characters(meeting, difference(before.body, now.body), len(outside.text), verdict)
        return ["the old block still stands there"]
    damage = outside.damage(now.body)
    _count_characters(meeting, damage, len(outside.text), verdict)
    if damage:
        return []
    return _wrong_block(meeting, outside.block_in(now.body), now)


def _wrong_block(meeting: Watched, block: str, now: Item) -> list[str]:
    problems = []
    if not now.join_url.startswith(_JOIN_URL):
        problems.append("the tenant does not take it for a Teams meeting")
    elif now.join_url not in block.replace("&amp;", "&"):
        problems.append("the block does not lead to the meeting")
    digits = re.sub(r"\D", "", re.sub(r"<[^>]*>", "", block))
    problems += [f"the block lacks the dial-in {wanted}" for wanted in meeting.dial_in if wanted not in digits]
    problems += [f"the block still shows the dial-in {old}" for old in meeting.forbidden if old in digits]
    return problems


def _wrong_places(meeting: Watched, now: Item) -> list[str]:
    expected = [place for place in meeting.before.places if place != meeting.skype_place]
    lost = [f"the location {place!r} is lost" for place in expected if place not in now.places]
    left = [f"the location still says {meeting.skype_place!r}"] if meeting.skype_place in now.places else []
    return lost + left


def _judge_unchanged(meeting: Watched, now: Item, verdict: Verdict) -> None:
    verdict.to_leave += 1
    problems = _facts_that_differ(meeting.before, now)
    before = (meeting.before, *meeting.before.exceptions)
    for was, item in zip(before, (now, *now.exceptions), strict=False):
        _count_characters(meeting, _change_outside(meeting, was.body, item.body), len(was.body), verdict)
        if was.body != item.body:
            problems.append("its text was changed")
        if (was.places, was.join_url) != (item.places, item.join_url):
            problems.append("its location or its way in was changed")
    verdict.untouched += not problems
    verdict.findings += [Finding(Check.UNTOUCHED, meeting.name, problem) for problem in problems]


def _change_outside(meeting: Watched, before: str, now: str) -> int:
    """A replaced block is a meeting that was touched, but not damage to the text around it."""
    if meeting.block and before.count(meeting.block) == 1 and meeting.block not in now:
        return Outside.around(meeting.block, before).damage(now)
    return difference(before, now)


def _facts_that_differ(before: Item, now: Item) -> list[str]:
    problems = [
        f"{name} was {before.facts[name]} and is {now.facts.get(name)}"
        for name in before.facts
        if before.facts[name] != now.facts.get(name)
    ]
    later = {item.event_id: item for item in now.exceptions}
    for exception in before.exceptions:
        if exception.event_id not in later:
            problems.append(f"the changed occurrence of {exception.facts['originalStart']} is lost")
        else:
            problems += _facts_that_differ(exception, later[exception.event_id])
    known = {item.event_id for item in before.exceptions}
    problems += [f"occurrence {item.facts['start']} is new" for item in now.exceptions if item.event_id not in known]
    return problems


def _count_characters(meeting: Watched, changed: int, total: int, verdict: Verdict) -> None:
    verdict.characters += total
    verdict.characters_changed += changed
    if changed:
        verdict.findings.append(Finding(Check.CHARACTERS, meeting.name, f"{changed} characters outside the block"))


def _updates_by_event(outbox: Iterable[Mail], verdict: Verdict) -> defaultdict[str, list[Mail]]:
    sent: defaultdict[str, list[Mail]] = defaultdict(list)
    others: Counter[str] = Counter()
    for mail in outbox:
        if mail.reason == "update":
            sent[mail.event_id].append(mail)
            verdict.updates += 1
        elif mail.reason != "message":
            others[mail.reason] += 1
    verdict.findings += [
        Finding(Check.UPDATES, "the outbox", f"{number} mails of the kind {reason!r}")
        for reason, number in others.items()
    ]
    return sent


def _judge_mail(meeting: Watched, sent: defaultdict[str, list[Mail]], verdict: Verdict) -> None:
    """Count the updates of one meeting.

    One change of a series makes Graph mail one update for the series and one for each occurrence with content of its
    own; replacing the old block in such an occurrence's own text is a change of its own, and mails once more.
    """
    _judge_item_mail(meeting, meeting.before, 1, sent, verdict)
    for exception in meeting.before.exceptions:
        own = 2 if meeting.block and meeting.block in exception.body else 1
        _judge_item_mail(meeting, exception, own, sent, verdict)
        if meeting.fate.is_changed and exception.recipients:
            verdict.series_updates += own


def _judge_item_mail(
    meeting: Watched, item: Item, allowed: int, sent: defaultdict[str, list[Mail]], verdict: Verdict
) -> None:
    mails = sent.pop(item.event_id, [])
    expected = allowed if meeting.fate.is_changed and item.recipients else 0
    verdict.expected_updates += expected
    if not meeting.fate.is_changed:
        if mails:
            problem = f"{len(mails)} updates were sent for a meeting that must be left alone"
            verdict.findings.append(Finding(Check.UPDATES, meeting.name, problem))
        return
    if len(mails) > expected:
        verdict.duplicates += len(mails) - expected
        problem = f"{len(mails)} updates instead of {expected}"
        verdict.findings.append(Finding(Check.DUPLICATES, meeting.name, problem))
    if len(mails) < expected:
        problem = f"{len(mails)} updates instead of {expected}"
        verdict.findings.append(Finding(Check.UPDATES, meeting.name, problem))
    if any(mail.recipients != item.recipients for mail in mails):
        verdict.findings.append(Finding(Check.UPDATES, meeting.name, "an update did not go to exactly the attendees"))


def _judge_strays(sent: Mapping[str, list[Mail]], verdict: Verdict) -> None:
    for event_id, mails in sent.items():
        problem = f"{len(mails)} updates for a meeting that nobody knows"
        verdict.findings.append(Finding(Check.UPDATES, event_id, problem))


def _judge_copies(before: Mapping[str, Copy], after: Mapping[str, Copy], verdict: Verdict) -> None:
    verdict.copies = len(before)
    for event_id, copy in before.items():
        if after.get(event_id) != copy:
            verdict.findings.append(Finding(Check.COPIES, copy.name, "this copy is not as it was"))
