# ruff: noqa: RUF001 -- the curiosities are the point
"""The text around the block: what people really have in their invitations, and a rewrite must not touch."""

import html
import random
from dataclasses import dataclass
from enum import Enum

from mms_local.demo.words import Words


class Curiosity(Enum):
    """Something in the text that careless software damages."""

    NONE = ""
    NBSP = "&nbsp;\u00a0&nbsp;<i>12&nbsp;500&nbsp;€</i>\u00a0; &eacute;&#233;&#xE9;\u00e9 &amp;amp; &lt;not a tag&gt;"
    EMOJI = "\U0001f680 \U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1f8\U0001f1ea \u2764\ufe0f"
    CJK = "議事録は共有フォルダーへ。参加者：髙橋、𠮷田、김민준、陈伟"
    RIGHT_TO_LEFT = (
        '<span dir="rtl" lang="HE">נתראה ביום שלישי בשעה 10:30</span> / <span dir="rtl" lang="AR">إلى اللقاء</span>'
    )
    COMBINING = "Zoë Ångström (A\u030angstro\u0308m), Đặng Thị Hồng, ﬁnance"
    DOTS = "Name ........................................ Room ...................."
    TABLE = (
        "<table border=1 cellspacing=0><tr><td style='padding:0cm 5.4pt'>09:00</td><td nowrap>Setup<br></td></tr>"
        "<tr><td>09:15</td><td>Start</td></tr></table>"
    )
    CONDITIONAL = '<!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]-->'


@dataclass(frozen=True, slots=True)
class Body:
    """An invitation's HTML in three parts; only the middle one may ever change."""

    above: str
    block: str
    below: str

    @property
    def text(self) -> str:
        """The whole."""
        return self.above + self.block + self.below


def write_body(
    words: Words,
    *,
    block: str,
    curiosity: Curiosity = Curiosity.NONE,
    newline: str = "\n",
    text_below: bool = False,
    only_block: bool = False,
    rng: random.Random,
) -> Body:
    """Compose an invitation around *block*.

    Args:
        words: The organiser's language.
        block: The online-meeting block; empty for a meeting in a room.
        curiosity: What makes this text hard to handle.
        newline: CRLF as Word writes, or LF.
        text_below: Whether the organiser also wrote something under the block.
        only_block: Nothing but the block stands in the body.
        rng: The source of variety.
    """
    head = newline.join(
        (
            f'<html lang="{words.locale[:2]}">',
            "<head>",
            '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">',
            "</head>",
            f'<body lang="{words.locale.upper()}" link="#0563C1" vlink="#954F72">',
            '<div class="WordSection1">',
            "",
        )
    )
    foot = newline.join(("", "</div>", "</body>", "</html>", ""))
    if only_block:
        return Body(head, block, foot)
    above = newline.join((*_paragraphs(words, curiosity, rng), '<p class="MsoNormal">&nbsp;</p>', ""))
    below = ""
    if text_below:
        closing = html.escape(words.closing, quote=False)
        below = newline.join(("", '<p class="MsoNormal"><o:p>&nbsp;</o:p></p>', f"<p class=MsoNormal>{closing}</p>"))
    return Body(head + above, block, below + foot)


def _paragraphs(words: Words, curiosity: Curiosity, rng: random.Random) -> list[str]:
    points = rng.sample(words.points, rng.randint(2, 4))
    lines = [
        f'<p class="MsoNormal">{html.escape(words.greeting, quote=False)}</p>',
        '<p class="MsoNormal"><o:p>&nbsp;</o:p></p>',
        f'<p class="MsoNormal"><b>{html.escape(words.agenda, quote=False)}</b></p>',
        "<ol style='margin-top:0cm' start=1 type=1>",
        *(f'<li class="MsoListParagraph">{html.escape(point, quote=False)}</li>' for point in points),
        "</ol>",
    ]
    if curiosity in {Curiosity.TABLE, Curiosity.CONDITIONAL}:
        lines.append(curiosity.value)
    elif curiosity is not Curiosity.NONE:
        lines.append(f"<p class='MsoNormal'>{curiosity.value}</p>")
    return lines
