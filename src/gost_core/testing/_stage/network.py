"""A network within this process, and who plays the node at its far end.

A :class:`Network` opens connections, and hands the far end of each to whoever plays the peer. An
:class:`Outside` is such a network as a proxy node sees it: the targets that it dials, and the
visitors of what it binds.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final, TypeAlias, cast

from typing_extensions import Buffer

from gost_core import chain
from gost_core.common.net import Addr, ClosedError, Conn, Listener, PacketConn, UnsupportedError
from gost_core.common.net import Dialer as NetDialer
from gost_core.context import Context
from gost_core.keys import TIME_LIMIT
from gost_core.testing._run.attempt import current
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import keep, noting_tasks, start, turns, until
from gost_core.testing._stage.memory import (
    Address,
    AddressedConn,
    ForwardingConn,
    MemoryConn,
    MemoryListener,
    connected_pair,
    written,
)
from gost_core.testing._stage.streams import ALL

__all__ = (
    "GREETING",
    "After",
    "BareConn",
    "CutConn",
    "Network",
    "Node",
    "Outside",
    "PacketEnd",
    "Peer",
    "Ping",
    "alone",
    "babbling",
    "cut_short",
    "echo",
    "ending",
    "resetting",
    "silent",
    "ssl_errors",
    "stammering",
)

Peer: TypeAlias = Callable[[Conn], Awaitable[object]]
Node: TypeAlias = Callable[[Conn, chain.Router], Awaitable[object]]
Ping: TypeAlias = Callable[[Conn], Awaitable[object]]

GREETING: Final[bytes] = b"hello"
"""What a peer or a target that speaks first says."""

_numbers: Final = count(1)


def _port() -> int:
    """Return a port that nobody has had for long."""
    return 1024 + next(_numbers) % 60_000


# ---- Connections


class BareConn(ForwardingConn):
    """A connection that can do what every connection can, and no more.

    It counts the calls, those that have not ended, and the bytes written to it. With ``late``, a
    read takes its time, so that what comes close together is read together. ``top`` is what a
    dialer has made of it.
    """

    def __init__(self, inner: Conn, *, late: bool = False) -> None:
        super().__init__(inner)
        self.top: Conn = self
        self._late = late
        self.calls = 0
        self.pending = 0
        self.written = 0
        self.closed = False

    async def read(self, n: int, /) -> bytes:
        """Read."""
        with self._counted():
            if self._late:
                await turns(40)
                await asyncio.sleep(0.01)
            return await super().read(n)

    async def write(self, data: Buffer, /) -> None:
        """Write."""
        with self._counted():
            await turns(1)
            self.written += memoryview(data).nbytes
            await super().write(data)

    @contextmanager
    def _counted(self) -> Generator[None]:
        self.calls += 1
        self.pending += 1
        try:
            yield
        finally:
            self.pending -= 1

    async def close(self) -> None:
        """Close."""
        self.closed = True
        await super().close()


class PacketEnd(AddressedConn, PacketConn):
    """A datagram socket within this process.

    Args:
        local: its address.
        remote: the address to which it is connected; None = to none.
        send: sends a datagram of this socket to an address.
    """

    def __init__(
        self,
        local: Address,
        remote: Address | None,
        send: "Callable[[PacketEnd, bytes, Address], object]",
    ) -> None:
        super().__init__(local, remote or Address("udp", ""))
        self._send = send
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._changed = asyncio.Event()
        self.closed = False

    async def read(self, n: int, /) -> bytes:
        """Read a datagram."""
        if not str(self._remote):
            raise UnsupportedError("the socket is not connected")
        return (await self.read_from(n))[0]

    async def read_from(self, n: int, /) -> tuple[bytes, Address]:
        """Read a datagram and who sent it."""
        while not self.closed:
            if self._queue:
                data, source = self._queue.popleft()
                return data[:n], source
            self._changed.clear()
            await self._changed.wait()
        raise ClosedError("this socket was closed")

    async def write(self, data: Buffer, /) -> None:
        """Send a datagram."""
        if not str(self._remote):
            raise UnsupportedError("the socket is not connected")
        await self.write_to(data, self._remote)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        """Send a datagram to an address."""
        if self.closed:
            raise ClosedError("this socket was closed")
        if str(self._remote) not in ("", str(addr)):
            raise ValueError(f"the socket is connected to {self._remote}, not to {addr}")
        if datagram := bytes(data):
            self._send(self, datagram, Address("udp", str(addr)))

    def receive(self, data: bytes, source: Address) -> None:
        """Take a datagram in."""
        self._queue.append((data, source))
        self._changed.set()

    async def close(self) -> None:
        """Close."""
        self.closed = True
        self._changed.set()


def packet_pair(here: Address, there: Address) -> tuple[PacketEnd, PacketEnd]:
    """Return two sockets that are connected to each other."""
    near = PacketEnd(here, there, lambda _socket, data, _to: far.receive(data, here))
    far = PacketEnd(there, here, lambda _socket, data, _to: near.receive(data, there))
    return near, far


class StreamConn(AddressedConn):
    """The server's end of a connection through this host's own network."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        local, remote = map(writer.get_extra_info, ("sockname", "peername"))
        super().__init__(*(Address("tcp", f"{host}:{port}") for host, port in (local, remote)))

    async def read(self, n: int, /) -> bytes:
        """Read."""
        return await self._reader.read(n)

    async def write(self, data: Buffer, /) -> None:
        """Write."""
        self._writer.write(bytes(data))
        await self._writer.drain()

    async def close(self) -> None:
        """Close."""
        self._writer.close()


class _LoopbackListener(MemoryListener, asyncio.DatagramProtocol):
    """Accepts connections through this host's own network; over udp, one for each source."""

    async def start(self) -> None:
        """Bind."""
        self._ends: dict[Address, PacketEnd] = {}
        if self._addr.network() == "udp":
            loop, here = asyncio.get_running_loop(), ("127.0.0.1", 0)
            endpoint, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=here)
            self._unbind, (_, port) = endpoint.close, endpoint.get_extra_info("sockname")
        else:
            server = await asyncio.start_server(self._take, "127.0.0.1", 0)
            self._unbind, (_, port) = server.close, server.sockets[0].getsockname()
        self._addr = Address(self._addr.network(), f"127.0.0.1:{port}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what sends datagrams."""
        # A cast, since the transports of other event loops need not derive from asyncio's.
        self._sender = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand a datagram to the connection with its source."""
        source = Address("udp", "{}:{}".format(*addr))
        if source not in self._ends:
            end = PacketEnd(self._addr, source, lambda _, data, __: self._sender.sendto(data, addr))
            self._ends[source] = end
            self._arrive(end)
        self._ends[source].receive(data, source)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._arrive(StreamConn(reader, writer))

    async def close(self) -> None:
        """Close."""
        self._unbind()
        await super().close()


# ---- Peers that need no protocol


async def copy(source: Conn, sink: Conn) -> None:
    """Pass on what comes, until it ends."""
    while data := await source.read(ALL):
        await sink.write(data)


async def echo(conn: Conn) -> None:
    """Send back what comes."""
    await copy(conn, conn)


class After:
    """A peer that plays ``first`` until a dialer is done with its connection, and then ``then``."""

    def __init__(self, first: Peer, then: Peer, /) -> None:
        self._first = first
        self._then = then
        self.dialed = asyncio.Event()

    async def __call__(self, conn: Conn, /) -> None:
        """Play."""
        near, far = connected_pair()
        playing = start(self._first(far))
        passing = start(asyncio.gather(copy(conn, near), copy(near, conn)))
        await self.dialed.wait()
        playing.cancel()
        passing.cancel()
        await asyncio.wait({passing})
        await near.close()
        await self._then(conn)


async def stammering(conn: Conn) -> None:
    """Answer by a single byte, and end."""
    await conn.read(ALL)
    await conn.write(b"\0")


async def babbling(conn: Conn) -> None:
    """Answer by what is no text of any protocol, and end."""
    await conn.read(ALL)
    await conn.write(b"\xff\xfe" * 32 + b"\r\n\r\n")


def cut_short(peer: Peer, /) -> Peer:
    """Return a peer that ends in the middle of the first that it says."""
    return lambda conn: peer(CutConn(conn))


class CutConn(ForwardingConn):
    """A connection that breaks in the middle of the first write."""

    async def write(self, data: Buffer, /) -> None:
        """Write half, and end."""
        await super().write(memoryview(data)[: memoryview(data).nbytes // 2])
        raise BrokenPipeError("cut short")


async def silent(conn: Conn) -> None:
    """Say nothing."""
    while await conn.read(ALL):
        pass


async def ending(conn: Conn) -> None:
    """End the connection at once."""


async def resetting(conn: Conn) -> None:
    """Break the connection off after the first bytes."""
    await conn.read(ALL)
    raise _Reset


def alone(peer: Peer, /) -> Node:
    """Return a node that reaches nobody."""
    return lambda conn, _: peer(conn)


class _Reset(Exception):
    """Raised by a peer that breaks off."""


# ---- The network


class _Link:
    """A connection of a network; ``near`` is the end of the object on trial, if it is in here."""

    def __init__(self, near: MemoryConn | PacketEnd | None, far: Conn) -> None:
        self.near = near
        self.far = far
        self.ended = False

    def is_open(self) -> bool:
        """Tell whether the object on trial still has it open."""
        return not (self.ended if self.near is None else self.near.closed)


class _FarEnd(BareConn):
    """The far end of a connection from elsewhere: it notes when that has ended."""

    def __init__(self, inner: Conn, link: _Link) -> None:
        super().__init__(inner)
        self.link = link

    async def read(self, n: int, /) -> bytes:
        """Read."""
        try:
            data = await super().read(n)
        except OSError:
            self.link.ended = True
            raise
        self.link.ended = not data
        return data


class Network(NetDialer):
    """A network whose connections all lead to one peer.

    Args:
        peer: plays the far end of each connection; when it is done, that is closed.
    """

    def __init__(self, peer: Peer, /) -> None:
        self.peer = peer
        self.listener: Listener | None = None
        self.dials: list[tuple[str, str]] = []
        self.links: list[_Link] = []
        self._sockets: list[PacketEnd] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: list[Exception] = []
        self.error: Exception | None = None
        self.is_silent = False
        self.answering: asyncio.Event | None = None
        self.black_holes: set[str] = set()
        self.waiting = 0
        self._never = asyncio.Event()
        keep(self.close)
        current().remarks.append(self._failure)

    def _failure(self) -> str:
        return f"the peer had raised {describe(self.failures[0])}" if self.failures else ""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        """Open a connection to the peer."""
        self.dials.append((network, addr))
        await turns(2)
        if self.error is not None:
            raise self.error
        if self.answering is not None and ctx.value(TIME_LIMIT) is not None:
            async with asyncio.timeout_at(ctx.value(TIME_LIMIT)):
                await self.answering.wait()
        if self.is_silent or addr in self.black_holes:
            self.waiting += 1
            try:
                await self._never.wait()
            finally:
                self.waiting -= 1
        if network.startswith("udp"):
            return self._socket(network, addr)
        return self.connect(network, addr)

    def connect(self, network: str, addr: str) -> MemoryConn:
        """Return a connection to the peer."""
        near, far = connected_pair(network, f"192.0.2.1:{_port()}", addr)
        self.play(_Link(near, far))
        return near

    def _socket(self, network: str, addr: str) -> PacketEnd:
        local = Address(network, f"192.0.2.1:{_port()}")
        ends: dict[str, PacketEnd] = {}

        def send(near: PacketEnd, data: bytes, to: Address) -> None:
            if str(to) not in ends:
                far = PacketEnd(to, local, lambda _socket, data, _to: near.receive(data, to))
                ends[str(to)] = far
                self.play(_Link(near, far))
            ends[str(to)].receive(data, local)

        socket = PacketEnd(local, Address(network, addr) if addr else None, send)
        self._sockets.append(socket)
        return socket

    async def listen(self, listener: Listener) -> None:
        """Serve who connects to ``listener``, which is closed in the end."""
        self.listener = listener
        keep(listener.close)

        async def serve() -> None:
            with suppress(OSError):
                while True:
                    await turns(1)
                    conn = await listener.accept()
                    link = _Link(None, conn)
                    # A wrapper would hide that a peer of datagrams has a PacketConn.
                    if not isinstance(conn, PacketEnd):
                        link.far = _FarEnd(conn, link)
                    self.play(link)

        self._begin(serve())

    async def listen_on_loopback(self, network: str) -> None:
        """Serve who connects through this host's own network, or sends datagrams by it."""
        listener = _LoopbackListener(Address(network, ""))
        await listener.start()
        await self.listen(listener)

    def play(self, link: _Link) -> None:
        """Have the peer play the far end."""
        self.links.append(link)

        async def play() -> None:
            try:
                await self.peer(link.far)
            except _Reset:
                break_off(link.far)
            except OSError:
                # The other end went first.
                pass
            except Exception as error:
                self.failures.append(error)
            finally:
                link.ended = True
                await link.far.close()

        self._begin(play())

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        # What a peer begins is no task of whoever called it.
        task = asyncio.create_task(noting_tasks(work, []))
        self._tasks.add(task)
        current().others.add(task)

    def carries_datagrams(self) -> bool:
        """Tell whether datagrams were asked for, which tell nothing of a peer that is gone."""
        return any(network.startswith("udp") for network, _ in self.dials)

    def written(self) -> int:
        """Return how many bytes the object on trial has written to streams in here."""
        nears = (link.near for link in self.links)
        return sum(written(near) for near in nears if isinstance(near, MemoryConn))

    def is_used(self) -> bool:
        """Tell whether the object on trial has anything open here, or asks for it."""
        sockets_open = any(not socket.closed for socket in self._sockets)
        return bool(self.waiting) or sockets_open or any(link.is_open() for link in self.links)

    async def expect_unused(self, when: str, /) -> None:
        """Break the clause unless the object on trial comes to have nothing open here."""
        await until(lambda: not self.is_used(), f"{when}, and a connection to the node stayed open")

    async def break_off(self) -> None:
        """Break off all connections, as when the node crashes."""
        for link in self.links:
            break_off(link.far)
            await link.far.close()

    async def close(self) -> None:
        """End what goes on."""
        for task in self._tasks:
            task.cancel()
        for link in self.links:
            await link.far.close()


def ssl_errors() -> tuple[type[Exception], ...]:
    """Return what TLS raises; a Python may be without it."""
    try:
        import ssl
    except ImportError:
        return ()
    return (ssl.SSLError,)


def break_off(conn: Conn) -> None:
    """Break a connection off for the other end, if that can be done."""
    if isinstance(conn, MemoryConn):
        conn.break_off()


# ---- What a node sees


class _VisitedListener(MemoryListener):
    """A listener of a node, to which the scenario sends visitors."""

    def visit(self) -> MemoryConn | PacketEnd:
        """Let a visitor come, from an address of its own, and return the visitor's end."""
        network = self._addr.network()
        host = "[2001:db8::7]" if str(self._addr).startswith("[") else "198.51.100.7"
        visitor = Address(network, f"{host}:{_port()}")
        near, far = (
            packet_pair(visitor, self._addr)
            if network.startswith("udp")
            else connected_pair(network, str(visitor), str(self._addr))
        )
        self._arrive(far)
        return near


class Outside(chain.Router):
    """What a node reaches: targets that send back what they get, and visitors."""

    def __init__(self) -> None:
        self.greeting = b""
        self.received: dict[str, bytes] = {}
        self.network = Network(self._target)
        self.listeners: list[_VisitedListener] = []
        self.binds: list[tuple[str, str]] = []
        self.expects_early_visitor = False
        self.visitors: list[MemoryConn | PacketEnd] = []

    def options(self) -> chain.RouterOptions:
        """Return options that say nothing."""
        return chain.RouterOptions()

    async def dial(
        self, ctx: Context, network: str, address: str, /, *opts: chain.DialOption
    ) -> Conn:
        """Reach a target."""
        return await self.network.dial(ctx, network, address)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: chain.BindOption
    ) -> Listener:
        """Listen for visitors."""
        self.binds.append((network, address))
        port = address.rpartition(":")[2]
        bound = port if port.strip("0") else _port()
        host = "[2001:db8::5]" if address.startswith("[") else "203.0.113.5"
        listener = _VisitedListener(Address(network, f"{host}:{bound}"))
        self.listeners.append(listener)
        if self.expects_early_visitor:
            self.visitors.append(listener.visit())
        return listener

    async def _target(self, conn: Conn) -> None:
        addr = str(conn.local_addr())
        self.received.setdefault(addr, b"")
        if self.greeting:
            await conn.write(self.greeting)
        while data := await conn.read(ALL):
            self.received[addr] += data
            await conn.write(data)
