"""A series of which only exceptions are left: they are written, each once, and the master is let alone."""

from __future__ import annotations

from datetime import timedelta

import pytest


@pytest.mark.parametrize("scope", [{"type": "numbered", "numberOfOccurrences": 3}, {"type": "endDate"}])
def test_a_moved_last_occurrence_costs_its_attendees_one_mail(lab, scope):
    """The master's invitation is seen in the past only; writing it would mail for the exception as well (1.5)."""
    from proof_mailbox import Mailbox, at, exception, instances, skype, weekly

    tenant, now = lab.tenant, lab.clock.now().replace(minute=0, second=0, microsecond=0)
    tenant.reset()
    mailbox = Mailbox(tenant.user())
    began, last = now - timedelta(days=15), now - timedelta(days=1)
    scope = scope if scope["type"] == "numbered" else {**scope, "endDate": f"{last:%Y-%m-%d}"}
    master = skype(tenant, mailbox, began, recurrence=weekly(began, **scope))
    behind = instances(tenant, mailbox, master["id"], began - timedelta(days=1), now)
    moved = now + timedelta(days=4)
    made = exception(tenant, mailbox, master["id"], behind[-1], start=at(moved), end=at(moved + timedelta(hours=1)))
    tenant.reset()

    run = lab.service().migrate(mailbox.user)

    assert (run.state, run.invites) == ("Succeeded", 1)
    assert [each["eventId"] for each in tenant.outbox(mailbox.user)] == [made["id"]]
    shown = tenant.graph("GET", tenant.item(mailbox.user, master["id"]))
    assert shown["body"] == master["body"]


def test_a_series_to_come_whose_only_occurrence_was_changed_is_written_once(lab):
    """Nobody sees the master's invitation; the exception's is all that there is."""
    from proof_mailbox import Mailbox, exception, instances, skype, weekly

    tenant, now = lab.tenant, lab.clock.now().replace(minute=0, second=0, microsecond=0)
    tenant.reset()
    mailbox = Mailbox(tenant.user())
    first = now + timedelta(days=3)
    master = skype(tenant, mailbox, first, recurrence=weekly(first, type="numbered", numberOfOccurrences=1))
    [only] = instances(tenant, mailbox, master["id"], now, now + timedelta(days=30))
    changed = exception(tenant, mailbox, master["id"], only, subject="Other words")
    tenant.reset()

    run = lab.service().migrate(mailbox.user)

    assert (run.state, run.invites) == ("Succeeded", 1)
    assert [each["eventId"] for each in tenant.outbox(mailbox.user)] == [changed["id"]]
