"""Blocks in small, for tables: as much of each kind as its recogniser needs, and what people put around it."""

from __future__ import annotations

from mms_core.block import decode_join_information

RULE = "_" * 80
DOTS = "." * 137
TENANT = "22222222-2222-4222-8222-222222222222"
ORGANIZER = "11111111-1111-4111-8111-111111111111"


def join(name: str = "QQ", organizer: str = ORGANIZER) -> str:
    """A classic join URL as Graph writes it."""
    return (
        f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{name}%40thread.v2/0?context="
        f"%7b%22Tid%22%3a%22{TENANT}%22%2c%22Oid%22%3a%22{organizer}%22%7d"
    )


def options(name: str = "QQ") -> str:
    """The link to the meeting's options, as HTML."""
    return f"https://teams.microsoft.com/meetingOptions/?organizerId=1&amp;threadId=19_meeting_{name}@thread.v2&amp;language=de-DE"


def safe(url: str) -> str:
    """A Safe Link around a URL, as HTML."""
    inner = url.replace("%", "%25").replace(":", "%3A").replace("/", "%2F").replace("?", "%3F").replace("=", "%3D")
    return f"https://eur05.safelinks.protection.outlook.com/?url={inner}&amp;data=05%7C02&amp;reserved=0"


def side_rule(rule: str = RULE) -> str:
    """A separator of generations 1 to 3: an element beside the block."""
    return f'<div style="width:100%"><span style="color:#5F5F5F; opacity:.36">{rule}</span>\n</div>'


def element(name: str = "QQ", *, prefix: str = "", inside: str = "") -> str:
    """Teams' own element, generation 3."""
    return (
        f'<div class="{prefix}me-email-text" lang="de-DE" style="color:#252424">\n'
        '<div style="margin-top:24px"><span style="font-size:24px">Microsoft Teams-Besprechung</span></div>\n'
        f'<div><a href="{join(name)}" class="{prefix}me-email-headline" style="font-size:14px">Hier</a></div>\n{inside}'
        '<div><span data-tid="meeting-code" style="font-size:14px">Nummer: 111 222 333 444</span></div>\n'
        f'<div><a class="{prefix}me-email-link" style="font-size:14px" href="{options(name)}">Optionen</a></div>\n</div>'
    )


FOOT = '<div style="font-size:14px"></div>\n<div style="font-size:12px"></div>'


def teams(name: str = "QQ", *, prefix: str = "", inside: str = "", below: str = "") -> str:
    """A whole block of generation 3, separators beside it."""
    return f"{side_rule()}\n{element(name, prefix=prefix, inside=inside)}\n{below}{FOOT}\n{side_rule()}"


def restyled(name: str = "QQ", *, before: str = RULE, after: str = RULE, link: str | None = None) -> str:
    """A block as desktop Outlook saves it again: classes gone, paragraphs in elements."""

    def row(inner: str) -> str:
        return f'<div style="overflow:hidden"><p class="MsoNormal">{inner}</p></div>\n'

    return (
        (row(f"<span>{before}</span><span></span>") if before else "")
        + row("<b><span>Microsoft Teams</span></b>")
        + row(f'<a href="{link or safe(join(name))}"><b>Teilnehmen</b></a>')
        + row("Nummer: 111 222 333 444")
        + row('<a href="tel:+15550100,,719224215">+1 555 0100,,719224215#</a> USA')
        + row(f'<a href="{safe(options(name).replace("&amp;", "&"))}">Optionen</a> |')
        + (row(f"<span>{after}</span>") if after else "")
    ).rstrip("\n")


def skype(name: str = "R1", *, dots: str = DOTS, host: str = "meet.contoso.com", inside: str = "") -> str:
    """A Skype block with Outlook's bookmarks and marker."""

    def row(inner: str) -> str:
        return f"<p class=MsoNormal style='text-autospace:none'>{inner}</p>\n"

    return (
        (row(f"<span style='font-size:8.0pt'>{dots}</span><b><span><o:p></o:p></span></b>") if dots else "")
        + row(
            f"<a name=OutJoinLink></a><a href=https://{host}/anna/{name}><span style='font-size:16.0pt'>Skype</span></a>"
            "<a name=OutSharedNoteBorder>&nbsp;</a>"
        )
        + inside
        + row(f'<span style="font-size:10.0pt">? <a href="https://{host}/anna/{name}?sl=1">Web</a></span>')
        + row("<span style='font-size:1.0pt'>[!OC([1031])!]</span>")
        + (row(f"<span style='font-size:8.0pt'>{dots}</span>") if dots else "")
    ).rstrip("\n")


def teams_text(name: str = "QQ", *, before: str = RULE, after: str = RULE) -> str:
    """A Teams block in plain text."""
    return (
        f"{before}\nMicrosoft Teams\nJoin<{join(name)}>\nID: 111 222 333 444\n"
        f"Options<{options(name).replace('&amp;', '&')}>\n{after}"
    ).strip("\n")


def skype_text(name: str = "R1", *, dots: str = DOTS) -> str:
    """A Skype block in plain text."""
    return (
        f"{dots}\nSkype <https://meet.contoso.com/anna/{name}>\nWeb <https://meet.contoso.com/anna/{name}?sl=1>\n\n"
        f"Konferens-ID: 68138\n[!OC([041d])!]\n{dots}"
    ).strip("\n")


NEW = decode_join_information(
    f'<div class="me-email-text"><div>{RULE}</div><div><a id="meet_invite_block.action.join_link" '
    f'href="{join("NEW")}">Join</a></div><div>{RULE}</div></div>'
)
"""The block that tests put in."""
