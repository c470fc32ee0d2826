"""Who carries a number (T8), and who needs a migration: exactly those whose future says so, and one mailbox at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import KEY
from meeting_values import NOW, USER, teams_event
from test_functional_triggers import _Lists

from mms_core.errors import PermanentError
from mms_core.meetings import Coordinates, LedgerEntry, Recurrence, meeting_key
from mms_core.messages import JobStep, TenantEvent
from mms_core.model import RunId, Verdict

NUMBER = "+14255550100"
OTHER = "+14255550199"
ASKED = ("event", "candidates", "series", "has_occurrence")
"""Questions to a calendar."""
GONE = TenantEvent(event_id="s|1", type="mms.bridge.numberunassigned", data={"number": NUMBER})


async def _search(world):
    await world.dispatch(GONE)
    await _work(world)
    return [each["userId"] for each in await world.documents.list("decision") if each["userId"]]


async def _work(world):
    while jobs := [each for each in world.queue.visible() if isinstance(each, JobStep)]:
        for job in jobs:
            await world.dispatch(job)


def _series(*, ends, number=NUMBER):
    start = NOW - timedelta(days=60)
    event = teams_event(1, dial_in={"number": number})
    ended = Recurrence(kind="endDate", start_date=start.date(), end_date=(NOW + ends).date(), zone="UTC")
    return replace(event, kind="seriesMaster", start_at=start, end_at=start + timedelta(minutes=30), recurrence=ended)


def _exception(master, *, number, days=20):
    start = NOW + timedelta(days=days)
    return teams_event(
        2,
        dial_in={"number": number},
        kind="exception",
        series_master_id=master.event_id,
        start=start,
        properties={},
    )


@pytest.mark.parametrize(
    ("of_series", "of_exception", "is_found"),
    [
        ((OTHER, 20), (NUMBER, 10), True),
        ((OTHER, 20), (NUMBER, -10), False),
        ((NUMBER, 20), (OTHER, 10), True),
        ((NUMBER, -20), (OTHER, 10), False),
        ((OTHER, -20), (NUMBER, 10), True),
        ((OTHER, 20), (OTHER, 10), False),
    ],
    ids=[
        "the exception alone",
        "an exception that is past",
        "the series alone",
        "a series that is over",
        "an exception after the end of its series",
        "neither",
    ],
)
async def test_an_exception_counts_by_the_body_of_its_own(world, of_series, of_exception, is_found):
    """Whoever edits one occurrence leaves the number there, or takes it away there alone. Days from now: end, start."""
    (number, ends), (own, days) = of_series, of_exception
    (master,) = world.tenant.add(_series(ends=timedelta(days=ends), number=number))
    world.tenant.add(_exception(master, number=own, days=days))
    world.tenant = _Lists(world.tenant)
    assert await _search(world) == ([USER] if is_found else [])


async def test_an_exception_that_the_ledger_names_is_asked_first(world):
    """It was written with the number: one read, and the calendar is not listed."""
    (master,) = world.tenant.add(_series(ends=timedelta(days=20), number=OTHER))
    (exception,) = world.tenant.add(_exception(master, number=NUMBER))
    await _note(world, exception)
    world.tenant = _Lists(world.tenant)
    assert await _search(world) == [USER]
    assert [each for each in world.tenant.calls if each in ASKED] == ["event"]


async def test_a_search_asks_as_a_run_does_and_stops_where_it_knows(world):
    """One listing, one read a series; none where a single meeting carries the number, one where a series does."""
    for number in range(3, 8):
        world.tenant.add(replace(_series(ends=timedelta(days=20), number=OTHER), event_id=f"series{number}"))
    single, late = teams_event(9, dial_in={"number": NUMBER}), _series(ends=timedelta(days=20), number=NUMBER)
    world.tenant = _Lists(world.tenant)
    for turn, (more, expected) in enumerate((((), 5), ((late,), 1), ((single,), 0))):
        world.tenant.add(*more)
        world.tenant.calls.clear()
        await world.dispatch(TenantEvent(event_id=f"s|{turn}", type=GONE.type, data=GONE.data))
        await _work(world)
        assert [each for each in world.tenant.calls if each in ASKED] == ["candidates", *["series"] * expected]


@pytest.mark.parametrize("left", [0, 2])
async def test_a_series_counts_only_while_an_occurrence_shows_its_invitation(world, left):
    """What is left of it may all be cancelled; then only the calendar knows, and is asked as a run asks it."""
    (master,) = world.tenant.add(_series(ends=timedelta(days=2)))
    world.tenant.cancelled = tuple((NOW + timedelta(days=day)).date() for day in range(3 - left))
    world.tenant.occurrences[master.event_id] = [NOW + timedelta(days=2)] if left else []
    world.tenant = _Lists(world.tenant)
    assert await _search(world) == ([USER] if left else [])


async def _note(world, event):
    entry = LedgerEntry(
        key=meeting_key(event.event_id),
        run_id=RunId("r"),
        event_id=event.event_id,
        ical_uid="",
        subject="",
        verdict=Verdict.MIGRATED,
        start_at=event.start_at,
        updated_at=NOW,
        after=Coordinates(kind="teams", numbers=(NUMBER,)),
    )
    await world.ledger.put(KEY, entry)


@pytest.mark.parametrize("noted", [True, False], ids=["by ledger", "by reading blocks"])
@pytest.mark.parametrize("days", [-20, 20])
async def test_only_invitations_with_a_future_count(world, noted, days):
    """A series that is over carries the number for ever, and concerns nobody."""
    (event,) = world.tenant.add(_series(ends=timedelta(days=days)))
    if noted:
        await _note(world, event)
    world.tenant = _Lists(world.tenant)
    assert await _search(world) == ([USER] if days > 0 else [])


async def test_a_mailbox_that_is_gone_ends_no_search(world):
    """The ledger remembers the number; nobody can look any more."""
    (event,) = world.tenant.add(teams_event(1, dial_in={"number": NUMBER}))
    await _note(world, event)
    other = "00000000-0000-4000-9000-000000000001"
    world.tenant.add_user(other, "b@contoso.example")
    world.tenant.on("event", PermanentError(code="MailboxMissing"))
    world.tenant = _Lists(world.tenant)
    found = await _search(world)
    assert found == [other], "whoever else carries it is found (both share the fake's one calendar)"


async def test_secondary_calendars_are_searched_where_the_tenant_wants_them_migrated(world):
    """What a run would look at, and nothing else."""
    asked = []

    async def candidates(user_id, *, now, secondary=False, gone):
        assert gone == []
        assert (user_id, now) == (USER, NOW)
        asked.append(secondary)
        for event in [teams_event(1, dial_in={"number": NUMBER})] if secondary else []:
            yield event

    world.tenant.candidates = candidates
    world.tenant = _Lists(world.tenant)
    assert await _search(world) == []
    await world.configure(IncludeSecondaryCalendars=True)
    await world.dispatch(replace_id(GONE))
    await _work(world)
    assert [each["userId"] for each in await world.documents.list("decision") if each["userId"]] == [USER]
    assert asked == [False, True]


def replace_id(event):
    """Give the same news as another event."""
    return TenantEvent(event_id="s|2", type=event.type, data=event.data)
