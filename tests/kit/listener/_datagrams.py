"""A listener of datagrams, right but for nothing: a connection for each source, on one socket."""

import asyncio
import socket
from collections import deque

from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Closer, Conn, PacketConn
from gost_core.listener import Option, addr_option
from gost_core.testing import Contract
from gost_core.testing._stage.memory import Address, MemoryMetadata
from gost_core.testing.listener import ListenerContract
from tests.kit import virtual_time
from tests.kit.common.net._sockets import SocketConn
from tests.kit.listener._local import BACKLOG, TIME_LIMIT, RightListener, fail
from tests.kit.listener._serving import RightWrapper, ServedConn


class Peer(Conn):
    """Datagrams with one source."""

    def __init__(self, listener: "DatagramListener", source: tuple[str, int]) -> None:
        self.listener = listener
        self.source = source
        self.datagrams = deque[bytes]()
        self.changed = asyncio.Event()
        self.closed = False

    def feed(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)
        self.changed.set()

    async def read(self, n: int, /) -> bytes:
        while not self.closed:
            if self.datagrams:
                return self.datagrams.popleft()[:n]
            self.changed.clear()
            await self.changed.wait()
        raise ClosedError("this connection was closed")

    async def write(self, data: Buffer, /) -> None:
        if self.closed:
            raise ClosedError("this connection was closed")
        if datagram := bytes(data):
            self.listener.beneath.sendto(datagram, self.source)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.changed.set()
            self.listener.leave(self)

    def local_addr(self) -> Addr:
        return self.listener.addr()

    def remote_addr(self) -> Addr:
        return Address("udp", "{}:{}".format(*self.source))


class ServedPackets(ServedConn, PacketConn):
    """Such a connection, with what the options want of it."""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.read(n), self.remote

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if str(addr) != str(self.remote):
            raise ValueError(f"this connection is with {self.remote}, not with {addr}")
        await self.write(data)


class DatagramListener(RightListener):
    """Accepts a connection for each source, by its first datagram."""

    beneath: socket.socket

    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts)
        self.peers: dict[tuple[str, int], Peer] = {}
        self.bound = False

    async def greet(self, conn: Conn) -> None:
        """Want no greeting."""

    async def welcome(self, conn: ServedConn) -> None:
        """Answer nothing."""

    def bind(self) -> None:
        if self.options.proxy_protocol > 0:
            raise ValueError("proxy_protocol is not served with datagrams")
        host, _, port = self.options.addr.rpartition(":")
        self.beneath = socket.socket(type=socket.SOCK_DGRAM)
        try:
            self.beneath.bind((host, int(port)))
        except OSError:
            self.beneath.close()
            raise
        self.beneath.setblocking(False)
        self.bound = True
        self.address = Address("udp", "{}:{}".format(*self.beneath.getsockname()))

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self.beneath, self.arrived, self.beneath)

    def arrived(self, sock: socket.socket) -> None:
        try:
            datagram, source = sock.recvfrom(65535)
        except BlockingIOError:
            return
        if source not in self.peers:
            if self.closed or not datagram:
                return
            self.peers[source] = Peer(self, source)
            self.take(ServedPackets(self.peers[source], self.options))
        self.peers[source].feed(datagram)

    def end(self) -> None:
        self.closed = True
        self.wake()
        self.leave()

    def leave(self, peer: Peer | None = None) -> None:
        """Give the address back, if that was the last one."""
        if peer is not None:
            del self.peers[peer.source]
        if self.closed and self.bound and not self.peers:
            self.bound = False
            asyncio.get_running_loop().remove_reader(self.beneath)
            self.beneath.close()


class PacketClient(SocketConn, PacketConn):
    """A client of datagrams."""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.read(n), self.remote

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self.write(data)


async def connect(addr: Addr) -> PacketClient:
    host, _, port = str(addr).rpartition(":")
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.connect((host, int(port)))
    return PacketClient(sock)


async def send_nothing(addr: Addr) -> Closer:
    client = await connect(addr)
    client.sock.send(b"")
    return client


def run(addr: str, listener: type[DatagramListener] = DatagramListener) -> Contract:
    return ListenerContract(
        lambda option: listener(addr_option(addr), option),
        connect,
        backlog=BACKLOG,
        bad_metadata=MemoryMetadata(backlog="many"),
        bad_clients={"one that sent an empty datagram": send_nothing},
        connect_silent=connect,
        fail=fail,
        wrap=RightWrapper,
        shares_socket=True,
        elapse=virtual_time.elapse,
        time_limit=TIME_LIMIT,
    )
