"""Looks on while the service works: requests settle, runs go, updates leave."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from mms_local.demo.console import Bars
from mms_local.demo.tenant import Client

_LOOK_EVERY_SECONDS = 1.0
_WAITING = {"Pending", "InProgress"}
_QUIET_SECONDS = 3
"""After the last run has ended: time for a run that should not exist to show itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the watching ended."""

    runs: tuple[Mapping[str, Any], ...]
    settled_after_seconds: float
    """Until the first run began."""
    ended_after_seconds: float
    is_over: bool
    """False when patience ended before the runs did."""


async def watch_runs(client: Client, bars: Bars, *, users: int, updates: int, patience_seconds: float) -> Outcome:
    """Look on until as many *users* as expected have ended runs and nothing is left to do.

    Args:
        client: Where to look.
        bars: Where to show it.
        users: How many users must have a run.
        updates: How many updates the outbox will hold.
        patience_seconds: When to give up.
    """
    began = monotonic()
    first_run_at = ended_at = 0.0
    while True:
        runs = await client.runs()
        mails = await client.outbox()
        states = Counter(run["State"] for run in runs)
        waiting = sum(run["State"] in _WAITING or bool(run.get("NextAttempt")) for run in runs)
        now = monotonic() - began
        bars.show("requests accepted", min(len(runs), users), users)
        bars.show("users done", len(runs) - waiting, users)
        bars.show("updates sent", sum(mail.reason == "update" for mail in mails), updates)
        if not first_run_at and len(runs) > states["Pending"]:
            first_run_at = now
        is_quiet = not waiting and len(runs) >= users
        ended_at = (ended_at or now) if is_quiet else 0.0
        if is_quiet and now - ended_at >= _QUIET_SECONDS:
            return Outcome(tuple(runs), first_run_at, ended_at, is_over=True)
        if now > patience_seconds:
            return Outcome(tuple(runs), first_run_at, now, is_over=False)
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
