"""The examination against the simulated tenant, which refuses every call whose right is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from mms_core.adapters.memory import MemoryDocuments, MemoryLedger, MemoryQueue, MemoryUserStore, SettableClock
from mms_core.adapters.probes import HttpProbes
from mms_core.diagnosis import RIGHTS, Finding
from mms_core.errors import RecordUnreadable, TemporaryError
from mms_core.service import Checkup, Options, Parts
from mms_core.settings import Deployment, from_environment
from mms_simulator import signin
from mms_simulator.front import Front
from mms_simulator.store import Store

KEY = signin.new_key()
GROUP = "0f3f6c1e-8f5a-4f8e-9a51-7d6f0a2b9c3d"
ALL = frozenset(each.value for each in RIGHTS)
HERE = "http://127.0.0.1:1"


class Identity:
    """The app's identity, with the rights that a test gives it."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.rights = ALL
        self.is_broken = False

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return a token for a scope."""
        if self.is_broken:
            raise ClientAuthenticationError("no identity")
        audience = signin.audience_of(scopes[0])
        return AccessToken(self._front.sign_in.token(audience, sorted(self.rights)), 2**33)


class World:
    """A tenant that insists on rights, and an app that is examined."""

    def __init__(self, front: Front) -> None:
        base = front.store.base
        self.control = f"{base}/_tenant"
        self.identity = Identity(front)
        self.clock = SettableClock(datetime.now(UTC))
        self.deployment: Deployment = from_environment(
            {
                "MMS_TENANT_ID": front.store.tenant_id,
                "MMS_API_AUDIENCE": "api://mms",
                "AzureWebJobsStorage": "in memory",
                "MMS_GRAPH_URL": f"{base}/v1.0",
                "MMS_ACTIVITY_URL": f"{base}/api/v1.0/{front.store.tenant_id}/activity/feed",
                "MMS_PUBLIC_URL": HERE,
                "MMS_CLIENT_STATE": "state",
                "MMS_ACTIVITY_AUTH_ID": "auth",
                "MMS_NOTICE_SENDER": "mms@contoso.example",
            }
        )
        self.parts = Parts(
            users=MemoryUserStore(),
            ledger=MemoryLedger(),
            documents=MemoryDocuments(),
            queue=MemoryQueue(self.clock),
            clock=self.clock,
            graph=_no_graph,
            options=Options(tenant_id=front.store.tenant_id),
        )

    async def tenant(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control surface."""
        async with httpx.AsyncClient() as client:
            answer = await client.request(method, f"{self.control}/{path}", json=body)
            assert answer.status_code < 400, answer.text
            return answer.json() if answer.content else None

    async def examine(self, user: str | None = None) -> list[Finding]:
        """Examine, with the probes that the app has."""
        probes = HttpProbes(self.identity, deployment=self.deployment)  # type: ignore[arg-type]
        return await Checkup(self.parts, lambda: probes, deployment=self.deployment).examine(user)

    async def faults(self, user: str | None = None) -> set[tuple[str, str | None, str]]:
        """Give check, code and detail of what is not good."""
        return {(each.check, each.code, each.detail) for each in await self.examine(user) if each.status != "ok"}


def _no_graph() -> Any:
    raise AssertionError("the examination asks by its own probes")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Run an empty tenant in memory, with one user and one mailbox for notices."""
    store = Store()
    store.setting("signingKey", KEY)
    front = Front(store, None)
    await front.start("127.0.0.1", 0)
    made = World(front)
    await made.tenant("PATCH", "switches", {"enforcePermissions": True})
    await made.parts.documents.put("config", "tenant", {"AllowedGroups": [GROUP]})
    for name in ("ada", "mms"):
        await made.tenant("POST", "users", {"userPrincipalName": f"{name}@contoso.example"})
    yield made
    await front.stop()


CONSENTED = "Calendars.ReadWrite, Mail.Send, MailboxSettings.Read"
NO_SUBSCRIPTIONS = {
    ("token", "RightTenantWide", CONSENTED),
    ("subscriptions", "SubscriptionMissing", "users"),
    ("subscriptions", "SubscriptionMissing", "activity feed"),
}


async def test_with_all_rights_nothing_but_the_subscriptions_is_missing(world):
    """And every right of the table has been proven."""
    found = await world.examine()
    assert {each.check for each in found if each.check.startswith("right ")} == {f"right {name}" for name in ALL}
    assert await world.faults() == NO_SUBSCRIPTIONS
    assert await world.tenant("GET", "outbox") == {"value": []}


@pytest.mark.parametrize("missing", sorted(ALL - {"GroupMember.Read.All"}))
async def test_each_missing_right_is_found_and_named(world, missing):
    """That one, and no other."""
    world.identity.rights = ALL - {missing}
    faults = {fault for fault in await world.faults() if fault[0].startswith("right ")}
    expected = {(f"right {missing}", "RightMissing", missing)}
    if missing == "User.Read.All":
        # Without the directory nobody is known whose mailbox could prove the others; a name helps.
        assert expected < faults
        assert {code for _, code, _ in faults - expected} == {"NotProven"}
        faults = {fault for fault in await world.faults("ada@contoso.example") if fault[0].startswith("right ")}
    assert faults == expected


async def test_missing_access_policy_is_found_for_somebody_who_is_given_by_name(world):
    """Teams knows people by their object id only: by name it finds nobody, which would look like a proof."""
    await world.tenant("PATCH", "switches", {"applicationAccessPolicy": "denied"})
    right = "OnlineMeetings.ReadWrite.All"
    for user in (None, "ada@contoso.example"):
        assert (f"right {right}", "AppAccessPolicyMissing", right) in await world.faults(user)


async def test_membership_is_refused_only_when_no_right_to_the_directory_is_left(world):
    """Graph takes User.Read.All for it as well, and so there is nothing to find while that is there."""
    world.identity.rights = ALL - {"GroupMember.Read.All"}
    assert await world.faults() == NO_SUBSCRIPTIONS
    world.identity.rights = ALL - {"GroupMember.Read.All", "User.Read.All"}
    faults = await world.faults("ada@contoso.example")
    assert ("right GroupMember.Read.All", "RightMissing", "GroupMember.Read.All") in faults


async def test_right_that_is_too_much_is_named(world):
    """Least privilege is not only about what is missing."""
    world.identity.rights = ALL | {"Directory.ReadWrite.All"}
    assert ("token", "RightTooMuch", "Directory.ReadWrite.All") in await world.faults()


@pytest.mark.parametrize(
    ("scoped", "consented"),
    [
        (set(), CONSENTED),
        ({"MailboxSettings.Read", "Mail.Send"}, "Calendars.ReadWrite"),
        ({"Calendars.ReadWrite", "MailboxSettings.Read", "Mail.Send"}, None),
    ],
    ids=["all", "calendars", "none"],
)
async def test_consent_for_the_whole_tenant_that_defeats_a_scope_is_named_with_its_remedy(world, scoped, consented):
    """What Exchange gives for a scope is in no token; what a token holds reaches every mailbox, whatever the scope."""
    world.identity.rights = ALL - scoped
    found = [each for each in await world.examine() if each.code == "RightTenantWide"]
    assert [(each.check, each.status, each.detail) for each in found] == (
        [("token", "warning", consented)] if consented else []
    )
    assert all("rights.py grant" in each.remedy for each in found)


async def test_missing_policy_of_teams_is_told_from_a_missing_right(world):
    """The remedy is another one."""
    await world.tenant("PATCH", "switches", {"applicationAccessPolicy": "denied"})
    fault = ("right OnlineMeetings.ReadWrite.All", "AppAccessPolicyMissing", "OnlineMeetings.ReadWrite.All")
    assert fault in await world.faults()


async def test_somebody_without_a_mailbox_proves_nothing_and_the_next_one_is_asked(world):
    """Only if nobody is left it stays open."""
    await world.tenant("POST", "users", {"userPrincipalName": "aaron@contoso.example", "mailbox": "onPremises"})
    assert await world.faults() == NO_SUBSCRIPTIONS
    faults = await world.faults("aaron@contoso.example")
    assert ("right Calendars.ReadWrite", "NotProven", "Calendars.ReadWrite: nobody with a mailbox") in faults


async def test_identity_without_a_token_is_one_clear_finding_a_check(world):
    """Not a crash."""
    world.identity.is_broken = True
    codes = {code for _, code, _ in await world.faults()}
    assert codes == {"SignInFailed"}


async def test_clock_that_is_wrong_is_found(world):
    """By Microsoft's own."""
    world.clock.advance(timedelta(minutes=7))
    ((_, code, detail),) = {fault for fault in await world.faults() if fault[0] == "clock"}
    assert code == "ClockSkew"
    assert detail.startswith("+4")


async def test_storage_that_takes_nothing_is_told_from_storage_that_does_not_answer(world, monkeypatch):
    """Reading takes another role than writing."""

    async def fails(*_, **__):
        raise TemporaryError("HttpResponseError", code="StorageUnavailable")

    monkeypatch.setattr(world.parts.documents, "put", fails)
    assert ("storage", "StorageNotWritable", "HttpResponseError") in await world.faults()
    monkeypatch.setattr(world.parts.documents, "get", fails)
    assert ("storage", "StorageUnavailable", "HttpResponseError") in await world.faults()


async def test_queues_of_the_emulator_take_the_trial_message_and_keep_nothing(tables):
    """It is deleted before anybody can see it."""
    queue = tables.queue
    await queue.prove()
    await queue.prove()
    for client in (queue._triggers, queue._runs):
        assert (await client.get_queue_properties()).approximate_message_count == 0


async def test_what_cannot_be_read_of_users_is_a_finding_with_its_remedy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users are counted, not named; the settings' own row spoils no examination either."""
    await world.parts.documents.put("unreadable", "ada-id", {"userId": "ada-id", "at": world.clock.now().isoformat()})
    await world.parts.documents.put("snapshot", "ada-id", {"v": 99})
    (finding,) = [each for each in await world.examine() if each.check == "records"]
    assert (finding.status, finding.code, finding.detail[:8]) == ("warning", "RecordUnreadable", "users: 1")
    assert "ada-id" not in finding.detail
    assert "delete the row" in finding.remedy

    async def damaged(kind: str, key: str) -> Any:
        raise RecordUnreadable(f"{kind} {key}")

    monkeypatch.setattr(world.parts.documents, "get", damaged)
    assert ("storage", "RecordUnreadable", "config tenant") in await world.faults()
