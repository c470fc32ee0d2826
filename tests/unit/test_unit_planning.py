"""From the facts about a meeting to what is done with it; the write; and what is checked afterwards."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meeting_values import (
    ABOVE,
    BELOW,
    NOW,
    OTHER_USER,
    TENANT,
    USER,
    an_event,
    online_meeting,
    page,
    people,
    skype_block,
    skype_event,
    skype_properties,
    skype_url,
    teams_block,
    teams_event,
    teams_url,
)

from mms_core import block
from mms_core.labels import is_skype_label, teams_label
from mms_core.meetings import Attendee, Recurrence
from mms_core.model import Source, Target
from mms_core.planning import (
    Step,
    Wish,
    coordinates,
    external_id,
    headcount,
    is_current,
    is_over,
    mismatch,
    plan,
    rewrite,
)

quick = settings.get_profile("unit")
DAY = timedelta(days=1)
ACP_PHONE = "<p class=MsoNormal>Join by phone</p>\r\n<p class=MsoNormal>Toll number: +1 555 0100 (InterCall) Conference ID: 123 456</p>\r\n"


def _wish(**more):
    values = {
        "source": Source.ALL,
        "target": Target.TEAMS,
        "organizer_id": USER,
        "tenant_id": TENANT,
        "is_licensed": True,
        "replace_acp": False,
        "maximum_attendees": 250,
    }
    return Wish(**{**values, **more})


def _plan(event, **wish):
    return plan(event, _wish(**wish), now=NOW)


# -- over or not (W7) -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "over"), [(timedelta(seconds=-1), True), (timedelta(0), False), (timedelta(hours=1), False)]
)
def test_a_single_meeting_is_over_when_it_has_ended(ended, over):
    """One that is going on now still has a future."""
    event = an_event(start=NOW + ended - timedelta(hours=1), end_at=NOW + ended)
    assert is_over(event, now=NOW) is over


@pytest.mark.parametrize(
    ("zone", "end_date", "over"),
    [
        ("UTC", date(2026, 3, 2), False),
        ("UTC", date(2026, 3, 1), True),
        (None, date(2026, 3, 1), True),
        # 08:00 UTC on 2 March is still 1 March in Honolulu and already 2 March, 22:00, in Kiritimati.
        ("Pacific/Honolulu", date(2026, 3, 1), False),
        ("Pacific/Kiritimati", date(2026, 3, 1), True),
        # A name that Python does not know is less than a day off.
        ("Customized Time Zone", date(2026, 3, 1), False),
        ("Customized Time Zone", date(2026, 2, 27), True),
    ],
)
def test_a_series_with_an_end_date_is_over_by_the_calendar_of_its_zone(zone, end_date, over):
    """The last day counts where the series lives."""
    series = Recurrence(kind="endDate", end_date=end_date, zone=zone)
    assert is_over(skype_event(kind="seriesMaster", recurrence=series, start=NOW - 900 * DAY), now=NOW) is over


@pytest.mark.parametrize("kind", ["noEnd", "numbered"])
def test_a_series_without_an_end_date_is_not_over_by_its_own_facts(kind):
    """Its first occurrence lies years back, and says nothing."""
    series = Recurrence(kind=kind, start_date=date(2020, 1, 1), count=3)
    event = skype_event(kind="seriesMaster", recurrence=series, start=NOW - 900 * DAY)
    assert not is_over(event, now=NOW)
    assert _plan(event) is not None


# -- whose business it is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        skype_event(is_organizer=False),
        skype_event(is_cancelled=True),
        skype_event(is_draft=True),
        skype_event(start=NOW - 2 * DAY),
        an_event(),
        an_event(body=""),
    ],
    ids=["copy", "cancelled", "draft", "past", "no block", "empty body"],
)
def test_what_is_none_of_our_business_gives_nothing(event):
    """No row, no mail."""
    assert _plan(event) is None


@pytest.mark.parametrize(
    ("source", "target", "skype", "teams"),
    [
        (Source.ALL, Target.TEAMS, "migrate", "refresh"),
        (Source.ALL, Target.CURRENT, "move", "refresh"),
        (Source.SFB, Target.TEAMS, "migrate", None),
        (Source.SFB, Target.CURRENT, "move", None),
        (Source.TEAMS, Target.TEAMS, None, "refresh"),
        (Source.TEAMS, Target.CURRENT, None, "refresh"),
    ],
)
def test_source_and_target_decide_what_is_done(source, target, skype, teams):
    """R6: Current leaves Skype with Skype, and Teams makes Teams of everything that matches."""
    planned = [_plan(event, source=source, target=target) for event in (skype_event(), teams_event())]
    assert [each and str(each.step) for each in planned] == [skype, teams]


# -- genuine or pasted (W5) -----------------------------------------------------------------------------------------------


def test_a_meeting_made_with_the_button_is_genuine():
    """Its properties agree with its block."""
    assert _plan(skype_event()).step is Step.MIGRATE
    assert _plan(teams_event()).step is Step.REFRESH


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (skype_event(properties={}), "no-properties"),
        (skype_event(properties=skype_properties("OTHER")), "other-meeting"),
        (teams_event(properties={}), "no-properties"),
        (teams_event(properties={"SkypeTeamsMeetingUrl": teams_url("other")}), "other-meeting"),
    ],
)
def test_a_pasted_block_is_a_listed_skip(event, reason):
    """With the reason why it is not the meeting's own."""
    planned = _plan(event)
    assert (planned.step, planned.code, planned.rule, planned.detail) == (Step.SKIP, "PastedBlock", "W5", reason)


def test_somebody_elses_teams_meeting_is_pasted():
    """The link names its organizer."""
    url = teams_url("beta", user=OTHER_USER)
    event = teams_event(body=page(teams_block(url)), properties={"SkypeTeamsMeetingUrl": url})
    assert _plan(event).detail == "other-organizer"


def test_an_exception_without_properties_inherits_those_of_its_series():
    """Graph shows them on the master only."""
    event = skype_event(properties={})
    assert plan(event, _wish(), now=NOW).code == "PastedBlock"
    planned = plan(event, _wish(), now=NOW, inherited=skype_properties("AB12CD01"))
    assert planned.step is Step.MIGRATE
    assert planned.event.properties == skype_properties("AB12CD01")


def test_an_exceptions_own_properties_come_before_inherited_ones():
    """It may be a meeting of its own by now."""
    assert plan(skype_event(), _wish(), now=NOW, inherited=skype_properties("OTHER")).step is Step.MIGRATE


def test_a_skype_meeting_that_lost_its_block_is_listed():
    """Its properties say that people could meet online; the invitation does not tell how."""
    planned = _plan(an_event(properties=skype_properties()))
    assert (planned.step, planned.code) == (Step.SKIP, "BlockNotFound")


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


def test_an_ambiguous_body_is_a_failure_with_its_reason():
    """Nothing may be changed where it is not certain what to change."""
    one, two = skype_block(skype_url("YY88")), skype_block(skype_url("ZZ99"))
    planned = _plan(skype_event(body=page(f"{one}<p>and</p>{two}")))
    assert (planned.step, planned.code) == (Step.FAIL, "AmbiguousBlock")
    assert planned.detail.startswith("several-meetings")


# -- obstacles ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attendees", "step"), [(249, Step.MIGRATE), (250, Step.SKIP), (400, Step.SKIP)])
def test_two_hundred_and_fifty_people_are_the_most(attendees, step):
    """W6, the organizer included: 249 attendees and the organizer are 250, 250 and the organizer are too many."""
    planned = _plan(skype_event(attendees=people(attendees)))
    assert planned.step is step
    if step is Step.SKIP:
        assert (planned.code, planned.rule, planned.detail) == ("TooManyAttendees", "W6", f"{attendees + 1} people")


def test_people_are_counted_once():
    """An organizer who is on the list as well, and somebody invited twice."""
    me = Attendee(address="adele@contoso.example")
    assert headcount(an_event(attendees=(*people(3), me, me))) == 4
    assert headcount(an_event(attendees=people(3), organizer_address="")) == 4
    assert _plan(skype_event(attendees=(*people(249), me))).step is Step.MIGRATE


def test_the_limit_is_a_setting():
    """And counts for Teams meetings too."""
    assert _plan(skype_event(attendees=people(3)), maximum_attendees=3).rule == "W6"
    assert _plan(teams_event(attendees=people(3)), maximum_attendees=3).rule == "W6"


@pytest.fixture
def acp_event(monkeypatch):
    """A genuine Skype meeting whose dial-in is another provider's."""
    real = block.locate

    def located(body):
        found = real(body)
        return replace(found, blocks=tuple(replace(each, third_party_acp=True) for each in found.blocks))

    monkeypatch.setattr("mms_core.planning.block.locate", located)
    return skype_event()


@pytest.mark.parametrize(
    ("replace_acp", "licensed", "step"),
    [
        (False, False, Step.SKIP),
        (False, True, Step.SKIP),
        (True, False, Step.SKIP),
        (True, True, Step.MIGRATE),
    ],
)
def test_another_providers_numbers_stay_unless_setting_and_licence_say_otherwise(
    acp_event, replace_acp, licensed, step
):
    """W4 needs both."""
    planned = _plan(acp_event, replace_acp=replace_acp, is_licensed=licensed)
    assert planned.step is step
    if step is Step.SKIP:
        assert (planned.code, planned.rule) == ("ThirdPartyAcp", "W4")


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


# -- names -----------------------------------------------------------------------------------------------------------------------


def test_the_external_id_is_the_same_whoever_repeats_the_request():
    """Pinned: another value would make a second Teams meeting for each one that exists."""
    names = {"tenant_id": "t", "user_id": "u", "series_uid": "s"}
    assert external_id(**names) == "mms-0054aa45c1bc48b61d39c4d1be607e17bf216ead"
    assert len({external_id(**names), *(external_id(**{**names, each: "x"}) for each in names)}) == 4


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
