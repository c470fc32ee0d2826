"""Tokens: from the environment, from the ready file of a local stack, or from Entra ID by azure-identity.

A token is never written anywhere by us. azure-identity keeps people's sign-ins in the system's own encrypted store
(DPAPI, Keychain, libsecret) where there is one; where there is none, nothing is kept.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mms_cli.failures import CliError, Exit, NotSignedIn, UsageError
from mms_cli.profile import Profile, base_url, load

if TYPE_CHECKING:
    from collections.abc import Callable

_RENEW_BEFORE_SECONDS: Final = 120
LOGIN: Final = "Run mms login, or set MMS_URL and MMS_TOKEN."
CACHE_NAME: Final = "mms"


class Tokens(Protocol):
    """Gives a bearer token for each request."""

    def token(self, *, anew: bool = False) -> str:
        """Return a token that is valid now; *anew* after the service has refused the last one."""
        ...


class GivenToken:
    """A token that somebody else has got."""

    def __init__(self, text: str) -> None:
        self._text = text

    def token(self, *, anew: bool = False) -> str:
        """Return it."""
        del anew
        return self._text


class ReadyFile:
    """The ready file of a local stack; it is written anew when a part of the stack was restarted."""

    def __init__(self, path: Path, role: str) -> None:
        self._path = path
        self._role = role
        self._text = ""

    def read(self) -> dict[str, Any]:
        """Return what is in the file.

        Raises:
            UsageError: It is not there, or not a ready file.
        """
        try:
            ready: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            is_complete = isinstance(ready["api"], str) and isinstance(ready["tokens"][self._role], str)
        except FileNotFoundError:
            raise UsageError(f"there is no {self._path}", remedy="Start the stack: make run.") from None
        except (OSError, ValueError, KeyError, TypeError):
            is_complete = False
        if not is_complete:
            raise UsageError(f"{self._path} is not a ready file with a token for {self._role}")
        return ready

    def token(self, *, anew: bool = False) -> str:
        """Return the file's token."""
        if anew or not self._text:
            self._text = self.read()["tokens"][self._role]
        return self._text


class EntraTokens:
    """Tokens of Entra ID, renewed before they expire."""

    def __init__(self, credential: Any, scope: str) -> None:
        self._credential = credential
        self._scope = scope
        self._text = ""
        self._expires_on = 0.0

    def token(self, *, anew: bool = False) -> str:
        """Return a token. Raises ``NotSignedIn``."""
        if anew or time.time() > self._expires_on - _RENEW_BEFORE_SECONDS:
            got = ask_entra(lambda: self._credential.get_token(self._scope))
            self._text, self._expires_on = got.token, got.expires_on
        return self._text


def ask_entra(call: Callable[[], Any]) -> Any:
    """Call azure-identity; its failures become ours, cut to their first line.

    Raises:
        NotSignedIn: It did not work out.
    """
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - costs 100 ms

    # Its warnings repeat what the error says, in the middle of our output.
    for name in ("azure", "msal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return call()
    except AzureError as error:
        first = (error.message or type(error).__name__).strip().splitlines()[0]
        raise NotSignedIn(f"Entra ID gave no token: {first}", remedy=LOGIN) from None


def has_keyring() -> bool:
    """Say whether this system has an encrypted store for tokens."""
    import msal_extensions  # type: ignore[import-untyped]  # noqa: PLC0415 - only people who sign in need it

    # The same three stores that azure-identity would take.
    try:
        if os.name == "nt":
            return bool(os.environ.get("LOCALAPPDATA"))
        if os.uname().sysname == "Darwin":
            return True
        place = Path.home() / ".IdentityService" / f"{CACHE_NAME}.probe"
        msal_extensions.LibsecretPersistence(str(place), CACHE_NAME, {"MsalClientID": "mms.probe"}, label="mms")
    except Exception:  # noqa: BLE001 - a missing library, bus, keyring: whatever it is, there is no store
        return False
    return True


def credential(
    profile: Profile, *, prompt: Callable[[str, str, Any], None], interactive: bool, transport: Any = None
) -> Any:
    """Return azure-identity's credential for a profile.

    Args:
        profile: With the method.
        prompt: Is told where to type which code.
        interactive: May ask the person.
        transport: Of azure-core; tests bring their own.
    """
    import azure.identity as entra  # noqa: PLC0415 - costs 200 ms

    common: dict[str, Any] = {"transport": transport, "disable_instance_discovery": True} if transport else {}
    if profile.authority:
        common["authority"] = profile.authority
    if profile.method == "managed-identity":
        return entra.ManagedIdentityCredential(client_id=profile.client_id, **common)
    if profile.method == "environment":
        return entra.EnvironmentCredential(**common)
    if profile.method == "azure-cli":
        return entra.AzureCliCredential(tenant_id=profile.tenant_id or "")
    common["tenant_id"] = profile.tenant_id
    common["client_id"] = profile.client_id
    common["disable_automatic_authentication"] = not interactive
    if has_keyring():
        common["cache_persistence_options"] = entra.TokenCachePersistenceOptions(name=CACHE_NAME)
    if profile.record:
        common["authentication_record"] = entra.AuthenticationRecord.deserialize(profile.record)
    if profile.method == "device-code":
        return entra.DeviceCodeCredential(prompt_callback=prompt, **common)
    return entra.InteractiveBrowserCredential(**common)


def connection(url: str | None, *, prompt: Callable[[str, str, Any], None], interactive: bool) -> tuple[str, Tokens]:
    """Return the service's address and where tokens for it come from.

    A token is only ever sent to the address it was got for.

    Raises:
        NotSignedIn: One of them is missing.
        UsageError: The address is none.
    """
    wanted = url or os.environ.get("MMS_URL")
    profile = load()
    token = os.environ.get("MMS_TOKEN")
    if token:
        address = wanted or (profile.url if profile else None)
        if not address:
            raise NotSignedIn("MMS_TOKEN is set, but no address", remedy="Set MMS_URL.")
        return base_url(address), GivenToken(token.strip())
    if profile is None:
        raise NotSignedIn("nobody is signed in", remedy=LOGIN)
    address = base_url(wanted or profile.url)
    if profile.method == "ready-file":
        file = ReadyFile(Path(profile.ready_file or ""), profile.role)
        now = base_url(file.read()["api"])
        if wanted and now != address:
            raise NotSignedIn(f"the sign-in is for {now}, not for {address}", remedy=LOGIN)
        return now, file
    if address != profile.url:
        raise NotSignedIn(f"the sign-in is for {profile.url}, not for {address}", remedy=LOGIN)
    return address, EntraTokens(credential(profile, prompt=prompt, interactive=interactive), profile.scope)


def check_interactive(profile: Profile, *, is_terminal: bool) -> None:
    """Refuse to ask a person where there is none.

    Raises:
        CliError: The method needs somebody at a terminal.
    """
    if profile.method in ("browser", "device-code") and not is_terminal:
        raise CliError(
            f"the method {profile.method} asks a person, and there is no terminal",
            exit_code=Exit.NO_ACCESS,
            remedy="Use --method managed-identity, environment or azure-cli.",
            code="NotSignedIn",
        )
