"""Faults on request: matching requests get an error before or after the commit, or no answer at all."""

import asyncio
import re
from typing import Any, Literal

import msgspec

from mms_simulator.errors import bad_request
from mms_simulator.store import Store


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault, as posted to ``/_tenant/faults``."""

    method: str = ".*"
    """Regular expression for the whole method."""
    path: str = ".*"
    """Regular expression found anywhere in path and query, as sent or decoded, with or without ``/v1.0``."""
    times: int = 1
    """How often; 0 means until deleted."""
    skip: int = 0
    """So many matching requests are let through first."""
    status: int | None = None
    headers: dict[str, str] = {}
    code: str | None = None
    message: str | None = None
    when: Literal["before", "afterCommit", "drop", "dropBefore"] = "before"
    """before: nothing is done. afterCommit: the work is done, the answer is the error. drop: the work is done and the
    connection closed without an answer. dropBefore: closed at once."""
    delayMs: float = 0
    """Waits first; without a status and with ``before`` this is all it does."""
    hold: Literal["no", "request", "answer"] = "no"
    """Keeps the request before anything is done, or the answer after it was, until the faults are deleted."""
    hits: int = 0
    passed: int = 0


class Faults:
    """The list of faults, in order of posting; it survives a restart, half-used ones with what is left of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._release = asyncio.Event()
        self.held = 0
        """Requests that are kept waiting now."""
        self.active: list[Fault] = msgspec.convert(store.settings.get("faults") or [], list[Fault])

    def add(self, given: dict[str, Any]) -> Fault:
        """Take a fault; 400 for one that makes no sense."""
        try:
            fault = msgspec.convert({name: value for name, value in given.items() if value is not None}, Fault)
            re.compile(fault.path)
            re.compile(fault.method)
        except (msgspec.ValidationError, re.error, UnicodeError) as exc:
            raise bad_request(f"The fault is not valid: {exc}") from exc
        self.active.append(fault)
        self._keep()
        return fault

    def clear(self) -> None:
        """Forget all faults; who was kept waiting goes on."""
        self.active.clear()
        self._release.set()
        self._release = asyncio.Event()
        self._keep()

    async def hold(self) -> None:
        """Wait until the faults are deleted."""
        self.held += 1
        try:
            await self._release.wait()
        finally:
            self.held -= 1

    def match(self, method: str, raw: str, decoded: str) -> Fault | None:
        """Give the first fault that matches, and count it."""
        for fault in self.active:
            texts = (raw, decoded, decoded.removeprefix("/v1.0"))
            if re.fullmatch(fault.method, method, re.IGNORECASE) and any(re.search(fault.path, each) for each in texts):
                if fault.passed < fault.skip:
                    fault.passed += 1
                    self._keep()
                    continue
                fault.hits += 1
                if fault.times and fault.hits >= fault.times:
                    self.active.remove(fault)
                self._keep()
                return fault
        return None

    def _keep(self) -> None:
        self._store.setting("faults", msgspec.to_builtins(self.active))
        self._store.commit()
