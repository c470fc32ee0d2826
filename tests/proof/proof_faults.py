"""One fault at one write of a mailbox with meetings of every kind, and the judge's word about it."""

from __future__ import annotations

from dataclasses import dataclass

from proof_mailbox import of_every_kind
from proof_oracle import Oracle, look

PATCH = {"method": "PATCH", "path": "/events/"}
CREATE = {"method": "POST", "path": "/onlineMeetings/createOrGet"}
ANSWERS = {
    "504 before commit": {"status": 504, "when": "before"},
    "504 after commit": {"status": 504, "when": "afterCommit"},
    "dropped before commit": {"when": "dropBefore"},
    "dropped after commit": {"when": "drop"},
    "429 with 200 s": {"status": 429, "when": "before", "headers": {"Retry-After": "200"}},
    "412": {"status": 412, "when": "before"},
    "409": {"status": 409, "when": "before"},
}
"""What Graph answers to a write, or does not."""
KILLS = ("killed before the write", "killed after the write", "killed while the write was on its way")
ROUTES = {"B": "granted", "A": "denied"}


@dataclass(frozen=True)
class Case:
    """What goes wrong where."""

    route: str
    fault: str
    write: int
    """The how-maniest write, counted from 1."""
    of: str = "PATCH"
    """``PATCH`` of an event, ``createOrGet`` of a meeting, or ``storage``."""

    def __str__(self):
        return f"route {self.route}, {self.fault}, {self.of} {self.write}"


@dataclass
class Outcome:
    """What was found."""

    hit: bool
    """Whether the run got as far as that write."""
    problems: list
    state: str
    meetings: int
    mails: int


def play(lab, case: Case, *, singles=19) -> Outcome:
    """Seed, let it go wrong, wait until the run is over, and judge by the tenant alone."""
    tenant = lab.tenant
    tenant.reset(applicationAccessPolicy=ROUTES[case.route])
    mailbox = of_every_kind(tenant, lab.clock.now(), singles=singles, refreshes=case.route == "B")
    now = lab.clock.now()
    oracle = Oracle(mailbox, look(tenant, mailbox, now), now, by_flags=case.route == "A")
    service = lab.service()
    if case.fault in ANSWERS:
        requests = PATCH if case.of == "PATCH" else CREATE
        tenant.control("POST", "faults", {**requests, **ANSWERS[case.fault], "skip": case.write - 1})
    else:
        service.kill_at(case.of, case.write, case.fault)
    run = service.migrate(mailbox.user)
    hit = not tenant.control("GET", "faults")["value"] if case.fault in ANSWERS else service.kills == 1
    tenant.control("DELETE", "faults")
    service.arrive()
    after = look(tenant, mailbox, now)
    outbox = tenant.outbox(mailbox.user)
    problems = oracle.problems(after, outbox)
    if run.state != "Succeeded":
        problems.append(f"the run is {run.state}: {run.code}")
    duties = [duty for duty in oracle.duties().values() if duty in ("migrate", "refresh")]
    tenant.control("DELETE", f"users/{mailbox.user['id']}")
    return Outcome(hit, problems, run.state, len(duties), len(outbox))
