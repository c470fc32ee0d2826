"""What the demo prints: harmless whatever the tenant holds, and the same in a pipe as on a terminal, less the bars."""

import io

import pytest

from mms_local.demo.console import Output, plain
from mms_local.demo.invitation import compare, readable_lines
from mms_local.demo.report import print_summary


def printed(action):
    """Everything that *action* writes into a pipe."""
    stream = io.StringIO()
    action(Output(stream))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2Jgone\x07", "[2Jgone"),
        ("\x9b31mred", "31mred"),
        ("\u202etxt.exe\u2066", "txt.exe"),
        ("two\r\nlines\there", "two lines here"),
        ("[bold]kept[/bold]", "[bold]kept[/bold]"),
        ("👩\u200d👦 שלום 髙橋", "👩\u200d👦 שלום 髙橋"),
        ("soft\u00adhyphen\u2028line", "softhyphenline"),
    ],
)
def test_nothing_from_the_tenant_commands_the_terminal(text, expected):
    """Control characters and reordering marks go; everything that one reads stays."""
    assert plain(text) == expected


def test_no_line_carries_an_escape_in_a_pipe():
    """Colour and cursor movement are for terminals."""

    def action(output):
        output.title("\x1b]0;owned\x07")
        output.section("x")
        output.table(("A", "B"), [("1", "[red]\x1b[31m")])
        output.check("fine", "1 of 1", is_good=True)
        output.changed("+", "new")
        with output.bars() as bars:
            bars.show("meetings", 1, 2)

    text = printed(action)

    assert "\x1b" not in text
    assert "[red][31m" in text
    assert "meetings 1 of 2" in text


def test_a_long_line_is_not_broken_in_a_pipe():
    """Whoever greps wants whole lines."""
    assert printed(lambda output: output.line("word " * 60)).count("\n") == 1


def test_the_summary_is_laid_out_as_powershell_does():
    """State to the left, UserCount to the right under its header."""
    rows = [{"State": "Pending", "UserCount": 0}, {"State": "InProgress", "UserCount": 12}]

    lines = printed(lambda output: print_summary(output, rows)).splitlines()

    assert [line.removeprefix("  ") for line in lines] == [
        "State      UserCount",
        "-----      ---------",
        "Pending            0",
        "InProgress        12",
    ]


def test_an_invitation_is_read_as_a_person_sees_it():
    """Paragraphs are lines, links show where they lead, rulers are short, the hidden marker is hidden."""
    body = (
        "<html><head><style>p {x}</style></head><body><p>Hello&nbsp;all,</p><ol><li>One</li></ol>"
        f"<p>{'.' * 137}</p><p><a name=x>&agrave;</a> <a href='https://meet.contoso.com/a/B2'>Join</a></p>"
        "<sub>[!OC([041d])!]</sub></body></html>"
    )

    assert readable_lines(body) == [
        "Hello all,",
        "- One",
        "........................ (137 of them)",
        "à Join <meet.contoso.com/a/B2>",
    ]


def test_a_comparison_keeps_what_both_have():
    """The text around the block shows once, the blocks as gone and new."""
    lines = list(compare("<p>Hi</p><p>Skype</p><p>Bye</p>", "<p>Hi</p><p>Teams</p><p>Bye</p>"))

    assert lines == [(" ", "Hi"), ("-", "Skype"), ("+", "Teams"), (" ", "Bye")]
