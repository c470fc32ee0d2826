"""The error tree, and the catalogue of everything that can go wrong with a stable code, a cause and a remedy.

Expected failures are values or one of these exceptions; anything else is a bug and stays loud. The split follows
what somebody can *do*: :class:`TemporaryError` is worth another try, :class:`PermanentError` is not until an
administrator has removed the cause, :class:`BadInput` goes back to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import timedelta

FOREIGN_TEXT_LIMIT: Final = 200
"""Characters of somebody else's error text that we keep: enough to look it up, too little to carry a mail."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means to an administrator: why it happened and what to do."""

    cause: str
    remedy: str
    rule: str | None = None


CATALOGUE: Final[dict[str, Explanation]] = {
    # -- a user's migration cannot run -------------------------------------------------------------------------
    "UserNotFound": Explanation(
        "No user with this name, object id or SIP address exists in the tenant.",
        "Check the spelling with Get-MgUser, then start the migration again.",
    ),
    "MailboxOnPremises": Explanation(
        "The mailbox is not in Exchange Online: it is on-premises, inactive or soft-deleted.",
        "Move the mailbox to Exchange Online first, or run the Meeting Migration Tool for this user, then start again.",
        "W2",
    ),
    "MailboxMissing": Explanation(
        "Exchange Online does not know a mailbox for this user.",
        "Nothing to do for a new user, a new licence or a move: the run is tried again for 24 hours. Else assign an "
        "Exchange Online plan, wait 15 minutes, then start again.",
        "W2",
    ),
    "MailboxAccessDenied": Explanation(
        "The app may not read or write this mailbox.",
        "Add the mailbox to the app's management scope (RBAC for Applications, role Application Calendars.ReadWrite); "
        "it takes up to 2 hours. Then start again.",
    ),
    "AppAccessPolicyMissing": Explanation(
        "Teams does not let the app create meetings for this user: no application access policy names it.",
        "Run New-CsApplicationAccessPolicy and Grant-CsApplicationAccessPolicy for this user or -Global, "
        "wait 30 minutes, then start again.",
    ),
    "ThirdPartyAcp": Explanation(
        "The invitation carries the dial-in numbers of another audio conferencing provider.",
        "Set AutomaticallyReplaceAcpProvider to true and assign the Audio Conferencing licence, then start again.",
        "W4",
    ),
    "MigrationDisabled": Explanation(
        "MeetingMigrationEnabled is false.",
        "Set MeetingMigrationEnabled to true, then start again.",
        "N7",
    ),
    "TriggerSwitchedOff": Explanation(
        "This kind of trigger is switched off in the settings.",
        "Set its switch (TriggerT1 to TriggerT11, for T3 to T8 also AutomaticallyMigrateUserMeetings) to true, then "
        "start again.",
        "X1",
    ),
    "UserExcluded": Explanation(
        "The lists of users and groups in the settings leave this user out.",
        "Change AllowedUsers, AllowedGroups, DeniedUsers or DeniedGroups, then start again.",
        "X2",
    ),
    "NotInPilot": Explanation(
        "The user is not in the pilot (PilotPercentage), and nobody asked for the migration by hand.",
        "Raise PilotPercentage and retry, or start the migration for this user.",
        "X3",
    ),
    "ReportOnly": Explanation(
        "The policy for this kind of mailbox is to report what would be done, and to write nothing.",
        "Set SharedMailboxPolicy or RoomMailboxPolicy to migrate, then start again.",
        "X4",
    ),
    "MailboxSettingsDenied": Explanation(
        "The app may not read the settings of this mailbox, so it cannot tell a person's from a shared one or a room.",
        "Grant the app role MailboxSettings.Read, then start again.",
    ),
    "TeamsLicenceMissing": Explanation(
        "No Teams service plan is in force for this user.",
        "Assign a licence that includes Teams (TEAMS1), then start again.",
    ),
    "NoDialIn": Explanation(
        "The user has no Audio Conferencing licence: invitations will carry no dial-in coordinates.",
        "Nothing to do, or assign the licence before the migration.",
        "R7",
    ),
    "HomedOnPremises": Explanation(
        "Teams says that this user is still homed on-premises.",
        "Move the user with Move-CsUser first, then start again.",
        "N6",
    ),
    "OnlineMeetingsDenied": Explanation(
        "Teams lets the app neither read nor make meetings of this user.",
        "Grant the app role OnlineMeetings.ReadWrite.All and a licence for Teams to the user, then start again.",
    ),
    "OutsideWindow": Explanation(
        "The maintenance window has closed (MaintenanceDays, MaintenanceHours, MaintenanceTimeZone).",
        "Nothing to do: the run goes on when the window opens.",
    ),
    "SendingLimit": Explanation(
        "As many recipients as RecipientsPerDay (of the tenant) or MailboxRecipientsPerDay (of the organizer) allows "
        "have got an update in the last 24 hours.",
        "Nothing to do: the run goes on by itself. Raise RecipientsPerDay if the tenant's limit is higher.",
    ),
    "ListsChanged": Explanation(
        "The lists of groups in the settings were changed while the run was at work.",
        "Nothing to do: the run asks again whether the user is in them, and goes on or ends.",
    ),
    "Stopping": Explanation("The machine that worked on it stops.", "Nothing to do: another one goes on."),
    "PoisonedMessage": Explanation(
        "This failed five times in a way that the service did not expect.",
        "Search the log for the correlation id, report the bug, then retry the migration, or put the message back.",
    ),
    "TenantMessageFailed": Explanation(
        "What the tenant told about this user failed five times in a way that the service did not expect; no migration"
        " had begun.",
        "Report the bug, then put the message back, or start a migration yourself. LastMessage names the message.",
    ),
    "MessageReplayed": Explanation(
        "The message that failed was put back.", "Nothing to do: what comes of it is a run of its own, or a decision."
    ),
    "MeetingsFailed": Explanation(
        "Some meetings could not be migrated.",
        "Open the user's meetings: each failed one names its cause. Remove it, then retry.",
        "Q4",
    ),
    "CalendarGone": Explanation(
        "A secondary calendar was removed while it was looked at; those of its meetings that had not been read are "
        "missing from the result.",
        "Nothing to do, unless the calendar is there again: then start again.",
    ),
    "Cancelled": Explanation("An administrator cancelled the migration.", "Start it again when it is wanted."),
    # -- a single meeting cannot be migrated -----------------------------------------------------------------------
    "PastedBlock": Explanation(
        "The invitation contains a copied meeting block; the meeting was not made with the online-meeting button.",
        "Nothing to do, or make a meeting of its own for it.",
        "W5",
    ),
    "TooManyAttendees": Explanation(
        "The meeting has more than 250 attendees, the organizer included.",
        "Ask the organizer to add a Teams meeting by hand and to send the update.",
        "W6",
    ),
    "AmbiguousBlock": Explanation(
        "The invitation contains more than one thing that could be the meeting block.",
        "Nothing was changed. Ask the organizer to remove the surplus block, then retry.",
    ),
    "SkypeStaysSkype": Explanation(
        "The request was for target Current: Skype meetings stay Skype meetings. Those of an on-premises server become "
        "online ones only where the mailbox allows Skype for Business Online.",
        "Start the migration with targetMeetingType Teams.",
        "R6",
    ),
    "SkypeOnlineUnavailable": Explanation(
        "The user has left the on-premises Skype server, and this mailbox cannot make meetings of Skype for Business "
        "Online (allowedOnlineMeetingProviders), or the event is bound to its old provider.",
        "Start the migration with targetMeetingType Teams, and set MoveWithoutMoveToTeams to Teams.",
        "T2",
    ),
    "TeamsMeetingNotFound": Explanation(
        "Teams does not know the meeting that the invitation leads to (it may have expired or belong to another user).",
        "Nothing was changed. Ask the organizer to add a new Teams meeting.",
    ),
    "Deleted": Explanation("The meeting was deleted before it was its turn.", "Nothing to do."),
    "NoLongerDue": Explanation(
        "The meeting ended before it was its turn (W7), or was changed so that there is nothing to migrate any more.",
        "Nothing to do.",
    ),
    "BlockNotFound": Explanation(
        "The event was made as a Skype meeting, but its invitation holds no meeting block any more.",
        "Nothing was changed. If people are to meet online, ask the organizer to add a Teams meeting.",
    ),
    "MeetingChanged": Explanation(
        "The meeting was edited while the run wanted to write it.",
        "The run looks at it again by itself.",
    ),
    "Mojibake": Explanation(
        "An earlier migration turned characters of the invitation into ï¿½; what they were is not known.",
        "Ask the organizer to correct the words; inside the meeting block they go with it.",
    ),
    "EmptyShell": Explanation(
        "An earlier migration left parts of a meeting block without a link to join.",
        "Nothing to do where it is certain: the next write takes it out. Else ask the organizer to remove it.",
    ),
    "TwoJoinLinks": Explanation(
        "The invitation leads to two different meetings.",
        "Nothing to do where the properties tell which is its own. Else ask the organizer to remove the other.",
    ),
    "VerificationFailed": Explanation(
        "After the update the meeting did not look as planned.",
        "Open the meeting and compare; the original invitation is kept and can be restored with undo.",
    ),
    "MeetingRejected": Explanation(
        "Exchange refused the update of this meeting as invalid.",
        "Ask the organizer to open and save the meeting once, then retry.",
    ),
    "OriginalTooLarge": Explanation(
        "The invitation is too large to be kept for undo, so it was not changed.",
        "Ask the organizer to shorten it (pictures belong into attachments), then retry.",
    ),
    "ChangedSincePreview": Explanation(
        "Somebody changed the meeting after the preview was made.",
        "Nothing was changed. Make a new preview and look at it again.",
    ),
    "Restored": Explanation("An administrator restored the original invitation.", "Migrate again when it is wanted."),
    "ReplacedMeetingEnded": Explanation(
        "The Teams meeting that the original invitation leads to was ended after its days of grace.",
        "Nothing was restored. Raise EndReplacedMeetingsAfterDays, or set it to null, to keep others.",
    ),
    "EditedSince": Explanation(
        "Somebody edited the meeting after the migration.",
        "Nothing was restored. The meeting's row shows the difference; change the meeting by hand.",
    ),
    # -- worth another try ---------------------------------------------------------------------------------------
    "Throttled": Explanation("Microsoft Graph asked for a pause.", "Nothing to do: the run goes on by itself."),
    "ServiceUnavailable": Explanation(
        "Microsoft Graph or Exchange did not answer, or the mailbox is being moved.",
        "Nothing to do: the run is tried again for 24 hours.",
    ),
    "MailboxBusy": Explanation(
        "A run, or somebody who looks, is at this mailbox; Exchange takes only so many requests at once.",
        "Nothing to do: it is tried again.",
    ),
    "OutcomeUnknown": Explanation(
        "The connection broke before the answer came, so nobody knows yet whether the update was sent.",
        "Nothing to do: the run reads the meeting before it repeats anything.",
    ),
    "StorageUnavailable": Explanation("Table or Queue Storage did not answer.", "Nothing to do: it is tried again."),
    "SignInFailed": Explanation(
        "The app could not get a token for Microsoft Graph.",
        "Check the managed identity and its app roles; the run is tried again for 24 hours.",
    ),
    # -- what mms doctor finds ---------------------------------------------------------------------------------------
    "StorageNotWritable": Explanation(
        "Table or Queue Storage does not take what the app writes.",
        "Give the app's identity Storage Table Data Contributor and Storage Queue Data Contributor on the account, and "
        "let the app through the account's firewall.",
    ),
    "RightMissing": Explanation(
        "The app's identity lacks a right that it needs.",
        "Run infra/rights/rights.py grant, or the Exchange commands that it prints. A right takes up to 2 hours in "
        "Exchange, and up to 24 where Azure still keeps the identity's older token.",
    ),
    "RightTooMuch": Explanation(
        "The app's identity holds a right that the service never uses.",
        "Remove it from the identity; infra/rights/rights.py check names what belongs.",
    ),
    "RightTenantWide": Explanation(
        "The app's identity reaches every mailbox: a tenant-wide consent defeats any scope that Exchange sets "
        "(RBAC for Applications), because rights add up.",
        "Remove the consent from the identity and give the right for a scope, by the commands that "
        "infra/rights/rights.py grant prints. Nothing to do where all mailboxes are meant.",
    ),
    "SubscriptionMissing": Explanation(
        "The tenant does not tell the app what happens: the subscription is missing, expired, or leads elsewhere.",
        "It is made again by itself within the schedule MMS_SUBSCRIPTION_SCHEDULE; if it is not, look for SignInFailed "
        "or RightMissing.",
    ),
    "SubscriptionEnding": Explanation(
        "The subscription ends within a day and has not been renewed.",
        "Check that the timer of MMS_SUBSCRIPTION_SCHEDULE runs.",
    ),
    "ClockSkew": Explanation(
        "The app's clock and Microsoft's differ by more than a minute.",
        "Restart the app, so that it moves to another machine; tokens fail from five minutes on.",
    ),
    "SettingMissing": Explanation("An app setting is missing.", "Set it; local.settings.example.json explains each."),
    "SettingForOneMachine": Explanation(
        "An app setting is meant for trying the service out on one machine.", "Remove it from the deployed app."
    ),
    "SettingsContradict": Explanation("Settings contradict one another.", "Change one of them."),
    "MessagesKept": Explanation(
        "Messages failed five times, or were not understood, and nobody has put them back.",
        "List them: python -m mms_core.maintenance messages. After the fix put each back: replay and its id.",
    ),
    "NotProven": Explanation(
        "This could not be checked now.", "Run mms doctor again, or name a user with a mailbox: mms doctor USER."
    ),
    # -- an HTTP caller's mistakes -----------------------------------------------------------------------------------
    "InvalidBody": Explanation("The request body is not what this route takes.", "See /api/openapi.json."),
    "InvalidParameter": Explanation(
        "A query or route parameter is not what this route takes.", "See /api/openapi.json."
    ),
    "InvalidIdentity": Explanation(
        "An identity is a user principal name, an object id or a SIP address.", "Correct the identity."
    ),
    "UnsupportedTarget": Explanation(
        "Teams meetings are never turned back into Skype for Business meetings.",
        "Use targetMeetingType Teams or Current.",
        "N4",
    ),
    "BodyTooLarge": Explanation("The request body is larger than this route takes.", "Send it in parts."),
    "TooManyIdentities": Explanation("More identities than one request takes.", "Send them in parts."),
    "NotFound": Explanation(
        "There is nothing under this address: no such id, or nothing was ever asked or noted for this user.",
        "Check the id; who has had no migration has none to look at, cancel, retry or undo.",
    ),
    "MethodNotAllowed": Explanation("This route does not take that method.", "See the Allow header."),
    "InvalidState": Explanation("The migration is not in a state that allows this.", "Look at its State first."),
    "RunUnderWay": Explanation(
        "A run of this user waits or is at work.",
        "Wait until it is over, or cancel it; then order this again. A preview stays ready meanwhile.",
    ),
    "IdempotencyKeyReused": Explanation(
        "The Idempotency-Key came before with another request.", "Use a new key for a new request."
    ),
    "IdempotencyKeyInUse": Explanation(
        "A request with this Idempotency-Key is still at work.", "Repeat it in a few seconds."
    ),
    "PreconditionFailed": Explanation("The resource has changed since it was read.", "Read it again, then repeat."),
    "UnknownSetting": Explanation("There is no setting of this name.", "GET /api/config lists them."),
    "Unauthorized": Explanation("The bearer token is missing or not valid.", "Sign in with mms login."),
    "Forbidden": Explanation(
        "The token lacks the app role this route needs.",
        "Ask for the app role Mms.Read or Mms.Operate.",
    ),
    "RecordUnreadable": Explanation(
        "What the service remembers of this user cannot be read: it is damaged, or a later version wrote it.",
        "Deploy the version that wrote it, or delete the row (the guide for operations says which); the next sweep or"
        " request begins it anew.",
    ),
    "InternalError": Explanation("The service met something it did not expect.", "Report the request id."),
}


class MmsError(Exception):
    """Base of all errors that MMS raises on purpose.

    ``code`` is stable, stands in :data:`CATALOGUE`, and is also the tag in logs; ``detail`` names the
    particular case and never carries personal data.
    """

    default_code = "InternalError"

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        self.code = code or self.default_code
        if self.code not in CATALOGUE:
            raise ValueError(f"no catalogue entry for the code {self.code}")
        self.detail = detail[:FOREIGN_TEXT_LIMIT]
        super().__init__(f"{self.code}: {self.detail}" if self.detail else self.code)


class TemporaryError(MmsError):
    """Worth another try; ``retry_after`` is the other side's wish, ``None`` if it had none."""

    default_code = "ServiceUnavailable"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after: timedelta | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class OutcomeUnknown(TemporaryError):
    """A write was sent and its answer never came: read before anything is repeated."""

    default_code = "OutcomeUnknown"


class PermanentError(MmsError):
    """Trying again does not help until somebody has removed the cause."""

    default_code = "MeetingRejected"


class RecordUnreadable(PermanentError):
    """A row of our own is damaged, or of a later version."""

    default_code = "RecordUnreadable"


class PreconditionLost(MmsError):
    """The row or event changed since it was read (HTTP 409 or 412): read again and decide again."""

    default_code = "PreconditionFailed"


class NotFound(MmsError):
    """The thing is not there (any more)."""

    default_code = "NotFound"


class BadInput(MmsError):
    """The caller's mistake; ``field`` points at it where that is known."""

    default_code = "InvalidBody"

    def __init__(self, detail: str = "", *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.field = field


class AccessDenied(MmsError):
    """The caller is not known (``Unauthorized``) or may not do this (``Forbidden``)."""

    default_code = "Unauthorized"


def explain(code: str, detail: str = "") -> str:
    """Say what a code means in one line, as it stands in ``LastMessage``.

    Errors: ``KeyError`` for a code that is not in the catalogue.
    """
    entry = CATALOGUE[code]
    rule = f"{entry.rule} " if entry.rule else ""
    particulars = f" ({detail})" if detail else ""
    return f"{rule}{code}: {entry.cause}{particulars} Remedy: {entry.remedy}"
