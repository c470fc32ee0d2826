"""The directory a stack lives in: its data, logs and secrets, one stack at a time."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import uuid
from pathlib import Path
from typing import IO, Any, Final

from mms_local.ports import free_ports, is_free

RUNS: Final = Path(".mms") / "runs"
_KEPT_RUNS: Final = 5
_DATA: Final = ("storage", "tenant", "host")


class WorkplaceError(Exception):
    """Another stack works there."""


class Workplace:
    """A locked directory.

    Args:
        root: Given by the user: kept with everything in it. ``None``: a new one under :data:`RUNS` in the current
            directory, of which only the logs outlive the stack.
        in_memory: Whether storage and tenant keep their data in memory.
        tenant_id: For a workplace that has none yet; a random one by default.

    Errors: :class:`WorkplaceError`.
    """

    def __init__(self, root: Path | None, *, in_memory: bool) -> None:
        self._is_own = root is None
        if root is None:
            _forget_old_runs()
            root = RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self.root = root.resolve()
        self.logs = self.root / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.root)
        if self._lock is None:
            raise WorkplaceError(f"another stack is running in {self.root}: stop it, or choose another --data")
        self.storage = None if in_memory else self._directory("storage")
        self.tenant = None if in_memory else self._directory("tenant")
        self.host = None if in_memory else self._directory("host")
        self.secrets = self._secrets()

    def log(self, name: str) -> Path:
        """Return the log file of part *name*, emptied."""
        path = self.logs / f"{name}.log"
        path.write_bytes(b"")
        return path

    def ports(self, *names: str) -> dict[str, int]:
        """Return a port for each name: the one it had here before if that is free, else any.

        Addresses that others keep, such as those of webhooks, then survive a restart of the whole stack.
        """
        path = self.root / "ports.json"
        before: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        fresh = dict(zip(names, free_ports(len(names)), strict=True))
        ports = {name: before[name] if name in before and is_free(before[name]) else fresh[name] for name in names}
        path.write_text(json.dumps(ports), encoding="utf-8")
        return ports

    def close(self) -> None:
        """Let go of the directory; what is our own of it is removed, but for the logs."""
        if self._is_own:
            for name in _DATA:
                shutil.rmtree(self.root / name, ignore_errors=True)
            for path in self.root.iterdir():
                if path.is_file():
                    path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def _directory(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(exist_ok=True)
        return path

    def _secrets(self) -> dict[str, str]:
        """What webhooks repeat to us must be the same after a restart."""
        path = self.root / "secrets.json"
        if path.exists():
            known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
            return known
        fresh = {
            "clientState": secrets.token_urlsafe(32),
            "activityAuthId": str(uuid.uuid4()),
            "tenantId": str(uuid.uuid4()),
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(fresh), encoding="utf-8")
        return fresh


def write_atomically(path: Path, document: Any) -> None:
    """Replace *path* by *document* as JSON; readers see the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def _lock(root: Path) -> IO[str] | None:
    """Return the open, locked file, or ``None`` when another process holds it."""
    file = (root / "lock").open("w", encoding="ascii")
    try:
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except OSError:
        file.close()
        return None
    return file


def _forget_old_runs() -> None:
    """Remove all but the newest few runs that nobody works in."""
    runs = sorted((path for path in RUNS.glob("*") if path.is_dir()), reverse=True)
    for path in runs[_KEPT_RUNS - 1 :]:
        lock = _lock(path)
        if lock is not None:
            lock.close()
            shutil.rmtree(path, ignore_errors=True)
