"""Where the service is and how to sign in there: what ``mms login`` remembers. Never a token."""

from __future__ import annotations

import ipaddress
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from mms_cli.failures import UsageError

Method = Literal["browser", "device-code", "managed-identity", "environment", "azure-cli", "ready-file"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One sign-in."""

    url: str
    """Of the app's routes, ``/api`` included."""
    method: Method
    scope: str = ""
    tenant_id: str | None = None
    client_id: str | None = None
    """Of the application that signs people in, or of the managed identity."""
    authority: str | None = None
    """Host of the sign-in service, for national clouds."""
    record: str | None = None
    """Who signed in (azure-identity's AuthenticationRecord: names and ids, no secret)."""
    ready_file: str | None = None
    role: str = "operator"
    """Which of the ready file's tokens."""


def directory() -> Path:
    """Return where profiles are kept: ``MMS_CONFIG_DIR``, or the system's place for it."""
    if given := os.environ.get("MMS_CONFIG_DIR"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home()) / "mms"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mms"


def _path() -> Path:
    return directory() / "profile.json"


def load() -> Profile | None:
    """Read the profile; ``None`` where nobody has signed in.

    Raises:
        UsageError: The file is there and cannot be read.
    """
    try:
        stored: dict[str, Any] = json.loads(_path().read_text(encoding="utf-8"))
        names = {each.name for each in fields(Profile)}
        profile = Profile(**{name: value for name, value in stored.items() if name in names})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{_path()} cannot be read ({type(error).__name__})", remedy="Run mms login again.") from None
    if profile.method not in METHODS:
        raise UsageError(f"{_path()} is of another version", remedy="Run mms login again.")
    return profile


def save(profile: Profile) -> Path:
    """Write the profile, readable by its owner only, in one step."""
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({name: value for name, value in asdict(profile).items() if value is not None}, file, indent=2)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def forget() -> bool:
    """Delete the profile; says whether there was one."""
    try:
        _path().unlink()
    except FileNotFoundError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def base_url(text: str) -> str:
    """Return the address of the app's routes: ``https://app.azurewebsites.net`` becomes ``.../api``.

    Raises:
        UsageError: It is no address, or a token would travel unencrypted.
    """
    parts = urlsplit(text.strip())
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise UsageError(f"{text!r} is no address such as https://contoso-mms.azurewebsites.net")
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"{text!r} is not encrypted, and a token would travel with it", remedy="Use https.")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/api') else path + '/api'}"
