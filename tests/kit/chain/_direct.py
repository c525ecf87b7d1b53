"""What is reached without a chain: this host's own sockets, and the addresses of names."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from typing_extensions import Buffer

from gost_core.common import net
from gost_core.common.net import Addr, Conn, Listener, UnsupportedError
from gost_core.context import Context
from gost_core.hosts import HostMapper
from gost_core.resolver import InvalidError, Resolver
from tests.kit.common.net._sockets import SocketAddr, SocketConn


class LocalSocket:
    """A socket that waits for what comes to it."""

    def __init__(self, sock: socket.socket, network: str) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.own_addr = SocketAddr(network, sock.getsockname())
        self.waiter: asyncio.Future[None] | None = None
        self.closed = False

    async def readable(self) -> None:
        loop = asyncio.get_running_loop()
        self.waiter = loop.create_future()
        loop.add_reader(self.sock, self.wake)
        try:
            await self.waiter
        finally:
            if not self.closed:
                loop.remove_reader(self.sock)
        self.check_open()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def check_open(self) -> None:
        if self.closed:
            raise net.ClosedError("it was closed here")

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self.sock)
            self.sock.close()
            self.wake()


class LocalListener(LocalSocket, Listener):
    async def accept(self) -> Conn:
        self.check_open()
        while True:
            try:
                return SocketConn(self.sock.accept()[0])
            except BlockingIOError:
                await self.readable()

    def addr(self) -> Addr:
        return self.own_addr


class Datagrams(LocalSocket, Conn, net.PacketConn):
    """An unconnected UDP socket."""

    async def read(self, n: int, /) -> bytes:
        raise UnsupportedError("this socket is not connected: use read_from()")

    async def write(self, data: Buffer, /) -> None:
        raise UnsupportedError("this socket is not connected: use write_to()")

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        self.check_open()
        while True:
            try:
                data, peer = self.sock.recvfrom(n)
            except BlockingIOError:
                await self.readable()
            else:
                return data, SocketAddr("udp", peer)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.check_open()
        self.sock.sendto(data, split(str(addr)))

    def local_addr(self) -> Addr:
        return self.own_addr

    def remote_addr(self) -> Addr:
        return Nowhere()


class Nowhere(Addr):
    def network(self) -> str:
        return "udp"

    def __str__(self) -> str:
        return ""


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def join(host: IPv4Address | IPv6Address, port: str) -> str:
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


async def dial_here(network: str, address: str) -> Conn:
    if network.startswith("udp") and not address:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return Datagrams(sock, "udp")
    if not network.startswith("tcp"):
        raise UnsupportedError(f"the network {network!r} is not offered")
    host, port = split(address)
    if not host:
        raise ValueError(f"{address!r} has no host")
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return SocketConn(sock)


async def bind_here(address: str) -> Listener:
    return LocalListener(socket.create_server(split(address)), "tcp")


async def lookup(
    ctx: Context, address: str, mapper: HostMapper | None, resolver: Resolver | None
) -> str:
    """Map and resolve an address as D39 says."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not host:
        return address
    found: Sequence[IPv4Address | IPv6Address] | None = None
    if mapper is not None:
        found = await mapper.lookup(ctx, "ip", host)
    if found is None and resolver is not None:
        try:
            found = await resolver.resolve(ctx, "ip", host)
        except InvalidError:
            return address
    if found is None:
        return address
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
    return join(found[0], port)
