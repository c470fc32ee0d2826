"""Run schemathesis against a stack of its own, from the description that the stack serves.

``python tests/schemas/campaign.py --cases 10000`` is the long profile (``make schemas``); a test runs the short one.
Exits non-zero for a failure, an error, or fewer cases than were asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
AUTH_ID = "the-activity-feed-of-these-tests"


def started(directory: Path) -> tuple[subprocess.Popen[bytes], dict]:
    """Start a stack whose activity feed's auth id is known."""
    ready = directory / "ready.json"
    command = [
        sys.executable, "-m", "mms_local", "up", "--empty", "--settle-seconds", "600",
        "--data", str(directory / "data"), "--ready-file", str(ready), "--set", f"MMS_ACTIVITY_AUTH_ID={AUTH_ID}",
    ]  # fmt: skip
    with (directory / "up.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 90
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((directory / "up.log").read_text()[-4000:])
        time.sleep(0.1)
    return process, json.loads(ready.read_text())


def run(api: str, operator: str, *options: str, auth_id: str = AUTH_ID) -> tuple[int, str]:
    """Run schemathesis; gives its exit code and what it printed."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file", str(Path(__file__).with_name("schemathesis.toml")),
            "run", f"{api}/openapi.json", "--url", api, *options,
        ],
        cwd=tempfile.gettempdir(),
        env={**os.environ, "MMS_OPERATOR": operator, "MMS_AUTH_ID": auth_id, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def cases_of(output: str) -> int:
    """How many cases schemathesis says it has run."""
    found = re.search(r"(\d[\d,]*) generated", output)
    return int(found[1].replace(",", "")) if found else 0


def main() -> int:
    """Run the long profile; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="least number of cases")
    parser.add_argument("--examples", type=int, default=400, help="most examples of an operation, a phase")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        process, ready = started(Path(directory))
        try:
            begun = time.monotonic()
            code, output = run(
                ready["api"],
                ready["tokens"]["operator"],
                *("--max-examples", str(arguments.examples), "--seed", str(arguments.seed)),
                *("--workers", str(arguments.workers)),
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    sys.stdout.write(f"{output}\n")
    cases = cases_of(output)
    sys.stdout.write(f"{cases} cases in {time.monotonic() - begun:.0f} s, exit code {code}\n")
    if cases < arguments.cases:
        sys.stdout.write(f"fewer than {arguments.cases}\n")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
