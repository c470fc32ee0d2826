"""Section 7 of the fact sheet: subscriptions and deliveries; and the tenant's own CloudEvents."""

import asyncio
from datetime import UTC, datetime, timedelta

import jwt
import msgspec
import pytest
from simulator_support import AUDIO, WEEKLY, enc

from mms_simulator.courier import Receiver as Remembered


def minutes(number):
    """An instant so many minutes from now."""
    return (datetime.now(UTC) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
async def ada(tenant):
    """Somebody to change."""
    return await tenant.user("ada")


async def subscribe(tenant, receiver, **given):
    """Subscribe to users, or to what is given."""
    body = {
        "changeType": "updated",
        "resource": "users",
        "notificationUrl": receiver.url,
        "clientState": "secret",
        "expirationDateTime": minutes(60),
        **given,
    }
    return await tenant.raw("POST", "subscriptions", body)


async def edit(tenant, user, times=1):
    """Change a profile, which concerns nobody."""
    for _ in range(times):
        await tenant.control("POST", "actions/editProfile", {"user": user["id"]})


def items(bodies):
    """Flatten batches of notifications."""
    return [item for body in bodies for item in body["value"]]


class TestSubscriptions:
    """Creating and renewing."""

    async def test_the_handshake_decides(self, tenant, receiver):
        """The token must come back decoded, as text; existing query parameters stay."""
        made = await subscribe(tenant, receiver, notificationUrl=receiver.url + "?code=1")
        assert made.status_code == 201
        assert made.json()["clientState"] is None
        receiver.echo = False
        answer = await subscribe(tenant, receiver)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")
        assert len((await tenant.graph("GET", "subscriptions"))["value"]) == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            {"changeType": "created"},
            {"resource": "groups"},
            {"notificationUrl": "http://example.org/hook"},
            {"lifecycleNotificationUrl": "ftp://127.0.0.1/"},
            {"clientState": "x" * 129},
            {"changeType": ""},
        ],
    )
    async def test_what_is_refused(self, tenant, receiver, wrong):
        """6.3 and 7: change types, lifetimes, addresses."""
        assert (await subscribe(tenant, receiver, **wrong)).status_code == 400

    @pytest.mark.parametrize("lifetime_minutes", [41_770, -1])
    async def test_a_lifetime_beyond_the_longest_or_over_is_refused(self, tenant, receiver, lifetime_minutes):
        """6.3: counted from the request, so the instant is made when the test runs and not when it is collected."""
        answer = await subscribe(tenant, receiver, expirationDateTime=minutes(lifetime_minutes))
        assert answer.status_code == 400

    async def test_events_live_shorter_than_users(self, tenant, ada, receiver):
        """4,230 minutes; ``created`` is allowed there."""
        events = {"resource": f"users/{ada['id']}/events", "changeType": "created,updated,deleted"}
        assert (await subscribe(tenant, receiver, **events, expirationDateTime=minutes(4_240))).status_code == 400
        assert (await subscribe(tenant, receiver, **events, expirationDateTime=minutes(4_220))).status_code == 201

    async def test_renewal_and_end(self, tenant, receiver):
        """PATCH prolongs, an expired one is not there any more, DELETE ends."""
        made = (await subscribe(tenant, receiver)).json()
        path = f"subscriptions/{made['id']}"
        later = minutes(120)
        renewed = await tenant.graph("PATCH", path, {"expirationDateTime": later})
        assert renewed["expirationDateTime"] == later
        body = {"lifecycleNotificationUrl": receiver.url}
        assert (await tenant.raw("PATCH", path, body)).status_code == 400
        told = (await subscribe(tenant, receiver, lifecycleNotificationUrl=receiver.url + "/life")).json()
        for url, status in ((receiver.url, 400), (receiver.url + "/life", 200)):
            body = {"lifecycleNotificationUrl": url, "expirationDateTime": later}
            assert (await tenant.raw("PATCH", f"subscriptions/{told['id']}", body)).status_code == status
        await tenant.graph("DELETE", f"subscriptions/{told['id']}")
        await tenant.graph("POST", f"{path}/reauthorize", expect=202)
        await tenant.control("POST", "clock", {"advanceSeconds": 3 * 3600})
        answer = await tenant.raw("PATCH", path, {"expirationDateTime": minutes(500)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
        await tenant.control("POST", "clock", {"offsetSeconds": 0})
        made = (await subscribe(tenant, receiver)).json()
        await tenant.graph("DELETE", f"subscriptions/{made['id']}", expect=204)


class TestDelivery:
    """What comes, and how often."""

    async def test_a_change_of_a_user_tells_only_the_id(self, tenant, ada, receiver):
        """6.3: not what, not by whom."""
        made = (await subscribe(tenant, receiver)).json()
        await edit(tenant, ada)
        (item,) = items(await receiver.wait(1))
        assert item["subscriptionId"] == made["id"]
        assert (item["clientState"], item["changeType"], item["resource"]) == (
            "secret",
            "updated",
            f"Users/{ada['id']}",
        )
        assert item["resourceData"]["id"] == ada["id"]
        assert item["tenantId"] == tenant.front.store.tenant_id
        await tenant.user("new")
        assert len(items(await receiver.wait(2))) == 2

    async def test_events_of_a_mailbox(self, tenant, ada, receiver):
        """Created, updated, deleted, with the etag of the item."""
        await subscribe(tenant, receiver, resource=f"/users/{ada['id']}/events", changeType="created,updated,deleted")
        event = await tenant.event(recurrence=WEEKLY)
        await tenant.patch(event, {"subject": "x"})
        await tenant.graph("DELETE", f"users/{ada['id']}/events/{enc(event['id'])}")
        for _ in range(100):
            found = items([body for _, body in receiver.calls])
            if len(found) == 3:
                break
            await asyncio.sleep(0.02)
        assert [item["changeType"] for item in found] == ["created", "updated", "deleted"]
        assert found[0]["resourceData"]["@odata.etag"] == event["@odata.etag"]

    async def test_switch_batch_milliseconds(self, tenant, ada, receiver):
        """Notifications wait so long for company, which is hardly at all or a minute."""
        await subscribe(tenant, receiver)
        await edit(tenant, ada)
        await receiver.wait(1)
        assert len(receiver.calls) == 1
        await tenant.switch(batchMilliseconds=60_000)
        await edit(tenant, ada)
        await asyncio.sleep(0.3)
        assert len(receiver.calls) == 1
        assert (await tenant.control("GET", ""))["pendingDeliveries"] == 1

    async def test_what_comes_together_travels_together(self, tenant, ada, receiver):
        """Batches may mix subscriptions."""
        await tenant.switch(batchMilliseconds=400)
        await subscribe(tenant, receiver)
        await subscribe(tenant, receiver, clientState="other")
        await edit(tenant, ada, times=3)
        (body,) = await receiver.wait(1)
        await asyncio.sleep(0.2)
        assert len(receiver.calls) == 1
        assert [item["clientState"] for item in body["value"]] == ["secret", "other"] * 3

    async def numbers(self, tenant, ada, receiver, times):
        """Change a user so often; gives the numbers of the notifications of one batch, as they came."""
        receiver.calls.clear()
        await edit(tenant, ada, times=times)
        found = items(await receiver.wait(1))
        return [item["resourceData"]["sequenceNumber"] for item in found]

    async def test_switch_duplicate_notifications(self, tenant, ada, receiver):
        """7: single delivery is not promised."""
        await tenant.switch(batchMilliseconds=150)
        await subscribe(tenant, receiver)
        once = await self.numbers(tenant, ada, receiver, 2)
        assert len(once) == len(set(once)) == 2
        await tenant.switch(duplicateNotifications=True)
        twice = await self.numbers(tenant, ada, receiver, 2)
        assert (len(twice), len(set(twice))) == (4, 2)

    async def test_switch_reorder_notifications(self, tenant, ada, receiver):
        """7: nor is order."""
        await tenant.switch(batchMilliseconds=150)
        await subscribe(tenant, receiver)
        straight = await self.numbers(tenant, ada, receiver, 3)
        assert (len(straight), straight) == (3, sorted(straight))
        await tenant.switch(reorderNotifications=True)
        turned = await self.numbers(tenant, ada, receiver, 3)
        assert (len(turned), turned) == (3, sorted(turned, reverse=True))

    async def test_switch_lose_notifications(self, tenant, ada, receiver):
        """7: nor delivery at all; the directory still tells the truth."""
        await subscribe(tenant, receiver)
        assert len(await self.numbers(tenant, ada, receiver, 1)) == 1
        await tenant.switch(loseNotifications=True)
        receiver.calls.clear()
        await edit(tenant, ada)
        await asyncio.sleep(0.3)
        assert receiver.calls == []
        assert (await tenant.control("GET", ""))["pendingDeliveries"] == 0

    async def test_switch_notification_retry_seconds(self, tenant, ada, receiver):
        """7: a receiver that fails is asked again, later and later: after a second, or after what the switch says."""
        await subscribe(tenant, receiver)
        receiver.status = 503

        async def waiting():
            """Give how long the failed delivery waits."""
            (row,) = tenant.front.store.deliveries.values()
            return row.due - row.first

        for seconds, least, most in ((1, 1, 40), (50, 50, 90)):
            await tenant.switch(notificationRetrySeconds=seconds)
            receiver.calls.clear()
            await edit(tenant, ada)
            await receiver.wait(1)
            await asyncio.sleep(0.1)
            assert least <= await waiting() < most
            if seconds == 1:
                tenant.front.store.drop(*tenant.front.store.deliveries.values())
        receiver.status = 202
        await tenant.control("POST", "clock", {"seconds": 91})
        await receiver.wait(2)
        await asyncio.sleep(0.1)
        assert (await tenant.control("GET", ""))["pendingDeliveries"] == 0
        assert len({str(body) for _, body in receiver.calls}) == 1

    async def test_a_failing_receiver_is_asked_again_and_again(self, tenant, ada, receiver):
        """7: later and later, with the same notification."""
        await tenant.switch(notificationRetrySeconds=0.05)
        await subscribe(tenant, receiver)
        receiver.status = 503
        await edit(tenant, ada)
        await receiver.wait(3)
        receiver.status = 202
        await receiver.wait(4)
        await asyncio.sleep(0.1)
        assert (await tenant.control("GET", ""))["pendingDeliveries"] == 0
        assert len({str(body) for _, body in receiver.calls}) == 1

    async def test_switch_reauthorize_seconds(self, tenant, receiver):
        """7: reauthorizationRequired before the end, or never by itself; only where there is an address."""
        await subscribe(tenant, receiver, lifecycleNotificationUrl=receiver.url + "/life")
        await asyncio.sleep(1.2)  # the courier looks once a second
        assert receiver.calls == []
        await tenant.switch(reauthorizeSeconds=7200)
        (item,) = items(await receiver.wait(1))
        assert item["lifecycleEvent"] == "reauthorizationRequired"

    async def test_lifecycle_messages_on_request(self, tenant, ada, receiver):
        """7: missed and subscriptionRemoved are for Outlook alone; the second means what it says."""
        life = {"lifecycleNotificationUrl": receiver.url + "/life"}
        users = (await subscribe(tenant, receiver, **life)).json()
        events = (await subscribe(tenant, receiver, resource=f"users/{ada['id']}/events", **life)).json()
        for what, told in (
            ("reauthorizationRequired", {users["id"], events["id"]}),
            ("missed", {events["id"]}),
            ("subscriptionRemoved", {events["id"]}),
        ):
            receiver.calls.clear()
            assert (await tenant.control("POST", "actions/lifecycle", {"event": what}))["sent"] == len(told)
            rows = items(await receiver.wait(1))
            assert {(row["lifecycleEvent"], row["subscriptionId"]) for row in rows} == {(what, each) for each in told}
        (left,) = (await tenant.graph("GET", "subscriptions"))["value"]
        assert left["id"] == users["id"]

    async def test_the_directory_takes_a_hundred_subscriptions_of_an_application_a_mailbox_a_thousand(
        self, tenant, ada, receiver
    ):
        """6.3 and 7: each counts for itself; the one too many is forbidden."""
        users = (await subscribe(tenant, receiver)).json()
        events = (await subscribe(tenant, receiver, resource=f"users/{ada['id']}/events")).json()
        store = tenant.front.store
        for made, most in ((users, 100), (events, 1000)):
            known = store.subscriptions[made["id"]]
            for number in range(most - 2):
                store.save(msgspec.structs.replace(known, id=f"{made['id']}-{number}"))
            wanted = {"resource": made["resource"]}
            assert (await subscribe(tenant, receiver, **wanted)).status_code == 201
            assert (await subscribe(tenant, receiver, **wanted)).status_code == 403
        bob = await tenant.user("bob")
        assert (await subscribe(tenant, receiver, resource=f"users/{bob['id']}/events")).status_code == 201

    async def test_switch_events_url(self, tenant, ada, receiver):
        """6.7: delivered to the events address, which stands for the partner topic; to nobody without one."""
        topic = "EventGrid:?azuresubscriptionid=x&resourcegroup=y&partnertopic=z&location=w"
        await subscribe(tenant, receiver, notificationUrl=topic)
        await edit(tenant, ada)
        assert (await tenant.control("GET", ""))["pendingDeliveries"] == 0
        await tenant.switch(eventsUrl=receiver.url)
        await edit(tenant, ada)
        (event,) = await receiver.wait(1)
        assert (event["specversion"], event["type"]) == ("1.0", "Microsoft.Graph.UserUpdated")
        assert event["subject"] == f"Users/{ada['id']}"
        assert event["data"]["clientState"] == "secret"


class TestSlowReceivers:
    """7: 2,900 ms count as slow; 10 % delay, 15 % drop, the window is ten minutes."""

    @pytest.mark.parametrize(("slow", "expected"), [(9, "normal"), (10, "delayed"), (14, "delayed"), (15, "dropped")])
    def test_shares(self, slow, expected):
        """Of the last hundred answers."""
        remembered = Remembered()
        for number in range(100):
            remembered.note(1000.0, slow=number < slow)
        assert remembered.state(1001.0) == expected
        assert remembered.state(1601.0) == "normal"

    async def remember(self, tenant, receiver, slow):
        """Let the last answers of a receiver have been slow."""
        await subscribe(tenant, receiver)
        remembered = Remembered()
        for _ in range(slow):
            remembered.note(tenant.front.store.clock.now(), slow=True)
        tenant.front.courier.receivers[receiver.url] = remembered

    async def test_switch_slow_receiver(self, tenant, ada, receiver):
        """Dropped for good while it lasts; delivered all the same with the switch off."""
        await self.remember(tenant, receiver, 15)
        await edit(tenant, ada)
        assert len(await receiver.wait(1)) == 1
        await tenant.switch(slowReceiver=True)
        await edit(tenant, ada)
        await asyncio.sleep(0.3)
        assert len(receiver.calls) == 1
        assert (await tenant.control("GET", ""))["pendingDeliveries"] == 0

    async def test_switch_answer_seconds(self, tenant, ada, receiver):
        """Who answers later has not answered: it is repeated."""
        await subscribe(tenant, receiver)
        await tenant.switch(notificationRetrySeconds=0.01)
        receiver.delay = 0.3
        await edit(tenant, ada)
        assert len(await receiver.wait(1)) == 1
        await tenant.switch(answerSeconds=0.05)
        await edit(tenant, ada)
        deliveries = tenant.front.store.deliveries
        for _ in range(250):
            if any(each.attempts > 1 for each in deliveries.values()):
                break
            await asyncio.sleep(0.02)
        assert [each.attempts > 1 for each in deliveries.values()] == [True]

    async def test_delayed_ones_come_ten_minutes_later(self, tenant, ada, receiver):
        """10 of 100."""
        await tenant.switch(slowReceiver=True)
        await self.remember(tenant, receiver, 10)
        await edit(tenant, ada)
        await asyncio.sleep(0.3)
        assert receiver.calls == []
        await tenant.control("POST", "clock", {"minutes": 10.1})
        assert len(await receiver.wait(1)) == 1


class TestCloudEvents:
    """design: what the administrator's actions emit."""

    @pytest.mark.parametrize(
        "case",
        [
            ("moveUser", {"direction": "toCloud", "moveToTeams": False}, "mms.user.moved",
             {"direction": "toCloud", "moveToTeams": False}),
            ("setAudioConferencing", {"provider": "thirdParty"}, "mms.audioconferencing.changed",
             {"change": "provider", "from": "microsoft", "to": "thirdParty"}),
            ("setAudioConferencing", {"enabled": False}, "mms.audioconferencing.changed", {"change": "disabled"}),
            ("setAudioConferencing", {"conferenceId": "1"}, "mms.audioconferencing.changed",
             {"change": "conferenceId", "from": "", "to": "1", "publicMeetings": True}),
            ("setAudioConferencing", {"bridge": "B2"}, "mms.audioconferencing.changed",
             {"change": "bridge", "from": "Default", "to": "B2"}),
            ("unassignNumber", {"number": "+1 206-555-0100"}, "mms.bridge.numberunassigned",
             {"number": "+1 206-555-0100"}),
            ("changeSipAddress", {"sip": "a@b.example"}, "mms.user.sipaddresschanged", {"to": "sip:a@b.example"}),
            ("changeMeetingUrl", {"url": "https://meet.new.example"}, "mms.tenant.meetingurlchanged",
             {"url": "https://meet.new.example"}),
        ],
    )  # fmt: skip
    async def test_actions_emit_cloud_events(self, tenant, ada, receiver, case):
        """Structured, with a fresh operator's token for the app."""
        action, given, kind, data = case
        await tenant.switch(eventsUrl=receiver.url)
        await tenant.control("POST", f"actions/{action}", {"user": ada["id"], **given})
        (event,) = await receiver.wait(1)
        assert (event["specversion"], event["type"]) == ("1.0", kind)
        assert data.items() <= event["data"].items()
        if "user" in event["data"]:
            assert (event["data"]["user"], event["subject"]) == ("ada@contoso.example", ada["id"])
        headers, _ = receiver.calls[0]
        assert headers["Content-Type"] == "application/cloudevents+json"
        claims = jwt.decode(headers["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
        assert (claims["aud"], claims["roles"]) == ("api://mms", ["Mms.Operate"])

    async def test_licence_changes_are_no_cloud_events(self, tenant, ada, receiver):
        """They are Graph notifications and audit records."""
        await tenant.switch(eventsUrl=receiver.url)
        await tenant.control("POST", "actions/assignLicense", {"user": ada["id"], "plans": [AUDIO]})
        await asyncio.sleep(0.2)
        assert receiver.calls == []


async def test_deliveries_stop_also_at_the_moment_in_which_something_is_to_be_delivered(tenant):
    """However many turns of the loop lie between the two; a cancellation must not be lost to a wake-up."""
    courier = tenant.front.courier
    for turns in range(6):
        await courier.stop()
        await courier.start()
        await asyncio.sleep(0.01)
        courier._wake.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        stopping = asyncio.create_task(courier.stop())
        done, _ = await asyncio.wait({stopping}, timeout=10)
        assert done, f"it goes on after {turns} turns"
    await courier.start()
