"""One package for all tests that deploy it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The built package, unpacked, and an environment with its requirements and nothing else."""
    directory = tmp_path_factory.mktemp("package")
    archive = directory / "mms.zip"
    subprocess.run([sys.executable, "infra/package.py", str(archive)], cwd=ROOT, check=True)
    app = directory / "app"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(app)
    python = directory / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory / "environment")], check=True)
    uv = [sys.executable, "-m", "uv", "pip", "sync", "-q", "--require-hashes", "--python", str(python)]
    subprocess.run([*uv, str(app / "requirements.txt")], check=True)
    return archive, app, python
