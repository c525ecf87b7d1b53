"""Verbs on connections: what scenarios do with a stream and the peer at its other end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias, TypeVar

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, PacketConn
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.waiting import (
    by_task_that_goes_on,
    ended,
    expect,
    given,
    keep,
    outcome_of,
    owned,
    returned,
    settle,
    start,
    turns,
    within,
)

__all__ = (
    "ALL",
    "CHUNK",
    "FLOOD",
    "TURNS",
    "MakePair",
    "addresses_of",
    "begin",
    "blocked_write",
    "cancelled_beside",
    "carry",
    "connect",
    "drained",
    "end_of",
    "expect_written_right",
    "fill",
    "flood",
    "packets",
    "race_with_cancels",
    "read",
    "read_exactly",
    "write",
    "write_on",
)

R = TypeVar("R")
S = TypeVar("S")

MakePair: TypeAlias = Callable[[], Awaitable[tuple[Conn, Conn]]]

ALL: Final[int] = 65535
"""What to ask of read() in order to lose nothing of a datagram."""
CHUNK: Final[int] = 1 << 20
FLOOD: Final[int] = 64 * CHUNK
"""More bytes than the buffers of a connection may hold, all of them together."""
TURNS: Final[int] = 12
"""After how many turns of the event loop a call is cancelled: before, while and after it is done.
"""

_PIECE: Final[int] = CHUNK // 16
_MANY_TURNS: Final[int] = 10_000


async def connect(make: MakePair, /) -> tuple[Conn, Conn]:
    """Have a factory make a pair, and keep it."""
    here, there = await given(by_task_that_goes_on(make(), "connecting"), "connecting")
    keep(there.close)
    keep(here.close)
    return here, there


def addresses_of(conn: Conn, /) -> list[tuple[str, Addr]]:
    """Return both addresses of a connection, with the names of their methods."""
    return [
        ("local_addr()", returned(conn.local_addr(), "local_addr()")),
        ("remote_addr()", returned(conn.remote_addr(), "remote_addr()")),
    ]


def expect_written_right(conn: Conn, /) -> None:
    """Break the clause unless both addresses are there, and written as the contract has them."""
    for what, addr in addresses_of(conn):
        network, text = addr.network(), str(addr)
        expect(network == network.lower(), f"{what}.network() is {network!r}; write it lower case")
        if text and network.startswith(("tcp", "udp")):
            host, _, port = text.rpartition(":")
            bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
            expect(not bare, f"{what} is {text!r}; write IPv6 in brackets")
            expect(port.isdecimal(), f"{what} is {text!r}, and not host:port")


def packets(conn: Conn, /) -> PacketConn:
    """Return a connection as the PacketConn that a scenario needs it to be."""
    if not isinstance(conn, PacketConn):
        raise Broken(f"a {type(conn).__qualname__} is no PacketConn")
    return conn


async def begin(awaitable: Awaitable[R], /) -> "asyncio.Future[R]":
    """Begin something that goes on beside the scenario, and let it get to where it waits."""
    beginning = start(awaitable)
    await settle()
    return beginning


async def write(conn: Conn, data: Buffer, /) -> None:
    """Write, within the time limit."""
    await within(conn.write(data), f"write() of {memoryview(data).nbytes} bytes")


async def read(conn: Conn, n: int = ALL, /) -> bytes:
    """Read, within the time limit."""
    return await within(conn.read(n), f"read({n})")


async def read_exactly(conn: Conn, count: int, n: int = ALL, /) -> bytes:
    """Read ``count`` bytes, or up to the end."""
    data = bytearray()
    while len(data) < count:
        if not (piece := await read(conn, n)):
            break
        data += piece
    return bytes(data)


async def carry(source: Conn, sink: Conn, data: bytes, n: int = ALL, /) -> None:
    """Break the clause unless ``data`` gets from one end to the other, read ``n`` at a time."""
    await write(source, data)
    received = await read_exactly(sink, len(data), n)
    expect(received == data, f"{data!r:.60} was written, {received!r:.60} was read")


async def write_on(conn: Conn, /) -> None:
    """Write until that fails."""
    while True:
        await conn.write(b"x")
        await settle()


async def end_of(conn: Conn, /) -> None:
    """Wait until a connection has ended, by whatever means."""
    await drained(conn)


async def drained(conn: Conn, /) -> int:
    """Read until a connection has ended, by whatever means; return how many bytes came."""
    count = 0
    with suppress(OSError):
        while data := await conn.read(ALL):
            count += len(data)
    return count


async def flood(conn: Conn, full: asyncio.Event | None = None, /) -> "asyncio.Future[int]":
    """Write to a peer that reads nothing until no more is taken, for far longer than before.

    Returns:
        The writes that go on, until ``full`` is set; in the end, how much was taken.
    """
    loop = asyncio.get_running_loop()
    taken, longest, limit = 0, 0.0, current().time_limit
    began = last = loop.time()

    async def write_all() -> int:
        nonlocal taken, longest, last
        while taken < FLOOD and not (full and full.is_set()):
            await conn.write(bytes(_PIECE))
            taken += _PIECE
            longest = max(longest, loop.time() - last)
            last = loop.time()
        return taken

    writing = start(write_all())
    # A slow write is none that waits: what took a while before may take as long again.
    while not writing.done() and loop.time() - last < (0.1 + 10 * longest if taken else limit / 2):
        seconds = loop.time() - began
        slow = f"a peer that read nothing for {seconds:.1f} s, and of {taken} bytes more were taken"
        expect(seconds < 3 * limit, f"write() went on, with {slow}")
        await settle()
    return writing


async def blocked_write(conn: Conn, /) -> "asyncio.Future[int]":
    """Begin writes of which one waits."""
    writing = await flood(conn)
    if writing.done():
        raise Broken(f"no write() waited: it {outcome_of(writing)}")
    return writing


async def fill(conn: Conn, peer: Conn, /) -> int:
    """Write until the buffers are full and no write waits; return how much ``peer`` has to read."""
    full = asyncio.Event()
    writing = await flood(conn, full)
    full.set()
    received = 0
    while not writing.done():
        received += len(await read(peer))
        await turns(2)
    return await given(writing, "write()") - received


async def cancelled_beside(
    call: Callable[[], Awaitable[R]], cause: Callable[[], Awaitable[S]], times: int, /
) -> "AsyncIterator[tuple[asyncio.Future[R], S]]":
    """Cancel calls while ``cause`` has that come which ends them: each at another moment.

    Yields each, once it has ended, and what ``cause`` has returned.
    """
    taken = _MANY_TURNS
    for number in range(times + 1):
        # At first as many turns of the event loop as it takes.
        limit = max(0, taken - number % TURNS + 2) if number else _MANY_TURNS
        calling = start(call())
        await turns(1)
        causing, count = start(cause()), 0
        while count < limit and not calling.done():
            await asyncio.sleep(0)
            count += 1
        calling.cancel()
        caused = await causing
        await ended(calling)
        taken = taken if number else count
        yield calling, caused


async def race_with_cancels(
    accept: Callable[[], Awaitable[Conn]], connect: Callable[[], Awaitable[Conn | None]], /
) -> None:
    """Connect clients beside cancelled accepts, and some more; break the clause if one is lost.

    ``connect`` returns None for a client that was closed before that knew it.
    """
    clients: list[Conn] = []

    async def echo(conn: Conn | None) -> None:
        conn = owned(returned(conn, "accept()"))
        while data := await conn.read(1):
            await conn.write(data)

    async for call, client in cancelled_beside(accept, connect, 2 * TURNS):
        if client is not None:
            clients.append(client)
        if not call.cancelled():
            start(echo(await within(call, "a cancelled accept()")))
    clients += filter(None, [await connect(), await connect()])
    expect(bool(clients), "no client could connect")

    async def accept_all() -> None:
        while True:
            start(echo(returned(await accept(), "accept()")))
            await turns(1)

    async def answer(client: Conn) -> None:
        try:
            await client.read(1)
        except OSError:
            return

    accepting = start(accept_all())
    answers = [start(answer(client)) for client in clients]
    await ended(accepting, asyncio.gather(*answers), any_of_them=True)
    if accepting.done():
        await given(accepting, "accept()")
    lost = sum(not one.done() for one in answers)
    expect(
        not lost,
        f"of {len(clients)} clients that came beside cancelled accept() calls, {lost} were "
        "neither accepted later nor closed",
    )
