"""What a stranger may send to the open routes, and somebody with a role to the others: refused, cheaply, in one answer."""

from __future__ import annotations

import gzip
import logging
import zlib
from datetime import datetime

import pytest
from api_caller import Api, check_problem, read_json
from meeting_values import NOW, TENANT, USER

from mms_core import jsontext
from mms_core.adapters.graph.failures import failure
from mms_core.adapters.probes import _claims, _probed
from mms_core.errors import TemporaryError
from mms_core.meetings import Original
from mms_core.messages import TenantEvent
from mms_core.model import RunId
from mms_core.notifications import DEEPEST, EVENT_LIMIT, VIDEO_INTEROP_TYPE
from mms_core.packing import LONGEST, pack, unpack
from mms_core.signatures import read_keys, sign
from mms_core.telemetry import log
from mms_core.wiring import api_request

DEPTHS = (5_000, 500_000)
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRUCTURED = {"content-type": "application/cloudevents+json"}
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/scripts/one",
    "type": "mms.policy.granted",
    "data": {"user": USER, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"},
}


def deep(depth):
    """Lists in one another."""
    return b"[" * depth + b"]" * depth


@pytest.fixture
def api(monkeypatch):
    """A fresh app, whose scripts may sign."""
    made = Api(monkeypatch)
    made.webhooks._signing_keys = read_keys(KEY)
    return made


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "frame", [b"%s", b'{"value":[%s]}', b'{"value":[{"x":%s}]}', b'{"identity":%s}', b'[{"x":%s}]']
)
async def test_json_that_is_nested_a_million_times_is_refused_like_any_other_nonsense(api, frame, depth):
    """Not a crash of the stack, and no 500 that wakes somebody."""
    body = frame % deep(depth)
    for handler, more in (
        (api.webhooks.notifications, {}),
        (api.webhooks.lifecycle, {}),
        (api.webhooks.activity, {"headers": {"webhook-authid": "auth"}}),
        (api.webhooks.events, {"headers": STRUCTURED}),
        (api.webhooks.events, {"headers": {"content-type": "application/cloudevents-batch+json"}}),
        (api.admin.migrations, {}),
        (api.admin.previews, {}),
    ):
        response = await api.call(handler, "POST", body=body, **more)
        assert 400 <= response.status < 500, (handler.__name__, response.body)
    response = await api.call(api.admin.config, "PATCH", body=body)
    assert 400 <= response.status < 500
    assert api.queue.messages == []


@pytest.mark.parametrize(("depth", "status"), [(DEEPEST - 2, "accepted"), (DEEPEST - 1, "refused"), (900, "refused")])
async def test_an_event_is_as_flat_as_the_worker_can_read_it(api, depth, status):
    """The queue's reader has less of the stack left than the webhook had: what it could not read is not accepted."""
    nested: object = "end"
    for _ in range(depth):  # beside the event itself and its data
        nested = [nested]
    event = {**EVENT, "data": {**EVENT["data"], "more": nested}}
    response = await api.call(
        api.webhooks.events, "POST", body=[event, EVENT], headers={"content-type": "application/cloudevents-batch+json"}
    )
    assert read_json(response)["value"][0]["status"] == status


async def test_a_batch_holds_a_thousand_events_at_most(api):
    """Each costs a look and a note in storage before there is an answer: tens of thousands would hold up everybody."""
    batch = {"content-type": "application/cloudevents-batch+json"}
    full = [{**EVENT, "id": str(number)} for number in range(EVENT_LIMIT)]
    assert (await api.call(api.webhooks.events, "POST", body=full, headers=batch)).status == 202
    sent = len(api.queue.messages)
    check_problem(await api.call(api.webhooks.events, "POST", body=[*full, EVENT], headers=batch), 400, "InvalidBody")
    assert len(api.queue.messages) == sent


@pytest.mark.parametrize("name", ["authorization", "webhook-signature", "webhook-id", "webhook-authid", "content-type"])
@pytest.mark.parametrize("value", ["\udcff\udcfe", "Bearer \udcff", "é", "x" * 60_000, ""])
async def test_a_header_that_is_no_text_is_refused_like_any_other_nonsense(api, name, value):
    """Not a crash that wakes somebody: a host may pass on whatever bytes a stranger has sent."""
    signed = {"webhook-signature": "v1,x", "webhook-id": "1", "webhook-timestamp": str(int(NOW.timestamp()))}
    for handler, more in ((api.webhooks.events, signed), (api.webhooks.events, {}), (api.webhooks.activity, {})):
        response = await handler(
            api_request(method="POST", route={}, query={}, headers={**STRUCTURED, **more, name: value}, body=b"{}")
        )
        assert response.status == 401


async def test_a_compressed_body_is_not_opened(api):
    """A kibibyte that unpacks to gibibytes stays a kibibyte: nothing here decompresses what strangers send."""
    bomb = gzip.compress(b" " * 50_000_000)
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    for handler in (api.webhooks.notifications, api.webhooks.lifecycle, api.admin.migrations):
        check_problem(await api.call(handler, "POST", body=bomb, headers=headers), 400, "InvalidBody")


async def test_headers_of_the_platforms_own_sign_in_prove_nothing(api):
    """Anybody can write them where that sign-in is not in front; the bearer token alone counts."""
    forged = {"x-ms-client-principal": "eyJhdXRoX3R5cCI6ImFhZCJ9", "x-ms-client-principal-id": "object-id"}
    for handler in (api.admin.migrations, api.admin.config, api.webhooks.events):
        check_problem(await api.call(handler, "POST", roles=None, headers=forged, body=b"{}"), 401, "Unauthorized")


async def test_a_signed_post_that_is_replayed_inside_its_window_does_nothing(api):
    """The same event is accepted once, whoever repeats it; a new id needs a new signature."""
    body = jsontext.dumps(EVENT)
    (key,), moment = api.webhooks._signing_keys, int(datetime.now().astimezone().timestamp())
    signed = {
        **STRUCTURED,
        "webhook-id": "m1",
        "webhook-timestamp": str(moment),
        "webhook-signature": sign(key, message_id="m1", timestamp=moment, body=body),
    }
    api.webhooks._clock = None
    statuses = []
    for _ in range(3):
        response = await api.call(api.webhooks.events, "POST", roles=None, body=body, headers=signed)
        statuses += [row["status"] for row in read_json(response)["value"]]
    assert statuses == ["accepted", "duplicate", "duplicate"]
    assert len([each for _, each in api.queue.messages if isinstance(each, TenantEvent)]) == 1
    other = await api.call(api.webhooks.events, "POST", roles=None, body=body, headers={**signed, "webhook-id": "m2"})
    check_problem(other, 401, "Unauthorized")


async def test_an_event_of_another_tenant_is_refused_in_every_mode(api):
    """Event Grid could be pointed here from anywhere."""
    event = {
        **EVENT,
        "type": "Microsoft.Graph.UserUpdated",
        "subject": f"Users/{USER}",
        "data": {"tenantId": "11111111-1111-4111-8111-111111111111", "resourceData": {"id": USER}},
    }
    response = await api.call(api.webhooks.events, "POST", body=event, headers=STRUCTURED)
    check_problem(response, 400, "InvalidBody", "data.tenantId")
    event["data"]["tenantId"] = TENANT
    assert (await api.call(api.webhooks.events, "POST", body=event, headers=STRUCTURED)).status == 202


async def test_what_only_the_service_derives_cannot_be_posted(api):
    """Audit records become this event; nobody may send it, and so nobody can skip the record."""
    event = {**EVENT, "type": VIDEO_INTEROP_TYPE, "data": {"user": USER, "policy": "Pexip"}}
    response = await api.call(api.webhooks.events, "POST", body=event, headers=STRUCTURED)
    check_problem(response, 400, "InvalidBody", "type")
    assert api.queue.messages == []


@pytest.mark.parametrize("origin", ["evil.example\r\nSet-Cookie: a=b", "x\x00", "é\u2028"])
async def test_no_header_of_ours_carries_a_line_end_of_a_stranger(api, origin):
    """The origin of the handshake is repeated only where it is one printable line."""
    response = await api.call(api.webhooks.events, "OPTIONS", roles=None, headers={"webhook-request-origin": origin})
    assert "WebHook-Allowed-Origin" not in response.headers


def test_what_graph_answers_is_read_with_the_same_care():
    """An answer that is nested without end is an answer that could not be read, not the end of the worker."""
    content = deep(DEPTHS[-1])
    for answer in (content, b'{"value":[{"id":"1","x":%s}]}' % content):
        with pytest.raises(TemporaryError):
            _decoded(answer)
    problem = failure(500, {}, b'{"error":{"x":%s}}' % content, is_write=False, now=datetime.now().astimezone())
    assert problem is not None
    assert problem.code == "ServiceUnavailable"
    assert _probed(200, "", content).document is None
    assert _claims("a.W1tb" + "W1tb" * 100_000 + ".c") == {}


def _decoded(content):
    from mms_core.adapters.graph.transport import Answer
    from mms_core.adapters.graph.wire import WireUsers

    return Answer(content, None, 200).decoded(WireUsers)


def test_an_original_does_not_unpack_to_more_than_a_mail_can_be():
    """Whoever could write into the table could otherwise fill a worker's memory with one row."""
    good = Original(
        key="k", run_id=RunId("r"), event_id="e", body="x" * 1000, content_type="html", locations_json="[]", kept_at=NOW
    )
    assert unpack(pack(good)) == good
    bomb = zlib.compress(b" " * (LONGEST + 1))
    assert len(bomb) < LONGEST // 900
    with pytest.raises(ValueError, match="larger"):
        unpack(bomb)


def test_a_log_line_is_one_line_whatever_its_values_hold(caplog):
    """Nobody writes a second line into the log by choosing a name."""
    with caplog.at_level(logging.INFO):
        log("event_repeated", trigger="a\r\nrun_ended state=Succeeded\x1b[2J\u2028b")
    (record,) = caplog.records
    text = record.getMessage()
    assert text.isprintable()
    assert "run_ended" in text
