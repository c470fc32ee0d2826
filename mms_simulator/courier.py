"""Carries queued webhook calls to their addresses: in batches, with back-off, minding slow receivers (fact sheet 7)."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import msgspec

from mms_simulator import notify
from mms_simulator.model import Delivery
from mms_simulator.store import Store

_log = logging.getLogger(__name__)
GIVE_UP_SECONDS = 4 * 3600
"""Graph repeats a delivery for four hours (7)."""
SLOW_SECONDS = 2.9
WINDOW_SECONDS = 600
WINDOW_CALLS = 100
_DELAYED, _DROPPED = 0.10, 0.15
_LONGEST_WAIT = 60.0
_BATCH = 100
_TIMEOUT = 30
_OK = 300


class Receiver:
    """What Graph remembers of an address: how many of its last answers were slow."""

    def __init__(self) -> None:
        self.answers: deque[tuple[float, bool]] = deque(maxlen=WINDOW_CALLS)

    def note(self, now: float, *, slow: bool) -> None:
        """Remember an answer."""
        self.answers.append((now, slow))

    def state(self, now: float) -> str:
        """Give ``normal``, ``delayed`` or ``dropped`` by the share of slow answers within ten minutes."""
        recent = [slow for at, slow in self.answers if at > now - WINDOW_SECONDS]
        share = sum(recent) / WINDOW_CALLS
        return "dropped" if share >= _DROPPED else "delayed" if share >= _DELAYED else "normal"


class Courier:
    """Background delivery. Each address has its own queue, so a dead one holds up nobody else."""

    def __init__(self, store: Store, bearer: Callable[[], str]) -> None:
        self._store = store
        self._bearer = bearer
        self._wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._main: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self.receivers: dict[str, Receiver] = {}

    @property
    def session(self) -> aiohttp.ClientSession:
        """The client that calls out."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT))
        return self._session

    async def start(self) -> None:
        """Begin to deliver."""
        self._main = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; what was not delivered stays queued."""
        tasks = [task for task in (self._main, *self._busy.values()) if task]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        if self._session:
            await self._session.close()
        for each in ended:
            if isinstance(each, Exception):  # what was cancelled is none
                raise each

    def wake(self) -> None:
        """Look at the queue now: something was committed."""
        if self._store.deliveries:
            self._wake.set()

    async def _run(self) -> None:
        while True:
            self._lifecycle()
            now = self._store.clock.now()
            addresses: dict[str, float] = {}
            for delivery in self._store.deliveries.values():
                addresses[delivery.url] = min(delivery.due, addresses.get(delivery.url, delivery.due))
            for url, due in addresses.items():
                if due <= now and url not in self._busy:
                    task = asyncio.create_task(self._serve(url))
                    self._busy[url] = task
                    task.add_done_callback(partial(self._done, url))
            waits = [due - now for url, due in addresses.items() if url not in self._busy]
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the wake-up.
                async with asyncio.timeout(max(0.02, min([*waits, 1.0]))):
                    await self._wake.wait()

    def _done(self, url: str, _: asyncio.Task[None]) -> None:
        self._busy.pop(url, None)
        self._wake.set()

    async def _serve(self, url: str) -> None:
        """Deliver what is due at one address: what came within a moment travels together."""
        await asyncio.sleep(self._store.switches.batchMilliseconds / 1000)
        now = self._store.clock.now()
        due = [each for each in self._store.deliveries.values() if each.url == url and each.due <= now]
        if not due:
            return
        kind = due[0].kind
        batch = [each for each in due if each.kind == kind][: 1 if kind == "event" else _BATCH]
        if self._store.switches.reorderNotifications and kind != "event":
            batch.reverse()
        state = "normal"
        if kind == "graph" and self._store.switches.slowReceiver:
            state = self.receivers.setdefault(url, Receiver()).state(now)
        late = state == "delayed" and not any(each.attempts for each in batch)
        done = state == "dropped" or (not late and await self._post(url, kind, batch))
        now = self._store.clock.now()
        for each in batch:
            if done or now - each.first > GIVE_UP_SECONDS:
                self._store.drop(each)
            else:
                wait = min(_LONGEST_WAIT, self._store.switches.notificationRetrySeconds * 2.0**each.attempts)
                wait = WINDOW_SECONDS if late else wait
                self._store.save(msgspec.structs.replace(each, attempts=each.attempts + 1, due=now + wait))
        self._store.commit()

    async def _post(self, url: str, kind: str, batch: list[Delivery]) -> bool:
        if url.startswith("EventGrid:"):
            return True
        headers, body = self._message(kind, batch)
        started = asyncio.get_running_loop().time()
        try:
            limit = aiohttp.ClientTimeout(total=self._store.switches.answerSeconds)
            async with self.session.post(url, data=body, headers=headers, timeout=limit) as answer:
                ok = answer.status < _OK
                if not ok:
                    _log.info("webhook answered %s", answer.status, extra={"kind": kind})
        except (aiohttp.ClientError, TimeoutError) as exc:
            _log.info("webhook failed: %s", type(exc).__name__, extra={"kind": kind})
            ok = False
        elapsed = asyncio.get_running_loop().time() - started
        if kind == "graph":
            receiver = self.receivers.setdefault(url, Receiver())
            receiver.note(self._store.clock.now(), slow=elapsed > SLOW_SECONDS)
        return ok

    def _message(self, kind: str, batch: list[Delivery]) -> tuple[dict[str, str], bytes]:
        if kind == "event":
            headers = {"Content-Type": "application/cloudevents+json", "Authorization": f"Bearer {self._bearer()}"}
            return headers, bytes(batch[0].payload)
        headers = {"Content-Type": "application/json; charset=utf-8"}
        payloads = [each.payload for each in batch]
        if kind == "activity":
            feed = self._store.feed.get(batch[0].subscription.lower())
            if feed and feed.authId:
                headers["Webhook-AuthID"] = feed.authId
            return headers, msgspec.json.encode(payloads)
        body: dict[str, Any] = {"value": payloads}
        return headers, msgspec.json.encode(body)

    def _lifecycle(self) -> None:
        """Ask for reauthorisation before a subscription runs out, and forget those that have (7)."""
        store = self._store
        now = store.clock.now()
        changed = False
        for each in list(store.subscriptions.values()):
            if each.expires < now:
                store.drop(each)
                changed = True
            elif each.expires - now < store.switches.reauthorizeSeconds and not each.reauthorize_sent:
                notify.lifecycle(store, each, "reauthorizationRequired")
                store.save(msgspec.structs.replace(each, reauthorize_sent=True))
                changed = True
        if changed:
            store.commit()
