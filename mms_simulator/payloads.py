"""The shapes of request bodies: what has the wrong type is refused before anything is done with it.

Only shapes are checked here; what values mean is checked where they are used. Unknown properties are ignored, as Graph
ignores most of them.
"""

from typing import Any, Literal, TypeVar

import msgspec

from mms_simulator.errors import bad_request

Shape = TypeVar("Shape", bound=msgspec.Struct)
Text = str | None
Flag = bool | Literal["true", "false", ""] | None
"""The client O365 sends booleans as text, and lives with the real service."""
Number = int | None


class _Part(msgspec.Struct, kw_only=True):
    """Base of all shapes."""


class EmailAddress(_Part):
    """emailAddress."""

    name: Text = None
    address: Text = None


class Recipient(_Part):
    """A recipient or an attendee."""

    emailAddress: EmailAddress | None = None
    type: Text = None


class Moment(_Part):
    """dateTimeTimeZone."""

    dateTime: Text = None
    timeZone: Text = None


class Body(_Part):
    """itemBody."""

    contentType: Text = None
    content: Text = None


class Location(_Part):
    """A location."""

    displayName: Text = None
    locationType: Text = None
    uniqueId: Text = None
    uniqueIdType: Text = None
    locationUri: Text = None
    locationEmailAddress: Text = None
    address: dict[str, Any] | None = None
    coordinates: dict[str, Any] | None = None


class Pattern(_Part):
    """recurrencePattern."""

    type: Text = None
    interval: Number = None
    month: Number = None
    dayOfMonth: Number = None
    daysOfWeek: list[str] | None = None
    firstDayOfWeek: Text = None
    index: Text = None


class Range(_Part):
    """recurrenceRange."""

    type: Text = None
    startDate: Text = None
    endDate: Text = None
    numberOfOccurrences: Number = None
    recurrenceTimeZone: Text = None


class Recurrence(_Part):
    """patternedRecurrence."""

    pattern: Pattern | None = None
    range: Range | None = None


class Property(_Part):
    """singleValueLegacyExtendedProperty."""

    id: Text = None
    value: Text = None


class MultiProperty(_Part):
    """multiValueLegacyExtendedProperty."""

    id: Text = None
    value: list[str] | None = None


class Event(_Part):
    """What may be written into an event."""

    subject: Text = None
    body: Body | None = None
    start: Moment | None = None
    end: Moment | None = None
    attendees: list[Recipient] | None = None
    organizer: Recipient | None = None
    location: Location | None = None
    locations: list[Location] | None = None
    recurrence: Recurrence | None = None
    categories: list[str] | None = None
    importance: Text = None
    sensitivity: Text = None
    showAs: Text = None
    transactionId: Text = None
    onlineMeetingProvider: Text = None
    isOnlineMeeting: Flag = None
    isAllDay: Flag = None
    isReminderOn: Flag = None
    reminderMinutesBeforeStart: Number = None
    responseRequested: Flag = None
    hideAttendees: Flag = None
    allowNewTimeProposals: Flag = None
    singleValueExtendedProperties: list[Property] | None = None
    multiValueExtendedProperties: list[MultiProperty] | None = None


class LicenseGiven(_Part):
    """assignedLicense."""

    skuId: str
    disabledPlans: list[str] | None = None


class AssignLicense(_Part):
    """The body of assignLicense."""

    addLicenses: list[LicenseGiven] | None = None
    removeLicenses: list[str] | None = None


class CheckGroups(_Part):
    """The bodies of checkMemberGroups and its kin."""

    groupIds: list[str] | None = None
    ids: list[str] | None = None
    securityEnabledOnly: Flag = None


class Group(_Part):
    """A group for the control surface."""

    id: Text = None
    displayName: Text = None
    memberOf: list[str] | None = None


class ResourceAccess(_Part):
    """resourceAccess."""

    id: Text = None
    type: Text = None


class RequiredAccess(_Part):
    """requiredResourceAccess."""

    resourceAppId: Text = None
    resourceAccess: list[ResourceAccess] = []


class Application(_Part):
    """What may be written into an application."""

    displayName: Text = None
    description: Text = None
    signInAudience: Text = None
    identifierUris: list[str] | None = None
    appRoles: list[dict[str, Any]] | None = None
    requiredResourceAccess: list[RequiredAccess] | None = None
    api: dict[str, Any] | None = None
    tags: list[str] | None = None


class Principal(_Part):
    """What may be written into a service principal."""

    appId: Text = None
    accountEnabled: Flag = None
    appRoleAssignmentRequired: Flag = None
    tags: list[str] | None = None
    notes: Text = None


class Assignment(_Part):
    """appRoleAssignment."""

    principalId: Text = None
    resourceId: Text = None
    appRoleId: Text = None


class Consent(_Part):
    """oauth2PermissionGrant."""

    clientId: Text = None
    resourceId: Text = None
    consentType: Text = None
    principalId: Text = None
    scope: Text = None


class Identity(_Part):
    """A managed identity for the control surface."""

    displayName: Text = None
    appId: Text = None


class Attachment(_Part):
    """An attachment."""

    name: Text = None
    contentType: Text = None
    contentBytes: Text = None
    size: Number = None
    isInline: Flag = None


class Participant(_Part):
    """meetingParticipantInfo."""

    upn: Text = None
    role: Text = None
    identity: dict[str, Any] | None = None


class Participants(_Part):
    """meetingParticipants."""

    attendees: list[Participant] | None = None


class Meeting(_Part):
    """What may be written into an online meeting."""

    subject: Text = None
    startDateTime: Text = None
    endDateTime: Text = None
    externalId: Text = None
    participants: Participants | None = None
    joinMeetingIdSettings: dict[str, Any] | None = None
    lobbyBypassSettings: dict[str, Any] | None = None


class Subscription(_Part):
    """A subscription, new or renewed."""

    changeType: Text = None
    resource: Text = None
    notificationUrl: Text = None
    lifecycleNotificationUrl: Text = None
    clientState: Text = None
    expirationDateTime: Text = None


class Webhook(_Part):
    """The webhook of the activity feed."""

    address: Text = None
    authId: Text = None
    expiration: Text = None


class Feed(_Part):
    """The start of a content type."""

    webhook: Webhook | None = None


class BatchPart(_Part):
    """One request of a batch."""

    id: str
    method: str
    url: str
    headers: dict[str, str] | None = None
    dependsOn: list[str] | None = None


class Batch(_Part):
    """A batch."""

    requests: list[BatchPart]


class Letter(_Part):
    """A message to send."""

    toRecipients: list[Recipient] | None = None
    ccRecipients: list[Recipient] | None = None
    bccRecipients: list[Recipient] | None = None


class Mail(_Part):
    """The body of sendMail."""

    message: Letter | None = None
    Message: Letter | None = None


class CalendarGiven(_Part):
    """A further calendar of a user."""

    name: Text = None
    canEdit: Flag = None
    owner: EmailAddress | None = None


class User(_Part):
    """A user for the control surface."""

    userPrincipalName: str
    id: Text = None
    displayName: Text = None
    mail: Text = None
    sip: Text = None
    mailbox: Text = None
    mailboxKind: Text = None
    homed: Text = None
    mode: Text = None
    directMode: Text = None
    plans: list[str] | None = None
    audioConferencing: dict[str, Any] | None = None
    cvi: Text = None
    language: Text = None
    timeZone: Text = None
    allowedOnlineMeetingProviders: list[str] | None = None
    calendars: list[CalendarGiven] | None = None
    groups: list[str] | None = None


class Action(_Part):
    """An action of the control surface; each reads what it needs."""

    user: Text = None
    tenant: Flag = None
    plans: list[str] | None = None
    policy: Text = None
    mode: Text = None
    migrateMeetingsToTeams: Flag = None
    direction: Text = None
    moveToTeams: Flag = None
    number: Text = None
    replacement: Text = None
    sip: Text = None
    url: Text = None
    eventId: Text = None
    isDraft: Flag = None
    name: Text = None
    contentType: Text = None
    size: Number = None
    event: Text = None
    groups: list[str] | None = None
    calendar: Text = None
    canEdit: Flag = None


class Token(_Part):
    """A token as asked for."""

    aud: Text = None
    iss: Text = None
    tid: Text = None
    roles: list[str] | None = None
    expiresIn: float | None = None
    alg: Text = None
    kid: Text = None
    appid: Text = None


class Clock(_Part):
    """A move of the clock."""

    now: Text = None
    offsetSeconds: float | None = None
    advanceSeconds: float | None = None
    seconds: float | None = None
    minutes: float | None = None
    hours: float | None = None
    days: float | None = None


def truth(value: Any) -> bool | None:
    """Read a boolean, written as text too; ``None`` when it says nothing."""
    return {"true": True, "false": False, "": None}.get(value) if isinstance(value, str) else value


def plain(given: Any) -> Any:
    """Give a value back when UTF-8 can write all of it; users and settings hold no halves of characters."""
    try:
        msgspec.json.encode(given)
    except UnicodeEncodeError as exc:
        raise bad_request("The request body holds half a character.", "RequestBodyRead") from exc
    return given


def checked(given: Any, shape: type[Shape]) -> dict[str, Any]:
    """Give a body back as it came when it has the shape; 400 RequestBodyRead says where it has not."""
    try:
        msgspec.convert(given, shape)
    except (msgspec.ValidationError, UnicodeError) as exc:
        raise bad_request(f"The request body is not valid: {exc}", "RequestBodyRead") from exc
    found: dict[str, Any] = given
    return found
