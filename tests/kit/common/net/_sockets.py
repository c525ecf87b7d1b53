"""Connections over sockets, for the trials of whatever makes or wraps connections."""

import asyncio
import errno
import fcntl
import ipaddress
import socket
import struct
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from typing_extensions import Buffer

from gost_core.common.net import (
    Aborter,
    Addr,
    ClosedError,
    Conn,
    HalfCloser,
    PacketConn,
    UnsupportedError,
)

SIOCOUTQNSD: Final = 0x894B
GRACE: Final = 0.5
"""Seconds that a close waits for what is unsent."""


class SocketAddr(Addr):
    def __init__(self, network: str, name: tuple[object, ...] | str) -> None:
        self.words = network, name if isinstance(name, str) else f"{name[0]}:{name[1]}"

    def network(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return self.words[1]


class SocketConn(Conn, HalfCloser, Aborter):
    """A connection over a socket that is connected: TCP, or UDP."""

    lingering: asyncio.Future[None] | None = None
    broken = False
    """Whether the system has told, once, that the connection broke off."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.datagrams = sock.type == socket.SOCK_DGRAM
        self.reader: asyncio.Future[None] | None = None
        self.writer: asyncio.Future[None] | None = None
        self.writing = False
        self.closed = False
        network = "udp" if self.datagrams else "tcp"
        self.local: Addr = SocketAddr(network, sock.getsockname())
        try:
            self.remote: Addr = SocketAddr(network, sock.getpeername())
        except OSError:
            self.remote = SocketAddr(network, "")

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"read({n}) asks for nothing")
        while True:
            self.check_open()
            try:
                # No await between the readiness and this, so a cancel loses nothing (D7).
                with self.break_kept():
                    data = self.sock.recv(n)
            except BlockingIOError:
                await self.readable()
            else:
                if self.broken and not data:
                    raise ConnectionResetError("the connection broke off")
                if data or not self.datagrams:
                    return data

    @contextmanager
    def break_kept(self) -> Generator[None]:
        try:
            yield
        except ConnectionResetError:
            self.broken = True
            raise

    async def write(self, data: Buffer, /) -> None:
        self.check_open()
        if self.writing:
            raise RuntimeError("another task is writing")
        self.writing = True
        try:
            rest = memoryview(data).cast("B")
            if self.datagrams and not rest:
                self.sock.send(rest)
            while rest:
                try:
                    with self.break_kept():
                        rest = rest[self.sock.send(rest) :]
                except BlockingIOError:
                    await self.writable()
                    self.check_open()
        finally:
            self.writing = False

    async def close_write(self) -> None:
        self.check_open()
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise BrokenPipeError(errno.EPIPE, "the peer is gone") from error

    async def close(self) -> None:
        if self.closed:
            if self.lingering is not None:
                await asyncio.wait({self.lingering})
            return
        self.end()
        self.lingering = self.loop.create_future()
        try:
            if not self.datagrams:
                await self.linger()
        finally:
            self.sock.close()
            self.lingering.set_result(None)

    def abort(self) -> None:
        if not self.closed:
            self.end()
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()

    def end(self) -> None:
        self.closed = True
        self.loop.remove_reader(self.sock)
        self.loop.remove_writer(self.sock)
        for waiter in (self.reader, self.writer):
            wake(waiter)

    async def linger(self) -> None:
        """End the stream, and discard what comes until the peer has ended or has everything."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            limit = self.loop.time() + GRACE
            while self.loop.time() < limit:
                with suppress(BlockingIOError):
                    while self.sock.recv(65536):
                        pass
                    return
                if not unsent(self.sock):
                    return
                await asyncio.sleep(0.02)

    def local_addr(self) -> Addr:
        return self.local

    def remote_addr(self) -> Addr:
        return self.remote

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("this connection was closed here")

    async def readable(self) -> None:
        if self.reader is not None:
            raise RuntimeError("another task is reading")
        self.reader = self.loop.create_future()
        self.loop.add_reader(self.sock, wake, self.reader)
        try:
            await self.reader
        finally:
            self.reader = None
            if not self.closed:
                self.loop.remove_reader(self.sock)

    async def writable(self) -> None:
        self.writer = self.loop.create_future()
        self.loop.add_writer(self.sock, wake, self.writer)
        try:
            await self.writer
        finally:
            self.writer = None
            if not self.closed:
                self.loop.remove_writer(self.sock)


def wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def unsent(sock: socket.socket) -> int:
    """Return how many bytes were not sent yet; what was sent on the loopback has arrived."""
    return int.from_bytes(fcntl.ioctl(sock, SIOCOUTQNSD, bytes(4)), sys.byteorder)


def sockets(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    if kind == socket.SOCK_STREAM:
        # Small buffers, which are soon full.
        here = socket.socket()
        with socket.socket() as server:
            for sock in (here, server):
                for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    sock.setsockopt(socket.SOL_SOCKET, buffer, 65536)
            server.bind(("127.0.0.1", 0))
            server.listen()
            here.connect(server.getsockname())
            return here, server.accept()[0]
    pair = socket.socket(type=kind), socket.socket(type=kind)
    for sock in pair:
        sock.bind(("127.0.0.1", 0))
    for sock, peer in zip(pair, reversed(pair), strict=True):
        sock.connect(peer.getsockname())
    return pair


class DatagramConn(SocketConn, PacketConn):
    """A UDP socket, connected or not."""

    async def read(self, n: int, /) -> bytes:
        self.check_connected()
        return await super().read(n)

    async def write(self, data: Buffer, /) -> None:
        self.check_connected()
        await super().write(data)

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        if n < 1:
            raise ValueError(f"read_from({n}) asks for nothing")
        while True:
            self.check_open()
            try:
                data, name = self.sock.recvfrom(n)
            except BlockingIOError:
                await self.readable()
            else:
                return data, SocketAddr("udp", name)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        name = split(str(addr))
        self.check_open()
        if str(self.remote) == str(addr):
            await self.write(data)
        elif str(self.remote):
            raise ValueError(f"this socket is connected to {self.remote}, not to {addr}")
        else:
            await self.send_to(data, name)

    async def send_to(self, data: Buffer, name: tuple[str, int]) -> None:
        while True:
            try:
                self.sock.sendto(memoryview(data).cast("B"), name)
            except BlockingIOError:
                await self.writable()
                self.check_open()
            else:
                return

    async def close_write(self) -> None:
        raise UnsupportedError("datagrams have no end")

    def check_connected(self) -> None:
        if not str(self.remote):
            raise UnsupportedError("this socket has no peer")


def check_host(host: str) -> None:
    last = host.removesuffix(".").rpartition(".")[2]
    if last.isdecimal() or last.startswith("0x"):
        ipaddress.IPv4Address(host)
    if " " in host or "\\" in host:
        raise ValueError(f"{host!r} is no host")


def split(addr: str) -> tuple[str, int]:
    host, _, port = addr.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{addr!r} is not host:port")
    if host.startswith("[") != host.endswith("]"):
        raise ValueError(f"{addr!r}: a bracket is missing")
    check_host(host)
    return host.strip("[]"), int(port)
