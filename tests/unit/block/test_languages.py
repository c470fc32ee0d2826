"""Every generation in 28 languages: kind, generation, language, exact spans, coordinates."""

from __future__ import annotations

import pytest
from invitations import EXPECTED, LANGUAGES, TEMPLATES, invitation

from mms_core.block import locate, remove

CASES = [
    pytest.param(template, language, id=f"{template}-{language['tag']}")
    for template in TEMPLATES
    for language in LANGUAGES
]


@pytest.mark.parametrize(("template", "language"), CASES)
def test_block_is_found_in_every_language(template, language):
    """Kind, generation, join URL and coordinates come out the same whatever language the block is in."""
    case = invitation(template, language)
    located = locate(case.body)
    assert located.ambiguous is None
    assert [span for block in located.blocks for span in block.spans] == case.spans
    for block, expected in zip(located.blocks, EXPECTED[template], strict=True):
        wanted = {"conference_id": None, "numbers": [], "vtc_key": None, "third_party_acp": False} | expected
        has_language = wanted.pop("language")
        found = {name: getattr(block, name) for name in wanted}
        assert found | {"numbers": list(found["numbers"])} == wanted
        assert block.language == (case.language if has_language else None)
        assert block.user_text is None


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_outside_the_block_stays(template):
    """What remains without the block is the body without its spans, character for character."""
    case = invitation(template, LANGUAGES[0])
    outside = "".join(
        case.body[end:start]
        for end, start in zip(
            [0, *(hi for _, hi in case.spans)], [*(lo for lo, _ in case.spans), len(case.body)], strict=True
        )
    )
    assert remove(case.body) == outside
