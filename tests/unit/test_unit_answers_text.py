"""Answers hold whatever text a mailbox holds."""

import json

import pytest

from mms_core import jsontext
from mms_core.api.http import json_response, list_response, text_response

CUT, MENDED = "cut \ud83d 你好 👋", "cut \ufffd 你好 👋"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (json_response({"subject": CUT}), {"subject": MENDED}),
        (
            list_response([{"subject": CUT}, {"subject": "whole"}]),
            {"value": [{"subject": MENDED}, {"subject": "whole"}]},
        ),
    ],
)
def test_half_an_emoji_becomes_a_replacement_character_in_an_answer(response, expected):
    """UTF-8 cannot carry it, and it is no reason to answer nothing."""
    assert json.loads(response.body.decode()) == expected


def test_half_an_emoji_becomes_a_replacement_character_in_csv():
    """As in JSON."""
    assert text_response(CUT, content_type="text/csv").body.decode() == MENDED


def test_what_is_stored_keeps_it():
    """Only what is shown is mended."""
    assert jsontext.loads(jsontext.dumps({"a": CUT}), dict) == {"a": CUT}
