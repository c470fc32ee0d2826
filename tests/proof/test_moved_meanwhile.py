"""A Teams meeting that was made before is found again; what has changed about the event since, Teams is told."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest


@pytest.mark.parametrize("what", ["single", "series", "nothing"])
def test_a_meeting_found_again_is_told_the_events_own_times_and_subject(lab, what):
    """Migrated, undone, moved or renamed, migrated again: the same link, one update; what has not changed is not told.

    A tenant may bring its Teams meeting up to date by the invitation's link; whether it does is not documented.
    """
    from proof_mailbox import Mailbox, at, exception, instances, skype, weekly
    from proof_oracle import Oracle, look

    tenant, now = lab.tenant, lab.clock.now().replace(microsecond=0)
    tenant.reset()
    mailbox = Mailbox(tenant.user())
    start = now + timedelta(days=3)
    event = skype(tenant, mailbox, start, **({"recurrence": weekly(start)} if what == "series" else {}))
    if what == "series":
        (_, second, *_) = instances(tenant, mailbox, event["id"], now, now + timedelta(days=30))
        exception(tenant, mailbox, event["id"], second, subject="Special", words="<p>Upstairs</p>")
    service = lab.service()
    assert service.migrate(mailbox.user).state == "Succeeded"
    first = _meeting(tenant, mailbox, event)
    assert service.undo(mailbox.user).state == "Succeeded"
    later = start + timedelta(hours=3)
    times = {"start": at(later), "end": at(later + timedelta(minutes=30))}
    changes = {"single": {**times, "subject": "Moved"}, "series": {"subject": "Moved"}, "nothing": {}}[what]
    if changes:
        tenant.graph("PATCH", tenant.item(mailbox.user, event["id"]), changes)
    tenant.control("DELETE", "outbox")
    tenant.control("DELETE", "traffic")
    oracle = Oracle(mailbox, look(tenant, mailbox, now), now)
    assert service.migrate(mailbox.user).state == "Succeeded"
    traffic = tenant.http.get(f"{tenant.ready['tenant']}/traffic").text.splitlines()
    told = [line for line in traffic if '"PATCH"' in line and "/onlineMeetings/" in line]
    assert len(told) == (1 if changes else 0)
    assert oracle.problems(look(tenant, mailbox, now), tenant.outbox(mailbox.user)) == []
    again = _meeting(tenant, mailbox, event)
    assert again["id"] == first["id"]
    shall = (later, later + timedelta(minutes=30)) if what == "single" else (start, start + timedelta(hours=1))
    wanted = [f"{each:%Y-%m-%dT%H:%M:%S}" for each in shall]
    assert [again[name][:19] for name in ("startDateTime", "endDateTime")] == wanted
    assert again["subject"] == changes.get("subject", event["subject"])


def _meeting(tenant, mailbox, event):
    """The Teams meeting that an invitation leads to, as Teams has it."""
    url = tenant.graph("GET", tenant.item(mailbox.user, event["id"]))["onlineMeeting"]["joinUrl"]
    name = quote(f"JoinWebUrl eq '{url}'", safe="")
    (found,) = tenant.graph("GET", f"users/{mailbox.user['id']}/onlineMeetings?$filter={name}")["value"]
    return found
