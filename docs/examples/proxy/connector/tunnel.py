"""The reverse path: what a far proxy has bound, and its visitors; either end."""

import asyncio
from contextlib import suppress
from typing import Final

from gost_core import listener
from gost_core.common import net

from ..limiter.bucket import Budgets
from ..limiter.conn import HostConnLimiter, take_place
from ..net.address import TCPAddr, host_of, split_host_port
from ..net.h2_budget import Budget
from ..net.h2_session import STREAMS, Session
from ..net.h2_stream import Stream
from ..net.newcomers import fairly
from ..net.relay import ClientGoneError, Traffic, break_off, relay
from ..net.wrapper import ClosedOnce, Wrapper

FAREWELL: Final = 5.0  # seconds for the far end to free its address
PAUSE: Final = 1.0  # seconds after which it is tried again to accept
OF_ONE_HOST: Final = STREAMS // 4
VISITORS: Final = STREAMS - 1  # at once, beside the stream for control; others wait to be accepted


class Visitor(Wrapper):
    """A stream whose other end is the visitor, by the address that it came with (D35)."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._addr = TCPAddr(*split_host_port(stream.name))

    def remote_addr(self) -> net.Addr:
        return self._addr


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


async def serve_visitors(
    client: net.Conn, bound: net.Listener, budgets: Budgets[str, Budget]
) -> None:
    """Be the far end of a tunnel: send each visitor of a listener through it, while it is there."""
    budget = budgets.of(host_of(str(client.remote_addr())), Budget)
    session = Session(client, client=True, budget=budget)
    try:
        control = await session.open("control")
        async with asyncio.TaskGroup() as visits:
            accepting = visits.create_task(_accept_visitors(session, bound, visits))
            with suppress(OSError):  # the tunnel broke off, and all its streams
                await control.read(1)
            accepting.cancel()
            await bound.close()
            await control.close()
    finally:
        await session.close()


async def _accept_visitors(
    session: Session, bound: net.Listener, visits: asyncio.TaskGroup
) -> None:
    places, limits = asyncio.Semaphore(VISITORS), HostConnLimiter({}, others=OF_ONE_HOST)
    while True:
        await places.acquire()
        try:
            visit = visits.create_task(_visit(session, await bound.accept(), limits))
            visit.add_done_callback(lambda _: places.release())
        except listener.AcceptError:
            places.release()
            await asyncio.sleep(PAUSE)
        except OSError:  # nobody comes any more, and the near end will want to know
            return await session.close()


async def _visit(session: Session, visitor: net.Conn, limits: HostConnLimiter) -> None:
    await fairly(host_of(str(visitor.remote_addr())), _carry, session, visitor, limits)


async def _carry(session: Session, visitor: net.Conn, limits: HostConnLimiter) -> None:
    try:
        await asyncio.sleep(0)  # until it is the turn of its host
        visitor = take_place(visitor, limits)
        stream = await session.open(str(visitor.remote_addr()))
        try:
            await relay(visitor, stream, Traffic())
        finally:
            await stream.close()
    except (OSError, ClientGoneError):  # this visitor's trouble, and nobody else's
        await break_off(visitor)
    finally:
        await visitor.close()
