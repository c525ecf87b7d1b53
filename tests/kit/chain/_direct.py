"""What is reached without a chain: this host's own sockets, and the addresses of names."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from gost_core.common.net import Addr, ClosedError, Conn, Listener, UnsupportedError
from gost_core.context import Context
from gost_core.hosts import HostMapper
from gost_core.resolver import InvalidError, Resolver
from tests.kit.common.net._sockets import DatagramConn, SocketAddr, SocketConn, split, wake


class LocalListener(Listener):
    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.own_addr = SocketAddr("tcp", sock.getsockname())
        self.waiter: asyncio.Future[None] | None = None
        self.closed = False

    async def accept(self) -> Conn:
        while not self.closed:
            try:
                return SocketConn(self.sock.accept()[0])
            except BlockingIOError:
                await self.acceptable()
        raise ClosedError("it was closed here")

    async def acceptable(self) -> None:
        loop = asyncio.get_running_loop()
        self.waiter = loop.create_future()
        loop.add_reader(self.sock, wake, self.waiter)
        try:
            await self.waiter
        finally:
            if not self.closed:
                loop.remove_reader(self.sock)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self.sock)
            self.sock.close()
            wake(self.waiter)

    def addr(self) -> Addr:
        return self.own_addr


class PlainConn(SocketConn):
    """Closes at once, as the system does."""

    async def linger(self) -> None:
        """Discard nothing."""


def join(host: IPv4Address | IPv6Address, port: str) -> str:
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


async def dial_here(network: str, address: str) -> Conn:
    if network.startswith("udp") and not address:
        six = network == "udp6"
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("::1" if six else "127.0.0.1", 0))
        return DatagramConn(sock)
    if not network.startswith("tcp"):
        raise UnsupportedError(f"the network {network!r} is not offered")
    host, port = split(address)
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return SocketConn(sock)


class PlainListener(LocalListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        assert isinstance(conn, SocketConn)
        return PlainConn(conn.sock)


async def bind_here(address: str) -> Listener:
    return LocalListener(socket.create_server(split(address)))


async def lookup(
    ctx: Context,
    address: str,
    mapper: HostMapper | None,
    resolver: Resolver | None,
    family: str = "ip",
) -> str:
    """Map and resolve an address as D39 says."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or (":" in host and not host.startswith("[")):
        return address
    host = host.strip("[]")
    found: Sequence[IPv4Address | IPv6Address] | None = None
    if mapper is not None:
        found = await mapper.lookup(ctx, family, host)
    if found is None and resolver is not None:
        try:
            found = await resolver.resolve(ctx, family, host)
        except InvalidError:
            return address
    if found is None:
        return address
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
    return join(found[0], port)
