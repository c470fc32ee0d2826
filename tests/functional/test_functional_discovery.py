"""Who needs a migration: what is shown stays until the new result is there, and whoever is gone goes at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import NAME
from meeting_values import NOW, USER, skype_event, teams_event
from test_functional_triggers import _Lists

from mms_core.errors import PermanentError, TemporaryError
from mms_core.meetings import Recurrence
from mms_core.messages import JobStep, TenantEvent, UsersChanged
from mms_core.model import Run, RunId, TeamsFacts, UserKey, UserRecord
from mms_core.ports import Page, Round
from mms_core.service import Finds
from mms_core.service.tenant.catching_up import KEPT
from mms_core.service.visits import visiting

AGE = timedelta(hours=1)
GRANT = {"tenant": True, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
OTHER = "00000000-0000-4000-9000-000000000001"


class _TeamsOnly(_Lists):
    """The fake tenant after a tenant-wide grant, a user a page."""

    async def configurations(self, link=None):
        """One user a page."""
        place = int(link or 0)
        rows = [TeamsFacts(user_id=user, account_type="user", inherited_mode="TeamsOnly") for user in self.people]
        more = str(place + 1) if place + 1 < len(rows) else None
        return Page(items=tuple(rows[place : place + 1]), next_link=more)

    def delete(self, user_id):
        """Take a user out of the directory; Teams may go on for a while."""
        del self._tenant.users[user_id]


@pytest.fixture
async def tenant(world):
    """Two users; the fake's one calendar, with two Skype meetings, is everybody's."""
    world.tenant.add_user(OTHER, "b@contoso.example")
    world.skype_meetings(2)
    world.tenant = _TeamsOnly(world.tenant)
    return world.tenant


async def _work(world, *, pages=100):
    while pages and (jobs := [each for each in world.queue.visible() if isinstance(each, JobStep)]):
        pages -= 1
        for job in jobs:
            await world.dispatch(job)


async def _grant(world, *, pages=100):
    await world.dispatch(TenantEvent(event_id=world.parts.new_id(), type="mms.policy.granted", data=GRANT))
    await _work(world, pages=pages)


async def _listed(world):
    return await Finds(world.parts, age=AGE).page(top=100, continuation=None)


async def _shown(world):
    return {row["userId"]: row["meetings"] for row in (await _listed(world))["value"]}


@pytest.mark.usefixtures("tenant")
async def test_what_is_shown_stays_while_the_next_search_looks(world):
    """Nobody sees an empty list, or one without a date, because somebody asked for a newer one."""
    await _grant(world)
    first = await _listed(world)
    assert ({row["userId"] for row in first["value"]}, first["isRunning"]) == ({USER, OTHER}, False)
    world.clock.advance(2 * AGE)
    asking = await _listed(world)
    assert asking["isRunning"], "it has just been started"
    for pages in (0, 1):
        await _work(world, pages=pages)
        during = await _listed(world)
        assert during["isRunning"]
        assert during["discoveredAt"] == first["discoveredAt"]
        assert {row["userId"] for row in during["value"]} == {USER, OTHER}
    await _work(world)
    after = await _listed(world)
    assert not after["isRunning"]
    assert after["discoveredAt"] > first["discoveredAt"]


@pytest.mark.parametrize("way", ["notification", "delta", "search"])
async def test_whoever_is_gone_disappears_as_soon_as_any_way_tells(world, tenant, way):
    """Deleted: no row that nobody can post back."""
    await _grant(world)
    tenant.delete(OTHER)
    if way == "notification":
        await world.dispatch(UsersChanged(users=(OTHER.upper(),), received=NOW.isoformat()))
    elif way == "delta":
        await world.documents.put(*KEPT, {"link": "d1", "since": NOW.isoformat()})

        async def changed(link=None):
            assert link == "d1"
            return Round(gone=(OTHER,), delta_link="d2")

        tenant.changed = changed
        await world.triage.catch_up()
        await _work(world)
    else:
        tenant.people.pop(OTHER)  # Teams does not know such a user either
        await _grant(world)
    assert set(await _shown(world)) == {USER}


@pytest.mark.usefixtures("tenant")
async def test_a_row_that_was_posted_back_in_vain_disappears(world):
    """The run has found out that the user is gone."""
    await _grant(world)
    world.tenant.on("user", PermanentError(code="UserNotFound"))
    await world.ask(OTHER)
    await world.until_quiet()
    assert set(await _shown(world)) == {USER}


async def test_a_directory_that_does_not_answer_makes_nobody_disappear(world, tenant):
    """Only what it says counts."""
    await _grant(world)
    tenant.on("user", TemporaryError(retry_after=timedelta(seconds=9)), PermanentError())
    for _ in range(2):
        await world.dispatch(UsersChanged(users=(OTHER,), received=NOW.isoformat()))
    assert set(await _shown(world)) == {USER, OTHER}


async def test_whoever_could_not_be_looked_at_keeps_what_was_found(world, tenant):
    """A run at work in the mailbox, or a snapshot that nobody can read, is no news about the meetings."""
    await _grant(world)
    await world.documents.put("snapshot", USER, {"v": 99})
    async with visiting(world.parts, OTHER):
        await _grant(world)
    tenant.events.clear()
    assert await _shown(world) == {USER: 2, OTHER: 2}
    await _grant(world)
    assert await _shown(world) == {USER: 2}, "the other one could be looked at"


async def test_it_counts_what_a_run_would_migrate(world, tenant):
    """An exception of a series has an invitation of its own; a series that is over has none that anybody will read."""
    tenant.events.clear()
    start = NOW - timedelta(days=60)
    for number, first_event, ends in ((1, teams_event, 20), (2, skype_event, -20)):
        ended = Recurrence(
            kind="endDate", start_date=start.date(), end_date=(NOW + timedelta(days=ends)).date(), zone="UTC"
        )
        (master,) = tenant.add(
            replace(first_event(number, start=start), event_id=f"s{number}", kind="seriesMaster", recurrence=ended)
        )
        tenant.add(skype_event(number + 2, kind="exception", series_master_id=master.event_id))
    await _grant(world)
    assert await _shown(world) == {USER: 2, OTHER: 2}, "the exceptions"
    rows = (await _listed(world))["value"]
    assert {(row["identity"], row["reason"]) for row in rows} == {
        (name, "N3 PolicyGrantedTenantWide") for name in (NAME, "b@contoso.example")
    }


async def test_a_mailbox_without_meetings_leaves_the_list(world, tenant):
    """The next search finds nothing any more."""
    await _grant(world)
    tenant.events.clear()
    await _grant(world)
    assert await _shown(world) == {}
    assert await world.documents.list("need") == []


async def test_a_glance_at_the_findings_does_not_have_the_tenant_searched(world):
    """Whoever looks at the overview all day reads no calendar; whoever asks for the list does."""
    finds = Finds(world.parts, age=AGE)
    assert (await finds.page(top=6, continuation=None, search=False))["isRunning"] is False
    assert world.queue.messages == []
    assert (await finds.page(top=6, continuation=None))["isRunning"] is True
    assert len(world.queue.messages) == 1


def _id(number):
    return f"{number:08d}-0000-4000-9000-000000000000"


async def _find(world, user):
    need = {"userId": user, "userPrincipalName": NAME, "reason": "N3 PolicyGrantedTenantWide", "meetings": 1}
    more = {"source": "All", "target": "Teams", "notBefore": None, "run": "r", "at": NOW.isoformat()}
    await world.documents.put("need", user, need | more)


@pytest.mark.usefixtures("tenant")
async def test_findings_of_an_older_version_do_not_break_the_list(world):
    """It left a row for a user of whom nothing was found any more; the next search, which this starts, strikes that."""
    await world.documents.put("need", _id(1), {"userId": _id(1), "run": "old", "meetings": 0})
    await _find(world, _id(2))
    assert await _shown(world) == {_id(2): 1}
    await _work(world)
    assert await _shown(world) == {USER: 2, OTHER: 2}
    assert await world.documents.get("need", _id(1)) is None


async def test_one_question_looks_at_so_many_findings_and_its_token_leads_on(world):
    """Where all of them have been started, the overview does not wait until each one's record was read."""
    found = [_id(number) for number in range(1100)]
    for number, user in enumerate(found):
        await _find(world, user)
        if number < 1050:
            times = {"created_at": NOW, "modified_at": NOW, "fresh_at": NOW, "due_at": NOW}
            run = Run(run_id=RunId(user), identity=user, user_id=user, **times)
            await world.users.save(UserRecord(key=UserKey(user), current=run), None)
    finds = Finds(world.parts, age=AGE)
    first = await finds.page(top=6, continuation=None, search=False)
    assert (first["value"], first["requests"], first["continuationToken"]) == ([], [], found[999])
    shown, token = [], first["continuationToken"]
    while token:
        page = await finds.page(top=6, continuation=token, search=False)
        shown += [row["userId"] for row in page["value"]]
        token = page["continuationToken"]
    assert shown == found[1050:]


@pytest.mark.parametrize("gone", ["7", "70000000-0000-4000-8000-00000000000", "~", "a/b"])
async def test_whoever_is_gone_takes_nobody_else_off_the_list(world, gone):
    """An id that an event names may be any text, also the beginning of other people's ids."""
    found = {f"70000000-0000-4000-8000-00000000000{number}" for number in range(2)}
    for user in found:
        await _find(world, user)
    await world.dispatch(UsersChanged(users=(gone,), received=NOW.isoformat()))
    assert set(await _shown(world)) == found
