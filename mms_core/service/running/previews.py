"""Dry runs: the plan of a run, kept, shown, and carried out as it stands or not at all.

A preview reads and writes nothing in the tenant. The Teams meeting that a migration makes does not exist yet, so its
coordinates are not known before the run; everything else about it is.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mms_core import block, jsontext, options
from mms_core.errors import BadInput, MmsError, NotFound, PermanentError, PreconditionLost, TemporaryError, explain
from mms_core.meetings import meeting_key
from mms_core.messages import Preview
from mms_core.model import NAME_PREFIX, Run, RunId, Selection, Source, Target, UserKey, UserRecord
from mms_core.planning import WRITES, Planned, Step, coordinates, external_id, headcount
from mms_core.rewriting import is_current
from mms_core.selecting import domain
from mms_core.service.admin.queries import Queries, check_retriable
from mms_core.service.deciding import audience_of, is_report_only
from mms_core.service.journal import Journal
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.running.finding import found
from mms_core.service.running.undo_plans import UndoPlans
from mms_core.service.running.validating import Validating
from mms_core.service.running.wishes import find_meeting, wish_of
from mms_core.service.visits import visiting
from mms_core.status import damage_rows
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mms_core.meetings import Coordinates, Event, OnlineMeeting
    from mms_core.model import UserFacts
    from mms_core.planning import Wish
    from mms_core.ports import Stored
    from mms_core.service.parts import Parts

SOON: Final = timedelta(minutes=15)
LIFE: Final = timedelta(days=7)
"""A plan that is older is not applied: make a new one."""
_VERDICTS: Final = {
    Step.MIGRATE: "migrate",
    Step.MOVE: "migrate",
    Step.REPLACE: "migrate",
    Step.REFRESH: "refresh",
    Step.SKIP: "skip",
    Step.FAIL: "fail",
}
_CALLS: Final = {Step.MOVE: 1, Step.REPLACE: 4}
"""Requests that a write takes, where they are not two; a replacement reads the old meeting and sets options."""
_APPLY: Final = "POST previews/apply"
_LONGEST_ID: Final = 80
_UNANSWERED: Final = ("none", "notresponded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a preview is asked for."""

    key: UserKey
    identity: str
    source: Source
    target: Target
    selections: tuple[Selection, ...] = ()
    actor: str | None = None
    action: str = "migrate"
    """``migrate``, or what an order would do: ``retry`` of the newest run, ``undo``."""
    event_ids: tuple[str, ...] = ()
    """Of an undo; all meetings without."""
    validate_only: bool = False
    """Look whether the user can be migrated, and at no meeting."""


def fingerprint(event: Event) -> str:
    """Digest of all that a plan rests on; the ETag is no use, it moves by itself."""
    facts = (
        event.body,
        event.subject,
        str(event.start_at),
        str(event.end_at),
        repr(event.recurrence),
        sorted(each.address for each in event.attendees),
        event.locations,
        # An exception's are its series', and those change with our own first write.
        {} if event.series_master_id else event.properties,
    )
    return hashlib.sha256(jsontext.dumps(facts)).hexdigest()


def _shown(value: Coordinates | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "kind": value.kind,
        "joinUrl": value.join_url,
        "conferenceId": value.conference_id,
        "numbers": list(value.numbers),
    }


def _selections(document: dict[str, Any]) -> tuple[Selection, ...]:
    return tuple(msgspec.convert(each, type=Selection) for each in document["selections"])


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_soon(event: Event, now: datetime) -> bool:
    return event.start_at is not None and timedelta(0) <= event.start_at - now <= SOON


def _people(event: Event, *, relabels: bool) -> list[dict[str, Any]]:
    own = domain(event.organizer_address)
    rows = []
    for each in event.attendees:
        why = [
            name
            for name, holds in (
                ("external", bool(own) and domain(each.address) != own),
                ("unanswered", each.response.lower() in _UNANSWERED),
                ("locationChange", relabels),
            )
            if holds
        ]
        rows.append({"address": each.address, "why": why or ["internal"]})
    return rows


class Previews:
    """Asks for, makes, shows and applies previews."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def ask(self, asked: Asked) -> str:
        """Note a wish for a preview and queue it; returns the preview's id.

        Raises:
            NotFound: A retry or an undo, and nothing was ever asked for this user.
            BadInput: The newest run cannot be retried, see :func:`~mms_core.service.admin.queries.check_retriable`.
        """
        wanted = sorted(meeting_key(each) for each in asked.event_ids)
        reasons: tuple[str, ...] = ()
        is_undo = asked.action == "undo"
        if asked.action != "migrate":
            async with Journal(self._parts).refusals(
                "Preview", "POST previews", actor=asked.actor, user=asked.identity
            ) as known:
                run = await Queries(self._parts).user(asked.identity)
                known["user_id"] = run.user_id
                if asked.action == "retry":
                    check_retriable(run)
            asked = replace(asked, key=UserKey(run.user_id) if run.user_id else asked.key)
            if asked.action == "retry":
                asked = replace(asked, source=run.source, target=run.target, selections=run.selections)
                wanted, reasons = sorted(run.undo_events), run.reasons
            is_undo = is_undo or run.undo
        preview_id = self._parts.new_id()
        document = {
            "id": preview_id,
            "action": asked.action,
            "undo": is_undo,
            "wanted": wanted,
            "reasons": reasons,
            "state": "pending",
            "user": asked.key,
            "identity": asked.identity,
            "source": asked.source,
            "target": asked.target,
            "selections": jsontext.loads(jsontext.dumps(asked.selections), list[dict[str, Any]]),
            "actor": asked.actor,
            "validateOnly": asked.validate_only,
            "createdAt": self._parts.clock.now().isoformat(),
        }
        await self._parts.documents.put("preview", preview_id, document)
        await self._parts.queue.send(Preview(preview_id=preview_id))
        await Journal(self._parts).ordered(
            "Preview",
            "POST previews",
            actor=asked.actor,
            user=asked.identity,
            user_id=None if asked.key.startswith(NAME_PREFIX) else asked.key,
            more={"previewId": preview_id},
        )
        return preview_id

    async def make(self, preview_id: str) -> None:
        """Compute a preview that was asked for; safe to repeat.

        Raises:
            TemporaryError: Graph or storage did not answer.
        """
        stored = await self._parts.documents.get("preview", preview_id)
        if stored is None or stored.value["state"] != "pending":
            return
        document = stored.value
        identity = document["identity"] if document["user"].startswith(NAME_PREFIX) else document["user"]
        if document.get("validateOnly"):
            validation = await Validating(self._parts).validate(identity)
            done = {**document, "state": "ready", "isValid": validation.is_valid, "findings": validation.rows()}
            if validation.user is not None:
                done |= {"user": validation.user.user_id, "userPrincipalName": validation.user.user_principal_name}
            await self._parts.documents.put("preview", preview_id, done, etag=stored.etag)
            return
        try:
            facts, settings = await self._parts.graph().directory.user(identity), await self._parts.settings()
            if await audience_of(self._parts, settings, facts) == "excluded":
                raise PermanentError(code="UserExcluded")
            wish = await wish_of(
                self._parts,
                facts,
                settings,
                source=Source(document["source"]),
                target=Target(document["target"]),
                selections=_selections(document),
                # What an order that is only a repetition was for; a plan of one's own is asked for by hand.
                reasons=document.get("reasons", ()),
            )
            async with visiting(self._parts, facts.user_id):
                is_reported = await is_report_only(self._parts, settings, facts.user_id)
                if document.get("undo"):
                    remark, rows = "", await self._undo_rows(facts, document)
                else:
                    remark, rows = await self._rows(facts, wish)
        except TemporaryError:
            raise
        except MmsError as exc:
            failed = {**document, "state": "failed", "code": exc.code, "message": explain(exc.code)}
            await self._parts.documents.put("preview", preview_id, failed, etag=stored.etag)
            return
        for number, row in enumerate(rows):
            await self._parts.documents.put(f"preview-{preview_id}", f"{number:06d}", row)
        done = {**document, "state": "ready", "user": facts.user_id, "userPrincipalName": facts.user_principal_name}
        done |= {"meetings": len(rows), "reportOnly": is_reported, "message": remark or None}
        await self._parts.documents.put("preview", preview_id, done, etag=stored.etag)
        log("preview_made", user_id=facts.user_id, count=len(rows))

    async def _rows(self, facts: UserFacts, wish: Wish) -> tuple[str, list[dict[str, Any]]]:
        now = self._parts.clock.now()
        originals = functools.partial(self._parts.ledger.originals, UserKey(facts.user_id))
        every = await found(self._parts.graph().calendar, wish, now=now, originals=originals)
        return every.remark, [
            await self._row(facts, every.wish, each, group) for group in every.groups for each in group
        ]

    async def _undo_rows(self, facts: UserFacts, document: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what an undo would do to each meeting; who is written to is who is invited now."""
        now, rows = self._parts.clock.now(), []
        for event, row in await UndoPlans(self._parts).rows(facts.user_id, document["wanted"]):
            writes = row["verdict"] == "restore" and event is not None
            people = _people(event, relabels=False) if event is not None and writes else []
            rows.append(
                {
                    **row,
                    "before": _shown(row["before"]),
                    "after": _shown(row["after"]),
                    "recipients": people,
                    "updates": row["updates"] if people else 0,
                    "startsWithin15Minutes": event is not None and _is_soon(event, now),
                    "notKept": [],
                    "damage": [],
                    "userTextInBlock": None,
                    "fingerprint": fingerprint(event) if event is not None else "",
                }
            )
        return rows

    async def _row(self, facts: UserFacts, wish: Wish, planned: Planned, group: list[Planned]) -> dict[str, Any]:
        event, now = planned.event, self._parts.clock.now()
        verdict = _VERDICTS[planned.step]
        meeting: OnlineMeeting | None = None
        new_block = None
        if planned.step in (Step.REFRESH, Step.REPLACE):
            try:
                meeting = await find_meeting(self._parts.graph().meetings, facts.user_id, planned)
            except MmsError as exc:
                if exc.code != "TeamsMeetingNotFound":
                    raise
                # A meeting that Teams does not know cannot be refreshed; it can be replaced.
                verdict = "fail" if planned.step is Step.REFRESH else verdict
        ours = external_id(tenant_id=wish.tenant_id, user_id=facts.user_id, series_uid=event.series_uid)
        is_replaced = planned.step is Step.REPLACE and (meeting is None or meeting.external_id != ours)
        if meeting is not None and not is_replaced:
            fragment = block.decode_join_information(meeting.join_information)
            is_plain = event.content_type.lower() == "text"
            new_block = fragment.text if is_plain else fragment.html
            verdict = "current" if is_current(planned, fragment) else "refresh"
        writes = verdict in ("migrate", "refresh")
        people = _people(event, relabels=planned.step is Step.MIGRATE) if writes and planned.step in WRITES else []
        own = planned.own_block
        exceptions = len(group) - 1 if event.recurrence is not None else 0
        new = block.locate(new_block).blocks if new_block else ()
        return {
            "key": meeting_key(event.event_id),
            "eventId": event.event_id,
            "iCalUId": event.ical_uid,
            "subject": event.subject,
            "start": event.start_at.isoformat() if event.start_at else None,
            "verdict": verdict,
            "rule": planned.rule,
            "code": planned.code,
            "before": _shown(coordinates(own)),
            "after": _shown(coordinates(new[0] if new else None)),
            "contentType": event.content_type.lower(),
            "oldBlock": "".join(planned.body[start:end] for start, end in own.spans) if own else None,
            "newBlock": new_block,
            "people": headcount(event),
            "recipients": people,
            "startsWithin15Minutes": _is_soon(event, now),
            # Graph mails once for a master and once for each exception of it.
            "updates": (1 + exceptions) if writes and people else 0,
            "graphCalls": _CALLS.get(planned.step, 2) if writes else 0,
            "notKept": [*options.CONTENT, *(options.FIXED if is_replaced else ())] if verdict == "migrate" else [],
            "damage": damage_rows(planned.damage),
            "userTextInBlock": own.user_text if own else None,
            "fingerprint": fingerprint(event),
        }

    async def read(self, preview_id: str, *, summary_only: bool = False) -> dict[str, Any]:
        """Return a preview with its meetings, or with *summary_only* only what they come to.

        Raises:
            NotFound: There is none with this id.
        """
        stored = await self._parts.documents.get("preview", preview_id)
        if stored is None:
            raise NotFound
        rows = []
        if stored.value["state"] in ("ready", "applied"):
            rows = await self._parts.documents.list(f"preview-{preview_id}", top=100_000)
        # A preview of before this was noted is of HTML: what is plain was shown in the same way then.
        hidden, first = ("key", "fingerprint"), {"contentType": "html"}
        shown = [first | {name: value for name, value in row.items() if name not in hidden} for row in rows]
        people = sorted({person["address"] for row in rows for person in row["recipients"]})
        document = stored.value
        return {
            "id": preview_id,
            "state": document["state"],
            "action": document.get("action", "migrate"),
            "identity": document["identity"],
            "userId": None if document["user"].startswith(NAME_PREFIX) else document["user"],
            "sourceMeetingType": document["source"],
            "targetMeetingType": document["target"],
            "createdAt": document["createdAt"],
            "code": document.get("code"),
            "message": document.get("message"),
            "correlationId": document.get("correlationId"),
            "validateOnly": document.get("validateOnly", False),
            "isValid": document.get("isValid"),
            "findings": document.get("findings", []),
            "reportOnly": document.get("reportOnly", False),
            "updates": sum(row["updates"] for row in rows),
            "recipients": len(people),
            "mailTo": people,
            "writes": sum(row["verdict"] in ("migrate", "refresh", "restore") for row in rows),
            "meetings": [] if summary_only else shown,
        }

    async def apply(self, preview_id: str, *, actor: str | None) -> Run:
        """Carry a preview out as it stands: a run of its own, at once.

        Raises:
            NotFound: There is none with this id.
            BadInput: Code ``InvalidState``: not ready, applied already, too old, or the plan of a retry or an undo
                (which are ordered as such); ``RunUnderWay``: the user has a run that waits or works.
        """
        journal, more = Journal(self._parts), {"previewId": preview_id[:_LONGEST_ID]}
        async with journal.refusals("Apply", _APPLY, actor=actor, more=more) as known:
            stored = await self._parts.documents.get("preview", preview_id)
            if stored is None:
                raise NotFound
            key = stored.value["user"]
            known |= {"user": stored.value["identity"], "user_id": None if key.startswith(NAME_PREFIX) else key}
            run = await self._apply(stored, actor=actor)
        await journal.ordered("Apply", _APPLY, actor=actor, user=run.identity, run=run, more=more)
        return run

    async def _apply(self, stored: Stored[dict[str, Any]], *, actor: str | None) -> Run:
        document, now = stored.value, self._parts.clock.now()
        age = now - _instant(document["createdAt"])
        is_order = document.get("action", "migrate") != "migrate"
        if document["state"] != "ready" or age > LIFE or document.get("validateOnly") or is_order:
            why = "a validation has no plan" if document.get("validateOnly") else document["state"]
            why = f"order the {document['action']} itself" if is_order else why
            raise BadInput(why if age <= LIFE else "too old", code="InvalidState")
        run = Run(
            run_id=RunId(self._parts.new_id()),
            identity=document["identity"],
            user_id=document["user"],
            user_principal_name=document["userPrincipalName"],
            source=Source(document["source"]),
            target=Target(document["target"]),
            selections=_selections(document),
            preview_id=document["id"],
            reasons=("T10 Preview",),
            actors=(actor,) if actor else (),
            created_at=now,
            modified_at=now,
            fresh_at=now,
            due_at=now,
        )
        # Claimed first: two clicks make one run.
        applied = {**document, "state": "applied", "correlationId": run.run_id}
        claim = await self._parts.documents.put("preview", document["id"], applied, etag=stored.etag)
        try:
            await self._file(UserKey(document["user"]), run)
        except MmsError:
            # Should the run have been written after all, the next click is told that it is under way.
            with contextlib.suppress(MmsError):
                await self._parts.documents.put("preview", document["id"], document, etag=claim)
            raise
        return run

    async def _file(self, key: UserKey, run: Run) -> None:
        for _ in range(CONFLICT_ATTEMPTS):
            own = await self._parts.users.read(key)
            if own is not None and not own.value.newest.state.is_final:
                raise BadInput(str(own.value.newest.state), code="RunUnderWay")
            record = (
                UserRecord(key=key, current=run) if own is None else replace(own.value, current=run, following=None)
            )
            try:
                await self._parts.save_with_wake(record, own, afresh=True)
            except PreconditionLost:
                continue
            return
        raise PreconditionLost("the user's record is written by others all the time")

    async def fingerprints(self, preview_id: str) -> dict[str, str]:
        """Return what the plan rests on, by meeting key, for the meetings that it would write."""
        rows: Sequence[dict[str, Any]] = await self._parts.documents.list(f"preview-{preview_id}", top=100_000)
        return {row["key"]: row["fingerprint"] for row in rows if row["verdict"] in ("migrate", "refresh")}
