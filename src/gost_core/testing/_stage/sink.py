"""A connection to be wrapped, behind which there is nobody."""

import asyncio
from typing import Final

from typing_extensions import Buffer

from gost_core.common.net import Addr, PacketConn
from gost_core.testing._stage.memory import Address, AddressedConn

__all__ = ("PEER", "Sink")

PEER: Final[Address] = Address("udp", "192.0.2.2:53")
"""The other end."""


class Sink(AddressedConn, PacketConn):
    """Keeps what is sent, as a stream or in datagrams; each call lets other tasks go on."""

    def __init__(self) -> None:
        super().__init__(Address("udp", "192.0.2.1:1024"), PEER)
        self.sent: list[bytes] = []

    async def read(self, n: int, /) -> bytes:
        """Read the end."""
        await asyncio.sleep(0)
        return b""

    async def write(self, data: Buffer, /) -> None:
        """Keep what is sent."""
        await asyncio.sleep(0)
        self.sent.append(bytes(data))

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        """Receive a datagram."""
        await asyncio.sleep(0)
        return b"datagram"[:n], PEER

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        """Keep what is sent."""
        await self.write(data)

    async def close(self) -> None:
        """Close."""
        await asyncio.sleep(0)
