"""What Graph's answers about Teams meetings may leave out or write differently."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mms_core.adapters.graph import GraphMeetings, GraphTransport
from mms_core.adapters.graph.transport import Answer
from mms_core.errors import NotFound, TemporaryError

USER = "9b1de1a5-5e0c-4f55-8d5f-2f4a1f0a3c11"
WHOLE = {
    "id": "M/1",
    "joinWebUrl": "https://teams.example/l/meetup-join/1",
    "joinInformation": {"content": "data:text/html,x", "contentType": "Html"},
}


class Transport(GraphTransport):
    """Answers each request with the next thing on its list."""

    def __init__(self, *answers):
        super().__init__(object(), base_url="https://graph.example/v1.0", scope="none")
        self.answers = list(answers)
        self.asked = []

    async def read(self, info):
        """Answer."""
        self.asked.append((info.http_method.value, info.url, info.headers.get("Accept-Language")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(json.dumps(answer).encode(), None, 201)


async def _made(*answers):
    transport = Transport(*answers)
    meeting = await GraphMeetings(transport).create_or_get(
        USER, external_id="x", subject="s", start=None, end=None, language="de-DE"
    )
    return meeting, transport.asked


async def test_a_meeting_that_comes_with_its_join_information_is_not_asked_for_again():
    """One call a meeting: Teams counts them."""
    meeting, asked = await _made(WHOLE)
    assert (meeting.meeting_id, len(asked)) == ("M/1", 1)


@pytest.mark.parametrize("without", [{}, {"joinInformation": None}])
async def test_a_meeting_that_comes_without_its_join_information_is_read(without):
    """The documented answer of createOrGet has none; that of reading it has, in the language asked for."""
    made = {name: value for name, value in WHOLE.items() if name != "joinInformation"} | without
    meeting, asked = await _made(made, WHOLE)
    assert meeting.join_information == "data:text/html,x"
    assert not meeting.was_there
    method, url, language = asked[1]
    assert (method, url.partition("/users/")[2]) == ("GET", f"{USER}/onlineMeetings/M%2F1")
    assert asked[0][2] == language == {"de-DE"}


async def test_a_meeting_that_cannot_be_read_yet_is_worth_another_try():
    """It was made a moment ago."""
    with pytest.raises(TemporaryError):
        await _made({"id": "M/1"}, NotFound())


@pytest.mark.parametrize(
    "text",
    ["2026-03-02T08:00:00Z", "2026-03-02T08:00:00.0000000Z", "2026-03-02T01:00:00-07:00",
     "2026-03-02T01:00:00.0000000-07:00", "2026-03-02T08:00:00"],
)  # fmt: skip
async def test_times_of_a_meeting_are_instants_whatever_their_offset(text):
    """DateTimeOffset is more than UTC."""
    meeting, _ = await _made(WHOLE | {"startDateTime": text, "endDateTime": None})
    assert (meeting.start_at, meeting.end_at) == (datetime(2026, 3, 2, 8, tzinfo=UTC), None)


async def test_a_time_of_a_meeting_that_is_none_is_worth_another_try():
    """As any answer that cannot be read."""
    with pytest.raises(TemporaryError):
        await _made(WHOLE | {"startDateTime": "soon"})
