"""The far end of the reverse path: handing visitors on."""

import asyncio
from contextlib import suppress
from typing import Final

from gost_core import listener
from gost_core.common import net

from ..limiter.conn import HostConnLimiter, take_place
from ..net.h2_budget import HostBudgets
from ..net.h2_session import STREAMS, Session
from ..net.relay import ClientGoneError, Traffic, relay

PAUSE: Final = 1.0  # seconds after which it is tried again to accept
OF_ONE_HOST: Final = STREAMS // 4
VISITORS: Final = STREAMS - 1  # at once, beside the stream for control; others wait to be accepted


async def serve_visitors(client: net.Conn, bound: net.Listener, budgets: HostBudgets) -> None:
    """Be the far end of a tunnel: send each visitor of a listener through it, while it is there."""
    session = Session(client, client=True, budget=budgets.of(client))
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
    try:
        visitor = take_place(visitor, limits)
        stream = await session.open(str(visitor.remote_addr()))
        try:
            await relay(visitor, stream, Traffic())
        finally:
            await stream.close()
    except (OSError, ClientGoneError):  # this visitor's trouble, and nobody else's
        pass
    finally:
        await visitor.close()
