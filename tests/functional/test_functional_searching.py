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
GONE = TenantEvent(event_id="s|1", type="mms.bridge.numberunassigned", data={"number": NUMBER})


async def _search(world):
    await world.dispatch(GONE)
    await _work(world)
    return [each["userId"] for each in await world.documents.list("decision") if each["userId"]]


async def _work(world):
    while jobs := [each for each in world.queue.visible() if isinstance(each, JobStep)]:
        for job in jobs:
            await world.dispatch(job)


def _series(*, ends):
    start = NOW - timedelta(days=60)
    (event,) = (teams_event(1, dial_in={"number": NUMBER}),)
    ended = Recurrence(kind="endDate", start_date=start.date(), end_date=(NOW + ends).date(), zone="UTC")
    return replace(event, kind="seriesMaster", start_at=start, end_at=start + timedelta(minutes=30), recurrence=ended)


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

    async def candidates(user_id, *, now, secondary=False):
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
