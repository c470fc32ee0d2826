"""Contoso is the same on every run, and holds what issue 2 wants to see migrated."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from mms_local.demo.bodies import Curiosity
from mms_local.demo.cast import Story
from mms_local.demo.meetings import Fate, Occurrence
from mms_local.demo.plan import plan_tenant
from mms_local.demo.skype import SEPARATOR_DOTS

TODAY = date(2026, 3, 28)  # the day before summer time begins in Europe


@pytest.fixture(scope="module")
def plan():
    """Contoso on one day."""
    return plan_tenant(TODAY)


def test_there_are_forty_users_and_six_hundred_meetings(plan):
    """As the issue and the README say."""
    people, meetings = plan

    assert (len(people), len(meetings)) == (40, 600)
    assert len({person.address for person in people}) == 40
    assert len({meeting.key for meeting in meetings}) == 600


def test_two_plans_of_one_day_are_equal(plan):
    """A run can be repeated, and compared with the last one."""
    assert plan_tenant(TODAY) == plan


def test_plans_of_two_days_differ_in_dates_alone(plan):
    """The tenant grows no older."""
    tomorrow = plan_tenant(TODAY + timedelta(days=1))

    assert [meeting.body for meeting in tomorrow[1]] == [meeting.body for meeting in plan[1]]


def test_every_story_has_its_people(plan):
    """Each trigger and each refusal is told once at least."""
    assert {person.story for person in plan[0]} == set(Story)


def test_six_languages_are_spoken(plan):
    """In bodies that hold a Skype block."""
    assert len({m.organizer.language.locale for m in plan[1] if m.skype}) == 6


def test_every_curiosity_stands_around_a_block_that_is_replaced(plan):
    """Emoji, right-to-left text and the like prove nothing where nothing is rewritten."""
    bodies = [m.body.above for m in plan[1] if m.fate is Fate.MIGRATED]

    assert all(any(curiosity.value in body for body in bodies) for curiosity in Curiosity)
    assert any("\r\n" in body for body in bodies)


@pytest.mark.parametrize("rule", ["W4", "W5", "W6", "W7"])
def test_every_rule_leaves_a_meeting_alone(plan, rule):
    """Skips are results, so the tenant holds a case of each."""
    assert any(m.rule == rule and m.fate is Fate.SKIPPED for m in plan[1])


def test_a_block_stands_once_in_its_body(plan):
    """The verdict cuts it out by its text."""
    for meeting in plan[1]:
        if meeting.body.block:
            assert meeting.body.text.count(meeting.body.block) == 1
            assert meeting.body.block.count("." * SEPARATOR_DOTS) == 2


def test_the_limits_of_attendees_are_met_exactly(plan):
    """250 with the organiser is migrated, 300 is not."""
    sizes = {len(m.attendees): (m.fate, m.room) for m in plan[1] if len(m.attendees) > 20}

    assert sizes == {249: (Fate.MIGRATED, ""), 299: (Fate.SKIPPED, "")}


def test_a_pasted_block_has_no_properties(plan):
    """Which is all that tells it from a genuine one."""
    pasted = [m for m in plan[1] if m.rule == "W5"]

    assert all(m.skype is None for m in pasted)
    assert {bool(m.copies_block_of) for m in pasted} == {True, False}


def test_past_is_past_and_future_is_future_in_every_zone(plan):
    """Two days on either side cover every time zone and the length of a meeting."""
    midnight = datetime.combine(TODAY, datetime.min.time())
    singles = [m for m in plan[1] if m.weekly is None and m.organizer.story is not Story.GRANTED_ON_PREMISES]
    for meeting in singles:
        distance = meeting.start - midnight
        assert distance < -timedelta(days=2) if meeting.rule == "W7" else distance > timedelta(days=1)


def test_running_series_have_changed_and_cancelled_occurrences(plan):
    """They began in the past, and go on in each of the three ways that Graph knows."""
    running = [m for m in plan[1] if m.edits]

    assert all(m.weekly and m.weekly.starts_on < TODAY for m in running)
    assert all(m.edits == tuple(Occurrence) for m in running)
    spans = Counter(m.as_event()["recurrence"]["range"]["type"] for m in running)
    assert set(spans) == {"numbered", "endDate", "noEnd"}


def test_nobody_works_on_weekends(plan):
    """Contoso is a decent employer, and weekday names in the patterns must fit the first day."""
    assert all(m.start.weekday() < 5 for m in plan[1])


def test_events_are_written_as_graph_wants_them(plan):
    """A genuine Skype meeting carries the add-in's properties; a room is an attendee and a place."""
    skype = next(m for m in plan[1] if m.skype and m.room and m.weekly is None)

    event = skype.as_event()

    names = {prop["id"].rpartition(" ")[2] for prop in event["singleValueExtendedProperties"]}
    assert {"OnlineMeetingConfLink", "OnlineMeetingExternalLink"} <= names
    assert [place["displayName"] for place in event["locations"]] == [skype.room, skype.organizer.language.location]
    assert [a["type"] for a in event["attendees"]].count("resource") == 1
    assert event["start"]["timeZone"] == skype.organizer.language.zone


def test_the_plan_of_today_can_be_made_on_any_day():
    """Also on a leap day, a new year's day, and at weekends."""
    start = date(2027, 12, 29)
    days = [start + timedelta(days=n) for n in range(9)] + [date(2028, 2, 29), datetime.now(UTC).date()]

    for earlier, later in pairwise(plan_tenant(day)[1] for day in days):
        assert len(earlier) == len(later)
