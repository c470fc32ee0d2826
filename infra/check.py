"""What ``make check`` asks of the deployment's files: ``python infra/check.py``.

- Every Bicep file is read by a parser that is not Azure's.
- host.json and local.settings.example.json conform to infra/schemas.
- requirements*.txt hold exactly the versions that pyproject.toml asks for, each with its hashes.
- Every package that is deployed has a licence that the project can live with.

Prints one line a finding and ends with 1 if there is any.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jsonschema
import pycep

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_COMPILED: Final = {
    "requirements.txt": ("pyproject.toml",),
    "requirements-dev.txt": (
        *("--extra", "dev", "-c", "requirements.txt"),
        *("--no-emit-package", "meeting-migration-service", "pyproject.toml"),
    ),
    "requirements-audit.txt": ("--group", "audit"),
}
"""What ``make lock`` compiles, and from what."""
_GOOD_LICENCES: Final = re.compile(r"\b(MIT|MIT-0|Apache|BSD|ISC|PSF|Python Software Foundation|MPL|Mozilla)\b")
_SAID_ELSEWHERE: Final[dict[str, str]] = {}
"""Packages whose metadata name no licence, and what their sources say."""


def bicep(root: Path) -> Iterator[str]:
    """Yield what the parser cannot read."""
    files = sorted((root / "infra").rglob("*.bicep"))
    if not files:
        yield "infra: there is no Bicep at all"
    for each in files:
        try:
            pycep.BicepParser().parse(text=each.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001 - whatever the parser raises is the finding
            yield f"{each.relative_to(root)}: {type(error).__name__}: {str(error).splitlines()[0]}"


def schemas(root: Path) -> Iterator[str]:
    """Yield where host.json and the example settings leave their schemas."""
    pairs = (("host.json", "host.schema.json"), ("local.settings.example.json", "local.settings.schema.json"))
    for name, schema in pairs:
        rules = json.loads((root / "infra" / "schemas" / schema).read_text(encoding="utf-8"))
        content = json.loads((root / name).read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(rules)
        validator = jsonschema.Draft202012Validator(
            rules, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        for error in validator.iter_errors(content):
            yield f"{name}: {error.json_path}: {error.message}"


def requirements(root: Path) -> Iterator[str]:
    """Yield where the compiled requirements are not what pyproject.toml gives, or lack a hash."""
    with tempfile.TemporaryDirectory() as directory:
        for name, arguments in _COMPILED.items():
            kept = (root / name).read_text(encoding="utf-8")
            # Compiling over a copy keeps the versions that still fit: only a real difference shows.
            fresh = Path(directory) / name
            fresh.write_text(kept, encoding="utf-8")
            fixed = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate")
            command = [sys.executable, "-m", "uv", "pip", "compile", "-q", *fixed, *arguments, "-o", str(fresh)]
            subprocess.run(command, cwd=root, check=True)
            want, have = dict(_PINNED.findall(fresh.read_text(encoding="utf-8"))), dict(_PINNED.findall(kept))
            for package in sorted(want.keys() | have.keys()):
                if want.get(package) != have.get(package):
                    yield f"{name}: {package} is {have.get(package)}, make lock gives {want.get(package)}"
            for entry in re.split(r"\n(?=\S)", kept.strip()):
                if "--hash=sha256:" not in entry:
                    yield f"{name}: {entry.split()[0]} has no hash"


def licences(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and licence of each package that is deployed and installed here."""
    for name, version in _PINNED.findall((root / "requirements.txt").read_text(encoding="utf-8")):
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform or Python
        classifiers = [
            each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or () if each.startswith("License")
        ]
        named = (each for key in ("License-Expression", "License") for each in about.get_all(key) or ())
        said = " ".join(classifiers) or next(named, "").strip()
        yield name, version, _SAID_ELSEWHERE.get(name, said.splitlines()[0] if said else "")


def bad_licences(root: Path) -> Iterator[str]:
    """Yield the packages whose licence nobody has looked at, or that the list leaves out."""
    page = (root / "docs" / "licences.md").read_text(encoding="utf-8")
    for name, version, licence in licences(root):
        if f"| {name} | {version} | {licence} |" not in page:
            yield f"docs/licences.md: {name} {version} is not in it as it is, make sbom writes it"
        if not _GOOD_LICENCES.search(licence):
            yield f"requirements.txt: {name} has the licence {licence or 'nobody knows'!r}"


def main() -> int:
    """Print the findings. Gives 1 if there are any."""
    findings = [*bicep(ROOT), *schemas(ROOT), *requirements(ROOT), *bad_licences(ROOT)]
    for each in findings:
        print(each)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
