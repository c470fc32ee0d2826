"""CSV as people really have it."""

from __future__ import annotations

import codecs

import pytest

from mms_cli import lists
from mms_cli.failures import UsageError

ID = "0f3f6c1e-8f5a-4f8e-9a51-7d6f0a2b9c3d"


def _read(tmp_path, data):
    path = tmp_path / "users.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with lists.opened(str(path)) as entries:
        return list(entries)


def _identities(tmp_path, data):
    return [entry.identity for entry in _read(tmp_path, data) if not entry.problem]


@pytest.mark.parametrize(
    "data",
    [
        "Identity\na@b.example\nc@d.example\n",
        "UserPrincipalName\r\na@b.example\r\nc@d.example\r\n",
        "Display name;User Principal Name\nAda;a@b.example\nBob;c@d.example",
        "x\tUPN\n1\ta@b.example\n2\tc@d.example\n",
        "a@b.example\nc@d.example\n",
        "\n\nidentity\n\na@b.example\n   \nc@d.example\n\n",
        codecs.BOM_UTF8 + b"Identity\na@b.example\nc@d.example\n",
        codecs.BOM_UTF16_LE + "Identity\r\na@b.example\r\nc@d.example\r\n".encode("utf-16-le"),
        '#TYPE Selected.User\r\n"DisplayName","UserPrincipalName"\r\n"Ada, ""A""","a@b.example"\r\n"Bob","c@d.example"\r\n',
        'Name,Identity\n"Ada\nLovelace",a@b.example\nBob,"c@d.example"\n',
        "userId,Identity\nnot looked at,a@b.example\nnor this,c@d.example\n",
    ],
    ids=[
        "unix",
        "windows",
        "semicolons",
        "tabs",
        "no heading",
        "empty lines",
        "bom",
        "utf-16",
        "Export-Csv",
        "quoted",
        "best",
    ],
)
def test_lists_from_everywhere_are_read(tmp_path, data):
    """Excel here and there, Windows PowerShell, an editor."""
    assert _identities(tmp_path, data) == ["a@b.example", "c@d.example"]


def test_bad_rows_are_named_by_line_and_spoil_no_other(tmp_path):
    """The line is the file's."""
    data = (
        b"Name,Identity\nx,a@b.example\ny,nobody\nz\n\xff,\xff@b.example\nw,sip:c@d.example\nv," + ID.encode() + b"\n"
    )
    entries = _read(tmp_path, data)
    assert [(entry.line, entry.identity) for entry in entries if not entry.problem] == [
        (2, "a@b.example"),
        (6, "sip:c@d.example"),
        (7, ID),
    ]
    assert [entry.line for entry in entries if entry.problem] == [3, 4, 5]
    assert "UTF-8" in entries[3].problem


def test_field_that_never_ends_is_one_bad_row(tmp_path):
    """A quote that is not closed swallows lines, but not the whole file in memory."""
    data = 'Identity\na@b.example\n"' + "x" * 200_000 + "\nb@b.example\n"
    entries = _read(tmp_path, data)
    assert entries[0].identity == "a@b.example"
    assert any("field larger" in (entry.problem or "") for entry in entries)


def test_columns_of_discovery_go_with_their_rows(tmp_path):
    """What mms discover --output csv prints can be started as it is."""
    data = (
        "identity,userId,sourceMeetingType,targetMeetingType,notBefore\na@b.example,x,SfB,Teams,2030-01-01T00:00:00Z\n"
    )
    (entry,) = _read(tmp_path, data)
    assert (entry.source, entry.target, entry.not_before) == ("SfB", "Teams", "2030-01-01T00:00:00Z")


def test_priority_is_a_digit(tmp_path):
    """Anything else is a bad row, not a row of no importance."""
    entries = _read(tmp_path, "Identity,Priority\na@b.example,9\nb@b.example,\nc@b.example,high\nd@b.example,10\n")
    assert [(entry.priority, bool(entry.problem)) for entry in entries] == [
        (9, False),
        (0, False),
        (0, True),
        (0, True),
    ]


def test_quote_against_spreadsheets_is_taken_off_again(tmp_path):
    """Our own CSV puts one before what looks like a formula."""
    assert _identities(tmp_path, "Identity\n'+a@b.example\n'c@d.example\n") == ["+a@b.example", "'c@d.example"]


@pytest.mark.parametrize("data", ["Name,Mailbox\nx,y\n", "nonsense\n"])
def test_list_without_a_column_of_users_is_refused(tmp_path, data):
    """Rather than guessing."""
    with pytest.raises(UsageError, match="names no column"):
        _read(tmp_path, data)


def test_missing_file_is_a_mistake_of_the_caller():
    """Not a crash."""
    with pytest.raises(UsageError, match="cannot be read"), lists.opened("/nowhere/users.csv"):
        pass


def test_counting_reads_every_row_once(tmp_path):
    """For the question, and for the bar's end."""
    path = tmp_path / "users.csv"
    path.write_text("Identity\n" + "".join(f"u{number}@b.example\n" for number in range(5000)) + "bad\n")
    assert lists.count(str(path)) == (5000, 1)


def test_digest_tells_whether_the_part_that_was_read_has_changed(tmp_path):
    """Rows may be added at the end, but not changed before."""
    path = tmp_path / "users.csv"

    def digest(rows, stop):
        path.write_text("Identity\n" + "".join(f"{row}@b.example\n" for row in rows))
        with lists.opened(str(path)) as entries:
            return list(entries)[stop - 1].digest

    assert digest("abc", 2) == digest("abcd", 2)
    assert digest("abc", 2) != digest("axc", 2)
