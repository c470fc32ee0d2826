"""What a caller or an invitation says stands inside a literal of a filter, and ends it nowhere."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from meeting_values import USER

from mms_core.adapters.graph import GraphDirectory, GraphMeetings, GraphTransport
from mms_core.adapters.graph.transport import Answer
from mms_core.errors import NotFound, PermanentError

QUOTES = "o'brien'or'1'eq'1"


@pytest.fixture
async def filters(monkeypatch):
    """The ``$filter`` of each request, as Graph would read it, and the transport that sends them."""
    transport, found = GraphTransport(object(), base_url="https://graph.example/v1.0", scope="s"), []

    async def read(info):
        wanted = parse_qs(urlsplit(info.url).query).get("$filter", ())
        found.extend(wanted)
        if not wanted:
            raise NotFound
        return Answer(b'{"value":[]}', None, 200)

    monkeypatch.setattr(transport, "read", read)
    yield transport, found
    await transport.close()


async def test_quotes_in_a_sip_address_end_no_literal(filters):
    """Whoever asks for one user gets none other."""
    transport, found = filters
    with pytest.raises(PermanentError):
        await GraphDirectory(transport).user(f"sip:{QUOTES}@contoso.example")
    assert found == ["imAddresses/any(each:each eq 'o''brien''or''1''eq''1@contoso.example')"]


async def test_quotes_in_a_join_link_end_no_literal(filters):
    """The link stands in an invitation, which anybody may have written."""
    transport, found = filters
    link = f"https://teams.example/l/meetup-join/{QUOTES}"
    assert await GraphMeetings(transport).find(USER, link, language=None) is None
    assert found == ["JoinWebUrl eq 'https://teams.example/l/meetup-join/o''brien''or''1''eq''1'"]
