"""A table of what stays and a table of what goes, a recogniser at a time."""

from __future__ import annotations

import pytest
from bodies import (
    DOTS,
    FOOT,
    NEW,
    RULE,
    element,
    join,
    options,
    restyled,
    safe,
    side_rule,
    skype,
    skype_text,
    teams,
    teams_text,
)

from mms_core.block import AmbiguousBlock, locate, remove, replace


def html(inner: str) -> str:
    """A body around something."""
    return f"<html><body>{inner}</body></html>"


NOOP_HTML = {
    "no meeting at all": html("<p>Hello</p>"),
    "a link of the user's": html(f'<p>Join <a href="{join()}">here</a>, please</p>'),
    "a bare URL in text": html(f"<p>Join {join()} please</p>"),
    "a link between the user's own lines": html(
        f'<p>{"_" * 70}</p><p><a href="{join()}">here</a></p><p>{"_" * 70}</p>'
    ),
    "a link and a telephone": html(f'<p><a href="{join()}">here</a> or <a href="tel:+15550100">call</a></p>'),
    "a block in a comment": html(f"<!-- {teams()} --><p>Hello</p>"),
    "a block in an attribute": html(f"<p title='{element()}'>Hello</p>"),
    "classes in a style sheet": html("<style>span.me-email-text {} /* OutJoinLink */</style><p>Hello</p>"),
    "an unclosed comment before it": f"<html><body><!-- {teams()}",
    "separators alone": html(f"<p>{RULE}</p><p>{DOTS}</p><p>Microsoft Teams</p>"),
    "another product's link": html('<a href="https://zoom.us/j/123456789">Join</a>' + side_rule()),
    "a Skype link of the user's": html('<p>Ring me: <a href="https://meet.contoso.com/anna/R1">here</a></p>'),
    "a Skype link with its web twin": html('<a href="https://meet.contoso.com/anna/R1?sl=1">here</a>'),
    "a language marker alone": html("<p>[!OC([1033])!]</p>"),
    "the class on an empty element": html('<div class="me-email-text"></div>'),
    "the options page without a join link": html(f'<p><a href="{options()}">Optionen</a></p>'),
}


@pytest.mark.parametrize("body", NOOP_HTML.values(), ids=NOOP_HTML)
def test_html_without_a_block_is_the_same_object(body):
    """Nothing is found and nothing is copied."""
    assert locate(body).blocks == ()
    assert replace(body, NEW) is body
    assert remove(body) is body


NOOP_TEXT = {
    "nothing": "",
    "white space": " \r\n\t",
    "a URL": f"Join {join()} please",
    "a URL in angle brackets": f"Join <{join()}>, <mailto:a@b.example>",
    "a URL between the user's own lines": f"{'_' * 70}\n{join()}\n{'_' * 70}",
    "two URLs": f"{join()}\n{join('ZZ')}",
    "a Skype URL": "Ring https://meet.contoso.com/anna/R1 at nine",
    "a name of the product": "We use Microsoft Teams: bring 3 | 4 | 5 cups",
    "lines": f"{RULE}\n{DOTS}\n",
}


@pytest.mark.parametrize("body", NOOP_TEXT.values(), ids=NOOP_TEXT)
def test_text_without_a_block_is_the_same_object(body):
    """Nothing is found and nothing is copied."""
    assert locate(body).blocks == ()
    assert replace(body, NEW) is body


# What is written as "§" in the second column is what must be left where the block stood.
REWRITE_HTML = {
    "between paragraphs": (f"<p>a</p>{teams()}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "alone": (teams(), "§"),
    "in the user's own element": (f'<div id="u">{teams()}</div>', '<div id="u">§</div>'),
    "text right before and after": (f"text{teams()}text", "text§text"),
    "glued to the separator's paragraph": (
        f"<p>text{RULE}</p>{element()}<p>{RULE}text</p>",
        "<p>text</p>§<p>text</p>",
    ),
    "classes with x_": (teams(prefix="x_"), "§"),
    "classes with x_x_": (f"<div class=x_wrap>{teams(prefix='x_x_')}</div>", "<div class=x_wrap>§</div>"),
    "classes as Gmail copies them": (teams(prefix="m_-4711"), "§"),
    "classes as Yahoo copies them": (teams(prefix="yiv0815"), "§"),
    "attributes without quotes": (teams().replace('class="me-email-text"', "class=me-email-text"), "§"),
    "attributes in single quotes": (teams().replace('class="me-email-text"', "class = 'me-email-text other'"), "§"),
    "everything in upper case": (teams().replace("div", "DIV").replace('class="me-email', 'CLASS="ME-EMAIL'), "§"),
    "a line of the user's above": (f"<p>{'_' * 70}</p>{teams()}", f"<p>{'_' * 70}</p>§"),
    "lines of the user's on both sides": (
        f"<p>{'_' * 66}</p>{teams()}<p>{'_' * 66}</p>",
        f"<p>{'_' * 66}</p>§<p>{'_' * 66}</p>",
    ),
    "a copy of the separator above and below": (f"<p>{RULE}</p>{teams()}<p>{RULE}</p>", f"<p>{RULE}</p>§<p>{RULE}</p>"),
    "a line of dots above": (f"<p>{DOTS}</p>{teams()}", f"<p>{DOTS}</p>§"),
    "separators missing": (f"<p>a</p>{element()}\n{FOOT}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "first separator missing": (f"<p>a</p>{element()}\n{FOOT}\n{side_rule()}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "last separator missing": (f"<p>a</p>{side_rule()}\n{element()}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "the user's line where the separator is missing": (
        f"<p>{'_' * 70}</p>{element()}<p>{'_' * 70}</p>",
        f"<p>{'_' * 70}</p>§<p>{'_' * 70}</p>",
    ),
    "start inside, end outside": (
        f"<div id=u><p>a</p>{side_rule()}\n{element()}</div>{side_rule()}<p>b</p>",
        "<div id=u><p>a</p>§</div><p>b</p>",
    ),
    "start outside, end inside": (
        f"<p>a</p>{side_rule()}<div id=u>{element()}\n{side_rule()}<p>b</p></div>",
        "<p>a</p>§<div id=u><p>b</p></div>",
    ),
    "start outside, all else in an element of the user's": (
        f"<p>a</p>{side_rule()}<div id=u>{element()}\n{side_rule()}</div><p>b</p>",
        "<p>a</p>§<div id=u></div><p>b</p>",
    ),
    "a surplus end tag in an element": (
        f"<div id=u><p>a</p>{teams(below='')}</div><p>b</p>".replace(FOOT, FOOT + "</div>"),
        "<div id=u><p>a</p>§</div></div><p>b</p>",
    ),
    "a surplus end tag in the body": (f"<p>a</p>{teams()}<p>b</p>".replace(FOOT, FOOT + "</div>"), "<p>a</p>§<p>b</p>"),
    "in a cell": (
        f"<table><tr><td>a{teams()}</td><td>b</td></tr></table>",
        "<table><tr><td>a§</td><td>b</td></tr></table>",
    ),
    "in an old-style paragraph": (f"<p>a<p>{teams()}<p>b", "<p>a<p>§<p>b"),
    "below a link of the user's": (
        f'<p><a href="{join("ZZ")}">other</a></p>{teams()}',
        f'<p><a href="{join("ZZ")}">other</a></p>§',
    ),
    "twice the same": (f"{teams()}<p>b</p>{teams()}", "§<p>b</p>"),
    "Word's styles": (f"<p>a</p><div>\n{restyled()}\n</div><p>b</p>", "<p>a</p><div>\n§\n</div><p>b</p>"),
    "Word's styles, no separators": (f"<p>a</p>{restyled(before='', after='')}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "Word's styles, only the first": (f"<p>a</p>{restyled(after='')}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "Word's styles, only the last": (f"<p>a</p>{restyled(before='')}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "Word's styles, lines of the user's": (
        f"<p>{'_' * 75}</p><p>a</p>{restyled(before='', after='')}<p>b</p><p>{'_' * 75}</p>",
        f"<p>{'_' * 75}</p><p>a</p>§<p>b</p><p>{'_' * 75}</p>",
    ),
    "Word's styles, a plain link": (restyled(link=join()), "§"),
    "a copy in another mail program": (
        (
            f'<p>a</p><p><b>Microsoft Teams</b> <a href="https://aka.ms/JoinTeamsMeeting?omkt=en-US">Help</a></p><p><a href="{join()}">'
            "Join</a></p><p>ID: 276 040 326 896</p><br><hr /><p>Key: <a href='mailto:key@m.example.com'>key@m.example.com</a></p>"
            f'<p>Video: 117 833 133 5</p><p>Hosts: <a href="{options()}">Options</a></p><p>b</p>'
        ),
        "<p>a</p>§<p>b</p>",
    ),
    "lines with br": (
        f'a<br>{RULE}<br>Microsoft Teams<br><a href="{join()}">Join</a><br><a href="{options()}">o</a><br>{RULE}<br>b',
        "a<br>§<br>b",
    ),
    "in a pre": (f"<pre>a\n{RULE}\nJoin &lt;{join()}&gt;\n&lt;{options()}&gt;\n{RULE}\nb</pre>", "<pre>a\n§\nb</pre>"),
    "Skype": (f"<p>a</p>{skype()}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "Skype without separators": (f"<p>a</p>{skype(dots='')}<p>b</p>", "<p>a</p>§<p>b</p>"),
    "Skype, dots of the user's": (
        f"<p>{'.' * 70}</p>{skype()}<p>{'.' * 70}</p>",
        f"<p>{'.' * 70}</p>§<p>{'.' * 70}</p>",
    ),
    "Skype without separators, dots of the user's": (
        f"<p>{'.' * 100}</p>{skype(dots='')}<p>{'.' * 100}</p>",
        f"<p>{'.' * 100}</p>§<p>{'.' * 100}</p>",
    ),
    "Skype beside Teams": (f"<p>a</p>{skype()}<p>b</p>{teams()}<p>c</p>", "<p>a</p>§<p>b</p><p>c</p>"),
    "Teams beside Skype": (f"<p>a</p>{teams()}{skype()}<p>c</p>", "<p>a</p>§<p>c</p>"),
    "Lync's single link in a paragraph of text": (
        '<p>a <font size="4"><a href="https://meet.lync.com/c/anna/R1">Join</a></font> b</p>',
        "<p>a </p>§<p> b</p>",
    ),
    "Lync's single link between the user's own dots": (
        f'<p>{"." * 100}</p><font size="4"><a href="https://meet.lync.com/c/anna/R1">Join</a></font><p>{"." * 100}</p>',
        f"<p>{'.' * 100}</p>§<p>{'.' * 100}</p>",
    ),
    "a block built by hand": (
        "<font size=1>"
        + "." * 68
        + "</font><br><font size=5><a href=https://join.contoso.com/meet/anna/R1>Join Lync</a>"
        "</font><br><a href=http://o15.officeredir.microsoft.com/r/rlidLync15?clid=1033>Help</a><br><font size=1>"
        + "." * 68
        + "</font>",
        "§",
    ),
}


@pytest.mark.parametrize(("inner", "outer"), REWRITE_HTML.values(), ids=REWRITE_HTML)
def test_html_block_goes_and_the_rest_stays(inner, outer):
    """The new block stands where the old one stood, once, however often it is put there."""
    body = html(inner)
    changed = replace(body, NEW)
    assert changed == html(outer).replace("§", NEW.html)
    assert replace(changed, NEW) == changed
    assert len(locate(changed).blocks) == 1


REWRITE_TEXT = {
    "between lines": (f"a\n{teams_text()}\nb\n", "a\n§\nb\n"),
    "alone": (teams_text(), "§"),
    "glued": (f"a{RULE}\nMicrosoft Teams\n{join()}\n{RULE}b", "a§b"),
    "lines of the user's": (f"{'_' * 70}\n{teams_text()}\n{'_' * 70}\n", f"{'_' * 70}\n§\n{'_' * 70}\n"),
    "copies of the separator": (f"{RULE}\na\n{teams_text()}\nb\n{RULE}\n", f"{RULE}\na\n§\nb\n{RULE}\n"),
    "separators missing": (f"a\n\n{teams_text(before='', after='')}\n\nb\n", "a\n\n§\n\nb\n"),
    "generation 4 without separators": (
        (
            "a\nMicrosoft Teams\nJoin: https://teams.microsoft.com/meet/312345678901?p=X\nID: 312 345 678 901\n"
            f"Help: https://aka.ms/JoinTeamsMeeting?omkt=en-US\nReference: {join()}\n{'_' * 32}\nb\n"
        ),
        "a\n§\nb\n",
    ),
    "generation 4 with a rule inside": (
        (
            f"a\n{'_' * 82}\nMicrosoft Teams\nJoin: https://teams.microsoft.com/meet/312345678901?p=X\n{'_' * 32}\n"
            f"Reference<{join()}>\n+1 555 0100,,766918553#<tel:+15550100,,766918553#>\n{'_' * 82}\nb\n"
        ),
        "a\n§\nb\n",
    ),
    "Skype": (f"a\n{skype_text()}\nb\n", "a\n§\nb\n"),
    "Skype, dots of the user's": (f"{'.' * 70}\n{skype_text()}\nb {'.' * 70}", f"{'.' * 70}\n§\nb {'.' * 70}"),
    "Skype without separators": (f"a\n{skype_text(dots='')}\n\nb\n", "a\n§\n\nb\n"),
    "Skype and Teams": (f"a\n{skype_text()}\nb\n{teams_text()}\nc\n", "a\n§\nb\n\nc\n"),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(("inner", "outer"), REWRITE_TEXT.values(), ids=REWRITE_TEXT)
def test_text_block_goes_and_text_stays_text(inner, outer, newline):
    """Plain text gets the text alternative, in its own newlines."""
    body = inner.replace("\n", newline)
    changed = replace(body, NEW)
    assert changed == outer.replace("§", NEW.text).replace("\n", newline)
    assert replace(changed, NEW) == changed


AMBIGUOUS = {
    "two meetings": (teams("AA") + "<p>b</p>" + teams("BB"), "several-meetings"),
    "a forwarded invitation below": (
        teams("AA") + '<div id="divRplyFwdMsg">Von: Anna</div><blockquote>' + teams("BB") + "</blockquote>",
        "several-meetings",
    ),
    "a forwarded Skype invitation below Teams": (
        teams("AA") + "<p>-----Original Appointment-----</p>" + skype(),
        "quoted-meeting",
    ),
    "two Skype meetings": (skype("R1") + skype("R2"), "several-meetings"),
    "Teams inside Skype": (skype(inside=element()), "overlap"),
    "an element never closed": ('<div class="me-email-text">' + f'<a href="{join()}">x</a>{RULE}', "unclear-extent"),
}


@pytest.mark.parametrize(("inner", "code"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_is_ambiguous_is_not_touched(inner, code):
    """The reason has a stable code, and replacing and removing raise."""
    body = html(inner)
    assert locate(body).ambiguous.split(":")[0] == code
    with pytest.raises(AmbiguousBlock, match=code):
        replace(body, NEW)
    with pytest.raises(AmbiguousBlock, match=code):
        remove(body)


def test_same_meeting_quoted_below_is_not_ambiguous():
    """A quoted copy of the very meeting goes together with it: it would be stale."""
    body = html(teams("AA") + "<blockquote>" + teams("AA") + "</blockquote>")
    assert remove(body) == html("<blockquote></blockquote>")


TYPED = {
    "in the element": (
        teams(inside="<div>Bring the <b>report</b> &amp; pens</div><p>Second</p>"),
        "Bring the report & pens\nSecond",
    ),
    "above the last separator": (teams(below='<p class="MsoNormal">Typed here</p>'), "Typed here"),
    "in Skype's": (skype(inside="<p class=MsoNormal>Bring the report</p>"), "Bring the report"),
    "nothing": (teams(), None),
    "nothing in Skype's": (skype(), None),
    "only marks": (teams(inside="<div> | , 7 </div>"), None),
}


@pytest.mark.parametrize(("inner", "text"), TYPED.values(), ids=TYPED)
def test_text_typed_inside_a_block_is_reported(inner, text):
    """It can be kept below the new block, and then stays there."""
    body = html(inner)
    assert locate(body).blocks[0].user_text == text
    changed = replace(body, NEW, keep_user_text=True)
    assert changed.startswith(html("§")[: html("§").index("§")] + NEW.html)
    assert replace(changed, NEW, keep_user_text=True) == changed
    if text is None:
        assert changed == html(NEW.html)
    else:
        assert text.split("\n")[0].replace("&", "&amp;") in changed


def test_word_block_finds_the_url_inside_a_safe_link():
    """The join URL is the one that people were meant to follow."""
    block = locate(html(restyled())).blocks[0]
    assert block.join_url == join()
    assert block.generation == "3b"
    assert block.language == "de-DE"
    assert locate(html(f'<a href="{safe(join())}">x</a>')).blocks == ()
