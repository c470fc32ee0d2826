"""``make mailboxes``: thousands of generated mailboxes, each migrated, looked at again and undone; the tenant judges.

The same examples every time: they follow from ``--seed``, and it is always the same time in the tenant. Exit code 1 if
anything was not as the oracle says; such a mailbox is shown.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / each) for each in ("proof", "stateful", "functional", "unit"))]

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402 - the path is set above
from proof_generated import mailboxes  # noqa: E402
from proof_judged import judged  # noqa: E402
from proof_lab import Lab  # noqa: E402

SHARE = 250
"""Mailboxes for one tenant; then a new one is started, and one line is shown."""


def judge_some(number, examples):
    """Judge some mailboxes in a tenant of their own; gives the sums, and each mailbox that went wrong."""
    logging.disable(logging.CRITICAL)
    sums, wrong = Counter(), []
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(Path(directory))

        @seed(number)
        @settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )  # fmt: skip
        @given(drawn=mailboxes)
        def each(drawn):
            try:
                found = judged(lab, drawn)
            except Exception as exc:  # noqa: BLE001 - it is what the campaign looks for; the next one has other users
                wrong.append((drawn, [f"{type(exc).__name__}: {exc}"]))
                return
            if found.problems:
                wrong.append((drawn, found.problems))
            sums.update({
                "mailboxes": 1, "mails": found.mails, "undone": found.undone, "refused because edited": found.refused
            })  # fmt: skip
            sums.update({f"duty {name}": count for name, count in found.duties.items()})
            sums.update({f"kind {name}": count for name, count in found.kinds.items()})

        try:
            each()
        finally:
            lab.close()
    sums["problems"] = len(wrong)
    return sums, wrong


def say(line):
    """Show a line at once, also where the output is a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Judge them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    began, total = time.monotonic(), Counter()
    shares = -(-arguments.mailboxes // SHARE)
    with ProcessPoolExecutor(arguments.processes, max_tasks_per_child=1) as pool:
        jobs = [
            pool.submit(judge_some, arguments.seed * 1000 + number, min(SHARE, arguments.mailboxes - number * SHARE))
            for number in range(shares)
        ]
        for number, job in enumerate(as_completed(jobs), 1):
            sums, wrong = job.result()
            total += sums
            say(f"[{number}/{shares}, {time.monotonic() - began:.0f} s] {sums['mailboxes']} mailboxes, "
                f"{sum(count for name, count in sums.items() if name.startswith('duty'))} items")  # fmt: skip
            for drawn, problems in wrong:
                say("\n    ".join([f"  {json.dumps(drawn, ensure_ascii=False)}", *problems]))
    judged_items = sum(count for name, count in total.items() if name.startswith("duty"))
    say("")
    for name in sorted(total):
        say(f"{name}: {total[name]}")
    say(f"{total['mailboxes']} mailboxes, {judged_items} items judged, {total['problems']} problems, "
        f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return 1 if total["problems"] or not judged_items else 0


if __name__ == "__main__":
    sys.exit(main())
