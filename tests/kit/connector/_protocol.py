"""The protocol that the trials of connectors speak: a request and an answer in lines, then data."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress

from typing_extensions import Buffer

from gost_core.chain import Router
from gost_core.common.net import (
    Addr,
    Conn,
    PacketConn,
    UnsupportedError,
)
from gost_core.context import Context
from gost_core.testing._stage.memory import Address
from gost_core.testing._stage.network import silent
from tests.kit.dialer._protocol import PASSWORD, Session, Stream, read_line


class Passing(Conn):
    """Passes everything on."""

    def __init__(self, inner: Conn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


class Framed(Passing):
    """Datagrams over a stream, each behind its length."""

    buffer = b""

    async def read(self, n: int, /) -> bytes:
        return (await self.frame())[:n]

    async def frame(self) -> bytes:
        while len(self.buffer) < 4 or len(self.buffer) < self.end():
            if not (piece := await self.inner.read(65536)):
                return b""
            self.buffer += piece
        data, self.buffer = self.buffer[4 : self.end()], self.buffer[self.end() :]
        return data

    def end(self) -> int:
        return 4 + int.from_bytes(self.buffer[:4], "big")

    async def write(self, data: Buffer, /) -> None:
        datagram = bytes(data)
        await self.inner.write(len(datagram).to_bytes(4, "big") + datagram)


class Association(Framed, PacketConn):
    """Datagrams over a stream, each with its address."""

    async def read(self, n: int, /) -> bytes:
        raise UnsupportedError("the association has no single peer")

    async def write(self, data: Buffer, /) -> None:
        raise UnsupportedError("the association has no single peer")

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        if not (frame := await self.frame()):
            raise ConnectionResetError("the other end is gone")
        addr, _, data = frame.partition(b"\n")
        return data[:n], Address("udp", addr.decode())

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await Framed.write(self, f"{addr}\n".encode() + bytes(data))


async def copy(source: Conn, sink: Conn) -> None:
    while data := await source.read(65535):
        await sink.write(data)


async def copy_from(source: PacketConn, sink: PacketConn) -> None:
    while True:
        await sink.write_to(*await source.read_from(65535))


async def until_first_ends(*works: Coroutine[object, object, None]) -> None:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def relay(one: Conn, other: Conn) -> None:
    try:
        await until_first_ends(copy(one, other), copy(other, one))
    finally:
        await other.close()


async def proxy(conn: Conn, router: Router) -> None:
    credentials, command, network, address = (await read_line(conn)).split(" ")
    if credentials != f"alice:{PASSWORD.replace(' ', '+')}":
        await conn.write(b"denied\n")
    elif command == "bind":
        await serve_bind(conn, router, network, address)
    else:
        await serve_connect(conn, router, network, address)


async def serve_connect(conn: Conn, router: Router, network: str, address: str) -> None:
    try:
        target = await router.dial(Context(), network, address)
    except OSError:
        await conn.write(b"unreachable\n")
        return
    await conn.write(b"ok\n")
    if network == "tcp":
        await relay(conn, target)
    elif address:
        await relay(Framed(conn), target)
    else:
        assert isinstance(target, PacketConn)
        packets = Association(conn)
        await until_first_ends(copy_from(packets, target), copy_from(target, packets))
        await target.close()


async def serve_bind(conn: Conn, router: Router, network: str, address: str) -> None:
    listener = await router.bind(Context(), network, address)
    await conn.write(f"bound {listener.addr()}\n".encode())
    tunnel = Tunnel(conn)
    relays: list[asyncio.Task[None]] = []

    async def serve(stream: Stream, visitor: Conn) -> None:
        await relay(stream, visitor)
        await tunnel.tell_end(stream)

    async def accept() -> None:
        while True:
            visitor = await listener.accept()
            stream = tunnel.stream()
            await tunnel.send(stream.number, str(visitor.remote_addr()).encode())
            relays.append(asyncio.create_task(serve(stream, visitor)))

    async def ended() -> None:
        await asyncio.wait({tunnel.receiving})

    try:
        await until_first_ends(accept(), ended())
    finally:
        for task in relays:
            task.cancel()
        await listener.close()
        await tunnel.close()


async def refusing_proxy(conn: Conn, router: Router) -> None:
    await read_line(conn)
    await conn.write(b"denied\n")
    await silent(conn)


async def malformed_proxy(conn: Conn, router: Router) -> None:
    await read_line(conn)
    await conn.write(b"HTTP/1.1 400 Bad Request\n")
    await silent(conn)


async def unable_proxy(conn: Conn, router: Router) -> None:
    await read_line(conn)
    await conn.write(b"unable\n")
    await silent(conn)


class Visit(Stream):
    def __init__(self, session: Session, number: int, visitor: str) -> None:
        super().__init__(session, number)
        self.visitor = Address("tcp", visitor)

    def remote_addr(self) -> Addr:
        return self.visitor


class Tunnel(Session):
    """A session whose streams the other end begins, each with the visitor's address."""

    def __init__(self, conn: Conn) -> None:
        super().__init__(conn)
        self.arrived: deque[Stream] = deque()
        self.finished = False
        self.latest = 0
        self.changed = asyncio.Event()

    def arrive(self, number: int, data: bytes) -> None:
        if number in self.streams:
            super().arrive(number, data)
            return
        # A frame may come for one that was closed here.
        if self.finished or number <= self.latest or not data:
            return
        self.latest = number
        self.streams[number] = stream = self.visit(number, data.decode())
        self.arrived.append(stream)
        self.changed.set()

    def visit(self, number: int, visitor: str) -> Stream:
        return Visit(self, number, visitor)

    async def finish(self) -> None:
        """Take no more visitors, and end with the last that was accepted."""
        self.finished = True
        for stream in self.arrived:
            self.streams.pop(stream.number, None)
        await self.end_if_left()

    async def leave(self, stream: Stream) -> None:
        try:
            if self.streams.pop(stream.number, None):
                await self.tell_end(stream)
        finally:
            await self.end_if_left()

    async def tell_end(self, stream: Stream) -> None:
        with suppress(OSError):
            await self.send(stream.number, b"")

    async def end_if_left(self) -> None:
        if self.finished and not self.streams:
            await self.close()

    async def receive(self) -> None:
        try:
            await super().receive()
        finally:
            self.changed.set()
