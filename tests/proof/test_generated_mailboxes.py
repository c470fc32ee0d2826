"""Any mailbox is migrated, and brought back by undo, as the oracle says, which reads the tenant's state and outbox only.

``make mailboxes`` judges thousands; ``MMS_EXPLORE=1`` looks for other examples here (see tests/conftest.py).
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from proof_generated import DIAL_INS, mailboxes

EXAMPLES = 40
PLAIN = {
    "instant": "2026-06-15T08:10", "dial_in": None, "dial_in_later": None, "representation": "url", "route": "B",
    "generation": "4", "source": "All", "secondary": False, "replaces_providers": False, "edits": [],
    "mailbox": "user", "shared_policy": "migrate", "room_policy": "migrate",
}  # fmt: skip
MEETING = {
    "made": "skype", "template": "skype-online.html", "when": "single", "hours": 0, "minutes": 30, "all_day": False,
    "tag": "en-US", "zone": "UTC", "who": "zoe", "label": "Skype Meeting", "room": False, "calendar": "", "fate": "own",
    "damage": "",
}  # fmt: skip
BY_FLAGS = {**PLAIN, "route": "A", "dial_in": DIAL_INS[1], "dial_in_later": DIAL_INS[1], "items": [MEETING]}
"""An undo left behind what Exchange had added when flags made the meeting: its scheduler's link, its dial-in."""
PASTED_BELOW = {**PLAIN, "items": [{**MEETING, "made": "own and pasted"}]}
"""The block of another meeting that had rightly stayed below ours made the next run write, and mail, again."""
PASTED_SKYPE = {
    **PLAIN, "dial_in": DIAL_INS[1], "dial_in_later": DIAL_INS[2],
    "items": [{**MEETING, "made": "teams and pasted skype", "template": "teams-4.html", "label": ""}],
}  # fmt: skip
"""A refresh took a Skype block that was pasted into a Teams meeting for a part of it."""
SHELL = {**PLAIN, "items": [{**MEETING, "damage": "empty shell"}]}
REPORTED = {**PLAIN, "mailbox": "shared", "shared_policy": "report", "items": [MEETING]}


@pytest.mark.timeout(300)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=mailboxes)
@example(drawn=BY_FLAGS)
@example(drawn=PASTED_BELOW)
@example(drawn=PASTED_SKYPE)
@example(drawn=SHELL)
@example(drawn=REPORTED)
def test_any_mailbox_is_migrated_and_undone_as_the_oracle_says(lab, drawn):
    """Who must change, by exactly one update to everybody; all else is identical; and all of it can be undone."""
    from proof_judged import judged

    assert judged(lab, drawn).problems == []
