"""What people see, and what a tenant cannot make a terminal do."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mms_cli.failures import CliError, Exit
from mms_cli.rows import Column, Csv, Json, Listing, Table, csv_cell, field, json_text, write_all
from mms_cli.terminal import Progress, cells, cut, fold, is_unsafe, pad, plain

ATTACKS = [
    "\x1b]0;pwned\x07",  # sets the title
    "\x1b]52;c;cHduZWQ=\x1b\\",  # writes to the clipboard
    "\x1b[2J\x1b[H",
    "\x9b31m",  # CSI in one character
    "\x9d0;pwned\x9c",  # OSC in one character
    "\r\x08\x7f",
    "invoice\u202egnp.exe",  # turns the direction
    "\u2066x\u2069\u200e\u200f\u061c",
    "a\u2028b\u2029c",
    "\ud800",
    "\ufeff\u00ad\U000e0041",  # invisible
]
COLOURS = re.compile(r"\x1b\[[0-9]{1,2}m")


def _is_harmless(text):
    return not any(is_unsafe(each) for each in COLOURS.sub("", text) if each != "\n")


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_terminal_obeys_gets_through(attack):
    """Made visible, not dropped: whoever looks sees that something is there."""
    shown = plain(attack)
    assert _is_harmless(shown)
    assert "\n" not in shown
    assert shown.strip()


@given(st.text())
def test_plain_text_is_one_harmless_line_and_printable_text_stays_as_it_is(text):
    """For every text there is, lone surrogates included."""
    shown = plain(text)
    assert _is_harmless(shown)
    assert "\n" not in shown
    assert plain(shown) == shown
    if not any(is_unsafe(each) for each in text):
        assert shown == text


def test_emoji_and_scripts_that_need_joiners_survive():
    """A family of four is one picture, and Persian needs its joiner."""
    for text in ("👨‍👩‍👧‍👦", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "Grüße", "会議", "🏳️‍🌈"):
        assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("abc", 3), ("", 0), ("会議", 4), ("한글", 4), ("e\u0301", 1), ("ｱ", 1), ("\uff21", 2), ("👍", 2), ("❤️", 2),
        ("👨‍👩‍👧‍👦", 2), ("שלום", 4), ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", 7),
    ],
)  # fmt: skip
def test_width_in_cells(text, width):
    """As terminals draw it."""
    assert cells(text) == width


@given(st.text(), st.integers(0, 30))
def test_cut_and_padded_text_fits(text, width):
    """Never wider than asked, exactly as wide when padded."""
    shown = cut(plain(text), width)
    assert cells(shown) <= width
    assert cells(pad(shown, width)) == width


def test_table_is_aligned_where_characters_are_wide(screen_of):
    """The second column begins in the same cell in every line."""
    screen = screen_of()
    rows = [{"A": "会議 レビュー", "B": "x"}, {"A": "ascii", "B": "y"}, {"A": "e\u0301", "B": "z"}]
    write_all(Table(screen, [field("A"), field("B")]), rows)
    lines = screen.out.getvalue().splitlines()
    assert {cells(line[:-1]) for line in lines} == {cells("会議 レビュー") + 2}


def test_summary_looks_like_the_cmdlets(screen_of):
    """Get-CsMeetingMigrationStatus -SummaryOnly, as PowerShell formats it."""
    screen = screen_of()
    rows = [{"State": name, "UserCount": count} for name, count in (("Pending", 21), ("InProgress", 6), ("Failed", 2))]
    write_all(Table(screen, [field("State"), field("UserCount", is_number=True)], ruled=True), rows)
    assert screen.out.getvalue() == (
        "State       UserCount\n"
        "-----       ---------\n"
        "Pending            21\n"
        "InProgress          6\n"
        "Failed              2\n"
    )


def test_terminal_gets_colours_and_a_pipe_does_not(screen_of, monkeypatch):
    """Nor does a dumb terminal, nor one whose owner said NO_COLOR, nor anybody with --no-color."""
    rows = [{"State": "Failed", "Name": "\x1b[31mred\x1b[0m"}]
    columns = [Column("State", lambda row: row["State"], is_state=True), field("Name")]

    def shown(**more):
        screen = screen_of(**more)
        write_all(Table(screen, columns), rows)
        return screen.out.getvalue()

    assert "\x1b[31mFailed" in shown(is_terminal=True)
    assert _is_harmless(shown(is_terminal=True))
    plain_ones = [shown(), shown(is_terminal=True, colours=False)]
    monkeypatch.setenv("NO_COLOR", "1")
    plain_ones.append(shown(is_terminal=True))
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    plain_ones.append(shown(is_terminal=True))
    assert all("\x1b" not in each for each in plain_ones)


def test_narrow_terminal_cuts_the_long_columns_and_a_pipe_gets_them_whole(screen_of, monkeypatch):
    """A line never wraps, a script never loses a character."""
    monkeypatch.setenv("COLUMNS", "40")
    rows = [{"User": "a" * 30, "State": "Failed", "Why": "b" * 100}]
    columns = [field("User", shrinks=True), field("State"), field("Why", shrinks=True)]
    narrow = screen_of(is_terminal=True)
    write_all(Table(narrow, columns), rows)
    lines = [COLOURS.sub("", line) for line in narrow.out.getvalue().splitlines()]
    assert max(map(cells, lines)) == 40
    assert "Failed" in lines[1]
    pipe = screen_of()
    write_all(Table(pipe, columns), rows)
    assert "b" * 100 in pipe.out.getvalue()


def test_message_that_does_not_fit_stands_below_its_row_and_whole(screen_of, monkeypatch):
    """Cause and remedy are what one looks for; in a watch each row takes one line."""
    monkeypatch.setenv("COLUMNS", "50")
    message = "W2 MailboxOnPremises: " + "会議 words that go on " * 5 + "x" * 90
    columns = [field("User", shrinks=True), field("State"), field("Message", shrinks=True, unfolds=True)]
    rows = [{"User": "a" * 20, "State": "Failed", "Message": message}, {"User": "b", "State": "Done", "Message": "ok"}]
    screen = screen_of(is_terminal=True, colours=False)
    write_all(Table(screen, columns), rows)
    head, row, *below, last = screen.out.getvalue().splitlines()
    assert row.split() == ["a" * 20, "Failed"]
    assert "".join(below).replace(" ", "") == message.replace(" ", "")
    assert max(map(cells, (head, row, *below))) <= 50
    assert last.endswith("ok")
    flat = screen_of(is_terminal=True, colours=False)
    write_all(Table(flat, columns, unfolds=False), rows)
    assert len(flat.out.getvalue().splitlines()) == 3


@given(st.text(), st.integers(2, 30))
def test_folded_text_fits_and_loses_nothing_but_blanks(text, width):
    """Two cells are the least that a wide character needs."""
    shown = plain(text)
    lines = fold(shown, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(shown.split())


def test_instants_are_local_on_a_terminal_and_untouched_elsewhere(screen_of, monkeypatch):
    """With the offset, so that nobody has to guess."""
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        rows = [{"At": "2026-11-21T11:12:39.6319370Z"}]
        for is_terminal, expected in ((True, "2026-11-21 20:12:39+09:00"), (False, "2026-11-21T11:12:39.6319370Z")):
            screen = screen_of(is_terminal=is_terminal)
            write_all(Table(screen, [field("At", is_instant=True)]), rows)
            write_all(Listing(screen, ["At"]), rows)
            table, listing = screen.out.getvalue().splitlines()[1:]
            assert table == expected
            assert listing == f"At : {expected}"
    finally:
        monkeypatch.undo()
        time.tzset()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text(), json_values, max_size=3), max_size=4))
def test_json_says_what_the_rows_say_and_harms_no_terminal(rows):
    """Page after page it stays one document, and no character is lost."""
    screen = _bare_screen()
    out = Json(screen)
    for row in rows:
        out.page([row])
    out.end()
    text = screen.out.getvalue()
    assert json.loads(text) == rows
    assert _is_harmless(text)


@given(json_values)
def test_one_object_as_json_is_the_same_object(value):
    """Indented or not."""
    for indent in (None, 2):
        text = json_text(value, indent=indent)
        assert json.loads(text) == value
        assert _is_harmless(text)


@given(st.lists(st.text(), min_size=1, max_size=4))
@example(["=1+1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_csv_reads_back_and_no_cell_is_a_formula_or_a_command(texts):
    """A spreadsheet runs what begins with = + - @; a terminal obeys control characters."""
    screen = _bare_screen()
    names = [str(number) for number in range(len(texts))]
    out = Csv(screen, names)
    out.page([dict(zip(names, texts, strict=True))])
    out.end()
    head, row = csv.reader(io.StringIO(screen.out.getvalue(), newline=""))
    assert head == names
    assert row == [csv_cell(text) for text in texts]
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
    assert not any(unicodedata.category(each) == "Cc" for cell in row for each in cell)


def test_csv_without_rows_has_its_heading(screen_of):
    """A script that reads it finds the columns."""
    screen = screen_of()
    Csv(screen, ("A", "B")).end()
    assert screen.out.getvalue() == "A,B\r\n"


def test_numbers_that_are_negative_stay_numbers():
    """Only texts can be formulas."""
    assert csv_cell(-5) == "-5"
    assert csv_cell("-5") == "'-5"


def test_question_is_asked_on_a_terminal_and_only_a_yes_counts(screen_of):
    """Enter means no."""
    screen_of(is_terminal=True, answer="y\n").confirm(["It is final."], "Go on?", yes=False)
    screen_of(is_terminal=True, answer="YES\n").confirm(["It is final."], "Go on?", yes=False)
    for answer in ("", "\n", "n\n", "yeah\n"):
        screen = screen_of(is_terminal=True, answer=answer)
        with pytest.raises(CliError) as refused:
            screen.confirm(["It is final."], "Go on?", yes=False)
        assert refused.value.exit_code is Exit.NOT_CONFIRMED
        assert "It is final." in screen.err.getvalue()


def test_without_a_terminal_a_question_is_a_refusal(screen_of):
    """A script says --yes or does nothing."""
    with pytest.raises(CliError) as refused:
        screen_of().confirm(["It is final."], "Go on?", yes=False)
    assert "--yes" in refused.value.remedy
    screen_of().confirm(["It is final."], "Go on?", yes=True)


def test_bar_makes_way_for_lines_and_stays_out_of_pipes(screen_of):
    """The answer goes to standard output, the bar to the terminal behind standard error."""
    screen = screen_of(is_terminal=True)
    progress = Progress(screen, "users", 10)
    progress.show(10, "\x1b]0;x\x07")
    screen.line("answer")
    bar = screen.err.getvalue()
    assert "10 of 10 users  100 %" in bar
    assert bar.endswith("\r\x1b[K")
    assert "\x1b]" not in bar
    quiet = screen_of()
    Progress(quiet, "users", 10).show(10)
    assert (quiet.out.getvalue(), quiet.err.getvalue()) == ("", "")


def test_errors_show_code_cause_and_remedy(screen_of):
    """And nothing that a server put in to be obeyed."""
    screen = screen_of()
    screen.fail(CliError("no\x1b[2J", exit_code=Exit.REFUSED, code="InvalidState", status=409, remedy="Look first."))
    assert screen.err.getvalue() == "error: InvalidState (409): no␛[2J\nremedy: Look first.\n"


def _bare_screen():
    from cli_streams import Stream

    from mms_cli.terminal import Screen

    return Screen(Stream(), Stream(), Stream())
