"""From the facts about a meeting to what is done with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from meeting_values import (
    NOW,
    OTHER_USER,
    TENANT,
    USER,
    an_event,
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
from mms_core.meetings import Attendee, Recurrence
from mms_core.model import Source, Target
from mms_core.planning import (
    Step,
    Wish,
    external_id,
    headcount,
    is_over,
    plan,
)

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


# -- names -----------------------------------------------------------------------------------------------------------------------


def test_the_external_id_is_the_same_whoever_repeats_the_request():
    """Pinned: another value would make a second Teams meeting for each one that exists."""
    names = {"tenant_id": "t", "user_id": "u", "series_uid": "s"}
    assert external_id(**names) == "mms-0054aa45c1bc48b61d39c4d1be607e17bf216ead"
    assert len({external_id(**names), *(external_id(**{**names, each: "x"}) for each in names)}) == 4
