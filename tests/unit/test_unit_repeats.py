"""Idempotency keys: the same request under the same key is done once, and answered alike."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from api_caller import OPERATOR, READER, Api
from api_caller import check_problem as _problem
from api_caller import read_json as _json
from meeting_values import USER
from token_issuer import token

from mms_core.errors import TemporaryError
from mms_core.service import Retention

KEY = {"Idempotency-Key": "order-1"}
BODY = {"identity": USER, "targetMeetingType": "Teams"}


@pytest.fixture
def api(monkeypatch):
    """A fresh app."""
    return Api(monkeypatch)


async def _start(api, body=BODY, headers=KEY, **more):
    return await api.migrations(method="POST", body=body, headers=headers, **more)


async def test_a_repeated_request_gets_the_same_answer_and_does_nothing(api):
    """The first said accepted; without a key the second would say merged."""
    first, second = await _start(api), await _start(api)
    assert _json(first)["value"][0]["status"] == "accepted"
    assert (second.status, second.body, second.content_type) == (first.status, first.body, first.content_type)
    assert second.headers == first.headers
    assert len(api.queue.messages) == 1
    third = await _start(api, headers={})
    assert _json(third)["value"][0]["status"] == "merged"


async def test_a_key_belongs_to_one_request(api):
    """Another body or another route under it is refused, and nothing is done."""
    await _start(api)
    _problem(await _start(api, body={"identity": "x@y"}), 409, "IdempotencyKeyReused", "Idempotency-Key")
    response = await api.call(
        api.admin.previews, "POST", body=BODY, headers=KEY, url="https://mms.example/api/previews"
    )
    _problem(response, 409, "IdempotencyKeyReused", "Idempotency-Key")
    assert len(api.queue.messages) == 1


async def test_a_refused_request_leaves_its_key_free(api):
    """It changed nothing: corrected, it goes through under the same key."""
    _problem(await _start(api, body={"identity": 5}), 400, "InvalidBody", "identity")
    assert (await _start(api)).status == 202


async def test_a_long_list_that_broke_off_is_the_same_list_when_its_key_comes_again(api, monkeypatch):
    """So its rows keep their turns and their runs; of another caller's or another key's nothing is known."""
    original, lists = api.queue.send, []

    async def break_off(message, **_more):
        lists.append(message.batch)
        raise TemporaryError("the queue")

    monkeypatch.setattr(api.queue, "send", break_off)
    body = {"identities": [f"{number:08d}-0000-4000-8000-000000000000" for number in range(150)]}
    for headers in (KEY, KEY, {"Idempotency-Key": "order-2"}, {}):
        assert (await _start(api, body=body, headers=headers)).status == 503
    monkeypatch.setattr(api.queue, "send", original)
    assert (await _start(api, body=body)).status == 202
    ((_, message),) = api.queue.messages
    assert [each == message.batch for each in lists] == [True, True, False, False]
    assert len(set(lists)) == 3


@pytest.mark.parametrize(("days", "target"), [(0, "Current"), (1, "Current"), (2, "Teams")])
async def test_a_list_under_a_key_that_is_free_again_is_another_list(api, monkeypatch, days, target):
    """The key's day is over, or the body was put right after a failure: the users are asked for anew."""
    body = {"identities": [f"{number:08d}-0000-4000-8000-000000000000" for number in range(150)]}
    tried = set()
    with monkeypatch.context() as broken:

        async def break_off(message, **_):
            tried.add(message.batch)
            raise TemporaryError("the queue")

        if not days:
            broken.setattr(api.queue, "send", break_off)
        await _start(api, body={**body, "targetMeetingType": "Teams"})
    api.clock.advance(timedelta(days=days, minutes=1))
    assert (await _start(api, body={**body, "targetMeetingType": target})).status == 202
    batches = {message.batch for _, message in api.queue.messages}
    assert len(batches | tried) == 2


async def test_a_caller_without_the_role_cannot_read_what_a_key_keeps(api):
    """The role comes first."""
    await _start(api)
    _problem(await _start(api, roles=READER), 403, "Forbidden")


async def test_a_key_belongs_to_its_caller(api):
    """Somebody else's answer under the same words is not read, and does not stand in the way."""
    answers = []
    for caller, body in (("ann", BODY), ("bob", BODY), ("eve", {"identity": "ada@contoso.example"}), ("bob", BODY)):
        more = {"Authorization": f"Bearer {token(roles=OPERATOR, oid=caller)}"}
        answers.append(_json(await _start(api, body=body, headers={**KEY, **more}))["value"][0]["status"])
    assert answers == ["accepted", "merged", "accepted", "merged"]


async def test_a_request_whose_first_delivery_is_at_work_waits(api, monkeypatch):
    """Whoever repeats too early is told so; after five minutes the first one has died and the work is done."""
    original = api.parts.queue.send

    async def die(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(api.queue, "send", die)
    with pytest.raises(KeyboardInterrupt):
        await _start(api)
    monkeypatch.setattr(api.queue, "send", original)
    _problem(await _start(api), 409, "IdempotencyKeyInUse", "Idempotency-Key")
    api.clock.advance(timedelta(minutes=6))
    assert (await _start(api)).status == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ü", "\t"])
async def test_a_malformed_key_is_refused(api, key):
    """Visible ASCII, 255 characters at most."""
    _problem(await _start(api, headers={"Idempotency-Key": key}), 400, "InvalidParameter", "Idempotency-Key")


async def test_a_large_answer_is_kept_whole(api):
    """In as many parts as it needs."""
    many = {"identities": [f"user{number}@contoso.example" for number in range(20_000)]}
    first, second = await _start(api, body=many), await _start(api, body=many)
    assert len(json.loads(first.body)["value"]) == 20_000
    assert second.body == first.body


async def test_work_that_was_done_is_answered_though_the_answer_cannot_be_kept(api, monkeypatch):
    """The caller must not think that it failed."""
    put = api.parts.documents.put

    async def full(kind, *arguments, **more):
        if kind == "answer-part":
            raise TemporaryError(code="StorageUnavailable")
        return await put(kind, *arguments, **more)

    monkeypatch.setattr(api.parts.documents, "put", full)
    assert (await _start(api)).status == 202


async def test_keys_are_forgotten_after_a_day(api):
    """The same key is a new request then; and nightly work removes what was kept."""
    await _start(api)
    api.clock.advance(timedelta(hours=25))
    assert _json(await _start(api))["value"][0]["status"] == "merged"
    api.clock.advance(timedelta(hours=48))
    await Retention(api.parts, None).purge()
    assert await api.parts.documents.list("answer") == []
    assert await api.parts.documents.list("answer-part") == []
