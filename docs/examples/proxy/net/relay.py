"""Copying between a client and what it wanted to reach."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from gost_core.common import net

from .tcp import TCPConn

T = TypeVar("T")

# What one read of the event loop brings at most; a smaller number would cut it into pieces.
CHUNK = 256 * 1024

LAST_WORDS = 1.0  # seconds for what was written to be sent


class ClientGoneError(Exception):
    """The client went away, which is its right and no failure of the exchange (D28)."""


async def of_client(call: Awaitable[T]) -> T:
    """Await a read from or a write to the client, whose departure is unlike other faults."""
    try:
        return await call
    except (ConnectionResetError, BrokenPipeError) as error:
        raise ClientGoneError from error


@dataclass(slots=True)
class Traffic:
    """How many bytes went each way, seen from the client."""

    sent: int = 0
    received: int = 0


async def relay(client: net.Conn, target: net.Conn, traffic: Traffic) -> None:
    """Copy both ways until both streams have ended.

    The end of one stream is handed on while the other one goes on: a client that half-closes
    behind its request still gets the whole answer. A fault of either side ends both.
    """

    async def send() -> None:
        while True:
            try:  # as of_client() does, without its frame for each piece and idle client
                data = await client.read(CHUNK)
            except (ConnectionResetError, BrokenPipeError) as error:
                raise ClientGoneError from error
            if not data:
                return await _end(target)
            await target.write(data)
            traffic.sent += len(data)
            del data  # or it is kept until there is more, which may be never

    async def receive() -> None:
        while data := await target.read(CHUNK):
            try:
                await client.write(data)
            except (ConnectionResetError, BrokenPipeError) as error:
                raise ClientGoneError from error
            traffic.received += len(data)
            del data
        await _end(client)

    # ClosedError: _end() has closed a connection that cannot half-close.
    with suppress(net.ClosedError):
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(send())
                await receive()
        except BaseExceptionGroup as faults:
            first = faults.exceptions[0]
            raise first from first.__cause__


async def while_active(call: Awaitable[None], traffic: Traffic, seconds: float) -> None:
    """Await what copies; a TimeoutError ends it when nothing has gone through for so long."""
    copying, before = asyncio.ensure_future(call), -1
    try:
        while before != (now := traffic.sent + traffic.received):
            before = now
            await asyncio.wait({copying}, timeout=seconds)
            if copying.done():
                return copying.result()
        raise TimeoutError(f"nothing went through for {seconds:g} s")
    finally:
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)


async def break_off(conn: net.Conn) -> None:
    """Have a peer see that what it got is not all there was, once it has got that (D72)."""
    if isinstance(conn, net.Aborter):
        tcp = net.find_capability(conn, TCPConn)
        end = time.monotonic() + LAST_WORDS
        # The system lets nobody wait for that.
        while tcp is not None and tcp.unsent() and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        conn.abort()
    await conn.close()


async def _end(conn: net.Conn) -> None:
    # A peer that is gone needs no end; whether its own stream was whole shows in the other copy.
    with suppress(BrokenPipeError, ConnectionResetError):
        try:
            if isinstance(conn, net.HalfCloser):
                return await conn.close_write()
        except net.UnsupportedError:
            pass
        await conn.close()
