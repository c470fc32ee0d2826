"""``mms login`` and ``mms logout``."""

from __future__ import annotations

import os
import shutil
import subprocess  # nosec B404
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mms_cli import signin
from mms_cli.client import Client
from mms_cli.failures import Exit, UsageError
from mms_cli.profile import Profile, base_url, forget, save

if TYPE_CHECKING:
    import argparse

    from mms_cli.terminal import Screen


_AUTHORITIES: Final = {
    "usgov": "login.microsoftonline.us",
    "usdod": "login.microsoftonline.us",
    "china": "login.partner.microsoftonline.cn",
}
"""Where national clouds sign in, by the name that ``MMS_CLOUD`` has."""


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Sign in or out."""
    if arguments.command == "logout":
        was = forget()
        screen.note("The sign-in is forgotten." if was else "Nobody was signed in.")
        return Exit.DONE
    return _login(arguments, screen)


def _login(arguments: argparse.Namespace, screen: Screen) -> int:
    tokens: signin.Tokens
    if arguments.ready_file:
        profile, tokens = _local(arguments)
    else:
        profile, tokens = _entra(arguments, screen)
    with Client(profile.url, tokens) as client:
        # Proves the address, the token and the role before anything is remembered.
        client.get("migrations", {"summaryOnly": "true"})
    path = save(profile)
    screen.note(f"Signed in to {profile.url}, remembered in {path}.")
    if os.environ.get("MMS_TOKEN"):
        screen.warn("MMS_TOKEN is set and goes before this sign-in")
    return Exit.DONE


def _local(arguments: argparse.Namespace) -> tuple[Profile, signin.Tokens]:
    if arguments.method or arguments.url or arguments.origin:
        raise UsageError("--ready-file says where and how by itself")
    path = Path(arguments.ready_file).absolute()
    file = signin.ReadyFile(path, arguments.role)
    url = base_url(file.read()["api"])
    return Profile(url=url, method="ready-file", ready_file=str(path), role=arguments.role), file


def _azd() -> dict[str, str]:
    """Return what azd knows of its environment.

    Raises:
        UsageError: azd is not there, or knows no environment here.
    """
    found = shutil.which("azd")
    if found is None:
        raise UsageError("azd is not installed here", remedy="Give --url, --tenant-id, --client-id and --scope.")
    # Our own arguments, and no shell; azd is where the PATH says, like everything that an administrator runs.
    command = [found, "env", "get-values"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    values = {name.strip(): value.strip().strip('"') for name, _, value in pairs}
    missing = [name for name in ("MMS_URL", "AZURE_TENANT_ID", "MMS_API_AUDIENCE") if not values.get(name)]
    if done.returncode or missing:
        raise UsageError(
            f"azd knows no {', '.join(missing) or 'environment'}",
            remedy="Run azd provision and infra/rights/rights.py register --azd, and this in the same directory.",
        )
    return values


def _take_from_azd(arguments: argparse.Namespace) -> None:
    """Fill in what the command line does not say."""
    values = _azd()
    audience = values["MMS_API_AUDIENCE"]
    arguments.url = arguments.url or values["MMS_URL"]
    arguments.tenant_id = arguments.tenant_id or values["AZURE_TENANT_ID"]
    arguments.scope = arguments.scope or f"{audience}/.default"
    arguments.authority = arguments.authority or _AUTHORITIES.get(values.get("MMS_CLOUD", ""))
    if arguments.method in (None, "browser", "device-code"):
        # The registration of the API signs people in as well.
        arguments.client_id = arguments.client_id or audience


def _entra(arguments: argparse.Namespace, screen: Screen) -> tuple[Profile, signin.Tokens]:
    if arguments.origin:
        _take_from_azd(arguments)
    address = arguments.url or os.environ.get("MMS_URL")
    if not address:
        raise UsageError("--url is missing", remedy="mms login --url https://contoso-mms.azurewebsites.net ...")
    profile = Profile(
        url=base_url(address),
        method=arguments.method or "browser",
        scope=arguments.scope or "",
        tenant_id=arguments.tenant_id,
        client_id=arguments.client_id,
        authority=arguments.authority,
    )
    if not profile.scope:
        raise UsageError("--scope is missing", remedy="It is the application id of the service, then /.default")
    asks_person = profile.method in ("browser", "device-code")
    if asks_person and not (profile.tenant_id and profile.client_id):
        raise UsageError(f"the method {profile.method} needs --tenant-id and --client-id")
    signin.check_interactive(profile, is_terminal=screen.is_interactive)

    def prompt(url: str, code: str, _: Any) -> None:
        screen.note(f"To sign in, open {url} and type the code {code}")

    credential = signin.credential(profile, prompt=prompt, interactive=True)
    if asks_person:
        record = signin.ask_entra(lambda: credential.authenticate(scopes=[profile.scope]))
        profile = replace(profile, record=record.serialize())
        if not signin.has_keyring():
            screen.warn("this system has no encrypted store for tokens: every command will sign in anew")
    return profile, signin.EntraTokens(credential, profile.scope)
