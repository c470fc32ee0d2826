"""Who or what asked, when, with which proof, what was decided by which rule: everything is kept, the ignored too."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import BadInput, MmsError, NotFound, PreconditionLost
from mms_core.metrics import TRIGGERS_DECIDED, measure
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mms_core.model import Run
    from mms_core.service.parts import Parts
    from mms_core.triggers import Decision

_FAR: Final = 10**16
_MINUTE: Final = timedelta(minutes=1)
"""The most that a row can be newer than its key says, see :meth:`Journal.unread`."""
_MOST_READ: Final = 5000
"""Decisions that one question looks at; the continuation token goes on from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a trigger came from."""

    actor: str | None
    """Object or app id of a caller, name of a signing key, or which feed or sweep."""
    proof: str
    """token, signature, notification, eventGrid, audit, comparison, invitations, or operatingSystem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionQuery:
    """Which decisions to list; ``None`` takes all. Instants: the end is exclusive."""

    names: frozenset[str] | None = None
    """Names and ids of one user, in lower case."""
    rule: str | None = None
    reason: str | None = None
    """Rule or words that the reason contains, in any case."""
    answer: str | None = None
    correlation_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    top: int = 100
    continuation: str | None = None


def _order(at: datetime, *, less_microseconds: int = 0) -> str:
    # Nothing was decided before 1970, and every key has as many digits as one of then.
    return f"{_FAR - max(1, int(at.timestamp() * 1_000_000) - less_microseconds):016d}"


class Journal:
    """Writes and lists decisions, newest first."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def note(
        self,
        decision: Decision,
        *,
        what: str,
        user: str | None,
        user_id: str | None = None,
        request_id: str,
        origin: Origin,
        outcome: str,
        correlation_id: str | None = None,
        more: dict[str, Any] | None = None,
        once: tuple[datetime, str] | None = None,
    ) -> None:
        """Keep one decision.

        Args:
            decision: With its rule and reason.
            what: The event's type.
            user: As the event named it.
            user_id: Object id, where it is known.
            request_id: The same for every delivery of the same event.
            origin: Who or what told us.
            outcome: What became of it: a request's outcome, ``ignore``, or a code.
            correlation_id: The run that it became part of.
            more: Anything else worth knowing.
            once: When it was decided first, and an id of its own: told again, it takes the place of its row.
        """
        at, row = once or (self._parts.clock.now(), self._parts.new_id())
        key = f"{_order(at)}-{row}"
        value: dict[str, Any] = {
            "id": key,
            "at": at.isoformat(),
            "what": what,
            "rule": decision.rule,
            "reason": decision.reason,
            "answer": str(decision.answer),
            "outcome": outcome,
            "user": user,
            "userId": user_id,
            "correlationId": correlation_id,
            "requestId": request_id,
            "actor": origin.actor,
            "proof": origin.proof,
            **(more or {}),
        }
        await self._parts.documents.put("decision", key, value)
        measure(TRIGGERS_DECIDED, rule=decision.rule, outcome=outcome)
        log("trigger_decided", rule=decision.rule, state=outcome, correlation_id=correlation_id)

    async def ordered(
        self,
        order: str,
        what: str,
        *,
        actor: str | None,
        run: Run | None = None,
        user: str | None = None,
        user_id: str | None = None,
        refused: str | None = None,
        proof: str = "token",
        more: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """Keep what an operator ordered; never fails, because the order has been carried out, or refused.

        Args:
            order: ``T10 Manual``, ``Cancel``, ``Retry``, ``Undo``, ``Preview``, ``Apply``, ``Config`` or ``Replay``:
                its first word stands where triggers have their rule.
            what: The route, or the command.
            actor: Object or app id of the caller, or the operating system's user.
            run: That it concerned or made.
            user: As the caller named it.
            user_id: Object id, where no run tells it.
            refused: The code why it was not carried out.
            proof: What the caller proved itself with.
            more: Anything else worth knowing.
            key: Of the row that this one replaces; else it is one of its own.
        """
        now = self._parts.clock.now()
        key = key or f"{_order(now)}-{self._parts.new_id()}"
        value: dict[str, Any] = {
            "id": key,
            "at": now.isoformat(),
            "what": what,
            "rule": order.partition(" ")[0],
            "reason": order,
            "answer": "refuse" if refused else "request",
            "outcome": refused or "accepted",
            "user": user,
            "userId": run.user_id if run else user_id,
            "correlationId": run.run_id if run else None,
            "requestId": self._parts.new_id(),
            "actor": actor,
            "proof": proof,
            **(more or {}),
        }
        try:
            await self._parts.documents.put("decision", key, value)
        except MmsError as exc:
            log("order_not_recorded", level=logging.WARNING, rule=order, code=exc.code)
        log("ordered", rule=order, state=value["outcome"], correlation_id=value["correlationId"])

    @contextlib.asynccontextmanager
    async def refusals(
        self, order: str, what: str, *, actor: str | None, **known: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Keep that an order was refused, where the body says so by what it raises.

        Args:
            order: As for :meth:`ordered`, also the following two.
            what: The route.
            actor: Object or app id of the caller.
            known: What else :meth:`ordered` takes. The body is given them, and may add what it finds out.
        """
        try:
            yield known
        except (BadInput, NotFound, PreconditionLost) as exc:
            await self.ordered(order, what, actor=actor, refused=exc.code, **known)
            raise

    async def unread(self, order: str, what: str, *, actor: str | None, code: str, times: int = 1) -> None:
        """Keep that what an operator sent made no sense, however often and whatever it was; never fails.

        It names nobody who could be asked for, and costs its sender nothing: so there is one row a caller, route, code
        and minute, which says how many *times* (at least: side by side, one may be counted for two).
        """
        minute = self._parts.clock.now().replace(second=0, microsecond=0)
        sender = hashlib.sha256(f"{actor}|{what}|{code}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
        key = f"{_order(minute)}-{sender}"
        try:
            stored = await self._parts.documents.get("decision", key)
        except MmsError as exc:
            log("order_not_recorded", level=logging.WARNING, rule=order, code=exc.code)
            return
        before = stored.value["times"] if stored else 0
        await self.ordered(order, what, actor=actor, refused=code, more={"times": before + times}, key=key)

    async def page(self, query: DecisionQuery) -> tuple[list[dict[str, Any]], str | None]:
        """List decisions, newest first, and the token for more.

        Raises:
            BadInput: The continuation token is not one of ours.
        """
        after = _position(query)
        found: list[dict[str, Any]] = []
        read = 0
        while read < _MOST_READ:
            rows = await self._parts.documents.list("decision", top=500, after=after)
            for row in rows:
                read += 1
                after = row["id"]
                at = datetime.fromisoformat(row["at"])
                if query.start_at is not None and at < query.start_at - _MINUTE:
                    return found, None
                if _matches(row, query, at):
                    found.append(row)
                    if len(found) == query.top:
                        return found, after
            if len(rows) < 500:  # noqa: PLR2004 - the page above
                return found, None
        return found, after


def _position(query: DecisionQuery) -> str:
    start = _order(query.end_at, less_microseconds=1) if query.end_at is not None else ""
    if query.continuation is None:
        return start
    if not all(each.isalnum() or each == "-" for each in query.continuation):
        raise BadInput("continuationToken", code="InvalidParameter", field="continuationToken")
    return max(start, query.continuation)


def _matches(row: dict[str, Any], query: DecisionQuery, at: datetime) -> bool:
    of_user = {str(row.get(name) or "").lower() for name in ("user", "userId")}
    return (
        (query.names is None or bool(query.names & of_user))
        and (query.rule is None or row["rule"].lower() == query.rule.lower())
        and (query.reason is None or query.reason.lower() in row["reason"].lower())
        and (query.answer is None or row["answer"] == query.answer)
        and (query.correlation_id is None or row.get("correlationId") == query.correlation_id)
        and (query.start_at is None or at >= query.start_at)
        and (query.end_at is None or at < query.end_at)
    )
