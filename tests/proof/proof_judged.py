"""One generated mailbox: migrated, looked at again, edited here and there, undone; the oracle judges each step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from proof_generated import edited, instant_of, seeded
from proof_oracle import Oracle, look

from mms_core.model import Source


@dataclass
class Judged:
    """What was seen."""

    problems: list[str]
    duties: Counter
    kinds: Counter
    mails: int = 0
    undone: int = 0
    refused: int = 0
    states: Counter = field(default_factory=Counter)


def judged(lab, drawn):
    """Seed what was drawn, let the service work, and judge by the tenant alone."""
    tenant = lab.tenant
    tenant.reset()
    lab.set_time(instant_of(drawn))
    world = seeded(tenant, drawn)
    user, now = world.mailbox.user, lab.clock.now()
    by_flags = drawn["route"] == "A"
    access = "denied" if by_flags else "granted"
    switches = {"teamsGeneration": drawn["generation"], "skypeRepresentation": drawn["representation"]}
    tenant.control("PATCH", "switches", {**switches, "applicationAccessPolicy": access})
    before = look(tenant, world.mailbox, now)
    policies = {"shared": drawn["shared_policy"], "room": drawn["room_policy"], "equipment": drawn["room_policy"]}
    oracle = Oracle(
        world.mailbox,
        before,
        now,
        by_flags=by_flags,
        source=drawn["source"],
        secondary=drawn["secondary"],
        replaces_providers=drawn["replaces_providers"] and drawn["dial_in_later"] is not None,
        reports=policies.get(drawn["mailbox"]) == "report",
    )
    service = lab.service()
    service.configure(
        IncludeSecondaryCalendars=drawn["secondary"],
        AutomaticallyReplaceAcpProvider=drawn["replaces_providers"],
        SharedMailboxPolicy=drawn["shared_policy"],
        RoomMailboxPolicy=drawn["room_policy"],
    )
    source = Source(drawn["source"])
    world.kinds[f"mailbox {drawn['mailbox']}"] += 1

    run = service.migrate(user, source=source)

    after, outbox = look(tenant, world.mailbox, now), tenant.outbox(user)
    result = Judged(oracle.problems(after, outbox), Counter(oracle.duties().values()), world.kinds, len(outbox))
    result.states[str(run.state)] += 1
    # Route A is closed to what is online already: that is said, and the run has failed for these.
    if run.state != "Succeeded" and not (by_flags and "AppAccessPolicyMissing" in (run.code, *_codes(service, user))):
        result.problems.append(f"the run is {run.state}: {run.code}")
    tenant.control("DELETE", "outbox")

    service.migrate(user, source=source)

    result.problems += [f"the second run mailed {each['eventId'][-12:]}" for each in tenant.outbox(user)]
    written = {key for key, event in after.events.items() if event["body"] != before.events[key]["body"]}
    if written and not result.problems:
        _undo(service, world, oracle, result, edits=drawn["edits"], written=written)
    result.problems += [f"mail in the name of {mail['organizer']}" for mail in tenant.outbox(world.other.user)]
    for each in (user, world.other.user):
        tenant.control("DELETE", f"users/{each['id']}")
    return result


def _codes(service, user):
    return {entry.code for entry in service.entries(user)}


def _undo(service, world, oracle, result, *, edits, written):
    tenant, user, now = world.tenant, world.mailbox.user, oracle.now
    refused = edited(world, written, edits)
    migrated = look(tenant, world.mailbox, now)

    run = service.undo(user)

    restored, outbox = look(tenant, world.mailbox, now), tenant.outbox(user)
    result.problems += oracle.not_undone(migrated, restored, outbox, refused=refused)
    result.undone, result.refused = len(written) - len(refused), len(refused)
    told = {entry.event_id for entry in service.entries(user) if entry.code == "EditedSince" and entry.difference}
    if told != refused or (run.state == "Succeeded") != (not refused):
        result.problems.append(f"{len(refused)} edits, {len(told)} refusals with a difference, the run is {run.state}")
