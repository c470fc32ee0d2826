"""The real stack - host, storage, tenant, each a process - whose host is killed at one write of each of many mailboxes.

The tenant holds the requests of a mailbox from its Nth write on, so that "at write N" is exact on any machine. When
every mailbox of a batch stands at its own N, the host gets SIGKILL, and is started again by its supervisor. What was
held is then carried out, or lost, or was carried out before; or it arrives when the successor has done everything.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from proof_mailbox import of_every_kind
from proof_oracle import Oracle, look
from proof_tenant import Tenant

from mms_core.adapters.graph.pacing import FIRST
from mms_core.adapters.graph.transport import MAILBOX_SLOTS
from mms_local.stack import Stack

WRITES = 25
"""Of the mailbox that :func:`proof_mailbox.of_every_kind` makes."""
PATIENCE_SECONDS = 240
SETTINGS = {
    "MMS_RUN_LEASE_SECONDS": "4",
    "MMS_RECOVERY_SCHEDULE": "*/2 * * * * *",
    "MMS_FIRST_RETRY_SECONDS": "1",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.500",
}
PATCH = {"method": "PATCH", "path": "/users/{user}/events/"}
CREATE = {"method": "POST", "path": "/users/{user}/onlineMeetings/createOrGet"}


@dataclass(frozen=True)
class Moment:
    """Where the requests of the mailbox are when the host dies."""

    name: str
    fault: dict
    arrives_late: bool = False
    """They arrive when the successor has done everything."""
    most_at_once: int = WRITES
    """Mailboxes of a batch, where the service itself lets no more requests through while so many are held."""


MOMENTS = (
    Moment("killed before the write", {**PATCH, "when": "dropBefore", "hold": "request", "times": 0}),
    Moment("killed while it was on its way", {**PATCH, "hold": "request", "times": 0}),
    Moment("killed after the write", {**PATCH, "hold": "answer", "times": 0}),
    Moment("killed, and the write arrives last", {**PATCH, "hold": "request", "times": 1}, arrives_late=True),
    Moment(
        "killed after createOrGet",
        {**CREATE, "hold": "answer", "times": 0},
        most_at_once=FIRST // MAILBOX_SLOTS,
    ),
)


@dataclass
class Killed:
    """What became of one mailbox."""

    moment: str
    write: int
    meetings: int
    problems: list[str]


class Killing:
    """A running stack, and batches of mailboxes on it."""

    def __init__(self, directory):
        options = [item for name, value in SETTINGS.items() for item in ("--set", f"{name}={value}")]
        self._stack = Stack(directory, "--empty", "--settle-seconds", "0", *options)
        ready = self._stack.start()
        self._tenant = Tenant(ready)
        self._http = httpx.Client(timeout=30)
        # Its own triggers would run as well: a changed number is one.
        off = {"AutomaticallyMigrateUserMeetings": False, "AutomaticallySendEmailsToUsers": False}
        assert self._api("PATCH", "config", off).status_code == 200

    def close(self):
        """Stop everything."""
        self._http.close()
        self._tenant.close()
        self._stack.stop()

    def _api(self, method, path, body=None):
        ready = self._stack.ready
        headers = {"Authorization": f"Bearer {ready['tokens']['operator']}"}
        return self._http.request(method, f"{ready['api']}/{path}", json=body, headers=headers)

    def batch(self, moment, writes, *, singles=19):
        """Kill the host once, while each of some mailboxes is at its own write; gives what became of each."""
        tenant, now = self._tenant, datetime.now(UTC)
        mailboxes = [of_every_kind(tenant, now, singles=singles) for _ in writes]
        oracles = [Oracle(each, look(tenant, each, now), now) for each in mailboxes]
        tenant.control("DELETE", "outbox")
        for mailbox, write in zip(mailboxes, writes, strict=True):
            path = moment.fault["path"].format(user=mailbox.user["id"])
            tenant.control("POST", "faults", {**moment.fault, "path": path, "skip": write - 1})
        names = [each.user["userPrincipalName"] for each in mailboxes]
        answer = self._api("POST", "migrations", {"identities": names, "targetMeetingType": "Teams"})
        assert answer.status_code == 202, answer.text
        self._until(lambda: self._all_held(moment, len(writes)), "every mailbox is at its write")
        self._stack.kill("host")
        if not moment.arrives_late:
            tenant.control("DELETE", "faults")
        self._until(lambda: all(self._state(name) not in ("Pending", "InProgress") for name in names), "all is over")
        tenant.control("DELETE", "faults")
        self._until(lambda: not tenant.control("GET", "faults")["held"], "nothing is held")
        found = []
        for mailbox, oracle, write, name in zip(mailboxes, oracles, writes, names, strict=True):
            problems = oracle.problems(look(tenant, mailbox, now), tenant.outbox(mailbox.user))
            state = self._state(name)
            if state != "Succeeded":
                problems.append(f"the run is {state}")
            duties = [duty for duty in oracle.duties().values() if duty in ("migrate", "refresh")]
            found.append(Killed(moment.name, write, len(duties), problems))
            tenant.control("DELETE", f"users/{mailbox.user['id']}")
        return found

    def _all_held(self, moment, number):
        faults = self._tenant.control("GET", "faults")
        if moment.fault["times"]:
            return faults["held"] == number and not faults["value"]
        return all(each["hits"] for each in faults["value"])

    def _state(self, name):
        try:
            answer = self._api("GET", f"migrations?identity={name}")
        except httpx.TransportError:
            return "Pending"  # the host is not back yet
        rows = answer.json()["value"] if answer.status_code == 200 else []
        return rows[0]["State"] if rows else "Pending"

    @staticmethod
    def _until(what, name):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not happen in {PATIENCE_SECONDS} s that {name}")
            time.sleep(0.1)


def kill_at_every_write(say, *, at_once, writes=WRITES):
    """Kill the host at each write of a mailbox, at each moment; *at_once* mailboxes for each kill."""
    found = []
    with tempfile.TemporaryDirectory(prefix="mms-kills-") as directory:
        killing = Killing(Path(directory))
        try:
            for moment in MOMENTS:
                # One meeting of a mailbox is refreshed: it has been made already.
                last = writes - 1 if moment.fault["method"] == "POST" else writes
                began, kills, done = time.monotonic(), 0, []
                size = min(at_once, moment.most_at_once)
                for first in range(1, last + 1, size):
                    done += killing.batch(moment, range(first, min(first + size, last + 1)))
                    kills += 1
                bad = [f"write {each.write}: {problem}" for each in done for problem in each.problems]
                say(
                    f"real stack, {moment.name}: {len(done)} writes, {kills} SIGKILLs, "
                    f"{sum(each.meetings for each in done)} meetings, {len(bad)} problems, "
                    f"{time.monotonic() - began:.0f} s"
                )
                for problem in bad:
                    say(f"    {problem}")
                found += done
        finally:
            killing.close()
    return found
