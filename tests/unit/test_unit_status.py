"""Rows of status: the cmdlet's 13 fields in its formats, the summary, CSV; and what values say about themselves."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mms_core.errors import CATALOGUE, FOREIGN_TEXT_LIMIT, MmsError, explain
from mms_core.meetings import Coordinates, LedgerEntry, body_hash, meeting_key
from mms_core.model import Run, RunId, Source, State, Target, Verdict, migration_type, name_key
from mms_core.status import as_csv, instant, meeting_row, run_row, summary_rows
from mms_core.telemetry import ALLOWED_FIELDS, log

AT = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)
quick = settings.get_profile("unit")
RUN = Run(
    run_id=RunId("11111111-2222-4333-8444-555555555555"),
    identity="adele@contoso.example",
    user_id="77778888-9999-4aaa-bbbb-ccccddddeeee",
    user_principal_name="adele@contoso.example",
    state=State.FAILED,
    source=Source.SFB,
    target=Target.TEAMS,
    reasons=("T1 MovedToCloud", "T10 Manual"),
    created_at=AT,
    modified_at=AT.replace(microsecond=0),
    fresh_at=AT,
    due_at=AT,
    last_message="W2 MailboxOnPremises: …",
    code="MailboxOnPremises",
    total=7,
    succeeded=4,
    failed=3,
    skipped=2,
    invites=4,
    retries=9,
)


def test_a_row_has_the_thirteen_fields_of_the_cmdlet():
    """Names and formats, so that scripts port."""
    row = run_row(RUN)
    assert {name: row[name] for name in list(row)[:13]} == {
        "CorrelationId": "11111111-2222-4333-8444-555555555555",
        "CreateDate": "2026-03-02T08:00:00.1234560Z",
        "FailedMeeting": 3,
        "InvitesUpdate": 4,
        "LastMessage": "W2 MailboxOnPremises: …",
        "MigrationType": "SfbToTeams",
        "ModifiedDate": "2026-03-02T08:00:00.0000000Z",
        "RetryCount": 9,
        "State": "Failed",
        "SucceededMeeting": 4,
        "TotalMeeting": 7,
        "UserId": "77778888-9999-4aaa-bbbb-ccccddddeeee",
        "UserPrincipalName": "adele@contoso.example",
    }


def test_a_row_also_says_why_and_when_next():
    """Our own fields come after the cmdlet's."""
    row = run_row(RUN)
    assert list(row)[13:] == ["Reasons", "NextAttempt", "SkippedMeeting", "Code", "Rule", "Actors"]
    assert (row["Reasons"], row["SkippedMeeting"]) == (["T1 MovedToCloud", "T10 Manual"], 2)
    assert (row["Code"], row["Rule"], row["NextAttempt"]) == ("MailboxOnPremises", "W2", None)
    assert run_row(replace(RUN, state=State.PENDING))["NextAttempt"] == "2026-03-02T08:00:00.1234560Z"
    assert run_row(replace(RUN, code=None))["Rule"] is None


def test_a_name_that_is_not_resolved_yet_is_shown_as_it_was_asked_for():
    """An object id is no user principal name."""
    waiting = replace(RUN, user_id=None, user_principal_name=None)
    assert run_row(waiting)["UserPrincipalName"] == "adele@contoso.example"
    by_id = replace(RUN, identity=RUN.user_id, user_principal_name=None)
    assert run_row(by_id)["UserPrincipalName"] is None


@pytest.mark.parametrize(
    ("source", "target", "name"),
    [
        (Source.ALL, Target.TEAMS, "AllToTeams"),
        (Source.SFB, Target.TEAMS, "SfbToTeams"),
        (Source.TEAMS, Target.TEAMS, "TeamsToTeams"),
        (Source.ALL, Target.CURRENT, "ToSameType"),
        (Source.TEAMS, Target.CURRENT, "ToSameType"),
        (Source.SFB, Target.CURRENT, "SfbToSfb"),
    ],
)
def test_the_kind_of_migration_has_the_cmdlets_name(source, target, name):
    """Six combinations; an undo is Unknown."""
    assert migration_type(source, target) == name
    assert replace(RUN, source=source, target=target).migration_type == name
    assert replace(RUN, source=source, target=target, undo=True).migration_type == "Unknown"


def test_instants_have_seven_decimals_and_a_z():
    """As .NET prints them; nothing stays nothing."""
    assert instant(AT) == "2026-03-02T08:00:00.1234560Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", instant(datetime(1601, 1, 1, tzinfo=UTC)))
    assert instant(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.0000000Z"  # an empty date of .NET
    assert instant(None) is None


def test_the_summary_has_the_four_states_always_and_ours_where_they_occur():
    """As Get-CsMeetingMigrationStatus -SummaryOnly prints it."""
    assert summary_rows({}) == [
        {"State": "Pending", "UserCount": 0},
        {"State": "InProgress", "UserCount": 0},
        {"State": "Failed", "UserCount": 0},
        {"State": "Succeeded", "UserCount": 0},
    ]
    counts = {State.PENDING: 3, State.SKIPPED: 2, State.CANCELLED: 0}
    assert summary_rows(counts)[0] == {"State": "Pending", "UserCount": 3}
    assert summary_rows(counts)[4:] == [{"State": "Skipped", "UserCount": 2}]


def test_a_meetings_row_is_as_the_design_says():
    """Coordinates before and after, verdict, rule, attempts."""
    entry = LedgerEntry(
        key="k",
        run_id=RUN.run_id,
        event_id="AAMk/=",
        ical_uid="uid",
        subject="Review",
        start_at=AT,
        verdict=Verdict.MIGRATED,
        before=Coordinates(kind="skype", join_url="https://meet.example/a"),
        after=Coordinates(kind="teams", conference_id="123", numbers=("+49",)),
        request_id="graph",
        attempts=2,
        updated_at=AT,
        duration_ms=900,
    )
    row = meeting_row(entry)
    assert row["before"] == {"kind": "skype", "joinUrl": "https://meet.example/a", "conferenceId": None, "numbers": []}
    assert row["after"] == {"kind": "teams", "joinUrl": None, "conferenceId": "123", "numbers": ["+49"]}
    assert (row["verdict"], row["start"], row["attempts"], row["requestId"], row["durationMs"]) == (
        "migrated",
        "2026-03-02T08:00:00.1234560Z",
        2,
        "graph",
        900,
    )
    restored = meeting_row(replace(entry, verdict=Verdict.RESTORED, before=None, start_at=None))
    assert (restored["verdict"], restored["code"], restored["before"], restored["start"]) == (
        "skipped",
        "Restored",
        None,
        None,
    )


# -- CSV --------------------------------------------------------------------------------------------------------------


def _read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv_has_a_heading_and_rfc_4180_line_ends():
    """Quotes, commas and line ends inside cells survive."""
    text = as_csv([{"A": 'say "hi", you', "B": 1}, {"A": "two\r\nlines", "B": None}], ("A", "B"))
    assert text.startswith("A,B\r\n")
    assert _read(text) == [["A", "B"], ['say "hi", you', "1"], ["two\r\nlines", ""]]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_begins_like_a_formula_is_text(begin):
    """A user principal name must not run in somebody's spreadsheet."""
    rows = _read(as_csv([{"A": f"{begin}cmd|' /C calc'!A0"}], ("A",)))
    assert rows[1] == [f"'{begin}cmd|' /C calc'!A0"]


def test_a_list_in_a_cell_is_joined_and_guarded_as_well():
    """Reasons come as a list; an empty one is an empty cell."""
    assert _read(as_csv([{"A": ["T3 x", "T9 y"]}, {"A": ["=1"]}, {"A": []}], ("A",)))[1:] == [
        ["T3 x; T9 y"],
        ["'=1"],
        [""],
    ]


@quick
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20), min_size=1, max_size=4))
def test_no_text_breaks_out_of_its_cell(cells):
    """Whatever somebody is called."""
    names = [f"N{number}" for number in range(len(cells))]
    _, row = _read(as_csv([dict(zip(names, cells, strict=True))], names))
    assert [cell.removeprefix("'") if cell[1:2] in ("=", "+", "-", "@", "\t", "\r") else cell for cell in row] == cells


# -- keys, errors, logs -------------------------------------------------------------------------------------------------


def test_keys_are_the_same_for_the_same_name_and_safe_for_tables():
    """Case and blanks do not make another user; event ids may contain anything."""
    assert name_key(" Adele@Contoso.example ") == name_key("adele@contoso.example")
    assert name_key("a#EXT#@x") != name_key("a@x")
    for key in (name_key("o'brien/%#?\\👋"), meeting_key("AAMk/+==#?\\")):
        assert re.fullmatch(r"[a-z0-9-]+", key)


def test_a_body_has_a_fingerprint_even_with_half_an_emoji():
    """A lone surrogate cannot be encoded as UTF-8, and still is a body."""
    assert body_hash("a \ud83d b") != body_hash("a \ud83e b")
    assert len(body_hash("")) == 64


def test_every_code_has_a_cause_and_a_remedy():
    """LastMessage carries the code, the cause and the remedy."""
    for code, entry in CATALOGUE.items():
        assert entry.cause.endswith((".", ")."))
        assert entry.remedy.endswith(".")
        line = explain(code, "case")
        assert code in line
        assert f"Remedy: {entry.remedy}" in line
        assert "(case)" in line
    assert explain("MailboxOnPremises").startswith("W2 MailboxOnPremises: ")
    with pytest.raises(KeyError):
        explain("Invented")


def test_an_error_without_an_entry_cannot_be_raised():
    """The catalogue is complete by construction."""
    with pytest.raises(ValueError, match="Invented"):
        MmsError(code="Invented")


def test_foreign_text_is_kept_short():
    """Enough to look it up, too little to carry a mail."""
    exc = MmsError("x" * 1000)
    assert len(exc.detail) == FOREIGN_TEXT_LIMIT
    assert str(MmsError()) == "InternalError"


def test_logs_take_ids_and_counts_and_refuse_everything_else(caplog):
    """A silent drop would hide the mistake; the record keeps its fields for whoever filters."""
    with pytest.raises(ValueError, match="subject"):
        log("done", subject="Salary of Adele")
    assert not {"subject", "body", "join_url", "address", "name", "identity", "number"} & ALLOWED_FIELDS
    with caplog.at_level("INFO", logger="mms"):
        log("run_started", correlation_id="c", attempt=2, code=None)
    assert caplog.records[0].getMessage() == "run_started correlation_id=c attempt=2"
    assert caplog.records[0].mms_action == "run_started"
