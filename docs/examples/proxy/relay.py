"""Copying between a client and what it wanted to reach."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from gost_core.common import net

T = TypeVar("T")

# What one read of the event loop brings at most; a smaller number would cut it into pieces.
CHUNK = 256 * 1024


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

    async def send() -> int:
        data = await of_client(client.read(CHUNK))
        if data:
            await target.write(data)
            traffic.sent += len(data)
        return len(data)

    async def receive() -> int:
        data = await target.read(CHUNK)
        if data:
            await of_client(client.write(data))
            traffic.received += len(data)
        return len(data)

    async def copy(step: Callable[[], Awaitable[int]], destination: net.Conn) -> None:
        # A step leaves nothing behind: while it waits for more, the last piece is not kept.
        while await step():
            pass
        await _end(destination)

    directions = [asyncio.create_task(copy(send, target)), asyncio.create_task(copy(receive, client))]
    try:
        # ClosedError: _end() has closed a connection that cannot half-close.
        with suppress(net.ClosedError):
            await asyncio.gather(*directions)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def _end(conn: net.Conn) -> None:
    # A peer that is gone needs no end; whether its own stream was whole shows in the other copy.
    with suppress(BrokenPipeError, ConnectionResetError):
        try:
            if isinstance(conn, net.HalfCloser):
                return await conn.close_write()
        except net.UnsupportedError:
            pass
        await conn.close()
