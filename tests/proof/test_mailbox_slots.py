"""Never more than four requests at once for a mailbox, whoever asks; and a write is confirmed when its turn comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from mms_core.adapters.graph import GraphCalendar, GraphMeetings
from mms_core.adapters.graph.transport import mailbox_of
from mms_core.messages import Wake
from mms_core.model import Source, Target, UserKey
from mms_core.ports import EventChange
from mms_core.service import Previews
from mms_core.service.running.previews import Asked


def _seeded(lab, singles=12):
    from proof_mailbox import of_every_kind

    lab.tenant.reset(latencyMs=20)
    return of_every_kind(lab.tenant, lab.clock.now(), singles=singles)


def _most(lab):
    return lab.tenant.control("GET", "stats")["maxConcurrency"]


def test_a_run_a_listing_and_single_reads_share_the_places_at_a_mailbox(lab):
    """Each alone would take them all."""
    mailbox = _seeded(lab)
    user, calendar = mailbox.user["id"], GraphCalendar(lab.transport)
    service = lab.service()

    async def listing():
        return [event.event_id async for event in calendar.candidates(user, now=lab.clock.now())]

    async def all_at_once():
        ids = await listing()
        (given,) = await service.intake.start(_wanted(user))
        assert given.code is None
        lab.clock.offset += timedelta(seconds=1)
        await asyncio.gather(
            service._deliver(),
            *(calendar.event(user, each) for each in ids),
            *(listing() for _ in range(4)),
        )
        return await service.parts.users.read(UserKey(user))

    lab.tenant.control("DELETE", "stats")
    stored = lab.loop.run(all_at_once())
    assert stored.value.current.state == "Succeeded"
    assert _most(lab) == 4


def test_a_plan_in_another_process_and_a_run_do_not_add_up(lab):
    """Two processes have their own places each; only storage knows of both."""
    from proof_lab import Service

    mailbox = _seeded(lab)
    user = mailbox.user["id"]
    one, other = lab.service(), Service(lab, {})
    transport = lab.loop.run(lab._transport(lab.tenant.ready))
    calendar, meetings = GraphCalendar(transport), GraphMeetings(transport)
    graph = replace(other.parts.graph(), calendar=calendar, meetings=meetings)
    previews = Previews(replace(one.parts, graph=lambda: graph))

    async def side_by_side():
        (given,) = await one.intake.start(_wanted(user))
        assert given.code is None
        made = [
            await previews.ask(Asked(key=UserKey(user), identity=user, source=Source.ALL, target=Target.TEAMS))
            for _ in range(3)
        ]
        one.queue.messages[:] = [pair for pair in one.queue.messages if isinstance(pair[1], Wake)]
        lab.clock.offset += timedelta(seconds=1)
        await asyncio.gather(one._deliver(), *(previews.make(each) for each in made))
        await transport.close()
        await transport._http._transport.transport.aclose()
        stored = await one.parts.users.read(UserKey(user))
        return stored.value.current.state, [(await previews.read(each))["state"] for each in made]

    lab.tenant.control("DELETE", "stats")
    assert lab.loop.run(side_by_side()) == ("Succeeded", ["ready"] * 3)
    assert _most(lab) <= 4


def _wanted(user):
    from mms_core.service.admin.intake import Wanted

    return Wanted(identities=(user,), source=Source.ALL, target=Target.TEAMS)


def test_a_write_is_confirmed_when_its_turn_comes_and_not_sent_where_it_is_not_wanted_any_more(lab):
    """It may have waited behind others for long."""
    mailbox = _seeded(lab, singles=1)
    user, calendar = mailbox.user["id"], GraphCalendar(lab.transport)
    lab.tenant.reset(latencyMs=100)
    seen = []

    async def refuse():
        seen.append(sum(each.done() for each in reads))
        raise LookupError("not wanted")

    reads = []

    async def look():
        event = await anext(calendar.candidates(user, now=lab.clock.now()))
        reads.extend(asyncio.create_task(calendar.event(user, event.event_id)) for _ in range(4))
        await asyncio.sleep(0)  # they take all the places
        change = EventChange(body="never", content_type="html")
        with pytest.raises(LookupError):
            await calendar.update(user, event.event_id, change, etag=event.etag, confirm=refuse)
        await asyncio.gather(*reads)

    lab.loop.run(look())
    assert seen
    assert seen[0] >= 1  # a place had become free
    traffic = lab.tenant.http.get(f"{lab.tenant.ready['tenant']}/traffic").text
    assert "/events" in traffic
    assert "PATCH" not in traffic


def test_requests_about_the_directory_take_no_place(lab):
    """Only what is below a user is the mailbox's."""
    users = lab.transport.client.users
    one = users.by_user_id("ADA@contoso.example")
    assert mailbox_of(one.to_get_request_information()) is None
    assert mailbox_of(users.to_get_request_information()) is None
    for builder in (one.events, one.calendar, one.calendars.by_calendar_id("c").events, one.online_meetings):
        assert mailbox_of(builder.to_get_request_information()) == "ada@contoso.example"
    base = lab.tenant.ready["graph"]
    for path, mailbox in (
        ("users?$skiptoken=x", None),
        ("users/Ada%40contoso.example/events?$skip=10", "ada@contoso.example"),
        ("users/delta?$skiptoken=x", None),
    ):
        assert mailbox_of(lab.transport.page(f"{base}/{path}")) == mailbox
