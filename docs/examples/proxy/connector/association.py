"""Datagrams through a SOCKS5 proxy (RFC 1928, section 7): either end."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

from typing_extensions import Buffer

from gost_core.common import net

from ..net.address import UDPAddr, join_host_port, split_host_port, split_target
from ..net.relay import CHUNK
from ..net.udp import ALL, NOWHERE, DatagramConn
from ..wire.socks5 import pack_address, unpack_address


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
        self._peer = UDPAddr(*split_target(target)) if target else NOWHERE
        self._only = ""
        with suppress(ValueError):
            self._only = join_host_port(str(ip_address(self._peer.host)), self._peer.port)
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

    def remote_addr(self) -> UDPAddr:
        return self._peer

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
