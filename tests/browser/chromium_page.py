"""A page in Debian's chromium, driven over the DevTools protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

_ENDPOINT = "DevTools listening on "
_CLOSE_WITHIN = aiohttp.ClientWSTimeout(ws_close=5)


class PageError(AssertionError):
    """The page threw, or what was waited for did not come."""


class Page:
    """One page; expressions run in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self._socket, self._session = socket, session
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self.complaints: list[str] = []
        """What the console showed as an error, refusals by the content security policy included."""
        self.answers: list[tuple[str, int]] = []
        """Addresses that were asked for, and the bytes of each answer, headers included."""
        self._asked: dict[str, str] = {}

    async def listen(self) -> None:
        """Hand out answers until the browser closes."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                waiting = self._answers.pop(told["id"])
                if "error" in told:
                    waiting.set_exception(PageError(str(told["error"])))
                else:
                    waiting.set_result(told["result"])
            elif told["method"] == "Network.requestWillBeSent":
                self._asked[told["params"]["requestId"]] = told["params"]["request"]["url"]
            elif told["method"] == "Network.loadingFinished":
                url = self._asked.pop(told["params"]["requestId"], "")
                self.answers.append((url, int(told["params"]["encodedDataLength"])))
            elif told["method"] == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                entry = told["params"]["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    async def send(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol."""
        self._last += 1
        answer = self._answers[self._last] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        return await asyncio.wait_for(answer, 60)

    async def run(self, expression: str) -> Any:
        """Evaluate JavaScript; promises are waited for."""
        done = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise PageError(done["exceptionDetails"].get("exception", {}).get("description", expression))
        return done["result"].get("value")

    async def go(self, url: str) -> None:
        """Open a page, even if it is the one that is open."""
        await self.send("Page.navigate", url="about:blank")
        await self.send("Page.navigate", url=url)

    async def until(self, expression: str, *, seconds: float = 60) -> Any:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = await self.run(f"(() => {{ return {expression} }})()")
            except PageError:
                found = None  # the page is on its way
            if found:
                return found
            if time.monotonic() > deadline:
                text = await self.run("document.body.innerText.slice(0, 3000)")
                complaints = dict.fromkeys(each[:160] for each in self.complaints)
                raise PageError(f"did not come: {expression}\n{text}\n{list(complaints)[-8:]}")
            await asyncio.sleep(0.1)

    async def sees(self, text: str, **more: Any) -> None:
        """Wait until a text can be read on the page."""
        await self.until(f"document.body.innerText.includes({json.dumps(text)})", **more)

    async def click(self, words: str, *, within: str = "body") -> None:
        """Press the visible button, link or summary with these words."""
        found = (
            f"[...document.querySelector({json.dumps(within)})?.querySelectorAll('button, a, summary, label') ?? []]"
            ".find((each) => each.checkVisibility() && !each.disabled"
            f" && (each.innerText.trim() === {json.dumps(words)} || each.getAttribute('aria-label') === {json.dumps(words)}))"
        )
        await self.until(f"Boolean({found})")
        await self.run(f"{found}.click()")

    async def type(self, selector: str, text: str) -> None:
        """Write into a field as a person would."""
        await self.until(f"Boolean(document.querySelector({json.dumps(selector)}))")
        await self.run(
            f"(() => {{ const each = document.querySelector({json.dumps(selector)}); each.focus(); each.select?.(); }})()"
        )
        await self.send("Input.insertText", text=text)

    async def press(self, key: str, code: int) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    async def shape(self, width: int, height: int, *, dark: bool = False) -> None:
        """Give the window a size and a colour scheme."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme, still])

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """Take a screenshot."""
        shot = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


class Browser:
    """Chromium without a window, in a profile of its own."""

    async def __aenter__(self) -> Page:
        async with contextlib.AsyncExitStack() as opened:
            page = await self._open(opened)
            self._opened = opened.pop_all()
        return page

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def _open(self, opened: contextlib.AsyncExitStack) -> Page:
        """Start the browser and open its page; what must be closed again, in which order, is told to ``opened``."""
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "no chromium on this machine: apt-get install chromium"
        profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        opened.push_async_callback(asyncio.to_thread, profile.cleanup)
        process = await asyncio.create_subprocess_exec(
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
            "--no-first-run", "--disable-extensions", "--disable-background-networking", "--lang=en-GB",
            f"--user-data-dir={profile.name}", "about:blank",
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        opened.push_async_callback(_end, process)
        assert process.stderr
        while line := (await asyncio.wait_for(process.stderr.readline(), 60)).decode():
            if line.startswith(_ENDPOINT):
                break
        opened.push_async_callback(_stop, asyncio.create_task(process.stderr.read()))
        http = await opened.enter_async_context(aiohttp.ClientSession())
        # Closing the session alone leaves the socket's connection to the garbage collector, which may complain of it
        # in whatever test it happens to run.
        socket = await opened.enter_async_context(
            http.ws_connect(line.removeprefix(_ENDPOINT).strip(), max_msg_size=0, timeout=_CLOSE_WITHIN)
        )
        browser = Page(socket, "")
        opened.push_async_callback(_stop, asyncio.create_task(browser.listen()))
        target = await browser.send("Target.createTarget", url="about:blank")
        attached = await browser.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        browser._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await browser.send(f"{domain}.enable")
        return browser


async def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
        process.terminate()
    await process.wait()
