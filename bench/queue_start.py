"""How soon queued work starts: 500 users without meetings, due together, on the local stack with idle workers.

``PYTHONPATH=. python bench/queue_start.py [--users 500] [--settle 60]``. A start is the lease written: the record's
``started_at`` less its ``due_at``, read from the table.
"""

from __future__ import annotations

import argparse
import json
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


def starts(connection: str) -> list[tuple[float, float | None]]:
    """Return when each run was due, and how long after that it started."""
    found: list[tuple[float, float | None]] = []
    with suppress(ResourceNotFoundError), TableClient.from_connection_string(connection, "MmsUsers") as table:
        for entity in table.query_entities("RowKey gt 'u|' and RowKey lt 'u|~'"):
            run = json.loads(entity["Record"])["current"]
            due = datetime.fromisoformat(run["due_at"])
            began = run.get("started_at")
            late = None if not began else (datetime.fromisoformat(began) - due).total_seconds()
            found.append((due.timestamp(), late))
    return found


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
        deadline = time.monotonic() + arguments.settle + 120
        while True:
            time.sleep(2)
            found = starts(stack.ready["storage"])
            if all(late is not None for _, late in found) and len(found) == len(ids):
                break
            if time.monotonic() > deadline:
                break
    late = sorted(each for _, each in found if each is not None)
    dues = [due for due, _ in found]
    within = sum(each <= 10 for each in late)
    print(f"{len(late)} of {len(ids)} started; all due within {max(dues) - min(dues):.1f} s")
    print(f"median {late[len(late) // 2]:.1f} s, 99 % {late[int(len(late) * 0.99) - 1]:.1f} s, last {late[-1]:.1f} s")
    print(f"started within 10 s after they were due: {within} of {len(ids)} ({100 * within / len(ids):.1f} %)")
    print(f"started before they were due: {sum(each < 0 for each in late)}")


if __name__ == "__main__":
    main()
