"""Where public text leaves open how Graph behaves, the service is right in every position of every switch.

``tests/system/test_switches.py`` shows the same through the whole stack for some; here no switch is left out.
"""

from __future__ import annotations

import pytest

POSITIONS = {
    "blobMode": ["reappend", "alternate"],
    "providerChange": ["refuse"],
    "providerFollowsBlob": [True],
    "skypeRepresentation": ["provider"],
    "joinUrlDelaySeconds": [120],
    "ifMatch": ["409", "ignore"],
    "etagHousekeeping": [True],
    "housekeepingSeconds": [0.05],
    "mailOnUnchanged": [True],
    "mailForImportance": [True],
    "patchSendsDraft": [True],
    "masterMailsExceptions": [False],
    "exceptionBody": ["inherit"],
    "patternChangeDropsExceptions": [False],
    "readOnlyProperties": ["refuse"],
    "unsafeHtml": ["stripStyles", "keep"],
    "emptyPages": [True],
    "trailingNextLink": [True],
    "eventsScope": ["allCalendars"],
    "maxTop": [3],
    "calendarViewMaxDays": [400],
    "filterMode": ["lenient"],
    "filterOnlineMeeting": ["allow"],
    "organizerFilterStatus": [400],
    "instancesOfSingle": [404],
    "applicationAccessPolicy": ["denied"],
    "teamsGeneration": ["1", "2", "3", "3b"],
    "joinInformationEncoding": ["upper"],
    "throttle": [True],
    "mailboxConcurrency": [2],
    "mailboxRequests": [40],
    "tenantRequests": [40],
    "teamsRequests": [5],
    "identityUnits": [5],
    "messagesPerMinute": [8],
    "recipientsPerDay": [25],
    "retryAfter": ["decimal", "date", "missing"],
    "retryAfterSeconds": [200],
    "latencyMs": [20],
    "newMailboxSeconds": [300],
}
"""Every position but the plainest, which each of these cases leaves in one switch only (and see ``WITH``)."""
WITH = {
    "housekeepingSeconds": {"etagHousekeeping": True},
    "mailboxConcurrency": {"throttle": True},
    "mailboxRequests": {"throttle": True},
    "tenantRequests": {"throttle": True},
    "teamsRequests": {"throttle": True},
    "identityUnits": {"throttle": True},
    "messagesPerMinute": {"throttle": True},
    "recipientsPerDay": {"throttle": True},
    "retryAfter": {"throttle": True, "mailboxRequests": 40},
    "retryAfterSeconds": {"throttle": True, "mailboxRequests": 40},
}
"""Switches that mean something only together with others."""
TAKES_IDS = {"policyDeniedUsers", "deniedMailboxes"}
"""Their positions name users; each has a test of its own below."""
NOT_FOR_A_RUN = {
    "distributionLists": "only taking a list off a meeting matters; the service never changes attendees",
    "userConfigurationWrapped": "read by triage and discovery: tests/system/test_switches.py, tests/triggers",
    "upgradePolicyNames": "read by triage: tests/triggers",
    "inheritedPolicies": "read by triage: tests/triggers",
    "deltaMissesLicences": "the users' sweep",
    "deltaReplays": "the users' sweep",
    "deltaGone": "the users' sweep",
    "auditMissing": "triage",
    "auditDelaySeconds": "triage",
    "auditRequests": "triage",
    "loseNotifications": "webhooks",
    "duplicateNotifications": "webhooks",
    "reorderNotifications": "webhooks",
    "batchMilliseconds": "webhooks",
    "slowReceiver": "webhooks",
    "notificationRetrySeconds": "webhooks",
    "reauthorizeSeconds": "subscriptions",
    "eventsUrl": "webhooks",
}
"""Switches that a migration never meets, and who does."""
CASES = [(name, value) for name, values in POSITIONS.items() for value in values]


def test_no_switch_is_forgotten(lab):
    """A new switch of the tenant has to be put somewhere here; a switch of two positions has the other one."""
    known = POSITIONS.keys() | TAKES_IDS | NOT_FOR_A_RUN.keys()
    assert known == lab.tenant.plain.keys()
    assert not POSITIONS.keys() & NOT_FOR_A_RUN.keys()
    for name, values in POSITIONS.items():
        assert lab.tenant.plain[name] not in values
        assert not isinstance(lab.tenant.plain[name], bool) or values == [not lab.tenant.plain[name]]


def _judged(lab, *, by_flags=False, loose=(), **switches):
    from proof_faults import NUMBER  # noqa: PLC0415 - importable only now
    from proof_mailbox import of_every_kind  # noqa: PLC0415
    from proof_oracle import Oracle, look  # noqa: PLC0415

    tenant = lab.tenant
    tenant.reset()
    mailbox, now = of_every_kind(tenant, lab.clock.now(), singles=9, refreshes=not by_flags), lab.clock.now()
    before = look(tenant, mailbox, now)
    tenant.control("PATCH", "switches", switches)
    run = lab.service().migrate(mailbox.user)
    tenant.control("PATCH", "switches", tenant.plain)
    after, outbox = look(tenant, mailbox, now), tenant.outbox(mailbox.user)
    mails = switches.get("masterMailsExceptions", True)
    oracle = Oracle(mailbox, before, now, number=NUMBER, by_flags=by_flags, mails_exceptions=mails)
    return run, oracle.problems(after, outbox)


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}={value}" for name, value in CASES])
def test_every_position_is_right(lab, name, value):
    """Each meeting is migrated once, by one update, and nothing else is changed."""
    run, problems = _judged(lab, by_flags=name == "applicationAccessPolicy", **{name: value, **WITH.get(name, {})})
    assert (run.state, run.code) == ("Succeeded", None)
    assert problems == []
