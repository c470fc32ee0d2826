"""``mms start``: ask for migrations, of one user or of a list of any length."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from mms_cli import lists
from mms_cli.commands import forecasts
from mms_cli.commands.shared import connected, named, narrowed, some
from mms_cli.commands.wait import Awaited, wait_for
from mms_cli.failures import CliError, Exit, UsageError
from mms_cli.resuming import Mark, NoProgressFile, ProgressFile, fingerprint, sent
from mms_cli.rows import Writer, writer
from mms_cli.rows import field as column
from mms_cli.terminal import Progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from mms_cli.client import Client
    from mms_cli.lists import Entry, UserList
    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

BATCH: Final = 1000
"""Rows a request. More than 100, so that the service admits a list at the tenant's rate; few enough to see it move."""
_NAMES: Final = ("identity", "userId", "correlationId", "status", "code")
_COLUMNS: Final = (
    column("Identity", "identity", width=32, shrinks=True),
    column("Status", "status", width=8, is_state=True),
    column("CorrelationId", "correlationId", width=36),
    column("Code", "code"),
)
_BAD: Final = frozenset({"refused", "invalid"})


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Ask for the migrations, print a row for each."""
    users = named(arguments)
    if arguments.from_csv and users:
        raise UsageError("name users, or a list with --from-csv, not both")
    if arguments.from_csv == "-" and arguments.restart:
        raise UsageError("standard input cannot be read again")
    with connected(arguments, screen) as client:
        out = writer(screen, arguments.output, columns=_COLUMNS, names=_NAMES)
        order = _Order(client, _wish(arguments), out, keeps=arguments.wait)
        if arguments.from_csv:
            _send_list(arguments, screen, order)
        else:
            _send_users(arguments, screen, order, list(some(users)))
        out.end()
        if not arguments.wait:
            return Exit.SOME_FAILED if order.failed else Exit.DONE
        screen.out.flush()
        ended = wait_for(arguments, screen, client, order.awaited)
    return ended or (Exit.SOME_FAILED if order.failed else Exit.DONE)


def _wish(arguments: argparse.Namespace) -> dict[str, Any]:
    wish = {
        "sourceMeetingType": arguments.source_meeting_type,
        "targetMeetingType": arguments.target_meeting_type,
        "settleMinutes": arguments.settle_minutes,
        "notBefore": arguments.not_before,
        "meetings": narrowed(arguments),
    }
    return {name: value for name, value in wish.items() if value is not None}


@dataclass(slots=True)
class _Order:
    """What is asked for, and what became of it."""

    client: Client
    wish: dict[str, Any]
    out: Writer
    keeps: bool
    """Remember whom to wait for."""
    failed: int = 0
    awaited: list[Awaited] = field(default_factory=list)

    def send(self, identities: Sequence[str | Row], wish: dict[str, Any], key: str) -> list[Row]:
        """Send one request and print a row for each identity."""
        rows: list[Row] = self.client.post("migrations", {**wish, "identities": identities}, key=key)["value"]
        self.show(rows)
        if self.keeps:
            self.awaited += [
                Awaited(row["identity"], row.get("correlationId")) for row in rows if row["status"] not in _BAD
            ]
        return rows

    def show(self, rows: list[Row]) -> None:
        """Print rows, and count those that failed."""
        self.failed += sum(row["status"] in _BAD for row in rows)
        self.out.page(rows)


def _send_users(arguments: argparse.Namespace, screen: Screen, order: _Order, users: list[str]) -> None:
    if len(users) > 1 and not arguments.yes:
        wishes = [{**_planned(order.wish), "identity": user} for user in users[: forecasts.MOST]]
        whom = f"{len(users):,} users"
        _ask(screen, whom, order.wish, forecasts.plans(screen, order.client, wishes), len(users))
    for first in range(0, len(users), BATCH):
        order.send(users[first : first + BATCH], order.wish, str(uuid.uuid4()))


def _planned(wish: dict[str, Any]) -> dict[str, Any]:
    """Return what a plan can be asked for: everything but when."""
    return {name: value for name, value in wish.items() if name not in ("settleMinutes", "notBefore")}


def _ask(
    screen: Screen, whom: str, wish: dict[str, Any], made: Sequence[forecasts.Plan | None] | None, count: int
) -> None:
    when = "after the settling time; until then each can be cancelled"
    if wish.get("settleMinutes") == 0 and "notBefore" not in wish:
        when = "at once"
    first = f"The migration of {whom} starts {when}."
    unknown = "How many people get mail is not known: standard input is read once. mms preview tells it for one user."
    sentences = [first, unknown] if made is None else forecasts.told(first, made, count)
    screen.confirm(sentences, "Start?", yes=False)


# -- lists ------------------------------------------------------------------------------------------------------------


def _send_list(arguments: argparse.Namespace, screen: Screen, order: _Order) -> None:
    name = arguments.from_csv
    is_file = name != "-"
    total: int | None = None
    good = bad = 0
    if is_file:
        good, bad = lists.count(name)
        total = good + bad
        if not good:
            raise UsageError(f"{name} names no user that could be started")
    if not arguments.yes:
        whom = _whom(good, bad) if is_file else "the users on standard input"
        _ask(screen, whom, order.wish, _made(screen, order, name), good)
    keeps_mark = is_file and not arguments.no_resume
    progress_file = ProgressFile(name) if keeps_mark else NoProgressFile()
    if arguments.restart:
        progress_file.forget()
    options = fingerprint({**order.wish, "url": order.client.url, "batch": BATCH})
    mark = progress_file.load() or Mark(options=options)
    if mark.options != options:
        raise UsageError(
            f"{progress_file.path} is of a try with other options, or for another service",
            remedy="Repeat the command as it was, or start over with --restart.",
        )
    with ExitStack() as stack:
        entries = stack.enter_context(lists.opened(name))
        sender = _Sender(screen, order, progress_file, Progress(screen, "users", total))
        sender.send(name, entries, mark)


def _whom(good: int, bad: int) -> str:
    more = f" ({bad:,} more {'row' if bad == 1 else 'rows'} cannot be read)" if bad else ""
    return forecasts.counted(good, "user") + more


def _made(screen: Screen, order: _Order, name: str) -> list[forecasts.Plan | None] | None:
    """Return the plans of a list's first rows; ``None`` for standard input, which is read only once."""
    if name == "-":
        return None
    with lists.opened(name) as entries:
        good = islice((each for each in entries if not each.problem), forecasts.MOST)
        wishes = [{**_planned(wish_of(order.wish, each)), "identity": each.identity} for each in good]
    return forecasts.plans(screen, order.client, wishes)


def wish_of(wish: dict[str, Any], entry: Entry) -> dict[str, Any]:
    """Return what a row asks for: its own columns go before the options."""
    own = {"sourceMeetingType": entry.source, "targetMeetingType": entry.target, "notBefore": entry.not_before}
    return {**wish, **{name: value for name, value in own.items() if value}}


class _Sender:
    """Sends a list in batches, and notes before and after each how far it is."""

    def __init__(self, screen: Screen, order: _Order, file: ProgressFile, progress: Progress) -> None:
        self._screen = screen
        self._order = order
        self._file = file
        self._progress = progress

    def send(self, name: str, entries: UserList, mark: Mark) -> None:
        """Send what comes after *mark*.

        Raises:
            CliError: The service did not take a batch; the mark says which.
        """
        rows = lists.by_priority(entries)
        if mark.rows:
            self._skip(name, rows, mark)
        for batch in _batches(rows):
            mark = self._send_batch(batch, replace(mark, key=mark.key or str(uuid.uuid4())))
            self._progress.show(mark.rows)
        self._progress.close()
        self._file.forget()

    def _skip(self, name: str, rows: Iterator[Entry], mark: Mark) -> None:
        last = None
        for last in islice(rows, mark.rows):  # noqa: B007 - the last one is what is wanted
            pass
        if last is None or last.digest != mark.digest:
            raise UsageError(
                f"{name} has changed in the part that was sent already", remedy="Start over with --restart."
            )
        self._order.failed += mark.failed
        before = f", {mark.failed:,} of them in vain" if mark.failed else ""
        self._screen.note(f"Going on after row {mark.rows:,} of {name}{before}.")

    def _send_batch(self, batch: list[Entry], mark: Mark) -> Mark:
        good = [entry for entry in batch if entry.problem is None]
        failed_before = self._order.failed
        # Written down first: who sends these rows again sends them with the same key.
        self._file.save(mark)
        try:
            if good:
                self._order.send([_row_of(entry) for entry in good], wish_of(self._order.wish, good[0]), mark.key)
        except CliError as error:
            self._progress.close()
            can_go_on = not isinstance(self._file, NoProgressFile)
            more = " Then run the same command again: it goes on where it stopped." if can_go_on else ""
            raise CliError(
                f"after row {mark.rows:,}: {error.message}",
                exit_code=error.exit_code,
                remedy=(error.remedy + more).strip(),
                code=error.code,
                status=error.status,
            ) from None
        self._show_bad(batch)
        failed = self._order.failed - failed_before
        mark = sent(mark, rows=len(batch), digest=batch[-1].digest, failed=failed)
        self._file.save(mark)
        return mark

    def _show_bad(self, batch: list[Entry]) -> None:
        for entry in batch:
            if entry.problem:
                self._screen.warn(f"line {entry.line}: {entry.problem}")
                self._order.show([{"identity": entry.identity, "status": "invalid", "code": "InvalidIdentity"}])


def _row_of(entry: Entry) -> str | Row:
    return {"identity": entry.identity, "priority": entry.priority} if entry.priority else entry.identity


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Group rows that ask for the same; a row that cannot be sent goes with those around it."""
    batch: list[Entry] = []
    asked: tuple[str | None, ...] | None = None
    for entry in entries:
        own = None if entry.problem else (entry.source, entry.target, entry.not_before)
        if batch and (len(batch) == BATCH or (own is not None and asked is not None and own != asked)):
            yield batch
            batch, asked = [], None
        batch.append(entry)
        asked = asked or own
    if batch:
        yield batch
