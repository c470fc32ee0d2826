"""The text around a block: found, kept apart from the block, and compared with what became of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mms_local.demo.snapshot import Outside, difference, read_item

TEXT = st.text(alphabet="<p>a. \r\n🚀", max_size=30)


def test_the_text_around_a_block_is_everything_else():
    """Above and below, and one place between them."""
    outside = Outside.around("[block]", "above[block]below")

    assert (outside.text, outside.earliest, outside.latest) == ("abovebelow", 5, 5)


@pytest.mark.parametrize("body", ["no such thing", "[block] twice [block]"])
def test_a_block_that_is_not_there_once_is_refused(body):
    """The demo must not judge by a text that it does not know."""
    with pytest.raises(ValueError, match="times in the body"):
        Outside.around("[block]", body)


def test_a_block_is_found_by_what_was_there_before_it():
    """This is how the demo learns the block that the tenant itself appended."""
    body = "<body><p>Hi</p><div>new</div>\r\n</body>"

    outside = Outside.of_insertion("<body><p>Hi</p></body>", body)

    assert outside.damage(body) == 0
    assert len(outside.block_in(body)) == len("<div>new</div>\r\n")


def test_two_changes_are_not_an_insertion():
    """A tenant that also tidied the text has to be known, not guessed at."""
    with pytest.raises(ValueError, match="one insertion"):
        Outside.of_insertion("<p>a</p><p>b</p>", "<p>A</p>!<p>b</p>")


@given(above=TEXT, old=TEXT.filter(bool), below=TEXT, new=TEXT)
def test_any_other_block_in_the_same_place_is_no_damage(above, old, below, new):
    """Whatever the block becomes, even nothing, the rest counts as unchanged."""
    outside = Outside.of_insertion(above + below, above + old + below)

    assert outside.damage(above + new + below) == 0
    if len(outside.text) == len(above + below):
        assert len(outside.block_in(above + new + below)) == len(new)


@given(above=st.text("abc", min_size=1, max_size=20), below=st.text("abc", min_size=1, max_size=20), data=st.data())
def test_any_changed_character_is_damage(above, below, data):
    """The block consists of other characters, so a change around it cannot hide in it."""
    whole = above + below
    outside = Outside.around("XYZ", f"{above}XYZ{below}")
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + "?" + whole[at + 1 :]

    assert outside.damage(f"{damaged[: len(above)]}NEW{damaged[len(above) :]}") == 1


@given(above=st.text("abc", min_size=1, max_size=20), below=st.text("abc", max_size=20), data=st.data())
def test_any_lost_character_is_damage(above, below, data):
    """A character less is as bad as another one."""
    at = data.draw(st.integers(0, len(above) - 1))
    outside = Outside.around("XYZ", f"{above}XYZ{below}")

    assert outside.damage(f"{above[:at]}{above[at + 1 :]}NEW{below}") >= 1


def test_a_block_in_another_place_is_damage():
    """Replaced means in its place, not at the end."""
    outside = Outside.around("XYZ", "aXYZb")

    assert outside.damage("abNEW") > 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [("same", "same", 0), ("abcd", "abXd", 1), ("ab", "aab", 1), ("", "x", 1), ("abc", "", 3), ("aXXc", "aYc", 2)],
)
def test_differences_are_counted_in_characters(before, after, expected):
    """From the first to the last difference, in the longer text."""
    assert difference(before, after) == expected


def test_an_item_is_read_without_regard_to_order():
    """Graph promises no order of attendees, and an update goes to everybody but the organiser."""
    attendees = [{"emailAddress": {"address": a}} for a in ("B@x.com", "a@x.com", "Boss@x.com")]
    event = {
        "id": "E1",
        "body": {"content": "text"},
        "organizer": {"emailAddress": {"address": "boss@x.com"}},
        "attendees": attendees,
        "onlineMeeting": {"joinUrl": "https://teams.microsoft.com/x"},
        "locations": [{"displayName": "Room Oak"}],
    }

    found, turned = read_item(event), read_item({**event, "attendees": attendees[::-1]})

    assert found == turned
    assert found.recipients == {"a@x.com", "b@x.com"}
    assert found.join_url == "https://teams.microsoft.com/x"
    assert found.places == ("Room Oak",)
