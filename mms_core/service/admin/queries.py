"""What administrators ask and order: status, meetings, cancel, retry, undo, settings."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mms_core import block
from mms_core.errors import BadInput, NotFound, PreconditionLost, explain
from mms_core.jsontext import without_surrogates
from mms_core.meetings import meeting_key
from mms_core.messages import kind_of
from mms_core.model import NAME_PREFIX, Run, RunId, State, UserKey, UserRecord, Verdict
from mms_core.planning import block_text, coordinates
from mms_core.service.admin.intake import user_key
from mms_core.service.journal import Journal
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.sifting import sifted
from mms_core.settings import TenantSettings
from mms_core.states import STANDS_FOR_MESSAGE, Happening, advance, can

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import date, datetime

    from mms_core.meetings import LedgerEntry, Original
    from mms_core.model import Turn
    from mms_core.ports import RunPage, RunQuery
    from mms_core.service.parts import Parts

SUMMARY_SPAN: Final = timedelta(days=14)
"""How far back a summary by day goes, behind the day that has begun."""
_LONGEST_SHOWN: Final = 80
_LONGEST_NAMED: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The tenant's settings with the version that fences their change."""

    settings: TenantSettings
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """A meeting's block before and after, as they stood in the invitation; ``None`` where the ledger keeps none.

    Markup where ``content_type`` is ``html``. It is the tenant's, and not to be trusted.
    """

    content_type: str | None = None
    old: str | None = None
    new: str | None = None


def blocks_of(entry: LedgerEntry, original: Original | None) -> Blocks:
    """Tell the blocks of a meeting. Old is what the entry calls before: after an undo, what we had written."""
    if original is None:
        return Blocks()
    first, written = block_text(original.body, entry.before), original.written_block
    ways = [coordinates(each) for each in block.locate(original.body).blocks]
    is_back = entry.after in ways and entry.before not in ways
    old, new = (written, first) if is_back else (first, written)
    return Blocks(
        content_type=original.content_type.lower(),
        old=without_surrogates(old) or None,
        new=without_surrogates(new) or None,
    )


def with_actors(run: Run, actors: tuple[str, ...]) -> tuple[str, ...]:
    """Return who has asked something of a run, each once, in order."""
    return tuple(dict.fromkeys((*run.actors, *actors)))


def cancelled(record: UserRecord, *, now: datetime, actors: tuple[str, ...]) -> UserRecord:
    """Return the record with what waits cancelled, and what runs told to stop.

    Raises:
        BadInput: Code ``InvalidState``: it is over already.
    """

    def ended(run: Run) -> Run:
        return advance(
            run,
            Happening.CANCELLED,
            now=now,
            code="Cancelled",
            last_message=explain("Cancelled"),
            actors=with_actors(run, actors),
        )

    current, following = record.current, record.following
    if following is not None and can(following, Happening.CANCELLED):
        following = ended(following)
    if current.state is State.IN_PROGRESS:
        stopping = replace(current, cancel_requested=True, actors=with_actors(current, actors))
        return replace(record, current=stopping, following=following)
    if not can(current, Happening.CANCELLED):
        raise BadInput(str(current.state), code="InvalidState")
    return replace(record, current=ended(current), following=following, wake_id="", wake_at=None)


def check_retriable(run: Run) -> None:
    """Check that a run can be started afresh.

    Raises:
        BadInput: Code ``InvalidState``; or the run's own, where it only stands for a message.
    """
    if not can(run, Happening.RETRIED):
        raise BadInput(str(run.state), code=run.code if run.code in STANDS_FOR_MESSAGE else "InvalidState")


def retried(
    run: Run, *, now: datetime, due_at: datetime, actors: tuple[str, ...] = (), turn: Turn | None = None
) -> Run:
    """Return a run that is over, started afresh: due then, with all its retries, and every meeting looked at again.

    Raises:
        IllegalTransition: It cannot be.
    """
    return advance(
        run,
        Happening.RETRIED,
        now=now,
        due_at=due_at,
        started_at=None,
        fresh_at=now,
        retries=0,
        code=None,
        last_message="",
        cancel_requested=False,
        actors=with_actors(run, actors),
        turn=turn,
    )


def _in_short(value: Any) -> Any:
    """Return a setting's new value as a list can show it."""
    if isinstance(value, list):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    return f"{len(value)} characters" if isinstance(value, str) and len(value) > _LONGEST_SHOWN else value


def named(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record keeps of a change that may be refused: names, for a value may be anything."""
    return {"settings": [name[:_LONGEST_SHOWN] for name in islice(changes, len(fields(TenantSettings)))]}


def _route(order: str) -> str:
    return f"POST migrations/{order.lower()}"


class Queries:
    """Point reads and pages for the HTTP API; never calls Graph."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._journal = Journal(parts)

    async def health(self) -> None:
        """Prove that storage answers. Raises ``TemporaryError``."""
        await self._parts.documents.get("config", "tenant")

    async def page(self, query: RunQuery) -> RunPage:
        """List runs, newest first."""
        return await self._parts.users.page(query)

    async def counts(self) -> dict[State, int]:
        """Return users by the state of their newest run."""
        return await self._parts.users.counts()

    async def failures(self) -> dict[str, int]:
        """Return users whose newest run has failed, by its code."""
        return await self._parts.users.failures()

    async def runs_a_day(self) -> dict[tuple[date, State], int]:
        """Return the runs of the last two weeks by the day (UTC) they were made and their state."""
        first = self._parts.clock.now().date() - SUMMARY_SPAN
        return {cell: count for cell, count in (await self._parts.users.runs_a_day()).items() if cell[0] >= first}

    async def minutes_a_day(self) -> dict[tuple[date, int], int]:
        """Return the migrations of the last two weeks that succeeded, by day (UTC) and the minutes they took."""
        first = self._parts.clock.now().date() - SUMMARY_SPAN
        return {cell: count for cell, count in (await self._parts.users.minutes_a_day()).items() if cell[0] >= first}

    async def messages(self, *, top: int = 1000, after: str = "") -> tuple[list[dict[str, Any]], str | None]:
        """Return messages that failed for good and that nobody has put back, oldest first, and the token for more.

        Each with its id, instant and kind, without its text. A page with a token may be short, or empty.
        """

        async def shown(kept: dict[str, Any]) -> dict[str, Any] | None:
            is_left = "replayedAt" not in kept
            return {"id": kept["id"], "at": kept["at"], "kind": kind_of(kept["text"])} if is_left else None

        return await sifted(self._parts.documents, "poison", shown, key="id", top=top, after=after)

    async def _keys(self, identity: str) -> list[UserKey]:
        key = user_key(identity)
        if not key.startswith(NAME_PREFIX):
            return [key]
        stored = await self._parts.documents.get("name", key)
        return [key, UserKey(stored.value["userId"])] if stored else [key]

    async def names_of(self, identity: str) -> frozenset[str]:
        """Return every name that decisions may have used for a user: as given, the object id, and those of the runs.

        A request by name is recorded before anybody knows whose name it is, so the id alone would not find it.
        """
        names: set[str] = {key for key in await self._keys(identity) if not key.startswith(NAME_PREFIX)}
        for run in await self.runs_of(identity):
            names |= {each.lower() for each in (run.identity, run.user_id, run.user_principal_name) if each}
        return frozenset({identity.strip().lower(), *names})

    async def runs_of(self, identity: str) -> list[Run]:
        """Return the runs of one user, by name or id, newest first."""
        once: dict[str, Run] = {}
        for key in await self._keys(identity):
            once |= {run.run_id: run for run in await self._parts.users.runs_of(key)}
            # A run at work is as far as its record says; the history follows with the heartbeat.
            once |= await self._in_record(key)
        return sorted(once.values(), key=lambda run: run.created_at, reverse=True)

    async def _in_record(self, key: UserKey) -> dict[str, Run]:
        """Return the runs in a user's record, the newest last."""
        stored = await self._parts.users.read(key)
        found = (stored.value.current, stored.value.newest) if stored else ()
        return {run.run_id: run for run in found}

    async def user(self, identity: str) -> Run:
        """Return the newest run of one user: a point read a key.

        Raises:
            NotFound: Nothing was ever asked for this user.
        """
        once: dict[str, Run] = {}
        for key in await self._keys(identity):
            # A run on its way from the name's record to the user's is in both for a moment; the user's comes last.
            once |= await self._in_record(key)
        if not once:
            raise NotFound
        return max(once.values(), key=lambda run: run.created_at)

    async def meetings(self, identity: str) -> list[LedgerEntry]:
        """Return the newest entry of every meeting of one user, nearest start first.

        Raises:
            NotFound: Nothing was ever asked for this user.
        """
        await self.user(identity)
        keys = await self._keys(identity)
        entries = [entry for key in keys for entry in await self._parts.ledger.entries(key)]
        # An intent lasts for one write; what became of it is a row a moment later.
        shown = [entry for entry in entries if entry.verdict is not Verdict.WRITING]
        return sorted(shown, key=lambda entry: (str(entry.start_at), entry.key))

    async def meeting(self, identity: str, event_id: str) -> tuple[LedgerEntry, Blocks]:
        """Return the newest entry of one meeting of one user, with its blocks.

        Raises:
            NotFound: Nothing is noted about such a meeting.
        """
        meeting = meeting_key(event_id)
        for key in await self._keys(identity):
            entry = await self._parts.ledger.entry(key, meeting)
            if entry is not None and entry.verdict is not Verdict.WRITING:
                return entry, blocks_of(entry, await self._parts.ledger.original(key, meeting))
        raise NotFound

    async def _change(self, identity: str, change: Callable[[UserRecord], UserRecord]) -> Run:
        """Change the record of a user, and return the newest run that has changed.

        *change* raises ``BadInput`` where the state does not allow it.
        """
        for attempt in range(CONFLICT_ATTEMPTS):
            for key in reversed(await self._keys(identity)):
                stored = await self._parts.users.read(key)
                if stored is None:
                    continue
                record = change(stored.value)
                try:
                    await self._parts.save_with_wake(record, stored, afresh=record.current.retries == 0)
                except PreconditionLost:
                    break
                changed = [run for run in record.runs if run not in stored.value.runs]
                return changed[-1] if changed else record.newest
            else:
                # A run that moves from the name's record to the user's can be missed in both, once.
                if attempt:
                    raise NotFound
        raise PreconditionLost

    async def _ordered(
        self, order: str, identity: str, change: Callable[[UserRecord], UserRecord], *, actor: str | None
    ) -> Run:
        """Change the record of a user as an operator wants it, and keep who that was."""
        run = await self._change(identity, change)
        await self._journal.ordered(order, _route(order), actor=actor, user=identity.strip(), run=run)
        return run

    @contextlib.asynccontextmanager
    async def _refusals(self, order: str, identity: str, *, actor: str | None) -> AsyncIterator[None]:
        """Keep that an order about a user was refused, and by whose order."""
        user = identity.strip()[:_LONGEST_NAMED]
        async with self._journal.refusals(order, _route(order), actor=actor, user=user) as known:
            ids = [key for key in await self._keys(identity) if not key.startswith(NAME_PREFIX)]
            known["user_id"] = ids[0] if ids else None
            yield

    async def cancel(self, identity: str, *, actor: str | None = None) -> Run:
        """Cancel what waits, and stop what runs after the meeting in hand.

        Raises:
            NotFound: Nothing was ever asked for this user.
            BadInput: Code ``InvalidState``: it is over already.
        """
        change = partial(cancelled, now=self._parts.clock.now(), actors=(actor,) if actor else ())
        async with self._refusals("Cancel", identity, actor=actor):
            run = await self._ordered("Cancel", identity, change, actor=actor)
        # Whoever was told that it comes is told that it does not; one that is at work is told when it has stopped.
        if run.user_id is not None and run.state.is_final:
            await self._parts.announce(UserKey(run.user_id), run, "after")
        return run

    async def retry(self, identity: str, *, actor: str | None = None) -> Run:
        """Start a run that failed, was skipped or was cancelled afresh, at once.

        Raises:
            NotFound: Nothing was ever asked for this user.
            BadInput: As of :func:`check_retriable`.
        """
        now = self._parts.clock.now()

        def change(record: UserRecord) -> UserRecord:
            check_retriable(record.current)
            run = retried(record.current, now=now, due_at=now, actors=(actor,) if actor else ())
            return replace(record, current=run)

        async with self._refusals("Retry", identity, actor=actor):
            return await self._ordered("Retry", identity, change, actor=actor)

    async def undo(self, identity: str, event_ids: Sequence[str], *, actor: str | None) -> Run:
        """Restore the originals of a user's meetings: a run of its own, at once.

        Raises:
            NotFound: Nothing was ever asked for this user, or there is nothing to restore.
            BadInput: Code ``RunUnderWay``: a run of this user waits or works.
        """
        wanted = {meeting_key(each) for each in event_ids}
        now = self._parts.clock.now()

        def change(record: UserRecord) -> UserRecord:
            if not record.newest.state.is_final:
                raise BadInput(str(record.newest.state), code="RunUnderWay")
            run = Run(
                run_id=RunId(self._parts.new_id()),
                identity=record.current.identity,
                user_id=record.current.user_id,
                user_principal_name=record.current.user_principal_name,
                reasons=("Undo",),
                actors=(actor,) if actor else (),
                created_at=now,
                modified_at=now,
                fresh_at=now,
                due_at=now,
                undo=True,
                undo_events=tuple(sorted(wanted)),
            )
            return replace(record, current=run, following=None)

        async with self._refusals("Undo", identity, actor=actor):
            keys = await self._keys(identity)
            originals = {each.key for key in keys for each in await self._parts.ledger.originals(key)}
            if not originals or (wanted and not originals & wanted):
                raise NotFound
            return await self._ordered("Undo", identity, change, actor=actor)

    # -- settings ---------------------------------------------------------------------------------------------------

    async def configuration(self) -> Configuration:
        """Return the tenant's settings and their version (empty while nobody has changed any)."""
        stored = await self._parts.documents.get("config", "tenant")
        if stored is None:
            return Configuration(settings=TenantSettings(), etag="")
        return Configuration(settings=msgspec.convert(stored.value, type=TenantSettings), etag=stored.etag)

    @contextlib.asynccontextmanager
    async def reading(self, order: str, what: str, *, actor: str) -> AsyncIterator[None]:
        """Keep that what an operator sent could not be read, where the body raises ``BadInput``."""
        try:
            yield
        except BadInput as exc:
            await self._journal.unread(order, what, actor=actor, code=exc.code)
            raise

    def refusals(self, what: str, *, actor: str | None) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Keep that a change of settings was refused; the caller adds which ones it was about, by :func:`named`."""
        return self._journal.refusals("Config", what, actor=actor, more={"settings": []})

    async def configure(self, changes: Mapping[str, Any], *, etag: str | None, actor: str | None) -> Configuration:
        """Change settings; effective at once, for queued work too.

        Raises:
            BadInput: Unknown setting or bad value; nothing was changed.
            PreconditionLost: The settings are another version than *etag*.
        """
        changed = await self._configured(changes, etag)
        now = self._parts.clock.now()
        await self._parts.documents.put(
            "configChange",
            f"{now.strftime('%Y%m%dT%H%M%S%f')}-{self._parts.new_id()}",
            {"at": now.isoformat(), "actor": actor, "changes": dict(changes)},
        )
        shown = {name: _in_short(value) for name, value in changes.items()}
        await self._journal.ordered("Config", "PATCH config", actor=actor, more={"changes": shown})
        return changed

    async def _configured(self, changes: Mapping[str, Any], etag: str | None) -> Configuration:
        for _ in range(CONFLICT_ATTEMPTS):
            before = await self.configuration()
            settings = before.settings.changed(changes)
            if etag is not None and etag != before.etag:
                raise PreconditionLost
            try:
                new = await self._parts.documents.put("config", "tenant", asdict(settings), etag=before.etag)
            except PreconditionLost:
                continue  # another change at this very moment: who asked for no version wants both
            return Configuration(settings=settings, etag=new)
        raise PreconditionLost
