"""Large lists: written down as messages at once, turned into requests later, admitted as fast as the tenant can bear.

Every row of a list has an id that follows from the list's and its place. A message that is delivered twice, or whose
worker died half-way, finds the rows that are done by these ids.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mms_core.debounce import Outcome
from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.messages import SIZE_LIMIT, Resolve, StartMany
from mms_core.model import NAME_PREFIX, Admission, Request, RunId, Source, Target, Turn, UserKey
from mms_core.service.journal import Journal, Origin
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.telemetry import log
from mms_core.triggers import Answer, Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mms_core.model import Run
    from mms_core.service.parts import Parts

ROWS_A_MESSAGE: Final = 500
_AT_ONCE: Final = 8
_ROOM: Final = SIZE_LIMIT - 8 * 1024
"""Bytes of a message that rows may take; the rest is for what they have in common."""
EVERYBODY: Final = 100
"""Percentage of a pilot that everybody is in."""
_LISTS_KNOWN: Final = 16
_LATE: Final = timedelta(minutes=10)
"""Longer than a request that died keeps its key (:data:`~mms_core.service.admin.repeats.PATIENCE`)."""
_ROW: Final = ("budget", "admission")
_NAMESPACE: Final = uuid.UUID("b3a4f1c2-5d6e-4f70-8a91-a2b3c4d5e6f7")


def run_id(batch: str, index: int) -> RunId:
    """Return the id of the run that a row of a list makes, unless it joins one that waits."""
    return RunId(str(uuid.uuid5(_NAMESPACE, f"{batch}/{index}")))


def batch_id(request_id: str, rows: Mapping[int, Sequence[tuple[int, str, str]]]) -> str:
    """Return the id of a list: the same one when the same request asks once more, and its rows are judged the same."""
    text = "\n".join([request_id, *(f"{rank} {key}" for rank, each in rows.items() for _, key, _ in each)])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return str(uuid.uuid5(_NAMESPACE, digest))


def row_due_at(message: StartMany, index: int) -> datetime:
    """Return when a row of a list is due: those before it in the list come first, at the tenant's rate."""
    first_at = datetime.fromisoformat(message.first_at).astimezone(UTC)
    before = index - message.first
    return first_at + (timedelta(minutes=before / message.per_minute) if message.per_minute else timedelta(0))


def _chunks(rows: Iterable[tuple[int, str, str]]) -> Iterator[list[tuple[int, str, str]]]:
    chunk: list[tuple[int, str, str]] = []
    size = 0
    for row in rows:
        # JSON may write a character as six: counted as they are encoded.
        needed = len(msgspec.json.encode(row)) + 1
        if chunk and (len(chunk) == ROWS_A_MESSAGE or size + needed > _ROOM):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += needed
    if chunk:
        yield chunk


def rank_of(priority: int, *, is_pilot: bool) -> int:
    """Return in which order users are let in: by priority, of one priority the pilot first."""
    return 2 * priority + is_pilot


_HIGHEST: Final = rank_of(9, is_pilot=True)


@dataclass(frozen=True, slots=True)
class _Slot:
    per_minute: int
    first_at: datetime
    claims: int

    def turn(self, rank: int) -> Turn | None:
        return Turn(rank=rank, claims=self.claims) if self.per_minute else None


@dataclass(slots=True)
class _Line:
    """Until when each rank's rows are due, and the claims of higher ranks that were made while lower ones waited."""

    until: dict[int, datetime]
    claims: list[dict[str, Any]]
    number: int
    lists: dict[str, list[tuple[int, str, int]]]
    """The slots of the last lists by the list's id: whoever got no answer and asks again gets the same."""

    @classmethod
    def read(cls, document: Mapping[str, Any], now: datetime | None) -> _Line:
        """Read it; with *now* without what is over. An earlier version's rows make room for nobody."""
        told = document.get("until") or {str(_HIGHEST): at for at in (document.get("takenUntil"),) if at}
        until = {int(rank): datetime.fromisoformat(at) for rank, at in told.items()}
        until = {rank: at for rank, at in until.items() if now is None or at > now}
        # A claim is of use as long as rows of a lower rank are to come.
        claims = [each for each in document.get("claims", []) if now is None or any(r < each["rank"] for r in until)]
        return cls(until, claims, document.get("number", 0), document.get("lists", {}))

    def take(self, rank: int, count: int, rate: int, earliest: datetime) -> _Slot:
        """Let so many rows of a rank in, after all of their rank and above."""
        first_at = max([earliest, *(at for other, at in self.until.items() if other >= rank)])
        length = timedelta(minutes=count / rate)
        later = [other for other, at in self.until.items() if other < rank and at > first_at]
        if later:
            self.number += 1
            claim = {"number": self.number, "rank": rank, "at": first_at.isoformat(), "seconds": length.total_seconds()}
            self.claims.append(claim)
        self.until |= {other: self.until[other] + length for other in later}
        self.until[rank] = first_at + length
        return _Slot(rate, first_at, self.number)

    def remember(self, batch: str, slots: Sequence[_Slot]) -> None:
        """Keep a list's slots, and forget the oldest list's."""
        self.lists[batch] = [(slot.per_minute, slot.first_at.isoformat(), slot.claims) for slot in slots]
        for forgotten in list(self.lists)[:-_LISTS_KNOWN]:
            del self.lists[forgotten]

    def remembered(self, batch: str, now: datetime) -> list[_Slot]:
        """Return a list's slots; none if it is not known, or if its rows would all come at once because it is late."""
        slots = [_Slot(rate, datetime.fromisoformat(at), claims) for rate, at, claims in self.lists.get(batch, ())]
        return slots if all(now - slot.first_at <= _LATE for slot in slots) else []

    def document(self) -> dict[str, Any]:
        """Return what is kept of it."""
        until = {str(rank): at.isoformat() for rank, at in self.until.items()}
        return {"until": until, "claims": self.claims, "number": self.number, "lists": self.lists}


class Fanout:
    """Spreads a list over messages, and a message over users."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def spread(self, ranks: Mapping[int, Sequence[tuple[int, str, str]]], common: StartMany) -> None:
        """Put a list into the queue; returns when all of it is durable.

        A crash before that leaves some rows queued and the caller without an answer: asked again, they merge. Asked
        again as the same list, each row keeps its turn.

        Args:
            ranks: For each rank, the highest first, its rows in their order: place in the list, key and identity;
                those to be refused are left out, and places follow one another.
            common: What all rows have in common; its ``rows`` are ignored.
        """
        counts = {rank: len(rows) for rank, rows in ranks.items()}
        slots = await self._slots(counts, timedelta(seconds=common.settle_seconds), batch=common.batch)
        for (rank, rows), slot in zip(ranks.items(), slots, strict=True):
            for chunk in _chunks(rows):
                message = msgspec.structs.replace(
                    common,
                    rows=tuple(chunk),
                    first=rows[0][0],
                    first_at=slot.first_at.isoformat(),
                    per_minute=slot.per_minute,
                    turn=slot.turn(rank),
                )
                await self._parts.queue.send(message)
        log("list_spread", count=sum(counts.values()))

    async def admission(self, count: int, *, settle: timedelta | None = None) -> list[Admission]:
        """Return how much longer than settled each of so many users waits, whom an event about the tenant concerns.

        They take their turn with the lists: after those before that are not of a lower rank, at the same rate. A page
        of users that comes twice takes two turns, and the second is of no use to anybody. *settle* is the tenant's
        setting if it is not given.
        """
        if not count:
            return []
        settings = await self._parts.settings()
        if settle is None:
            settle = self._parts.settling_time(settings)
        earliest = self._parts.clock.now() + settle
        rank = rank_of(0, is_pilot=settings.PilotPercentage == EVERYBODY)
        (slot,) = await self._slots({rank: count}, settle)
        rest = max(timedelta(0), slot.first_at - earliest)
        apart = timedelta(minutes=1 / slot.per_minute) if slot.per_minute else timedelta(0)
        return [Admission(rest + number * apart, slot.turn(rank)) for number in range(count)]

    async def _slots(self, counts: Mapping[int, int], settle: timedelta, *, batch: str = "") -> list[_Slot]:
        """Return the rate of admission and when the first row of each rank is due: after all of its rank and above.

        Rows of lower ranks that were to be let in then or later make room: a claim is noted for each rank that takes
        it, and each such row counts the claims when its time has come (:meth:`due_again`). So nobody's row is touched
        for another's sake, and the rate holds.
        """
        settings, now = await self._parts.settings(), self._parts.clock.now()
        earliest = now + settle
        rate = settings.AdmissionUsersPerMinute if self._parts.options.sending_limits else 0
        if not rate:
            return [_Slot(0, earliest, 0) for _ in counts]
        for _ in range(CONFLICT_ATTEMPTS):
            stored = await self._parts.documents.get(*_ROW)
            line = _Line.read(stored.value if stored else {}, now)
            if slots := line.remembered(batch, now):
                return slots
            slots = [line.take(rank, count, rate, earliest) for rank, count in counts.items()]
            # What this list claims is not claimed from itself: its lower ranks come behind its higher ones anyway.
            slots = [replace(slot, claims=line.number) for slot in slots]
            if batch:
                line.remember(batch, slots)
            try:
                await self._parts.documents.put(*_ROW, line.document(), etag=stored.etag if stored else "")
            except PreconditionLost:
                continue
            return slots
        raise PreconditionLost("the admission of lists")

    async def due_again(self, run: Run) -> tuple[datetime, Turn | None]:
        """Return when a run that takes its turn is due by now, and the turn with all claims that this counts."""
        turn, due_at = run.turn, run.due_at
        stored = await self._parts.documents.get(*_ROW) if turn else None
        if turn is None or stored is None:
            return due_at, turn
        line = _Line.read(stored.value, None)
        for claim in sorted(line.claims, key=lambda each: str(each["at"])):
            is_new = claim["number"] > turn.claims and claim["rank"] > turn.rank
            if is_new and datetime.fromisoformat(claim["at"]) <= due_at:
                due_at += timedelta(seconds=claim["seconds"])
        return due_at, replace(turn, claims=max(turn.claims, line.number))

    async def admit(self, message: StartMany, *, code: str | None = None) -> None:
        """Turn the rows of one message into requests; safe to repeat. One bad row does not keep the others.

        Args:
            message: The rows.
            code: Of the catalogue: the rows' runs are only shown, failed with it; a row that joins a run joins it.

        Raises:
            TemporaryError: Storage did not answer.
        """
        bad: list[BaseException] = []
        for start in range(0, len(message.rows), _AT_ONCE):
            rows = (self._one(message, *row, code=code) for row in message.rows[start : start + _AT_ONCE])
            outcomes = await asyncio.gather(*rows, return_exceptions=True)
            for failure in [each for each in outcomes if each is not None]:
                if not isinstance(failure, Exception) or isinstance(failure, TemporaryError):
                    raise failure
                bad.append(failure)
        log("list_admitted", count=len(message.rows) - len(bad), total=len(message.rows))
        if bad:
            raise bad[0]

    async def _one(self, message: StartMany, index: int, key: str, identity: str, *, code: str | None) -> None:
        request = Request(
            request_id=f"b-{message.batch}-{index}",
            reason=message.reason,
            source=Source(message.source),
            target=Target(message.target),
            # As a wait and not as a not-before: a run of this user that waits already is not pushed to the list's end.
            settle=max(timedelta(0), row_due_at(message, index) - self._parts.clock.now()),
            not_before_at=datetime.fromisoformat(message.not_before) if message.not_before else None,
            actor=message.actor,
            selection=message.selection,
            turn=message.turn,
        )
        accepted = await self._parts.accept(
            UserKey(key), identity, request, run_id=run_id(message.batch, index), code=code
        )
        is_name = key.startswith(NAME_PREFIX)
        if is_name and not accepted.run.state.is_final:
            await self._parts.queue.send(Resolve(user=key))
        is_refused = code is not None and accepted.outcome is Outcome.ACCEPTED
        await Journal(self._parts).note(
            Decision(answer=Answer.REFUSE if is_refused else Answer.REQUEST, rule="T10", reason=message.reason),
            what="POST migrations",
            user=identity,
            user_id=None if is_name else key,
            request_id=request.request_id,
            origin=Origin(actor=message.actor, proof="token"),
            outcome=code if code is not None and is_refused else str(accepted.outcome),
            correlation_id=accepted.run.run_id,
            more={"sourceMeetingType": message.source, "targetMeetingType": message.target},
        )
