"""How far a long list has been sent: a small file beside it, so that the next try goes on instead of starting over.

It is written before a batch is sent, with the batch's ``Idempotency-Key``, and again when its answer has come. Whatever
is interrupted when, the same rows go out with the same key, and the service does nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mms_cli.failures import UsageError

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in a list, and what became of the rows before it."""

    options: str
    """Digest of what every row is asked for."""
    rows: int = 0
    """Rows that have been answered, or cannot be sent."""
    digest: str = ""
    """Of the file up to there: who changes the part that was sent starts over."""
    failed: int = 0
    key: str = ""
    """Of the batch that is under way."""


def fingerprint(options: dict[str, Any]) -> str:
    """Return a digest of what is asked for."""
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()


def _mark(stored: dict[str, Any]) -> Mark:
    if stored.pop("version") != _VERSION:
        raise ValueError
    return Mark(**stored)


class ProgressFile:
    """The file beside a list."""

    def __init__(self, list_name: str) -> None:
        self.path = Path(f"{list_name}.mms-progress")

    def load(self) -> Mark | None:
        """Return the mark of an unfinished try, ``None`` where there is none.

        Raises:
            UsageError: The file is there and cannot be understood.
        """
        try:
            return _mark(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise UsageError(f"{self.path} cannot be understood", remedy="Start over with --restart.") from None

    def save(self, mark: Mark) -> None:
        """Write the mark, in one step.

        Raises:
            UsageError: The directory cannot be written to.
        """
        try:
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"version": _VERSION, **asdict(mark)}, file)
            Path(name).replace(self.path)
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written: {error.strerror}",
                remedy="Copy the list to a place where it can, or send it without with --no-resume.",
            ) from None

    def forget(self) -> None:
        """Delete it: all is sent."""
        self.path.unlink(missing_ok=True)


class NoProgressFile(ProgressFile):
    """For lists that cannot be read twice."""

    def __init__(self) -> None:
        super().__init__("-")

    def load(self) -> Mark | None:
        """Return ``None``."""
        return None

    def save(self, mark: Mark) -> None:
        """Keep nothing."""

    def forget(self) -> None:
        """Nothing was kept."""


def sent(mark: Mark, *, rows: int, digest: str, failed: int) -> Mark:
    """Return the mark after a batch was answered."""
    return replace(mark, rows=mark.rows + rows, digest=digest, failed=mark.failed + failed, key="")
