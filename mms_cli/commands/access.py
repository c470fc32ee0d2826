"""``mms login`` and ``mms logout``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mms_cli import signin
from mms_cli.client import Client
from mms_cli.failures import Exit, UsageError
from mms_cli.profile import Profile, base_url, forget, save

if TYPE_CHECKING:
    import argparse

    from mms_cli.terminal import Screen


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
    if arguments.method or arguments.url:
        raise UsageError("--ready-file says where and how by itself")
    path = Path(arguments.ready_file).absolute()
    file = signin.ReadyFile(path, arguments.role)
    url = base_url(file.read()["api"])
    return Profile(url=url, method="ready-file", ready_file=str(path), role=arguments.role), file


def _entra(arguments: argparse.Namespace, screen: Screen) -> tuple[Profile, signin.Tokens]:
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
        raise UsageError("--scope is missing", remedy="It is api://<application id of the service>/.default")
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
