"""What Graph gives in pieces is put together: the exceptions of a series, if they come on several pages."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from mms_core.adapters.graph import GraphCalendar, GraphTransport
from mms_core.adapters.graph.transport import Answer
from mms_core.errors import NotFound

BASE = "https://graph.example/v1.0"


class Transport(GraphTransport):
    """Answers each read with the next thing on its list."""

    def __init__(self, *answers):
        super().__init__(object(), base_url=BASE, scope="none")
        self.answers = list(answers)
        self.asked = []

    async def read(self, info):
        """Answer."""
        self.asked.append((info.url, info.headers.get("Prefer")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(json.dumps(answer).encode(), None, 200)


def _exception(number):
    return {"id": f"exception-{number}", "type": "exception"}


def _master(*numbers, link=None):
    rows = [_exception(number) for number in numbers]
    more = {"exceptionOccurrences@odata.nextLink": f"{BASE}/{link}"} if link else {}
    return {"id": "master", "iCalUId": "uid", "exceptionOccurrences": rows, **more}


async def _series(*answers):
    transport = Transport(*answers)
    series = await GraphCalendar(transport).series("user", "master")
    return [each.event_id for each in series.exceptions], transport


async def test_exceptions_on_several_pages_are_all_read():
    """Each page as the first: in UTC, with the HTML as it is."""
    second = {"value": [_exception(2)], "@odata.nextLink": f"{BASE}/page3"}
    found, transport = await _series(_master(1, link="page2"), second, {"value": [_exception(3)]})
    assert found == ["exception-1", "exception-2", "exception-3"]
    assert [url for url, _ in transport.asked[1:]] == [f"{BASE}/page2", f"{BASE}/page3"]
    first = parse_qs(urlsplit(transport.asked[0][0]).query)
    assert first["$expand"] == ["exceptionOccurrences"]
    assert "exceptionOccurrences" in first["$select"][0].split(",")
    assert len({tuple(sorted(prefer)) for _, prefer in transport.asked}) == 1


async def test_a_series_that_is_gone_has_no_exceptions():
    """Before its first page, or between two."""
    assert (await _series(NotFound()))[0] == []
    assert (await _series(_master(1, link="page2"), NotFound()))[0] == []
