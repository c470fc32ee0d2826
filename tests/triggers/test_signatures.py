"""Standard Webhooks: the specification's own example, replay, and change of keys."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from mms_core.errors import AccessDenied, BadInput
from mms_core.signatures import read_keys, sign, verify_signature

SPEC_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEC_BODY = b'{"test": 2432232314}'
SPEC_AT = datetime.fromtimestamp(1614265330, UTC)
SPEC_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OTHER_KEY = "whsec_" + base64.b64encode(b"another key of 24 bytes.").decode()


def test_the_example_of_the_reference_libraries_is_accepted():
    """Key, body and signature as their tests have them."""
    keys = read_keys(SPEC_KEY)
    assert verify_signature(SPEC_HEADERS, SPEC_BODY, keys, now=SPEC_AT).name == "key1"


def test_both_keys_are_valid_while_they_are_changed():
    """The new one is added, the scripts change over, the old one is removed."""
    keys = read_keys(f"new={OTHER_KEY} old={SPEC_KEY}")
    assert [key.name for key in keys] == ["new", "old"]
    assert verify_signature(SPEC_HEADERS, SPEC_BODY, keys, now=SPEC_AT).name == "old"
    several = {**SPEC_HEADERS, "webhook-signature": f"v1a,x v1,AAAA {SPEC_HEADERS['webhook-signature']}"}
    assert verify_signature(several, SPEC_BODY, keys, now=SPEC_AT).name == "old"
    both = sign(keys[0], message_id=SPEC_HEADERS["webhook-id"], timestamp=1614265330, body=SPEC_BODY)
    assert verify_signature({**SPEC_HEADERS, "webhook-signature": both}, SPEC_BODY, keys, now=SPEC_AT).name == "new"


@pytest.mark.parametrize("late", [timedelta(minutes=5, seconds=1), timedelta(minutes=-5, seconds=-1)])
def test_a_replay_outside_the_window_is_refused(late):
    """Five minutes, both ways."""
    with pytest.raises(AccessDenied):
        verify_signature(SPEC_HEADERS, SPEC_BODY, read_keys(SPEC_KEY), now=SPEC_AT + late)
    inside = timedelta(minutes=5) if late > timedelta(0) else timedelta(minutes=-5)
    assert verify_signature(SPEC_HEADERS, SPEC_BODY, read_keys(SPEC_KEY), now=SPEC_AT + inside)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "x"},
        {"webhook-timestamp": "9" * 30},
        {"webhook-signature": ""},
        {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": "v1,\u00e9"},
    ],
)
def test_whatever_is_changed_breaks_the_signature(change):
    """Every part is signed."""
    assert verify_signature(SPEC_HEADERS, SPEC_BODY, read_keys(SPEC_KEY), now=SPEC_AT)
    with pytest.raises(AccessDenied):
        verify_signature({**SPEC_HEADERS, **change}, SPEC_BODY, read_keys(SPEC_KEY), now=SPEC_AT)


def test_a_changed_body_or_no_key_at_all_is_refused():
    """Without a setting nobody can sign."""
    for body, keys in (
        (SPEC_BODY + b" ", read_keys(SPEC_KEY)),
        (SPEC_BODY, read_keys("")),
        (SPEC_BODY, read_keys(OTHER_KEY)),
    ):
        with pytest.raises(AccessDenied):
            verify_signature(SPEC_HEADERS, body, keys, now=SPEC_AT)


@pytest.mark.parametrize("text", ["whsec_%%%", "whsec_c2hvcnQ=", "name=whsec_", "x"])
def test_a_key_that_is_none_is_named_by_its_number_only(text):
    """The secret stays out of the message."""
    with pytest.raises(BadInput, match="key 2") as caught:
        read_keys(f"{SPEC_KEY} {text}")
    assert caught.value.field == "MMS_WEBHOOK_KEYS"
    assert text not in str(caught.value)
