"""How soon queued work starts: 500 users without meetings, due together, on the local stack with idle workers.

``PYTHONPATH=. python bench/queue_start.py [--users 500] [--settle 60]``. A start is the lease written: the line of the
host's log that follows it, less the first due time in the table.

The table is not read meanwhile: a reader of all rows is work for the emulator, too. How much processor time each part
has taken from just before the due time until the last run was over says what a run costs, whatever else the machine
does (Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient

from mms_local.stack import Stack


def users(ready: dict[str, Any], count: int) -> list[str]:
    """Make users without meetings; gives their ids."""
    with httpx.Client(timeout=60) as http, ThreadPoolExecutor(4) as pool:

        def make(number: int) -> str:
            user = {
                "userPrincipalName": f"bench{number}@contoso.example",
                "displayName": f"Bench {number}",
                "mailbox": "exchangeOnline",
                "homed": "online",
                "mode": "Islands",
                "plans": [],
                "audioConferencing": {"provider": "microsoft"},
            }
            answer = http.post(f"{ready['tenant']}/users", json=user).raise_for_status()
            return str(answer.json()["id"])

        return list(pool.map(make, range(count)))


def dues(connection: str) -> list[float]:
    """Return when each run is due, as seconds since 1970."""
    found: list[float] = []
    with suppress(ResourceNotFoundError), TableClient.from_connection_string(connection, "MmsUsers") as table:
        for entity in table.query_entities("RowKey gt 'u|' and RowKey lt 'u|~'"):
            run = json.loads(entity["Record"])["current"]
            found.append(datetime.fromisoformat(run["due_at"]).timestamp())
    return found


def starts(log: Path) -> dict[str, float]:
    """Return when the host said first that it had written the lease, by run."""
    found: dict[str, float] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        at, said, rest = line.partition(" ")[0], *line.partition(" run_started correlation_id=")[1:]
        if said:
            found.setdefault(rest.split()[0], datetime.fromisoformat(at).timestamp())
    return found


def processor_seconds(pids: dict[str, int]) -> dict[str, float]:
    """Return the processor time that each part has taken so far; nothing where the system does not say."""
    taken: dict[str, float] = {}
    for part, pid in pids.items():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            taken[part] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return taken


def over(ready: dict[str, Any]) -> int:
    """Return how many users' newest runs are over."""
    headers = {"Authorization": f"Bearer {ready['tokens']['reader']}"}
    answer = httpx.get(f"{ready['api']}/migrations?summaryOnly=true", headers=headers, timeout=60).raise_for_status()
    rows = answer.json()["value"]
    return sum(int(row["UserCount"]) for row in rows if row["State"] not in ("Pending", "InProgress"))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--settle", type=float, default=60)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an app setting")
    arguments = parser.parse_args()
    more = [word for each in arguments.set for word in ("--set", each)]
    options = ("--empty", "--in-memory", "--settle-seconds", f"{arguments.settle:g}", *more)
    with tempfile.TemporaryDirectory() as directory, Stack(Path(directory), *options) as stack:
        ids = users(stack.ready, arguments.users)
        headers = {"Authorization": f"Bearer {stack.ready['tokens']['operator']}"}
        # One list: all rows are due at the same instant.
        body = {"identities": ids, "targetMeetingType": "Teams"}
        httpx.post(f"{stack.ready['api']}/migrations", json=body, headers=headers, timeout=60).raise_for_status()
        pids = stack.ready["pids"]
        time.sleep(max(0.0, arguments.settle - 10))
        due = dues(stack.ready["storage"])
        time.sleep(max(0.0, min(due) - time.time() - 2))
        before = processor_seconds(pids)
        deadline = time.monotonic() + 180
        while over(stack.ready) < len(ids) and time.monotonic() < deadline:
            time.sleep(2)
        after = processor_seconds(pids)
        found = starts(stack.logs / "host.log")
    # They are due within a fraction of a second; counted from the first, nobody looks better than they are.
    late = sorted(each - min(due) for each in found.values())
    within = sum(each <= 10 for each in late)
    print(f"{len(late)} of {len(ids)} started; all due within {max(due) - min(due):.1f} s")
    print(f"median {late[len(late) // 2]:.1f} s, 99 % {late[int(len(late) * 0.99) - 1]:.1f} s, last {late[-1]:.1f} s")
    print(f"started within 10 s after the first was due: {within} of {len(ids)} ({100 * within / len(ids):.1f} %)")
    print(f"started before the first was due: {sum(each < 0 for each in late)}")
    for part, seconds in after.items():
        print(f"processor time of the {part}: {1000 * (seconds - before[part]) / len(ids):.1f} ms a run")


if __name__ == "__main__":
    main()
