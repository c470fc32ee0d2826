"""Any mailbox is migrated as the oracle says, which reads the tenant's state and outbox only.

``MMS_EXPLORE=1`` looks for new examples (see tests/conftest.py), ``MMS_MAILBOXES`` says how many.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("MMS_MAILBOXES", "12"))
SKYPE = (
    "skype-server.html", "skype-online.html", "skype-no-separators.html", "skype-glued.html", "skype-unquoted.html",
    "lync-server.html", "lync.html", "skype.txt", "skype-acp.txt",
)  # fmt: skip
ZONES = ("UTC", "W. Europe Standard Time", "Pacific Standard Time", "India Standard Time", "AUS Eastern Standard Time")
TAGS = ("en-US", "de-DE", "tr-TR", "ja-JP", "ar-SA", "fr-FR")
PEOPLE = ("zoe@fabrikam.example", "max@contoso.example", "ann@northwind.example")
RANGES = ("noEnd", "numbered", "endDate")

invitations = {
    "template": st.sampled_from(SKYPE),
    "tag": st.sampled_from(TAGS),
    "zone": st.sampled_from(ZONES),
    "attendees": st.lists(st.sampled_from(PEOPLE), unique=True, max_size=3).map(tuple),
    "genuine": st.sampled_from([True, True, True, False]),
}
singles = st.fixed_dictionaries({"kind": st.just("single"), "hours": st.integers(-400, 4000), **invitations})
series = st.fixed_dictionaries({
    "kind": st.just("series"),
    "weeks": st.integers(-30, 3),
    "range": st.sampled_from(RANGES),
    "count": st.integers(1, 40),
    "changed": st.lists(st.sampled_from(["words", "subject", "cancelled", "moved"]), max_size=4),
    **invitations,
})  # fmt: skip
teams = st.fixed_dictionaries({"kind": st.just("teams"), "hours": st.integers(-300, 4000)})
others = st.fixed_dictionaries({
    "kind": st.sampled_from(["draft", "copy", "plain"]), "hours": st.integers(2, 900), **invitations
})  # fmt: skip
mailboxes = st.lists(st.one_of(singles, series, teams, others), min_size=1, max_size=5)


def _seed(tenant, mailbox, other, now, given_item):
    from proof_mailbox import Mailbox, flagged, skype  # noqa: PLC0415 - importable only now

    item = dict(given_item)
    kind = item.pop("kind")
    # Half an hour off, so that nothing begins or ends while the run works.
    start = now + timedelta(hours=item.pop("hours", 0), minutes=30)
    if kind == "single":
        skype(tenant, mailbox, start, **item)
    elif kind == "teams":
        flagged(tenant, mailbox, start)
    elif kind == "series":
        _seed_series(tenant, mailbox, now, item)
    elif kind == "draft":
        made = skype(tenant, mailbox, start, **item)
        who = mailbox.user["userPrincipalName"]
        tenant.control("POST", "actions/markDraft", {"user": who, "eventId": made["id"]})
    elif kind == "copy":
        skype(tenant, Mailbox(other), start, **{**item, "attendees": (mailbox.user["userPrincipalName"],)})
    else:
        skype(tenant, mailbox, start, **{**item, "genuine": False})


def _seed_series(tenant, mailbox, now, item):
    from proof_mailbox import exception, instances, skype, weekly  # noqa: PLC0415 - importable only now

    start = now + timedelta(weeks=item.pop("weeks"), hours=5)
    scope, count, changed = item.pop("range"), item.pop("count"), item.pop("changed")
    limits = {
        "noEnd": {},
        "numbered": {"type": "numbered", "numberOfOccurrences": count},
        "endDate": {"type": "endDate", "endDate": f"{start + timedelta(weeks=count):%Y-%m-%d}"},
    }[scope]
    master = skype(tenant, mailbox, start, recurrence=weekly(start, item["zone"], **limits), **item)
    ahead = instances(tenant, mailbox, master["id"], now, now + timedelta(days=200)) if changed else []
    for what, each in zip(changed, ahead, strict=False):
        if what == "cancelled":
            tenant.graph("DELETE", tenant.item(mailbox.user, each["id"]))
        elif what == "moved":
            exception(tenant, mailbox, master["id"], each, locations=[{"displayName": "Room 9"}], subject="Moved")
        elif what == "subject":
            exception(tenant, mailbox, master["id"], each, subject="Special")
        else:
            exception(tenant, mailbox, master["id"], each, words="<p>Bring the plan</p>")


@pytest.mark.timeout(86_400 if EXAMPLES > 100 else 120)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(items=mailboxes, number=st.sampled_from(["", "+46 8 555 01 00", "+46 8 555 02 00"]))
def test_any_mailbox_is_migrated_as_the_oracle_says(lab, items, number):
    """Who must change, by exactly one update to everybody; all else is identical; a second run mails nobody."""
    from proof_mailbox import Mailbox  # noqa: PLC0415 - importable only now
    from proof_oracle import Oracle, look  # noqa: PLC0415

    tenant = lab.tenant
    tenant.reset()
    now = lab.clock.now().replace(minute=0, second=0, microsecond=0)
    licensed = {
        "plans": ["3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"],
        "audioConferencing": {"provider": "microsoft", "tollNumber": "+46 8 555 01 00"},
    }
    mailbox, other = Mailbox(tenant.user(**(licensed if number else {}))), tenant.user()
    for item in items:
        _seed(tenant, mailbox, other, now, item)
    if number:
        change = {"user": mailbox.user["userPrincipalName"], "tollNumber": number}
        tenant.control("POST", "actions/setAudioConferencing", change)
    tenant.control("DELETE", "outbox")
    now = lab.clock.now()
    before = look(tenant, mailbox, now)
    oracle = Oracle(mailbox, before, now, number=number)
    service = lab.service()

    run = service.migrate(mailbox.user)

    after, outbox = look(tenant, mailbox, now), tenant.outbox(mailbox.user)
    assert oracle.problems(after, outbox) == []
    assert run.state == "Succeeded", run.last_message
    assert tenant.outbox(other) == []
    tenant.control("DELETE", "outbox")

    service.migrate(mailbox.user)

    assert tenant.outbox(mailbox.user) == []
    tenant.control("DELETE", f"users/{mailbox.user['id']}")
