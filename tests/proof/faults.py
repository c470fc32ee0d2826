"""``make faults``: every fault at every write of a mailbox with 25 meetings, by both routes; the tenant is the judge.

One line a case that went wrong, and the sums. Exit code 1 if anything was lost, doubled or damaged, or if a fault did
not happen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / each) for each in ("proof", "stateful", "functional", "unit"))]

import logging  # noqa: E402

from proof_faults import ANSWERS, KILLS, Case, play  # noqa: E402 - the path is set above
from proof_lab import Lab  # noqa: E402

MOST_WRITES = 40
"""More than the mailbox takes: a case that is not hit says that there is no such write."""
MOST_STORAGE_WRITES = 200


def all_cases(*, storage: bool) -> list[list[Case]]:
    """Every place where something can go wrong; each list is one fault at one write after another."""
    lists = [
        [Case(route, fault, write, of) for write in range(1, MOST_WRITES)]
        for route in "BA"
        for fault in (*ANSWERS, *KILLS)
        for of in ("PATCH", "createOrGet")
    ]
    if storage:
        lists += [
            [Case(route, fault, write, "storage") for write in range(1, MOST_STORAGE_WRITES)]
            for route in "BA"
            for fault in KILLS[:2]
        ]
    return lists


def campaign(lists: list[list[Case]]) -> list[dict[str, object]]:
    """Play lists of cases in a tenant of their own; each ends at the first write that there is not."""
    logging.disable(logging.CRITICAL)
    results: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        try:
            for cases in lists:
                for case in cases:
                    outcome = play(lab, case)
                    if not outcome.hit and not outcome.problems:
                        break
                    if outcome.problems:
                        sys.stderr.write(f"{case}: {outcome.problems}\n")
                    results.append({
                        "case": str(case), "route": case.route, "fault": case.fault, "of": case.of,
                        "meetings": outcome.meetings, "problems": outcome.problems,
                    })  # fmt: skip
        finally:
            lab.close()
    return results


def main() -> int:
    """Play all cases on two cores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--no-storage", action="store_true", help="leave out the kills at every write to storage")
    arguments = parser.parse_args()
    lists = all_cases(storage=not arguments.no_storage)
    shares = [lists[number :: arguments.processes] for number in range(arguments.processes)]
    began = time.monotonic()
    with ProcessPoolExecutor(arguments.processes) as pool:
        results = [result for share in pool.map(campaign, shares) for result in share]
    out = sys.stdout.write
    for result in results:
        if result["problems"]:
            out(json.dumps(result) + "\n")
    counts = Counter((str(each["route"]), str(each["fault"]), str(each["of"])) for each in results)
    wrong = Counter((str(each["route"]), str(each["fault"]), str(each["of"])) for each in results if each["problems"])
    for key in sorted(counts):
        out(f"route {key[0]}  {key[1]:40} {key[2]:12} {counts[key]:4} cases, {wrong[key]} wrong\n")
    total = sum(len(cases) > 0 for cases in lists)
    out(f"{len(results)} faults in {time.monotonic() - began:.0f} s, {sum(wrong.values())} with a problem\n")
    return 1 if wrong or len(counts) < total else 0


if __name__ == "__main__":
    sys.exit(main())
