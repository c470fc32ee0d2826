"""``mms doctor``: asks storage and Microsoft, and says what is not as it must be. Changes nothing in the tenant."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mms_core.diagnosis import (
    RIGHTS,
    Finding,
    Right,
    deployment_findings,
    settings_findings,
    skew_finding,
    wanted_rights,
)
from mms_core.errors import RecordUnreadable, TemporaryError
from mms_core.model import UserKey
from mms_core.ports import RunQuery
from mms_core.service.admin.queries import Queries
from mms_core.service.remembered import still_unreadable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mms_core.ports import Probed, Probes
    from mms_core.service.parts import Parts
    from mms_core.settings import Deployment

LIMIT: Final = timedelta(seconds=40)
"""An HTTP answer must come before the platform gives up on it."""
ENDING: Final = timedelta(days=1)
_PEOPLE: Final = 5
_KIND: Final = "doctor"
_NO_MAILBOX: Final = ("mailboxnot", "errornonexistentmailbox", "resourcenotfound", "request_resourcenotfound")
_LIST: Final = Right(value="", path="/subscriptions")


class Checkup:
    """Examines the deployment it runs in."""

    def __init__(self, parts: Parts, probes: Callable[[], Probes], *, deployment: Deployment) -> None:
        self._parts = parts
        self._probes = probes
        self._deployment = deployment

    async def examine(self, user: str | None = None) -> list[Finding]:
        """Return the findings, the good ones too.

        Args:
            user: Object id or user principal name, checked, of somebody whose mailbox proves the rights; else
                whoever had the newest run, or the first of the directory.
        """
        storage = await self._safely("storage", self._storage())
        found = [*storage, *deployment_findings(self._deployment)]
        if all(each.status == "ok" for each in storage):
            found += settings_findings(self._deployment, await self._parts.settings())
            groups = await asyncio.gather(
                self._safely("messages", self._messages()),
                self._safely("records", self._records()),
                self._safely("token", self._token()),
                self._safely("subscriptions", self._subscriptions()),
                self._safely("rights", self._rights(user)),
            )
            found += [each for group in groups for each in group]
        return found

    async def _safely(self, check: str, findings: Awaitable[list[Finding]]) -> list[Finding]:
        try:
            async with asyncio.timeout(LIMIT.total_seconds()):
                return await findings
        except (TemporaryError, RecordUnreadable) as exc:
            return [Finding(check=check, status="error", code=exc.code, detail=exc.detail)]
        except TimeoutError:
            return [Finding(check=check, status="error", code="NotProven", detail="no answer in time")]

    # -- storage --------------------------------------------------------------------------------------------------

    async def _storage(self) -> list[Finding]:
        documents, now = self._parts.documents, self._parts.clock.now()
        await documents.get("config", "tenant")
        await self._parts.users.read(UserKey(_KIND))
        await self._parts.ledger.entries(UserKey(_KIND))
        try:
            await documents.put(_KIND, "probe", {"at": now.isoformat()})
        except TemporaryError as exc:
            raise TemporaryError(exc.detail, code="StorageNotWritable") from exc
        await self._parts.queue.prove()
        return [Finding(check="storage", detail="tables and queues take what is written")]

    async def _messages(self) -> list[Finding]:
        kept, more = await Queries(self._parts).messages()
        while more and not kept:
            kept, more = await Queries(self._parts).messages(after=more)
        if not kept:
            return [Finding(check="messages", detail="none was left over")]
        kinds = Counter(each["kind"] for each in kept)
        detail = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        detail += ", and maybe more" if more else ""
        return [Finding(check="messages", status="warning", code="MessagesKept", detail=detail)]

    async def _records(self) -> list[Finding]:
        left = await still_unreadable(self._parts)
        if not left:
            return [Finding(check="records", detail="what is remembered of users can be read")]
        detail = f"users: {left}; log lines record_unreadable have their ids"
        return [Finding(check="records", status="warning", code="RecordUnreadable", detail=detail)]

    # -- Microsoft ------------------------------------------------------------------------------------------------

    async def _token(self) -> list[Finding]:
        roles = await self._probes().roles("graph")
        found = [Finding(check="token", detail=", ".join(sorted(roles)) or "no tenant-wide rights")]
        known = {each.value for each in RIGHTS}
        found += [
            Finding(check="token", status="warning", code="RightTooMuch", detail=role) for role in sorted(roles - known)
        ]
        # A scope in Exchange is not seen from here, but a token never holds what only a scope gives.
        unlimited = ", ".join(sorted(roles & {each.value for each in RIGHTS if each.is_scopable}))
        if unlimited:
            found.append(Finding(check="token", status="warning", code="RightTenantWide", detail=unlimited))
        return found

    async def _rights(self, user: str | None) -> list[Finding]:
        settings = await self._parts.settings()
        rights = wanted_rights(self._deployment, settings)
        directory = await self._probes().ask(rights[0], rights[0].path.replace("$top=1", f"$top={_PEOPLE}"))
        people = await self._people(user, directory)
        found = await asyncio.gather(*(self._right(right, people) for right in rights))
        ours = self._parts.clock.now()
        return [*found, skew_finding(None if directory.at is None else ours - directory.at)]

    async def _people(self, user: str | None, directory: Probed) -> list[str]:
        if user:
            # Teams knows people by their object id only.
            found = await self._probes().ask(RIGHTS[0], f"/users/{quote(user, safe='')}?$select=id")
            known = found.document if isinstance(found.document, dict) else {}
            return [str(known.get("id") or user)]
        newest = await self._parts.users.page(RunQuery(top=1))
        value = directory.document.get("value") if isinstance(directory.document, dict) else None
        listed = [str(each["id"]) for each in value or () if isinstance(each, dict) and each.get("id")]
        return [*(run.user_id for run in newest.runs if run.user_id), *listed]

    async def _right(self, right: Right, people: Sequence[str]) -> Finding:
        check = f"right {right.value}"
        try:
            if "{user}" not in right.path:
                path = right.path.replace("{sender}", quote(self._deployment.notice_sender, safe=""))
                return _judged(check, right, await self._probes().ask(right, path))
            for user in people:
                answer = await self._probes().ask(right, right.path.replace("{user}", quote(user, safe="")))
                # Somebody without a mailbox here proves nothing: the next one may.
                if not answer.code.lower().startswith(_NO_MAILBOX):
                    return _judged(check, right, answer)
        except TemporaryError as exc:
            return Finding(check=check, status="error", code=exc.code, detail=right.value)
        return Finding(check=check, status="warning", code="NotProven", detail=f"{right.value}: nobody with a mailbox")

    # -- subscriptions ----------------------------------------------------------------------------------------------

    async def _subscriptions(self) -> list[Finding]:
        if not self._deployment.public_url:
            return [Finding(check="subscriptions", status="error", code="SubscriptionMissing", detail="users")]
        found = [await self._users_subscription()]
        if self._deployment.activity_url:
            found.append(await self._feed())
        return found

    async def _users_subscription(self) -> Finding:
        answer = await self._probes().ask(_LIST, _LIST.path)
        address, now = f"{self._deployment.public_url}/api/graph/notifications", self._parts.clock.now()
        ends = [
            at
            for each in _rows(answer.document)
            if each.get("notificationUrl") == address and str(each.get("resource", "")).strip("/") == "users"
            if (at := _instant(each.get("expirationDateTime"))) is not None and at > now
        ]
        if not ends:
            detail = f"users (HTTP {answer.status})" if answer.status != HTTPStatus.OK else "users"
            return Finding(check="subscriptions", status="error", code="SubscriptionMissing", detail=detail)
        if max(ends) - now < ENDING:
            return Finding(check="subscriptions", status="warning", code="SubscriptionEnding", detail="users")
        return Finding(check="subscriptions", detail=f"users, until {max(ends):%Y-%m-%dT%H:%MZ}")

    async def _feed(self) -> Finding:
        right = next(each for each in RIGHTS if each.api == "activity")
        answer = await self._probes().ask(right, right.path)
        address = f"{self._deployment.public_url}/api/activity"
        kept = [
            each
            for each in (answer.document if isinstance(answer.document, list) else ())
            if isinstance(each, dict)
            and str(each.get("status", "")).lower() == "enabled"
            and (each.get("webhook") or {}).get("address") == address
        ]
        if not kept:
            return Finding(check="subscriptions", status="error", code="SubscriptionMissing", detail="activity feed")
        return Finding(check="subscriptions", detail=f"activity feed, {len(kept)} content types")


def _judged(check: str, right: Right, answer: Probed) -> Finding:
    """Say what an answer proves: everything but a refusal shows that the right is there."""
    if answer.lacks_policy:
        return Finding(check=check, status="error", code="AppAccessPolicyMissing", detail=right.value)
    if answer.status == HTTPStatus.FORBIDDEN:
        return Finding(check=check, status="error", code="RightMissing", detail=right.value)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Finding(check=check, status="error", code="SignInFailed", detail=right.value)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Finding(check=check, status="warning", code="NotProven", detail=f"{right.value}: HTTP {answer.status}")
    return Finding(check=check, detail=f"{right.method} answered {answer.status}")


def _rows(document: Any) -> list[dict[str, Any]]:
    value = document.get("value") if isinstance(document, dict) else None
    return [each for each in value or () if isinstance(each, dict)]


def _instant(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None
