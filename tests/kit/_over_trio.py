"""Connections and a listener that are written for trio: they know nothing of asyncio."""

import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Generator
from contextlib import contextmanager, suppress

import trio
from typing_extensions import Buffer

from gost_core.common import net
from gost_core.common.net import Addr, Conn, HalfCloser
from gost_core.listener import AcceptError, ClosedError, Listener, Option, Options
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing import Address

TEMPORARY = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EINTR}
PAUSE = 0.01


def address(name: tuple[str, int]) -> Address:
    return Address("tcp", f"{name[0]}:{name[1]}")


class StreamConn(Conn, HalfCloser):
    """A TCP connection over a stream of trio."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.local = address(stream.socket.getsockname())
        try:
            self.remote = address(stream.socket.getpeername())
        except OSError:  # it has left already
            self.remote = Address("tcp", "")
        self.closed = False
        self.gone = trio.Event()
        self.broken = False

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"read({n}) asks for nothing")
        with self.translated():
            if not (data := await self.stream.receive_some(n)) and self.broken:
                raise ConnectionResetError("the connection broke off")
            return data

    async def write(self, data: Buffer, /) -> None:
        with self.translated():
            await self.stream.send_all(memoryview(data).cast("B"))

    async def close_write(self) -> None:
        with self.translated():
            await self.stream.send_eof()

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            trio.lowlevel.notify_closing(self.stream.socket)  # wakes who waits
            try:
                with trio.move_on_after(1), suppress(OSError):
                    self.stream.socket.shutdown(socket.SHUT_WR)
                    await self.discard()
            finally:
                self.stream.socket.close()
                self.gone.set()
        await self.gone.wait()

    async def discard(self) -> None:
        """Take what comes, until the peer has ended or has got everything (D8)."""
        while True:
            with trio.move_on_after(PAUSE):
                while await self.stream.socket.recv(65536):
                    pass
                return
            unsent = fcntl.ioctl(self.stream.socket.fileno(), termios.TIOCOUTQ, bytes(4))
            if not struct.unpack("i", unsent)[0]:
                return

    def local_addr(self) -> Addr:
        return self.local

    def remote_addr(self) -> Addr:
        return self.remote

    @contextmanager
    def translated(self) -> Generator[None]:
        """Raise what the contract says where trio has errors of its own."""
        if self.closed:
            raise net.ClosedError("this connection was closed here")
        try:
            yield
        except trio.ClosedResourceError:
            if self.closed:
                raise net.ClosedError("this connection was closed here") from None
            raise BrokenPipeError("this end of the stream was ended here") from None
        except trio.BusyResourceError:
            raise RuntimeError("another task is at it") from None
        except trio.BrokenResourceError as error:
            # The system tells it once, and calls it an end from then on.
            self.broken = self.broken or isinstance(error.__cause__, ConnectionResetError)
            raise error.__cause__ or ConnectionResetError(str(error)) from None


class StreamListener(Listener):
    """Accepts TCP connections by trio."""

    def __init__(self, *opts: Option) -> None:
        self.options = apply(Options(), *opts)
        self.listener: trio.SocketListener | None = None
        self.bound = Address("tcp", self.options.addr)
        self.closed = False

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.listener is not None or self.closed:
            raise RuntimeError("init() comes once, and before close()")
        if self.options != Options(addr=self.options.addr, service=self.options.service):
            raise ValueError("of the options, only the address is served here")
        host, _, port = self.options.addr.rpartition(":")
        [self.listener] = await trio.open_tcp_listeners(int(port), host=host)
        self.bound = address(self.listener.socket.getsockname())
        if self.closed:
            await self.close()

    async def accept(self) -> Conn:
        if self.closed:
            raise ClosedError("this listener was closed")
        if self.listener is None:
            raise RuntimeError("accept() before init()")
        try:
            return StreamConn(await self.listener.accept())
        except trio.ClosedResourceError:
            raise ClosedError("this listener was closed") from None
        except OSError as error:
            raise AcceptError(error) if error.errno in TEMPORARY else error from error

    async def close(self) -> None:
        self.closed = True
        if self.listener is not None:
            self.listener.socket.close()

    def addr(self) -> Addr:
        return self.bound


async def open_pair() -> tuple[StreamConn, StreamConn]:
    """Open a connection over the loopback, and return both of its ends."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        here = await trio.open_tcp_stream(*listener.socket.getsockname())
        return StreamConn(here), StreamConn(await listener.accept())
