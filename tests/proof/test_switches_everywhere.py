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
    "calendarViewSelect": ["refuse"],
    "orphanInstances": ["exception"],
    "filterMode": ["lenient"],
    "filterOnlineMeeting": ["allow"],
    "organizerFilterStatus": [400],
    "instancesOfSingle": [404],
    "applicationAccessPolicy": ["denied"],
    "teamsGeneration": ["1", "2", "3", "3b"],
    "joinInformationEncoding": ["upper"],
    "enforcePermissions": [True],
    "throttle": [True],
    "mailboxConcurrency": [2],
    "mailboxRequests": [40],
    "tenantRequests": [40],
    "teamsRequests": [5],
    "identityUnits": [5],
    "uploadMegabytes": [0.2],
    "messagesPerMinute": [8],
    "recipientsPerDay": [25],
    "retryAfter": ["decimal", "date", "missing"],
    "retryAfterSeconds": [200],
    "latencyMs": [20],
}
"""Every position but the plainest, which each of these cases leaves in one switch only (and see ``WITH``)."""
WITH = {
    "housekeepingSeconds": {"etagHousekeeping": True},
    "mailboxConcurrency": {"throttle": True},
    "mailboxRequests": {"throttle": True},
    "tenantRequests": {"throttle": True},
    "teamsRequests": {"throttle": True},
    "identityUnits": {"throttle": True},
    "uploadMegabytes": {"throttle": True},
    "messagesPerMinute": {"throttle": True},
    "recipientsPerDay": {"throttle": True},
    "retryAfter": {"throttle": True, "mailboxRequests": 40},
    "retryAfterSeconds": {"throttle": True, "mailboxRequests": 40},
}
"""Switches that mean something only together with others."""
TESTED_ALONE = {
    "policyDeniedUsers", "deniedMailboxes", "newMailboxSeconds", "teamsLicenceMissing", "meetingsPerMonth"
}  # fmt: skip
"""Their positions name users, close the mailbox, or leave no way on; each has a test of its own below."""
TEAMS = "57ff2da0-773e-42df-b2af-ffb7a2317929"
"""The service plan that licenses Teams."""
NOT_FOR_A_RUN = {
    "distributionLists": "only taking a list off a meeting matters; the service never changes attendees",
    "userConfigurationWrapped": "read by triage and discovery: tests/system/test_switches.py, tests/triggers",
    "configurationsTop": "read by sweeps and discovery: tests/contract/test_contract_delta.py",
    "upgradePolicyNames": "read by triage: tests/triggers",
    "inheritedPolicies": "read by triage: tests/triggers",
    "deltaMissesLicences": "the users' sweep",
    "deltaReplays": "the users' sweep",
    "deltaGone": "the users' sweep",
    "auditMissing": "triage",
    "teamsAudit": "triage: tests/triggers",
    "directoryDelaySeconds": "what is set up before the service runs",
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
    "answerSeconds": "webhooks",
    "identityWrites": "the service writes nothing to the directory",
    "batchConcurrency": "the service sends no batches",
}
"""Switches that a migration never meets, and who does."""
CASES = [(name, value) for name, values in POSITIONS.items() for value in values]


def test_no_switch_is_forgotten(lab):
    """A new switch of the tenant has to be put somewhere here; a switch of two positions has the other one."""
    known = POSITIONS.keys() | TESTED_ALONE | NOT_FOR_A_RUN.keys()
    assert known == lab.tenant.plain.keys()
    assert not POSITIONS.keys() & NOT_FOR_A_RUN.keys()
    for name, values in POSITIONS.items():
        assert lab.tenant.plain[name] not in values
        assert not isinstance(lab.tenant.plain[name], bool) or values == [not lab.tenant.plain[name]]


def _judged(lab, *, by_flags=False, of_user="", unlicensed=False, **switches):
    from proof_mailbox import of_every_kind
    from proof_oracle import Oracle, look

    tenant = lab.tenant
    tenant.reset()
    mailbox, now = of_every_kind(tenant, lab.clock.now(), singles=9, refreshes=not by_flags), lab.clock.now()
    before, licence = look(tenant, mailbox, now), {"user": mailbox.user["id"], "plans": [TEAMS]}
    if unlicensed:
        tenant.control("POST", "actions/removeLicense", licence)
    if of_user:
        switches[of_user] = [mailbox.user["id"]]
    tenant.control("PATCH", "switches", switches)
    service = lab.service()
    run = service.migrate(mailbox.user)
    tenant.control("PATCH", "switches", tenant.plain)
    if unlicensed:  # whoever judges looks at Teams' meetings
        tenant.control("POST", "actions/assignLicense", licence)
    after, outbox = look(tenant, mailbox, now), tenant.outbox(mailbox.user)
    mails = switches.get("masterMailsExceptions", True)
    oracle = Oracle(mailbox, before, now, by_flags=by_flags, mails_exceptions=mails)
    return run, oracle.problems(after, outbox), {each.code for each in service.entries(mailbox.user)}


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}={value}" for name, value in CASES])
def test_every_position_is_right(lab, name, value):
    """Each meeting is migrated once, by one update, and nothing else is changed."""
    run, problems, _ = _judged(lab, by_flags=name == "applicationAccessPolicy", **{name: value, **WITH.get(name, {})})
    assert (run.state, run.code) == ("Succeeded", None)
    assert problems == []


def test_a_user_without_the_access_policy_is_migrated_by_flags_though_others_have_it(lab):
    """Route A is chosen for the user, not for the tenant."""
    run, problems, _ = _judged(lab, by_flags=True, of_user="policyDeniedUsers")
    assert run.state == "Succeeded"
    assert "by flags" in run.last_message
    assert problems == []


def test_a_mailbox_that_is_too_new_is_waited_for(lab):
    """Exchange answers that there is none for the first quarter of an hour: the retries outlast it."""
    run, problems, _ = _judged(lab, newMailboxSeconds=900)
    assert (run.state, run.code, run.retries) == ("Succeeded", None, 3)
    assert problems == []


@pytest.mark.parametrize(
    ("switches", "code"),
    [({"of_user": "deniedMailboxes"}, "MailboxAccessDenied"), ({"newMailboxSeconds": 300_000}, "MailboxMissing")],
    ids=["out-of-scope", "never-made"],
)
def test_a_closed_mailbox_is_left_as_it_is(lab, switches, code):
    """The run says why; every meeting is as it was, and nobody got mail."""
    run, problems, _ = _judged(lab, **switches)
    assert (run.state, run.code) == ("Failed", code)
    assert problems
    assert all(each.endswith((", but it was not written", "0 mails instead of 1")) for each in problems)


@pytest.mark.parametrize(("status", "code"), [(404, "TeamsLicenceMissing"), (403, "OnlineMeetingsDenied")])
def test_without_a_licence_for_teams_every_meeting_stays_and_says_why(lab, status, code):
    """Teams does not say which it is: no such user, or no right."""
    run, problems, codes = _judged(lab, unlicensed=True, teamsLicenceMissing=status)
    assert run.state == "Failed"
    assert code in codes <= {code, "TeamsMeetingNotFound"}  # the one that is a Teams meeting is looked for
    assert problems
    assert all(each.endswith((", but it was not written", "0 mails instead of 1")) for each in problems)


def test_more_meetings_than_an_organizer_may_have_in_a_month_fail_without_a_mail(lab):
    """Those that fitted are migrated by one update each; the others are as they were when the retries are used up."""
    run, problems, _ = _judged(lab, throttle=True, meetingsPerMonth=4)
    assert (run.state, run.retries) == ("Failed", 9)
    assert 0 < run.invites <= 4 + len("exceptions")
    assert all(each.endswith((", but it was not written", "0 mails instead of 1")) for each in problems)
