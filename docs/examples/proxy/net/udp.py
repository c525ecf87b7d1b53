"""UDP: connections that carry datagrams, and how datagrams are relayed."""

import asyncio
import errno
import socket
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from typing_extensions import Buffer

from gost_core.common import net

from .address import UDPAddr, addresses_of, split_target
from .relay import Traffic, both, of_client
from .tcp import Readiness

T = TypeVar("T")

ALL: Final = 65535  # no datagram is longer
NOWHERE: Final = UDPAddr("", 0)


class DatagramConn(net.Conn, net.PacketConn):
    """What all connections that carry datagrams do alike.

    One that is connected reads from its peer and writes to it; one that is not has to be told an
    address each time, and tells one (D9).
    """

    @abstractmethod
    async def send(self, data: Buffer, addr: net.Addr, /) -> None:
        """Send one datagram, as ``write_to`` does, to an address that may be sent to."""

    async def read(self, n: int, /) -> bytes:
        self._check_connected()
        while not (data := (await self.read_from(n))[0]):
            pass  # an empty datagram, which would look like the end of a stream (D8)
        return data

    async def write(self, data: Buffer, /) -> None:
        self._check_connected()
        await self.send(data, self.remote_addr())

    async def write_to(self, data: Buffer, addr: net.Addr, /) -> None:
        peer = self.remote_addr()
        if str(peer) not in ("", str(addr)):
            raise ValueError(f"this connection is to {peer}, and not to {addr}")
        await self.send(data, addr)

    def _check_connected(self) -> None:
        if not str(self.remote_addr()):
            raise net.UnsupportedError("this connection has no peer; use read_from and write_to")


class UDPConn(DatagramConn):
    """A UDP socket.

    What has arrived waits in the kernel until a read takes it, behind which there is no await: so
    a cancelled read loses nothing (D7). A write never waits: a datagram for which the kernel has no
    room is lost, as it might be on its way.
    """

    def __init__(self, sock: socket.socket, client: str = "") -> None:
        sock.setblocking(False)
        self._client: Final = client
        self._socket: Final = sock
        self._readable: Final = Readiness(sock)
        self._local: Final = UDPAddr.of(sock.getsockname())
        self._peer = NOWHERE
        with suppress(OSError):  # it is not connected
            self._peer = UDPAddr.of(sock.getpeername())
        self._closed = False

    async def read_from(self, n: int, /) -> tuple[bytes, UDPAddr]:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        await asyncio.sleep(0)  # in a flood of datagrams, too, others have their turn
        if self._readable.is_awaited():
            raise RuntimeError("another task is already reading from this connection")
        while True:
            try:
                data, sender = self._call(lambda: self._socket.recvfrom(n))
            except BlockingIOError:
                await self._readable.wait()
            else:
                return data, UDPAddr.of(sender)

    async def send(self, data: Buffer, addr: net.Addr, /) -> None:
        if str(self._peer):
            self._call(lambda: self._socket.send(data))
        else:
            to = await self._resolve(addr)
            self._call(lambda: self._socket.sendto(data, to))

    async def close(self) -> None:
        self._closed = True
        self._readable.end()
        self._socket.close()

    def local_addr(self) -> UDPAddr:
        return self._local

    def remote_addr(self) -> UDPAddr:
        return self._peer

    async def _resolve(self, addr: net.Addr) -> tuple[str, int]:
        """Return what the socket's family calls an address."""
        if not addr.network().startswith("udp"):
            raise ValueError(f"{addr.network()} address {addr}: datagrams go by udp")
        host, port = split_target(str(addr))
        if self._socket.family == socket.AF_INET:
            return (await addresses_of(host, "udp4", self._client))[0], port
        address = (await addresses_of(host, "udp", self._client))[0]
        return address if ":" in address else f"::ffff:{address}", port

    def _call(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise net.ClosedError("this connection was closed here")
        try:
            return call()
        except ConnectionRefusedError as error:
            # Of one that was sent before; those to come may find somebody (D9).
            raise ConnectionRefusedError(
                errno.ECONNREFUSED, f"nobody takes datagrams at {self._peer}"
            ) from error


def open_udp(
    network: str = "udp", local: str = "", remote: tuple[str, int] | None = None, client: str = ""
) -> UDPConn:
    """Open a socket for anybody, at an address of this host, or for one remote IP address."""
    host = local if remote is None else remote[0]
    both = network == "udp" and not host and socket.has_dualstack_ipv6()
    six = both or network == "udp6" or (network == "udp" and ":" in host)
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        sock.bind((local, 0)) if remote is None else sock.connect(remote)
        return UDPConn(sock, client)
    except BaseException:
        sock.close()
        raise


async def relay_datagrams(
    host: str,
    client: net.PacketConn,
    target: net.PacketConn,
    traffic: Traffic,
    check: Callable[[str, str], Awaitable[None]],
) -> None:
    """Copy datagrams both ways for a host, until either side is gone.

    ``check`` refuses a network and an address that the client may not send to. What is refused or
    cannot be written is dropped, as any network drops what it cannot carry; that a side is gone
    shows where it is read.
    """

    async def send() -> None:
        while True:
            data, addr = await of_client(client.read_from(ALL))
            with suppress(OSError, ValueError):
                await check(addr.network(), str(addr))
                await target.write_to(data, addr)
                traffic.sent += len(data)

    async def receive() -> None:
        while True:
            try:
                data, addr = await target.read_from(ALL)
            except ConnectionRefusedError:  # one datagram has found nobody, and others may (D9)
                continue
            with suppress(OSError, ValueError):
                await of_client(client.write_to(data, addr))
                traffic.received += len(data)

    await both(host, send, receive)
