"""The same ports twice: in memory, and on the storage emulator with tables and queues nobody else uses."""

from __future__ import annotations

import secrets

import pytest
from contract_support import AzuriteStorage, MemoryStorage

from mms_local.storage import Azurite


@pytest.fixture(scope="session")
def azurite():
    """Real storage, started once, in memory."""
    with Azurite() as emulator:
        yield emulator


@pytest.fixture
async def tables(azurite):
    """The adapters as the app composes them, on the emulator."""
    storage = AzuriteStorage(azurite.connection_string, prefix=f"T{secrets.token_hex(6)}")
    yield storage
    await storage.close()


@pytest.fixture(params=["memory", "azurite"])
async def storage(request):
    """Every implementation of the ports in turn."""
    if request.param == "memory":
        yield MemoryStorage()
        return
    azurite = request.getfixturevalue("azurite")
    storage = AzuriteStorage(azurite.connection_string, prefix=f"T{secrets.token_hex(6)}")
    yield storage
    await storage.close()
