"""A run that fails in a way that nobody expected ends where administrators look, and goes on when the cause is gone."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING

from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from system_stack import Stack, User


def _invites(stack: Stack) -> User:
    """Somebody with one Skype meeting, of which nobody has been mailed yet."""
    user = stack.user()
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()
    return user


@contextlib.contextmanager
def _broken(stack: Stack, user: User, row: dict[str, str]) -> Iterator[None]:
    """While this lasts, a row of the user's ledger makes no sense."""
    with TableServiceClient.from_connection_string(stack.ready["storage"]) as tables:
        ledger = tables.create_table_if_not_exists("MmsLedger")
        ledger.create_entity({"PartitionKey": user.id, **row})
        yield
        ledger.delete_entity(user.id, row["RowKey"])


def _goes_on(stack: Stack, user: User) -> None:
    """The cause is gone: a retry does the work, with one mail."""
    assert stack.api("POST", f"migrations/{user.id}/retry").status_code == 202
    (row,) = stack.finished(user)
    assert (row["State"], row["SucceededMeeting"]) == ("Succeeded", 1)
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]


def test_a_run_that_crashes_every_time_becomes_a_visible_failure_and_can_be_retried(stack: Stack) -> None:
    """A claim that is no number is nothing that the service looks out for: five deliveries, ten seconds apart."""
    user = _invites(stack)
    # What the tenant told, in words that nobody expects, fails at the same time.
    named, told = stack.user(), {"kind": "event", "event_id": "x|1", "type": "mms.user.moved", "data": {}}
    told["data"] = {"user": named.id}
    with QueueClient.from_connection_string(stack.ready["storage"], "mms-triggers") as queue:
        for text in (json.dumps(told), json.dumps({"kind": "fromTheFuture", "v": 9})):
            queue.send_message(base64.b64encode(text.encode()).decode())
    with _broken(stack, user, {"RowKey": "f|claim", "Generation": "none", "Nonce": ""}):
        stack.start(user)
        (row,) = stack.finished(user, seconds=150)
        assert (row["State"], row["Code"]) == ("Failed", "PoisonedMessage")
        assert row["LastMessage"].startswith("PoisonedMessage: This failed five times")
        assert "Remedy:" in row["LastMessage"]
        assert stack.mails(user) == []
    _goes_on(stack, user)
    (row,) = stack.finished(named, seconds=150)
    assert (row["State"], row["Code"], row["Reasons"]) == (
        "Failed",
        "TenantMessageFailed",
        ["PoisonedMessage mms.user.moved"],
    )
    listed = stack.until(lambda: _listed(stack))
    assert any(each["MessageId"] in row["LastMessage"] for each in listed)
    assert {"TenantEvent", "unknown"} <= {each["Kind"] for each in listed}


def test_a_row_of_a_meeting_that_cannot_be_read_fails_the_run_with_its_remedy(stack: Stack) -> None:
    """At once, and nobody gets mail: what was written before is not known any more."""
    user = _invites(stack)
    with _broken(stack, user, {"RowKey": "m|broken", "Entry": "no entry at all"}):
        stack.start(user)
        (row,) = stack.finished(user)
        assert (row["State"], row["Code"]) == ("Failed", "RecordUnreadable")
        assert "delete the row" in row["LastMessage"]
        assert stack.mails(user) == []
    _goes_on(stack, user)


def _listed(stack: Stack) -> list[dict[str, str]] | None:
    rows = stack.api("GET", "migrations?summaryOnly=true&summaryBy=message", token="reader").json()["value"]
    return rows if any(each["Kind"] == "unknown" for each in rows) else None
