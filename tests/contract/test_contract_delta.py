"""Changes that nobody told, in the simulated tenant, with the delta query in every position of its switches."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from azure.core.credentials import AccessToken

from mms_core.adapters.graph import GraphDirectory, GraphTransport
from mms_core.adapters.memory import MemoryDocuments, MemoryLedger, MemoryQueue, MemoryUserStore, SettableClock
from mms_core.messages import JobStep, encode
from mms_core.service import GraphPorts, Options, Parts, Recovery, Triage
from mms_core.settings import AUDIO_CONFERENCING_PLAN
from mms_simulator import directory, signin
from mms_simulator.front import Front
from mms_simulator.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mms_simulator.model import User

KEY = signin.new_key()
USERS = 104
"""More than a page of the tenant's delta query."""


class Identity:
    """May do everything."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return a token for a scope."""
        return AccessToken(self._front.sign_in.token(signin.audience_of(scopes[0]), []), 2**33)


class World:
    """A tenant whose notifications are all lost, and the service that looks for itself."""

    def __init__(self, front: Front, transport: GraphTransport) -> None:
        self._front = front
        self.store = front.store
        self.clock = SettableClock(datetime.now(UTC))
        self.documents, self.queue = MemoryDocuments(), MemoryQueue(self.clock)
        nothing: Any = SimpleNamespace()
        graph = GraphPorts(
            directory=GraphDirectory(transport), calendar=nothing, meetings=nothing, tenant=nothing, mail=nothing
        )
        self.parts = Parts(
            users=MemoryUserStore(),
            ledger=MemoryLedger(),
            documents=self.documents,
            queue=self.queue,
            clock=self.clock,
            graph=lambda: graph,
            options=Options(tenant_id=self.store.tenant_id),
        )
        self.triage = Triage(self.parts, Recovery(self.parts))
        self.users = [directory.create(self.store, {"userPrincipalName": f"u{n}@x.example"}) for n in range(USERS)]
        self.sweeps = 0

    def license(self, user: User, *, gives: bool = True) -> None:
        """Assign Audio Conferencing, or take it away."""
        plans = [AUDIO_CONFERENCING_PLAN]
        directory.assign_license(self.store, self.store.users[user.id], plans if gives else [], [] if gives else plans)

    def switch(self, **positions: bool | str) -> None:
        """Put the tenant's switches."""
        self.store.switches = msgspec.structs.replace(self.store.switches, **positions)

    async def work(self) -> None:
        """Work off the messages of jobs; a killed worker's message is simply another delivery of it."""
        while jobs := [each for each in self.queue.visible() if isinstance(each, JobStep)]:
            for job in jobs:
                self.sweeps += job.job == "sweep"
                await self.triage.message(encode(job))

    async def catch_up(self) -> None:
        """Let the delta query be asked."""
        self.clock.advance(timedelta(minutes=10))
        await self.triage.catch_up()
        await self.work()

    async def sweep(self) -> None:
        """Let a reconciliation begin and end."""
        self.clock.advance(timedelta(minutes=10))
        await self.triage.sweep()
        await self.work()

    async def found(self) -> list[tuple[str, str]]:
        """Give user and rule of every decision, sorted."""
        return sorted((each["user"], each["rule"]) for each in await self.documents.list("decision"))

    def asked(self) -> int:
        """Count the requests to the tenant so far."""
        return len(self._front.traffic.read().splitlines())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Run a tenant of two pages in memory, and the service, which has seen everybody once."""
    store = Store()
    store.setting("signingKey", KEY)
    front = Front(store, None)
    await front.start("127.0.0.1", 0)
    identity: Any = Identity(front)
    scope = "https://graph.microsoft.com/.default"
    transport = GraphTransport(identity, base_url=f"{store.base}/v1.0", scope=scope)
    world = World(front, transport)
    await world.catch_up()
    assert world.sweeps, "the first thread begins with a reconciliation"
    yield world
    await transport.close()
    await transport._http._transport.transport.aclose()  # kiota leaves it open
    await front.stop()


@pytest.mark.parametrize(("misses", "replays", "gone"), list(itertools.product([False, True], repeat=3)))
async def test_a_change_that_nobody_told_is_found_within_one_sweep_once(
    world: World,
    misses: bool,  # noqa: FBT001
    replays: bool,  # noqa: FBT001
    gone: bool,  # noqa: FBT001
) -> None:
    """Whatever the delta query tells, repeats or has forgotten."""
    world.switch(deltaMissesLicences=misses, deltaReplays=replays, deltaGone=gone)
    ada, bob = world.users[3], world.users[-1]
    world.license(ada)
    await world.catch_up()
    is_told = not misses and not gone
    assert await world.found() == ([(ada.id, "T3")] if is_told else [])
    await world.sweep()
    await world.catch_up()
    assert await world.found() == [(ada.id, "T3")]
    world.license(bob)
    world.license(ada, gives=False)
    await world.sweep()
    for _ in range(2):
        await world.catch_up()
    assert await world.found() == sorted([(ada.id, "T3"), (ada.id, "T3"), (bob.id, "T3")])


async def test_where_nothing_has_happened_it_costs_one_request_and_a_profile_edit_no_read(world: World) -> None:
    """Gentle with the directory."""
    before = world.asked()
    await world.catch_up()
    assert world.asked() == before + 1
    directory.touch(world.store, world.store.users[world.users[0].id], tracked=True, extra={"jobTitle": "x"})
    await world.catch_up()
    assert world.asked() == before + 2
    assert await world.found() == []


async def test_a_link_that_is_of_no_use_any_more_starts_a_reconciliation_and_a_new_thread(world: World) -> None:
    """410 Gone: what was between the two is found at once."""
    world.license(world.users[5])
    world.clock.advance(timedelta(days=8))
    world.store.clock.offset += timedelta(days=8).total_seconds()
    await world.catch_up()
    assert await world.found() == [(world.users[5].id, "T3")]
    world.license(world.users[6])
    before = world.sweeps
    await world.catch_up()
    assert len(await world.found()) == 2
    assert world.sweeps == before


async def test_a_thread_that_is_lost_all_the_time_starts_no_reconciliation_each_time(world: World) -> None:
    """The tenant's limits are not for that; the one on its schedule finds everything."""
    world.switch(deltaGone=True)
    world.clock.advance(timedelta(hours=2))
    await world.catch_up()
    before = world.sweeps
    for _ in range(4):
        await world.catch_up()
    assert world.sweeps == before


async def test_new_users_count_and_deleted_ones_disturb_nobody(world: World) -> None:
    """A plan that is older than our subscription is no news, a newer one is."""
    since = datetime.now(UTC) - timedelta(days=1)
    await world.documents.put("subscription", "users", {"id": "x", "since": since.isoformat()})
    plans = {"userPrincipalName": "new@x.example", "plans": [AUDIO_CONFERENCING_PLAN]}
    new = directory.create(world.store, plans)
    directory.delete(world.store, world.store.users[world.users[0].id])
    await world.catch_up()
    assert await world.found() == [(new.id, "T3")]


async def test_a_round_of_several_pages_goes_on_where_its_worker_died(world: World) -> None:
    """Each page is a message; the next round begins only after the last page was looked at."""
    for user in world.users:
        world.license(user)
    world.clock.advance(timedelta(minutes=10))
    await world.triage.catch_up()
    (step,) = (each for each in world.queue.visible() if isinstance(each, JobStep))
    await world.triage.message(encode(step))
    kept = await world.documents.get("deltaLink", "users")
    assert kept is not None
    ((_, lost),) = [each for each in world.queue.messages if isinstance(each[1], JobStep)]
    assert isinstance(lost, JobStep)
    world.queue.messages = []
    world.clock.advance(timedelta(minutes=20))
    again = await world.documents.get("deltaLink", "users")
    assert again is not None
    assert again.value == kept.value
    await world.triage.catch_up()  # the next strike of the timer revives it
    await world.work()
    assert await world.found() == sorted((user.id, "T3") for user in world.users)
    assert (await world.documents.get("deltaLink", "users")) != kept


async def test_a_deleted_user_leaves_the_list_of_those_who_need_a_migration(world: World) -> None:
    """Nobody told it but the delta query."""
    ada, bob = (user.id for user in world.users[3:5])
    for user in (ada, bob):
        await world.documents.put("need", user, {"userId": user, "run": "1"})
    directory.delete(world.store, world.store.users[ada])
    await world.catch_up()
    assert [each["userId"] for each in await world.documents.list("need")] == [bob]


async def _lose_page(world: World) -> None:
    """Let the directory forget where it was in the list that a reconciliation is reading."""
    stored = await world.documents.get("job", "sweep")
    assert stored is not None
    cursor = dict(stored.value["cursor"])
    cursor["link"] = re.sub(r"skiptoken=\d+", "skiptoken=forgotten", cursor["link"])
    await world.documents.put("job", "sweep", {**stored.value, "cursor": cursor}, etag=stored.etag)


async def _page(world: World) -> dict[str, Any]:
    """Let a reconciliation do one page; returns its state."""
    (step,) = (each for each in world.queue.visible() if isinstance(each, JobStep) and each.job == "sweep")
    await world.triage.message(encode(step))
    stored = await world.documents.get("job", "sweep")
    assert stored is not None
    return stored.value


async def test_a_reconciliation_whose_next_page_is_forgotten_reads_the_list_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page's link lives shorter than an outage; the job must not ask for it for ever."""
    monkeypatch.setattr("mms_core.adapters.graph.directory.USERS_PAGE", 50)
    world.clock.advance(timedelta(minutes=10))
    await world.triage.sweep()
    while "link" not in ((await _page(world))["cursor"] or {}):
        pass
    await _lose_page(world)
    world.license(world.users[0])
    world.license(world.users[-1])
    await world.work()
    assert await world.found() == sorted((user.id, "T3") for user in (world.users[0], world.users[-1]))
    stored = await world.documents.get("job", "sweep")
    assert stored is not None
    assert stored.value["doneAt"]


async def test_a_reconciliation_that_loses_its_page_each_time_ends_and_the_next_one_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not run in circles."""
    monkeypatch.setattr("mms_core.adapters.graph.directory.USERS_PAGE", 50)
    world.clock.advance(timedelta(minutes=10))
    await world.triage.sweep()
    lost, state = 0, await _page(world)
    while not state.get("doneAt"):
        if "link" in state["cursor"]:
            await _lose_page(world)
            lost += 1
        state = await _page(world)
    assert lost == 4
    monkeypatch.undo()
    world.license(world.users[-1])
    await world.sweep()
    assert await world.found() == [(world.users[-1].id, "T3")]


@pytest.mark.parametrize("meant", ["page", "total"])
async def test_everybodys_policies_are_seen_whatever_the_tenant_takes_a_pages_size_for(
    world: World, meant: str
) -> None:
    """If ``$top`` were all that is wanted, sweeps and discovery would never see the rest of the tenant."""
    world.switch(configurationsTop=meant)
    for number in range(500):
        directory.create(world.store, {"userPrincipalName": f"v{number}@x.example"})
    seen, link, before = [], None, world.asked()
    while True:
        page = await world.parts.graph().directory.configurations(link)
        seen += [each.user_id for each in page.items]
        if (link := page.next_link) is None:
            break
    assert sorted(seen) == sorted(world.store.users)
    assert world.asked() - before == (2 if meant == "page" else 7), "where pages of 500 can be had, they are"
