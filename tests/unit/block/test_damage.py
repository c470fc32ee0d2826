"""What others have broken: told, put right where that needs no guess, and left alone where it would."""

from __future__ import annotations

import pytest
from bodies import DOTS, NEW, RULE, join, restyled, safe, side_rule, skype, skype_text, teams, teams_text
from hypothesis import given, settings
from hypothesis import strategies as st
from invitations import TEMPLATES, english

from mms_core.block import Located, locate, replace
from mms_core.block.damage import Cure, Damage, DamageKind, find_damage, repair

LOST = "\u00ef\u00bf\u00bd"
EMPTY = '<p class="MsoNormal">&nbsp;</p>\r\n'
TEAMS_SHELL = f"{side_rule()}\n{EMPTY}{side_rule()}"
SKYPE_SHELL = f"<p class=MsoNormal><span>{DOTS}</span></p>\n<p><a name=x></a>&nbsp;</p>\n<p class=MsoNormal><span>{DOTS}</span></p>"
ELEMENT_SHELL = (
    f'<div class="x_me-email-text" lang="en-US"><div><span>{RULE}</span></div><br><div><span>{RULE}</span></div></div>'
)
EMPTY_ELEMENT = '<div class="me-email-text" style="color:#252424"><div>&nbsp;</div></div>'
STRIPPED = f"{side_rule()}<p>Microsoft Teams meeting</p><p>Join on your computer</p>{side_rule()}"


def damages(body: str) -> tuple[Damage, ...]:
    """What is broken in a body."""
    return find_damage(body, locate(body))


def told(body: str) -> list[tuple[str, str]]:
    """Kind and cure of everything broken in a body."""
    return [(str(damage.kind), str(damage.cure)) for damage in damages(body)]


@pytest.mark.parametrize("template", TEMPLATES)
def test_sound_invitations_have_no_damage(template):
    """No template of a product is taken for a broken one; the one with both products' blocks holds two meetings."""
    expected = [("two-join-links", "replacement")] if template == "skype-and-teams.html" else []
    assert told(english(template)) == expected


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param(f"<p>a</p><p>{RULE}</p><p>b</p><p>{RULE}</p>", id="a user's two lines with text between"),
        pytest.param(f"<p>a</p>{side_rule()}<p>b</p>{teams()}<p>c</p>", id="a user's line above a block"),
        pytest.param(f"{teams()}{teams()}", id="the same block twice"),
        pytest.param(f"a\n{'_' * 70}\n{'_' * 70}\nb", id="lines of another length"),
        pytest.param(f"<!-- {TEAMS_SHELL} --><p>a</p>{teams()}", id="a shell in a comment"),
        pytest.param('<div class="me-email-text">I typed this here</div>', id="a user's text in what is left"),
        pytest.param("<p>\u00bfQu\u00e9? \u00bd na\u00efve</p>", id="the three characters apart"),
        pytest.param(f'<p>a</p><div class="me-email-text"><a href="{join()}">x</a></div>', id="an element with a link"),
        pytest.param(
            teams().replace(join(), "https://protect.contoso.com/s/abc"), id="a join link that a gateway hides"
        ),
        pytest.param(f"<p>{RULE}</p><p><img src=x></p><p>{RULE}</p>", id="a picture between two lines"),
    ],
)
def test_what_is_no_damage(body):
    """What people write and what products write is left alone."""
    assert damages(body) == ()


@pytest.mark.parametrize(
    "sequence",
    [
        pytest.param(LOST, id="characters"),
        pytest.param("&iuml;&iquest;&frac12;", id="named entities"),
        pytest.param("&#239;&#191;&#189;", id="decimal entities"),
        pytest.param("&#xEF;&#xbf;&#xBD;", id="hexadecimal entities"),
        pytest.param("\u00ef&iquest;\u00bd", id="mixed"),
        pytest.param("\u00c3\u00af\u00c2\u00bf\u00c2\u00bd", id="twice damaged"),
    ],
)
def test_lost_characters_of_a_text_are_told_and_never_guessed(sequence):
    """Every place is named; nothing of it is changed, because nobody knows what stood there."""
    body = f"<p>M{sequence}ller und S{sequence}hne</p>{teams()}"
    (damage,) = damages(body)
    assert (damage.kind, damage.cure, damage.is_certain) == (DamageKind.MOJIBAKE, Cure.NONE, False)
    assert [body[lo:hi] for lo, hi in damage.spans] == [sequence] * 2
    assert repair(body, [damage]) is body
    assert "M" not in damage.detail


def test_lost_characters_inside_a_block_go_with_it():
    """The block is written anew, so what was lost in it comes back; what is outside does not."""
    body = f"<p>na{LOST}ve</p>{teams().replace('Besprechung', f'Bespr{LOST}chung')}"
    assert told(body) == [("mojibake", "replacement"), ("mojibake", "none")]
    assert replace(body, NEW).count(LOST) == 1


def test_lost_characters_in_a_users_text_inside_a_block_may_stay():
    """Such text can be kept below the new block, and then they are kept with it."""
    body = f"{teams(inside=f'<div>Bitte p{LOST}nktlich sein</div>')}"
    assert told(body) == [("mojibake", "none")]


def test_lost_characters_of_an_ambiguous_body_stay():
    """No block of it is written anew."""
    body = f"{teams().replace('Hier', f'Hi{LOST}r')}{teams('ZZ')}"
    assert ("mojibake", "none") in told(body)
    assert ("mojibake", "replacement") not in told(body)


def test_a_body_of_lost_characters_is_told_up_to_a_limit():
    """A thousand places are enough for a report."""
    (damage,) = damages(LOST * 5_000)
    assert len(damage.spans) == 1_000


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(TEAMS_SHELL, id="two separators of Teams"),
        pytest.param(SKYPE_SHELL, id="two lines of dots"),
        pytest.param(ELEMENT_SHELL, id="Teams' element with its separators"),
        pytest.param(EMPTY_ELEMENT, id="Teams' element alone"),
    ],
)
@pytest.mark.parametrize("block", [pytest.param(teams(), id="Teams"), pytest.param(skype(), id="Skype")])
@pytest.mark.parametrize("is_first", [True, False])
def test_empty_shell_beside_a_block_is_gone_after_a_migration(shell, block, is_first):
    """It is taken out for certain, or it goes with the old block; nothing else goes."""
    around = (shell, "<p>b</p>", block) if is_first else (block, "<p>b</p>", shell)
    body = "<html><body><p>a</p>\r\n" + "".join(around) + "\r\n<p>c</p></body></html>"
    found = damages(body)
    assert [(damage.kind, damage.is_certain) for damage in found] == [(DamageKind.EMPTY_SHELL, True)]
    assert [body[lo:hi] for lo, hi in found[0].spans] == [shell]
    repaired = repair(body, found)
    assert damages(repaired) == () or found[0].cure is Cure.REPLACEMENT
    after = replace(repaired, NEW)
    assert "".join(after.split(NEW.html)).replace("\n", "") == "<html><body><p>a</p>\r<p>b</p>\r<p>c</p></body></html>"
    assert damages(after) == ()


@pytest.mark.parametrize("shell", [TEAMS_SHELL, SKYPE_SHELL, ELEMENT_SHELL, EMPTY_ELEMENT, STRIPPED])
def test_shell_without_a_meeting_is_told_and_left(shell):
    """Which meeting it led to is not known."""
    body = f"<html><body><p>a</p>{shell}<p>c</p></body></html>"
    found = damages(body)
    assert [(damage.kind, damage.cure) for damage in found] == [(DamageKind.EMPTY_SHELL, Cure.NONE)]
    assert repair(body, found) is body


def test_shell_that_still_says_something_is_not_taken_out():
    """Somebody may have written it."""
    body = f"<p>a</p>{STRIPPED}<p>b</p>{skype()}"
    assert told(body) == [("empty-shell", "none")]


def test_block_without_its_links_is_a_shell():
    """What is located as a block, but leads nowhere, goes when a new one comes."""
    stripped = teams().replace(f' href="{join()}"', "")
    assert told(f"<p>a</p>{stripped}") == [("empty-shell", "none")]
    both = f"<p>a</p>{stripped}<p>b</p>{skype()}"
    assert told(both) == [("empty-shell", "replacement")]
    assert replace(both, NEW) == f"<p>a</p>{NEW.html}<p>b</p>"


def test_shell_across_a_users_element_leaves_its_tags():
    """The document is nested afterwards as it was before."""
    body = f"<div>a<br>{side_rule()}</div>{EMPTY}{side_rule()}<p>b</p>{teams()}"
    repaired = repair(body, damages(body))
    assert repaired == f"<div>a<br></div><p>b</p>{teams()}"


def test_shell_in_plain_text_is_taken_out():
    """Its lines go, the newlines around them stay."""
    shell = f"{RULE}\r\n\r\n{RULE}"
    text = teams_text().replace("\r\n", "\n").replace("\n", "\r\n")
    body = f"Hello\r\n\r\n{shell}\r\n\r\nagenda\r\n{text}\r\nend"
    found = damages(body)
    assert [(damage.kind, damage.cure) for damage in found] == [(DamageKind.EMPTY_SHELL, Cure.REMOVAL)]
    assert repair(body, found) == f"Hello\r\n\r\n\r\n\r\nagenda\r\n{text}\r\nend"


def test_skype_and_teams_side_by_side_are_told_and_both_go():
    """Somebody converted the meeting by hand: one new block comes for the two."""
    body = f"<p>a</p>{skype()}<p>b</p>{teams()}"
    (damage,) = damages(body)
    assert (damage.kind, damage.cure) == (DamageKind.TWO_JOIN_LINKS, Cure.REPLACEMENT)
    assert damage.detail == "blocks of different meetings: 1 skype, 1 teams"
    assert [body[lo:hi] for lo, hi in damage.spans] == [skype(), teams()]
    assert repair(body, [damage]) is body
    assert replace(body, NEW) == f"<p>a</p>{NEW.html}<p>b</p>"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"{teams()}<p>b</p>{teams('ZZ')}", id="Teams"),
        pytest.param(f"{restyled()}<p>b</p>{restyled('ZZ', link=safe(join('ZZ')))}", id="Teams in Word's styles"),
        pytest.param(f"{skype()}<p>b</p>{skype('R2')}", id="Skype"),
        pytest.param(f"{skype_text()}\n\nb\n\n{skype_text('R2')}", id="Skype in plain text"),
    ],
)
def test_two_meetings_of_one_kind_are_told_and_left(body):
    """Which of the two is the meeting's own, only its properties can say."""
    assert told(body) == [("two-join-links", "none")]


def test_details_say_nothing_of_a_body():
    """They may stand in a log."""
    body = f"<p>Geheim {LOST}</p>{skype()}{TEAMS_SHELL}{teams()}{STRIPPED}"
    found = damages(body)
    assert {damage.kind for damage in found} == set(DamageKind)
    for damage in found:
        assert not any(word in damage.detail for word in ("Geheim", "contoso", "http", "R1", "QQ", LOST))


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                *(TEAMS_SHELL, SKYPE_SHELL, ELEMENT_SHELL, EMPTY_ELEMENT, STRIPPED, teams(), skype(), restyled()),
                *("<div>", "</div>", "<p>a</p>", "<!--", "-->", '<a title="', "<table>"),
                *(f"\r\n{RULE}\r\n", DOTS, LOST, "text"),
            ]
        ),
        max_size=8,
    )
)
def test_repairing_takes_out_only_what_is_named_and_never_a_block(pieces):
    """Whatever is mixed: spans ascend, none reaches into a located block, the rest of the body stays."""
    body = "".join(pieces)
    located = locate(body)
    found = find_damage(body, located)
    blocks = [span for block in located.blocks for span in block.spans]
    removed: list[tuple[int, int]] = []
    for damage in found:
        assert list(damage.spans) == sorted(damage.spans)
        assert all(0 <= lo < hi <= len(body) for lo, hi in damage.spans)
        if damage.cure is Cure.REMOVAL:
            removed += damage.spans
    assert not any(lo < end and start < hi for lo, hi in removed for start, end in blocks)
    assert all(left[1] <= right[0] for left, right in zip(sorted(removed), sorted(removed)[1:], strict=False))
    assert len(repair(body, found)) == len(body) - sum(hi - lo for lo, hi in removed)
    if removed:
        after = locate(repair(body, found))
        assert [block.join_url for block in after.blocks if block.join_url] == [
            block.join_url for block in located.blocks if block.join_url
        ]


@pytest.mark.parametrize(
    "piece",
    [
        TEAMS_SHELL,
        ELEMENT_SHELL,
        f"{RULE}<br>\n",
        "<!--",
        LOST,
        'class="me-email-text"',
        "<div class=me-email-text>",
        DOTS + "\n",
    ],
)
def test_hostile_bodies_have_an_answer(piece):
    """A mebibyte of anything is looked at without a tree and without an error."""
    body = piece * (2**20 // len(piece))
    find_damage(body, Located(blocks=()))
    find_damage(f"{body}{teams()}", locate(f"{body}{teams()}"))
