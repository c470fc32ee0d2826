"""Tells organizers about their runs, and administrators about failures: by mail, each notice at most once.

A run that is started afresh ends once more. Its organizer is told if that is news: another result, another meeting that
could not be updated, or one that has been.

Before a letter is sent, a row claims it, so that no second delivery sends another one. A worker that dies between the
two has told nobody: that is the better mistake. Nothing in here can fail a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from mms_core import notices
from mms_core.errors import CATALOGUE, MmsError, OutcomeUnknown, PreconditionLost, TemporaryError
from mms_core.model import NAME_PREFIX, State, UserKey, Verdict
from mms_core.planning import WRITES, Step
from mms_core.ports import RunQuery
from mms_core.retrying import MAXIMUM_RETRIES
from mms_core.service.deciding import is_report_only, membership_of
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.running.finding import found
from mms_core.service.running.wishes import wish_of
from mms_core.service.upkeep.posting import place_in_line
from mms_core.service.visits import visiting
from mms_core.telemetry import log
from mms_core.triggers import stop_code
from mms_core.windows import next_open_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mms_core.meetings import LedgerEntry
    from mms_core.messages import Notice
    from mms_core.model import Run, UserFacts
    from mms_core.notices import Letter
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts

_FIRST_DIGEST: Final = timedelta(days=1)
"""The first digest looks so far back."""
_PATIENCE: Final = timedelta(seconds=5)
"""A place in line that is this near is taken at once; one that is farther off becomes a delayed message."""
_OVER: Final = timedelta(minutes=1)
"""A place that passed so long ago is somebody else's by now: all that missed theirs would be sent at once."""


_LEFT: Final = ("sent", "unknown")
"""States of a letter that may be in somebody's inbox."""


def notice_key(run_id: str, kind: str) -> str:
    """Return the key of the row that claims a notice."""
    return f"{run_id}-{kind}"


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one kind of letter about one run."""

    stored: Stored[dict[str, Any]] | None

    @property
    def value(self) -> dict[str, Any]:
        """Return ``state``, ``at``, ``user``, ``occasion`` and ``told``; rows of versions before have no last two."""
        return self.stored.value if self.stored else {}

    @property
    def etag(self) -> str:
        """Return what a write must find."""
        return self.stored.etag if self.stored else ""

    @property
    def told(self) -> str:
        """Return the news of the last letter that may have left; empty if none has."""
        told: str = self.value.get("told", "")
        return told

    @property
    def may_have_left(self) -> bool:
        """Say whether the last letter was sent, or may have been."""
        return self.value.get("state") in (*_LEFT, "sending")

    def is_done(self, occasion: str) -> bool:
        """Say whether that was told or tried, whatever became of it."""
        if self.stored is None or self.value["state"] == "postponed":
            return False
        return bool(self.value.get("occasion", occasion) == occasion)


def _occasion(run: Run, notice: str) -> str:
    """Return what tells an ending of a run from that before it was started afresh; it is announced once."""
    return "" if notice == "before" else run.fresh_at.isoformat()


def _news(run: Run, left_out: Sequence[LedgerEntry]) -> str:
    """Return a fingerprint of what an organizer could not know from the letter before."""
    facts = [run.state, *sorted(f"{entry.key} {entry.code}" for entry in left_out)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


async def _put_over(parts: Parts, kind: str, key: str, value: dict[str, Any], *, etag: str) -> str | None:
    """Write a document over one version; returns its new ETag, ``None`` if somebody else was faster.

    The value is nobody else's: if the answer to the first try was lost, the SDK's second one is refused, and what is
    found is our own.
    """
    try:
        return await parts.documents.put(kind, key, value, etag=etag)
    except PreconditionLost:
        found = await parts.documents.get(kind, key)
        return found.etag if found is not None and found.value == value else None


class _NotYet(Exception):
    """A letter has to wait in line until an instant."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        super().__init__()


class _Overtaken(Exception):
    """Somebody else has written the row of a notice."""


class Noticing:
    """Sends notices."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def tell(self, message: Notice) -> None:
        """Tell the organizer of a run what will be or was done; safe to repeat.

        Raises:
            TemporaryError: Nothing was sent, and another try is worth it.
        """
        settings = await self._parts.settings()
        if not settings.AutomaticallySendEmailsToUsers or not self._parts.options.notice_sender:
            return
        for _ in range(CONFLICT_ATTEMPTS):
            with contextlib.suppress(_Overtaken):
                await self._told(message)
                return
        if message.attempt < MAXIMUM_RETRIES:
            raise TemporaryError("the row of a notice is written by others all the time")
        log("notice_given_up", correlation_id=message.run, level=logging.WARNING)

    async def _told(self, message: Notice) -> None:
        """Tell it unless that has been done.

        Raises:
            TemporaryError: As of :meth:`tell`.
            _Overtaken: Look again.
        """
        # Read before the run: whoever tells of a later ending meanwhile changes the row, and ours is not claimed then.
        row = Row(await self._parts.documents.get("notice", notice_key(message.run, message.notice)))
        run = next(
            (each for each in await self._parts.users.runs_of(UserKey(message.user)) if each.run_id == message.run),
            None,
        )
        if run is None or row.is_done(_occasion(run, message.notice)):
            return
        try:
            if message.notice == "before":
                await self._before(message, row, run)
            else:
                await self._after(message, row, run)
        except _NotYet as exc:
            later = msgspec.structs.replace(message, place_at=exc.at.isoformat())
            await self._parts.queue.send(later, delay=exc.at - self._parts.clock.now())
        except TemporaryError as exc:
            if message.attempt < MAXIMUM_RETRIES:
                raise
            log("notice_given_up", correlation_id=run.run_id, code=exc.code, level=logging.WARNING)
        except MmsError as exc:
            # No user, no mailbox: then there is nobody to be told, and the run itself says so.
            log("notice_not_sent", correlation_id=run.run_id, code=exc.code)

    async def _before(self, message: Notice, row: Row, run: Run) -> None:
        key = UserKey(message.user)
        if run.state is not State.PENDING or run.started_at is not None or run.undo:
            log("notice_is_late", correlation_id=run.run_id)
            return
        settings = await self._parts.settings()
        graph = self._parts.graph()
        facts = await graph.directory.user(key)
        # Whatever would hold the run back if it were due now: then there is nothing to announce.
        if stop_code(settings, run.reasons, facts.user_id) is not None:
            return
        if (await membership_of(self._parts, settings, facts)).is_listed_out(settings):
            return
        wish = await wish_of(
            self._parts,
            facts,
            settings,
            source=run.source,
            target=run.target,
            selections=run.selections,
            reasons=run.reasons,
        )
        if await is_report_only(self._parts, settings, facts.user_id):
            return
        originals = functools.partial(self._parts.ledger.originals, key)
        async with visiting(self._parts, facts.user_id):
            every = await found(graph.calendar, wish, now=self._parts.clock.now(), originals=originals)
        meetings = [
            notices.Meeting(
                subject=planned.event.subject,
                start_at=planned.event.start_at,
                is_replaced=planned.step is not Step.REFRESH,
            )
            for group in every.groups
            for planned in group
            if planned.step in WRITES
        ]
        if meetings:
            due_at = next_open_at(settings.window(), run.due_at)
            letter = notices.before(settings, user=facts.user_principal_name, due_at=due_at, meetings=meetings)
            await self._once(message, row, run, facts, letter, latest=due_at)

    async def _after(self, message: Notice, row: Row, run: Run) -> None:
        key = UserKey(message.user)
        if not run.state.is_final:
            return  # an administrator has started it afresh meanwhile
        entries = [
            entry
            for entry in await self._parts.ledger.entries(key)
            if entry.run_id == run.run_id
            and entry.verdict is not Verdict.WRITING
            # A run that was started afresh and is complete has left nothing out, whatever it said before.
            and not (run.state is State.SUCCEEDED and notices.is_left_out(entry) and entry.updated_at < run.fresh_at)
        ]
        is_new = any(notices.is_changed(entry) and entry.updated_at >= run.fresh_at for entry in entries)
        news = _news(run, [entry for entry in entries if notices.is_left_out(entry)])
        if row.told:
            if row.told == news and not is_new:
                await self._claim(message, row, {**row.value, "occasion": _occasion(run, message.notice)})
                return
        else:
            promise = Row(await self._parts.documents.get("notice", notice_key(run.run_id, "before")))
            has_some = any(notices.is_changed(entry) or notices.is_left_out(entry) for entry in entries)
            if not promise.may_have_left and not has_some:
                return
        facts = await self._parts.graph().directory.user(key)
        letter = notices.after(
            await self._parts.settings(),
            run,
            user=facts.user_principal_name,
            entries=entries,
            is_first=not row.told,
        )
        await self._once(message, row, run, facts, letter, news=news)

    async def _once(
        self,
        message: Notice,
        row: Row,
        run: Run,
        facts: UserFacts,
        letter: Letter,
        *,
        news: str = "",
        latest: datetime | None = None,
    ) -> None:
        """Send a letter to a user, unless somebody else has written the row since it was read.

        Raises:
            TemporaryError: It is certain that it was not sent.
            _NotYet: It is not its turn.
            _Overtaken: Somebody has, by sending this letter or by noting what became of the one before.
        """
        if not await self._turn(message, latest=latest):
            log("notice_is_late", correlation_id=run.run_id)
            return
        value = {
            "state": "sending",
            "at": self._parts.clock.now().isoformat(),
            "user": facts.user_id,
            "occasion": _occasion(run, message.notice),
            "told": row.told,
        }
        claim = await self._claim(message, row, value)
        if claim is None:
            raise _Overtaken
        try:
            state = await self._send((facts.mail or facts.user_principal_name,), letter)
        except TemporaryError:
            await self._note(message, {**value, "state": "postponed"}, claim)
            raise
        has_left = state in _LEFT
        await self._note(message, {**value, "state": state, "told": news if has_left else row.told}, claim)
        log("notice_sent", correlation_id=run.run_id, user_id=facts.user_id, state=state, trigger=message.notice)

    async def _claim(self, message: Notice, row: Row, value: dict[str, Any]) -> str | None:
        """Write the row if it is as it was read; returns its new ETag, ``None`` if somebody else has written it."""
        key, ours = notice_key(message.run, message.notice), {**value, "claim": self._parts.new_id()}
        return await _put_over(self._parts, "notice", key, ours, etag=row.etag)

    async def _note(self, message: Notice, value: dict[str, Any], claim: str) -> None:
        """Write what became of a letter, unless a later ending of its run has claimed the row meanwhile."""
        with contextlib.suppress(PreconditionLost):
            await self._parts.documents.put("notice", notice_key(message.run, message.notice), value, etag=claim)

    async def _turn(self, message: Notice, *, latest: datetime | None) -> bool:
        """Take a letter's place in the sender's line; ``False`` where it would be too late.

        Raises:
            TemporaryError: It was given none.
            _NotYet: The place is later.
        """
        if not self._parts.options.sending_limits:
            return True
        at = datetime.fromisoformat(message.place_at) if message.place_at else None
        if at is None or self._parts.clock.now() - at > _OVER:
            settings = await self._parts.settings()
            at = await place_in_line(self._parts, 1, limit=settings.MailboxRecipientsPerDay, latest=latest)
        if at is None:
            return False
        wait = at - self._parts.clock.now()
        if wait > _PATIENCE:
            raise _NotYet(at)
        await asyncio.sleep(max(wait.total_seconds(), 0))
        return True

    async def _send(self, recipients: Sequence[str], letter: Letter) -> str:
        """Send a letter; returns ``sent``, ``unknown``, or the code of a refusal.

        Raises:
            TemporaryError: It is certain that it was not sent, and another try is worth it.
        """
        sender = self._parts.options.notice_sender
        try:
            await self._parts.graph().mail.send(sender, recipients, subject=letter.subject, html=letter.html)
        except OutcomeUnknown:
            return "unknown"
        except TemporaryError:
            raise
        except MmsError as exc:
            log("notice_refused", code=exc.code, level=logging.WARNING)
            return exc.code
        return "sent"

    # -- administrators -------------------------------------------------------------------------------------------

    async def digest(self) -> int:
        """Tell administrators which runs have failed since the last digest, by cause; returns how many causes.

        Nothing is sent where nothing has failed, or nobody is named in ``FailureDigestRecipients``.
        """
        settings = await self._parts.settings()
        recipients = settings.FailureDigestRecipients
        if not recipients or not self._parts.options.notice_sender:
            return 0
        now = self._parts.clock.now()
        stored = await self._parts.documents.get("digest", "mark")
        since = datetime.fromisoformat(stored.value["until"]) if stored else now - _FIRST_DIGEST
        failures = await self._failures(since, now)
        claim = {"until": now.isoformat(), "claim": self._parts.new_id()}
        etag = await _put_over(self._parts, "digest", "mark", claim, etag=stored.etag if stored else "")
        if etag is None or not failures:
            return 0  # another host sends it, or there is nothing to tell
        try:
            if self._parts.options.sending_limits:  # counted, and never kept waiting: it is one a day
                await place_in_line(self._parts, len(recipients), limit=0)
            state = await self._send(recipients, notices.digest(settings, since=since, until=now, failures=failures))
        except TemporaryError as exc:
            # The next one covers this time, too.
            await self._parts.documents.put("digest", "mark", {"until": since.isoformat()}, etag=etag)
            log("digest_postponed", code=exc.code, level=logging.WARNING)
            return 0
        log("digest_sent", count=len(failures), state=state)
        return len(failures)

    async def _failures(self, since: datetime, until: datetime) -> list[notices.Failure]:
        """Collect the causes of all runs that failed in a span; those of single meetings from the ledger."""
        users: dict[str, dict[str, None]] = {}
        meetings: dict[str, int] = {}
        query = RunQuery(state=State.FAILED, top=1000)
        while True:
            page = await self._parts.users.page(query)
            for run in page.runs:
                if since <= run.modified_at < until:
                    name = run.user_principal_name or run.identity
                    for code, count in (await self._causes(run)).items():
                        users.setdefault(code, {})[name] = None
                        meetings[code] = meetings.get(code, 0) + count
            if page.continuation is None:
                break
            query = RunQuery(state=State.FAILED, top=1000, continuation=page.continuation)
        return [
            notices.Failure(code=code, users=tuple(names), meetings=meetings[code]) for code, names in users.items()
        ]

    async def _causes(self, run: Run) -> dict[str, int]:
        causes: dict[str, int] = {}
        if run.user_id is not None and not run.user_id.startswith(NAME_PREFIX):
            for entry in await self._parts.ledger.entries(UserKey(run.user_id)):
                if entry.run_id == run.run_id and entry.verdict is Verdict.FAILED and entry.code in CATALOGUE:
                    causes[entry.code] = causes.get(entry.code, 0) + 1
        if not causes:
            causes[run.code if run.code in CATALOGUE else "InternalError"] = 0
        return causes
