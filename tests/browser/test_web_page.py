"""The web page as an administrator uses it, in a real browser against the whole stack; and nobody is shut out of it.

With ``MMS_SCREENSHOTS=1`` the pictures of docs/web.md are taken again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient
from chromium_page import Browser, Page

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parents[1])]

from system_stack import Stack, User  # noqa: E402 - after its folder is known

from mms_local.node import install_locked  # noqa: E402

USERS = int(os.environ.get("MMS_USERS", "2000"))
"""In the largest table. ``MMS_USERS=100000`` takes minutes to fill it, and measures what is said in docs/web.md."""
INDEX = f"--require {json.dumps(str(HERE.parents[1] / 'bench' / 'range_index.cjs'))} --max-old-space-size=8192"
"""Azure's tables find the rows between two keys by an index, and Azurite walks through all: see bench/store.py."""
PICTURES = HERE.parents[1] / "docs" / "web"
LOOKS = {"light": (1280, 900, False), "dark": (1280, 900, True), "phone": (320, 700, False), "wide": (3840, 2160, True)}


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """axe-core as npm has it, at the locked version; by the npm that setup has found or brought."""
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    install_locked(folder)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A stack of its own: the page shows the whole tenant."""
    directory = tmp_path_factory.mktemp("stack")
    ready = directory / "ready.json"
    with (directory / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mms_local", "up", "--empty", "--in-memory", "--settle-seconds", "3",
                "--data", str(directory / "data"), "--ready-file", str(ready),
                "--set", "MMS_DASHBOARD_CLIENT_ID=the-page-of-these-tests",
            ],
            stdout=log, stderr=subprocess.STDOUT, cwd=HERE.parents[1],
            env={**os.environ, "NODE_OPTIONS": INDEX},
        )  # fmt: skip
    stack = None
    try:
        for _ in range(900):
            if ready.exists():
                break
            assert process.poll() is None, (directory / "up.log").read_text()
            process_wait(process, 0.1)
        stack = Stack(json.loads(ready.read_text()), ready)
        yield stack
    finally:
        if stack:
            stack.http.close()
        process.terminate()
        process.wait(60)


def process_wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait a little, or until the process has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def person(stack: Stack, name: str, *, meetings: int = 2, mailbox: str = "exchangeOnline") -> User:
    """Make a user with meetings of two guests."""
    made = stack.user(userPrincipalName=f"{name}@contoso.example", displayName=name, mailbox=mailbox)
    user = User(made.id, f"{name}@contoso.example")
    for number in range(meetings if mailbox == "exchangeOnline" else 0):
        stack.skype_meeting(
            user,
            attendees=("patti@contoso.example", "sam@fabrikam.example"),
            days=3 + 2 * number,
            subject=("Project review", "Budget 2027", "Hiring panel", "Design critique")[number % 4],
        )
    return user


async def sign_in(page: Page, stack: Stack, hash_: str = "#/", *, token: str = "operator") -> None:
    """Open the page with the token in the address, as ``make run`` prints it."""
    await page.go(f"{stack.ready['api']}/dashboard#token={stack.ready['tokens'][token]}")
    await page.until("Boolean(document.querySelector('#view > *'))")
    if hash_ != "#/":
        await page.run(f"location.hash = {json.dumps(hash_)}")


@contextlib.asynccontextmanager
async def signed_in(stack: Stack, hash_: str = "#/", *, token: str = "operator") -> AsyncIterator[Page]:
    """Open the page signed in, on a desk."""
    async with Browser() as page:
        await page.shape(1280, 900)
        await sign_in(page, stack, hash_, token=token)
        yield page


async def violations(page: Page, axe: str) -> list[str]:
    """What axe-core finds. The page's policy allows no foreign script; the debugger may run one."""
    await page.run(axe + ";0")
    found = await page.run(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
        ".then((result) => result.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary).join(' | ')}`))"
    )
    return list(found)


async def shot(page: Page, name: str, tmp_path: Path) -> None:
    """Take a picture as tall as the page; into docs/ where that is asked for."""
    width = await page.run("innerWidth")
    dark = await page.run("matchMedia('(prefers-color-scheme: dark)').matches")
    await page.shape(width, 400, dark=dark)
    await page.shape(width, await page.run("document.documentElement.scrollHeight"), dark=dark)
    PICTURES.mkdir(exist_ok=True)
    await page.picture((PICTURES if os.environ.get("MMS_SCREENSHOTS") == "1" else tmp_path) / f"{name}.png")
    await page.shape(width, 900, dark=dark)


async def _everywhere(page: Page, axe: str, where: str, *, names: tuple[str, ...] = tuple(LOOKS)) -> None:
    for name in names:
        width, height, dark = LOOKS[name]
        await page.shape(width, height, dark=dark)
        await asyncio.sleep(0.3)
        assert await violations(page, axe) == [], (where, name)
        too_wide = await page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide <= 0, (where, name, too_wide)
    await page.shape(1280, 900)


@pytest.mark.timeout(300)
async def test_an_administrator_goes_all_the_way(stack, axe, tmp_path):  # noqa: PLR0915 - one story
    """Empty page; preview, apply, watch it finish, before and after, undo; a failure and its retry; a setting."""
    async with signed_in(stack) as page:
        assert "token" not in await page.run("location.href + JSON.stringify(history.state)")
        await page.sees("Nothing has been asked for yet")
        await _everywhere(page, axe, "empty")
        await shot(page, "empty", tmp_path)

        # -- preview and apply
        adele = await asyncio.to_thread(person, stack, "adele.vance", meetings=3)
        await asyncio.to_thread(stack.forget_mails)
        await page.click("Start", within="nav")
        await page.type("#identity", adele.name)
        await page.click("Preview")
        await page.sees("2 people will get mail, 3 updates in all.")
        await page.run("document.querySelector('.meeting').open = true")
        await page.sees("Join Skype Meeting")
        await _everywhere(page, axe, "plan")
        await shot(page, "plan", tmp_path)
        await page.click("Apply this plan")
        await page.sees("2 people will get mail")
        await _everywhere(page, axe, "dialog")
        assert await asyncio.to_thread(stack.status, adele) == []
        await page.click("Apply the plan", within="dialog")

        # -- watch it finish, look at a meeting
        await page.sees("3 migrated.")
        assert "#/user/" in await page.run("location.hash")
        await page.click("Undo")
        await page.sees("3 invitations go back to what they were before the migration, at once.")
        await page.sees("2 people will get mail, 3 updates in all.")
        await page.click("Not now", within="dialog")
        await page.run("document.querySelector('.meeting').open = true")
        await page.until("document.querySelector('.side.after').innerText.includes('teams.microsoft.com')")
        await page.until("document.querySelectorAll('.meeting[open] .block').length === 2")
        before = await page.run("document.querySelector('.side').innerText")
        assert "meet.contoso.example" in before
        assert "Join Skype Meeting" in before
        assert "Passcode" in await page.run("document.querySelector('.side.after .block').innerText")
        await _everywhere(page, axe, "user")
        await shot(page, "user", tmp_path)
        mails = await asyncio.to_thread(stack.mails, adele)
        assert [len(mail["recipients"]) for mail in mails] == [2, 2, 2]

        # -- undo
        await page.click("Undo this meeting", within=".meeting[open]")
        await page.sees("1 invitation goes back to what it was")
        await page.sees("2 people will get mail, 1 update in all.")
        await page.click("Restore", within="dialog")
        await page.until("document.querySelectorAll('.state.skipped').length === 1")
        await page.click("Undo")
        await page.sees("2 invitations go back")
        await page.click("Restore", within="dialog")
        await page.until("document.querySelectorAll('.state.skipped').length >= 3")
        assert [len(mail["recipients"]) for mail in await asyncio.to_thread(stack.mails, adele)] == [2] * 6

        # -- a failure, its remedy, its retry
        isaiah = await asyncio.to_thread(person, stack, "isaiah.langer", mailbox="onPremises")
        await asyncio.to_thread(stack.start, isaiah, settleMinutes=0)
        await asyncio.to_thread(stack.finished, isaiah)
        await page.click("Overview", within="nav")
        await page.sees("Failed, by cause")
        await page.sees("Move the mailbox to Exchange Online first")
        await _everywhere(page, axe, "failures")
        await shot(page, "failures", tmp_path)
        await page.click("Retry: MailboxOnPremises")
        await page.sees("Trying again will fail in the same way, and nobody gets mail.")
        await page.click("Not now", within="dialog")
        first = (await asyncio.to_thread(stack.status, isaiah))[0]["ModifiedDate"]
        await page.click("Retry: MailboxOnPremises")
        await page.sees("Trying again will fail in the same way")
        await page.click("Try again", within="dialog")
        await asyncio.to_thread(stack.until, lambda: stack.status(isaiah)[0]["ModifiedDate"] != first)

        # -- a setting
        await page.click("Settings", within="nav")
        await page.until("Boolean(document.querySelector('#set-MaximumAttendees'))")
        await page.type("#set-MaximumAttendees", "300")
        await page.click("Save")
        await page.sees("MaximumAttendees: 250 becomes 300")
        await page.click("Save", within="dialog")
        await asyncio.to_thread(stack.until, lambda: stack.api("GET", "config").json()["MaximumAttendees"] == 300)
        await page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        await _everywhere(page, axe, "settings")
        await page.run("document.querySelectorAll('details').forEach((each, index) => { each.open = index === 0; })")
        await shot(page, "settings", tmp_path)

        # -- who needs one
        await page.click("Discovery", within="nav")
        await page.until("document.querySelector('h1')?.innerText === 'Needs migration'")
        await _everywhere(page, axe, "discovery")
        noise = ("favicon", "404", "Applying inline style")  # the last is axe trying; other tests look without it
        assert [each for each in page.complaints if not any(word in each for word in noise)] == []


@pytest.mark.timeout(300)
async def test_a_group_of_failures_is_retried_after_being_told_how_many_get_mail(stack, axe, tmp_path):
    """From plans of all of them, somebody invited by several counted once; the numbers are what then happens."""
    users = [await asyncio.to_thread(person, stack, f"group.{each}", meetings=2) for each in ("one", "two", "three")]
    await asyncio.to_thread(stack.tenant, "PATCH", "switches", {"deniedMailboxes": [user.id for user in users]})
    try:
        for user in users:
            await asyncio.to_thread(stack.start, user, settleMinutes=0)
        for user in users:
            await asyncio.to_thread(stack.finished, user)
    finally:
        await asyncio.to_thread(stack.tenant, "PATCH", "switches", {"deniedMailboxes": []})
    await asyncio.to_thread(stack.forget_mails)
    async with signed_in(stack) as page:
        await page.click("Retry: MailboxAccessDenied")
        await page.until("document.querySelector('dialog').open")
        assert await page.run("document.querySelector('dialog .buttons button:last-child').disabled")
        await page.sees("3 users are tried again at once.")
        await page.sees("6 meetings would be changed.")
        await page.sees("2 people will get mail, 6 updates in all.")
        await _everywhere(page, axe, "group")
        await page.shape(1280, 700)
        await page.picture(
            (PICTURES if os.environ.get("MMS_SCREENSHOTS") == "1" else tmp_path) / "dialog.png", whole=False
        )
        assert await asyncio.to_thread(lambda: [stack.mails(user) for user in users]) == [[], [], []]
        await page.click("Try all again", within="dialog")
        await asyncio.to_thread(
            stack.until, lambda: all(stack.status(user)[0]["State"] == "Succeeded" for user in users)
        )
        mails = [mail for user in users for mail in await asyncio.to_thread(stack.mails, user)]
        assert len(mails) == 6
        assert len({each for mail in mails for each in mail["recipients"]}) == 2


@pytest.mark.timeout(200)
async def test_messages_that_failed_are_shown_with_their_reason_and_how_to_put_them_back(stack, axe):
    """What the tenant told about a user is a failure of that user as well; what nobody understands is in the list."""
    user = await asyncio.to_thread(person, stack, "told.invain", meetings=0)
    event = {"kind": "event", "event_id": "x|1", "type": "mms.user.moved", "data": {"user": user.id}}

    def poison():
        with QueueClient.from_connection_string(stack.ready["storage"], "mms-triggers-poison") as queue:
            for text in (json.dumps(event), "<b>not ours</b>"):
                queue.send_message(base64.b64encode(text.encode()).decode())
        stack.until(lambda: len(_failed_messages(stack)) == 2)

    await asyncio.to_thread(poison)
    async with signed_in(stack) as page:
        await page.sees("Messages that failed")
        await page.sees("An event of the tenant")
        await page.sees("Not understood")
        await page.sees("python -m mms_core.maintenance replay")
        for row in await asyncio.to_thread(_failed_messages, stack):
            await page.sees(row["MessageId"])
        assert "<b>not ours" not in await page.run("document.body.innerHTML")
        await _everywhere(page, axe, "messages")
        await page.run(f"location.hash = '#/user/{user.id}'")
        await page.sees("What the tenant told about this user failed five times")
    # It is the whole tenant's page: others shall not find it.
    with TableServiceClient.from_connection_string(stack.ready["storage"]) as tables:
        state = tables.get_table_client("MmsState")
        kept = {row["MessageId"] for row in _failed_messages(stack)}
        for each in state.query_entities("PartitionKey eq 'poison'"):
            if each["RowKey"] in kept:
                state.delete_entity(each["PartitionKey"], each["RowKey"])


def _failed_messages(stack):
    return stack.api("GET", "migrations?summaryOnly=true&summaryBy=message").json()["value"]


@pytest.mark.timeout(200)
async def test_what_a_tenant_writes_is_never_markup(stack):
    """A subject that is HTML is shown as it was typed, in the plan and on the user's page."""
    user = await asyncio.to_thread(person, stack, "mallory.payne", meetings=0)
    evil = "<img src=x onerror=document.title='gotcha'><b>bold</b>"
    await asyncio.to_thread(stack.skype_meeting, user, attendees=("x@fabrikam.example",), subject=evil)
    await asyncio.to_thread(stack.start, user, settleMinutes=0)
    await asyncio.to_thread(stack.finished, user)
    async with Browser() as page:
        await sign_in(page, stack, f"#/user/{quote(user.name)}")
        await page.sees(evil)
        assert await page.run("document.querySelectorAll('#main img, #main b').length") == 0
        assert await page.run("document.title") != "gotcha"
        assert [each for each in page.complaints if "Content Security" in each] == []
        # The policy itself: what is not ours does not run.
        await page.run(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
        )
        assert await page.run("window.ran ?? null") is None
        assert any("Content Security Policy" in each for each in page.complaints)


@pytest.mark.timeout(200)
async def test_a_reader_may_look_and_not_act_and_a_bad_token_leads_back_to_the_gate(stack, axe, tmp_path):
    """Acts are refused with a word, not silently; the gate says why."""
    async with signed_in(stack, "#/settings", token="reader") as page:
        await page.sees("changing them needs the app role Mms.Operate")
        await page.go(f"{stack.ready['api']}/dashboard#token=not.a.token")
        await page.sees("Your sign-in is no longer valid.")
        await _everywhere(page, axe, "gate")
        await page.shape(1280, 560)
        await page.picture(
            (PICTURES if os.environ.get("MMS_SCREENSHOTS") == "1" else tmp_path) / "gate.png", whole=False
        )
        assert await page.run("sessionStorage.getItem('mms.token')") is None
        await page.type("#token", stack.ready["tokens"]["operator"])
        await page.press("Enter", 13)
        await page.until("!document.querySelector('#top').hidden && Boolean(document.querySelector('#view > *'))")


@pytest.mark.timeout(200)
async def test_signing_in_by_code_and_proof_of_the_key(stack):
    """Through the issuer and back: signed in, nothing left in the address; a wrong proof or state gets nowhere."""
    home = f"{stack.ready['api']}/dashboard"
    async with Browser() as page:
        await page.shape(1280, 900)
        await page.go(home)
        await page.click("Sign in with Microsoft")
        await page.until("!document.querySelector('#top').hidden && Boolean(document.querySelector('#view > *'))")
        assert await page.run("location.search + location.hash") == ""
        token = (await page.run("sessionStorage.getItem('mms.token')")).split(".")[1]
        assert json.loads(base64.urlsafe_b64decode(token + "=="))["idtyp"] == "user"
        assert await page.run("sessionStorage.getItem('mms.signin')") is None
        authority = await page.run("JSON.parse(document.body.dataset.signIn).authority")
        assert page.complaints == []

        def code() -> str:
            """Get a code for a proof that the page does not have."""
            challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
            query = {
                "client_id": "the-page-of-these-tests", "response_type": "code", "redirect_uri": home, "state": "s",
                "scope": "api://mms/.default", "code_challenge": challenge, "code_challenge_method": "S256",
            }  # fmt: skip
            answer = stack.http.get(f"{authority}/authorize", params=query, follow_redirects=False)
            return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]

        async def comes_back(code: str, *, asked: dict[str, str] | None) -> None:
            await page.run("sessionStorage.clear()")
            if asked:
                await page.run(f"sessionStorage.setItem('mms.signin', {json.dumps(json.dumps(asked))})")
            await page.go(f"{home}?code={code}&state=s")

        await comes_back(await asyncio.to_thread(code), asked={"verifier": "w" * 43, "state": "s", "back": ""})
        await page.sees("The Code_Verifier does not match")
        for asked in ({"verifier": "v" * 43, "state": "another", "back": ""}, None):
            unused = await asyncio.to_thread(code)
            await comes_back(unused, asked=asked)
            await page.sees("This sign-in was not begun in this tab.")
            assert await page.run("sessionStorage.getItem('mms.token')") is None
            form = {
                "client_id": "the-page-of-these-tests", "grant_type": "authorization_code", "code": unused,
                "redirect_uri": home, "code_verifier": "v" * 43,
            }  # fmt: skip
            origin = home.removesuffix("/api/dashboard")
            answer = await asyncio.to_thread(
                stack.http.post, f"{authority}/token", data=form, headers={"Origin": origin}
            )
            assert answer.status_code == 200  # the page has not even tried
        await comes_back(
            await asyncio.to_thread(code), asked={"verifier": "v" * 43, "state": "s", "back": "#/settings"}
        )
        await page.sees("Settings")
        await page.until("location.hash === '#/settings'")


@pytest.mark.timeout(200)
async def test_the_keyboard_alone_is_enough(stack):
    """Skip link, navigation and a dialog that holds the focus and gives it back."""
    async with signed_in(stack) as page:
        await page.press("Tab", 9)
        assert await page.run("document.activeElement.className") == "skip"
        await page.press("Tab", 9)
        await page.press("Tab", 9)
        await page.press("Tab", 9)
        assert await page.run("document.activeElement.innerText") == "Discovery"
        await page.press("Enter", 13)
        await page.until("document.querySelector('h1')?.innerText === 'Needs migration'")
        assert await page.run("document.activeElement.id") == "main"
        await page.click("Settings", within="nav")
        await page.until("Boolean(document.querySelector('#set-SettleMinutes'))")
        await page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        await page.type("#set-SettleMinutes", "45")
        await page.press("Enter", 13)
        await page.until(
            "document.querySelector('dialog').open && document.querySelector('dialog').contains(document.activeElement)"
        )
        await page.press("Escape", 27)
        await page.until("!document.querySelector('dialog').open")
        assert (await asyncio.to_thread(stack.api, "GET", "config")).json()["SettleMinutes"] == 90
        assert page.complaints == []


@pytest.mark.timeout(200)
async def test_the_switch_says_what_it_starts_and_how_many_get_mail(stack, axe):
    """Off is said on the first page; on is planned for those who wait, and nothing starts before it is confirmed."""
    user = await asyncio.to_thread(person, stack, "waiting.user", meetings=2)
    await asyncio.to_thread(stack.start, user, settleMinutes=600)
    async with signed_in(stack, "#/settings") as page:
        for words, verb in (
            (["Everything stops before its next write."], "off"),
            (["1 user waits: who is due starts at once", "2 people will get mail, 2 updates in all."], "on"),
        ):
            await page.until("Boolean(document.querySelector('#set-MeetingMigrationEnabled'))")
            await page.run("document.querySelector('#set-MeetingMigrationEnabled').click()")
            await page.click("Save")
            for each in words:
                await page.sees(each)
            await _everywhere(page, axe, f"switch {verb}")
            is_on = (await asyncio.to_thread(stack.api, "GET", "config")).json()["MeetingMigrationEnabled"]
            assert is_on is (verb == "off")
            await page.click("Save", within="dialog")
            await page.until(f"document.querySelector('#power').classList.contains({json.dumps(verb)})")
            if verb == "off":
                await page.run("location.hash = '#/'")
                await page.sees("Migration is switched off: nothing starts and no calendar is written.")
                await page.sees("Who needs a migration")
                await page.run("location.hash = '#/settings'")
    await asyncio.to_thread(stack.api, "POST", f"migrations/{user.id}/cancel")


@pytest.mark.timeout(200)
async def test_a_mailbox_that_is_only_reported_is_not_offered_to_be_changed(stack, axe):
    """The plan is shown as it would be, and says that nothing is written and nobody gets mail."""
    made = await asyncio.to_thread(
        stack.user, userPrincipalName="front.desk@contoso.example", displayName="Front desk", mailboxKind="shared"
    )
    await asyncio.to_thread(
        stack.skype_meeting, User(made.id, "front.desk@contoso.example"), attendees=("patti@contoso.example",)
    )
    await asyncio.to_thread(stack.api, "PATCH", "config", {"SharedMailboxPolicy": "report"})
    try:
        async with signed_in(stack, "#/start/front.desk%40contoso.example") as page:
            await page.click("Preview")
            await page.sees("The policy for this kind of mailbox is to report")
            await page.sees("Nothing to change, nobody gets mail.")
            assert await page.run("document.querySelectorAll('.meeting').length") == 1
            assert await page.run("document.querySelector('#apply')") is None
            await _everywhere(page, axe, "reported")
    finally:
        await asyncio.to_thread(stack.api, "PATCH", "config", {"SharedMailboxPolicy": "migrate"})


@pytest.mark.timeout(200)
async def test_who_needs_a_migration_is_started_after_being_told_how_many_get_mail(stack, axe):
    """Found by the search after the tenant's policy has changed; why, in words; on the first page as well."""
    first, _ = [await asyncio.to_thread(person, stack, f"needs.{each}") for each in ("first", "second")]
    grant = {"tenant": True, "policy": "TeamsUpgradePolicy", "mode": "TeamsOnly"}
    await asyncio.to_thread(stack.tenant, "POST", "actions/grantPolicy", grant)
    async with signed_in(stack, "#/discovery") as page:
        await page.sees("needs.first@contoso.example")
        await page.sees("needs.second@contoso.example")
        await page.sees("The tenant is in Teams only; has Skype meetings")
        await _everywhere(page, axe, "discovered")
        await page.click("Start needs.first@contoso.example")
        await page.sees("1 user starts after the settling time; until then each can be cancelled.")
        await page.sees("2 people will get mail, 2 updates in all.")
        await page.click("Start", within="dialog")
        await page.until("!document.querySelector('#main').innerText.includes('needs.first@')")
        await page.run("location.hash = '#/'")
        await page.sees("Who needs a migration")
        await page.sees("needs.second@contoso.example")
        await _everywhere(page, axe, "needs")

        # -- the service has looked at so many who are served already: its token leads on
        await page.run(
            "window.answers = window.fetch; window.fetch = (path, options) => answers(path, options).then((answer) =>"
            " !path.includes('discovery?') || path.includes('Token=') ? answer : answer.json().then((found) =>"
            " Response.json({ ...found, value: [], requests: [], continuationToken: '-' })))"
        )
        await page.run("location.hash = '#/discovery'")
        await page.sees("The first of those who were found have been started.")
        await page.click("List more")
        await page.sees("needs.second@contoso.example")
        await page.run("location.hash = '#/'")
        await page.sees("The first of those who were found have been started.")

        # -- and where the list cannot be had, the rest of the first page is there
        await page.run("location.hash = '#/discovery'")
        await page.until("document.querySelector('h1')?.innerText === 'Needs migration'")
        await page.run(
            "window.fetch = (path, options) => path.includes('discovery?')"
            " ? Promise.resolve(Response.json({ title: 'Out of order.' }, { status: 500 })) : answers(path, options)"
        )
        await page.run("location.hash = '#/'")
        await page.sees("Out of order.")
        await page.sees("Runs a day")
    await asyncio.to_thread(stack.tenant, "POST", "actions/grantPolicy", {**grant, "mode": "Islands"})
    await asyncio.to_thread(stack.finished, first)


@pytest.mark.timeout(900)
async def test_many_users_and_many_days_are_shown_at_once(stack, axe, tmp_path):
    """Users put into storage as two weeks would have: counts, causes, charts, in every shape.

    However many there are, the page asks for a page of each list at most, once, and then for the counts. What it says
    of all of them comes from counters; lists say how much of them is shown, and go on.
    """
    began = time.monotonic()
    await seed_weeks(stack, users=USERS)
    sys.stdout.write(f"\n{USERS} users in {time.monotonic() - began:.0f} s\n")
    async with signed_in(stack) as page:
        await page.sees("Failed, by cause")
        await page.until("document.querySelectorAll('.chart rect').length > 2")
        await page.until("document.querySelectorAll('.chart .median').length > 0")
        paint = await page.run("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        whole = await page.run("performance.now()")
        sys.stdout.write(f"first paint after {paint / 1000:.2f} s, everything after {whole / 1000:.1f} s\n")
        first = [(url.partition("/api/")[2], size) for url, size in page.answers if "/api/migrations" in url]
        assert len(first) <= 8, first
        assert sum(size for _, size in first) < 400_000, first
        page.answers.clear()
        began = time.monotonic()
        await page.until(f"performance.now() > {await page.run('performance.now()')} + 12000")
        then = [(url.partition("/api/")[2], size) for url, size in page.answers]
        assert {url for url, _ in then} <= {"migrations?summaryOnly=true", "migrations?state=InProgress&top=12"}
        assert 2 <= len(then) <= (time.monotonic() - began) / 3 * 2 + 2, then
        assert sum(size for _, size in then) < 15_000 * len(then), then
        sys.stdout.write(
            f"{USERS} users: first {len(first)} answers of {sum(size for _, size in first)} bytes: {first};\n"
        )
        sys.stdout.write(
            f"then in {time.monotonic() - began:.0f} s {len(then)} of {sum(size for _, size in then)} bytes\n"
        )
        await _says_the_truth_of_all(page, stack)
        await _everywhere(page, axe, "many")
        name = "many" if USERS < 100_000 else "hundred-thousand"
        await shot(page, name, tmp_path)
        if USERS < 100_000:
            await page.shape(1280, 900, dark=True)
            await shot(page, "many-dark", tmp_path)
            await page.shape(320, 700)
            await page.until("document.querySelector('.chart').viewBox.baseVal.width < 400")
            await shot(page, "phone", tmp_path)
            await page.shape(1280, 900)
            await page.run("location.hash = '#/user/5eed0000-0000-4000-8000-000000000014'")
            await page.sees("In progress")
            await page.until("Boolean(document.querySelector('[role=progressbar]'))")
            await _everywhere(page, axe, "running")
            await shot(page, "running", tmp_path)
        await page.run("location.hash = '#/'")
        await page.sees("Failed, by cause")
        pending = await page.run("document.querySelector('.counts').innerText")
        asked_at = time.monotonic()
        await asyncio.to_thread(
            stack.api, "POST", "migrations", {"identity": "late.comer@contoso.example", "settleMinutes": 600}
        )
        await page.until(f"document.querySelector('.counts').innerText !== {json.dumps(pending)}")
        sys.stdout.write(f"a new request is seen after {time.monotonic() - asked_at:.1f} s\n")


@pytest.mark.timeout(300)
async def test_a_group_that_is_not_listed_is_retried_to_its_last_user(stack, axe):
    """More than a list shows, and than is planned first: the question says so, and nobody is left behind."""
    await _fail(stack, users=130, code="TeamsLicenceMissing")

    def left() -> int:
        rows = stack.api("GET", "migrations?summaryOnly=true&summaryBy=code").json()["value"]
        return sum(row["UserCount"] for row in rows if row["Code"] == "TeamsLicenceMissing")

    assert await asyncio.to_thread(left) == 130
    async with signed_in(stack) as page:
        await page.click("Retry: TeamsLicenceMissing")
        await page.sees("130 users are tried again, up to 60 a minute.")
        await page.sees("The calendars of 100 of them were looked at")
        await page.sees("100 of them would fail: the cause is still there.")
        await page.sees("how many people they would send mail to is not known")
        await _everywhere(page, axe, "large group")
        assert await asyncio.to_thread(left) == 130
        await page.click("Try all again", within="dialog")
        await asyncio.to_thread(stack.until, lambda: left() == 0)


async def _says_the_truth_of_all(page: Page, stack: Stack) -> None:
    """Causes and charts come to what was counted; a list goes on page by page."""

    async def counted(by: str) -> list[dict[str, object]]:
        path = f"migrations?summaryOnly=true&summaryBy={by}"
        return (await asyncio.to_thread(stack.api, "GET", path)).json()["value"]

    days = await counted("day")
    assert sum(row["RunCount"] for row in days) >= USERS
    first = (datetime.now(UTC) - timedelta(days=13)).date().isoformat()
    shown = await page.run(
        "[...document.querySelectorAll('.chart rect title')]"
        ".reduce((sum, each) => sum + Number(each.textContent.match(/: (\\d+) /)[1]), 0)"
    )
    assert shown == sum(row["RunCount"] for row in days if row["Date"] >= first)
    failed = {row["State"]: row["UserCount"] for row in await counted("state")}["Failed"]
    words = await page.run(
        "[...document.querySelectorAll('.cause .text > p:last-child')].map((each) => each.innerText)"
    )
    users = [re.search(r"· ([\d,]+) user", each) for each in words]
    assert sum(int(each[1].replace(",", "")) for each in users if each) == failed, words
    await page.click("List more", within="#at-failed")
    await page.until("!document.querySelector('#at-failed').innerText.includes('The newest 100 failed')")
    await page.run("document.querySelector('.counts a[href=\"#/runs/Succeeded\"]').click()")
    for rows in (100, 200, 300):
        await page.sees(f"the newest {rows}")
        assert await page.run("document.querySelectorAll('tbody tr').length") == rows
        await page.click("List more")
    await page.run("location.hash = '#/'")
    await page.sees("Failed, by cause")


async def _fail(stack: Stack, *, users: int, code: str) -> None:
    """Write runs that have failed long ago, of users whom nobody knows any more."""
    from mms_core.adapters.tables import QuickTableClient, Tables, TableUserStore
    from mms_core.errors import explain
    from mms_core.model import Run, RunId, State, Target, UserKey, UserRecord

    tables = Tables(lambda name: QuickTableClient.from_connection_string(stack.ready["storage"], name), prefix="Mms")
    store, since = TableUserStore(tables), datetime.now(UTC) - timedelta(days=40)
    for number in range(users):
        key, at = UserKey(f"5eed0002-0000-4000-8000-{number:012d}"), since - timedelta(minutes=number)
        run = Run(
            run_id=RunId(f"5eed0003-0000-4000-8000-{number:012d}"), identity=key, user_id=key, state=State.FAILED,
            target=Target.TEAMS, reasons=("T9 Policy",), created_at=at, modified_at=at, fresh_at=at, due_at=at,
            code=code, last_message=explain(code),
        )  # fmt: skip
        await store.save(UserRecord(key=key, current=run), None)
    await tables.close()


async def seed_weeks(stack: Stack, *, users: int) -> None:
    """Write runs of the last two weeks as the product's own store would."""
    from bench.store import seed
    from mms_core.adapters.tables import QuickTableClient, Tables, TableUserStore
    from mms_core.errors import explain
    from mms_core.model import Run, RunId, State, Target, UserKey, UserRecord

    tables = Tables(lambda name: QuickTableClient.from_connection_string(stack.ready["storage"], name), prefix="Mms")
    store, now = TableUserStore(tables), datetime.now(UTC)
    codes = ("AppAccessPolicyMissing", "MailboxAccessDenied", "MeetingsFailed")

    def record(number: int) -> UserRecord:
        day = number % 14
        at = now - timedelta(days=day, minutes=(number * 37) % 600 + 5)
        is_new = day == 0
        state = State.SUCCEEDED
        if number % 19 == 0:
            state = State.FAILED
        elif is_new and number % 4 == 0:
            state = State.PENDING
        elif is_new and number % 28 == 14:
            state = State.IN_PROGRESS
        elif number % 31 == 0:
            state = State.SKIPPED
        took = timedelta(minutes=91 + (number * 13) % 47 + (60 if number % 23 == 0 else 0))
        code = codes[(number // 19) % 3] if state is State.FAILED else None
        key = UserKey(f"5eed0000-0000-4000-8000-{number:012d}")
        is_waiting = state in (State.PENDING, State.IN_PROGRESS)
        run = Run(
            run_id=RunId(f"5eed0001-0000-4000-8000-{number:012d}"), identity=key, user_id=key,
            user_principal_name=f"user{number:04d}@contoso.example", state=state, target=Target.TEAMS,
            reasons=("T9 Policy",), created_at=now - timedelta(minutes=number % 60) if is_waiting else at,
            modified_at=now if is_waiting else at + took, fresh_at=at,
            due_at=now + timedelta(minutes=30 + number % 55),
            lease_owner="x" if state is State.IN_PROGRESS else None,
            lease_until_at=now + timedelta(hours=1) if state is State.IN_PROGRESS else None,
            total=12, succeeded=5 if state is State.IN_PROGRESS else 12, code=code,
            invites=5 if state is State.IN_PROGRESS else 12,
            last_message=explain(code) if code else "" if is_waiting else "12 migrated.",
        )  # fmt: skip
        return UserRecord(key=key, current=run, wake_id="seeded", wake_at=run.due_at)

    await seed(store, 0, users, record)
    await tables.close()
