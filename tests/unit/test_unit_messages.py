"""Queue messages: versioned, small, and never dropped when they are not understood."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mms_core.messages import (
    SIZE_LIMIT,
    VERSION,
    ActivityContent,
    LookAfterSubscriptions,
    Resolve,
    TenantEvent,
    UnknownMessage,
    UsersChanged,
    Wake,
    decode,
    encode,
    users_changed,
)

quick = settings.get_profile("unit")
text = st.text(st.characters(codec="utf-8"), max_size=40)
messages = st.one_of(
    st.builds(Wake, user=text, wake_id=text, attempt=st.integers(0, 9)),
    st.builds(Resolve, user=text),
    st.builds(UsersChanged, users=st.lists(text, max_size=5).map(tuple), received=text),
    st.builds(TenantEvent, event_id=text, type=text, data=st.dictionaries(text, text | st.none()), actor=text),
    st.builds(ActivityContent, uris=st.lists(text, max_size=5).map(tuple)),
    st.builds(LookAfterSubscriptions),
)


@quick
@given(messages)
def test_every_message_comes_back_as_it_was(message):
    """As text and as bytes."""
    assert decode(encode(message)) == message
    assert decode(encode(message).encode()) == message


def test_messages_name_their_kind_and_version():
    """What lies in the queue can be read by an operator."""
    assert json.loads(encode(Resolve(user="u"))) == {"kind": "resolve", "v": 1, "attempt": 0, "user": "u"}


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ('{"kind":"wake","user":"u","wake_id":"w"}', Wake(user="u", wake_id="w")),
        ('{"kind":"wake","v":0,"user":"u","wake_id":"w"}', Wake(v=0, user="u", wake_id="w")),
        ('{"kind":"resolve","user":"u","dropped":"by a later version"}', Resolve(user="u")),
        ('{"kind":"event","event_id":"1","type":"t","data":{}}', TenantEvent(event_id="1", type="t", data={})),
        ('{"kind":"subscriptions"}', LookAfterSubscriptions()),
    ],
)
def test_a_message_of_an_older_version_is_understood(old, message):
    """Missing fields have their defaults, surplus ones are ignored."""
    assert decode(old) == message


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "not json",
        "[]",
        "{}",
        '{"kind":"invented"}',
        '{"kind":"wake"}',
        '{"kind":"wake","user":1,"wake_id":"w"}',
        '{"kind":"wake","user":"u","wake_id":"w"',
        '{"kind":"wake","user":"u","wake_id":"w"}{}',
        "\ufeff{}",
        b"\xff\xfe",
    ],
)
def test_what_is_not_one_of_ours_is_refused_by_name(content):
    """So that the host keeps it in the poison queue."""
    with pytest.raises(UnknownMessage):
        decode(content)


def test_a_newer_version_is_refused_and_says_so():
    """A rolled-back deployment must not guess."""
    with pytest.raises(UnknownMessage, match=f"version {VERSION + 1} is newer than {VERSION}"):
        decode(json.dumps({"kind": "wake", "v": VERSION + 1, "user": "u", "wake_id": "w"}))


def test_the_size_limit_is_what_the_queue_takes_after_base64():
    """48 KiB become 64 KiB; one byte more is refused before it is sent."""
    overhead = len(encode(Resolve(user="")))
    largest = encode(Resolve(user="x" * (SIZE_LIMIT - overhead)))
    assert len(base64.b64encode(largest.encode())) == 64 * 1024
    with pytest.raises(ValueError, match="49153 bytes"):
        encode(Resolve(user="x" * (SIZE_LIMIT - overhead + 1)))
    with pytest.raises(ValueError, match="bytes"):
        encode(Resolve(user="ü" * (SIZE_LIMIT // 2)))


def test_changed_users_are_put_into_as_few_messages_as_they_fit():
    """A thousand GUIDs into one; each id once, in order; every message fits."""
    users = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(3000)]
    (one,) = users_changed(users[:1000] + users[:10], received="2026-03-02T08:00:00+00:00")
    assert one.users == tuple(users[:1000])
    many = users_changed(users, received="2026-03-02T08:00:00+00:00")
    assert [user for message in many for user in message.users] == users
    assert len(many) == 3
    assert all(len(encode(message)) <= SIZE_LIMIT for message in many)
    assert users_changed([], received="now") == []


def test_attempts_can_be_counted_without_touching_the_rest():
    """As triage does when it puts a message back."""
    message = TenantEvent(event_id="1", type="t", data={"a": 1})
    again = msgspec.structs.replace(message, attempt=message.attempt + 1)
    assert (again.attempt, again.data) == (1, {"a": 1})
