"""``make chaos``: the real stack, killed again and again, with the tenant's outbox as judge.

A run is: three users with six Skype meetings each, a tenant that throttles, fails and loses answers, one request a
user, and SIGKILL of the Functions host at one or two random moments. Every tenth run kills the storage emulator as
well, while the requests wait: Azurite saves every 5 s, so the kill comes 6.5 s after the last write that matters (its
weakness, not Azure's). Afterwards every meeting must lead to Teams, by exactly one update, and every run be Succeeded.

Several stacks work side by side, each with a seed of its own that follows from ``--seed``. One line a run goes to the
report; the last line is the sum. Exit code 1 if anything was lost or doubled.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "system")]

from system_stack import Stack as Client  # noqa: E402 - the path is set above

from mms_local.stack import Stack  # noqa: E402

USERS, MEETINGS = 3, 6
SETTINGS = {
    "MMS_RUN_LEASE_SECONDS": "4",
    "MMS_RECOVERY_SCHEDULE": "*/2 * * * * *",
    "MMS_FIRST_RETRY_SECONDS": "1",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:01",
}
PATIENCE_SECONDS = 150
FAULTS: tuple[dict[str, Any], ...] = (
    {"method": "PATCH", "path": "/events/", "status": 429, "headers": {"Retry-After": "1"}, "when": "before"},
    {"method": "PATCH", "path": "/events/", "status": 503, "when": "before"},
    {"method": "PATCH", "path": "/events/", "status": 504, "when": "afterCommit"},
    {"method": "PATCH", "path": "/events/", "when": "drop"},
    {"method": "GET", "path": "/events", "status": 503, "when": "before"},
    {"method": "POST", "path": "/onlineMeetings", "status": 500, "when": "before"},
)


class Patient(Client):
    """A client that outlives what it talks to."""

    def again(self, call: Any) -> Any:
        """Repeat a call until there is somebody to answer it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return call()
            except (httpx.TransportError, AssertionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def _faults(client: Patient, dice: random.Random) -> int:
    client.tenant("DELETE", "faults")
    chosen = dice.sample(FAULTS, dice.randint(0, 3))
    for fault in chosen:
        client.tenant("POST", "faults", {**fault, "times": dice.randint(1, 2)})
    return len(chosen)


def _seed(client: Patient) -> dict[str, list[str]]:
    seeded: dict[str, list[str]] = {}
    for _ in range(USERS):
        user = client.user()
        made = [
            client.skype_meeting(user, attendees=("zoe@fabrikam.example",), days=7 + day) for day in range(MEETINGS)
        ]
        seeded[user.name] = [event["id"] for event in made]
    return seeded


def _is_over(client: Patient, names: list[str]) -> bool:
    for name in names:
        answer = client.api("GET", f"migrations?identity={name}", token="reader")
        assert answer.status_code == 200, answer.text
        rows = answer.json()["value"]
        if not rows or any(row["State"] in ("Pending", "InProgress") for row in rows):
            return False
    return True


def one_run(stack: Stack, client: Patient, dice: random.Random, number: int) -> dict[str, Any]:
    """Do one run and judge it."""
    began = time.monotonic()
    kills_storage = number % 10 == 9
    seeded = _seed(client)
    client.forget_mails()
    faults = _faults(client, dice)
    settle = 8.0 if kills_storage else 1.0
    body = {"identities": list(seeded), "targetMeetingType": "Teams", "settleMinutes": settle / 60}
    answer = client.again(lambda: _accepted(client.api("POST", "migrations", body)))
    due = time.monotonic() + settle
    if kills_storage:
        time.sleep(6.5)
        stack.kill("storage")
    kills = dice.randint(1, 2)
    moments = sorted(dice.uniform(-0.3, 5.0) for _ in range(kills))
    for moment in moments:
        time.sleep(max(0.0, due + moment - time.monotonic()))
        stack.kill("host")
    client.refresh()
    problem = ""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not client.again(lambda: _is_over(client, list(seeded))):
        if time.monotonic() > deadline:
            problem = "not over"
            break
        time.sleep(0.5)
    client.tenant("DELETE", "faults")
    mails = client.again(lambda: client.tenant("GET", "outbox"))["value"]
    sent = Counter(mail["eventId"] for mail in mails if mail["organizer"] in seeded)
    meetings = [event for events in seeded.values() for event in events]
    lost = sum(sent[event] == 0 for event in meetings)
    doubled = sum(sent[event] > 1 for event in meetings)
    rows = {name: client.again(lambda name=name: _rows(client, name)) for name in seeded}
    states = Counter(row["State"] for each in rows.values() for row in each)
    if states != {"Succeeded": USERS}:
        problem = problem or f"states {dict(states)}"
    return {
        "run": number,
        "killedHostAfterSeconds": [round(each, 2) for each in moments],
        "killedStorage": kills_storage,
        "faults": faults,
        "accepted": len(answer),
        "meetings": len(meetings),
        "lost": lost,
        "doubled": doubled,
        "problem": problem,
        "seconds": round(time.monotonic() - began, 1),
    }


def _accepted(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 202, answer.text
    rows: list[Any] = answer.json()["value"]
    return rows


def _rows(client: Patient, name: str) -> list[Any]:
    answer = client.api("GET", f"migrations?identity={name}", token="reader")
    assert answer.status_code == 200, answer.text
    rows: list[Any] = answer.json()["value"]
    return rows


def one_stack(seed: int, numbers: list[int], report: Path) -> list[dict[str, Any]]:
    """Do some runs on a stack of their own."""
    dice = random.Random(seed)
    results = []
    options = [item for name, value in SETTINGS.items() for item in ("--set", f"{name}={value}")]
    with tempfile.TemporaryDirectory(prefix=f"mms-chaos-{uuid.uuid4().hex[:6]}") as directory:
        arguments = ("--empty", "--settle-seconds", "1", "--throttle", "on", *options)
        with Stack(Path(directory), *arguments) as stack:
            client = Patient(stack.ready, Path(directory) / "ready.json")
            for number in numbers:
                result = {"seed": seed, **one_run(stack, client, dice, number)}
                results.append(result)
                with report.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(result) + "\n")
    return results


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--stacks", type=int, default=3)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--report", type=Path, default=ROOT / ".mms" / "chaos.jsonl")
    arguments = parser.parse_args()
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text("", encoding="utf-8")
    shares = [list(range(first, arguments.runs, arguments.stacks)) for first in range(arguments.stacks)]
    began = datetime.now(UTC)
    with ThreadPoolExecutor(arguments.stacks) as pool:
        jobs = [
            pool.submit(one_stack, arguments.seed * 1000 + number, share, arguments.report)
            for number, share in enumerate(shares)
        ]
        results = [result for job in jobs for result in job.result()]
    took = datetime.now(UTC) - began
    total = {
        "runs": len(results),
        "kills of the host": sum(len(each["killedHostAfterSeconds"]) for each in results),
        "kills of the storage": sum(each["killedStorage"] for each in results),
        "faults": sum(each["faults"] for each in results),
        "meetings": sum(each["meetings"] for each in results),
        "lost": sum(each["lost"] for each in results),
        "doubled": sum(each["doubled"] for each in results),
        "problems": [each["problem"] for each in results if each["problem"]],
        "took": str(took // timedelta(seconds=1) * timedelta(seconds=1)),
    }
    print(json.dumps(total, indent=1))  # noqa: T201 - the result
    return 1 if total["lost"] or total["doubled"] or total["problems"] or len(results) < arguments.runs else 0


if __name__ == "__main__":
    sys.exit(main())
