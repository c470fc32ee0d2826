"""The service's answers, its problems, and a network that breaks."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from mms_cli.client import Answer, Client, path
from mms_cli.failures import CliError, Exit, UsageError

URL = "https://mms.contoso.example/api"


class Tokens:
    """Counts how often a new one was wanted."""

    def __init__(self):
        self.anew = 0

    def token(self, *, anew=False):
        """Return the next one when asked anew."""
        self.anew += anew
        return f"t{self.anew}"


class Service:
    """Answers what it is told to, in order; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.pauses = []
        self.tokens = Tokens()
        self.client = Client(URL, self.tokens, transport=self, sleep=self.pauses.append)

    def send(self, method, url, *, body, headers):
        """Answer the next request."""
        self.requests.append((method, url, body, headers))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        """Nothing to close."""

    def sent(self, header):
        """One header of every request."""
        return [headers.get(header) for *_, headers in self.requests]


def _json(value, status=200, **headers):
    return Answer(status=status, body=json.dumps(value).encode(), headers=headers)


def _lost():
    return ProtocolError("Connection aborted.")


def _unsent():
    return NewConnectionError(None, "refused")


PROBLEM = {"title": "It is over.", "status": 409, "code": "InvalidState", "remedy": "Look first.", "detail": "Failed"}


def test_pages_are_followed_to_the_last():
    """With the filters on every page."""
    service = Service(
        _json({"value": [1], "continuationToken": "a/b="}),
        _json({"value": [], "continuationToken": "c"}),
        _json({"value": [2]}),
    )
    assert list(service.client.pages("migrations", {"state": "Failed"})) == [[1], [], [2]]
    asked = [dict(parse_qsl(urlsplit(url).query)) for _, url, *_ in service.requests]
    assert [each.get("continuationToken") for each in asked] == [None, "a/b=", "c"]
    assert all((each["state"], each["top"]) == ("Failed", "1000") for each in asked)


def test_problem_becomes_code_cause_and_remedy():
    """And an exit code by what can be done."""
    for status, code in (
        (409, Exit.REFUSED),
        (400, Exit.REFUSED),
        (401, Exit.NO_ACCESS),
        (403, Exit.NO_ACCESS),
        (500, Exit.UNREACHABLE),
    ):
        service = Service(*[_json({**PROBLEM, "requestId": "r-1"}, status) for _ in range(4)])
        with pytest.raises(CliError) as failed:
            service.client.get("x")
        error = failed.value
        assert (error.code, error.remedy, error.status, error.exit_code) == (
            "InvalidState",
            "Look first.",
            status,
            code,
        )
        assert "It is over. (Failed)" in error.message
        assert "r-1" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=200, body=b"<h1>Sign in to the Wi-Fi</h1>"),
        Answer(status=404, body=b"\xff"),
        _json(["x"], 400),
        _json({}, 418),
    ],
)
def test_answer_of_somebody_else_is_recognised(answer):
    """A proxy, a captive portal, another site."""
    with pytest.raises(CliError) as failed:
        Service(answer).client.get("x")
    assert failed.value.code == "NotTheService"


def test_reading_is_repeated_when_the_network_breaks():
    """With longer pauses, and not for ever."""
    service = Service(_lost(), _unsent(), _json({"value": 1}))
    assert service.client.get("x") == {"value": 1}
    assert service.pauses == [1, 2]
    gone = Service(*[ReadTimeoutError(None, URL, "late") for _ in range(4)])
    with pytest.raises(CliError) as failed:
        gone.client.get("x")
    assert (failed.value.exit_code, len(gone.requests)) == (Exit.UNREACHABLE, 4)
    assert "Bearer" not in failed.value.message


def test_order_is_repeated_with_the_same_key():
    """So that the service recognises it."""
    service = Service(_lost(), _json({}, 503, **{"retry-after": "7"}), _json({"value": 1}, 202))
    assert service.client.post("migrations", {"a": 1}, key="k-1") == {"value": 1}
    assert service.sent("Idempotency-Key") == ["k-1"] * 3
    assert service.pauses == [1, 7.0]


def test_order_that_is_still_being_worked_on_is_waited_for():
    """The first sending got no answer in time, and the second came too early."""
    service = Service(_lost(), _json({**PROBLEM, "code": "IdempotencyKeyInUse"}, 409), _json({"value": 1}, 202))
    assert service.client.post("migrations", {}, key="k-1") == {"value": 1}
    assert service.pauses == [1, 2]


def test_two_orders_have_two_keys():
    """Asked twice on purpose is two orders."""
    service = Service(_json({}), _json({}))
    service.client.post("x")
    service.client.post("x")
    assert len(set(service.sent("Idempotency-Key"))) == 2


def test_change_of_settings_is_not_repeated_blindly():
    """It may have been made, and its ETag is gone; a connection that never was is another matter."""
    lost = Service(_lost())
    with pytest.raises(CliError):
        lost.client.patch("config", {}, etag='"1"')
    unsent = Service(_unsent(), _json({"A": 1}))
    assert unsent.client.patch("config", {}, etag='"1"') == {"A": 1}
    assert unsent.sent("If-Match")[-1] == '"1"'


def test_refused_token_is_renewed_once():
    """It may have expired on the way; a second refusal is meant."""
    unauthorized = {**PROBLEM, "code": "Unauthorized"}
    service = Service(_json(unauthorized, 401), _json({"value": 1}))
    assert service.client.get("x") == {"value": 1}
    assert service.sent("Authorization") == ["Bearer t0", "Bearer t1"]
    refused = Service(_json(unauthorized, 401), _json(unauthorized, 401))
    with pytest.raises(CliError) as failed:
        refused.client.get("x")
    assert failed.value.exit_code is Exit.NO_ACCESS


def test_long_wish_for_a_pause_is_shortened():
    """Nobody waits an hour for a prompt."""
    service = Service(_json({}, 429, **{"retry-after": "3600"}), _json({"value": 1}))
    service.client.get("x")
    assert service.pauses == [60.0]


def test_identity_cannot_lead_to_another_route():
    """Slashes and question marks are part of the name."""
    assert path("migrations", "a/../b?c#d@e.example", "undo") == "migrations/a%2F..%2Fb%3Fc%23d%40e.example/undo"
    for part in ("", ".", ".."):
        with pytest.raises(UsageError):
            path("previews", part, "apply")
