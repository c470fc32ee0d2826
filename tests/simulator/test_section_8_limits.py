"""Section 8 of the fact sheet: limits, faults, batches; and the rest of the control surface."""

import asyncio
import json
from email.utils import parsedate_to_datetime

import httpx
import jwt
import pytest
from azure.identity.aio import ManagedIdentityCredential
from simulator_support import enc, meeting

LIST = "users/ada@contoso.example/events"


@pytest.fixture
async def ada(tenant):
    """Whose calendar it is."""
    return await tenant.graph("GET", "users/ada@contoso.example")


@pytest.fixture
async def tenant(tenant):
    """Ada's calendar."""
    await tenant.user("ada")
    return tenant


class TestThrottling:
    """8.1: only with the switch."""

    async def at_once(self, tenant, count):
        """Ask for the same mailbox so often at once; gives the answers. Nobody is answered before all have asked."""
        front, released = tenant.front, asyncio.Event()
        waiting = front._wait

        async def hold(_):
            await released.wait()

        front._wait = hold
        before = front.limits.requests.total()
        asked = [asyncio.create_task(tenant.raw("GET", LIST)) for _ in range(count)]
        for _ in range(3000):
            if front.limits.requests.total() >= before + count:
                break
            await asyncio.sleep(0.01)
        front._wait = waiting
        released.set()
        return await asyncio.gather(*asked)

    async def test_switch_throttle(self, tenant):
        """Four at once in a mailbox: the fifth gets 429; the high-water mark is counted either way."""
        for on, limited in ((False, 8), (True, 4)):
            await tenant.control("DELETE", "stats")
            await tenant.switch(throttle=on)
            answers = await self.at_once(tenant, 8)
            good = [answer for answer in answers if answer.status_code == 200]
            assert len(good) == limited
            for answer in answers:
                if answer not in good:
                    assert answer.status_code == 429
                    assert answer.json()["error"]["code"] == "ApplicationThrottled"
            stats = await tenant.control("GET", "stats")
            assert stats["throttled"] == 8 - limited
            assert stats["maxConcurrency"] == (5 if on else 8)
            assert stats["requests"]["GET users/{user}/events"] == 8

    async def test_windows_pass_by_the_tenants_clock(self, tenant):
        """Whoever has waited is let in, though it took no time; a clock set back forgives what it has not seen yet."""
        await tenant.switch(throttle=True, mailboxRequests=1)
        asked = []
        for seconds in (0, 0, 601, 0, -86_400, 0):
            await tenant.control("POST", "clock", {"seconds": seconds})
            asked.append((await tenant.raw("GET", LIST)).status_code)
        assert asked == [200, 429, 200, 429, 200, 429]

    async def test_switch_mailbox_concurrency(self, tenant):
        """Another limit than four, for services that are stricter."""
        await tenant.switch(throttle=True)
        assert [answer.status_code for answer in await self.at_once(tenant, 3)] == [200, 200, 200]
        await tenant.switch(mailboxConcurrency=1)
        assert sorted(answer.status_code for answer in await self.at_once(tenant, 3)) == [200, 429, 429]

    async def test_switch_retry_after(self, tenant):
        """8.1: integer, decimal, HTTP-date, missing."""
        await tenant.switch(throttle=True, mailboxRequests=0, retryAfterSeconds=2)
        for shape in ("integer", "decimal", "date", "missing"):
            await tenant.switch(retryAfter=shape)
            answer = await tenant.raw("GET", LIST)
            assert answer.status_code == 429
            value = answer.headers.get("Retry-After")
            match shape:
                case "integer":
                    assert value == "2"
                case "decimal":
                    assert value == "2.128"
                case "date":
                    assert value.endswith("GMT")
                    assert parsedate_to_datetime(value)
                case _:
                    assert value is None

    async def test_switch_retry_after_seconds(self, tenant):
        """8.1: how long."""
        await tenant.switch(throttle=True, mailboxRequests=0)
        assert (await tenant.raw("GET", LIST)).headers["Retry-After"] == "2"
        await tenant.switch(retryAfterSeconds=240)
        assert (await tenant.raw("GET", LIST)).headers["Retry-After"] == "240"

    async def three(self, tenant, path, **switch):
        """Ask three times within the ordinary limit, and three times within a limit of two."""
        await tenant.switch(throttle=True)
        before = [(await tenant.raw("GET", path)).status_code for _ in range(3)]
        await tenant.control("DELETE", "stats")
        await tenant.switch(**switch)
        after = [(await tenant.raw("GET", path)).status_code for _ in range(3)]
        assert (before, after) == ([200, 200, 200], [200, 200, 429])

    async def test_switch_mailbox_requests(self, tenant):
        """Of a mailbox, in ten minutes."""
        await self.three(tenant, LIST, mailboxRequests=2)

    async def test_switch_tenant_requests(self, tenant):
        """Of the application, in ten seconds."""
        await self.three(tenant, "users", tenantRequests=2)

    async def test_switch_teams_requests(self, tenant):
        """To Teams resources, in a second."""
        await self.three(tenant, "admin/teams/userConfigurations", teamsRequests=2)

    async def test_switch_audit_requests(self, tenant):
        """To audit logs, in ten seconds; without the limits' switch as many as one likes."""
        path = "auditLogs/directoryAudits"
        await self.three(tenant, path, auditRequests=2)
        await tenant.switch(throttle=False)
        assert [(await tenant.raw("GET", path)).status_code for _ in range(8)] == [200] * 8

    async def test_switch_identity_units(self, tenant):
        """The directory counts units: lists 2, one user 1, less with $select, more with $expand."""
        for path, units in (("users", "2"), ("users?$select=id", "1"), ("users/ada@contoso.example", "1")):
            assert (await tenant.raw("GET", path)).headers["x-ms-resource-unit"] == units
        assert "x-ms-resource-unit" not in (await tenant.raw("GET", LIST)).headers
        await tenant.switch(throttle=True)
        assert [(await tenant.raw("GET", "users")).status_code for _ in range(3)] == [200, 200, 200]
        await tenant.control("DELETE", "stats")
        await tenant.switch(identityUnits=5)
        answers = [await tenant.raw("GET", "users") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        await tenant.switch(identityUnits=6)
        answer = await tenant.raw("GET", "users/ada@contoso.example")
        assert answer.headers["x-ms-throttle-limit-percentage"] == "1.00"

    async def test_switch_identity_writes(self, tenant):
        """Of the directory, in two and a half minutes; the refusal says which limit it was, and whose."""
        await tenant.switch(throttle=True)
        asked = [await tenant.raw("PATCH", "users/ada@contoso.example", {"city": "Paris"}) for _ in range(3)]
        assert [answer.status_code for answer in asked] == [204] * 3
        await tenant.control("DELETE", "stats")
        await tenant.switch(identityWrites=2)
        asked = [await tenant.raw("PATCH", "users/ada@contoso.example", {"city": "Paris"}) for _ in range(3)]
        assert [answer.status_code for answer in asked] == [204, 204, 429]
        assert asked[2].headers["x-ms-throttle-information"] == "WriteLimitExceeded"
        assert asked[2].headers["x-ms-throttle-scope"].startswith("Tenant_Application/Write/")
        await tenant.control("POST", "clock", {"seconds": 151})
        assert (await tenant.raw("PATCH", "users/ada@contoso.example", {"city": "Rome"})).status_code == 204

    async def test_switch_upload_megabytes(self, tenant):
        """What is sent to a mailbox, in five minutes."""
        await tenant.switch(throttle=True)
        large = {"body": {"contentType": "html", "content": "x" * 60_000}}
        event = await tenant.event()
        path = f"{LIST}/{enc(event['id'])}"
        assert [(await tenant.raw("PATCH", path, large)).status_code for _ in range(2)] == [200, 200]
        await tenant.control("DELETE", "stats")
        await tenant.switch(uploadMegabytes=0.1)
        asked = [(await tenant.raw("PATCH", path, large)).status_code for _ in range(2)]
        assert asked == [200, 429]
        assert (await tenant.raw("GET", path)).status_code == 200
        await tenant.control("POST", "clock", {"seconds": 301})
        assert (await tenant.raw("PATCH", path, large)).status_code == 200

    async def test_switch_meetings_per_month(self, tenant, ada):
        """Of one organiser, in thirty days."""
        await tenant.switch(throttle=True)
        path = f"users/{ada['id']}/onlineMeetings"
        assert [(await tenant.raw("POST", path, {})).status_code for _ in range(3)] == [201, 201, 201]
        await tenant.switch(meetingsPerMonth=2)
        answer = await tenant.raw("POST", path, {})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
        await tenant.control("POST", "clock", {"days": 31})
        assert (await tenant.raw("POST", path, {})).status_code == 201

    async def test_switch_latency_ms(self, tenant, monkeypatch):
        """Every Graph answer waits so long, or does not wait."""
        slept, sleep = [], asyncio.sleep

        async def sleeping(seconds, *rest):
            slept.append(seconds)
            await sleep(seconds, *rest)

        monkeypatch.setattr(asyncio, "sleep", sleeping)
        await tenant.raw("GET", LIST)
        assert 0.061 not in slept
        await tenant.switch(latencyMs=61)
        await tenant.raw("GET", LIST)
        assert slept.count(0.061) == 1


class TestFaults:
    """Check-list 7: faults before and after the commit, dropped connections, delays."""

    @pytest.mark.parametrize(("when", "committed"), [("before", False), ("afterCommit", True)])
    async def test_errors_before_and_after_the_commit(self, tenant, when, committed):
        """504: the outcome is unknown to the client, not to us."""
        event = await tenant.event()
        fault = {"method": "PATCH", "path": "/events/", "times": 1, "status": 504, "when": when}
        await tenant.control("POST", "faults", fault, expect=201)
        path = f"{LIST}/{enc(event['id'])}"
        answer = await tenant.raw("PATCH", path, {"subject": "New"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "GatewayTimeout")
        assert ((await tenant.get(event))["subject"] == "New") is committed
        assert (await tenant.raw("PATCH", path, {"subject": "New"})).status_code == 200

    @pytest.mark.parametrize(("when", "committed"), [("dropBefore", False), ("drop", True)])
    async def test_dropped_connections(self, tenant, when, committed):
        """No answer at all."""
        event = await tenant.event()
        await tenant.control("POST", "faults", {"method": "PATCH", "path": "events", "when": when})
        with pytest.raises(httpx.HTTPError):
            await tenant.raw("PATCH", f"{LIST}/{enc(event['id'])}", {"subject": "New"})
        assert ((await tenant.get(event))["subject"] == "New") is committed

    @pytest.mark.parametrize(("hold", "committed"), [("request", False), ("answer", True)])
    async def test_a_request_is_held_before_anything_is_done_or_its_answer_after_it(self, tenant, hold, committed):
        """Until the faults are deleted; then it goes on."""
        event = await tenant.event()
        fault = {"method": "PATCH", "path": "/events/", "hold": hold}
        await tenant.control("POST", "faults", fault, expect=201)
        path = f"{LIST}/{enc(event['id'])}"
        writing = asyncio.create_task(tenant.raw("PATCH", path, {"subject": "New"}))
        while (await tenant.control("GET", "faults"))["held"] < 1:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.01)
        assert ((await tenant.get(event))["subject"] == "New") is committed
        assert not writing.done()
        await tenant.control("DELETE", "faults", expect=204)
        assert (await writing).status_code == 200
        assert (await tenant.get(event))["subject"] == "New"
        assert (await tenant.control("GET", "faults"))["held"] == 0

    async def test_headers_codes_times_and_delays(self, tenant):
        """As asked for; gone when used up or deleted; impossible ones are refused."""
        fault = {"method": "GET", "path": r"users/[^/]+/events\?\$top=1$", "times": 2, "status": 429, "code": "TooManyRequests",
                 "headers": {"Retry-After": "1.5"}}  # fmt: skip
        await tenant.control("POST", "faults", fault)
        assert (await tenant.raw("GET", LIST)).status_code == 200
        answer = await tenant.raw("GET", f"{LIST}?$top=1")
        assert (answer.headers["Retry-After"], answer.json()["error"]["code"]) == ("1.5", "TooManyRequests")
        assert (await tenant.raw("GET", f"{LIST}?$top=1")).status_code == 429
        assert (await tenant.raw("GET", f"{LIST}?$top=1")).status_code == 200
        await tenant.control("POST", "faults", {"path": "events", "delayMs": 80, "times": 0})
        answer = await tenant.raw("GET", LIST)
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() > 0.07
        await tenant.control("DELETE", "faults", expect=204)
        assert (await tenant.control("GET", "faults"))["value"] == []
        assert (await tenant.client.post(f"{tenant.base}/_tenant/faults", json={"path": "("})).status_code == 400
        assert (await tenant.client.post(f"{tenant.base}/_tenant/faults", json={"when": "never"})).status_code == 400


class TestBatch:
    """8.2: ``$batch``."""

    async def test_parts_answer_for_themselves(self, tenant):
        """Overall 200; dependsOn in order; 424 behind a failure; per-part 429."""
        event = await tenant.event()
        url = f"/{LIST}/{enc(event['id'])}"
        headers = {"Content-Type": "application/json"}
        parts = [
            {"id": "1", "method": "PATCH", "url": url, "body": {"subject": "A"}, "headers": headers},
            {"id": "2", "method": "GET", "url": f"{url}?$select=subject", "dependsOn": ["1"]},
            {"id": "3", "method": "GET", "url": "/users/nobody"},
            {"id": "4", "method": "GET", "url": "/users", "dependsOn": ["3"]},
            {"id": "5", "method": "GET", "url": f"/{LIST}?$top=1"},
        ]
        await tenant.control("POST", "faults", {"path": r"\$top=1", "status": 429})
        answers = {row["id"]: row for row in (await tenant.graph("POST", "$batch", {"requests": parts}))["responses"]}
        assert {name: row["status"] for name, row in answers.items()} == {
            "1": 200,
            "2": 200,
            "3": 404,
            "4": 424,
            "5": 429,
        }
        assert answers["2"]["body"]["subject"] == "A"
        assert answers["5"]["headers"]["Retry-After"]

    @pytest.mark.parametrize(
        "parts",
        [
            [],
            [{"id": "1", "method": "GET", "url": "/users"}] * 2,
            [{"id": str(number), "method": "GET", "url": "/users"} for number in range(21)],
            [{"id": "1", "method": "POST", "url": "/$batch"}],
            [{"id": "1", "method": "PATCH", "url": "/users/ada@contoso.example", "body": {"city": "Rome"}}],
            [{"id": "1", "method": "GET", "url": "https://graph.microsoft.com/v1.0/users"}],
            [
                {"id": "1", "method": "GET", "url": "/users", "dependsOn": ["2"]},
                {"id": "2", "method": "GET", "url": "/users"},
            ],
        ],
    )
    async def test_batches_that_are_refused(self, tenant, parts):
        """None, doubles, more than twenty, nested, absolute, backwards."""
        assert (await tenant.raw("POST", "$batch", {"requests": parts})).status_code == 400

    async def test_switch_batch_concurrency(self, tenant):
        """Four of a batch run at once, so that it keeps a mailbox's limit by itself; or all, and the fifth does not."""
        await tenant.switch(throttle=True, latencyMs=50)
        parts = [{"id": str(number), "method": "GET", "url": f"/{LIST}"} for number in range(6)]
        for position, refused in ((4, 0), (20, 2)):
            await tenant.switch(batchConcurrency=position)
            answers = (await tenant.graph("POST", "$batch", {"requests": parts}))["responses"]
            assert sorted(row["status"] for row in answers) == [200] * (6 - refused) + [429] * refused


class TestSignIn:
    """Tokens, keys, managed identity."""

    async def test_tokens_verify_with_the_published_keys(self, tenant):
        """OpenID configuration, JWKS, issuer, audience, roles."""
        made = await tenant.control("POST", "tokens", {"roles": ["Mms.Read"]})
        tid = tenant.front.store.tenant_id
        configuration = (await tenant.client.get(f"{tenant.base}/{tid}/v2.0/.well-known/openid-configuration")).json()
        keys = (await tenant.client.get(configuration["jwks_uri"])).json()
        key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(made["token"])["kid"]]
        claims = jwt.decode(
            made["token"], key, algorithms=["RS256"], audience="api://mms", issuer=configuration["issuer"]
        )
        assert (claims["roles"], claims["tid"], claims["ver"]) == (["Mms.Read"], tid, "2.0")
        assert {"oid", "sub", "appid", "nbf", "iat", "exp"} <= claims.keys()

    async def test_tokens_as_asked_for(self, tenant):
        """Wrong ones included."""
        for algorithm in ("none", "HS256", "RS256"):
            given = {"aud": "a", "iss": "b", "tid": "c", "expiresIn": -10, "alg": algorithm, "kid": "d"}
            made = (await tenant.control("POST", "tokens", given))["token"]
            assert jwt.get_unverified_header(made)["alg"] == algorithm
            assert jwt.get_unverified_header(made)["kid"] == "d"
            claims = jwt.decode(made, options={"verify_signature": False, "verify_exp": False})
            assert (claims["aud"], claims["iss"], claims["tid"]) == ("a", "b", "c")
            assert claims["exp"] < claims["iat"] + 70

    async def test_client_credentials(self, tenant):
        """The v2 token endpoint."""
        tid = tenant.front.store.tenant_id
        form = {"client_id": "me", "client_secret": "s", "grant_type": "client_credentials"}
        for scope, audience in (
            ("https://graph.microsoft.com/.default", "https://graph.microsoft.com"),
            ("api://mms/.default", "api://mms"),
        ):
            answer = await tenant.client.post(f"{tenant.base}/{tid}/oauth2/v2.0/token", data={**form, "scope": scope})
            claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
            assert (claims["aud"], claims["appid"]) == (audience, "me")

    async def test_azure_identity_gets_tokens_as_a_managed_identity(self, tenant, monkeypatch):
        """Microsoft's own credential against the endpoint, unmodified."""
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{tenant.base}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "anything")
        async with ManagedIdentityCredential() as credential:
            token = await credential.get_token("https://graph.microsoft.com/.default")
        headers = {"Authorization": f"Bearer {token.token}"}
        assert (await tenant.raw("GET", LIST, headers=headers)).status_code == 200
        assert (await tenant.client.get(f"{tenant.base}/msi/token?resource=x")).status_code == 400


class TestControl:
    """The control surface."""

    async def test_traffic_is_logged_as_json_lines(self, tenant):
        """Request and answer of each Graph call; no token in it."""
        await tenant.event()
        text = (await tenant.client.get(f"{tenant.base}/_tenant/traffic")).text
        (line,) = [json.loads(line) for line in text.splitlines()]
        assert (line["method"], line["status"]) == ("POST", 201)
        assert line["requestBody"]["subject"] == line["responseBody"]["subject"] == "Review"
        assert tenant.token not in text
        await tenant.control("DELETE", "traffic", expect=204)
        assert (await tenant.client.get(f"{tenant.base}/_tenant/traffic")).text == ""

    async def test_switches_that_do_not_exist_are_refused(self, tenant):
        """And none has moved."""
        for wrong in ({"blobMod": "drop"}, {"blobMode": "sideways", "maxTop": 1}):
            answer = await tenant.client.patch(f"{tenant.base}/_tenant/switches", json=wrong)
            assert answer.status_code == 400
        assert (await tenant.control("GET", "switches"))["maxTop"] == 1000

    async def test_users_can_be_made_many_at_once_but_not_twice(self, tenant):
        """An array, or value."""
        rows = [{"userPrincipalName": f"u{number}@contoso.example"} for number in range(3)]
        assert len((await tenant.control("POST", "users", rows[:2]))["value"]) == 2
        assert len((await tenant.control("POST", "users", {"value": rows[2:]}))["value"]) == 1
        for wrong in (rows[0], {}, {"userPrincipalName": "x@y.z", "audioConferencing": {"bridge": 1}}):
            answer = await tenant.client.post(f"{tenant.base}/_tenant/users", json=wrong)
            assert answer.status_code == 400

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "v1.0/users/ada@contoso.example/events", {"start": "now", "end": "then"}),
            ("POST", "v1.0/users/ada@contoso.example/events", {"attendees": "everybody"}),
            ("POST", "v1.0/users/ada@contoso.example/sendMail", {"message": {"toRecipients": ["me"]}}),
            ("POST", "v1.0/subscriptions", {"changeType": 1}),
            ("POST", "v1.0/$batch", {"requests": ["GET /users"]}),
            ("POST", "_tenant/users", "ada"),
            ("POST", "_tenant/users", {"userPrincipalName": "x@y.z", "plans": "all"}),
            ("POST", "_tenant/users", {"userPrincipalName": "x@y.z", "displayName": "\ud800"}),
            ("POST", "_tenant/actions/editProfile", {"user": 1}),
            ("POST", "_tenant/tokens", {"roles": "Mms.Read"}),
            ("POST", "_tenant/clock", {"advanceSeconds": "a while"}),
            ("POST", "v1.0/users/ada@contoso.example/events", [1]),
        ],
    )
    async def test_bodies_of_the_wrong_shape_are_refused(self, tenant, method, path, body):
        """400, before anything is done with them."""
        headers = {"Content-Type": "application/json"}
        answer = await tenant.client.request(method, f"{tenant.base}/{path}", content=json.dumps(body), headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]

    async def test_a_failing_handler_answers_with_an_envelope(self, tenant, monkeypatch):
        """500, and the tenant goes on."""
        monkeypatch.setattr("mms_simulator.views.render", None)
        assert (await tenant.raw("POST", LIST, meeting())).json()["error"]["code"] == "ErrorInternalServerError"
        monkeypatch.undo()
        assert (await tenant.raw("GET", LIST)).status_code == 200

    @pytest.mark.parametrize(
        ("action", "given"),
        [
            ("dance", {}),
            ("assignLicense", {"user": "nobody"}),
            ("grantPolicy", {"user": "ada@contoso.example"}),
            ("grantPolicy", {"user": "ada@contoso.example", "mode": "Sometimes"}),
            ("moveUser", {"user": "ada@contoso.example", "direction": "up"}),
            ("unassignNumber", {}),
            ("changeSipAddress", {"user": "ada@contoso.example"}),
            ("markDraft", {"user": "ada@contoso.example", "eventId": "x"}),
            ("protectCalendar", {"user": "ada@contoso.example", "calendar": "x"}),
        ],
    )
    async def test_actions_that_make_no_sense(self, tenant, action, given):
        """400 or 404, never silence."""
        answer = await tenant.client.post(f"{tenant.base}/_tenant/actions/{action}", json=given)
        assert answer.status_code in {400, 404}

    async def test_attachments(self, tenant):
        """Put on by Graph or by the control surface; listed without content."""
        event = await tenant.event()
        body = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "YWJj"}
        await tenant.graph("POST", f"{LIST}/{enc(event['id'])}/attachments", body, expect=201)
        await tenant.control("POST", "actions/attach", {"user": "ada@contoso.example", "eventId": event["id"]})
        rows = (await tenant.graph("GET", f"{LIST}/{enc(event['id'])}/attachments"))["value"]
        assert [row["name"] for row in rows] == ["a.txt", "notes.txt"]
        assert (await tenant.get(event))["hasAttachments"] is True
