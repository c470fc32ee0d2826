"""``mms wait``: until the runs of a set of users are over."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mms_cli import lists
from mms_cli.client import PAGE, path
from mms_cli.commands.shared import FIELDS, FINAL, INSTANTS, RUN_COLUMNS, connected, named, some
from mms_cli.failures import CliError, Exit, UsageError
from mms_cli.rows import writer
from mms_cli.terminal import Progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from mms_cli.client import Client
    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

QUESTIONS_A_SECOND: Final = 20
"""What the service is asked at most, however many users are waited for."""
FILING_SECONDS: Final = 900.0
"""Rows of a long list become requests some time after the list was taken; so long a missing one is not an error."""
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Awaited:
    """A user, and the run that is waited for; ``None`` is whatever is the newest."""

    identity: str
    correlation_id: str | None = None


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Wait; print each user's run when it is over."""
    users = named(arguments)
    if bool(users) is bool(arguments.from_csv):
        raise UsageError("name users, or a list with --from-csv")
    awaited = [Awaited(user) for user in users]
    if arguments.from_csv:
        with lists.opened(arguments.from_csv) as entries:
            good = {
                entry.identity: Awaited(entry.identity, entry.correlation_id) for entry in entries if not entry.problem
            }
        awaited = list(good.values())
        some(users or list(good))
    with connected(arguments, screen) as client:
        return wait_for(arguments, screen, client, awaited)


def wait_for(arguments: argparse.Namespace, screen: Screen, client: Client, awaited: Sequence[Awaited]) -> int:
    """Wait for runs, print each when it is over, and return the exit code."""
    out = writer(screen, arguments.output, columns=RUN_COLUMNS, names=FIELDS, instants=INSTANTS)
    watch = Watch(client, poll=arguments.poll)
    progress = Progress(screen, "users done", len(awaited))
    done: dict[str, int] = {}

    def over(row: Row) -> None:
        done[row["State"]] = done.get(row["State"], 0) + 1
        out.page([row])
        screen.out.flush()

    def lost(identity: str, error: CliError) -> None:
        done["unknown"] = done.get("unknown", 0) + 1
        screen.fail(CliError(f"{identity}: {error.message}", exit_code=error.exit_code, code=error.code))

    def moved(count: int, running: str) -> None:
        progress.show(count, running)

    timeout = None if arguments.timeout is None else arguments.timeout * 60
    left = watch.until_over(awaited, over=over, lost=lost, moved=moved, timeout=timeout)
    progress.close()
    out.end()
    if arguments.output == "table" and len(awaited) > 1:
        screen.note(", ".join(f"{count:,} {state}" for state, count in done.items()) or "None is over.")
    if left:
        raise CliError(
            f"{left:,} of {len(awaited):,} {'is' if left == 1 else 'are'} not over yet",
            exit_code=Exit.TIMED_OUT,
            remedy="Run mms wait again, or look with mms status.",
            code="TimedOut",
        )
    return Exit.SOME_FAILED if done.get("Failed") or done.get("unknown") else Exit.DONE


class Watch:
    """Looks at users' runs until they are over.

    Args:
        client: Of the service.
        poll: Seconds between two looks at one user, at least.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        client: Client,
        *,
        poll: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._poll = poll
        self._clock = clock
        self._sleep = sleep

    def until_over(
        self,
        awaited: Sequence[Awaited],
        *,
        over: Callable[[Row], None],
        lost: Callable[[str, CliError], None],
        moved: Callable[[int, str], None],
        timeout: float | None,
    ) -> int:
        """Return how many are not over when the time is up.

        Args:
            awaited: Whose runs.
            over: Is told each run that is over.
            lost: Is told for whom the service knows no run.
            moved: Is told how many are done, and who is looked at.
            timeout: In seconds; ``None`` waits for ever.

        Raises:
            CliError: The service does not answer.
        """
        started = self._clock()
        queue = [(started, number) for number in range(len(awaited))]
        heapq.heapify(queue)
        while queue:
            due, number = heapq.heappop(queue)
            now = self._clock()
            if timeout is not None and max(now, due) - started > timeout:
                return len(queue) + 1
            moved(len(awaited) - len(queue) - 1, awaited[number].identity)
            if due > now:
                self._sleep(due - now)
            try:
                row = self._look(awaited[number], is_new=self._clock() - started < FILING_SECONDS)
            except CliError as error:
                if error.status != _NOT_FOUND:
                    raise
                lost(awaited[number].identity, error)
                continue
            if row is not None and row["State"] in FINAL:
                over(row)
                moved(len(awaited) - len(queue), awaited[number].identity)
                continue
            pause = max(self._poll, (len(queue) + 1) / QUESTIONS_A_SECOND)
            heapq.heappush(queue, (self._clock() + pause, number))
        return 0

    def _look(self, wanted: Awaited, *, is_new: bool) -> Row | None:
        """Return the run that is waited for, or ``None`` while there is none to see."""
        if wanted.correlation_id is None:
            newest: dict[str, Any] = self._client.get(path("migrations", wanted.identity))
            return newest
        query = {"identity": wanted.identity, "top": str(PAGE)}
        rows: list[Row] = self._client.get("migrations", query)["value"]
        for row in rows:
            if row["CorrelationId"] == wanted.correlation_id:
                return row
        # It has joined another one, or its row is not written yet.
        if rows and (not is_new or rows[0]["State"] not in FINAL):
            return rows[0]
        if is_new:
            return None
        raise CliError(
            f"the service knows no run of {wanted.identity}",
            exit_code=Exit.REFUSED,
            remedy="Look at mms decisions.",
            code="NotFound",
            status=_NOT_FOUND,
        )
