"""The online-meeting block as the service writes it, for each generation (fact sheet 4.2, 4.3).

The markup is the simulator's own; what clients look for is there in its place: the classes ``me-email-*``, the ids
``meet_invite_block.*``, the rows of underscores, the links, and the boundary traps of each generation.
"""

import re
from dataclasses import dataclass
from html import escape
from urllib.parse import quote_plus

from mms_simulator.wording import Wording

_RULE = "_" * 80
_FONT = "font-family:'Segoe UI',Helvetica,Arial,sans-serif"
_HELP = "https://aka.ms/JoinTeamsMeeting"
_PIN = "https://dialin.teams.microsoft.com/usp/pstnconferencing"
_ESCAPE = re.compile("%[0-9A-F]{2}")
_END_OF_BODY = re.compile("</body>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DialIn:
    """Dial-in coordinates of a meeting."""

    number: str
    conference_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Video:
    """Cloud Video Interop coordinates (rule T11): the partner's address, the video id, its page."""

    address: str
    video_id: str
    more_url: str


@dataclass(frozen=True, slots=True)
class Block:
    """What a block says, language and generation aside."""

    classic_url: str
    short_url: str
    options_url: str
    code: str
    passcode: str
    dial_in: DialIn | None = None
    video: Video | None = None


def fragment(block: Block, generation: str, words: Wording) -> str:
    """Write the block of a generation: ``1``, ``2``, ``3``, ``3b`` or ``4``."""
    match generation:
        case "1":
            lines = _generation_1(block, words)
        case "2":
            lines = _generation_2(block, words)
        case "3":
            lines = _generation_3(block, words)
        case "3b":
            lines = _generation_3b(block, words)
        case _:
            lines = _generation_4(block, words)
    return "\r\n".join(line for line in lines if line)


def data_url(text: str, encoding: str = "lower") -> str:
    """Write a fragment as joinInformation.content: ``+`` for blanks, lower-case escapes (4.3)."""
    content = quote_plus(text, safe="-_.!*()")
    if encoding == "upper":
        return quote_plus("data:text/html,") + content
    return "data:text/html," + _ESCAPE.sub(lambda match: match[0].lower(), content)


def insert(body: str, block: str) -> str:
    """Put a block at the end of a body, as the service does when flags turn an event online (1.4)."""
    ends = [match.start() for match in _END_OF_BODY.finditer(body)]
    return f"{body[: ends[-1]]}{block}\r\n{body[ends[-1] :]}" if ends else f"{body}{block}"


def balanced(text: str) -> str:
    """Take out the surplus closing tag of generation 3, for a body that the service writes itself."""
    surplus = text.count("</div>") - text.count("<div")
    for _ in range(surplus):
        position = text.rfind('</div>\r\n<div style="width:100%')
        text = text[:position] + text[position + len("</div>\r\n") :]
    return text


def skype_fragment(join_url: str, words: Wording, dial_in: DialIn | None, lcid: int = 1033) -> str:
    """Write a Skype for Business block as plain paragraphs between rows of dots (4.1)."""
    dots = f'<p class="MsoNormal"><span style="font-size:8.0pt; color:#404040">{"." * 137}</span></p>'
    phone = (
        f'<p class="MsoNormal">{dial_in.number} &nbsp; {words.phone_id}: {dial_in.conference_id}'
        '<a name="OutSharedNoteLink">&nbsp;</a></p>'
        if dial_in
        else ""
    )
    label = f'<span style="font-size:26.0pt; color:#0066CC">{words.skype_join}</span>'
    border = '<a name="OutSharedNoteBorder">&nbsp;</a>'
    lines = (
        dots,
        f'<p class="MsoNormal"><a name="OutJoinLink"></a><a href="{escape(join_url)}">{label}</a>{border}</p>',
        f'<p class="MsoNormal"><a href="{escape(join_url)}?sl=1">Skype Web App</a></p>',
        phone,
        f'<p class="MsoNormal"><span style="font-size:1.0pt; color:white">[!OC([{lcid}])!]</span></p>',
        dots,
    )
    return "\r\n".join(line for line in lines if line)


def _link(css: str, url: str, text: str, *, anchor: str = "", entities: bool = False) -> str:
    identity = f' id="meet_invite_block.action.{anchor}"' if anchor else ""
    href = escape(url) if entities else url
    return (
        f'<a{identity} class="{css}" style="{_FONT}" target="_blank" href="{href}" rel="noreferrer noopener">{text}</a>'
    )


def _tel(dial_in: DialIn) -> str:
    return f"tel:{dial_in.number.replace(' ', '').replace('-', '')},,{dial_in.conference_id}#"


def _spaced(digits: str) -> str:
    return " ".join(digits[start : start + 3] for start in range(0, len(digits), 3))


def _sibling_rule(colour: str) -> str:
    style = f"white-space:nowrap;color:{colour};opacity:.36;"
    return f'<div style="width:100%;height:20px;"><span style="{style}">{_RULE}</span></div>'


def _inner_rule() -> str:
    return f'<div style="margin-bottom:24px;overflow:hidden;white-space:nowrap;">{_RULE}</div>'


def _generation_1(block: Block, words: Wording) -> list[str]:
    phone = []
    links = [_link("me-email-link", _HELP, words.learn), _link("me-email-link", block.options_url, words.options)]
    if block.dial_in:
        dial = block.dial_in
        phone = [
            f"<div>{_link('me-email-link', _tel(dial), dial.number)} <span>&nbsp; ({words.toll})</span></div>",
            f"<div><span>{words.phone_id}: </span><span>{_spaced(dial.conference_id)}#</span></div>",
        ]
        links = [_link("me-email-link", dial.url, words.local), _link("me-email-link", _PIN, words.reset), *links]
    return [
        _sibling_rule("gray"),
        f'<div class="me-email-text" style="color:#252424;{_FONT}">',
        f'<div style="margin-top:24px">{_link("me-email-headline", block.classic_url, words.join_title)}</div>',
        *phone,
        *_video(block, words),
        f'<div style="margin-bottom:24px">{" | ".join(links)}</div>',
        '<div style="font-size:14px"></div>',
        '<div style="font-size:12px"></div>',
        "</div>",
        _sibling_rule("gray"),
    ]


def _generation_2(block: Block, words: Wording) -> list[str]:
    return [
        _sibling_rule("#5F5F5F"),
        *_headline(block, words, words.devices.split(",")[0]),
        *_phone_2(block, words),
        *_video(block, words),
        _footer_2(block, words),
        "</div>",
        '<div style="font-size:14px;"></div>',
        '<div style="font-size:12px;"></div>',
        _sibling_rule("#5F5F5F"),
    ]


def _generation_3(block: Block, words: Wording) -> list[str]:
    digits = f'<span style="font-size:16px;">{_spaced(block.code)}</span>'
    code = f'<span data-tid="meeting-code">{words.meeting_id}: {digits}</span>'
    download = _link("me-email-link", "https://www.microsoft.com/microsoft-teams/download-app", words.download)
    web = _link("me-email-link", "https://www.microsoft.com/microsoft-teams/join-a-meeting", words.web)
    passcode = f"<br>{words.passcode}: {block.passcode}" if block.passcode else ""
    return [
        _sibling_rule("#5F5F5F"),
        *_headline(block, words, words.devices),
        f'<div style="margin-top:20px">{code}{passcode}<div>{download} | {web}</div></div>',
        *_phone_2(block, words),
        *_video(block, words),
        _footer_2(block, words),
        "</div>",
        f'<div style="font-size:14px;{_FONT}"></div>',
        '<div style="font-size:12px;"></div>',
        "</div>",  # one too many: every fragment of this generation has it (4.3)
        _sibling_rule("#5F5F5F"),
    ]


def _generation_3b(block: Block, words: Wording) -> list[str]:
    join = _link("me-email-headline", block.classic_url, words.join_now, anchor="join_link")
    return [
        f'<div class="me-email-text" style="max-width:520px;color:#242424;{_FONT}">',
        _inner_rule(),
        f'<div><span class="me-email-text" style="font-size:24px;">Microsoft Teams</span> {_help(words)}</div>',
        f'<div style="margin-bottom:6px;">{join}</div>',
        *_codes(block, words),
        "<div><hr></hr></div>",
        *_phone_3(block, words),
        *_video(block, words),
        _organizers(block, words),
        "<div></div>",
        _inner_rule(),
        "</div>",
    ]


def _generation_4(block: Block, words: Wording) -> list[str]:
    join = _link("me-email-link", block.short_url, block.short_url, anchor="join_link", entities=True)
    reference = _link(
        "me-email-link", block.classic_url, words.reference, anchor="join_link_compatibility", entities=True
    )
    return [
        f'<div class="me-email-text" lang="{words.tag}" style="max-width:1024px;color:#242424;{_FONT}">',
        _inner_rule().replace("<div ", '<div aria-hidden="true" ', 1),
        f'<div><span class="me-email-text" style="font-size:20px;font-weight:600;">{words.meeting}</span></div>',
        f'<div><span class="me-email-text" style="font-size:20px;">{words.join}: </span>{join}</div>',
        *_codes(block, words),
        '<div style="max-width:1024px;"><hr style="border:0;height:1px;"></div>',
        f'<div>{_help(words)} <span style="color:#616161;">|</span> {reference}</div>',
        *_phone_3(block, words),
        *_video(block, words),
        _organizers(block, words),
        '<div style="margin-top:24px;"></div>',
        _inner_rule().replace("<div ", '<div aria-hidden="true" ', 1),
        "</div>",
    ]


def _headline(block: Block, words: Wording, devices: str) -> list[str]:
    return [
        f'<div class="me-email-text" style="color:#252424;{_FONT};" lang="{words.tag}">',
        f'<div style="margin-top:24px;"><span style="font-size:24px;">{words.meeting}</span></div>',
        f'<div style="margin-bottom:20px;"><div style="font-weight:bold"><span>{devices}</span></div>',
        f"{_link('me-email-headline', block.classic_url, words.click)}</div>",
    ]


def _phone_2(block: Block, words: Wording) -> list[str]:
    if not block.dial_in:
        return []
    dial = block.dial_in
    links = f"{_link('me-email-link', dial.url, words.local)} | {_link('me-email-link', _PIN, words.reset)}"
    return [
        f'<div style="font-weight:bold"><span>{words.dial}</span></div>',
        f"<div>{_link('me-email-link', _tel(dial), dial.number)} <span>&nbsp; {words.toll}</span></div>",
        f"<div><span>{words.phone_id}: </span><span>{_spaced(dial.conference_id)}#</span></div>",
        f"<div>{links}</div>",
    ]


def _phone_3(block: Block, words: Wording) -> list[str]:
    if not block.dial_in:
        return []
    dial = block.dial_in
    tel = _link("me-email-link", _tel(dial), dial.number, anchor="dial_in")
    return [
        f'<div><span class="me-email-text" style="font-size:16px;">{words.dial}</span></div>',
        f'<div>{tel} <span class="me-email-text-secondary">{words.toll}</span></div>',
        f"<div>{_link('me-email-link', dial.url, words.local, anchor='find_local_number')}</div>",
        _pair(words.phone_id, f"{_spaced(dial.conference_id)}#"),
    ]


def _video(block: Block, words: Wording) -> list[str]:
    if not block.video:
        return []
    video = block.video
    return [
        f'<div style="font-weight:bold"><span>{words.video}</span></div>',
        f'<div><a class="me-email-link" href="mailto:{video.address}">{video.address}</a></div>',
        f"<div><span>{words.video_id}: </span><span>{_spaced(video.video_id)}</span></div>",
        f"<div>{_link('me-email-link', video.more_url, words.video_more, entities=True)}</div>",
    ]


def _footer_2(block: Block, words: Wording) -> str:
    options = _link("me-email-link", block.options_url, words.options)
    return f'<div style="margin-bottom:24px">{_link("me-email-link", _HELP, words.learn)} | {options}</div>'


def _codes(block: Block, words: Wording) -> list[str]:
    passcode = [_pair(words.passcode, block.passcode)] if block.passcode else []
    return [_pair(words.meeting_id, _spaced(block.code)), *passcode]


def _pair(name: str, value: str) -> str:
    name_html = f'<span class="me-email-text-secondary">{name}: </span>'
    return f'<div>{name_html}<span class="me-email-text">{value}</span></div>'


def _help(words: Wording) -> str:
    return _link("me-email-link", f"{_HELP}?omkt={words.tag}", words.help, anchor="help")


def _organizers(block: Block, words: Wording) -> str:
    options = _link("me-email-link", block.options_url, words.options, anchor="organizer_meet_options", entities=True)
    reset = _link("me-email-link", _PIN, words.reset, anchor="organizer_reset_dialin_pin") if block.dial_in else ""
    divider = ' <span style="color:#D1D1D1">|</span> ' if reset else ""
    return f'<div><span class="me-email-text-secondary">{words.organizers}: </span>{options}{divider}{reset}</div>'
