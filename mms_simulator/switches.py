"""Every switch of the tenant: where public text leaves a question open, the position decides (check-list, section 11).

``GET`` and ``PATCH /_tenant/switches`` read and move them. The defaults are the plainest positions.
"""

from typing import Literal

import msgspec


class Switches(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Positions of all switches; the fact sheet's section stands at each."""

    blobMode: Literal["drop", "reappend", "alternate"] = "drop"
    """1.4: a body without the block in a PATCH that also says isOnlineMeeting: true."""
    providerChange: Literal["ignore", "refuse"] = "ignore"
    """1.2, 1.4: another onlineMeetingProvider, or isOnlineMeeting false, once the provider is set."""
    providerFollowsBlob: bool = False
    """3.3: a Teams block written into a Skype event turns onlineMeetingProvider into teamsForBusiness."""
    skypeRepresentation: Literal["url", "provider"] = "url"
    """3.3: a Skype event shows onlineMeetingUrl only, or isOnlineMeeting with provider skypeForBusiness."""
    distributionLists: list[str] = []
    """1.5: addresses that are lists; taking one off mails all attendees."""
    joinUrlDelaySeconds: float = 0
    """1.4: onlineMeeting.joinUrl stays empty so long after Graph made the meeting."""
    ifMatch: Literal["412", "409", "ignore"] = "412"
    """1.6: the answer to a stale If-Match."""
    etagHousekeeping: bool = False
    """1.6: the change key moves by itself after creation."""
    housekeepingSeconds: float = 120
    """1.6: how long after creation it moves."""
    mailOnUnchanged: bool = False
    """1.5: a PATCH that repeats what is there mails all the same."""
    mailForImportance: bool = False
    """1.5: a PATCH of importance alone mails."""
    patchSendsDraft: bool = False
    """1.5: a PATCH of a draft meeting sends it."""
    masterMailsExceptions: bool = True
    """1.5: a PATCH of a series mails once more for each exception."""
    exceptionBody: Literal["own", "inherit"] = "own"
    """11e: an exception keeps the body it had when made, or follows the master until it is edited itself."""
    patternChangeDropsExceptions: bool = True
    """A PATCH of the recurrence or the time of a series puts modified and cancelled occurrences back."""
    readOnlyProperties: Literal["ignore", "refuse"] = "ignore"
    """1.3: read-only properties in a write."""
    unsafeHtml: Literal["strip", "stripStyles", "keep"] = "strip"
    """1.7: what is taken out of a returned body without Prefer: outlook.allow-unsafe-html."""
    emptyPages: bool = False
    """Check-list 1: every other page of a list is empty but has a nextLink."""
    trailingNextLink: bool = False
    """2.1: a nextLink even after the last page when that page is full."""
    eventsScope: Literal["defaultCalendar", "allCalendars"] = "defaultCalendar"
    """2.1: what /users/{id}/events covers."""
    maxTop: int = 1000
    """2.1: the largest page."""
    calendarViewMaxDays: int = 0
    """2.1: the longest calendarView; 0 means any."""
    calendarViewSelect: Literal["omit", "refuse"] = "omit"
    """2.1: createdDateTime and lastModifiedDateTime in $select of a calendarView."""
    orphanInstances: Literal["singleInstance", "exception"] = "singleInstance"
    """1.5: the type of the copy of somebody who was invited to one occurrence of a series only."""
    filterMode: Literal["strict", "lenient"] = "strict"
    """2.2: strict refuses what the table does not list; lenient also compares any plain property of an event."""
    filterOnlineMeeting: Literal["refuse", "allow"] = "refuse"
    """2.2: $filter=isOnlineMeeting eq true."""
    organizerFilterStatus: Literal[400, 501] = 501
    """2.2: the status that refuses a filter on organizer."""
    instancesOfSingle: Literal[400, 404] = 400
    """2.1: /instances of an event that is no series."""
    applicationAccessPolicy: Literal["granted", "denied"] = "granted"
    """5.3: the Teams application access policy."""
    policyDeniedUsers: list[str] = []
    """5.3: object ids without the policy although the others have it."""
    teamsLicenceMissing: Literal[404, 403] = 404
    """5.3: the answer about online meetings of a user without a licence for Teams."""
    deniedMailboxes: list[str] = []
    """2.6: object ids or addresses outside the application's scope."""
    newMailboxSeconds: float = 0
    """2.6: so long after its creation a mailbox answers 404."""
    teamsGeneration: Literal["1", "2", "3", "3b", "4"] = "4"
    """4.2: the generation of the block that Graph writes."""
    joinInformationEncoding: Literal["lower", "upper"] = "lower"
    """4.3: today's data URL, or the older one with its prefix encoded and upper-case escapes."""
    userConfigurationWrapped: bool = False
    """6.4: GET of one Teams user configuration wraps it in value."""
    configurationsTop: Literal["page", "total"] = "page"
    """6.4: $top of the list of Teams user configurations is the size of a page, as in other lists of Graph, or as OData
    says all that is wanted; then nobody heeds a preferred size of pages either."""
    upgradePolicyNames: Literal["mode", "instance"] = "mode"
    """6.4: TeamsUpgradePolicy is shown by mode (TeamsOnly) or by policy instance (UpgradeToTeams)."""
    inheritedPolicies: Literal["group", "omit"] = "group"
    """6.4: a policy that is not assigned to the user directly is listed as group, or not listed."""
    deltaMissesLicences: bool = False
    """6.3: users/delta does not notice licence changes."""
    deltaReplays: bool = False
    """6.3: users/delta repeats what it has said before."""
    deltaGone: bool = False
    """6.3: every delta token has expired: 410."""
    teamsAudit: Literal["grants", "all"] = "grants"
    """6.5: what leaves a record of Teams administration in the feed: grants of policies, or what the actions setCvi,
    moveUser, unassignNumber and setAudioConferencing stand for as well."""
    auditMissing: bool = False
    """6.3: directory audit records are lost."""
    auditDelaySeconds: float = 0
    """6.6: audit records and content of the feed are listed so much later."""
    loseNotifications: bool = False
    """7: webhook calls are lost; listings and the directory still tell the truth."""
    duplicateNotifications: bool = False
    """7: every notification comes twice."""
    reorderNotifications: bool = False
    """7: the notifications of a batch come in reverse order."""
    batchMilliseconds: float = 20
    """7: notifications for one address within this time travel together."""
    slowReceiver: bool = False
    """7: receivers slower than 2.9 s are delayed by ten minutes (10 of 100 answers) and then dropped (15)."""
    answerSeconds: float = 30
    """7: a webhook that has not answered by then has failed; documented are 3, more spares a busy machine."""
    notificationRetrySeconds: float = 1
    """7: first delay before a failed delivery is repeated; it doubles up to a minute."""
    reauthorizeSeconds: float = 0
    """7: so long before a subscription ends, reauthorizationRequired is sent; 0 means never by itself."""
    enforcePermissions: bool = False
    """2.6: calls are refused whose token's roles lack an application permission for them."""
    directoryDelaySeconds: float = 0
    """6: so long applications, service principals and assignments are not seen after they were made."""
    throttle: bool = False
    """8.1: apply the limits below."""
    mailboxConcurrency: int = 4
    """8.1: requests in flight for each mailbox."""
    mailboxRequests: int = 10_000
    """8.1: requests for each mailbox in ten minutes."""
    tenantRequests: int = 130_000
    """8.1: requests of the application in ten seconds."""
    teamsRequests: int = 30
    """8.1: requests to Teams resources in a second."""
    identityUnits: int = 5_000
    """8.1: resource units of the directory in ten seconds."""
    identityWrites: int = 3_000
    """8.1: writes to the directory in two and a half minutes."""
    uploadMegabytes: float = 150
    """8.1: what a mailbox may be sent in five minutes."""
    meetingsPerMonth: int = 2_000
    """8.1: online meetings that a user may have made in thirty days."""
    batchConcurrency: int = 4
    """8.2: parts of a batch that run at once; others report that all do, and that the fifth for a mailbox gets 429."""
    auditRequests: int = 5
    """8.1: requests to audit logs in ten seconds."""
    messagesPerMinute: int = 30
    """1.5: mails a mailbox may send in a minute; over it the write is refused."""
    recipientsPerDay: int = 10_000
    """1.5: recipients a mailbox may mail in a day."""
    retryAfter: Literal["integer", "decimal", "date", "missing"] = "integer"
    """8.1: the shape of Retry-After."""
    retryAfterSeconds: float = 2
    """8.1: its value."""
    latencyMs: float = 0
    """Added to every Graph answer."""
    eventsUrl: str | None = None
    """Where the tenant's own CloudEvents go."""
