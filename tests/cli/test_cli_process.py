"""The command as a process, against a service that answers as each test needs it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys

import pytest
from fake_service import TOKEN, FakeService
from pytest_socket import enable_socket

from mms_cli.commands.start import BATCH
from mms_cli.failures import Exit

OVER = {"title": "It is over.", "status": 409, "code": "InvalidState", "remedy": "Look first.", "detail": "Failed"}


@pytest.fixture(autouse=True)
def _sockets(_alone):
    enable_socket()


def _row(number, **more):
    return {
        "CorrelationId": f"c{number}", "CreateDate": "2026-11-21T11:12:39.6319370Z", "FailedMeeting": 0,
        "InvitesUpdate": 2, "LastMessage": "2 migrated.", "MigrationType": "AllToTeams",
        "ModifiedDate": "2026-11-21T11:12:42.1413630Z", "RetryCount": 0, "State": "Succeeded", "SucceededMeeting": 2,
        "TotalMeeting": 2, "UserId": f"id{number}", "UserPrincipalName": f"u{number}@b.example",
        "Reasons": ["T10 Manual"], "NextAttempt": None, "SkippedMeeting": 0, "Code": None, "Rule": None, "Actors": ["o1"], **more,
    }  # fmt: skip


def _accept(body):
    users = [row if isinstance(row, str) else row["identity"] for row in body["identities"]]
    return 202, {"value": [{"identity": user, "correlationId": f"c-{user}", "status": "accepted"} for user in users]}


class Starts:
    """Takes lists as the service does, and knows a repeated key."""

    def __init__(self, *, breaks_at=()):
        self.taken = []
        self.keys = {}
        self._breaks_at = list(breaks_at)
        self._posts = 0

    def __call__(self, method, route, _, body, headers):
        """Answer a request."""
        if route.startswith("previews"):
            return {"id": "p", "state": "ready", "writes": 2, "updates": 2, "mailTo": ["x@b.example"], "meetings": []}
        assert (method, route) == ("POST", "migrations")
        key = headers["Idempotency-Key"]
        if key not in self.keys:
            self.keys[key] = body
            self.taken += body["identities"]
        assert self.keys[key] == body, "the same key for something else"
        self._posts += 1
        if self._posts in self._breaks_at:
            return 409, OVER
        return _accept(body)


def _list(tmp_path, count, extra=()):
    path = tmp_path / "users.csv"
    path.write_text(
        "UserPrincipalName\n" + "".join(f"u{number}@b.example\n" for number in range(count)) + "".join(extra)
    )
    return path


# -- lists ------------------------------------------------------------------------------------------------------------


def test_list_is_sent_in_batches_and_every_row_gets_its_answer(tmp_path):
    """In the order of the file; a bad row is named, sent nowhere, and makes the command fail."""
    path = _list(tmp_path, 2 * BATCH + 1, ["nobody\n", "last@b.example\n"])
    starts = Starts()
    with FakeService(starts) as service:
        done = service.mms("start", "--from-csv", str(path), "--target", "teams", "--yes", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == Exit.SOME_FAILED
    assert len(starts.taken) == 2 * BATCH + 2
    assert len(rows) == 2 * BATCH + 3
    assert [row["identity"] for row in rows[: 2 * BATCH]] == starts.taken[: 2 * BATCH]
    assert [row["status"] for row in rows].count("invalid") == 1
    assert f"line {2 * BATCH + 3}:" in done.stderr
    assert [body["targetMeetingType"] for body in starts.keys.values()] == ["Teams"] * 3
    assert list(tmp_path.glob("*.mms-progress*")) == []


def test_list_that_broke_off_goes_on_where_it_stopped(tmp_path):
    """The batch whose answer was lost goes out again with its key, so that nothing is started twice."""
    path = _list(tmp_path, 3 * BATCH, ["nobody\n"])
    command = ("start", "--from-csv", str(path), "--yes", "-o", "json")
    with FakeService(Starts(breaks_at=[2])) as service:
        starts = service._answer
        broken = service.mms(*command)
        assert broken.returncode == Exit.REFUSED
        assert f"after row {BATCH:,}" in broken.stderr
        assert "goes on where it stopped" in broken.stderr
        others = service.mms(*command, "--target", "Teams")
        assert (others.returncode, "other options" in others.stderr) == (Exit.USAGE, True)
        text = path.read_text()
        path.write_text(text.replace("u5@", "x5@"))
        changed = service.mms(*command)
        assert (changed.returncode, "has changed" in changed.stderr) == (Exit.USAGE, True)
        path.write_text(text)
        again = service.mms(*command)
    assert again.returncode == Exit.SOME_FAILED
    assert f"Going on after row {BATCH:,}" in again.stderr
    assert starts.taken == [f"u{number}@b.example" for number in range(3 * BATCH)]
    assert len(starts.keys) == 3
    assert list(tmp_path.glob("*.mms-progress*")) == []


def test_rows_of_a_higher_priority_are_sent_first_and_the_list_goes_on_only_as_it_was(tmp_path):
    """The service is told each row's priority; another order than the file's has no part that may stay as it is."""
    path = _list(tmp_path, 0)
    users = [f"u{number}@b.example" for number in range(BATCH + 10)]
    path.write_text("UserPrincipalName,Priority\n" + "".join(f"{user},{7 * (user[-11] == '9')}\n" for user in users))
    command = ("start", "--from-csv", str(path), "--yes")
    wanted = sorted(users, key=lambda user: user[-11] != "9")
    with FakeService(Starts(breaks_at=[2])) as service:
        assert service.mms(*command).returncode == Exit.REFUSED
        text = path.read_text()
        path.write_text(text + "late@b.example,9\n")
        assert "has changed" in service.mms(*command).stderr
        path.write_text(text)
        assert service.mms(*command).returncode == Exit.DONE
        sent = [row for each in service._answer.keys.values() for row in each["identities"]]
    assert sent == [{"identity": user, "priority": 7} if user[-11] == "9" else user for user in wanted]


def test_restart_sends_the_list_from_its_first_row(tmp_path):
    """On request only."""
    path = _list(tmp_path, BATCH + 1)
    with FakeService(Starts(breaks_at=[2])) as service:
        service.mms("start", "--from-csv", str(path), "--yes")
        service.mms("start", "--from-csv", str(path), "--yes", "--restart")
        assert len(service._answer.taken) == 2 * (BATCH + 1)


def test_rows_that_ask_for_different_things_go_in_different_requests(tmp_path):
    """What mms discover found has its own source and target a row."""
    path = tmp_path / "needed.csv"
    path.write_text(
        "identity,sourceMeetingType,targetMeetingType\na@b.example,SfB,Teams\nc@b.example,SfB,Teams\nd@b.example,Teams,Current\n"
    )
    with FakeService(Starts()) as service:
        service.mms("start", "--from-csv", str(path), "--yes")
        bodies = [body for _, _, _, body, _ in service.requests]
    assert [(body["identities"], body["sourceMeetingType"], body["targetMeetingType"]) for body in bodies] == [
        (["a@b.example", "c@b.example"], "SfB", "Teams"),
        (["d@b.example"], "Teams", "Current"),
    ]


def test_list_comes_from_standard_input_as_well():
    """It cannot be asked about, nor be resumed."""
    with FakeService(Starts()) as service:
        refused = service.mms("start", "--from-csv", "-", stdin="a@b.example\n")
        done = service.mms("start", "--from-csv", "-", "--yes", stdin="a@b.example\n")
        assert service._answer.taken == ["a@b.example"]
    assert (refused.returncode, done.returncode) == (Exit.NOT_CONFIRMED, Exit.DONE)


def test_lost_answer_is_asked_for_again_with_the_same_key():
    """The connection breaks after the service has done its work."""
    taken = []

    def answer(method, route, query, body, headers):
        taken.append(headers["Idempotency-Key"])
        return None if len(taken) == 1 else _accept(body)

    with FakeService(answer) as service:
        done = service.mms("start", "a@b.example")
    assert done.returncode == Exit.DONE
    assert len(taken) == 2
    assert len(set(taken)) == 1


# -- a person at a terminal ---------------------------------------------------------------------------------------------


def test_starting_many_asks_on_a_terminal_and_one_does_not(tmp_path):
    """No is the default; the answer is not written before the question."""
    path = _list(tmp_path, 3)
    with FakeService(Starts()) as service:
        code, shown = service.on_terminal("start", "--from-csv", str(path), types="n\n")
        assert code == Exit.NOT_CONFIRMED
        assert "3 users" in shown
        assert "1 person will get mail, 6 updates in all." in shown
        assert service.requests
        assert all(asked[1].startswith("previews") for asked in service.requests)
        code, shown = service.on_terminal("start", "--from-csv", str(path), types="y\n")
        assert code == Exit.DONE
        assert "3 of 3 users  100 %" in shown
        assert service.on_terminal("start", "u1@b.example")[0] == Exit.DONE
        assert service.on_terminal("start", "u1@b.example", "u2@b.example", types="\n")[0] == Exit.NOT_CONFIRMED


def test_a_long_list_says_how_many_get_mail_at_the_least(tmp_path):
    """The first of it are planned; as many again as the whole list is longer are a guess, and called so."""
    path = _list(tmp_path, 250)
    with FakeService(Starts()) as service:
        code, shown = service.on_terminal("start", "--from-csv", str(path), types="n\n")
        asked = [method for method, route, *_ in service.requests if route == "previews"]
    assert code == Exit.NOT_CONFIRMED
    assert len(asked) == 200
    for words in (
        "The calendars of 200 of them were looked at. For these:",
        "1 person will get mail, 400 updates in all.",
        "So at least 1 person gets mail. If the others are like these, it is about 500 updates in all.",
    ):
        assert words in shown


def test_a_whole_group_of_failures_is_tried_again_by_its_code():
    """Asked first, from what its newest users come to; in any case of the code, and only a code that there is."""
    group = {"Code": "MailboxMissing", "UserCount": 1234, "LastMessage": ""}
    rows = [_row(number, State="Failed", Code=("MailboxMissing", "UserNotFound")[number % 2]) for number in range(6)]

    def answer(method, route, query, body, headers):
        if route.startswith("previews"):
            return {"id": "p", "state": "ready", "writes": 2, "updates": 2, "mailTo": [route], "meetings": []}
        if route == "retries":
            return 202, {"Code": body["code"], "UserCount": 1234}
        return {"value": [group] if query.get("summaryBy") == "code" else rows, "continuationToken": None}

    with FakeService(answer) as service:
        code, shown = service.on_terminal("retry", "--code", "mailboxmissing", types="n\n")
        assert code == Exit.NOT_CONFIRMED
        assert "1,234 users with MailboxMissing" in shown
        assert "The calendars of 3 of them were looked at. For these:" in shown
        assert "it is about 2,468 updates in all" in shown
        planned = [body["identity"] for _, route, _, body, _ in service.requests if route == "previews" and body]
        assert planned == ["id0", "id2", "id4"]
        assert not [each for each in service.requests if each[1] == "retries"]
        done = service.mms("retry", "--code", "MailboxMissing", "--yes", "-o", "json")
        assert service.requests[-1][3] == {"code": "MailboxMissing"}
        none = service.mms("retry", "--code", "Nonsense", "--yes")
        both = service.mms("retry", "a@b.example", "--code", "MailboxMissing")
    assert (done.returncode, json.loads(done.stdout)) == (Exit.DONE, [{"Code": "MailboxMissing", "UserCount": 1234}])
    assert (none.returncode, both.returncode) == (Exit.REFUSED, Exit.USAGE)
    assert "These codes there are: MailboxMissing." in none.stderr


@pytest.mark.parametrize(("now", "then"), [(True, "false"), (False, "true")])
def test_the_switch_asks_first_as_the_page_does(now, then):
    """Off stops everything and on starts it; without a terminal it takes --yes, and other settings never ask."""
    waiting = [_row(each, State="Pending", MigrationType=kind) for each, kind in enumerate(("SfbToTeams", "Unknown"))]
    lists = {"true": [{"State": "Pending", "UserCount": 7}], None: waiting}

    def answer(method, route, query, body, headers):
        if route.startswith("previews"):
            return {"id": "p", "state": "ready", "writes": 2, "updates": 2, "mailTo": ["x@b.example"], "meetings": []}
        if route == "migrations":
            return {"value": lists[query.get("summaryOnly")], "continuationToken": None}
        return {"MeetingMigrationEnabled": now, "SettleMinutes": 90, **(body or {})}

    def sent():
        return [asked[3] for asked in service.requests if asked[0] == "PATCH"]

    words = ("config", "set", f"MeetingMigrationEnabled={then}")
    with FakeService(answer) as service:
        code, shown = service.on_terminal(*words, types="\n")
        assert code == Exit.NOT_CONFIRMED
        assert (
            "Everything stops before its next write." if now else "7 users wait: who is due starts at once"
        ) in shown
        if then == "true":
            assert "So at least 1 person gets mail. If the others are like these, it is about 14 updates" in shown
            asked = [body for _, route, _, body, _ in service.requests if route == "previews"]
            assert asked == [
                {"identity": "id0", "sourceMeetingType": "SfB", "targetMeetingType": "Teams"},
                {"identity": "id1", "action": "undo"},
            ]
        assert service.mms(*words).returncode == Exit.NOT_CONFIRMED
        assert sent() == []
        assert service.on_terminal(*words, types="y\n")[0] == Exit.DONE
        assert service.mms(*words, "--yes").returncode == Exit.DONE
        assert sent() == [{"MeetingMigrationEnabled": not now}] * 2
        assert service.mms("config", "set", f"MeetingMigrationEnabled={str(now).lower()}").returncode == Exit.DONE
        assert service.mms("config", "set", "SettleMinutes=1").returncode == Exit.DONE


PREVIEW = {
    "id": "p1", "state": "ready", "identity": "a@b.example", "userId": "id1", "sourceMeetingType": "All",
    "targetMeetingType": "Teams", "createdAt": "2026-11-21T11:00:00+00:00", "code": None, "message": None,
    "correlationId": None, "updates": 3, "recipients": 2, "mailTo": ["yan@b.example", "zoe@fabrikam.example"], "writes": 1,
    "meetings": [
        {
            "eventId": "e1", "iCalUId": "i1", "subject": "\x1b]0;pwned\x07 会議", "start": "2026-11-28T11:00:00+00:00",
            "verdict": "migrate", "rule": None, "code": None, "before": {"kind": "skype"}, "after": None,
            "oldBlock": "<p>old\x1b[2J\n</p>", "newBlock": None, "people": 3, "updates": 3, "notKept": ["polls"],
            "recipients": [
                {"address": "zoe@fabrikam.example", "why": ["external"]}, {"address": "yan@b.example", "why": ["internal"]},
            ],
        }
    ],
}  # fmt: skip


def test_orders_say_how_many_people_get_mail_before_they_ask():
    """What the service has planned, and not what the list of meetings lets one guess."""
    state = {"pending": 2}

    def answer(method, route, query, body, headers):
        if route == "previews":
            state["wish"] = body
            return 202, {"id": "p1", "state": "pending"}
        if method == "POST":
            return 202, _row(1)
        state["pending"] -= 1
        return {**PREVIEW, "state": "pending"} if state["pending"] > 0 else PREVIEW

    with FakeService(answer) as service:
        code, shown = service.on_terminal("undo", "a@b.example", "--event-id", "e1", types="\n")
        assert code == Exit.NOT_CONFIRMED
        assert "1 invitation goes back to what it was before the migration, at once." in shown
        assert "2 people will get mail, 3 updates in all." in shown
        assert state["wish"] == {"identity": "a@b.example", "action": "undo", "meetings": {"eventIds": ["e1"]}}
        code, shown = service.on_terminal("retry", "a@b.example", "c@b.example", types="\n")
        assert code == Exit.NOT_CONFIRMED
        assert "2 meetings would be changed." in shown
        assert "2 people will get mail, 6 updates in all." in shown
        assert state["wish"] == {"identity": "c@b.example", "action": "retry"}
        code, shown = service.on_terminal("start", "a@b.example", "c@b.example", "--target", "teams", types="\n")
        assert code == Exit.NOT_CONFIRMED
        assert "2 people will get mail, 6 updates in all." in shown
        assert (state["wish"]["targetMeetingType"], state["wish"]["identity"]) == ("Teams", "c@b.example")
        code, shown = service.on_terminal("cancel", "a@b.example", types="\n")
        assert code == Exit.NOT_CONFIRMED
        assert "Nobody will get mail" in shown
        assert {asked[1] for asked in service.requests if asked[0] == "POST"} == {"previews"}
        before = len(service.requests)
        assert service.mms("undo", "a@b.example", "--yes", "--event-id", "e1").returncode == Exit.DONE
        assert service.mms("retry", "a@b.example", "--yes").returncode == Exit.DONE
        assert [asked[1] for asked in service.requests[before:]] == [
            "migrations/a%40b.example/undo",
            "migrations/a%40b.example/retry",
        ]
        assert service.requests[before][3] == {"eventIds": ["e1"]}


def test_apply_says_what_the_preview_says_before_it_asks():
    """How much mail, and how much of it leaves the organization."""
    with FakeService(lambda method, *_: (202, _row(1)) if method == "POST" else PREVIEW) as service:
        code, shown = service.on_terminal("apply", "p1", types="\n")
        assert code == Exit.NOT_CONFIRMED
        assert "3 updates go to 2 people, 1 of them outside" in shown
        assert not any(asked[0] == "POST" for asked in service.requests)
        assert service.on_terminal("apply", "p1", types="y\n")[0] == Exit.DONE


def test_a_preview_says_what_is_missing_in_it_and_that_it_is_only_reported():
    """A calendar that went away meanwhile; a kind of mailbox that nothing is written to."""
    remarked = {**PREVIEW, "message": "CalendarGone: A secondary calendar was removed. Remedy: Nothing to do."}
    with FakeService(lambda *_: remarked) as service:
        done = service.mms("preview", "--id", "p1")
    assert "CalendarGone: A secondary calendar was removed. Remedy: Nothing to do." in done.stdout
    assert "To do exactly this" in done.stdout
    with FakeService(
        lambda method, *_: (202, _row(1)) if method == "POST" else {**PREVIEW, "reportOnly": True}
    ) as service:
        done = service.mms("preview", "--id", "p1")
        code, shown = service.on_terminal("apply", "p1", types="\n")
    assert "Nobody gets mail, and nothing is written: the policy" in done.stdout
    assert "To do exactly this" not in done.stdout
    assert (code, "Nobody gets mail, and nothing is written" in shown) == (Exit.NOT_CONFIRMED, True)


@pytest.mark.parametrize("output", ["table", "list", "json", "csv"])
def test_what_comes_from_the_tenant_cannot_write_to_the_terminal(output):
    """Neither in a table nor in any other form, neither in subjects nor in blocks nor in the service's messages."""
    with FakeService(lambda *_: {**PREVIEW, "message": "\x1b[2JCalendarGone: gone."}) as service:
        words = ("preview", "--id", "p1", "--people", "--blocks", "-o", output)
        shown = [service.on_terminal(*words)[1], service.mms(*words).stdout]
    for text in shown:
        assert "会議" in text
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text
        assert "\x07" not in text
    evil = {**OVER, "title": "\x1b]0;x\x07", "code": "\x9b31m", "remedy": "\x1b[2J"}
    with FakeService(lambda *_: (409, evil)) as service:
        _, text = service.on_terminal("meetings", "a@b.example")
    assert not re.search(r"\x1b[^\[]|\x9b|\x07|\x1b\[2J", text)


def test_terminal_is_coloured_and_local_and_a_pipe_is_plain_and_utc():
    """NO_COLOR is kept to."""

    def answer(method, route, query, body, headers):
        return {"value": [_row(1, State="Failed")], "continuationToken": None}

    with FakeService(answer) as service:
        _, coloured = service.on_terminal("status", TZ="Asia/Tokyo", COLUMNS="200")
        _, plain = service.on_terminal("status", NO_COLOR="1", COLUMNS="200")
        piped = service.mms("status", TZ="Asia/Tokyo").stdout
    assert "\x1b[31mFailed" in coloured
    assert "2026-11-21 20:12:39+09:00" in coloured
    assert "\x1b[3" not in plain
    assert "\x1b" not in piped
    assert "2026-11-21T11:12:39.6319370Z" in piped


def test_watching_ends_with_ctrl_c_and_without_an_error():
    """It is how one stops looking."""
    import os
    import signal
    import subprocess

    from fake_service import ROOT

    def answer(method, route, query, body, headers):
        return {"value": [{"State": "Pending", "UserCount": 3}]}

    def listen():
        # As in a terminal: a shell's background job, which these tests may be, leaves the signal ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with (
        FakeService(answer) as service,
        subprocess.Popen(
            [sys.executable, "-m", "mms_cli", "status", "--summary-only", "--watch", "1"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=service.environment(),
            preexec_fn=listen,  # noqa: PLW1509 - it touches a signal, and nothing that a thread could hold
        ) as process,
    ):  # fmt: skip
        seen = ""
        while seen.count("Pending") < 2:
            seen += process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (Exit.DONE, "")


# -- large answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_pages_are_followed_and_written_as_they_come(output):
    """Nothing waits for the last page."""
    pages = 5

    def answer(method, route, query, body, headers):
        number = int(query.get("continuationToken", 0))
        assert query["state"] == "Failed"
        rows = [_row(f"{number}-{each}") for each in range(200)]
        return {"value": rows, "continuationToken": str(number + 1) if number + 1 < pages else None}

    with FakeService(answer) as service:
        done = service.mms("status", "--state", "failed", "-o", output)
        some = service.mms("status", "--state", "failed", "-o", "csv", "--top", "250")
    if output == "json":
        names = [row["UserPrincipalName"] for row in json.loads(done.stdout)]
    else:
        names = re.findall(r"u\d-\d+@b.example", done.stdout)
    assert len(set(names)) == len(names) == pages * 200
    assert len(some.stdout.splitlines()) == 251


def test_reader_that_goes_away_is_no_error():
    """As in mms status | head."""
    import subprocess

    from fake_service import ROOT

    def answer(method, route, query, body, headers):
        return {"value": [_row(each) for each in range(1000)], "continuationToken": "more"}

    with FakeService(answer) as service:
        process = subprocess.Popen(
            [sys.executable, "-m", "mms_cli", "status"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=service.environment(),
        )  # fmt: skip
        process.stdout.readline()
        process.stdout.close()
        assert (process.wait(30), process.stderr.read()) == (Exit.BROKEN_PIPE, "")
        process.stderr.close()


# -- waiting ------------------------------------------------------------------------------------------------------------


def test_waiting_ends_when_all_are_over_and_tells_a_failure(tmp_path):
    """By the run that was started where it is known, by the newest one otherwise."""
    looks = dict.fromkeys(("a@b.example", "b@b.example", "c@b.example"), 0)

    def answer(method, route, query, body, headers):
        user = query.get("identity") or route.partition("/")[2].replace("%40", "@")
        if user == "nobody@b.example":
            return 404, {**OVER, "code": "NotFound", "title": "There is nothing under this address."}
        looks[user] += 1
        is_over = looks[user] > 1
        if user == "c@b.example":
            # An older run is over; the one that was started is not written yet at the first look.
            rows = [_row("c", CorrelationId="mine")] if is_over else []
            return {"value": [*rows, _row("old", State="Failed")]}
        state = "Succeeded" if user == "a@b.example" else "Failed"
        return _row(user, State=state if is_over else "InProgress", UserPrincipalName=user)

    started = tmp_path / "started.csv"
    started.write_text("identity,userId,correlationId,status,code\nc@b.example,,mine,accepted,\n")
    with FakeService(answer) as service:
        words = ("--poll", "0.2", "-o", "csv")
        good = service.mms("wait", "a@b.example", *words)
        bad = service.mms("wait", "a@b.example", "b@b.example", *words)
        mine = service.mms("wait", "--from-csv", str(started), *words)
        unknown = service.mms("wait", "nobody@b.example", "a@b.example", *words)
        looks["a@b.example"] = -1000
        late = service.mms("wait", "a@b.example", "--timeout", "0.01", *words)
    assert (good.returncode, bad.returncode, mine.returncode) == (Exit.DONE, Exit.SOME_FAILED, Exit.DONE)
    assert "b@b.example" in bad.stdout
    assert unknown.returncode == Exit.SOME_FAILED
    assert "a@b.example" in unknown.stdout
    assert "nobody@b.example" in unknown.stderr
    assert (late.returncode, "1 of 1 is not over yet" in late.stderr) == (Exit.TIMED_OUT, True)


# -- settings -----------------------------------------------------------------------------------------------------------


def test_settings_are_read_as_their_types_and_changed_only_as_they_were_seen():
    """In the cmdlets' own spelling too; nothing is sent when one is wrong."""
    settings = {
        "MeetingMigrationEnabled": True,
        "SettleMinutes": 90,
        "DeniedUsers": [],
        "TriggerT3DelayMinutes": None,
        "MaintenanceDays": "",
    }

    def answer(method, route, query, body, headers):
        return {**settings, **(body or {})}

    with FakeService(answer) as service:
        words = (
            "MeetingMigrationEnabled=$false",
            "settleminutes=30",
            "DeniedUsers=a@b.example, c@d.example",
            "TriggerT3DelayMinutes=5",
            "MaintenanceDays=Mon-Fri",
        )
        done = service.mms("config", "set", "--yes", *words)
        assert service.requests[-1][3] == {
            "MeetingMigrationEnabled": False, "SettleMinutes": 30, "DeniedUsers": ["a@b.example", "c@d.example"],
            "TriggerT3DelayMinutes": 5, "MaintenanceDays": "Mon-Fri",
        }  # fmt: skip
        sent = len([each for each in service.requests if each[0] == "PATCH"])
        for wrong in ("Nonsense=1", "SettleMinutes=soon", "MeetingMigrationEnabled=", "MeetingMigrationEnabled"):
            assert service.mms("config", "set", "SettleMinutes=1", wrong).returncode == Exit.USAGE
        assert len([each for each in service.requests if each[0] == "PATCH"]) == sent
        only = service.mms("config", "show", "settleminutes", "-o", "json")
    assert done.returncode == Exit.DONE
    assert "SettleMinutes: 90 -> 30" in done.stdout
    assert json.loads(only.stdout) == {"SettleMinutes": 90}


# -- the rest -----------------------------------------------------------------------------------------------------------


def test_filters_of_status_reach_the_service(tmp_path):
    """The US form of the original's examples included."""

    def answer(method, route, query, body, headers):
        return {"value": [], "continuationToken": None}

    with FakeService(answer) as service:
        words = (
            "--start-time",
            "10/1/2018",
            "--end-time",
            "2018-10-08T00:00Z",
            "--migration-type",
            "alltoteams",
            "--reason",
            "T10",
        )
        done = service.mms("status", "--identity", "a@b.example", *words, TZ="UTC")
        assert service.requests[-1][2] == {
            "identity": "a@b.example", "startTime": "2018-10-01T00:00:00Z", "endTime": "2018-10-08T00:00:00Z",
            "migrationType": "AllToTeams", "reason": "T10", "top": "1000",
        }  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (Exit.DONE, "", "No such runs.\n")


def test_redirect_is_not_followed_because_the_token_would_go_with_it():
    """Whoever answers with one is not the service."""
    with FakeService(lambda *_: (302, {})) as service:
        done = service.mms("config", "show")
        assert [route for _, route, *_ in service.requests] == ["config"]
    assert done.returncode == Exit.UNREACHABLE


def test_token_is_never_printed():
    """Whatever goes wrong, however much is shown."""
    with FakeService(lambda *_: (401, {**OVER, "code": "Unauthorized"})) as service:
        shown = [service.mms(*words) for words in (("status",), ("config", "show"), ("start", "a@b.example"))]
    assert [each.returncode for each in shown] == [Exit.NO_ACCESS] * 3
    assert all(TOKEN not in each.stdout + each.stderr for each in shown)


def test_help_imports_nothing_that_talks_to_a_network():
    """It is typed often, and should be there at once."""
    import subprocess

    from fake_service import ROOT

    program = (
        "import sys\nfrom mms_cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'urllib3', 'urllib.request', 'httpx', 'azure', 'msal', 'ssl', 'asyncio', 'email', 'http', 'mms_core'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    for words in (["--help"], ["start", "--help"], ["config", "set", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "usage: mms" in done.stdout


def test_every_wrong_line_is_a_usage_error():
    """Before anything is asked of the service."""
    with FakeService(lambda *_: {}) as service:
        for words in (
            [], ["nonsense"], ["status", "--state", "Done"], ["status", "--start-time", "31/1/2019"], ["start"],
            ["start", "nobody"], ["start", "a@b.example", "--from-csv", "x"], ["wait"], ["preview"], ["meetings", "a@b.example", "c@d.example"],
            ["status", "--summary-only", "a@b.example"], ["status", "--watch", "-o", "json"], ["start", "--from-csv", "/nowhere"],
            ["undo", "a@b.example", "c@d.example", "--event-id", "e", "--yes"], ["apply", ".."], ["status", "--stat", "Failed"],
        ):  # fmt: skip
            done = service.mms(*words)
            assert done.returncode == Exit.USAGE, words
            assert done.stderr, words
        assert service.requests == []
