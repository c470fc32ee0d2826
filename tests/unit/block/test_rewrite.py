"""Putting, taking and appending; what is given and what comes back."""

from __future__ import annotations

import pytest
from bodies import NEW, element, join, teams, teams_text

from mms_core.block import AmbiguousBlock, Located, append, locate, remove, replace
from mms_core.errors import PermanentError

ODD = "\ufeff\r\nA\rB\n&nbsp;\u00a0&#55296;\ud83d&#xD83D;<P CLASS='x'>\x00\x0b漢😀שלום<![if !x]><!--[if mso]>&copy<![endif]-->"


@pytest.mark.parametrize("before", [ODD, ODD + "<b>x", "<table><tr><td>" + ODD])
def test_odd_characters_around_a_block_survive(before):
    """BOM, lone surrogates, NUL, every newline, every way to write a blank."""
    body = f"{before}{teams()}{ODD}"
    assert replace(body, NEW) == f"{before}{NEW.html}{ODD}"
    assert remove(body) == f"{before}{ODD}"


def test_located_is_used_as_given():
    """A caller who has chosen among several blocks passes the choice."""
    body = teams("AA") + "<p>b</p>" + teams("BB")
    first = locate(body).blocks[0]
    changed = replace(body, NEW, located=Located(blocks=(first,)))
    assert changed == NEW.html + "<p>b</p>" + teams("BB")


def test_replacing_with_what_is_there_gives_the_same_object():
    """No copy, so that a caller sees by identity that nothing is to be written."""
    body = f"<p>a</p>{NEW.html}<p>b</p>"
    assert replace(body, NEW) is body


def test_ambiguity_is_a_permanent_error():
    """With the code of the catalogue and the reason."""
    with pytest.raises(PermanentError) as caught:
        replace("x", NEW, located=Located(blocks=(), ambiguous="several-meetings: two"))
    assert isinstance(caught.value, AmbiguousBlock)
    assert (caught.value.code, caught.value.detail) == ("AmbiguousBlock", "several-meetings: two")


APPEND = {
    "before the end of the body": ("<html><body><p>a</p></body></html>", "<html><body><p>a</p>§</body></html>"),
    "before the end of the document": ("<html><p>a</p></HTML>\r\n", "<html><p>a</p>§</HTML>\r\n"),
    "behind a fragment": ("<p>a</p>", "<p>a</p>§"),
    "in an empty body": ("", "§"),
    "not inside a comment": ("<body><p>a</p><!-- </body> --></body>", "<body><p>a</p><!-- </body> -->§</body>"),
    "where no body ends": ("<p>a</p><!-- </bodyguard> -->", "<p>a</p><!-- </bodyguard> -->§"),
}


@pytest.mark.parametrize(("body", "expected"), APPEND.values(), ids=APPEND)
def test_append_to_html(body, expected):
    """At the end of what is shown."""
    assert append(body, NEW) == expected.replace("§", NEW.html)


@pytest.mark.parametrize(("body", "lead"), [("a\r\n", "a\r\n"), ("a", "a\n"), ("a\nb", "a\nb\n")])
def test_append_to_text(body, lead):
    """On a line of its own, in the body's newlines."""
    newline = "\r\n" if "\r\n" in body else "\n"
    assert append(body, NEW) == lead + NEW.text.replace("\n", newline) + newline


def test_kept_text_in_plain_text_goes_below():
    """Plain text does not tell what was typed, so nothing is kept there."""
    body = f"a\n{teams_text()}\nb"
    assert replace(body, NEW, keep_user_text=True) == f"a\n{NEW.text}\nb"


def test_block_inside_inline_paragraph_keeps_its_neighbours_in_their_elements():
    """The paragraph is closed before the new block and opened again behind it, attributes and all."""
    link = '<font size="4"><a href="https://meet.lync.com/c/anna/R1">Join</a></font>'
    body = f"<p id=x><b>before {link} after</b></p>"
    assert replace(body, NEW) == f"<p id=x><b>before </b></p>{NEW.html}<p id=x><b> after</b></p>"
    assert remove(body) == "<p id=x><b>before  after</b></p>"


def test_opaque_join_link_still_makes_a_block_by_its_separators():
    """A gateway that hides the URL leaves class and separators; there is no join URL to compare then."""
    body = teams().replace(join(), "https://protect.example/s/abc")
    block = locate(body).blocks[0]
    assert block.join_url is None
    assert remove(body) == ""
    assert locate(element().replace(join(), "https://protect.example/s/abc")).blocks != ()
