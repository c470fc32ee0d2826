"""``make faults``: every fault at every write of a mailbox with 25 meetings, by both routes; the tenant is the judge.

First in this process, where time passes at once: what Graph answers, or does not, and a worker that dies, at each write
to a calendar, to Teams and to storage. Then on the real stack, whose host is killed at each write. One line for each
fault as it is done, and the sums. Exit code 1 if anything was lost, doubled or damaged, or if a fault did not happen.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import util
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / each) for each in ("proof", "stateful", "functional", "unit"))]

from proof_faults import ANSWERS, KILLS, Case, play  # noqa: E402 - the path is set above
from proof_kills import MOMENTS, WRITES, kill_at_every_write  # noqa: E402
from proof_lab import Lab  # noqa: E402

MOST_WRITES = 1000
"""Far more than the mailbox takes: the first write that is not reached ends a list."""
STRIDES = 5
"""The writes to storage are many: so many lists for each fault, one process may have several."""


@dataclass(frozen=True)
class Column:
    """One fault, at one write after another."""

    route: str
    fault: str
    of: str
    first: int = 1
    step: int = 1

    def cases(self):
        """Give them in order."""
        return (Case(self.route, self.fault, write, self.of) for write in range(self.first, MOST_WRITES, self.step))


@dataclass
class Found:
    """What the cases of a column came to."""

    cases: int = 0
    meetings: int = 0
    problems: list[str] = field(default_factory=list)

    def __iadd__(self, other):
        self.cases += other.cases
        self.meetings += other.meetings
        self.problems += other.problems
        return self


def all_columns():
    """Every place where something can go wrong."""
    columns = [
        Column(route, fault, of)
        for route in "BA"
        for fault in (*ANSWERS, *KILLS)
        for of in ("PATCH", "createOrGet")
    ]  # fmt: skip
    strides = [
        Column(route, fault, "storage", first, STRIDES)
        for route in "BA"
        for fault in KILLS[:2]
        for first in range(1, STRIDES + 1)
    ]
    return [*strides, *columns]  # the longest first: so both cores end together


_lab = []


def _prepare():
    """Give this process a tenant of its own."""
    logging.disable(logging.CRITICAL)
    directory = tempfile.TemporaryDirectory()
    _lab.append(Lab(Path(directory.name)))
    # A process of a pool runs these when it ends, and no atexit.
    util.Finalize(None, directory.cleanup, exitpriority=1)
    util.Finalize(None, _lab[0].close, exitpriority=2)


def play_column(column):
    """Play the cases of a column up to the first write that there is not."""
    found = Found()
    for case in column.cases():
        try:
            outcome = play(_lab[0], case)
        except Exception as exc:  # noqa: BLE001 - it is what the campaign looks for; the next case has another user
            found.cases += 1
            found.problems.append(f"{case}: {type(exc).__name__}: {exc}")
            continue
        if not outcome.hit and not outcome.problems:
            break
        found.cases += 1
        found.meetings += outcome.meetings
        found.problems += [f"{case}: {each}" for each in outcome.problems]
    return found


def play_all(columns, processes):
    """Play all columns side by side, and say of each what it came to as soon as it is known."""
    began, results = time.monotonic(), {}
    with ProcessPoolExecutor(processes, initializer=_prepare) as pool:
        jobs = {pool.submit(play_column, column): column for column in columns}
        for number, job in enumerate(as_completed(jobs), 1):
            column, found = jobs[job], job.result()
            key = (column.route, column.fault, column.of)
            results.setdefault(key, Found()).__iadd__(found)
            say(
                f"[{number}/{len(jobs)}, {time.monotonic() - began:.0f} s] route {column.route}, {column.fault}, "
                f"{column.of}: {found.cases} cases, {len(found.problems)} problems"
            )
            for problem in found.problems:
                say(f"    {problem}")
    return results


def say(line):
    """Show a line at once, also where the output is a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Play everything, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=9, help="mailboxes for each kill of the real stack's host")
    arguments = parser.parse_args()
    began = time.monotonic()
    results = play_all(all_columns(), arguments.processes)
    killed = kill_at_every_write(say, at_once=arguments.at_once)
    say("\n| fault | at each | route B | route A |\n|---|---|---|---|")
    for fault in (*ANSWERS, *KILLS):
        for of in ("PATCH", "createOrGet", "storage"):
            if ("B", fault, of) in results:
                cells = " | ".join(_cell(results[route, fault, of]) for route in "BA")
                say(f"| {fault} | {of} | {cells} |")
    for moment in MOMENTS:
        here = [each for each in killed if each.moment == moment.name]
        bad = sum(len(each.problems) for each in here)
        say(f"| real stack, {moment.name} | {len(here)} of {WRITES} writes | {bad} problems | |")
    total = Found(
        cases=len(killed),
        meetings=sum(each.meetings for each in killed),
        problems=[problem for each in killed for problem in each.problems],
    )
    for found in results.values():
        total += found
    say(
        f"\n{total.cases} faults, {total.meetings} meetings, {len(total.problems)} problems, "
        f"{time.monotonic() - began:.0f} s"
    )
    never = [key for key, found in results.items() if not found.cases]
    for key in never:
        say(f"never happened: {key}")
    return 1 if total.problems or never else 0


def _cell(found):
    return f"{found.cases}" + (f", {len(found.problems)} problems" if found.problems else "")


if __name__ == "__main__":
    sys.exit(main())
