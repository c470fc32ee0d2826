"""Any mailbox is migrated, and brought back by undo, as the oracle says, which reads the tenant's state and outbox only.

``make mailboxes`` judges thousands; ``MMS_EXPLORE=1`` looks for other examples here (see tests/conftest.py).
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from proof_generated import mailboxes

EXAMPLES = 40


@pytest.mark.timeout(300)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=mailboxes)
def test_any_mailbox_is_migrated_and_undone_as_the_oracle_says(lab, drawn):
    """Who must change, by exactly one update to everybody; all else is identical; and all of it can be undone."""
    from proof_judged import judged  # noqa: PLC0415 - importable only now

    assert judged(lab, drawn).problems == []
