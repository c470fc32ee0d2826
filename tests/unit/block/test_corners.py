"""What the tables do not reach: blocks far apart, surplus tags deep inside, coordinates without their usual links."""

from __future__ import annotations

import re

import pytest
from bodies import DOTS, NEW, RULE, element, join, options, restyled, side_rule, skype, skype_text, teams, teams_text
from invitations import english

from mms_core.block import locate, remove, replace
from mms_core.block.tokens import token_start

FILLER = "<p class=MsoNormal>Some words&nbsp;</p>\r\n" * 2_500


def test_blocks_far_apart_are_all_found():
    """Each neighbourhood of anchors is looked at by itself; what a comment hides in between is not there."""
    body = f"<html><body>{teams()}{FILLER}<!-- {teams()} -->{FILLER}{skype()}{FILLER}{restyled()}<p>z</p></body></html>"
    located = locate(body)
    assert [(block.kind.value, block.generation) for block in located.blocks] == [
        ("teams", "3"),
        ("skype", "server"),
        ("teams", "3b"),
    ]
    assert located.ambiguous is None
    assert (
        replace(body, NEW) == f"<html><body>{NEW.html}{FILLER}<!-- {teams()} -->{FILLER}{FILLER}<p>z</p></body></html>"
    )


def test_element_that_reaches_far_is_read_to_its_end():
    """A dial-in list of a whole world makes a block longer than what is looked at first."""
    inside = "".join(f'<div style="font-size:14px">{number} Country</div>\n' for number in range(3_000))
    block = element(inside=inside) + '<div style="font-size:12px"></div>'
    assert remove(f"<p>a</p>{block}<p>b</p>") == "<p>a</p><p>b</p>"


def test_anchors_inside_a_token_that_a_window_ends_with_are_not_looked_at_twice():
    """A comment that begins near one block and ends behind the next hides that one."""
    body = f"{teams()}<!-- {FILLER}{FILLER}{teams('ZZ')} --><p>b</p>"
    assert len(locate(body).blocks) == 1


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_surplus_end_tags_close_what_is_open_before_and_no_more(depth):
    """Of three surplus end tags, as many stay as elements are open, however far before."""
    block = teams().replace(
        '<div style="font-size:12px"></div>', '<div style="font-size:12px"></div></div></div></div>'
    )
    lead = "<divider></divider>" + "<div>" * depth + "<div>x</div>" * 200 + FILLER
    assert remove(f"{lead}{block}<p>b</p>") == f"{lead}{'</div>' * depth}<p>b</p>"


COORDINATES = {
    "a dial-in page": (
        f'<a href="{join()}">Join</a><a href="https://dialin.teams.microsoft.com/0?id=51525" style="font-size:1px">x</a>',
        ("51525", (), None, None),
    ),
    "digits and a hash": (
        '<span style="font-size:1px">Call +49 30 12 34 56 then 515 253 545#</span>',
        ("515253545", ("+4930123456",), None, None),
    ),
    "an escaped plus": (
        '<span style="font-size:1px">&#43;49 30 123456, 515 253 545 #</span>',
        ("515253545", ("+4930123456",), None, None),
    ),
    "an address without digits": ('<span style="font-size:1px">anna@contoso.com</span>', (None, (), None, None)),
    "an address and digits": (
        '<span style="font-size:1px">key@rooms.example</span><div style="font-size:1px">Video: 125 977 202 6</div>',
        (None, (), "key@rooms.example", "1259772026"),
    ),
    "an internal extension": ('<a href="tel:12" style="font-size:1px">x</a>', (None, (), None, None)),
    "many numbers": (
        "".join(f'<a href="tel:+1555{number:04},,77#" style="font-size:1px">x</a>' for number in range(150)),
        ("77", tuple(f"+1555{number:04}" for number in range(100)), None, None),
    ),
}


@pytest.mark.parametrize(("inside", "expected"), COORDINATES.values(), ids=COORDINATES)
def test_coordinates_of_a_teams_block(inside, expected):
    """By shape, whichever of them there is."""
    block = locate(element(inside=f"<div>{inside}</div>").replace("111 222 333 444", "n")).blocks[0]
    assert (block.conference_id, block.numbers, block.vtc_key, block.vtc_conference_id) == expected


@pytest.mark.parametrize(
    ("page", "third_party"),
    [
        ("https://dialin.contoso.com", False),
        ("https://voice.contoso.com/dialin", False),
        ("https://dialin.lync.com/numbers", False),
        ("https://www.phones.example/dial-in", True),
        ("https://www.phones.example/local-numbers", True),
        ("https://www.phones.example/globalaccess/?bid=75", True),
        ("https://[broken/dialin", False),
    ],
)
def test_dial_in_by_another_provider(page, third_party):
    """Neither Microsoft's page nor the organisation's own."""
    inside = f'<p style="text-autospace:none"><a href="{page}">x</a> <a href="tel:+15550100,,77#">y</a></p>'
    assert locate(skype(inside=inside)).blocks[0].third_party_acp is third_party


NOTHING_HTML = {
    "the class on a cell that is empty": '<table><tr><td class="me-email-text"></td></tr></table>',
    "the class behind another's name": f'<div class="not-me-email-text">x</div><a href="{join()}">x</a>',
    "a URL in a style": f'<div style="background:url({join()})">x</div>',
    "a URL too long ago": "https://" + "a" * 5_000 + "teams.microsoft.com/meet/123456789",
    "a host without a URL": "<p>go to teams.microsoft.com/meet/123456789</p>",
    "a small Lync link": '<p><font size="2"><a href="https://meet.lync.com/c/anna/R1">Join</a></font></p>',
    "a big Lync URL": '<font size="5"><a href="https://meet.lync.com/c/anna/R1">https://meet.lync.com/c/anna/R1</a></font>',
    "a Lync URL in text": '<font size="5">https://meet.lync.com/c/anna/R1</font>',
    "Skype's marks without a link": "<p>[!OC([1033])!]</p><p>rlidLync15</p>",
    "dots in an attribute": f"<p title='{DOTS}'>?sl=1</p><p title='{DOTS}'>lync</p>",
}


@pytest.mark.parametrize("body", NOTHING_HTML.values(), ids=NOTHING_HTML)
def test_what_only_looks_like_a_block(body):
    """Is left alone."""
    assert locate(body).blocks == ()


def test_separators_in_attributes_are_none():
    """Neither before nor behind a block."""
    body = f'<p title="{RULE}">a</p>{restyled(before="", after="")}<p title="{RULE}">b</p>'
    assert remove(body) == f'<p title="{RULE}">a</p><p title="{RULE}">b</p>'
    body = f'<p title="{DOTS}">a</p>{skype(dots="")}<p title="{DOTS}">b</p>'
    assert remove(body) == f'<p title="{DOTS}">a</p><p title="{DOTS}">b</p>'
    body = f'<p title="{RULE}">a</p>{element()}<p title="{RULE}">b</p>'
    assert remove(body) == f'<p title="{RULE}">a</p><p title="{RULE}">b</p>'


def test_users_separators_far_from_a_block_are_not_taken():
    """Too much is written in between for them to be the block's."""
    words = "<p>" + "words " * 400 + "</p>"
    body = f"<p>{RULE}</p>{words}{restyled(before='', after='')}{words}<p>{RULE}</p>"
    assert remove(body) == f"<p>{RULE}</p>{words}{words}<p>{RULE}</p>"
    body = f"<p>{DOTS}</p>{words}{skype(dots='')}{words}<p>{DOTS}</p>"
    assert remove(body) == f"<p>{DOTS}</p>{words}{words}<p>{DOTS}</p>"
    words = "words " * 400
    body = f"{RULE}\n{words}\n\n{teams_text(before='', after='')}\n\n{words}\n{RULE}"
    assert remove(body) == f"{RULE}\n{words}\n\n\n\n{words}\n{RULE}"
    body = f"{DOTS}\n{words}\n\n{skype_text(dots='')}\n\n{words}\n{DOTS}"
    assert remove(body) == f"{DOTS}\n{words}\n\n\n\n{words}\n{DOTS}"


def test_two_blocks_in_text_are_two():
    """Each ends before the next begins; of two meetings it is ambiguous which is the own one."""
    body = f"{teams_text('AA')}\nb\n{teams_text('BB')}"
    assert [block.join_url for block in locate(body).blocks] == [join("AA"), join("BB")]
    assert locate(body).ambiguous.startswith("several-meetings:")
    body = f"{skype_text('R1')}\nb\n{skype_text('R2')}"
    assert locate(body).ambiguous.startswith("several-meetings:")
    assert remove(f"{teams_text()}\nb\n{teams_text()}") == "\nb\n"


LINKLESS = {
    "headline, conference id, links": (
        (
            "a\n\nJoin Microsoft Teams Meeting\n+46 8 505 0100   Sweden\nNumber: 269 926 001#\nNear | PIN | More | Options\n"
            "With a device\n818283@rooms.example Video: 1291418361\nOther ways\n\nbye"
        ),
        ("1", "269926001", "818283@rooms.example"),
    ),
    "a preview": (f"{RULE}\r\nMicrosoft Teams\r\nDevice\r\nNumber of", ("2", None, None)),
    "both separators": (f"{RULE}\nMicrosoft Teams\nNumber: 269 926 001#\n{RULE}\nbye", ("2", "269926001", None)),
    "no room system": ("Microsoft Teams\nNumber: 269 926 001#\nNear | PIN | More\nbye", ("1", "269926001", None)),
}


@pytest.mark.parametrize(("body", "expected"), LINKLESS.values(), ids=LINKLESS)
def test_block_that_lost_its_links_is_reported_and_left(body, expected):
    """Which meeting it joins, nobody can tell."""
    located = locate(body)
    assert located.ambiguous.startswith("no-join-link:")
    (block,) = located.blocks
    assert (block.generation, block.conference_id, block.vtc_key) == expected
    assert block.join_url is None


def test_text_between_headline_and_separator_is_no_linkless_block():
    """A separator that somebody wrote above other words."""
    assert locate(f"{RULE}\nwords\nMicrosoft Teams\nwords").blocks == ()


def test_options_link_of_one_language_in_another_form():
    """Its language counts wherever it stands."""
    assert locate(restyled()).blocks[0].language == "de-DE"
    assert "language=de-DE" in options()


def test_place_between_two_tags_is_found_behind_a_style_sheet():
    """Wherever the search ends: a group inside a possessive repeat made Python's own re raise SystemError here."""
    shadow = b'<div x="<!--"><style>p{}</style><p title="a > b">'
    places = {token_start(shadow, 0, position) for position in range(len(shadow))}
    assert places == {0, 14, 32}


def test_simple_url_of_any_host_is_known_by_its_twin_for_the_web_app():
    """A host such as ``uc.contoso.com`` says nothing, but ``?sl=1`` does."""
    block = locate(f"<p>a</p>{skype(host='uc.contoso.com')}<p>b</p>").blocks[0]
    assert block.join_url == "https://uc.contoso.com/anna/R1"


def test_join_link_behind_the_older_proofpoint_gateway_is_found():
    """Its escapes take the dash out of ``meetup-join``."""
    escapes = str.maketrans({"-": "-2D", "_": "-5F", "%": "-25", "/": "_", ":": "-3A", "?": "-3F", "=": "-3D"})
    wrapped = f"https://urldefense.proofpoint.com/v2/url?u={join().translate(escapes)}&d=DwMFAg&c=x&r=y&m=z&s=w&e="
    body = f"<p>a</p>{teams().replace(join(), wrapped)}<p>b</p>"
    assert wrapped in body
    assert locate(body).blocks[0].join_url == locate(teams()).blocks[0].join_url


def test_generation_without_its_join_link_is_told_by_the_language_of_its_element():
    """A gateway that hides the join link leaves the headline first, and that names the product in both."""
    body = english("teams-2.html")
    link = locate(body).blocks[0].join_url
    assert link is not None
    hidden = body.replace(link, "https://protect.contoso.com/s/abc")
    assert hidden != body
    assert [(block.generation, block.join_url) for block in locate(hidden).blocks] == [("2", None)]


def test_white_space_between_kept_tags_is_no_span_of_its_own():
    """A block that begins or ends with a user's tag leaves the blanks beside that tag where they are."""
    body = f"<div><div>\n{side_rule()}</div>\n{element()}<div>\n{side_rule()}\n</div></div>"
    located = locate(body)
    assert all(not body[lo:hi].isspace() for block in located.blocks for lo, hi in block.spans)
    assert remove(body).count("<div>") == remove(body).count("</div>")


def test_skype_anchors_far_from_each_other_are_of_two_blocks():
    """A bookmark that somebody copied to the end of a long body does not stretch the block over all of it."""
    far = "<p class=MsoNormal>word</p>\n" * 2_000
    body = f"<p>a</p>{skype()}{far}<p><a name=OutSharedNoteBorder></a>z</p>"
    assert remove(body) == f"<p>a</p>{far}<p><a name=OutSharedNoteBorder></a>z</p>"


def test_words_of_outlooks_own_links_are_not_a_users():
    """Outlook styles what stands in a link by the link."""
    inside = '<p class=MsoNormal><a href="https://contoso.com">Rules of the house</a> and more words</p>\n'
    block = locate(f"<p>a</p>{skype(inside=inside)}").blocks[0]
    assert block.user_text == "and more words"


def test_dial_in_page_with_a_host_that_is_none_proves_nothing():
    """A link that cannot be taken apart is nobody's."""
    inside = '<p><a href="tel:+15550100">+1 555 0100</a> <a href="https://[dial/number">x</a></p>\n'
    block = locate(f"<p>a</p>{skype(inside=inside)}").blocks[0]
    assert (block.numbers, block.third_party_acp) == (("+15550100",), False)


def test_separator_after_text_is_wrapped_by_its_own_elements_only():
    """Empty paragraphs and line breaks between a text and a block stay the user's."""
    lead = "<div>Agenda:<br>\r\n<p>&nbsp;</p><p><br></p>"
    assert remove(f"{lead}{teams()}</div>") == f"{lead}</div>"


def test_paragraph_around_an_inline_block_is_found_though_it_begins_far_before():
    """A start tag of block level right above a separator hides no paragraph that is still open."""
    body = f'<p>Hello{"x" * 400} <span>{RULE}</span><br><a href="{join()}">Join</a><br><span>{RULE}</span> bye</p>'
    changed = replace(body, NEW)
    assert changed == f"<p>Hello{'x' * 400} </p>{NEW.html}<p> bye</p>"


def test_comment_alone_makes_no_html_of_a_text():
    """Some gateway's note above a text leaves ``<https://…>`` what it is in text."""
    block = locate(f"<!-- scanned -->\n{skype_text()}").blocks[0]
    assert block.join_url == "https://meet.contoso.com/anna/R1"


def test_simple_url_of_any_host_is_known_by_outlooks_bookmark():
    """Lync had no web app, so that there is no twin; but what stands behind the bookmark is the join link."""
    block = skype(host="uc.contoso.com").replace("uc.contoso.com/anna/R1?sl=1", "contoso.com")
    assert locate(f"<p>a</p>{block}<p>b</p>").blocks[0].join_url == "https://uc.contoso.com/anna/R1"


@pytest.mark.parametrize(
    "target", ["https://o15.officeredir.microsoft.com/r/rlidLync15", "https://dialin.contoso.com/a/b"]
)
def test_another_link_behind_outlooks_bookmark_is_no_join_link(target):
    """Whoever has lost the join link has not made one of the help page."""
    block = skype(host="uc.contoso.com").replace("uc.contoso.com/anna/R1?sl=1", "contoso.com")
    body = block.replace("https://uc.contoso.com/anna/R1", target)
    assert target in body
    assert locate(body).blocks[0].join_url is None


LYNC_2010_HELP = "http://r.office.microsoft.com/r/rlidOC10?clid=1031&amp;p1=4&amp;p2=1041"


@pytest.mark.parametrize("dots", ["", f"<p>{DOTS}</p>"], ids=["without lines", "with lines"])
def test_lync_2010_is_known_by_its_help_link(dots):
    """It has no web app, and copies have lost its bookmarks and its marker."""
    inner = (
        f'{dots}<p><a href="https://join.contoso.com/meet/anna/HZ96LF57">Join online meeting</a></p><p>+15550100</p>'
        f'<p>ID: 640823217</p><p><a href="{LYNC_2010_HELP}">First online meeting?</a></p>{dots}'
    )
    body = f"<p>a</p>{inner}<p>b</p>"
    (block,) = locate(body).blocks
    assert (block.generation, block.language) == ("lync", "de-DE")
    assert block.join_url == "https://join.contoso.com/meet/anna/HZ96LF57"
    assert remove(body) == "<p>a</p><p>b</p>"


def test_lync_2010_in_text_is_known_by_its_help_link():
    """The same in plain text, where its lines are missing too."""
    inner = (
        "Join <https://meet.contoso.com/anna/R1>\n\nID: 1234567\nHelp <" + LYNC_2010_HELP.replace("&amp;", "&") + ">"
    )
    assert remove(f"a\n\n{inner}\n\nb\n") == "a\n\n\n\nb\n"


def test_lines_to_dial_in_go_with_a_skype_block_that_lost_all_below_them():
    """The last line with something of Skype's in it ends the block."""
    start = '<p><a name=OutJoinLink></a><a href="https://meet.contoso.com/anna/R1">x</a></p>'
    twin = '<p><a href="https://meet.contoso.com/anna/R1?sl=1">Web</a></p>'
    assert remove(f'<p>a</p>{start}{twin}<p><a href="tel:+15550100">+1</a></p><p>b</p>') == "<p>a</p><p>b</p>"


def test_telephone_link_far_below_a_restyled_block_is_the_users():
    """The marks of one block follow each other closely."""
    below = "<p>words of mine</p>" * 600 + '<p><a href="tel:+15550100,,2#">x</a></p>'
    assert remove(f"<p>a</p>{restyled(after='')}{below}") == f"<p>a</p>{below}"


def test_skype_meetings_without_bookmarks_are_told_apart_by_their_links():
    """Nothing else says that a second block begins."""

    def block(name: str) -> str:
        url = f"https://meet.contoso.com/anna/{name}"
        return f'<p><a href="{url}">x</a></p><p><a href="{url}?sl=1">y</a></p><a href="https://a.b/rlidLync15">z</a>'

    assert locate(block("R1") + block("R2")).ambiguous.startswith("several-meetings:")


def test_simple_url_of_any_host_is_known_by_its_path():
    """Some organisations serve all of theirs from one host."""
    body = skype(host="video.contoso.com/meet")
    assert locate(body).blocks[0].join_url == "https://video.contoso.com/meet/anna/R1"


def test_marks_in_text_without_any_link_are_no_block():
    """A text about Outlook's own marks."""
    assert locate("OutJoinLink\n[!OC([1033])!]\nwords").blocks == ()


def test_another_link_above_a_block_in_text_is_the_users():
    """Only a simple URL begins a block."""
    lead = "a\nhttps://example.com/x\n"
    assert remove(lead + skype_text(dots="")) == lead


@pytest.mark.parametrize(
    "block",
    [skype().replace("</p>", ""), f'<p>{RULE}<p>Microsoft Teams<p><a href="{join()}">x</a><p>{RULE}'],
    ids=["Skype", "Teams"],
)
def test_separators_in_paragraphs_without_end_tags_take_their_paragraphs_along(block):
    """HTML closes a paragraph where the next one begins."""
    assert remove(f"<p>a{block}<p>b") == "<p>a<p>b"


@pytest.mark.parametrize(
    "below",
    ['<p>Call me: <a href="tel:+15550100">+1</a></p>', '<p><a href="https://dialin.contoso.com">numbers</a></p>'],
    ids=["a telephone", "a page of numbers"],
)
def test_what_a_user_writes_below_a_skype_block_without_separators_stays(below):
    """The marker and the link to help are the last that the add-in writes of its own."""
    assert remove(f"<p>a</p>{skype(dots='')}{below}") == f"<p>a</p>{below}"
    text = re.sub("<[^>]*>", "", below.replace('<a href="', "").replace('">', " "))
    assert remove(f"a\n{skype_text(dots='')}\n{text}\n") == f"a\n\n{text}\n"


def test_urls_in_angle_brackets_go_with_the_block():
    """Somebody put text into HTML as it was: to a browser ``<tel:+1555>`` is a tag without an end, but nobody's."""
    inner = (
        f"{RULE}<br>Microsoft Teams<br>Join<{join()}><br>+1 555 0100 <tel:+15550100,,77#><br>"
        f"vc@contoso.com <mailto:vc@contoso.com><br><{options()}><br>{RULE}"
    )
    body = f"<div>a<br>{inner}<br>b</div>"
    (block,) = locate(body).blocks
    assert block.join_url == join()
    assert remove(body) == "<div>a<br><br>b</div>"


def test_generation_is_told_by_the_words_of_the_link_whatever_is_around_them():
    """Word puts a span around the words of every link."""
    words = "<b><span lang=EN-US>Join Microsoft</span> <span>Teams Meeting</span></b>"
    body = restyled().replace("<b>Teilnehmen</b>", words).replace("Nummer: 111 222 333 444", "")
    assert words in body
    assert locate(body).blocks[0].generation == "1"


def test_a_lone_lync_link_ends_before_a_block_pasted_below_it():
    """The line of dots between them opens the pasted one; the words above it are the user's."""
    own = '<p><font size="5"><a href="https://meet.lync.com/c/anna/R1">Join online meeting</a></font></p>'
    pasted = (
        f"<p>{DOTS}</p><p><a name=OutJoinLink></a><a href='https://meet.contoso.com/bo/R2'>Join Skype Meeting</a></p>"
        f"<p><a href='https://meet.contoso.com/bo/R2?sl=1'>Web</a></p><p>[!OC([1033])!]</p><p>{DOTS}</p>"
    )
    words = "<p>They have one, too:</p>"
    body = f"<html><body>{own}{words}{pasted}<p>Regards</p></body></html>"
    found = locate(body)
    assert [[body[slice(*span)] for span in block.spans] for block in found.blocks] == [[own], [pasted]]


def test_a_lone_lync_link_begins_behind_what_was_written_below_a_line_of_dots():
    """An earlier migration left the line; the words between it and the link are the user's."""
    own = '<p><font size="5"><a href="https://meet.lync.com/c/anna/R1">Join online meeting</a></font></p>'
    body = (
        f"<html><body><p>Before</p><p>{DOTS}</p><p>&nbsp;</p><p>{DOTS}</p><div>Read the plan</div>{own}</body></html>"
    )
    (block,) = locate(body).blocks
    assert [body[slice(*span)] for span in block.spans] == [own]
    near = f"<html><body><p>Before</p><p>{DOTS}</p><p>&nbsp;</p>{own}</body></html>"
    (block,) = locate(near).blocks
    assert "separator-before" in block.anchors


@pytest.mark.parametrize(("title", "found"), [("x" * 4_000, 1), ("x" * 17_000, 0)], ids=["long", "endless"])
def test_tag_of_any_length_is_read_once(title, found):
    """A tag full of anchors would be read for each of them: 60 seconds for 2 MiB. So there is a longest one."""
    rule = f"<p>{RULE}</p>"
    assert len(locate(f'{rule}<a title="{title}" href="{join()}">Join</a>{rule}').blocks) == found
