"""The host is told to stop in the middle of a run: what is in hand is finished, the rest is done after the restart."""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from system_stack import Stack

MEETINGS = 10


def _lines(stack: Stack, correlation_id: str) -> list[str]:
    """What the host has logged about a run: action and fields."""
    log = (stack.path.parent / "data" / "logs" / "host.log").read_text()
    return [line.split(" ", 4)[-1] for line in log.splitlines() if f"correlation_id={correlation_id}" in line]


def _answers(stack: Stack) -> bool:
    with suppress(httpx.TransportError):
        return stack.http.get(f"{stack.ready['api']}/health").is_success
    return False


def test_sigterm_finishes_the_meetings_in_hand_and_doubles_nothing(stack: Stack) -> None:
    """The run is handed over at once, without waiting for its lease to end; each meeting gets one update."""
    user = stack.user()
    made = [
        stack.skype_meeting(user, attendees=("zoe@fabrikam.example",), days=7 + number)["id"]
        for number in range(MEETINGS)
    ]
    stack.forget_mails()
    slow = {"method": "PATCH", "path": f"/users/{user.id}/events/", "times": 0, "delayMs": 1000}
    stack.tenant("POST", "faults", slow)
    run = stack.start(user)["correlationId"]
    stack.until(lambda: stack.mails(user))

    host = stack.ready["pids"]["host"]
    os.kill(host, signal.SIGTERM)
    stack.until(lambda: stack.refresh()["pids"]["host"] != host)
    before = Counter(mail["eventId"] for mail in stack.mails(user))
    stack.tenant("DELETE", "faults")
    stack.until(lambda: _answers(stack))
    rows = stack.finished(user)

    assert 0 < sum(before.values()) < MEETINGS, "the host was to be stopped in the middle"
    assert [(row["State"], row["InvitesUpdate"], row["RetryCount"]) for row in rows] == [("Succeeded", MEETINGS, 0)]
    assert Counter(mail["eventId"] for mail in stack.mails(user)) == dict.fromkeys(made, 1)
    said = _lines(stack, run)
    assert sum(line.startswith("run_ended") and "code=Stopping" in line for line in said) == 1
    assert sum(line.startswith("run_started") for line in said) == 2
    assert not [line for line in said if line.startswith(("run_taken_over", "lease_lost"))]
