"""A mailbox where nothing needs changing costs the calls that list it, and no mail."""

from __future__ import annotations

from datetime import timedelta


def test_a_mailbox_without_online_meetings_costs_its_listing_and_no_mail(lab):
    """One page of the calendar and one look at the user: nothing is read meeting by meeting."""
    from proof_mailbox import Mailbox, Seed, at, people, post, skype

    tenant, now = lab.tenant, lab.clock.now()
    tenant.reset()
    mailbox = Mailbox(tenant.user())
    for day in range(1, 20):
        payload = {
            "subject": "Lunch",
            "start": at(now + timedelta(days=day)),
            "end": at(now + timedelta(days=day, hours=1)),
            "body": {"contentType": "html", "content": "<html><body><p>Bring your own</p></body></html>"},
            "attendees": people(["zoe@fabrikam.example"]),
        }
        post(tenant, mailbox, payload, Seed())
    skype(tenant, mailbox, now - timedelta(days=3))
    tenant.reset()

    run = lab.service().migrate(mailbox.user)

    assert (run.state, run.invites) == ("Succeeded", 0)
    calls = {
        route: count
        for route, count in tenant.control("GET", "stats")["requests"].items()
        if "_tenant" not in route and "users" in route
    }
    assert calls == {"GET users/{user}": 1, "GET users/{user}/events": 1}
    assert tenant.outbox(mailbox.user) == []


def test_a_mailbox_migrated_before_is_listed_and_compared_but_neither_written_nor_mailed(lab):
    """The second run reads: the calendar, each series, and Teams' own word about each meeting."""
    from proof_mailbox import of_every_kind

    tenant = lab.tenant
    tenant.reset()
    mailbox = of_every_kind(tenant, lab.clock.now(), singles=4)
    service = lab.service()
    assert service.migrate(mailbox.user).state == "Succeeded"
    tenant.reset()

    run = service.migrate(mailbox.user)

    assert (run.state, run.invites) == ("Succeeded", 0)
    requests = tenant.control("GET", "stats")["requests"]
    assert not [route for route in requests if route.startswith(("PATCH users", "POST users"))]
    assert requests["GET users/{user}/events"] == 1
    assert tenant.outbox(mailbox.user) == []
