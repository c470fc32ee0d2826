"""Meetings as values: invitations in the shape that Outlook writes, events as Graph tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

from mms_core.meetings import Attendee, Event, OnlineMeeting

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TENANT = "0b1c2d3e-1111-4222-8333-444455556666"
USER = "77778888-9999-4aaa-bbbb-ccccddddeeee"
OTHER_USER = "11118888-9999-4aaa-bbbb-ccccddddeeee"
AUDIO_CONFERENCING = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
DOTS = "." * 137
ABOVE = "<p class=MsoNormal>Grüße, 你好 👋&nbsp;— the agenda:</p>\r\n"
BELOW = "\r\n<p class=MsoNormal>שלום &amp; see you there.</p>"


def skype_url(name="AB12CD34"):
    """The simple URL of a Skype meeting."""
    return f"https://meet.contoso.example/adele/{name}"


def skype_block(join_url, *, phone=""):
    """A Skype for Business block, as Outlook's Word engine writes it."""
    dots = f"<p class=MsoNormal><span style='font-size:8.0pt;color:#404040'>{DOTS}</span></p>"
    return (
        f"{dots}\r\n<p class=MsoNormal><a name=OutJoinLink><span style='font-family:Wingdings'>à</span></a>"
        f"<a href=\"{join_url}\"><span style='font-size:16.0pt;color:#0066CC'>Join Skype Meeting</span></a>"
        "<a name=OutSharedNoteBorder>&nbsp;</a><a name=OutSharedNoteLink>&nbsp;</a></p>\r\n"
        f'<p class=MsoNormal>Trouble Joining? <a href="{join_url}?sl=1">Try Skype Web App</a></p>\r\n{phone}'
        '<p class=MsoNormal><a href="https://o15.officeredir.microsoft.com/r/rlidLync15?clid=1033&amp;p1=5&amp;p2=2009">'
        "Help</a></p>\r\n<p class=MsoNormal><sub><span style='font-size:1.0pt;color:white'>[!OC([1033])!]</span></sub></p>"
        f"\r\n{dots}"
    )


def page(block, *, above=ABOVE, below=BELOW):
    """An invitation with text around its block."""
    return (
        '<html>\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n</head>\r\n'
        f"<body lang=EN-US>\r\n<div class=WordSection1>\r\n{above}{block}{below}\r\n</div>\r\n</body>\r\n</html>"
    )


def teams_url(name="alpha", *, user=USER, tenant=TENANT):
    """A classic join URL."""
    context = quote('{"Tid":"%s","Oid":"%s"}' % (tenant, user))  # noqa: UP031 - braces
    return f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{name}%40thread.v2/0?context={context}"


def teams_block(join_url, *, conference_id="515253545", number="+4930123456"):
    """A Teams block of the newest generation; without a number it has no dial-in."""
    link = join_url.replace("&", "&amp;")
    phone = (
        f'<div><a href="tel:{number},,{conference_id}#" class="me-email-link">{number},,{conference_id}#</a> Berlin</div>\n'
        f'<div><span class="me-email-text-secondary">Phone conference ID: </span><span class="me-email-text">{conference_id}#</span></div>\n'
        if number
        else ""
    )
    line = '<div style="margin-bottom:24px; overflow:hidden; white-space:nowrap">' + "_" * 80 + "</div>"
    return (
        f'<div class="me-email-text" lang="en-US" style="max-width:1024px; color:#242424">\n{line}\n'
        '<div><span class="me-email-text" style="font-size:24px">Microsoft Teams meeting</span> '
        '<a href="https://aka.ms/JoinTeamsMeeting?omkt=en-US" id="meet_invite_block.action.help" class="me-email-link">Need help?</a></div>\n'
        f'<div><a href="{link}" id="meet_invite_block.action.join_link" class="me-email-link">Join the meeting now</a></div>\n'
        f"{phone}"
        f'<div><a href="https://teams.microsoft.com/meetingOptions/?organizerId={USER}&amp;tenantId={TENANT}&amp;language=en-US" '
        'id="meet_invite_block.action.organizer_meet_options" class="me-email-link">Meeting options</a></div>\n'
        f"{line}\n</div>"
    )


def data_url(block):
    """A block as Graph's joinInformation carries it: ``+`` for blanks."""
    return "data:text/html," + quote_plus(block)


def online_meeting(name="alpha", *, user=USER, **dial_in):
    """A Teams meeting as ``/onlineMeetings`` tells it."""
    url = teams_url(name, user=user)
    return OnlineMeeting(
        meeting_id=f"id-{name}",
        join_url=url,
        thread_id=f"19:meeting_{name}@thread.v2",
        join_information=data_url(teams_block(url, **dial_in)),
    )


def skype_properties(name="AB12CD34"):
    """The extended properties of the Skype add-in."""
    return {
        "OnlineMeetingConfLink": f"conf:sip:adele@contoso.example;gruu;opaque=app:conf:focus:id:{name}?conversation-id=x1",
        "OnlineMeetingExternalLink": skype_url(name),
        "UCMeetingSetting": "<settings/>",
    }


def people(count):
    """As many attendees."""
    return tuple(Attendee(address=f"guest{number}@fabrikam.example") for number in range(count))


def an_event(number=1, *, start=NOW + timedelta(days=7), **more):
    """A single meeting that its mailbox's owner organizes."""
    values = {
        "event_id": f"AAMk/event+{number}==",
        "etag": 'W/"1"',
        "ical_uid": f"uid-{number}",
        "series_uid": f"uid-{number}",
        "kind": "singleInstance",
        "subject": "Project review",
        "start_at": start,
        "end_at": start + timedelta(hours=1) if start else None,
        "is_organizer": True,
        "is_cancelled": False,
        "is_draft": False,
        "body": "<html><body>No meeting here</body></html>",
        "content_type": "html",
        "attendees": people(2),
        "locations": ({"displayName": "Skype Meeting", "uniqueId": "Skype Meeting", "uniqueIdType": "private"},),
        "organizer_address": "adele@contoso.example",
    }
    return Event(**{**values, **more})


def skype_event(number=1, **more):
    """A genuine Skype meeting."""
    name = f"AB12CD{number:02d}"
    return an_event(
        number, **{"body": page(skype_block(skype_url(name))), "properties": skype_properties(name), **more}
    )


def teams_event(number=1, *, meeting="alpha", dial_in=None, **more):
    """A genuine Teams meeting."""
    url = teams_url(meeting)
    values = {
        "body": page(teams_block(url, **(dial_in or {}))),
        "properties": {"SkypeTeamsMeetingUrl": url, "SkypeTeamsProperties": "{}"},
        "join_url": url,
        "is_online": True,
        "locations": ({"displayName": "Microsoft Teams Meeting"},),
    }
    return an_event(number, **{**values, **more})
