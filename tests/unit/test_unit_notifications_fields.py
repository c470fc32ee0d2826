"""The field's name where nothing has a path, and audit records of any shape."""

from __future__ import annotations

import pytest

from mms_core.audits import audited
from mms_core.errors import BadInput
from mms_core.notifications import event_data, parse_events, parse_notifications

USER = {"user": "adele@contoso.example"}


@pytest.mark.parametrize(("content", "field"), [(b"[]", None), (b"{}", "value"), (b"5", None)])
def test_a_notification_call_names_what_is_missing(content, field):
    """Not the whole message of the decoder."""
    with pytest.raises(BadInput) as caught:
        parse_notifications(content, client_state="s", tenant_id="t")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("mms.user.moved", {"direction": "toCloud"}, "data.user"),
        ("mms.user.moved", "text", "data"),
        ("mms.user.moved", None, "data.user"),
        ("mms.policy.granted", {**USER, "policy": "P"}, "data.mode"),
        ("mms.policy.granted", {"policy": "P", "mode": "M"}, "data"),
        ("mms.policy.granted", {**USER, "tenant": True, "policy": "P", "mode": "M"}, "data"),
    ],
)
def test_data_name_what_is_missing(kind, data, field):
    """A property, or the whole where none is to blame."""
    with pytest.raises(BadInput) as caught:
        event_data(kind, data)
    assert caught.value.field == field


def test_an_envelope_names_what_is_missing():
    """The attributes that CloudEvents requires."""
    content = b'{"specversion":"1.0","source":"s","type":"mms.user.moved"}'
    (parsed,) = parse_events(content, {"content-type": "application/cloudevents+json"}, tenant_id="t")
    assert parsed.problem.field == "id"


def test_an_audit_record_of_any_shape_is_read():
    """One odd record must not poison the content that it came with."""
    record = {"Operation": "TeamsAdminAction", "ItemName": "Grant-CsTeamsUpgradePolicy", "Parameters": 5}
    assert audited({**record, "ModifiedProperties": True, "ExtendedProperties": 1.5}) is None
