"""Whose identity opens storage and Graph: the app's in Azure, the administrator's at a desk."""

from __future__ import annotations

import json
import os
import sys
import time

from azure.identity.aio import ManagedIdentityCredential

from mms_core import wiring
from mms_core.settings import from_environment


def _credential(monkeypatch):
    given = {"MMS_TENANT_ID": "t", "MMS_API_AUDIENCE": "a"}
    monkeypatch.setattr(wiring, "deployment", lambda: from_environment(given))
    return wiring._credential.__wrapped__()


async def test_at_a_desk_it_is_who_signed_in_with_az(tmp_path, monkeypatch):
    """No managed identity is there: ``maintenance`` could open nothing with it."""
    answer = {
        "accessToken": "of a person",
        "expires_on": int(time.time()) + 3600,
        "expiresOn": "2099-01-01 00:00:00.000000",
    }
    script = tmp_path / "az"
    script.write_text(f"#!{sys.executable}\nprint({json.dumps(answer)!r})\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)
    credential = _credential(monkeypatch)
    async with credential:
        assert (await credential.get_token("https://storage.azure.com/.default")).token == "of a person"


async def test_in_azure_it_is_the_apps_own_and_no_other(monkeypatch):
    """Whatever else is installed there."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "x")
    credential = _credential(monkeypatch)
    async with credential:
        assert isinstance(credential, ManagedIdentityCredential)
