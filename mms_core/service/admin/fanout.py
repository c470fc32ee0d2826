"""Large lists: written down as messages at once, turned into requests later, admitted as fast as the tenant can bear.

Every row of a list has an id that follows from the list's and its place. A message that is delivered twice, or whose
worker died half-way, finds the rows that are done by these ids.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from mms_core.debounce import Outcome
from mms_core.errors import PreconditionLost, TemporaryError
from mms_core.messages import SIZE_LIMIT, Resolve, StartMany
from mms_core.model import NAME_PREFIX, Request, RunId, Source, Target, UserKey
from mms_core.service.journal import Journal, Origin
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.telemetry import log
from mms_core.triggers import Answer, Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mms_core.service.parts import Parts

ROWS_A_MESSAGE: Final = 500
_AT_ONCE: Final = 8
_ROOM: Final = SIZE_LIMIT - 8 * 1024
"""Bytes of a message that rows may take; the rest is for what they have in common."""
_NAMESPACE: Final = uuid.UUID("b3a4f1c2-5d6e-4f70-8a91-a2b3c4d5e6f7")


def run_id(batch: str, index: int) -> RunId:
    """Return the id of the run that a row of a list makes, unless it joins one that waits."""
    return RunId(str(uuid.uuid5(_NAMESPACE, f"{batch}/{index}")))


def row_due_at(message: StartMany, index: int) -> datetime:
    """Return when a row of a list is due: those before it in the list come first, at the tenant's rate."""
    first_at = datetime.fromisoformat(message.first_at).astimezone(UTC)
    return first_at + (timedelta(minutes=index / message.per_minute) if message.per_minute else timedelta(0))


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


class Fanout:
    """Spreads a list over messages, and a message over users."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def spread(self, rows: Iterable[tuple[int, str, str]], count: int, common: StartMany) -> None:
        """Put a list into the queue; returns when all of it is durable.

        A crash before that leaves some rows queued and the caller without an answer: asked again, they merge.

        Args:
            rows: Place in the list, key and identity; those to be refused are left out.
            count: How many rows there are, for the rate.
            common: What all rows have in common; its ``rows`` are ignored.
        """
        per_minute, first_at = await self._slot(count, timedelta(seconds=common.settle_seconds))
        for chunk in _chunks(rows):
            message = msgspec.structs.replace(
                common, rows=tuple(chunk), first_at=first_at.isoformat(), per_minute=per_minute
            )
            await self._parts.queue.send(message)
        log("list_spread", count=count)

    async def admission(self, count: int, *, settle: timedelta | None = None) -> list[timedelta]:
        """Return how much longer than settled each of so many users waits, whom an event about the tenant concerns.

        They take their turn with the lists: after those before, at the same rate. A page of users that comes twice
        takes two turns, and the second is of no use to anybody. *settle* is the tenant's setting if it is not given.
        """
        if not count:
            return []
        if settle is None:
            settle = self._parts.settling_time(await self._parts.settings())
        earliest = self._parts.clock.now() + settle
        per_minute, first_at = await self._slot(count, settle)
        rest = max(timedelta(0), first_at - earliest)
        apart = timedelta(minutes=1 / per_minute) if per_minute else timedelta(0)
        return [rest + number * apart for number in range(count)]

    async def _slot(self, count: int, settle: timedelta) -> tuple[int, datetime]:
        """Return the rate of admission and when the first of so many rows is due: after the lists before it."""
        settings, now = await self._parts.settings(), self._parts.clock.now()
        earliest = now + settle
        rate = settings.AdmissionUsersPerMinute if self._parts.options.sending_limits else 0
        if not rate:
            return 0, earliest
        for _ in range(CONFLICT_ATTEMPTS):
            stored = await self._parts.documents.get("budget", "admission")
            taken_until = datetime.fromisoformat(stored.value["takenUntil"]) if stored else earliest
            first_at = max(earliest, taken_until)
            until = first_at + timedelta(minutes=count / rate)
            try:
                await self._parts.documents.put(
                    "budget", "admission", {"takenUntil": until.isoformat()}, etag=stored.etag if stored else ""
                )
            except PreconditionLost:
                continue
            return rate, first_at
        raise PreconditionLost("the admission of lists")

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
