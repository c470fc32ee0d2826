"""Whole blocks as other clients, gateways and copies leave them. ``{[`` and ``]}`` mark what must go, and nothing more."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from urllib.parse import quote

import pytest
from bodies import DOTS, NEW, RULE, join, options, side_rule

from mms_core.block import locate, remove, replace

JOIN = join("NzI3")
OPTIONS = options("NzI3")
SHORT = "https://teams.microsoft.com/meet/2851337195027?p=aB3dEf"
SKYPE = "https://meet.contoso.com/erik.lind/8HQ2ZK4T"
HEBREW = "\u05e4\u05d2\u05d9\u05e9\u05ea Microsoft Teams"
TURKISH = "Microsoft Teams toplant\u0131s\u0131"
LYNC = "https://join.contoso.com/meet/erik/HZ96LF57"
SMALL = '<div style="font-size:14px; margin-bottom:4px">\r\n</div>\r\n<div style="font-size:12px">\r\n</div>\r\n'


def older(*, headline: str = "Microsoft Teams meeting", lang: str = "en-US", code: str = "", link: str = JOIN) -> str:
    """Generation 2, and 3 with a meeting code: separators beside the element."""
    return (
        f'{side_rule()}\r\n<div class="me-email-text" lang="{lang}" style="color:#252424">\r\n<div><span style="font-size:24px">'
        f'{headline}</span> </div>\r\n<div><a href="{link}" class="me-email-headline" style="font-size:14px">Click here</a> '
        f'</div>\r\n{code}<div><a href="https://aka.ms/JoinTeamsMeeting" class="me-email-link" style="font-size:14px">Learn '
        f'More</a> | <a href="{OPTIONS}" style="font-size:14px">Options</a></div>\r\n</div>\r\n{SMALL}{side_rule()}'
    )


CODE = '<div><span data-tid="meeting-code" style="font-size:14px">Meeting ID: <span>276 040 326 896</span></span></div>\r\n'


def newer(*, lang: str = "en-US", headline: str = "Microsoft Teams", link: str = JOIN, classic: str = "") -> str:
    """Generation 3b, and 4 with a short link: separators inside the element, whose class inner elements have as well."""
    rule = f'<div aria-hidden="true" style="overflow:hidden; white-space:nowrap">{RULE}</div>\r\n'
    reference = f'<div><a id="meet_invite_block.action.join_link_compatibility" href="{classic}" style="font-size:14px">Ref</a></div>'
    return (
        f'<div class="me-email-text" lang="{lang}" style="max-width:1024px; color:#242424">\r\n{rule}<div><span '
        f'class="me-email-text" style="font-size:24px">{headline}</span> <a id="meet_invite_block.help" style="font-size:14px"'
        f' href="https://aka.ms/JoinTeamsMeeting?omkt={lang}">?</a></div>\r\n<div><a id="meet_invite_block.action.join_link" '
        f'class="me-email-headline" href="{link}" style="font-size:20px">Join</a></div>\r\n<div><span style="font-size:14px">'
        f"Meeting ID: </span><span style='font-size:14px'>285 133 719 502</span></div>\r\n<div><a "
        f'href="tel:+4687501234,,719224215#" style="font-size:14px">+46 8 750 12 34,,719224215#</a></div>\r\n'
        f"{reference if classic else ''}{rule}</div>"
    )


def word(link: str) -> str:
    """Generation 3b as desktop Outlook saves it, every line a paragraph, attributes without quotes."""
    lines = (
        f"<span style='color:#5F5F5F'>{RULE}</span>",
        '<b>Microsoft Teams</b> <a href="https://aka.ms/JoinTeamsMeeting?omkt=en-US">Need help?</a>',
        f'<a href="{link}" title="Meeting join link"><b>Join the meeting now</b></a>',
        "Meeting ID: 285 133 719 502",
        '<a href="tel:+4687501234,,719224215">+46 8 750 12 34,,719224215#</a> Sweden',
        f'For organizers: <a href="{OPTIONS}">Meeting options</a>',
        f"<span>{RULE}</span>",
    )
    return "\r\n".join(f"<p class=MsoNormal><span lang=EN-GB>{line}<o:p></o:p></span></p>" for line in lines)


def skype(*, dots: str = DOTS, last: str = "") -> str:
    """A block of Skype for Business with dial-in, as Word writes it."""
    lines = (
        dots,
        f'<a name=OutJoinLink></a><a href="{SKYPE}"><b>Join</b></a><a name=OutSharedNoteBorder></a>&nbsp;',
        f'Trouble Joining? <a href="{SKYPE}?sl=1">Web</a>',
        '<a href="tel:+46850501000">+46850501000</a> (Sweden)',
        '<a href="https://dialin.contoso.com/?lang=sv">Numbers</a>',
        "Conference ID: 9742376",
        '<a href="https://o15.officeredir.microsoft.com/r/rlidLync15?clid=1033&amp;p1=4">Help</a>',
        last,
        "[!OC([041d])!]",
        dots,
    )
    return "\r\n".join(
        f"<p style='text-autospace:none'><span style='font-size:9.0pt'>{x}</span></p>" for x in lines if x
    )


def text(link: str, nl: str) -> str:
    """Generation 3b in plain text, with the short rule that stands inside of it."""
    return nl.join(
        [
            f"{RULE}{nl}Microsoft Teams Need help?<https://aka.ms/JoinTeamsMeeting?omkt=en-US>{nl}Join<{link}>",
            f"Meeting ID: 285 133 719 502{nl}{'_' * 32}{nl}+46 8 750 12 34,,719224215#<tel:+4687501234,,719224215#>",
            f"Conference ID: 719 224 215#{nl}Meeting options<{OPTIONS.replace('&amp;', '&')}>{nl}{RULE}",
        ]
    )


def copied(markup: str, prefix: str) -> str:
    """As a web mail copies it: its own prefix before classes and ids."""
    return re.sub(r'(class|id)="(?=me)', rf'\1="{prefix}', markup)


def sophos(url: str) -> str:
    """A gateway's link with the target in base64, which we cannot tell from an opaque one."""
    target = urlsafe_b64encode(url.encode()).decode()
    return f"https://eu-west-1.protection.sophos.com/?d=microsoft.com&amp;u={target}&amp;i=NWY="


TEAMS = {
    "Apple Mail": (
        f'<div class="">Hi</div>{{[{older().replace("<div style", "<div class= style")}]}}<div class=""></div>',
        JOIN,
    ),
    "Outlook on the web": (
        f'<div class="elementToProof">Hi \U0001f600</div>\r\n{{[{older(code=CODE)}]}}\r\n<br>',
        JOIN,
    ),
    "Outlook on iOS": (
        f'<div id="ms-outlook-mobile-signature">Get it</div>\r\n{{[{newer(link=SHORT, classic=JOIN)}]}}<p>b</p>',
        JOIN,
    ),
    "generation 4 without the classic link": (f"{{[{newer(link=SHORT)}]}}", SHORT),
    "a forward in Gmail": (
        f'<blockquote class="gmail_quote">{{[{copied(newer(), "m_-5551212")}]}}</blockquote>'.replace("\r\n", "\n"),
        JOIN,
    ),
    "a forward in Yahoo": (f'<div id="yiv1">note{{[{copied(newer(), "yiv0099")}]}}end</div>', JOIN),
    "Hebrew": (
        f'<div dir="rtl"><p>\u05e9\u05dc\u05d5\u05dd</p>{{[{older(lang="he-IL", headline=HEBREW)}]}}</div>',
        JOIN,
    ),
    "Turkish": (
        f"<p>\u0130stanbul</p>{{[{newer(lang='tr-TR', headline=TURKISH)}]}}",
        JOIN,
    ),
    "in a newsletter's cell": (
        f"<table><tbody><tr><td><p>a</p>{{[{newer()}]}}</td><td>b</td></tr></tbody></table>",
        JOIN,
    ),
    "in a list": (f"<ul><li>a</li><li>b{{[{newer()}]}}</li></ul>", JOIN),
    "behind the end of the body": (f"<html><body><p>a</p></body></html>{{[{newer()}]}}", JOIN),
    "below the header of a mail": (
        f'<p>ok</p><div id="divRplyFwdMsg"><b>From:</b> Anna</div><div>{{[{copied(newer(), "x_")}]}}</div>',
        JOIN,
    ),
    "CR alone": (f"<html><body><p>a</p>\r{{[{newer()}]}}\r<p>b</p></body></html>".replace("\r\n", "\r"), JOIN),
    "private use": (
        f"{{[{older(lang='', link='https://teams.live.com/meet/9327485123456?p=q1W2')}]}}<p>bring cake</p>",
        "https://teams.live.com/meet/9327485123456?p=q1W2",
    ),
    "Google's calendar": (
        (
            f'Hi<br>{{[{RULE}<br>Microsoft Teams<br><a href="{JOIN}" id="ow1"><u>Join</u></a><br>ID: 285 133 719 502<br>'
            f'<a href="{OPTIONS}">Options</a><br>{RULE}]}}<br>bye'
        ),
        JOIN,
    ),
    "Word": (f"<div class=WordSection1><p>a</p>\r\n{{[{word(JOIN)}]}}\r\n<p><o:p>&nbsp;</o:p></p></div>", JOIN),
    "Word, Cisco": (f"<p>a</p>{{[{word('https://secure-web.cisco.com/1Ab-x/' + quote(JOIN, safe=''))}]}}", JOIN),
    "Word, Barracuda": (
        f"{{[{word('https://linkprotect.cudasvc.com/url?a=' + quote(JOIN, safe='') + '&amp;c=E,1')}]}}<p>b</p>",
        JOIN,
    ),
    "Word, a link of Google's": (
        f"{{[{word('https://www.google.com/url?q=' + quote(JOIN, safe=':/') + '&amp;sa=D')}]}}",
        JOIN,
    ),
    "Word, Sophos": (f"<p>a</p>{{[{word(sophos(JOIN))}]}}<p>b</p>".replace("https://teams.", "https://x."), None),
    "Word, Mimecast": (
        f"<p>a</p>{{[{word('https://protect-eu.mimecast.com/s/AbCd?domain=teams.microsoft.com')}]}}<p>b</p>",
        None,
    ),
    "text": (f"Hi,\r\n{{[{text(JOIN, chr(13) + chr(10))}]}}\r\nBye", JOIN),
    "text, an opaque link": (f"Hi,\n{{[{text('https://protect.example/s/1', chr(10))}]}}\nBye", None),
}
OTHERS = {
    "a user's telephone below": (f"<p>a</p>{{[{skype(dots='')}]}}<p>Ring <a href='tel:+4670123'>me</a></p>", SKYPE),
    "a picture and words of the organisation": (
        f"{{[{skype(last='<img src=cid:1> May be recorded.')}]}}<p>b</p>",
        SKYPE,
    ),
    "upper case": (f"{{[{skype().replace('<p', '<P').replace('</p', '</P')}]}}<P>b</P>", SKYPE),
    "a list without end tags": (f"<ul><li>a<li>{{[{skype()}]}}<li>b</ul>", SKYPE),
    "an Apple quote": (f'<blockquote type="cite"><div>{{[{skype()}]}}</div></blockquote>', SKYPE),
    "lines in a paragraph": (
        (
            f'<p>a<br>{{[{DOTS}<br><a name="OutJoinLink"></a><a href="{SKYPE}">Join</a><br><a href="{SKYPE}?sl=1">Web</a><br>'
            f"[!OC([041d])!]<br>{DOTS}]}}<br>b</p>"
        ),
        SKYPE,
    ),
    "Lync 2010": (
        (
            f'a<br>{{[{DOTS}<br><a href="{LYNC}"><font size="5">Join</font></a><br>+18885550100<br><a '
            f'href="https://join.contoso.com/dialin">Numbers</a><br>Conference ID: 640823217<br>{DOTS}]}}<br>b'
        ),
        LYNC,
    ),
}


CASES = [("teams", *each) for each in TEAMS.values()] + [("skype", *each) for each in OTHERS.values()]


@pytest.mark.parametrize(("kind", "marked", "url"), CASES, ids=[*TEAMS, *OTHERS])
def test_block_that_a_client_wrote_goes_whole_and_alone(kind, marked, url):
    """Nothing of the block stays, nothing around it goes, and what it joined is known where anything says it."""
    lead, _, rest = marked.partition("{[")
    inner, _, trail = rest.partition("]}")
    body = lead + inner + trail
    (block,) = locate(body).blocks
    assert block.spans == ((len(lead), len(lead + inner)),)
    assert (block.kind, block.join_url) == (kind, url)
    assert block.user_text is None
    assert remove(body) == lead + trail
    changed = replace(body, NEW)
    assert replace(changed, NEW) == changed


def test_other_products_meetings_are_nobodys_block():
    """Zoom writes telephone links as Teams does, Google has a host that begins as Lync's do."""
    zoom = '<p>ID: 912 3456 7890</p><a href="https://zoom.us/j/9">Join</a><a href="tel:+1669,,9123456#">One tap</a>'
    google = (
        '<a href="https://meet.google.com/abc-defg-hij">Meet</a> <a href="tel:+15551234567">(US) +1</a> PIN: 123456789#'
    )
    for body in (f"<p>{RULE}</p>{zoom}<p>{RULE}</p>", f"<p>{google}</p>"):
        assert replace(body, NEW) is body
