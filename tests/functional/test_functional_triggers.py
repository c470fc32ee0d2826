"""What comes in is decided once, put back in part, and heeds settings that change while it waits."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import NAME
from meeting_values import AUDIO_CONFERENCING, NOW, TENANT, USER, teams_event

from mms_core.errors import TemporaryError
from mms_core.messages import ActivityContent, JobStep, LookAfterSubscriptions, TenantEvent, UsersChanged, encode
from mms_core.model import Source, State, Target, TeamsFacts, UserKey
from mms_core.notifications import parse_notifications
from mms_core.ports import Content, Page
from mms_core.service.admin.intake import Wanted

GRANT = {"user": NAME, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}


def _event(**data):
    return encode(TenantEvent(event_id="source|1", type="mms.policy.granted", data={**GRANT, **data}, actor="script"))


async def test_a_user_who_is_denied_while_the_run_waits_is_left_alone(world):
    """Lists are effective at once for queued work, too; the run says why."""
    world.skype_meetings(2)
    await world.ask()
    await world.configure(DeniedUsers=[NAME])
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code) == (State.SKIPPED, "UserExcluded")
    assert world.tenant.mails == []


async def test_an_event_that_is_delivered_twice_is_decided_once(world):
    """The queue delivers at least once."""
    for _ in range(2):
        await world.triage.message(_event())
    decisions = await world.documents.list("decision")
    assert [each["outcome"] for each in decisions] == ["accepted"]
    assert decisions[0]["correlationId"] == (await world.run()).run_id


async def test_after_a_failure_only_the_rest_of_a_batch_is_put_back(world):
    """A thousand users are not read again for the sake of one."""
    users = [f"00000000-0000-4000-9000-{number:012d}" for number in range(20)]
    for number, user in enumerate(users):
        world.tenant.add_user(user, f"u{number}@contoso.example")
    world.tenant.on("user", *[None] * 8, TemporaryError(retry_after=timedelta(seconds=9)))
    await world.triage.message(encode(UsersChanged(users=tuple(users), received=NOW.isoformat())))
    ((at, message),) = world.queue.messages
    assert at == NOW + timedelta(seconds=9)
    assert message.users == tuple(users[8:])


async def test_a_mailbox_on_premises_is_refused_at_once(world):
    """W2: where Graph says so, the request never waits."""

    async def mailbox(user_id):
        assert user_id == USER
        return "onPremises"

    world.tenant.mailbox = mailbox
    await world.triage.message(_event())
    run = await world.run()
    assert (run.state, run.code, run.retries) == (State.FAILED, "MailboxOnPremises", 0)
    assert (await world.documents.list("decision"))[0]["rule"] == "W2"


class _Lists:
    """The fake tenant with the lists that a sweep reads."""

    def __init__(self, tenant):
        self._tenant = tenant
        self.people = dict(tenant.users)
        self.teams_facts = TeamsFacts(user_id="", account_type="user")

    def __getattr__(self, name):
        return getattr(self._tenant, name)

    async def users(self, link=None):
        """Two pages."""
        rows = tuple(self.people.values())
        return Page(items=rows[:1], next_link="2") if link is None else Page(items=rows[1:])

    async def configurations(self, link=None):
        """One page."""
        assert link is None
        return Page(items=tuple(replace(self.teams_facts, user_id=user) for user in self.people))

    async def contents(self, content_type, *, since, until):
        """One content of one type."""
        assert until - since <= timedelta(hours=24)
        found = Content(uri="https://manage.example/1", content_id="1", created_at=NOW)
        return Page(items=(found,) if content_type == "Audit.General" else ())


async def _sweep(world):
    await world.triage.sweep()
    while jobs := [each for each in world.queue.visible() if isinstance(each, JobStep)]:
        for job in jobs:
            await world.dispatch(job)


async def test_a_sweep_finds_what_nobody_told_once(world):
    """Feed, directory and Teams, a page a message; the next sweep finds nothing more."""
    record = {
        "Id": "r1",
        "Operation": "TeamsAdminAction",
        "ItemName": "Grant-CsTeamsUpgradePolicy",
        "ObjectId": NAME,
        "Parameters": [{"Name": "PolicyName", "Value": "TeamsOnly"}],
    }
    world.tenant.records["https://manage.example/1"] = [record, {"Operation": "UserLoggedIn"}]
    other = "00000000-0000-4000-9000-000000000001"
    world.tenant.add_user(other, "b@contoso.example")
    lists = world.tenant = _Lists(world.tenant)
    await world.documents.put("subscription", "activity", {"id": "x", "since": NOW.isoformat()})
    await _sweep(world)
    lists.people[other] = replace(lists.people[other], plans=frozenset({AUDIO_CONFERENCING}))
    for _ in range(2):
        await _sweep(world)
    assert (await world.run()).reasons == ("T9 PolicyGranted",)
    assert (await world.run(UserKey(other))).reasons == ("T3 LicenseAssigned",)
    assert sorted(each["rule"] for each in await world.documents.list("decision")) == ["T3", "T9"]
    unknown = await world.documents.get("unknownRecords", "all")
    assert unknown.value["counts"] == {"UserLoggedIn": 1}


async def test_users_whom_an_event_about_the_tenant_concerns_take_their_turn_with_the_lists(world):
    """Their requests are due one after the other at the tenant's rate, after the list that came before."""
    world.start_services(sending_limits=True)
    await world.configure(AdmissionUsersPerMinute=60, SettleMinutes=10)
    asked = tuple(f"{number:08d}-0000-4000-9000-000000000000" for number in range(120))
    await world.intake.start(Wanted(identities=asked, source=Source.ALL, target=Target.TEAMS))
    world.tenant.add(teams_event(1, dial_in={"number": "+14255550100"}))
    users = [USER, *(f"00000000-0000-4000-9000-{number:012d}" for number in range(1, 5))]
    for number, user in enumerate(users[1:]):
        world.tenant.add_user(user, f"u{number}@contoso.example", plans={AUDIO_CONFERENCING})
    world.tenant = _Lists(world.tenant)
    gone = TenantEvent(event_id="s|1", type="mms.bridge.numberunassigned", data={"number": "+1 425 555 0100"})
    await world.dispatch(gone)
    while jobs := [each for each in world.queue.visible() if isinstance(each, JobStep)]:
        for job in jobs:
            await world.dispatch(job)
            await world.dispatch(job)  # delivered twice: done once
    runs = [await world.run(UserKey(user)) for user in users]
    assert {each.partition(" ")[0] for run in runs for each in run.reasons} == {"T8"}
    assert sorted(round((run.due_at - NOW).total_seconds()) for run in runs) == [720, 721, 722, 723, 724]


def _call(*subscriptions, state="state"):
    rows = [
        {
            "subscriptionId": each,
            "clientState": state,
            "tenantId": TENANT,
            "changeType": "updated",
            "resource": f"Users/{USER}",
            "resourceData": {"id": USER},
        }
        for each in subscriptions
    ]
    return parse_notifications(json.dumps({"value": rows}).encode(), client_state="state", tenant_id=TENANT)


async def test_a_notification_of_an_unknown_subscription_counts_and_is_looked_into(world):
    """It knows our secret, so it is true; but there may be a subscription too many, and that doubles everything."""
    await world.recovery.subscriptions()
    await world.inbox.notifications(_call("subscription-1", "subscription-1"))
    assert [type(message) for _, message in world.queue.messages] == [UsersChanged]
    for _ in range(3):
        await world.inbox.notifications(_call("subscription-1", "old"))
    kinds = [type(message) for _, message in world.queue.messages]
    assert (kinds.count(UsersChanged), kinds.count(LookAfterSubscriptions)) == (4, 1)
    (row,) = await world.documents.list("unknownSubscription")
    assert row["id"] == "old"


async def test_a_new_subscription_is_known_as_soon_as_it_is_noted(world):
    """A process that knew the old one asks again before it calls the new one unknown."""
    await world.recovery.subscriptions()
    await world.inbox.notifications(_call("subscription-1"))
    world.tenant.subscription = "subscription-2"
    await world.recovery.subscriptions()
    await world.inbox.notifications(_call("subscription-2"))
    assert await world.documents.list("unknownSubscription") == []
    assert {type(message) for _, message in world.queue.messages} == {UsersChanged}


async def test_a_stranger_with_another_client_state_leaves_no_trace(world):
    """Whatever subscription it names."""
    await world.inbox.notifications(_call("old", "subscription-1", state="guess"))
    assert world.queue.messages == []
    assert await world.documents.list("unknownSubscription") == []


LICENSED = {"user": NAME, "added": [AUDIO_CONFERENCING]}


@pytest.mark.parametrize(
    "changes", [{"AutomaticallyMigrateUserMeetings": False}, {"TriggerT3": False}], ids=["N8", "its own switch"]
)
async def test_what_is_switched_off_while_it_waits_does_not_run(world, changes):
    """Off means off, for queued work too; switched on again and retried, it runs."""
    event = TenantEvent(event_id="source|2", type="mms.license.changed", data=LICENSED, actor="script")
    world.skype_meetings(1)
    await world.triage.message(encode(event))
    await world.configure(**changes)
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code, run.reasons) == (State.SKIPPED, "TriggerSwitchedOff", ("T3 LicenseAssigned",))
    assert "candidates" not in world.tenant.calls
    await world.configure(**dict.fromkeys(changes, True))
    await world.queries.retry(USER)
    await world.until_quiet()
    assert await world.state() is State.SUCCEEDED


async def test_a_run_with_one_reason_that_is_still_wanted_goes_on(world):
    """An administrator's request does not end because the licence's trigger was switched off."""
    events = world.skype_meetings(2)
    event = TenantEvent(event_id="source|2", type="mms.license.changed", data=LICENSED, actor="script")
    await world.triage.message(encode(event))
    await world.ask()
    await world.configure(AutomaticallyMigrateUserMeetings=False)
    await world.until_quiet()
    await world.assert_migrated_once(events)


async def test_a_switch_stops_a_run_between_two_meetings(world):
    """It is looked at before every write."""
    world.skype_meetings(9)

    async def switch():
        await world.configure(TriggerT9=False)

    world.tenant.on("updated", switch)
    await world.triage.message(_event())
    await world.until_quiet()
    run = await world.run()
    assert (run.state, run.code) == (State.SKIPPED, "TriggerSwitchedOff")
    assert 1 <= len(world.tenant.mails) < 9


async def test_the_tenants_id_counts_in_any_case(world):
    """Whoever deployed it may have written it in capitals."""
    rows = [{"clientState": "state", "tenantId": TENANT.upper(), "resourceData": {"id": USER}}]
    found = parse_notifications(json.dumps({"value": rows}).encode(), client_state="state", tenant_id=TENANT)
    assert (found.users, found.rejected) == ((USER,), 0)
    assert world.queue.messages == []


async def _hear_of_move(world, way, *, to_cloud):
    if way == "event":
        data = {"user": NAME, "direction": "toCloud" if to_cloud else "toOnPremises", "moveToTeams": to_cloud}
        await world.dispatch(TenantEvent(event_id=f"move|{to_cloud}", type="mms.user.moved", data=data, actor="script"))
    elif way == "audit":
        uri = f"https://manage.example/move/{to_cloud}"
        target = {"Name": "Target", "Value": "sipfed.online.lync.com" if to_cloud else "pool.contoso.example"}
        teams = {"Name": "MoveToTeams", "Value": str(to_cloud)}
        record = {"Id": uri, "Operation": "TeamsAdminAction", "ItemName": "Move-CsUser", "ObjectId": NAME}
        world.tenant.records[uri] = [{**record, "Parameters": [target, teams]}]
        await world.dispatch(ActivityContent(uris=(uri,)))
    else:
        await _sweep(world)


def _moved(world, *, to_cloud):
    account, mode = ("user", "TeamsOnly") if to_cloud else ("sfbOnPremUser", None)
    world.tenant.teams_facts = TeamsFacts(user_id="", account_type=account, mode=mode)


@pytest.mark.parametrize("ways", list(itertools.permutations(("event", "audit", "accountType"))), ids="-".join)
@pytest.mark.parametrize("count", [1, 3])
async def test_a_move_is_one_migration_whoever_tells_it_first(world, ways, count):
    """By event, by audit, by the changed account type: any alone is enough, and all of them are no more."""
    lists = world.tenant = _Lists(world.tenant)
    lists.people = {USER: lists.people[USER]}
    world.skype_meetings(1)
    _moved(world, to_cloud=False)
    await _sweep(world)
    _moved(world, to_cloud=True)
    for way in ways[:count]:
        await _hear_of_move(world, way, to_cloud=True)
    run = await world.run()
    assert {reason.partition(" ")[0] for reason in run.reasons} == {"T1"}
    moves = [each for each in await world.documents.list("decision") if each["what"] == "mms.user.moved"]
    assert {each["rule"] for each in moves} == {"T1"}
    assert [each["outcome"] for each in moves].count("accepted") == 1
    await world.until_quiet()
    assert len(world.tenant.mails) == 1


@pytest.mark.parametrize("way", ["event", "audit", "accountType"])
async def test_a_move_back_is_recorded_and_causes_nothing(world, way):
    """W3, whoever tells it."""
    lists = world.tenant = _Lists(world.tenant)
    lists.people = {USER: lists.people[USER]}
    await _sweep(world)
    _moved(world, to_cloud=False)
    await _hear_of_move(world, way, to_cloud=False)
    (decision,) = await world.documents.list("decision")
    assert (decision["rule"], decision["answer"], decision["userId"]) == ("W3", "ignore", USER)
    assert await world.users.read(UserKey(USER)) is None
