"""Options of a Teams meeting that is replaced by another one: what is carried over, and what cannot be. Pure.

Names and values are Graph's own (resource onlineMeeting).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITABLE: Final = (
    "allowAttendeeToEnableCamera",
    "allowAttendeeToEnableMic",
    "allowBreakoutRooms",
    "allowCopyingAndSharingMeetingContent",
    "allowLiveShare",
    "allowMeetingChat",
    "allowParticipantsToChangeName",
    "allowPowerPointSharing",
    "allowRecording",
    "allowTeamworkReactions",
    "allowTranscription",
    "allowWhiteboard",
    "allowedLobbyAdmitters",
    "allowedPresenters",
    "isEndToEndEncryptionEnabled",
    "isEntryExitAnnounced",
    "lobbyBypassSettings",
    "meetingSpokenLanguageTag",
    "recordAutomatically",
    "shareMeetingChatHistoryDefault",
    "watermarkProtection",
)
"""What PATCH takes (docs: "Update onlineMeeting")."""

FIXED: Final = ("joinMeetingIdSettings", "meetingTemplateId", "sensitivityLabelAssignment")
"""What a meeting gets when it is made and keeps; the meeting ID and passcode first of all."""

ROLES: Final = "participants"
"""Presenters and co-organizers who were chosen by name."""

UNKNOWN: Final = "meeting options (Teams does not know the old meeting any more)"

CONTENT: Final = ("whiteboard", "polls", "shared notes")
"""What hangs on the meeting itself and stays with the old one (R8)."""


def _plain(value: Any) -> Any:
    """Return a value without annotations, so that two answers compare."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if each is not None and not name.startswith("@")}
    return value


def read(meeting: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in Graph's answer; an option without a value is none."""
    names = (*WRITABLE, *FIXED)
    found = {name: _plain(meeting[name]) for name in names if meeting.get(name) is not None}
    attendees = (meeting.get(ROLES) or {}).get("attendees") or ()
    if any(str(each.get("role") or "attendee").lower() not in ("attendee", "unknown") for each in attendees):
        found[ROLES] = True
    return found


def to_write(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to be set on the new meeting."""
    return {name: old[name] for name in WRITABLE if name in old and old[name] != new.get(name)}


def lost(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of what the new meeting does not have of the old one."""
    return tuple(name for name in (*WRITABLE, *FIXED, ROLES) if name in old and old[name] != new.get(name))
