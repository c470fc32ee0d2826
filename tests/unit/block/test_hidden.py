"""Blocks whose marks a mail gateway or a client has taken: hidden links, lost markers, lines in cells of a table."""

from __future__ import annotations

import re

import pytest
from bodies import DOTS, NEW, RULE, join, restyled, teams_text

from mms_core.block import AmbiguousBlock, locate, remove, replace


def hidden(markup: str) -> str:
    """As a gateway leaves it whose links say nothing of what is behind them."""
    return re.sub(r"https://[^\s\"<>]+", "https://protect.example/s/AbCdEf", markup)


def html(inner: str) -> str:
    """A body around something."""
    return f"<html><body><p>a</p>{inner}<p>b</p></body></html>"


def test_restyled_block_behind_opaque_links_is_known_by_what_no_gateway_touches():
    """Separators, the product's name and numbers agree; which meeting it was, nobody can tell."""
    body = html(hidden(restyled()))
    located = locate(body)
    assert located.ambiguous is None
    (block,) = located.blocks
    assert (block.join_url, block.conference_id, block.numbers) == (None, "719224215", ("+15550100",))
    assert set(block.anchors) >= {"hidden-link", "meeting-id", "product-name", "separator-before", "separator-after"}
    assert remove(body) == html("")


def test_text_block_behind_opaque_links_is_known_as_well():
    """The same holds line by line."""
    body = f"a\n{hidden(teams_text())}\nb\n"
    assert locate(body).ambiguous is None
    assert replace(body, NEW) == f"a\n{NEW.text}\nb\n"


UNCERTAIN = {
    "no separators": html(hidden(restyled(before="", after=""))),
    "only the first": html(hidden(restyled(after=""))),
    "only the last": html(hidden(restyled(before=""))),
    "no separators, a conference by telephone": html(
        '<p>Microsoft Teams</p><p><a href="https://x.example">Join</a></p><p><a href="tel:+15550100,,515253545#">+1</a>'
        "</p><p>515 253 545#</p>"
    ),
    "a link and the name between separators": html(
        f'<p>{RULE}</p><p>Microsoft Teams</p><p><a href="https://protect.example/s/A">Join</a></p><p>{RULE}</p>'
    ),
    "text without separators": f"a\n{hidden(teams_text(before='', after=''))}\nb\n",
}


@pytest.mark.parametrize("body", UNCERTAIN.values(), ids=UNCERTAIN)
def test_what_may_be_a_block_behind_opaque_links_is_reported_and_left(body):
    """Silence would look like a meeting without a block."""
    located = locate(body)
    assert located.ambiguous.startswith("hidden-join-link:")
    assert len(located.blocks) == 1
    assert body[located.blocks[0].spans[0][0] :].startswith(("<div", "<p", "Microsoft"))
    with pytest.raises(AmbiguousBlock):
        replace(body, NEW)


NOT_HIDDEN = {
    "another product's meeting": html(
        f'<p>{RULE}</p><p>Meeting ID: 912 345 678 901</p><p><a href="https://meet.example/1">Join</a></p>'
        f'<p><a href="tel:+15550100,,912345678#">call</a></p><p>{RULE}</p>'
    ),
    "the name, a link and a number": html('<p>Microsoft Teams <a href="https://x.example">x</a> 123 456 789#</p>'),
    "a link that can be read": html(f'<p>Microsoft Teams <a href="{join()}">here</a>, 111 222 333 444</p>'),
    "the name and a link": html('<p>We use Microsoft Teams: <a href="https://example.com">read</a></p>'),
    "a link between separators": html(f'<p>{RULE}</p><p><a href="https://example.com">read</a></p><p>{RULE}</p>'),
    "the name and a number": html("<p>Microsoft Teams 111 222 333 444</p>"),
    "no link at all": html(hidden(restyled()).replace("href", "name")),
    "in a comment": html(f"<!-- {hidden(restyled())} -->"),
    "separators far apart": html(
        f"<p>{RULE}</p>{'<p>words</p>' * 8000}<p>Microsoft Teams</p><a href='https://x.example'>x</a><p>{RULE}</p>"
    ),
}


@pytest.mark.parametrize("body", NOT_HIDDEN.values(), ids=NOT_HIDDEN)
def test_what_only_names_the_product_is_no_hidden_block(body):
    """Nothing is found and no doubt is raised."""
    assert locate(body).blocks == ()
    assert locate(body).ambiguous is None


def test_links_of_teams_that_cannot_be_read_hide_no_block():
    """Of the host alone the meeting is not known: this is a gateway's address with the host's name in it."""
    body = html(re.sub(r"https://[^\s\"<>]+", "https://gw.example/s/AbC?domain=teams.microsoft.com/meet/", restyled()))
    (block,) = locate(body).blocks
    assert block.join_url is None
    assert remove(body) == html("")


def test_each_of_two_hidden_blocks_is_found():
    """One ends where the next one begins."""
    assert remove(html(f"{hidden(restyled())}<p>c</p>{hidden(restyled())}")) == html("<p>c</p>")


def row(*cells: str) -> str:
    """A row with a paragraph in each cell."""
    return "<tr>" + "".join(f"<td><p class=MsoNormal>{cell}</p></td>" for cell in cells) + "</tr>"


JOIN = '<a name=OutJoinLink></a><a href="https://meet.contoso.com/anna/R1">Skype</a>'
WEB = '? <a href="https://meet.contoso.com/anna/R1?sl=1">Web</a>'
TABLES = {
    "a cell for a line": (row(JOIN) + row(WEB) + row("[!OC([1031])!]"), "<tr><td>§</td></tr>"),
    "separators in cells": (
        row(DOTS) + row(JOIN) + row("[!OC([1031])!]") + row(DOTS),
        "<tr><td>§</td></tr>",
    ),
    "rows of the user's above and below": (
        row("a") + row(JOIN) + row(WEB) + row("b"),
        row("a") + "<tr><td>§</td></tr>" + row("b"),
    ),
    "an empty cell behind": (row(JOIN) + row(WEB, "&nbsp;"), "<tr><td>§</td></tr>"),
    "text of the user's behind": (
        row(JOIN) + row(WEB, "b"),
        "<tr><td>§</td></tr><tr><td></td><td><p class=MsoNormal>b</p></td></tr>",
    ),
}


def test_a_table_that_begins_and_ends_inside_the_block_goes_with_it():
    """The separators stand outside of it, so that nothing of it is the user's."""
    body = html(f"<p>{DOTS}</p><table>{row(JOIN)}{row(WEB)}</table><p>{DOTS}</p>")
    assert remove(body) == html("")


@pytest.mark.parametrize(("rows", "left"), TABLES.values(), ids=TABLES)
def test_lines_in_cells_leave_no_empty_cells(rows, left):
    """The first cell takes the new block; the others go unless somebody wrote into them."""
    body = html(f"<table>{rows}</table>")
    changed = replace(body, NEW)
    assert changed == html(f"<table>{left.replace('§', NEW.html)}</table>")
    assert replace(changed, NEW) == changed


LYNC_URL = "https://join.contoso.com/meet/anna/HZ96LF57"
OLDER = {
    "separators": (f"<p>{DOTS}</p><p><a href='{LYNC_URL}'>Join</a></p><p>+1 555 0100</p><p>{DOTS}</p>", "between-dots"),
    "its page of numbers and its conference id": (
        (
            f'<p><a href="{LYNC_URL}">Join</a></p><p>+1 555 0100</p><p><a href="https://join.contoso.com/dialin">More'
            "</a></p><p>Conference ID: <b>640823217</b></p>"
        ),
        "conference-id",
    ),
    "the same on a host of its own": (
        (
            f'<p><a href="{LYNC_URL}">Join</a></p><p>5550100</p><p><a href="https://dialin.contoso.com">More</a></p>'
            "<p>\u4f1a\u8b70 ID\uff1a 640823217</p>"
        ),
        "conference-id",
    ),
}


@pytest.mark.parametrize(("block", "anchor"), OLDER.values(), ids=OLDER)
def test_lync_2010_without_marker_and_help_is_known_by_what_surrounds_its_link(block, anchor):
    """Two separators, or the organisation's page of numbers and a conference id."""
    (found,) = locate(html(block)).blocks
    assert (found.kind, found.join_url) == ("skype", LYNC_URL)
    assert (anchor in found.anchors) is (anchor == "conference-id")
    assert remove(html(block)) == html("")


def test_lync_2010_without_marker_and_help_is_known_in_text():
    """The same in plain text."""
    lines = f"Join <{LYNC_URL}>\n\n+1 555 0100\nMore <https://join.contoso.com/dialin>\n\nConference ID: 640823217"
    assert remove(f"a\n{DOTS}\n{lines}\n{DOTS}\nb\n") == "a\n\nb\n"
    assert remove(f"a\n{lines}\nb\n") == "a\n\nb\n"
    assert locate(f"a\n{lines}\nb\n").blocks[0].conference_id == "640823217"


NOT_LYNC = {
    "no conference id": f'<a href="{LYNC_URL}">Join</a> <a href="https://dialin.contoso.com">More</a> : 12 rooms',
    "a signature": f'<p><a href="{LYNC_URL}">Room</a> | <a href="https://dialin.contoso.com">In</a></p><p>Tel: 0850501</p>',
    "no link between the lines": f"<p>{DOTS}</p><p>words</p><p>{DOTS}</p>",
    "another link between the lines": f'<p>{DOTS}</p><p><a href="https://example.com/a/b">x</a></p><p>{DOTS}</p>',
    "lines of the user's": f'<p>{"." * 90}</p><p><a href="{LYNC_URL}">Join</a></p><p>{"." * 90}</p>',
    "a page of numbers alone": '<a href="https://dialin.contoso.com">More</a> ID: 640823217',
    "another page of that name": f'<a href="{LYNC_URL}">Join</a> dialin <a href="https://example.com/dialin">x</a> n: 1234',
    "Teams' page of numbers": f'<a href="{LYNC_URL}">x</a> <a href="https://dialin.teams.microsoft.com/1">y</a> ID: 1234',
}


@pytest.mark.parametrize("inner", NOT_LYNC.values(), ids=NOT_LYNC)
def test_a_simple_url_alone_stays_the_users(inner):
    """The same object comes back."""
    body = html(inner)
    assert replace(body, NEW) is body


def test_a_teams_block_is_no_reason_to_look_for_lync_2010():
    """What is looked for last is looked for where nothing else was found."""
    body = html(f'<p><a href="{join()}">x</a></p>{OLDER["separators"][0]}')
    assert locate(body).blocks == ()
