"""Teams meetings: making, finding, showing them (fact sheet 5)."""

import base64
import hashlib
import os
import re
import uuid
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from mms_simulator import invitation, plans
from mms_simulator.blob import teams_codes, teams_threads
from mms_simulator.model import OnlineMeeting, User
from mms_simulator.store import Store
from mms_simulator.wording import wording
from mms_simulator.zones import graph_instant

DEFAULT_BRIDGE = "Default"
_ESCAPE = re.compile("%[0-9A-F]{2}")
_DEFAULTS: dict[str, Any] = {
    "allowAttendeeToEnableCamera": True,
    "allowAttendeeToEnableMic": True,
    "allowMeetingChat": "enabled",
    "allowParticipantsToChangeName": False,
    "allowRecording": True,
    "allowTeamworkReactions": True,
    "allowTranscription": True,
    "allowedPresenters": "everyone",
    "isEntryExitAnnounced": False,
    "recordAutomatically": False,
    "shareMeetingChatHistoryDefault": "none",
    "lobbyBypassSettings": {"scope": "organization", "isDialInBypassEnabled": False},
}
WRITABLE = frozenset(_DEFAULTS) | {"allowPowerPointSharing", "allowWhiteboard", "allowedLobbyAdmitters"}
"""Meeting options a caller may set."""


def bridge_number(bridge: str) -> str:
    """Give the default toll number of a bridge; each has its own."""
    if bridge == DEFAULT_BRIDGE:
        return "+1 206-555-0100"
    return f"+1 425-555-{int(hashlib.sha256(bridge.encode()).hexdigest(), 16) % 9000 + 1000:04d}"


def create(
    store: Store, user: User, *, subject: str | None, start: float, end: float, external_id: str | None = None
) -> OnlineMeeting:
    """Make a Teams meeting of *user*; it touches no calendar and mails nobody (5.2)."""
    seed = base64.b64encode(uuid.uuid4().hex[:36].encode()).decode().rstrip("=")
    thread = f"19:meeting_{seed}@thread.v2"
    digits = str(int.from_bytes(os.urandom(12), "big"))
    meeting = OnlineMeeting(
        id=base64.b64encode(f"1*{user.id}*0**{thread}".encode()).decode(),
        organizer=user.id,
        thread=thread,
        created=store.clock.now(),
        start=start,
        end=end,
        subject=subject,
        external_id=external_id,
        code=f"2{digits[:11]}",
        short_code=f"4{digits[6:19]}",
        passcode=base64.b64encode(os.urandom(6), altchars=b"Xq").decode(),
        conference_id=f"{int.from_bytes(os.urandom(4), 'big') % 900_000_000 + 100_000_000}",
    )
    store.save(meeting)
    return meeting


def update(store: Store, meeting: OnlineMeeting, **changes: Any) -> OnlineMeeting:
    """Replace fields of a meeting."""
    changed = msgspec.structs.replace(meeting, **changes)
    store.save(changed)
    return changed


def in_body(store: Store, body: str) -> OnlineMeeting | None:
    """Find the meeting of this tenant that a body links to (1.4); links to other tenants are only text."""
    for thread in teams_threads(body):
        if thread in store.meeting_threads:
            return store.meetings[store.meeting_threads[thread]]
    for code in teams_codes(body):
        if code in store.meeting_codes:
            return store.meetings[store.meeting_codes[code]]
    return None


def classic_url(store: Store, meeting: OnlineMeeting) -> str:
    """Write the join URL that Graph calls joinWebUrl and joinUrl, also where the block shows the short one (1.4)."""
    context = quote(f'{{"Tid":"{store.tenant_id}","Oid":"{meeting.organizer}"}}', safe="-")
    thread = quote(meeting.thread, safe="")
    return f"https://teams.microsoft.com/l/meetup-join/{_lower(thread)}/0?context={_lower(context)}"


def short_url(meeting: OnlineMeeting) -> str:
    """Write the short join URL of 2025; the JoinWebUrl filter does not know it (5.1)."""
    return f"https://teams.microsoft.com/meet/{meeting.short_code}?p={hashlib.sha256(meeting.id.encode()).hexdigest()[:18]}"


def dial_in(user: User, meeting: OnlineMeeting) -> invitation.DialIn | None:
    """Give the dial-in coordinates: only with the plan, with Microsoft's provider, and when enabled (5.1, R7)."""
    audio = user.audio
    if not plans.has_dial_in(user.plans) or audio.provider != "microsoft" or not audio.enabled:
        return None
    conference_id = audio.conferenceId or meeting.conference_id
    bridge_id = uuid.uuid5(uuid.NAMESPACE_DNS, f"bridge.{audio.bridge}")
    return invitation.DialIn(
        number=audio.tollNumber or bridge_number(audio.bridge),
        conference_id=conference_id,
        url=f"https://dialin.teams.microsoft.com/{bridge_id}?id={conference_id}",
    )


def video(user: User, meeting: OnlineMeeting) -> invitation.Video | None:
    """Give the Cloud Video Interop coordinates of a user with such a partner (T11)."""
    if not user.cvi:
        return None
    partner = user.cvi.lower().replace(" ", "-")
    number = str(int(hashlib.sha256(f"{meeting.id}{user.cvi}".encode()).hexdigest(), 16))[:10]
    return invitation.Video(
        address=f"teams@{partner}.example",
        video_id=number,
        more_url=f"https://{partner}.example/teams?conf={number}&tenant={partner}",
    )


def block_of(store: Store, meeting: OnlineMeeting, user: User, language: str | None) -> str:
    """Write the invitation block of a meeting as it is now: new numbers show at once."""
    block = invitation.Block(
        classic_url=classic_url(store, meeting),
        short_url=short_url(meeting),
        options_url=options_url(store, meeting, wording(language).tag),
        code=meeting.code,
        passcode=meeting.passcode,
        dial_in=dial_in(user, meeting),
        video=video(user, meeting),
    )
    return invitation.fragment(block, store.switches.teamsGeneration, wording(language))


def options_url(store: Store, meeting: OnlineMeeting, tag: str) -> str:
    """Write the link to the meeting's options."""
    thread = meeting.thread.replace(":", "_", 1)
    return (
        f"https://teams.microsoft.com/meetingOptions/?organizerId={meeting.organizer}&tenantId={store.tenant_id}"
        f"&threadId={thread}&messageId=0&language={tag}"
    )


def event_properties(store: Store, meeting: OnlineMeeting, user: User) -> dict[str, str]:
    """Give the named properties that the service leaves on an event whose meeting it made (3.1)."""
    dial = dial_in(user, meeting)
    focus = f"{meeting.thread.replace('@', '-')}!{user.id.replace('-', '')}!{store.tenant_id.replace('-', '')}"
    values = {
        "OnlineMeetingConfLink": f"conf:{user.sip};gruu;opaque=app:conf:focus:id:teams:2:0!{focus}",
        "OnlineMeetingExternalLink": classic_url(store, meeting),
        "SkypeTeamsMeetingUrl": classic_url(store, meeting),
        "SkypeTeamsProperties": f'{{"cid":"{meeting.thread}","private":true,"type":0,"mid":0,"rid":0,"uid":null}}',
        "SchedulingServiceUpdateUrl": "https://api.scheduler.teams.microsoft.com/teams/"
        f"{store.tenant_id}/{user.id}/{meeting.thread}/0",
        "SchedulingServiceMeetingOptionsUrl": options_url(store, meeting, wording(user.language).tag),
    }
    if dial:
        values |= {
            "OnlineMeetingConferenceId": dial.conference_id,
            "OnlineMeetingTollNumber": dial.number,
            "ConferenceTelURI": f"tel:{dial.number.replace(' ', '').replace('-', '')},,{dial.conference_id}",
        }
    return {property_id(name): value for name, value in values.items()}


def property_id(name: str) -> str:
    """Write the id of a string property of the set PublicStrings; Graph answers with the GUID in lower case (2.5)."""
    return f"String {{00020329-0000-0000-c000-000000000046}} Name {name}"


def view(store: Store, meeting: OnlineMeeting, language: str | None = None) -> dict[str, Any]:
    """Show a meeting as Graph's onlineMeeting; joinInformation in the language asked for (4.3)."""
    user = store.users[meeting.organizer]
    shown: dict[str, Any] = {
        "id": meeting.id,
        "creationDateTime": graph_instant(meeting.created),
        "startDateTime": graph_instant(meeting.start),
        "endDateTime": graph_instant(meeting.end),
        "expiryDateTime": graph_instant(meeting.end + 60 * 86_400),
        "joinWebUrl": classic_url(store, meeting),
        "subject": meeting.subject,
        "isBroadcast": False,
        "meetingType": "scheduled",
        "externalId": meeting.external_id,
        "joinMeetingIdSettings": {
            "isPasscodeRequired": bool(meeting.passcode),
            "joinMeetingId": meeting.code,
            "passcode": meeting.passcode or None,
        },
        "chatInfo": {"threadId": meeting.thread, "messageId": "0", "replyChainMessageId": None},
        "meetingOptionsWebUrl": options_url(store, meeting, wording(language).tag),
        "participants": {
            "organizer": {
                "upn": user.upn,
                "role": "presenter",
                "identity": {"user": {"id": user.id, "displayName": None}},
            },
            "attendees": meeting.participants,
        },
        "joinInformation": {
            "content": invitation.data_url(
                block_of(store, meeting, user, language), store.switches.joinInformationEncoding
            ),
            "contentType": "html",
        },
        **_DEFAULTS,
        **meeting.settings,
    }
    dial = dial_in(user, meeting)
    if dial:
        shown["audioConferencing"] = {
            "conferenceId": dial.conference_id,
            "tollNumber": dial.number,
            "tollNumbers": [dial.number],
            "tollFreeNumber": None,
            "tollFreeNumbers": [],
            "dialinUrl": dial.url,
        }
    partner = video(user, meeting)
    if partner:
        shown["videoTeleconferenceId"] = partner.video_id
    return shown


def find_by_url(store: Store, user: User, url: str) -> OnlineMeeting | None:
    """Find a meeting by its classic URL, exactly but for escapes and their case (5.1)."""
    for thread in teams_threads(url):
        meeting = store.meetings.get(store.meeting_threads.get(thread, ""))
        if meeting and meeting.organizer == user.id and unquote(url) == unquote(classic_url(store, meeting)):
            return meeting
    return None


def _lower(text: str) -> str:
    """Lower-case the escapes, as the service writes them; no other letter follows a per cent sign here."""
    return _ESCAPE.sub(lambda match: match[0].lower(), text)
