"""Datagrams through a SOCKS5 proxy (RFC 1928, section 7), and how SOCKS5 writes addresses."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

from typing_extensions import Buffer

from gost_core.common import net

from .address import UDPAddr, join_host_port, split_host_port, split_target
from .relay import CHUNK
from .stream import read_exactly
from .udp import ALL, NOWHERE, DatagramConn, UDPConn
from .wrapper import Wrapper

IPV4, NAME, IPV6 = 1, 3, 4


def pack_address(address: str) -> bytes:
    """Write a target in the way of SOCKS5."""
    host, port = split_target(address)
    try:
        ip = ip_address(host)
        packed = bytes([IPV4 if ip.version == 4 else IPV6]) + ip.packed
    except ValueError:
        name = host.encode("ascii")
        if len(name) > 255:
            raise ValueError(f"{address!r}: a name in SOCKS5 has 255 bytes at most") from None
        packed = bytes([NAME, len(name)]) + name
    return packed + port.to_bytes(2, "big")


def unpack_address(data: bytes) -> tuple[str, bytes]:
    """Return the address that ``data`` begins with, and what follows it."""
    size = _size(data[:2])
    if len(data) < size:
        raise ValueError("the address is cut short")
    host, port = data[1 : size - 2], int.from_bytes(data[size - 2 : size], "big")
    if data[0] != NAME:
        return join_host_port(str(ip_address(host)), port), data[size:]
    address = f"{host[1:].decode('ascii')}:{port}"
    split_host_port(address)  # a name that is none is refused where it enters
    return address, data[size:]


async def read_address(conn: net.Conn) -> str:
    """Read an address from a stream, and nothing beyond it."""
    head = await read_exactly(conn, 2)
    address, _ = unpack_address(head + await read_exactly(conn, _size(head) - 2))
    return address


def _size(head: bytes) -> int:
    """Tell from the first two bytes of an address how many it has."""
    if len(head) < 2:
        raise ValueError("the address is cut short")
    size = {IPV4: 7, IPV6: 19, NAME: 4 + head[1]}.get(head[0])
    if size is None:
        raise ValueError(f"SOCKS address type {head[0]}")
    return size


class Association(DatagramConn):
    """Either end of what UDP ASSOCIATE makes: the client's, and the proxy's.

    Before each datagram stands an address: where it goes, on the way to the proxy, and where it
    comes from, on the way back. So ``read_from`` tells the proxy the target, and the client the
    sender. The association ends with the stream on which it was asked for, which it owns (D3).

    Args:
        stream: where it was asked for.
        datagrams: a connection to the other end.
        target: the only address that the client speaks to, or "". A target given by name answers
            from an IP address that only the proxy knows, so then any sender is taken for it.
    """

    def __init__(self, stream: net.Conn, datagrams: net.Conn, target: str = "") -> None:
        self._stream = stream
        self._datagrams = datagrams
        self._peer = peer = UDPAddr(*split_target(target)) if target else NOWHERE
        self._only = ""
        with suppress(ValueError):
            self._only = join_host_port(str(ip_address(peer.host)), peer.port)
        self._closed = False
        self._watching = asyncio.create_task(self._watch(), name="end of a SOCKS5 association")

    async def read_from(self, n: int, /) -> tuple[bytes, UDPAddr]:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        while True:
            with self._saying_who_ended():
                packet = await self._datagrams.read(ALL)
            # What is malformed is dropped, and so are fragments: to put them together is optional.
            with suppress(ValueError):
                address, data = unpack_address(packet[3:])
                if packet[2] == 0 and self._only in ("", address):
                    return data[:n], UDPAddr(*split_host_port(address))

    async def send(self, data: Buffer, addr: net.Addr, /) -> None:
        packet = bytes(3) + pack_address(str(addr)) + bytes(data)
        with self._saying_who_ended():
            await self._datagrams.write(packet)

    async def close(self) -> None:
        self._closed = True
        self._watching.cancel()
        try:
            await self._datagrams.close()
        finally:
            await self._stream.close()
        await asyncio.wait([self._watching])

    def local_addr(self) -> net.Addr:
        return self._datagrams.local_addr()

    @contextmanager
    def _saying_who_ended(self) -> Generator[None, None, None]:
        try:
            yield
        except net.ClosedError:
            if self._closed:
                raise
            who = self._stream.remote_addr()
            raise ConnectionResetError(f"{who} ended the association") from None

    async def _watch(self) -> None:
        with suppress(OSError):
            while await self._stream.read(CHUNK):
                pass  # nothing more is to be said on it
        await self._datagrams.close()


class FirstClient(Wrapper):
    """Speaks to the first one of a host who sends something, and hears nobody else."""

    def __init__(self, inner: UDPConn, host: str) -> None:
        super().__init__(inner)
        self._socket = inner
        self._host = host
        self._client: UDPAddr | None = None

    async def read(self, n: int, /) -> bytes:
        while True:
            data, sender = await self._socket.read_from(n)
            if self._client is None and sender.host == self._host:
                self._client = sender
            if sender == self._client:
                return data

    async def write(self, data: Buffer, /) -> None:
        if self._client is None:
            raise net.UnsupportedError("the client has sent nothing yet")
        await self._socket.send(data, self._client)
