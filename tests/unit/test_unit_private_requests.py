"""What callers write into requests is in no log record: not in a good one, not in a bad one, not when we crash over it."""

from __future__ import annotations

import json
import logging

import pytest
from api_caller import Api
from meeting_values import TENANT, USER

MARK = "MARKQXZJ"
NAME = f"{MARK.lower()}@contoso.example"
EVENT = {
    "specversion": "1.0",
    "id": MARK,
    "source": f"/{MARK}",
    "type": "mms.policy.granted",
    "data": {"user": NAME, "policy": "TeamsUpgradePolicy", "mode": MARK},
}


@pytest.fixture
def api(monkeypatch):
    """A fresh app."""
    return Api(monkeypatch)


def requests(api):
    """Every handler, with marks wherever a caller can put one, where they fit and where they do not."""
    good = {"identity": NAME, "meetings": {"subject": MARK, "attendeeDomain": MARK, "eventIds": [MARK]}}
    bodies = (
        good,
        {"identities": [NAME, f"{MARK}\n"]},
        {MARK: MARK},
        {"identity": 5, MARK: 1},
        [MARK],
        MARK,
        b"\xff" + MARK.encode(),
    )
    for handler, method in (
        (api.admin.migrations, "POST"), (api.admin.previews, "POST"), (api.admin.undo, "POST"), (api.admin.cancel, "POST"),
        (api.admin.retry, "POST"), (api.admin.migration, "GET"), (api.admin.meetings, "GET"), (api.admin.migrations, "GET"),
        (api.admin.preview, "GET"), (api.admin.apply, "POST"), (api.admin.config, "PATCH"), (api.health.health, "GET"),
        (api.webhooks.notifications, "POST"), (api.webhooks.lifecycle, "POST"), (api.webhooks.activity, "POST"),
    ):  # fmt: skip
        for body in bodies:
            yield handler, method, body, {}
    notified = {"clientState": "state", "tenantId": TENANT, "resource": f"Users/{MARK}", "resourceData": {"id": MARK}}
    for body in (
        {"value": [notified]},
        {"value": [{**notified, "clientState": MARK}]},
        {"value": [{"lifecycleEvent": MARK}]},
    ):
        yield api.webhooks.notifications, "POST", body, {}
        yield api.webhooks.lifecycle, "POST", body, {}
    yield api.webhooks.activity, "POST", [{"contentUri": f"https://manage.example/{MARK}", "tenantId": TENANT}], {}
    yield api.webhooks.activity, "POST", [{"contentUri": f"https://{MARK}.example/"}], {}
    for event in (EVENT, {**EVENT, "type": MARK}, {**EVENT, "data": {"user": MARK}}, {**EVENT, "specversion": MARK}):
        yield api.webhooks.events, "POST", event, {"content-type": "application/cloudevents+json"}
        yield api.webhooks.events, "POST", [event], {"content-type": "application/cloudevents-batch+json"}


async def ask_everything(api):
    """All of them, with marked headers and parameters too; gives the statuses."""
    statuses = set()
    for number, (handler, method, body, more) in enumerate(requests(api)):
        for authorization in (None, f"Bearer {MARK}"):
            given = {
                "webhook-authid": "auth",
                "idempotency-key": f"{MARK}-{number}-{authorization is None}",
                "user-agent": MARK,
                **more,
            }
            if authorization:
                given["Authorization"] = authorization
            response = await api.call(
                handler,
                method,
                body=body if isinstance(body, bytes) else json.dumps(body).encode(),
                headers=given,
                route={"userId": NAME, "id": MARK},
                query={"identity": NAME} if method == "GET" else {},
                url=f"https://mms.example/api/{MARK}",
            )
            statuses.add(int(response.status))
    return statuses


def said(caplog):
    """Everything that was logged, in whatever part of the record."""
    return [f"{each.getMessage()} {each.__dict__!r} {each.exc_text or ''} {each.exc_info!r}" for each in caplog.records]


async def test_no_word_of_a_request_is_logged(api, caplog):
    """Accepted, refused, unknown, unauthorized."""
    with caplog.at_level(logging.DEBUG):
        statuses = await ask_everything(api)
    assert {200, 202, 400, 401} <= statuses
    assert said(caplog)
    assert [each for each in said(caplog) if MARK.lower() in each.lower()] == []


async def test_no_word_of_a_request_is_logged_when_we_crash_over_it(api, caplog, monkeypatch):
    """The type of the error and the places in the code; its text is a caller's."""

    async def bug(*given, **more):
        raise KeyError(f"{NAME} {given!r} {more!r}")

    for part, names in (
        (api.parts.users, ("read", "page", "counts", "history")),
        (api.parts.documents, ("get", "put", "list")),
        (api.queue, ("send",)),
    ):
        for name in names:
            if hasattr(part, name):
                monkeypatch.setattr(part, name, bug)
    with caplog.at_level(logging.DEBUG):
        assert 500 in await ask_everything(api)
    crashes = [each for each in caplog.records if each.getMessage().startswith("request_crashed")]
    assert crashes
    assert all("error_type=KeyError" in each.getMessage() and ".py:" in each.getMessage() for each in crashes)
    assert [each for each in said(caplog) if MARK.lower() in each.lower()] == []


async def test_the_user_of_a_log_line_is_an_object_id(api, caplog):
    """The search above can fail: an object id, which is no name, is found in the same way."""
    with caplog.at_level(logging.DEBUG):
        await api.start(identity=USER)
        logging.getLogger("mms").info("about %s", NAME)
    assert [each for each in said(caplog) if MARK.lower() in each.lower()]
