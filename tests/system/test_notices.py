"""What organizers and administrators are told by mail, from the tenant's action to the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from system_stack import NOTICE_SENDER

if TYPE_CHECKING:
    from system_stack import Stack

ADMIN = "admin@contoso.example"


@pytest.fixture(scope="module")
def sender(stack: Stack) -> str:
    """The mailbox that letters come from."""
    stack.user(userPrincipalName=NOTICE_SENDER)
    return NOTICE_SENDER


def _letters(stack: Stack, recipient: str) -> int:
    """Count the letters to somebody that are no invitations."""
    rows = stack.tenant("GET", "outbox")["value"]
    letters = [each for each in rows if each["reason"] == "message" and each["recipients"] == [recipient]]
    assert {each["organizer"] for each in letters} <= {NOTICE_SENDER}
    return len(letters)


def test_organizer_is_told_before_and_after_the_run(stack: Stack, sender: str, config: Any) -> None:
    """One letter each, also about a run that is cancelled and comes after all; attendees get their one update."""
    assert sender
    config(AutomaticallySendEmailsToUsers=True)
    user, idle = stack.user(), stack.user()
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
    stack.forget_mails()
    for each in (user, idle):
        stack.start(each, settleMinutes=60)  # what would be announced too late is not announced
    stack.until(lambda: _letters(stack, user.name) == 1)
    for order in ("cancel", "retry"):
        for each in (user, idle):
            stack.until(lambda each=each: stack.status(each)[0]["UserId"])
            stack.order(each, order)
        if order == "cancel":
            stack.until(lambda: _letters(stack, user.name) == 2)
    for each in (user, idle):
        assert stack.finished(each)[0]["State"] == "Succeeded"
    stack.until(lambda: _letters(stack, user.name) == 3)
    assert [mail["reason"] for mail in stack.mails(user)] == ["update"]
    assert _letters(stack, idle.name) == 0, "there is nothing to tell"


def test_administrators_get_a_digest_of_failures(stack: Stack, sender: str, config: Any) -> None:
    """Once, whenever the timer runs, and only while something new has failed."""
    assert sender
    config(FailureDigestRecipients=[ADMIN])
    user = stack.user(mailbox="onPremises")
    stack.start(user, settleMinutes=0)
    assert stack.finished(user)[0]["State"] == "Failed"
    timer = f"{stack.ready['api'].removesuffix('/api')}/admin/functions/digest"
    before = _letters(stack, ADMIN)
    assert stack.http.post(timer, json={}).status_code == 202
    stack.until(lambda: _letters(stack, ADMIN) == before + 1)
    assert stack.http.post(timer, json={}).status_code == 202
    other = stack.user()
    stack.start(other, settleMinutes=0)
    stack.finished(other)
    assert _letters(stack, ADMIN) == before + 1
