"""The API with storage in memory, and a caller."""

from __future__ import annotations

import itertools
import json

from meeting_values import NOW, TENANT
from token_issuer import AUDIENCE, ISSUER, FakeKeys, token

from mms_core import wiring
from mms_core.adapters.memory import MemoryDocuments, MemoryLedger, MemoryQueue, MemoryUserStore, SettableClock
from mms_core.errors import CATALOGUE
from mms_core.service import Options, Parts
from mms_core.settings import from_environment

READER, OPERATOR = ["Mms.Read"], ["Mms.Operate"]


class Api:
    """Both APIs over the same storage, and a caller."""

    def __init__(self, monkeypatch):
        self.clock = SettableClock(NOW)
        self.queue = MemoryQueue(self.clock)
        ids = itertools.count(1)
        self.parts = Parts(
            users=MemoryUserStore(),
            ledger=MemoryLedger(),
            documents=MemoryDocuments(),
            queue=self.queue,
            clock=self.clock,
            graph=self._no_graph,
            options=Options(tenant_id=TENANT),
            new_id=lambda: f"00000000-0000-4000-8000-{next(ids):012d}",
            jitter=lambda: 0.0,
        )
        deployment = from_environment(
            {
                "MMS_TENANT_ID": TENANT,
                "MMS_API_AUDIENCE": AUDIENCE,
                "MMS_TOKEN_ISSUER": ISSUER,
                "MMS_CLIENT_STATE": "state",
                "MMS_ACTIVITY_AUTH_ID": "auth",
                "MMS_ACTIVITY_URL": f"https://manage.example/api/v1.0/{TENANT}/activity/feed",
            }
        )
        monkeypatch.setattr(wiring, "deployment", lambda: deployment)
        monkeypatch.setattr(wiring, "_parts", lambda: self.parts)
        monkeypatch.setattr("mms_core.adapters.keys.HttpKeys", lambda *_: FakeKeys())
        app = wiring.app.__wrapped__()  # composed as always, but not kept
        self.admin, self.webhooks, self.health, self.journal = app.admin, app.webhooks, app.health, app.journal

    @staticmethod
    def _no_graph():
        raise AssertionError("an HTTP function must not call Graph")

    async def call(
        self, handler, method="GET", *, roles=OPERATOR, body=b"", route=None, query=None, headers=None, url=""
    ):
        """Call a handler as the function app does; gives the response."""
        given = {"Authorization": f"Bearer {token(roles=roles)}"} if roles is not None else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = wiring.api_request(
            url=url,
            method=method,
            route=route or {},
            query=query or {},
            headers={**given, **(headers or {})},
            body=content,
        )
        return await handler(request)

    async def migrations(self, **more):
        """``/migrations``."""
        return await self.call(self.admin.migrations, **more)

    async def start(self, **body):
        """``POST /migrations``; gives the rows."""
        response = await self.migrations(method="POST", body=body)
        assert response.status == 202, response.body
        return read_json(response)["value"]

    async def rows(self, **query):
        """``GET /migrations``; gives the rows."""
        response = await self.migrations(query=query, roles=READER)
        assert response.status == 200, response.body
        return read_json(response)["value"]


def read_json(response):
    """Give the document of an answer."""
    return json.loads(response.body)


def check_problem(response, status, code, field=None):
    """Check RFC 9457 and give the document."""
    document = read_json(response)
    assert (response.status, document["code"], document.get("field")) == (status, code, field)
    assert response.content_type == "application/problem+json"
    assert document["status"] == status
    assert document["type"] == f"urn:mms:error:{code}"
    assert (document["title"], document["remedy"]) == (CATALOGUE[code].cause, CATALOGUE[code].remedy)
    assert response.headers["Cache-Control"] == "no-store"
    return document
