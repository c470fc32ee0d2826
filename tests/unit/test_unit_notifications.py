"""What a tenant posts, from bytes to values: refused with the field's name, never read as nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mms_core.errors import BadInput
from mms_core.notifications import (
    EVENT_TYPES,
    NOTIFICATION_LIMIT,
    event_data,
    parse_activity,
    parse_events,
    parse_notifications,
    same_secret,
)

quick = settings.get_profile("unit")
TENANT = "0b1c2d3e-1111-4222-8333-444455556666"
USER = "77778888-9999-4AAA-bbbb-ccccddddeeee"
SECRET = "state"
USER_DATA = {"user": "adele@contoso.example"}

GOOD_DATA = {
    "mms.user.moved": {**USER_DATA, "direction": "toCloud", "moveToTeams": True},
    "mms.license.changed": {**USER_DATA, "added": ["a"], "removed": []},
    "mms.audioconferencing.changed": {**USER_DATA, "change": "bridge", "from": "A", "to": "B"},
    "mms.bridge.numberunassigned": {"number": "+4930123456"},
    "mms.policy.granted": {"tenant": True, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"},
    "mms.user.sipaddresschanged": {"whatever": [1]},
    "mms.tenant.meetingurlchanged": {},
}


def _notification(**more):
    entry = {
        "subscriptionId": "s",
        "clientState": SECRET,
        "changeType": "updated",
        "resource": f"Users/{USER}",
        "tenantId": TENANT,
        "resourceData": {"@odata.type": "#Microsoft.Graph.User", "id": USER},
    }
    return {name: value for name, value in {**entry, **more}.items() if value is not ...}


def _notified(*entries, client_state=SECRET):
    return parse_notifications(json.dumps({"value": entries}).encode(), client_state=client_state, tenant_id=TENANT)


# -- Graph ------------------------------------------------------------------------------------------------------------


def test_a_notification_names_the_user_that_changed():
    """In lower case, as keys are."""
    assert _notified(_notification()).users == (USER.lower(),)


def test_the_user_is_found_in_the_resource_where_the_data_are_missing():
    """Graph leaves resourceData out of some notifications."""
    for more in ({"resourceData": ...}, {"resourceData": None}, {"resourceData": {}}):
        assert _notified(_notification(**more)).users == (USER.lower(),)
    nobody = _notified(_notification(resourceData=..., resource=""))
    assert (nobody.users, nobody.rejected) == ((), 1)


def test_a_batch_keeps_its_order_and_its_duplicates():
    """Whoever queues them makes them unique."""
    entries = [_notification(resourceData={"id": f"user-{number}"}) for number in (2, 1, 2)]
    assert _notified(*entries).users == ("user-2", "user-1", "user-2")


@pytest.mark.parametrize(
    "more",
    [
        {"clientState": "other"},
        {"clientState": None},
        {"clientState": ...},
        {"clientState": ""},
        {"clientState": "stat\u00e9"},
        {"tenantId": "another-tenant"},
    ],
)
def test_an_entry_that_is_not_ours_is_counted_and_dropped(more):
    """A stranger learns nothing, and does not spoil the others."""
    notified = _notified(_notification(**more), _notification())
    assert (notified.users, notified.rejected) == ((USER.lower(),), 1)


def test_without_a_secret_of_our_own_nothing_is_ours():
    """An empty setting must not match an empty clientState."""
    notified = _notified(_notification(clientState=""), _notification(clientState=None), client_state="")
    assert (notified.users, notified.rejected) == ((), 2)
    assert not same_secret("", "")
    assert not same_secret(None, "x")
    assert same_secret("x", "x")


def test_what_an_entry_leaves_empty_costs_the_others_nothing():
    """A call that is refused comes again for hours, with all that it tells."""
    empty = dict.fromkeys(("subscriptionId", "changeType", "resource"))
    notified = _notified(_notification(**empty, lifecycleEvent="missed"), _notification(**empty), _notification())
    assert (notified.lifecycle, notified.users) == (("missed",), (USER.lower(),) * 2)
    assert notified.subscriptions[0] == ""


def test_lifecycle_events_are_told_apart():
    """They mean the subscription, not a user."""
    notified = _notified(_notification(lifecycleEvent="reauthorizationRequired"), _notification())
    assert (notified.lifecycle, notified.users) == (("reauthorizationRequired",), (USER.lower(),))


def test_a_call_holds_a_thousand_notifications_at_most():
    """One more is not Graph."""
    assert len(_notified(*[_notification()] * NOTIFICATION_LIMIT).users) == 1000
    with pytest.raises(BadInput):
        _notified(*[_notification()] * (NOTIFICATION_LIMIT + 1))


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", None),
        (b"not json", None),
        (b"\xff\xfe", None),
        (b'{"value":null}', "value"),
        (b'{"value":[1]}', "value[0]"),
        (b'{"value":[{},{"clientState":5}]}', "value[1].clientState"),
    ],
)
def test_a_malformed_call_is_refused(content, field):
    """Graph repeats nothing of this kind, but somebody will read the log."""
    with pytest.raises(BadInput) as caught:
        parse_notifications(content, client_state=SECRET, tenant_id=TENANT)
    assert caught.value.field == field


@quick
@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_bytes_crash_the_parsers(content):
    """Refused or read, never an unexpected exception."""
    for parse in (
        lambda: parse_notifications(content, client_state=SECRET, tenant_id=TENANT),
        lambda: parse_activity(content, tenant_id=TENANT),
        lambda: parse_events(content, {"content-type": "application/cloudevents+json"}, tenant_id=TENANT),
        lambda: parse_events(content, {"content-type": "application/cloudevents-batch+json"}, tenant_id=TENANT),
        lambda: parse_events(content, {"ce-specversion": "1.0", "ce-id": "1"}, tenant_id=TENANT),
    ):
        try:
            parse()
        except BadInput as exc:
            assert exc.code == "InvalidBody"  # noqa: PT017 - not to raise is as good


# -- CloudEvents --------------------------------------------------------------------------------------------------------


def _event(kind="mms.user.moved", *, number=1, data=..., **more):
    event = {
        "specversion": "1.0",
        "id": str(number),
        "source": "contoso",
        "type": kind,
        "data": GOOD_DATA.get(kind, {}) if data is ... else data,
    }
    return {name: value for name, value in {**event, **more}.items() if value is not ...}


def _structured(event):
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    return parse_events(json.dumps(event).encode(), headers, tenant_id=TENANT)


def _batch(*events):
    headers = {"content-type": "application/cloudevents-batch+json"}
    return parse_events(json.dumps(events).encode(), headers, tenant_id=TENANT)


def _binary(kind, data, **headers):
    given = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "contoso", "ce-type": kind, **headers}
    content = b"" if data is None else json.dumps(data).encode()
    return parse_events(content, {"Content-Type": "application/json", **given}, tenant_id=TENANT)


def test_every_own_type_of_the_design_has_an_example_here():
    """A new type gets its tests."""
    assert set(EVENT_TYPES) == set(GOOD_DATA)


@pytest.mark.parametrize("kind", GOOD_DATA)
def test_the_three_modes_carry_the_same_event(kind):
    """Structured, batched and binary."""
    (structured,) = _structured(_event(kind))
    (batched,) = _batch(_event(kind))
    (binary,) = _binary(kind, GOOD_DATA[kind])
    assert structured == batched == binary
    assert (structured.problem, structured.type, structured.data) == (None, kind, GOOD_DATA[kind])
    assert structured.unique_id == "contoso|1"


def _in_base64(event, *, media=..., content=None):
    data = json.dumps(event["data"]).encode() if content is None else content
    encoded = {"data": ..., "datacontenttype": media, "data_base64": base64.b64encode(data).decode()}
    return {name: value for name, value in {**event, **encoded}.items() if value is not ...}


@pytest.mark.parametrize("kind", [*GOOD_DATA, "Microsoft.Graph.UserUpdated"])
@pytest.mark.parametrize("media", [..., None, "application/json", "text/JSON; charset=utf-8", "application/x+json"])
def test_data_in_base64_are_the_same_data(kind, media):
    """A sender that treats its JSON as bytes."""
    event = _event(kind, data=GOOD_DATA.get(kind, {"resourceData": {"id": USER}}))
    (plain,), (encoded,) = _structured(event), _batch(_in_base64(event, media=media))
    assert encoded == plain
    assert plain.problem is None


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"data_base64": "e30"}, "data_base64"),
        ({"data_base64": "e3 0="}, "data_base64"),
        ({"data_base64": "<xml/>"}, "data_base64"),
        ({"data_base64": 5}, "data_base64"),
        ({"data_base64": "PHhtbC8+"}, "data_base64"),
        ({"data_base64": ""}, "data_base64"),
        ({"data_base64": "/w=="}, "data_base64"),
        ({"data_base64": "e30=", "data": {}}, "data_base64"),
        ({"data_base64": base64.b64encode(b"[" * 33 + b"]" * 33).decode()}, "data_base64"),
        ({"data_base64": base64.b64encode(b"[" * 100_000).decode()}, "data_base64"),
        ({"data_base64": "e30=", "datacontenttype": "application/xml"}, "datacontenttype"),
        ({"data_base64": "e30=", "datacontenttype": 5}, "datacontenttype"),
        ({"data_base64": "e30="}, "data.user"),
        ({"data_base64": "W10="}, "data"),
    ],
)
def test_data_in_base64_that_cannot_be_read_name_their_field(more, field):
    """No Base64, no JSON, both members, or data that do not fit."""
    event = {name: value for name, value in _event(**more).items() if name != "data" or name in more}
    (parsed,) = _structured(event)
    assert parsed.problem.field == field
    assert parsed.data == {}


def test_source_and_id_together_are_unique():
    """Two senders may count from one."""
    one, other = _batch(_event(), _event(source="fabrikam"))
    assert one.unique_id != other.unique_id


@pytest.mark.parametrize("kind", ["Microsoft.Graph.UserUpdated", "Microsoft.Graph.UserCreated"])
def test_event_grids_graph_events_name_the_user(kind):
    """In resourceData, else in the subject."""
    by_data = _event(kind, data={"resourceData": {"id": USER}, "tenantId": TENANT})
    by_subject = _event(kind, data={}, subject=f"Users/{USER}")
    without_data = _event(kind, data=None, subject=f"Users/{USER}")
    assert [event.graph_user for event in _batch(by_data, by_subject, without_data)] == [USER.lower()] * 3


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"data": {}}, "data.resourceData.id"),
        ({"data": [], "subject": f"Users/{USER}"}, "data"),
        ({"data": "text", "subject": f"Users/{USER}"}, "data"),
        ({"data": {"resourceData": {"id": 5}}}, "data.resourceData.id"),
        ({"data": {"resourceData": {"id": USER}, "tenantId": "another"}}, "data.tenantId"),
    ],
)
def test_a_graph_event_that_is_not_ours_says_why(more, field):
    """Another tenant's, or nobody's."""
    (parsed,) = _structured(_event("Microsoft.Graph.UserUpdated", **more))
    assert parsed.problem.field == field
    assert parsed.graph_user is None


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("mms.user.moved", {**USER_DATA, "direction": "sideways"}, "data.direction"),
        ("mms.user.moved", {**USER_DATA, "direction": "toCloud", "moveToTeams": "yes"}, "data.moveToTeams"),
        ("mms.user.moved", {"user": "", "direction": "toCloud"}, "data.user"),
        ("mms.user.moved", {"user": "x" * 321, "direction": "toCloud"}, "data.user"),
        ("mms.license.changed", {**USER_DATA, "added": "plan"}, "data.added"),
        ("mms.license.changed", {**USER_DATA, "added": [1]}, "data.added[0]"),
        ("mms.audioconferencing.changed", {**USER_DATA, "change": "colour"}, "data.change"),
        ("mms.bridge.numberunassigned", {"number": 112}, "data.number"),
        ("mms.invented", {}, "type"),
    ],
)
def test_data_that_do_not_fit_name_the_field(kind, data, field):
    """In every mode, and before anything is queued."""
    for (parsed,) in (_structured(_event(kind, data=data)), _batch(_event(kind, data=data)), _binary(kind, data)):
        assert parsed.problem.field == field
        assert parsed.data == {}
    with pytest.raises(BadInput) as caught:
        event_data(kind, data)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": ""}, "source"),
        ({"type": 5}, "type"),
        ({"id": "x" * 513}, "id"),
    ],
)
def test_an_envelope_that_does_not_fit_names_the_field(more, field):
    """The attributes that CloudEvents requires."""
    (parsed,) = _structured(_event(**more))
    assert parsed.problem is not None
    assert parsed.problem.field == field


def test_one_bad_event_in_a_batch_does_not_spoil_the_others():
    """One result an event, in order."""
    results = _batch(
        _event(number=1), _event("mms.invented", number=2), 5, _event(number=4, specversion="2"), _event(number=5)
    )
    assert [each.problem is None for each in results] == [True, False, False, False, True]
    assert [each.event_id for each in results] == ["contoso|1", "contoso|2", "", "4", "contoso|5"]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"{}", {}),
        (b"{}", {"content-type": "application/json"}),
        (b"not json", {"content-type": "application/cloudevents+json"}),
        (b"{}", {"content-type": "application/cloudevents-batch+json"}),
        (b"not json", {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}),
    ],
)
def test_a_call_that_is_no_cloud_event_is_refused_as_a_whole(content, headers):
    """There is nothing to tell apart in it."""
    with pytest.raises(BadInput):
        parse_events(content, headers, tenant_id=TENANT)


def test_an_empty_batch_is_no_event():
    """And no error."""
    assert _batch() == []


# -- the activity feed --------------------------------------------------------------------------------------------------


def _content(number=1, **more):
    return {
        "contentUri": f"https://manage.example/{number}",
        "contentType": "Audit.General",
        "tenantId": TENANT,
        **more,
    }


def test_content_addresses_are_read_once_each():
    """Of our tenant only."""
    content = json.dumps(
        [_content(1), _content(2), _content(1), _content(3, tenantId="another"), _content(4, tenantId=None)]
    )
    assert parse_activity(content.encode(), tenant_id=TENANT) == (
        "https://manage.example/1",
        "https://manage.example/2",
        "https://manage.example/4",
    )
    with pytest.raises(BadInput):
        parse_activity(b'[{"contentType":"Audit.General"}]', tenant_id=TENANT)
