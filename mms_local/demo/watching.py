"""Looks on while the service works: requests settle, runs go, updates leave."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from mms_local.demo.console import Bars
from mms_local.demo.tenant import Client

_LOOK_EVERY_SECONDS = 1.0
_WAITING = {"Pending", "InProgress"}
_QUIET_SECONDS = 3.0
"""After the last run has ended: time for a run that should not exist to show itself."""
_LATE_SECONDS = 15.0
"""On top of the settling: time for a request that is missing to be heard of after all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the watching ended."""

    runs: tuple[Mapping[str, Any], ...]
    is_over: bool
    """False when patience ended before the runs did."""


async def watch_runs(
    client: Client, bars: Bars, *, users: int, updates: int, settle_seconds: float, patience_seconds: float
) -> Outcome:
    """Look on until as many *users* as expected have ended runs and nothing is left to do.

    Args:
        client: Where to look.
        bars: Where to show it.
        users: How many users must have a run.
        updates: How many updates the outbox will hold.
        settle_seconds: How long requests wait; nothing is missing before that.
        patience_seconds: When to give up in any case.
    """
    began = quiet_since = monotonic()
    while True:
        runs = await client.runs()
        mails = await client.outbox()
        waiting = sum(_is_waiting(run) for run in runs)
        bars.show("requests accepted", min(len(runs), users), users)
        bars.show("users done", len(runs) - waiting, users)
        bars.show("updates sent", sum(mail.reason == "update" for mail in mails), updates)
        now = monotonic()
        if waiting:
            quiet_since = now
        is_complete = len(runs) >= users
        enough = _QUIET_SECONDS if is_complete else settle_seconds + _LATE_SECONDS
        if now - quiet_since >= enough or now - began >= patience_seconds:
            return Outcome(_by_user(runs), is_over=is_complete and not waiting)
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _is_waiting(run: Mapping[str, Any]) -> bool:
    return run["State"] in _WAITING or bool(run.get("NextAttempt"))


def _by_user(runs: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The same order on every run of the demo, however fast the users were."""
    return tuple(sorted(runs, key=lambda run: str(run["UserPrincipalName"])))
