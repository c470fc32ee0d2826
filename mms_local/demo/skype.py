"""The online-meeting block of Skype for Business, as Outlook writes it into an invitation.

The shape is what public invitations show: Word paragraphs between two lines of 137 dots, a bookmark ``OutJoinLink`` at
the join link, ``OutSharedNoteBorder`` after it, and a hidden language marker near the end. Outlook 2013 to 2019 differ
in how they quote attributes, so two hands write it here.
"""

import html
from dataclasses import dataclass
from enum import StrEnum

from mms_local.demo.words import Words

SEPARATOR_DOTS = 137
PUBLIC_STRINGS = "String {00020329-0000-0000-C000-000000000046} Name "


class Hand(StrEnum):
    """Who wrote the HTML: a desktop Word, or Exchange after it tidied Word's output."""

    WORD = "word"
    EXCHANGE = "exchange"


class Audio(StrEnum):
    """How the block says one can dial in."""

    NONE = "none"
    MICROSOFT = "microsoft"
    THIRD_PARTY = "thirdParty"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkypeMeeting:
    """What Skype for Business knows of one meeting."""

    organizer: str
    """User principal name, which is also the SIP address."""
    meeting_id: str
    """Eight letters and digits, the last part of the join URL."""
    is_online: bool
    """Hosted by Skype for Business Online, not by the company's own servers."""
    audio: Audio = Audio.NONE
    toll_number: str = ""
    conference_id: str = ""

    @property
    def join_url(self) -> str:
        """Where attendees click."""
        user = self.organizer.partition("@")[0]
        if self.is_online:
            return f"https://meet.lync.com/contoso/{user}/{self.meeting_id}"
        return f"https://meet.contoso.com/{user}/{self.meeting_id}"

    def extended_properties(self) -> list[dict[str, str]]:
        """What the add-in stores in the organiser's item, and a pasted block does not bring along."""
        values = {
            "OnlineMeetingConfLink": (
                f"conf:sip:{self.organizer};gruu;opaque=app:conf:focus:id:{self.meeting_id}"
                f"?conversation-id={self.meeting_id[::-1]}"
            ),
            "OnlineMeetingExternalLink": self.join_url,
            "UCCapabilities": '<?xml version="1.0"?><capabilities><audio/><video/><data/></capabilities>',
            "UCMeetingSetting": '<?xml version="1.0"?><settings><autoAdmit>company</autoAdmit></settings>',
        }
        if not self.is_online:
            values["OnlineMeetingInternalLink"] = self.join_url
        if self.audio is not Audio.NONE:
            values["OnlineMeetingConferenceId"] = self.conference_id
            values["OnlineMeetingTollNumber"] = self.toll_number
            values["ConferenceTelURI"] = f"tel:{self.toll_number.replace(' ', '')},,{self.conference_id}"
        return [{"id": PUBLIC_STRINGS + name, "value": value} for name, value in values.items()]


def render_block(meeting: SkypeMeeting, words: Words, *, hand: Hand, note: str = "", newline: str = "\n") -> str:
    """Write the block of *meeting*, from the first separator's paragraph to the end of the last one's.

    Args:
        meeting: Where to join and to dial in.
        words: The language of the organiser's Outlook.
        hand: Whose HTML it is.
        note: What the organiser typed inside the block; it goes with the block (rule R3).
        newline: Between the paragraphs; Word writes CRLF.
    """
    quote = "" if hand is Hand.WORD else '"'
    normal = f"<p class={quote}MsoNormal{quote}"
    tail = "<o:p></o:p>" if hand is Hand.WORD else ""
    dots = "." * SEPARATOR_DOTS
    separator = (
        f'{normal} style="text-autospace:none"><span style="font-size:8.0pt; color:#404040">{dots}</span>{tail}</p>'
    )
    paragraphs = [
        separator,
        _join_paragraph(meeting, words, normal=normal, quote=quote),
        _trouble_paragraph(meeting, words, normal=normal),
    ]
    if note:
        paragraphs.append(f'{normal}><b><span style="color:#C00000">{html.escape(note)}</span></b>{tail}</p>')
    if meeting.audio is Audio.MICROSOFT:
        paragraphs += _dial_in_paragraphs(meeting, words, normal=normal)
    if meeting.audio is Audio.THIRD_PARTY:
        paragraphs += _third_party_paragraphs(meeting, words, normal=normal)
    paragraphs += [
        _help_paragraph(words, normal=normal, tail=tail),
        f'{normal}><sub><span lang="EN" style="font-size:1.0pt; color:white">[!OC([{words.lcid}])!]</span></sub></p>',
        separator,
    ]
    return newline.join(paragraphs)


def _join_paragraph(meeting: SkypeMeeting, words: Words, *, normal: str, quote: str) -> str:
    return (
        f'{normal} style="text-autospace:none"><a name={quote}OutJoinLink{quote}>'
        '<span style="font-size:14.0pt; font-family:Wingdings; color:#0066CC">\u00e0</span></a> '
        f'<a href="{meeting.join_url}"><span style="font-size:16.0pt; color:#0066CC">{html.escape(words.join)}</span>'
        f'</a><span style="font-size:14.0pt">&nbsp; <a name={quote}OutSharedNoteBorder{quote}>&nbsp;</a>&nbsp;&nbsp;'
        f"<a name={quote}OutSharedNoteLink{quote}>&nbsp;</a></span></p>"
    )


def _trouble_paragraph(meeting: SkypeMeeting, words: Words, *, normal: str) -> str:
    return (
        f'{normal} style="margin-bottom:12.0pt; margin-left:16.0pt"><span style="font-size:10.0pt">'
        f'{html.escape(words.trouble)} <u><a href="{meeting.join_url}?sl=1"><span style="color:#0066CC">'
        f"{html.escape(words.web_app)}</span></a></u></span></p>"
    )


def _dial_in_paragraphs(meeting: SkypeMeeting, words: Words, *, normal: str) -> list[str]:
    dial = f"{meeting.toll_number.replace(' ', '')},,{meeting.conference_id}#"
    return [
        f'{normal}><span style="font-size:12.0pt; color:#0066CC">{html.escape(words.phone)}</span></p>',
        f'{normal}><a href="tel:{dial}">{meeting.toll_number}</a> ({html.escape(words.country)})</p>',
        _link_paragraph(words.local_number, f"https://dialin.contoso.com/?id={meeting.conference_id}", normal=normal),
        f"{normal}>{html.escape(words.conference_id)} {meeting.conference_id}</p>",
        _link_paragraph(words.forgot_pin, "https://dialin.contoso.com/pin", normal=normal),
    ]


def _third_party_paragraphs(meeting: SkypeMeeting, words: Words, *, normal: str) -> list[str]:
    numbers = ("US 8005550137", "India 18005550142", "UK 08005550161", "Romania 0800555018", "Japan 0053005550190")
    return [
        f'{normal}><span style="font-size:12.0pt; color:#0066CC">{html.escape(words.phone)}</span></p>',
        _link_paragraph(words.local_number, "https://www.intercall.com/l/dial-in-number-lookup.php", normal=normal),
        f"{normal}>{html.escape(words.conference_id)} {meeting.conference_id}</p>",
        *(f"{normal}>{number}</p>" for number in numbers),
    ]


def _link_paragraph(text: str, url: str, *, normal: str) -> str:
    return f'{normal}><u><a href="{url}">{html.escape(text)}</a></u></p>'


def _help_paragraph(words: Words, *, normal: str, tail: str) -> str:
    url = f"https://o15.officeredir.microsoft.com/r/rlidLync15?clid={words.lcid}&amp;p1=4&amp;p2=1041"
    link = f'<a href="{url}"><span style="color:#0066CC">{words.help}</span></a>'
    return f'{normal}><span lang="EN" style="font-size:10.0pt">{link}</span>{tail}</p>'
