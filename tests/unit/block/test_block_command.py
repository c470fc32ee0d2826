"""``python -m mms_core.block``: what support sees."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from bodies import NEW, element, join, skype, skype_text, teams, teams_text
from invitations import english

from mms_core.block.__main__ import main


@pytest.fixture
def run(monkeypatch):
    """Run the command in this process; gives status, standard output as bytes, standard error."""

    def _run(*arguments, stdin=b""):
        out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main([str(argument) for argument in arguments])
        return status, out.buffer.getvalue(), err.getvalue()

    return _run


def file(path, content):
    """Write bytes or text as they are."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def test_inspect_json_is_the_documented_form(run, tmp_path):
    """Names, types and offsets in characters."""
    body = "<p>漢字😀</p>" + english("teams-1-vtc.html")
    status, out, _ = run("inspect", "--json", file(tmp_path / "a.html", body))
    found = json.loads(out)
    assert status == 0
    assert found["ambiguous"] is None
    (block,) = found["blocks"]
    assert block["kind"] == "teams"
    assert block["generation"] == "1"
    assert block["language"] == "en-US"
    assert block["joinUrl"].startswith("https://teams.microsoft.com/l/meetup-join/19%3a")
    assert block["conferenceId"] == "515253545"
    assert block["numbers"] == ["+4930123456"]
    assert list(found) == ["blocks", "ambiguous"]
    names = ["kind", "generation", "language", "joinUrl", "conferenceId", "numbers", "spans", "anchors"]
    assert list(block) == names
    assert "separator-before" in block["anchors"]
    ((lo, hi),) = block["spans"]
    assert body[lo:hi].startswith('<div style="width:100%')
    assert body[lo:hi].endswith("</div>")


def test_inspect_is_readable(run, tmp_path):
    """One line a fact."""
    status, out, _ = run("inspect", file(tmp_path / "a.txt", skype_text()))
    assert status == 0
    assert out.decode().splitlines()[0] == "block 1: skype, generation server"
    assert "conferenceId  68138" in out.decode()


def test_inspect_tells_people_more_than_programs(run, tmp_path):
    """The room system, whose meeting it is, and whose mail the block stands in."""
    body = english("teams-1-vtc.html") + '<div id="divRplyFwdMsg"></div>' + skype()
    _, out, _ = run("inspect", file(tmp_path / "a.html", body))
    text = out.decode()
    assert "vtcKey        818283@rooms.example.net" in text
    assert "organizerId   7777" in text
    assert text.count("stands in     a quoted or forwarded mail") == 1
    assert "ambiguous, nothing would be changed: quoted-meeting" in text


def test_inspect_says_what_is_typed_and_which_numbers(run, tmp_path):
    """The rows that not every block has."""
    body = teams(inside='<div>Bring pens</div><a href="tel:+15550100,,1234#" style="font-size:1px">x</a>')
    _, out, _ = run("inspect", file(tmp_path / "a.html", body))
    assert "userText      Bring pens" in out.decode()
    assert "numbers       +15550100" in out.decode()


def test_inspect_without_a_block(run, tmp_path):
    """Is no error."""
    assert run("inspect", file(tmp_path / "a.html", "<p>a</p>")) == (0, b"no block\n", "")


def test_ambiguous_body_is_reported_and_written_unchanged(run, tmp_path):
    """Exit status 1; standard output is the body as it was."""
    body = teams("AA") + teams("BB")
    path, new = file(tmp_path / "a.html", body), file(tmp_path / "b.html", NEW.html)
    status, out, _ = run("inspect", path)
    assert status == 1
    assert b"ambiguous, nothing would be changed: several-meetings" in out
    status, out, err = run("replace", path, "--with", new)
    assert (status, out) == (1, body.encode())
    assert "several-meetings" in err


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_replace_is_byte_for_byte(run, tmp_path, newline):
    """Newlines, the byte order mark and bytes that are not UTF-8 come out as they went in."""
    lead, tail = b"\xef\xbb\xbf<p>\xff\xfe" + newline.encode(), newline.encode() + b"\xc3</p>"
    path = file(tmp_path / "a.html", lead + teams().replace("\n", newline).encode() + tail)
    status, out, _ = run("replace", path, "--with", file(tmp_path / "b.html", NEW.html))
    assert status == 0
    assert out == lead + NEW.html.encode() + tail


def test_replace_takes_join_information_text_and_whole_bodies(run, tmp_path):
    """What the new block is, is told by content."""
    path = file(tmp_path / "a.html", f"<p>a</p>{teams()}")
    encoded = "data:text/html," + NEW.html.replace("%", "%25").replace("+", "%2B").replace(" ", "+").replace("<", "%3c")
    whole = f"<html><body><p>x</p>{NEW.html}</body></html>"
    for content in (encoded, whole):
        assert run("replace", path, "--with", file(tmp_path / "b", content))[1].decode() == f"<p>a</p>{NEW.html}"
    status, out, _ = run("replace", path, "--with", file(tmp_path / "b", "Line <1>\r\nLine 2\r\n"))
    assert status == 0
    assert out.decode() == "<p>a</p><div>Line &lt;1&gt;<br>\nLine 2</div>"


def test_replace_keeps_text_when_asked(run, tmp_path):
    """``--keep-user-text`` is the option of :func:`mms_core.block.replace`."""
    path = file(tmp_path / "a.html", teams(inside="<div>Bring pens</div>"))
    new = file(tmp_path / "b.html", NEW.html)
    assert b"Bring pens" not in run("replace", path, "--with", new)[1]
    assert run("replace", path, "--with", new, "--keep-user-text")[1].endswith(b"<div>Bring pens</div>")


def test_plain_text_stays_plain_text(run, tmp_path):
    """The text alternative goes in."""
    status, out, _ = run(
        "replace", file(tmp_path / "a", f"a\n{teams_text()}\nb"), "--with", file(tmp_path / "b", NEW.html)
    )
    assert (status, out.decode()) == (0, f"a\n{NEW.text}\nb")


def test_standard_input_is_read(run):
    """``-`` for a file."""
    status, out, _ = run("inspect", "--json", "-", stdin=element().encode())
    assert status == 0
    assert json.loads(out)["blocks"][0]["joinUrl"] == join()


def test_missing_file_is_said(run, tmp_path):
    """Exit status 2 and the file's name."""
    status, out, err = run("inspect", tmp_path / "none")
    assert (status, out) == (2, b"")
    assert "none: No such file" in err


def test_command_runs_as_a_module(tmp_path):
    """As the documentation says."""
    path = file(tmp_path / "a.html", teams())
    done = subprocess.run([sys.executable, "-m", "mms_core.block", "inspect", path], capture_output=True, check=True)
    assert done.stdout.startswith(b"block 1: teams, generation 3")
