"""A sample of ``make faults``: whatever goes wrong at a write, each meeting is migrated once, by one update."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

SINGLES = 4
WRITES = itertools.cycle((1, 6, 3, 9, 7, 10, 2, 5, 8, 4))
"""Of the ten meetings that are written."""


def _sample():
    from proof_faults import ANSWERS, KILLS, Case

    patches = [Case(route, fault, next(WRITES)) for route in "BA" for fault in (*ANSWERS, *KILLS)]
    # Route A asks for a meeting only until it has heard that it may not.
    creates = [Case("B", fault, next(WRITES), "createOrGet") for fault in ("504 after commit", "409", KILLS[1])]
    # The first writes are made for whoever asks: there is no run yet.
    stores = [Case(route, how, write, "storage") for route, write in (("B", 1), ("A", 20)) for how in KILLS[:2]]
    return [*patches, *creates, *stores]


@pytest.mark.parametrize("case", _sample(), ids=str)
def test_a_fault_neither_loses_nor_doubles_nor_damages(lab, case):
    """The tenant's state and outbox are the judge."""
    from proof_faults import play

    outcome = play(lab, case, singles=SINGLES)
    assert outcome.hit
    assert outcome.meetings == SINGLES + 6
    assert outcome.problems == []


def test_the_judge_sees_a_lost_a_doubled_and_a_damaged_meeting(lab):
    """A check that cannot fail is none: the same mailbox, migrated well, and then not so well."""
    from proof_mailbox import of_every_kind
    from proof_oracle import Oracle, look

    lab.tenant.reset()
    mailbox, now = of_every_kind(lab.tenant, lab.clock.now(), singles=2), lab.clock.now()
    before = look(lab.tenant, mailbox, now)
    oracle = Oracle(mailbox, before, now)
    assert lab.service().migrate(mailbox.user).state == "Succeeded"
    after, outbox = look(lab.tenant, mailbox, now), lab.tenant.outbox(mailbox.user)
    assert oracle.problems(after, outbox) == []

    single = next(key for key, event in before.events.items() if event["type"] == "singleInstance")
    assert "instead of" in oracle.problems(after, [*outbox, next(m for m in outbox if m["eventId"] == single)])[0]
    assert "instead of" in oracle.problems(after, [each for each in outbox if each["eventId"] != single])[0]

    def damaged(**changes):
        event = after.events[single]
        events = {**after.events, single: {**event, **changes}}
        return " ".join(oracle.problems(replace(after, events=events), outbox))

    body = after.events[single]["body"]
    assert "not written" in damaged(body=before.events[single]["body"])
    assert "outside the block" in damaged(body={**body, "content": body["content"].replace("</body>", " </body>")})
    assert "Teams meetings" in damaged(body={**body, "content": body["content"].replace("teams.microsoft", "x")})
    assert "subject has changed" in damaged(subject="Another")
    assert "locations" in damaged(locations=[])
