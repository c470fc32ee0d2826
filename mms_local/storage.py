"""Azurite, the storage emulator: real HTTP, real leases, real ETags, on this machine."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from mms_local.children import die_with_parent
from mms_local.node import azurite_command
from mms_local.ports import bypass_proxies, free_ports

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's published account and key; the same on every machine in the world, so not a secret."""
SAVE_INTERVAL_SECONDS: Final = 5.0
"""On disk, Azurite saves this often. A SIGKILL loses what it acknowledged since; SIGTERM does not."""
_KEEP_ALIVE_SECONDS: Final = 3600
"""Node's 5 s would close pooled connections under our clients, which then wait out a retry."""


@dataclass(frozen=True, kw_only=True)
class StoragePorts:
    """Where the three services listen, on 127.0.0.1."""

    blob: int
    queue: int
    table: int

    @classmethod
    def free(cls) -> Self:
        """Choose ports nobody uses."""
        blob, queue, table = free_ports(3)
        return cls(blob=blob, queue=queue, table=table)

    @property
    def connection_string(self) -> str:
        """For ``AzureWebJobsStorage`` and every SDK."""
        endpoints = (("Blob", self.blob), ("Queue", self.queue), ("Table", self.table))
        urls = "".join(f"{name}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for name, port in endpoints)
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{urls}"


def storage_command(ports: StoragePorts, directory: Path | None) -> list[str]:
    """Return the command that runs Azurite.

    Args:
        ports: Where it listens.
        directory: Where it keeps its data; ``None`` keeps them in memory.

    Errors: :class:`mms_local.node.SetupError` when it is not installed.
    """
    command = azurite_command()
    for name in ("blob", "queue", "table"):
        command += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(getattr(ports, name))]
        command += [f"--{name}KeepAliveTimeout", str(_KEEP_ALIVE_SECONDS)]
    command += ["--inMemoryPersistence"] if directory is None else ["--location", str(directory)]
    return [*command, "--skipApiVersionCheck", "--disableTelemetry", "--silent"]


def storage_answers(ports: StoragePorts) -> bool:
    """Ask queues and tables something that needs the key; tell whether both answered. Blocks, for 2 s at most."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - slow, and the emulator can start meanwhile
    from azure.data.tables import TableServiceClient  # noqa: PLC0415
    from azure.storage.queue import QueueServiceClient  # noqa: PLC0415

    text = ports.connection_string
    patience: dict[str, Any] = {"retry_total": 0, "connection_timeout": 1, "read_timeout": 1}
    try:
        with (
            QueueServiceClient.from_connection_string(text, **patience) as queues,
            TableServiceClient.from_connection_string(text, **patience) as tables,
        ):
            queues.get_service_properties()
            tables.get_service_properties()
    except (AzureError, OSError):
        return False
    return True


class Azurite:
    """Azurite as a context manager, for tests and tools that need storage alone.

    Args:
        directory: Where it keeps its data; ``None`` keeps them in memory.
        ports: Where it listens; free ports by default. They stay the same over :meth:`kill` and :meth:`start`.
        patience_seconds: How long it may take to answer.
    """

    def __init__(
        self, directory: Path | None = None, *, ports: StoragePorts | None = None, patience_seconds: float = 60.0
    ) -> None:
        self.ports = ports or StoragePorts.free()
        self._directory = directory
        self._patience_seconds = patience_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        """For every SDK."""
        return self.ports.connection_string

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers.

        Errors: ``TimeoutError``; ``RuntimeError`` when it ends at once; ``SetupError`` when it is not installed.
        """
        bypass_proxies()
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            storage_command(self.ports, self._directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - two system calls, no locks
        )
        deadline = time.monotonic() + self._patience_seconds
        while not storage_answers(self.ports):
            if self._process.poll() is not None:
                raise RuntimeError(f"the storage emulator ended with exit code {self._process.returncode}")
            if time.monotonic() > deadline:
                self.stop()
                raise TimeoutError("the storage emulator does not answer")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it; what it acknowledged is on disk (if on disk at all)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL; the last :data:`SAVE_INTERVAL_SECONDS` may be lost."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
