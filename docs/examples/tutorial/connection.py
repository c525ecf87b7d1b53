"""A connection over asyncio's streams."""

import asyncio
import sys
from array import array
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Conn

if sys.platform == "linux":  # only Linux tells how much is still to be sent
    from fcntl import ioctl
    from termios import TIOCOUTQ

LAST_WORDS = 1.0  # seconds that close() gives the peer to read what was written


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


class Discarding(asyncio.Protocol):
    """Discards what the peer still sends; when the peer ends its stream, asyncio closes ours."""

    over = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True


class StreamConn(Conn):
    """A TCP connection; asyncio keeps what has arrived until somebody reads it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._transport = cast(asyncio.Transport, writer.transport)  # that of a socket reads too
        # With no buffer but the kernel's, drain() returns when that has everything (D8).
        self._transport.set_write_buffer_limits(high=0)
        # Kept here, since they stay valid after close (D2).
        self._local_addr = SocketAddr.of(writer.get_extra_info("sockname"))
        self._remote_addr = SocketAddr.of(writer.get_extra_info("peername"))
        self._closed = False
        self._rest = Discarding()

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
        try:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    if not self._closed:
                        self._end_stream()
                    while self._is_sending():  # noqa: ASYNC110 - no event tells when it has ended
                        await asyncio.sleep(0.01)
        finally:
            self.drop()
        await asyncio.sleep(0)  # the turn of the event loop in which it closes the socket

    def drop(self) -> None:
        """Close without waiting: what the peer has not got yet may be lost."""
        self._closed = self._rest.over = True
        self._transport.abort()

    def _end_stream(self) -> None:
        """Tell the peer that nothing more will come, and discard what it still sends."""
        self._closed = True
        if self._transport.is_closing():  # the peer has broken it off
            self._rest.over = True
            return
        streams = self._transport.get_protocol()
        self._transport.set_protocol(self._rest)
        streams.connection_lost(None)  # so a waiting read() or write() returns at once
        # A full stream has stopped reading, and the end of the peer's may have come already.
        self._transport.pause_reading()
        self._transport.resume_reading()
        self._transport.write_eof()

    def _is_sending(self) -> bool:
        """Tell whether something written may still be under way."""
        if self._rest.over:
            return False
        if self._transport.get_write_buffer_size() > 0 or sys.platform != "linux":
            return True
        unsent = array("i", [0])
        ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, unsent)
        return unsent[0] > 0

    def local_addr(self) -> Addr:
        return self._local_addr

    def remote_addr(self) -> Addr:
        return self._remote_addr

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this connection was closed here")
