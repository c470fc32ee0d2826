"""Build what is deployed: ``python infra/package.py dist/mms.zip``.

The files are those that ``.funcignore`` lets through, each with the same time and in the same order, so that the same
sources give the same bytes. The libraries are not in it: Flex Consumption installs requirements.txt on its side
(a remote build), for the platform that runs it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).resolve().parent.parent
_WHEN: Final = (2026, 1, 1, 0, 0, 0)


def files(root: Path) -> list[Path]:
    """Return what ``.funcignore`` lets through, sorted. Git reads that file's rules, which are those of .gitignore."""
    command = ["git", "ls-files", "--cached", "--others", "--ignored", f"--exclude-from={root / '.funcignore'}", "-z"]
    known = _listed(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], root)
    left_out = set(_listed(command, root))
    return sorted(each for each in known if each not in left_out and (root / each).is_file())


def _listed(command: list[str], root: Path) -> list[Path]:
    answer = subprocess.run(command, cwd=root, check=True, capture_output=True)
    return [Path(each.decode()) for each in answer.stdout.split(b"\0") if each]


def build(root: Path, target: Path, names: Iterable[Path]) -> None:
    """Write *names* into the archive *target*."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for each in names:
            entry = zipfile.ZipInfo(each.as_posix(), _WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (root / each).read_bytes())


def main(target: str) -> int:
    """Build and say what was built."""
    names, path = files(ROOT), Path(target)
    build(ROOT, path, names)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}: {len(names)} files, {path.stat().st_size:,} bytes, sha256 {digest}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
