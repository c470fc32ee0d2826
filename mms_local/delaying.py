"""A way to a server on this machine whose answers take their time, or get lost: for tests and benchmarks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    Delay = Callable[[], float | None]


class DelayingProxy:
    """Passes requests on at once, and answers after a while. Use it as an asynchronous context manager.

    Args:
        port: Of the server, on 127.0.0.1.
        delay: Asked once for every answer: seconds until it is passed on, or ``None`` to lose it: the connection is
            closed after the server has carried the request out.
    """

    def __init__(self, port: int, *, delay: Delay) -> None:
        self._upstream = port
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._open: set[_Caller] = set()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1. ``RuntimeError`` before it does."""
        if self._server is None:
            raise RuntimeError("not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Caller(self._upstream, self._delay, self._open), "127.0.0.1", 0
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for each in list(self._open):
            each.close()
        await asyncio.sleep(0)  # transports close in the loop's next turn


class _Caller(asyncio.Protocol):
    """The client's end of one connection."""

    def __init__(self, port: int, delay: Delay, everybody: set[_Caller]) -> None:
        self._port = port
        self._delay = delay
        self._everybody = everybody
        self._transport: asyncio.Transport | None = None
        self._upstream: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early = bytearray()
        self._held: list[bytes] | None = None
        self._is_asked = self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._everybody.add(self)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(lambda: _Server(self), "127.0.0.1", self._port)
        except OSError:
            self.close()
            return
        self._upstream = transport
        if self._is_over:
            transport.close()
        transport.write(bytes(self._early))

    def data_received(self, data: bytes) -> None:
        self._is_asked = True
        if self._upstream is None:
            self._early += data
        else:
            self._upstream.write(data)

    def answered(self, data: bytes) -> None:
        """Pass on what the server said, or keep it for a while."""
        if self._held is not None:
            self._held.append(data)
        elif self._is_asked:  # the beginning of an answer
            self._is_asked = False
            seconds = self._delay()
            if seconds is None:
                self.close()
                return
            self._held = [data]
            asyncio.get_running_loop().call_later(seconds, self._release)
        elif self._transport is not None:
            self._transport.write(data)

    def _release(self) -> None:
        held, self._held = self._held or [], None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(held))
        if self._is_over:
            self.close()

    def server_left(self) -> None:
        """Close, but not before what it said has been passed on."""
        self._is_over = True
        if self._held is None:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.close()

    def close(self) -> None:
        """Close both ends."""
        self._is_over = True
        self._everybody.discard(self)
        for transport in (self._transport, self._upstream):
            if transport is not None:
                transport.close()


class _Server(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def data_received(self, data: bytes) -> None:
        self._caller.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._caller.server_left()
