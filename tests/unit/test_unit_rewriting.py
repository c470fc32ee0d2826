"""The write of a meeting, as its plan says, and what is checked afterwards."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meeting_values import (
    ABOVE,
    BELOW,
    online_meeting,
    page,
    skype_block,
    skype_event,
    skype_properties,
    skype_url,
    teams_block,
    teams_event,
    teams_url,
)
from test_unit_planning import _plan

from mms_core import block
from mms_core.labels import is_skype_label, teams_label
from mms_core.meetings import Attendee, Recurrence
from mms_core.planning import Step, coordinates
from mms_core.rewriting import is_current, mismatch, rewrite

quick = settings.get_profile("unit")


# -- the write ---------------------------------------------------------------------------------------------------------------


def _rewritten(event, meeting=None, **wish):
    meeting = meeting or online_meeting("new")
    fragment = block.decode_join_information(meeting.join_information)
    planned = _plan(event, **wish)
    return planned, rewrite(planned, meeting, fragment, run_id="run"), fragment


def test_everything_outside_the_block_stays_character_for_character():
    """R4; the block itself goes as a whole, shared notes and all (R3)."""
    event = skype_event()
    _, change, fragment = _rewritten(event)
    assert change.body == page(fragment.html)
    assert "OutSharedNote" not in change.body
    assert change.after.join_url == block.locate(fragment.html).blocks[0].join_url


@quick
@given(
    above=st.text(st.characters(codec="utf-8", exclude_characters="<>&_.\x00"), max_size=40),
    below=st.text(st.characters(exclude_characters="<>&_.\x00"), max_size=40),
)
def test_no_text_around_the_block_is_ever_changed(above, below):
    """CJK, emoji, right-to-left, control characters, half an emoji."""
    frame = {"above": f"<p>{above}</p>", "below": f"<p>{below}</p>"}
    event = skype_event(body=page(skype_block(skype_url("AB12CD01")), **frame))
    _, change, fragment = _rewritten(event)
    assert change.body == page(fragment.html, **frame)


def test_the_old_properties_are_blanked_and_ours_written():
    """Graph cannot delete a property; those that were not there are left out."""
    _, change, _ = _rewritten(skype_event())
    assert {name for name, value in change.properties.items() if value == ""} == set(skype_properties())
    assert change.properties["SkypeTeamsMeetingUrl"] == teams_url("new")
    assert '"cid":"19:meeting_new@thread.v2"' in change.properties["SkypeTeamsProperties"]
    assert change.properties["MmsRun"] == "run"


def test_without_a_thread_there_is_no_thread_property():
    """Teams does not always tell it."""
    _, change, _ = _rewritten(skype_event(), replace(online_meeting("new"), thread_id=None))
    assert "SkypeTeamsProperties" not in change.properties


def test_only_the_old_meetings_label_is_exchanged_among_the_locations():
    """The whole array is sent, rooms as they were; without the label none is sent."""
    room = {"displayName": "Room 3.14", "uniqueId": "room@contoso.example", "uniqueIdType": "directory"}
    label = {"displayName": " skype meeting ", "uniqueId": "Skype Meeting", "uniqueIdType": "private"}
    _, change, _ = _rewritten(skype_event(locations=(room, label)))
    new = {"displayName": "Microsoft Teams Meeting", "uniqueId": "Microsoft Teams Meeting", "uniqueIdType": "private"}
    assert change.locations == (room, new)
    assert _rewritten(skype_event(locations=(room,)))[1].locations is None
    assert _rewritten(skype_event(locations=()))[1].locations is None


def test_a_refresh_leaves_the_locations_alone():
    """Nothing about the place changes."""
    event = teams_event(locations=({"displayName": "Skype Meeting"},))
    assert _rewritten(event, online_meeting("alpha", number="+4989111"))[1].locations is None


@pytest.mark.parametrize(
    ("dial_in", "current"),
    [
        ({}, True),
        ({"number": "+4989111"}, False),
        ({"conference_id": "999888777"}, False),
        ({"number": ""}, False),
    ],
    ids=["same", "number", "conference id", "no dial-in"],
)
def test_a_meeting_is_current_if_people_would_be_told_the_same(dial_in, current):
    """R5: then nobody gets mail."""
    fragment = block.decode_join_information(online_meeting("alpha", **dial_in).join_information)
    assert is_current(_plan(teams_event()), fragment) is current
    assert not is_current(_plan(skype_event()), fragment)


def test_a_teams_meeting_with_a_second_link_is_not_current():
    """The copy has to go."""
    url = teams_url("alpha")
    event = teams_event(body=page(teams_block(url) + "<p>again:</p>" + teams_block(url)))
    fragment = block.decode_join_information(online_meeting("alpha").join_information)
    planned = _plan(event)
    if planned.step is Step.REFRESH:
        assert not is_current(planned, fragment)


def test_coordinates_of_nothing_are_nothing():
    """For the report."""
    assert coordinates(None) is None


# -- more than one block --------------------------------------------------------------------------------


def test_of_several_meetings_the_events_own_is_replaced_and_the_pasted_one_stays():
    """The event's properties settle which block is its own."""
    own, pasted = skype_block(skype_url("AB12CD01")), skype_block(skype_url("ZZ99"))
    planned, change, _ = _rewritten(skype_event(body=page(f"{own}<p>and</p>{pasted}")))
    assert planned.step is Step.MIGRATE
    assert "AB12CD01" not in change.body
    assert change.body.count(skype_url("ZZ99")) == planned.event.body.count(skype_url("ZZ99"))


@pytest.mark.parametrize("is_first", [False, True])
def test_a_skype_block_pasted_into_a_teams_meeting_is_its_owners_text(is_first):
    """W5: it stays, and is no reason to write; what the refresh needs goes into the meeting's own block."""
    own, pasted = teams_block(teams_url("alpha")), skype_block(skype_url("ZZ99"))
    above, below = (f"{ABOVE}{pasted}<p>or</p>", BELOW) if is_first else (ABOVE, f"<p>or</p>{pasted}{BELOW}")
    event = teams_event(body=page(own, above=above, below=below))
    same = block.decode_join_information(online_meeting("alpha").join_information)
    assert is_current(_plan(event), same)
    planned, change, fragment = _rewritten(event, online_meeting("alpha", number="+4989111"))
    assert not is_current(planned, fragment)
    assert change.body == page(fragment.html, above=above, below=below)
    assert [(each.code, each.is_certain) for each in planned.damage] == [("TwoJoinLinks", False)]


def test_a_teams_block_beside_a_skype_meeting_goes_with_it():
    """Somebody converted it by hand: both go, one comes."""
    both = page(f"{skype_block(skype_url('AB12CD01'))}<p>or</p>{teams_block(teams_url('byhand'))}")
    planned, change, fragment = _rewritten(skype_event(body=both))
    assert change.body == page(f"{fragment.html}<p>or</p>")
    assert [(each.code, each.is_certain) for each in planned.damage] == [("TwoJoinLinks", True)]


def test_a_shell_of_a_skype_block_goes_with_a_teams_meetings_block():
    """It leads nowhere, so it is nobody's text."""
    shell = re.sub(r'<a href="https://meet[^>]*>(.*?)</a>', r"\1", skype_block(skype_url("AB12CD01")))
    both = page(f"{teams_block(teams_url('alpha'))}<p>and</p>{shell}")
    _, change, fragment = _rewritten(teams_event(body=both), online_meeting("alpha", number="+4989111"))
    assert change.body == page(f"{fragment.html}<p>and</p>")


# -- what is checked afterwards ------------------------------------------------------------------------------------------------


def _answer(event, change, **more):
    return replace(event, body=change.body, etag="new", properties={}, **more)


def test_an_answer_as_planned_has_no_mismatch():
    """Exchange may write tags, entities and white space its own way."""
    planned, change, _ = _rewritten(skype_event())
    assert mismatch(change, planned, _answer(planned.event, change)) is None
    rewritten = change.body.replace("\r\n", "\n").replace("&nbsp;", "\u00a0").replace("&amp; see", "&#38; see")
    rewritten = rewritten.replace("<p class=MsoNormal>", '<p class="MsoNormal">')
    assert mismatch(change, planned, replace(_answer(planned.event, change), body=rewritten)) is None


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (lambda event, _: {"body": event.body}, "joinUrl"),
        (lambda *_: {"body": page(teams_block(teams_url("other")))}, "joinUrl"),
        (lambda *_: {"body": page("")}, "joinUrl"),
        (lambda _, change: {"body": change.body.replace("the agenda", "the agends")}, "textOutsideTheBlock"),
        (lambda _, change: {"body": change.body.replace("👋", "\ufffd")}, "textOutsideTheBlock"),
        (lambda _, change: {"body": change.body.replace(BELOW, "")}, "textOutsideTheBlock"),
        (lambda _, change: {"body": change.body.replace(ABOVE, ABOVE + ABOVE)}, "textOutsideTheBlock"),
        (lambda event, _: {"attendees": event.attendees[1:]}, "attendees"),
        (lambda event, _: {"attendees": (*event.attendees, Attendee(address="new@x"))}, "attendees"),
        (lambda event, _: {"start_at": event.start_at + timedelta(hours=1)}, "times"),
        (lambda event, _: {"end_at": event.end_at + timedelta(hours=1)}, "times"),
        (lambda *_: {"recurrence": Recurrence(kind="noEnd")}, "recurrence"),
        (lambda *_: {"subject": "another"}, "subject"),
    ],
)
def test_each_difference_is_noticed_and_named(wrong, name):
    """A loud failure instead of a success."""
    planned, change, _ = _rewritten(skype_event())
    answer = replace(_answer(planned.event, change), **wrong(planned.event, change))
    assert mismatch(change, planned, answer) == name


def test_what_people_read_is_compared_to_its_end_in_every_alphabet():
    """A Turkish capital dotted I has two characters in lower case: positions must not be taken from there."""
    event = skype_event()
    event = replace(event, body=event.body.replace(ABOVE, "İ" * 40 + ABOVE))
    planned, change, _ = _rewritten(event)
    assert mismatch(change, planned, _answer(planned.event, change)) is None
    lost = replace(_answer(planned.event, change), body=change.body.replace("the agenda", "the agends"))
    assert mismatch(change, planned, lost) == "textOutsideTheBlock"


def test_an_attendees_answer_is_no_difference():
    """People may accept while we write."""
    planned, change, _ = _rewritten(skype_event())
    accepted = tuple(replace(each, response="accepted") for each in planned.event.attendees)
    assert mismatch(change, planned, _answer(planned.event, change, attendees=accepted)) is None


# -- labels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label",
    [
        "Skype Meeting",
        "skype meeting",
        "  Skype-Besprechung ",
        "Réunion Skype",
        "Skype 会議",
        "Online Meeting",
        "LYNC MEETING",
    ],
)
def test_labels_that_outlook_wrote_are_recognised(label):
    """In any case, with blanks around them."""
    assert is_skype_label(label)


@pytest.mark.parametrize(
    "text", ["", "Skype corner", "Room 3; Skype Meeting", "Skype Meeting (Adele)", "Microsoft Teams Meeting", "Skype"]
)
def test_a_room_that_only_sounds_like_it_is_not_a_label(text):
    """It is exactly the label or it is not touched."""
    assert not is_skype_label(text)


@pytest.mark.parametrize(
    ("language", "label"),
    [
        ("de-DE", "Microsoft Teams-Besprechung"),
        ("DE", "Microsoft Teams-Besprechung"),
        ("ja-JP", "Microsoft Teams 会議"),
        ("en-US", "Microsoft Teams Meeting"),
        ("tlh", "Microsoft Teams Meeting"),
        ("", "Microsoft Teams Meeting"),
        (None, "Microsoft Teams Meeting"),
    ],
)
def test_the_new_label_speaks_the_language_of_the_invitation(language, label):
    """English where we know no other."""
    assert teams_label(language) == label
