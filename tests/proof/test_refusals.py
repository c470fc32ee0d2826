"""Whatever status Graph refuses a request with, the run ends with a code: none escapes as a bug."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

READS = {
    "the user": r"/users/[^/]+\?",
    "the list": r"/events\?",
    "a series": r"/events/[^/]+\?",
}
CREATE = {"method": "POST", "path": "/onlineMeetings/createOrGet"}


def _run(lab, fault):
    from proof_mailbox import of_every_kind
    from proof_oracle import Oracle, look

    tenant = lab.tenant
    tenant.reset()
    mailbox, now = of_every_kind(tenant, lab.clock.now(), singles=2), lab.clock.now()
    oracle = Oracle(mailbox, look(tenant, mailbox, now), now)
    tenant.control("POST", "faults", fault)
    run = lab.service().migrate(mailbox.user)
    tenant.control("DELETE", "faults")
    return run, oracle.problems(look(tenant, mailbox, now), tenant.outbox(mailbox.user))


@pytest.mark.parametrize("status", [409, 412])
@pytest.mark.parametrize("request_", [*READS, "a Teams meeting"])
def test_a_conflict_where_nothing_was_preconditioned_is_tried_again(lab, request_, status):
    """Only an update of an event says which version it means."""
    wanted = CREATE if request_ not in READS else {"method": "GET", "path": READS[request_]}
    run, problems = _run(lab, {**wanted, "status": status})
    assert (run.state, run.code) == ("Succeeded", None)
    assert problems == []


@pytest.mark.parametrize("status", [404, 410])
def test_a_user_whom_teams_does_not_know_is_told_so(lab, status):
    """Nothing is written, and the next delivery does not meet it as a bug."""
    run, problems = _run(lab, {**CREATE, "status": status, "times": 0})
    assert run.state == "Failed"
    assert run.code in ("TeamsLicenceMissing", "MeetingsFailed")
    assert all(each.endswith((", but it was not written", "0 mails instead of 1")) for each in problems)


@pytest.mark.parametrize("status", [404, 410])
def test_a_mailbox_that_went_while_it_was_looked_at_is_missing(lab, status):
    """The user was there a moment ago."""
    run, problems = _run(lab, {"method": "GET", "path": READS["the list"], "status": status, "times": 0})
    assert (run.state, run.code) == ("Failed", "MailboxMissing")
    assert all(each.endswith((", but it was not written", "0 mails instead of 1")) for each in problems)


@pytest.mark.parametrize("gone_at", ["its first page", "a later page"])
def test_a_calendar_that_goes_while_it_is_looked_at_costs_itself_alone(lab, gone_at):
    """The other calendars' meetings are migrated, and the result says that one is missing."""
    from proof_mailbox import Mailbox, skype

    tenant, now = lab.tenant, lab.clock.now()
    tenant.reset()
    mailbox = Mailbox(tenant.user(calendars=[{"name": "Gone"}, {"name": "Projects"}]))
    rows = tenant.graph("GET", f"users/{mailbox.user['id']}/calendars")["value"]
    named = {each["name"]: each["id"] for each in rows}
    kept = [
        skype(tenant, mailbox, now + timedelta(days=2), **({"calendar": each} if each else {}))
        for each in ("", named["Projects"])
    ]
    skype(tenant, mailbox, now + timedelta(days=1), calendar=named["Gone"])
    path = f"/calendars/{re.escape(named['Gone'])}/events"
    if gone_at == "a later page":
        tenant.control("PATCH", "switches", {"emptyPages": True})
        path += ".*skip"
    tenant.control("POST", "faults", {"method": "GET", "path": path, "status": 404, "times": 0})
    service = lab.service()
    service.configure(IncludeSecondaryCalendars=True)
    run = service.migrate(mailbox.user)
    tenant.control("DELETE", "faults")
    assert (run.state, run.code) == ("Succeeded", None)
    assert "CalendarGone" in run.last_message
    migrated = {each.event_id for each in service.entries(mailbox.user) if each.verdict == "migrated"}
    assert migrated >= {each["id"] for each in kept}
