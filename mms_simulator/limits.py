"""Counting and limiting (fact sheet 8.1): requests by route, in flight for each mailbox, and who is told to wait."""

import time
from collections import Counter, defaultdict, deque
from email.utils import formatdate
from typing import Any

from mms_simulator.errors import GraphError
from mms_simulator.notify import APPLICATION
from mms_simulator.store import Store

_TEN_MINUTES = 600.0
_FIVE_MINUTES = 300.0
_WRITES_SECONDS = 150.0
_TEN_SECONDS = 10.0
_MEGABYTE = 1_000_000
_SMALL_PAGE = 20
_TELL_FROM = 0.8


class Limits:
    """Live counters. They count always; they refuse only with the switch ``throttle``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reset()

    def reset(self) -> None:
        """Start counting afresh."""
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.high_water: Counter[str] = Counter()
        self.throttled = 0
        self.throttled_by_reason: Counter[str] = Counter()
        self._mailbox: defaultdict[str, deque[float]] = defaultdict(deque)
        self._windows: defaultdict[str, deque[float]] = defaultdict(deque)
        self._uploads: defaultdict[str, deque[tuple[float, int]]] = defaultdict(deque)

    def enter(self, mailbox: str) -> None:
        """Count a request to a mailbox as begun."""
        now_in_flight = self.in_flight[mailbox] + 1
        self.in_flight[mailbox] = now_in_flight
        self.high_water[mailbox] = max(self.high_water[mailbox], now_in_flight)

    def leave(self, mailbox: str) -> None:
        """Count it as ended."""
        self.in_flight[mailbox] -= 1
        if not self.in_flight[mailbox]:
            del self.in_flight[mailbox]

    def check(self, mailbox: str | None, route: str, size: int = 0) -> None:
        """Refuse a request that is over a limit: 429 with Retry-After as the switch shapes it. *size* is of its body.

        Windows pass by the tenant's clock, so that a test whose waiting takes no time is judged like one that waits.
        """
        limits, now = self._store.switches, self._store.clock.now()
        if not limits.throttle:
            return
        if mailbox:
            if self.in_flight[mailbox] > limits.mailboxConcurrency:
                raise self._refusal("MailboxConcurrency")
            if _over(self._mailbox[mailbox], limits.mailboxRequests, _TEN_MINUTES, now):
                raise self._refusal("MailboxRequests")
            if size and self._uploaded(mailbox, size, now) > limits.uploadMegabytes * _MEGABYTE:
                raise self._refusal("MailboxUpload")
        if "onlinemeetings" in route.lower() or route.startswith("admin/teams"):
            if _over(self._windows["teams"], limits.teamsRequests, 1.0, now):
                raise self._refusal("TeamsRequests")
        elif route.startswith("auditLogs") and _over(self._windows["audit"], limits.auditRequests, _TEN_SECONDS, now):
            raise self._refusal("AuditRequests")
        if _over(self._windows["tenant"], limits.tenantRequests, _TEN_SECONDS, now):
            raise self._refusal("TenantRequests")

    def charge(self, method: str, route: str, query: dict[str, str]) -> dict[str, str]:
        """Charge a request to the directory in resource units; gives the headers that tell of it (8.1)."""
        if not route.startswith("users") or (route.startswith("users/{user}/") and "licenseDetails" not in route):
            return {}
        units = 1 if route.startswith("users/{user}") else 2
        top = query.get("$top", "")
        units += ("$expand" in query) - ("$select" in query) - (top.isdigit() and int(top) < _SMALL_PAGE)
        units = max(1, units)
        limits, now = self._store.switches, self._store.clock.now()
        window = self._windows["identity"]
        headers = {"x-ms-resource-unit": str(units)}
        if limits.throttle:
            if any(_over(window, limits.identityUnits, _TEN_SECONDS, now) for _ in range(units)):
                raise self._identity_refusal("IdentityUnits", "ResourceUnitLimitExceeded", "ReadWrite")
            writes = method != "GET" and "licenseDetails" not in route
            if writes and _over(self._windows["writes"], limits.identityWrites, _WRITES_SECONDS, now):
                raise self._identity_refusal("IdentityWrites", "WriteLimitExceeded", "Write")
            share = len(window) / max(limits.identityUnits, 1)
            if share > _TELL_FROM:
                headers["x-ms-throttle-limit-percentage"] = f"{share:.2f}"
        return headers

    def stats(self) -> dict[str, Any]:
        """Write what was counted."""
        return {
            "requests": dict(self.requests),
            "statuses": dict(self.statuses),
            "total": sum(self.requests.values()),
            "concurrency": dict(self.high_water),
            "maxConcurrency": max(self.high_water.values(), default=0),
            "inFlight": dict(self.in_flight),
            "throttled": self.throttled,
            "throttledByReason": dict(self.throttled_by_reason),
        }

    def _identity_refusal(self, reason: str, information: str, kind: str) -> GraphError:
        """The directory says besides which limit was met, and whose it is."""
        error = self._refusal(reason)
        error.headers |= {
            "x-ms-throttle-information": information,
            "x-ms-throttle-scope": f"Tenant_Application/{kind}/{APPLICATION}/{self._store.tenant_id}",
        }
        return error

    def _uploaded(self, mailbox: str, size: int, now: float) -> int:
        """Count a body; gives the characters that a mailbox was sent within five minutes."""
        sent = self._uploads[mailbox]
        while sent and not now - _FIVE_MINUTES < sent[0][0] <= now:
            sent.popleft()
        sent.append((now, size))
        return sum(each for _, each in sent)

    def _refusal(self, reason: str) -> GraphError:
        self.throttled += 1
        self.throttled_by_reason[reason] += 1
        headers = retry_after(self._store)
        return GraphError(429, "ApplicationThrottled", f"Application is over its {reason} limit.", headers)


def retry_after(store: Store) -> dict[str, str]:
    """Write Retry-After as an integer, a decimal, a date, or not at all (8.1)."""
    seconds = store.switches.retryAfterSeconds
    match store.switches.retryAfter:
        case "integer":
            return {"Retry-After": str(max(1, round(seconds)))}
        case "decimal":
            return {"Retry-After": f"{seconds + 0.128:.3f}"}
        case "date":
            return {"Retry-After": formatdate(time.time() + seconds + 1, usegmt=True)}
    return {}


def _over(window: deque[float], limit: int, seconds: float, now: float) -> bool:
    # What lies in the future was counted before somebody set the clock back.
    while window and not now - seconds < window[0] <= now:
        window.popleft()
    if len(window) >= limit:
        return True
    window.append(now)
    return False
