"""What lies years ahead is found as well: nothing is lost behind a window."""

from __future__ import annotations

from datetime import timedelta


def _yearly(start, **scope):
    """A recurrence once in five years."""
    pattern = {"type": "absoluteYearly", "interval": 5, "dayOfMonth": start.day, "month": start.month}
    span = {"startDate": f"{start:%Y-%m-%d}", "recurrenceTimeZone": "UTC", **scope}
    return {"pattern": pattern, "range": span}


def test_occurrences_and_exceptions_years_ahead_are_migrated(lab):
    """An endless series' exception in four years, and series whose next occurrence is that far away."""
    from proof_mailbox import Mailbox, at, exception, instances, skype, weekly
    from proof_oracle import Oracle, look

    tenant, now = lab.tenant, lab.clock.now()
    tenant.reset()
    mailbox = Mailbox(tenant.user())
    far = now + timedelta(days=4 * 365)
    endless = skype(tenant, mailbox, now - timedelta(days=30), recurrence=weekly(now - timedelta(days=30)))
    (chosen, *_) = instances(tenant, mailbox, endless["id"], far, far + timedelta(days=20))
    exception(tenant, mailbox, endless["id"], chosen, words="<p>In four years</p>")
    ended = skype(
        tenant, mailbox, now - timedelta(days=40),
        recurrence=weekly(now - timedelta(days=40), type="endDate", endDate=f"{now - timedelta(days=20):%Y-%m-%d}"),
    )  # fmt: skip
    behind = instances(tenant, mailbox, ended["id"], now - timedelta(days=60), now)
    moved = {"start": at(far), "end": at(far + timedelta(hours=1))}
    exception(tenant, mailbox, ended["id"], behind[-1], words="<p>Once more</p>", **moved)
    began = now.replace(day=15) - timedelta(days=365)
    until = f"{far + timedelta(days=40):%Y-%m-%d}"
    rare = skype(tenant, mailbox, began, recurrence=_yearly(began, type="endDate", endDate=until))
    counted = skype(tenant, mailbox, began, recurrence=_yearly(began, type="numbered", numberOfOccurrences=2))
    over = skype(tenant, mailbox, began, recurrence=_yearly(began, type="numbered", numberOfOccurrences=1))
    tenant.control("DELETE", "outbox")
    oracle = Oracle(mailbox, look(tenant, mailbox, now), now)
    duties = oracle.duties()
    assert [duties[each["id"]] for each in (endless, rare, counted)] == ["migrate"] * 3
    assert duties[over["id"]] != "migrate"
    assert sum(duty == "migrate" for duty in duties.values()) == 5
    assert lab.service().migrate(mailbox.user).state == "Succeeded"
    assert oracle.problems(look(tenant, mailbox, now), tenant.outbox(mailbox.user)) == []
