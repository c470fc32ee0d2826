"""The package as it is deployed: nothing but its requirements beside it, no key to storage, and it does the main job."""

from __future__ import annotations

import subprocess
import sys

import pytest
from package_support import ROOT, deployed, tenant_alone
from system_stack import ABOVE, BELOW


def test_the_package_holds_the_app_and_nothing_else(package):
    """No tests, no simulator, no command line, no settings of one machine, and it stays small."""
    archive, app, _ = package
    assert {each.name for each in app.iterdir()} == {"function_app.py", "host.json", "requirements.txt", "mms_core"}
    assert not list(app.rglob("*.pyc"))
    assert archive.stat().st_size < 1_000_000


def test_the_same_sources_give_the_same_package(package, tmp_path):
    """Byte for byte, so that a deployment can be compared with a commit."""
    subprocess.run([sys.executable, "infra/package.py", str(tmp_path / "again.zip")], cwd=ROOT, check=True)
    assert (tmp_path / "again.zip").read_bytes() == package[0].read_bytes()


@pytest.mark.timeout(240)
def test_the_package_does_the_main_job_with_an_identity_and_no_key(package, tmp_path):
    """From a request over HTTP to the update in the attendees' mail."""
    with tenant_alone(tmp_path) as ready, deployed(package, tmp_path, ready) as stack:
        user = stack.user()
        meeting = stack.skype_meeting(user, attendees=("zoe@fabrikam.example",))
        stack.forget_mails()
        stack.start(user)
        row = stack.finished(user)[0]
        assert (row["State"], row["SucceededMeeting"]) == ("Succeeded", 1), stack.path.read_text(errors="replace")[
            -4000:
        ]
        event = stack.event(user, meeting["id"])
        assert "teams.microsoft.com" in event["onlineMeeting"]["joinUrl"]
        assert ABOVE in event["body"]["content"]
        assert BELOW in event["body"]["content"]
        assert [sorted(mail["recipients"]) for mail in stack.mails(user)] == [["zoe@fabrikam.example"]]
