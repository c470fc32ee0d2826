"""What operators ask and order is written down, and can be paged through in either form."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from api_caller import READER, Api, read_json
from meeting_values import USER

OTHER = USER.replace("8", "9")


@pytest.fixture
def api(monkeypatch):
    """A fresh app."""
    return Api(monkeypatch)


async def _decisions(api, **query):
    answer = await api.call(api.journal.decisions, roles=READER, query=query)
    assert answer.status == 200, answer.body
    return read_json(answer)["value"]


async def test_decisions_as_csv_lead_to_their_next_page(api):
    """The rows have no room for the token: a header carries it, and the last page has none."""
    for identity in (USER, OTHER):
        await api.start(identity=identity)
        api.clock.advance(timedelta(seconds=1))
    found, query = [], {"top": "1"}
    for is_last in (False, True):
        page = await api.call(api.journal.decisions, roles=READER, query=query, headers={"Accept": "text/csv"})
        found += [row["userId"] for row in csv.DictReader(io.StringIO(page.body.decode(), newline=""))]
        query = {"top": "1", "continuationToken": page.headers["X-Continuation-Token"]}
        if is_last:
            page = await api.call(api.journal.decisions, roles=READER, query=query, headers={"Accept": "text/csv"})
            assert "X-Continuation-Token" not in page.headers
    assert found == [OTHER, USER]
