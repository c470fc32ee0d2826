"""What somebody changed in an invitation after we wrote it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meeting_values import NOW, page, skype_block, skype_event, skype_url, teams_block, teams_url

from mms_core import jsontext
from mms_core.block import locate
from mms_core.differences import LONGEST, body_difference, difference, form_hash
from mms_core.meetings import Coordinates, Original
from mms_core.model import RunId
from mms_core.planning import coordinates

quick = settings.get_profile("unit")
SKYPE, TEAMS = skype_block(skype_url()), teams_block(teams_url())
WRITTEN = Coordinates(kind="teams", join_url=teams_url())


def _original(event):
    return Original(
        key="k",
        run_id=RunId("r"),
        event_id=event.event_id,
        body=event.body,
        content_type="html",
        locations_json=jsontext.dumps(event.locations).decode(),
        properties=event.properties,
        kept_at=NOW,
    )


def _migrated(event, **more):
    values = {
        "locations": ({"displayName": "Microsoft Teams Meeting", "uniqueId": "Microsoft Teams Meeting"},),
        "properties": {"SkypeTeamsMeetingUrl": teams_url(), "SkypeTeamsProperties": "{}", "MmsRun": "r"},
    }
    return replace(event, **{**values, **more})


def test_our_own_block_is_no_difference():
    """It is folded on both sides."""
    assert body_difference(page(SKYPE), page(TEAMS)) == ("", False)


def test_words_outside_the_block_are_shown_line_by_line():
    """As a unified diff, the unchanged rest left out."""
    before = page(SKYPE)
    text, is_cut = body_difference(before, page(TEAMS).replace("see you there", "see you in room 7"))
    assert not is_cut
    assert "-<p class=MsoNormal>שלום &amp; see you there.</p>" in text.split("\n")
    assert "+<p class=MsoNormal>שלום &amp; see you in room 7.</p>" in text.split("\n")
    assert "the agenda" not in text


def test_markup_on_one_line_is_split_at_its_paragraphs():
    """As Outlook on the web writes it."""
    text, _ = body_difference(
        "<div>one</div><div>two</div><div>three</div>", "<div>one</div><div>2</div><div>three</div>"
    )
    assert text.split("\n")[2:] == ["@@ -1,2 +1,2 @@", " <div>one</div>", "-<div>two</div>", "+<div>2</div>"]


def test_a_large_rewrite_is_cut():
    """A row has its limit; what is kept says that there is more."""
    new = "\n".join(f"<p>line {number}</p>" for number in range(5000))
    text, is_cut = body_difference(page(SKYPE), new)
    assert is_cut
    assert len(text) <= LONGEST


def test_a_lone_surrogate_is_shown_as_a_replacement_character():
    """A row is UTF-8."""
    text, _ = body_difference("<p>a</p>", "<p>\ud83d</p>")
    assert "+<p>\ufffd</p>" in text


@quick
@given(st.text(alphabet="ab<p>\n ", max_size=60), st.text(alphabet="ab<p>\n ", max_size=60))
def test_a_body_never_differs_from_itself_and_differs_where_words_do(before, now):
    """Whatever the markup; blank lines are nobody's words."""
    assert body_difference(before, before) == ("", False)
    text, _ = body_difference(before, now)
    if "".join(before.split()) != "".join(now.split()):
        assert text


def test_nothing_is_named_where_only_we_wrote():
    """Our label, the blanked Skype properties, our Teams properties."""
    event = skype_event(1)
    found = difference(_original(event), _migrated(event), is_body_ours=True, written=[WRITTEN])
    assert (found.parts, found.in_block) == ("", False)


def test_an_edit_inside_the_block_is_said_to_be_one():
    """There is nothing to show: the block was ours."""
    event = skype_event(1)
    now = _migrated(event, body=page(TEAMS.replace("Join the meeting now", "Join now")))
    found = difference(_original(event), now, is_body_ours=False, written=[WRITTEN])
    assert (found.body, found.in_block, found.parts) == ("", True, "body")


def test_another_meeting_is_named_by_its_property():
    """Somebody made a new Teams meeting out of it; and the Skype add-in wrote again."""
    event = skype_event(1)
    properties = {"SkypeTeamsMeetingUrl": teams_url("other"), "UCMeetingSetting": "<new/>" + "x" * 500, "MmsRun": "r"}
    found = difference(_original(event), _migrated(event, properties=properties), is_body_ours=True, written=[WRITTEN])
    assert [each.name for each in found.properties] == ["SkypeTeamsMeetingUrl", "UCMeetingSetting"]
    assert found.properties[1].before == "<settings/>"
    assert len(found.properties[1].now) == 200
    assert found.parts == "properties"


def test_a_place_that_exchange_completed_is_still_ours():
    """It adds types and ids; the name is what people see."""
    event = skype_event(1)
    now = _migrated(event, locations=({"displayName": "Microsoft Teams Meeting", "locationType": "default"},))
    assert difference(_original(event), now, is_body_ours=True).locations_now is None


# -- the same letters, spelled in another way ---------------------------------------------------------------------------

SENT = '<html><body><p class="a" style="color:red">Hello&nbsp;<a href="https://x.example/?A=1">you</a> &amp; me</p></body></html>'


@pytest.mark.parametrize(
    "now",
    [
        SENT,
        SENT.replace('"', "'"),
        SENT.replace("<p class", "<P CLASS").replace("</p>", "</P>"),
        SENT.replace("&nbsp;", "\u00a0").replace("&amp;", "&#38;"),
        SENT.replace("<body>", '<head>\r\n<meta charset="utf-8"></head><body>\r\n'),
        SENT.replace('style="color:red"', 'style="color: red"'),
    ],
)
def test_another_spelling_of_the_markup_is_the_same_form(now):
    """Quotes, case, entities, white space, the frame around it."""
    assert form_hash(now) == form_hash(SENT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Hello", "hello"),
        ("Hello", "<b>Hello</b>"),
        ("x.example", "y.example"),
        ("color:red", "color:blue"),
        (" &amp; me", " &amp; me too"),
        ("</p>", "</p><br>"),
    ],
)
def test_an_edit_is_another_form(old, new):
    """Words, links, tags, attributes."""
    assert form_hash(SENT.replace(old, new)) != form_hash(SENT)


def test_the_form_of_plain_text_has_no_tags():
    """A less-than sign is a word there."""
    assert form_hash("a <b> c", content_type="text") != form_hash("a c", content_type="text")
    assert form_hash("a\r\nb", content_type="text") == form_hash("a b", content_type="text")
    assert form_hash("<>", content_type="html") == form_hash("<>", content_type="html")


def test_a_block_that_exchange_appended_is_left_out_of_the_form():
    """Only the one that leads where it should."""
    text = page("<p>Agenda</p>")
    block_of = coordinates(locate(teams_block(teams_url("alpha"))).blocks[0])
    appended = text.replace("</body>", teams_block(teams_url("alpha")) + "</body>")
    assert form_hash(appended, without=block_of) == form_hash(text)
    other = text.replace("</body>", teams_block(teams_url("beta")) + "</body>")
    assert form_hash(other, without=block_of) != form_hash(text)
