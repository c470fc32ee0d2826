"""Dry runs: the plan of a run, kept, shown, and carried out as it stands or not at all.

A preview reads and writes nothing in the tenant. The Teams meeting that a migration makes does not exist yet, so its
coordinates are not known before the run; everything else about it is.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mms_core import block, jsontext, options
from mms_core.errors import BadInput, MmsError, NotFound, PermanentError, PreconditionLost, explain
from mms_core.messages import Preview
from mms_core.model import NAME_PREFIX, Run, RunId, Selection, Source, Target, UserKey, UserRecord, meeting_key
from mms_core.planning import WRITES, Planned, Step, coordinates, external_id, headcount, is_current
from mms_core.selecting import domain
from mms_core.service.deciding import audience_of, is_report_only
from mms_core.service.finding import found
from mms_core.service.parts import CONFLICT_ATTEMPTS
from mms_core.service.validating import Validating
from mms_core.service.wishes import find_meeting, wish_of
from mms_core.status import damage_rows
from mms_core.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mms_core.model import Coordinates, Event, OnlineMeeting, UserFacts
    from mms_core.planning import Wish
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


def _people(event: Event, planned: Planned, *, relabels: bool) -> list[dict[str, Any]]:
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
    return rows if planned.step in WRITES else []


class Previews:
    """Asks for, makes, shows and applies previews."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def ask(self, asked: Asked) -> str:
        """Note a wish for a preview and queue it; returns the preview's id."""
        preview_id = self._parts.new_id()
        document = {
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
            is_reported = await is_report_only(self._parts, settings, facts.user_id)
            wish = await wish_of(
                self._parts,
                facts,
                settings,
                source=Source(document["source"]),
                target=Target(document["target"]),
                selections=_selections(document),
            )
            rows = await self._rows(facts, wish)
        except MmsError as exc:
            if exc.code in ("ServiceUnavailable", "Throttled", "SignInFailed", "StorageUnavailable"):
                raise
            failed = {**document, "state": "failed", "code": exc.code, "message": explain(exc.code)}
            await self._parts.documents.put("preview", preview_id, failed, etag=stored.etag)
            return
        for number, row in enumerate(rows):
            await self._parts.documents.put(f"preview-{preview_id}", f"{number:06d}", row)
        done = {**document, "state": "ready", "user": facts.user_id, "userPrincipalName": facts.user_principal_name}
        done |= {"meetings": len(rows), "reportOnly": is_reported}
        await self._parts.documents.put("preview", preview_id, done, etag=stored.etag)
        log("preview_made", user_id=facts.user_id, count=len(rows))

    async def _rows(self, facts: UserFacts, wish: Wish) -> list[dict[str, Any]]:
        now = self._parts.clock.now()
        originals = functools.partial(self._parts.ledger.originals, UserKey(facts.user_id))
        _, groups = await found(self._parts.graph().calendar, wish, now=now, originals=originals)
        return [await self._row(facts, wish, planned, group) for group in groups for planned in group]

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
            new_block = fragment.html
            verdict = "current" if is_current(planned, fragment) else "refresh"
        writes = verdict in ("migrate", "refresh")
        people = _people(event, planned, relabels=planned.step is Step.MIGRATE) if writes else []
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
            "oldBlock": "".join(planned.body[start:end] for start, end in own.spans) if own else None,
            "newBlock": new_block,
            "people": headcount(event),
            "recipients": people,
            "startsWithin15Minutes": event.start_at is not None and timedelta(0) <= event.start_at - now <= SOON,
            # Graph mails once for a master and once for each exception of it.
            "updates": (1 + exceptions) if writes and people else 0,
            "graphCalls": _CALLS.get(planned.step, 2) if writes else 0,
            "notKept": [*options.CONTENT, *(options.FIXED if is_replaced else ())] if verdict == "migrate" else [],
            "damage": damage_rows(planned.damage),
            "userTextInBlock": own.user_text if own else None,
            "fingerprint": fingerprint(event),
        }

    async def read(self, preview_id: str) -> dict[str, Any]:
        """Return a preview with its meetings.

        Raises:
            NotFound: There is none with this id.
        """
        stored = await self._parts.documents.get("preview", preview_id)
        if stored is None:
            raise NotFound
        rows = []
        if stored.value["state"] in ("ready", "applied"):
            rows = await self._parts.documents.list(f"preview-{preview_id}", top=100_000)
        shown = [{name: value for name, value in row.items() if name not in ("key", "fingerprint")} for row in rows]
        document = stored.value
        return {
            "id": preview_id,
            "state": document["state"],
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
            "recipients": len({person["address"] for row in rows for person in row["recipients"]}),
            "meetings": shown,
        }

    async def apply(self, preview_id: str, *, actor: str | None) -> Run:
        """Carry a preview out as it stands: a run of its own, at once.

        Raises:
            NotFound: There is none with this id.
            BadInput: Code ``InvalidState``: not ready, applied already, too old, or the user has a run that waits.
        """
        stored = await self._parts.documents.get("preview", preview_id)
        if stored is None:
            raise NotFound
        document, now = stored.value, self._parts.clock.now()
        age = now - _instant(document["createdAt"])
        if document["state"] != "ready" or age > LIFE or document.get("validateOnly"):
            why = "a validation has no plan" if document.get("validateOnly") else document["state"]
            raise BadInput(why if age <= LIFE else "too old", code="InvalidState")
        run = Run(
            run_id=RunId(self._parts.new_id()),
            identity=document["identity"],
            user_id=document["user"],
            user_principal_name=document["userPrincipalName"],
            source=Source(document["source"]),
            target=Target(document["target"]),
            selections=_selections(document),
            preview_id=preview_id,
            reasons=("T10 Preview",),
            actors=(actor,) if actor else (),
            created_at=now,
            modified_at=now,
            fresh_at=now,
            due_at=now,
        )
        # Claimed first: two clicks make one run.
        await self._parts.documents.put(
            "preview", preview_id, {**document, "state": "applied", "correlationId": run.run_id}, etag=stored.etag
        )
        await self._file(UserKey(document["user"]), run)
        return run

    async def _file(self, key: UserKey, run: Run) -> None:
        for _ in range(CONFLICT_ATTEMPTS):
            own = await self._parts.users.read(key)
            if own is not None and not own.value.newest.state.is_final:
                raise BadInput(str(own.value.newest.state), code="InvalidState")
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
