"""A connection over asyncio's streams."""

import asyncio
from dataclasses import dataclass

from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Conn


@dataclass(frozen=True)
class SocketAddr(Addr):
    """An address of a TCP socket over IPv4."""

    host: str
    port: int

    @classmethod
    def of(cls, name: tuple[str, int] | None) -> "SocketAddr":
        """Take the name of a socket; a peer that has left already has none."""
        return cls(*(name or ("0.0.0.0", 0)))

    def network(self) -> str:
        return "tcp"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class StreamConn(Conn):
    """A TCP connection; asyncio keeps what has arrived until somebody reads it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        # With no buffer but the kernel's, drain() returns when that has everything (D8).
        writer.transport.set_write_buffer_limits(high=0)
        # Kept here, since they stay valid after close (D2).
        self._local_addr = SocketAddr.of(writer.get_extra_info("sockname"))
        self._remote_addr = SocketAddr.of(writer.get_extra_info("peername"))
        self._closed = False

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        # Cancelling this loses nothing (D7): the reader keeps what it has not returned.
        data = await self._reader.read(n)
        self._check_open()
        return data

    async def write(self, data: Buffer, /) -> None:
        self._check_open()
        self._writer.write(memoryview(data).cast("B"))
        await self._writer.drain()
        self._check_open()

    async def close(self) -> None:
        self.abort()
        await asyncio.sleep(0)  # the turn of the event loop in which it closes the socket

    def abort(self) -> None:
        """Begin to close, without waiting, as whoever has many to close wants to."""
        self._closed = True
        self._writer.transport.abort()

    def local_addr(self) -> Addr:
        return self._local_addr

    def remote_addr(self) -> Addr:
        return self._remote_addr

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this connection was closed here")
