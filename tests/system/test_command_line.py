"""The command line against the running stack: the whole story of an administrator's day."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from system_stack import Stack

ROOT = Path(__file__).parents[2]


class Mms:
    """Runs ``mms`` with a sign-in of its own."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self._stack = stack
        foreign = ("MMS_URL", "MMS_TOKEN", "AZURE_CLIENT_ID", "COLUMNS")
        kept = {name: value for name, value in os.environ.items() if name not in foreign}
        self.environment = {**kept, "MMS_CONFIG_DIR": str(directory)}

    def __call__(self, *words: str, expects: int = 0, **environment: str) -> str:
        """Run one command and return what it wrote."""
        done = subprocess.run(
            [sys.executable, "-m", "mms_cli", *words],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
            env={**self.environment, **environment},
        )  # fmt: skip
        assert done.returncode == expects, done.stderr
        return done.stdout if expects == 0 or done.stdout else done.stderr


@pytest.fixture
def mms(stack: Stack, tmp_path: Path) -> Mms:
    """Return the command, signed in by the stack's ready file."""
    command = Mms(stack, tmp_path / "config")
    command("login", "--ready-file", str(stack.path))
    return command


def test_preview_apply_look_and_undo(stack: Stack, mms: Mms) -> None:
    """What is shown is what is done, and it can be taken back."""
    user = stack.user()
    made = stack.skype_meeting(user, subject="\x1b]0;x\x07 会議", attendees=("zoe@fabrikam.example",))
    stack.forget_mails()

    preview = json.loads(mms("preview", user.name, "--target", "teams", "-o", "json"))
    assert (preview["updates"], preview["recipients"]) == (1, 1)
    shown = mms("preview", "--id", preview["id"], "--people", "--blocks")
    assert "1 update goes to 1 person, 1 of them outside of the organization." in shown
    assert "zoe@fabrikam.example" in shown
    assert "\x1b" not in shown
    assert stack.mails(user) == []

    assert "NotConfirmed" in mms("apply", preview["id"], expects=6)
    mms("apply", preview["id"], "--yes")
    waited = mms("wait", user.name, "--poll", "0.3")
    assert "Succeeded" in waited
    (row,) = json.loads(mms("meetings", user.name, "-o", "json"))
    assert (row["eventId"], row["verdict"]) == (made["id"], "migrated")
    assert "skype -> teams" in mms("meetings", user.name)
    assert "InvalidState" in mms("apply", preview["id"], "--yes", expects=3)

    asked = mms("undo", user.name, expects=6)
    assert "1 invitation goes back to what it was before the migration" in asked
    assert "1 person will get mail, 1 update in all." in asked
    mms("undo", user.name, "--yes")
    mms("wait", user.name, "--poll", "0.3")
    assert "Restored" in mms("meetings", user.name)
    assert [mail["eventId"] for mail in stack.mails(user)] == [made["id"]] * 2


def test_list_is_started_waited_for_and_its_failure_told(stack: Stack, mms: Mms, tmp_path: Path) -> None:
    """What mms start prints as CSV is what mms wait reads."""
    good, bad = stack.user(), stack.user(mailbox="onPremises")
    stack.skype_meeting(good)
    users = tmp_path / "users.csv"
    users.write_text(f"Name;UserPrincipalName\nA;{good.name}\nB;{bad.name}\nC;nobody\n")

    words = ("--from-csv", str(users), "--target", "Teams", "--settle-minutes", "0", "--yes", "-o", "csv")
    started = mms("start", *words, expects=1)
    rows = list(csv.DictReader(io.StringIO(started)))
    assert [(row["identity"], row["status"]) for row in rows] == [
        (good.name, "accepted"),
        (bad.name, "accepted"),
        ("nobody", "invalid"),
    ]
    (tmp_path / "started.csv").write_text(started)
    ended = mms("wait", "--from-csv", str(tmp_path / "started.csv"), "--poll", "0.3", "-o", "json", expects=1)
    states = {row["UserPrincipalName"]: (row["State"], row["Code"]) for row in json.loads(ended)}
    assert states == {good.name: ("Succeeded", None), bad.name: ("Failed", "MailboxOnPremises")}
    assert {row["CorrelationId"] for row in json.loads(ended)} == {row["correlationId"] for row in rows[:2]}

    failed = list(csv.DictReader(io.StringIO(mms("status", bad.name, "--state", "failed", "-o", "csv"))))
    assert [row["LastMessage"].partition(":")[0] for row in failed] == ["W2 MailboxOnPremises"]
    assert mms("status", bad.name, "--end-time", "10/1/2018") == ""
    assert "MailboxOnPremises" in mms("retry", bad.name, expects=6)
    retried = json.loads(mms("retry", bad.name, "--yes", "-o", "json"))
    assert retried[0]["State"] == "Pending"


def test_summary_is_the_services_own(stack: Stack, mms: Mms) -> None:
    """The table of the cmdlet, and the same numbers as JSON."""
    lines = mms("status", "--summary-only").splitlines()
    assert lines[:2] == ["State       UserCount", "-----       ---------"]
    assert [line.split()[0] for line in lines[2:6]] == ["Pending", "InProgress", "Failed", "Succeeded"]
    assert {row["State"] for row in json.loads(mms("status", "--summary-only", "-o", "json"))} >= {"Pending", "Failed"}


def test_cancelling_and_being_told_that_it_is_too_late(stack: Stack, mms: Mms) -> None:
    """The second time there is nothing to cancel."""
    user = stack.user()
    stack.skype_meeting(user)
    mms("start", user.name, "--settle-minutes", "60")
    assert "Cancelled" in mms("cancel", user.name, "--yes")
    assert "remedy: " in mms("cancel", user.name, "--yes", expects=3)
    assert "POST migrations" in mms("decisions", user.name)


def test_reader_may_look_but_not_touch(stack: Stack, mms: Mms) -> None:
    """The service decides, the command says what is missing."""
    mms("login", "--ready-file", str(stack.path), "--role", "reader")
    mms("status", "--summary-only")
    mms("discover")
    assert "Mms.Operate" in mms("start", stack.user().name, expects=4)
    assert "Forbidden" in mms("config", "set", "SettleMinutes=90", expects=4)


def test_managed_identity_signs_in(stack: Stack, mms: Mms, tmp_path: Path) -> None:
    """As on a virtual machine or in a pipeline, by hand or from what azd made; the simulated tenant plays the identity's endpoint."""
    endpoint = stack.ready["tenant"].removesuffix("/_tenant") + "/msi/token"
    identity = {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": "local"}
    words = ("--url", stack.ready["api"], "--method", "managed-identity", "--scope", "api://mms/.default")
    mms("login", *words, **identity)
    assert "Pending" in mms("status", "--summary-only", **identity)
    assert "NotSignedIn" in mms("status", "--url", "http://127.0.0.1:9", expects=4, **identity)
    assert "MMS_URL" in mms("status", expects=4, MMS_TOKEN="x", MMS_URL="", MMS_CONFIG_DIR="/nonexistent/mms")
    azd = tmp_path / "bin" / "azd"
    azd.parent.mkdir()
    values = {
        "MMS_URL": stack.ready["api"],
        "AZURE_TENANT_ID": "t",
        "MMS_API_AUDIENCE": "api://mms",
        "MMS_CLOUD": "public",
    }
    azd.write_text("#!/bin/sh\n" + "".join(f"echo '{name}=\"{value}\"'\n" for name, value in values.items()))
    azd.chmod(0o755)
    path = f"{azd.parent}:{os.environ['PATH']}"
    mms("logout")
    mms("login", "--from", "azd", "--method", "managed-identity", **identity, PATH=path)
    assert "Pending" in mms("status", "--summary-only", **identity)
    azd.write_text("#!/bin/sh\nexit 1\n")
    assert "azd knows no" in mms("login", "--from", "azd", expects=2, PATH=path)
    mms("logout")
    assert "NotSignedIn" in mms("status", expects=4, **identity)


def test_doctor_examines_the_deployment_for_operators(stack: Stack, mms: Mms) -> None:
    """Storage, rights, subscriptions and clock of the running app, by its own identity."""
    user = stack.user()
    stack.skype_meeting(user)
    stack.forget_mails()
    found = json.loads(mms("doctor", user.name, "-o", "json"))
    good = {row["check"] for row in found if row["status"] == "ok"}
    assert {"storage", "token", "subscriptions", "clock", "right Calendars.ReadWrite"} <= good
    assert [row for row in found if row["status"] == "error"] == []
    assert stack.mails(user) == []
    shown = mms("doctor", user.name)
    assert "SettingForOneMachine: MMS_SETTLE_SECONDS" in shown
    assert "remedy: Remove it from the deployed app." in shown
    mms("login", "--ready-file", str(stack.path), "--role", "reader")
    assert "Forbidden" in mms("doctor", expects=4)


def test_settings_are_shown_and_changed(stack: Stack, mms: Mms) -> None:
    """And the old value with the new one."""
    before = json.loads(mms("config", "show", "-o", "json"))
    try:
        assert mms("config", "set", "RetentionDays=151") == f"RetentionDays: {before['RetentionDays']} -> 151\n"
        assert json.loads(mms("config", "show", "retentiondays", "-o", "json")) == {"RetentionDays": 151}
        assert "must be between" in mms("config", "set", "RetentionDays=0", expects=3)
    finally:
        mms("config", "set", f"RetentionDays={before['RetentionDays']}")


def test_a_group_of_failures_is_tried_again_to_its_last_user(stack: Stack, mms: Mms) -> None:
    """By the code of the cause, once the cause is gone; then there is no such group any more."""
    users = [stack.user() for _ in range(3)]
    for user in users:
        stack.skype_meeting(user, attendees=("x@fabrikam.example",))
    stack.tenant("PATCH", "switches", {"deniedMailboxes": [user.id for user in users]})
    try:
        for user in users:
            stack.start(user, settleMinutes=0)
        assert {stack.finished(user)[0]["Code"] for user in users} == {"MailboxAccessDenied"}
    finally:
        stack.tenant("PATCH", "switches", {"deniedMailboxes": []})
    words = ("retry", "--code", "MailboxAccessDenied")
    assert "3 meetings would be changed." in mms(*words, expects=6)
    assert json.loads(mms(*words, "--yes", "-o", "json")) == [{"Code": "MailboxAccessDenied", "UserCount": 3}]
    stack.until(lambda: all(stack.status(user)[0]["State"] == "Succeeded" for user in users))
    assert [[mail["reason"] for mail in stack.mails(user)] for user in users] == [["invitation", "update"]] * 3
    assert "nobody's newest run has failed with MailboxAccessDenied" in mms(*words, "--yes", expects=3)
