"""What the service needs from the world, as Protocols. Adapters fulfil them; tests fulfil them with fakes.

Every method may raise :class:`~mms_core.errors.TemporaryError` when the other side does not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from datetime import date, datetime

    from mms_core.diagnosis import Api, Right
    from mms_core.meetings import Event, LedgerEntry, OnlineMeeting, Original, Series
    from mms_core.messages import AnyMessage
    from mms_core.model import Run, RunId, State, TeamsFacts, UserFacts, UserKey, UserRecord

T = TypeVar("T")

ONE_A_USER: Final = frozenset({"snapshot", "name", "event", "handled", "content", "notice", "mailbox"})
"""Kinds of documents with one document a user: they can be read by key, not listed."""

LONGEST_DELAY: Final = timedelta(days=7)
"""The queue's limit for invisibility. A longer wait is taken in steps: an early message is put back."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A value as it was read, with the ETag that fences the next write."""

    value: T
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs to list. Instants filter ``created_at``, the end is exclusive."""

    state: State | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    migration_type: str | None = None
    reason: str | None = None
    """Rule of a trigger that belongs to the run: ``T1`` to ``T11``, or ``Undo``."""
    by_due: bool = False
    """Runs that wait, in the order in which they are due. Nothing else narrows them."""
    top: int = 100
    continuation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """One counter that was wrong: what it said and what the rows say."""

    shard: str
    said: dict[State, int]
    found: dict[State, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Runs, newest first, and the token for the next page."""

    runs: tuple[Run, ...]
    continuation: str | None = None


class Clock(Protocol):
    """The time, so that tests can set it."""

    def now(self) -> datetime:
        """Return aware UTC."""
        ...


class UserStore(Protocol):
    """One record a user, its runs, and the counters; all that changes together is written together."""

    async def read(self, key: UserKey) -> Stored[UserRecord] | None:
        """Return the record, or ``None``. Raises ``RecordUnreadable`` for one that is damaged; lists leave it out."""
        ...

    async def save(
        self, record: UserRecord, previous: Stored[UserRecord] | None, *, publish: bool = True
    ) -> Stored[UserRecord]:
        """Write the record if the row is still *previous* (``None``: if there is none).

        ``publish=False`` writes the record only: for progress and heartbeats, which lists may show a little later.

        Raises:
            PreconditionLost: Somebody else wrote first; nothing was written.
        """
        ...

    async def delete(self, previous: Stored[UserRecord]) -> None:
        """Remove the record, its rows and its part in the counters. Raises ``PreconditionLost``."""
        ...

    async def runs_of(self, key: UserKey) -> list[Run]:
        """Return all runs of one user, newest first."""
        ...

    async def page(self, query: RunQuery) -> RunPage:
        """List runs of all users, newest first. Raises ``BadInput`` for a bad continuation token."""
        ...

    async def counts(self) -> dict[State, int]:
        """Users by the state of their newest run; a point read a shard."""
        ...

    async def failures(self) -> dict[str, int]:
        """Users whose newest run has failed, by its code; a point read a shard."""
        ...

    async def runs_a_day(self) -> dict[tuple[date, State], int]:
        """Runs of the last two weeks by the day (UTC) they were made and their state now; a point read a shard.

        Exact but for runs that were purged since the counters were last counted again.
        """
        ...

    async def minutes_a_day(self) -> dict[tuple[date, int], int]:
        """Migrations among those runs that succeeded, by day and the minutes from being asked for to their end.

        Minutes are rounded to a step that grows with them, so that there are few.
        """
        ...

    def active(self) -> AsyncIterator[Run]:
        """Yield the runs that are Pending or InProgress as lists show them; read the record before acting."""
        ...

    def waiting(self) -> AsyncIterator[Run]:
        """Yield the runs that are Pending as lists show them, of one user newest first."""
        ...

    def overdue(self, before: datetime) -> AsyncIterator[Run]:
        """Yield the runs that are InProgress, and those that are Pending and due at an instant or before.

        It reads no row of a run that is not due yet, however many there are.
        """
        ...

    def ended_before(self, before: datetime) -> AsyncIterator[tuple[UserKey, Run]]:
        """Yield the runs that are over and were created before an instant."""
        ...

    async def forget(self, key: UserKey, run: Run) -> None:
        """Remove the rows of a run that is not in its user's record any more. Gone already is no error."""
        ...

    async def recount(self) -> list[Recount]:
        """Count again what the counters say; repair and return those that were wrong."""
        ...


class Ledger(Protocol):
    """A row for each meeting, and the originals. Whoever reads a damaged row gets ``RecordUnreadable``."""

    async def claim(self, key: UserKey, generation: int) -> Ledger:
        """Take a user's rows: from now on only the returned ledger writes them, until a higher generation claims.

        Its writes raise ``PreconditionLost`` once somebody else has claimed, and then write nothing.

        Raises:
            PreconditionLost: A higher generation has claimed already.
        """
        ...

    async def entries(self, key: UserKey) -> list[LedgerEntry]:
        """Return the newest entry of every meeting of the user."""
        ...

    async def put(self, key: UserKey, entry: LedgerEntry, original: Original | None = None) -> None:
        """Write the meeting's entry, together with its original if given.

        An original that is kept already and not undone stays, if the new one is what we left behind when we wrote
        last (see :meth:`Original.succeeding`): undo leads back to before our first write.
        """
        ...

    async def settle(self, key: UserKey, entry: LedgerEntry, *, written_block: str = "") -> None:
        """Write the meeting's entry, and its ``written_hash`` and the block that was written into the kept original."""
        ...

    async def entry(self, key: UserKey, meeting: str) -> LedgerEntry | None:
        """Return the newest entry of one meeting."""
        ...

    async def original(self, key: UserKey, meeting: str) -> Original | None:
        """Return what is kept of one meeting, undone or not."""
        ...

    async def originals(self, key: UserKey) -> list[Original]:
        """Return the originals of the user that have not been undone."""
        ...

    async def put_original(self, key: UserKey, original: Original) -> None:
        """Overwrite an original: its written hash, or that it has been undone."""
        ...

    async def expire(self, key: UserKey, *, before: datetime, runs: Collection[RunId]) -> None:
        """Remove what has been kept since before an instant: originals, and the entries of other runs than *runs*.

        Whoever holds the ledger's claim may write meanwhile: what is written anew stays.
        """
        ...

    async def forget(self, key: UserKey) -> None:
        """Remove all rows of a user."""
        ...


class Documents(Protocol):
    """Small JSON documents by kind and key: settings, snapshots, names, decisions."""

    async def get(self, kind: str, key: str) -> Stored[dict[str, Any]] | None:
        """Return the document, or ``None``. Raises ``RecordUnreadable`` for one that is damaged; lists leave it out."""
        ...

    async def put(self, kind: str, key: str, value: dict[str, Any], *, etag: str | None = None) -> str:
        """Write it and return its new ETag; with *etag* only over that version (``""``: only if there is none).

        Raises:
            PreconditionLost: There is another version.
        """
        ...

    async def list(self, kind: str, *, top: int = 1000, after: str = "") -> list[dict[str, Any]]:
        """Return documents of a kind in the order of their keys. ``ValueError`` for one of :data:`ONE_A_USER`.

        Only those whose keys come after *after*.
        """
        ...

    async def remove(self, kind: str, key: str) -> None:
        """Remove a document, if it is there."""
        ...

    async def purge(self, kind: str, *, low: str, high: str) -> int:
        """Remove the documents of a kind whose keys are from *low* to before *high*; returns how many.

        ``ValueError`` for one of :data:`ONE_A_USER`.
        """
        ...

    async def expire(self, kind: str, *, field: str, before: datetime) -> int:
        """Remove the documents of a kind whose *field* is an instant (ISO 8601) before another; returns how many.

        Of any kind, also of :data:`ONE_A_USER`. A document without such a field stays.
        """
        ...


class Archive(Protocol):
    """Where purged rows go: lines of JSON, kept until an administrator removes them."""

    async def append(self, day: str, name: str, lines: Sequence[str]) -> None:
        """Keep lines under a day (``20260131``) and a name; the same name again overwrites."""
        ...

    def lines(self, day: str) -> AsyncIterator[str]:
        """Yield the lines of a day."""
        ...


class Mail(Protocol):
    """Letters in the name of a mailbox of the tenant."""

    async def send(self, sender: str, recipients: Sequence[str], *, subject: str, html: str) -> None:
        """Send one letter, once: one request, never repeated here.

        Raises:
            OutcomeUnknown: It may or may not have been sent.
            TemporaryError: It was not sent; another try is worth it.
            NotFound, PermanentError: It was refused.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """An answer to a harmless question."""

    status: int
    code: str = ""
    """The other side's error code."""
    lacks_policy: bool = False
    """Teams says that no application access policy names the user."""
    document: Any = None
    at: datetime | None = None
    """The other side's clock."""


class Probes(Protocol):
    """Harmless questions to Microsoft, with the app's own identity."""

    async def roles(self, api: Api) -> frozenset[str]:
        """Return the app roles in the identity's token. Raises ``TemporaryError``: there is no token."""
        ...

    async def ask(self, right: Right, path: str) -> Probed:
        """Send the call that proves a right, to a path that is filled in.

        Raises:
            TemporaryError: No token, or no answer.
        """
        ...


class WorkQueue(Protocol):
    """The two queues; which one a message belongs to, the adapter knows."""

    async def send(self, message: AnyMessage, *, delay: timedelta | None = None) -> None:
        """Put the message, visible after *delay* (at most 7 days)."""
        ...

    async def prove(self) -> None:
        """Write a message that nobody will see to each queue, and delete it. Raises ``TemporaryError``."""
        ...

    async def front(self) -> datetime | None:
        """Return the earliest due time of the wake-ups at the front of the run queue, ``None`` if none is visible.

        While it is earlier than a row's own, the row's message is likely to be in the queue still, further back.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a long list, and where to go on; ``None`` at the end."""

    items: tuple[T, ...]
    next_link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A part of what a delta query tells: either ``next_link`` goes on, or ``delta_link`` begins the next round."""

    users: tuple[UserFacts, ...] = ()
    """Those of whom it says which plans they have; it names others as well."""
    gone: tuple[str, ...] = ()
    """Object ids of those whom it says to be deleted."""
    next_link: str | None = None
    delta_link: str | None = None


class Directory(Protocol):
    """Users and their licences."""

    async def user(self, identity: str) -> UserFacts:
        """Find a user by object id, user principal name or ``sip:`` address.

        Raises:
            PermanentError: Code ``UserNotFound``.
        """
        ...

    async def users(self, link: str | None = None) -> Page[UserFacts]:
        """Return a page of all users; *link* is the page before's ``next_link``.

        Raises:
            NotFound: The link is of no use any more.
        """
        ...

    async def changed(self, link: str | None = None) -> Round:
        """Ask the delta query which users have changed; without a *link* only for where to go on from, from now.

        It is a hint: whether it tells changes of licences is not documented, and it may repeat itself.

        Raises:
            NotFound, PermanentError: The link is of no use any more (they live 7 days), or nobody may ask.
        """
        ...

    async def configuration(self, user_id: str) -> TeamsFacts | None:
        """Return what Teams says about a user, or ``None`` if it knows none."""
        ...

    async def configurations(self, link: str | None = None) -> Page[TeamsFacts]:
        """Return a page of what Teams says about all users; *link* as for :meth:`users`."""
        ...

    async def member_of(self, user_id: str, groups: Sequence[str]) -> frozenset[str]:
        """Return those of *groups* (object ids) that a user is a member of, directly or nested."""
        ...

    async def mailbox(self, user_id: str) -> str:
        """Say where a user's mailbox is: ``online``, ``onPremises``, or ``unknown`` if that cannot be told yet."""
        ...

    async def mailbox_kind(self, user_id: str) -> str:
        """Return Graph's userPurpose of a mailbox in lower case, such as ``user``, ``shared``, ``room``, ``equipment``.

        ``unknown`` where Graph does not say.

        Raises:
            PermanentError: ``MailboxOnPremises``, ``MailboxMissing``, ``MailboxSettingsDenied``.
        """
        ...

    async def account_type(self, user_id: str) -> str | None:
        """Return Teams' account type of a user (``user``, ``sfbOnPremUser``, …), or ``None`` if Teams has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventChange:
    """What one PATCH of an event carries; ``None`` leaves a part alone."""

    body: str
    content_type: str
    locations: tuple[dict[str, object], ...] | None = None
    properties: dict[str, str] = field(default_factory=dict)
    makes_online: str | None = None
    """Ask Exchange to make the event an online meeting of this provider, and to append its own block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Graph's answer to a write."""

    event: Event
    request_id: str | None = None


Confirm = Callable[[], Awaitable[None]]
"""A last look whether a write is still wanted."""


class Calendar(Protocol):
    """The calendar of one user, by object id."""

    def candidates(
        self, user_id: str, *, now: datetime, secondary: bool = False, gone: list[str] | None = None
    ) -> AsyncIterator[Event]:
        """Yield series masters and the single meetings that have not ended, bodies and properties included.

        Of the default calendar, or with *secondary* of all the user's own calendars that can be written. One of these
        that was removed before it was read to its end costs nothing but itself: its id is added to *gone*.

        Raises:
            PermanentError: ``MailboxOnPremises``, ``MailboxMissing``, ``MailboxAccessDenied``.
        """
        ...

    async def series(self, user_id: str, master_id: str) -> Series:
        """Read a series' exceptions and cancelled dates, by one request."""
        ...

    async def providers(self, user_id: str) -> frozenset[str]:
        """Return the kinds of online meeting that the default calendar can make by itself (onlineMeetingProvider).

        Raises:
            PermanentError: ``MailboxOnPremises``, ``MailboxMissing``, ``MailboxAccessDenied``.
        """
        ...

    async def has_occurrence(self, user_id: str, master_id: str, *, start: datetime, end: datetime) -> bool:
        """Say whether a series has an occurrence between two instants that shows the master's own invitation.

        Its exceptions do not count: each has a body of its own.
        """
        ...

    async def event(self, user_id: str, event_id: str) -> Event | None:
        """Read one event, or ``None`` if it is gone."""
        ...

    async def update(
        self, user_id: str, event_id: str, change: EventChange, *, etag: str, confirm: Confirm | None = None
    ) -> Written:
        """Write an event once: one request, never repeated here.

        *confirm* is called when nothing is left to wait for before it is sent; what it raises is raised, and then
        nothing was sent.

        Raises:
            PreconditionLost: The event changed since *etag*.
            NotFound: It is gone.
            OutcomeUnknown: The request may or may not have been carried out.
            TemporaryError: It was not carried out; another try is worth it.
            PermanentError: It was refused.
        """
        ...


class Meetings(Protocol):
    """Teams meetings of one user, by object id."""

    async def create_or_get(
        self,
        user_id: str,
        *,
        external_id: str,
        subject: str,
        start: datetime | None,
        end: datetime | None,
        language: str | None,
    ) -> OnlineMeeting:
        """Return the meeting with this external id, made now if there is none; mails nobody.

        Raises:
            PermanentError: ``AppAccessPolicyMissing``.
        """
        ...

    async def find(self, user_id: str, join_url: str, *, language: str | None) -> OnlineMeeting | None:
        """Return the meeting behind a classic join URL, or ``None``."""
        ...

    async def set_options(self, user_id: str, meeting_id: str, options: dict[str, Any]) -> dict[str, Any]:
        """Set options of a meeting and return all that it has then; mails nobody, and may be repeated.

        Raises:
            PermanentError: An option was refused; which of them were set is not known.
        """
        ...

    async def end(self, user_id: str, meeting_id: str) -> None:
        """End a meeting for good; one that is gone already is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """One subscription after it was looked after: ``done`` is kept, created or renewed."""

    kind: str
    subscription_id: str
    done: str
    expires_at: datetime | None = None
    """When it ends if nobody renews it; ``None``: it does not."""
    secret: str = ""
    """Fingerprint of the secret that its notifications carry; empty where the other side tells the secret itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Audit records that are ready to be fetched."""

    uri: str
    content_id: str
    created_at: datetime


class Tenant(Protocol):
    """What the tenant sends us by itself."""

    async def ensure_subscriptions(
        self, *, now: datetime, noted: Mapping[str, str], renews: bool = False
    ) -> Sequence[Subscribed]:
        """Make, renew or re-create the subscriptions for users and the activity feed.

        Args:
            now: Aware UTC.
            noted: Fingerprints of secrets by subscription id, as far as they are known: a subscription that carries
                another secret than today's is replaced, because its notifications would all be refused.
            renews: Renew even what does not end soon: Graph asks for it with ``reauthorizationRequired``.
        """
        ...

    async def contents(self, content_type: str, *, since: datetime, until: datetime) -> Page[Content]:
        """List the contents of the activity feed that became ready in a span of at most 24 hours.

        Raises:
            NotFound: There is no subscription for this content type.
        """
        ...

    async def more_contents(self, link: str) -> Page[Content]:
        """Return the following page of such a list."""
        ...

    async def activity(self, uri: str) -> list[dict[str, Any]]:
        """Fetch the audit records behind a content URI."""
        ...
