"""Templates of notices: refused when they are written, never when they are used."""

from __future__ import annotations

import pytest

from mms_core.errors import BadInput
from mms_core.notices import BODIES, SUBJECTS
from mms_core.settings import TenantSettings
from mms_core.templates import (
    BLOCKS,
    LONGEST_BODY,
    LONGEST_SUBJECT,
    TEXTS,
    Markup,
    check,
    fill_body,
    fill_subject,
    listed,
)


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_our_own_texts_are_templates_like_any_other(kind):
    """They use no name that does not exist."""
    check("subject", SUBJECTS[kind], kind=kind, is_body=False)
    check("body", BODIES[kind], kind=kind, is_body=True)
    assert set(SUBJECTS) == set(BODIES) == set(TEXTS) == set(BLOCKS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NoticeBeforeBody", "$nobody"),
        ("NoticeBeforeSubject", "$meetings"),
        ("NoticeAfterBody", "${due}"),
        ("NoticeDigestBody", "5 $ each"),
        ("NoticeDigestSubject", "x" * (LONGEST_SUBJECT + 1)),
        ("NoticeAfterBody", "x" * (LONGEST_BODY + 1)),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(name, text):
    """The field is named, nothing is changed."""
    with pytest.raises(BadInput) as caught:
        TenantSettings().changed({name: text})
    assert caught.value.field == name


def test_a_good_template_is_taken():
    """Also the empty one, which is ours again."""
    settings = TenantSettings().changed({"NoticeBeforeBody": "<p>$count, ${due}, $$1</p>"})
    assert settings.NoticeBeforeBody == "<p>$count, ${due}, $$1</p>"
    assert settings.changed({"NoticeBeforeBody": ""}).NoticeBeforeBody == ""


def test_values_are_escaped_but_for_markup_of_our_own():
    """A subject of a meeting is a stranger's text."""
    values = {"a": "<b>&\"'", "b": listed(["<i>", "x"])}
    assert fill_body("$a$b", values) == "&lt;b&gt;&amp;&quot;&#x27;<ul><li>&lt;i&gt;</li><li>x</li></ul>"
    assert listed([]) == Markup("")


def test_a_value_is_never_a_template():
    """What is filled in is not looked at again."""
    assert fill_body("$a", {"a": "$b $$", "b": "no"}) == "$b $$"


def test_a_subject_is_one_line_of_text():
    """No header can be smuggled in, and Exchange's limit holds."""
    assert fill_subject("To $a", {"a": "x\r\nBcc: y"}) == "To x Bcc: y"
    assert len(fill_subject("$a", {"a": "x" * 999})) == 255
