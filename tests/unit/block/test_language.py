"""The language of a block, from its marks."""

from __future__ import annotations

import pytest

from mms_core.block.language import language_of_lcid, linked_language, skype_language, tidy_tag


@pytest.mark.parametrize(
    ("digits", "tag"),
    [
        ("1033", "en-US"),
        ("041d", "sv-SE"),
        ("041D", "sv-SE"),
        ("1053", "sv-SE"),
        ("0409", "en-US"),
        ("0c0a", "es-ES"),
        ("9999", None),
        ("2052", "zh-CN"),
    ],
)
def test_number_is_read_in_decimal_and_in_hex(digits, tag):
    """Outlook wrote both; a leading zero or a letter says hex."""
    assert language_of_lcid(digits) == tag


@pytest.mark.parametrize(
    ("tag", "tidy"),
    [
        ("EN-us", "en-US"),
        ("SV", "sv"),
        ("zh-hans-cn", "zh-Hans-CN"),
        ("es-419", "es-419"),
        ("", None),
        (None, None),
        ("x y", None),
    ],
)
def test_tag_is_written_in_its_usual_case(tag, tidy):
    """BCP 47, section 2.1.1."""
    assert tidy_tag(tag) == tidy


@pytest.mark.parametrize(
    ("shadow", "tag"),
    [
        (b"[!oc([1031])!] clid=1033", "de-DE"),
        (b"[!oc([9999])!] ?clid=1036&p1=5", "fr-FR"),
        (b"?clid=99999", None),
        (b"https://support.office.com/x?ui=sv-se&rs=sv-se", "sv-SE"),
        (b"nothing", None),
    ],
)
def test_skype_language(shadow, tag):
    """The marker first, then the help link, then other links."""
    assert skype_language(shadow) == tag


@pytest.mark.parametrize(
    ("shadow", "tag"),
    [
        (b"&amp;language=ja", "ja"),
        (b"?omkt=pt-br", "pt-BR"),
        (b"%26language%3dfi-fi&amp;data", "fi-FI"),
        (b"my language=de", None),
        (b"?language=", None),
        (b"?language=not-a-language-at-all-really", None),
    ],
)
def test_linked_language(shadow, tag):
    """Only a query parameter counts."""
    assert linked_language(shadow) == tag
