"""What the tenant tells us stays complete: subscriptions are kept, made again once, and what they missed is looked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from functional_support import Crash, World
from meeting_values import AUDIO_CONFERENCING, NOW, USER

from mms_core.messages import JobStep, LookAfterSubscriptions
from mms_core.model import TeamsFacts, UserFacts
from mms_core.ports import Page, Subscribed

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Told:
    """The fake tenant with subscriptions that can be lost, and the lists that a sweep reads."""

    def __init__(self, tenant):
        self._tenant = tenant
        self.made = 0
        self.is_lost = False
        self.asked = []
        self.listed = []
        self.during = None

    def __getattr__(self, name):
        return getattr(self._tenant, name)

    async def ensure_subscriptions(self, *, now, noted, renews=False):
        """As the adapter: one for users, two contents of the feed."""
        assert now == self._tenant.clock.now()
        self.asked.append((dict(noted), renews))
        await asyncio.sleep(0)
        if self.during:
            await self.during()
        done = "created" if self.is_lost or not self.made else "kept"
        self.made += done == "created"
        self.is_lost = False
        return [
            Subscribed(kind="users", subscription_id=f"s{self.made}", done=done, secret="print"),
            Subscribed(kind="activity", subscription_id="Audit.General", done="kept"),
            Subscribed(kind="activity", subscription_id="Audit.AzureActiveDirectory", done="kept"),
        ]

    async def users(self, link=None):
        """All of them."""
        assert link is None
        return Page(items=tuple(self._tenant.users.values()))

    async def configurations(self, link=None):
        """All of them."""
        assert link is None
        return Page(items=tuple(TeamsFacts(user_id=user, account_type="user") for user in self._tenant.users))

    async def contents(self, content_type, *, since, until):
        """Nothing."""
        self.listed.append(content_type)
        assert since < until
        return Page(items=())


@pytest.fixture
def told(world: World):
    """The world's tenant, with subscriptions of its own."""
    world.tenant = Told(world.tenant)
    return world.tenant


async def _run_jobs(world):
    """Do all pages; gives how many sweeps have begun."""
    begun = set()
    while jobs := [each for each in world.queue.visible() if isinstance(each, JobStep)]:
        for job in jobs:
            begun.add(job.run)
            await world.dispatch(job)
    return len(begun)


async def _since(world, kind):
    return (await world.documents.get("subscription", kind)).value["since"]


async def test_since_when_we_are_told_does_not_move_with_each_look(world, told):
    """Else a sweep would not read what the feed told before the last look, and a lost call would stay lost."""
    for _ in range(3):
        await world.recovery.subscriptions()
        world.clock.advance(HOUR)
    assert await _since(world, "users") == await _since(world, "activity") == NOW.isoformat()


async def test_what_happened_while_there_was_no_subscription_is_found_at_once(world, told):
    """It is made again, and a sweep begins; a user whom we never saw counts from the first subscription on."""
    await world.recovery.subscriptions()
    assert world.queue.messages == []
    world.clock.advance(HOUR)
    told._tenant.users[USER] = UserFacts(
        user_id=USER,
        user_principal_name="adele@contoso.example",
        plans=frozenset({AUDIO_CONFERENCING}),
        plan_assigned_at={AUDIO_CONFERENCING: NOW + 30 * MINUTE},
    )
    told.is_lost = True
    await world.recovery.subscriptions()
    assert await _run_jobs(world) == 1
    assert (await world.run()).reasons == ("T3 LicenseAssigned",)
    assert (await world.documents.get("subscription", "users")).value["id"] == "s2"


@pytest.mark.parametrize("event", ["missed", "subscriptionRemoved"])
async def test_a_loss_that_graph_tells_of_starts_a_sweep_at_once(world, told, event):
    """Without waiting for the timer."""
    await world.inbox.lifecycle([event])
    kinds = {type(each) for each in world.queue.visible()}
    await world.inbox.lifecycle([event])
    assert kinds == {JobStep, LookAfterSubscriptions}


def _steps(world, job="sweep"):
    """Take the messages of a job that can be seen."""
    return [each for each in world.queue.visible() if isinstance(each, JobStep) and each.job == job]


async def test_a_loss_during_a_sweep_has_another_one_follow(world, told):
    """The pages that it has passed may be those of the users whose changes were lost; many losses are one more sweep."""
    await world.triage.sweep()
    (first,) = _steps(world)
    await world.dispatch(first)
    for _ in range(3):
        await world.inbox.lifecycle(["missed"])
    begun = set()
    while steps := _steps(world):
        begun |= {step.run for step in steps}
        for step in steps:
            await world.dispatch(step)
    assert len(begun) == 2
    await world.dispatch(first)
    assert _steps(world) == []


async def test_a_sweep_that_follows_is_not_lost_with_the_worker(world, told, monkeypatch):
    """It died between the end of the one and the start of the other: the message comes again."""
    await world.triage.sweep()
    await world.inbox.lifecycle(["missed"])

    async def dies(*_, **__):
        raise Crash

    taken = []

    async def do_all():
        while steps := _steps(world):
            taken.extend(steps)
            await world.dispatch(steps[0])

    with monkeypatch.context() as patch:
        patch.setattr("mms_core.service.jobs.start_job", dies)
        with pytest.raises(Crash):
            await do_all()
    last = taken[-1]
    assert _steps(world) == []
    await world.dispatch(last)
    (other,) = _steps(world)
    assert other.run != last.run


async def test_a_sweep_whose_message_was_lost_goes_on_where_it_was(world, told):
    """The next one finds it silent for a quarter of an hour; what it has read it does not read again."""
    await world.recovery.subscriptions()
    world.clock.advance(HOUR)
    await world.triage.sweep()
    for _ in range(3):
        (step,) = _steps(world)
        await world.dispatch(step)
    asked = list(told.listed)
    assert asked == ["Audit.General", "Audit.AzureActiveDirectory"]
    (lost,) = _steps(world)
    world.clock.advance(14 * MINUTE)
    await world.triage.sweep()
    assert _steps(world) == []
    world.clock.advance(2 * MINUTE)
    await world.triage.sweep()
    begun = set()
    while steps := _steps(world):
        begun |= {step.run for step in steps}
        for step in steps:
            await world.dispatch(step)
    assert begun == {lost.run}
    assert told.listed == asked
    assert (await world.documents.get("job", "sweep")).value["counts"]["users"] == len(told._tenant.users)


async def test_graphs_wish_for_authorization_renews_at_once(world, told):
    """The message says so, and the look does it; another lifecycle event does not."""
    await world.inbox.lifecycle(["reauthorizationRequired"])
    await world.deliver()
    await world.inbox.lifecycle(["somethingNew"])
    await world.deliver()
    await world.inbox.lifecycle([])
    assert [renews for _, renews in told.asked] == [True, False]
    assert world.queue.messages == []


async def test_the_secret_that_a_subscription_was_made_with_is_noted(world, told):
    """So that the next look can tell whether it is still today's."""
    for _ in range(2):
        await world.recovery.subscriptions()
    assert [noted for noted, _ in told.asked] == [{}, {"s1": "print"}]


async def test_two_workers_do_not_make_two_subscriptions(world, told):
    """The second leaves it to the first; a message of Graph's comes again a minute later."""
    answers = await asyncio.gather(*(world.recovery.subscriptions() for _ in range(3)))
    assert sorted(answers) == [False, False, True]
    assert told.made == 1

    async def meanwhile():
        told.during = None
        await world.dispatch(LookAfterSubscriptions(renews=True))

    told.during = meanwhile
    await world.recovery.subscriptions()
    assert [renews for _, renews in told.asked] == [False, False]
    ((at, message),) = world.queue.messages
    assert (at, message.renews) == (NOW + MINUTE, True)


async def test_a_worker_that_died_at_it_does_not_keep_others_from_it_for_long(world, told):
    """Two minutes."""

    async def dies():
        world.steps.is_dead = True
        raise Crash

    told.during = dies
    with pytest.raises(Crash):
        await world.recovery.subscriptions()
    told.during, world.steps.is_dead = None, False
    assert not await world.recovery.subscriptions()
    world.clock.advance(2 * MINUTE)
    assert await world.recovery.subscriptions()
    assert await world.recovery.subscriptions()
