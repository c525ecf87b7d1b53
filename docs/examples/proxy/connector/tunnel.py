"""The near end of the reverse path: what a far proxy has bound."""

import asyncio
from contextlib import suppress
from typing import Final

from gost_core.common import net

from ..net.address import TCPAddr, split_host_port
from ..net.closing import ClosedOnce
from ..net.h2_session import Session
from ..net.h2_stream import Stream
from ..net.visitor import Visitor

FAREWELL: Final = 5.0  # seconds for the far end to free its address


class TunnelListener(ClosedOnce, net.Listener):
    """What a far proxy has bound: its visitors come by the streams of a session.

    A first stream carries no bytes: its end asks for the end of the listening, and the answer tells
    that the address is free. The tunnel ends with the last visitor that was accepted (D27, D35).
    """

    def __init__(self, session: Session, control: Stream, addr: net.Addr) -> None:
        self._session = session
        self._control = control
        self._addr = addr

    @classmethod
    async def over(cls, conn: net.Conn, addr: str, backlog: int) -> "TunnelListener":
        """Begin the session on a connection whose far end has bound an address."""
        session = Session(conn, client=False, backlog=backlog)
        try:
            return cls(session, await session.accept(), TCPAddr(*split_host_port(addr)))
        except BaseException:
            await session.close()
            raise

    async def accept(self) -> net.Conn:
        return Visitor(await self._session.accept())

    def addr(self) -> net.Addr:
        return self._addr

    async def _end(self) -> None:
        await self._session.retire()
        with suppress(OSError):
            async with asyncio.timeout(FAREWELL):
                await self._control.close_write()
                await self._control.read(1)
        await self._control.close()
