"""The simulated tenant as a test sees it: a process, and what is asked of it over HTTP. Nothing here knows the product."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
import uuid
from urllib.parse import quote

import httpx

PUBLIC_STRINGS = "String {00020329-0000-0000-C000-000000000046} Name "
UNSAFE = {"Prefer": 'outlook.allow-unsafe-html, outlook.timezone="UTC"'}


class Refused(AssertionError):
    """The tenant did not do what a test asked of it."""


class Tenant:
    """The simulated tenant: a process, and what a test asks of it. Nothing here knows the product."""

    def __init__(self, ready, process=None):
        self.ready = ready
        self._process = process
        self._numbers = itertools.count(1)
        self.http = httpx.Client(timeout=60)
        self.plain = self.control("GET", "switches")

    @classmethod
    def started(cls, directory):
        """Start one in memory; *directory* is for its ready file."""
        ready_file = directory / f"tenant-{uuid.uuid4().hex}.json"
        command = [sys.executable, "-m", "mms_simulator", "--in-memory", "--ready-file", str(ready_file)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not ready_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the tenant does not start")
            time.sleep(0.05)
        return cls(json.loads(ready_file.read_text()), process)

    def close(self):
        """Stop the tenant, if it is ours."""
        self.http.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def control(self, method, path, body=None):
        """Call the control surface."""
        answer = self.http.request(method, f"{self.ready['tenant']}/{path}", json=body)
        if answer.status_code >= 400:
            raise Refused(answer.text)
        return answer.json() if answer.content else None

    def graph(self, method, path, body=None, **headers):
        """Call Graph as an app that may do everything."""
        headers = {"Authorization": f"Bearer {self.ready['tokens']['graph']}", **UNSAFE, **headers}
        answer = self.http.request(method, f"{self.ready['graph']}/{path}", json=body, headers=headers)
        if answer.status_code >= 400:
            raise Refused(answer.text)
        return answer.json() if answer.content else None

    def reset(self, **switches):
        """Put every switch where it was, then some elsewhere; no faults, no mails, no counts."""
        self.control("PATCH", "switches", {**self.plain, **switches})
        for each in ("faults", "outbox", "stats", "traffic"):
            self.control("DELETE", each)

    def user(self, **more):
        """Make a user; gives Graph's."""
        name = f"u{next(self._numbers):06d}@contoso.example"
        given = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            "userPrincipalName": name,
            "displayName": "Ada",
            "mailbox": "exchangeOnline",
            "homed": "online",
        }
        return self.control("POST", "users", {**given, "mode": "Islands", "plans": [], **more})

    def item(self, user, event_id):
        """Address an event."""
        return f"users/{user['id']}/events/{quote(event_id, safe='')}"

    def outbox(self, user):
        """The mails that this organizer caused."""
        name = user["userPrincipalName"]
        return [mail for mail in self.control("GET", "outbox")["value"] if mail["organizer"] == name]
