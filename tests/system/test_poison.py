"""A run that fails in a way that nobody expected ends where administrators look, and goes on when the cause is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.data.tables import TableServiceClient

if TYPE_CHECKING:
    from system_stack import Stack


def test_a_run_that_crashes_every_time_becomes_a_visible_failure_and_can_be_retried(stack: Stack) -> None:
    """A row of the ledger that cannot be read is a bug to the service: five deliveries, ten seconds apart."""
    user = stack.user()
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()
    broken = {"PartitionKey": user.id, "RowKey": "m|broken", "Entry": "no entry at all"}
    with TableServiceClient.from_connection_string(stack.ready["storage"]) as tables:
        ledger = tables.create_table_if_not_exists("MmsLedger")
        ledger.create_entity(broken)
        stack.start(user)
        (row,) = stack.finished(user, seconds=150)
        assert (row["State"], row["Code"]) == ("Failed", "PoisonedMessage")
        assert row["LastMessage"].startswith("PoisonedMessage: This failed five times")
        assert "Remedy:" in row["LastMessage"]
        assert stack.mails(user) == []
        ledger.delete_entity(broken["PartitionKey"], broken["RowKey"])
    assert stack.api("POST", f"migrations/{user.id}/retry").status_code == 202
    (row,) = stack.finished(user)
    assert (row["State"], row["SucceededMeeting"]) == ("Succeeded", 1)
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]
