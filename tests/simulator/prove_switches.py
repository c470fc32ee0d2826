"""Do the tests of the switches show both positions of each? ``PYTHONPATH=. python tests/simulator/prove_switches.py``.

Every switch has a test ``test_switch_…`` of its name. Each is run with its switch frozen in the plain position, and
again frozen in the position that the test moves it to: a test that passes all the same does not look at the difference.
Switches whose other position is an address of the test's own are frozen in the plain position only.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mms_simulator.switches import Switches

if TYPE_CHECKING:
    from simulator_support import Tenant

_HERE = Path(__file__).parent
_OF_THE_TEST = frozenset({"eventsUrl", "policyDeniedUsers"})
"""Positions that a later run does not have."""
_PLAIN = msgspec.to_builtins(Switches())


def snake(name: str) -> str:
    """Write a switch's name as the name of its test holds it."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def switch_of(test: str) -> str | None:
    """Give the switch that a test is named after."""
    return next((name for name in _PLAIN if test == f"test_switch_{snake(name)}"), None)


async def freeze(tenant: "Tenant", name: str, how: str) -> None:
    """Hold a switch in its plain position, or in the first other one that a recorded run moved it to."""
    if how == "plain":
        tenant.frozen = {name: _PLAIN[name]}
    elif how == "moved":
        if name not in _OF_THE_TEST:
            tenant.frozen = {name: json.loads(_file(name).read_text())}
            await tenant.switch()
        else:
            tenant.frozen = {"blobMode": "neither"}  # no position at all: the first move is refused


def record(tenant: "Tenant", name: str) -> None:
    """Keep the first position, other than the plain one, that a test has moved its switch to."""
    moved = [each[name] for each in tenant.moves if name in each and each[name] != _PLAIN[name]]
    _file(name).write_text(json.dumps(moved[0] if moved else None))


def _file(name: str) -> Path:
    return Path(os.environ["SWITCH_PROOF_FILES"]) / f"{name}.json"


def _run(how: str, files: str) -> int:
    sys.stdout.write(f"{how}:\n")
    sys.stdout.flush()
    names = " or ".join(f"test_switch_{snake(name)}" for name in _PLAIN)
    command = [sys.executable, "-m", "pytest", "-q", str(_HERE), "-k", names]
    environment: dict[str, Any] = {**os.environ, "SWITCH_PROOF": how, "SWITCH_PROOF_FILES": files}
    return subprocess.run(command, env=environment, check=False).returncode


def main() -> int:
    """Run all three rounds; 0 when every test noticed."""
    with tempfile.TemporaryDirectory() as files:
        return max(_run(how, files) for how in ("record", "plain", "moved"))


if __name__ == "__main__":
    sys.exit(main())
