"""The demo's verdict must be able to say no: one test for each way in which a migration can go wrong."""

from dataclasses import replace

import pytest

from mms_local.demo.meetings import Fate
from mms_local.demo.snapshot import Item
from mms_local.demo.verdict import Check, Copy, Mail, Verdict, Watched, judge

OLD_BLOCK = '<p>.....</p><p><a href="https://meet.contoso.com/ada/22BB33CC">Join Skype Meeting</a></p><p>.....</p>'
JOIN_URL = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_abc%40thread.v2/0?context=%7b%22Tid%22%7d"
NEW_BLOCK = (
    f'<div>____</div><a href="{JOIN_URL}">Join</a><a href="tel:x">+1 425-555-0100</a> 110 007 919#<div>____</div>'
)
ABOVE, BELOW = "<p>Hej 🚀\r\n&nbsp;</p>\r\n", "\r\n<p>Bis bald</p>"
ATTENDEES = frozenset({"grace@contoso.com", "j@fabrikam.com"})
FACTS = {
    "subject": '"Budget"',
    "start": '"10:00"',
    "attendees": '["grace", "j"]',
    "cancelledOccurrences": "null",
    "originalStart": "null",
}


def item(event_id="E1", body=ABOVE + OLD_BLOCK + BELOW, **changes):
    """A Skype meeting before its migration, with *changes*."""
    whole = {
        "event_id": event_id,
        "body": body,
        "join_url": "https://meet.contoso.com/ada/22BB33CC",
        "places": ("Room Oak", "Skype Meeting"),
        "recipients": ATTENDEES,
        "facts": FACTS,
    }
    return Item(**{**whole, **changes})


BEFORE = item()
AFTER = item(body=ABOVE + NEW_BLOCK + BELOW, join_url=JOIN_URL, places=("Room Oak", "Microsoft Teams Meeting"))
SKYPE = Watched(
    name="Budget (Ada)",
    fate=Fate.MIGRATED,
    before=BEFORE,
    block=OLD_BLOCK,
    dial_in=("14255550100", "110007919"),
    skype_place="Skype Meeting",
)
PLAIN = Watched(name="Lunch (Ada)", fate=Fate.UNTOUCHED, before=item("E2", "<p>Lunch</p>", join_url="", places=()))
UPDATE = Mail(event_id="E1", reason="update", recipients=ATTENDEES)


def verdict_of(*after: Item, watched=(SKYPE,), outbox=(UPDATE,), copies=({}, {})) -> Verdict:
    """Judge the given meetings as found *after*."""
    return judge(watched, {found.event_id: found for found in after}, outbox, copies=copies)


def test_a_right_migration_is_clean():
    """One meeting with a new block, one plain one as it was, one update: nothing to say."""
    verdict = verdict_of(AFTER, PLAIN.before, watched=(SKYPE, PLAIN))

    assert verdict.findings == []
    assert verdict.is_clean
    assert (verdict.migrated, verdict.to_migrate, verdict.untouched, verdict.to_leave) == (1, 1, 1, 1)
    assert (verdict.updates, verdict.expected_updates, verdict.duplicates) == (1, 1, 0)
    assert verdict.characters_changed == 0
    assert verdict.characters == len(ABOVE + BELOW) + len("<p>Lunch</p>")


@pytest.mark.parametrize(
    ("after", "check"),
    [
        pytest.param(replace(AFTER, body=AFTER.body.replace("🚀", "?")), Check.CHARACTERS, id="emoji-lost"),
        pytest.param(replace(AFTER, body=AFTER.body.replace("\r\n", "\n", 1)), Check.CHARACTERS, id="line-end-changed"),
        pytest.param(replace(AFTER, body=AFTER.body.replace("&nbsp;", "\xa0")), Check.CHARACTERS, id="entity-decoded"),
        pytest.param(replace(AFTER, body=ABOVE + NEW_BLOCK), Check.CHARACTERS, id="text-below-lost"),
        pytest.param(replace(AFTER, body=ABOVE + BELOW + NEW_BLOCK), Check.CHARACTERS, id="block-moved-to-the-end"),
        pytest.param(BEFORE, Check.MIGRATED, id="not-migrated"),
        pytest.param(replace(AFTER, body=ABOVE + NEW_BLOCK + OLD_BLOCK + BELOW), Check.MIGRATED, id="old-block-kept"),
        pytest.param(replace(AFTER, join_url=""), Check.MIGRATED, id="not-a-teams-meeting"),
        pytest.param(replace(AFTER, join_url=JOIN_URL + "x"), Check.MIGRATED, id="leads-elsewhere"),
        pytest.param(replace(AFTER, body=AFTER.body.replace("919", "918")), Check.MIGRATED, id="wrong-conference-id"),
        pytest.param(replace(AFTER, places=("Room Oak", "Skype Meeting")), Check.MIGRATED, id="location-says-skype"),
        pytest.param(replace(AFTER, places=("Microsoft Teams Meeting",)), Check.MIGRATED, id="room-lost"),
        pytest.param(replace(AFTER, facts=FACTS | {"start": '"11:00"'}), Check.FACTS, id="time-changed"),
        pytest.param(replace(AFTER, facts=FACTS | {"attendees": '["grace"]'}), Check.FACTS, id="attendee-lost"),
    ],
)
def test_a_wrong_meeting_is_found(after, check):
    """Whatever is wrong with the meeting itself, the right check says so."""
    verdict = verdict_of(after)

    assert check in {finding.check for finding in verdict.findings}
    assert not verdict.is_clean


def test_one_changed_character_counts_as_one():
    """The number printed is the number of characters, not of meetings."""
    verdict = verdict_of(replace(AFTER, body=AFTER.body.replace("Bis", "Bos")))

    assert verdict.characters_changed == 1


def test_a_deleted_meeting_is_found():
    """A meeting that was recreated under another id is one that is gone."""
    verdict = verdict_of(replace(AFTER, event_id="E9"))

    assert [finding.check for finding in verdict.findings] == [Check.FACTS]


def test_a_duplicate_update_is_found():
    """Attendees who hear twice are what everybody complains about."""
    verdict = verdict_of(AFTER, outbox=(UPDATE, UPDATE))

    assert verdict.duplicates == 1
    assert [finding.check for finding in verdict.findings] == [Check.DUPLICATES]


@pytest.mark.parametrize(
    "outbox",
    [
        pytest.param((), id="nobody-told"),
        pytest.param((replace(UPDATE, recipients=frozenset({"grace@contoso.com"})),), id="an-attendee-not-told"),
        pytest.param((UPDATE, replace(UPDATE, reason="cancellation")), id="cancelled"),
        pytest.param((UPDATE, replace(UPDATE, event_id="E7")), id="unknown-meeting"),
        pytest.param((UPDATE, replace(UPDATE, event_id="E2")), id="meeting-to-leave-alone"),
    ],
)
def test_a_wrong_mail_is_found(outbox):
    """Too few, to the wrong people, of the wrong kind, or about the wrong meeting."""
    verdict = verdict_of(AFTER, PLAIN.before, watched=(SKYPE, PLAIN), outbox=outbox)

    assert {finding.check for finding in verdict.findings} == {Check.UPDATES}


def test_a_message_to_the_organizer_is_no_update():
    """Mail of another kind, which a tenant setting allows, is not counted."""
    verdict = verdict_of(AFTER, outbox=(UPDATE, replace(UPDATE, reason="message", event_id="")))

    assert verdict.is_clean
    assert verdict.updates == 1


def test_a_meeting_without_attendees_needs_no_update():
    """Nobody to tell, nothing to count."""
    alone = replace(SKYPE, before=replace(BEFORE, recipients=frozenset()))

    verdict = verdict_of(replace(AFTER, recipients=frozenset()), watched=(alone,), outbox=())

    assert verdict.is_clean
    assert verdict.expected_updates == 0


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(replace(PLAIN.before, body="<p>Lunch!</p>"), id="text"),
        pytest.param(replace(PLAIN.before, join_url=JOIN_URL), id="turned-online"),
        pytest.param(replace(PLAIN.before, places=("Microsoft Teams Meeting",)), id="location"),
        pytest.param(replace(PLAIN.before, facts=FACTS | {"subject": '"Dinner"'}), id="subject"),
    ],
)
def test_a_touched_meeting_is_found_even_without_mail(now):
    """Silence in the outbox does not excuse a change."""
    verdict = verdict_of(AFTER, now, watched=(SKYPE, PLAIN))

    assert Check.UNTOUCHED in {finding.check for finding in verdict.findings}
    assert (verdict.untouched, verdict.to_leave) == (0, 1)


def test_a_migration_that_must_not_be_is_no_damage_to_the_text():
    """It is a meeting that was touched; the characters around its block are all there."""
    ignored = replace(SKYPE, fate=Fate.UNTOUCHED)

    verdict = verdict_of(AFTER, watched=(ignored,))

    assert verdict.characters_changed == 0
    assert {finding.check for finding in verdict.findings} == {Check.UNTOUCHED, Check.UPDATES}


def test_a_changed_copy_is_found():
    """An attendee's copy of a meeting that nobody asked for may not change."""
    before = {"C1": Copy("Lunch (in the calendar of Grace)", "a"), "C2": Copy("Lunch (in the calendar of Jo)", "b")}

    verdict = verdict_of(AFTER, copies=(before, before | {"C2": Copy("Lunch (in the calendar of Jo)", "x")}))

    assert [(finding.check, finding.meeting) for finding in verdict.findings] == [
        (Check.COPIES, "Lunch (in the calendar of Jo)")
    ]


def test_a_forbidden_number_is_found():
    """Without the licence the new block must not show how to dial in (rule R7)."""
    unlicensed = replace(SKYPE, dial_in=(), forbidden=("14255550100",))

    verdict = verdict_of(AFTER, watched=(unlicensed,))

    assert [finding.check for finding in verdict.findings] == [Check.MIGRATED]


class TestSeries:
    """Series: exceptions with texts of their own, and cancelled occurrences."""

    OWN = item("E1-3", f"<p>Own</p>{OLD_BLOCK}", facts=FACTS | {"originalStart": '"d3"', "subject": '"Budget +"'})
    CANCELLED = FACTS | {"cancelledOccurrences": '["OID.E1.2026-09-01"]'}
    SERIES = replace(SKYPE, before=replace(BEFORE, facts=CANCELLED, exceptions=(OWN,)), changed_occurrences=1)
    OWN_AFTER = replace(OWN, body=f"<p>Own</p>{NEW_BLOCK}", join_url=JOIN_URL)
    SERIES_AFTER = replace(AFTER, facts=CANCELLED, exceptions=(OWN_AFTER,))
    OWN_UPDATE = replace(UPDATE, event_id="E1-3")

    def test_graphs_update_and_its_own_are_expected_for_a_changed_occurrence(self):
        """One for the series, one that Graph adds for the occurrence, one for the occurrence's own new block."""
        mails = (UPDATE, self.OWN_UPDATE, self.OWN_UPDATE)

        verdict = verdict_of(self.SERIES_AFTER, watched=(self.SERIES,), outbox=mails)

        assert verdict.findings == []
        assert (verdict.updates, verdict.expected_updates, verdict.series_updates) == (3, 3, 2)

    def test_a_third_update_of_an_occurrence_is_a_duplicate(self):
        """Anything beyond Graph's rule counts."""
        mails = (UPDATE, *[self.OWN_UPDATE] * 3)

        verdict = verdict_of(self.SERIES_AFTER, watched=(self.SERIES,), outbox=mails)

        assert verdict.duplicates == 1

    @pytest.mark.parametrize(
        ("after", "check"),
        [
            pytest.param(replace(SERIES_AFTER, facts=FACTS), Check.FACTS, id="cancelled-occurrence-is-back"),
            pytest.param(replace(SERIES_AFTER, exceptions=()), Check.FACTS, id="changed-occurrence-is-lost"),
            pytest.param(replace(SERIES_AFTER, exceptions=(OWN,)), Check.MIGRATED, id="occurrence-keeps-old-block"),
            pytest.param(
                replace(SERIES_AFTER, exceptions=(replace(OWN_AFTER, body=f"<p>own</p>{NEW_BLOCK}"),)),
                Check.CHARACTERS,
                id="occurrence-damaged",
            ),
            pytest.param(
                replace(SERIES_AFTER, exceptions=(replace(OWN_AFTER, facts=CANCELLED | {"originalStart": '"d3"'}),)),
                Check.FACTS,
                id="occurrence-lost-its-subject",
            ),
            pytest.param(
                replace(SERIES_AFTER, exceptions=(OWN_AFTER, replace(OWN_AFTER, event_id="E1-4"))),
                Check.FACTS,
                id="occurrence-invented",
            ),
        ],
    )
    def test_a_wrong_occurrence_is_found(self, after, check):
        """Peers of the original lose these; so the demo looks at each."""
        mails = (UPDATE, self.OWN_UPDATE, self.OWN_UPDATE)

        verdict = verdict_of(after, watched=(self.SERIES,), outbox=mails)

        assert {finding.check for finding in verdict.findings} == {check}
