"""``joinInformation``: decoded once, balanced, and as text."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from bodies import NEW, RULE, join, options
from invitations import TEMPLATES, invitation, language_of

from mms_core.block import decode_join_information, locate
from mms_core.block.fragment import balanced, is_join_information

MARKUP = (
    f'<div class="me-email-text" lang="fr-FR"><div>{RULE}</div><div>C++ &amp; 100%2B <a href="tel:+33123,,45#">+33 123</a></div>'
    f'<div><a href="{join()}">Participer</a> | <a href="{options()}">Options</a></div><div>{RULE}</div></div>'
)


def lower(text: str) -> str:
    """Escapes in lower case, as .NET writes them."""
    return text.replace("%3C", "%3c").replace("%3E", "%3e").replace("%3A", "%3a")


FORMS = {
    "lower-case escapes, plus for blank": "data:text/html," + lower(quote_plus(MARKUP)),
    "the prefix escaped as well": quote_plus("data:text/html," + MARKUP),
    "a blank escaped": "data:text/html," + quote(MARKUP, safe=""),
    "with a character set": "data:text/html;charset=utf-8," + quote_plus(MARKUP),
    "base64": "data:text/html;base64," + base64.b64encode(MARKUP.encode()).decode(),
    "not escaped": "data:text/html," + MARKUP,
    "HTML as it is": MARKUP,
    "white space around": "\r\n data:text/html," + quote_plus(f"\r\n{MARKUP}\r\n"),
    "the quoting of an example": "data:text/html," + quote_plus(MARKUP + '",\n'),
    "a byte order mark": "\ufeff" + MARKUP,
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_every_form_is_decoded_exactly_once(content):
    """Plus signs of numbers survive, ``%2B`` in text survives, blanks are blanks."""
    fragment = decode_join_information(content)
    assert fragment.html == MARKUP
    assert fragment.language == "de-DE"
    assert fragment.join_url == join()
    assert locate(fragment.html).blocks[0].spans == ((0, len(MARKUP)),)


@pytest.mark.parametrize("content", ["", "data:text/html,", "data:text/html", "data:text/html;base64,%%%", "x" * 10])
def test_odd_contents_are_no_error(content):
    """A total function: what is no block gives a fragment without a join URL."""
    assert decode_join_information(content).join_url is None


BALANCE = {
    "as it is": ("<div><p>a</p></div>", "<div><p>a</p></div>"),
    "one end tag too many": ("<div>a</div></div>", "<div>a</div>"),
    "one in the middle": ("<div>a</div></div><div>b</div>", "<div>a</div><div>b</div>"),
    "one missing": ("<div><div>a</div>", "<div><div>a</div></div>"),
    "several missing": ("<div><p><b>a", "<div><p><b>a</b></p></div>"),
    "an end tag of a void element": ('<hr style="x"></hr>', '<hr style="x">'),
    "a line break's end tag": ("a</br>b", "ab"),
    "an open comment": ("<div>a</div><!-- b", "<div>a</div>"),
    "half a tag": ("<div>a</div><div cla", "<div>a</div>"),
    "a paragraph without end": ("<p>a<p>b</p>", "<p>a<p>b</p>"),
    "crossed": ("<b><i>a</b></i>", "<b><i>a</i></b>"),
}


@pytest.mark.parametrize(("html", "expected"), BALANCE.values(), ids=BALANCE)
def test_fragment_is_balanced(html, expected):
    """Put anywhere, it closes no element but its own and leaves none open."""
    assert balanced(html) == expected
    assert balanced(expected) == expected


@pytest.mark.parametrize("template", [name for name in TEMPLATES if name.endswith(".html")])
def test_balancing_a_balanced_block_changes_nothing(template):
    """Only what is wrong is touched."""
    case = invitation(template, language_of("ja-JP"))
    block = "".join(case.body[lo:hi] for lo, hi in case.spans)
    assert balanced(block).replace("\r\n", "") == block.replace("\r\n", "")


def test_text_alternative_has_lines_links_and_separators():
    """It is what Outlook shows where HTML is not shown: a target in angle brackets behind its words."""
    text = decode_join_information(MARKUP).text
    assert text.split("\n") == [
        RULE,
        "C++ & 100%2B +33 123<tel:+33123,,45#>",
        f"Participer<{join()}> | Options<{options().replace('&amp;', '&')}>",
        RULE,
    ]
    assert locate(text).blocks[0].spans == ((0, len(text)),)


def test_text_of_a_link_that_is_its_own_target_is_not_doubled():
    """Generation 4 shows the URL itself."""
    assert (
        decode_join_information('<p>Join: <a href="https://x.example/1">https://x.example/1</a></p>').text
        == "Join: https://x.example/1"
    )


def test_join_information_is_told_from_html():
    """By its prefix alone."""
    assert is_join_information(FORMS["base64"])
    assert not is_join_information(NEW.html)
