"""Ports that stay ours across restarts, and the way to them."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import Final

_RANGE: Final = (15000, 30000)
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES: Final = 200


def free_ports(count: int) -> list[int]:
    """Return *count* different ports that nobody listens on.

    They lie outside the range from which the system takes the ports of outgoing connections: otherwise one of those
    could sit on our port at the very moment when a killed part wants it back.

    Errors: ``OSError`` when none is found.
    """
    low, high = _RANGE
    try:
        first_ephemeral = int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        first_ephemeral = high
    if first_ephemeral - low > _TRIES:
        high = min(high, first_ephemeral)
    found: list[int] = []
    chance = random.SystemRandom()
    for _ in range(_TRIES * count):
        port = chance.randrange(low, high)
        if port not in found and is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports between {low} and {high}")


def is_free(port: int) -> bool:
    """Tell whether *port* of 127.0.0.1 can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def bypass_proxies() -> None:
    """Make this process and its children reach 127.0.0.1 directly, whatever proxy the machine has for the world."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [item for item in os.environ.get(name, "").split(",") if item]
        os.environ[name] = ",".join(dict.fromkeys([*known, "127.0.0.1", "localhost"]))
