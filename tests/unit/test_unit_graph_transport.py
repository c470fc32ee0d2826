"""What the transport repeats by itself, for how long, and what it hands on."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from mms_core.adapters.graph import transport as module
from mms_core.adapters.graph.transport import GraphTransport
from mms_core.errors import OutcomeUnknown, TemporaryError

THROTTLED, BROKEN, GOOD = 429, 503, 200


class Wire:
    """Instead of the SDK's adapter: gives answers in turn, the last one for ever."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.sent = 0

    async def send_primitive_async(self, info, kind, errors):
        """Send."""
        assert (kind, errors) == ("bytes", {})
        assert info.http_method is not None
        status, headers = self._answers[min(self.sent, len(self._answers) - 1)]
        self.sent += 1
        content = json.dumps({"error": {"code": "X"}} if status >= 400 else {}).encode()
        return SimpleNamespace(status_code=status, headers=headers, content=content)


class Transport(GraphTransport):
    """The transport without the SDK's client."""

    def __init__(self, wire):
        self._adapter = wire


@pytest.fixture
def slept(monkeypatch):
    """The seconds slept; nothing is waited for."""
    seconds = []

    async def sleep(wait):
        seconds.append(wait)

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep, timeout=asyncio.timeout))
    return seconds


def _request(method):
    info = RequestInformation(method)
    info.url = "https://graph.example/v1.0/users"
    return info


def _read(wire):
    return Transport(wire).read(_request(Method.GET))


async def test_a_read_that_is_refused_for_haste_a_few_times_is_answered_in_the_end(slept):
    """Where the tenant's limit is used up by others, a third refusal says nothing about the fourth try."""
    wire = Wire(*[(THROTTLED, {"Retry-After": "2"})] * 7, (GOOD, {}))
    assert (await _read(wire)).status == GOOD
    assert slept == [2.0] * 7


async def test_a_read_is_not_kept_waiting_for_longer_than_a_minute(slept):
    """Then the run is put back in line, and others get its place."""
    with pytest.raises(TemporaryError) as caught:
        await _read(Wire((THROTTLED, {"Retry-After": "7"})))
    assert caught.value.code == "Throttled"
    assert 50 < sum(slept) <= 60


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}])
async def test_without_a_wish_to_wait_the_pauses_grow_up_to_ten_seconds(slept, headers):
    """Never a tight loop, whatever Graph leaves out."""
    with pytest.raises(TemporaryError):
        await _read(Wire((THROTTLED, headers)))
    assert slept[:5] == [1, 2, 4, 8, 10]
    assert sum(slept) <= 60


async def test_a_long_wish_to_wait_is_not_slept_out(slept):
    """It becomes a delayed message at once."""
    with pytest.raises(TemporaryError) as caught:
        await _read(Wire((THROTTLED, {"Retry-After": "11"})))
    assert (slept, caught.value.retry_after.total_seconds()) == ([], 11)


async def test_another_failure_is_tried_three_times_however_often_haste_was_refused(slept):
    """Refusals do not count against the tries of a service that fails, nor the other way round."""
    wire = Wire((BROKEN, {}), (THROTTLED, {}), (BROKEN, {}), (THROTTLED, {}), (BROKEN, {}))
    with pytest.raises(TemporaryError) as caught:
        await _read(wire)
    assert (caught.value.code, wire.sent, len(slept)) == ("ServiceUnavailable", 5, 4)


@pytest.mark.parametrize(("status", "kind"), [(THROTTLED, TemporaryError), (504, OutcomeUnknown)])
async def test_a_write_is_sent_once(slept, status, kind):
    """Whoever knows whether it happened decides about another."""
    wire = Wire((status, {"Retry-After": "1"}))
    with pytest.raises(kind):
        await Transport(wire).write(_request(Method.PATCH))
    assert (wire.sent, slept) == (1, [])
